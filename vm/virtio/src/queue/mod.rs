//! One virtqueue: where it lies, how far it has come, and its two layouts behind one face.

pub(crate) mod element;
mod packed;
mod split;

use std::collections::VecDeque;

use tinamou_memory::DmaView;

use crate::Error;
use crate::chain::Segment;
use crate::spec::{QUEUE_SIZE_MAX, feature};

use packed::Packed;
use split::Split;

/// What the driver told about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How many descriptors there are; 0 when there is no such queue.
    pub size: u16,
    /// The descriptor table, or the packed ring.
    pub descriptors: u64,
    /// The driver area: the available ring, or the driver event suppression.
    pub driver: u64,
    /// The device area: the used ring, or the device event suppression.
    pub device: u64,
    /// Whether the driver has enabled it.
    pub ready: bool,
}

/// A legacy ring: its parts follow each other, the last one aligned (virtio 1.2 §2.7.2).
pub(crate) fn legacy_setup(setup: Setup, alignment: u32) -> Setup {
    let size = u64::from(setup.size);
    let alignment = u64::from(alignment.max(1));
    let driver = at(setup.descriptors, Descriptor::SIZE * size);
    let end = at(driver, 6 + 2 * size);
    Setup {
        driver,
        device: end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX),
        ..setup
    }
}

/// A queue and what the device knows of it.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) setup: Setup,
    /// The size offered to the driver.
    pub(crate) size_max: u16,
    layout: Layout,
    /// Chains taken and not yet returned.
    in_use: u16,
    /// With `VIRTIO_F_IN_ORDER`, those chains in their order, with what is to be said of each.
    ordered: VecDeque<(Token, Option<u32>)>,
}

#[derive(Debug)]
enum Layout {
    Split(Split),
    Packed(Packed),
}

/// A chain as the ring knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The first descriptor's index, or the buffer id.
    pub(crate) id: u16,
    /// Slots of a packed ring it takes; 1 in a split ring.
    pub(crate) slots: u16,
}

/// A chain taken from a ring.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) token: Option<Token>,
    pub(crate) readable: Vec<Segment>,
    pub(crate) writable: Vec<Segment>,
}

/// Where a ring stands, for `query-virtio-queue-status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// Chains taken and not yet returned.
    pub in_use: u16,
    /// The next available entry to look at.
    pub last_available: u16,
    /// The driver's index as last read.
    pub shadow_available: u16,
    /// The next used entry to write.
    pub used: u16,
    /// The used index of the last interrupt.
    pub signalled_used: u16,
    /// Whether there was an interrupt at all.
    pub signalled_used_valid: bool,
}

impl Queue {
    pub(crate) fn new(size: u16) -> Self {
        let size = size.min(QUEUE_SIZE_MAX);
        Self {
            setup: Setup {
                size,
                descriptors: 0,
                driver: 0,
                device: 0,
                ready: false,
            },
            size_max: size,
            layout: Layout::Split(Split::default()),
            in_use: 0,
            ordered: VecDeque::new(),
        }
    }

