//! A network behind the process, as Linux and the host see it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    a_guest_finds_its_way
    bytes_pass_both_ways
    the_host_calls_the_guest
}

/// Bytes sent each way.
const LENGTH: usize = 1_000_000;

fn boot(program: Program) -> Option<Guest> {
    let mut guest = Boot::new(program, Kernel::Small)
        .with("-netdev user,id=n0,hostname=kiwi,hostfwd=tcp:127.0.0.1:0-:7000")
        .with("-device virtio-net-pci,id=net0,netdev=n0")
        .up()?;
    guest.run("t up 10.0.2.15/24 && ip route add default via 10.0.2.2");
    Some(guest)
}

fn a_guest_finds_its_way(program: Program) {
    let Some(mut guest) = boot(program) else {
        return;
    };
    let lease = guest.run("udhcpc -i eth0 -n -q -s /bin/true 2>&1");
    let offered = "lease of 10.0.2.15 obtained from 10.0.2.2, lease time 86400";
    assert!(lease.contains(offered), "{lease}");
    guest.run("ping -c 1 -W 20 10.0.2.2");
    guest.run("ping -c 1 -W 20 10.0.2.3");
    let neighbours = guest.run("ip neigh show");
    assert!(
        neighbours.contains("lladdr 52:55:0a:00:02:02"),
        "{neighbours}"
    );
    guest.power_off();
}

fn bytes_pass_both_ways(program: Program) {
    let Some(mut guest) = boot(program) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
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
    guest.run(&format!("head -c {LENGTH} /dev/zero | nc 10.0.2.2 {port}"));
    let count = guest.run(&format!("nc 10.0.2.2 {port} </dev/null | wc -c"));
    assert_eq!(count.trim(), LENGTH.to_string());
    assert_eq!(host.join().expect("the host's side"), LENGTH);
    guest.power_off();
}

fn the_host_calls_the_guest(program: Program) {
    let Some(mut guest) = boot(program) else {
        return;
    };
    let table = guest.qmp.hmp("info usernet");
    let rule = table.lines().find(|line| line.contains("HOST_FORWARD"));
    let port = rule.and_then(|rule| rule.split_whitespace().nth(3));
    let port: u16 = port.expect("a port").parse().expect("a number");
    guest.run("nc -l -p 7000 -e cat >/dev/null 2>&1 &");
    guest.run("t until sh -c 'netstat -ltn | grep -q :7000'");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port is forwarded");
    stream.write_all(b"echo").expect("sent");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, *b"echo");
    drop(stream);
    guest.power_off();
}
