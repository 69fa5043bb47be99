//! Configuration space: the registers through which a guest finds and sets up a function.
//!
//! Every byte has a mask of bits that the guest may write and one of bits that it clears by
//! writing ones. What lies outside header and capabilities is scratch, as it is with QEMU.

mod bar;
mod capability;
mod window;

use std::sync::Arc;

use crate::spec::{bridge, command, header, status};

pub use bar::{BARS, Bar, ROM_BAR};
pub use capability::{Express, MsiLayout, MsixLayout, PortType};

/// Bytes of a conventional function's configuration space.
pub const CONVENTIONAL_SIZE: u16 = 0x100;
/// Bytes of a PCI Express function's configuration space.
pub const EXPRESS_SIZE: u16 = 0x1000;

/// The bit of the header type that announces further functions.
const MULTIFUNCTION: u8 = 0x80;
const TYPE_BRIDGE: u8 = 0x01;

/// What a function says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
    /// Its revision.
    pub revision: u8,
    /// Base class and sub-class.
    pub class: u16,
    /// The register-level interface.
    pub interface: u8,
    /// Vendor and device of the subsystem; bridges have none here.
    pub subsystem: (u16, u16),
}

impl Identity {
    /// The subsystem QEMU gives to functions that name none.
    pub const SUBSYSTEM: (u16, u16) = (0x1af4, 0x1100);

    /// A function of revision 0 with QEMU's subsystem.
    #[must_use]
    pub const fn new(vendor: u16, device: u16, class: u16) -> Self {
        Self {
            vendor,
            device,
            revision: 0,
            class,
            interface: 0,
            subsystem: Self::SUBSYSTEM,
        }
    }
}

/// The configuration space of one function.
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    bytes: Vec<u8>,
    /// Bits the guest can set and clear.
    writable: Vec<u8>,
    /// Bits the guest clears by writing ones.
    clearable: Vec<u8>,
    /// Bytes that belong to the header or a capability.
    used: Vec<bool>,
    bars: [Option<Bar>; BARS],
    places: capability::Places,
    /// What the expansion ROM holds.
    rom: Arc<[u8]>,
    /// The bytes as at power-on.
    initial: Vec<u8>,
}

/// What a write by the guest calls for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// What the function answers, or where, may have changed.
    pub(crate) decoding: bool,
    /// Whether and how it interrupts may have changed.
    pub(crate) interrupts: bool,
    /// It was told to reset itself (PCIe 5.0 §6.6.2).
    pub(crate) function_reset: bool,
}

impl ConfigSpace {
    /// The space of a conventional function.
    #[must_use]
    pub fn conventional(identity: &Identity) -> Self {
        Self::new(identity, CONVENTIONAL_SIZE, 0)
    }

    /// The space of a PCI Express function; it still needs [`ConfigSpace::add_express`].
    #[must_use]
    pub fn express(identity: &Identity) -> Self {
        Self::new(identity, EXPRESS_SIZE, 0)
    }

    /// The space of a bridge, with the registers of its windows.
    #[must_use]
    pub fn bridge(identity: &Identity, size: u16) -> Self {
        Self::new(identity, size, TYPE_BRIDGE).with_bridge_header()
    }

