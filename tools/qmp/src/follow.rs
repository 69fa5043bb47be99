//! Following what a command began to its end: a job, a migration, a dump of
//! memory.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tinamou_client::{Client, EventMessage, Events};
use tokio::time::timeout;

use crate::output::size;
use crate::{Error, Exit, Output, watch};

/// How often progress is asked for.
const TICK: Duration = Duration::from_millis(250);

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A job, by its id.
    Job(String),
    /// The migration: there is one at most.
    Migration,
    /// The dump of memory.
    Dump,
}

/// How far it is.
#[derive(Debug, Default, PartialEq)]
struct Progress {
    state: String,
    done: u64,
    total: u64,
    /// `None` while it goes on.
    ended: Option<Result<(), String>>,
}

impl Work {
    /// What `command` begins, if it begins anything that goes on.
    pub(crate) fn begun_by(command: &str, arguments: &Value) -> Option<Self> {
        match command {
            "migrate" => Some(Self::Migration),
            "dump-guest-memory" => Some(Self::Dump),
            _ => {
                let id = arguments.get("job-id").or_else(|| arguments.get("device"));
                Some(Self::Job(id?.as_str()?.to_owned()))
            }
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Job(id) => id,
            Self::Migration => "migration",
            Self::Dump => "dump",
        }
    }
}

/// Follows `work` to its end, with a bar on standard error if a person
/// watches. `events` must have been made before the command was sent.
///
/// # Errors
///
/// It failed, or the connection did.
pub(crate) async fn follow(
    client: &Client,
    work: &Work,
    mut events: Events,
    output: &Output,
) -> Result<Exit, Error> {
    loop {
        let progress = match ended_by(work, &mut events) {
            Some(ended) => Progress {
                ended: Some(ended),
                ..Progress::default()
            },
            None => ask(client, work).await?,
        };
        if let Some(ended) = progress.ended {
            erase(output);
            return match ended {
                Ok(()) => Ok(Exit::Done),
                Err(reason) => Err(Error::Failed {
                    what: work.name().to_owned(),
                    reason,
                }),
            };
        }
        draw(work, &progress, output);
        match timeout(TICK, events.next()).await {
            Ok(None) => return Ok(watch::exit_of(&client.closed().await)),
            Ok(Some(event)) => {
                if let Some(ended) = end_told(work, &event) {
                    erase(output);
                    return ended.map(|()| Exit::Done).map_err(|reason| Error::Failed {
                        what: work.name().to_owned(),
                        reason,
                    });
                }
            }
            Err(_) => {}
        }
    }
}

/// The end that events which are there already tell of.
fn ended_by(work: &Work, events: &mut Events) -> Option<Result<(), String>> {
    loop {
        if let Some(ended) = end_told(work, &events.try_next()?) {
            return Some(ended);
        }
    }
}

/// Whether an event tells the end of a job. Migrations and dumps are asked.
fn end_told(work: &Work, event: &EventMessage) -> Option<Result<(), String>> {
    let Work::Job(id) = work else {
        return None;
    };
    let data = event.value();
    if data["device"] != **id {
        return None;
    }
    match &*event.name {
        "BLOCK_JOB_READY" => Some(Ok(())),
        "BLOCK_JOB_CANCELLED" => Some(Err("cancelled".to_owned())),
        "BLOCK_JOB_COMPLETED" => Some(match data["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(()),
        }),
        _ => None,
    }
}

async fn ask(client: &Client, work: &Work) -> Result<Progress, Error> {
    let query = async |command| client.execute(command, json!({})).await;
    Ok(match work {
        Work::Job(id) => job(id, &query("query-jobs").await?),
        Work::Migration => migration(&query("query-migrate").await?),
        Work::Dump => dump(&query("query-dump").await?),
    })
}

/// A job that is gone has ended well: one that failed stays, or has said so
/// by an event.
fn job(id: &str, jobs: &Value) -> Progress {
    let mut jobs = jobs.as_array().into_iter().flatten();
    let Some(job) = jobs.find(|job| job["id"] == id) else {
        return Progress {
            ended: Some(Ok(())),
            ..Progress::default()
        };
    };
    let ended = (job["status"] == "concluded").then(|| match job["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(()),
    });
    progress(
        &job["status"],
        &job["current-progress"],
        &job["total-progress"],
        ended,
    )
}

