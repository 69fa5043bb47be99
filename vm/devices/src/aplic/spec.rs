//! The register map of an interrupt domain (RISC-V AIA 1.0 §4.5).

/// Interrupt sources, counting source 0, which does not exist.
pub const SOURCES: usize = 97;
/// The size of a domain's window.
pub const SIZE: u64 = 0x8000;
/// Words of 32 bits that hold one bit per source.
pub(super) const WORDS: usize = SOURCES.div_ceil(32);

/// `domaincfg`: bits that always read as one.
pub(super) const DOMAIN_FIXED: u32 = 0x80 << 24;
/// `domaincfg`: the domain's interrupts are enabled.
pub(super) const DOMAIN_ENABLE: u32 = 1 << 8;
/// `domaincfg`: interrupts are delivered as messages.
pub(super) const DOMAIN_MESSAGES: u32 = 1 << 2;

/// `sourcecfg`: the source belongs to a child domain.
pub(super) const DELEGATED: u32 = 1 << 10;
/// `sourcecfg`: which child.
pub(super) const CHILD: u32 = 0x3ff;
/// `sourcecfg`: the source mode.
pub(super) const MODE: u32 = 7;

/// `target`: where the hart index is.
pub(super) const HART_SHIFT: u32 = 18;
/// `target` of messages: guest interrupt file and identity (`genmsi` has the identity only).
pub(super) const MESSAGE: u32 = 0x7ff;
/// `target` of direct delivery: the priority, of which three bits are implemented.
pub(super) const PRIORITY: u32 = 7;

/// `mmsiaddrcfgh`: no more changes to the addresses of messages.
pub(super) const LOCKED: u32 = 1 << 31;

/// How a source's wire is understood (AIA §4.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Inactive,
    Detached,
    Rising,
    Falling,
    High,
    Low,
}

impl Mode {
    /// The mode of `sourcecfg.SM`; the two reserved ones make the source inactive.
    pub(super) fn of(config: u32) -> Self {
        match config & MODE {
            1 => Self::Detached,
            4 => Self::Rising,
            5 => Self::Falling,
            6 => Self::High,
            7 => Self::Low,
            _ => Self::Inactive,
        }
    }

    /// The bits of the mode.
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Inactive => 0,
            Self::Detached => 1,
            Self::Rising => 4,
            Self::Falling => 5,
            Self::High => 6,
            Self::Low => 7,
        }
    }

    /// Whether the wire's level, not its change, asks.
    pub(super) fn by_level(self) -> bool {
        matches!(self, Self::High | Self::Low)
    }

    /// The rectified input value (AIA §4.7): whether the wire asks.
    pub(super) fn rectified(self, level: bool) -> bool {
        match self {
            Self::Inactive | Self::Detached => false,
            Self::Rising | Self::High => level,
            Self::Falling | Self::Low => !level,
        }
    }
}

/// What a write to a bit array does to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    SetPending,
    ClearPending,
    SetEnable,
    ClearEnable,
}

/// A register of an interrupt delivery control structure (AIA §4.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Delivery,
    Force,
    Threshold,
    Top,
    Claim,
}

/// What a 32-bit word of the window is. Sources exist; harts may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Domain,
    Source(usize),
    /// `mmsiaddrcfg`, `mmsiaddrcfgh`, `smsiaddrcfg`, `smsiaddrcfgh`.
    MessageAddress(usize),
    /// A word of an array of bits.
    Bits(Change, usize),
    /// The number of a source, for one bit of an array.
    Number(Change),
    GenerateMessage,
    Target(usize),
    Hart(usize, Control),
    None,
}

impl Register {
    pub(super) fn at(offset: u64) -> Self {
        let source = |base: u64| {
            let source = ((offset - base) / 4) as usize + 1;
            (source < SOURCES).then_some(source)
        };
        match offset {
            _ if !offset.is_multiple_of(4) => Self::None,
            0 => Self::Domain,
            0x0004..0x1000 => source(0x0004).map_or(Self::None, Self::Source),
            0x1bc0..0x1bd0 => Self::MessageAddress(((offset - 0x1bc0) / 4) as usize),
            0x1c00..0x1d00 => Self::array(Change::SetPending, offset),
            0x1d00..0x1e00 => Self::array(Change::ClearPending, offset),
            0x1e00..0x1f00 => Self::array(Change::SetEnable, offset),
            0x1f00..0x2000 => Self::array(Change::ClearEnable, offset),
            // `setipnum_le`; the big-endian one is not there, as on QEMU.
            0x2000 => Self::Number(Change::SetPending),
            0x3000 => Self::GenerateMessage,
            0x3004..0x4000 => source(0x3004).map_or(Self::None, Self::Target),
            0x4000..SIZE => Self::control(offset - 0x4000),
            _ => Self::None,
        }
    }

    fn array(change: Change, offset: u64) -> Self {
        match offset % 0x100 {
            0xdc => Self::Number(change),
            at if at / 4 < WORDS as u64 => Self::Bits(change, (at / 4) as usize),
            _ => Self::None,
        }
    }

    fn control(offset: u64) -> Self {
        let control = match offset % 0x20 {
            0x00 => Control::Delivery,
            0x04 => Control::Force,
            0x08 => Control::Threshold,
            0x18 => Control::Top,
            0x1c => Control::Claim,
            _ => return Self::None,
        };
        Self::Hart((offset / 0x20) as usize, control)
    }
}
