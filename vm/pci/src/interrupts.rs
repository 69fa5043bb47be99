//! The state behind a function's interrupts: its INTx pin, MSI and MSI-X.

use crate::config::{ConfigSpace, MsixLayout};
use crate::spec::{command, header, msi, msix, status};

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) address: u64,
    pub(crate) data: u32,
}

/// The tables of MSI-X (PCI 3.0 §6.8.2).
#[derive(Debug)]
pub(crate) struct Msix {
    layout: MsixLayout,
    table: Vec<[u32; 4]>,
    pending: Vec<u64>,
}

/// The word of a table entry that masks its vector.
const VECTOR_CONTROL: usize = 3;
const VECTOR_MASKED: u32 = 1;

impl Msix {
    pub(crate) fn new(layout: MsixLayout) -> Self {
        let vectors = usize::from(layout.vectors);
        let mut msix = Self {
            layout,
            table: vec![[0; 4]; vectors],
            pending: vec![0; vectors.div_ceil(64)],
        };
        msix.reset();
        msix
    }

    pub(crate) fn reset(&mut self) {
        self.table.fill([0, 0, 0, VECTOR_MASKED]);
        self.pending.fill(0);
    }

    /// The value of an access that lies in one of the tables.
    pub(crate) fn read(&self, bar: u8, offset: u64, size: u8) -> Option<u64> {
        if let Some(offset) = self.in_table(bar, offset) {
            let word = self.table[offset / 16][offset % 16 / 4];
            return Some(part(word, offset, size));
        }
        let offset = self.in_pending(bar, offset)?;
        let half = self.pending[offset / 8] >> (offset % 8 / 4 * 32);
        Some(part(half as u32, offset, size))
    }

    /// Whether an access lies in one of the tables; it is taken if it is aligned and four bytes
    /// wide (PCI 3.0 §6.8.2: other accesses are undefined).
    pub(crate) fn write(&mut self, bar: u8, offset: u64, size: u8, value: u64) -> bool {
        let Some(offset) = self.in_table(bar, offset) else {
            return self.in_pending(bar, offset).is_some();
        };
        if size == 4 && offset.is_multiple_of(4) {
            self.table[offset / 16][offset % 16 / 4] = value as u32;
        }
        true
    }

    /// Sends or notes a vector's message.
    fn notify(&mut self, vector: u16, all_masked: bool) -> Option<Message> {
        let entry = self.table.get(usize::from(vector))?;
        if all_masked || entry[VECTOR_CONTROL] & VECTOR_MASKED != 0 {
            self.pending[usize::from(vector) / 64] |= 1 << (vector % 64);
            return None;
        }
        Some(Self::message(entry))
    }

    /// Takes the messages that need not wait any more.
    fn take_pending(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        for (index, entry) in self.table.iter().enumerate() {
            let (word, bit) = (index / 64, 1 << (index % 64));
            if self.pending[word] & bit != 0 && entry[VECTOR_CONTROL] & VECTOR_MASKED == 0 {
                self.pending[word] &= !bit;
                messages.push(Self::message(entry));
            }
        }
        messages
    }

    fn message(entry: &[u32; 4]) -> Message {
        Message {
            address: u64::from(entry[0]) | u64::from(entry[1]) << 32,
            data: entry[2],
        }
    }

    fn in_table(&self, bar: u8, offset: u64) -> Option<usize> {
        within(self.layout.table, self.table.len() * 16, bar, offset)
    }

    fn in_pending(&self, bar: u8, offset: u64) -> Option<usize> {
        within(self.layout.pending, self.pending.len() * 8, bar, offset)
    }
}

/// How far into a table an access begins.
fn within(place: (u8, u32), length: usize, bar: u8, offset: u64) -> Option<usize> {
    let offset = offset.checked_sub(place.1.into())?;
    let offset = usize::try_from(offset).ok()?;
    (bar == place.0 && offset < length).then_some(offset)
}

/// The bytes of a word that an access of up to four bytes sees.
fn part(word: u32, offset: usize, size: u8) -> u64 {
    let shifted = u64::from(word) >> (8 * (offset % 4));
    shifted & (u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 4))))
}

/// How a function interrupts at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By its pin.
    Pin,
    /// By messages of MSI.
    Msi,
    /// By messages of MSI-X.
    Msix,
}

