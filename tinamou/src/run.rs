//! From a configuration to a running machine, and to its end.

use std::convert::Infallible;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tinamou_chardev::{Backend, Chardev, Chardevs, Clients, Frontend};
use tinamou_devices::rtc::{Source, TimeOfDay};
use tinamou_machine::config::{Accelerator, Bios, BoardKind};
use tinamou_machine::run_state::{self, Actions};
use tinamou_machine::{Machine, MachineConfig, Payload, ShutdownCause};
use tinamou_monitor::{
    Connection, DEFAULT_OUTPUT_LIMIT, EventBus, FdInbox, IoThread, MainLoop, Mode, Monitor, Server,
};
use tinamou_qmp::json::Style;
use tinamou_qmp::session::Version;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::options::config::{self, Config, Firmware, MachineKind, MonitorMode, RtcBase, RtcClock};
use crate::options::{self, QEMU_VERSION};
use crate::qtest::Qtest;
use crate::serial::SerialPort;
use crate::vm::{Shared, Vm};
use crate::{backends, commands, events, hmp, log, objects};

/// Clients that one monitor serves at once unless its socket says otherwise.
const CLIENTS: usize = 1024;

/// How long the end waits for clients to read what was sent to them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long the process stays when all is done, a little longer than QEMU
/// takes to end: the guest's last output may still pass a multiplexer or a
/// terminal, and a client that sends `quit` and then closes expects to be the
/// first to close.
const PASSAGE: Duration = Duration::from_millis(20);

/// Why a machine could not be started: what to tell the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    fn new(cause: impl Display) -> Self {
        Self(cause.to_string())
    }

    fn at(origin: &options::Origin, cause: impl Display) -> Self {
        Self(format!("{origin}: {cause}"))
    }
}

/// Runs a machine to its end and returns the process's exit status. `program`
/// begins what is told to the user.
///
/// # Errors
/// Something that the configuration names cannot be had.
pub fn run(config: Box<Config>, program: &str) -> Result<u8, Failure> {
    log::start(&config.log, config.messages, config.name.as_deref()).map_err(Failure::new)?;
    let io = IoThread::spawn().map_err(Failure::new)?;
    let chardevs = Chardevs::new(io.handle().clone());
    let result = Start {
        config,
        program,
        io: &io,
        chardevs: chardevs.clone(),
    }
    .run();
    chardevs.close();
    result
}

struct Start<'a> {
    config: Box<Config>,
    program: &'a str,
    io: &'a IoThread,
    chardevs: Chardevs,
}

