//! The device tree of the board: only what exists is in it.

use tinamou_devices::clint::TIMEBASE_FREQUENCY;
use tinamou_devices::{aplic, clint, imsic, plic, uart};
use tinamou_hart::{Extension, Isa, Line};

use super::interrupts::{APLIC_MACHINE, APLIC_SUPERVISOR, IMSIC_MACHINE, IMSIC_SUPERVISOR, PLIC};
use super::{
    CLINT, FW_CFG, GPIO, GPIO_IRQ, RAM_BASE, RTC, RTC_IRQ, SSWI, TEST, UART, UART_IRQ, VIRTIO,
    VIRTIO_IRQ, VIRTIO_SLOTS, pci,
};
use crate::config::{Aia, Bios, MachineConfig};
use crate::fdt::Node;

/// The size of a cache block, as the cache block instructions see it.
const CACHE_BLOCK: u32 = 64;

/// The tree; `chosen` gets the rest when programs are loaded.
pub(super) fn board(config: &MachineConfig) -> Node {
    let handles = Handles {
        cpus: config.cpus as u32,
        aia: config.aia,
        firmware: config.bios != Bios::BuiltIn,
    };
    let console = format!("/soc/serial@{:x}", UART.base);
    let root = Node::new("")
        .cell("#address-cells", 2)
        .cell("#size-cells", 2)
        .text("compatible", "riscv-virtio")
        .text("model", "riscv-virtio,qemu")
        .child(finisher_command("poweroff", 0x5555, &handles))
        .child(finisher_command("reboot", 0x7777, &handles))
        .child(memory(config.ram_size))
        .child(cpus(config, &handles))
        .child(
            Node::new(format!("fw-cfg@{:x}", FW_CFG.base))
                .flag("dma-coherent")
                .reg(FW_CFG.base, FW_CFG.size)
                .text("compatible", "qemu,fw-cfg-mmio"),
        )
        .child(Node::new("aliases").text("serial0", &console))
        .child(
            Node::new("chosen")
                .text("stdout-path", &console)
                .cells("rng-seed", &[0; 8]),
        )
        .child(soc(config, &handles));
    if config.power_button {
        root.child(power_key(&handles))
    } else {
        root
    }
}

const MACHINE: u32 = 0;
const SUPERVISOR: u32 = 1;

/// The numbers by which nodes name each other.
pub(super) struct Handles {
    cpus: u32,
    aia: Aia,
    /// Whether something runs in machine mode.
    firmware: bool,
}

impl Handles {
    // QEMU numbers harts from the last to the first, each before its interrupt controller.
    fn cpu(&self, index: u32) -> u32 {
        2 * (self.cpus - 1 - index) + 1
    }

    fn cpu_interrupts(&self, index: u32) -> u32 {
        self.cpu(index) + 1
    }

    /// The first of the interrupt controllers': interrupt files, then domains, each machine mode
    /// before supervisor mode; or the PLIC.
    fn controllers(&self) -> u32 {
        2 * self.cpus + 1
    }

    fn imsic(&self, level: u32) -> u32 {
        self.controllers() + level
    }

    fn aplic(&self, level: u32) -> u32 {
        let files = if self.aia == Aia::AplicImsic { 2 } else { 0 };
        self.controllers() + files + level
    }

    /// What the devices' interrupts go to.
    pub(super) fn controller(&self) -> u32 {
        match self.aia {
            Aia::None => self.controllers(),
            Aia::Aplic | Aia::AplicImsic => self.aplic(SUPERVISOR),
        }
    }

    /// What names an interrupt there: the source and, to an APLIC, how it asks.
    pub(super) fn source(&self, source: u32) -> Vec<u32> {
        /// By a high level, as Linux numbers it.
        const LEVEL_HIGH: u32 = 4;
        match self.aia {
            Aia::None => vec![source],
            Aia::Aplic | Aia::AplicImsic => vec![source, LEVEL_HIGH],
        }
    }

