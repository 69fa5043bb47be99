//! The same qtest script played to our board and to QEMU's: every reply must be the same.
//!
//! QEMU is given `-S` and TCG, because distributions build it without the qtest accelerator; so
//! its clock stands and scripts here do not step it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tinamou_machine::config::Accelerator;
use tinamou_machine::qtest::{Session, line_changed};
use tinamou_machine::{Machine, MachineConfig};

const QEMU: &str = "qemu-system-riscv64";

/// Plays a script to both; lines that begin with `#` explain it.
fn check(script: &str) {
    let commands: Vec<_> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let ours = play_ours(&commands);
    let Some(theirs) = play_qemu(&commands) else {
        return;
    };
    for ((command, ours), theirs) in commands.iter().zip(ours).zip(theirs) {
        assert_eq!(ours, theirs, "{command} (ours, then QEMU's)");
    }
}

fn play_ours(commands: &[&str]) -> Vec<Vec<String>> {
    let config = MachineConfig {
        accelerator: Accelerator::Qtest,
        cpus: 2,
        ..MachineConfig::default()
    };
    let mut machine = Machine::new(config, Box::new(|_| ())).unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    machine.on_line_change(Arc::new(move |line, level| {
        log.lock()
            .unwrap()
            .push(line_changed(line, level).trim_end().to_owned());
    }));
    let mut session = Session::new();
    let answers = commands.iter().map(|command| {
        let mut reply = String::new();
        session.receive(
            format!("{command}\n").as_bytes(),
            &mut machine,
            &mut |_, text| {
                reply = text.trim_end().to_owned();
            },
        );
        let mut heard = std::mem::take(&mut *lines.lock().unwrap());
        heard.push(reply);
        heard
    });
    answers.collect()
}

