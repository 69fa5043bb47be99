//! The faults that a mock can have, each by a name.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result};

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident => $name:literal, $about:literal;)*) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $(#[doc = concat!("It ", $about, ".")] $fault,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$fault),*];

            /// The name that command lines and rules know it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }

            /// What a server with it does: a sentence without its subject.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$fault => $about,)*
                }
            }
        }
    };
}

faults! {
    // The greeting.
    NoGreeting => "no-greeting", "says nothing until the client speaks, and greets never";
    LateGreeting => "late-greeting", "greets `ms` milliseconds late (1000)";
    HangUp => "hang-up", "closes the connection in place of greeting";
    GarbledGreeting => "garbled-greeting", "greets with something that is no JSON";
    RepeatedGreeting => "repeated-greeting", "greets twice";
    EventBeforeGreeting => "event-before-greeting", "sends an event, then greets";
    GreetingWithoutVersion => "greeting-without-version", "greets without `version`";
    GreetingWithoutCapabilities => "greeting-without-capabilities", "greets without `capabilities`";
    // The negotiation.
    NegotiationRefused => "negotiation-refused", "answers every `qmp_capabilities` with an error";
    NegotiationNeedless => "negotiation-needless", "runs commands before the negotiation";
    NegotiationRepeatable => "negotiation-repeatable", "takes a second `qmp_capabilities`";
    UnknownCapabilityAccepted => "unknown-capability-accepted", "takes capabilities that it did not offer";
    EventBeforeNegotiation => "event-before-negotiation", "sends an event to a client that has not negotiated";
    // Ids.
    WrongId => "wrong-id", "answers with another id";
    MissingId => "missing-id", "answers without the id";
    NeedlessId => "needless-id", "answers with an id where none was given";
    TextId => "text-id", "answers with the id as a string, whatever it was";
    RoundedId => "rounded-id", "answers with integer ids rounded to what a double holds";
    // Replies.
    NoReply => "no-reply", "does not answer, but goes on";
    RepeatedReply => "repeated-reply", "answers twice";
    UnaskedReply => "unasked-reply", "sends a reply to nothing ahead of the reply";
    Delay => "delay", "answers `ms` milliseconds late (100)";
    Stall => "stall", "sends nothing from here on, and stays connected";
    Cut => "cut", "sends half of the reply and closes";
    HalfClose => "half-close", "closes its sending side in place of the reply";
    Close => "close", "closes in place of the reply";
    Garble => "garble", "breaks the reply so that it is no JSON";
    GarbageLine => "garbage-line", "sends a line that is no JSON ahead of the reply";
    InvalidUtf8 => "invalid-utf8", "puts bytes that are no UTF-8 into the reply";
    EndlessLine => "endless-line", "starts a string that never ends in place of the reply";
    HugeReply => "huge-reply", "returns a string of `bytes` bytes (100 MiB)";
    Reorder => "reorder", "answers after the reply to the next command";
    SplitReply => "split-reply", "sends the reply one byte at a time";
    EventInsideReply => "event-inside-reply", "sends an event in the middle of the reply";
    ReturnAndError => "return-and-error", "answers with both a return value and an error";
    NeitherReturnNorError => "neither-return-nor-error", "answers with the id alone";
    NotAnObject => "not-an-object", "answers with an array";
    WrongReturnType => "wrong-return-type", "returns a string, whatever the command returns";
    UnterminatedReply => "unterminated-reply", "leaves the end of the line out";
    // Errors.
    ErrorWithoutClass => "error-without-class", "leaves `class` out of errors";
    ErrorWithoutDesc => "error-without-desc", "leaves `desc` out of errors";
    UnknownErrorClass => "unknown-error-class", "gives errors a class that does not exist";
    TextError => "text-error", "gives errors as plain text";
    UnexpectedError => "unexpected-error", "answers with an error in place of the return value";
    CloseOnError => "close-on-error", "closes after an error";
    // The envelope.
    UnknownMemberIgnored => "unknown-member-ignored", "takes requests with members that do not exist";
    MissingCommandIgnored => "missing-command-ignored", "does not answer requests without a command";
    ArgumentsTypeIgnored => "arguments-type-ignored", "takes `arguments` that are no object as none";
    UnknownCommandAccepted => "unknown-command-accepted", "answers commands that do not exist with success";
    // JSON.
    CloseOnBadJson => "close-on-bad-json", "closes at a syntax error";
    SilentOnBadJson => "silent-on-bad-json", "does not answer a syntax error";
    ShortLines => "short-lines", "closes at a request longer than `bytes` bytes (65536)";
    ShallowNesting => "shallow-nesting", "answers requests nested deeper than 16 with an error";
    OneRequestPerRead => "one-request-per-read", "forgets all but the first of the requests that come together";
    WholeRequestsOnly => "whole-requests-only", "forgets a request that does not come in one piece";
    // Arguments.
    UnknownArgumentAccepted => "unknown-argument-accepted", "takes arguments that the command does not have";
    MissingArgumentAccepted => "missing-argument-accepted", "runs commands without their required arguments";
    WrongTypeAccepted => "wrong-type-accepted", "takes arguments of another type";
    UnknownValueAccepted => "unknown-value-accepted", "takes values that an enumeration does not have";
    // Introspection.
    PhantomCommand => "phantom-command", "shows a command that it does not have";
    HiddenCommand => "hidden-command", "has a command that it does not show";
    PhantomArgument => "phantom-argument", "shows an argument that it refuses";
    CommandsDisagree => "commands-disagree", "leaves a command out of `query-commands` that introspection shows";
    UndeclaredEvent => "undeclared-event", "sends an event that introspection does not show";
    // Out of band.
    OobInTurn => "oob-in-turn", "runs `exec-oob` in its turn";
    OobForAll => "oob-for-all", "takes `exec-oob` for every command";
    OobUnnegotiated => "oob-unnegotiated", "takes `exec-oob` from clients that did not ask for it";
    OobRefused => "oob-refused", "offers `oob` and refuses it";
    // Events.
    EventWithoutTimestamp => "event-without-timestamp", "sends events without `timestamp`";
    TextTimestamp => "text-timestamp", "sends the time of events as text";
    EmptyEventData => "empty-event-data", "sends empty `data` with events that have none";
    RepeatedEvent => "repeated-event", "sends every event twice";
    EventAfterReply => "event-after-reply", "sends what a command causes after its reply";
    LostEvent => "lost-event", "sends no event";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|fault| fault.name() == name);
        found
            .copied()
            .ok_or_else(|| Error::Fault(format!("there is no fault '{name}'")))
    }
}

