//! A small program with a monitor, and clients of it over streams in memory.

use serde::Serialize;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinamou_monitor::hmp::{Arguments, Command as HmpCommand, Console};
use tinamou_monitor::{
    Call, Clock, Config, Connection, EventBus, FdInbox, Hmp, MainLoop, Mode, Monitor, QEMU_RULES,
    Responder, Server, Table,
};
use tinamou_qmp::json::Style;
use tinamou_qmp::session::Version;
use tinamou_qmp::visit::{self, Source, VisitMembers};
use tinamou_qmp::{Command, CommandSpec, Error, Event, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Handle;

pub const QMP: Mode = Mode::Control {
    style: Style::Compact,
    oob: true,
};

pub const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}"#;

/// What the main loop owns.
#[derive(Default)]
pub struct Machine {
    pub log: Vec<String>,
    pub waiting: VecDeque<Responder<Empty>>,
    pub fds: Vec<OwnedFd>,
}

#[derive(Serialize)]
pub struct Empty {}

#[derive(Serialize)]
pub struct Name {
    name: &'static str,
}

/// The argument of most commands here.
#[derive(Serialize)]
pub struct Label {
    label: Option<String>,
}

impl VisitMembers for Label {
    fn visit_members<S: Source>(source: &mut S) -> Result<Self> {
        let label = visit::optional(source, "label")?;
        Ok(Self { label })
    }
}

macro_rules! commands {
    ($($type:ident $name:literal ($arguments:ty) -> $return:ty, oob $oob:literal;)*) => {$(
        pub struct $type;

        impl Command for $type {
            const SPEC: CommandSpec = CommandSpec {
                name: $name,
                allow_oob: $oob,
                allow_preconfig: $oob,
                success_response: true,
                deprecated: false,
                unstable: false,
            };
            type Arguments = $arguments;
            type Return = $return;
        }
    )*};
}

commands! {
    QueryName "query-name" (()) -> Name, oob false;
    QueryYank "query-yank" (()) -> Vec<String>, oob true;
    QueryCommands "query-commands" (()) -> Vec<&'static str>, oob false;
    Note "note" (Label) -> Empty, oob false;
    Stop "stop" (()) -> Empty, oob false;
    Slow "slow" (Label) -> Empty, oob false;
    Fail "fail" (()) -> Empty, oob false;
    GetFd "getfd" (()) -> Empty, oob false;
    Large "large" (()) -> String, oob false;
    Hmc "human-monitor-command" (Label) -> String, oob false;
}

#[derive(Serialize)]
pub struct Stopped {}

impl Event for Stopped {
    const NAME: &'static str = "STOP";
    const HAS_DATA: bool = false;
}

/// A throttled event.
#[derive(Serialize)]
pub struct PortChange {
    pub id: &'static str,
    pub open: bool,
}

impl Event for PortChange {
    const NAME: &'static str = "VSERPORT_CHANGE";
    const HAS_DATA: bool = true;
}

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
pub struct Watch(Arc<AtomicU64>);

