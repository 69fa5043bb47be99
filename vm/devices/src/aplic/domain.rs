//! An interrupt domain: its sources, and which of them is to be delivered.

use super::Bits;
use super::spec::{
    self, Change, DOMAIN_ENABLE, DOMAIN_FIXED, DOMAIN_MESSAGES, HART_SHIFT, MESSAGE, Mode,
    PRIORITY, Register, SOURCES, WORDS,
};
use crate::bits::{assign, test};

/// An interrupt delivery control: what a hart has told of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Interrupts are delivered to the hart.
    pub delivery: bool,
    /// One is to be delivered that no source asks for.
    pub force: bool,
    /// The priority from which on none is delivered; 0 for no limit.
    pub threshold: u32,
}

/// A domain's registers.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Whether any interrupt is delivered.
    pub enabled: bool,
    /// `sourcecfg`, by source.
    pub source: [u32; SOURCES],
    /// Sources that ask.
    pub pending: Bits,
    /// Sources that are listened to.
    pub enable: Bits,
    /// By source: hart, and priority or message.
    pub target: [u32; SOURCES],
    /// By hart; none when interrupts leave as messages.
    pub controls: Vec<Control>,
}

impl Domain {
    pub(super) fn new(harts: usize) -> Self {
        Self {
            enabled: false,
            source: [0; SOURCES],
            pending: [0; WORDS],
            enable: [0; WORDS],
            target: [0; SOURCES],
            controls: vec![Control::default(); harts],
        }
    }

