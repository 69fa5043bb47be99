//! Interfaces of the host, as Linux on both ends of them sees them. Only root can make one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    bytes_pass_both_ways_over_two_queues
    a_helper_opens_the_interface
}

/// Bytes sent each way.
const LENGTH: usize = 1_000_000;

/// What stands in for `qemu-bridge-helper`: the interface is called as the bridge should be.
const HELPER: &str = r#"#!/usr/bin/env python3
import array, fcntl, os, socket, struct, sys
words = dict(word[2:].split("=") for word in sys.argv[1:] if "=" in word)
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", words["br"].encode(), 0x5002))
connection = socket.socket(fileno=int(words["fd"]))
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [tap]))
connection.sendmsg([b"x"], [rights])
"#;

/// An interface's name and its network, which no other test of this machine has.
fn place(program: Program, story: u8) -> (String, String) {
    let number = std::process::id() % 100 * 2 + u32::from(program == Program::Qemu);
    (
        format!("tn{story}x{number}"),
        format!("10.{}.{number}", 90 + story),
    )
}

/// Whether interfaces can be made here.
fn possible() -> bool {
    let possible = rustix::process::geteuid().is_root()
        && fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .is_ok();
    if !possible {
        eprintln!("SKIPPED: only root makes interfaces, where there is /dev/net/tun");
    }
    possible
}

fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split_whitespace())
        .status();
    assert!(status.expect("ip").success(), "ip {arguments}");
}

/// Gives the guest and the host addresses on their ends, and has them exchange bytes.
fn exchange(guest: &mut Guest, (interface, network): &(String, String)) {
    ip(&format!("addr add {network}.1/24 dev {interface}"));
    ip(&format!("link set {interface} up"));
    guest.run(&format!("t up {network}.2/24"));
    guest.run(&format!("t until ping -c 1 -W 20 {network}.1"));
    let listener = TcpListener::bind(format!("{network}.1:0")).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let host = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest calls");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("all of it");
        drop(stream);
        let (mut stream, _) = listener.accept().expect("the guest calls again");
        stream.write_all(&vec![b'x'; LENGTH]).expect("sent");
        received.len()
    });
    guest.run(&format!(
        "head -c {LENGTH} /dev/zero | nc {network}.1 {port}"
    ));
    let count = guest.run(&format!("nc {network}.1 {port} </dev/null | wc -c"));
    assert_eq!(count.trim(), LENGTH.to_string());
    assert_eq!(host.join().expect("the host's side"), LENGTH);
}

fn bytes_pass_both_ways_over_two_queues(program: Program) {
    let place = place(program, 0);
    let tap = format!(
        "-netdev tap,id=t0,ifname={},queues=2,script=no,downscript=no",
        place.0
    );
    let boot = Boot::new(program, Kernel::Small)
        .with(&tap)
        .with("-smp 2 -device virtio-net-pci,id=net0,netdev=t0,mq=on");
    let Some(mut guest) = possible().then(|| boot.up()).flatten() else {
        return;
    };
    let queues = guest.run("ls /sys/class/net/eth0/queues");
    let queues: Vec<&str> = queues.split_whitespace().collect();
    assert_eq!(queues, ["rx-0", "rx-1", "tx-0", "tx-1"]);
    exchange(&mut guest, &place);
    let shown = guest.qmp.hmp("info network");
    let (interface, _) = &place;
    for line in [
        "net0: index=1,type=nic,".to_owned(),
        format!(" \\ t0: index=1,type=tap,ifname={interface},script=no,downscript=no"),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    guest.power_off();
}

fn a_helper_opens_the_interface(program: Program) {
    let place = place(program, 1);
    let directory = tempfile::tempdir().expect("a directory");
    let helper = script(&directory);
    let (interface, _) = &place;
    let boot = Boot::new(program, Kernel::Small)
        .with(&format!(
            "-netdev bridge,id=b0,br={interface},helper={helper}"
        ))
        .with("-device virtio-net-pci,id=net0,netdev=b0");
    let Some(mut guest) = possible().then(|| boot.up()).flatten() else {
        return;
    };
    exchange(&mut guest, &place);
    let shown = guest.qmp.hmp("info network");
    let line = format!(" \\ b0: index=0,type=tap,helper={helper},br={interface}");
    assert!(shown.lines().any(|shown| shown == line), "{shown}");
    guest.power_off();
}

fn script(directory: &TempDir) -> String {
    let path = directory.path().join("helper");
    fs::write(&path, HELPER).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    Path::display(&path).to_string()
}
