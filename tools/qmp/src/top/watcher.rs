//! Watches one machine: connects as often as need be, samples, listens for
//! events and runs what is typed. One that hangs holds up no other.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use serde_json::Value;
use tinamou_client::{Address, Client, Events};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::sample::{Offers, Sample};
use super::state::{Kind, Line, Update};
use crate::output::render;
use crate::{Error, Global, arguments, connect, watch};

/// How long before the next attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an answer may take before the server counts as unresponsive,
/// unless the command line has another wish.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a reply is shown.
const REPLY_LINES: usize = 200;

/// How much of a line is kept.
const LINE_LENGTH: usize = 2000;

/// Whom to watch, and how.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) address: Address,
    pub(crate) global: Global,
    pub(crate) interval: Duration,
    pub(crate) teller: Teller,
    /// What is typed.
    pub(crate) commands: mpsc::Receiver<String>,
}

/// Where a watcher tells what it sees.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    /// Which machine it watches.
    pub(crate) machine: usize,
    pub(crate) updates: mpsc::Sender<(usize, Update)>,
}

impl Teller {
    /// Waits while there is much to draw. Nobody listens any more when the
    /// screen is being closed, and this task with it.
    async fn tell(&self, update: Update) {
        let _ = self.updates.send((self.machine, update)).await;
    }

    async fn line(&self, kind: Kind, text: &str) {
        let text = text.chars().take(LINE_LENGTH).collect();
        self.tell(Update::Line(Line { kind, text })).await;
    }
}

impl Watcher {
    /// Watches for ever.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            let client = tokio::select! {
                client = connected(&self.address, &self.global, &self.teller) => client,
                never = refuse(&mut self.commands, &self.teller) => match never {},
            };
            self.follow(&client).await;
            let closed = client.closed().await;
            let gone = Update::Away {
                ended: true,
                reason: closed.to_string(),
                exit: watch::exit_of(&closed),
            };
            self.teller.tell(gone).await;
        }
    }

    /// Until the connection has ended and its last event was told.
    async fn follow(&mut self, client: &Client) {
        let greeting = client.greeting();
        let version = greeting.map(|greeting| greeting.version.qemu.to_string());
        self.teller.tell(Update::Connected { version }).await;
        let patience = self.global.timeout.unwrap_or(PATIENCE);
        let local = matches!(
            self.address,
            Address::Unix(_) | Address::Abstract(_) | Address::Exec(_)
        );
        let samples = sample(client, local, self.interval, patience, &self.teller);
        let commands = obey(client, &mut self.commands, &self.global, &self.teller);
        tokio::select! {
            () = listen(client.events_after(0), &self.teller) => {}
            ((), ()) = async { tokio::join!(samples, commands) } => {}
        }
    }
}

/// Tries until there is a connection.
async fn connected(address: &Address, global: &Global, teller: &Teller) -> Client {
    loop {
        match connect::connect(address, global).await {
            Ok(client) => return client,
            Err(error) => {
                let failed = Update::Away {
                    ended: false,
                    reason: error.to_string(),
                    exit: error.exit(),
                };
                teller.tell(failed).await;
            }
        }
        sleep(PAUSE).await;
    }
}

/// Refuses what is typed while there is no connection.
async fn refuse(commands: &mut mpsc::Receiver<String>, teller: &Teller) -> Infallible {
    loop {
        match commands.recv().await {
            Some(_) => teller.line(Kind::Fault, "there is no connection").await,
            None => std::future::pending().await,
        }
    }
}

async fn listen(mut events: Events, teller: &Teller) {
    while let Some(event) = events.next().await {
        let time = watch::clock(&event, &TimeZone::system(), "%H:%M:%S");
        let details = match event.data() {
            "{}" => "",
            data => data,
        };
        let text = format!("{time} {} {details}", event.name);
        teller.line(Kind::Event, text.trim_end()).await;
    }
}

