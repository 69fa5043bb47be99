//! The objects of a machine and their types, as `qom-list` shows them.

mod authz;
mod filter_dump;
mod iothread;
mod memory;
mod secret;
mod throttle_group;
mod tls_creds;
mod user;

use tinamou_chardev::Chardevs;
use tinamou_machine::config::Aia;
use tinamou_qmp::{Object, Result, Value};
use tinamou_qom::{ClassProperty, Property, Tree, Type, Types};

use crate::devices;
use crate::options::Config;
use crate::options::config::{Firmware, MachineKind};
pub use iothread::Iothread;
pub use memory::{Lease, MemoryBackend};
pub use secret::Secret;
pub use user::{Objects, TYPES, UserType, find_type};

/// The tree of a machine.
///
/// # Errors
/// Two objects have the same name.
pub fn tree(config: &Config, chardevs: &Chardevs) -> Result<Tree> {
    let mut tree = Tree::new();
    tree.add(Tree::ROOT, "backend", "container")?;
    tree.add(Tree::ROOT, "chardevs", "container")?;
    tree.add(Tree::ROOT, "objects", "container")?;
    let kind = format!("{}-machine", config.machine.kind.name());
    let top = tree.add(Tree::ROOT, "machine", &kind)?;
    tree.add(top, "peripheral", "container")?;
    tree.add(top, "peripheral-anon", "container")?;
    tree.add(top, "unattached", "container")?;
    machine_properties(&mut tree, config)?;
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
        "tcp" | "unix" | "fd" | "telnet" | "websocket" | "vsock" => "socket",
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

fn firmware(firmware: &Firmware) -> Option<String> {
    match firmware {
        Firmware::Default => None,
        Firmware::None => Some("none".into()),
        Firmware::File(path) => Some(path.display().to_string()),
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
        ("firmware", firmware(&config.firmware)),
    ];
    for (name, text) in texts {
        let value = Value::String(text.unwrap_or_default());
        tree.add_property(top, name, Property::constant("string", value))?;
    }
    let switches = [
        ("mem-merge", config.machine.mem_merge),
        ("dump-guest-core", config.machine.dump_guest_core),
    ];
    for (name, on) in switches {
        let value = Value::Bool(on.unwrap_or(true));
        tree.add_property(top, name, Property::constant("bool", value))?;
    }
    if config.machine.kind == MachineKind::Virt {
        let aclint = Property::constant("bool", Value::Bool(config.machine.aclint));
        tree.add_property(top, "aclint", aclint.described(ACLINT))?;
        let aia = match config.machine.aia {
            Aia::None => "none",
            Aia::Aplic => "aplic",
            Aia::AplicImsic => "aplic-imsic",
        };
        let aia = Property::constant("string", Value::String(aia.to_owned()));
        tree.add_property(top, "aia", aia.described(AIA))?;
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
    // As with QEMU, what has no slots has a size and nothing else.
    let growth = [("slots", slots), ("max-size", max_size)];
    let growth = growth.iter().filter(|_| slots > 0);
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
    let creatable = |name| Type {
        interfaces: &["user-creatable"],
        ..base(name, Some("object"))
    };
    let objects = [
        Type {
            properties: vec![ClassProperty {
                name: "type",
                kind: "string".into(),
                description: None,
                default: None,
            }],
            ..base("object", None)
        },
        kind("container", Some("object")),
        Type {
            properties: MACHINE.iter().map(class_property).collect(),
            ..base("machine", Some("object"))
        },
        Type {
            properties: VIRT.iter().map(class_property).collect(),
            ..kind("virt-machine", Some("machine"))
        },
        kind("none-machine", Some("machine")),
        base("authz", Some("object")),
        creatable("event-loop-base"),
        creatable("memory-backend"),
        creatable("netfilter"),
        creatable("rng-backend"),
        creatable("secret_common"),
        base("tls-creds", Some("object")),
        base("chardev", Some("object")),
        base("chardev-fd", Some("chardev")),
        kind("chardev-null", Some("chardev")),
        kind("chardev-file", Some("chardev-fd")),
        kind("chardev-hub", Some("chardev")),
        kind("chardev-mux", Some("chardev")),
        kind("chardev-pipe", Some("chardev-fd")),
        kind("chardev-pty", Some("chardev")),
        kind("chardev-ringbuf", Some("chardev")),
        kind("chardev-serial", Some("chardev-fd")),
        kind("chardev-socket", Some("chardev")),
        kind("chardev-stdio", Some("chardev-fd")),
        kind("chardev-udp", Some("chardev")),
    ];
    let user = TYPES.iter().map(user_type);
    let all = objects.into_iter().chain(user).chain(devices::types());
    Types::new(all.collect())
}

fn user_type(user: &UserType) -> Type {
    Type {
        name: user.name,
        parent: Some(user.parent),
        is_abstract: false,
        interfaces: &["user-creatable"],
        properties: user.properties.iter().map(class_property).collect(),
    }
}

fn class_property(&(name, kind, description): &user::Listed) -> ClassProperty {
    ClassProperty {
        name,
        kind: kind.into(),
        description,
        default: None,
    }
}

/// What the `virt` machine has beside that.
const VIRT: &[user::Listed] = &[
    ("aclint", "bool", Some(ACLINT)),
    ("aia", "string", Some(AIA)),
];
const ACLINT: &str = "ACLINT devices in place of the CLINT";
const AIA: &str = "interrupt controller: none, aplic or aplic-imsic";

/// What every machine has.
const MACHINE: &[user::Listed] = &[
    ("kernel", "string", None),
    ("initrd", "string", None),
    ("append", "string", None),
    ("dtb", "string", None),
    ("dumpdtb", "string", None),
    ("firmware", "string", None),
    ("smp", "SMPConfiguration", None),
    ("memory", "MemorySizeConfiguration", None),
    ("memory-backend", "link<memory-backend>", None),
    ("mem-merge", "bool", None),
    ("dump-guest-core", "bool", None),
];
