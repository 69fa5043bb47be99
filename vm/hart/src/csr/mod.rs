//! Control and status registers.

/// The registers that hold state of their own; the others are views of these.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "the fields are the registers of the privileged specification"
)]
pub struct Csrs {
    pub mstatus: u64,
    pub medeleg: u64,
    pub mideleg: u64,
    pub mie: u64,
    /// The bits of `mip` that software holds; lines and timers are added when it is read.
    pub mip: u64,
    pub mtvec: u64,
    pub mcounteren: u64,
    pub mcountinhibit: u64,
    pub mscratch: u64,
    pub mepc: u64,
    pub mcause: u64,
    pub mtval: u64,
    pub menvcfg: u64,
    pub stvec: u64,
    pub scounteren: u64,
    pub sscratch: u64,
    pub sepc: u64,
    pub scause: u64,
    pub stval: u64,
    pub senvcfg: u64,
    pub satp: u64,
    pub stimecmp: u64,
    pub pmpcfg: [u8; 16],
    pub pmpaddr: [u64; 16],
    pub fflags: u8,
    pub frm: u8,
}

/// The number of a register by its name.
#[must_use]
pub fn number(_name: &str) -> Option<u16> {
    None
}
