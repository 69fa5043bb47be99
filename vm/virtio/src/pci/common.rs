//! The common configuration structure (virtio 1.2 §4.1.4.3).

use super::VirtioPci;
use crate::Error;
use crate::spec::LEGACY_FEATURES;

const DEVICE_FEATURE_SELECT: u64 = 0;
const DEVICE_FEATURE: u64 = 4;
const DRIVER_FEATURE_SELECT: u64 = 8;
const DRIVER_FEATURE: u64 = 12;
const CONFIG_VECTOR: u64 = 16;
const NUM_QUEUES: u64 = 18;
const STATUS: u64 = 20;
const CONFIG_GENERATION: u64 = 21;
const QUEUE_SELECT: u64 = 22;
const QUEUE_SIZE: u64 = 24;
const QUEUE_VECTOR: u64 = 26;
const QUEUE_ENABLE: u64 = 28;
const QUEUE_NOTIFY_OFF: u64 = 30;
const QUEUE_DESC_LOW: u64 = 32;
const QUEUE_DESC_HIGH: u64 = 36;
const QUEUE_DRIVER_LOW: u64 = 40;
const QUEUE_DRIVER_HIGH: u64 = 44;
const QUEUE_DEVICE_LOW: u64 = 48;
const QUEUE_DEVICE_HIGH: u64 = 52;
const QUEUE_RESET: u64 = 58;

/// What the driver has selected and not yet put to use.
#[derive(Debug, Default)]
pub(super) struct Selection {
    device_features: u32,
    driver_features_select: u32,
    driver_features: [u32; 2],
    pub(super) queue: u16,
    /// The rings' addresses, by queue: descriptors, driver, device.
    rings: Vec<[u64; 3]>,
}

impl Selection {
    /// Nothing, of a device with that many queues.
    pub(super) fn new(queues: usize) -> Self {
        Self {
            rings: vec![[0; 3]; queues],
            ..Self::default()
        }
    }
}

impl VirtioPci {
    pub(super) fn read_common(&self, offset: u64) -> u64 {
        let virtio = &self.virtio;
        let selection = self.selection();
        let queue = usize::from(selection.queue);
        let setup = virtio.setup(queue);
        let ring = |index: usize| selection.rings.get(queue).map_or(0, |rings| rings[index]);
        match offset {
            DEVICE_FEATURE_SELECT => selection.device_features.into(),
            DEVICE_FEATURE => match selection.device_features {
                0 => virtio.offered() & !LEGACY_FEATURES & 0xffff_ffff,
                1 => virtio.offered() >> 32,
                _ => 0,
            },
            DRIVER_FEATURE_SELECT => selection.driver_features_select.into(),
            DRIVER_FEATURE => {
                let index = selection.driver_features_select as usize;
                let half = selection.driver_features.get(index);
                half.copied().unwrap_or(0).into()
            }
            CONFIG_VECTOR => self.lines.config_vector().into(),
            NUM_QUEUES => virtio.queue_count() as u64,
            STATUS => virtio.status().into(),
            CONFIG_GENERATION => u64::from(virtio.generation() as u8),
            QUEUE_SELECT => selection.queue.into(),
            QUEUE_SIZE => setup.map_or(0, |setup| setup.size.into()),
            QUEUE_VECTOR => self.lines.queue_vector(queue).into(),
            QUEUE_ENABLE => setup.is_some_and(|setup| setup.ready).into(),
            // Every queue has its own place to be kicked at, in their order.
            QUEUE_NOTIFY_OFF => selection.queue.into(),
            QUEUE_DESC_LOW => ring(0) & 0xffff_ffff,
            QUEUE_DESC_HIGH => ring(0) >> 32,
            QUEUE_DRIVER_LOW => ring(1) & 0xffff_ffff,
            QUEUE_DRIVER_HIGH => ring(1) >> 32,
            QUEUE_DEVICE_LOW => ring(2) & 0xffff_ffff,
            QUEUE_DEVICE_HIGH => ring(2) >> 32,
            _ => 0,
        }
    }

    pub(super) fn write_common(&self, offset: u64, value: u32) {
        let queue = self.selected();
        match offset {
            DEVICE_FEATURE_SELECT => self.selection().device_features = value,
            DRIVER_FEATURE_SELECT => self.selection().driver_features_select = value,
            DRIVER_FEATURE => self.choose_features(value),
            CONFIG_VECTOR => self.lines.set_config_vector(value as u16),
            STATUS if value as u8 == 0 => self.reset_device(),
            STATUS => self.virtio.set_status(value as u8),
            QUEUE_SELECT => self.select(value as u16),
            QUEUE_SIZE => self.virtio.set_size(queue, value),
            QUEUE_VECTOR => self.lines.set_queue_vector(queue, value as u16),
            QUEUE_ENABLE if value == 1 => self.enable(queue),
            QUEUE_ENABLE => self
                .virtio
                .fail(Error::Request("wrong value for queue_enable")),
            QUEUE_RESET if value == 1 => self.virtio.reset_queue(queue),
            QUEUE_DESC_LOW => self.place(queue, 0, 0, value),
            QUEUE_DESC_HIGH => self.place(queue, 0, 32, value),
            QUEUE_DRIVER_LOW => self.place(queue, 1, 0, value),
            QUEUE_DRIVER_HIGH => self.place(queue, 1, 32, value),
            QUEUE_DEVICE_LOW => self.place(queue, 2, 0, value),
            QUEUE_DEVICE_HIGH => self.place(queue, 2, 32, value),
            _ => {}
        }
    }

    fn choose_features(&self, value: u32) {
        let mut selection = self.selection();
        let index = selection.driver_features_select as usize;
        if let Some(half) = selection.driver_features.get_mut(index) {
            *half = value;
        }
        let [low, high] = selection.driver_features.map(u64::from);
        drop(selection);
        self.virtio.set_features(high << 32 | low);
    }

    /// Notes half of a ring's address.
    fn place(&self, queue: usize, ring: usize, shift: u32, value: u32) {
        let mut selection = self.selection();
        if let Some(rings) = selection.rings.get_mut(queue) {
            let kept = rings[ring] & !(0xffff_ffff << shift);
            rings[ring] = kept | u64::from(value) << shift;
        }
    }

    fn enable(&self, queue: usize) {
        let rings = self.selection().rings.get(queue).copied();
        let Some([descriptors, driver, device]) = rings else {
            return;
        };
        self.virtio.configure(queue, |setup| {
            setup.descriptors = descriptors;
            setup.driver = driver;
            setup.device = device;
        });
        self.virtio.enable(queue);
    }
}
