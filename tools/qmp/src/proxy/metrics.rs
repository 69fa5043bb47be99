//! What a proxy counts, and the page on which Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{Proxy, lock};
use crate::listen::{Connected, Listener};

/// The upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];

/// A request for the page is not longer than this.
const LONGEST_REQUEST: usize = 8 << 10;

/// How long a reader of the page may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counters.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    commands: BTreeMap<&'static str, Command>,
    clients: u64,
    clients_total: u64,
    clients_refused: u64,
    clients_dropped: u64,
    events: u64,
    events_dropped: u64,
    throttled: u64,
    queue: usize,
    up: bool,
    reconnects: u64,
    audit_failures: u64,
}

#[derive(Debug, Default)]
struct Command {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
    errors: u64,
    denied: u64,
}

impl Metrics {
    pub(super) fn client(&self, came: bool) {
        let mut counters = lock(&self.0);
        if came {
            counters.clients += 1;
            counters.clients_total += 1;
        } else {
            counters.clients -= 1;
        }
    }

    pub(super) fn refused(&self) {
        lock(&self.0).clients_refused += 1;
    }

    pub(super) fn client_dropped(&self) {
        lock(&self.0).clients_dropped += 1;
    }

    pub(super) fn event(&self) {
        lock(&self.0).events += 1;
    }

    pub(super) fn event_dropped(&self) {
        lock(&self.0).events_dropped += 1;
    }

    pub(super) fn throttled(&self) {
        lock(&self.0).throttled += 1;
    }

    pub(super) fn set_queue(&self, calls: usize) {
        lock(&self.0).queue = calls;
    }

    pub(super) fn connected(&self, up: bool) {
        lock(&self.0).up = up;
    }

    pub(super) fn reconnected(&self) {
        lock(&self.0).reconnects += 1;
    }

    pub(super) fn audit_failed(&self) {
        lock(&self.0).audit_failures += 1;
    }

    pub(super) fn denied(&self, command: &'static str) {
        lock(&self.0).commands.entry(command).or_default().denied += 1;
    }

    pub(super) fn answered(&self, command: &'static str, time: Duration, success: bool) {
        let mut counters = lock(&self.0);
        let command = counters.commands.entry(command).or_default();
        let seconds = time.as_secs_f64();
        if let Some(place) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            command.buckets[place] += 1;
        }
        command.count += 1;
        command.seconds += seconds;
        command.errors += u64::from(!success);
    }

    /// The page, in Prometheus' text format 0.0.4.
    #[must_use]
    pub fn page(&self) -> String {
        let counters = lock(&self.0);
        let mut page = String::new();
        let up = u64::from(counters.up);
        for (name, kind, help, value) in [
            (
                "server_up",
                "gauge",
                "Whether the server behind is connected",
                up,
            ),
            (
                "server_reconnects_total",
                "counter",
                "Connections made again",
                counters.reconnects,
            ),
            (
                "queue_depth",
                "gauge",
                "Calls that the server has not answered",
                counters.queue as u64,
            ),
            ("clients", "gauge", "Clients connected", counters.clients),
            (
                "clients_total",
                "counter",
                "Clients that have come",
                counters.clients_total,
            ),
            (
                "clients_refused_total",
                "counter",
                "Clients turned away",
                counters.clients_refused,
            ),
            (
                "clients_dropped_total",
                "counter",
                "Clients disconnected because they did not read",
                counters.clients_dropped,
            ),
            (
                "events_total",
                "counter",
                "Events that the server sent",
                counters.events,
            ),
            (
                "events_dropped_total",
                "counter",
                "Events not sent to clients that did not read",
                counters.events_dropped,
            ),
            (
                "throttled_total",
                "counter",
                "Calls held back by a rate",
                counters.throttled,
            ),
            (
                "audit_failures_total",
                "counter",
                "Lines that the audit log lacks",
                counters.audit_failures,
            ),
        ] {
            head(&mut page, name, kind, help);
            let _ = writeln!(page, "qmp_proxy_{name} {value}");
        }
        counters.write_commands(&mut page);
        page
    }
}

impl Counters {
    fn write_commands(&self, page: &mut String) {
        head(
            page,
            "command_errors_total",
            "counter",
            "Calls answered with an error",
        );
        for (name, command) in &self.commands {
            let errors = command.errors;
            let _ = writeln!(
                page,
                "qmp_proxy_command_errors_total{{command=\"{name}\"}} {errors}"
            );
        }
        head(
            page,
            "command_denied_total",
            "counter",
            "Calls that the policy denied",
        );
        for (name, command) in &self.commands {
            let denied = command.denied;
            let _ = writeln!(
                page,
                "qmp_proxy_command_denied_total{{command=\"{name}\"}} {denied}"
            );
        }
        head(
            page,
            "command_seconds",
            "histogram",
            "From a call to its answer",
        );
        for (name, command) in &self.commands {
            command.write(name, page);
        }
    }
}

impl Command {
    fn write(&self, name: &str, page: &mut String) {
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(self.buckets) {
            below += count;
            let _ = writeln!(
                page,
                "qmp_proxy_command_seconds_bucket{{command=\"{name}\",le=\"{bound}\"}} {below}"
            );
        }
        let Self { count, seconds, .. } = self;
        let _ = writeln!(
            page,
            "qmp_proxy_command_seconds_bucket{{command=\"{name}\",le=\"+Inf\"}} {count}"
        );
        let _ = writeln!(
            page,
            "qmp_proxy_command_seconds_sum{{command=\"{name}\"}} {seconds}"
        );
        let _ = writeln!(
            page,
            "qmp_proxy_command_seconds_count{{command=\"{name}\"}} {count}"
        );
    }
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        page,
        "# HELP qmp_proxy_{name} {help}.\n# TYPE qmp_proxy_{name} {kind}"
    );
}

/// Serves the page over HTTP.
///
/// # Errors
/// The listener is broken.
pub async fn serve(proxy: Proxy, listener: Listener) -> io::Result<()> {
    loop {
        let arrival = match listener.accept().await {
            Ok(arrival) => arrival,
            Err(error) if super::is_passing(&error) => {
                tokio::time::sleep(super::PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let proxy = proxy.clone();
        tokio::spawn(async move {
            if let Ok(connected) = arrival.identify().await {
                // Readers that do not read are left.
                drop(timeout(PATIENCE, answer(connected, &proxy)).await);
            }
        });
    }
}

async fn answer(mut connected: Connected, proxy: &Proxy) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > LONGEST_REQUEST || connected.stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = request
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics" | b"/")) => ("200 OK", proxy.metrics().page()),
        (Some(b"GET"), _) => ("404 Not Found", "see /metrics\n".to_owned()),
        _ => (
            "405 Method Not Allowed",
            "only GET is known here\n".to_owned(),
        ),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connected.stream.write_all(head.as_bytes()).await?;
    connected.stream.write_all(body.as_bytes()).await?;
    connected.stream.shutdown().await
}