    /// Forgets everything, the setup included.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.size_max);
    }

    /// Begins at the start of the ring that the driver has set up.
    pub(crate) fn enable(&mut self, features: u64) {
        self.layout = if features & feature::RING_PACKED != 0 {
            Layout::Packed(Packed::default())
        } else {
            Layout::Split(Split::default())
        };
        self.in_use = 0;
        self.ordered.clear();
        self.setup.ready = true;
    }

    /// Whether chains can be taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.setup.ready && self.setup.size > 0
    }

    /// Takes the next chain. When there is none, the driver is asked to kick at the next one.
    pub(crate) fn pop(&mut self, view: &DmaView, features: u64) -> Result<Option<Taken>, Error> {
        if !self.is_ready() {
            return Ok(None);
        }
        let taken = match &mut self.layout {
            Layout::Split(split) => split.pop(&self.setup, view, features)?,
            Layout::Packed(packed) => packed.pop(&self.setup, view)?,
        };
        let Some(taken) = taken else { return Ok(None) };
        if self.in_use >= self.setup.size {
            return Err(Error::Crowded);
        }
        self.in_use += 1;
        if let Some(token) = taken.token.filter(|_| features & feature::IN_ORDER != 0) {
            self.ordered.push_back((token, None));
        }
        Ok(Some(taken))
    }

    /// Puts back the chain that was taken last.
    pub(crate) fn unpop(&mut self, token: Token) {
        self.in_use = self.in_use.saturating_sub(1);
        if self.ordered.back().is_some_and(|(last, _)| *last == token) {
            self.ordered.pop_back();
        }
        match &mut self.layout {
            Layout::Split(split) => split.unpop(),
            Layout::Packed(packed) => packed.unpop(&self.setup, token.slots),
        }
    }

    /// Returns chains together: the driver sees all or none of them.
    pub(crate) fn push(
        &mut self,
        view: &DmaView,
        features: u64,
        chains: &[(Token, u32)],
    ) -> Result<(), Error> {
        if features & feature::IN_ORDER == 0 {
            return self.publish(view, chains);
        }
        for (token, written) in chains {
            let entry = self
                .ordered
                .iter_mut()
                .find(|(taken, done)| taken == token && done.is_none());
            if let Some((_, done)) = entry {
                *done = Some(*written);
            }
        }
        let done: Vec<_> = self
            .ordered
            .iter()
            .map_while(|(token, written)| Some((*token, (*written)?)))
            .collect();
        self.ordered.drain(..done.len());
        self.publish(view, &done)
    }

    /// Whether the driver wants an interrupt for what was returned since the last question.
    pub(crate) fn wants_interrupt(&mut self, view: &DmaView, features: u64) -> Result<bool, Error> {
        if !self.is_ready() {
            return Ok(false);
        }
        match &mut self.layout {
            Layout::Split(split) => {
                split.wants_interrupt(&self.setup, view, features, self.in_use == 0)
            }
            Layout::Packed(packed) => packed.wants_interrupt(&self.setup, view),
        }
    }

    /// Whether the driver has no chain for the device.
    pub(crate) fn is_empty(&self, view: &DmaView) -> Result<bool, Error> {
        if !self.is_ready() {
            return Ok(true);
        }
        match &self.layout {
            Layout::Split(split) => split.is_empty(&self.setup, view),
            Layout::Packed(packed) => packed.is_empty(&self.setup, view),
        }
    }

    /// Where the ring stands.
    pub(crate) fn position(&self) -> Position {
        let position = match &self.layout {
            Layout::Split(split) => split.position(),
            Layout::Packed(packed) => packed.position(),
        };
        Position {
            in_use: self.in_use,
            ..position
        }
    }

    fn publish(&mut self, view: &DmaView, chains: &[(Token, u32)]) -> Result<(), Error> {
        if chains.is_empty() || !self.is_ready() {
            return Ok(());
        }
        let count = u16::try_from(chains.len()).map_err(|_| Error::Crowded)?;
        self.in_use = self.in_use.saturating_sub(count);
        match &mut self.layout {
            Layout::Split(split) => split.push(&self.setup, view, chains),
            Layout::Packed(packed) => packed.push(&self.setup, view, chains),
        }
    }
}

/// A descriptor of a split ring or an indirect table; packed ones have the same first fields.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    address: u64,
    length: u32,
    /// Flags of a split descriptor; id of a packed one.
    low: u16,
    /// Next of a split descriptor; flags of a packed one.
    high: u16,
}

impl Descriptor {
    /// How long one is, in either layout.
    const SIZE: u64 = 16;

    const NEXT: u16 = 1;
    const WRITE: u16 = 2;
    const INDIRECT: u16 = 4;

    fn read(view: &DmaView, table: u64, index: u16) -> Result<Self, Error> {
        let address = at(table, u64::from(index) * Self::SIZE);
        let mut bytes = [0; Self::SIZE as usize];
        view.read(address, &mut bytes)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Ok(Self {
            address: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            length: u32::from_le_bytes([i, j, k, l]),
            low: u16::from_le_bytes([m, n]),
            high: u16::from_le_bytes([o, p]),
        })
    }

    /// How many descriptors the indirect table it names has.
    fn table_length(&self) -> Result<u16, Error> {
        let entries = self.length / Self::SIZE as u32;
        if self.length == 0 || !self.length.is_multiple_of(Self::SIZE as u32) {
            return Err(Error::IndirectSize(self.length));
        }
        // A longer table is allowed; a chain through more of it is refused later.
        Ok(u16::try_from(entries).unwrap_or(u16::MAX))
    }
}

impl Taken {
    /// Adds the buffer of a descriptor with these split-ring flags.
    fn add(&mut self, view: &DmaView, descriptor: &Descriptor, flags: u16) -> Result<(), Error> {
        let segment = Segment {
            address: descriptor.address,
            length: descriptor.length,
        };
        if segment.length == 0 {
            return Err(Error::Empty);
        }
        if self.readable.len() + self.writable.len() >= usize::from(QUEUE_SIZE_MAX) {
            return Err(Error::TooLong);
        }
        for stretch in view.stretches(segment.address, segment.length.into()) {
            stretch?;
        }
        if flags & Descriptor::WRITE != 0 {
            self.writable.push(segment);
        } else if self.writable.is_empty() {
            self.readable.push(segment);
        } else {
            return Err(Error::Order);
        }
        Ok(())
    }
}

/// An address in a ring; one beyond the last address is in no RAM either.
fn at(base: u64, offset: u64) -> u64 {
    base.saturating_add(offset)
}

/// Whether an index passing from `old` to `new` goes over `event` (virtio 1.2 §2.7.7.2).
fn passes(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