    fn new(identity: &Identity, size: u16, header_type: u8) -> Self {
        let size = usize::from(size);
        let mut space = Self {
            bytes: vec![0; size],
            writable: vec![0xff; size],
            clearable: vec![0; size],
            used: vec![false; size],
            bars: [None; BARS],
            places: capability::Places::default(),
            rom: Arc::default(),
            initial: Vec::new(),
        };
        let header = usize::from(header::SIZE);
        space.writable[..header].fill(0);
        space.used[..header].fill(true);
        space.set_word(header::VENDOR_ID, identity.vendor);
        space.set_word(header::DEVICE_ID, identity.device);
        space.set_byte(header::REVISION_ID, identity.revision);
        space.set_byte(header::CLASS_PROG, identity.interface);
        space.set_word(header::CLASS_DEVICE, identity.class);
        space.set_byte(header::HEADER_TYPE, header_type);
        if header_type != TYPE_BRIDGE {
            space.set_word(header::SUBSYSTEM_VENDOR_ID, identity.subsystem.0);
            space.set_word(header::SUBSYSTEM_ID, identity.subsystem.1);
        }
        let controls =
            command::IO | command::MEMORY | command::MASTER | command::SERR | command::INTX_DISABLE;
        space.set_writable_word(header::COMMAND, controls);
        space.set_writable_byte(header::CACHE_LINE_SIZE, 0xff);
        space.set_writable_byte(header::INTERRUPT_LINE, 0xff);
        space
    }

    fn with_bridge_header(mut self) -> Self {
        for register in [
            bridge::PRIMARY_BUS,
            bridge::SECONDARY_BUS,
            bridge::SUBORDINATE_BUS,
        ] {
            self.set_writable_byte(register, 0xff);
        }
        self.set_writable_word(bridge::IO_BASE, 0xf0f0);
        for register in [
            bridge::MEMORY_BASE,
            bridge::MEMORY_LIMIT,
            bridge::PREF_MEMORY_BASE,
            bridge::PREF_MEMORY_LIMIT,
        ] {
            self.set_writable_word(register, 0xfff0);
        }
        self.set_writable_long(bridge::PREF_BASE_UPPER32, u32::MAX);
        self.set_writable_long(bridge::PREF_LIMIT_UPPER32, u32::MAX);
        // Prefetchable memory can lie above 4 GiB.
        self.set_word(bridge::PREF_MEMORY_BASE, 1);
        self.set_word(bridge::PREF_MEMORY_LIMIT, 1);
        self
    }

    /// With an interrupt pin, 1 for INTA to 4 for INTD.
    #[must_use]
    pub fn with_interrupt_pin(mut self, pin: u8) -> Self {
        self.set_byte(header::INTERRUPT_PIN, pin);
        self
    }

    /// Announces further functions in the slot.
    #[must_use]
    pub fn with_multifunction(mut self, multifunction: bool) -> Self {
        let kind = self.byte(header::HEADER_TYPE) & !MULTIFUNCTION;
        let flag = if multifunction { MULTIFUNCTION } else { 0 };
        self.set_byte(header::HEADER_TYPE, kind | flag);
        self
    }

    /// Whether it announces further functions.
    #[must_use]
    pub fn is_multifunction(&self) -> bool {
        self.byte(header::HEADER_TYPE) & MULTIFUNCTION != 0
    }

