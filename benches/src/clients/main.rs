//! Measures clients beside each other, on the same real QEMU in one run:
//! `cargo run --release -p tinamou-benches --bin clients`.
//!
//! Every client makes the same typed call in turn, several rounds over, and
//! its best round counts, so that what else the machine does falls on nobody.
//! `TINAMOU_PYTHON` names a Python that has `qemu.qmp`.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tinamou_client::qmp::QueryStatus;
use tinamou_client::{Address, Client, blocking};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Calls in a round.
const CALLS: u32 = 5_000;
const ROUNDS: u32 = 5;

/// Connections whose memory is measured.
const CONNECTIONS: u64 = 1_000;

/// What the hidden server of many connections is called by.
const SERVE: &str = "--serve";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clients: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(SERVE), Some(path)) = (arguments.next().as_deref(), arguments.next()) {
        return serve(Path::new(&path));
    }
    println!("| query-status by | a second | CPU of the client |");
    println!("|---|---:|---:|");
    let qemu = Qemu::start()?;
    let mut clients: Vec<(&str, Box<dyn Measured>)> = vec![
        ("tinamou_client", Box::new(Ours::new(&qemu)?)),
        ("tinamou_client::blocking", Box::new(Waiting::new(&qemu)?)),
        ("qapi (Rust), tokio", Box::new(Qapi::new(&qemu)?)),
        ("qapi (Rust), blocking", Box::new(QapiWaiting::new(&qemu)?)),
    ];
    if let Some(python) = std::env::var_os("TINAMOU_PYTHON") {
        let client = Python::new(Path::new(&python), &qemu)?;
        clients.push(("qemu.qmp (Python)", Box::new(client)));
    }
    let mut best = vec![Cost::WORST; clients.len()];
    for _ in 0..ROUNDS {
        for ((_, client), best) in clients.iter_mut().zip(&mut best) {
            *best = best.min(client.round()?);
        }
    }
    for ((name, _), cost) in clients.iter().zip(best) {
        println!(
            "| {name} | {:.0} | {:.1} µs |",
            1.0 / cost.wall,
            cost.cpu * 1e6
        );
    }
    println!("\nmemory of a connection: {:.1} kB", memory()? / 1e3);
    Ok(())
}

/// What one call costs, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

impl Cost {
    const WORST: Self = Self {
        wall: f64::INFINITY,
        cpu: f64::INFINITY,
    };

    fn min(self, other: Self) -> Self {
        Self {
            wall: self.wall.min(other.wall),
            cpu: self.cpu.min(other.cpu),
        }
    }
}

/// A client on its own monitor, which makes a round of calls.
trait Measured {
    fn round(&mut self) -> Result<Cost>;
}

/// Times a round that this process makes.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (cpu, wall) = (cpu()?, Instant::now());
    work()?;
    Ok(Cost {
        wall: wall.elapsed().as_secs_f64() / f64::from(CALLS),
        cpu: (self::cpu()? - cpu) / f64::from(CALLS),
    })
}

/// Seconds that this thread has spent on a CPU (proc(5), schedstat).
fn cpu() -> Result<f64> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let spent = spent.split(' ').next().unwrap_or_default();
    Ok(spent.parse::<f64>()? / 1e9)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

struct Ours(tokio::runtime::Runtime, Client);

impl Ours {
    fn new(qemu: &Qemu) -> Result<Self> {
        let runtime = runtime()?;
        let address = Address::Unix(qemu.monitor(0));
        let client = runtime.block_on(Client::connect(&address))?;
        Ok(Self(runtime, client))
    }
}

impl Measured for Ours {
    fn round(&mut self) -> Result<Cost> {
        timed(|| {
            self.0.block_on(async {
                for _ in 0..CALLS {
                    self.1.call(QueryStatus {}).await?;
                }
                Ok(())
            })
        })
    }
}

struct Waiting(blocking::Client);

impl Waiting {
    fn new(qemu: &Qemu) -> Result<Self> {
        let address = Address::Unix(qemu.monitor(1));
        Ok(Self(blocking::Client::connect(&address)?))
    }
}

impl Measured for Waiting {
    fn round(&mut self) -> Result<Cost> {
        timed(|| {
            for _ in 0..CALLS {
                self.0.call(QueryStatus {})?;
            }
            Ok(())
        })
    }
}

type QapiService = qapi::futures::QapiService<
    qapi::futures::QmpStreamTokio<tokio::io::WriteHalf<tokio::net::UnixStream>>,
>;

struct Qapi(tokio::runtime::Runtime, QapiService);

