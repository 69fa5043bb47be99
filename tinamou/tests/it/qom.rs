//! Types of objects and their properties are QEMU's, as far as they are there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{QEMU, Qmp, Vm, installed, skip, tinamou};

/// Types of devices that QEMU has on other architectures only.
const ELSEWHERE: [&str; 3] = ["virtio-mem", "virtio-mem-pci", "virtio-mem-pci-base"];

/// What the two programs say of the same thing, by name.
type Listing = BTreeMap<String, Value>;

fn start(program: &Path) -> Vm {
    Vm::start(program, &["-M", "virt", "-m", "64", "-S", "-nodefaults"])
}

fn listing(reply: &Value) -> Listing {
    let entries = reply.as_array().expect("a list").iter();
    let name = |entry: &Value| entry["name"].as_str().expect("a name").to_owned();
    entries.map(|entry| (name(entry), entry.clone())).collect()
}

#[test]
fn types_agree_with_qemu() {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    let (ours, theirs) = (start(&tinamou()), start(Path::new(QEMU)));
    let (mut ours, mut theirs) = (ours.qmp(), theirs.qmp());
    let arguments = [
        json!({"abstract": true}),
        json!({"implements": "device"}),
        json!({"implements": "user-creatable", "abstract": true}),
        json!({"implements": "hotplug-handler"}),
        json!({"implements": "pci-express-device"}),
        json!({"implements": "conventional-pci-device"}),
    ];
    let mut all = Listing::new();
    for arguments in arguments {
        let list = |qmp: &mut Qmp| {
            let reply = qmp.execute("qom-list-types", arguments.clone());
            listing(&reply.expect("types"))
        };
        let (found, known) = (list(&mut ours), list(&mut theirs));
        let shared = |(name, _): &(&String, &Value)| !ELSEWHERE.contains(&name.as_str());
        for (name, entry) in found.iter().filter(shared) {
            assert_eq!(Some(entry), known.get(name), "{arguments}");
        }
        if all.is_empty() {
            all = found;
        } else {
            let missing: Vec<_> = known
                .keys()
                .filter(|name| all.contains_key(*name) && !found.contains_key(*name))
                .filter(|name| *name != "virt-machine")
                .collect();
            assert!(missing.is_empty(), "{arguments}: {missing:?}");
        }
    }
    assert!(all.len() > 60, "{all:?}");
}

#[test]
fn properties_of_devices_agree_with_qemu() {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    let (ours, theirs) = (start(&tinamou()), start(Path::new(QEMU)));
    let (mut ours, mut theirs) = (ours.qmp(), theirs.qmp());
    let types = ours.execute("qom-list-types", json!({"implements": "pci-device"}));
    let mut types = listing(&types.expect("types"));
    let virtio = ours.execute("qom-list-types", json!({"implements": "virtio-device"}));
    types.extend(listing(&virtio.expect("types")));
    assert!(types.len() > 5, "{types:?}");
    types.retain(|name, _| !ELSEWHERE.contains(&name.as_str()));
    for name in types.keys() {
        let list = |qmp: &mut Qmp| {
            let reply = qmp.execute("device-list-properties", json!({"typename": name}));
            listing(&reply.expect(name))
        };
        let (found, known) = (list(&mut ours), list(&mut theirs));
        for (property, entry) in &found {
            assert_eq!(Some(entry), known.get(property), "{name}.{property}");
        }
    }
}

#[test]
fn objects_of_the_board_agree_with_qemu() {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    let (ours, theirs) = (start(&tinamou()), start(Path::new(QEMU)));
    let (mut ours, mut theirs) = (ours.qmp(), theirs.qmp());
    for path in [
        "/machine",
        "/machine/soc0",
        "/machine/soc0/harts[0]",
        "/machine/fw_cfg",
        "/machine/unattached",
        "/machine/unattached/device[15]",
    ] {
        let list =
            |qmp: &mut Qmp| listing(&qmp.execute("qom-list", json!({"path": path})).expect(path));
        let (found, known) = (list(&mut ours), list(&mut theirs));
        for (name, entry) in &found {
            let theirs = known.get(name).map(|entry| &entry["type"]);
            assert_eq!(Some(&entry["type"]), theirs, "{path}: {name}");
        }
    }
    let get = |qmp: &mut Qmp, path: &str, property: &str| {
        let arguments = json!({"path": path, "property": property});
        qmp.execute("qom-get", arguments).expect(property)
    };
    for (path, property) in [
        ("/machine", "aia"),
        ("/machine", "aclint"),
        ("/machine/soc0/harts[0]", "zba"),
        ("/machine/soc0/harts[0]", "zicond"),
        ("/machine/soc0/harts[0]", "v"),
        ("/machine/fw_cfg", "data_width"),
    ] {
        let (found, known) = (
            get(&mut ours, path, property),
            get(&mut theirs, path, property),
        );
        assert_eq!(found, known, "{path}: {property}");
    }
}