/// All a function has to interrupt with.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    pub(crate) msix: Option<Msix>,
    /// What the device wants of its pin.
    pub(crate) level: bool,
}

impl Interrupts {
    pub(crate) fn mode(&self, config: &ConfigSpace) -> Mode {
        let set = |at: Option<u16>, bit| at.is_some_and(|at| config.word(at + 2) & bit != 0);
        if set(config.msix_offset(), msix::CONTROL_ENABLE) {
            Mode::Msix
        } else if set(config.msi_offset(), msi::CONTROL_ENABLE) {
            Mode::Msi
        } else {
            Mode::Pin
        }
    }

    /// Brings the status register up to date; the level that the pin should drive.
    pub(crate) fn pin(&self, config: &mut ConfigSpace) -> bool {
        let flags = config.word(header::STATUS) & !status::INTERRUPT;
        let flag = if self.level { status::INTERRUPT } else { 0 };
        config.set_word(header::STATUS, flags | flag);
        self.level && config.word(header::COMMAND) & command::INTX_DISABLE == 0
    }

    /// Sends or notes a vector's message, if messages are on.
    pub(crate) fn notify(&mut self, config: &mut ConfigSpace, vector: u16) -> Option<Message> {
        match self.mode(config) {
            Mode::Pin => None,
            Mode::Msi => notify_msi(config, vector),
            Mode::Msix => {
                let all_masked = all_masked(config);
                self.msix.as_mut()?.notify(vector, all_masked)
            }
        }
    }

    /// Takes the messages that need not wait any more, after masks have changed.
    pub(crate) fn take_pending(&mut self, config: &mut ConfigSpace) -> Vec<Message> {
        match self.mode(config) {
            Mode::Pin => Vec::new(),
            Mode::Msi => take_pending_msi(config),
            Mode::Msix if all_masked(config) => Vec::new(),
            Mode::Msix => self
                .msix
                .as_mut()
                .map(Msix::take_pending)
                .unwrap_or_default(),
        }
    }
}

fn all_masked(config: &ConfigSpace) -> bool {
    config
        .msix_offset()
        .is_some_and(|at| config.word(at + msix::CONTROL) & msix::CONTROL_MASK_ALL != 0)
}

/// Whether vectors can be masked by bits at the end of the capability.
fn maskable(config: &ConfigSpace, at: u16) -> bool {
    config.word(at + msi::CONTROL) & msi::CONTROL_MASKABLE != 0
}

fn notify_msi(config: &mut ConfigSpace, vector: u16) -> Option<Message> {
    let at = config.msi_offset()?;
    let vectors = msi_vectors(config, at);
    // A guest may give fewer vectors than there are; the rest share the last bits.
    let vector = vector % vectors;
    if maskable(config, at) && config.long(at + msi::MASK) & 1 << vector != 0 {
        let pending = config.long(at + msi::PENDING);
        config.set_long(at + msi::PENDING, pending | 1 << vector);
        return None;
    }
    let address = u64::from(config.long(at + msi::ADDRESS));
    let high = u64::from(config.long(at + msi::ADDRESS_HIGH)) << 32;
    let data = u32::from(config.word(at + msi::DATA)) & !u32::from(vectors - 1);
    Some(Message {
        address: address | high,
        data: data | u32::from(vector),
    })
}

fn take_pending_msi(config: &mut ConfigSpace) -> Vec<Message> {
    let Some(at) = config.msi_offset().filter(|at| maskable(config, *at)) else {
        return Vec::new();
    };
    let ready = config.long(at + msi::PENDING) & !config.long(at + msi::MASK);
    let pending = config.long(at + msi::PENDING) & !ready;
    config.set_long(at + msi::PENDING, pending);
    let vectors = (0..32).filter(|vector| ready & 1 << vector != 0);
    vectors
        .filter_map(|vector| notify_msi(config, vector))
        .collect()
}

/// How many vectors the guest has given: at most what it was offered.
fn msi_vectors(config: &ConfigSpace, at: u16) -> u16 {
    let control = config.word(at + msi::CONTROL);
    let offered = control >> 1 & 7;
    let given = (control & msi::CONTROL_MULTIPLE) >> 4;
    1 << given.min(offered).min(5)
}
