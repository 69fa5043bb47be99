//! The PCI transport (virtio 1.2 §4.1): legacy registers, modern structures, or both.

mod common;
mod layout;
mod legacy;
mod lines;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_pci::spec::{command, header};
use tinamou_pci::{Function, Interface, PciFunction};

use crate::spec::{feature, status};
use crate::{DeviceType, Virtio};
use common::Selection;
use layout::{COMMON, DEVICE, ISR, LEGACY_BAR, Layout, MODERN_BAR, NOTIFY, PORT_BAR, window};
use lines::Lines;

/// Queue numbers that can be selected.
const QUEUES_MAX: u16 = 1024;

/// Which interfaces a function has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Legacy registers.
    pub legacy: bool,
    /// Modern structures.
    pub modern: bool,
}

impl Mode {
    /// Both.
    pub const TRANSITIONAL: Self = Self {
        legacy: true,
        modern: true,
    };
    /// Modern structures alone.
    pub const MODERN: Self = Self {
        legacy: false,
        modern: true,
    };

    /// Whether legacy drivers know devices of this type at all.
    #[must_use]
    pub fn has_legacy(device: DeviceType) -> bool {
        layout::transitional_id(device).is_some()
    }
}

/// What a user can choose of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own"
)]
pub struct Options {
    /// The PCI class, base class first.
    pub class: u16,
    /// Which interfaces there are.
    pub mode: Mode,
    /// MSI-X vectors; none leaves the interrupt pin.
    pub vectors: u16,
    /// Kicks may come as port writes.
    pub modern_pio_notify: bool,
    /// Each queue is kicked in a page of its own.
    pub page_per_vq: bool,
    /// Further functions are in the slot.
    pub multifunction: bool,
    /// The function is at the end of a PCI Express link.
    pub express: bool,
    /// It can then be reset by itself.
    pub function_reset: bool,
    /// Its power state can then be chosen.
    pub power_states: bool,
}

impl Options {
    /// What a device of that PCI class starts with.
    #[must_use]
    pub const fn new(class: u16) -> Self {
        Self {
            class,
            mode: Mode::TRANSITIONAL,
            vectors: 2,
            modern_pio_notify: false,
            page_per_vq: false,
            multifunction: false,
            express: false,
            function_reset: true,
            power_states: true,
        }
    }

    /// Feature bits that the transport adds to a device's.
    #[must_use]
    pub fn features(&self) -> u64 {
        let version = if self.mode.modern {
            feature::VERSION_1
        } else {
            0
        };
        version | feature::BAD_FEATURE
    }
}

/// A device behind a PCI function.
pub struct VirtioPci {
    virtio: Arc<Virtio>,
    interface: Interface,
    lines: Arc<Lines>,
    selection: Mutex<Selection>,
    window: Option<u16>,
    notify_multiplier: u64,
}

impl VirtioPci {
    /// The function of class `kind` through which a driver reaches `virtio`. The transport comes
    /// with it, for queries.
    #[must_use]
    pub fn function(
        kind: &str,
        id: &str,
        virtio: Arc<Virtio>,
        options: &Options,
    ) -> (Arc<Function>, Arc<Self>) {
        let Layout {
            config,
            msix,
            window,
            notify_multiplier,
        } = Layout::new(virtio.device_type(), virtio.config_size(), options);
        let mut transport = None;
        let function = Function::new(kind, id, config, msix, |interface| {
            let queues = virtio.queue_count();
            let lines = Arc::new(Lines::new(interface.clone(), options.vectors, queues));
            virtio.connect(lines.clone());
            let made = Arc::new(Self {
                selection: Mutex::new(Selection::new(virtio.queue_count())),
                virtio,
                interface,
                lines,
                window,
                notify_multiplier,
            });
            transport = Some(Arc::clone(&made));
            made
        });
        let transport = transport.expect("the function was made around it");
        (function, transport)
    }

    /// The device.
    #[must_use]
    pub fn virtio(&self) -> &Arc<Virtio> {
        &self.virtio
    }

    /// The queue the driver has selected.
    #[must_use]
    pub fn queue_sel(&self) -> u16 {
        self.selection().queue
    }

    /// The interrupt status, left as it is.
    #[must_use]
    pub fn interrupt_status(&self) -> u8 {
        self.lines.status()
    }

