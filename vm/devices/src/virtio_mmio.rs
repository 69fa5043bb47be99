//! The virtio-mmio transport, as long as no device sits in it.

use tinamou_memory::Mmio;

/// The size of the register window.
pub const SIZE: u64 = 0x200;

/// "virt" in little-endian letters (virtio 1.2 §4.2.2).
const MAGIC_VALUE: u32 = 0x7472_6976;
/// The version of the legacy interface (virtio 1.2 §4.2.4).
const VERSION_LEGACY: u32 = 1;
/// "QEMU".
const VENDOR_ID: u32 = 0x554d_4551;

/// An empty slot: the driver finds device number 0 and goes on (virtio 1.2 §4.2.3.1.1).
#[derive(Debug)]
pub struct VirtioMmio;

impl VirtioMmio {
    fn read_word(offset: u64) -> u32 {
        match offset {
            0x00 => MAGIC_VALUE,
            0x04 => VERSION_LEGACY,
            0x0c => VENDOR_ID,
            _ => 0,
        }
    }
}

impl Mmio for VirtioMmio {
    fn read(&self, offset: u64, size: u8) -> u64 {
        let word = u64::from(Self::read_word(offset));
        match size {
            8 => word | u64::from(Self::read_word(offset.wrapping_add(4))) << 32,
            _ => word & ((1 << (8 * size.min(4))) - 1),
        }
    }

    fn write(&self, _: u64, _: u8, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_slot_names_no_device() {
        let check = |offset, size, expected| {
            assert_eq!(
                VirtioMmio.read(offset, size),
                expected,
                "{size} bytes at {offset:#x}"
            );
        };
        check(0, 4, 0x7472_6976);
        check(4, 4, 1);
        check(8, 4, 0);
        check(12, 4, 0x554d_4551);
        check(0, 1, 0x76);
        check(1, 1, 0);
        check(0, 2, 0x6976);
        check(0, 8, 0x1_7472_6976);
        check(0x1f8, 8, 0);
    }
}
