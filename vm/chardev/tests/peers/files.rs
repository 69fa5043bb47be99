//! Terminals, files and pipes.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::*;

/// Set for the process that is to break down.
const BREAKDOWN: &str = "TINAMOU_TEST_BREAKDOWN";

/// A terminal's two ends.
fn terminal() -> (OwnedFd, fs::File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = fs::File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap());
    (master, slave.unwrap())
}

/// Runs this very test again on a terminal, as a process that takes the terminal and aborts.
#[test]
fn a_breakdown_leaves_a_sane_terminal() {
    if std::env::var_os(BREAKDOWN).is_some() {
        let host = Host::new();
        host.add("s", Backend::Stdio { signal: false });
        let raw = tcgetattr(std::io::stdin()).unwrap();
        assert!(
            !raw.local_modes
                .intersects(LocalModes::ICANON | LocalModes::ECHO)
        );
        tinamou_chardev::restore_terminal();
        std::process::abort();
    }
    let (_master, slave) = terminal();
    let before = tcgetattr(&slave).unwrap().local_modes;
    let name = "files::a_breakdown_leaves_a_sane_terminal";
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(BREAKDOWN, "1")
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    // By the abort's signal, so what goes before it was in order.
    assert_eq!(status.code(), None);
    assert_eq!(tcgetattr(&slave).unwrap().local_modes, before);
}

#[test]
fn pty_comes_and_goes_with_its_slave() {
    let host = Host::new();
    let path = host.path("tty");
    let with_link = || Backend::Pty {
        link: Some(path.clone()),
    };
    let chardev = host.add("c", with_link());
    let name = chardev.pty().unwrap();
    assert_eq!(chardev.filename(), format!("pty:{name}"));
    let (pipe, events) = host.serial(&chardev);
    for _ in 0..2 {
        assert_eq!(pipe.write(b"nobody sees this"), 16);
        let mut slave = fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        until(&events, SerialEvent::Opened);
        assert_eq!(pipe.write(b"out"), 3);
        assert_eq!(read_exactly(&mut slave, 3), b"out");
        slave.write_all(b"in\r").unwrap();
        assert_eq!(fetch(&pipe, &events, 3), b"in\r");
        drop(slave);
        until(&events, SerialEvent::Closed);
    }
    assert_eq!(
        host.refusal("d", with_link()),
        "Failed to create PTY symlink: File exists"
    );
    host.chardevs.close();
    assert!(path.symlink_metadata().is_err());
}

#[test]
fn files() {
    let host = Host::new();
    let (input, output) = (host.path("in"), host.path("out"));
    fs::write(&input, "typed").unwrap();
    let backend = Backend::File {
        output: output.clone(),
        append: false,
        input: Some(input),
    };
    let mut frontend = host.add("f", backend).claim(Clients::One).unwrap();
    let mut connection = host.accept(&mut frontend);
    assert_eq!(host.receive(&mut connection, 5), b"typed");
    host.send(&mut connection, b"printed");
    assert_eq!(fs::read(&output).unwrap(), b"printed");

    let nowhere = Backend::File {
        output: host.path("none/out"),
        append: false,
        input: None,
    };
    let expected = format!(
        "Could not open '{}': No such file or directory",
        host.path("none/out").display()
    );
    assert_eq!(host.refusal("g", nowhere), expected);
}

#[test]
fn pipes() {
    let host = Host::new();
    for name in ["p.in", "p.out"] {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            host.path(name),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
    }
    let backend = Backend::Pipe {
        path: host.path("p"),
    };
    let mut frontend = host.add("p", backend).claim(Clients::One).unwrap();
    let mut connection = host.accept(&mut frontend);
    let mut writer = fs::File::options()
        .write(true)
        .open(host.path("p.in"))
        .unwrap();
    writer.write_all(b"in").unwrap();
    assert_eq!(host.receive(&mut connection, 2), b"in");
    let mut reader = fs::File::open(host.path("p.out")).unwrap();
    host.send(&mut connection, b"out");
    assert_eq!(read_exactly(&mut reader, 3), b"out");
}
