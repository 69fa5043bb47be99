//! What the main loop owns, and what any thread may look at.

use std::sync::Arc;

use tinamou_block::Graph;
use tinamou_chardev::Chardevs;
use tinamou_display::{Inputs, Keyboard, Screens};
use tinamou_machine::{Machine, Progress, RunState, RunStateCell, ShutdownCause};
use tinamou_monitor::{Call, EventBus, Hmp, Server};
use tinamou_net::Network;
use tinamou_qmp::{Error, Result};
use tinamou_qom::{Tree, Types};
use tokio::runtime::Handle;

use crate::devices::Devices;
use crate::fds::Fds;
use crate::objects::Objects;
use crate::options::Config;

/// The machine and all that commands work on. The main loop owns it.
pub struct Vm {
    /// What the command line asked for.
    pub config: Arc<Config>,
    /// The machine.
    pub machine: Machine,
    /// The character devices.
    pub chardevs: Chardevs,
    /// Network back ends and cards.
    pub network: Network,
    /// Block nodes and disks.
    pub blocks: Graph,
    /// The guest's keyboards and pointers.
    pub inputs: Inputs,
    /// Types on them.
    pub keyboard: Keyboard,
    /// Its screens.
    pub screens: Screens,
    /// The buttons that the human monitor holds down.
    pub mouse_buttons: i64,
    /// Descriptors that clients passed in.
    pub fds: Fds,
    /// The object tree.
    pub qom: Tree,
    /// The types of objects.
    pub types: Types,
    /// The objects that users made.
    pub objects: Objects,
    /// The devices.
    pub devices: Devices,
    /// The thread where back ends and virtio queues do their work.
    pub device_thread: Handle,
    /// Where events go out.
    pub events: EventBus,
    /// The human monitor's commands.
    pub hmp: Arc<Hmp<Vm>>,
    /// Whom commands come from.
    pub server: Server<Vm, Shared>,
    /// The status to end the process with, once that is decided.
    pub exit: Option<u8>,
}

/// What commands may use that are answered on the I/O thread.
pub struct Shared {
    /// `-name`
    pub name: Option<String>,
    /// `-uuid`, all zeros by default.
    pub uuid: [u8; 16],
    /// What the machine is doing.
    pub run_state: Arc<RunStateCell>,
    /// The character devices, for `yank`.
    pub chardevs: Chardevs,
}

impl Vm {
    /// Runs one line of the human monitor for `human-monitor-command`.
    pub fn execute_hmp(&mut self, call: &mut Call, line: &str, cpu: Option<usize>) -> String {
        let hmp = Arc::clone(&self.hmp);
        hmp.execute(self, call, line, cpu)
    }

    /// The CPU of that index.
    ///
    /// # Errors
    /// There is none.
    pub fn cpu_index(&self, index: i64) -> Result<usize> {
        let index = usize::try_from(index)
            .ok()
            .filter(|index| *index < self.machine.cpu_count());
        index.ok_or_else(|| Error::expects(Some("cpu-index"), "a CPU number"))
    }

    /// Starts what the command line asked for: at once, or by way of
    /// `-preconfig` at [`exit_preconfig`](Self::exit_preconfig).
    ///
    /// # Errors
    /// The machine cannot run.
    pub fn begin(&mut self) -> Result<()> {
        if self.config.preconfig {
            self.server.set_preconfig(true);
            return Ok(());
        }
        self.autostart()
    }

    /// `x-exit-preconfig`
    ///
    /// # Errors
    /// It was done already, or the machine cannot run.
    pub fn exit_preconfig(&mut self) -> Result<()> {
        if !self.server.preconfig() {
            return Err(Error::generic(
                "The command is permitted only before machine initialization",
            ));
        }
        self.server.set_preconfig(false);
        self.autostart()
    }

    fn autostart(&mut self) -> Result<()> {
        if self.config.start_paused {
            return Ok(());
        }
        self.cont()
    }

    /// `cont`
    ///
    /// # Errors
    /// The machine must be reset first.
    pub fn cont(&mut self) -> Result<()> {
        self.machine.start().map_err(machine_error)
    }

    /// `stop`
    pub fn stop(&mut self) {
        self.machine.stop(RunState::Paused);
    }

    /// `system_reset`
    pub fn system_reset(&mut self) {
        let progress = self.machine.reset(ShutdownCause::HostQmpSystemReset);
        self.note(progress);
    }

    /// `quit`
    pub fn quit(&mut self) {
        let progress = self.machine.quit(ShutdownCause::HostQmpQuit);
        self.note(progress);
    }

    /// Does what devices and signals have asked for.
    pub fn process_requests(&mut self) {
        let progress = self.machine.process_requests();
        self.note(progress);
    }

    fn note(&mut self, progress: Progress) {
        if let Progress::Exit(status) = progress {
            self.exit = Some(status);
        }
    }
}

/// The wire error for a fault of the machine.
pub fn machine_error(error: tinamou_machine::Error) -> Error {
    Error::generic(error.to_string())
}