    /// What functions send their messages to.
    pub(super) fn messages(&self) -> Option<u32> {
        (self.aia == Aia::AplicImsic).then(|| self.imsic(SUPERVISOR))
    }

    fn test(&self) -> u32 {
        self.controller() + 1
    }

    fn gpio(&self) -> u32 {
        self.controller() + 2
    }

    /// For every hart, its interrupt controller and each of `lines`.
    fn interrupts<const N: usize>(&self, lines: [Line; N]) -> Vec<u32> {
        self.numbered(&lines.map(|line| line as u32))
    }

    /// The same by the interrupts' numbers.
    fn numbered(&self, numbers: &[u32]) -> Vec<u32> {
        let harts = (0..self.cpus).map(|index| self.cpu_interrupts(index));
        harts
            .flat_map(|handle| numbers.iter().flat_map(move |number| [handle, *number]))
            .collect()
    }
}

fn finisher_command(name: &str, value: u32, handles: &Handles) -> Node {
    Node::new(name)
        .cell("value", value)
        .cell("offset", 0)
        .cell("regmap", handles.test())
        .text("compatible", &format!("syscon-{name}"))
}

fn memory(size: u64) -> Node {
    Node::new(format!("memory@{RAM_BASE:x}"))
        .text("device_type", "memory")
        .reg(RAM_BASE, size)
}

fn cpus(config: &MachineConfig, handles: &Handles) -> Node {
    let cores = (0..handles.cpus)
        .map(|index| Node::new(format!("core{index}")).cell("cpu", handles.cpu(index)));
    Node::new("cpus")
        .cell("#address-cells", 1)
        .cell("#size-cells", 0)
        .cell("timebase-frequency", TIMEBASE_FREQUENCY as u32)
        .children((0..handles.cpus).map(|index| cpu(index, &config.isa, handles)))
        .child(Node::new("cpu-map").child(Node::new("cluster0").children(cores)))
}

fn cpu(index: u32, isa: &Isa, handles: &Handles) -> Node {
    let interrupts = Node::new("interrupt-controller")
        .cell("#interrupt-cells", 1)
        .flag("interrupt-controller")
        .text("compatible", "riscv,cpu-intc")
        .cell("phandle", handles.cpu_interrupts(index));
    let blocks = [
        (Extension::Zicbop, "riscv,cbop-block-size"),
        (Extension::Zicboz, "riscv,cboz-block-size"),
        (Extension::Zicbom, "riscv,cbom-block-size"),
    ];
    let mut node = Node::new(format!("cpu@{index:x}"))
        .cell("phandle", handles.cpu(index))
        .text("device_type", "cpu")
        .cell("reg", index)
        .text("status", "okay")
        .text("compatible", "riscv");
    for (_, name) in blocks
        .into_iter()
        .filter(|(extension, _)| isa.has(*extension))
    {
        node = node.cell(name, CACHE_BLOCK);
    }
    node.texts("riscv,isa-extensions", &isa.names())
        .text("riscv,isa-base", "rv64i")
        .text("riscv,isa", &isa.string())
        .text("mmu-type", isa.mmu_type())
        .child(interrupts)
}

fn soc(config: &MachineConfig, handles: &Handles) -> Node {
    let gpio = config.power_button.then(|| gpio_controller(handles));
    Node::new("soc")
        .cell("#address-cells", 2)
        .cell("#size-cells", 2)
        .text("compatible", "simple-bus")
        .flag("ranges")
        .child(
            device("rtc", RTC.base, RTC.size)
                .interrupt(RTC_IRQ as u32, handles)
                .text("compatible", "google,goldfish-rtc"),
        )
        .child(
            device("serial", UART.base, UART.size)
                .interrupt(UART_IRQ as u32, handles)
                .cell("clock-frequency", uart::CLOCK_FREQUENCY)
                .text("compatible", "ns16550a"),
        )
        .child(
            device("test", TEST.base, TEST.size)
                .cell("phandle", handles.test())
                .texts("compatible", &["sifive,test1", "sifive,test0", "syscon"]),
        )
        // Linux numbers the slots in the order of the tree; QEMU lists the last one first.
        .children(
            (0..VIRTIO_SLOTS)
                .rev()
                .map(|slot| virtio_slot(slot, handles)),
        )
        .children(gpio)
        .children(interrupt_controllers(handles))
        .children(timers(config, handles))
        .child(pci::node(config.memory_end(), handles))
}

