//! What can go wrong when a machine is made, in the words of QEMU where it has some.

use std::path::PathBuf;

use crate::device_memory::PlaceError;

/// A failure to make or change a machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The `-kernel` file is missing, broken, or does not fit.
    #[error("could not load kernel '{}': {reason}", .path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: LoadError,
    },
    /// The `-initrd` file is missing or does not fit.
    #[error("could not load ramdisk '{}': {reason}", .path.display())]
    Initrd {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: LoadError,
    },
    /// The `-bios` file is not there.
    #[error("Unable to find the RISC-V BIOS \"{}\"", .0.display())]
    FirmwareNotFound(PathBuf),
    /// The `-bios` file is broken or does not fit.
    #[error("could not load firmware '{}': {reason}", .path.display())]
    Firmware {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: LoadError,
    },
    /// The `-dtb` file cannot be used.
    #[error("could not load device tree '{}': {reason}", .path.display())]
    DeviceTreeFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: LoadError,
    },
    /// A device tree blob is malformed.
    #[error("not a device tree: {0}")]
    DeviceTree(&'static str),
    /// The device tree does not fit into RAM.
    #[error("the device tree does not fit into guest memory")]
    DeviceTreeSize,
    /// The machine has no device tree to dump.
    #[error("This machine doesn't have an FDT")]
    NoDeviceTree,
    /// A memory device has no place.
    #[error(transparent)]
    DeviceMemory(#[from] PlaceError),
    /// More slots for memory than a board can have.
    #[error("unsupported amount of memory slots: {0}")]
    MemorySlots(u64),
    /// The most memory that there can be is not made of pages; the words are QEMU's.
    #[error("maximum memory size must by aligned to multiple of {0} bytes")]
    MaxMemory(u64),
    /// Memory devices would be beyond the last address.
    #[error("Address space limit {limit:#x} < {last:#x} phys-bits too low ({bits})")]
    AddressBits {
        /// The last address that they may have.
        limit: u64,
        /// The last that they would have.
        last: u64,
        /// The bits of a physical address.
        bits: u32,
    },
    /// The machine was made without room for memory devices.
    #[error(
        "the configuration is not prepared for memory devices (e.g., for memory hotplug), \
         consider specifying the maxmem option"
    )]
    NoDeviceMemory,
    /// More harts than the board can have.
    #[error("Invalid SMP CPUs {cpus}. The max CPUs supported by machine '{machine}' is {limit}")]
    TooManyCpus {
        /// How many were asked for.
        cpus: usize,
        /// The machine type.
        machine: &'static str,
        /// How many it can have.
        limit: usize,
    },
    /// Guest memory could not be arranged.
    #[error(transparent)]
    Memory(#[from] tinamou_memory::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// A stopped machine cannot go on from where it is.
    #[error("Resetting the Virtual Machine is required")]
    ResetRequired,
    /// There is no such hart.
    #[error("Parameter 'cpu-index' expects a CPU number")]
    NoSuchCpu,
    /// An address has nothing behind it.
    #[error("Invalid addr {address:#018x}/size {size} specified")]
    InvalidAddress {
        /// The first address asked for.
        address: u64,
        /// How many bytes were asked for.
        size: u64,
    },
}

/// What is wrong with a file that should go into guest memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The host cannot read it.
    #[error("{}", plain(.0))]
    Read(#[from] std::io::Error),
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// An ELF file for another machine, or a broken one.
    #[error("{0}")]
    Elf(&'static str),
    /// A compressed file that does not unpack.
    #[error("the compressed data are broken: {0}")]
    Gzip(#[source] std::io::Error),
    /// A file that says something impossible about itself.
    #[error("{0}")]
    Image(&'static str),
    /// It does not fit where it should go.
    #[error("{size:#x} bytes at {address:#x} do not fit into guest memory")]
    Room {
        /// Where it should go.
        address: u64,
        /// How long it is.
        size: u64,
    },
}

/// The system's words for an error, without the number Rust adds.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
