//! A server's interface as introspection tells it, for checking what clients
//! send and for making up what a server would return.

mod check;
mod example;
mod load;

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, PoisonError};

use tinamou_qmp::session::Catalog;
use tinamou_qmp::{CommandSpec, Value};

pub use check::Leniency;

/// An interface: its commands and events, with the types they use.
#[derive(Clone, Debug)]
pub struct Schema {
    commands: HashMap<&'static str, Command>,
    events: HashMap<String, TypeId>,
    types: Vec<Type>,
    introspection: Value,
}

/// An index into the types.
type TypeId = usize;

#[derive(Clone, Debug)]
struct Command {
    spec: CommandSpec,
    arguments: TypeId,
    returns: TypeId,
}

/// What values of a type look like.
#[derive(Clone, Debug)]
enum Type {
    Builtin(Builtin),
    Enum(Vec<String>),
    Array(TypeId),
    Object(ObjectType),
    Alternate(Vec<TypeId>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Builtin {
    String,
    Number,
    Int,
    Boolean,
    Null,
    Object,
    Array,
    Value,
}

#[derive(Clone, Debug, Default)]
struct ObjectType {
    members: Vec<Member>,
    tag: Option<String>,
    variants: HashMap<String, TypeId>,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    ty: TypeId,
    optional: bool,
}

impl Schema {
    /// Everything that QEMU 10 has.
    #[must_use]
    pub fn whole() -> Self {
        let introspection = include_str!("schema/whole.json");
        Self::from_text(introspection).expect("our own introspection is sound")
    }

    /// An interface of which only the commands' names are known: it allows
    /// any arguments.
    pub fn of_commands<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let command = |name: &'a str| {
            let name = keep(name);
            let spec = CommandSpec {
                name,
                allow_oob: true,
                allow_preconfig: true,
                success_response: true,
                deprecated: false,
                unstable: false,
            };
            let command = Command {
                spec,
                arguments: 0,
                returns: 0,
            };
            (name, command)
        };
        Self {
            commands: names.into_iter().map(command).collect(),
            events: HashMap::new(),
            types: vec![Type::Builtin(Builtin::Value)],
            introspection: Value::Array(Vec::new()),
        }
    }

    /// What `query-qmp-schema` returns of it.
    #[must_use]
    pub fn introspection(&self) -> &Value {
        &self.introspection
    }

    /// The names of the commands, sorted.
    #[must_use]
    pub fn commands(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.commands.keys().copied().collect();
        names.sort_unstable();
        names
    }

    /// Whether there is such an event.
    #[must_use]
    pub fn has_event(&self, name: &str) -> bool {
        self.events.contains_key(name)
    }

    fn ty(&self, id: TypeId) -> &Type {
        &self.types[id]
    }
}

impl Catalog for Schema {
    fn command(&self, name: &str) -> Option<&CommandSpec> {
        self.commands.get(name).map(|command| &command.spec)
    }
}

/// Keeps a command's name for as long as the program runs: sessions name
/// commands by their catalog's own spelling. Every name is kept once.
fn keep(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = names.get(name) {
        return kept;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    kept
}
