//! What is soldered to the `virt` board.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_devices::rtc::Rtc;
use tinamou_machine::Machine;
use tinamou_monitor::EventBus;
use tinamou_qdev::{BusKind, Category, Properties, Settings, Topology, properties};
use tinamou_qmp::{Result, Value};
use tinamou_qom::{Property, Tree};
use tinamou_virtio::mmio::VirtioMmio;

use super::{Class, Devices, Made, MadeBus, Place, Plugged, globals, interrupts};
use crate::options::config::Global;
use crate::options::cpu;

properties! {
    /// The harts of the board.
    pub struct HartArrayProperties {
        /// How many there are.
        pub num_harts: u32 = 1 => "num-harts";
        /// The number of the first.
        pub hartid_base: u32 = 0 => "hartid-base";
        /// What they are.
        pub cpu_type: Option<String> = None => "cpu-type";
        /// Where they start.
        pub resetvec: u64 = 0x1000 => "resetvec";
    }
}

properties! {
    /// The software interrupts.
    pub struct SwiProperties {
        /// The number of the first hart.
        pub hartid_base: u32 = 0 => "hartid-base";
        /// How many harts it serves.
        pub num_harts: u32 = 1 => "num-harts";
        /// Whether they are for supervisor mode.
        pub sswi: u32 = 0 => "sswi";
    }
}

properties! {
    /// The timers.
    pub struct MtimerProperties {
        /// The number of the first hart.
        pub hartid_base: u32 = 0 => "hartid-base";
        /// How many harts it serves.
        pub num_harts: u32 = 1 => "num-harts";
        /// Where the comparators are.
        pub timecmp_base: u32 = 0 => "timecmp-base";
        /// Where the time is.
        pub time_base: u32 = 0x7ff8 => "time-base";
        /// Bytes of registers.
        pub aperture_size: u32 = 0x8000 => "aperture-size";
        /// Ticks a second.
        pub timebase_freq: u32 = 0 => "timebase-freq";
    }
}

properties! {
    /// The interrupt controller.
    pub struct PlicProperties {
        /// The modes of each hart that it serves.
        pub hart_config: Option<String> = None => "hart-config";
        /// The number of the first hart.
        pub hartid_base: u32 = 0 => "hartid-base";
        /// How many inputs there are, one that is never used included.
        pub num_sources: u32 = 1 => "num-sources";
        /// The highest priority.
        pub num_priorities: u32 = 0 => "num-priorities";
        /// Where priorities are.
        pub priority_base: u32 = 0 => "priority-base";
        /// Where pending bits are.
        pub pending_base: u32 = 0 => "pending-base";
        /// Where enable bits are.
        pub enable_base: u32 = 0 => "enable-base";
        /// Bytes of enable bits a context.
        pub enable_stride: u32 = 0 => "enable-stride";
        /// Where contexts are.
        pub context_base: u32 = 0 => "context-base";
        /// Bytes of registers a context.
        pub context_stride: u32 = 0 => "context-stride";
        /// Bytes of registers.
        pub aperture_size: u32 = 0 => "aperture-size";
    }
}

properties! {
    /// A slot for virtio devices.
    pub struct VirtioMmioProperties {
        /// Whether buses are named by address.
        pub format_transport_address: bool = true => "format_transport_address";
        /// Whether it speaks the draft of virtio that came before 1.0.
        pub force_legacy: bool = true => "force-legacy";
        /// Whether kicks bypass the hart.
        pub ioeventfd: bool = true => "ioeventfd";
    }
}

properties! {
    /// The serial port.
    pub struct SerialMmProperties {
        /// Registers are this many bits apart.
        pub regshift: u8 = 0 => "regshift";
        /// The order of bytes: 0 native, 1 big, 2 little.
        pub endianness: u8 = 0 => "endianness";
    }
}

properties! {
    /// The real-time clock.
    pub struct RtcProperties {
        /// The order of bytes.
        pub big_endian: bool = false => "big-endian";
    }
}

properties! {
    /// What firmware and kernel are told.
    pub struct FwCfgProperties {
        /// Whether tables for firmware are kept apart in a snapshot.
        pub acpi_mr_restore: bool = true => "acpi-mr-restore";
    }
}

properties! {
    /// Its registers.
    pub struct FwCfgMemProperties {
        /// Bytes that can be read at once.
        pub data_width: u32 = u32::MAX => "data_width";
        /// Whether items can be fetched into RAM.
        pub dma_enabled: bool = true => "dma_enabled";
        /// How many files there can be.
        pub file_slots: u16 = 0x20 => "x-file-slots";
    }
}

