//! PCI Express on the board: where the host bridge's windows are, and what the device tree says
//! of them.

use std::sync::Arc;

use tinamou_devices::{IrqLine, MsiSink};
use tinamou_memory::Region;
use tinamou_pci::PciHost;

use super::Range;
use super::tree::Handles;
use crate::config::MachineConfig;
use crate::fdt::Node;

const ECAM: Range = Range {
    base: 0x3000_0000,
    size: 0x1000_0000,
};
const PIO: Range = Range {
    base: 0x300_0000,
    size: 0x1_0000,
};
const MMIO: Range = Range {
    base: 0x4000_0000,
    size: 0x4000_0000,
};
/// The size of the window above RAM, and what its base is a multiple of.
const HIGH_MMIO_SIZE: u64 = 0x4_0000_0000;

/// The interrupt of INTA; the others follow.
pub(super) const IRQ: usize = 32;
/// Wires and slots before the pattern of interrupts begins again.
const PINS: u32 = 4;

/// Where the host's windows are.
#[derive(Clone, Copy, Debug)]
pub struct PciWindows {
    /// On configuration space.
    pub ecam: Range,
    /// On ports.
    pub pio: Range,
    /// On memory below 4 GiB.
    pub mmio: Range,
    /// On memory above RAM.
    pub high_mmio: Range,
}

impl PciWindows {
    /// The windows of a board.
    #[must_use]
    pub fn new(config: &MachineConfig) -> Self {
        Self {
            ecam: ECAM,
            pio: PIO,
            mmio: MMIO,
            high_mmio: high_mmio(config.memory_end()),
        }
    }
}

/// The window for what can be placed above 4 GiB lies above all memory.
fn high_mmio(memory_end: u64) -> Range {
    let base = memory_end.checked_next_multiple_of(HIGH_MMIO_SIZE);
    Range {
        // Nobody has RAM up to the end of the address space.
        base: base.unwrap_or(HIGH_MMIO_SIZE),
        size: HIGH_MMIO_SIZE,
    }
}

/// The host, wired to the interrupt controller.
pub(super) fn host(inputs: &[IrqLine], messages: Arc<dyn MsiSink>) -> PciHost {
    let pins = std::array::from_fn(|pin| {
        let wire = inputs.get(IRQ + pin).cloned();
        wire.unwrap_or_else(IrqLine::unconnected)
    });
    PciHost::new(pins, messages)
}

/// The windows through which harts reach the host.
pub(super) fn regions(host: &PciHost, memory_end: u64) -> [Region; 4] {
    let high = high_mmio(memory_end);
    let memory = |name, range: Range| {
        Region::mmio(name, range.base, range.size, host.memory_window(range.base))
    };
    [
        Region::mmio("gpex_ioport", PIO.base, PIO.size, host.io_window()),
        Region::mmio("pcie-ecam", ECAM.base, ECAM.size, host.ecam()),
        memory("pcie-mmio", MMIO),
        memory("pcie-mmio-high", high),
    ]
}

/// The node of the host in the device tree.
pub(super) fn node(memory_end: u64, handles: &Handles) -> Node {
    /// Of an address: slot bits 1 and 0 (PCI Bus Binding §2.2.1).
    const SLOT_MASK: u32 = 0x1800;
    const PIN_MASK: u32 = 7;
    let node = Node::new(format!("pci@{:x}", ECAM.base))
        .cells("interrupt-map-mask", &[SLOT_MASK, 0, 0, PIN_MASK])
        .cells("interrupt-map", &interrupt_map(handles))
        .cells("ranges", &ranges(memory_end))
        .reg(ECAM.base, ECAM.size)
        .flag("dma-coherent")
        .cells("bus-range", &[0, (ECAM.size >> 20) as u32 - 1])
        .cell("linux,pci-domain", 0)
        .text("device_type", "pci")
        .text("compatible", "pci-host-ecam-generic")
        .cell("#size-cells", 2)
        .cell("#interrupt-cells", 1)
        .cell("#address-cells", 3);
    match handles.messages() {
        Some(files) => node.cell("msi-parent", files),
        None => node,
    }
}

/// For every slot and pin, the input of the interrupt controller.
fn interrupt_map(handles: &Handles) -> Vec<u32> {
    let slots = 0..PINS;
    let entries = slots.flat_map(|slot| {
        (0..PINS).map(move |pin| {
            let input = IRQ as u32 + (slot + pin) % PINS;
            let pin = [slot << 11, 0, 0, pin + 1, handles.controller()];
            [&pin[..], &handles.source(input)].concat()
        })
    });
    entries.flatten().collect()
}

fn ranges(memory_end: u64) -> Vec<u32> {
    // The kinds of addresses (PCI Bus Binding §2.2.1.1).
    const IO: u32 = 0x100_0000;
    const MEMORY_32: u32 = 0x200_0000;
    const MEMORY_64: u32 = 0x300_0000;
    let high = high_mmio(memory_end);
    let windows = [
        (IO, 0, PIO),
        (MEMORY_32, MMIO.base, MMIO),
        (MEMORY_64, high.base, high),
    ];
    let entries = windows.map(|(kind, address, window)| {
        let longs = [address, window.base, window.size];
        let cells = longs.map(|long| [(long >> 32) as u32, long as u32]);
        [&[kind][..], &cells.concat()].concat()
    });
    entries.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_window_begins_above_memory() {
        let check = |ram: u64, max_ram: u64, slots: u64, base: u64| {
            let config = MachineConfig {
                ram_size: ram << 30,
                max_ram_size: max_ram << 30,
                ram_slots: slots,
                ..MachineConfig::default()
            };
            assert_eq!(PciWindows::new(&config).high_mmio.base, base << 30);
        };
        check(1, 0, 0, 16);
        check(14, 14, 0, 16);
        check(15, 0, 0, 32);
        check(64, 0, 0, 80);
        check(1, 14, 0, 16);
        check(1, 14, 1, 32);
        check(1, 15, 0, 32);
    }
}
