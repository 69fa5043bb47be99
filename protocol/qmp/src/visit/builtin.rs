//! `Visit` for the schema's builtin types.

use super::{Name, Source, Visit, VisitMembers, list_with};
use crate::{Error, Object, Result, Value};

macro_rules! sized_integers {
    ($($type:ty, $read:ident, $shown:literal;)*) => {$(
        impl Visit for $type {
            fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
                source.$read(name)?.try_into().map_err(|_| Error::expects(name, $shown))
            }
        }
    )*};
}

// A negative number wraps to 64 unsigned bits first, so that a narrower
// unsigned type then refuses it as out of range.
sized_integers! {
    i8, integer, "int8_t";
    i16, integer, "int16_t";
    i32, integer, "int32_t";
    u8, unsigned, "uint8_t";
    u16, unsigned, "uint16_t";
    u32, unsigned, "uint32_t";
}

impl Visit for i64 {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.integer(name)
    }
}

impl Visit for u64 {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.unsigned(name)
    }
}

impl Visit for bool {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.boolean(name)
    }
}

impl Visit for f64 {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.number(name)
    }
}

impl Visit for String {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.string(name)
    }
}

/// The schema's `null`.
impl Visit for () {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.null(name)
    }
}

/// The schema's `any`.
impl Visit for Value {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        source.any(name)
    }
}

impl<T: Visit> Visit for Vec<T> {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        list_with(source, name, T::visit)
    }
}

impl<T: Visit> Visit for Box<T> {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        T::visit(source, name).map(Box::new)
    }
}

/// A command without arguments.
impl VisitMembers for () {
    fn visit_members<S: Source>(_: &mut S) -> Result<Self> {
        Ok(())
    }
}

/// A command that reads its arguments itself (`gen: false`).
impl VisitMembers for Object {
    fn visit_members<S: Source>(source: &mut S) -> Result<Self> {
        Ok(source.rest())
    }
}
