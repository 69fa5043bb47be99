//! What a faulty server does to its output.

use std::time::Duration;

use tinamou_qmp::{Object, Value};

use crate::fault::{Fault, Planted};
use crate::message::{event, line, members, object, text};

/// How late a late greeting is.
const LATE: Duration = Duration::from_secs(1);

/// How long a reply is held back.
const DELAY: Duration = Duration::from_millis(100);

/// How long a huge reply is.
const HUGE: u64 = 100 << 20;

/// Something to be done to the connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// These bytes are sent.
    Bytes(Vec<u8>),
    /// So many letters are sent.
    Fill(u64),
    /// Nothing is sent for so long.
    Pause(Duration),
    /// Nothing is sent from here on.
    Stall,
    /// The sending side is closed.
    HalfClose,
    /// The connection is closed.
    Close,
}

/// What a line of output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The greeting.
    Greeting,
    /// An answer to `qmp_capabilities`.
    Negotiation,
    /// An answer to a command of this name, or to something that is none.
    Reply(Option<&'static str>),
    /// An event.
    Event,
}

/// The way lines take.
#[derive(Debug)]
pub(crate) struct Outlet {
    faults: Vec<Seed>,
    /// A reply that the next one overtakes.
    held: Vec<Step>,
}

/// A fault, and how many lines it could have hit.
#[derive(Debug)]
struct Seed {
    planted: Planted,
    seen: u64,
}

impl Outlet {
    pub(crate) fn new(faults: &[Planted]) -> Self {
        let seed = |planted: &Planted| Seed {
            planted: planted.clone(),
            seen: 0,
        };
        Self {
            faults: faults.iter().map(seed).collect(),
            held: Vec::new(),
        }
    }

    /// What is done to send the line.
    pub(crate) fn send(&mut self, kind: Kind, line: Vec<u8>) -> Vec<Step> {
        let mut steps = vec![Step::Bytes(line)];
        let mut held = false;
        for seed in &mut self.faults {
            if !seed.hits(kind, &steps) {
                continue;
            }
            held |= seed.planted.fault == Fault::Reorder;
            steps = apply(&seed.planted, kind, steps);
        }
        if held {
            self.held.extend(steps);
            return Vec::new();
        }
        if matches!(kind, Kind::Reply(_)) {
            steps.append(&mut self.held);
        }
        steps
    }
}

impl Seed {
    fn hits(&mut self, kind: Kind, steps: &[Step]) -> bool {
        let planted = &self.planted;
        let concerned = match kind {
            Kind::Greeting => concerns_greeting(planted.fault),
            Kind::Event => concerns_events(planted.fault),
            Kind::Negotiation => {
                concerns_replies(planted.fault)
                    && planted.command.as_deref() == Some("qmp_capabilities")
            }
            Kind::Reply(command) => {
                let named = planted.command.as_deref();
                concerns_replies(planted.fault) && (named.is_none() || named == command)
            }
        };
        if !concerned || concerns_errors(planted.fault) && !is_error(steps) {
            return false;
        }
        self.seen += 1;
        let first = planted.from.max(1);
        let behind = planted.times.map(|times| first.saturating_add(times));
        self.seen >= first && behind.is_none_or(|behind| self.seen < behind)
    }
}

fn apply(planted: &Planted, kind: Kind, mut steps: Vec<Step>) -> Vec<Step> {
    let made_up = || Step::Bytes(event("MADE_UP", None));
    match planted.fault {
        Fault::NoGreeting | Fault::NoReply | Fault::LostEvent => Vec::new(),
        Fault::LateGreeting => behind(Step::Pause(planted.time.unwrap_or(LATE)), steps),
        Fault::Delay => behind(Step::Pause(planted.time.unwrap_or(DELAY)), steps),
        Fault::HangUp | Fault::Close => vec![Step::Close],
        Fault::HalfClose => vec![Step::HalfClose],
        Fault::Stall => vec![Step::Stall],
        Fault::EventBeforeGreeting => behind(Step::Bytes(event("RESUME", None)), steps),
        Fault::EventBeforeNegotiation => {
            steps.push(Step::Bytes(event("RESUME", None)));
            steps
        }
        Fault::RepeatedGreeting | Fault::RepeatedReply | Fault::RepeatedEvent => {
            let again = steps.clone();
            steps.into_iter().chain(again).collect()
        }
        Fault::UndeclaredEvent => {
            steps.push(made_up());
            steps
        }
        Fault::UnaskedReply => behind(unasked(), steps),
        Fault::GarbageLine => behind(Step::Bytes(b"this is no JSON\r\n".to_vec()), steps),
        Fault::CloseOnError => {
            steps.push(Step::Close);
            steps
        }
        Fault::EndlessLine => vec![
            Step::Bytes(b"{\"return\": \"".to_vec()),
            Step::Fill(u64::MAX),
        ],
        Fault::HugeReply => huge(planted.bytes.unwrap_or(HUGE), &steps),
        Fault::EventInsideReply => in_two(steps, &[Step::Bytes(event("RESUME", None))]),
        Fault::Cut => {
            let mut steps = in_two(steps, &[Step::Close]);
            steps.truncate(2);
            steps
        }
        Fault::SplitReply => bytewise(&steps),
        _ => steps
            .into_iter()
            .map(|step| match step {
                Step::Bytes(line) => Step::Bytes(spoil(planted.fault, kind, line)),
                step => step,
            })
            .collect(),
    }
}

