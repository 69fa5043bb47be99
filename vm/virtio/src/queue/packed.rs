//! The packed layout (virtio 1.2 §2.8).

use std::sync::atomic::{Ordering, fence};

use tinamou_memory::DmaView;

use super::{Descriptor, Position, Setup, Taken, Token, at, passes};
use crate::Error;

/// Descriptor flag: made available in laps whose counter it equals.
const AVAILABLE: u16 = 1 << 7;
/// Descriptor flag: used in laps whose counter it equals.
const USED: u16 = 1 << 15;

/// Event suppression: tell always.
const EVENT_ENABLE: u64 = 0;
/// Event suppression: never tell.
const EVENT_DISABLE: u64 = 1;
/// Event suppression: tell at one place in the ring.
const EVENT_DESCRIPTOR: u64 = 2;

/// A place in the ring: a slot, and a counter that flips with every lap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    slot: u16,
    wrap: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            slot: 0,
            wrap: true,
        }
    }
}

impl Place {
    fn forward(self, slots: u16, size: u16) -> Self {
        let next = u32::from(self.slot) + u32::from(slots);
        if next < u32::from(size) {
            return Self {
                slot: next as u16,
                ..self
            };
        }
        Self {
            slot: (next - u32::from(size)) as u16,
            wrap: !self.wrap,
        }
    }

    fn back(self, slots: u16, size: u16) -> Self {
        if slots <= self.slot {
            return Self {
                slot: self.slot - slots,
                ..self
            };
        }
        Self {
            slot: (self.slot + size).wrapping_sub(slots),
            wrap: !self.wrap,
        }
    }

    /// As event suppression and QEMU's queries have it: the counter above the slot.
    fn encoded(self) -> u16 {
        self.slot | u16::from(self.wrap) << 15
    }
}

/// How far a packed ring has come.
#[derive(Debug, Default)]
pub(super) struct Packed {
    available: Place,
    used: Place,
    signalled_used: u16,
    signalled_used_valid: bool,
    /// Whether the driver was asked not to kick.
    quiet: bool,
}

impl Packed {
    pub(super) fn pop(&mut self, setup: &Setup, view: &DmaView) -> Result<Option<Taken>, Error> {
        if self.is_empty(setup, view)? {
            self.ask_for_kick(setup, view)?;
            if self.is_empty(setup, view)? {
                return Ok(None);
            }
        }
        self.be_quiet(setup, view)?;
        let taken = walk(setup, view, self.available.slot)?;
        let slots = taken.token.map_or(1, |token| token.slots);
        self.available = self.available.forward(slots, setup.size);
        Ok(Some(taken))
    }

    pub(super) fn unpop(&mut self, setup: &Setup, slots: u16) {
        self.available = self.available.back(slots, setup.size);
    }

    /// Writes the first element's flags last, so that the driver sees all or none.
    pub(super) fn push(
        &mut self,
        setup: &Setup,
        view: &DmaView,
        chains: &[(Token, u32)],
    ) -> Result<(), Error> {
        let mut place = self.used;
        let mut places = Vec::with_capacity(chains.len());
        for (token, written) in chains {
            places.push((place, *written));
            let address = descriptor(setup, place.slot);
            view.store(at(address, 8), 4, (*written).into())?;
            view.store(at(address, 12), 2, token.id.into())?;
            place = place.forward(token.slots, setup.size);
        }
        for (place, written) in places.into_iter().rev() {
            let mut flags = if place.wrap { AVAILABLE | USED } else { 0 };
            if written > 0 {
                flags |= Descriptor::WRITE;
            }
            fence(Ordering::Release);
            view.store(at(descriptor(setup, place.slot), 14), 2, flags.into())?;
        }
        // After a lap, the last event says nothing.
        self.signalled_used_valid &= place.wrap == self.used.wrap;
        self.used = place;
        Ok(())
    }

