//! How fast guest code runs on a bare hart, and on QEMU when that is installed.
//!
//! `cargo run --release -p tinamou-hart --example mips` compiles `mips.c` with
//! `riscv64-unknown-elf-gcc` and prints a table. The instructions are counted by our hart: QEMU's
//! `minstret` counts something else.

mod board;

use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One line of the program's output.
struct Part {
    name: String,
    ticks: u64,
    instructions: u64,
    result: String,
}

fn main() -> Result<()> {
    let elf = compile()?;
    let binary = elf.with_extension("bin");
    let objcopy = ["-O", "binary"];
    run(Command::new("riscv64-unknown-elf-objcopy")
        .args(objcopy)
        .arg(&elf)
        .arg(&binary))?;
    let ours = parse(&board::run(&std::fs::read(&binary)?)?)?;
    let theirs = match qemu(&elf) {
        Ok(output) => parse(&output)?,
        Err(error) => {
            eprintln!("qemu-system-riscv64 is not measured: {error}");
            Vec::new()
        }
    };
    println!(
        "{:10} {:>14} {:>10} {:>10}",
        "part", "instructions", "MIPS", "QEMU MIPS"
    );
    for (index, part) in ours.iter().enumerate() {
        let peer = theirs.get(index);
        if let Some(peer) = peer.filter(|peer| peer.result != part.result) {
            return Err(format!(
                "{}: {} here, {} on QEMU",
                part.name, part.result, peer.result
            )
            .into());
        }
        let mips = |ticks: u64| part.instructions * 10 / ticks.max(1);
        let peer = peer.map_or_else(|| "-".into(), |peer| mips(peer.ticks).to_string());
        println!(
            "{:10} {:>14} {:>10} {:>10}",
            part.name,
            part.instructions,
            mips(part.ticks),
            peer
        );
    }
    Ok(())
}

fn compile() -> Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mips");
    let elf = std::env::temp_dir().join(format!("tinamou-mips-{}.elf", std::process::id()));
    let options = [
        "-O2",
        "-march=rv64gc",
        "-mabi=lp64d",
        "-mcmodel=medany",
        "-nostdlib",
    ];
    let freestanding = [
        "-ffreestanding",
        "-fno-tree-loop-distribute-patterns",
        "-static",
    ];
    run(Command::new("riscv64-unknown-elf-gcc")
        .args(options)
        .args(freestanding)
        .arg("-Wl,--no-warn-rwx-segments")
        .arg("-T")
        .arg(sources.join("mips.ld"))
        .args([sources.join("start.S"), sources.join("mips.c")])
        .arg("-o")
        .arg(&elf))?;
    Ok(elf)
}

fn qemu(elf: &Path) -> Result<String> {
    let board = [
        "-M",
        "virt",
        "-m",
        "64",
        "-nographic",
        "-monitor",
        "none",
        "-bios",
        "none",
    ];
    let mut command = Command::new("qemu-system-riscv64");
    run(command.args(board).arg("-kernel").arg(elf))
}

/// Runs a command to its end and gives its output.
fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn parse(output: &str) -> Result<Vec<Part>> {
    let part = |line: &str| {
        let mut words = line.split_whitespace();
        Some(Part {
            name: words.next()?.into(),
            ticks: words.next()?.parse().ok()?,
            instructions: words.next()?.parse().ok()?,
            result: words.next()?.into(),
        })
    };
    let parts: Option<_> = output.lines().map(part).collect();
    parts.ok_or_else(|| format!("not what was expected: {output}").into())
}
