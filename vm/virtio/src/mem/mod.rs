//! The memory device (virtio 1.2 §5.15): memory that the guest takes and gives back in blocks, as
//! much as it is asked to have.
//!
//! All of the memory is mapped as long as the device is there. A block that is not plugged holds
//! nothing on the host until it is touched, which a driver must not do.

pub mod spec;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_memory::Ram;

use crate::{Chain, DeviceType, Error, Port, Reader, VirtioDevice};
use spec::{BlockState, RESPONSE_SIZE, Response, USABLE_EXTENT, feature, request};

/// How many descriptors the queue has.
const QUEUE_SIZE: u16 = 128;

/// What a user can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the memory is in the guest's address space.
    pub address: u64,
    /// The unit in which it comes and goes: a power of two, of which the memory is a multiple.
    pub block_size: u64,
    /// How much the guest is asked to use at first.
    pub requested_size: u64,
    /// Insist on a driver that leaves alone what is not plugged.
    pub unplugged_inaccessible: bool,
    /// Take memory from the host when it is plugged rather than when it is used.
    pub prealloc: bool,
}

/// Told how much the guest uses now. Called on the device thread, or where the machine is reset;
/// returns at once.
pub type Observer = Box<dyn Fn(u64) + Send + Sync>;

/// A size that the guest cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It is not made of blocks.
    #[error("'requested-size' has to be multiples of 'block-size' ({0:#x})")]
    Unaligned(u64),
    /// It is more than there is.
    #[error("'requested-size' cannot exceed the memory backend size({0:#x})")]
    TooLarge(u64),
}

/// The device.
pub struct Mem {
    port: Port,
    options: Options,
    ram: Arc<Ram>,
    observer: Observer,
    state: Mutex<State>,
}

struct State {
    requested: u64,
    /// The guest may plug blocks below this.
    usable: u64,
    /// Whether each block is plugged.
    plugged: Vec<bool>,
    /// How much that is.
    size: u64,
}

/// The blocks that a request means.
type Blocks = Range<usize>;

impl Mem {
    /// A device whose memory is all of `ram`, none of it plugged.
    #[must_use]
    pub fn new(port: Port, options: Options, ram: Arc<Ram>, observer: Observer) -> Arc<Self> {
        let blocks = usize::try_from(ram.size() / options.block_size).unwrap_or(0);
        let mem = Self {
            port,
            options,
            ram,
            observer,
            state: Mutex::new(State {
                requested: options.requested_size,
                usable: 0,
                plugged: vec![false; blocks],
                size: 0,
            }),
        };
        mem.state().usable = mem.usable(options.requested_size);
        Arc::new(mem)
    }