    fn reset_device(&self) {
        self.virtio.reset();
        self.lines.reset();
        *self.selection() = Selection::new(self.virtio.queue_count());
    }

    fn selection(&self) -> MutexGuard<'_, Selection> {
        self.selection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn select(&self, queue: u16) {
        if queue < QUEUES_MAX {
            self.selection().queue = queue;
        }
    }

    fn selected(&self) -> usize {
        self.selection().queue.into()
    }

    fn become_master(&self) {
        self.interface.config(|config| {
            let bits = config.word(header::COMMAND) | command::MASTER;
            config.set_word(header::COMMAND, bits);
        });
    }

    fn read_device(&self, offset: u64, size: u8) -> u64 {
        let mut bytes = [0; 8];
        self.virtio
            .read_config(offset, &mut bytes[..usize::from(size.min(8))]);
        u64::from_le_bytes(bytes)
    }

    fn write_device(&self, offset: u64, size: u8, value: u64) {
        let bytes = value.to_le_bytes();
        self.virtio
            .write_config(offset, &bytes[..usize::from(size.min(8))]);
    }

    fn read_modern(&self, offset: u64, size: u8) -> u64 {
        match offset {
            COMMON..ISR => self.read_common(offset),
            ISR..DEVICE if offset == ISR => self.lines.take_status().into(),
            DEVICE..NOTIFY => self.read_device(offset - DEVICE, size),
            _ => 0,
        }
    }

    fn write_modern(&self, offset: u64, size: u8, value: u64) {
        match offset {
            COMMON..ISR => self.write_common(offset, value as u32),
            ISR..DEVICE => {}
            DEVICE..NOTIFY => self.write_device(offset - DEVICE, size, value),
            _ => {
                let queue = (offset - NOTIFY) / self.notify_multiplier;
                self.virtio
                    .kick(usize::try_from(queue).unwrap_or(usize::MAX));
            }
        }
    }

    /// What the window capability shows, when an access of configuration space touches its data.
    fn window_access(&self, offset: u16, size: u8) -> Option<(u16, u64, u8)> {
        let window = self.window?;
        let data = window + window::DATA;
        if offset >= data + 4 || offset.saturating_add(size.into()) <= data {
            return None;
        }
        let (place, length) = self.interface.config(|config| {
            let place = config.long(window + window::OFFSET);
            (place, config.long(window + window::LENGTH))
        });
        let length = u8::try_from(length).ok()?;
        matches!(length, 1 | 2 | 4).then_some((data, place.into(), length))
    }
}

impl PciFunction for VirtioPci {
    fn bar_read(&self, bar: u8, offset: u64, size: u8) -> u64 {
        let value = match bar {
            LEGACY_BAR => self.read_legacy(offset, size),
            MODERN_BAR => self.read_modern(offset, size),
            _ => 0,
        };
        value & (u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8))))
    }

    fn bar_write(&self, bar: u8, offset: u64, size: u8, value: u64) {
        match bar {
            LEGACY_BAR => self.write_legacy(offset, size, value),
            PORT_BAR => self.virtio.kick(usize::from(value as u16)),
            MODERN_BAR => self.write_modern(offset, size, value),
            _ => {}
        }
    }

    fn config_read(&self, offset: u16, size: u8) {
        if let Some((data, place, length)) = self.window_access(offset, size) {
            let value = self.bar_read(MODERN_BAR, place, length);
            let bytes = value.to_le_bytes();
            self.interface
                .config(|config| config.set_bytes(data, &bytes[..usize::from(length)]));
        }
    }

    fn config_written(&self, offset: u16, size: u8, _: u32) {
        if offset <= header::COMMAND + 1 && !self.interface.is_bus_master() {
            let status = self.virtio.status();
            if offset + u16::from(size) > header::COMMAND && status & status::DRIVER_OK != 0 {
                self.virtio.set_status(status & !status::DRIVER_OK);
            }
        }
        if let Some((data, place, length)) = self.window_access(offset, size) {
            let value = self.interface.config(|config| config.value(data, length));
            self.bar_write(MODERN_BAR, place, length, value.into());
        }
    }

    fn reset(&self) {
        self.reset_device();
    }

    fn removed(&self) {
        self.reset_device();
    }
}
