//! Instructions on operands at the edges, beside what plain Rust makes of them.

use crate::asm::*;
use crate::rig::{RAM, Rig};

/// Operands where carries, signs and widths show.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    31,
    63,
    0x7f,
    0xff80,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x0123_4567_89ab_cdef,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
];

/// Floating-point operands: what is special, and what rounds.
const FLOATS: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    -2.5,
    3.000_000_1,
    1e-300,
    -1e300,
    2_147_483_648.5,
    -9_223_372_036_854_775_808.0,
    f64::INFINITY,
    f64::NAN,
];

/// One instruction, executed again and again with other registers.
struct Bench(Rig);

impl Bench {
    fn new(instruction: u32) -> Self {
        let mut rig = Rig::single();
        rig.load(RAM, &[instruction]);
        // Floating point is on.
        rig.hart().modify(|state| state.csrs.mstatus = 3 << 13);
        Self(rig)
    }

    /// Executes with these in t0 and t1.
    fn step(&mut self, a: u64, b: u64) -> &mut Rig {
        self.0.hart().modify(|state| {
            state.pc = RAM;
            state.registers.set_x(T0 as u8, a);
            state.registers.set_x(T1 as u8, b);
        });
        self.0.hart().step();
        &mut self.0
    }

    /// What t2 is after it.
    fn integer(&mut self, a: u64, b: u64) -> u64 {
        self.step(a, b).x(T2 as u8)
    }

    /// Puts these into f5, f6 and f7 and executes.
    fn float(&mut self, operands: [u64; 3]) -> &mut Rig {
        self.0.hart().modify(|state| {
            for (register, value) in (5..).zip(operands) {
                state.registers.set_f(register, value);
            }
        });
        self.step(0, 0)
    }
}

/// Makes a function of one width of one of another: operands are truncated, results extended.
macro_rules! word {
    (|$a:ident, $b:ident| $value:expr) => {
        |$a: u64, $b: u64| {
            let ($a, $b) = ($a as i32, $b as i32);
            let result: i32 = $value;
            i64::from(result) as u64
        }
    };
}

macro_rules! signed {
    (|$a:ident, $b:ident| $value:expr) => {
        |$a: u64, $b: u64| {
            let ($a, $b) = ($a as i64, $b as i64);
            let result: i64 = $value;
            result as u64
        }
    };
}

