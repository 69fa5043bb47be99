//! `qmp test`: holds a server to the protocol.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tinamou_client::Address;
use tinamou_conformance::report;
use tinamou_conformance::{Report, Run, Settings, Target, Verdict, checks, matches};

use crate::{Error, Exit, Output};

/// Hold a server to the protocol
///
/// Every check has an id, a rule, and a place where the rule rests: QMP's
/// specification, RFC 8259, QAPI's, or what QEMU has always done, which counts
/// with `--strict` alone. Where servers of a version are known to deviate,
/// they are not blamed for it.
///
/// Commands that only read are carried out. Others are sent with arguments
/// that must be refused, and that only to servers that were started for the
/// test or declared disposable; `--list` tells which commands are never sent.
#[derive(Args, Debug)]
pub struct Options {
    /// Where the server listens: a unix socket or a TCP port
    #[arg(value_name = "ADDR", required_unless_present_any = ["spawn", "list"])]
    address: Option<Address>,
    /// Start a server for every group of checks; `{socket}` in the command
    /// stands for the path of the socket it shall listen on, `{ready}` for
    /// that of one it connects another monitor to, which is waited for
    #[arg(long, value_name = "COMMAND", conflicts_with = "address")]
    spawn: Option<String>,
    /// The server may be stopped, reset and ended
    #[arg(long)]
    disposable: bool,
    /// Demand what QEMU does beyond its specification too
    #[arg(long)]
    strict: bool,
    /// Make only the checks whose ids fit, such as `json/*`
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// A command that answers shortly, changes nothing and needs no arguments
    #[arg(long, value_name = "NAME")]
    probe: Option<String>,
    /// Print the Test Anything Protocol
    #[arg(long, conflicts_with = "json")]
    tap: bool,
    /// Write JUnit's XML to a file as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// List the checks, and the commands that are never sent, and end
    #[arg(long)]
    list: bool,
}

/// Runs the checks.
///
/// # Errors
///
/// There is no server, or the report cannot be written.
pub fn run(options: Options, timeout: Option<Duration>, output: &Output) -> Result<Exit, Error> {
    if options.list {
        return list(output);
    }
    let fits = |pattern: &String| checks().iter().any(|check| matches(pattern, &check.id));
    if let Some(pattern) = options.only.iter().find(|pattern| !fits(pattern)) {
        let why = format!("no check fits {pattern}; --list lists them");
        return Err(Error::usage(why));
    }
    let defaults = Settings::default();
    let settings = Settings {
        patience: timeout.unwrap_or(defaults.patience),
        disposable: options.disposable,
        probe: options.probe.clone(),
        only: options.only.clone(),
        strict: options.strict,
    };
    let what = match (&options.spawn, &options.address) {
        (Some(command), _) => command.clone(),
        (None, address) => address.as_ref().map(Address::to_string).unwrap_or_default(),
    };
    let target = target(&options)?;
    let watched = output.is_watched();
    let done = |run: &Run| {
        if watched && let Verdict::Failed(_) = run.verdict {
            output.note(&format!("{} failed", run.check.id));
        }
    };
    let found = tinamou_conformance::run(target, &settings, done)
        .map_err(|source| refused(what, source))?;
    write(&options, &found, output)?;
    Ok(match found.is_conformant() {
        true => Exit::Done,
        false => Exit::Differences,
    })
}

fn refused(address: String, source: io::Error) -> Error {
    Error::Client(tinamou_client::Error::Refused {
        address,
        source: Arc::new(source),
    })
}

fn target(options: &Options) -> Result<Target, Error> {
    if let Some(command) = &options.spawn {
        if !command.contains("{socket}") {
            return Err(Error::usage("the command of --spawn has no {socket}"));
        }
        return Ok(Target::Spawn(command.clone()));
    }
    match &options.address {
        Some(Address::Unix(path)) => Ok(Target::Unix(path.clone())),
        Some(Address::Abstract(name)) => Ok(Target::Abstract(name.clone())),
        Some(Address::Tcp { host, port }) if host.contains(':') => {
            Ok(Target::Tcp(format!("[{host}]:{port}")))
        }
        Some(Address::Tcp { host, port }) => Ok(Target::Tcp(format!("{host}:{port}"))),
        Some(other) => Err(Error::usage(format!(
            "{other}: only unix sockets and TCP ports can be tested, since bytes are sent one by one"
        ))),
        None => Err(Error::usage("neither an address nor --spawn is given")),
    }
}

fn write(options: &Options, found: &Report, output: &Output) -> Result<(), Error> {
    if let Some(path) = &options.junit {
        let failed = Error::io(path.display().to_string());
        std::fs::write(path, report::junit(found)).map_err(failed)?;
    }
    if output.is_json() {
        output.value(&report::json(found))
    } else if options.tap {
        output.line(report::tap(found).trim_end())
    } else {
        output.line(report::text(found).trim_end())
    }
}

fn list(output: &Output) -> Result<Exit, Error> {
    for check in checks() {
        output.line(&format!("{}: {} ({})", check.id, check.rule, check.basis))?;
    }
    output.line("")?;
    for (conduct, pattern, why) in tinamou_conformance::conducts() {
        output.line(&format!("{} {pattern}: {why}", conduct.as_str()))?;
    }
    Ok(Exit::Done)
}
