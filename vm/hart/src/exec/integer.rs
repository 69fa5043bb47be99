//! What integer instructions compute, as functions of their two operands.

/// A computation on a register and a second register or an immediate.
pub(crate) trait Binary {
    fn apply(a: u64, b: u64) -> u64;
}

macro_rules! binary {
    ($($name:ident = |$a:pat_param, $b:pat_param| $value:expr;)*) => {$(
        pub(crate) struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn apply($a: u64, $b: u64) -> u64 {
                $value
            }
        }
    )*};
}

// Base (unpriv "RV32I", "RV64I").
binary! {
    Add = |a, b| a.wrapping_add(b);
    Sub = |a, b| a.wrapping_sub(b);
    Sll = |a, b| a << (b & 63);
    Srl = |a, b| a >> (b & 63);
    Sra = |a, b| (a as i64 >> (b & 63)) as u64;
    Slt = |a, b| u64::from((a as i64) < b as i64);
    Sltu = |a, b| u64::from(a < b);
    And = |a, b| a & b;
    Or = |a, b| a | b;
    Xor = |a, b| a ^ b;
    Addw = |a, b| word(a.wrapping_add(b) as u32);
    Subw = |a, b| word(a.wrapping_sub(b) as u32);
    Sllw = |a, b| word((a as u32) << (b & 31));
    Srlw = |a, b| word(a as u32 >> (b & 31));
    Sraw = |a, b| (a as i32 >> (b & 31)) as i64 as u64;
}

// Multiplication and division; division by zero and overflow have results, not traps (unpriv "M").
binary! {
    Mul = |a, b| a.wrapping_mul(b);
    Mulh = |a, b| ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64;
    Mulhsu = |a, b| ((i128::from(a as i64) * i128::from(b)) >> 64) as u64;
    Mulhu = |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64;
    Mulw = |a, b| word((a as u32).wrapping_mul(b as u32));
    Div = |a, b| if b == 0 { u64::MAX } else { (a as i64).wrapping_div(b as i64) as u64 };
    Divu = |a, b| a.checked_div(b).unwrap_or(u64::MAX);
    Rem = |a, b| if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 };
    Remu = |a, b| a.checked_rem(b).unwrap_or(a);
    Divw = |a, b| if b as i32 == 0 { u64::MAX } else { word((a as i32).wrapping_div(b as i32) as u32) };
    Divuw = |a, b| (a as u32).checked_div(b as u32).map_or(u64::MAX, word);
    Remw = |a, b| if b as i32 == 0 { word(a as u32) } else { word((a as i32).wrapping_rem(b as i32) as u32) };
    Remuw = |a, b| word((a as u32).checked_rem(b as u32).unwrap_or(a as u32));
}

// Address generation (unpriv "Zba").
binary! {
    Sh1add = |a, b| (a << 1).wrapping_add(b);
    Sh2add = |a, b| (a << 2).wrapping_add(b);
    Sh3add = |a, b| (a << 3).wrapping_add(b);
    AddUw = |a, b| low(a).wrapping_add(b);
    Sh1addUw = |a, b| (low(a) << 1).wrapping_add(b);
    Sh2addUw = |a, b| (low(a) << 2).wrapping_add(b);
    Sh3addUw = |a, b| (low(a) << 3).wrapping_add(b);
    SllUw = |a, b| low(a) << (b & 63);
}

// Basic bit manipulation (unpriv "Zbb"); unary ones ignore the second operand.
binary! {
    Andn = |a, b| a & !b;
    Orn = |a, b| a | !b;
    Xnor = |a, b| !(a ^ b);
    Min = |a, b| (a as i64).min(b as i64) as u64;
    Minu = |a, b| a.min(b);
    Max = |a, b| (a as i64).max(b as i64) as u64;
    Maxu = |a, b| a.max(b);
    Rol = |a, b| a.rotate_left((b & 63) as u32);
    Ror = |a, b| a.rotate_right((b & 63) as u32);
    Rolw = |a, b| word((a as u32).rotate_left((b & 31) as u32));
    Rorw = |a, b| word((a as u32).rotate_right((b & 31) as u32));
    Clz = |a, _| a.leading_zeros().into();
    Ctz = |a, _| a.trailing_zeros().into();
    Cpop = |a, _| a.count_ones().into();
    Clzw = |a, _| (a as u32).leading_zeros().into();
    Ctzw = |a, _| (a as u32).trailing_zeros().into();
    Cpopw = |a, _| (a as u32).count_ones().into();
    SextB = |a, _| a as i8 as i64 as u64;
    SextH = |a, _| a as i16 as i64 as u64;
    ZextH = |a, _| a & 0xffff;
    OrcB = |a, _| or_combine(a);
    Rev8 = |a, _| a.swap_bytes();
}

// Carry-less multiplication (unpriv "Zbc").
binary! {
    Clmul = |a, b| carryless(a, b) as u64;
    Clmulh = |a, b| (carryless(a, b) >> 64) as u64;
    Clmulr = |a, b| (carryless(a, b) >> 63) as u64;
}