/// The harts.
pub const HART_ARRAY: Class = Class {
    properties: &[HartArrayProperties::SPECS],
    ..Class::new("riscv.hart_array", "sys-bus-device")
};

/// Software interrupts.
pub const SWI: Class = Class {
    properties: &[SwiProperties::SPECS],
    ..Class::new("riscv.aclint.swi", "sys-bus-device")
};

/// Timers.
pub const MTIMER: Class = Class {
    properties: &[MtimerProperties::SPECS],
    ..Class::new("riscv.aclint.mtimer", "sys-bus-device")
};

/// The interrupt controller.
pub const PLIC: Class = Class {
    properties: &[PlicProperties::SPECS],
    ..Class::new("riscv.sifive.plic", "sys-bus-device")
};

/// What firmware and kernel are told.
pub const FW_CFG: Class = Class {
    properties: &[FwCfgProperties::SPECS],
    user_creatable: false,
    ..Class::base("fw_cfg", "sys-bus-device")
};

/// The same, with registers in memory.
pub const FW_CFG_MEM: Class = Class {
    properties: &[FwCfgMemProperties::SPECS],
    ..Class::new("fw_cfg_mem", "fw_cfg")
};

/// The way to power off and reset.
pub const TEST: Class = Class::new("riscv.sifive.test", "sys-bus-device");

/// A slot for virtio devices.
pub const VIRTIO_MMIO: Class = Class {
    properties: &[VirtioMmioProperties::SPECS],
    category: Some(Category::Misc),
    ..Class::new("virtio-mmio", "sys-bus-device")
};

/// The serial port.
pub const SERIAL_MM: Class = Class {
    properties: &[SerialMmProperties::SPECS],
    ..Class::new("serial-mm", "sys-bus-device")
};

/// The real-time clock.
pub const GOLDFISH_RTC: Class = Class {
    properties: &[RtcProperties::SPECS],
    ..Class::new("goldfish_rtc", "sys-bus-device")
};

/// The bus of a virtio slot.
pub static VIRTIO_MMIO_BUS: BusKind = BusKind {
    name: "virtio-mmio-bus",
    parent: Some("virtio-bus"),
    capacity: Some(1),
};

/// What the virtio slots are to be like.
///
/// # Errors
/// A value is wrong.
pub fn virtio_slots(globals: &[Global]) -> Result<VirtioMmioProperties> {
    let mut settings = Settings::default();
    globals::apply(globals, &VIRTIO_MMIO, &globals::Nothing, &mut settings)?;
    Ok(settings.fill())
}

/// Adds the board's devices in QEMU's order, which tools know: the number of
/// `device[N]` is the place on the board. Places of devices that are not built
/// stay empty.
///
/// # Errors
/// Two objects have the same name.
pub fn populate(
    devices: &mut Devices,
    tree: &mut Tree,
    machine: &Machine,
    events: &EventBus,
    model: &str,
) -> Result<()> {
    let Some(virt) = machine.virt() else {
        return Ok(());
    };
    let harts = u32::try_from(machine.cpu_count()).unwrap_or(u32::MAX);
    let model = format!("{model}-riscv-cpu");
    let array = HartArrayProperties {
        num_harts: harts,
        cpu_type: Some(model.clone()),
        ..Default::default()
    };
    let top = tree.resolve("/machine")?;
    let soc = Place::Child(top, "soc0");
    put(
        devices,
        tree,
        soc,
        &HART_ARRAY,
        values(&array),
        Wired::none(),
    )?;
    let soc = tree.resolve("/machine/soc0")?;
    for _ in 0..harts {
        let hart = tree.add_numbered(soc, "harts", &model);
        let state = [
            ("realized", true),
            ("hotplugged", false),
            ("hotpluggable", true),
        ];
        for (name, has) in state
            .into_iter()
            .chain(cpu::properties(&machine.config().isa))
        {
            let property = Property::constant("bool", Value::Bool(has));
            tree.add_property(hart, name, property)?;
        }
    }
    let serial = SerialMmProperties {
        endianness: 2,
        ..Default::default()
    };
    let parts = interrupts::parts(machine.config(), harts);
    // With the controllers of the default board and the test device the next number is 4.
    let shift = parts.len() - 3;
    for (number, (class, values, wired)) in parts.into_iter().enumerate() {
        let place = Place::Unattached(number);
        put(devices, tree, place, class, values, wired)?;
    }
    add_fw_cfg(devices, tree)?;
    let test = Wired::new("", 0x10_0000, 0x1000);
    put(
        devices,
        tree,
        Place::Unattached(3 + shift),
        &TEST,
        Vec::new(),
        test,
    )?;
    for (number, slot) in virt.virtio.iter().enumerate() {
        let place = Place::Unattached(4 + shift + number);
        add_slot(devices, tree, place, number, slot)?;
    }
    super::pci::populate(devices, tree, machine, 12 + shift)?;
    let irq = "gpio-out \"sysbus-irq\" 1";
    let uart = Wired::new(irq, u64::MAX, 8);
    put(
        devices,
        tree,
        Place::Unattached(14 + shift),
        &SERIAL_MM,
        values(&serial),
        uart,
    )?;
    let place = Place::Unattached(15 + shift);
    add_clock(devices, tree, place, &virt.rtc, events.clone())
}