type Unary = fn(u64) -> u64;
type Binary = fn(u64, u64) -> u64;
type Wide = fn(f64, f64) -> f64;
type Narrow = fn(f32, f32) -> f32;
type Relation = fn(u64, u64) -> bool;
type WideRelation = fn(f64, f64) -> bool;
type ToInteger = fn(f64) -> u64;
type FromInteger = fn(u64) -> f64;
/// An instruction: its name, what tells it from others, its meaning.
type Row<F> = (&'static str, u32, F);

/// The product without carries, of 128 bits.
fn carryless(a: u64, b: u64) -> u128 {
    let bits = (0..64).filter(|bit| b >> bit & 1 != 0);
    bits.fold(0, |product, bit| product ^ u128::from(a) << bit)
}

/// Name, bits, meaning: from t0 and t1 to t2.
const REGISTERS: &[Row<Binary>] = &[
    ("add", 0x0000_0033, |a, b| a.wrapping_add(b)),
    ("sub", 0x4000_0033, |a, b| a.wrapping_sub(b)),
    ("sll", 0x0000_1033, |a, b| a << (b & 63)),
    ("slt", 0x0000_2033, |a, b| ((a as i64) < b as i64).into()),
    ("sltu", 0x0000_3033, |a, b| (a < b).into()),
    ("xor", 0x0000_4033, |a, b| a ^ b),
    ("srl", 0x0000_5033, |a, b| a >> (b & 63)),
    ("sra", 0x4000_5033, signed!(|a, b| a >> (b & 63))),
    ("or", 0x0000_6033, |a, b| a | b),
    ("and", 0x0000_7033, |a, b| a & b),
    ("addw", 0x0000_003b, word!(|a, b| a.wrapping_add(b))),
    ("subw", 0x4000_003b, word!(|a, b| a.wrapping_sub(b))),
    ("sllw", 0x0000_103b, word!(|a, b| a << (b & 31))),
    (
        "srlw",
        0x0000_503b,
        word!(|a, b| (a as u32 >> (b & 31)) as i32),
    ),
    ("sraw", 0x4000_503b, word!(|a, b| a >> (b & 31))),
    ("mul", 0x0200_0033, |a, b| a.wrapping_mul(b)),
    ("mulh", 0x0200_1033, |a, b| {
        ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64
    }),
    ("mulhsu", 0x0200_2033, |a, b| {
        ((i128::from(a as i64) * i128::from(b)) >> 64) as u64
    }),
    ("mulhu", 0x0200_3033, |a, b| {
        ((u128::from(a) * u128::from(b)) >> 64) as u64
    }),
    (
        "div",
        0x0200_4033,
        signed!(|a, b| if b == 0 { -1 } else { a.wrapping_div(b) }),
    ),
    ("divu", 0x0200_5033, |a, b| {
        a.checked_div(b).unwrap_or(u64::MAX)
    }),
    (
        "rem",
        0x0200_6033,
        signed!(|a, b| if b == 0 { a } else { a.wrapping_rem(b) }),
    ),
    ("remu", 0x0200_7033, |a, b| a.checked_rem(b).unwrap_or(a)),
    ("mulw", 0x0200_003b, word!(|a, b| a.wrapping_mul(b))),
    (
        "divw",
        0x0200_403b,
        word!(|a, b| if b == 0 { -1 } else { a.wrapping_div(b) }),
    ),
    (
        "divuw",
        0x0200_503b,
        word!(|a, b| (a as u32).checked_div(b as u32).map_or(-1, |q| q as i32)),
    ),
    (
        "remw",
        0x0200_603b,
        word!(|a, b| if b == 0 { a } else { a.wrapping_rem(b) }),
    ),
    (
        "remuw",
        0x0200_703b,
        word!(|a, b| (a as u32).checked_rem(b as u32).map_or(a, |r| r as i32)),
    ),
    ("sh1add", 0x2000_2033, |a, b| (a << 1).wrapping_add(b)),
    ("sh2add", 0x2000_4033, |a, b| (a << 2).wrapping_add(b)),
    ("sh3add", 0x2000_6033, |a, b| (a << 3).wrapping_add(b)),
    ("add.uw", 0x0800_003b, |a, b| {
        (a & 0xffff_ffff).wrapping_add(b)
    }),
    ("sh1add.uw", 0x2000_203b, |a, b| {
        ((a & 0xffff_ffff) << 1).wrapping_add(b)
    }),
    ("sh2add.uw", 0x2000_403b, |a, b| {
        ((a & 0xffff_ffff) << 2).wrapping_add(b)
    }),
    ("sh3add.uw", 0x2000_603b, |a, b| {
        ((a & 0xffff_ffff) << 3).wrapping_add(b)
    }),
    ("andn", 0x4000_7033, |a, b| a & !b),
    ("orn", 0x4000_6033, |a, b| a | !b),
    ("xnor", 0x4000_4033, |a, b| !(a ^ b)),
    ("min", 0x0a00_4033, signed!(|a, b| a.min(b))),
    ("minu", 0x0a00_5033, |a, b| a.min(b)),
    ("max", 0x0a00_6033, signed!(|a, b| a.max(b))),
    ("maxu", 0x0a00_7033, |a, b| a.max(b)),
    ("rol", 0x6000_1033, |a, b| a.rotate_left((b & 63) as u32)),
    ("ror", 0x6000_5033, |a, b| a.rotate_right((b & 63) as u32)),
    (
        "rolw",
        0x6000_103b,
        word!(|a, b| a.rotate_left((b & 31) as u32)),
    ),
    (
        "rorw",
        0x6000_503b,
        word!(|a, b| a.rotate_right((b & 31) as u32)),
    ),
    ("clmul", 0x0a00_1033, |a, b| carryless(a, b) as u64),
    ("clmulh", 0x0a00_3033, |a, b| (carryless(a, b) >> 64) as u64),
    ("clmulr", 0x0a00_2033, |a, b| (carryless(a, b) >> 63) as u64),
    ("bclr", 0x4800_1033, |a, b| a & !(1 << (b & 63))),
    ("bext", 0x4800_5033, |a, b| a >> (b & 63) & 1),
    ("binv", 0x6800_1033, |a, b| a ^ 1 << (b & 63)),
    ("bset", 0x2800_1033, |a, b| a | 1 << (b & 63)),
];

/// From t0 to t2; the second operand means nothing.
const SINGLES: &[Row<Unary>] = &[
    ("clz", 0x6000_1013, |a| a.leading_zeros().into()),
    ("ctz", 0x6010_1013, |a| a.trailing_zeros().into()),
    ("cpop", 0x6020_1013, |a| a.count_ones().into()),
    ("clzw", 0x6000_101b, |a| (a as u32).leading_zeros().into()),
    ("ctzw", 0x6010_101b, |a| (a as u32).trailing_zeros().into()),
    ("cpopw", 0x6020_101b, |a| (a as u32).count_ones().into()),
    ("sext.b", 0x6040_1013, |a| i64::from(a as i8) as u64),
    ("sext.h", 0x6050_1013, |a| i64::from(a as i16) as u64),
    ("zext.h", 0x0800_403b, |a| u64::from(a as u16)),
    ("rev8", 0x6b80_5013, |a| a.swap_bytes()),
    ("orc.b", 0x2870_5013, |a| {
        u64::from_le_bytes(a.to_le_bytes().map(|byte| if byte == 0 { 0 } else { 0xff }))
    }),
];

/// From t0 and an immediate of twelve bits to t2.
const IMMEDIATES: &[Row<Binary>] = &[
    ("addi", 0x0000_0013, |a, b| a.wrapping_add(b)),
    ("slti", 0x0000_2013, |a, b| ((a as i64) < b as i64).into()),
    ("sltiu", 0x0000_3013, |a, b| (a < b).into()),
    ("xori", 0x0000_4013, |a, b| a ^ b),
    ("ori", 0x0000_6013, |a, b| a | b),
    ("andi", 0x0000_7013, |a, b| a & b),
    ("addiw", 0x0000_001b, word!(|a, b| a.wrapping_add(b))),
];

/// From t0 and a distance to t2, with the largest distance.
const SHIFTS: &[(&str, u32, u64, Binary)] = &[
    ("slli", 0x0000_1013, 63, |a, b| a << b),
    ("srli", 0x0000_5013, 63, |a, b| a >> b),
    ("srai", 0x4000_5013, 63, signed!(|a, b| a >> b)),
    ("rori", 0x6000_5013, 63, |a, b| a.rotate_right(b as u32)),
    ("slli.uw", 0x0800_101b, 63, |a, b| (a & 0xffff_ffff) << b),
    ("bclri", 0x4800_1013, 63, |a, b| a & !(1 << b)),
    ("bexti", 0x4800_5013, 63, |a, b| a >> b & 1),
    ("binvi", 0x6800_1013, 63, |a, b| a ^ 1 << b),
    ("bseti", 0x2800_1013, 63, |a, b| a | 1 << b),
    ("slliw", 0x0000_101b, 31, word!(|a, b| a << b)),
    (
        "srliw",
        0x0000_501b,
        31,
        word!(|a, b| (a as u32 >> b) as i32),
    ),
    ("sraiw", 0x4000_501b, 31, word!(|a, b| a >> b)),
    (
        "roriw",
        0x6000_501b,
        31,
        word!(|a, b| a.rotate_right(b as u32)),
    ),
];

#[test]
fn two_registers() {
    for (name, bits, expected) in REGISTERS {
        let mut bench = Bench::new(bits | T2 << 7 | T0 << 15 | T1 << 20);
        for (a, b) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
            assert_eq!(bench.integer(a, b), expected(a, b), "{name} {a:#x} {b:#x}");
        }
    }
}

