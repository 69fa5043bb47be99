//! The memory-mapped transport: a slot of the board that may hold a device.

mod spec;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tinamou_devices::IrqLine;
use tinamou_memory::Mmio;

use crate::Virtio;
use crate::port::Interrupt;
use crate::queue::legacy_setup;
use crate::spec::{LEGACY_FEATURES, QUEUE_SIZE_MAX, feature, isr, status};

use spec::{CONFIG, MAGIC_VALUE, Register, VENDOR_ID};

pub use spec::SIZE;

/// Queue numbers that can be selected.
const QUEUES_MAX: u32 = 1024;
/// The alignment of a legacy ring until the driver says otherwise.
const ALIGNMENT: u32 = 4096;

/// A slot. Empty, it names device 0 and the driver goes on (virtio 1.2 §4.2.3.1.1).
#[derive(Debug)]
pub struct VirtioMmio {
    legacy: bool,
    device: OnceLock<Arc<Virtio>>,
    registers: Mutex<Registers>,
    interrupt: Arc<Lines>,
}

/// What the driver has selected and not yet put to use.
#[derive(Debug, Default)]
struct Registers {
    device_features_sel: u32,
    driver_features_sel: u32,
    driver_features: [u32; 2],
    guest_page_shift: u32,
    queue_sel: u32,
    queues: Vec<QueueRegisters>,
}

#[derive(Clone, Copy, Debug)]
struct QueueRegisters {
    size: u32,
    alignment: u32,
    descriptors: [u32; 2],
    driver: [u32; 2],
    device: [u32; 2],
}

impl Default for QueueRegisters {
    fn default() -> Self {
        Self {
            size: 0,
            alignment: ALIGNMENT,
            descriptors: [0; 2],
            driver: [0; 2],
            device: [0; 2],
        }
    }
}

/// The interrupt status and the line it drives.
#[derive(Debug)]
struct Lines {
    status: Mutex<u32>,
    line: IrqLine,
}

impl Lines {
    fn status(&self) -> u32 {
        *self.lock()
    }