    /// Whether it is the space of a bridge.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.byte(header::HEADER_TYPE) & !MULTIFUNCTION == TYPE_BRIDGE
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.bytes.len() as u16
    }

    /// The byte at `offset`; beyond the end all bits are ones.
    #[must_use]
    pub fn byte(&self, offset: u16) -> u8 {
        self.bytes.get(usize::from(offset)).copied().unwrap_or(0xff)
    }

    /// The two bytes at `offset`.
    #[must_use]
    pub fn word(&self, offset: u16) -> u16 {
        self.value(offset, 2) as u16
    }

    /// The four bytes at `offset`.
    #[must_use]
    pub fn long(&self, offset: u16) -> u32 {
        self.value(offset, 4)
    }

    /// The value of `size` (1 to 4) bytes.
    #[must_use]
    pub fn value(&self, offset: u16, size: u8) -> u32 {
        let bytes = (0..u16::from(size.min(4)))
            .map(|index| u32::from(self.byte(offset.wrapping_add(index))) << (8 * index));
        bytes.sum()
    }

    /// Sets a byte from the function's side; nothing happens beyond the end.
    pub fn set_byte(&mut self, offset: u16, value: u8) {
        if let Some(byte) = self.bytes.get_mut(usize::from(offset)) {
            *byte = value;
        }
    }

    /// Sets two bytes from the function's side.
    pub fn set_word(&mut self, offset: u16, value: u16) {
        self.set_bytes(offset, &value.to_le_bytes());
    }

    /// Sets four bytes from the function's side.
    pub fn set_long(&mut self, offset: u16, value: u32) {
        self.set_bytes(offset, &value.to_le_bytes());
    }

    /// Sets bytes from the function's side.
    pub fn set_bytes(&mut self, offset: u16, bytes: &[u8]) {
        for (offset, byte) in (offset..).zip(bytes) {
            self.set_byte(offset, *byte);
        }
    }

    /// Says which bits of a byte the guest may write.
    pub fn set_writable_byte(&mut self, offset: u16, mask: u8) {
        if let Some(byte) = self.writable.get_mut(usize::from(offset)) {
            *byte = mask;
        }
    }

    /// Says which bits of two bytes the guest may write.
    pub fn set_writable_word(&mut self, offset: u16, mask: u16) {
        for (offset, byte) in (offset..).zip(mask.to_le_bytes()) {
            self.set_writable_byte(offset, byte);
        }
    }

    /// Says which bits of four bytes the guest may write.
    pub fn set_writable_long(&mut self, offset: u16, mask: u32) {
        for (offset, byte) in (offset..).zip(mask.to_le_bytes()) {
            self.set_writable_byte(offset, byte);
        }
    }

    /// Says which bits of two bytes the guest clears by writing ones.
    pub fn set_clearable_word(&mut self, offset: u16, mask: u16) {
        for (offset, byte) in (offset..).zip(mask.to_le_bytes()) {
            if let Some(clearable) = self.clearable.get_mut(usize::from(offset)) {
                *clearable = byte;
            }
        }
    }

    /// Says which bits of four bytes the guest clears by writing ones.
    pub fn set_clearable_long(&mut self, offset: u16, mask: u32) {
        self.set_clearable_word(offset, mask as u16);
        self.set_clearable_word(offset.wrapping_add(2), (mask >> 16) as u16);
    }

    /// Whether the function may access memory and send messages.
    #[must_use]
    pub fn is_bus_master(&self) -> bool {
        self.word(header::COMMAND) & command::MASTER != 0
    }

    /// Takes a write of the guest: `size` is 1, 2 or 4.
    pub(crate) fn write(&mut self, offset: u16, size: u8, value: u32) -> Effects {
        let (before, power) = (self.decoding(), self.power_state());
        for (offset, byte) in (offset..).zip(&value.to_le_bytes()[..usize::from(size.min(4))]) {
            let index = usize::from(offset);
            if index >= self.bytes.len() {
                break;
            }
            let writable = self.writable[index];
            let kept = self.bytes[index] & !(byte & self.clearable[index]);
            self.bytes[index] = kept & !writable | byte & writable;
        }
        self.keep_power_state(power);
        Effects {
            decoding: self.decoding() != before || self.power_state() != power,
            interrupts: true,
            function_reset: self.take_function_reset(),
        }
    }

    /// Notes the present bytes as those of power-on.
    pub(crate) fn seal(&mut self) {
        let flags = self.word(header::STATUS);
        if self.byte(header::CAPABILITY_LIST) != 0 {
            self.set_word(header::STATUS, flags | status::CAP_LIST);
        }
        self.initial = self.bytes.clone();
    }

    /// Puts the bytes as at power-on.
    pub(crate) fn reset(&mut self) {
        self.bytes.clone_from(&self.initial);
    }

    /// All bytes by which the guest says what is answered and where.
    fn decoding(&self) -> [u8; header::SIZE as usize] {
        let mut registers = [0; header::SIZE as usize];
        registers.copy_from_slice(&self.bytes[..usize::from(header::SIZE)]);
        registers[usize::from(header::INTERRUPT_LINE)] = 0;
        registers
    }
}
