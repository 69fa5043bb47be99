//! Events of keyboards and pointers, and the devices that pass them to guests.

pub mod keyboard;
pub mod keys;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Something that a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key goes down or up; its code is Linux's, 0 for one that has none.
    Key {
        /// `KEY_*` of Linux.
        code: u16,
        /// Whether it goes down.
        down: bool,
    },
    /// A button of a pointer goes down or up.
    Button {
        /// Which one.
        button: Button,
        /// Whether it goes down.
        down: bool,
    },
    /// A pointer moves by some way.
    Relative {
        /// In which direction.
        axis: Axis,
        /// How far.
        value: i64,
    },
    /// A pointer goes to a place.
    Absolute {
        /// In which direction.
        axis: Axis,
        /// Where: 0 to 0x7fff is the whole screen.
        value: i64,
    },
    /// A finger on the screen.
    Touch {
        /// What it does.
        kind: TouchKind,
        /// Which finger, as the screen counts them.
        slot: i64,
        /// Which finger, as long as it stays; -1 once it is gone.
        tracking_id: i64,
        /// The direction of a place.
        axis: Axis,
        /// The place.
        value: i64,
    },
}

impl Event {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Key { .. } => Kind::Key,
            Self::Button { .. } => Kind::Button,
            Self::Relative { .. } => Kind::Relative,
            Self::Absolute { .. } => Kind::Absolute,
            Self::Touch { .. } => Kind::Touch,
        }
    }
}

/// Buttons of pointers, turns of their wheels among them, in QEMU's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Button {
    Left,
    Middle,
    Right,
    WheelUp,
    WheelDown,
    Side,
    Extra,
    WheelLeft,
    WheelRight,
    Touch,
}

/// Directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// To the right.
    X,
    /// Down.
    Y,
}

/// What a finger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchKind {
    /// It comes, moves, or goes.
    Contact,
    /// It is at a place.
    Data,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the events")]
pub enum Kind {
    Key,
    Button,
    Relative,
    Absolute,
    Touch,
}

impl Kind {
    /// What QEMU calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Button => "btn",
            Self::Relative => "rel",
            Self::Absolute => "abs",
            Self::Touch => "mtt",
        }
    }
}

/// A set of kinds.
pub type Kinds = &'static [Kind];

/// A device that passes events to the guest.
pub trait InputDevice: Send + Sync {
    /// Something was done.
    fn event(&self, event: Event);

    /// What was done since the last time belongs together.
    fn sync(&self);
}

/// The input devices of a machine. Clones are the same set; usable from any thread.
#[derive(Clone, Default)]
pub struct Inputs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The ones that are asked first come first.
    entries: Vec<Entry>,
    last: u32,
}

struct Entry {
    index: u32,
    name: &'static str,
    kinds: Kinds,
    /// The screen it belongs to, if to one alone.
    screen: Option<usize>,
    device: Weak<dyn InputDevice>,
    /// It has had events since the last sync.
    pending: bool,
}

impl Entry {
    fn is_pointer(&self) -> bool {
        let absolute = self.is_absolute();
        absolute || self.kinds.contains(&Kind::Relative)
    }

    fn is_absolute(&self) -> bool {
        self.kinds.contains(&Kind::Absolute)
    }
}

/// A device that moves a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Its number.
    pub index: u32,
    /// What it is called.
    pub name: &'static str,
    /// Whether it is told places, not ways.
    pub absolute: bool,
    /// Whether events go to it.
    pub current: bool,
}

/// Why a pointer cannot be chosen; worded as QEMU does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSuchMouse {
    /// There is no device of that number.
    NotFound(i64),
    /// It is no pointer.
    NotAMouse(&'static str),
}

impl std::fmt::Display for NoSuchMouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound(index) => write!(f, "Mouse at index '{index}' not found"),
            Self::NotAMouse(name) => write!(f, "Input device '{name}' is not a mouse"),
        }
    }
}

impl std::error::Error for NoSuchMouse {}

