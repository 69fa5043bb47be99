//! What generated types ask of the deserialiser beyond serde.

use serde_json::Value;

/// Of `deserialize_struct`: a union. The first field is the tag, to be shown
/// before all else, the others its known values.
pub(super) const TAGGED: &str = "$tinamou::tagged";

/// Of `deserialize_newtype_struct`: an alternate. The value is to be shown as
/// an object of one member, whose key is the kind.
pub(super) const ALTERNATE: &str = "$tinamou::alternate";

/// Of `deserialize_enum`: an enumeration that keeps unknown values. The value
/// is to be shown as a string.
pub(super) const ENUMERATION: &str = "$tinamou::enumeration";

/// The kind of a JSON text.
pub(super) fn kind(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// The kind of a JSON value.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Number(_) => "number",
    }
}