#[test]
fn one_register() {
    for (name, bits, expected) in SINGLES {
        let mut bench = Bench::new(bits | T2 << 7 | T0 << 15);
        for a in EDGES {
            assert_eq!(bench.integer(a, 0), expected(a), "{name} {a:#x}");
        }
    }
}

#[test]
fn immediates() {
    for (name, bits, expected) in IMMEDIATES {
        for immediate in [-2048, -1, 0, 1, 0x7f, 2047] {
            let mut bench = Bench::new(bits | i(0, T2, 0, T0, immediate));
            for a in EDGES {
                let b = i64::from(immediate) as u64;
                assert_eq!(
                    bench.integer(a, 0),
                    expected(a, b),
                    "{name} {a:#x} {immediate}"
                );
            }
        }
    }
    for (name, bits, largest, expected) in SHIFTS {
        for distance in [0, 1, 5, 31, *largest] {
            let mut bench = Bench::new(bits | i(0, T2, 0, T0, distance as i32));
            for a in EDGES {
                assert_eq!(
                    bench.integer(a, 0),
                    expected(a, distance),
                    "{name} {a:#x} {distance}"
                );
            }
        }
    }
}

#[test]
fn branches() {
    let table: [Row<Relation>; 6] = [
        ("beq", 0, |a, b| a == b),
        ("bne", 1, |a, b| a != b),
        ("blt", 4, |a, b| (a as i64) < b as i64),
        ("bge", 5, |a, b| a as i64 >= b as i64),
        ("bltu", 6, |a, b| a < b),
        ("bgeu", 7, |a, b| a >= b),
    ];
    for (name, funct3, expected) in table {
        let mut bench = Bench::new(beq(T0, T1, 64) | funct3 << 12);
        for (a, b) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
            let pc = bench.step(a, b).hart().state().pc;
            let target = RAM + if expected(a, b) { 64 } else { 4 };
            assert_eq!(pc, target, "{name} {a:#x} {b:#x}");
        }
    }
}