impl Inputs {
    /// Adds a device that wants events of `kinds`, of one screen or of those that are for none in
    /// particular. It is there until the handler is dropped.
    #[must_use]
    pub fn register(
        &self,
        name: &'static str,
        kinds: Kinds,
        screen: Option<usize>,
        device: Weak<dyn InputDevice>,
    ) -> Handler {
        let mut state = self.state();
        state.last += 1;
        let index = state.last;
        state.entries.push(Entry {
            index,
            name,
            kinds,
            screen,
            device,
            pending: false,
        });
        Handler {
            inputs: self.clone(),
            index,
        }
    }

    /// Whether any device would take events of `kind` for `screen`.
    #[must_use]
    pub fn accepts(&self, kind: Kind, screen: Option<usize>) -> bool {
        self.state().find(kind, screen).is_some()
    }

    /// Passes an event for `screen` to the device that is to have it, if any.
    pub fn send(&self, screen: Option<usize>, event: Event) {
        let device = {
            let mut state = self.state();
            let entry = state.find(event.kind(), screen);
            entry.and_then(|entry| {
                entry.pending = true;
                entry.device.upgrade()
            })
        };
        if let Some(device) = device {
            device.event(event);
        }
    }

    /// What was sent since the last time belongs together.
    pub fn sync(&self) {
        let devices: Vec<_> = {
            let mut state = self.state();
            let entries = state.entries.iter_mut();
            let pending = entries.filter_map(|entry| {
                let pending = std::mem::take(&mut entry.pending);
                pending.then(|| entry.device.upgrade()).flatten()
            });
            pending.collect()
        };
        for device in devices {
            device.sync();
        }
    }

    /// The devices that move pointers; the one that is asked first is the last.
    #[must_use]
    pub fn pointers(&self) -> Vec<Pointer> {
        let state = self.state();
        let entries = state.entries.iter().filter(|entry| entry.is_pointer());
        let mut pointers: Vec<_> = entries
            .enumerate()
            .map(|(position, entry)| Pointer {
                index: entry.index,
                name: entry.name,
                absolute: entry.is_absolute(),
                current: position == 0,
            })
            .collect();
        pointers.reverse();
        pointers
    }

    /// Has the pointer of that number asked first.
    ///
    /// # Errors
    /// There is none.
    pub fn choose_pointer(&self, index: i64) -> Result<(), NoSuchMouse> {
        let mut state = self.state();
        let mut entries = state.entries.iter();
        let entry = entries.find(|entry| i64::from(entry.index) == index);
        let entry = entry.ok_or(NoSuchMouse::NotFound(index))?;
        if !entry.is_pointer() {
            return Err(NoSuchMouse::NotAMouse(entry.name));
        }
        let index = entry.index;
        state.activate(index);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        let names = state.entries.iter().map(|entry| entry.name);
        f.debug_list().entries(names).finish()
    }
}

impl State {
    /// The first device of the screen itself, else the first that belongs to none.
    fn find(&mut self, kind: Kind, screen: Option<usize>) -> Option<&mut Entry> {
        let position = |wanted: Option<usize>| {
            let mut entries = self.entries.iter();
            entries.position(|entry| entry.screen == wanted && entry.kinds.contains(&kind))
        };
        let found = screen.and_then(|screen| position(Some(screen)));
        let found = found.or_else(|| position(None))?;
        self.entries.get_mut(found)
    }

    fn take(&mut self, index: u32) -> Option<Entry> {
        let mut entries = self.entries.iter();
        let position = entries.position(|entry| entry.index == index)?;
        Some(self.entries.remove(position))
    }

    fn activate(&mut self, index: u32) {
        if let Some(entry) = self.take(index) {
            self.entries.insert(0, entry);
        }
    }

    fn deactivate(&mut self, index: u32) {
        if let Some(entry) = self.take(index) {
            self.entries.push(entry);
        }
    }
}

/// A device's place among the others, which it leaves when this is dropped at the latest.
#[derive(Debug)]
pub struct Handler {
    inputs: Inputs,
    index: u32,
}

impl Handler {
    /// The guest uses the device: it is asked before all others.
    pub fn activate(&self) {
        self.inputs.state().activate(self.index);
    }

    /// The guest does not use it: it is asked after all others.
    pub fn deactivate(&self) {
        self.inputs.state().deactivate(self.index);
    }

    /// It is not asked any more.
    pub fn leave(&self) {
        let entry = self.inputs.state().take(self.index);
        drop(entry);
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
