//! The human monitor on its own socket, byte for byte as QEMU's.

use std::io::{Read, Write};
use std::path::Path;

use crate::support::{QEMU, Vm, connect_stream, installed, skip, tinamou};

/// What is typed, one step after the other. Each ends in a new prompt or in
/// the redrawn line.
const TYPED: &[&[u8]] = &[
    b"info status\n",
    b"info status\r",
    // Rubbing out, and going back to insert.
    b"xx\x7f\x08info kvvm\x1b[D\x08\n",
    b"abc\x02\x02X\n",
    b"help quit\x01\x06\x06\x04\x05\x08\n",
    // Whole words and lines are deleted.
    b"a b c\x17\x17\n",
    b"gone\x15stop\n",
    // History, by both kinds of keys.
    b"print 1\n\nprint 2\r\nprint 3\n",
    b"\x1b[A\x1b[A\n",
    b"\x10\x10\x0e\n",
    b"\x1b[H\x1b[F\x1bOA\x1b[3~\n",
    b"\x0c\n",
    // Completion: one, several, none.
    b"inf\t status\n",
    b"sys\t\n",
    b"nosuch\t\n",
    b"info  k\t\n",
    b"\xc3\xa9\n",
    b"x /4xw 0x1000\n",
    b"x /2cw 0x1000\n",
    b"xp /4xw 0\n",
    b"xp /4db 0x1000\n",
    b"print/x 1+2*3\n",
    b"print/d 0xffffffff\n",
    b"print 1/0\n",
    b"i /b 0x10\n",
    b"sum 0x1000 16\n",
    b"info registers 5\n",
    b"cpu 7\n",
    b"info bogus\n",
    b"memsave 0 16 /nonexistent/a\n",
    b"info kvm\n",
    b"chardev-add null,id=n\n",
    b"chardev-send-break n\n",
    b"chardev-remove n\n",
    b"chardev-remove n\n",
    b"watchdog_action p\t\n",
    b"chardev-add null,id=nu\n",
    b"chardev-remove n\t\n",
    b"chardev-add nu\t\n",
    b"nmi\n",
    b"system_wakeup\n",
];

/// The same with `-preconfig`.
const TYPED_EARLY: &[&[u8]] = &[
    b"info status\n",
    b"cont\n",
    b"info\tcpus\n",
    b"info  st\t\n",
    b"cont extra\n",
    b"quit extra\n",
    b"exit_\t\n",
    b"info status\n",
    b"exit_preconfig\n",
];

/// Types everything and returns what was shown, step by step.
fn session(program: &Path, option: &str, typed: &[&[u8]]) -> Vec<String> {
    let options = [
        option,
        "-M",
        "virt",
        "-m",
        "64",
        "-nodefaults",
        "-bios",
        "none",
        "-monitor",
        "unix:human.sock,server=on,wait=off",
    ];
    let vm = Vm::launch(program, &options, "human.sock");
    let mut stream = connect_stream(&vm.path("human.sock"));
    let mut shown = vec![until_prompt(&mut stream)];
    for typed in typed {
        stream.write_all(typed).expect("typed");
        let prompts = typed.split(|byte| matches!(byte, b'\n' | b'\r'));
        let lines = prompts.count() - 1 - typed.windows(2).filter(|two| two == b"\r\n").count();
        let lists = usize::from(*typed == b"sys\t\n") + usize::from(typed.contains(&0x0c));
        for _ in 0..lines + lists {
            shown.push(until_prompt(&mut stream));
        }
    }
    shown
}

fn until_prompt(stream: &mut impl Read) -> String {
    let mut shown = Vec::new();
    while !shown.ends_with(b"(qemu) ") {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&shown)));
        shown.push(byte[0]);
    }
    String::from_utf8_lossy(&shown).into_owned()
}

/// Compares a session with QEMU's.
fn compare(option: &str, typed: &[&[u8]]) {
    let ours = session(&tinamou(), option, typed);
    assert_eq!(
        ours[0],
        "QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) "
    );
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    for (ours, theirs) in ours.iter().zip(session(Path::new(QEMU), option, typed)) {
        // The help is in each program's own words.
        match ours.contains("quit|q  --") {
            true => assert!(theirs.contains("quit|q  --"), "{theirs:?}"),
            false => assert_eq!(*ours, theirs),
        }
    }
}

