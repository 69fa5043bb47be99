//! The SCSI host device (virtio 1.2 §5.6): a bus of disks and CD drives.

mod command;
mod control;
mod events;
mod request;
mod sense;
pub mod spec;
mod target;
mod task;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

pub use sense::Sense;
pub use unit::{Address, Kind, Options as UnitOptions, Unit};

use crate::{DeviceType, Error, Port, VirtioDevice};
use events::Events;
use spec::{config, feature};
use task::Tasks;

/// The queue for task management.
const CONTROL: usize = 0;
/// The queue for events.
const EVENTS: usize = 1;
/// The first of the queues for commands.
const COMMANDS: usize = 2;

/// What a host is made to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many queues for commands there are.
    pub queues: u16,
    /// Descriptors of each.
    pub queue_size: u16,
    /// The most segments follow from the queue's size.
    pub seg_max_adjust: bool,
    /// Sectors of the longest transfer.
    pub max_sectors: u32,
    /// How many commands a unit is to have at once.
    pub cmd_per_lun: u32,
    /// Units that come and go are told.
    pub hotplug: bool,
    /// Changed parameters of units are told.
    pub param_change: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queues: 1,
            queue_size: 256,
            seg_max_adjust: true,
            max_sectors: 0xffff,
            cmd_per_lun: 128,
            hotplug: true,
            param_change: true,
        }
    }
}

/// The device.
pub struct Host {
    port: Port,
    options: Options,
    units: RwLock<BTreeMap<Address, Arc<Unit>>>,
    tasks: Tasks,
    events: Mutex<Events>,
    cdb_size: AtomicU32,
    sense_size: AtomicU32,
    /// Commands that came before the last reset may still be under way, and must not overtake
    /// those that come after it.
    reset: AtomicBool,
    traffic: tokio::sync::RwLock<()>,
    me: Weak<Self>,
}

impl Host {
    /// A host without units.
    #[must_use]
    pub fn new(port: Port, options: Options) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            port,
            options,
            units: RwLock::default(),
            tasks: Tasks::default(),
            events: Mutex::default(),
            cdb_size: AtomicU32::new(spec::CDB_SIZE),
            sense_size: AtomicU32::new(spec::SENSE_SIZE),
            reset: AtomicBool::new(false),
            traffic: tokio::sync::RwLock::new(()),
            me: me.clone(),
        })
    }

    /// Adds a unit at its address, in place of whatever was there.
    pub fn plug(&self, unit: &Arc<Unit>) {
        let host = self.me.clone();
        unit.connect(Box::new(move |address, news| {
            if let Some(host) = host.upgrade() {
                host.tell_change(address, news);
            }
        }));
        let address = unit.address();
        let mut units = self.units.write().unwrap_or_else(PoisonError::into_inner);
        units.insert(address, Arc::clone(unit));
        drop(units);
        self.tell_hotplug(address, spec::event::RESCAN);
    }

    /// Takes a unit out.
    pub fn unplug(&self, address: Address) {
        let mut units = self.units.write().unwrap_or_else(PoisonError::into_inner);
        let removed = units.remove(&address);
        drop(units);
        if let Some(unit) = removed {
            // Nobody waits for its commands to succeed any more.
            unit.backend().abandon();
            self.tell_hotplug(address, spec::event::REMOVED);
        }
    }

    fn unit(&self, address: Address) -> Option<Arc<Unit>> {
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        units.get(&address).cloned()
    }

    fn units(&self) -> Vec<Arc<Unit>> {
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        units.values().cloned().collect()
    }

    /// The numbers of a target's units.
    fn luns(&self, target: u8) -> Vec<u16> {
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        let luns = units.keys().filter(|address| address.target == target);
        luns.map(|address| address.lun).collect()
    }
}

impl VirtioDevice for Host {
    fn device_type(&self) -> DeviceType {
        DeviceType::Scsi
    }

    fn features(&self) -> u64 {
        let hotplug = if self.options.hotplug {
            feature::HOTPLUG
        } else {
            0
        };
        let change = if self.options.param_change {
            feature::CHANGE
        } else {
            0
        };
        hotplug | change
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![self.options.queue_size; COMMANDS + usize::from(self.options.queues)]
    }

    fn config(&self) -> Vec<u8> {
        let options = &self.options;
        let seg_max = match options.seg_max_adjust {
            true => u32::from(options.queue_size.saturating_sub(2)),
            false => 126,
        };
        let numbers = [
            options.queues.into(),
            seg_max,
            options.max_sectors,
            options.cmd_per_lun,
            spec::EVENT_SIZE,
            self.sense_size.load(Ordering::Relaxed),
            self.cdb_size.load(Ordering::Relaxed),
        ];
        let mut config: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        // One channel.
        config.extend(0_u16.to_le_bytes());
        config.extend(spec::TARGET_MAX.to_le_bytes());
        config.extend(u32::from(spec::LUN_MAX).to_le_bytes());
        config
    }

    fn write_config(&self, offset: usize, bytes: &[u8]) {
        let mut whole = self.config();
        whole[offset..offset + bytes.len()].copy_from_slice(bytes);
        let number = |offset: usize| {
            let bytes = whole[offset..offset + 4].try_into();
            u32::from_le_bytes(bytes.expect("4 bytes"))
        };
        let (sense_size, cdb_size) = (number(config::SENSE_SIZE), number(config::CDB_SIZE));
        if sense_size > spec::SIZE_MAX || cdb_size > spec::SIZE_MAX {
            let bad = "bad data written to virtio-scsi configuration space";
            return self.port.fail(Error::Request(bad));
        }
        self.sense_size.store(sense_size, Ordering::Relaxed);
        self.cdb_size.store(cdb_size, Ordering::Relaxed);
    }

    fn kick(&self, queue: usize) {
        if queue == EVENTS {
            return self.send_events();
        }
        while let Some(chain) = self.port.pop(queue) {
            let (Some(host), Some(pass)) = (self.me.upgrade(), self.port.pass()) else {
                return self.port.unpop(chain);
            };
            match queue {
                CONTROL => self.port.spawn(host.manage(chain, pass)),
                _ => self.port.spawn(host.serve(chain, pass)),
            }
        }
    }

    fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.cdb_size.store(spec::CDB_SIZE, Ordering::Relaxed);
        self.sense_size.store(spec::SENSE_SIZE, Ordering::Relaxed);
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Events::default();
        for unit in self.units() {
            unit.reset();
        }
    }
}
