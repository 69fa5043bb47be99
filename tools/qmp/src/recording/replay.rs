//! A recording as a server's script.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tinamou_mock::{Answer, Happening, Outcome, Received, Script};
use tinamou_qmp::{Object, Value};

use super::read::{Said, command_of};
use super::{REDACTED, Recording, Side};

/// Answers as the recorded server did.
///
/// A command is answered by the next exchange that has it with the same
/// arguments and was not used yet, whatever its id; failing that, by the one
/// that answered it last, so that polling goes on.
#[derive(Debug)]
pub struct Replay {
    /// As recorded, for connections to come.
    recorded: Vec<Track>,
    playing: Vec<Track>,
    timing: bool,
    report: Arc<Mutex<Report>>,
}

/// How far a replay went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Commands that were answered as recorded.
    pub matched: usize,
    /// Commands that were answered as before, as the recording has no further
    /// answer.
    pub repeated: usize,
    /// Commands that the recording does not answer, with what it has next.
    pub unmatched: Vec<String>,
}

/// What happened on one connection.
#[derive(Clone, Debug, Default)]
struct Track {
    exchanges: Vec<Exchange>,
    /// Events ahead of the first command.
    opening: Vec<Happening>,
    /// Behind the exchange that was used last.
    place: usize,
}

#[derive(Clone, Debug)]
struct Exchange {
    command: String,
    arguments: Object,
    id: Option<Value>,
    asked: f64,
    answered: Option<f64>,
    answer: Answer,
    used: bool,
}

impl Replay {
    /// Plays a recording, with its times or as fast as it goes.
    #[must_use]
    pub fn new(recording: &Recording, timing: bool) -> Self {
        let recorded = recording.connections.iter().map(|said| Track::new(said));
        Self {
            recorded: recorded.collect(),
            playing: Vec::new(),
            timing,
            report: Arc::default(),
        }
    }

    /// Where it tells how far it went.
    #[must_use]
    pub fn report(&self) -> Arc<Mutex<Report>> {
        Arc::clone(&self.report)
    }

    /// What is played on a connection: what was recorded on the same one, or
    /// on the last.
    fn track(&mut self, connection: usize) -> Option<&mut Track> {
        while self.playing.len() <= connection {
            let last = self.recorded.len().checked_sub(1)?;
            let track = self.recorded[self.playing.len().min(last)].clone();
            self.playing.push(track);
        }
        self.playing.get_mut(connection)
    }
}

impl Script for Replay {
    fn answer(&mut self, request: &Received) -> Option<Answer> {
        let found = self
            .track(request.connection)
            .map(|track| track.find(request));
        let mut report = lock(&self.report);
        let mut answer = match found {
            Some(Found::Next(answer)) => {
                report.matched += 1;
                answer
            }
            Some(Found::Again(answer)) => {
                report.repeated += 1;
                answer
            }
            Some(Found::Nothing { next }) => {
                report.unmatched.push(unmatched(request, next.as_deref()));
                return Some(no_answer(request));
            }
            None => {
                report.unmatched.push(unmatched(request, None));
                return Some(no_answer(request));
            }
        };
        drop(report);
        if !self.timing {
            forget_times(&mut answer);
        }
        Some(answer)
    }

    fn happenings(&mut self, connection: usize) -> Vec<Happening> {
        let timing = self.timing;
        let opening = self.track(connection).map(|track| track.opening.clone());
        let mut opening = opening.unwrap_or_default();
        if !timing {
            opening
                .iter_mut()
                .for_each(|event| event.delay = Duration::ZERO);
        }
        opening
    }
}

/// What a track has for a command.
enum Found {
    Next(Answer),
    Again(Answer),
    Nothing { next: Option<String> },
}

impl Track {
    fn new(said: &[Said]) -> Self {
        let mut track = Self::default();
        let mut began = 0.0;
        for Said {
            time,
            from,
            message,
        } in said
        {
            match from {
                Side::Client => track.ask(*time, message),
                Side::Server if message.contains_key("event") => {
                    track.happen(*time, began, message)
                }
                Side::Server if message.contains_key("QMP") => began = *time,
                Side::Server => track.reply(*time, message),
            }
        }
        // Sessions negotiate by themselves.
        track
            .exchanges
            .retain(|exchange| exchange.command != "qmp_capabilities");
        track
    }

    fn ask(&mut self, time: f64, message: &Object) {
        let Some(command) = command_of(message) else {
            return;
        };
        let arguments = match message.get("arguments") {
            Some(Value::Object(arguments)) => arguments.clone(),
            _ => Object::new(),
        };
        self.exchanges.push(Exchange {
            command: command.to_owned(),
            arguments,
            id: message.get("id").cloned(),
            asked: time,
            answered: None,
            answer: Outcome::Silence.into(),
            used: false,
        });
    }

