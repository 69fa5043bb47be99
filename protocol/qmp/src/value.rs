//! JSON values as QMP keeps them.

use crate::Kind;
use indexmap::IndexMap;

/// The members of a JSON object, in the order they were written.
pub type Object = IndexMap<String, Value>;

/// A JSON value. Numbers keep the three kinds that QEMU tells apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that fits in 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX` that fits in 64 unsigned bits.
    Uint(u64),
    /// A number with a fraction or an exponent, or an integer beyond 64 bits.
    Double(f64),
    /// A string; U+0000 is allowed.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

impl Value {
    /// What kind of JSON value it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) | Self::Uint(_) | Self::Double(_) => Kind::Number,
            Self::String(_) => Kind::String,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }
}
