//! The conditions of branches.

/// A condition on two registers.
pub(crate) trait Compare {
    fn holds(a: u64, b: u64) -> bool;
}

macro_rules! compare {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        pub(crate) struct $name;
        impl Compare for $name {
            #[inline(always)]
            fn holds($a: u64, $b: u64) -> bool {
                $value
            }
        }
    )*};
}

compare! {
    Eq = |a, b| a == b;
    Ne = |a, b| a != b;
    Lt = |a, b| (a as i64) < b as i64;
    Ge = |a, b| a as i64 >= b as i64;
    Ltu = |a, b| a < b;
    Geu = |a, b| a >= b;
}
