//! The host bridge: the generic PCI Express host of QEMU's boards, with the windows through which
//! harts reach configuration space, ports and memory.

use std::fmt;
use std::sync::Arc;

use tinamou_devices::{IrqLine, MsiSink};
use tinamou_memory::Mmio;

use crate::bus::{Devfn, PciBus};
use crate::config::{ConfigSpace, Identity};
use crate::fabric::{Fabric, Map, Maps};
use crate::{Function, PciFunction};

/// The class of the function at 00.0, which stands for the host bridge itself.
const ROOT_KIND: &str = "gpex-root";

/// A PCI Express host: one root bus and the windows on it.
pub struct PciHost {
    fabric: Arc<Fabric>,
    root: Arc<PciBus>,
}

impl PciHost {
    /// A host whose root bus is `pcie.0`. INTA to INTD of the root bus come out at `intx`, and
    /// message interrupts go to `messages`.
    #[must_use]
    pub fn new(intx: [IrqLine; 4], messages: Arc<dyn MsiSink>) -> Self {
        let fabric = Fabric::new(intx, messages);
        let root = PciBus::root("pcie.0", Arc::clone(&fabric));
        fabric.set_root(&root);
        let identity = Identity::new(0x1b36, 0x0008, 0x0600);
        let config = ConfigSpace::conventional(&identity);
        let function = Function::new(ROOT_KIND, "", config, None, |_| Arc::new(NoBars));
        root.plug(Some(Devfn::ZERO), function, false)
            .expect("an empty bus has room at 00.0");
        Self { fabric, root }
    }

    /// The root bus.
    #[must_use]
    pub fn root(&self) -> &Arc<PciBus> {
        &self.root
    }

    /// The bus of that name: `pcie.0` or a bridge's id.
    #[must_use]
    pub fn bus(&self, name: &str) -> Option<Arc<PciBus>> {
        let mut buses = self.root.hierarchy().into_iter();
        buses.find(|bus| bus.name() == name)
    }

    /// Puts every function as at power-on.
    pub fn reset(&self) {
        self.root.reset();
    }

    /// The window on configuration space (PCIe 5.0 §7.2.2): a megabyte a bus, a page a function.
    #[must_use]
    pub fn ecam(&self) -> Arc<dyn Mmio> {
        Arc::new(Ecam(Arc::clone(&self.fabric)))
    }

    /// The window on I/O space that shows port 0 at its beginning.
    #[must_use]
    pub fn io_window(&self) -> Arc<dyn Mmio> {
        Arc::new(Window {
            fabric: Arc::clone(&self.fabric),
            map: |maps| &maps.io,
            base: 0,
        })
    }

    /// A window on memory space that shows `base` at its beginning.
    #[must_use]
    pub fn memory_window(&self, base: u64) -> Arc<dyn Mmio> {
        Arc::new(Window {
            fabric: Arc::clone(&self.fabric),
            map: |maps| &maps.memory,
            base,
        })
    }
}

impl fmt::Debug for PciHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PciHost").field("root", &self.root).finish()
    }
}

/// A device that has nothing behind its bars.
pub(crate) struct NoBars;

impl PciFunction for NoBars {
    fn bar_read(&self, _: u8, _: u64, _: u8) -> u64 {
        0
    }

    fn bar_write(&self, _: u8, _: u64, _: u8, _: u64) {}
}

struct Ecam(Arc<Fabric>);

impl Ecam {
    fn function(&self, offset: u64) -> Option<(Arc<Function>, u16)> {
        let function = self
            .0
            .find((offset >> 20) as u8, Devfn((offset >> 12) as u8))?;
        Some((function, offset as u16 & 0xfff))
    }
}

impl Mmio for Ecam {
    fn read(&self, offset: u64, size: u8) -> u64 {
        if size > 4 {
            return self.read(offset, 4) | self.read(offset + 4, 4) << 32;
        }
        match self.function(offset) {
            Some((function, register)) => function.config_read(register, size).into(),
            None => ones(size),
        }
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        if size > 4 {
            self.write(offset, 4, value & u64::from(u32::MAX));
            self.write(offset + 4, 4, value >> 32);
        } else if let Some((function, register)) = self.function(offset) {
            function.config_write(register, size, value as u32);
        }
    }
}

struct Window {
    fabric: Arc<Fabric>,
    map: fn(&Maps) -> &Map,
    base: u64,
}

impl Mmio for Window {
    fn read(&self, offset: u64, size: u8) -> u64 {
        let address = self.base.wrapping_add(offset);
        let maps = self.fabric.maps();
        let mapping = (self.map)(&maps).find(address);
        // An access that begins in a bar is the bar's, wherever it ends.
        match mapping {
            Some(mapping) => mapping
                .function
                .bar_read(mapping.bar, address - mapping.base, size),
            None => ones(size),
        }
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        let address = self.base.wrapping_add(offset);
        let maps = self.fabric.maps();
        let mapping = (self.map)(&maps).find(address);
        if let Some(mapping) = mapping {
            mapping
                .function
                .bar_write(mapping.bar, address - mapping.base, size, value);
        }
    }
}

/// What reads answer where nothing is.
fn ones(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8)))
}
