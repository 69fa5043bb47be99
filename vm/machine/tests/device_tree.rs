//! Our device tree against QEMU's: what we have, QEMU has with the same content.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::process::Command;

use tinamou_machine::fdt::Node;
use tinamou_machine::{Machine, MachineConfig};

const QEMU: &str = "qemu-system-riscv64";

/// Differs by nature: randomness, and what our harts can do.
const OWN: [&str; 4] = ["rng-seed", "riscv,isa", "riscv,isa-extensions", "mmu-type"];

fn our_tree(cpus: usize, ram_size: u64) -> Node {
    let config = MachineConfig {
        cpus,
        ram_size,
        ..MachineConfig::default()
    };
    let machine = Machine::new(config, Box::new(|_| ())).unwrap();
    Node::parse(machine.device_tree().unwrap()).unwrap()
}

fn qemu_tree(cpus: usize, ram_size: u64) -> Option<Node> {
    let file = std::env::temp_dir().join(format!("virt-{}-{cpus}.dtb", std::process::id()));
    let dumped = Command::new(QEMU)
        .arg("-M")
        .arg(format!("virt,dumpdtb={}", file.display()))
        .args(["-display", "none", "-smp", &cpus.to_string()])
        .args(["-m", &format!("{}M", ram_size >> 20)])
        .output();
    if dumped.is_err() {
        assert!(std::env::var_os("CI").is_none(), "{QEMU} is not installed");
        eprintln!("skipped: {QEMU} is not installed");
        return None;
    }
    let blob = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    Some(Node::parse(&blob).unwrap())
}

fn compare(ours: &Node, theirs: &Node, path: &str) {
    for (name, value) in ours.properties().filter(|(name, _)| !OWN.contains(name)) {
        assert_eq!(Some(value), theirs.property(name), "{path}: {name}");
    }
    for child in ours.nodes() {
        let path = format!("{path}/{}", child.name());
        let theirs = theirs
            .find(child.name())
            .unwrap_or_else(|| panic!("{path} is ours alone"));
        compare(child, theirs, &path);
    }
}

#[test]
fn every_node_is_as_in_qemu() {
    for (cpus, ram_size) in [(1, 128 << 20), (2, 512 << 20), (3, 3 << 30)] {
        let Some(theirs) = qemu_tree(cpus, ram_size) else {
            return;
        };
        compare(&our_tree(cpus, ram_size), &theirs, "");
    }
}

#[test]
fn nodes_without_a_device_are_left_out() {
    let tree = our_tree(1, 128 << 20);
    let names: Vec<_> = tree.nodes().map(Node::name).collect();
    let expected = [
        "poweroff",
        "reboot",
        "memory@80000000",
        "cpus",
        "fw-cfg@10100000",
        "aliases",
        "chosen",
        "soc",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_power_button_names_its_pin() {
    let config = MachineConfig {
        power_button: true,
        cpus: 2,
        ..MachineConfig::default()
    };
    let machine = Machine::new(config, Box::new(|_| ())).unwrap();
    let tree = Node::parse(machine.device_tree().unwrap()).unwrap();
    let controller = tree
        .find("soc")
        .and_then(|soc| soc.find("gpio@10200000"))
        .unwrap();
    let key = tree
        .find("gpio-keys")
        .and_then(|keys| keys.find("power"))
        .unwrap();
    let pin = key.property("gpios").unwrap();
    assert_eq!(Some(&pin[..4]), controller.property("phandle"));
    assert_eq!(pin[4..], [0; 8]);
}
