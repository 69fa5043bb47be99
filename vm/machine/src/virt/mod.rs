//! The `virt` board: QEMU's memory map and interrupt numbers for RISC-V.

mod pci;
mod tree;

use std::sync::Arc;

use tinamou_devices::clint::{Clint, HartPins, TimeBase};
use tinamou_devices::gpio::Gpio;
use tinamou_devices::plic::Plic;
use tinamou_devices::rtc::Rtc;
use tinamou_devices::test_finisher::TestFinisher;
use tinamou_devices::uart::{SerialBackend, Uart};
use tinamou_devices::{Clock, IrqLine, IrqSink, clint, gpio, plic, rtc, test_finisher, uart};
use tinamou_hart::{Environment, HartControl, Line, SystemReset};
use tinamou_memory::{AddressSpace, Ram, Region};
use tinamou_pci::PciHost;
use tinamou_virtio::mmio::{self, VirtioMmio};

use crate::Error;
use crate::boot::{self, Boot};
use crate::config::{MachineConfig, MainMemory};
use crate::loader::{self, Rom};
use crate::requests::Requests;
pub use pci::PciWindows;

/// A range of guest physical addresses.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first address.
    pub base: u64,
    /// How many there are.
    pub size: u64,
}

/// The reset code.
pub(crate) const MASK_ROM: Range = Range {
    base: 0x1000,
    size: 0xf000,
};
const TEST: Range = Range {
    base: 0x10_0000,
    size: test_finisher::SIZE,
};
const RTC: Range = Range {
    base: 0x10_1000,
    size: 0x1000,
};
const CLINT: Range = Range {
    base: 0x200_0000,
    size: clint::SIZE,
};
const PLIC: Range = Range {
    base: 0xc00_0000,
    size: plic::SIZE,
};
const UART: Range = Range {
    base: 0x1000_0000,
    size: 0x100,
};
const VIRTIO: Range = Range {
    base: 0x1000_1000,
    size: 0x1000,
};
/// The power button; QEMU has nothing here.
const GPIO: Range = Range {
    base: 0x1020_0000,
    size: gpio::SIZE,
};
/// Where RAM begins.
pub(crate) const RAM_BASE: u64 = 0x8000_0000;

/// Slots for virtio devices.
pub(crate) const VIRTIO_SLOTS: u64 = 8;
/// The most harts the board can have.
pub(crate) const CPUS_MAX: usize = 512;

/// The serial port's interrupt.
pub(crate) const UART_IRQ: usize = 10;
/// The real-time clock's interrupt.
pub(crate) const RTC_IRQ: usize = 11;
/// The first of the PCI host's interrupts.
pub(crate) const PCI_IRQ: usize = pci::IRQ;
const GPIO_IRQ: usize = 12;
/// The interrupt of the first virtio slot; the others follow.
const VIRTIO_IRQ: u64 = 1;

/// The board's devices and memory.
pub struct Virt {
    /// Timers and software interrupts.
    pub clint: Arc<Clint>,
    /// The interrupt controller.
    pub plic: Arc<Plic>,
    /// The serial port.
    pub uart: Arc<Uart>,
    /// The real-time clock.
    pub rtc: Arc<Rtc>,
    /// The PCI Express host.
    pub pci: PciHost,
    /// The power button, when the machine has one.
    pub power_button: Option<Arc<Gpio>>,
    /// The slots for virtio devices, by address. They are filled from the last one on.
    pub virtio: Vec<Arc<VirtioMmio>>,
    /// The wires into the interrupt controller, by source number.
    pub plic_inputs: Vec<IrqLine>,
    pub(crate) boot: Boot,
    mask_rom: Arc<Ram>,
    tree_rom: Rom,
}

/// What the board needs from the machine it is put on.
pub(crate) struct Site<'a> {
    pub(crate) config: &'a MachineConfig,
    pub(crate) clock: &'a Arc<Clock>,
    pub(crate) space: &'a AddressSpace,
    pub(crate) requests: &'a Arc<Requests>,
    pub(crate) harts: &'a [Arc<HartControl>],
}