impl Start<'_> {
    fn run(self) -> Result<u8, Failure> {
        if self.config.preconfig {
            return Err(Failure::new("-preconfig: is not supported yet"));
        }
        for global in &self.config.globals {
            let (driver, property) = (&global.driver, &global.property);
            log::tell(
                self.program,
                format_args!("warning: global {driver}.{property} has invalid class name"),
            );
        }
        self.open_chardevs()?;
        let event_bus = EventBus::new();
        // At a multiplexer the last to come has the input at first, and that
        // is the guest's console.
        let monitors = self.claim_monitors()?;
        let serial = self.serial()?;
        let machine = self.machine(serial.clone(), &event_bus)?;
        if let Some(path) = &self.config.machine.dumpdtb {
            return save_device_tree(&machine, path);
        }
        if let (Some(serial), Some(virt)) = (&serial, machine.virt()) {
            serial.connect(&virt.uart);
        }
        let qtest = self.qtest()?;
        let (mut vm, server, main_loop) = self.serve(machine, event_bus)?;
        self.write_pidfile()?;
        self.announce();
        if self.config.daemonize {
            crate::daemon::detach().map_err(Failure::new)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::new)?;
        let waiting = self.waiting();
        let status = runtime.block_on(async {
            let chores = Chores::new(&vm, self.program).map_err(Failure::new)?;
            let requests = Arc::clone(vm.machine.requests());
            self.chardevs
                .on_exit(move || requests.quit(ShutdownCause::HostQmpQuit));
            for (chardev, message) in waiting {
                log::tell(self.program, message);
                tokio::select! {
                    () = chardev.connected() => {}
                    () = chores.asked.notified() => break,
                }
            }
            if !vm.config.start_paused {
                vm.cont().map_err(Failure::new)?;
            }
            // A client never sees the machine before its start.
            for (frontend, mode) in monitors {
                let monitor = server.monitor(frontend.chardev().label(), mode);
                self.io.handle().spawn(attach_all(frontend, monitor));
            }
            chores.asked.notify_one();
            let status = chores.work(&mut vm, main_loop, qtest).await;
            if let Some(serial) = &serial {
                // A peer that does not read must not hold up the end.
                let _ = tokio::time::timeout(LAST_WORDS, serial.drained()).await;
            }
            tokio::time::sleep(PASSAGE).await;
            server.shutdown(LAST_WORDS).await;
            Ok(status)
        });
        if let Some(path) = &self.config.pidfile {
            // It may have been removed already; there is nothing left to do.
            let _ = std::fs::remove_file(path);
        }
        status
    }

    fn open_chardevs(&self) -> Result<(), Failure> {
        for chardev in &self.config.chardevs {
            let failed = |error: &dyn Display| Failure::at(&chardev.origin, error);
            let config = backends::from_options(chardev).map_err(|error| failed(&error))?;
            if chardev.mux {
                let base = format!("{}-base", chardev.id);
                self.chardevs
                    .add(&base, config)
                    .map_err(|error| failed(&error))?;
                let mux = Backend::Mux { chardev: base };
                self.chardevs
                    .add(&chardev.id, mux.into())
                    .map_err(|error| failed(&error))?;
            } else {
                let opened = self
                    .chardevs
                    .add(&chardev.id, config)
                    .map_err(|error| failed(&error))?;
                if let Some(pty) = opened.pty() {
                    println!("char device redirected to {pty} (label {})", chardev.id);
                }
            }
        }
        Ok(())
    }

    fn claim(&self, id: &str, clients: Clients) -> Result<Frontend, Failure> {
        let chardev = self
            .chardevs
            .find(id)
            .ok_or_else(|| Failure(format!("chardev \"{id}\" not found")))?;
        chardev.claim(clients).map_err(Failure::new)
    }

    fn serial(&self) -> Result<Option<Arc<SerialPort>>, Failure> {
        let Some(Some(id)) = self.config.serials.first() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(SerialPort::new(
            self.claim(id, SerialPort::CLIENTS)?,
        ))))
    }

    fn machine(
        &self,
        serial: Option<Arc<SerialPort>>,
        event_bus: &EventBus,
    ) -> Result<Machine, Failure> {
        let config = &self.config;
        let virt = matches!(config.machine.kind, MachineKind::Virt);
        let kernel = match (&config.kernel, &config.firmware) {
            (Some(path), _) => Some(Payload::File(path.clone())),
            // Nothing was given that could run, so the built-in guest does.
            (None, Firmware::Default) if virt => Some(Payload::Bytes(
                "built-in guest".into(),
                tinamou_guest::image().into(),
            )),
            (None, _) => None,
        };
        let mut machine = MachineConfig {
            board: match config.machine.kind {
                MachineKind::None => BoardKind::None,
                MachineKind::Virt => BoardKind::Virt,
            },
            accelerator: match config.accel {
                config::Accel::Tcg => Accelerator::Tcg,
                config::Accel::Qtest => Accelerator::Qtest,
            },
            ram_size: config.memory.size,
            cpus: config.smp.cpus as usize,
            isa: config.cpu.isa,
            bios: match &config.firmware {
                Firmware::Default => Bios::BuiltIn,
                Firmware::None => Bios::None,
                Firmware::File(path) => Bios::File(path.clone()),
            },
            kernel,
            initrd: config.initrd.clone(),
            append: config.append.clone().unwrap_or_default(),
            dtb: config.dtb.clone(),
            rtc: time_of_day(config.rtc),
            actions: actions(config.actions),
            power_button: config.machine.power_button,
            ..MachineConfig::default()
        };
        if let Some(serial) = serial {
            machine.serial = serial;
        }
        let bus = event_bus.clone();
        Machine::new(machine, Box::new(move |event| events::emit(&bus, event)))
            .map_err(Failure::new)
    }

    fn qtest(&self) -> Result<Option<Qtest>, Failure> {
        let Some(id) = &self.config.qtest else {
            return Ok(None);
        };
        let log: Option<Box<dyn std::io::Write>> = match &self.config.qtest_log {
            None => Some(Box::new(std::io::stderr())),
            Some(path) if path.as_os_str() == "none" => None,
            Some(path) => Some(Box::new(std::fs::File::create(path).map_err(Failure::new)?)),
        };
        let frontend = self.claim(id, Clients::One)?;
        Ok(Some(Qtest::new(frontend, self.io.handle(), log)))
    }

    fn serve(&self, machine: Machine, events: EventBus) -> Result<Served, Failure> {
        let hmp = Arc::new(hmp::commands());
        let qom = objects::tree(&self.config, &machine, &self.chardevs).map_err(Failure::new)?;
        let shared = Shared {
            name: self.config.name.clone(),
            uuid: self.config.uuid.unwrap_or_default(),
            run_state: machine.run_state_cell(),
            chardevs: self.chardevs.clone(),
        };
        let [major, minor, micro] = QEMU_VERSION.map(i64::from);
        let server = tinamou_monitor::Config {
            table: commands::table(),
            shared: Arc::new(shared),
            hmp: Arc::clone(&hmp),
            events,
            version: Version {
                major,
                minor,
                micro,
            },
            package: commands::PACKAGE.into(),
            output_limit: DEFAULT_OUTPUT_LIMIT,
        };
        let (server, main_loop) = Server::start(server, self.io.handle());
        let vm = Vm {
            config: self.config.clone(),
            machine,
            chardevs: self.chardevs.clone(),
            fds: self.passed_fds()?,
            qom,
            types: objects::types(),
            hmp,
            exit: None,
        };
        Ok((vm, server, main_loop))
    }

    fn passed_fds(&self) -> Result<crate::fds::Fds, Failure> {
        let mut fds = crate::fds::Fds::default();
        for passed in &self.config.fds {
            let failed = |error: tinamou_qmp::Error| Failure::at(&passed.origin, error);
            let fd = backends::inherited(&passed.fd.to_string()).map_err(failed)?;
            fds.add(Some(passed.set), fd, passed.opaque.clone())
                .map_err(failed)?;
        }
        Ok(fds)
    }

    fn claim_monitors(&self) -> Result<Vec<(Frontend, Mode)>, Failure> {
        let claim = |monitor: &config::MonitorConfig| {
            let style = if monitor.pretty {
                Style::Pretty
            } else {
                Style::Compact
            };
            let mode = match monitor.mode {
                MonitorMode::Readline => Mode::Readline,
                MonitorMode::Control => Mode::Control { style, oob: true },
            };
            let clients = Clients::Many(self.max_clients(&monitor.chardev));
            let frontend = self.claim(&monitor.chardev, clients);
            Ok((
                frontend.map_err(|error| Failure::at(&monitor.origin, error))?,
                mode,
            ))
        };
        self.config.monitors.iter().map(claim).collect()
    }

    fn max_clients(&self, id: &str) -> NonZeroUsize {
        let chardev = self.config.chardevs.iter().find(|chardev| chardev.id == id);
        let wanted = chardev.and_then(|chardev| match &chardev.backend {
            config::ChardevBackend::Socket(socket) => socket.max_clients,
            _ => None,
        });
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
        NonZeroUsize::new(wanted.unwrap_or(CLIENTS)).unwrap_or(NonZeroUsize::MIN)
    }

    fn write_pidfile(&self) -> Result<(), Failure> {
        let Some(path) = &self.config.pidfile else {
            return Ok(());
        };
        std::fs::write(path, format!("{}\n", std::process::id())).map_err(|error| {
            Failure(format!(
                "cannot create PID file: Cannot open pid file: {}",
                commands::machine::reason(&error)
            ))
        })
    }

    /// Tells a newcomer where things are.
    fn announce(&self) {
        if self.config.embedded_default {
            eprintln!(
                "{}: QMP on localhost:4444; this terminal is the guest's console",
                self.program
            );
            eprintln!(
                "{}: Ctrl-A c switches between console and monitor, Ctrl-A x ends",
                self.program
            );
        }
    }

    /// The character devices that a client must have come to first.
    fn waiting(&self) -> Vec<(Chardev, String)> {
        let chardevs = self.config.chardevs.iter();
        chardevs
            .filter_map(|config| {
                let chardev = self.chardevs.find(&config.id)?;
                let message = format!("{}: info: {}", config.origin, chardev.waiting_message()?);
                Some((chardev, message))
            })
            .collect()
    }
}