#[test]
fn looks_and_feels_like_qemus() {
    compare("-S", TYPED);
}

#[test]
fn before_the_machine_is_complete_too() {
    compare("-preconfig", TYPED_EARLY);
}

/// The lines of the memory map that name something both programs have.
fn memory_map(program: &Path, line: &str) -> Vec<String> {
    let vm = Vm::start(program, &["-M", "virt", "-m", "64", "-S", "-nodefaults"]);
    let text = vm.qmp().hmp(line);
    // Not of our board, or an object of QEMU's alone, or an inner table.
    let foreign = [
        "gpex",
        "pcie",
        "fwcfg",
        "flash",
        "platform bus",
        "ram owner",
    ];
    text.split("\r\n")
        .filter(|line| !foreign.iter().any(|name| line.contains(name)))
        .take_while(|line| !line.starts_with("memory-region") && !line.contains("#1 "))
        .filter(|line| line.contains(": ") || line.contains("AS "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_memory_map_is_qemus() {
    for line in ["info mtree", "info mtree -o", "info mtree -D"] {
        let ours = memory_map(&tinamou(), line);
        assert!(ours.len() > 15, "{ours:?}");
        if !installed(QEMU) {
            return skip("qemu-system-riscv64 is not installed");
        }
        let theirs = memory_map(Path::new(QEMU), line);
        for ours in &ours {
            assert!(
                ours.contains("ram") || theirs.contains(ours),
                "{line}: {ours}"
            );
        }
    }
    let flat = memory_map(&tinamou(), "info mtree -f -d");
    assert_eq!(flat[0], " AS \"memory\", root: system");
}

/// What the TAB key makes of a line, against a machine with two CPUs.
#[test]
fn arguments_are_completed_from_what_there_is() {
    let options = ["-M", "virt", "-m", "64", "-S", "-smp", "2", "-monitor"];
    let mut options = options.to_vec();
    options.push("unix:human.sock,server=on,wait=off");
    let vm = Vm::launch(&tinamou(), &options, "human.sock");
    let mut stream = connect_stream(&vm.path("human.sock"));
    until_prompt(&mut stream);
    for (typed, completed) in [
        ("chardev-remove ser\t", "chardev-remove serial0 "),
        ("qom-list /mac\t", "qom-list /machine/"),
        ("qom-list /machine/so\t", "qom-list /machine/soc0/"),
        ("qom-get /machine/soc0 ty\t", "qom-get /machine/soc0 type "),
        ("log int,cpu_r\t", "log int,cpu_reset "),
        ("watchdog_action in\t", "watchdog_action inject-nmi "),
    ] {
        stream.write_all(typed.as_bytes()).expect("typed");
        // Ctrl-U rubs the line out; the prompt comes with the next one.
        stream.write_all(b"\x15\n").expect("typed");
        let shown = until_prompt(&mut stream);
        assert!(shown.contains(completed), "{typed:?}: {shown:?}");
    }
}

/// The lines of `info registers` about what both programs have.
fn registers(program: &Path) -> Vec<String> {
    let options = [
        "-M",
        "virt",
        "-m",
        "64",
        "-S",
        "-nodefaults",
        "-bios",
        "none",
    ];
    let vm = Vm::start(program, &options);
    let text = vm.qmp().hmp("info registers");
    // QEMU's harts have the H extension; it also delegates its interrupts.
    let hypervisor = |line: &&str| {
        let line = line.trim_start();
        ["V ", "h", "vs", "mtval2", "mideleg"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    text.split("\r\n")
        .filter(|line| !hypervisor(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn registers_of_a_fresh_machine_are_qemus() {
    let ours = registers(&tinamou());
    assert!(
        ours.contains(&" pc       0000000000001000".to_owned()),
        "{ours:?}"
    );
    match installed(QEMU) {
        true => assert_eq!(ours, registers(Path::new(QEMU))),
        false => skip("qemu-system-riscv64 is not installed"),
    }
}
