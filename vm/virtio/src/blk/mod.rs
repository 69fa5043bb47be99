//! The block device (virtio 1.2 §5.2): a disk.

mod config;
mod request;
pub mod spec;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tinamou_block::{BlockBackend, Disk};
use tokio::sync::{RwLock, Semaphore};

pub use config::{MAX_SECTORS, Options};

use crate::{DeviceType, Port, VirtioDevice};
use spec::feature;

/// Memory that requests may take together, in units of [`UNIT`].
const BUFFERS: usize = 64 << 10;
/// Bytes of such a unit.
const UNIT: usize = 1 << 10;

/// The device.
pub struct Blk {
    port: Port,
    disk: Arc<BlockBackend>,
    options: Options,
    /// Requests that came before the last reset may still be under way, and must not overtake
    /// those that come after it.
    reset: AtomicBool,
    traffic: RwLock<()>,
    buffers: Semaphore,
    me: Weak<Self>,
}

impl Blk {
    /// A disk of what `disk` holds.
    #[must_use]
    pub fn new(port: Port, disk: Arc<BlockBackend>, options: Options) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            port,
            disk,
            options,
            reset: AtomicBool::new(false),
            traffic: RwLock::new(()),
            buffers: Semaphore::new(BUFFERS),
            me: me.clone(),
        })
    }
}

impl VirtioDevice for Blk {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }

    fn features(&self) -> u64 {
        let mut features = self.options.features();
        if self.disk.write_cache() {
            features |= feature::FLUSH;
        }
        if self.disk.is_read_only() {
            features |= feature::RO;
        }
        features
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![self.options.queue_size; self.options.queues.into()]
    }

    fn config(&self) -> Vec<u8> {
        self.options
            .config(self.disk.size(), self.disk.write_cache())
    }

    fn write_config(&self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.port.has(feature::CONFIG_WCE) && (offset..end).contains(&spec::CONFIG_WCE) {
            let on = bytes[spec::CONFIG_WCE - offset];
            self.disk.set_write_cache(on != 0);
        }
    }

    fn driver_ok(&self) {
        // A driver that does not know of the cache must not lose writes to it.
        if !self.port.has(feature::CONFIG_WCE) {
            self.disk.set_write_cache(self.port.has(feature::FLUSH));
        }
    }

    fn kick(&self, queue: usize) {
        while let Some(chain) = self.port.pop(queue) {
            let (Some(blk), Some(pass)) = (self.me.upgrade(), self.port.pass()) else {
                return self.port.unpop(chain);
            };
            self.port.spawn(blk.serve(chain, pass));
        }
    }

    fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.disk.abandon();
    }
}

impl Disk for Blk {
    fn resized(&self, _: u64) {
        self.port.config_changed();
    }
}
