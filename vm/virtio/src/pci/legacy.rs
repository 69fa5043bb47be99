//! The legacy registers (virtio 1.2 §4.1.4.10), in a bar of ports.

use super::VirtioPci;
use super::layout::{LEGACY_SIZE, LEGACY_SIZE_MSIX};
use crate::queue::legacy_setup;
use crate::spec::{feature, status};

const HOST_FEATURES: u64 = 0;
const GUEST_FEATURES: u64 = 4;
const QUEUE_ADDRESS: u64 = 8;
const QUEUE_SIZE: u64 = 12;
const QUEUE_SELECT: u64 = 14;
const QUEUE_NOTIFY: u64 = 16;
const STATUS: u64 = 18;
const ISR: u64 = 19;
const CONFIG_VECTOR: u64 = 20;
const QUEUE_VECTOR: u64 = 22;

/// Rings are given by the number of a page of this size, and aligned to it.
const PAGE_SHIFT: u32 = 12;

impl VirtioPci {
    pub(super) fn read_legacy(&self, offset: u64, size: u8) -> u64 {
        if let Some(offset) = offset.checked_sub(self.legacy_config()) {
            return self.read_device(offset, size);
        }
        let virtio = &self.virtio;
        let queue = self.selected();
        match offset {
            HOST_FEATURES => virtio.offered() & 0xffff_ffff,
            GUEST_FEATURES => virtio.features() & 0xffff_ffff,
            QUEUE_ADDRESS => {
                let setup = virtio.setup(queue);
                setup.map_or(0, |setup| setup.descriptors >> PAGE_SHIFT)
            }
            QUEUE_SIZE => virtio.setup(queue).map_or(0, |setup| setup.size.into()),
            QUEUE_SELECT => queue as u64,
            STATUS => virtio.status().into(),
            ISR => self.lines.take_status().into(),
            CONFIG_VECTOR => self.lines.config_vector().into(),
            QUEUE_VECTOR => self.lines.queue_vector(queue).into(),
            _ => u64::MAX,
        }
    }

    pub(super) fn write_legacy(&self, offset: u64, size: u8, value: u64) {
        if let Some(offset) = offset.checked_sub(self.legacy_config()) {
            return self.write_device(offset, size, value);
        }
        let queue = self.selected();
        match offset {
            GUEST_FEATURES => {
                let chosen = value & 0xffff_ffff;
                // A driver that takes this one cannot be trusted with any.
                let bad = chosen & feature::BAD_FEATURE != 0;
                self.virtio.set_features(if bad { 0 } else { chosen });
            }
            QUEUE_ADDRESS if value & 0xffff_ffff == 0 => self.reset_device(),
            QUEUE_ADDRESS => {
                let base = (value & 0xffff_ffff) << PAGE_SHIFT;
                self.virtio.configure(queue, |setup| {
                    setup.descriptors = base;
                    *setup = legacy_setup(*setup, 1 << PAGE_SHIFT);
                });
                self.virtio.enable(queue);
            }
            QUEUE_SELECT => self.select(value as u16),
            QUEUE_NOTIFY => self.virtio.kick(usize::from(value as u16)),
            STATUS => self.write_legacy_status(value as u8),
            CONFIG_VECTOR => self.lines.set_config_vector(value as u16),
            QUEUE_VECTOR => self.lines.set_queue_vector(queue, value as u16),
            _ => {}
        }
    }

    fn write_legacy_status(&self, value: u8) {
        if value == 0 {
            return self.reset_device();
        }
        self.virtio.set_status(value);
        if value == status::ACKNOWLEDGE | status::DRIVER {
            // Old drivers forget to turn on bus mastering; QEMU does it for them.
            self.become_master();
        }
    }

    /// Where the device's own configuration begins: vectors are there only while in use.
    fn legacy_config(&self) -> u64 {
        if self.interface.msix_enabled() {
            LEGACY_SIZE_MSIX
        } else {
            LEGACY_SIZE
        }
    }
}