    /// Where its memory is in the guest's address space.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.options.address
    }

    /// The unit in which memory comes and goes.
    #[must_use]
    pub fn block_size(&self) -> u64 {
        self.options.block_size
    }

    /// Whether the driver must leave alone what is not plugged.
    #[must_use]
    pub fn is_unplugged_inaccessible(&self) -> bool {
        self.options.unplugged_inaccessible
    }

    /// How much there is.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.ram.size()
    }

    /// How much the guest uses.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state().size
    }

    /// How much it is asked to use.
    #[must_use]
    pub fn requested_size(&self) -> u64 {
        self.state().requested
    }

    /// Asks the guest to use so much.
    ///
    /// # Errors
    /// When it cannot.
    pub fn set_requested_size(&self, size: u64) -> Result<(), SizeError> {
        if !size.is_multiple_of(self.options.block_size) {
            return Err(SizeError::Unaligned(self.options.block_size));
        }
        if size > self.ram.size() {
            return Err(SizeError::TooLarge(self.ram.size()));
        }
        let mut state = self.state();
        state.requested = size;
        // What is in use already stays usable.
        state.usable = state.usable.max(self.usable(size));
        drop(state);
        self.port.config_changed();
        Ok(())
    }

    /// The machine is reset, which takes everything away, as a reset by the driver does not
    /// (§5.15.5.2).
    pub fn system_reset(&self) {
        if self.unplug_all() != Response::Ack {
            tracing::warn!("virtio-mem: the host does not take memory back");
        }
    }

    /// How far the guest may plug, asked for so much.
    fn usable(&self, requested: u64) -> u64 {
        if requested == 0 {
            return 0;
        }
        let extended = requested.saturating_add(USABLE_EXTENT);
        let blocks = extended.div_ceil(self.options.block_size);
        let end = blocks.saturating_mul(self.options.block_size);
        end.min(self.ram.size())
    }

    /// Answers the request of a chain.
    fn answer(&self, chain: &Chain) -> Result<[u8; RESPONSE_SIZE as usize], Error> {
        let mut reader = chain.reader();
        if reader.remaining() < request::SIZE as u64 {
            return Err(Error::Request("invalid request size"));
        }
        if chain.writer().remaining() < RESPONSE_SIZE.into() {
            return Err(Error::Request("not enough space for response"));
        }
        let unreadable = |_| Error::Request("unreadable request");
        let kind = word(&mut reader).map_err(unreadable)?;
        reader.skip(6);
        let address = reader.array().map(u64::from_le_bytes);
        let address = address.map_err(unreadable)?;
        let count = word(&mut reader).map_err(unreadable)?;
        let (response, state) = match kind {
            request::PLUG => (self.plug(address, count), None),
            request::UNPLUG => (self.unplug(address, count), None),
            request::UNPLUG_ALL => (self.unplug_all(), None),
            request::STATE => self.block_state(address, count),
            _ => return Err(Error::Request("unknown request type")),
        };
        let mut answer = [0; RESPONSE_SIZE as usize];
        answer[..2].copy_from_slice(&(response as u16).to_le_bytes());
        if let Some(state) = state {
            answer[8..].copy_from_slice(&(state as u16).to_le_bytes());
        }
        Ok(answer)
    }

    fn plug(&self, address: u64, count: u16) -> Response {
        let mut state = self.state();
        let Some(blocks) = self.blocks(&state, address, count) else {
            return Response::Error;
        };
        let size = state.size + self.length(&blocks);
        if size > state.requested {
            return Response::Nack;
        }
        if state.plugged[blocks.clone()].contains(&true) {
            return Response::Error;
        }
        if self.options.prealloc {
            let start = self.offset(&blocks);
            self.ram.populate(start..start + self.length(&blocks));
        }
        state.plugged[blocks].fill(true);
        self.resized(state, size)
    }

    fn unplug(&self, address: u64, count: u16) -> Response {
        let mut state = self.state();
        let Some(blocks) = self.blocks(&state, address, count) else {
            return Response::Error;
        };
        if state.plugged[blocks.clone()].contains(&false) {
            return Response::Error;
        }
        let length = self.length(&blocks);
        if self.ram.discard(self.offset(&blocks), length).is_err() {
            return Response::Busy;
        }
        state.plugged[blocks].fill(false);
        let size = state.size - length;
        self.resized(state, size)
    }

    fn unplug_all(&self) -> Response {
        let mut state = self.state();
        // Also what was touched without being plugged.
        if self.ram.discard(0, self.ram.size()).is_err() {
            return Response::Busy;
        }
        state.plugged.fill(false);
        state.usable = self.usable(state.requested);
        if state.size == 0 {
            return Response::Ack;
        }
        self.resized(state, 0)
    }

    fn block_state(&self, address: u64, count: u16) -> (Response, Option<BlockState>) {
        let state = self.state();
        let Some(blocks) = self.blocks(&state, address, count) else {
            return (Response::Error, None);
        };
        let blocks = &state.plugged[blocks];
        let blocks = match (blocks.contains(&true), blocks.contains(&false)) {
            (true, true) => BlockState::Mixed,
            (true, false) => BlockState::Plugged,
            (false, _) => BlockState::Unplugged,
        };
        (Response::Ack, Some(blocks))
    }

    /// Notes how much is plugged now, and tells of it.
    fn resized(&self, mut state: MutexGuard<'_, State>, size: u64) -> Response {
        state.size = size;
        drop(state);
        (self.observer)(size);
        Response::Ack
    }

    /// The blocks that a driver means, if all of them are usable.
    fn blocks(&self, state: &State, address: u64, count: u16) -> Option<Blocks> {
        let offset = address.checked_sub(self.options.address)?;
        let length = u64::from(count) * self.options.block_size;
        let end = offset.checked_add(length)?;
        if count == 0 || !offset.is_multiple_of(self.options.block_size) || end > state.usable {
            return None;
        }
        let first = usize::try_from(offset / self.options.block_size).ok()?;
        Some(first..first + usize::from(count))
    }

    /// Where some blocks begin in the memory.
    fn offset(&self, blocks: &Blocks) -> u64 {
        blocks.start as u64 * self.options.block_size
    }

    /// How many bytes they have.
    fn length(&self, blocks: &Blocks) -> u64 {
        blocks.len() as u64 * self.options.block_size
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn word(reader: &mut Reader<'_>) -> std::io::Result<u16> {
    reader.array().map(u16::from_le_bytes)
}

impl VirtioDevice for Mem {
    fn device_type(&self) -> DeviceType {
        DeviceType::Mem
    }

    fn features(&self) -> u64 {
        self.required_features()
    }

    fn required_features(&self) -> u64 {
        match self.options.unplugged_inaccessible {
            true => feature::UNPLUGGED_INACCESSIBLE,
            false => 0,
        }
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    fn config(&self) -> Vec<u8> {
        let state = self.state();
        // The second field is the NUMA node, which needs a feature of its own.
        let fields = [
            self.options.block_size,
            0,
            self.options.address,
            self.ram.size(),
            state.usable,
            state.size,
            state.requested,
        ];
        fields.map(u64::to_le_bytes).concat()
    }

    fn kick(&self, queue: usize) {
        while let Some(chain) = self.port.pop(queue) {
            match self.answer(&chain) {
                // A chain that was reset meanwhile takes no answer.
                Ok(answer) => drop(chain.writer().write_all(&answer)),
                Err(error) => return self.port.fail(error),
            }
            self.port.push(chain, RESPONSE_SIZE);
            self.port.notify(queue);
        }
    }
}
