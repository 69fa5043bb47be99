//! `qmp schema diff`: what changed between two interfaces, and whom it hurts.

mod compare;

use clap::Args;
use serde_json::json;

use super::source::Source;
use crate::{Error, Exit, Global, Output};
use compare::{Change, Verdict};

pub(super) const HELP: &str = "\
Each difference has a verdict, for a client that was made for OLD and now
meets NEW:

  breaks commands  It may send what NEW refuses: a command, an argument or a
                   value is gone; an argument is new or optional no more, and
                   required; a type takes less; out-of-band execution is gone.
  breaks reading   It may not find what it relies on: an event is gone; a
                   member of a reply or of an event that was always there is
                   gone or optional; a type is another one.
  compatible       All else. What is new is ignored by a client that reads
                   tolerantly, as those of this library do; a strict one may
                   refuse new members, values and branches.

Types are compared by what they look like on the wire, whatever their names. A
difference in a type is told once, at the first place that uses it. The exit
code is 7 if anything breaks.";

/// What `qmp schema diff` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// The schema that clients know: ADDR, FILE, builtin:qmp or builtin:agent
    old: Source,
    /// The one that they meet
    new: Source,
    /// Leave out what is compatible
    #[arg(long)]
    breaking: bool,
}

pub(super) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let old = options.old.load(global).await?;
    let new = options.new.load(global).await?;
    let changes = compare::changes(&old.schema, &new.schema);
    let count = |verdict| {
        let found = changes.iter().filter(|change| change.verdict == verdict);
        found.count()
    };
    let (commands, reading) = (count(Verdict::Commands), count(Verdict::Reading));
    for change in &changes {
        if !options.breaking || change.verdict != Verdict::Compatible {
            print(change, output)?;
        }
    }
    if !output.is_json() {
        output.line(&format!(
            "{} differences: {commands} break commands, {reading} break reading",
            changes.len()
        ))?;
    }
    Ok(match commands + reading {
        0 => Exit::Done,
        _ => Exit::Differences,
    })
}

fn print(change: &Change, output: &Output) -> Result<(), Error> {
    let Change {
        verdict,
        path,
        what,
    } = change;
    let word = match verdict {
        Verdict::Commands => "commands",
        Verdict::Reading => "reading",
        Verdict::Compatible => "compatible",
    };
    if output.is_json() {
        return output.value(&json!({"verdict": word, "path": path, "change": what}));
    }
    let verdict = match verdict {
        Verdict::Compatible => word.to_owned(),
        _ => format!("breaks {word}"),
    };
    output.line(&format!("{verdict:16} {path}: {what}"))
}