    pub(super) fn wants_interrupt(&mut self, setup: &Setup, view: &DmaView) -> Result<bool, Error> {
        // What was returned must be visible before the driver's wish is read.
        fence(Ordering::SeqCst);
        let (old, known) = (self.signalled_used, self.signalled_used_valid);
        self.signalled_used = self.used.slot;
        self.signalled_used_valid = true;
        let wish = view.load(at(setup.driver, 2), 2)? & 3;
        if wish != EVENT_DESCRIPTOR {
            return Ok(wish != EVENT_DISABLE);
        }
        let event = view.load(setup.driver, 2)? as u16;
        let mut slot = event & !(1 << 15);
        if self.used.wrap != (event >> 15 == 1) {
            slot = slot.wrapping_sub(setup.size);
        }
        Ok(!known || passes(slot, self.used.slot, old))
    }

    pub(super) fn is_empty(&self, setup: &Setup, view: &DmaView) -> Result<bool, Error> {
        let address = at(descriptor(setup, self.available.slot), 14);
        let flags = view.load(address, 2)? as u16;
        // What the driver wrote before the flags is visible after them.
        fence(Ordering::Acquire);
        let available = flags & AVAILABLE != 0;
        Ok(available != self.available.wrap || available == (flags & USED != 0))
    }

    pub(super) fn position(&self) -> Position {
        Position {
            last_available: self.available.encoded(),
            shadow_available: self.available.encoded(),
            used: self.used.encoded(),
            signalled_used: self.signalled_used,
            signalled_used_valid: self.signalled_used_valid,
            ..Position::default()
        }
    }

    fn ask_for_kick(&mut self, setup: &Setup, view: &DmaView) -> Result<(), Error> {
        if self.quiet {
            view.store(at(setup.device, 2), 2, EVENT_ENABLE)?;
            self.quiet = false;
        }
        // The wish must be visible before the ring is looked at again.
        fence(Ordering::SeqCst);
        Ok(())
    }

    fn be_quiet(&mut self, setup: &Setup, view: &DmaView) -> Result<(), Error> {
        if !self.quiet {
            view.store(at(setup.device, 2), 2, EVENT_DISABLE)?;
            self.quiet = true;
        }
        Ok(())
    }
}

/// The address of a slot.
fn descriptor(setup: &Setup, slot: u16) -> u64 {
    at(setup.descriptors, u64::from(slot) * Descriptor::SIZE)
}

/// Collects the chain that begins in `slot`.
fn walk(setup: &Setup, view: &DmaView, slot: u16) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    let mut slots = 0;
    loop {
        if slots == setup.size {
            return Err(Error::Loop);
        }
        let index = ((u32::from(slot) + u32::from(slots)) % u32::from(setup.size)) as u16;
        let descriptor = Descriptor::read(view, setup.descriptors, index)?;
        let (id, flags) = (descriptor.low, descriptor.high);
        slots += 1;
        if flags & Descriptor::INDIRECT != 0 {
            if slots > 1 || flags & Descriptor::NEXT != 0 {
                return Err(Error::NestedIndirect);
            }
            walk_table(view, &descriptor, &mut taken)?;
        } else {
            taken.add(view, &descriptor, flags)?;
        }
        if flags & Descriptor::NEXT == 0 {
            // The id stands in the last descriptor (virtio 1.2 §2.8.6).
            taken.token = Some(Token { id, slots });
            return Ok(taken);
        }
    }
}

/// Adds the whole of an indirect table: there, the length alone says where the chain ends.
fn walk_table(view: &DmaView, of: &Descriptor, taken: &mut Taken) -> Result<(), Error> {
    for index in 0..of.table_length()? {
        let descriptor = Descriptor::read(view, of.address, index)?;
        if descriptor.high & Descriptor::INDIRECT != 0 {
            return Err(Error::NestedIndirect);
        }
        taken.add(view, &descriptor, descriptor.high)?;
    }
    Ok(())
}
