//! What commands work on, and the server they come by.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tinamou_chardev::Frontend;
use tinamou_display::{Inputs, Keyboard, Screens};
use tinamou_machine::Machine;
use tinamou_monitor::{Connection, DEFAULT_OUTPUT_LIMIT, FdInbox, MainLoop, Mode, Monitor, Server};
use tinamou_qmp::session::Version;
use tinamou_qom::Tree;
use tokio::runtime::Handle;

use super::machine::main_memory_id;
use super::{Failure, Start};
use crate::devices::{self, Devices};
use crate::fds::Fds;
use crate::options::QEMU_VERSION;
use crate::vm::{Shared, Vm};
use crate::{commands, hmp, objects};

/// The machine behind its server.
pub(super) struct Service {
    pub(super) vm: Vm,
    pub(super) main_loop: MainLoop<Vm>,
}

impl Start<'_> {
    /// Starts a server for `machine`, which has no monitors yet.
    pub(super) fn serve(&self, machine: Machine) -> Result<Service, Failure> {
        let events = self.events.clone();
        let shared = Shared {
            name: self.config.name.clone(),
            uuid: self.config.uuid.unwrap_or_default(),
            run_state: machine.run_state_cell(),
            chardevs: self.chardevs.clone(),
        };
        let hmp = Arc::new(hmp::commands());
        let config = tinamou_monitor::Config {
            table: commands::table(),
            shared: Arc::new(shared),
            hmp: Arc::clone(&hmp),
            events: events.clone(),
            version: version(),
            package: commands::PACKAGE.into(),
            output_limit: DEFAULT_OUTPUT_LIMIT,
        };
        let (server, main_loop) = Server::start(config, self.io);
        let mut qom = objects::tree(&self.config, &self.chardevs).map_err(Failure::new)?;
        for id in self.objects.ids() {
            let added = self.objects.add_to_tree(&mut qom, id);
            added.map_err(Failure::new)?;
        }
        self.link_main_memory(&mut qom)?;
        let inputs = Inputs::default();
        let vm = Vm {
            keyboard: Keyboard::new(inputs.clone(), machine.clock()),
            inputs,
            screens: Screens::default(),
            mouse_buttons: 0,
            objects: self.objects.clone(),
            config: self.config.clone(),
            devices: self.board_devices(&mut qom, &machine)?,
            device_thread: self.device_thread.clone(),
            events,
            qom,
            machine,
            chardevs: self.chardevs.clone(),
            network: self.network.clone(),
            blocks: self.blocks.clone(),
            fds: Fds::new(self.fd_sets.clone()),
            types: objects::types(),
            hmp,
            server,
            exit: None,
        };
        Ok(Service { vm, main_loop })
    }

    /// Lets the machine show which object is its memory.
    fn link_main_memory(&self, qom: &mut Tree) -> Result<(), Failure> {
        let id = main_memory_id(&self.config);
        let memory = qom.resolve(&format!("/objects/{id}")).ok();
        let top = qom.resolve("/machine").map_err(Failure::new)?;
        qom.add_link(top, "memory-backend", "memory-backend", memory)
            .map_err(Failure::new)
    }

    fn board_devices(&self, qom: &mut Tree, machine: &Machine) -> Result<Devices, Failure> {
        let mut devices = Devices::new(qom).map_err(Failure::new)?;
        let (events, model) = (&self.events, &self.config.cpu.model);
        let populated = devices::board::populate(&mut devices, qom, machine, events, model);
        populated.map_err(Failure::new)?;
        Ok(devices)
    }
}

impl Service {
    /// Opens the monitors to their clients.
    pub(super) fn attach(&self, monitors: Vec<(Frontend, Mode)>, io: &Handle) {
        for (frontend, mode) in monitors {
            let monitor = self.vm.server.monitor(frontend.chardev().label(), mode);
            io.spawn(attach_all(frontend, monitor));
        }
    }
}

fn version() -> Version {
    let [major, minor, micro] = QEMU_VERSION.map(i64::from);
    Version {
        major,
        minor,
        micro,
    }
}

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
    fn pop(&self) -> Option<OwnedFd> {
        self.0.pop()
    }
}
