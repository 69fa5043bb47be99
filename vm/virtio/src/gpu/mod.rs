//! The graphics card (virtio 1.2 §5.7) without 3D: images that the driver draws in its memory,
//! copied here and shown on screens.

mod edid;
mod resource;
mod spec;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_display::{Area, Image, PIXEL, Screen};
use tinamou_memory::DmaView;

use resource::{Piece, Resource};
use spec::{CONTROL, FLAG_FENCE, Fault, QUEUE_SIZES, answer, command};

pub use spec::SCANOUTS_MAX;

use crate::{Chain, DeviceType, Port, Reader, VirtioDevice};

/// The longest side of an image.
const SIDE_MAX: u32 = 16384;
/// The shortest side of what a screen shows; QEMU's.
const SHOWN_MIN: u32 = 16;
/// The most pieces of a backing; QEMU's.
const PIECES_MAX: u32 = 16384;
/// What an image costs the host at least, so that tiny ones are bounded too.
const COST_MIN: u64 = 4096;
/// Bytes after whose transfer others get a turn.
const TRANSFER_TURN: u64 = 64 << 20;

/// How a card is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The size of the first screen.
    pub size: (u32, u32),
    /// The most bytes for images.
    pub max_hostmem: u64,
    /// Whether it tells what its screens can do.
    pub edid: bool,
}

/// The device.
pub struct Gpu {
    port: Port,
    options: Options,
    screens: Vec<Arc<Screen>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    resources: BTreeMap<u32, Resource>,
    /// Which resource each screen shows; 0 for none.
    shown: Vec<u32>,
    /// Bytes of the host that images take.
    hostmem: u64,
}

/// An answer: its type, and what follows the header.
type Answer = (u32, Vec<u8>);

impl Gpu {
    /// A card with these screens.
    #[must_use]
    pub fn new(port: Port, screens: Vec<Arc<Screen>>, options: Options) -> Arc<Self> {
        let shown = vec![0; screens.len()];
        Arc::new(Self {
            port,
            options,
            screens,
            state: Mutex::new(State {
                shown,
                ..State::default()
            }),
        })
    }

    /// Carries out the command in a chain. Returns how many bytes were answered, and how many
    /// were copied.
    fn serve(&self, chain: &Chain) -> (u32, u64) {
        let mut reader = chain.reader();
        let header: [u8; 24] = reader.array().unwrap_or_default();
        let mut copied = 0;
        let outcome = self.execute(word(&header, 0), &mut reader, &mut copied);
        let (kind, data) = outcome.unwrap_or_else(|fault| (fault as u32, Vec::new()));
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        if word(&header, 4) & FLAG_FENCE != 0 {
            bytes[4..8].copy_from_slice(&FLAG_FENCE.to_le_bytes());
            bytes[8..20].copy_from_slice(&header[8..20]);
        }
        let mut writer = chain.writer();
        let before = writer.remaining();
        // A driver that left no room gets what fits.
        let _ = writer
            .write_all(&bytes)
            .and_then(|()| writer.write_all(&data));
        ((before - writer.remaining()) as u32, copied)
    }

    fn execute(
        &self,
        kind: u32,
        reader: &mut Reader<'_>,
        copied: &mut u64,
    ) -> Result<Answer, Fault> {
        match kind {
            command::DISPLAY_INFO => return Ok((answer::DISPLAY_INFO, self.display_info())),
            command::GET_EDID => return self.edid(words(reader)?),
            command::RESOURCE_CREATE_2D => self.create(words(reader)?)?,
            command::RESOURCE_UNREF => self.unref(words(reader)?)?,
            command::SET_SCANOUT => self.set_scanout(words(reader)?)?,
            command::RESOURCE_FLUSH => self.flush(words(reader)?)?,
            command::TRANSFER_TO_HOST_2D => *copied = self.transfer(words(reader)?)?,
            command::RESOURCE_ATTACH_BACKING => {
                let [id, count] = words(reader)?;
                self.attach(id, pieces(reader, count)?)?;
            }
            command::RESOURCE_DETACH_BACKING => self.detach(words(reader)?)?,
            _ => return Err(Fault::Unspecified),
        }
        Ok((answer::NO_DATA, Vec::new()))
    }

