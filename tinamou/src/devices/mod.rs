//! Devices: the one list of what there is, and how one of them comes into the
//! machine and leaves it again.
//!
//! A [`Class`] says what a device is called, which bus it goes on and which
//! properties it takes; its `make` joins those properties to back ends and to
//! the crate that does the work. `-device`, `device_add`, `-global`, `-set`,
//! the help texts, `device-list-properties` and `info qtree` all follow from
//! the list; [`Vm::plug`](crate::vm::Vm::plug) and
//! [`Vm::unplug`](crate::vm::Vm::unplug) are the way in and out.

mod base;
pub mod board;
pub mod boot_order;
mod disks;
mod ejections;
mod globals;
pub mod help;
mod interrupts;
pub mod pci;
mod pci_bridges;
mod pci_simple;
mod plug;
mod qtree;
mod registry;
pub mod request;
mod scsi_disk;
mod tree;
mod types;
mod unplug;
pub mod virtio;
pub mod virtio_balloon;
pub mod virtio_blk;
mod virtio_gpu;
mod virtio_input;
pub mod virtio_mem;
mod virtio_net;
mod virtio_pci;
mod virtio_rng;
mod virtio_scsi;
mod virtio_serial;

use std::any::Any;

use tinamou_qdev::{BusId, BusKind, Classes, Settings};
use tinamou_qmp::{Result, Value};
use tinamou_qom::Property;

use crate::vm::Vm;
pub use ejections::{Ejections, Ticket};
pub use globals::check as check_globals;
pub use plug::Fault;
pub use qtree::print as qtree;
pub use registry::{Devices, Place};
pub use request::Request;
pub use types::types;
pub use virtio_net::add_nic;

/// A class of devices.
pub type Class = tinamou_qdev::Class<Make>;

/// Makes a device: everything has been checked that its class can check.
pub type Make = fn(&mut Vm, &Plug<'_>) -> Result<Made>;

/// Every class, parents before what inherits from them.
pub static CLASSES: Classes<Make> = Classes::new(&[
    &base::DEVICE,
    &base::SYS_BUS_DEVICE,
    &base::CPU,
    &base::RISCV_CPU,
    &base::DYNAMIC_CPU,
    &base::RV64_CPU,
    &base::MAX_CPU,
    &board::HART_ARRAY,
    &board::SWI,
    &board::MTIMER,
    &board::PLIC,
    &interrupts::APLIC,
    &interrupts::IMSIC,
    &board::FW_CFG,
    &board::FW_CFG_MEM,
    &board::TEST,
    &board::VIRTIO_MMIO,
    &board::SERIAL_MM,
    &board::GOLDFISH_RTC,
    &virtio::DEVICE,
    &virtio_pci::VIRTIO_PCI,
    &virtio_rng::DEVICE,
    &virtio_rng::PCI_BASE,
    &virtio_rng::PCI,
    &virtio_rng::PCI_TRANSITIONAL,
    &virtio_rng::PCI_NON_TRANSITIONAL,
    &virtio_serial::DEVICE,
    &virtio_serial::PCI_BASE,
    &virtio_serial::PCI,
    &virtio_serial::PCI_TRANSITIONAL,
    &virtio_serial::PCI_NON_TRANSITIONAL,
    &virtio_serial::PORT_BASE,
    &virtio_serial::PORT,
    &virtio_serial::CONSOLE,
    &virtio_gpu::BASE,
    &virtio_gpu::DEVICE,
    &virtio_gpu::PCI_COMMON,
    &virtio_gpu::PCI_BASE,
    &virtio_gpu::PCI,
    &virtio_input::DEVICE,
    &virtio_input::HID,
    &virtio_input::keyboard::DEVICE,
    &virtio_input::mouse::DEVICE,
    &virtio_input::tablet::DEVICE,
    &virtio_input::multitouch::DEVICE,
    &virtio_input::PCI,
    &virtio_input::HID_PCI,
    &virtio_input::keyboard::PCI_BASE,
    &virtio_input::keyboard::PCI,
    &virtio_input::mouse::PCI_BASE,
    &virtio_input::mouse::PCI,
    &virtio_input::tablet::PCI_BASE,
    &virtio_input::tablet::PCI,
    &virtio_input::multitouch::PCI_BASE,
    &virtio_input::multitouch::PCI,
    &virtio_net::DEVICE,
    &virtio_net::PCI_BASE,
    &virtio_net::PCI,
    &virtio_net::PCI_TRANSITIONAL,
    &virtio_net::PCI_NON_TRANSITIONAL,
    &virtio_mem::DEVICE,
    &virtio_mem::PCI_BASE,
    &virtio_mem::PCI,
    &virtio_balloon::DEVICE,
    &virtio_balloon::PCI_BASE,
    &virtio_balloon::PCI,
    &virtio_balloon::PCI_TRANSITIONAL,
    &virtio_balloon::PCI_NON_TRANSITIONAL,
    &virtio_blk::DEVICE,
    &virtio_blk::PCI_BASE,
    &virtio_blk::PCI,
    &virtio_blk::PCI_TRANSITIONAL,
    &virtio_blk::PCI_NON_TRANSITIONAL,
    &virtio_scsi::COMMON,
    &virtio_scsi::DEVICE,
    &virtio_scsi::PCI_BASE,
    &virtio_scsi::PCI,
    &virtio_scsi::PCI_TRANSITIONAL,
    &virtio_scsi::PCI_NON_TRANSITIONAL,
    &scsi_disk::SCSI_DEVICE,
    &scsi_disk::BASE,
    &scsi_disk::HD,
    &scsi_disk::CD,
    &pci::PCI_DEVICE,
    &pci::PCI_HOST_BRIDGE,
    &pci::PCIE_HOST_BRIDGE,
    &pci::GPEX_HOST,
    &pci::GPEX_ROOT,
    &pci_bridges::BASE_BRIDGE,
    &pci_bridges::PORT,
    &pci_bridges::SLOT,
    &pci_bridges::ROOT_PORT_BASE,
    &pci_bridges::ROOT_PORT,
    &pci_bridges::UPSTREAM,
    &pci_bridges::DOWNSTREAM,
    &pci_bridges::PCIE_PCI_BRIDGE,
    &pci_simple::TESTDEV,
    &pci_simple::PVPANIC,
    &pci_simple::I6300ESB,
]);

/// A device that is about to be made.
pub struct Plug<'a> {
    /// What it is.
    pub class: &'static Class,
    /// What the user calls it.
    pub id: Option<&'a str>,
    /// Where it will be in the object tree.
    pub path: &'a str,
    /// The bus it goes on.
    pub bus: Option<BusId>,
    /// The values of its properties that were set.
    pub settings: &'a Settings,
    /// Whether the machine runs already.
    pub hotplugged: bool,
    /// How its threads say that the guest has let go of it.
    pub ticket: Ticket,
}

