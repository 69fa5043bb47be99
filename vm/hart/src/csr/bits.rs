//! The fields of registers that have fields.

/// `mstatus` and its view `sstatus` (priv §3.1.6).
pub(crate) mod status {
    pub(crate) const SIE: u64 = 1 << 1;
    pub(crate) const MIE: u64 = 1 << 3;
    pub(crate) const SPIE: u64 = 1 << 5;
    pub(crate) const MPIE: u64 = 1 << 7;
    pub(crate) const SPP: u64 = 1 << 8;
    pub(crate) const MPP: u64 = 3 << MPP_SHIFT;
    pub(crate) const MPP_SHIFT: u32 = 11;
    pub(crate) const FS: u64 = 3 << 13;
    pub(crate) const MPRV: u64 = 1 << 17;
    pub(crate) const SUM: u64 = 1 << 18;
    pub(crate) const MXR: u64 = 1 << 19;
    pub(crate) const TVM: u64 = 1 << 20;
    pub(crate) const TW: u64 = 1 << 21;
    pub(crate) const TSR: u64 = 1 << 22;
    /// U-mode and S-mode have 64 bits.
    pub(crate) const XL: u64 = 2 << 32 | 2 << 34;
    pub(crate) const UXL: u64 = 3 << 32;
    pub(crate) const SD: u64 = 1 << 63;

    /// What supervisor mode sees.
    pub(crate) const SUPERVISOR: u64 = SIE | SPIE | SPP | FS | SUM | MXR | UXL | SD;
    /// What supervisor mode writes.
    pub(crate) const SUPERVISOR_WRITE: u64 = SIE | SPIE | SPP | FS | SUM | MXR;
    /// What machine mode writes, MPP apart.
    pub(crate) const MACHINE_WRITE: u64 = SUPERVISOR_WRITE | MIE | MPIE | MPRV | TVM | TW | TSR;
}

/// Interrupts in `mip`, `mie` and `mideleg` (priv §3.1.9).
pub(crate) mod interrupt {
    pub(crate) const SSIP: u64 = 1 << 1;
    pub(crate) const MSIP: u64 = 1 << 3;
    pub(crate) const STIP: u64 = 1 << 5;
    pub(crate) const MTIP: u64 = 1 << 7;
    pub(crate) const SEIP: u64 = 1 << 9;
    pub(crate) const MEIP: u64 = 1 << 11;

    pub(crate) const SUPERVISOR: u64 = SSIP | STIP | SEIP;
    pub(crate) const ALL: u64 = SUPERVISOR | MSIP | MTIP | MEIP;

    /// The number of the most urgent of several (priv §3.1.9).
    pub(crate) fn most_urgent(bits: u64) -> Option<u64> {
        const URGENCY: [u64; 6] = [MEIP, MSIP, MTIP, SEIP, SSIP, STIP];
        let bit = URGENCY.into_iter().find(|bit| bits & bit != 0)?;
        Some(bit.trailing_zeros().into())
    }
}

/// `menvcfg` and `senvcfg` (priv §3.1.18).
pub(crate) mod envcfg {
    pub(crate) const FIOM: u64 = 1;
    pub(crate) const CBIE: u64 = 3 << 4;
    pub(crate) const CBCFE: u64 = 1 << 6;
    pub(crate) const CBZE: u64 = 1 << 7;
    pub(crate) const PBMTE: u64 = 1 << 62;
    pub(crate) const ADUE: u64 = 1 << 61;
    pub(crate) const STCE: u64 = 1 << 63;
}

/// Bits of `mcounteren` and `scounteren`.
pub(crate) mod counter {
    pub(crate) const CY: u64 = 1;
    pub(crate) const TM: u64 = 1 << 1;
    pub(crate) const IR: u64 = 1 << 2;
}