    fn reply(&mut self, time: f64, message: &Object) {
        let id = message.get("id");
        let waits =
            |exchange: &&mut Exchange| exchange.answered.is_none() && exchange.id.as_ref() == id;
        let Some(exchange) = self.exchanges.iter_mut().find(waits) else {
            return;
        };
        exchange.answered = Some(time);
        exchange.answer.delay = between(exchange.asked, time);
        exchange.answer.outcome = outcome_of(message);
    }

    /// An event goes with the command that was under way, or with the one
    /// that was answered last.
    fn happen(&mut self, time: f64, began: f64, message: &Object) {
        let Some(Value::String(name)) = message.get("event") else {
            return;
        };
        let data = match message.get("data") {
            Some(Value::Object(data)) => Some(data.clone()),
            _ => None,
        };
        let mut event = Happening::new(name.as_str(), data);
        // Commands run in order, so the one under way is behind the last reply.
        let answered = |exchange: &Exchange| exchange.answered.is_some();
        let under_way = self
            .exchanges
            .iter()
            .rposition(answered)
            .map_or(0, |last| last + 1);
        if let Some(exchange) = self.exchanges.get_mut(under_way) {
            exchange.answer.before.push(event);
        } else if let Some(exchange) = self.exchanges.last_mut() {
            event.delay = between(exchange.answered.unwrap_or(exchange.asked), time);
            exchange.answer.after.push(event);
        } else {
            event.delay = between(began, time);
            self.opening.push(event);
        }
    }

    fn find(&mut self, request: &Received) -> Found {
        let fits = |exchange: &Exchange| {
            exchange.command == request.command && same(&exchange.arguments, &request.arguments)
        };
        let behind = (self.place..self.exchanges.len()).chain(0..self.place);
        let unused = |&place: &usize| !self.exchanges[place].used && fits(&self.exchanges[place]);
        if let Some(place) = behind.clone().find(unused) {
            self.place = place + 1;
            let exchange = &mut self.exchanges[place];
            exchange.used = true;
            return Found::Next(exchange.answer.clone());
        }
        if let Some(exchange) = self.exchanges.iter().rev().find(|exchange| fits(exchange)) {
            let outcome = exchange.answer.outcome.clone();
            return Found::Again(outcome.into());
        }
        let next = self.exchanges[self.place..]
            .iter()
            .find(|exchange| !exchange.used);
        Found::Nothing {
            next: next.map(|exchange| shown(&exchange.command, &exchange.arguments)),
        }
    }
}

fn outcome_of(message: &Object) -> Outcome {
    let Some(Value::Object(error)) = message.get("error") else {
        return Outcome::Return(message.get("return").cloned().unwrap_or(Value::Null));
    };
    let text = |name: &str| match error.get(name) {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    Outcome::Error {
        class: text("class"),
        desc: text("desc"),
    }
}

/// Whether arguments are those that were recorded; what was hidden may be
/// anything.
fn same(recorded: &Object, given: &Object) -> bool {
    let fits = |(name, value): (&String, &Value)| {
        given
            .get(name)
            .is_some_and(|given| same_value(value, given))
    };
    recorded.len() == given.len() && recorded.iter().all(fits)
}

fn same_value(recorded: &Value, given: &Value) -> bool {
    match (recorded, given) {
        (Value::String(text), _) if text == REDACTED => true,
        (Value::Object(recorded), Value::Object(given)) => same(recorded, given),
        (Value::Array(recorded), Value::Array(given)) => {
            recorded.len() == given.len()
                && recorded
                    .iter()
                    .zip(given)
                    .all(|(recorded, given)| same_value(recorded, given))
        }
        _ => recorded == given,
    }
}

fn forget_times(answer: &mut Answer) {
    answer.delay = Duration::ZERO;
    answer
        .after
        .iter_mut()
        .for_each(|event| event.delay = Duration::ZERO);
}

fn no_answer(request: &Received) -> Answer {
    let desc = format!("The recording does not answer '{}' here", request.command);
    Outcome::from(tinamou_qmp::Error::generic(desc)).into()
}

fn unmatched(request: &Received, next: Option<&str>) -> String {
    let given = shown(request.command, &request.arguments);
    match next {
        Some(next) => format!("no answer to {given}; the recording goes on with {next}"),
        None => format!("no answer to {given}; the recording has ended"),
    }
}

fn shown(command: &str, arguments: &Object) -> String {
    match serde_json::to_string(arguments) {
        Ok(arguments) if arguments != "{}" => format!("{command} {arguments}"),
        _ => command.to_owned(),
    }
}

fn between(from: f64, to: f64) -> Duration {
    Duration::try_from_secs_f64(to - from).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