/// None when there is no QEMU to ask, which is said aloud and refused where tests must be whole.
fn play_qemu(commands: &[&str]) -> Option<Vec<Vec<String>>> {
    let spawned = Command::new(QEMU)
        .args([
            "-M",
            "virt",
            "-smp",
            "2",
            "-S",
            "-display",
            "none",
            "-nodefaults",
        ])
        .args([
            "-bios",
            "none",
            "-serial",
            "null",
            "-qtest",
            "stdio",
            "-qtest-log",
            "none",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        assert!(std::env::var_os("CI").is_none(), "{QEMU} is not installed");
        eprintln!("skipped: {QEMU} is not installed");
        return None;
    };
    let answers = converse(&mut child, commands);
    child.kill().unwrap();
    child.wait().unwrap();
    Some(answers)
}

fn converse(child: &mut Child, commands: &[&str]) -> Vec<Vec<String>> {
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let answers = commands.iter().map(|command| {
        writeln!(input, "{command}").unwrap();
        let mut heard = Vec::new();
        loop {
            let line = output.next().expect("QEMU ended").unwrap();
            let last = !line.starts_with("IRQ ");
            heard.push(line);
            if last {
                return heard;
            }
        }
    });
    answers.collect()
}

/// Reads at every offset of a range, in all widths.
fn sweep(base: u64, offsets: impl IntoIterator<Item = u64>) -> String {
    let mut script = String::new();
    for offset in offsets {
        for width in ["b", "w", "l", "q"] {
            script += &format!("read{width} {:#x}\n", base + offset);
        }
    }
    script
}

#[test]
fn serial_port() {
    check(&sweep(0x1000_0000, 0..12));
    check(
        "# scratch, divisor, masks
        writeb 0x10000007 0x5a\nreadb 0x10000007
        writeb 0x10000003 0x83\nwriteb 0x10000000 0x34\nwriteb 0x10000001 0x12
        readb 0x10000000\nreadb 0x10000001\nwriteb 0x10000003 3\nreadb 0x10000001
        writeb 0x10000001 0xff\nreadb 0x10000001\nwriteb 0x10000001 0
        writeb 0x10000004 0xff\nreadb 0x10000004\nreadb 0x10000006
        writeb 0x10000004 0x08\nreadb 0x10000006
        # FIFOs and the empty transmitter
        writeb 0x10000002 0x07\nreadb 0x10000002
        writeb 0x10000001 2\nreadb 0x10000002\nreadb 0x10000002
        writeb 0x10000000 0x41\nreadb 0x10000005\nreadb 0x10000002\nreadb 0x10000002
        writeb 0x10000002 0xc1\nreadb 0x10000002\nwriteb 0x10000002 0\nreadb 0x10000002
        # wider accesses
        writel 0x10000007 0x11223344\nreadl 0x10000007\nreadq 0x10000000
        writew 0x10000006 0x5577\nreadw 0x10000006",
    );
}

#[test]
fn serial_interrupts_are_heard() {
    check(
        "irq_intercept_out /machine/unattached/device[14] sysbus-irq
        writeb 0x10000001 2\nwriteb 0x10000001 2\nreadb 0x10000002
        writeb 0x10000000 0x41\nreadb 0x10000002\nwriteb 0x10000001 0",
    );
    check(
        "irq_intercept_in /machine/unattached/device[2]
        writeb 0x10000001 2\nreadl 0xc001000\nreadb 0x10000002\nreadl 0xc001000
        irq_intercept_in /machine/unattached/device[2]
        irq_intercept_out /machine/unattached/device[14] sysbus-irq",
    );
}

#[test]
fn refused_interceptions() {
    for command in [
        "irq_intercept_out /machine/unattached/device[14]",
        "irq_intercept_in /machine/unattached/device[2] name",
        "irq_intercept_in /nosuch",
        "set_irq_in /nosuch unnamed-gpio-in 1 1",
        "nonsense",
    ] {
        check(command);
    }
}

#[test]
fn core_local_interruptor() {
    check(&sweep(
        0x200_0000,
        [0, 1, 2, 4, 8, 0x3ffc, 0x4000, 0x4004, 0x4008, 0x4010],
    ));
    check(
        "writel 0x2000000 0xffffffff\nreadl 0x2000000\nreadb 0x2000000\nreadq 0x2000000
        writel 0x2000004 2\nreadl 0x2000004\nwriteq 0x2000000 0x100000001\nreadq 0x2000000
        writel 0x2000008 1\nreadl 0x2000008
        writeq 0x2004000 0x123456789abcdef0\nreadq 0x2004000\nreadl 0x2004000\nreadl 0x2004004
        writel 0x2004008 0x11111111\nwritel 0x200400c 0x22222222\nreadq 0x2004008
        writeq 0x2004010 1\nreadq 0x2004010
        writeq 0x200bff8 0x1000\nreadq 0x200bff8\nreadl 0x200bff8\nreadl 0x200bffc
        writel 0x200bffc 7\nreadq 0x200bff8\nwritew 0x200bff8 1\nreadq 0x200bff8
        readq 0x200bff0\nreadl 0x200c000",
    );
}

#[test]
fn interrupt_controller() {
    check(
        "writel 0xc000000 7\nreadl 0xc000000\nwritel 0xc000004 15\nreadl 0xc000004
        writel 0xc00017c 3\nreadl 0xc00017c\nwritel 0xc000180 3\nreadl 0xc000180
        writel 0xc002000 0xffffffff\nreadl 0xc002000\nwritel 0xc002008 0xffffffff\nreadl 0xc002008
        writel 0xc00200c 0xffffffff\nreadl 0xc00200c\nwritel 0xc002180 5\nreadl 0xc002180
        writel 0xc002200 5\nreadl 0xc002200
        writel 0xc200000 0xff\nreadl 0xc200000\nwritel 0xc203000 2\nreadl 0xc203000
        writel 0xc204000 2\nreadl 0xc204000
        readb 0xc000004\nreadw 0xc000004\nreadq 0xc000004\nwriteb 0xc000004 1\nreadl 0xc000004
        writel 0xc001000 0xffffffff\nreadl 0xc001000",
    );
}

#[test]
fn claims_and_completions() {
    check(
        "writel 0xc002000 0xfffffffe\nwritel 0xc000028 3\nwritel 0xc00002c 3\nwritel 0xc000014 5
        irq_intercept_out /machine/unattached/device[2]
        set_irq_in /machine/unattached/device[2] unnamed-gpio-in 10 1
        set_irq_in /machine/unattached/device[2] unnamed-gpio-in 11 1
        set_irq_in /machine/unattached/device[2] unnamed-gpio-in 5 1
        readl 0xc001000\nreadl 0xc200004\nreadl 0xc001000\nreadl 0xc200004\nreadl 0xc200004
        readl 0xc200004\nreadl 0xc001000
        set_irq_in /machine/unattached/device[2] unnamed-gpio-in 5 0
        set_irq_in /machine/unattached/device[2] unnamed-gpio-in 10 0
        writel 0xc200004 5\nreadl 0xc001000\nreadl 0xc200004
        writel 0xc200004 10\nreadl 0xc200004
        writel 0xc200000 3\nwritel 0xc200000 2",
    );
}

#[test]
fn real_time_clock() {
    check(
        "readl 0x101008\nreadl 0x10100c\nreadl 0x101010\nreadl 0x101018
        writel 0x10100c 0x7fffffff\nwritel 0x101008 5\nreadl 0x101008\nreadl 0x10100c
        readl 0x101018\nwritel 0x101014 0\nreadl 0x101018
        irq_intercept_out /machine/unattached/device[15] sysbus-irq
        writel 0x101010 3\nreadl 0x101010
        writel 0x10100c 0\nwritel 0x101008 1\nreadl 0x101018
        writel 0x10101c 1\nwritel 0x101008 1\nwritel 0x101010 0
        readb 0x101010\nreadw 0x101010\nreadq 0x101010\nreadl 0x101024\nreadl 0x10101c",
    );
}

#[test]
fn empty_virtio_slots() {
    check(&sweep(
        0x1000_1000,
        (0..0x20).chain([0x70, 0x100, 0x1f8, 0x200]),
    ));
    check("writel 0x10008070 1\nreadl 0x10008070\nreadl 0x10008000\nreadl 0x10009000");
}

#[test]
fn test_finisher_and_holes() {
    check(&sweep(0x10_0000, [0, 1, 2, 4, 0xff8]));
    check("readl 0\nreadq 0x5000000\nread 0x10000ffe 4\nwritel 0x5000000 1\nreadl 0x5000000");
}

#[test]
fn memory() {
    check(
        "write 0x80000000 8 0x0123456789abcdef\nread 0x80000000 8\nreadb 0x80000001
        readw 0x80000001\nreadl 0x80000003\nreadq 0x80000005\nwriteq 0x80000003 0x1122334455667788
        b64read 0x80000000 12\nb64write 0x80000010 3 AQID\nread 0x80000010 4
        memset 0x80000020 5 0x5a\nread 0x8000001f 7\nread 0x87fffffc 8\nendianness",
    );
}

#[test]
fn reset_code() {
    check(
        "read 0x1000 24\nreadq 0x1018\nreadq 0x1028\nreadq 0x1030\nreadq 0x1038\nreadq 0x1040\nwriteq 0x1000 0\nreadq 0x1000",
    );
}