/// Where the memory for loads, stores and AMOs is.
const MEMORY: u64 = RAM + 0x1000;

#[test]
fn loads_and_stores() {
    const HELD: u64 = 0x8182_8384_f5f6_f7f8;
    let loads: [Row<Unary>; 7] = [
        ("lb", 0, |m| i64::from(m as i8) as u64),
        ("lh", 1, |m| i64::from(m as i16) as u64),
        ("lw", 2, |m| i64::from(m as i32) as u64),
        ("ld", 3, |m| m),
        ("lbu", 4, |m| m & 0xff),
        ("lhu", 5, |m| m & 0xffff),
        ("lwu", 6, |m| m & 0xffff_ffff),
    ];
    for (name, funct3, expected) in loads {
        let mut bench = Bench::new(i(0x03, T2, funct3, T0, -8));
        for skew in 0..8 {
            bench
                .0
                .ram
                .write(MEMORY - RAM + skew, &HELD.to_le_bytes())
                .unwrap();
            let loaded = bench.integer(MEMORY + 8 + skew, 0);
            assert_eq!(loaded, expected(HELD), "{name} {skew}");
        }
    }
    for (name, funct3, size) in [("sb", 0, 1), ("sh", 1, 2), ("sw", 2, 4), ("sd", 3, 8)] {
        let mut bench = Bench::new(sd(T1, T0, -8) & !0x7000 | funct3 << 12);
        for skew in 0..8 {
            bench.0.ram.write(MEMORY - RAM, &[0xaa; 24]).unwrap();
            bench.step(MEMORY + 8 + skew, HELD);
            let mut memory = [0; 24];
            bench.0.ram.read(MEMORY - RAM, &mut memory).unwrap();
            let mut expected = [0xaa; 24];
            expected[skew as usize..][..size].copy_from_slice(&HELD.to_le_bytes()[..size]);
            assert_eq!(memory, expected, "{name} {skew}");
        }
    }
}

#[test]
fn atomic_operations() {
    let table: [Row<Binary>; 9] = [
        ("amoswap", 0x0800_202f, |_, b| b),
        ("amoadd", 0x0000_202f, |a, b| a.wrapping_add(b)),
        ("amoxor", 0x2000_202f, |a, b| a ^ b),
        ("amoor", 0x4000_202f, |a, b| a | b),
        ("amoand", 0x6000_202f, |a, b| a & b),
        ("amomin", 0x8000_202f, signed!(|a, b| a.min(b))),
        ("amomax", 0xa000_202f, signed!(|a, b| a.max(b))),
        ("amominu", 0xc000_202f, |a, b| a.min(b)),
        ("amomaxu", 0xe000_202f, |a, b| a.max(b)),
    ];
    for (name, bits, expected) in table {
        let mut doubles = Bench::new(bits | 1 << 12 | r(0, T2, 0, T0, T1, 0));
        let mut words = Bench::new(bits | r(0, T2, 0, T0, T1, 0));
        for (a, b) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
            doubles.0.ram.store(MEMORY - RAM, 8, a).unwrap();
            assert_eq!(doubles.integer(MEMORY, b), a);
            let after = doubles.0.ram.load(MEMORY - RAM, 8).unwrap();
            assert_eq!(after, expected(a, b), "{name}.d {a:#x} {b:#x}");

            // Sign extension keeps the order of words, signed or not.
            let extended = |value: u64| i64::from(value as i32) as u64;
            words.0.ram.store(MEMORY - RAM, 8, a).unwrap();
            assert_eq!(words.integer(MEMORY, b), extended(a));
            let after = words.0.ram.load(MEMORY - RAM, 8).unwrap();
            let low = expected(extended(a), extended(b)) & 0xffff_ffff;
            assert_eq!(after, a & !0xffff_ffff | low, "{name}.w {a:#x} {b:#x}");
        }
    }
}

