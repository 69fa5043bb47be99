//! The user network: whatever frames a guest sends, nothing panics or hangs, and afterwards an
//! honest guest is answered. Nothing leaves the network: it is restricted, but for one port that
//! leads to a character device.
//!
//! Each frame comes after three bytes: flags, and its length as 16 bits. A frame with the first
//! flag has checksums that the guest left to others, which are not looked at.

use std::path::PathBuf;
use std::time::Duration;

use tinamou_chardev::{Backend, Chardevs};
use tinamou_net::{Checksum, Config, Frame, Network, Nic, NicConfig, Offload, UserConfig};
use tokio::runtime::Handle;
use tokio::task::yield_now;

/// How often the network's tasks get their turn after each frame.
const TURNS: usize = 4;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A question by ARP from 10.0.2.15 for 10.0.2.2.
const QUESTION: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0, 6, 4, 0,
    1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
];
/// How its answer begins: to the guest, from the gateway, an answer by ARP.
const ANSWER: [u8; 22] = [
    0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x52, 0x55, 10, 0, 2, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2,
];

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let network = restricted();
        let nic = NicConfig {
            netdev: Some("u".to_owned()),
            ..NicConfig::default()
        };
        let nic = network.add_nic(nic).expect("a card");
        send_all(&nic, input).await;
        let served = tokio::time::timeout(PATIENCE, serve_an_honest_guest(&nic)).await;
        served.expect("the gateway answers");
    });
}

fn restricted() -> Network {
    let runtime = Handle::current();
    let chardevs = Chardevs::new(runtime.clone());
    chardevs
        .add("c", Backend::Null.into())
        .expect("a character device");
    let network = Network::new(runtime, chardevs, |_| {});
    let config = UserConfig {
        restrict: true,
        guestfwd: vec!["tcp:10.0.2.100:80-chardev:c".to_owned()],
        tftp: Some(PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
        bootfile: Some("Cargo.toml".to_owned()),
        ..UserConfig::default()
    };
    network
        .add("u", Config::User(Box::new(config)))
        .expect("a network");
    network
}

async fn send_all(nic: &Nic, mut input: &[u8]) {
    while let Some(([flags, low, high], rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, rest) = rest.split_at(length.min(rest.len()));
        input = rest;
        let checksum = (flags & 1 != 0).then_some(Checksum {
            start: 34,
            offset: 16,
        });
        let offload = Offload {
            checksum,
            segments: None,
        };
        // Full: lost.
        let _ = nic
            .port()
            .try_send(Frame::with_offload(bytes.to_vec(), offload));
        for _ in 0..TURNS {
            yield_now().await;
        }
        while nic.port().try_recv().is_some() {}
    }
}

async fn serve_an_honest_guest(nic: &Nic) {
    nic.port().send(Frame::from(&QUESTION[..])).await;
    while !nic.port().recv().await.starts_with(&ANSWER) {}
}