/// A fault in its place: what it hits, and how hard.
///
/// As text: `delay`, `delay:ms=20`, `cut:command=query-block,from=2,times=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planted {
    /// The fault.
    pub fault: Fault,
    /// Only replies to this command are hit, and what follows from them.
    pub command: Option<String>,
    /// The first hit is this one of those that could be, counted from 1.
    pub from: u64,
    /// How many are hit; all unless given.
    pub times: Option<u64>,
    /// How long something takes.
    pub time: Option<Duration>,
    /// How long something is.
    pub bytes: Option<u64>,
}

impl From<Fault> for Planted {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            command: None,
            from: 1,
            times: None,
            time: None,
            bytes: None,
        }
    }
}

impl FromStr for Planted {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let mut planted = Self::from(name.parse::<Fault>()?);
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            planted.set(setting)?;
        }
        Ok(planted)
    }
}

impl Planted {
    fn set(&mut self, setting: &str) -> Result<()> {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let number = || {
            let wrong = |_| Error::Fault(format!("'{setting}' needs a number"));
            value.parse::<u64>().map_err(wrong)
        };
        match key {
            "command" => self.command = Some(value.to_owned()),
            "from" => self.from = number()?,
            "times" => self.times = Some(number()?),
            "ms" => self.time = Some(Duration::from_millis(number()?)),
            "bytes" => self.bytes = Some(number()?),
            _ => return Err(Error::Fault(format!("'{key}' is no setting of a fault"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for &fault in Fault::ALL {
            assert_eq!(fault.name().parse::<Fault>().ok(), Some(fault));
        }
    }

    #[test]
    fn settings_are_read() {
        let planted: Planted = "cut:command=stop,from=2,times=1"
            .parse()
            .expect("it is sound");
        let expected = Planted {
            command: Some("stop".to_owned()),
            from: 2,
            times: Some(1),
            ..Fault::Cut.into()
        };
        assert_eq!(planted, expected);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "no-such-fault",
            "delay:ms",
            "delay:ms=x",
            "cut:colour=red",
        ] {
            assert!(text.parse::<Planted>().is_err(), "{text}");
        }
    }
}
