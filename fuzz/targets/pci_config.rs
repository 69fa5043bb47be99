//! A guest that sets up PCI as it likes, and a user who plugs and unplugs meanwhile.
//!
//! Whatever it writes, configuration space keeps what cannot be written, and nothing panics.

use std::sync::Arc;

use tinamou_devices::{Clock, IrqLine, NoMessages};
use tinamou_memory::Mmio;
use tinamou_pci::bridge::{self, PortConfig};
use tinamou_pci::{Devfn, Function, PciBus, PciHost, devices};

/// Bytes of one step: what to do, where, and with what.
const STEP: usize = 8;
/// The buses and slots that a guest can reach with one byte.
const BUSES: u64 = 6;
const SLOTS: u64 = 8;

pub fn run(input: &[u8]) {
    let guest = Guest::new();
    for step in input.chunks_exact(STEP) {
        guest.step(step);
    }
    guest.check();
}

struct Guest {
    host: PciHost,
    clock: Arc<Clock>,
    ecam: Arc<dyn Mmio>,
    memory: Arc<dyn Mmio>,
    io: Arc<dyn Mmio>,
}

impl Guest {
    /// A root port, a switch behind another, a bridge, and simple devices.
    fn new() -> Self {
        let pins = std::array::from_fn(|_| IrqLine::unconnected());
        let host = PciHost::new(pins, Arc::new(NoMessages));
        let clock = Clock::new();
        let root = host.root();
        let port = |slot| PortConfig {
            slot,
            ..PortConfig::default()
        };
        let plug = |bus: &Arc<PciBus>, function: Arc<Function>| {
            bus.plug(None, function, false).expect("there is room");
        };
        for (slot, id) in [(1, "rp0"), (2, "rp1")] {
            let made = bridge::root_port(root, id, &port(slot));
            plug(root, made.expect("the slot is free"));
        }
        let behind = host.bus("rp1").expect("it was plugged in");
        plug(&behind, bridge::upstream_port(&behind, "up", 0, 8, false));
        let switch = host.bus("up").expect("it was plugged in");
        let down = bridge::downstream_port(&switch, "dn", &port(3));
        plug(&switch, down.expect("the slot is free"));
        plug(root, bridge::pcie_pci_bridge(root, "pci", true, false));
        plug(root, devices::testdev("t", 0x1_0000, false));
        plug(root, devices::pvpanic("p", 7, false, |_| ()));
        plug(root, devices::i6300esb("w", false, &clock, || ()));
        Self {
            ecam: host.ecam(),
            memory: host.memory_window(0x4000_0000),
            io: host.io_window(),
            host,
            clock,
        }
    }

    fn step(&self, step: &[u8]) {
        let [kind, place, low, high, value @ ..] = step else {
            return;
        };
        let offset = u64::from(*low) | u64::from(*high) << 8;
        let value = value
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        let size = 1 << (kind >> 6);
        let place = u64::from(*place);
        let function = ((place % BUSES) << 20) | ((place / BUSES % SLOTS) << 15);
        match kind & 7 {
            0 | 1 => self.ecam.write(function | offset & 0xfff, size, value),
            2 => _ = self.ecam.read(function | offset & 0xfff, size),
            3 => self.memory.write(place << 12 | offset & 0xfff, size, value),
            4 => _ = self.memory.read(place << 12 | offset & 0xfff, size),
            5 => self.io.write(offset, size, value),
            6 => self.user(place, value),
            _ => _ = self.io.read(offset, size),
        }
    }

    /// Something that comes from outside.
    fn user(&self, choice: u64, value: u64) {
        let name = if choice & 8 == 0 { "rp0" } else { "dn" };
        let Some(bus) = self.host.bus(name) else {
            return;
        };
        let devfn = Devfn(value as u8 & 7);
        match choice & 7 {
            0 | 1 => {
                let function = devices::testdev("h", 0, value & 0x80 != 0);
                // Nothing need be possible.
                let _ = bus.plug(Some(devfn), function, true);
            }
            2 | 3 => {
                let _ = bus.unplug_request(devfn);
            }
            4 => _ = bus.remove(devfn),
            5 => self.host.reset(),
            _ => self.clock.step_to(self.clock.now() + (value << 16)),
        }
    }

    /// What no guest can change.
    fn check(&self) {
        for bus in self.host.root().hierarchy() {
            for function in bus.functions() {
                let ids = function.config_read(0, 4);
                let class = function.config_read(8, 4);
                assert!(ids != 0 && ids != u32::MAX && class != 0);
                let list = function.interface().config(|config| config.capabilities());
                assert!(
                    list.is_some(),
                    "{function:?}: the list of capabilities is broken"
                );
            }
        }
        self.host.reset();
        for slot in 0..8 {
            let bars = self.ecam.read(slot << 15 | 4, 2) & 7;
            assert!(bars == 0 || bars == 7, "decoding is off after a reset");
        }
    }
}