type Served = (Vm, Server<Vm, Shared>, MainLoop<Vm>);

async fn attach_all(mut frontend: Frontend, monitor: Monitor<Vm, Shared>) -> Infallible {
    while let Some(arrived) = frontend.accept().await {
        let mut connection = Connection::new(arrived.stream, arrived.peer);
        connection.fds = Some(Arc::new(Inbox(arrived.fds)));
        connection.focus = arrived.focus;
        monitor.attach(connection);
    }
    // Dropping the front end would give up its place at a multiplexer while
    // the connection that came from there is still in use.
    std::future::pending().await
}

/// The descriptors of a connection, as the monitor takes them.
struct Inbox(tinamou_chardev::FdInbox);

impl FdInbox for Inbox {
    fn pop(&self) -> Option<std::os::fd::OwnedFd> {
        self.0.pop()
    }
}

/// What the main loop waits for beside commands.
struct Chores {
    /// Rung when the machine's requests should be looked at.
    asked: Arc<Notify>,
}

impl Chores {
    fn new(vm: &Vm, program: &str) -> std::io::Result<Self> {
        let asked = Arc::new(Notify::new());
        let ring = Arc::clone(&asked);
        vm.machine.requests().on_request(move || ring.notify_one());
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            let mut signals = signal(kind)?;
            let requests = Arc::clone(vm.machine.requests());
            let program = program.to_owned();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    log::tell(
                        &program,
                        format_args!("terminating on signal {}", kind.as_raw_value()),
                    );
                    requests.quit(ShutdownCause::HostSignal);
                }
            });
        }
        Ok(Self { asked })
    }

    /// Runs commands and does chores until the end is decided.
    async fn work(&self, vm: &mut Vm, mut main_loop: MainLoop<Vm>, mut qtest: Option<Qtest>) -> u8 {
        loop {
            tokio::select! {
                () = self.asked.notified() => vm.process_requests(),
                Some(job) = main_loop.recv() => {
                    job.run(vm);
                    while vm.exit.is_none() && let Some(job) = main_loop.try_recv() {
                        job.run(vm);
                    }
                }
                work = next_work(&mut qtest) => {
                    if let Some(qtest) = &mut qtest {
                        qtest.carry_out(work, &mut vm.machine);
                    }
                }
            }
            if let Some(status) = vm.exit {
                return status;
            }
        }
    }
}

