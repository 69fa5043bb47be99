//! The `virt` board: QEMU's memory map and interrupt numbers for RISC-V.

mod interrupts;
mod pci;
mod tree;

use std::sync::Arc;

use tinamou_devices::clint::{Clint, HartPins, TimeBase};
use tinamou_devices::fw_cfg::{self, FwCfg, key};
use tinamou_devices::gpio::Gpio;
use tinamou_devices::rtc::Rtc;
use tinamou_devices::sswi::{self, Sswi};
use tinamou_devices::test_finisher::TestFinisher;
use tinamou_devices::uart::{SerialBackend, Uart};
use tinamou_devices::{Clock, IrqLine, IrqSink, clint, gpio, rtc, test_finisher, uart};
use tinamou_hart::{Environment, HartControl, InterruptFile, Line, Privilege, SystemReset};
use tinamou_memory::{AddressSpace, Dma, Ram, Region};
use tinamou_pci::PciHost;
use tinamou_virtio::mmio::{self, VirtioMmio};

use crate::Error;
use crate::boot::{self, Boot};
use crate::config::{Bios, MachineConfig, MainMemory};
use crate::loader::{self, Rom};
use crate::requests::Requests;
pub use interrupts::Controller;
use interrupts::Files;
pub use pci::PciWindows;

/// A range of guest physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
const SSWI: Range = Range {
    base: 0x2f0_0000,
    size: sswi::SIZE,
};
const UART: Range = Range {
    base: 0x1000_0000,
    size: 0x100,
};
const VIRTIO: Range = Range {
    base: 0x1000_1000,
    size: 0x1000,
};
const FW_CFG: Range = Range {
    base: 0x1010_0000,
    size: fw_cfg::SIZE,
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
    pub controller: Controller,
    /// The serial port.
    pub uart: Arc<Uart>,
    /// The real-time clock.
    pub rtc: Arc<Rtc>,
    /// What firmware and kernel are told.
    pub fw_cfg: Arc<FwCfg>,
    /// The PCI Express host.
    pub pci: PciHost,
    /// The power button, when the machine has one.
    pub power_button: Option<Arc<Gpio>>,
    /// The slots for virtio devices, by address. They are filled from the last one on.
    pub virtio: Vec<Arc<VirtioMmio>>,
    /// The wires into the interrupt controller, by source number.
    pub inputs: Vec<IrqLine>,
    pub(crate) boot: Boot,
    mask_rom: Arc<Ram>,
    tree_rom: Rom,
}

/// What the board needs from the machine it is put on.
pub(crate) struct Site<'a> {
    pub(crate) config: &'a MachineConfig,
    pub(crate) clock: &'a Arc<Clock>,
    pub(crate) space: &'a Arc<AddressSpace>,
    pub(crate) requests: &'a Arc<Requests>,
    pub(crate) harts: &'a [Arc<HartControl>],
}

impl Virt {
    /// Makes the board, loads its programs and maps everything.
    pub(crate) fn new(site: &Site<'_>) -> Result<Self, Error> {
        let Site {
            config,
            clock,
            harts,
            ..
        } = *site;
        let boot = Boot::new(config, tree::board(config))?;
        let controller = Controller::new(config.aia, harts);
        let inputs = controller.inputs();
        let time = Arc::new(TimeBase::new(Arc::clone(clock)));
        let clint = Clint::new(time, hart_pins(harts));
        let uart_irq = inputs[UART_IRQ].clone();
        let uart = Uart::new(Arc::clone(clock), uart_irq, Arc::clone(&config.serial));
        let rtc = Rtc::new(Arc::clone(clock), inputs[RTC_IRQ].clone(), config.rtc);
        let button = || Gpio::new(Arc::clone(clock), inputs[GPIO_IRQ].clone());
        let power_button = config.power_button.then(button);
        let virtio = (0..VIRTIO_SLOTS as usize).map(|slot| {
            let line = inputs[VIRTIO_IRQ as usize + slot].clone();
            Arc::new(VirtioMmio::new(line, config.virtio_mmio_legacy))
        });
        let virtio = virtio.collect();
        let fw_cfg = FwCfg::new(Dma::new(Arc::clone(site.space)));
        fw_cfg.set(key::NB_CPUS, (config.cpus as u16).to_le_bytes().into());
        let mask_rom = Arc::new(Ram::new(MASK_ROM.size)?);
        let tree_rom = tree_rom(&boot);
        let virt = Self {
            clint,
            fw_cfg,
            pci: pci::host(&inputs, controller.messages()),
            controller,
            uart,
            rtc,
            power_button,
            virtio,
            inputs,
            boot,
            mask_rom,
            tree_rom,
        };
        virt.map(site, main_memory(config)?)?;
        Ok(virt)
    }

