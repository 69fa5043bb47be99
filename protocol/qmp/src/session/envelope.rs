//! The outer members of a request.

use crate::{Error, Object, Result, Value, hash_order};

const EXECUTE: &str = "execute";
const EXEC_OOB: &str = "exec-oob";
const ARGUMENTS: &str = "arguments";

/// A request whose outer members are sound.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) command: String,
    pub(super) arguments: Object,
}

/// Whether a request is run at once instead of being queued. One that has
/// both `execute` and `exec-oob` is queued, and refused when its turn comes.
pub(super) fn is_oob(request: &Object) -> bool {
    request.contains_key(EXEC_OOB) && !request.contains_key(EXECUTE)
}

impl Envelope {
    /// Takes apart a request whose `id` was taken out before; `oob` says
    /// whether `exec-oob` is known.
    pub(super) fn open(mut request: Object, oob: bool) -> Result<Self> {
        let known = |key: &str| matches!(key, EXECUTE | ARGUMENTS) || oob && key == EXEC_OOB;
        if !request.keys().all(|key| known(key)) || request.len() > 2 {
            return Err(first_fault(&request, oob));
        }
        let command = request.get(EXECUTE).or_else(|| request.get(EXEC_OOB));
        let arguments = request.get(ARGUMENTS);
        match (command, arguments) {
            (Some(Value::String(_)), None) if request.len() == 1 => {}
            (Some(Value::String(_)), Some(Value::Object(_))) => {}
            _ => return Err(first_fault(&request, oob)),
        }
        let mut envelope = Self {
            command: String::new(),
            arguments: Object::new(),
        };
        for (_, value) in request.drain(..) {
            match value {
                Value::String(command) => envelope.command = command,
                Value::Object(arguments) => envelope.arguments = arguments,
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// The fault that QEMU reports: the first in the order of its hash table, and
/// a missing command last.
fn first_fault(request: &Object, oob: bool) -> Error {
    let mut command: Option<&str> = None;
    for (key, value) in hash_order::member_order(request)
        .into_iter()
        .filter_map(|place| request.get_index(place))
    {
        match (key.as_str(), value) {
            (ARGUMENTS, Value::Object(_)) => {}
            (ARGUMENTS, _) => return Error::envelope_type(key, "an object"),
            (EXECUTE, _) | (EXEC_OOB, _) if key == EXECUTE || oob => match (value, command) {
                (Value::String(_), None) => command = Some(key),
                (Value::String(_), Some(other)) => return Error::envelope_clash(key, other),
                _ => return Error::envelope_type(key, "a string"),
            },
            _ => return Error::envelope_unexpected(key),
        }
    }
    Error::envelope_lacks_execute()
}
