//! The split layout (virtio 1.2 §2.7).

use std::sync::atomic::{Ordering, fence};

use tinamou_memory::DmaView;

use super::{Descriptor, Position, Setup, Taken, Token, at, passes};
use crate::Error;
use crate::spec::feature;

/// In the available ring: no interrupts, please.
const NO_INTERRUPT: u64 = 1;
/// In the used ring: no kicks, please.
const NO_NOTIFY: u64 = 1;

/// How far a split ring has come.
#[derive(Debug, Default)]
pub(super) struct Split {
    last_available: u16,
    shadow_available: u16,
    used: u16,
    signalled_used: u16,
    signalled_used_valid: bool,
    /// Whether the driver was asked not to kick.
    quiet: bool,
}

impl Split {
    pub(super) fn pop(
        &mut self,
        setup: &Setup,
        view: &DmaView,
        features: u64,
    ) -> Result<Option<Taken>, Error> {
        if self.available(setup, view)? == 0 {
            self.ask_for_kick(setup, view, features)?;
            if self.available(setup, view)? == 0 {
                return Ok(None);
            }
        }
        self.be_quiet(setup, view, features)?;
        let slot = u64::from(self.last_available % setup.size);
        let head = view.load(at(setup.driver, 4 + 2 * slot), 2)? as u16;
        let taken = walk(setup, view, head)?;
        self.last_available = self.last_available.wrapping_add(1);
        Ok(Some(taken))
    }

    pub(super) fn unpop(&mut self) {
        self.last_available = self.last_available.wrapping_sub(1);
    }

    pub(super) fn push(
        &mut self,
        setup: &Setup,
        view: &DmaView,
        chains: &[(Token, u32)],
    ) -> Result<(), Error> {
        let old = self.used;
        for (token, written) in chains {
            let slot = u64::from(self.used % setup.size);
            let element = u64::from(*written) << 32 | u64::from(token.id);
            view.store(at(setup.device, 4 + 8 * slot), 8, element)?;
            self.used = self.used.wrapping_add(1);
        }
        fence(Ordering::Release);
        view.store(at(setup.device, 2), 2, self.used.into())?;
        // Once the index has gone all the way round, the last event says nothing.
        let behind = self.used.wrapping_sub(self.signalled_used);
        if behind < self.used.wrapping_sub(old) {
            self.signalled_used_valid = false;
        }
        Ok(())
    }

    pub(super) fn wants_interrupt(
        &mut self,
        setup: &Setup,
        view: &DmaView,
        features: u64,
        idle: bool,
    ) -> Result<bool, Error> {
        // What was returned must be visible before the driver's wish is read.
        fence(Ordering::SeqCst);
        if features & feature::NOTIFY_ON_EMPTY != 0 && idle && self.is_empty(setup, view)? {
            return Ok(true);
        }
        if features & feature::RING_EVENT_IDX == 0 {
            return Ok(view.load(setup.driver, 2)? & NO_INTERRUPT == 0);
        }
        let (old, known) = (self.signalled_used, self.signalled_used_valid);
        self.signalled_used = self.used;
        self.signalled_used_valid = true;
        let event = view.load(at(setup.driver, 4 + 2 * u64::from(setup.size)), 2)? as u16;
        Ok(!known || passes(event, self.used, old))
    }

    pub(super) fn is_empty(&self, setup: &Setup, view: &DmaView) -> Result<bool, Error> {
        Ok(driver_index(setup, view)? == self.last_available)
    }

    pub(super) fn position(&self) -> Position {
        Position {
            last_available: self.last_available,
            shadow_available: self.shadow_available,
            used: self.used,
            signalled_used: self.signalled_used,
            signalled_used_valid: self.signalled_used_valid,
            ..Position::default()
        }
    }

    /// How many chains the driver has made available.
    fn available(&mut self, setup: &Setup, view: &DmaView) -> Result<u16, Error> {
        if self.shadow_available == self.last_available {
            self.shadow_available = driver_index(setup, view)?;
        }
        let count = self.shadow_available.wrapping_sub(self.last_available);
        if count > setup.size {
            return Err(Error::AvailableIndex {
                from: self.last_available,
                to: self.shadow_available,
            });
        }
        Ok(count)
    }

    fn ask_for_kick(&mut self, setup: &Setup, view: &DmaView, features: u64) -> Result<(), Error> {
        if features & feature::RING_EVENT_IDX != 0 {
            let event = at(setup.device, 4 + 8 * u64::from(setup.size));
            view.store(event, 2, self.last_available.into())?;
        } else if self.quiet {
            view.store(setup.device, 2, 0)?;
            self.quiet = false;
        }
        // The wish must be visible before the ring is looked at again.
        fence(Ordering::SeqCst);
        Ok(())
    }

    fn be_quiet(&mut self, setup: &Setup, view: &DmaView, features: u64) -> Result<(), Error> {
        if features & feature::RING_EVENT_IDX == 0 && !self.quiet {
            view.store(setup.device, 2, NO_NOTIFY)?;
            self.quiet = true;
        }
        Ok(())
    }
}

fn driver_index(setup: &Setup, view: &DmaView) -> Result<u16, Error> {
    let index = view.load(at(setup.driver, 2), 2)? as u16;
    // What the driver wrote before the index is visible after it.
    fence(Ordering::Acquire);
    Ok(index)
}

/// Follows the chain that begins at `head`.
fn walk(setup: &Setup, view: &DmaView, head: u16) -> Result<Taken, Error> {
    let mut taken = Taken {
        token: Some(Token { id: head, slots: 1 }),
        ..Taken::default()
    };
    let (mut table, mut entries, mut index) = (setup.descriptors, setup.size, head);
    let mut indirect = false;
    let mut left = entries;
    loop {
        if index >= entries {
            return Err(Error::DescriptorIndex(index));
        }
        left = left.checked_sub(1).ok_or(Error::Loop)?;
        let descriptor = Descriptor::read(view, table, index)?;
        let flags = descriptor.low;
        if flags & Descriptor::INDIRECT != 0 {
            if indirect {
                return Err(Error::NestedIndirect);
            }
            indirect = true;
            (table, entries, index) = (descriptor.address, descriptor.table_length()?, 0);
            left = entries;
            continue;
        }
        taken.add(view, &descriptor, flags)?;
        if flags & Descriptor::NEXT == 0 {
            return Ok(taken);
        }
        index = descriptor.high;
    }
}
