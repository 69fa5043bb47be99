//! A hot-plug slot: what a port says of the device in it and how the guest lets it come and go
//! (PCIe 5.0 §6.7).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bus::{Devfn, PciBus};
use crate::spec::{express, slot};
use crate::{ConfigSpace, Error, Interface};

/// How long a guest that was asked has, before it may be asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a slot is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotConfig {
    /// The chassis that the slot is in.
    pub(crate) chassis: u8,
    /// Its number in there.
    pub(crate) number: u16,
    /// Devices can come and go.
    pub(crate) hotplug: bool,
    /// The guest switches the power.
    pub(crate) power_controller: bool,
}

/// The slot of a root port or of a switch's downstream port.
pub struct Slot {
    port: Interface,
    /// Where the port's PCI Express capability is.
    express: u16,
    config: SlotConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The slot control register as last written.
    control: u16,
    /// The functions that the guest has been asked to let go of, and when.
    asked: BTreeMap<Devfn, Instant>,
    /// Whether an interrupt is being asked for.
    notified: bool,
}

impl SlotConfig {
    /// Adds the slot's registers to a port's PCI Express capability.
    pub(crate) fn install(&self, config: &mut ConfigSpace, express: u16) {
        let flags = config.word(express + express::FLAGS);
        config.set_word(express + express::FLAGS, flags | express::FLAGS_SLOT);
        config.set_long(express + express::SLTCAP, self.capabilities());
        config.set_word(express + express::SLTCTL, self.initial_control(false));
        let power = if self.power_controller {
            slot::CTL_POWER_OFF
        } else {
            0
        };
        let writable = slot::STA_EVENTS
            | slot::CTL_INTERRUPT
            | slot::CTL_ATTENTION_INDICATOR
            | slot::CTL_POWER_INDICATOR
            | power;
        config.set_writable_word(express + express::SLTCTL, writable);
    }

    fn capabilities(&self) -> u32 {
        let hotplug = slot::CAP_SURPRISE | slot::CAP_HOTPLUG;
        u32::from(self.number & 0x1fff) << slot::CAP_NUMBER_SHIFT
            | slot::CAP_ATTENTION_BUTTON
            | slot::CAP_ATTENTION_INDICATOR
            | slot::CAP_POWER_INDICATOR
            | slot::CAP_INTERLOCK
            | if self.hotplug { hotplug } else { 0 }
            | if self.power_controller {
                slot::CAP_POWER_CONTROLLER
            } else {
                0
            }
    }

    /// Slot control after a reset: indicators off, power on if there is something to power.
    fn initial_control(&self, present: bool) -> u16 {
        let off = self.power_controller && !present;
        let power = if off { slot::CTL_POWER_OFF } else { 0 };
        slot::CTL_ATTENTION_INDICATOR | slot::CTL_POWER_INDICATOR | power
    }
}

/// Whether the guest has switched the slot off for good: no power, and the indicator says so.
fn is_off(control: u16) -> bool {
    control & slot::CTL_POWER_OFF != 0
        && control & slot::CTL_POWER_INDICATOR == slot::CTL_POWER_INDICATOR
}

/// The part of a write that falls on a register of two bytes.
fn written_to(register: u16, offset: u16, size: u8, value: u32) -> Option<u16> {
    let start = offset.max(register);
    let end = (offset + u16::from(size)).min(register + 2);
    (start < end).then(|| {
        let bytes = u64::from(value) << (8 * u32::from(offset.saturating_sub(register)));
        (bytes >> (8 * u32::from(register.saturating_sub(offset)))) as u16
    })
}

impl Slot {
    pub(crate) fn new(port: Interface, express: u16, config: SlotConfig) -> Arc<Self> {
        Arc::new(Self {
            port,
            express,
            config,
            state: Mutex::new(State {
                control: config.initial_control(false),
                asked: BTreeMap::new(),
                notified: false,
            }),
        })
    }

    pub(crate) fn config(&self) -> &SlotConfig {
        &self.config
    }

    /// Whether anything can come or go.
    ///
    /// # Errors
    /// The guest has locked the slot.
    pub(crate) fn check_lock(&self) -> Result<(), Error> {
        let register = self.express + express::SLTSTA;
        let status = self.port.config(|config| config.word(register));
        if status & slot::STA_INTERLOCK != 0 {
            return Err(Error::Locked);
        }
        Ok(())
    }

