//! The messages that a server sends.

use crate::json::{Style, append};
use crate::{Error, Event, Result, Value};
use serde::Serialize;
use std::time::Duration;

/// The line that carries an event, to be handed to the sessions of this
/// style. `time` is when the event happened, since 1970.
///
/// # Errors
/// The event's data has no JSON text.
pub fn event<E: Event>(event: &E, time: Duration, style: Style) -> Result<Vec<u8>> {
    let data = E::HAS_DATA.then_some(event);
    let timestamp = Timestamp {
        seconds: time.as_secs(),
        microseconds: time.subsec_micros(),
    };
    let mut line = Vec::new();
    append(
        &mut line,
        &EventMessage {
            timestamp,
            event: E::NAME,
            data,
        },
        style,
        0,
    )?;
    end_line(&mut line);
    Ok(line)
}

#[derive(Serialize)]
struct EventMessage<'a, E> {
    timestamp: Timestamp,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a E>,
}

#[derive(Serialize)]
struct Timestamp {
    seconds: u64,
    microseconds: u32,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    class: &'a str,
    desc: &'a str,
}

/// A message under construction, whose members are written one by one.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    style: Style,
    first: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Vec<u8>, style: Style) -> Self {
        out.push(b'{');
        Self {
            out,
            style,
            first: true,
        }
    }

    fn key(&mut self, key: &str) {
        let separator: &[u8] = match (self.style, self.first) {
            (Style::Compact, true) => b"\"",
            (Style::Compact, false) => b", \"",
            (Style::Pretty, true) => b"\r\n    \"",
            (Style::Pretty, false) => b",\r\n    \"",
        };
        self.first = false;
        self.out.extend_from_slice(separator);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\": ");
    }

    fn add<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        self.key(key);
        append(self.out, value, self.style, 1)
    }

    fn add_id(&mut self, id: Option<&Value>) {
        if let Some(id) = id {
            self.add("id", id).expect("a value has a JSON text");
        }
    }

    fn close(self) {
        if self.style == Style::Pretty {
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.push(b'}');
        end_line(self.out);
    }
}

/// The return value of a command that returns nothing.
pub(super) fn empty(style: Style) -> &'static [u8] {
    match style {
        Style::Compact => b"{}",
        Style::Pretty => b"{\r\n    }",
    }
}

/// Appends a success; nothing if `value` has no JSON text.
pub(super) fn reply<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
    id: Option<&Value>,
    style: Style,
) -> Result<()> {
    let before = out.len();
    let mut members = Members::open(out, style);
    if let Err(error) = members.add("return", value) {
        out.truncate(before);
        return Err(error);
    }
    members.add_id(id);
    members.close();
    Ok(())
}

/// Appends a success whose value is JSON text already.
pub(super) fn raw_reply(out: &mut Vec<u8>, value: &[u8], id: Option<&Value>, style: Style) {
    let mut members = Members::open(out, style);
    members.key("return");
    members.out.extend_from_slice(value);
    members.add_id(id);
    members.close();
}

/// Appends an error.
pub(super) fn error(out: &mut Vec<u8>, error: &Error, id: Option<&Value>, style: Style) {
    let mut members = Members::open(out, style);
    members.add_id(id);
    let body = ErrorBody {
        class: error.class.as_str(),
        desc: &error.desc,
    };
    members
        .add("error", &body)
        .expect("two strings have a JSON text");
    members.close();
}

/// Appends an error whose body is JSON text already.
pub(super) fn raw_error(out: &mut Vec<u8>, body: &[u8], id: Option<&Value>, style: Style) {
    let mut members = Members::open(out, style);
    members.add_id(id);
    members.key("error");
    members.out.extend_from_slice(body);
    members.close();
}

pub(super) fn end_line(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}