impl Qapi {
    fn new(qemu: &Qemu) -> Result<Self> {
        let runtime = runtime()?;
        let service = runtime.block_on(async {
            let path = qemu.monitor(2);
            let stream = qapi::futures::QmpStreamTokio::open_uds(path).await?;
            let (service, _task) = stream.negotiate().await?.spawn_tokio();
            std::io::Result::Ok(service)
        })?;
        Ok(Self(runtime, service))
    }
}

impl Measured for Qapi {
    fn round(&mut self) -> Result<Cost> {
        timed(|| {
            self.0.block_on(async {
                for _ in 0..CALLS {
                    self.1.execute(qapi::qmp::query_status {}).await?;
                }
                Ok(())
            })
        })
    }
}

struct QapiWaiting(qapi::Qmp<qapi::Stream<BufReader<UnixStream>, UnixStream>>);

impl QapiWaiting {
    fn new(qemu: &Qemu) -> Result<Self> {
        let stream = UnixStream::connect(qemu.monitor(3))?;
        let read = BufReader::new(stream.try_clone()?);
        let mut client = qapi::Qmp::new(qapi::Stream::new(read, stream));
        client.handshake()?;
        Ok(Self(client))
    }
}

impl Measured for QapiWaiting {
    fn round(&mut self) -> Result<Cost> {
        timed(|| {
            for _ in 0..CALLS {
                self.0.execute(&qapi::qmp::query_status {})?;
            }
            Ok(())
        })
    }
}

/// Makes a round for each line it reads, and answers with what it cost.
const SCRIPT: &str = "
import asyncio, sys, time
from qemu.qmp import QMPClient
async def main(path, calls):
    client = QMPClient()
    await client.connect(path)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            await client.execute('query-status')
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(wall / calls, cpu / calls, flush=True)
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
";

struct Python {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Python {
    fn new(python: &Path, qemu: &Qemu) -> Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .arg(qemu.monitor(4))
            .arg(CALLS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = child.stdout.take().ok_or("no pipe")?;
        Ok(Self {
            child,
            answers: BufReader::new(answers),
        })
    }
}

impl Measured for Python {
    fn round(&mut self) -> Result<Cost> {
        self.child
            .stdin
            .as_mut()
            .ok_or("no pipe")?
            .write_all(b"\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let mut numbers = line.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(wall)), Some(Ok(cpu))) => Ok(Cost { wall, cpu }),
            _ => Err("qemu.qmp does not answer".into()),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A QEMU with a monitor for each client.
struct Qemu {
    child: Child,
    directory: tempfile::TempDir,
}

impl Qemu {
    fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new("qemu-system-riscv64");
        command.args(["-M", "none", "-nodefaults", "-display", "none"]);
        for number in 0..5 {
            let path = directory.path().join(number.to_string());
            command.arg("-qmp");
            command.arg(format!("unix:{},server=on,wait=off", path.display()));
        }
        let qemu = Self {
            child: command.stdin(Stdio::null()).spawn()?,
            directory,
        };
        wait_for(&qemu.monitor(4))?;
        Ok(qemu)
    }

    fn monitor(&self, number: u32) -> PathBuf {
        self.directory.path().join(number.to_string())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(path: &Path) -> Result<()> {
    let began = Instant::now();
    while UnixStream::connect(path).is_err() {
        if began.elapsed() > Duration::from_secs(20) {
            return Err(format!("{} does not listen", path.display()).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Bytes that a connection costs this process.
fn memory() -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("many");
    let mut server = Command::new(std::env::current_exe()?)
        .arg(SERVE)
        .arg(&path)
        .spawn()?;
    wait_for(&path)?;
    let measured = connect_many(&Address::Unix(path));
    server.kill()?;
    server.wait()?;
    measured
}

fn connect_many(address: &Address) -> Result<f64> {
    runtime()?.block_on(async {
        let mut clients = vec![Client::connect(address).await?];
        let before = resident()?;
        for _ in 0..CONNECTIONS {
            let client = Client::connect(address).await?;
            client.call(QueryStatus {}).await?;
            clients.push(client);
        }
        Ok((resident()? - before) / CONNECTIONS as f64)
    })
}

/// Bytes of this process in memory.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0)
}

/// A server that takes any number of connections and is always running.
fn serve(path: &Path) -> Result<()> {
    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}}"#;
    let listener = UnixListener::bind(path)?;
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: Some(4 * CONNECTIONS),
            maximum: Some(4 * CONNECTIONS),
        },
    )?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
            writeln!(stream, "{GREETING}").ok()?;
            while let Some(Ok(line)) = lines.next() {
                let id = line.split("\"id\":").nth(1)?;
                let value = r#"{"status": "running", "running": true}"#;
                writeln!(stream, "{{\"return\": {value}, \"id\": {id}").ok()?;
            }
            Some(())
        });
    }
    Ok(())
}