fn gpio_controller(handles: &Handles) -> Node {
    device("gpio", GPIO.base, GPIO.size)
        .cell("phandle", handles.gpio())
        .interrupt(GPIO_IRQ as u32, handles)
        .flag("gpio-controller")
        .cell("#gpio-cells", 2)
        .flag("interrupt-controller")
        .cell("#interrupt-cells", 2)
        .text("compatible", "sifive,gpio0")
}

fn power_key(handles: &Handles) -> Node {
    /// Linux's number of the key.
    const KEY_POWER: u32 = 116;
    let key = Node::new("power")
        .text("label", "Power Button")
        .cell("linux,code", KEY_POWER)
        .cells("gpios", &[handles.gpio(), 0, 0]);
    Node::new("gpio-keys")
        .text("compatible", "gpio-keys")
        .child(key)
}

fn virtio_slot(slot: u64, handles: &Handles) -> Node {
    device("virtio_mmio", VIRTIO.base + slot * VIRTIO.size, VIRTIO.size)
        .interrupt((VIRTIO_IRQ + slot) as u32, handles)
        .text("compatible", "virtio,mmio")
}

fn interrupt_controllers(handles: &Handles) -> Vec<Node> {
    let mut nodes = match handles.aia {
        Aia::None => return vec![plic(handles)],
        Aia::Aplic | Aia::AplicImsic => vec![aplic(SUPERVISOR, handles), aplic(MACHINE, handles)],
    };
    if handles.aia == Aia::AplicImsic {
        nodes.extend([SUPERVISOR, MACHINE].map(|level| imsic(level, handles)));
    }
    nodes
}

fn plic(handles: &Handles) -> Node {
    device("plic", PLIC.base, PLIC.size)
        .cell("phandle", handles.controller())
        .cell("riscv,ndev", plic::SOURCES as u32 - 1)
        .cells(
            "interrupts-extended",
            &handles.interrupts([Line::MachineExternal, Line::SupervisorExternal]),
        )
        .flag("interrupt-controller")
        .texts("compatible", &["sifive,plic-1.0.0", "riscv,plic0"])
        .cell("#address-cells", 0)
        .cell("#interrupt-cells", 1)
}

/// The pin of a hart that a level's interrupts end at.
fn external(level: u32) -> Line {
    if level == MACHINE {
        Line::MachineExternal
    } else {
        Line::SupervisorExternal
    }
}

/// A controller of one level. What is machine mode's is of no use to a kernel, which firmware
/// would tell it.
fn of_level(level: u32, base: u64, size: u64, handles: &Handles) -> Node {
    let node = device("interrupt-controller", base, size);
    if level == MACHINE && !handles.firmware {
        node.text("status", "disabled")
    } else {
        node
    }
}

