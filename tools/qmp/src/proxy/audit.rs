//! Who did what: one JSON object a line, each written before what it tells
//! of goes on.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value as Json, json};
use tinamou_qmp::Value;
use tinamou_qmp::client::ErrorReply;

use super::lock;
use super::policy::Rule;
use crate::listen::Peer;

/// A log that is appended to.
#[derive(Debug)]
pub struct Audit(Mutex<File>);

impl Audit {
    /// Opens the file; only its owner may read it if it is new.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.append(true).create(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self(Mutex::new(options.open(path)?)))
    }

    pub(super) fn came(&self, client: u64, peer: &Peer, rule: &Rule) -> io::Result<()> {
        let details = json!({"rule": rule.title(), "peer": describe(peer)});
        self.line("came", client, details)
    }

    pub(super) fn turned_away(&self, client: u64, peer: &Peer) -> io::Result<()> {
        self.line("turned-away", client, json!({"peer": describe(peer)}))
    }

    pub(super) fn left(&self, client: u64, peer: &Peer, why: &str) -> io::Result<()> {
        self.line("left", client, json!({"why": why, "peer": describe(peer)}))
    }

    pub(super) fn asked(
        &self,
        client: u64,
        peer: &Peer,
        command: &str,
        arguments: Value,
    ) -> io::Result<()> {
        let details = json!({"command": command, "arguments": arguments, "peer": describe(peer)});
        self.line("asked", client, details)
    }

    pub(super) fn denied(
        &self,
        client: u64,
        peer: &Peer,
        command: &str,
        arguments: Value,
        why: &str,
    ) -> io::Result<()> {
        let details = json!({
            "command": command,
            "arguments": arguments,
            "why": why,
            "peer": describe(peer),
        });
        self.line("denied", client, details)
    }

    pub(super) fn answered(
        &self,
        client: u64,
        command: &str,
        began: Instant,
        error: Option<&ErrorReply>,
    ) -> io::Result<()> {
        let mut details = json!({"command": command, "seconds": began.elapsed().as_secs_f64()});
        if let Some(error) = error {
            details["error"] = json!({"class": error.class, "desc": error.desc});
        }
        self.line("answered", client, details)
    }

    fn line(&self, what: &str, client: u64, details: Json) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut line = Map::new();
        line.insert(
            "time".to_owned(),
            json!(now.unwrap_or_default().as_secs_f64()),
        );
        line.insert("what".to_owned(), json!(what));
        line.insert("client".to_owned(), json!(client));
        if let Json::Object(details) = details {
            line.extend(details);
        }
        let mut text = Json::Object(line).to_string();
        text.push('\n');
        lock(&self.0).write_all(text.as_bytes())
    }
}

fn describe(peer: &Peer) -> Json {
    let mut described = Map::new();
    if let Some(address) = peer.address {
        described.insert("address".to_owned(), json!(address.to_string()));
    }
    if let Some(process) = peer.process {
        described.insert("pid".to_owned(), json!(process.pid));
        described.insert("uid".to_owned(), json!(process.uid));
        described.insert("gid".to_owned(), json!(process.gid));
    }
    if !peer.names.is_empty() {
        described.insert("names".to_owned(), json!(peer.names));
    }
    Json::Object(described)
}
