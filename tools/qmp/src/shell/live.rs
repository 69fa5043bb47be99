//! What the server has right now, asked for completion: names of objects,
//! devices, disks and so on. A server that does not answer at once is not
//! waited for.

use std::time::Duration;

use serde_json::{Value, json};
use tinamou_client::Client;

const PATIENCE: Duration = Duration::from_millis(500);

/// A value that could be meant, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) value: String,
    pub(super) about: String,
}

/// Values of `argument` of `command`, as far as `typed` tells and the server
/// has any; `line` gives the other arguments by name.
pub(super) async fn candidates(
    client: &Client,
    command: &str,
    argument: &str,
    typed: &str,
    line: &dyn Fn(&str) -> Option<String>,
) -> Vec<Candidate> {
    let server = Server { client };
    match (command, argument) {
        (_, "path" | "qom-path") => server.paths(typed).await,
        (_, "property") => server.properties(line("path")).await,
        ("object-del", "id") => server.children("/objects").await,
        ("device_del", "id") => server.children("/machine/peripheral").await,
        ("device_add", "driver") | (_, "typename") => server.types().await,
        ("device_add", "drive") => server.nodes().await,
        ("device_add", "chardev") => server.chardevs().await,
        (_, "node-name" | "node" | "top-node" | "base-node") => server.nodes().await,
        _ if command.starts_with("chardev-") && argument == "id" => server.chardevs().await,
        _ if command.starts_with("job-") && argument == "id" => server.jobs().await,
        _ if command.starts_with("block-job-") && argument == "device" => server.jobs().await,
        (_, "device" | "id") => server.disks().await,
        _ => Vec::new(),
    }
}

struct Server<'a> {
    client: &'a Client,
}

impl Server<'_> {
    async fn ask(&self, command: &str, arguments: Value) -> Vec<Value> {
        let request = self.client.request(command, arguments).deadline(PATIENCE);
        match request.value().await {
            Ok(Value::Array(elements)) => elements,
            _ => Vec::new(),
        }
    }

    async fn named(&self, command: &str, name: &str, about: &str) -> Vec<Candidate> {
        let elements = self.ask(command, json!({})).await;
        let candidates = elements.iter().filter_map(|element| {
            let value = element[name].as_str()?;
            Some(candidate(value, element[about].as_str()))
        });
        candidates.filter(|it| !it.value.is_empty()).collect()
    }

    async fn nodes(&self) -> Vec<Candidate> {
        self.named("query-named-block-nodes", "node-name", "drv")
            .await
    }

    async fn chardevs(&self) -> Vec<Candidate> {
        self.named("query-chardev", "label", "filename").await
    }

    async fn jobs(&self) -> Vec<Candidate> {
        self.named("query-jobs", "id", "type").await
    }

    async fn disks(&self) -> Vec<Candidate> {
        let mut found = self.named("query-block", "device", "type").await;
        found.extend(self.named("query-block", "qdev", "type").await);
        found.extend(self.children("/machine/peripheral").await);
        found
    }

    async fn types(&self) -> Vec<Candidate> {
        let arguments = json!({"implements": "device", "abstract": false});
        let elements = self.ask("qom-list-types", arguments).await;
        let types = elements.iter().filter_map(|element| {
            Some(candidate(
                element["name"].as_str()?,
                element["parent"].as_str(),
            ))
        });
        types.collect()
    }

    /// The objects right below `path`.
    async fn children(&self, path: &str) -> Vec<Candidate> {
        let elements = self.ask("qom-list", json!({"path": path})).await;
        let children = elements.iter().filter_map(|element| {
            let child = element["type"].as_str()?.strip_prefix("child<")?;
            let kind = child.strip_suffix('>')?;
            Some(candidate(element["name"].as_str()?, Some(kind)))
        });
        children.collect()
    }

    /// The objects right below what was typed of a path.
    async fn paths(&self, typed: &str) -> Vec<Candidate> {
        let above = typed.rsplit_once('/').map_or("", |(above, _)| above);
        let path = if above.is_empty() { "/" } else { above };
        let children = self.children(path).await.into_iter();
        let whole = children.map(|child| Candidate {
            value: format!("{above}/{}", child.value),
            ..child
        });
        whole.collect()
    }

    async fn properties(&self, path: Option<String>) -> Vec<Candidate> {
        let Some(path) = path else {
            return Vec::new();
        };
        let elements = self.ask("qom-list", json!({"path": path})).await;
        let properties = elements.iter().filter_map(|element| {
            Some(candidate(
                element["name"].as_str()?,
                element["type"].as_str(),
            ))
        });
        properties.collect()
    }
}

fn candidate(value: &str, about: Option<&str>) -> Candidate {
    Candidate {
        value: value.to_owned(),
        about: about.unwrap_or_default().to_owned(),
    }
}