impl Watch {
    pub fn advance(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for Watch {
    fn real(&self) -> Duration {
        Duration::from_secs(1000) + self.throttle()
    }

    fn throttle(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The program.
pub struct Program {
    pub server: Server<Machine>,
    pub main: MainLoop<Machine>,
    pub machine: Machine,
    pub events: EventBus,
    pub watch: Watch,
}

impl Program {
    /// Starts it on the current runtime.
    pub fn start() -> Self {
        Self::with_limit(1 << 20)
    }

    pub fn with_limit(output_limit: usize) -> Self {
        let watch = Watch::default();
        let events = EventBus::with_clock(watch.clone(), QEMU_RULES);
        let hmp = Arc::new(hmp());
        let config = Config {
            table: table(&events, &hmp),
            shared: Arc::new(()),
            hmp,
            events: events.clone(),
            version: Version {
                micro: 2,
                minor: 0,
                major: 10,
            },
            package: String::new(),
            output_limit,
        };
        let (server, main) = Server::start(config, &Handle::current());
        Self {
            server,
            main,
            machine: Machine::default(),
            events,
            watch,
        }
    }

    /// Runs the next job of the main loop.
    pub async fn step(&mut self) {
        let job = self.main.recv().await.expect("the server is there");
        job.run(&mut self.machine);
    }

    /// Runs `steps` jobs.
    pub async fn steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step().await;
        }
    }

    /// A client of a new QMP monitor that has negotiated.
    pub async fn client(&self, capabilities: &str) -> Client {
        let mut client = Client::connect(&self.server.monitor("qmp", QMP));
        client.negotiate(capabilities).await;
        client
    }
}

/// The commands.
fn table(events: &EventBus, hmp: &Arc<Hmp<Machine>>) -> Table<Machine> {
    let mut table = Table::new();
    let events = events.clone();
    let hmp = Arc::clone(hmp);
    table
        .shared::<QueryName>(|(), ()| Ok(Name { name: "probe" }))
        .shared::<QueryYank>(|(), ()| Ok(vec!["yank".into()]))
        .shared::<Large>(|(), ()| Ok("x".repeat(10_000)))
        .derived::<QueryCommands, _>(<[_]>::to_vec)
        .main::<Note>(note)
        .main::<Fail>(|_, _, ()| Err(Error::device_not_found("d")))
        .main::<GetFd>(getfd)
        .main::<Stop>(move |_, _, ()| {
            events.emit(&Stopped {});
            Ok(Empty {})
        })
        .main::<Hmc>(move |machine, call, Label { label }| {
            Ok(hmp.execute(machine, call, &label.unwrap_or_default(), None))
        })
        .deferred::<Slow>(slow);
    table
}

fn note(machine: &mut Machine, _: &mut Call, Label { label }: Label) -> Result<Empty> {
    machine.log.push(label.unwrap_or_default());
    Ok(Empty {})
}

fn getfd(machine: &mut Machine, call: &mut Call, (): ()) -> Result<Empty> {
    let fd = call.take_fd();
    let fd = fd.ok_or_else(|| Error::generic("No file descriptor supplied via SCM_RIGHTS"))?;
    machine.fds.push(fd);
    Ok(Empty {})
}

fn slow(machine: &mut Machine, _: &mut Call, label: Label, responder: Responder<Empty>) {
    machine.log.push(label.label.unwrap_or_default());
    machine.waiting.push_back(responder);
}

fn hmp() -> Hmp<Machine> {
    let mut hmp = Hmp::new("QEMU 10.0.2 monitor - type 'help' for more information");
    hmp.add(HmpCommand::new("note", "label:S", hmp_note).help("write down"))
        .add(HmpCommand::new("cpu", "index:i", hmp_cpu).usage("index"))
        .add(HmpCommand::new("x", "fmt:/,addr:l", hmp_x).usage("/fmt addr"))
        .add(HmpCommand::new("fail|f", "", |_, _, _| {
            Err(Error::device_not_found("d"))
        }))
        .add(
            HmpCommand::new("logfile", "filename:F", |_, _, _| Ok(()))
                .complete("filename", |_, _| vec!["alpha".into(), "beta".into()]),
        )
        .add_info(
            HmpCommand::new("status", "", |_, console, _| {
                console.print("VM status: paused\n");
                Ok(())
            })
            .help("run state")
            .preconfig(),
        )
        .registers(|_, cpu, name| (name == "cpu").then(|| cpu.map_or(-1, |cpu| cpu as i64)));
    hmp
}

fn hmp_note(machine: &mut Machine, _: &mut Console<'_>, arguments: &Arguments) -> Result<()> {
    machine.log.push(arguments.string("label").into());
    Ok(())
}

fn hmp_cpu(_: &mut Machine, console: &mut Console<'_>, arguments: &Arguments) -> Result<()> {
    console.set_cpu_index(arguments.int("index") as usize);
    Ok(())
}

/// Every byte of memory is the low byte of its address.
fn hmp_x(_: &mut Machine, console: &mut Console<'_>, arguments: &Arguments) -> Result<()> {
    let address = arguments.int("addr").cast_unsigned();
    let text = arguments.format("fmt").dump(address, |address, bytes| {
        for (offset, byte) in (0..).zip(bytes) {
            *byte = (address + offset) as u8;
        }
        true
    });
    console.print(&text);
    Ok(())
}

/// One end of a connection.
pub struct Client {
    stream: DuplexStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(monitor: &Monitor<Machine>) -> Self {
        Self::connect_with(monitor, 1 << 16, None)
    }

    /// The stream holds as many bytes as `room` in either direction.
    pub fn connect_with(
        monitor: &Monitor<Machine>,
        room: usize,
        fds: Option<Arc<dyn FdInbox>>,
    ) -> Self {
        let (stream, server) = tokio::io::duplex(room);
        let mut connection = Connection::new(server, "test");
        connection.fds = fds;
        monitor.attach(connection);
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub async fn negotiate(&mut self, capabilities: &str) {
        assert_eq!(self.line().await, GREETING);
        let request = format!(
            r#"{{"execute": "qmp_capabilities", "arguments": {{"enable": [{capabilities}]}}}}"#
        );
        self.send(&request).await;
        assert_eq!(self.line().await, r#"{"return": {}}"#);
    }

    pub async fn send(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .await
            .expect("the server reads");
    }

    /// Sends a command.
    pub async fn execute(&mut self, command: &str, id: u32) {
        self.send(&format!(r#"{{"execute": "{command}", "id": {id}}}"#))
            .await;
    }

    /// Sends a command with its argument.
    pub async fn label(&mut self, command: &str, label: &str) {
        let arguments = format!(r#"{{"label": "{label}"}}"#);
        let request = format!(r#"{{"execute": "{command}", "arguments": {arguments}}}"#);
        self.send(&request).await;
    }

    /// The next line, without its end. Empty at the end of the stream.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|end| end == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                assert_eq!(self.buffer, b"", "the stream ends inside a line");
                return String::new();
            }
        }
    }

    /// Reads as much as `expected` is long, and compares.
    pub async fn expect(&mut self, expected: &str) {
        while self.buffer.len() < expected.len() {
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let end = expected.len().min(self.buffer.len());
        let found: Vec<u8> = self.buffer.drain(..end).collect();
        assert_eq!(String::from_utf8_lossy(&found), expected);
    }

    /// Everything up to the end of the stream.
    pub async fn rest(&mut self) -> String {
        while self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Says that no more will be sent.
    pub async fn end(&mut self) {
        self.stream.shutdown().await.expect("the server is there");
    }
}

/// A monitor's next event or reply, in short: the event's name, `id N`, `ok`,
/// or the error's text.
pub fn short(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).expect(line);
    if let Some(event) = value["event"].as_str() {
        return event.into();
    }
    if let Some(desc) = value["error"]["desc"].as_str() {
        return desc.into();
    }
    match &value["id"] {
        serde_json::Value::Null => "ok".into(),
        id => format!("id {id}"),
    }
}

/// Descriptors as a transport has received them.
#[derive(Default)]
pub struct Inbox(pub Mutex<VecDeque<OwnedFd>>);

impl FdInbox for Inbox {
    fn pop(&self) -> Option<OwnedFd> {
        self.0.lock().expect("no test panics in here").pop_front()
    }
}