    /// Sixteen modes: area, whether it is on, flags.
    fn display_info(&self) -> Vec<u8> {
        let (width, height) = self.options.size;
        let first = [0, 0, width, height, 1, 0];
        let modes = (0..SCANOUTS_MAX).flat_map(|number| match number {
            0 => first,
            _ => [0; 6],
        });
        modes.flat_map(u32::to_le_bytes).collect()
    }

    fn edid(&self, [scanout, _]: [u32; 2]) -> Result<Answer, Fault> {
        /// How long the field is.
        const FIELD: usize = 1024;
        if scanout as usize >= self.screens.len() {
            return Err(Fault::Parameter);
        }
        let (width, height) = self.options.size;
        let block = edid::edid(width, height);
        let length = block.len() as u32;
        let mut data = [length.to_le_bytes(), [0; 4]].concat();
        data.extend(block);
        data.resize(8 + FIELD, 0);
        Ok((answer::EDID, data))
    }

    fn create(&self, [id, format, width, height]: [u32; 4]) -> Result<(), Fault> {
        let mut state = self.state();
        if id == 0 || state.resources.contains_key(&id) {
            return Err(Fault::ResourceId);
        }
        let format = spec::format(format).ok_or(Fault::Parameter)?;
        let sides = 1..=SIDE_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(Fault::Parameter);
        }
        self.charge(&mut state, image_cost(width, height))?;
        let image = Image::new(width, height, format);
        state.resources.insert(id, Resource::new(image));
        Ok(())
    }

    fn unref(&self, [id, _]: [u32; 2]) -> Result<(), Fault> {
        let mut state = self.state();
        let resource = state.resources.remove(&id).ok_or(Fault::ResourceId)?;
        let image = image_cost(resource.image.width(), resource.image.height());
        state.hostmem -= image + Resource::backing_cost(resource.pieces());
        for (screen, shown) in self.screens.iter().zip(&mut state.shown) {
            if *shown == id {
                *shown = 0;
                screen.blank();
            }
        }
        Ok(())
    }

    fn set_scanout(&self, [x, y, width, height, scanout, id]: [u32; 6]) -> Result<(), Fault> {
        let screen = self.screens.get(scanout as usize).ok_or(Fault::ScanoutId)?;
        let mut state = self.state();
        if id == 0 {
            screen.blank();
        } else {
            let resource = state.resources.get(&id).ok_or(Fault::ResourceId)?;
            let area = area_in(&resource.image, [x, y, width, height])?;
            if width < SHOWN_MIN || height < SHOWN_MIN {
                return Err(Fault::Parameter);
            }
            screen.show(Arc::clone(&resource.image), area);
        }
        state.shown[scanout as usize] = id;
        Ok(())
    }

    /// Screens show images as they are, so there is nothing to bring up to date.
    fn flush(&self, [x, y, width, height, id, _]: [u32; 6]) -> Result<(), Fault> {
        let state = self.state();
        let resource = state.resources.get(&id).ok_or(Fault::ResourceId)?;
        area_in(&resource.image, [x, y, width, height]).map(|_| ())
    }

    fn transfer(&self, [x, y, width, height, low, high, id, _]: [u32; 8]) -> Result<u64, Fault> {
        let state = self.state();
        let resource = state.resources.get(&id).ok_or(Fault::ResourceId)?;
        if !resource.has_backing() {
            return Err(Fault::Unspecified);
        }
        let area = area_in(&resource.image, [x, y, width, height])?;
        let offset = u64::from(high) << 32 | u64::from(low);
        resource.transfer(&self.view(), area, offset)?;
        Ok(u64::from(width) * u64::from(height) * PIXEL as u64)
    }

    fn attach(&self, id: u32, pieces: Vec<Piece>) -> Result<(), Fault> {
        let mut state = self.state();
        let resource = state.resources.get(&id).ok_or(Fault::ResourceId)?;
        let view = self.view();
        let is_ram = |piece: &Piece| view.covers(piece.address, piece.length.into());
        if resource.has_backing() || !pieces.iter().all(is_ram) {
            return Err(Fault::Unspecified);
        }
        self.charge(&mut state, Resource::backing_cost(pieces.len()))?;
        if let Some(resource) = state.resources.get_mut(&id) {
            resource.attach(&pieces);
        }
        Ok(())
    }

    fn detach(&self, [id, _]: [u32; 2]) -> Result<(), Fault> {
        let mut state = self.state();
        let resource = state.resources.get_mut(&id).ok_or(Fault::ResourceId)?;
        let pieces = resource.detach().ok_or(Fault::Unspecified)?;
        state.hostmem -= Resource::backing_cost(pieces);
        Ok(())
    }

    /// Takes from what the host grants.
    fn charge(&self, state: &mut State, cost: u64) -> Result<(), Fault> {
        let hostmem = state.hostmem.saturating_add(cost);
        if hostmem >= self.options.max_hostmem {
            return Err(Fault::OutOfMemory);
        }
        state.hostmem = hostmem;
        Ok(())
    }

    fn view(&self) -> DmaView {
        self.port.site().memory.view()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Gpu {
    fn device_type(&self) -> DeviceType {
        DeviceType::Gpu
    }

    fn features(&self) -> u64 {
        if self.options.edid { spec::F_EDID } else { 0 }
    }

    fn queue_sizes(&self) -> Vec<u16> {
        QUEUE_SIZES.to_vec()
    }

    /// Events, of which there are none; how many screens; no capabilities of 3D.
    fn config(&self) -> Vec<u8> {
        let fields = [0, 0, self.screens.len() as u32, 0];
        fields.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    fn kick(&self, queue: usize) {
        let mut copied = 0;
        while let Some(chain) = self.port.pop(queue) {
            // The cursor is drawn by those who look, and there are none yet.
            let (written, bytes) = match queue {
                CONTROL => self.serve(&chain),
                _ => (0, 0),
            };
            self.port.push(chain, written);
            copied += bytes;
            if copied >= TRANSFER_TURN {
                self.port.wake(queue);
                break;
            }
        }
        self.port.notify(queue);
    }

    fn reset(&self) {
        let shown = vec![0; self.screens.len()];
        *self.state() = State {
            shown,
            ..State::default()
        };
        for screen in &self.screens {
            screen.blank();
        }
    }
}

/// What an image costs the host.
fn image_cost(width: u32, height: u32) -> u64 {
    let bytes = u64::from(width) * u64::from(height) * PIXEL as u64;
    bytes.max(COST_MIN)
}

fn area_in(image: &Image, [x, y, width, height]: [u32; 4]) -> Result<Area, Fault> {
    let area = Area {
        x,
        y,
        width,
        height,
    };
    match area.fits(image.width(), image.height()) {
        true => Ok(area),
        false => Err(Fault::Parameter),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes[at..].first_chunk();
    u32::from_le_bytes(word.copied().unwrap_or_default())
}

/// The next fields of a command.
fn words<const N: usize>(reader: &mut Reader<'_>) -> Result<[u32; N], Fault> {
    let mut words = [0; N];
    for word in &mut words {
        let bytes = reader.array().map_err(|_| Fault::Parameter)?;
        *word = u32::from_le_bytes(bytes);
    }
    Ok(words)
}

/// The stretches of memory that follow a command; empty ones are nothing.
fn pieces(reader: &mut Reader<'_>, count: u32) -> Result<Vec<Piece>, Fault> {
    if count > PIECES_MAX {
        return Err(Fault::Unspecified);
    }
    let mut bytes = vec![0; count as usize * 16];
    reader
        .read_exact(&mut bytes)
        .map_err(|_| Fault::Unspecified)?;
    let entries = bytes.chunks_exact(16).map(|entry| Piece {
        address: u64::from(word(entry, 4)) << 32 | u64::from(word(entry, 0)),
        length: word(entry, 8),
    });
    Ok(entries.filter(|piece| piece.length > 0).collect())
}

#[cfg(test)]
mod tests;