/// Every NaN is the canonical one.
fn double(value: f64) -> u64 {
    if value.is_nan() {
        return 0x7ff8_0000_0000_0000;
    }
    value.to_bits()
}

fn single(value: f32) -> u64 {
    let bits = if value.is_nan() {
        0x7fc0_0000
    } else {
        value.to_bits()
    };
    u64::from(bits) | 0xffff_ffff << 32
}

#[test]
fn floating_point_arithmetic() {
    // funct5, for both formats; with the host's arithmetic of both.
    let table: [Row<(Wide, Narrow)>; 4] = [
        ("fadd", 0x00, (|a, b| a + b, |a, b| a + b)),
        ("fsub", 0x01, (|a, b| a - b, |a, b| a - b)),
        ("fmul", 0x02, (|a, b| a * b, |a, b| a * b)),
        ("fdiv", 0x03, (|a, b| a / b, |a, b| a / b)),
    ];
    for (name, funct5, (wide, narrow)) in table {
        let mut doubles = Bench::new(r(0x53, 7, 0, 5, 6, funct5 << 2 | 1));
        let mut singles = Bench::new(r(0x53, 7, 0, 5, 6, funct5 << 2));
        for (a, b) in FLOATS.iter().flat_map(|a| FLOATS.map(|b| (*a, b))) {
            let found = doubles.float([double(a), double(b), 0]);
            let found = found.hart().state().registers.f(7);
            assert_eq!(found, double(wide(a, b)), "{name}.d {a} {b}");
            let (a, b) = (a as f32, b as f32);
            let found = singles.float([single(a), single(b), 0]);
            let found = found.hart().state().registers.f(7);
            assert_eq!(found, single(narrow(a, b)), "{name}.s {a} {b}");
        }
    }
}

#[test]
fn floating_point_comparisons() {
    let table: [Row<WideRelation>; 3] = [
        ("fle", 0, |a, b| a <= b),
        ("flt", 1, |a, b| a < b),
        ("feq", 2, |a, b| a == b),
    ];
    for (name, funct3, expected) in table {
        let mut bench = Bench::new(r(0x53, T2, funct3, 5, 6, 0x51));
        for (a, b) in FLOATS.iter().flat_map(|a| FLOATS.map(|b| (*a, b))) {
            let found = bench.float([double(a), double(b), 0]).x(T2 as u8);
            assert_eq!(found, expected(a, b).into(), "{name}.d {a} {b}");
        }
    }
}

#[test]
fn floating_point_conversions() {
    // Towards zero, as Rust's casts, save that a NaN becomes the largest.
    let table: [Row<(ToInteger, u64)>; 4] = [
        (
            "fcvt.w.d",
            0,
            (|a| i64::from(a as i32) as u64, i32::MAX as u64),
        ),
        (
            "fcvt.wu.d",
            1,
            (|a| i64::from(a as u32 as i32) as u64, u64::MAX),
        ),
        ("fcvt.l.d", 2, (|a| a as i64 as u64, i64::MAX as u64)),
        ("fcvt.lu.d", 3, (|a| a as u64, u64::MAX)),
    ];
    for (name, kind, (expected, nan)) in table {
        let mut bench = Bench::new(r(0x53, T2, 1, 5, kind, 0x61));
        for a in FLOATS {
            let expected = if a.is_nan() { nan } else { expected(a) };
            let found = bench.float([double(a), 0, 0]).x(T2 as u8);
            assert_eq!(found, expected, "{name} {a}");
        }
    }
    let table: [Row<FromInteger>; 4] = [
        ("fcvt.d.w", 0, |a| f64::from(a as i32)),
        ("fcvt.d.wu", 1, |a| f64::from(a as u32)),
        ("fcvt.d.l", 2, |a| a as i64 as f64),
        ("fcvt.d.lu", 3, |a| a as f64),
    ];
    for (name, kind, expected) in table {
        let mut bench = Bench::new(r(0x53, 7, 0, T0, kind, 0x69));
        for a in EDGES {
            let found = bench.step(a, 0).hart().state().registers.f(7);
            assert_eq!(found, double(expected(a)), "{name} {a:#x}");
        }
    }
}