fn behind(first: Step, steps: Vec<Step>) -> Vec<Step> {
    [first].into_iter().chain(steps).collect()
}

fn unasked() -> Step {
    let members = object([
        ("return", Value::Object(Object::new())),
        ("id", text("nobody's")),
    ]);
    Step::Bytes(line(&Value::Object(members)))
}

/// A reply that is mostly one string.
fn huge(bytes: u64, steps: &[Step]) -> Vec<Step> {
    let id = first_line(steps)
        .and_then(members)
        .and_then(|mut reply| reply.shift_remove("id"));
    let tail = id.map_or_else(
        || b"\"}\r\n".to_vec(),
        |id| {
            [
                b"\", ".as_slice(),
                &line(&Value::Object(object([("id", id)])))[1..],
            ]
            .concat()
        },
    );
    vec![
        Step::Bytes(b"{\"return\": \"".to_vec()),
        Step::Fill(bytes),
        Step::Bytes(tail),
    ]
}

/// Cuts the line through the middle and puts something there.
fn in_two(steps: Vec<Step>, between: &[Step]) -> Vec<Step> {
    let mut cut = Vec::new();
    for step in steps {
        let Step::Bytes(mut line) = step else {
            cut.push(step);
            continue;
        };
        let rest = line.split_off(line.len() / 2);
        cut.push(Step::Bytes(line));
        cut.extend_from_slice(between);
        cut.push(Step::Bytes(rest));
    }
    cut
}

fn bytewise(steps: &[Step]) -> Vec<Step> {
    let line = first_line(steps).unwrap_or_default();
    let pause = Step::Pause(Duration::from_micros(100));
    line.iter()
        .flat_map(|&byte| [Step::Bytes(vec![byte]), pause.clone()])
        .collect()
}

/// Another line in the place of this one.
fn spoil(fault: Fault, kind: Kind, bytes: Vec<u8>) -> Vec<u8> {
    match fault {
        Fault::GarbledGreeting => return b"hello, this is a server\r\n".to_vec(),
        Fault::Garble => return garbled(bytes),
        Fault::InvalidUtf8 => return with_bytes(&bytes, b"\xFF\xFE"),
        Fault::UnterminatedReply => return bytes.trim_ascii_end().to_vec(),
        _ => {}
    }
    let Some(mut message) = members(&bytes) else {
        return bytes;
    };
    if kind == Kind::Greeting {
        spoil_greeting(fault, &mut message);
    } else if kind == Kind::Event {
        spoil_event(fault, &mut message);
    } else if concerns_errors(fault) {
        spoil_error(fault, &mut message);
    } else if fault == Fault::NotAnObject {
        let elements = message.into_values().collect();
        return line(&Value::Array(elements));
    } else {
        spoil_reply(fault, &mut message);
    }
    line(&Value::Object(message))
}

fn spoil_greeting(fault: Fault, message: &mut Object) {
    let Some(Value::Object(greeting)) = message.get_mut("QMP") else {
        return;
    };
    match fault {
        Fault::GreetingWithoutVersion => greeting.shift_remove("version"),
        Fault::GreetingWithoutCapabilities => greeting.shift_remove("capabilities"),
        _ => None,
    };
}

fn spoil_event(fault: Fault, message: &mut Object) {
    match fault {
        Fault::EventWithoutTimestamp => {
            message.shift_remove("timestamp");
        }
        Fault::TextTimestamp => {
            message.insert("timestamp".to_owned(), text("now"));
        }
        Fault::EmptyEventData => {
            let data = message.entry("data".to_owned());
            data.or_insert_with(|| Value::Object(Object::new()));
        }
        _ => {}
    }
}

fn spoil_error(fault: Fault, message: &mut Object) {
    let Some(error) = message.get_mut("error") else {
        return;
    };
    match (fault, error) {
        (Fault::TextError, error) => *error = text("it went wrong"),
        (Fault::ErrorWithoutClass, Value::Object(error)) => {
            error.shift_remove("class");
        }
        (Fault::ErrorWithoutDesc, Value::Object(error)) => {
            error.shift_remove("desc");
        }
        (_, Value::Object(error)) => {
            error.insert("class".to_owned(), text("MadeUpError"));
        }
        _ => {}
    }
}

