//! Slots: what the registers say as devices come and go. The values are those of QEMU.

use std::sync::{Arc, Mutex};

use tinamou_pci::bridge::{PortConfig, root_port};
use tinamou_pci::{Devfn, Error, PciBus};

use crate::rig::{Rig, probe};

const PORT: (u8, Devfn) = (0, Devfn::new(1, 0));
const BEHIND: (u8, Devfn) = (1, Devfn::ZERO);
const LNKSTA: u16 = 0x66;
const SLTCTL: u16 = 0x6c;
const SLTSTA: u16 = 0x6e;
const NOTHING: u64 = 0xffff_ffff;

struct Port {
    rig: Rig,
    bus: Arc<PciBus>,
    ejected: Arc<Mutex<Vec<String>>>,
}

impl Port {
    fn new() -> Self {
        Self::with(&PortConfig::default())
    }

    fn with(config: &PortConfig) -> Self {
        let rig = Rig::new();
        let root = rig.host.root();
        let port = root_port(root, "rp0", config).unwrap();
        root.plug(Some(PORT.1), port, false).unwrap();
        rig.set_config(PORT, 0x18, 4, 0x0001_0100);
        let bus = rig.host.bus("rp0").unwrap();
        Self {
            rig,
            bus,
            ejected: Arc::default(),
        }
    }

    fn add(&self, id: &str, devfn: Option<Devfn>) -> Result<Devfn, Error> {
        let function = probe(id, &[], false).0;
        let (log, id) = (Arc::clone(&self.ejected), id.to_owned());
        function.on_ejected(move || log.lock().unwrap().push(id.clone()));
        self.bus.plug(devfn, function, true)
    }

    fn remove(&self) -> Result<(), Error> {
        self.bus.unplug_request(Devfn::ZERO)
    }

    fn control(&self, value: u64) {
        self.rig.set_config(PORT, SLTCTL, 2, value);
    }

    fn clear(&self, events: u64) {
        self.rig.set_config(PORT, SLTSTA, 2, events);
    }

    fn check(&self, control: u64, status: u64, seen: bool) {
        assert_eq!(self.rig.config(PORT, SLTCTL, 2), control, "SLTCTL");
        assert_eq!(self.rig.config(PORT, SLTSTA, 2), status, "SLTSTA");
        let expected = if seen { 0x5678_1234 } else { NOTHING };
        assert_eq!(self.rig.config(BEHIND, 0, 4), expected);
    }

    fn ejected(&self) -> Vec<String> {
        std::mem::take(&mut *self.ejected.lock().unwrap())
    }

    /// Plugs a device in and lets the guest turn it on, with all interrupts on.
    fn running(&self) {
        self.add("t0", None).unwrap();
        self.control(0x1f9);
        self.clear(0x19);
        self.check(0x1f9, 0x40, true);
    }
}

#[test]
fn an_empty_port() {
    let port = Port::new();
    port.check(0x7c0, 0, false);
    assert_eq!(port.rig.config(PORT, LNKSTA, 2), 0x204);
    assert_eq!(port.rig.config(PORT, 0x68, 4), 0x0002_007b);
}

#[test]
fn a_device_that_is_not_on_goes_at_once() {
    let port = Port::new();
    port.add("t0", None).unwrap();
    port.check(0x7c0, 0x49, false);
    assert_eq!(port.rig.config(PORT, LNKSTA, 2), 0x2204);
    port.remove().unwrap();
    port.check(0x7c0, 0x08, false);
    assert_eq!(port.ejected(), ["t0"]);
    port.clear(0xffff);
    port.check(0x7c0, 0x08, false);
}

#[test]
fn the_guest_turns_a_device_on_and_lets_it_go() {
    let port = Port::new();
    port.running();
    port.remove().unwrap();
    port.check(0x1f9, 0x41, true);
    assert!(port.rig.intx[1].level());
    let pending = port.remove().unwrap_err().to_string();
    assert_eq!(pending, "Device t0 is already in the process of unplug");
    port.clear(1);
    assert!(!port.rig.intx[1].level());
    for control in [0x2f9, 0x3f9] {
        port.control(control);
        port.check(control, 0x50, true);
    }
    port.control(0x7f9);
    port.check(0x7f9, 0x18, false);
    assert_eq!(port.rig.config(PORT, LNKSTA, 2), 0x204);
    assert_eq!(port.ejected(), ["t0"]);
    assert!(port.bus.is_empty());
    port.running();
}

#[test]
fn a_blinking_slot_is_busy() {
    let port = Port::new();
    port.running();
    port.control(0x2f9);
    let busy = port.remove().unwrap_err().to_string();
    assert_eq!(
        busy,
        "Hot-unplug failed: guest is busy (power indicator blinking)"
    );
}

#[test]
fn a_reset_completes_what_was_asked() {
    let port = Port::new();
    port.running();
    port.rig.host.reset();
    port.rig.set_config(PORT, 0x18, 4, 0x0001_0100);
    port.check(0x3c0, 0x40, true);
    port.remove().unwrap();
    port.rig.host.reset();
    assert_eq!(port.ejected(), ["t0"]);
    port.check(0x7c0, 0, false);
}

#[test]
fn a_device_that_vanishes_is_noticed() {
    let port = Port::new();
    port.running();
    assert!(port.bus.remove(Devfn::ZERO).is_some());
    port.check(0x1f9, 0x08, false);
    assert!(port.rig.intx[1].level());
    assert!(port.ejected().is_empty());
}

#[test]
fn the_functions_of_a_slot_come_together() {
    let port = Port::new();
    port.add("f1", Some(Devfn(1))).unwrap();
    port.check(0x7c0, 0, false);
    let single = port.add("f0", Some(Devfn(0))).unwrap_err().to_string();
    assert_eq!(
        single,
        "PCI: 0.0 indicates single function, but 0.1 is already populated."
    );
    port.bus.unplug_request(Devfn(1)).unwrap();
    assert_eq!(port.ejected(), ["f1"]);
    port.add("t0", None).unwrap();
    for devfn in [None, Some(Devfn::new(1, 0))] {
        let occupied = port.add("t1", devfn).unwrap_err().to_string();
        assert_eq!(
            occupied,
            "PCI: slot 0 function 0 already occupied by probe, new func probe cannot be exposed \
             to guest."
        );
    }
}

#[test]
fn where_nothing_can_come_or_go() {
    let rig = Rig::new();
    let root = rig.host.root();
    let (function, _) = probe("a", &[], false);
    let error = root.plug(None, function, true).unwrap_err().to_string();
    assert_eq!(error, "Bus 'pcie.0' does not support hotplugging");
    let port = Port::with(&PortConfig {
        hotplug: false,
        slot: 5,
        ..PortConfig::default()
    });
    assert_eq!(port.rig.config(PORT, 0x68, 4), 0x002a_001b);
    assert_eq!(
        port.add("a", None).unwrap_err().to_string(),
        "Bus 'rp0' does not support hotplugging"
    );
    let root = port.rig.host.root();
    let same = root_port(
        root,
        "rp1",
        &PortConfig {
            slot: 5,
            ..PortConfig::default()
        },
    );
    assert_eq!(
        same.unwrap_err().to_string(),
        "Can't add chassis slot, error -16"
    );
}