    /// A function has been put on the bus behind the port.
    pub(crate) fn plugged(&self, bus: &PciBus, hotplugged: bool) {
        if !hotplugged {
            self.settle_in(bus);
            return;
        }
        self.update_power(bus);
        // The functions of a slot are shown together, when the first is there.
        if bus.function(Devfn::ZERO).is_some() {
            let mut state = self.lock();
            self.set_present(true);
            let events = slot::STA_PRESENCE_CHANGED | slot::STA_ATTENTION;
            self.raise(&mut state, events);
        }
    }

    /// Asks the guest to let go of a function, or takes it away if the guest does not use it.
    pub(crate) fn unplug_request(&self, bus: &PciBus, devfn: Devfn) -> Result<(), Error> {
        let mut state = self.lock();
        let asked = state.asked.get(&devfn);
        if asked.is_some_and(|asked| asked.elapsed() < PATIENCE) {
            let id = bus.function(devfn).map(|function| function.id().to_owned());
            return Err(Error::UnplugPending {
                id: id.unwrap_or_default(),
            });
        }
        self.check_lock()?;
        if state.control & slot::CTL_POWER_INDICATOR == slot::CTL_POWER_BLINK {
            return Err(Error::Blinking);
        }
        if devfn != Devfn::ZERO && bus.function(Devfn::ZERO).is_none() {
            // The guest has not seen it yet.
            drop(state);
            bus.eject_one(devfn);
            return Ok(());
        }
        if is_off(state.control) {
            self.clear(slot::STA_ATTENTION);
            drop(state);
            self.let_go(bus);
            return Ok(());
        }
        state.asked.insert(devfn, Instant::now());
        self.raise(&mut state, slot::STA_ATTENTION);
        Ok(())
    }

    /// The bus has lost its last function without the guest's doing.
    pub(crate) fn emptied(&self) {
        let mut state = self.lock();
        state.asked.clear();
        self.set_present(false);
        self.raise(&mut state, slot::STA_PRESENCE_CHANGED);
    }

    /// The guest has written the port's configuration space.
    pub(crate) fn config_written(&self, bus: &PciBus, offset: u16, size: u8, value: u32) {
        let written = |register| written_to(self.express + register, offset, size, value);
        if let Some(status) = written(express::SLTSTA) {
            self.clear_events(status);
        }
        if let Some(control) = written(express::SLTCTL) {
            self.command(bus, control);
        }
    }

    /// Puts the slot as at power-on. What the guest was asked to let go of is let go: the guest
    /// that was asked is no more.
    pub(crate) fn reset(&self, bus: &PciBus) {
        let asked = std::mem::take(&mut self.lock().asked);
        if !asked.is_empty() {
            bus.eject();
        }
        self.settle_in(bus);
    }

    /// The link's status: what both ends can do, once there are two (PCIe 5.0 §7.5.3.8).
    pub(crate) fn refresh_link(&self, bus: &PciBus) {
        let partner = bus.function(Devfn::ZERO).and_then(|function| {
            function.interface().config(|config| {
                let at = config.express_offset()?;
                Some(config.word(at + express::LNKCAP))
            })
        });
        self.port.config(|config| {
            let own = config.word(self.express + express::LNKCAP);
            let field = |mask: u16| {
                let own = own & mask;
                let least = partner.map_or(own, |partner: u16| own.min(partner & mask));
                // The slowest link there is.
                if least == 0 {
                    mask & mask.wrapping_neg()
                } else {
                    least
                }
            };
            let link = field(0x00f) | field(0x3f0);
            let register = self.express + express::LNKSTA;
            let kept = config.word(register) & !express::LINK_SPEED_AND_WIDTH;
            config.set_word(register, kept | link);
        });
    }

    /// As the slot is when nothing has happened yet.
    fn settle_in(&self, bus: &PciBus) {
        let present = bus.function(Devfn::ZERO).is_some();
        let mut state = self.lock();
        state.control = self.config.initial_control(present);
        self.port.config(|config| {
            config.set_word(self.express + express::SLTCTL, state.control);
            config.set_word(self.express + express::SLTSTA, 0);
        });
        self.set_present(present);
        self.notify(&mut state);
        drop(state);
        self.update_power(bus);
    }