    /// Puts devices and memory as at power-on. No hart runs meanwhile.
    pub(crate) fn reset(&mut self, space: &AddressSpace, config: &MachineConfig) {
        let after_firmware = config.bios == Bios::BuiltIn;
        self.controller.reset(config.cpus, after_firmware);
        self.uart.reset();
        self.rtc.reset();
        self.fw_cfg.reset();
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

    fn map(&self, site: &Site<'_>, memory: MainMemory) -> Result<(), Error> {
        let requests = Arc::clone(site.requests);
        let finisher = Arc::new(TestFinisher::new(move |finish| requests.finish(finish)));
        let regions = [
            Region::rom(
                "riscv_virt_board.mrom",
                MASK_ROM.base,
                Arc::clone(&self.mask_rom),
            ),
            Region::mmio("riscv.sifive.test", TEST.base, TEST.size, finisher).accepting(2..=4),
            Region::mmio("goldfish_rtc", RTC.base, rtc::SIZE, self.rtc.clone()).accepting(4..=4),
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
        let interrupts = self.controller.regions().into_iter();
        let timers = self.timers(site).into_iter();
        let told = self.fw_cfg.regions(FW_CFG.base);
        let pci = pci::regions(&self.pci, site.config.memory_end());
        let all = regions.into_iter().chain(timers).chain(interrupts);
        for region in all.chain(slots).chain(button).chain(told).chain(pci) {
            site.space.add(region)?;
        }
        Ok(())
    }

    /// The windows of the CLINT, or of the ACLINT devices in its place. With interrupt files
    /// harts interrupt each other by messages, and of these devices the timer alone is left.
    fn timers(&self, site: &Site<'_>) -> Vec<Region> {
        let window = |name, base, (start, size): (u64, u64), sizes| {
            let window = clint::Window::new(Arc::clone(&self.clint), start);
            Region::mmio(name, base, size, Arc::new(window)).accepting(sizes)
        };
        let mtimer = |base| window("riscv.aclint.mtimer", base, clint::MTIMER, 4..=8);
        if site.config.has_timer_only() {
            return vec![mtimer(CLINT.base)];
        }
        let mut regions = vec![
            window("riscv.aclint.swi", CLINT.base, clint::SWI, 4..=4),
            mtimer(CLINT.base + clint::MTIMER.0),
        ];
        if site.config.aclint {
            let harts = site.harts.to_vec();
            let sswi = Arc::new(Sswi::new(harts.len(), Arc::new(SoftwarePins(harts))));
            let region = Region::mmio("riscv.aclint.swi", SSWI.base, SSWI.size, sswi);
            regions.push(region.accepting(4..=4));
        }
        regions
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

/// The supervisor software interrupts, by hart.
struct SoftwarePins(Vec<Arc<HartControl>>);

impl IrqSink for SoftwarePins {
    fn set_level(&self, hart: usize, level: bool) {
        if level && let Some(hart) = self.0.get(hart) {
            hart.raise_software();
        }
    }
}

/// What harts see of the board.
pub(crate) struct BoardEnvironment {
    pub(crate) time: Arc<TimeBase>,
    pub(crate) harts: Vec<Arc<HartControl>>,
    pub(crate) console: Arc<dyn SerialBackend>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) files: Option<Arc<Files>>,
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

    fn interrupt_file(&self, hart: u64, level: Privilege) -> Option<&dyn InterruptFile> {
        self.files.as_ref()?.file(hart, level)
    }

    fn system_reset(&self, reset: SystemReset) {
        self.requests.system_reset(reset);
    }
}
