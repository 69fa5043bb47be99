//! A host with something on it, and the accesses of a guest.

use std::sync::{Arc, Mutex};

use tinamou_devices::{IrqLine, MsiSink};
use tinamou_memory::Mmio;
use tinamou_pci::{
    Bar, ConfigSpace, Devfn, Function, Identity, Interface, MsixLayout, PciFunction, PciHost,
};

/// Messages that have been sent.
#[derive(Default)]
pub struct Messages(pub Mutex<Vec<(u64, u32)>>);

impl MsiSink for Messages {
    fn send(&self, address: u64, data: u32) {
        self.0.lock().unwrap().push((address, data));
    }
}

/// A host and a guest that accesses it.
pub struct Rig {
    pub host: PciHost,
    pub intx: [IrqLine; 4],
    pub messages: Arc<Messages>,
    ecam: Arc<dyn Mmio>,
    memory: Arc<dyn Mmio>,
    io: Arc<dyn Mmio>,
}

impl Rig {
    pub fn new() -> Self {
        let intx: [IrqLine; 4] = std::array::from_fn(|_| IrqLine::unconnected());
        let messages = Arc::new(Messages::default());
        let host = PciHost::new(intx.clone(), messages.clone());
        Self {
            ecam: host.ecam(),
            memory: host.memory_window(0),
            io: host.io_window(),
            host,
            intx,
            messages,
        }
    }

    fn config_address(bus: u8, devfn: Devfn, register: u16) -> u64 {
        u64::from(bus) << 20 | u64::from(devfn.0) << 12 | u64::from(register)
    }

    pub fn config(&self, (bus, devfn): (u8, Devfn), register: u16, size: u8) -> u64 {
        let address = Self::config_address(bus, devfn, register);
        self.ecam.read(address, size)
    }

    pub fn set_config(&self, (bus, devfn): (u8, Devfn), register: u16, size: u8, value: u64) {
        let address = Self::config_address(bus, devfn, register);
        self.ecam.write(address, size, value);
    }

    pub fn memory(&self, address: u64, size: u8) -> u64 {
        self.memory.read(address, size)
    }

    pub fn set_memory(&self, address: u64, size: u8, value: u64) {
        self.memory.write(address, size, value);
    }

    pub fn io(&self, address: u64, size: u8) -> u64 {
        self.io.read(address, size)
    }
}

/// Answers reads with bar and offset, and records writes.
pub struct Probe {
    written: Mutex<Vec<(u8, u64, u8, u64)>>,
}

impl PciFunction for Probe {
    fn bar_read(&self, bar: u8, offset: u64, size: u8) -> u64 {
        (u64::from(bar) << 16 | offset) & (u64::MAX >> (64 - 8 * u32::from(size)))
    }

    fn bar_write(&self, bar: u8, offset: u64, size: u8, value: u64) {
        self.written
            .lock()
            .unwrap()
            .push((bar, offset, size, value));
    }
}

/// A function with a probe behind these bars, and MSI-X with two vectors in bar 1 if asked.
pub fn probe(id: &str, bars: &[(u8, Bar)], msix: bool) -> (Arc<Function>, Interface) {
    let identity = Identity::new(0x1234, 0x5678, 0xff00);
    let mut config = ConfigSpace::express(&identity).with_interrupt_pin(1);
    for (index, bar) in bars {
        config.add_bar(*index, *bar);
    }
    let layout = msix.then(|| {
        let (layout, bar) = MsixLayout::exclusive(1, 2);
        config.add_bar(1, bar);
        config.add_msix(None, &layout);
        layout
    });
    let mut side = None;
    let function = Function::new("probe", id, config, layout, |interface| {
        side = Some(interface);
        Arc::new(Probe {
            written: Mutex::default(),
        })
    });
    (function, side.unwrap())
}
