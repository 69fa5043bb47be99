//! Network back ends without a guest: frames go from one to another through a hub.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde_json::json;

use crate::support::{PATIENCE, QEMU, Qmp, Vm, installed, skip, tinamou};

/// A question by ARP for 10.0.2.2 from 10.0.2.15.
const QUESTION: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0, 6, 4, 0,
    1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
];

/// A machine whose user network can be talked to by datagrams.
fn with_user_network(program: &Path) -> (Vm, Qmp, UnixDatagram) {
    let arguments = [
        "-M",
        "virt",
        "-nodefaults",
        "-netdev",
        "dgram,id=wire,local.type=unix,local.path=vm,remote.type=unix,remote.path=test",
        "-netdev",
        "user,id=user",
        "-netdev",
        "hubport,id=port0,hubid=0,netdev=wire",
        "-netdev",
        "hubport,id=port1,hubid=0,netdev=user",
        "-object",
        "filter-dump,id=all,netdev=user,file=all.pcap",
        "-object",
        "filter-dump,id=tx,netdev=user,file=tx.pcap,queue=tx,maxlen=20",
        "-object",
        "filter-dump,id=off,netdev=user,file=off.pcap,status=off",
    ];
    let vm = Vm::start(program, &arguments);
    let qmp = vm.qmp();
    let socket = UnixDatagram::bind(vm.path("test")).expect("a socket");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    socket.connect(vm.path("vm")).expect("its peer");
    (vm, qmp, socket)
}

/// The header of a file of frames, and for each frame its length and what is kept of it.
fn read_pcap(path: &Path) -> (Vec<u8>, Vec<(u32, Vec<u8>)>) {
    let bytes = fs::read(path).expect("the file");
    let (header, mut rest) = bytes.split_at(24);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().expect("4 bytes"));
        let (kept, length) = (word(8) as usize, word(12));
        frames.push((length, rest[16..16 + kept].to_vec()));
        rest = &rest[16 + kept..];
    }
    (header.to_vec(), frames)
}

/// What the dumps hold after a question and its answer. A frame may be padded.
fn dumped(program: &Path) -> [(Vec<u8>, Vec<Vec<u8>>); 3] {
    let (vm, mut qmp, socket) = with_user_network(program);
    socket.send(&QUESTION).expect("a question");
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer).expect("an answer");
    assert!(length >= 42, "{length}");
    let dumps = ["all.pcap", "tx.pcap", "off.pcap"].map(|name| {
        let (header, frames) = read_pcap(&vm.path(name));
        let cut = |(length, mut kept): (u32, Vec<u8>)| {
            assert!(length == 42 || length == 64, "{length}");
            kept.truncate(42);
            kept
        };
        let frames: Vec<_> = frames.into_iter().map(cut).collect();
        (header, frames)
    });
    qmp.execute("netdev_del", json!({"id": "user"}))
        .expect("it goes");
    let gone = qmp.execute("object-del", json!({"id": "all"}));
    assert_eq!(
        gone.expect_err("with its filters")["desc"],
        "object 'all' not found"
    );
    assert_eq!(dumps[0].1[0], QUESTION);
    assert_eq!(dumps[0].1[1], answer[..42]);
    dumps
}

#[test]
fn dumps_hold_what_passes_as_they_do_in_qemu() {
    let ours = dumped(&tinamou());
    let counts = ours.each_ref().map(|(_, frames)| frames.len());
    assert_eq!(counts, [2, 1, 0]);
    assert_eq!(ours[1].1[0].len(), 20);
    if !installed(QEMU) {
        return skip("QEMU is not installed");
    }
    assert_eq!(ours, dumped(Path::new(QEMU)));
}
