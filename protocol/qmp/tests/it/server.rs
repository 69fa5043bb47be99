//! A server of a few commands, which answers at once.

use tinamou_qmp::session::{Catalog, Greeting, Request, Session, Version};
use tinamou_qmp::{CommandSpec, Object, Value, json::Style, visit};

/// How far a session has come before its input is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Fresh,
    Plain,
    Oob,
}

impl Mode {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "fresh" => Self::Fresh,
            "plain" => Self::Plain,
            "oob" => Self::Oob,
            _ => panic!("no mode {name}"),
        }
    }

    /// What a client sends to get there.
    pub(crate) fn preamble(self) -> &'static [u8] {
        match self {
            Self::Fresh => b"",
            Self::Plain => br#"{"execute": "qmp_capabilities"}"#,
            Self::Oob => br#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}"#,
        }
    }
}

/// Two commands: `query-name`, and `query-yank`, which may run out of band.
pub(crate) struct Commands {
    pub(crate) preconfig: bool,
}

const fn spec(name: &'static str, allow_oob: bool) -> CommandSpec {
    CommandSpec {
        name,
        allow_oob,
        allow_preconfig: allow_oob,
        success_response: true,
        deprecated: false,
        unstable: false,
    }
}

static TABLE: [CommandSpec; 3] = [
    spec("query-name", false),
    spec("query-yank", true),
    spec("quit", false),
];

impl Catalog for Commands {
    fn command(&self, name: &str) -> Option<&CommandSpec> {
        TABLE.iter().find(|spec| spec.name == name)
    }

    fn preconfig(&self) -> bool {
        self.preconfig
    }
}

pub(crate) fn greeting() -> Greeting {
    Greeting {
        version: Version {
            micro: 2,
            minor: 0,
            major: 10,
        },
        package: String::new(),
        oob: true,
    }
}

/// A session after `mode`'s negotiation, with its output taken.
pub(crate) fn session(mode: Mode) -> Session {
    let mut session = Session::new(&greeting(), Style::Compact);
    feed(&mut session, mode.preamble());
    let _ = session.take_output();
    session
}

/// Feeds bytes and answers all requests that come of it.
pub(crate) fn feed(session: &mut Session, bytes: &[u8]) {
    session.feed(bytes);
    while let Some(request) = session.next(&Commands { preconfig: false }) {
        answer(session, request);
    }
}

pub(crate) fn answer(session: &mut Session, request: Request) {
    if let Err(error) = visit::arguments::<()>(request.arguments) {
        return session.reply_error(request.ticket, &error);
    }
    let text = |text: &str| Value::String(text.to_owned());
    match request.command {
        "query-name" => {
            let name = Object::from_iter([("name".to_owned(), text("probe"))]);
            session.reply(request.ticket, &Value::Object(name));
        }
        _ => {
            let instance = [
                ("type".to_owned(), text("chardev")),
                ("id".to_owned(), text("m")),
            ];
            session.reply(
                request.ticket,
                &Value::Array(vec![Value::Object(Object::from_iter(instance))]),
            );
        }
    }
}

/// Ends a row whatever state it leaves the reader in, at the price of one
/// error, and asks for an answer that shows the end of the row's replies.
pub(crate) const SENTINEL: &[u8] = b"\xFF\n{\"execute\":\"query-name\",\"id\":\"row-end\"}";

/// The replies to an input that comes in these chunks.
pub(crate) fn converse<'a>(mode: Mode, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut session = session(mode);
    for chunk in chunks {
        feed(&mut session, chunk);
    }
    feed(&mut session, SENTINEL);
    let output = String::from_utf8(session.take_output()).expect("output is ASCII");
    let mut replies: Vec<String> = output.split_terminator("\r\n").map(str::to_owned).collect();
    let end = replies.pop().expect("the sentinel is answered");
    assert!(end.contains(r#""id": "row-end""#), "{end}");
    let reset = replies.pop().expect("the reset is answered");
    assert!(reset.contains("stray"), "{reset}");
    replies
}
