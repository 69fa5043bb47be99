//! What the schema compiler says about a command or an event.

use crate::VisitMembers;
use serde::Serialize;

/// The schema's facts about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    /// The name on the wire.
    pub name: &'static str,
    /// May be run with `exec-oob`.
    pub allow_oob: bool,
    /// May be run before the machine exists.
    pub allow_preconfig: bool,
    /// Sends a reply on success (`success-response`).
    pub success_response: bool,
    /// Special feature `deprecated`.
    pub deprecated: bool,
    /// Special feature `unstable`.
    pub unstable: bool,
}

/// A command of the schema: a marker type that names its argument and return
/// types. Server tables register it with a handler; clients execute it.
pub trait Command {
    /// The schema's facts.
    const SPEC: CommandSpec;
    /// The arguments, read in schema order.
    type Arguments: VisitMembers + Serialize;
    /// What a success returns.
    type Return: Serialize;
}

/// An event of the schema: the type of its data.
pub trait Event: Serialize {
    /// The name on the wire.
    const NAME: &'static str;
    /// Whether the event has a `data` member at all.
    const HAS_DATA: bool;
}
