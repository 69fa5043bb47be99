//! Floating point against two oracles: LLVM's APFloat for every rounding mode and flag, and the host for nearest-even.
//!
//! Each case runs twice, with no flags set and with NX set, so that both faces of every operation are tried.

use proptest::prelude::*;
use rustc_apfloat::ieee::{Double, Quad, Single};
use rustc_apfloat::{Float, FloatConvert, Round, Status, StatusAnd};
use tinamou_hart::fp::{self, Flags, Format, Rounding};

const ROUNDINGS: [(Rounding, Round); 5] = [
    (Rounding::Rne, Round::NearestTiesToEven),
    (Rounding::Rtz, Round::TowardZero),
    (Rounding::Rdn, Round::TowardNegative),
    (Rounding::Rup, Round::TowardPositive),
    (Rounding::Rmm, Round::NearestTiesToAway),
];

/// A format, and APFloat's type for it.
trait Oracle: Format + std::hash::Hash {
    type Ap: Float + FloatConvert<Quad> + FloatConvert<Single> + FloatConvert<Double>;

    fn ap(self) -> Self::Ap {
        Self::Ap::from_bits(u128::from(self.to_u64()))
    }

    fn from_ap(value: Self::Ap) -> Self {
        match value.is_nan() {
            true => Self::from_u64(Self::CANONICAL_NAN),
            false => Self::from_u64(value.to_bits() as u64),
        }
    }
}

impl Oracle for u32 {
    type Ap = Single;
}

impl Oracle for u64 {
    type Ap = Double;
}

/// Patterns crowded around the edges: limits of the exponent, fractions of few bits or few gaps, every kind of NaN.
fn operand<F: Format>() -> impl Strategy<Value = F> {
    let fraction = prop_oneof![
        Just(0u64),
        any::<u64>(),
        (0..F::SIG_BITS).prop_map(|bit| 1 << bit),
        (0..F::SIG_BITS).prop_map(|bit| !(1 << bit)),
        (0..=F::SIG_BITS).prop_map(|bits| !(u64::MAX << bits)),
        (0..=F::SIG_BITS).prop_map(|bits| u64::MAX << bits),
    ];
    let bias = F::BIAS as u64;
    let exponent = prop_oneof![
        0..3u64,
        F::EXP_MAX - 2..=F::EXP_MAX,
        bias - 3..bias + 3,
        bias + 28..bias + 68,
        bias / 2 - 1..bias / 2 + 2,
        0..=F::EXP_MAX,
    ];
    (any::<bool>(), exponent, fraction).prop_map(|(negative, exponent, fraction)| {
        let sign = if negative { F::SIGN } else { 0 };
        F::from_u64(sign | exponent << F::SIG_BITS | fraction & ((1 << F::SIG_BITS) - 1))
    })
}

/// An operand one or a few steps of magnitude from another, for cancellation.
fn neighbours<F: Format>() -> impl Strategy<Value = (F, F)> {
    let near = (operand::<F>(), 0..3u64, any::<bool>()).prop_map(|(a, step, flip)| {
        let b = F::from_u64(a.to_u64().wrapping_add(step));
        (a, if flip { fp::negate(b) } else { b })
    });
    prop_oneof![2 => (operand(), operand()), 1 => near]
}

fn flags_of(status: Status) -> Flags {
    let mut flags = Flags::default();
    for (theirs, ours) in [
        (Status::INVALID_OP, Flags::NV),
        (Status::DIV_BY_ZERO, Flags::DZ),
        (Status::OVERFLOW, Flags::OF),
        (Status::UNDERFLOW, Flags::UF),
        (Status::INEXACT, Flags::NX),
    ] {
        if status.contains(theirs) {
            flags.raise(ours);
        }
    }
    flags
}

/// Runs `ours` with and without NX set beforehand and compares result and flags.
///
/// APFloat raises no underflow where rounding reaches the smallest normal number, and no overflow where it stops at the
/// largest; there these flags are left to `tininess_is_detected_after_rounding` and `overflow_stops_at_the_largest`.
fn check<F: Oracle>(
    ours: impl Fn(&mut Flags) -> F,
    theirs: StatusAnd<F::Ap>,
) -> Result<(), TestCaseError> {
    let expected = F::from_ap(theirs.value);
    let unjudged = match expected.magnitude() {
        m if m == 1 << F::SIG_BITS => Flags::UF,
        m if m == F::INFINITY - 1 => Flags::OF,
        _ => Flags::default(),
    };
    for before in [Flags::default(), Flags::NX] {
        let (mut wanted, mut flags) = (flags_of(theirs.status), before);
        wanted.raise(before);
        let result = ours(&mut flags);
        prop_assert_eq!(result, expected, "{:x?}, not {:x?}", result, expected);
        wanted.raise(Flags::from_bits(flags.bits() & unjudged.bits()));
        prop_assert_eq!(flags, wanted);
    }
    Ok(())
}