fn aplic(level: u32, handles: &Handles) -> Node {
    const SOURCES: u32 = aplic::SOURCES as u32 - 1;
    let range = [APLIC_MACHINE, APLIC_SUPERVISOR][level as usize];
    let mut node = of_level(level, range.base, range.size, handles)
        .cell("phandle", handles.aplic(level))
        .cell("riscv,num-sources", SOURCES)
        .flag("interrupt-controller")
        .cell("#interrupt-cells", 2)
        .cell("#address-cells", 0)
        .texts("compatible", &["qemu,aplic", "riscv,aplic"]);
    if level == MACHINE {
        let child = handles.aplic(SUPERVISOR);
        node = node
            .cell("riscv,children", child)
            .cells("riscv,delegation", &[child, 1, SOURCES])
            // What it was called before it became a standard; firmware knows it so.
            .cells("riscv,delegate", &[child, 1, SOURCES]);
    }
    if handles.aia == Aia::AplicImsic {
        node.cell("msi-parent", handles.imsic(level))
    } else {
        node.cells(
            "interrupts-extended",
            &handles.interrupts([external(level)]),
        )
    }
}

fn imsic(level: u32, handles: &Handles) -> Node {
    let range = [IMSIC_MACHINE, IMSIC_SUPERVISOR][level as usize];
    let size = range.size * u64::from(handles.cpus);
    of_level(level, range.base, size, handles)
        .cell("phandle", handles.imsic(level))
        .cell("riscv,num-ids", imsic::IDENTITIES as u32 - 1)
        .cells(
            "interrupts-extended",
            &handles.interrupts([external(level)]),
        )
        .flag("msi-controller")
        .flag("interrupt-controller")
        .cell("#interrupt-cells", 0)
        .texts("compatible", &["qemu,imsics", "riscv,imsics"])
}

/// SSIP: no wire of a hart, but an interrupt of it.
const SUPERVISOR_SOFTWARE: u32 = 1;

/// The CLINT, or the ACLINT devices in its place.
fn timers(config: &MachineConfig, handles: &Handles) -> Vec<Node> {
    if !config.aclint {
        let lines = handles.interrupts([Line::MachineSoftware, Line::MachineTimer]);
        let clint = device("clint", CLINT.base, CLINT.size)
            .cells("interrupts-extended", &lines)
            .texts("compatible", &["sifive,clint0", "riscv,clint0"]);
        return vec![clint];
    }
    if config.has_timer_only() {
        return vec![mtimer(CLINT.base, clint::MTIMER.1, handles)];
    }
    let software = |name, base, size, lines: Vec<u32>| {
        device(name, base, size)
            .cells("interrupts-extended", &lines)
            .flag("interrupt-controller")
            .cell("#interrupt-cells", 0)
            .text("compatible", &format!("riscv,aclint-{name}"))
    };
    let (start, _) = clint::MTIMER;
    // QEMU gives the rest of the CLINT's window to the time.
    let window = CLINT.size - start;
    vec![
        software(
            "sswi",
            SSWI.base,
            SSWI.size,
            handles.numbered(&[SUPERVISOR_SOFTWARE]),
        ),
        mtimer(CLINT.base + start, window, handles),
        software(
            "mswi",
            CLINT.base,
            clint::SWI.1,
            handles.interrupts([Line::MachineSoftware]),
        ),
    ]
}

/// The comparators, and behind them the time.
fn mtimer(base: u64, size: u64, handles: &Handles) -> Node {
    const TIME: u64 = 0x7ff8;
    let ranges = [(base + TIME, size - TIME), (base, TIME)];
    let longs = ranges.map(|(base, size)| [base, size]).concat();
    let cells: Vec<u32> = longs
        .into_iter()
        .flat_map(|long| [(long >> 32) as u32, long as u32])
        .collect();
    Node::new(format!("mtimer@{base:x}"))
        .cells("reg", &cells)
        .cells(
            "interrupts-extended",
            &handles.interrupts([Line::MachineTimer]),
        )
        .text("compatible", "riscv,aclint-mtimer")
}

fn device(name: &str, base: u64, size: u64) -> Node {
    Node::new(format!("{name}@{base:x}")).reg(base, size)
}

impl Node {
    /// With an interrupt of the board's controller.
    fn interrupt(self, source: u32, handles: &Handles) -> Self {
        self.cells("interrupts", &handles.source(source))
            .cell("interrupt-parent", handles.controller())
    }
}