/// A device that was made.
pub struct Made {
    /// What is done with it from here on.
    pub device: Box<dyn Plugged>,
    /// The values of its properties as it uses them.
    pub values: Vec<(&'static str, Value)>,
    /// Properties that change while it lives.
    pub live: Vec<(&'static str, Property)>,
    /// The buses that it has.
    pub buses: Vec<MadeBus>,
}

impl Made {
    /// A device with these values and nothing below it.
    pub fn new(device: impl Plugged + 'static, values: Vec<(&'static str, Value)>) -> Self {
        Self {
            device: Box::new(device),
            values,
            live: Vec::new(),
            buses: Vec::new(),
        }
    }
}

/// A bus of a device that was made.
pub struct MadeBus {
    /// What it is.
    pub kind: &'static BusKind,
    /// What it is called, if not after the device or its kind.
    pub name: Option<String>,
    /// Whether devices can come and go while the machine runs.
    pub hotpluggable: bool,
    /// What devices on it need of it; see [`Devices::bus_handle`].
    pub handle: Box<dyn Any>,
    /// The device that is built into the outer one and sits on this bus: its
    /// class, its name in the object tree, and itself.
    pub inner: Option<(&'static Class, &'static str, Made)>,
}

/// A device in the machine, as the main loop sees it.
pub trait Plugged: Any {
    /// Lines of `info qtree` before the properties.
    fn wires(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lines of `info qtree` after the properties.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the device, or the one that it is built into, may be taken out now.
    ///
    /// # Errors
    /// It may not.
    fn check_unplug(&self) -> Result<()> {
        Ok(())
    }

    /// Begins to take the device out.
    ///
    /// # Errors
    /// It cannot be taken out, or not now.
    fn unplug(&mut self) -> Result<Unplug> {
        Ok(Unplug::Done)
    }

    /// Lets go of whatever the device uses; it is out of the machine then.
    fn remove(self: Box<Self>, _: &mut Vm) {}
}

/// How far the removal of a device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplug {
    /// It is out.
    Done,
    /// The guest was asked, and will say so through the [`Ticket`].
    Asked,
}