fn check_binary<F: Oracle>(a: F, b: F) -> Result<(), TestCaseError> {
    for (rm, round) in ROUNDINGS {
        check(
            |flags| fp::add(a, b, rm, flags),
            a.ap().add_r(b.ap(), round),
        )?;
        check(
            |flags| fp::sub(a, b, rm, flags),
            a.ap().sub_r(b.ap(), round),
        )?;
        check(
            |flags| fp::mul(a, b, rm, flags),
            a.ap().mul_r(b.ap(), round),
        )?;
        check(
            |flags| fp::div(a, b, rm, flags),
            a.ap().div_r(b.ap(), round),
        )?;
    }
    Ok(())
}

fn check_mul_add<F: Oracle>(a: F, b: F, c: F) -> Result<(), TestCaseError> {
    for (rm, round) in ROUNDINGS {
        let mut theirs = a.ap().mul_add_r(b.ap(), c.ap(), round);
        // The product of zero and infinity is invalid whatever is added (unpriv "F" §FMADD); to IEEE 754 that is free.
        if matches!((a.magnitude(), b.magnitude()), (0, m) | (m, 0) if m == F::INFINITY) {
            theirs.status |= Status::INVALID_OP;
        }
        check(|flags| fp::mul_add(a, b, c, rm, flags), theirs)?;
    }
    Ok(())
}

/// No float type that APFloat has a root for: so the square of the result, exact in binary128, must bracket the operand.
fn check_sqrt<F: Oracle>(a: F) -> Result<(), TestCaseError> {
    let quad = |value: F| -> Quad { value.ap().convert(&mut false).value };
    let square = |value: F| (quad(value) * quad(value)).value;
    for (rm, _) in ROUNDINGS {
        let mut flags = Flags::default();
        let root = fp::sqrt(a, rm, &mut flags);
        if a.is_nan() || a.is_negative() && !a.is_zero() {
            let invalid = !a.is_nan() || a.is_signalling();
            prop_assert_eq!(root, F::from_u64(F::CANONICAL_NAN));
            prop_assert_eq!(flags.contains(Flags::NV), invalid);
            continue;
        }
        if a.is_zero() || !a.is_finite() {
            prop_assert_eq!((root, flags), (a, Flags::default()));
            continue;
        }
        let (before, after) = (
            F::from_u64(root.to_u64() - 1),
            F::from_u64(root.to_u64() + 1),
        );
        let exact = square(root) == quad(a);
        prop_assert_eq!(flags, if exact { Flags::default() } else { Flags::NX });
        match rm {
            Rounding::Rtz | Rounding::Rdn => {
                prop_assert!(square(root) <= quad(a) && quad(a) < square(after))
            }
            Rounding::Rup => prop_assert!(square(before) < quad(a) && quad(a) <= square(root)),
            Rounding::Rne | Rounding::Rmm => {
                let mut fast_flags = Flags::NX;
                prop_assert_eq!(root, F::from_host(fp::Host::sqrt(a.host())));
                prop_assert_eq!(root, fp::sqrt(a, rm, &mut fast_flags));
            }
        }
    }
    Ok(())
}

fn check_compare<F: Oracle>(a: F, b: F) -> Result<(), TestCaseError> {
    let order = a.ap().partial_cmp(&b.ap());
    let nv_if = |condition| {
        if condition {
            Flags::NV
        } else {
            Flags::default()
        }
    };
    let any_signalling = nv_if(a.is_signalling() || b.is_signalling());
    let any_nan = nv_if(order.is_none());

    let run = |compare: fn(F, F, &mut Flags) -> bool| {
        let mut flags = Flags::default();
        (compare(a, b, &mut flags), flags)
    };
    prop_assert_eq!(
        run(fp::eq),
        (order.is_some_and(|o| o.is_eq()), any_signalling)
    );
    prop_assert_eq!(run(fp::lt), (order.is_some_and(|o| o.is_lt()), any_nan));
    prop_assert_eq!(run(fp::le), (order.is_some_and(|o| o.is_le()), any_nan));

    let run = |choose: fn(F, F, &mut Flags) -> F| {
        let mut flags = Flags::default();
        (choose(a, b, &mut flags), flags)
    };
    let (smaller, larger) = match (a.is_nan(), b.is_nan()) {
        (true, true) => (F::from_u64(F::CANONICAL_NAN), F::from_u64(F::CANONICAL_NAN)),
        (true, false) => (b, b),
        (false, true) => (a, a),
        (false, false) => (
            F::from_ap(a.ap().minimum(b.ap())),
            F::from_ap(a.ap().maximum(b.ap())),
        ),
    };
    prop_assert_eq!(run(fp::min), (smaller, any_signalling));
    prop_assert_eq!(run(fp::max), (larger, any_signalling));
    Ok(())
}