impl Virt {
    /// Makes the board, loads its programs and maps everything.
    pub(crate) fn new(site: &Site<'_>) -> Result<Self, Error> {
        let Site {
            config,
            clock,
            space,
            requests,
            harts,
        } = *site;
        let boot = Boot::new(config, tree::board(config))?;
        let plic = Plic::new(plic_outputs(harts));
        let sink: Arc<dyn IrqSink> = plic.clone();
        let plic_inputs: Vec<_> = (0..plic::SOURCES)
            .map(|source| IrqLine::new(Arc::clone(&sink), source))
            .collect();
        let time = Arc::new(TimeBase::new(Arc::clone(clock)));
        let clint = Clint::new(time, hart_pins(harts));
        let uart_irq = plic_inputs[UART_IRQ].clone();
        let uart = Uart::new(Arc::clone(clock), uart_irq, Arc::clone(&config.serial));
        let rtc = Rtc::new(Arc::clone(clock), plic_inputs[RTC_IRQ].clone(), config.rtc);
        let button = || Gpio::new(Arc::clone(clock), plic_inputs[GPIO_IRQ].clone());
        let power_button = config.power_button.then(button);
        let virtio = (0..VIRTIO_SLOTS as usize).map(|slot| {
            let line = plic_inputs[VIRTIO_IRQ as usize + slot].clone();
            Arc::new(VirtioMmio::new(line, config.virtio_mmio_legacy))
        });
        let virtio = virtio.collect();
        let mask_rom = Arc::new(Ram::new(MASK_ROM.size)?);
        let tree_rom = tree_rom(&boot);
        let virt = Self {
            clint,
            plic,
            uart,
            rtc,
            pci: pci::host(&plic_inputs),
            power_button,
            virtio,
            plic_inputs,
            boot,
            mask_rom,
            tree_rom,
        };
        virt.map(space, main_memory(config)?, requests)?;
        Ok(virt)
    }

    /// Puts devices and memory as at power-on. No hart runs meanwhile.
    pub(crate) fn reset(&mut self, space: &AddressSpace) {
        self.plic.reset();
        self.uart.reset();
        self.rtc.reset();
        self.pci.reset();
        self.clint.reset();
        if let Some(button) = &self.power_button {
            button.reset();
        }
        self.virtio.iter().for_each(|slot| slot.reset());
        boot::renew_seed(&mut self.boot.tree);
        self.tree_rom = tree_rom(&self.boot);
        let mask_rom = (MASK_ROM.base, &*self.mask_rom);
        loader::install(&self.boot.roms, space, mask_rom);
        loader::install(std::slice::from_ref(&self.tree_rom), space, mask_rom);
    }

    /// The device tree as the guest gets it.
    #[must_use]
    pub fn device_tree(&self) -> &[u8] {
        &self.tree_rom.content
    }

    /// Everything that is put into memory at reset, by address.
    #[must_use]
    pub fn roms(&self) -> Vec<&Rom> {
        let mut roms: Vec<_> = self.boot.roms.iter().chain([&self.tree_rom]).collect();
        roms.sort_by_key(|rom| rom.address);
        roms
    }

