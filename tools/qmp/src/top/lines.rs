//! Without a screen: a line for each machine, again and again.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::time::interval_at;

use super::Watched;
use super::screen::{fit, percent, plain, rate, state};
use super::state::{Condition, Machine};
use crate::{Error, Exit, Output};

/// What is told of a machine, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row<'a> {
    address: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// Of one host CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balloon: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Prints a line for each machine every `beat`, `count` times or for ever.
pub(crate) async fn print(
    mut watched: Watched,
    beat: Duration,
    count: Option<u64>,
    output: &Output,
) -> Result<Exit, Error> {
    if !output.is_json() {
        output.line(&head())?;
    }
    // Half a beat late, so that each line tells of whole samples; the first
    // one after two of them, which make a rate.
    let first = tokio::time::Instant::now() + beat.mul_f64(1.5);
    let mut beat = interval_at(first, beat);
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            () = watched.news() => continue,
            _ = beat.tick() => {}
        }
        let now = Instant::now();
        for machine in &watched.machines {
            let line = match output.is_json() {
                true => json!(row(machine)).to_string(),
                false => line(machine, now),
            };
            output.line(&line)?;
        }
        left -= 1;
    }
    let failed = watched.machines.iter().find_map(exit);
    Ok(failed.unwrap_or(Exit::Done))
}

/// The exit code of a machine that cannot be talked to.
fn exit(machine: &Machine) -> Option<Exit> {
    match &machine.condition {
        Condition::Present => None,
        Condition::Connecting | Condition::Silent { .. } => Some(Exit::Deadline),
        Condition::Away { exit, .. } => Some(*exit),
    }
}

fn row(machine: &Machine) -> Row<'_> {
    let disk = machine.disk();
    Row {
        address: &machine.address,
        state: machine.state().0,
        name: machine.sample.name.as_deref(),
        version: machine.version.as_deref(),
        cpu_percent: machine.cpu(),
        read_bytes_per_second: disk.map(|(read, _)| read),
        written_bytes_per_second: disk.map(|(_, written)| written),
        memory: machine.sample.memory,
        balloon: machine.sample.balloon,
        last_event: machine.last_event(),
        error: match &machine.condition {
            Condition::Away { reason, .. } => Some(reason),
            _ => None,
        },
    }
}

fn head() -> String {
    cells("MACHINE", "STATE", ["CPU", "READ", "WRITTEN"], "LAST EVENT")
}

fn line(machine: &Machine, now: Instant) -> String {
    let disk = machine.disk();
    let figures = [
        &*percent(machine.cpu()),
        &rate(disk.map(|(read, _)| read)),
        &rate(disk.map(|(_, written)| written)),
    ];
    let last = match &machine.condition {
        Condition::Away { reason, .. } => reason,
        _ => machine.last_event().unwrap_or("-"),
    };
    cells(machine.title(), &state(machine, now), figures, last)
}

fn cells(name: &str, state: &str, figures: [&str; 3], last: &str) -> String {
    let [cpu, read, written] = figures;
    let (name, state, last) = (fit(name, 20), fit(state, 16), plain(last));
    let line = format!("{name}  {state}  {cpu:>5}  {read:>11}  {written:>11}  {last}");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::state::Update;

    #[test]
    fn a_server_that_is_away_says_why() {
        let mut machine = Machine::new("vm.sock".to_owned());
        let now = Instant::now();
        assert_eq!(exit(&machine), Some(Exit::Deadline));
        let away = Update::Away {
            ended: true,
            reason: "the server\u{1b}[2J ended".to_owned(),
            exit: Exit::Lost,
        };
        machine.absorb(away, now);
        let expected = "vm.sock               ended 0s              -            -            -  \
                        the server?[2J ended";
        assert_eq!(line(&machine, now), expected);
        let reason = "the server\u{1b}[2J ended";
        let expected = json!({"address": "vm.sock", "state": "ended", "error": reason});
        assert_eq!(json!(row(&machine)), expected);
        assert_eq!(exit(&machine), Some(Exit::Lost));
    }
}
