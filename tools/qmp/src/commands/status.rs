//! `qmp status`: what state machines are in, many at once.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tinamou_client::{Address, Client};
use tokio::task::JoinSet;

use crate::output::size;
use crate::{Error, Exit, Global, Output, connect};

/// What `qmp status` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// Where the servers listen
    #[arg(value_name = "ADDR", required = true)]
    addresses: Vec<Address>,
}

/// What is told of one server.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<usize>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    exit: Option<Exit>,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let mut asked = JoinSet::new();
    for (place, address) in options.addresses.into_iter().enumerate() {
        let global = global.clone();
        asked.spawn(async move { (place, row(&address, &global).await) });
    }
    let mut rows = asked.join_all().await;
    rows.sort_by_key(|(place, _)| *place);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    if output.is_json() {
        for row in &rows {
            output.line(&json!(row).to_string())?;
        }
    } else {
        output.columns(&table(&rows))?;
    }
    let failed = rows.iter().find_map(|row| row.exit);
    Ok(failed.unwrap_or(Exit::Done))
}

/// Asks one server.
async fn row(address: &Address, global: &Global) -> Row {
    let answered = match connect::connect(address, global).await {
        Ok(client) => ask(&client, global).await,
        Err(error) => Err(error),
    };
    let row = answered.unwrap_or_else(|error| Row {
        error: Some(error.to_string()),
        exit: Some(error.exit()),
        ..Row::default()
    });
    Row {
        address: address.to_string(),
        ..row
    }
}

/// What a server says of itself. It need not be a whole machine: a storage
/// daemon has no run state, for one.
async fn ask(client: &Client, global: &Global) -> Result<Row, Error> {
    let query = async |command| {
        let request = connect::within(client.request(command, ()), global);
        match request.await {
            Ok(value) => Ok(Some(value)),
            Err(tinamou_client::Error::Command { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let (status, name, cpus, memory) = tokio::try_join!(
        query("query-status"),
        query("query-name"),
        query("query-cpus-fast"),
        query("query-memory-size-summary"),
    )?;
    let text = |value: Option<Value>, member: &str| {
        let value = value?;
        value.get(member)?.as_str().map(str::to_owned)
    };
    Ok(Row {
        status: text(status, "status"),
        name: text(name, "name"),
        version: client.greeting().map(|it| it.version.qemu.to_string()),
        cpus: cpus.and_then(|cpus| Some(cpus.as_array()?.len())),
        memory: memory.and_then(|memory| memory.get("base-memory")?.as_u64()),
        ..Row::default()
    })
}

fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let head = ["ADDRESS", "STATUS", "NAME", "VERSION", "CPUS", "MEMORY"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        if let Some(error) = &row.error {
            table.push(vec![row.address.clone(), error.clone()]);
            continue;
        }
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.push(vec![
            row.address.clone(),
            or_dash(row.status.clone()),
            or_dash(row.name.clone()),
            or_dash(row.version.clone()),
            or_dash(row.cpus.map(|cpus| cpus.to_string())),
            or_dash(row.memory.map(size)),
        ]);
    }
    table
}
