//! The registers, by the names of the calling convention (RISC-V psABI, "Register Convention").

/// An integer register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg(pub(super) u32);

/// A floating-point register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FReg(pub(super) u32);

macro_rules! registers {
    ($kind:ident: $($name:ident = $number:literal),* $(,)?) => {
        $(
            #[doc = concat!("Register number ", $number, ".")]
            pub const $name: $kind = $kind($number);
        )*
    };
}

registers! { Reg:
    ZERO = 0, RA = 1, SP = 2, GP = 3, TP = 4, T0 = 5, T1 = 6, T2 = 7,
    S0 = 8, S1 = 9, A0 = 10, A1 = 11, A2 = 12, A3 = 13, A4 = 14, A5 = 15,
    A6 = 16, A7 = 17, S2 = 18, S3 = 19, S4 = 20, S5 = 21, S6 = 22, S7 = 23,
    S8 = 24, S9 = 25, S10 = 26, S11 = 27, T3 = 28, T4 = 29, T5 = 30, T6 = 31,
}

registers! { FReg: FT0 = 0, FT1 = 1, FT2 = 2, FT3 = 3, FA0 = 10, FA1 = 11, FA2 = 12, FA3 = 13 }
