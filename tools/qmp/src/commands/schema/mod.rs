//! `qmp schema`: what a server offers, and how that differs from another.

mod check;
mod diff;
mod docs;
mod show;
mod source;

use clap::{Args, Subcommand};

use crate::{Error, Exit, Global, Output};

const SOURCES: &str = "\
SOURCE is where a schema comes from:
  ADDR           a server, which is asked for it (query-qmp-schema)
  FILE           what a server answered, by itself or in a recording; or a
                 schema in QEMU's own language, such as qapi/qapi-schema.json
  builtin:qmp    the interface that this program knows
  builtin:agent  the guest agent's";

/// What `qmp schema` takes.
#[derive(Args, Debug)]
#[command(after_help = SOURCES)]
pub struct Options {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all there is, or one command, event or type
    #[command(after_help = SOURCES)]
    Show(show::Options),
    /// Compare two schemas: what breaks a client that knows the old one?
    #[command(after_help = diff::HELP)]
    Diff(diff::Options),
    /// Write a reference in Markdown
    #[command(after_help = SOURCES)]
    Docs(docs::Options),
    /// Write a Rust crate with a type for each command and event
    #[command(after_help = SOURCES)]
    Rust(docs::RustOptions),
    /// Check a script of commands without running it
    #[command(after_help = check::HELP)]
    Check(check::Options),
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    match options.action {
        Action::Show(options) => show::run(options, global, output).await,
        Action::Diff(options) => diff::run(options, global, output).await,
        Action::Docs(options) => docs::run(options, global).await,
        Action::Rust(options) => docs::rust(options, global).await,
        Action::Check(options) => check::run(options, global, output).await,
    }
}
