//! Lines of output, put together and taken apart.

use std::time::{SystemTime, UNIX_EPOCH};

use tinamou_qmp::json::{Style, parse, to_vec};
use tinamou_qmp::{Error, Object, Value};

/// A value on a line of its own.
pub(crate) fn line(value: &Value) -> Vec<u8> {
    let mut line = to_vec(value, Style::Compact).expect("a value has a JSON text");
    line.extend_from_slice(b"\r\n");
    line
}

/// The message on a line; nothing if it is no object.
pub(crate) fn members(line: &[u8]) -> Option<Object> {
    match parse(line) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    members.into_iter().collect()
}

pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// The reply to a request with this id.
pub(crate) fn success(value: Value, id: Option<&Value>) -> Vec<u8> {
    reply(object([("return", value)]), id)
}

/// An error in reply to a request with this id.
pub(crate) fn failure(error: &Error, id: Option<&Value>) -> Vec<u8> {
    let body = object([
        ("class", text(error.class.as_str())),
        ("desc", text(&*error.desc)),
    ]);
    reply(object([("error", Value::Object(body))]), id)
}

fn reply(mut members: Object, id: Option<&Value>) -> Vec<u8> {
    if let Some(id) = id {
        members.insert("id".to_owned(), id.clone());
    }
    line(&Value::Object(members))
}

/// An event that happens now.
pub(crate) fn event(name: &str, data: Option<Object>) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let seconds = Value::Int(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let microseconds = Value::Int(now.subsec_micros().into());
    let timestamp = object([("seconds", seconds), ("microseconds", microseconds)]);
    let mut members = object([
        ("timestamp", Value::Object(timestamp)),
        ("event", text(name)),
    ]);
    if let Some(data) = data {
        members.insert("data".to_owned(), Value::Object(data));
    }
    line(&Value::Object(members))
}