fn add_clock(
    devices: &mut Devices,
    tree: &mut Tree,
    place: Place<'_>,
    rtc: &Rtc,
    events: EventBus,
) -> Result<()> {
    let wired = Wired::new("gpio-out \"sysbus-irq\" 1", 0x10_1000, 0x24);
    let made = Made::new(wired, values(&RtcProperties::default()));
    let bus = Some(Topology::MAIN);
    let clock = devices.insert(tree, place, &GOLDFISH_RTC, bus, false, made)?;
    let qom_path = tree.path(devices.entry(clock).object);
    rtc.on_set(move |offset| {
        let qom_path = qom_path.clone();
        events.emit(&api::RtcChangeEvent { offset, qom_path });
    });
    Ok(())
}

fn add_fw_cfg(devices: &mut Devices, tree: &mut Tree) -> Result<()> {
    let registers = FwCfgMemProperties {
        data_width: 8,
        ..FwCfgMemProperties::default()
    };
    let values = [values(&registers), values(&FwCfgProperties::default())].concat();
    let base = 0x1010_0000;
    let wired = Wired::new("", base + 8, 2)
        .with(base, 8)
        .with(base + 0x10, 8);
    let place = Place::Child(tree.resolve("/machine")?, "fw_cfg");
    put(devices, tree, place, &FW_CFG_MEM, values, wired)
}

fn add_slot(
    devices: &mut Devices,
    tree: &mut Tree,
    place: Place<'_>,
    number: usize,
    slot: &Arc<VirtioMmio>,
) -> Result<()> {
    let address = 0x1000_1000 + number as u64 * 0x1000;
    let wired = Wired::new("gpio-out \"sysbus-irq\" 1", address, 0x200);
    let properties = VirtioMmioProperties {
        force_legacy: slot.is_legacy(),
        ..VirtioMmioProperties::default()
    };
    let mut made = Made::new(wired, values(&properties));
    made.buses.push(MadeBus {
        kind: &VIRTIO_MMIO_BUS,
        name: Some(format!("virtio-mmio-bus.{number}")),
        hotpluggable: false,
        handle: Box::new(Arc::clone(slot)),
        inner: None,
    });
    devices.insert(tree, place, &VIRTIO_MMIO, Some(Topology::MAIN), false, made)?;
    Ok(())
}

fn put(
    devices: &mut Devices,
    tree: &mut Tree,
    place: Place<'_>,
    class: &'static Class,
    values: Vec<(&'static str, Value)>,
    wired: Wired,
) -> Result<()> {
    let made = Made::new(wired, values);
    devices.insert(tree, place, class, Some(Topology::MAIN), false, made)?;
    Ok(())
}

pub(super) fn values(properties: &impl Properties) -> Vec<(&'static str, Value)> {
    properties.values()
}

/// A device with its interrupts and registers, for `info qtree`.
pub(super) struct Wired {
    pub(super) wires: Vec<String>,
    details: Vec<String>,
}

impl Wired {
    pub(super) fn none() -> Self {
        Self {
            wires: Vec::new(),
            details: Vec::new(),
        }
    }

    pub(super) fn new(wire: &str, address: u64, size: u64) -> Self {
        let wires = (!wire.is_empty()).then(|| wire.to_owned());
        Self {
            wires: wires.into_iter().collect(),
            details: vec![mmio(address, size)],
        }
    }

    /// With further registers.
    fn with(mut self, address: u64, size: u64) -> Self {
        self.details.push(mmio(address, size));
        self
    }
}

fn mmio(address: u64, size: u64) -> String {
    format!("mmio {address:016x}/{size:016x}")
}

impl Plugged for Wired {
    fn wires(&self) -> Vec<String> {
        self.wires.clone()
    }

    fn details(&self) -> Vec<String> {
        self.details.clone()
    }
}
