//! What a faulty server does to requests before it looks at them.

use tinamou_qmp::json::{Reader, Style, to_vec};
use tinamou_qmp::session::Catalog;
use tinamou_qmp::{Error, Object, Value};

use crate::fault::{Fault, Planted};
use crate::message::{failure, success};
use crate::schema::Schema;

/// A request longer than this is too long for [`Fault::ShortLines`].
const SHORT: u64 = 64 << 10;

/// Requests nested deeper than this are too deep for [`Fault::ShallowNesting`].
const SHALLOW: usize = 16;

/// What becomes of input.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    /// It goes to the session.
    Feed(Vec<u8>),
    /// It is answered here, by this line.
    Answer(Vec<u8>),
    /// The connection is closed.
    HangUp,
}

/// The way requests take.
#[derive(Debug)]
pub(crate) struct Intake {
    faults: Vec<Planted>,
    reader: Reader,
    /// Bytes since the last line began.
    line: u64,
    negotiated: bool,
}

impl Intake {
    /// `None` where no fault concerns requests.
    pub(crate) fn new(faults: &[Planted]) -> Option<Self> {
        let faults: Vec<Planted> = faults
            .iter()
            .filter(|planted| concerns_requests(planted.fault))
            .cloned()
            .collect();
        (!faults.is_empty()).then(|| Self {
            faults,
            reader: Reader::new(),
            line: 0,
            negotiated: false,
        })
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|planted| planted.fault == fault)
    }

    /// Whether the session is to be negotiated before the client says so.
    pub(crate) fn negotiates_itself(&self) -> bool {
        self.has(Fault::NegotiationNeedless)
    }

    /// Takes what one read brought.
    pub(crate) fn take(&mut self, bytes: &[u8], schema: &Schema) -> Vec<Taken> {
        if self.too_long(bytes) {
            return vec![Taken::HangUp];
        }
        if self.has(Fault::WholeRequestsOnly) {
            self.reader = Reader::new();
        }
        self.reader.push(bytes);
        let mut taken = Vec::new();
        while let Some(request) = self.reader.read() {
            match request {
                Ok(Value::Object(request)) => taken.extend(self.request(request, schema)),
                Ok(other) => taken.push(feed(&other)),
                Err(_) if self.has(Fault::SilentOnBadJson) => {}
                Err(_) if self.has(Fault::CloseOnBadJson) => taken.push(Taken::HangUp),
                Err(error) => taken.push(Taken::Answer(failure(&error, None))),
            }
            if self.has(Fault::OneRequestPerRead) {
                self.reader = Reader::new();
            }
        }
        taken
    }

    fn too_long(&mut self, bytes: &[u8]) -> bool {
        let planted = self
            .faults
            .iter()
            .find(|planted| planted.fault == Fault::ShortLines);
        let Some(most) = planted.map(|planted| planted.bytes.unwrap_or(SHORT)) else {
            return false;
        };
        bytes.iter().any(|&byte| {
            self.line = if byte == b'\n' { 0 } else { self.line + 1 };
            self.line > most
        })
    }

    fn request(&mut self, mut request: Object, schema: &Schema) -> Option<Taken> {
        if self.has(Fault::UnknownMemberIgnored) {
            request.retain(|key, _| matches!(&**key, "execute" | "exec-oob" | "arguments" | "id"));
        }
        let is_command =
            |request: &Object| request.contains_key("execute") || request.contains_key("exec-oob");
        if self.has(Fault::MissingCommandIgnored) && !is_command(&request) {
            return None;
        }
        if self.has(Fault::ArgumentsTypeIgnored)
            && !matches!(request.get("arguments"), Some(Value::Object(_)))
        {
            request.shift_remove("arguments");
        }
        let id = request.get("id").cloned();
        if self.has(Fault::ShallowNesting) && request.values().any(|value| depth(value) > SHALLOW) {
            let error = Error::generic("JSON nesting depth limit exceeded");
            return Some(Taken::Answer(failure(&error, id.as_ref())));
        }
        self.out_of_band(&mut request, schema);
        let Some(Value::String(command)) = request.get("execute") else {
            return Some(feed(&Value::Object(request)));
        };
        if command == "qmp_capabilities" {
            return Some(self.negotiation(request, id.as_ref()));
        }
        if self.has(Fault::UnknownCommandAccepted) && schema.command(command).is_none() {
            return Some(Taken::Answer(accepted(id.as_ref())));
        }
        Some(feed(&Value::Object(request)))
    }

    /// Turns `exec-oob` into `execute` where a fault takes it so.
    fn out_of_band(&self, request: &mut Object, schema: &Schema) {
        let Some(Value::String(command)) = request.get("exec-oob") else {
            return;
        };
        let allowed = schema
            .command(command)
            .is_some_and(|command| command.allow_oob);
        let taken = self.has(Fault::OobForAll)
            || self.has(Fault::OobUnnegotiated)
            || self.has(Fault::OobInTurn) && allowed;
        if !taken || request.contains_key("execute") {
            return;
        }
        if let Some(command) = request.shift_remove("exec-oob") {
            request.insert("execute".to_owned(), command);
        }
    }

    fn negotiation(&mut self, mut request: Object, id: Option<&Value>) -> Taken {
        let wants_oob = enabled(&mut request).is_some_and(|list| !list.is_empty());
        if self.has(Fault::NegotiationRefused) || self.has(Fault::OobRefused) && wants_oob {
            let error = Error::generic("Capability oob not available");
            return Taken::Answer(failure(&error, id));
        }
        let repeated = std::mem::replace(&mut self.negotiated, true);
        if self.negotiates_itself() || self.has(Fault::NegotiationRepeatable) && repeated {
            return Taken::Answer(accepted(id));
        }
        if let (true, Some(list)) = (
            self.has(Fault::UnknownCapabilityAccepted),
            enabled(&mut request),
        ) {
            list.retain(|capability| *capability == Value::String("oob".to_owned()));
        }
        feed(&Value::Object(request))
    }
}

/// The capabilities that a negotiation asks for.
fn enabled(request: &mut Object) -> Option<&mut Vec<Value>> {
    let Value::Object(arguments) = request.get_mut("arguments")? else {
        return None;
    };
    match arguments.get_mut("enable")? {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

fn feed(request: &Value) -> Taken {
    let mut text = to_vec(request, Style::Compact).expect("a value has a JSON text");
    // A number ends where something else begins.
    text.push(b'\n');
    Taken::Feed(text)
}

fn accepted(id: Option<&Value>) -> Vec<u8> {
    success(Value::Object(Object::new()), id)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn concerns_requests(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::NegotiationRefused
            | Fault::NegotiationNeedless
            | Fault::NegotiationRepeatable
            | Fault::UnknownCapabilityAccepted
            | Fault::UnknownMemberIgnored
            | Fault::MissingCommandIgnored
            | Fault::ArgumentsTypeIgnored
            | Fault::UnknownCommandAccepted
            | Fault::CloseOnBadJson
            | Fault::SilentOnBadJson
            | Fault::ShortLines
            | Fault::ShallowNesting
            | Fault::OneRequestPerRead
            | Fault::WholeRequestsOnly
            | Fault::OobInTurn
            | Fault::OobForAll
            | Fault::OobUnnegotiated
            | Fault::OobRefused
    )
}
