//! The device tree of the board: only what exists is in it.

use tinamou_devices::clint::TIMEBASE_FREQUENCY;
use tinamou_devices::{plic, uart};
use tinamou_hart::{Extension, Isa, Line};

use super::{
    CLINT, GPIO, GPIO_IRQ, PLIC, RAM_BASE, RTC, RTC_IRQ, TEST, UART, UART_IRQ, VIRTIO, VIRTIO_IRQ,
    VIRTIO_SLOTS, pci,
};
use crate::config::MachineConfig;
use crate::fdt::Node;

/// The size of a cache block, as the cache block instructions see it.
const CACHE_BLOCK: u32 = 64;

/// The tree; `chosen` gets the rest when programs are loaded.
pub(super) fn board(config: &MachineConfig) -> Node {
    let handles = Handles {
        cpus: config.cpus as u32,
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

/// The numbers by which nodes name each other.
struct Handles {
    cpus: u32,
}

impl Handles {
    // QEMU numbers harts from the last to the first, each before its interrupt controller.
    fn cpu(&self, index: u32) -> u32 {
        2 * (self.cpus - 1 - index) + 1
    }

    fn cpu_interrupts(&self, index: u32) -> u32 {
        self.cpu(index) + 1
    }

    fn plic(&self) -> u32 {
        2 * self.cpus + 1
    }

    fn test(&self) -> u32 {
        2 * self.cpus + 2
    }

    fn gpio(&self) -> u32 {
        2 * self.cpus + 3
    }

    /// For every hart, its interrupt controller and each of `lines`.
    fn interrupts(&self, lines: [Line; 2]) -> Vec<u32> {
        let harts = (0..self.cpus).map(|index| self.cpu_interrupts(index));
        harts
            .flat_map(|handle| lines.map(|line| [handle, line as u32]).concat())
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
        .child(interrupt_controller(handles))
        .child(
            device("clint", CLINT.base, CLINT.size)
                .cells(
                    "interrupts-extended",
                    &handles.interrupts([Line::MachineSoftware, Line::MachineTimer]),
                )
                .texts("compatible", &["sifive,clint0", "riscv,clint0"]),
        )
        .child(pci::node(config.ram_size, handles.plic()))
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

fn interrupt_controller(handles: &Handles) -> Node {
    device("plic", PLIC.base, PLIC.size)
        .cell("phandle", handles.plic())
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

fn device(name: &str, base: u64, size: u64) -> Node {
    Node::new(format!("{name}@{base:x}")).reg(base, size)
}

impl Node {
    /// With an interrupt of the board's controller.
    fn interrupt(self, source: u32, handles: &Handles) -> Self {
        self.cell("interrupts", source)
            .cell("interrupt-parent", handles.plic())
    }
}