async fn next_work(qtest: &mut Option<Qtest>) -> crate::qtest::Work {
    match qtest {
        Some(qtest) => qtest.recv().await,
        None => std::future::pending().await,
    }
}

fn save_device_tree(machine: &Machine, path: &std::path::Path) -> Result<u8, Failure> {
    let tree = machine.device_tree().map_err(Failure::new)?;
    std::fs::write(path, tree).map_err(|error| {
        Failure(format!(
            "Error saving FDT to file {}: {}",
            path.display(),
            commands::machine::reason(&error)
        ))
    })?;
    Ok(0)
}

/// Where the real-time clock starts, relative to the host's.
fn time_of_day(rtc: config::RtcConfig) -> TimeOfDay {
    let source = match rtc.clock {
        RtcClock::Host | RtcClock::Rt => Source::Host,
        RtcClock::Vm => Source::Virtual,
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let offset = match rtc.base {
        RtcBase::Utc | RtcBase::Localtime => 0,
        RtcBase::Fixed(seconds) => seconds
            .saturating_sub(now.as_secs() as i64)
            .saturating_mul(1_000_000_000),
    };
    TimeOfDay { source, offset }
}

fn actions(actions: config::Actions) -> Actions {
    use config as from;
    use run_state as to;
    Actions {
        reboot: match actions.reboot {
            from::RebootAction::Reset => to::RebootAction::Reset,
            from::RebootAction::Shutdown => to::RebootAction::Shutdown,
        },
        shutdown: match actions.shutdown {
            from::ShutdownAction::Poweroff => to::ShutdownAction::Poweroff,
            from::ShutdownAction::Pause => to::ShutdownAction::Pause,
        },
        panic: match actions.panic {
            from::PanicAction::Pause => to::PanicAction::Pause,
            from::PanicAction::Shutdown => to::PanicAction::Shutdown,
            from::PanicAction::ExitFailure => to::PanicAction::ExitFailure,
            from::PanicAction::None => to::PanicAction::None,
        },
        watchdog: match actions.watchdog {
            from::WatchdogAction::Reset => to::WatchdogAction::Reset,
            from::WatchdogAction::Shutdown => to::WatchdogAction::Shutdown,
            from::WatchdogAction::Poweroff => to::WatchdogAction::Poweroff,
            from::WatchdogAction::Pause => to::WatchdogAction::Pause,
            from::WatchdogAction::Debug => to::WatchdogAction::Debug,
            from::WatchdogAction::None => to::WatchdogAction::None,
            from::WatchdogAction::InjectNmi => to::WatchdogAction::InjectNmi,
        },
    }
}