/// Samples in a steady beat. When the connection ends this waits: there may
/// be events to read still.
async fn sample(client: &Client, local: bool, beat: Duration, patience: Duration, teller: &Teller) {
    let offers = attended(Offers::of(client, local), patience, teller).await;
    // Who does not describe itself is asked nothing; events are shown still.
    let Ok(offers) = offers else {
        return;
    };
    let mut beat = interval(beat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let taken = attended(Sample::take(client, &offers), patience, teller).await;
        let Ok(sample) = taken else {
            return;
        };
        teller.tell(Update::Sample(Box::new(sample))).await;
    }
}

/// Waits for `work`, and tells when that takes long.
async fn attended<T>(work: impl Future<Output = T>, patience: Duration, teller: &Teller) -> T {
    let began = Instant::now();
    let mut work = Box::pin(work);
    if let Ok(done) = timeout(patience, &mut work).await {
        return done;
    }
    teller.tell(Update::Silent(began)).await;
    work.await
}

/// Runs what is typed, one command after the other.
async fn obey(
    client: &Client,
    commands: &mut mpsc::Receiver<String>,
    global: &Global,
    teller: &Teller,
) {
    while let Some(line) = commands.recv().await {
        teller.line(Kind::Typed, &format!(":{line}")).await;
        match run(client, &line, global).await {
            Ok(reply) => tell_reply(&reply, teller).await,
            Err(error) => teller.line(Kind::Fault, &format!("error: {error}")).await,
        }
    }
}

async fn tell_reply(reply: &Value, teller: &Teller) {
    let text = match reply {
        Value::String(text) => text.clone(),
        reply => render(reply, false),
    };
    for line in text.lines().take(REPLY_LINES) {
        teller.line(Kind::Reply, line).await;
    }
    let left = text.lines().count().saturating_sub(REPLY_LINES);
    if left > 0 {
        teller
            .line(Kind::Reply, &format!("({left} more lines)"))
            .await;
    }
}

/// Runs a line as `qmp run` would.
async fn run(client: &Client, line: &str, global: &Global) -> Result<Value, Error> {
    let words = words(line);
    let Some((command, words)) = words.split_first() else {
        return Err(Error::usage("there is no command"));
    };
    let schema = match words.iter().any(|word| !word.starts_with('{')) {
        true => client.schema().await.ok(),
        false => None,
    };
    let words = words.iter().map(String::as_str);
    let arguments = arguments::read(command, words, schema.as_deref())?;
    Ok(connect::within(client.request(command, &arguments), global).await?)
}

/// Splits a line at spaces, other than those in quotes or within JSON.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut depth = 0_usize;
    for char in line.chars() {
        match char {
            '"' | '\'' if quote == Some(char) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(char),
            '{' | '[' if quote.is_none() => depth += 1,
            '}' | ']' if quote.is_none() => depth = depth.saturating_sub(1),
            ' ' if quote.is_none() && depth == 0 => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            _ => {
                word.push(char);
                continue;
            }
        }
        let quotes_a_word = matches!(char, '"' | '\'') && depth == 0;
        if !quotes_a_word {
            word.push(char);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_a_shell_would() {
        let check = |line: &str, expected: &[&str]| assert_eq!(words(line), expected, "{line}");
        check("stop", &["stop"]);
        check("  balloon   value=1G ", &["balloon", "value=1G"]);
        check(
            "hmp 'command-line=info name'",
            &["hmp", "command-line=info name"],
        );
        check("hmp command-line=\"it's\"", &["hmp", "command-line=it's"]);
        check(
            "x {'a': 'b c', \"d\": [1, 2]} e=1",
            &["x", "{'a': 'b c', \"d\": [1, 2]}", "e=1"],
        );
        check("x {'a': '} '}", &["x", "{'a': '} '}"]);
        check("x } 'open", &["x", "}", "open"]);
        check("", &[]);
    }
}
