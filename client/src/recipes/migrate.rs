//! Migration, from its command to its end.

use crate::{Client, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Migrates the machine away, with the arguments of `migrate`, and waits until
/// it has; what `query-migrate` says then.
///
/// # Errors
/// The migration failed or was cancelled, or has not ended at the deadline; it
/// goes on then.
pub async fn migrate(
    client: &Client,
    arguments: impl Serialize,
    deadline: Duration,
) -> Result<Value> {
    let events = json!({"capabilities": [{"capability": "events", "state": true}]});
    client.execute("migrate-set-capabilities", events).await?;
    let ended = ["completed", "failed", "cancelled"];
    let wait = client.execute_and_wait(
        "migrate",
        arguments,
        |event| {
            let status = event.member("status").unwrap_or_default();
            &*event.name == "MIGRATION" && ended.iter().any(|end| status == *end)
        },
        deadline,
    );
    let (_, event) = wait.await?;
    let outcome = client.execute("query-migrate", ()).await?;
    match event.member("status") {
        Some(status) if status == "completed" => Ok(outcome),
        status => Err(Error::Failed {
            what: "migration".to_owned(),
            reason: match outcome["error-desc"].as_str() {
                Some(reason) => reason.to_owned(),
                None => format!("it is {}", status.unwrap_or_default()),
            },
        }),
    }
}