    /// Changes the status, and the line under the same lock, so that they never disagree.
    fn update(&self, change: impl FnOnce(u32) -> u32) {
        let mut status = self.lock();
        *status = change(*status);
        self.line.set(*status != 0);
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt for Lines {
    fn queue(&self, _: usize) {
        self.update(|status| status | u32::from(isr::QUEUE));
    }

    fn config(&self) {
        self.update(|status| status | u32::from(isr::QUEUE | isr::CONFIG));
    }
}

impl VirtioMmio {
    /// An empty slot with the legacy interface or the modern one.
    #[must_use]
    pub fn new(line: IrqLine, legacy: bool) -> Self {
        Self {
            legacy,
            device: OnceLock::new(),
            registers: Mutex::default(),
            interrupt: Arc::new(Lines {
                status: Mutex::new(0),
                line,
            }),
        }
    }

    /// Feature bits that the transport adds to a device's.
    #[must_use]
    pub fn features(&self) -> u64 {
        if self.legacy { 0 } else { feature::VERSION_1 }
    }

    /// Puts a device into the slot, for good. False when one is there.
    pub fn plug(&self, device: Arc<Virtio>) -> bool {
        device.connect(self.interrupt.clone());
        self.registers().queues = vec![QueueRegisters::default(); device.queue_count()];
        self.device.set(device).is_ok()
    }

    /// The device in the slot.
    #[must_use]
    pub fn device(&self) -> Option<&Arc<Virtio>> {
        self.device.get()
    }

    /// Whether the slot has the legacy interface.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.legacy
    }

    /// The queue the driver has selected.
    #[must_use]
    pub fn queue_sel(&self) -> u32 {
        self.registers().queue_sel
    }

    /// The alignment of a queue's last part, as a legacy driver has told it.
    #[must_use]
    pub fn alignment(&self, queue: usize) -> u32 {
        let registers = self.registers();
        let queue = registers.queues.get(queue);
        queue.map_or(ALIGNMENT, |queue| queue.alignment)
    }

    /// The interrupt status.
    #[must_use]
    pub fn interrupt_status(&self) -> u32 {
        self.interrupt.status()
    }

    /// As at power-on.
    pub fn reset(&self) {
        if let Some(device) = self.device() {
            let mut registers = self.registers();
            self.reset_device(&mut registers, device);
            *registers = Registers {
                queues: vec![QueueRegisters::default(); device.queue_count()],
                ..Registers::default()
            };
        }
    }

    /// What a driver resets: a legacy one has told its page size before and does not again.
    fn reset_device(&self, registers: &mut Registers, device: &Virtio) {
        device.reset();
        registers.queue_sel = 0;
        self.interrupt.update(|_| 0);
    }

    fn version(&self) -> u32 {
        if self.legacy { 1 } else { 2 }
    }

    /// What every slot answers, and an empty one nothing else.
    fn read_identity(&self, offset: u64) -> u32 {
        match Register::at(offset) {
            Some(Register::Magic) => MAGIC_VALUE,
            Some(Register::Version) => self.version(),
            Some(Register::Vendor) => VENDOR_ID,
            _ => 0,
        }
    }

    fn read_empty(&self, offset: u64, size: u8) -> u64 {
        let word = u64::from(self.read_identity(offset));
        match size {
            8 => word | u64::from(self.read_identity(offset.wrapping_add(4))) << 32,
            _ => word & ((1 << (8 * size.min(4))) - 1),
        }
    }

    fn read_register(&self, device: &Virtio, register: Register) -> u32 {
        let registers = self.registers();
        let queue = registers.queue_sel as usize;
        match register {
            Register::Magic => MAGIC_VALUE,
            Register::Version => self.version(),
            Register::DeviceId => device.device_type() as u32,
            Register::Vendor => VENDOR_ID,
            Register::DeviceFeatures => self.device_features(device, &registers),
            Register::QueueNumMax if device.size_max(queue) > 0 => QUEUE_SIZE_MAX.into(),
            Register::QueuePfn if self.legacy => {
                let descriptors = device.setup(queue).map_or(0, |setup| setup.descriptors);
                (descriptors >> registers.guest_page_shift) as u32
            }
            Register::QueueReady if !self.legacy => {
                device.setup(queue).is_some_and(|setup| setup.ready).into()
            }
            Register::InterruptStatus => self.interrupt.status(),
            Register::Status => device.status().into(),
            Register::ConfigGeneration if !self.legacy => device.generation(),
            // No shared memory regions: each has the length -1 (virtio 1.2 §4.2.2).
            Register::ShmLenLow | Register::ShmLenHigh => u32::MAX,
            _ => 0,
        }
    }

    fn device_features(&self, device: &Virtio, registers: &Registers) -> u32 {
        let offered = device.offered();
        match registers.device_features_sel {
            0 if self.legacy => offered as u32,
            0 => (offered & !LEGACY_FEATURES) as u32,
            _ if self.legacy => 0,
            _ => (offered >> 32) as u32,
        }
    }

    fn write_register(&self, device: &Virtio, register: Register, value: u32) {
        let mut registers = self.registers();
        let queue = registers.queue_sel as usize;
        match register {
            Register::DeviceFeaturesSel => registers.device_features_sel = (value != 0).into(),
            Register::DriverFeaturesSel => registers.driver_features_sel = (value != 0).into(),
            Register::DriverFeatures => self.choose_features(device, &mut registers, value),
            Register::QueueSel if value < QUEUES_MAX => registers.queue_sel = value,
            Register::QueueNotify => device.kick(value as usize),
            Register::InterruptAck => self.interrupt.update(|status| status & !value),
            Register::Status => self.write_status(device, &mut registers, value as u8),
            Register::QueuePfn if self.legacy && value == 0 => {
                self.reset_device(&mut registers, device);
            }
            _ if self.legacy => write_legacy(device, &mut registers, register, value),
            _ => write_modern(device, &mut registers, register, value, queue),
        }
    }

    fn choose_features(&self, device: &Virtio, registers: &mut Registers, value: u32) {
        let high = registers.driver_features_sel != 0;
        if !self.legacy {
            registers.driver_features[usize::from(high)] = value;
        } else if !high {
            device.set_features(value.into());
        }
    }

    fn write_status(&self, device: &Virtio, registers: &mut Registers, value: u8) {
        if value == 0 {
            return self.reset_device(registers, device);
        }
        let mut value = value;
        let negotiates = value & !device.status() & status::FEATURES_OK != 0;
        if !self.legacy && negotiates {
            let [low, high] = registers.driver_features.map(u64::from);
            if !device.set_features(high << 32 | low) {
                value &= !status::FEATURES_OK;
            }
        }
        device.set_status(value);
    }

    fn registers(&self) -> MutexGuard<'_, Registers> {
        self.registers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_legacy(device: &Virtio, registers: &mut Registers, register: Register, value: u32) {
    let queue = registers.queue_sel as usize;
    let shift = registers.guest_page_shift;
    match register {
        Register::GuestPageSize => {
            registers.guest_page_shift = Some(value.trailing_zeros())
                .filter(|shift| *shift < 32)
                .unwrap_or(0);
        }
        Register::QueueNum => {
            device.set_size(queue, value);
            place_rings(device, registers, queue);
        }
        Register::QueueAlign => {
            if let Some(pending) = registers.queues.get_mut(queue) {
                pending.alignment = value;
            }
            place_rings(device, registers, queue);
        }
        Register::QueuePfn => {
            let base = u64::from(value) << shift;
            device.configure(queue, |setup| setup.descriptors = base);
            place_rings(device, registers, queue);
            device.enable(queue);
        }
        _ => {}
    }
}

/// Finds the other parts of a legacy ring from where its descriptors are.
fn place_rings(device: &Virtio, registers: &Registers, queue: usize) {
    let Some(pending) = registers.queues.get(queue) else {
        return;
    };
    device.configure(queue, |setup| {
        *setup = legacy_setup(*setup, pending.alignment);
    });
}

fn write_modern(
    device: &Virtio,
    registers: &mut Registers,
    register: Register,
    value: u32,
    queue: usize,
) {
    let Some(pending) = registers.queues.get_mut(queue) else {
        return;
    };
    match register {
        Register::QueueNum => pending.size = value,
        Register::QueueDescLow => pending.descriptors[0] = value,
        Register::QueueDescHigh => pending.descriptors[1] = value,
        Register::QueueDriverLow => pending.driver[0] = value,
        Register::QueueDriverHigh => pending.driver[1] = value,
        Register::QueueDeviceLow => pending.device[0] = value,
        Register::QueueDeviceHigh => pending.device[1] = value,
        Register::QueueReady if value == 0 => device.reset_queue(queue),
        Register::QueueReady => {
            let join = |[low, high]: [u32; 2]| u64::from(high) << 32 | u64::from(low);
            device.set_size(queue, pending.size);
            device.configure(queue, |setup| {
                setup.descriptors = join(pending.descriptors);
                setup.driver = join(pending.driver);
                setup.device = join(pending.device);
            });
            device.enable(queue);
        }
        _ => {}
    }
}

impl Mmio for VirtioMmio {
    fn read(&self, offset: u64, size: u8) -> u64 {
        let Some(device) = self.device() else {
            return self.read_empty(offset, size);
        };
        if let Some(offset) = offset.checked_sub(CONFIG) {
            let mut bytes = [0; 8];
            device.read_config(offset, &mut bytes[..usize::from(size.min(8))]);
            return u64::from_le_bytes(bytes);
        }
        let register = Register::at(offset).filter(|_| size == 4);
        register.map_or(0, |register| self.read_register(device, register).into())
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        let Some(device) = self.device() else { return };
        if let Some(offset) = offset.checked_sub(CONFIG) {
            let bytes = value.to_le_bytes();
            return device.write_config(offset, &bytes[..usize::from(size.min(8))]);
        }
        if let Some(register) = Register::at(offset).filter(|_| size == 4) {
            self.write_register(device, register, value as u32);
        }
    }
}

#[cfg(test)]
mod tests;
