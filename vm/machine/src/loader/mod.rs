//! Putting firmware, kernel, initial RAM disk and device tree where a guest expects them.

mod elf;
mod image;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tinamou_memory::{AddressSpace, Ram};

use crate::error::LoadError;
use elf::Elf;

/// Kernels start at multiples of this (Linux Documentation/arch/riscv/boot.rst).
const KERNEL_ALIGNMENT: u64 = 2 << 20;
/// How far behind the kernel the initial RAM disk is put at most.
const INITRD_DISTANCE: u64 = 512 << 20;

/// Bytes that are put into guest memory at start and at every reset.
#[derive(Clone, Debug)]
pub struct Rom {
    /// Where they come from, for `info roms`.
    pub name: String,
    /// The guest physical address.
    pub address: u64,
    /// The bytes.
    pub content: Vec<u8>,
}

/// A program from a file or from the embedder.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A file.
    File(PathBuf),
    /// Bytes with a name for messages.
    Bytes(String, Arc<[u8]>),
}

/// The RAM that images go into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The first address.
    pub(crate) base: u64,
    /// How many bytes.
    pub(crate) size: u64,
}

/// A program in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Where execution begins.
    pub(crate) entry: u64,
    /// The lowest address used.
    pub(crate) low: u64,
    /// The first address behind it.
    pub(crate) end: u64,
    /// What to put into memory.
    pub(crate) roms: Vec<Rom>,
}

impl Payload {
    /// The file, or the name that stands for it in messages.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Bytes(name, _) => name.into(),
        }
    }

    fn content(&self, room: Room) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::File(path) => read_file(path, room),
            Self::Bytes(_, bytes) => Ok(bytes.to_vec()),
        }
    }
}

impl Room {
    fn end(self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Makes sure that `size` bytes at `address` are RAM.
    fn check(self, address: u64, size: u64) -> Result<(), LoadError> {
        let fits = address >= self.base
            && address
                .checked_add(size)
                .is_some_and(|end| end <= self.end());
        fits.then_some(()).ok_or(LoadError::Room { address, size })
    }
}

/// Loads an ELF file where it says, or any other image at `address`.
pub(crate) fn load_firmware(path: &Path, address: u64, room: Room) -> Result<Loaded, LoadError> {
    let content = read_file(path, room)?;
    let name = path.display().to_string();
    if Elf::is_elf(&content) {
        return load_elf(name, &content, room);
    }
    load_raw(name, content, address, 0, room)
}

/// Loads a kernel: ELF, or an image (packed or not) at the first aligned address from `above`.
pub(crate) fn load_kernel(kernel: &Payload, above: u64, room: Room) -> Result<Loaded, LoadError> {
    let name = kernel.path().display().to_string();
    let content = image::unpack(kernel.content(room)?, room.size)?;
    if Elf::is_elf(&content) {
        return load_elf(name, &content, room);
    }
    let address = above.next_multiple_of(KERNEL_ALIGNMENT);
    let memory = image::memory_size(&content)?;
    load_raw(name, content, address, memory, room)
}

/// Loads an initial RAM disk far enough behind the kernel.
pub(crate) fn load_initrd(path: &Path, kernel: u64, room: Room) -> Result<Rom, LoadError> {
    let content = read_file(path, room)?;
    let address = kernel.saturating_add(INITRD_DISTANCE.min(room.size / 2));
    room.check(address, content.len() as u64)?;
    Ok(Rom {
        name: path.display().to_string(),
        address,
        content,
    })
}

/// The place for a device tree: as far up in RAM as alignment allows.
pub(crate) fn device_tree_address(size: usize, room: Room) -> Option<u64> {
    let address = room.end().checked_sub(size as u64)? / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    (address >= room.base).then_some(address)
}

/// Reads a file that must fit into RAM.
pub(crate) fn read_file(path: &Path, room: Room) -> Result<Vec<u8>, LoadError> {
    let mut file = File::open(path)?;
    let limit = room.size.saturating_add(1);
    let mut content = Vec::new();
    // The length of a regular file is known; that of others is only a hint.
    let length = file.metadata()?.len().min(limit);
    content.reserve_exact(usize::try_from(length).unwrap_or(0).saturating_add(1));
    file.by_ref().take(limit).read_to_end(&mut content)?;
    if content.is_empty() {
        return Err(LoadError::Empty);
    }
    if content.len() as u64 == limit {
        return Err(LoadError::Room {
            address: room.base,
            size: limit,
        });
    }
    Ok(content)
}

/// Copies every ROM into guest memory, whether the guest could write there or not.
pub(crate) fn install(roms: &[Rom], space: &AddressSpace, mask_rom: (u64, &Ram)) {
    for rom in roms {
        let (base, ram) = mask_rom;
        let copied = match rom
            .address
            .checked_sub(base)
            .filter(|offset| *offset < ram.size())
        {
            Some(offset) => ram.write(offset, &rom.content),
            None => space.write(rom.address, &rom.content),
        };
        if let Err(fault) = copied {
            tracing::warn!(rom = rom.name, %fault, "cannot load");
        }
    }
}

fn load_elf(name: String, content: &[u8], room: Room) -> Result<Loaded, LoadError> {
    let mut elf = Elf::parse(content)?;
    if elf.position_independent && elf.low() < room.base {
        elf.displace(room.base);
    }
    let mut roms = Vec::new();
    let mut end = 0;
    for (index, segment) in elf.segments.iter().enumerate() {
        room.check(segment.address, segment.size)?;
        end = end.max(segment.address + segment.size);
        let mut bytes = content[segment.file.clone()].to_vec();
        bytes.resize(segment.size as usize, 0);
        let name = format!("{name} ELF program header segment {index}");
        roms.push(Rom {
            name,
            address: segment.address,
            content: bytes,
        });
    }
    Ok(Loaded {
        entry: elf.entry,
        low: elf.low(),
        end,
        roms,
    })
}

fn load_raw(
    name: String,
    content: Vec<u8>,
    address: u64,
    memory: u64,
    room: Room,
) -> Result<Loaded, LoadError> {
    let size = memory.max(content.len() as u64);
    room.check(address, size)?;
    let end = address + content.len() as u64;
    Ok(Loaded {
        entry: address,
        low: address,
        end,
        roms: vec![Rom {
            name,
            address,
            content,
        }],
    })
}

#[cfg(test)]
mod tests;
