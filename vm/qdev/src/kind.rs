//! The kinds of values that properties take.

/// A kind of value: how it is written, what QEMU calls its type, and what a
/// listing says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `on` or `off`.
    Bool,
    /// An unsigned number of 8 bits.
    U8,
    /// An unsigned number of 16 bits.
    U16,
    /// An unsigned number of 32 bits.
    U32,
    /// An unsigned number of 64 bits.
    U64,
    /// A signed number of 32 bits.
    I32,
    /// A signed number of 64 bits.
    I64,
    /// A number of bytes, with a unit in text.
    Size,
    /// A number of bytes below 4 GiB.
    Size32,
    /// The size of a block: zero, or a power of two between 512 bytes and 2 MiB.
    BlockSize,
    /// Any text.
    Str,
    /// One of a fixed set of words: QEMU's name of the set, the words, and
    /// what a listing says.
    Enum(&'static str, &'static [&'static str], &'static str),
    /// A hardware address.
    Mac,
    /// A PCI slot and function, `06.0` or `06`; a number in JSON.
    PciAddress,
    /// The number of a PCI bus, which the bus has rather than the device.
    BusNumber,
    /// When the firmware tries to boot from the device.
    BootIndex,
    /// A block device, by node name or id.
    Drive,
    /// A network back end, by id.
    Netdev,
    /// A character device, by id.
    Chardev,
    /// An object of this type, by path or id.
    Link(&'static str),
    /// An object of this type that the device owns; cannot be written.
    Child(&'static str),
    /// A list; only JSON can write one.
    List,
    /// A list of one of QAPI's types, by its name and description.
    Any(&'static str, &'static str),
}

impl Kind {
    /// `on`, `off` or `auto`.
    pub const ON_OFF_AUTO: Self = Self::Enum("OnOffAuto", &["auto", "on", "off"], "on/off/auto");

    /// What to do when a disk fails.
    pub const BLOCKDEV_ON_ERROR: Self = Self::Enum(
        "BlockdevOnError",
        &["report", "ignore", "enospc", "stop", "auto"],
        "Error handling policy (report/ignore/enospc/stop/auto)",
    );

    /// What QEMU calls the type.
    #[must_use]
    pub fn type_name(self) -> String {
        match self {
            Self::Link(kind) => format!("link<{kind}>"),
            Self::Child(kind) => format!("child<{kind}>"),
            _ => self.plain_name().to_owned(),
        }
    }

    fn plain_name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I32 | Self::BootIndex => "int32",
            Self::I64 => "int64",
            Self::Size | Self::Size32 | Self::BlockSize => "size",
            Self::BusNumber => "busnr",
            Self::List => "list",
            Self::Enum(name, ..) | Self::Any(name, _) => name,
            Self::Str
            | Self::Mac
            | Self::PciAddress
            | Self::Drive
            | Self::Netdev
            | Self::Chardev
            | Self::Link(_)
            | Self::Child(_) => "str",
        }
    }

    /// What a listing says of every property of this kind.
    #[must_use]
    pub fn description(self) -> Option<&'static str> {
        match self {
            Self::Bool => Some("on/off"),
            Self::BlockSize => Some("A power of two between 512 B and 2 MiB"),
            Self::Mac => Some("Ethernet 6-byte MAC Address, example: 52:54:00:12:34:56"),
            Self::PciAddress => Some("Slot and optional function number, example: 06.0 or 06"),
            Self::Drive => Some("Node name or ID of a block device to use as a backend"),
            Self::Netdev => Some("ID of a netdev to use as a backend"),
            Self::Chardev => Some("ID of a chardev to use as a backend"),
            Self::Enum(_, _, description) | Self::Any(_, description) => Some(description),
            _ => None,
        }
    }

    /// Whether a listing shows the value that a property of this kind starts with.
    #[must_use]
    pub fn shows_default(self) -> bool {
        !matches!(
            self,
            Self::Str
                | Self::Mac
                | Self::BusNumber
                | Self::BootIndex
                | Self::Drive
                | Self::Netdev
                | Self::Chardev
                | Self::Link(_)
                | Self::Child(_)
                | Self::Any(..)
        )
    }
}