    fn map(
        &self,
        space: &AddressSpace,
        memory: MainMemory,
        requests: &Arc<Requests>,
    ) -> Result<(), Error> {
        let ram_size = memory.ram.size();
        let requests = Arc::clone(requests);
        let finisher = Arc::new(TestFinisher::new(move |finish| requests.finish(finish)));
        let regions = [
            Region::rom(
                "riscv_virt_board.mrom",
                MASK_ROM.base,
                Arc::clone(&self.mask_rom),
            ),
            Region::mmio("riscv.sifive.test", TEST.base, TEST.size, finisher).accepting(2..=4),
            Region::mmio("goldfish_rtc", RTC.base, rtc::SIZE, self.rtc.clone()).accepting(4..=4),
            self.clint_window("riscv.aclint.swi", clint::SWI)
                .accepting(4..=4),
            self.clint_window("riscv.aclint.mtimer", clint::MTIMER)
                .accepting(4..=8),
            Region::mmio("riscv.sifive.plic", PLIC.base, PLIC.size, self.plic.clone())
                .accepting(4..=4),
            Region::mmio("serial", UART.base, uart::SIZE, self.uart.clone()),
            Region::ram(&memory.name, RAM_BASE, memory.ram),
        ];
        let slots = (0..).zip(&self.virtio).map(|(slot, transport)| {
            let base = VIRTIO.base + slot * VIRTIO.size;
            Region::mmio("virtio-mmio", base, mmio::SIZE, transport.clone())
        });
        let button = self.power_button.iter().map(|button| {
            Region::mmio("sifive.gpio", GPIO.base, GPIO.size, button.clone()).accepting(4..=4)
        });
        let pci = pci::regions(&self.pci, ram_size);
        for region in regions.into_iter().chain(slots).chain(button).chain(pci) {
            space.add(region)?;
        }
        Ok(())
    }

    fn clint_window(&self, name: &str, (start, size): (u64, u64)) -> Region {
        let window = clint::Window::new(Arc::clone(&self.clint), start);
        Region::mmio(name, CLINT.base + start, size, Arc::new(window))
    }
}

/// The memory that was given, or new memory of the board's own.
fn main_memory(config: &MachineConfig) -> Result<MainMemory, Error> {
    if let Some(memory) = &config.main_memory {
        return Ok(memory.clone());
    }
    Ok(MainMemory {
        name: "riscv_virt_board.ram".into(),
        ram: Arc::new(Ram::new(config.ram_size)?),
    })
}

/// The device tree as something to put into memory.
fn tree_rom(boot: &Boot) -> Rom {
    let content = boot.tree.flatten();
    Rom {
        name: "fdt".into(),
        address: boot.tree_address,
        content,
    }
}

/// A pin of a hart.
struct Pin {
    hart: Arc<HartControl>,
    line: Line,
}

impl IrqSink for Pin {
    fn set_level(&self, _: usize, level: bool) {
        self.hart.set_line(self.line, level);
    }
}

fn pin(hart: &Arc<HartControl>, line: Line) -> IrqLine {
    IrqLine::new(
        Arc::new(Pin {
            hart: Arc::clone(hart),
            line,
        }),
        0,
    )
}

fn hart_pins(harts: &[Arc<HartControl>]) -> Vec<HartPins> {
    let pins = harts.iter().map(|hart| HartPins {
        software: pin(hart, Line::MachineSoftware),
        timer: pin(hart, Line::MachineTimer),
    });
    pins.collect()
}

/// Two contexts a hart: machine, then supervisor.
fn plic_outputs(harts: &[Arc<HartControl>]) -> Vec<IrqLine> {
    let lines = [Line::MachineExternal, Line::SupervisorExternal];
    harts
        .iter()
        .flat_map(|hart| lines.map(|line| pin(hart, line)))
        .collect()
}

/// What harts see of the board.
pub(crate) struct BoardEnvironment {
    pub(crate) time: Arc<TimeBase>,
    pub(crate) harts: Vec<Arc<HartControl>>,
    pub(crate) console: Arc<dyn SerialBackend>,
    pub(crate) requests: Arc<Requests>,
}

impl Environment for BoardEnvironment {
    fn time(&self) -> u64 {
        self.time.ticks()
    }

    fn harts(&self) -> &[Arc<HartControl>] {
        &self.harts
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        self.console.write(bytes)
    }

    fn console_read(&self) -> Option<u8> {
        let mut byte = [0];
        (self.console.read(&mut byte) == 1).then_some(byte[0])
    }

    fn system_reset(&self, reset: SystemReset) {
        self.requests.system_reset(reset);
    }
}
