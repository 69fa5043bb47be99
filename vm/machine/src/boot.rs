//! What is in memory when a virt board comes out of reset, and where its harts start.

use std::fs::File;
use std::io::Read;

use tinamou_hart::Start;

use crate::Error;
use crate::config::{Bios, MachineConfig};
use crate::error::LoadError;
use crate::fdt::Node;
use crate::loader::{self, Loaded, Rom, Room};
use crate::virt::{MASK_ROM, RAM_BASE};

/// How much of RAM's beginning kernels leave to firmware, even to one that needs none.
const FIRMWARE_ROOM: u64 = 2 << 20;
/// Where the reset code leaves the information for OpenSBI's dynamic firmware.
const DYNAMIC_INFO: u64 = 0x28;

/// Memory contents and start addresses.
#[derive(Debug)]
pub(crate) struct Boot {
    /// Everything to be copied into memory but the device tree.
    pub(crate) roms: Vec<Rom>,
    /// The device tree.
    pub(crate) tree: Node,
    /// Where the device tree goes.
    pub(crate) tree_address: u64,
    /// How hart 0 starts.
    pub(crate) first: Start,
    /// How the others start.
    pub(crate) others: Start,
}

impl Boot {
    /// Loads what the configuration names; `tree` describes the board.
    pub(crate) fn new(config: &MachineConfig, tree: Node) -> Result<Self, Error> {
        let room = Room {
            base: RAM_BASE,
            size: config.ram_size,
        };
        let (start, above, mut roms) = firmware(&config.bios, room)?;
        let kernel = kernel(config, above, room)?;
        let mut tree = own_or_given_tree(config, tree, room)?;
        let chosen = tree.child_mut("chosen");
        if !config.append.is_empty() {
            chosen.set("bootargs", [config.append.as_bytes(), &[0]].concat());
        }
        if let Some(loaded) = &kernel
            && let Some(initrd) = initrd(config, loaded, room)?
        {
            let end = initrd.address + initrd.content.len() as u64;
            chosen.set("linux,initrd-start", initrd.address.to_be_bytes().into());
            chosen.set("linux,initrd-end", end.to_be_bytes().into());
            roms.push(initrd);
        }
        // The seed is renewed at every reset; its length, and so the place, stays.
        renew_seed(&mut tree);
        let tree_address =
            loader::device_tree_address(tree.flatten().len(), room).ok_or(Error::DeviceTreeSize)?;
        let entry = kernel.as_ref().map(|kernel| kernel.entry);
        roms.extend(kernel.into_iter().flat_map(|kernel| kernel.roms));
        roms.push(reset_rom(start, tree_address));
        roms.push(dynamic_info(entry.unwrap_or(0)));
        let (first, others) = starts(&config.bios, entry, tree_address);
        Ok(Self {
            roms,
            tree,
            tree_address,
            first,
            others,
        })
    }
}

/// Fresh randomness for the guest's generator.
pub(crate) fn renew_seed(tree: &mut Node) {
    let chosen = tree.child_mut("chosen");
    if chosen.property("rng-seed").is_none() {
        return;
    }
    let mut seed = [0; 32];
    // Without a source of randomness the guest gets no less than it had.
    if File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut seed))
        .is_ok()
    {
        chosen.set("rng-seed", seed.into());
    }
}

/// Where firmware starts, from where on a kernel may be put, and the firmware itself.
fn firmware(bios: &Bios, room: Room) -> Result<(u64, u64, Vec<Rom>), Error> {
    let Bios::File(path) = bios else {
        let used = if *bios == Bios::BuiltIn {
            FIRMWARE_ROOM
        } else {
            0
        };
        return Ok((RAM_BASE, RAM_BASE + used, Vec::new()));
    };
    let loaded = loader::load_firmware(path, RAM_BASE, room).map_err(|reason| match reason {
        LoadError::Read(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Error::FirmwareNotFound(path.clone())
        }
        reason => Error::Firmware {
            path: path.clone(),
            reason,
        },
    })?;
    Ok((loaded.entry, loaded.end, loaded.roms))
}

fn kernel(config: &MachineConfig, above: u64, room: Room) -> Result<Option<Loaded>, Error> {
    let Some(kernel) = &config.kernel else {
        return Ok(None);
    };
    let loaded = loader::load_kernel(kernel, above, room);
    loaded.map(Some).map_err(|reason| Error::Kernel {
        path: kernel.path(),
        reason,
    })
}

fn initrd(config: &MachineConfig, kernel: &Loaded, room: Room) -> Result<Option<Rom>, Error> {
    let Some(path) = &config.initrd else {
        return Ok(None);
    };
    let loaded = loader::load_initrd(path, kernel.low, room);
    loaded.map(Some).map_err(|reason| Error::Initrd {
        path: path.clone(),
        reason,
    })
}

fn own_or_given_tree(config: &MachineConfig, own: Node, room: Room) -> Result<Node, Error> {
    let Some(path) = &config.dtb else {
        return Ok(own);
    };
    let blob = loader::read_file(path, room).map_err(|reason| Error::DeviceTreeFile {
        path: path.clone(),
        reason,
    })?;
    Node::parse(&blob)
}

/// Harts start in the mask ROM, or, with the built-in firmware, where that would start them.
fn starts(bios: &Bios, kernel: Option<u64>, tree: u64) -> (Start, Start) {
    if *bios != Bios::BuiltIn {
        let start = Start::Machine { pc: MASK_ROM.base };
        return (start, start);
    }
    let first = kernel.map_or(Start::Stopped, |pc| Start::Supervisor { pc, opaque: tree });
    (first, Start::Stopped)
}

/// The code every hart begins with: a0 = hart id, a1 = device tree, a2 = information for
/// OpenSBI's `fw_dynamic`; then a jump to `start`.
fn reset_rom(start: u64, tree: u64) -> Rom {
    const CODE: [u32; 6] = [
        0x0000_0297, // auipc t0, 0
        0x0282_8613, // addi  a2, t0, DYNAMIC_INFO
        0xf140_2573, // csrr  a0, mhartid
        0x0202_b583, // ld    a1, 32(t0)
        0x0182_b283, // ld    t0, 24(t0)
        0x0002_8067, // jr    t0
    ];
    let code = CODE.iter().flat_map(|word| word.to_le_bytes());
    let addresses = [start, tree].into_iter().flat_map(u64::to_le_bytes);
    let content: Vec<u8> = code.chain(addresses).collect();
    Rom {
        name: "mrom.reset".into(),
        address: MASK_ROM.base,
        content,
    }
}

/// Where OpenSBI's `fw_dynamic` goes on, and how.
fn dynamic_info(kernel: u64) -> Rom {
    const MAGIC: u64 = 0x4942_534f;
    const VERSION: u64 = 2;
    const NEXT_MODE_SUPERVISOR: u64 = 1;
    let fields = [MAGIC, VERSION, kernel, NEXT_MODE_SUPERVISOR, 0, 0];
    let content = fields.into_iter().flat_map(u64::to_le_bytes).collect();
    Rom {
        name: "mrom.finfo".into(),
        address: MASK_ROM.base + DYNAMIC_INFO,
        content,
    }
}
