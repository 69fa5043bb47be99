//! From a configuration to a running machine, and to its end.
//!
//! Things are made in the order in which later ones refer to earlier ones:
//!
//! 1. the threads of the host's side, and on them the back ends: the character
//!    devices ([`backends`]);
//! 2. what the command line puts in front of them: monitors, serial ports, the
//!    qtest socket ([`frontends`]);
//! 3. the machine ([`machine`]);
//! 4. what commands work on, and the server they come by ([`server`]), and
//!    what is plugged into the machine ([`devices`]);
//! 5. the main loop ([`main_loop`]), which runs until the end is decided.
//!
//! A failure at any step undoes the earlier ones.

mod backends;
mod devices;
mod frontends;
mod fw_cfg;
mod machine;
mod main_loop;
mod objects;
mod pidfile;
mod server;
mod signals;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tinamou_block::Graph;
use tinamou_chardev::{Chardevs, HeldInput};
use tinamou_machine::ShutdownCause;
use tinamou_monitor::{EventBus, IoThread};
use tinamou_net::Network;
use tokio::runtime::Handle;

use crate::blocks::Watch;
use crate::fds::FdSets;
use crate::objects::Objects;
use crate::options::{self, Config};
use crate::{daemon, log, netdevs};
use frontends::Frontends;
use main_loop::Chores;
use pidfile::Pidfile;
use server::Service;
use signals::Signals;

/// How long the end waits for clients to read what was sent to them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long the end waits for disks to be written.
const LAST_WRITES: Duration = Duration::from_secs(10);

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
pub fn run(config: Arc<Config>, program: &str) -> Result<u8, Failure> {
    log::start(&config.log, config.messages, config.name.as_deref()).map_err(Failure::new)?;
    let io = IoThread::spawn("io").map_err(Failure::new)?;
    let device_thread = IoThread::spawn("devices").map_err(Failure::new)?;
    let chardevs = Chardevs::new(io.handle().clone());
    let signals = Signals::listen(io.handle(), &chardevs, program).map_err(Failure::new)?;
    let events = EventBus::new();
    let watch = Watch::new(events.clone());
    let network = network(device_thread.handle(), &chardevs, &events);
    let fd_sets = passed_fds(&config)?;
    let blocks = Graph::new(device_thread.handle().clone(), Arc::clone(&watch) as _);
    blocks.lend_from(Arc::new(fd_sets.clone()));
    let start = Start {
        objects: objects::make(&config, &network)?,
        config,
        program,
        io: io.handle(),
        device_thread: device_thread.handle(),
        signals,
        chardevs: chardevs.clone(),
        network,
        blocks: blocks.clone(),
        fd_sets,
        events,
        watch,
    };
    let result = start.run();
    // A host that does not answer must not hold up the end.
    let closed = async { tokio::time::timeout(LAST_WRITES, blocks.close()).await };
    let _ = device_thread.handle().block_on(closed);
    chardevs.close();
    result
}

/// A network whose back ends tell the monitors what happens.
fn network(device_thread: &Handle, chardevs: &Chardevs, events: &EventBus) -> Network {
    let events = events.clone();
    let report = move |event| netdevs::emit(&events, event);
    Network::new(device_thread.clone(), chardevs.clone(), report)
}

/// The descriptors that `-add-fd` names.
fn passed_fds(config: &Config) -> Result<FdSets, Failure> {
    let sets = FdSets::default();
    for passed in &config.fds {
        let failed = |error: tinamou_qmp::Error| Failure::at(&passed.origin, error);
        let fd = crate::backends::inherited(&passed.fd.to_string()).map_err(failed)?;
        sets.add(Some(passed.set), fd, passed.opaque.clone())
            .map_err(failed)?;
    }
    Ok(sets)
}

/// What every step of the start has at hand.
struct Start<'a> {
    config: Arc<Config>,
    program: &'a str,
    io: &'a Handle,
    device_thread: &'a Handle,
    signals: Signals,
    objects: Objects,
    chardevs: Chardevs,
    blocks: Graph,
    fd_sets: FdSets,
    network: Network,
    events: EventBus,
    /// Hears what happens to disks.
    watch: Arc<Watch>,
}

impl Start<'_> {
    fn run(self) -> Result<u8, Failure> {
        let held = self.chardevs.hold_input();
        self.open_chardevs()?;
        self.open_images()?;
        let frontends = self.claim_frontends()?;
        let machine = self.build_machine(frontends.serial.as_ref())?;
        self.watch.connect(machine.requests());
        self.tell_firmware(&machine)?;
        if let Some(path) = &self.config.machine.dumpdtb {
            return machine::save_device_tree(&machine, path).map(|()| 0);
        }
        let mut service = self.serve(machine)?;
        self.plug_devices(&mut service.vm)?;
        let _pidfile = Pidfile::write(self.config.pidfile.as_deref())?;
        self.announce();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::new)?;
        runtime.block_on(self.live(service, frontends, held))
    }

    /// The machine's life, on the main loop.
    async fn live(
        &self,
        mut service: Service,
        frontends: Frontends,
        held: HeldInput,
    ) -> Result<u8, Failure> {
        let chores = Chores::new(&service.vm);
        self.signals.ask(service.vm.machine.requests());
        self.obey_exit_keys(&service);
        // What was typed meanwhile has somewhere to go now.
        drop(held);
        self.wait_for_clients(&chores).await;
        if self.config.daemonize {
            daemon::detach().map_err(Failure::new)?;
        }
        service.vm.begin().map_err(Failure::new)?;
        // A client never sees the machine before its start.
        service.attach(frontends.monitors, self.io);
        let Service { mut vm, main_loop } = service;
        let status = chores.work(&mut vm, main_loop, frontends.qtest).await;
        if let Some(serial) = &frontends.serial {
            // A peer that does not read must not hold up the end.
            let _ = tokio::time::timeout(LAST_WORDS, serial.drained()).await;
        }
        tokio::time::sleep(PASSAGE).await;
        vm.server.shutdown(LAST_WORDS).await;
        Ok(status)
    }

    /// Lets Ctrl-A x at a multiplexer end the machine.
    fn obey_exit_keys(&self, service: &Service) {
        let requests = service.vm.machine.requests().clone();
        self.chardevs
            .on_exit(move || requests.quit(ShutdownCause::HostQmpQuit));
    }

    /// Holds the start up until each server with `wait=on` has had a client,
    /// or the end is asked for.
    async fn wait_for_clients(&self, chores: &Chores) {
        for (chardev, message) in self.waiting() {
            log::tell(self.program, message);
            if chores.asked_before(chardev.connected()).await {
                return;
            }
        }
    }

    /// Tells a newcomer where things are.
    fn announce(&self) {
        if !self.config.embedded_default {
            return;
        }
        let program = self.program;
        eprintln!("{program}: QMP on localhost:4444; this terminal is the guest's console");
        eprintln!("{program}: Ctrl-A c switches between console and monitor, Ctrl-A x ends");
    }
}
