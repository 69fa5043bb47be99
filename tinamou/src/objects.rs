//! The objects of a machine and their types, as `qom-list` shows them.

use tinamou_chardev::Chardevs;
use tinamou_machine::Machine;
use tinamou_qmp::{Object, Result, Value};
use tinamou_qom::{ClassProperty, Property, Tree, Type, Types};

use crate::options::Config;
use crate::options::config::MachineKind;

/// What lies on the board in QEMU's order, which its tests and tools know:
/// the number of `device[N]` is the place in this list. Places of devices that
/// are not built stay empty.
const BOARD: &[Option<&str>] = &[
    Some("riscv.aclint.swi"),
    Some("riscv.aclint.mtimer"),
    Some("riscv.sifive.plic"),
    Some("riscv.sifive.test"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    Some("virtio-mmio"),
    None,
    None,
    Some("serial-mm"),
    Some("goldfish_rtc"),
];

/// The tree of a machine.
///
/// # Errors
/// Two objects have the same name.
pub fn tree(config: &Config, machine: &Machine, chardevs: &Chardevs) -> Result<Tree> {
    let mut tree = Tree::new();
    tree.add(Tree::ROOT, "backend", "container")?;
    tree.add(Tree::ROOT, "chardevs", "container")?;
    let objects = tree.add(Tree::ROOT, "objects", "container")?;
    for object in &config.objects {
        tree.add(objects, &object.id, "memory-backend-ram")?;
    }
    let kind = format!("{}-machine", config.machine.kind.name());
    let top = tree.add(Tree::ROOT, "machine", &kind)?;
    tree.add(top, "peripheral", "container")?;
    tree.add(top, "peripheral-anon", "container")?;
    let unattached = tree.add(top, "unattached", "container")?;
    machine_properties(&mut tree, config)?;
    if config.machine.kind == MachineKind::Virt {
        let soc = tree.add(top, "soc0", "riscv.hart_array")?;
        for _ in 0..machine.cpu_count() {
            tree.add_numbered(soc, "harts", "rv64-riscv-cpu");
        }
        for (number, kind) in BOARD.iter().enumerate() {
            if let Some(kind) = kind {
                tree.add(unattached, &format!("device[{number}]"), kind)?;
            }
        }
    }
    for chardev in chardevs.list() {
        add_chardev(&mut tree, &chardev.label, &chardev.filename)?;
    }
    Ok(tree)
}

/// Adds a character device to the tree.
///
/// # Errors
/// There is one of that name.
pub fn add_chardev(tree: &mut Tree, label: &str, filename: &str) -> Result<()> {
    let parent = tree.resolve("/chardevs")?;
    // The name of the device behind it begins with the kind of back end.
    let kind = filename
        .trim_start_matches("disconnected:")
        .split(':')
        .next()
        .unwrap_or("null");
    let kind = match kind {
        "tcp" | "unix" | "fd" | "telnet" => "socket",
        "" | "mux" => "mux",
        other => other,
    };
    tree.add(parent, label, &format!("chardev-{kind}"))?;
    Ok(())
}

/// Removes a character device from the tree.
pub fn remove_chardev(tree: &mut Tree, label: &str) {
    if let Ok(id) = tree.resolve(&format!("/chardevs/{label}")) {
        tree.remove(id);
    }
}

fn machine_properties(tree: &mut Tree, config: &Config) -> Result<()> {
    let top = tree.resolve("/machine")?;
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let texts = [
        ("kernel", path(&config.kernel)),
        ("initrd", path(&config.initrd)),
        ("append", config.append.clone()),
        ("dtb", path(&config.dtb)),
        ("dumpdtb", path(&config.machine.dumpdtb)),
    ];
    for (name, text) in texts {
        let value = Value::String(text.unwrap_or_default());
        tree.add_property(top, name, Property::constant("string", value))?;
    }
    let smp = config.smp;
    let topology = [
        ("cpus", smp.cpus),
        ("drawers", 1),
        ("books", 1),
        ("sockets", smp.sockets),
        ("dies", 1),
        ("clusters", 1),
        ("modules", 1),
        ("cores", smp.cores),
        ("threads", smp.threads),
        ("maxcpus", smp.max_cpus),
    ];
    let topology = Value::Object(
        topology
            .iter()
            .map(|(name, n)| ((*name).to_owned(), Value::Int(*n as i64)))
            .collect(),
    );
    tree.add_property(top, "smp", Property::constant("SMPConfiguration", topology))?;
    let (size, slots, max_size) = (
        config.memory.size,
        config.memory.slots,
        config.memory.max_size,
    );
    // What cannot grow has a size and nothing else.
    let growth = [("slots", slots), ("max-size", max_size)];
    let growth = growth.iter().filter(|_| max_size > size);
    let memory: Object = [("size", size)]
        .iter()
        .chain(growth)
        .map(|(name, n)| ((*name).to_owned(), Value::Int(*n as i64)))
        .collect();
    tree.add_property(
        top,
        "memory",
        Property::constant("MemorySizeConfiguration", Value::Object(memory)),
    )
}

/// The types of all objects there can be.
pub fn types() -> Types {
    let kind = |name, parent| Type {
        name,
        parent,
        is_abstract: false,
        interfaces: &[],
        properties: Vec::new(),
    };
    let base = |name, parent| Type {
        is_abstract: true,
        ..kind(name, parent)
    };
    Types::new(vec![
        Type {
            properties: vec![ClassProperty {
                name: "type",
                kind: "string",
                description: None,
                default: None,
            }],
            ..kind("object", None)
        },
        kind("container", Some("object")),
        base("device", Some("object")),
        base("sys-bus-device", Some("device")),
        base("cpu", Some("device")),
        base("riscv-cpu", Some("cpu")),
        kind("rv64-riscv-cpu", Some("riscv-cpu")),
        kind("max-riscv-cpu", Some("riscv-cpu")),
        kind("riscv.hart_array", Some("sys-bus-device")),
        kind("riscv.aclint.swi", Some("sys-bus-device")),
        kind("riscv.aclint.mtimer", Some("sys-bus-device")),
        kind("riscv.sifive.plic", Some("sys-bus-device")),
        kind("riscv.sifive.test", Some("sys-bus-device")),
        kind("virtio-mmio", Some("sys-bus-device")),
        kind("serial-mm", Some("sys-bus-device")),
        kind("goldfish_rtc", Some("sys-bus-device")),
        base("machine", Some("object")),
        kind("virt-machine", Some("machine")),
        kind("none-machine", Some("machine")),
        base("memory-backend", Some("object")),
        kind("memory-backend-ram", Some("memory-backend")),
        base("chardev", Some("object")),
        kind("chardev-null", Some("chardev")),
        kind("chardev-file", Some("chardev")),
        kind("chardev-mux", Some("chardev")),
        kind("chardev-pipe", Some("chardev")),
        kind("chardev-pty", Some("chardev")),
        kind("chardev-ringbuf", Some("chardev")),
        kind("chardev-socket", Some("chardev")),
        kind("chardev-stdio", Some("chardev")),
    ])
}
