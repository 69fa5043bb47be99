//! Instructions as text, beside QEMU's.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use tinamou_hart::disassemble;

use crate::differential::instructions::*;
use crate::differential::program::Random;
use crate::rig::RAM;

const QEMU: &str = "qemu-system-riscv64";

/// Instructions of every kind, and others that may be none.
fn code(random: &mut Random) -> Vec<u8> {
    let tables = [
        INTEGER, MEMORY, ATOMIC, FLOAT, ADDITIONAL, CSR, CONTROL, COMPRESSED,
    ]
    .concat();
    let mut code = Vec::new();
    for index in 0..40 * tables.len() {
        let pattern = tables[index % tables.len()];
        let word = pattern.bits | random.next() as u32 & !pattern.mask;
        let length = if pattern.bits & 3 == 3 { 4 } else { 2 };
        code.extend(&word.to_le_bytes()[..length]);
        let other = random.next() as u32;
        // Longer instructions end the string of known ones.
        if other & 0x1f != 0x1f {
            let length = if other & 3 == 3 { 4 } else { 2 };
            code.extend(&other.to_le_bytes()[..length]);
        }
    }
    // Every compressed instruction.
    code.extend(
        (0..=u16::MAX)
            .filter(|half| half & 3 != 3)
            .flat_map(u16::to_le_bytes),
    );
    code
}

/// QEMU's lines for the code at the start of RAM.
fn theirs(code: &[u8], count: usize) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("code");
    std::fs::write(&path, code).unwrap();
    let loader = format!("loader,file={},addr={RAM:#x},force-raw=on", path.display());
    let child = Command::new(QEMU)
        .args(["-M", "virt", "-bios", "none", "-S", "-device", &loader])
        .args(["-display", "none", "-serial", "none", "-monitor", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "{QEMU} is not installed");
        eprintln!("skipped: {QEMU} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take()?;
    writeln!(stdin, "xp /{count}i {RAM:#x}").unwrap();
    let lines = BufReader::new(child.stdout.take()?).lines();
    let lines = lines
        .map_while(Result::ok)
        .filter(|line| line.starts_with("0x"));
    let lines = lines
        .take(count)
        .map(|line| line.trim_end().to_owned())
        .collect();
    writeln!(stdin, "quit").unwrap();
    child.wait().unwrap();
    Some(lines)
}

/// What this shows otherwise on purpose, or not at all because no hart here has it.
fn is_allowed(bits: u32, ours: &str, theirs: &str) -> bool {
    const RETURN: u32 = 0x0000_8067;
    const PAUSE: u32 = 0x0100_000f;
    let is_return = bits & 0x000f_ffff == RETURN;
    let is_access = bits & 0x7f == 0x73 && bits >> 12 & 3 != 0;
    let is_block = bits & 0x7fff == 0x200f;
    // `fli` of -1, which QEMU shows without its sign.
    let is_minus_one = bits & 0xfdff_f07f == 0xf010_0053;
    // Hints, among them `c.add zero,…`; QEMU executes them too.
    let is_hint = bits & 3 != 3 && (theirs.ends_with("illegal") || bits & 0xff83 == 0x9002);
    let is_unknown = ours.ends_with("illegal");
    is_minus_one || is_return || is_access || is_block || is_hint || is_unknown || bits == PAUSE
}

#[test]
fn lines_are_those_of_qemu() {
    let code = code(&mut Random(3));
    let mut lines = Vec::new();
    let mut rest = code.as_slice();
    while !rest.is_empty() {
        let mut bytes = [0; 8];
        let present = rest.len().min(8);
        bytes[..present].copy_from_slice(&rest[..present]);
        let bits = u64::from_le_bytes(bytes);
        let line = disassemble(RAM + (code.len() - rest.len()) as u64, bits);
        rest = &rest[usize::from(line.length).min(present)..];
        lines.push((bits as u32, line.to_string().trim_end().to_owned()));
    }
    let Some(theirs) = theirs(&code, lines.len()) else {
        return;
    };
    assert_eq!(theirs.len(), lines.len());
    let mut differing = 0;
    for ((bits, ours), theirs) in lines.iter().zip(&theirs) {
        if ours != theirs && !is_allowed(*bits, ours, theirs) {
            eprintln!("{ours}\n{theirs}");
            differing += 1;
        }
    }
    assert_eq!(differing, 0);
}

#[test]
fn every_instruction_has_a_name() {
    let mut random = Random(4);
    for pattern in [INTEGER, MEMORY, ATOMIC, FLOAT, ADDITIONAL, CSR, CONTROL].concat() {
        let word = pattern.bits | random.next() as u32 & !pattern.mask;
        let line = disassemble(0, word.into());
        assert_ne!(line.text.trim_end(), "illegal", "{}", pattern.name);
    }
}
