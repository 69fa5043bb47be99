//! The dispatch table: which commands there are, and who carries them out.
//!
//! The embedder writes one visible list of lines such as
//! `table.main::<api::Stop>(run_state::stop)`. What the list does not hold is
//! not a command: `query-commands` and introspection are made from it.
//!
//! Arguments are read and checked on the I/O thread. Then a *shared* handler
//! answers right there, while a *main* or *deferred* handler travels to the
//! main loop with its arguments. A type that the main loop owns never leaves
//! it: answers are serialised where they are made.

use crate::call::{Call, Responder, Slip, text};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use tinamou_qmp::json::Style;
use tinamou_qmp::session::{Session, Ticket};
use tinamou_qmp::{Command, CommandSpec, Object, Result, Value, visit};

/// The commands of a server. `C` is what the main loop owns, `S` what any
/// thread may look at.
pub struct Table<C, S = ()> {
    entries: HashMap<&'static str, Entry<C, S>>,
    names: Vec<&'static str>,
    derived: Vec<(CommandSpec, Derive<C, S>)>,
}

impl<C: 'static, S: 'static> Table<C, S> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: HashMap::new(),
            names: Vec::new(),
            derived: Vec::new(),
        }
    }

    /// A command that needs no more than `S`. It is answered on the I/O thread
    /// at once, however busy the main loop is, so it must not block. Only
    /// shared commands can run out of band.
    ///
    /// # Panics
    /// The table has the command already.
    pub fn shared<K: Command>(
        &mut self,
        handler: impl Fn(&S, K::Arguments) -> Result<K::Return> + Send + Sync + 'static,
    ) -> &mut Self {
        self.insert_shared(K::SPEC, move |shared, arguments, session, ticket| {
            let result = visit::arguments(arguments).and_then(|args| handler(shared, args));
            match result {
                Ok(_) if !K::SPEC.success_response => session.no_reply(ticket),
                Ok(value) => session.reply(ticket, &value),
                Err(error) => session.reply_error(ticket, &error),
            }
        })
    }

    /// A command that runs on the main loop, in order with others.
    ///
    /// # Panics
    /// The table has the command already, or the schema allows it out of band.
    pub fn main<K: Command>(
        &mut self,
        handler: impl Fn(&mut C, &mut Call, K::Arguments) -> Result<K::Return> + Send + Sync + 'static,
    ) -> &mut Self
    where
        K::Arguments: Send + 'static,
    {
        self.insert_main(
            K::SPEC,
            visit::arguments,
            move |context, call, args, slip| {
                slip.answer(&handler(context, call, args));
            },
        )
    }

    /// A command that starts on the main loop and may be answered later, from
    /// any thread. The session runs no further command in band until then.
    ///
    /// # Panics
    /// The table has the command already, or the schema allows it out of band.
    pub fn deferred<K: Command>(
        &mut self,
        handler: impl Fn(&mut C, &mut Call, K::Arguments, Responder<K::Return>) + Send + Sync + 'static,
    ) -> &mut Self
    where
        K::Arguments: Send + 'static,
    {
        self.insert_main(
            K::SPEC,
            visit::arguments,
            move |context, call, args, slip| {
                handler(context, call, args, Responder::new(slip));
            },
        )
    }

    /// A command that runs on the main loop and checks its arguments itself,
    /// because its schema leaves them open.
    ///
    /// # Panics
    /// The table has the command already, or `spec` allows it out of band.
    pub fn raw(
        &mut self,
        spec: CommandSpec,
        handler: impl Fn(&mut C, &mut Call, Object) -> Result<Value> + Send + Sync + 'static,
    ) -> &mut Self {
        self.insert_main(spec, Ok, move |context, call, args, slip| {
            slip.answer(&handler(context, call, args));
        })
    }

    /// A command whose answer follows from the names of all commands, in the
    /// order of the table, and never changes: `query-commands`,
    /// `query-qmp-schema`. It is made and serialised once, when first asked
    /// for. `R` is the command's return type, or a JSON value of its form.
    ///
    /// # Panics
    /// The table has the command already.
    pub fn derived<K: Command, R: Serialize>(
        &mut self,
        answer: impl FnOnce(&[&'static str]) -> R + Send + 'static,
    ) -> &mut Self {
        self.claim(K::SPEC.name);
        let derive =
            move |names: Arc<[&'static str]>| prepared::<K, C, S>(move || texts(&answer(&names)));
        self.derived.push((K::SPEC, Box::new(derive)));
        self
    }

    /// Ends the list.
    pub(crate) fn finish(self) -> Commands<C, S> {
        let Self {
            mut entries,
            names,
            derived,
        } = self;
        let names: Arc<[&'static str]> = names.into();
        for (spec, derive) in derived {
            let handler = derive(Arc::clone(&names));
            entries.insert(spec.name, Entry { spec, handler });
        }
        Commands(entries)
    }

    fn insert_shared(
        &mut self,
        spec: CommandSpec,
        handler: impl Fn(&S, Object, &mut Session, Ticket) + Send + Sync + 'static,
    ) -> &mut Self {
        self.claim(spec.name);
        let handler = Handler::Shared(Box::new(handler));
        self.entries.insert(spec.name, Entry { spec, handler });
        self
    }

    fn insert_main<A: Send + 'static>(
        &mut self,
        spec: CommandSpec,
        read: fn(Object) -> Result<A>,
        handler: impl Fn(&mut C, &mut Call, A, Slip) + Send + Sync + 'static,
    ) -> &mut Self {
        self.claim(spec.name);
        assert!(
            !spec.allow_oob,
            "{} can run out of band, so its handler must be shared",
            spec.name
        );
        let handler = Arc::new(handler);
        let prepare = move |arguments| -> Result<Run<C>> {
            let arguments = read(arguments)?;
            let handler = Arc::clone(&handler);
            Ok(Box::new(move |context, call, slip| {
                handler(context, call, arguments, slip);
            }))
        };
        let handler = Handler::Main(Box::new(prepare));
        self.entries.insert(spec.name, Entry { spec, handler });
        self
    }

    fn claim(&mut self, name: &'static str) {
        assert!(!self.names.contains(&name), "{name} is in the table twice");
        self.names.push(name);
    }
}

impl<C: 'static, S: 'static> Default for Table<C, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C, S> fmt::Debug for Table<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.names).finish()
    }
}

