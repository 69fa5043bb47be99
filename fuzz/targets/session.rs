//! The session: whatever comes in, output is lines of JSON, and every request
//! handed out can be answered. The first byte says how input is cut.

use tinamou_qmp::json::{Style, parse};
use tinamou_qmp::session::{Catalog, Greeting, Session, Version};
use tinamou_qmp::{CommandSpec, Error, Value};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((&control, input)) = input.split_first() else {
        return;
    };
    let style = if control & 1 == 0 {
        Style::Compact
    } else {
        Style::Pretty
    };
    let version = Version {
        micro: 0,
        minor: 0,
        major: 1,
    };
    let greeting = Greeting {
        version,
        package: String::new(),
        oob: control & 2 != 0,
    };
    let mut session = Session::new(&greeting, style);
    for chunk in input.chunks(usize::from(control >> 2) + 1) {
        session.feed(chunk);
        answer(&mut session);
        session.event(b"{}\r\n");
    }
    session.end_input();
    answer(&mut session);
    assert!(session.is_finished());
    let output = session.take_output();
    assert!(output.is_ascii() && output.ends_with(b"\r\n"));
    if style == Style::Compact {
        let lines = output
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        lines.for_each(|line| assert!(matches!(parse(line), Ok(Value::Object(_)))));
    }
}

fn answer(session: &mut Session) {
    while let Some(request) = session.next(&Everything) {
        if request.arguments.is_empty() {
            session.reply(request.ticket, "done");
        } else {
            session.reply_error(request.ticket, &Error::generic("no arguments wanted"));
        }
    }
}

/// Two commands, of which one may run out of band.
struct Everything;

const fn spec(name: &'static str, allow_oob: bool) -> CommandSpec {
    CommandSpec {
        name,
        allow_oob,
        allow_preconfig: false,
        success_response: true,
        deprecated: false,
        unstable: false,
    }
}

static COMMANDS: [CommandSpec; 2] = [spec("stop", false), spec("yank", true)];

impl Catalog for Everything {
    fn command(&self, name: &str) -> Option<&CommandSpec> {
        COMMANDS.iter().find(|command| command.name == name)
    }
}
