//! The second story: the guest's receive filter, told once and asked for.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Boot, Guest, Kernel, Program, on_both};
use crate::support::PATIENCE;

on_both! {
    every_change_is_told_once_until_asked
    thousands_of_changes_are_one_event
    an_anonymous_nic_has_only_its_path
    frames_outside_the_filter_stay_outside
}

const PATH: &str = "/machine/peripheral/net0/virtio-backend";

fn boot(program: Program, kernel: Kernel) -> Option<Guest> {
    Boot::new(program, kernel)
        .with("-netdev hubport,id=n0,hubid=0 -device virtio-net-pci,id=net0,netdev=n0")
        .up()
}

/// What the event says.
fn told() -> Value {
    json!({"name": "net0", "path": PATH})
}

fn changed() -> Vec<(String, Value)> {
    vec![("NIC_RX_FILTER_CHANGED".to_owned(), told())]
}

fn filter(guest: &mut Guest) -> Value {
    guest.qmp("query-rx-filter", json!({"name": "net0"}))[0].take()
}

/// Asks until the filter is as `wanted` and no change came since: the kernel programs the card
/// when it comes to it, in several steps.
fn settle(guest: &mut Guest, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let filter = filter(guest);
        if guest.events().is_empty() && wanted(&filter) {
            return;
        }
        assert!(Instant::now() < deadline, "it stays {filter}");
    }
}

fn every_change_is_told_once_until_asked(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Debian) else {
        return;
    };
    let every_vlan = json!((0..4096).rev().collect::<Vec<u32>>());
    let before = filter(&mut guest);
    assert_eq!(before["promiscuous"], true);
    assert!(before["vlan-table"] == every_vlan, "not all VLANs");
    guest.events();

    // The group of the address that the kernel gives itself is joined last.
    guest.run("t up; t until grep 3333ff123456 /proc/net/dev_mcast");
    assert_eq!(guest.events(), changed());
    let mut seen = filter(&mut guest);
    assert!(seen["vlan-table"].take() == every_vlan, "not all VLANs");
    // The kernel's own order is no promise.
    seen["multicast-table"]
        .as_array_mut()
        .expect("a table")
        .sort_by_key(Value::to_string);
    let up = json!({
        "name": "net0", "main-mac": "52:54:00:12:34:56", "promiscuous": false,
        "multicast": "normal", "multicast-overflow": false,
        "multicast-table": ["01:00:5e:00:00:01", "33:33:00:00:00:01", "33:33:ff:12:34:56"],
        "unicast": "normal", "unicast-overflow": false, "unicast-table": [],
        "vlan": "normal", "vlan-table": null, "broadcast-allowed": false,
    });
    assert_eq!(seen, up);

    let (another, group) = ("t multicast", "01:00:5e:01:02:03");
    for (change, member, expected) in [
        ("t promisc on", "promiscuous", json!(true)),
        ("t promisc off", "promiscuous", json!(false)),
        ("t allmulti on", "multicast", json!("all")),
        ("t allmulti off", "multicast", json!("normal")),
        (
            "t unicast add 02:00:00:00:00:07",
            "unicast-table",
            json!(["02:00:00:00:00:07"]),
        ),
        (
            "t unicast del 02:00:00:00:00:07",
            "unicast-table",
            json!([]),
        ),
        (
            "t mac 52:54:00:00:00:01",
            "main-mac",
            json!("52:54:00:00:00:01"),
        ),
    ] {
        guest.run(&format!(
            "{change} && {another} add {group} && {another} del {group}"
        ));
        assert_eq!(guest.event("NIC_RX_FILTER_CHANGED"), told());
        assert_eq!(guest.events(), [], "{change}: it is told once until asked");
        settle(&mut guest, |filter| filter[member] == expected);
    }
    guest.power_off();
}

fn thousands_of_changes_are_one_event(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Small) else {
        return;
    };
    guest.run("t up");
    settle(&mut guest, |_| true);

    // Nobody reads the session while the guest makes its changes.
    let output = guest.run("t churn 1000");
    assert_eq!(output, "changes=4126\n");
    assert_eq!(guest.events(), changed());

    // The flag is the NIC's, and no time restores it.
    guest.run("t churn 16");
    assert_eq!(guest.events(), []);
    filter(&mut guest);
    guest.run("t churn 16");
    assert_eq!(guest.events(), changed());
    guest.power_off();
}

fn an_anonymous_nic_has_only_its_path(program: Program) {
    let more = "-netdev hubport,id=n0,hubid=0 -device virtio-net-pci,netdev=n0";
    let Some(mut guest) = Boot::new(program, Kernel::Small).with(more).up() else {
        return;
    };
    guest.run("t up");
    let path = "/machine/peripheral-anon/device[0]/virtio-backend";
    assert_eq!(guest.event("NIC_RX_FILTER_CHANGED"), json!({"path": path}));
    let all = guest.qmp("query-rx-filter", json!({}));
    assert_eq!(all[0]["name"], "virtio-net-pci.0");
    let error = guest.refused("query-rx-filter", json!({"name": "net9"}));
    assert_eq!(
        error,
        json!({"class": "GenericError", "desc": "invalid net client name: net9"})
    );
    guest.power_off();
}

/// An Ethernet frame of no protocol that anybody has.
fn frame(to: [u8; 6], vlan: Option<u16>) -> Vec<u8> {
    let mut frame = [&to[..], &[2, 0, 0, 0, 0, 0x99]].concat();
    if let Some(id) = vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(id.to_be_bytes());
    }
    frame.extend([0x88, 0xb5]);
    frame.resize(64, 0);
    frame
}

fn frames_outside_the_filter_stay_outside(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with("-netdev dgram,id=n0,local.type=unix,local.path=nic.sock,remote.type=unix,remote.path=peer.sock")
        .with("-device virtio-net-pci,id=net0,netdev=n0")
        .up()
    else {
        return;
    };
    let peer = UnixDatagram::bind(guest.vm.path("peer.sock")).expect("a socket");
    let nic = guest.vm.path("nic.sock");
    guest.run("t up; t vlan add 7");
    let own = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    let mut expected = 0;
    for (what, frame, passes) in [
        ("the NIC's own address", frame(own, None), true),
        ("broadcast", frame([0xff; 6], None), true),
        ("another address", frame([2, 0, 0, 0, 0, 1], None), false),
        (
            "a group nobody joined",
            frame([1, 0, 0x5e, 9, 9, 9], None),
            false,
        ),
        ("all systems", frame([1, 0, 0x5e, 0, 0, 1], None), true),
        ("a VLAN", frame(own, Some(7)), true),
    ] {
        peer.send_to(&frame, &nic)
            .expect("the NIC's back end takes it");
        expected += u32::from(passes);
        // A frame for the NIC itself follows, so that its arrival shows that
        // the one before it was decided upon.
        peer.send_to(&self::frame(own, None), &nic)
            .expect("the NIC's back end takes it");
        expected += 1;
        let counter = "cat /sys/class/net/eth0/statistics/rx_packets";
        guest.run(&format!("t until sh -c '[ $({counter}) -ge {expected} ]'"));
        assert_eq!(guest.run(counter), format!("{expected}\n"), "{what}");
    }
    guest.run("t vlan del 7");
    guest.power_off();
}