fn migration(status: &Value) -> Progress {
    let ended = match status["status"].as_str() {
        Some("completed") => Some(Ok(())),
        Some("failed") => Some(Err(text(&status["error-desc"], "failed"))),
        Some("cancelled") => Some(Err("cancelled".to_owned())),
        _ => None,
    };
    let ram = &status["ram"];
    let done = ram["total"].as_u64().zip(ram["remaining"].as_u64());
    let done = done.map(|(total, remaining)| total.saturating_sub(remaining));
    progress(&status["status"], &json!(done), &ram["total"], ended)
}

fn dump(status: &Value) -> Progress {
    let ended = match status["status"].as_str() {
        Some("completed" | "none") => Some(Ok(())),
        Some("failed") => Some(Err("failed".to_owned())),
        _ => None,
    };
    progress(
        &status["status"],
        &status["completed"],
        &status["total"],
        ended,
    )
}

fn progress(
    state: &Value,
    done: &Value,
    total: &Value,
    ended: Option<Result<(), String>>,
) -> Progress {
    Progress {
        state: text(state, ""),
        done: done.as_u64().unwrap_or(0),
        total: total.as_u64().unwrap_or(0),
        ended,
    }
}

fn text(value: &Value, otherwise: &str) -> String {
    value.as_str().unwrap_or(otherwise).to_owned()
}

fn draw(work: &Work, progress: &Progress, output: &Output) {
    if output.is_watched() {
        let _ = write!(io::stderr(), "\r\x1b[K{}", bar(work, progress));
    }
}

fn erase(output: &Output) {
    if output.is_watched() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// `backup0  [#####               ]  25 %  1 GiB of 4 GiB  running`
fn bar(work: &Work, progress: &Progress) -> String {
    const WIDTH: u64 = 20;
    let Progress { done, total, .. } = progress;
    let share = |whole: u64| {
        let share = u128::from(*done.min(total)) * u128::from(whole);
        usize::try_from(share / u128::from(*total.max(&1))).unwrap_or(0)
    };
    format!(
        "{}  [{:width$}]  {:3} %  {} of {}  {}",
        work.name(),
        "#".repeat(share(WIDTH)),
        share(100),
        size(*done),
        size(*total),
        progress.state,
        width = usize::try_from(WIDTH).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_begin_what_they_begin() {
        let job = |id: &str| Some(Work::Job(id.to_owned()));
        for (command, arguments, expected) in [
            ("migrate", json!({"uri": "tcp:h:1"}), Some(Work::Migration)),
            ("dump-guest-memory", json!({}), Some(Work::Dump)),
            (
                "blockdev-backup",
                json!({"job-id": "b", "device": "d"}),
                job("b"),
            ),
            ("block-stream", json!({"device": "d"}), job("d")),
            ("query-status", json!({}), None),
        ] {
            assert_eq!(Work::begun_by(command, &arguments), expected, "{command}");
        }
    }

    #[test]
    fn replies_become_progress() {
        let jobs =
            json!([{"id": "b", "status": "running", "current-progress": 1, "total-progress": 4}]);
        assert_eq!(
            job("b", &jobs),
            progress(&json!("running"), &json!(1), &json!(4), None)
        );
        assert_eq!(job("c", &jobs).ended, Some(Ok(())));
        let failed = json!([{"id": "b", "status": "concluded", "error": "No space"}]);
        assert_eq!(job("b", &failed).ended, Some(Err("No space".to_owned())));
        let running = json!({"status": "active", "ram": {"total": 10, "remaining": 4}});
        assert_eq!(migration(&running).done, 6);
        assert_eq!(
            migration(&json!({"status": "completed"})).ended,
            Some(Ok(()))
        );
        assert_eq!(
            dump(&json!({"status": "active", "completed": 1, "total": 2})).ended,
            None
        );
    }

    #[test]
    fn bars_show_shares() {
        let progress = progress(&json!("running"), &json!(1 << 30), &json!(1u64 << 32), None);
        assert_eq!(
            bar(&Work::Job("backup0".to_owned()), &progress),
            "backup0  [#####               ]   25 %  1 GiB of 4 GiB  running"
        );
        let unknown = Progress::default();
        assert!(bar(&Work::Migration, &unknown).contains("  0 %  0 B of 0 B"));
    }
}
