//! The machine: board, harts, clock and run state, owned by the main loop.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use tinamou_devices::{Clock, Gate};
use tinamou_hart::{Config, Extension, Firmware, Hart, HartControl};
use tinamou_memory::{AddressSpace, Dma};
use tinamou_pci::devices::PanicEvent;

use crate::Error;
use crate::config::{Accelerator, Aia, Bios, BoardKind, MachineConfig};
use crate::cpu::Cpu;
use crate::device_memory::{DeviceMemory, NewMemory, PlacedMemory};
use crate::requests::{Requests, Shutdown};
use crate::run_state::{
    Actions, Event, GuestPanicAction, PanicAction, RebootAction, RunState, RunStateCell,
    ShutdownAction, ShutdownCause, WatchdogAction,
};
use crate::under_test::TestState;
use crate::virt::{BoardEnvironment, CPUS_MAX, Site, Virt};

/// Whether the main loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// It does.
    Continue,
    /// It ends the process with this status.
    Exit(u8),
}

/// Told of everything that happens, on the thread that owns the machine and in order.
pub type Observer = Box<dyn Fn(Event) + Send>;

/// Called whenever the machine is reset, while it stands still. It goes when its owner drops it.
pub type ResetHook = dyn Fn() + Send + Sync;

/// A machine. Dropping it stops the harts and ends their threads.
pub struct Machine {
    config: MachineConfig,
    actions: Actions,
    observer: Observer,
    run_state: Arc<RunStateCell>,
    clock: Arc<Clock>,
    gate: Arc<Gate>,
    requests: Arc<Requests>,
    space: Arc<AddressSpace>,
    virt: Option<Virt>,
    device_memory: Option<DeviceMemory>,
    reset_hooks: Vec<Weak<ResetHook>>,
    cpus: Vec<Cpu>,
    timers: Option<JoinHandle<()>>,
    pub(crate) test: TestState,
}

impl Machine {
    /// Makes a machine in state `prelaunch`, its memory loaded and its harts at rest.
    ///
    /// # Errors
    /// When a file cannot be loaded or the host lacks memory or threads.
    pub fn new(mut config: MachineConfig, observer: Observer) -> Result<Self, Error> {
        if config.aia == Aia::AplicImsic {
            config.isa = config.isa.with(&[Extension::Smaia, Extension::Ssaia]);
        }
        let clock = Clock::new();
        let mut machine = Self {
            actions: config.actions,
            observer,
            run_state: Arc::default(),
            gate: Gate::new(),
            requests: Arc::default(),
            space: Arc::new(AddressSpace::new("memory")),
            virt: None,
            device_memory: None,
            reset_hooks: Vec::new(),
            cpus: Vec::new(),
            timers: None,
            test: TestState::default(),
            clock,
            config,
        };
        if machine.config.board == BoardKind::Virt {
            machine.populate()?;
            machine.reset_parts();
        }
        Ok(machine)
    }

    /// The configuration it was made from.
    #[must_use]
    pub fn config(&self) -> &MachineConfig {
        &self.config
    }

    /// What it is doing.
    #[must_use]
    pub fn run_state(&self) -> RunState {
        self.run_state.load()
    }

    /// The run state for other threads.
    #[must_use]
    pub fn run_state_cell(&self) -> Arc<RunStateCell> {
        Arc::clone(&self.run_state)
    }

    /// Where devices, signal handlers and commands ask for shutdowns and resets.
    #[must_use]
    pub fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    /// What is done about things that happen.
    pub fn actions_mut(&mut self) -> &mut Actions {
        &mut self.actions
    }

    /// The virtual clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Open while the machine runs.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Guest RAM, as devices reach it.
    #[must_use]
    pub fn dma(&self) -> Dma {
        Dma::new(Arc::clone(&self.space))
    }

    /// Guest physical memory and devices.
    #[must_use]
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// The board, when the machine has one.
    #[must_use]
    pub fn virt(&self) -> Option<&Virt> {
        self.virt.as_ref()
    }