    pub(super) fn read(&mut self, register: Register, inputs: &Bits, messages: bool) -> u32 {
        match register {
            Register::Domain => self.config(messages),
            Register::Source(source) => self.source[source],
            Register::Bits(Change::SetPending, word) => self.pending[word],
            Register::Bits(Change::ClearPending, word) => self.rectified(inputs, word),
            Register::Bits(Change::SetEnable, word) => self.enable[word],
            Register::Target(source) if self.is_active(source) => self.target[source],
            Register::Hart(hart, control) => self.read_control(hart, control),
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, register: Register, value: u32, inputs: &Bits, messages: bool) {
        match register {
            Register::Domain => self.enabled = value & DOMAIN_ENABLE != 0,
            Register::Bits(change, word) => {
                let sources = (0..32).filter(|bit| value >> bit & 1 != 0);
                for source in sources.map(|bit| word * 32 + bit) {
                    self.change(change, source, inputs, messages);
                }
            }
            Register::Number(change) => self.change(change, value as usize, inputs, messages),
            Register::Target(source) => self.set_target(source, value, messages),
            Register::Hart(hart, control) => self.write_control(hart, control, value),
            _ => {}
        }
    }

    /// Gives a source a new mode (AIA §4.5.2): what asks already goes on to.
    pub(super) fn set_source(&mut self, source: usize, value: u32, inputs: &Bits, messages: bool) {
        let level = test(inputs, source);
        let before = self.mode(source).rectified(level);
        let mode = Mode::of(value);
        if mode == Mode::Inactive {
            self.forget(source);
            return;
        }
        self.source[source] = mode.bits();
        if !messages && self.target[source] & PRIORITY == 0 {
            self.target[source] |= 1;
        }
        let after = mode.rectified(level);
        if !messages && mode.by_level() {
            assign(&mut self.pending, source, after);
        } else if after && !before {
            assign(&mut self.pending, source, true);
        }
    }

    /// Makes a source inactive.
    pub(super) fn forget(&mut self, source: usize) {
        self.source[source] = 0;
        self.target[source] = 0;
        assign(&mut self.pending, source, false);
        assign(&mut self.enable, source, false);
    }

    /// The wire of a source has a new level (AIA §4.7).
    pub(super) fn input(&mut self, source: usize, level: bool, messages: bool) {
        let mode = self.mode(source);
        let (before, after) = (mode.rectified(!level), mode.rectified(level));
        if mode.by_level() && (!messages || !after) {
            assign(&mut self.pending, source, after);
        } else if after && !before {
            assign(&mut self.pending, source, true);
        }
    }

    /// Whether the hart is to be interrupted by wire.
    pub(super) fn interrupts(&self, hart: usize) -> bool {
        let control = self.controls[hart];
        self.enabled && control.delivery && (control.force || self.top(hart) != 0)
    }

    /// The target of a source that a message is due for; it asks no longer.
    pub(super) fn take_message(&mut self) -> Option<u32> {
        if !self.enabled {
            return None;
        }
        let source = (1..SOURCES).find(|source| self.is_ready(*source))?;
        assign(&mut self.pending, source, false);
        Some(self.target[source])
    }

    fn config(&self, messages: bool) -> u32 {
        let enable = if self.enabled { DOMAIN_ENABLE } else { 0 };
        let messages = if messages { DOMAIN_MESSAGES } else { 0 };
        DOMAIN_FIXED | enable | messages
    }

    fn mode(&self, source: usize) -> Mode {
        Mode::of(self.source[source])
    }

    /// Whether a source is the domain's own and in use.
    fn is_active(&self, source: usize) -> bool {
        self.source[source] & spec::DELEGATED == 0 && self.mode(source) != Mode::Inactive
    }

    fn is_ready(&self, source: usize) -> bool {
        test(&self.pending, source) && test(&self.enable, source)
    }

    fn rectified(&self, inputs: &Bits, word: usize) -> u32 {
        let sources = (0..32).filter(|bit| word * 32 + bit < SOURCES);
        sources.fold(0, |bits, bit| {
            let source = word * 32 + bit;
            let asks = self.is_active(source) && self.mode(source).rectified(test(inputs, source));
            bits | u32::from(asks) << bit
        })
    }

    fn change(&mut self, change: Change, source: usize, inputs: &Bits, messages: bool) {
        if source == 0 || source >= SOURCES || !self.is_active(source) {
            return;
        }
        let mode = self.mode(source);
        match change {
            Change::SetEnable => assign(&mut self.enable, source, true),
            Change::ClearEnable => assign(&mut self.enable, source, false),
            // By level and wire, the wire alone decides.
            _ if mode.by_level() && !messages => {}
            Change::ClearPending => assign(&mut self.pending, source, false),
            Change::SetPending => {
                if !mode.by_level() || mode.rectified(test(inputs, source)) {
                    assign(&mut self.pending, source, true);
                }
            }
        }
    }

    fn set_target(&mut self, source: usize, value: u32, messages: bool) {
        if !self.is_active(source) {
            return;
        }
        let hart = value & u32::MAX << HART_SHIFT;
        self.target[source] = if messages {
            hart | value & MESSAGE
        } else {
            // Priority 0 does not exist and becomes 1 (AIA §4.5.16.1).
            hart | (value & PRIORITY).max(1)
        };
    }

    /// The most urgent source for a hart with its priority, as `topi` tells it; 0 for none.
    fn top(&self, hart: usize) -> u32 {
        let limit = match self.controls[hart].threshold {
            0 => u32::MAX,
            threshold => threshold,
        };
        let ready = (1..SOURCES).filter(|source| {
            let target = self.target[*source];
            self.is_ready(*source)
                && target >> HART_SHIFT == hart as u32
                && target & PRIORITY < limit
        });
        let best = ready.min_by_key(|source| (self.target[*source] & PRIORITY, *source));
        best.map_or(0, |source| {
            (source as u32) << 16 | self.target[source] & PRIORITY
        })
    }

    fn read_control(&mut self, hart: usize, control: spec::Control) -> u32 {
        let Some(state) = self.controls.get(hart) else {
            return 0;
        };
        match control {
            spec::Control::Delivery => state.delivery.into(),
            spec::Control::Force => state.force.into(),
            spec::Control::Threshold => state.threshold,
            spec::Control::Top => self.top(hart),
            spec::Control::Claim => self.claim(hart),
        }
    }

    fn write_control(&mut self, hart: usize, control: spec::Control, value: u32) {
        let Some(state) = self.controls.get_mut(hart) else {
            return;
        };
        match control {
            spec::Control::Delivery => state.delivery = value & 1 != 0,
            spec::Control::Force => state.force = value & 1 != 0,
            spec::Control::Threshold => state.threshold = value & PRIORITY,
            spec::Control::Top | spec::Control::Claim => {}
        }
    }

    /// Takes the most urgent source. One that asks by level goes on asking until its wire does not.
    fn claim(&mut self, hart: usize) -> u32 {
        let top = self.top(hart);
        let source = (top >> 16) as usize;
        if top == 0 {
            self.controls[hart].force = false;
        } else if !self.mode(source).by_level() {
            assign(&mut self.pending, source, false);
        }
        top
    }
}
