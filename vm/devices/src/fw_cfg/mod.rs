//! `fw_cfg`: what the machine's maker tells firmware and kernel, as items that are read through
//! a register or fetched into RAM.

mod items;
mod spec;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_memory::{Dma, DmaView, Fault, Mmio, Region};

pub use items::Error;
use items::Items;
use spec::command;
pub use spec::{FILES_MAX, NAME_SIZE, SIZE, key};

/// The device.
#[derive(Debug)]
pub struct FwCfg {
    ram: Dma,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    items: Items,
    selector: u16,
    /// How much of the selected item has been read.
    offset: usize,
    /// The upper half of a transfer's address, when it is written by halves.
    address_high: u32,
}

impl FwCfg {
    /// A device with nothing to tell yet, which fetches into `ram`.
    #[must_use]
    pub fn new(ram: Dma) -> Arc<Self> {
        let state = Mutex::new(State {
            items: Items::new(),
            selector: key::SIGNATURE,
            offset: 0,
            address_high: 0,
        });
        Arc::new(Self { ram, state })
    }

    /// Offers an item under a number.
    pub fn set(&self, key: u16, content: Vec<u8>) {
        self.lock().items.set(key, content);
    }

    /// Offers a file. This renumbers others, so it is done before the guest starts.
    ///
    /// # Errors
    /// [`Error`]
    pub fn add_file(&self, name: &str, content: Vec<u8>) -> Result<(), Error> {
        self.lock().items.add_file(name, content)
    }

    /// Gives a file other content.
    pub fn replace_file(&self, name: &str, content: Vec<u8>) {
        self.lock().items.replace_file(name, content);
    }

    /// Puts the registers as at power-on.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.select(key::SIGNATURE);
        state.address_high = 0;
    }

    /// Its registers, for a map in which they begin at `base`.
    #[must_use]
    pub fn regions(self: &Arc<Self>, base: u64) -> [Region; 3] {
        let region = |name, (start, size), register| {
            let window = Window {
                device: Arc::clone(self),
                register,
            };
            Region::mmio(name, base + start, size, Arc::new(window))
        };
        [
            region("fwcfg.data", spec::DATA, Register::Data),
            region("fwcfg.ctl", spec::CONTROL, Register::Control).accepting(2..=2),
            region("fwcfg.dma", spec::DMA, Register::Transfer),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn select(&mut self, selector: u16) {
        self.selector = selector;
        self.offset = 0;
    }

    /// What is left of the selected item.
    fn rest(&self) -> &[u8] {
        let content = self.items.find(self.selector).unwrap_or_default();
        content.get(self.offset..).unwrap_or_default()
    }

    /// The next bytes of the item; zeros after its end.
    fn read_data(&mut self, size: u8) -> u64 {
        let mut bytes = [0; 8];
        let rest = self.rest();
        let length = rest.len().min(size.into());
        bytes[..length].copy_from_slice(&rest[..length]);
        self.offset += length;
        u64::from_le_bytes(bytes)
    }

    /// Carries out the transfer that is described at `address`: command, length, address in RAM,
    /// all with the highest byte first. The command's place then says how it went.
    fn transfer(&mut self, ram: &DmaView, address: u64) {
        let mut description = [0; 16];
        let done = ram.read(address, &mut description).and_then(|()| {
            let (head, target) = description.split_at(8);
            let (command, length) = head.split_at(4);
            let number = |bytes: &[u8]| {
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            };
            self.execute(ram, number(command) as u32, number(length), number(target))
        });
        let status = if done.is_ok() { 0 } else { command::ERROR };
        // A description outside of RAM has no place for an answer.
        let _ = ram.write(address, &status.to_be_bytes());
    }

    fn execute(
        &mut self,
        ram: &DmaView,
        command: u32,
        length: u64,
        target: u64,
    ) -> Result<(), Fault> {
        if command & command::SELECT != 0 {
            self.select((command >> 16) as u16);
        }
        let available = self.rest().len();
        let length = length as usize;
        let held = length.min(available);
        let result = if command & command::READ != 0 {
            let copied = ram.write(target, &self.rest()[..held]);
            let beyond = target.wrapping_add(held as u64);
            copied.and_then(|()| fill_with_zeros(ram, beyond, (length - held) as u64))
        } else if command & command::WRITE != 0 && length > 0 {
            // No item can be written.
            return Err(Fault { address: target });
        } else if command & command::SKIP != 0 {
            Ok(())
        } else {
            return Ok(());
        };
        self.offset += held;
        result
    }
}

fn fill_with_zeros(ram: &DmaView, address: u64, length: u64) -> Result<(), Fault> {
    const ZEROS: [u8; 4096] = [0; 4096];
    for done in (0..length).step_by(ZEROS.len()) {
        let now = (length - done).min(ZEROS.len() as u64);
        ram.write(address.wrapping_add(done), &ZEROS[..now as usize])?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Register {
    Data,
    Control,
    Transfer,
}

/// One of the registers.
struct Window {
    device: Arc<FwCfg>,
    register: Register,
}

impl Window {
    /// The address comes as a whole or by halves, the upper one first, and the highest byte of
    /// each comes first.
    fn write_address(&self, offset: u64, size: u8, value: u64) {
        let mut state = self.device.lock();
        let address = match (offset, size) {
            (0, 8) => value.swap_bytes(),
            (0, 4) => {
                state.address_high = (value as u32).swap_bytes();
                return;
            }
            (4, 4) => {
                let high = std::mem::take(&mut state.address_high);
                u64::from(high) << 32 | u64::from((value as u32).swap_bytes())
            }
            _ => return,
        };
        state.transfer(&self.device.ram.view(), address);
    }
}

impl Mmio for Window {
    fn read(&self, offset: u64, size: u8) -> u64 {
        match self.register {
            Register::Data if offset == 0 => self.device.lock().read_data(size),
            Register::Transfer => {
                let bits = u64::from_le_bytes(spec::DMA_SIGNATURE) >> (8 * (offset & 7));
                match size {
                    8.. => bits,
                    size => bits & ((1 << (8 * size)) - 1),
                }
            }
            Register::Data | Register::Control => 0,
        }
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        match self.register {
            Register::Control => self.device.lock().select((value as u16).swap_bytes()),
            Register::Transfer => self.write_address(offset, size, value),
            // Items are for reading.
            Register::Data => {}
        }
    }
}
