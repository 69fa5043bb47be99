//! What a machine is made from: plain values, no files opened yet.

use std::path::PathBuf;
use std::sync::Arc;

use tinamou_devices::rtc::TimeOfDay;
use tinamou_devices::uart::{NullBackend, SerialBackend};
use tinamou_hart::Isa;
use tinamou_memory::Ram;

use crate::loader::Payload;
use crate::run_state::Actions;
use crate::virt::{RAM_BASE, Range};

/// The machine type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoardKind {
    /// No board: run state and nothing that could run.
    None,
    /// RISC-V VirtIO board.
    #[default]
    Virt,
}

impl BoardKind {
    /// The name of `-machine`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Virt => "virt",
        }
    }
}

/// The advanced interrupt architecture, `-machine aia=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aia {
    /// None of it: interrupts come through a PLIC.
    #[default]
    None,
    /// An APLIC with wires to the harts.
    Aplic,
    /// An APLIC that sends messages, and interrupt files in the harts that take them.
    AplicImsic,
}

/// Who executes guest code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// The harts of this machine.
    #[default]
    Tcg,
    /// Nobody: a test drives the devices.
    Qtest,
}

/// What answers SBI calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bios {
    /// The SBI built into the harts (`-bios default`).
    #[default]
    BuiltIn,
    /// Nothing: what is in RAM starts in machine mode (`-bios none`).
    None,
    /// Firmware that starts in machine mode.
    File(PathBuf),
}

/// What a machine is made from.
#[derive(Clone)]
pub struct MachineConfig {
    /// The machine type.
    pub board: BoardKind,
    /// Who executes guest code.
    pub accelerator: Accelerator,
    /// Bytes of RAM.
    pub ram_size: u64,
    /// Bytes of RAM and of all memory devices together; no more than
    /// [`ram_size`](Self::ram_size) if there can be no memory devices.
    pub max_ram_size: u64,
    /// Slots for memory modules, for which addresses are set aside.
    pub ram_slots: u64,
    /// The main memory, if it is there already; it has [`ram_size`](Self::ram_size) bytes.
    pub main_memory: Option<MainMemory>,
    /// Harts.
    pub cpus: usize,
    /// The harts' extensions.
    pub isa: Isa,
    /// Firmware.
    pub bios: Bios,
    /// Kernel, or any program to start.
    pub kernel: Option<Payload>,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel command line.
    pub append: String,
    /// A device tree instead of the board's own.
    pub dtb: Option<PathBuf>,
    /// What carries the serial port's bytes.
    pub serial: Arc<dyn SerialBackend>,
    /// Where the real-time clock starts.
    pub rtc: TimeOfDay,
    /// A key that the guest sees pressed when it is asked to power down. QEMU's board has none.
    pub power_button: bool,
    /// Whether the virtio slots have the legacy interface, as QEMU's have unless told
    /// `-global virtio-mmio.force-legacy=off`.
    pub virtio_mmio_legacy: bool,
    /// Which interrupt controller there is.
    pub aia: Aia,
    /// ACLINT devices in place of the CLINT.
    pub aclint: bool,
    /// What is done about things that happen.
    pub actions: Actions,
}

/// Memory that was made elsewhere.
#[derive(Clone, Debug)]
pub struct MainMemory {
    /// What the map of the address space calls it.
    pub name: String,
    /// The memory.
    pub ram: Arc<Ram>,
}

impl MachineConfig {
    /// Where memory devices go: above RAM, with a gigabyte for each slot so that every device can
    /// be aligned. Nowhere if there can be none.
    #[must_use]
    pub fn device_memory(&self) -> Option<Range> {
        const GIB: u64 = 1 << 30;
        let size = self.max_ram_size.checked_sub(self.ram_size)?;
        let ram_end = RAM_BASE.saturating_add(self.ram_size);
        (size > 0).then(|| Range {
            base: ram_end.checked_next_multiple_of(GIB).unwrap_or(u64::MAX),
            size: size.saturating_add(self.ram_slots.saturating_mul(GIB)),
        })
    }

    /// The first address behind RAM and memory devices.
    pub(crate) fn memory_end(&self) -> u64 {
        let ram_end = RAM_BASE.saturating_add(self.ram_size);
        let devices = self.device_memory();
        devices.map_or(ram_end, |range| range.base.saturating_add(range.size))
    }

    /// Whether of the ACLINT devices only the timer is there, as it is beside interrupt files.
    pub(crate) fn has_timer_only(&self) -> bool {
        self.aclint && self.aia == Aia::AplicImsic
    }
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            board: BoardKind::default(),
            accelerator: Accelerator::default(),
            ram_size: 128 << 20,
            max_ram_size: 0,
            ram_slots: 0,
            main_memory: None,
            cpus: 1,
            isa: Isa::default(),
            bios: Bios::default(),
            kernel: None,
            initrd: None,
            append: String::new(),
            dtb: None,
            serial: Arc::new(NullBackend),
            rtc: TimeOfDay::default(),
            power_button: false,
            virtio_mmio_legacy: true,
            aia: Aia::default(),
            aclint: false,
            actions: Actions::default(),
        }
    }
}