fn check_to_int<F: Oracle>(a: F) -> Result<(), TestCaseError> {
    for (rm, round) in ROUNDINGS {
        for width in [32usize, 64] {
            let (mut flags, mut fast_flags) = (Flags::default(), Flags::NX);
            let signed = match width {
                32 => i128::from(fp::to_int::<F, i32>(a, rm, &mut flags)),
                _ => i128::from(fp::to_int::<F, i64>(a, rm, &mut flags)),
            };
            let again = match width {
                32 => i128::from(fp::to_int::<F, i32>(a, rm, &mut fast_flags)),
                _ => i128::from(fp::to_int::<F, i64>(a, rm, &mut fast_flags)),
            };
            let theirs = a.ap().to_i128_r(width, round, &mut false);
            let expected = if a.is_nan() {
                (1 << (width - 1)) - 1
            } else {
                theirs.value
            };
            prop_assert_eq!(
                (signed, flags),
                (expected, flags_of(theirs.status)),
                "to i{}, {:?}",
                width,
                rm
            );
            prop_assert_eq!(again, signed);

            let mut flags = Flags::default();
            let unsigned = match width {
                32 => u128::from(fp::to_int::<F, u32>(a, rm, &mut flags)),
                _ => u128::from(fp::to_int::<F, u64>(a, rm, &mut flags)),
            };
            let theirs = a.ap().to_u128_r(width, round, &mut false);
            let expected = if a.is_nan() {
                (1 << width) - 1
            } else {
                theirs.value
            };
            prop_assert_eq!(
                (unsigned, flags),
                (expected, flags_of(theirs.status)),
                "to u{}, {:?}",
                width,
                rm
            );
        }
    }
    Ok(())
}

fn check_from_int<F: Oracle>(value: u64) -> Result<(), TestCaseError> {
    let (i32, u32, i64) = (value as i32, value as u32, value as i64);
    for (rm, round) in ROUNDINGS {
        check(
            |flags| fp::from_int::<_, F>(i32, rm, flags),
            F::Ap::from_i128_r(i32.into(), round),
        )?;
        check(
            |flags| fp::from_int::<_, F>(u32, rm, flags),
            F::Ap::from_i128_r(u32.into(), round),
        )?;
        check(
            |flags| fp::from_int::<_, F>(i64, rm, flags),
            F::Ap::from_i128_r(i64.into(), round),
        )?;
        check(
            |flags| fp::from_int::<_, F>(value, rm, flags),
            F::Ap::from_i128_r(value.into(), round),
        )?;
    }
    Ok(())
}

