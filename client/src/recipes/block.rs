//! Jobs, block jobs mostly, from their command to their conclusion.

use crate::{Client, Error, EventMessage, Events, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A job under way.
///
/// ```no_run
/// # async fn example(client: &tinamou_client::Client) -> tinamou_client::Result<()> {
/// use serde_json::json;
/// use std::time::Duration;
/// use tinamou_client::recipes::Job;
///
/// let arguments = json!({"device": "disk", "target": "copy", "sync": "full"});
/// let mut job = Job::start(client, "blockdev-mirror", "job0", arguments).await?;
/// job.ready(Duration::from_secs(600)).await?;
/// job.complete().await?;
/// job.concluded(Duration::from_secs(60)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Job {
    client: Client,
    id: String,
    events: Events,
    /// It stays after its end until it is dismissed.
    stays: bool,
    concluded: bool,
    /// What `BLOCK_JOB_COMPLETED` had to complain of.
    fault: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    id: String,
    device: String,
    status: String,
    error: Option<String>,
}

impl Job {
    /// Starts a job by its command. The job's id is added to the arguments,
    /// and so is that the job stays until its outcome was read, if the command
    /// knows that (`auto-dismiss`).
    ///
    /// # Errors
    /// The command failed.
    pub async fn start(
        client: &Client,
        command: &str,
        id: &str,
        arguments: impl serde::Serialize,
    ) -> Result<Self> {
        let arguments = serde_json::to_value(arguments);
        let mut arguments: Map<String, Value> = match arguments {
            Ok(Value::Object(members)) => members,
            _ => return Err(Error::usage("arguments must be an object")),
        };
        arguments.entry("job-id").or_insert_with(|| json!(id));
        if client.schema().await?.has_arg(command, "auto-dismiss") {
            arguments.entry("auto-dismiss").or_insert(json!(false));
        }
        // Jobs that are no block jobs always stay.
        let stays = arguments.get("auto-dismiss") != Some(&json!(true));
        let job = Self {
            client: client.clone(),
            id: id.to_owned(),
            events: client.events().only(NEWS),
            stays,
            concluded: false,
            fault: None,
        };
        client.execute(command, arguments).await?;
        Ok(job)
    }

    /// Waits until the job has nothing more to do but to be completed.
    ///
    /// # Errors
    /// It failed, or is not ready at the deadline.
    pub async fn ready(&mut self, deadline: Duration) -> Result<()> {
        self.until(&["ready", "pending"], deadline).await?;
        match self.concluded {
            true => Err(self.failed("it ended before it was ready".to_owned())),
            false => Ok(()),
        }
    }

    /// Completes a job that is ready.
    ///
    /// # Errors
    /// The command failed.
    pub async fn complete(&self) -> Result<()> {
        let id = json!({"id": self.id});
        self.client.execute("job-complete", id).await.map(drop)
    }

    /// Cancels it. It has still to conclude, and will say that it failed.
    ///
    /// # Errors
    /// The command failed.
    pub async fn cancel(&self) -> Result<()> {
        let id = json!({"id": self.id});
        self.client.execute("job-cancel", id).await.map(drop)
    }

    /// Waits for the end of the job, and dismisses it.
    ///
    /// # Errors
    /// The job failed or was cancelled, or has not ended at the deadline.
    pub async fn concluded(mut self, deadline: Duration) -> Result<()> {
        self.until(&[], deadline).await?;
        if self.stays {
            self.dismiss().await?;
        }
        match self.fault.take() {
            Some(fault) => Err(self.failed(fault)),
            None => Ok(()),
        }
    }

    /// Waits for one of these states, or the end.
    async fn until(&mut self, states: &[&str], deadline: Duration) -> Result<()> {
        let wait = async {
            while !self.concluded {
                let Some(event) = self.events.next().await else {
                    let closed = self.client.closed().await;
                    return Err(closed.into_error(""));
                };
                let state = self.note(&event);
                if states.contains(&&*state) {
                    break;
                }
            }
            Ok(())
        };
        let done = tokio::time::timeout(deadline, wait).await;
        done.map_err(|_| Error::Unresponsive {
            stage: crate::Stage::Event,
            after: deadline,
            command: self.id.clone(),
        })?
    }

    /// Takes note of an event, and tells the state that the job is in.
    fn note(&mut self, event: &EventMessage) -> String {
        let change: Change = event.decode().unwrap_or_default();
        if change.id != self.id && change.device != self.id {
            return String::new();
        }
        match &*event.name {
            "BLOCK_JOB_COMPLETED" => self.fault = change.error.or(self.fault.take()),
            "BLOCK_JOB_CANCELLED" => self.fault = Some("it was cancelled".to_owned()),
            "BLOCK_JOB_READY" => return "ready".to_owned(),
            _ => self.concluded |= matches!(&*change.status, "concluded" | "null"),
        }
        change.status
    }

    async fn dismiss(&mut self) -> Result<()> {
        let jobs = self.client.execute("query-jobs", ()).await?;
        let mut jobs = jobs.as_array().into_iter().flatten();
        let Some(ours) = jobs.find(|job| job["id"] == *self.id) else {
            return Ok(());
        };
        if let Some(error) = ours["error"].as_str() {
            self.fault = Some(error.to_owned());
        }
        let id = json!({"id": self.id});
        self.client.execute("job-dismiss", id).await.map(drop)
    }

    fn failed(&self, reason: String) -> Error {
        Error::Failed {
            what: format!("job {}", self.id),
            reason,
        }
    }
}

/// The events that tell of jobs.
const NEWS: [&str; 4] = [
    "JOB_STATUS_CHANGE",
    "BLOCK_JOB_COMPLETED",
    "BLOCK_JOB_CANCELLED",
    "BLOCK_JOB_READY",
];