fn spoil_reply(fault: Fault, message: &mut Object) {
    match fault {
        Fault::WrongId => {
            message.insert("id".to_owned(), text("another's"));
        }
        Fault::MissingId => {
            message.shift_remove("id");
        }
        Fault::NeedlessId => {
            message.entry("id".to_owned()).or_insert(Value::Int(0));
        }
        Fault::TextId => {
            if let Some(id) = message
                .get_mut("id")
                .filter(|id| !matches!(id, Value::String(_)))
            {
                let shown = serde_json::to_string(id).unwrap_or_default();
                *id = text(shown);
            }
        }
        Fault::RoundedId => {
            if let Some(id) = message.get_mut("id") {
                round(id);
            }
        }
        Fault::ReturnAndError => {
            message.entry("return".to_owned()).or_insert(Value::Null);
            message.entry("error".to_owned()).or_insert_with(error_body);
        }
        Fault::NeitherReturnNorError => message.retain(|key, _| key == "id"),
        Fault::UnexpectedError => {
            message.shift_remove("return");
            message.insert("error".to_owned(), error_body());
        }
        Fault::WrongReturnType => {
            if let Some(value) = message.get_mut("return") {
                *value = text("a string");
            }
        }
        _ => {}
    }
}

fn error_body() -> Value {
    Value::Object(object([
        ("class", text("GenericError")),
        ("desc", text("made up by a fault")),
    ]))
}

/// What is left of an integer that went through a double.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the loss is the fault that is wanted"
)]
fn round(id: &mut Value) {
    match id {
        Value::Int(id) => *id = *id as f64 as i64,
        Value::Uint(id) => *id = *id as f64 as u64,
        Value::Array(elements) => elements.iter_mut().for_each(round),
        Value::Object(members) => members.values_mut().for_each(round),
        _ => {}
    }
}

/// The line with a brace where no brace can be.
fn garbled(mut line: Vec<u8>) -> Vec<u8> {
    let middle = line.len() / 2;
    line.truncate(middle);
    line.extend_from_slice(b"}{]\x01\r\n");
    line
}

/// The line with bytes put into its first string.
fn with_bytes(line: &[u8], bytes: &[u8]) -> Vec<u8> {
    let place = line
        .iter()
        .position(|&byte| byte == b'"')
        .map_or(0, |at| at + 1);
    [&line[..place], bytes, &line[place..]].concat()
}

fn first_line(steps: &[Step]) -> Option<&[u8]> {
    steps.iter().find_map(|step| match step {
        Step::Bytes(line) => Some(line.as_slice()),
        _ => None,
    })
}

fn is_error(steps: &[Step]) -> bool {
    let message = first_line(steps).and_then(members);
    message.is_some_and(|message| message.contains_key("error"))
}

fn concerns_greeting(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::NoGreeting
            | Fault::LateGreeting
            | Fault::HangUp
            | Fault::GarbledGreeting
            | Fault::RepeatedGreeting
            | Fault::EventBeforeGreeting
            | Fault::GreetingWithoutVersion
            | Fault::GreetingWithoutCapabilities
            | Fault::EventBeforeNegotiation
    )
}

fn concerns_events(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::EventWithoutTimestamp
            | Fault::TextTimestamp
            | Fault::EmptyEventData
            | Fault::RepeatedEvent
            | Fault::LostEvent
    )
}

fn concerns_errors(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::ErrorWithoutClass
            | Fault::ErrorWithoutDesc
            | Fault::UnknownErrorClass
            | Fault::TextError
            | Fault::CloseOnError
    )
}

fn concerns_replies(fault: Fault) -> bool {
    concerns_errors(fault)
        || matches!(
            fault,
            Fault::WrongId
                | Fault::MissingId
                | Fault::NeedlessId
                | Fault::TextId
                | Fault::RoundedId
                | Fault::NoReply
                | Fault::RepeatedReply
                | Fault::UnaskedReply
                | Fault::Delay
                | Fault::Stall
                | Fault::Cut
                | Fault::HalfClose
                | Fault::Close
                | Fault::Garble
                | Fault::GarbageLine
                | Fault::InvalidUtf8
                | Fault::EndlessLine
                | Fault::HugeReply
                | Fault::Reorder
                | Fault::SplitReply
                | Fault::EventInsideReply
                | Fault::ReturnAndError
                | Fault::NeitherReturnNorError
                | Fault::NotAnObject
                | Fault::WrongReturnType
                | Fault::UnterminatedReply
                | Fault::UnexpectedError
                | Fault::UndeclaredEvent
        )
}