fn integer() -> impl Strategy<Value = u64> {
    let edge = (0..64u32, -2..3i64).prop_map(|(bit, step)| (1u64 << bit).wrapping_add_signed(step));
    prop_oneof![
        any::<u64>(),
        edge,
        (any::<u64>(), 0..64u32).prop_map(|(value, shift)| value >> shift)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn single_arithmetic((a, b) in neighbours::<u32>()) {
        check_binary(a, b)?;
    }

    #[test]
    fn double_arithmetic((a, b) in neighbours::<u64>()) {
        check_binary(a, b)?;
    }

    #[test]
    fn single_mul_add((a, b) in neighbours::<u32>(), c in operand::<u32>()) {
        check_mul_add(a, b, c)?;
    }

    #[test]
    fn double_mul_add((a, b) in neighbours::<u64>(), c in operand::<u64>()) {
        check_mul_add(a, b, c)?;
    }

    /// The addend nearly cancels the product, or sits at its last bit.
    #[test]
    fn mul_add_near_product((a, b) in neighbours::<u64>(), step in -2..3i64, scale in 0..110u64, flip: bool) {
        let product = (f64::from_bits(a) * f64::from_bits(b)).to_bits();
        let c = product.wrapping_add_signed(step).wrapping_sub(scale << 52);
        check_mul_add(a, b, if flip { fp::negate(c) } else { c })?;
    }

    #[test]
    fn square_roots(single in operand::<u32>(), double in operand::<u64>()) {
        check_sqrt(single)?;
        check_sqrt(double)?;
    }

    #[test]
    fn single_comparisons((a, b) in neighbours::<u32>()) {
        check_compare(a, b)?;
    }

    #[test]
    fn double_comparisons((a, b) in neighbours::<u64>()) {
        check_compare(a, b)?;
    }

    #[test]
    fn to_integers(single in operand::<u32>(), double in operand::<u64>()) {
        check_to_int(single)?;
        check_to_int(double)?;
    }

    #[test]
    fn from_integers(value in integer()) {
        check_from_int::<u32>(value)?;
        check_from_int::<u64>(value)?;
    }

    #[test]
    fn between_formats(single in operand::<u32>(), double in operand::<u64>()) {
        for (rm, round) in ROUNDINGS {
            check(|flags| fp::convert::<u32, u64>(single, rm, flags), single.ap().convert_r(round, &mut false))?;
            check(|flags| fp::convert::<u64, u32>(double, rm, flags), double.ap().convert_r(round, &mut false))?;
        }
    }

    #[test]
    fn nearest_even_is_the_hosts((a, b) in neighbours::<u64>(), c in operand::<u64>()) {
        let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
        // By its bits: optimised code may take the host's sqrt of a negative number for no NaN.
        let canonical = |value: f64| match value.to_bits() {
            bits if bits & !(1 << 63) > f64::INFINITY.to_bits() => u64::CANONICAL_NAN,
            bits => bits,
        };
        let rne = Rounding::Rne;
        let flags = &mut Flags::default();
        prop_assert_eq!(fp::exact::add(a, b, rne, flags), canonical(x + y));
        prop_assert_eq!(fp::exact::mul(a, b, rne, flags), canonical(x * y));
        prop_assert_eq!(fp::exact::div(a, b, rne, flags), canonical(x / y));
        prop_assert_eq!(fp::exact::sqrt(a, rne, flags), canonical(x.sqrt()));
        prop_assert_eq!(fp::exact::mul_add(a, b, c, rne, flags), canonical(x.mul_add(y, z)));
    }
}

fn check_product(a: u64, b: f64, rm: Rounding, (result, expected): (u64, Flags)) {
    for before in [Flags::default(), Flags::NX] {
        let (mut flags, mut wanted) = (before, before);
        wanted.raise(expected);
        assert_eq!(
            fp::mul(a, b.to_bits(), rm, &mut flags),
            result,
            "{a:x} × {b:e}, {rm:?}"
        );
        assert_eq!(flags, wanted, "{a:x} × {b:e}, {rm:?}");
    }
}

#[test]
fn tininess_is_detected_after_rounding() {
    let smallest_normal = 1u64 << 52;
    let underflow = Flags::from_bits(Flags::UF.bits() | Flags::NX.bits());
    let step = f64::EPSILON / 2.0;
    // 2^-1022 (1 - 2^-53) fits the precision but not the range.
    check_product(
        smallest_normal,
        1.0 - step,
        Rounding::Rne,
        (smallest_normal, underflow),
    );
    check_product(
        smallest_normal,
        1.0 - step,
        Rounding::Rup,
        (smallest_normal, underflow),
    );
    check_product(
        smallest_normal,
        1.0 - step,
        Rounding::Rtz,
        (smallest_normal - 1, underflow),
    );
    // 2^-1022 (1 - 2^-52) is a subnormal number.
    check_product(
        smallest_normal,
        1.0 - 2.0 * step,
        Rounding::Rtz,
        (smallest_normal - 1, Flags::default()),
    );
    // 2^-1022 (1 - 2^-104) has more precision than any format; rounded to nearest it is normal.
    check_product(
        smallest_normal + 1,
        1.0 - 2.0 * step,
        Rounding::Rne,
        (smallest_normal, Flags::NX),
    );
    check_product(
        smallest_normal + 1,
        1.0 - 2.0 * step,
        Rounding::Rtz,
        (smallest_normal - 1, underflow),
    );
}

#[test]
fn overflow_stops_at_the_largest() {
    let (largest, infinity) = (f64::MAX.to_bits(), f64::INFINITY.to_bits());
    let overflow = Flags::from_bits(Flags::OF.bits() | Flags::NX.bits());
    for (rm, result) in [
        (Rounding::Rne, infinity),
        (Rounding::Rtz, largest),
        (Rounding::Rdn, largest),
        (Rounding::Rup, infinity),
        (Rounding::Rmm, infinity),
    ] {
        check_product(largest, 2.0, rm, (result, overflow));
    }
    check_product(
        largest,
        -2.0,
        Rounding::Rdn,
        (fp::negate(infinity), overflow),
    );
    check_product(
        largest,
        -2.0,
        Rounding::Rup,
        (fp::negate(largest), overflow),
    );
    // (2^1024 - 2^972)(1 + 2^-52) is 2^1024 and a little less than one step: over. (2^1023 + 2^971)(2 - 2^-52 · 2) is
    // below 2^1024 by 2^920: truncated it is in range.
    check_product(
        largest,
        1.0 + f64::EPSILON,
        Rounding::Rtz,
        (largest, overflow),
    );
    check_product(
        (1.0 + f64::EPSILON).to_bits() + (1023 << 52),
        2.0 - 2.0 * f64::EPSILON,
        Rounding::Rtz,
        (largest, Flags::NX),
    );
}