    /// Plugs in the memory of a memory device.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn plug_memory(&self, new: &NewMemory<'_>) -> Result<PlacedMemory, Error> {
        let memory = self.device_memory.as_ref();
        let memory = memory.ok_or(Error::NoDeviceMemory)?;
        memory.plug(&self.space, new)
    }

    /// Has a part of the machine told of resets, for as long as the hook is there.
    pub fn on_reset(&mut self, hook: Weak<ResetHook>) {
        self.reset_hooks.retain(|hook| hook.strong_count() > 0);
        self.reset_hooks.push(hook);
    }

    /// The device tree blob.
    ///
    /// # Errors
    /// [`Error::NoDeviceTree`] without a board.
    pub fn device_tree(&self) -> Result<&[u8], Error> {
        self.virt
            .as_ref()
            .map(Virt::device_tree)
            .ok_or(Error::NoDeviceTree)
    }

    /// How many harts there are.
    #[must_use]
    pub fn cpu_count(&self) -> usize {
        self.cpus.len()
    }

    /// The host's ids of the hart threads, in order of the harts.
    pub fn thread_ids(&self) -> impl Iterator<Item = i64> {
        self.cpus.iter().map(Cpu::thread_id)
    }

    /// Makes the harts see code that was written from outside.
    pub(crate) fn flush_instructions(&self) {
        self.cpus.iter().for_each(Cpu::flush_instructions);
    }

    /// Looks at a hart, which stands still meanwhile.
    ///
    /// # Errors
    /// [`Error::NoSuchCpu`].
    pub fn with_hart<R>(
        &self,
        index: usize,
        look: impl FnOnce(&mut Hart) -> R,
    ) -> Result<R, Error> {
        let cpu = self.cpus.get(index).ok_or(Error::NoSuchCpu)?;
        Ok(cpu.with_hart(look))
    }

    /// Lets the machine run (`cont`). Nothing happens when it runs already.
    ///
    /// # Errors
    /// [`Error::ResetRequired`] when it cannot go on from where it is.
    pub fn start(&mut self) -> Result<(), Error> {
        match self.run_state() {
            RunState::Running | RunState::Suspended => return Ok(()),
            state if state.needs_reset() => return Err(Error::ResetRequired),
            _ => {}
        }
        (self.observer)(Event::Resume);
        self.run_state.store(RunState::Running);
        self.release();
        Ok(())
    }

    /// Stops a running machine in `state`. Nothing happens when it does not run.
    pub fn stop(&mut self, state: RunState) {
        if !matches!(self.run_state(), RunState::Running | RunState::Suspended) {
            return;
        }
        self.halt();
        self.run_state.store(state);
        (self.observer)(Event::Stop);
    }

    /// Resets the machine, or shuts it down if that is what resets do.
    pub fn reset(&mut self, cause: ShutdownCause) -> Progress {
        if self.actions.reboot == RebootAction::Shutdown {
            return self.shut_down(Shutdown {
                cause,
                status: 0,
                forced: false,
            });
        }
        let running = self.run_state() == RunState::Running;
        self.halt();
        self.reset_parts();
        (self.observer)(Event::Reset(cause));
        if running {
            self.release();
        } else if !matches!(
            self.run_state(),
            RunState::Inmigrate | RunState::FinishMigrate
        ) {
            self.run_state.store(RunState::Prelaunch);
        }
        Progress::Continue
    }

    /// Asks the guest to power down.
    pub fn power_down(&mut self) {
        (self.observer)(Event::Powerdown);
        if let Some(button) = self
            .virt
            .as_ref()
            .and_then(|virt| virt.power_button.as_ref())
        {
            button.press();
        }
    }

    /// Ends the machine at the wish of its user, whatever shutdowns do otherwise.
    pub fn quit(&mut self, cause: ShutdownCause) -> Progress {
        self.shut_down(Shutdown {
            cause,
            status: 0,
            forced: true,
        })
    }

    /// Does what has been asked through [`Machine::requests`].
    pub fn process_requests(&mut self) -> Progress {
        let pending = self.requests.take();
        for event in pending.panics {
            if let Progress::Exit(status) = self.panic(event) {
                return Progress::Exit(status);
            }
        }
        if pending.watchdog
            && let Progress::Exit(status) = self.watchdog()
        {
            return Progress::Exit(status);
        }
        if let Some(shutdown) = pending.shutdown
            && let Progress::Exit(status) = self.shut_down(shutdown)
        {
            return Progress::Exit(status);
        }
        if let Some(cause) = pending.reset
            && let Progress::Exit(status) = self.reset(cause)
        {
            return Progress::Exit(status);
        }
        if pending.powerdown {
            self.power_down();
        }
        if let Some(state) = pending.stop {
            self.stop(state);
        }
        Progress::Continue
    }

    /// Deals with what the guest says of its own end.
    fn panic(&mut self, event: PanicEvent) -> Progress {
        match event {
            PanicEvent::Panicked => self.panicked(),
            PanicEvent::CrashLoaded => {
                (self.observer)(Event::GuestCrashLoaded);
                Progress::Continue
            }
            PanicEvent::Shutdown => {
                (self.observer)(Event::GuestPvShutdown);
                self.shut_down(Shutdown::by_guest(ShutdownCause::GuestShutdown))
            }
        }
    }

    fn panicked(&mut self) -> Progress {
        let Actions {
            panic, shutdown, ..
        } = self.actions;
        let action = match (panic, shutdown) {
            (PanicAction::Pause, _) | (PanicAction::Shutdown, ShutdownAction::Pause) => {
                GuestPanicAction::Pause
            }
            (PanicAction::Shutdown | PanicAction::ExitFailure, _) => GuestPanicAction::Poweroff,
            (PanicAction::None, _) => GuestPanicAction::Run,
        };
        (self.observer)(Event::GuestPanicked(action));
        match action {
            GuestPanicAction::Pause => self.stop(RunState::GuestPanicked),
            GuestPanicAction::Poweroff => {
                return self.shut_down(Shutdown::by_guest(ShutdownCause::GuestPanic));
            }
            GuestPanicAction::Run => {}
        }
        Progress::Continue
    }

    /// Deals with a watchdog that has run out.
    fn watchdog(&mut self) -> Progress {
        let action = self.actions.watchdog;
        (self.observer)(Event::Watchdog(action));
        match action {
            WatchdogAction::Reset => return self.reset(ShutdownCause::GuestReset),
            WatchdogAction::Shutdown => self.power_down(),
            WatchdogAction::Poweroff => {
                // As with QEMU nothing is said of the end.
                self.halt();
                return Progress::Exit(0);
            }
            WatchdogAction::Pause => self.stop(RunState::Watchdog),
            // The observer has said it; the board has no non-maskable interrupt.
            WatchdogAction::Debug | WatchdogAction::None | WatchdogAction::InjectNmi => {}
        }
        Progress::Continue
    }

    fn shut_down(&mut self, shutdown: Shutdown) -> Progress {
        let Shutdown {
            cause,
            status,
            forced,
        } = shutdown;
        (self.observer)(Event::Shutdown(cause));
        if !forced && self.actions.shutdown == ShutdownAction::Pause {
            self.stop(RunState::Shutdown);
            return Progress::Continue;
        }
        self.halt();
        let panicked =
            cause == ShutdownCause::GuestPanic && self.actions.panic == PanicAction::ExitFailure;
        Progress::Exit(if status == 0 && panicked { 1 } else { status })
    }

    /// Lets devices, time and harts go.
    fn release(&self) {
        self.gate.open();
        if self.config.accelerator == Accelerator::Qtest {
            return;
        }
        self.clock.start();
        self.cpus.iter().for_each(Cpu::start);
    }

    /// Brings harts, then time, then devices to a stand.
    fn halt(&self) {
        self.cpus.iter().for_each(Cpu::ask_to_stop);
        self.cpus.iter().for_each(Cpu::park);
        self.clock.stop();
        self.gate.close();
        self.gate.drain();
    }

    /// Puts board and harts as at power-on. Nothing runs meanwhile.
    fn reset_parts(&mut self) {
        let Some(virt) = &mut self.virt else { return };
        virt.reset(&self.space, &self.config);
        for hook in self.reset_hooks.iter().filter_map(Weak::upgrade) {
            hook();
        }
        let starts = std::iter::once(virt.boot.first).chain(std::iter::repeat(virt.boot.others));
        for (cpu, start) in self.cpus.iter().zip(starts) {
            cpu.with_hart(|hart| hart.reset(start));
        }
    }

    fn populate(&mut self) -> Result<(), Error> {
        let config = &self.config;
        self.device_memory = DeviceMemory::new(config)?;
        if !(1..=CPUS_MAX).contains(&config.cpus) {
            let (cpus, machine) = (config.cpus, config.board.name());
            return Err(Error::TooManyCpus {
                cpus,
                machine,
                limit: CPUS_MAX,
            });
        }
        let harts: Vec<_> = (0..config.cpus as u64)
            .map(|id| Arc::new(HartControl::new(id)))
            .collect();
        let virt = Virt::new(&Site {
            config,
            clock: &self.clock,
            space: &self.space,
            requests: &self.requests,
            harts: &harts,
        })?;
        self.cpus = self.cpus_for(&virt, harts)?;
        self.virt = Some(virt);
        let clock = Arc::clone(&self.clock);
        let timers = std::thread::Builder::new().name("timers".into());
        self.timers = Some(timers.spawn(move || clock.serve()).map_err(Error::Thread)?);
        Ok(())
    }

    fn cpus_for(&self, virt: &Virt, harts: Vec<Arc<HartControl>>) -> Result<Vec<Cpu>, Error> {
        let environment = Arc::new(BoardEnvironment {
            time: Arc::clone(virt.clint.time()),
            harts: harts.clone(),
            console: Arc::clone(&self.config.serial),
            requests: Arc::clone(&self.requests),
            files: virt.controller.files().cloned(),
        });
        let firmware = match self.config.bios {
            Bios::BuiltIn => Firmware::BuiltIn,
            Bios::None | Bios::File(_) => Firmware::Guest,
        };
        let config = Config {
            isa: self.config.isa,
            firmware,
        };
        let cpus = harts.into_iter().enumerate().map(|(index, control)| {
            let space = Arc::clone(&self.space);
            let hart = Hart::new(config.clone(), control, space, environment.clone());
            Cpu::new(format!("CPU {index}/TCG"), hart)
        });
        cpus.collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.halt();
        self.clock.close();
        if let Some(timers) = self.timers.take() {
            // A thread that panicked has said so already.
            let _ = timers.join();
        }
    }
}