// Single bits (unpriv "Zbs") and conditional zeroing (unpriv "Zicond").
binary! {
    Bclr = |a, b| a & !(1 << (b & 63));
    Bext = |a, b| a >> (b & 63) & 1;
    Binv = |a, b| a ^ 1 << (b & 63);
    Bset = |a, b| a | 1 << (b & 63);
    CzeroEqz = |a, b| if b == 0 { 0 } else { a };
    CzeroNez = |a, b| if b == 0 { a } else { 0 };
}

/// A 32-bit result, sign-extended.
#[inline(always)]
pub(crate) fn word(value: u32) -> u64 {
    i64::from(value as i32) as u64
}

#[inline(always)]
fn low(value: u64) -> u64 {
    u64::from(value as u32)
}

/// Each byte that is not zero becomes 0xff.
fn or_combine(value: u64) -> u64 {
    u64::from_le_bytes(
        value
            .to_le_bytes()
            .map(|byte| if byte == 0 { 0 } else { 0xff }),
    )
}

fn carryless(a: u64, b: u64) -> u128 {
    let (mut product, mut shifted, mut rest) = (0, u128::from(a), b);
    while rest != 0 {
        if rest & 1 != 0 {
            product ^= shifted;
        }
        shifted <<= 1;
        rest >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: u64 = 1 << 63;
    const NEG: u64 = u64::MAX;

    #[track_caller]
    fn check<O: Binary>(table: &[(u64, u64, u64)]) {
        for &(a, b, expected) in table {
            assert_eq!(
                O::apply(a, b),
                expected,
                "{} {a:#x} {b:#x}",
                std::any::type_name::<O>()
            );
        }
    }

    #[test]
    fn base() {
        check::<Add>(&[(NEG, 1, 0), (1, 2, 3)]);
        check::<Sll>(&[(1, 64, 1), (1, 63, MIN)]);
        check::<Sra>(&[(MIN, 63, NEG), (MIN, 64, MIN)]);
        check::<Slt>(&[(NEG, 0, 1), (0, NEG, 0)]);
        check::<Sltu>(&[(NEG, 0, 0), (0, NEG, 1)]);
        check::<Addw>(&[(0x7fff_ffff, 1, 0xffff_ffff_8000_0000)]);
        check::<Srlw>(&[
            (0xffff_ffff_8000_0000, 4, 0x0800_0000),
            (1 << 31, 32, word(1 << 31)),
        ]);
        check::<Sraw>(&[(1 << 31, 31, NEG)]);
    }

    #[test]
    fn division_never_traps() {
        check::<Div>(&[(7, 0, NEG), (MIN, NEG, MIN), (NEG, 2, 0)]);
        check::<Divu>(&[(7, 0, NEG), (MIN, NEG, 0)]);
        check::<Rem>(&[(7, 0, 7), (MIN, NEG, 0), (NEG - 6, 4, NEG - 2)]);
        check::<Remu>(&[(7, 0, 7), (MIN, NEG, MIN)]);
        check::<Divw>(&[(7, 1 << 32, NEG), (1 << 31, NEG, word(1 << 31))]);
        check::<Divuw>(&[(7, 0, NEG), (1 << 31, 1, word(1 << 31))]);
        check::<Remw>(&[(1 << 31, 0, word(1 << 31)), (1 << 31, NEG, 0)]);
        check::<Remuw>(&[(1 << 31, 0, word(1 << 31)), (9, 4, 1)]);
    }

    #[test]
    fn high_products() {
        check::<Mulh>(&[(NEG, NEG, 0), (MIN, MIN, 1 << 62), (NEG, 1, NEG)]);
        check::<Mulhsu>(&[(NEG, NEG, NEG), (1, NEG, 0), (MIN, 2, NEG)]);
        check::<Mulhu>(&[(NEG, NEG, NEG - 1), (MIN, 2, 1)]);
    }

    #[test]
    fn bits() {
        check::<Sh3addUw>(&[(0x1_8000_0001, 1, (0x8000_0001 << 3) + 1)]);
        check::<Clz>(&[(0, 0, 64), (1, 0, 63)]);
        check::<Ctzw>(&[(0, 0, 32), (1 << 40, 0, 32)]);
        check::<OrcB>(&[(0x0100_0000_8000_0001, 0, 0xff00_0000_ff00_00ff)]);
        check::<Rolw>(&[(0x8000_0001, 1, 3)]);
        check::<Rorw>(&[(1, 1, 0xffff_ffff_8000_0000)]);
        check::<Clmul>(&[(3, 3, 5), (NEG, 2, NEG - 1)]);
        check::<Clmulh>(&[(MIN, 2, 1), (NEG, NEG, 0x5555_5555_5555_5555)]);
        check::<Clmulr>(&[(MIN, 2, 2), (1, 1, 0)]);
        check::<Bext>(&[(4, 66, 1), (4, 1, 0)]);
        check::<CzeroEqz>(&[(5, 0, 0), (5, 1, 5)]);
        check::<CzeroNez>(&[(5, 0, 5), (5, 1, 0)]);
    }
}
