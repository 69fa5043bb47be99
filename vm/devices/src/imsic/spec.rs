//! Registers of an interrupt file (RISC-V AIA 1.0 §3.8).

/// The size of a file's page of memory-mapped registers.
pub const PAGE: u64 = 0x1000;
/// Interrupt identities, counting 0, which does not exist.
pub const IDENTITIES: usize = 256;
/// Words of 64 bits that hold one bit per identity.
pub(super) const WORDS: usize = IDENTITIES / 64;

/// The page's one register: the identity to make pending, little-endian.
pub(super) const SETEIPNUM_LE: u64 = 0;

/// `eidelivery`.
pub(super) const DELIVERY: u64 = 0x70;
/// `eithreshold`.
pub(super) const THRESHOLD: u64 = 0x72;
/// `eip0`, the first of the registers of pending bits.
pub(super) const PENDING: u64 = 0x80;
/// `eie0`, the first of the registers of enable bits.
pub(super) const ENABLE: u64 = 0xc0;
/// Behind the last register of enable bits.
pub(super) const END: u64 = 0x100;

/// What is selected for indirect access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// Whether the file interrupts its hart.
    Delivery,
    /// The identity from which on none interrupts; 0 for no limit.
    Threshold,
    /// A word of pending bits.
    Pending(usize),
    /// A word of enable bits.
    Enable(usize),
    /// Zero: the bits of identities beyond the last.
    Zero,
}

impl Register {
    /// The register that `select` names; 64-bit harts have those of even numbers only.
    pub(super) fn selected(select: u64) -> Option<Self> {
        let word = |first: u64| ((select - first) / 2) as usize;
        match select {
            DELIVERY => Some(Self::Delivery),
            THRESHOLD => Some(Self::Threshold),
            PENDING..END if !select.is_multiple_of(2) => None,
            PENDING..ENABLE if word(PENDING) < WORDS => Some(Self::Pending(word(PENDING))),
            ENABLE..END if word(ENABLE) < WORDS => Some(Self::Enable(word(ENABLE))),
            PENDING..END => Some(Self::Zero),
            _ => None,
        }
    }
}