/// A finished table.
pub(crate) struct Commands<C, S>(HashMap<&'static str, Entry<C, S>>);

impl<C, S> Commands<C, S> {
    pub(crate) fn find(&self, name: &str) -> Option<&Entry<C, S>> {
        self.0.get(name)
    }
}

pub(crate) struct Entry<C, S> {
    pub(crate) spec: CommandSpec,
    pub(crate) handler: Handler<C, S>,
}

pub(crate) enum Handler<C, S> {
    /// Answers on the I/O thread.
    Shared(Box<Answer<S>>),
    /// Reads the arguments on the I/O thread; the rest is for the main loop.
    Main(Box<Prepare<C>>),
}

type Answer<S> = dyn Fn(&S, Object, &mut Session, Ticket) + Send + Sync;
type Prepare<C> = dyn Fn(Object) -> Result<Run<C>> + Send + Sync;

/// A command with its arguments, ready to run on the main loop.
pub(crate) type Run<C> = Box<dyn FnOnce(&mut C, &mut Call, Slip) + Send>;

/// Makes a command's handler from the names of all commands.
type Derive<C, S> = Box<dyn FnOnce(Arc<[&'static str]>) -> Handler<C, S> + Send>;

/// An answer as text, in each style.
type Texts = [Result<Vec<u8>>; 2];

fn texts<R: Serialize>(value: &R) -> Texts {
    [Style::Compact, Style::Pretty].map(|style| text(value, style))
}

/// A handler that always answers the same, made when first needed.
fn prepared<K: Command, C, S>(make: impl FnOnce() -> Texts + Send + 'static) -> Handler<C, S> {
    let texts: LazyLock<Texts, Box<dyn FnOnce() -> Texts + Send>> = LazyLock::new(Box::new(make));
    Handler::Shared(Box::new(move |_, arguments, session, ticket| {
        let answer = visit::arguments::<K::Arguments>(arguments).and_then(|_| {
            texts[session.style() as usize]
                .as_deref()
                .map_err(Clone::clone)
        });
        match answer {
            Ok(text) => session.reply_raw(ticket, text),
            Err(error) => session.reply_error(ticket, &error),
        }
    }))
}
