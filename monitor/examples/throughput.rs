//! Measures a monitor over a unix socket: round trips and pipelined commands,
//! shared and on the main loop.
//!
//! `throughput` serves and measures itself; `throughput SOCKET COMMAND`
//! measures the server that listens there, such as a real QEMU.

use serde::Serialize;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tinamou_monitor::{Config, Connection, IoThread, Mode, Monitor, Server, Table};
use tinamou_qmp::session::Version;
use tinamou_qmp::{Command, CommandSpec};

const ROUND_TRIPS: usize = 20_000;
const WINDOW: usize = 64;
const WINDOWS: usize = 1_000;

#[derive(Serialize)]
struct StatusInfo {
    running: bool,
    status: &'static str,
}

struct QueryStatus;
struct QueryStatusOnMain;

const fn spec(name: &'static str) -> CommandSpec {
    CommandSpec {
        name,
        allow_oob: false,
        allow_preconfig: false,
        success_response: true,
        deprecated: false,
        unstable: false,
    }
}

impl Command for QueryStatus {
    const SPEC: CommandSpec = spec("query-status");
    type Arguments = ();
    type Return = StatusInfo;
}

impl Command for QueryStatusOnMain {
    const SPEC: CommandSpec = spec("query-status-on-main");
    type Arguments = ();
    type Return = StatusInfo;
}

const RUNNING: StatusInfo = StatusInfo {
    running: true,
    status: "running",
};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [socket, command] = arguments.as_slice() {
        return measure(socket, command);
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("monitor.sock");
    let listener = UnixListener::bind(&path)?;
    thread::spawn(move || serve(listener));
    let path = path.to_string_lossy();
    measure(&path, "query-status")?;
    measure(&path, "query-status-on-main")
}

/// A server with its two threads.
#[tokio::main(flavor = "current_thread")]
async fn serve(listener: UnixListener) -> io::Result<()> {
    let mut table = Table::<()>::new();
    table
        .shared::<QueryStatus>(|(), ()| Ok(RUNNING))
        .main::<QueryStatusOnMain>(|(), _, ()| Ok(RUNNING));
    let version = Version {
        micro: 0,
        minor: 0,
        major: 0,
    };
    let io = IoThread::spawn("io")?;
    let config = Config::new(table, Arc::new(()), version);
    let (server, mut main_loop) = Server::start(config, io.handle());
    let monitor = server.monitor("qmp", Mode::QMP);
    io.handle().spawn(accept(listener, monitor));
    while let Some(job) = main_loop.recv().await {
        job.run(&mut ());
    }
    Ok(())
}

async fn accept(listener: UnixListener, monitor: Monitor<()>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        monitor.attach(Connection::new(stream, "bench"));
    }
}

fn measure(socket: &str, command: &str) -> io::Result<()> {
    let mut writer = UnixStream::connect(socket)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    writer.write_all(b"{\"execute\": \"qmp_capabilities\"}\n")?;
    reader.read_line(&mut line)?;

    let request = format!("{{\"execute\": \"{command}\"}}\n");
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        writer.write_all(request.as_bytes())?;
        read_lines(&mut reader, 1)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();

    let window = request.repeat(WINDOW);
    let start = Instant::now();
    for _ in 0..WINDOWS {
        writer.write_all(window.as_bytes())?;
        read_lines(&mut reader, WINDOW)?;
    }
    let rate = (WINDOW * WINDOWS) as f64 / start.elapsed().as_secs_f64();

    let total: Duration = times.iter().sum();
    let per_second = ROUND_TRIPS as f64 / total.as_secs_f64();
    println!(
        "{command}: round trip p50 {:?} p99 {:?} ({per_second:.0}/s), pipelined {rate:.0}/s",
        times[ROUND_TRIPS / 2],
        times[ROUND_TRIPS * 99 / 100],
    );
    Ok(())
}

fn read_lines(reader: &mut impl io::BufRead, count: usize) -> io::Result<()> {
    let mut line = Vec::new();
    for _ in 0..count {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
    }
    Ok(())
}