    /// A write to slot control is a command; it is carried out at once.
    fn command(&self, bus: &PciBus, written: u16) {
        let register = self.express + express::SLTCTL;
        let mut state = self.lock();
        let before = state.control;
        let status = self.port.config(|config| {
            state.control = config.word(register);
            let status = config.word(self.express + express::SLTSTA);
            if written & slot::CTL_INTERLOCK == 0 {
                return status;
            }
            config.set_word(self.express + express::SLTSTA, status ^ slot::STA_INTERLOCK);
            status ^ slot::STA_INTERLOCK
        });
        let lets_go = status & slot::STA_PRESENT != 0 && is_off(state.control) && !is_off(before);
        drop(state);
        if lets_go {
            self.let_go(bus);
        }
        self.update_power(bus);
        self.raise(&mut self.lock(), slot::STA_COMMAND_COMPLETED);
    }

    /// Takes everything out of the slot.
    fn let_go(&self, bus: &PciBus) {
        self.lock().asked.clear();
        bus.eject();
        let mut state = self.lock();
        self.set_present(false);
        self.raise(&mut state, slot::STA_PRESENCE_CHANGED);
    }

    /// Clears the events for which ones were written. Guests that clear everything while they
    /// start would lose what has just happened: a write that would clear an event that was not
    /// there does nothing, as with QEMU.
    fn clear_events(&self, written: u16) {
        let mut state = self.lock();
        let register = self.express + express::SLTSTA;
        self.port.config(|config| {
            let status = config.word(register);
            let events = written & (slot::STA_EVENTS | slot::STA_NEVER);
            if events & !status == 0 {
                config.set_word(register, status & !events);
            }
        });
        self.notify(&mut state);
    }

    fn clear(&self, events: u16) {
        let register = self.express + express::SLTSTA;
        self.port.config(|config| {
            let status = config.word(register);
            config.set_word(register, status & !events);
        });
    }

    /// Notes events and interrupts for them.
    fn raise(&self, state: &mut State, events: u16) {
        let register = self.express + express::SLTSTA;
        self.port.config(|config| {
            let status = config.word(register);
            config.set_word(register, status | events);
        });
        self.notify(state);
    }

    /// Asks for an interrupt while an event that the guest wants to hear of is there.
    fn notify(&self, state: &mut State) {
        let status = self
            .port
            .config(|config| config.word(self.express + express::SLTSTA));
        let wanted = state.control & slot::CTL_INTERRUPT != 0
            && status & state.control & slot::STA_EVENTS != 0;
        let rises = wanted && !state.notified;
        state.notified = wanted;
        if !self.port.messages_enabled() {
            self.port.set_intx(wanted);
        } else if rises {
            self.port.notify(0);
        }
    }

    /// The presence bit, and the link that comes up with a device.
    fn set_present(&self, present: bool) {
        self.port.config(|config| {
            let mut set = |register: u16, bit: u16| {
                let kept = config.word(self.express + register) & !bit;
                let bit = if present { bit } else { 0 };
                config.set_word(self.express + register, kept | bit);
            };
            set(express::SLTSTA, slot::STA_PRESENT);
            set(express::LNKSTA, express::LNKSTA_ACTIVE);
        });
    }

    /// Lets the power controller act on what is in the slot.
    fn update_power(&self, bus: &PciBus) {
        let control = self.lock().control;
        let powered = !self.config.power_controller || control & slot::CTL_POWER_OFF == 0;
        for function in bus.functions() {
            function.set_powered(powered);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_write_that_falls_on_a_register() {
        let check = |offset, size, value, expected| {
            assert_eq!(written_to(0x6c, offset, size, value), expected);
        };
        check(0x6c, 2, 0x1234, Some(0x1234));
        check(0x6c, 4, 0xabcd_1234, Some(0x1234));
        check(0x6a, 4, 0xabcd_1234, Some(0xabcd));
        check(0x6d, 1, 0x56, Some(0x5600));
        check(0x6c, 1, 0x56, Some(0x56));
        check(0x6e, 2, 0x1234, None);
        check(0x6b, 1, 0x12, None);
    }
}
