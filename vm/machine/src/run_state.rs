//! Whether the machine runs and why not: QEMU's run states, the causes of shutdowns and resets,
//! and what is done about them.

use std::sync::atomic::{AtomicU8, Ordering};

/// Declares an enum of names as the protocol spells them.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of the schema.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the protocol.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

named! {
    /// What the machine is doing.
    RunState {
        /// Stopped by a debugger.
        Debug "debug",
        /// Waiting for an incoming migration.
        Inmigrate "inmigrate",
        /// Stopped by a fault of the emulator itself.
        InternalError "internal-error",
        /// Stopped by a failed input or output operation.
        IoError "io-error",
        /// Stopped by the user.
        Paused "paused",
        /// Stopped after an outgoing migration.
        Postmigrate "postmigrate",
        /// Never started, or reset while stopped.
        Prelaunch "prelaunch",
        /// Stopped for the end of a migration.
        FinishMigrate "finish-migrate",
        /// Stopped while a snapshot is loaded.
        RestoreVm "restore-vm",
        /// Running.
        Running "running",
        /// Stopped while a snapshot is saved.
        SaveVm "save-vm",
        /// The guest has shut down and the machine was kept.
        Shutdown "shutdown",
        /// The guest sleeps.
        Suspended "suspended",
        /// Stopped by the watchdog.
        Watchdog "watchdog",
        /// Stopped by a panic of the guest.
        GuestPanicked "guest-panicked",
        /// Stopped for a checkpoint.
        Colo "colo",
    }
}

impl RunState {
    /// Whether the machine must be reset before it can go on.
    #[must_use]
    pub const fn needs_reset(self) -> bool {
        matches!(self, Self::InternalError | Self::Shutdown)
    }
}

/// The run state as threads other than the main loop see it.
#[derive(Debug)]
pub struct RunStateCell(AtomicU8);

impl Default for RunStateCell {
    fn default() -> Self {
        Self(AtomicU8::new(RunState::Prelaunch as u8))
    }
}

impl RunStateCell {
    /// The present state.
    #[must_use]
    pub fn load(&self) -> RunState {
        let index = usize::from(self.0.load(Ordering::Acquire));
        RunState::ALL
            .get(index)
            .copied()
            .unwrap_or(RunState::InternalError)
    }

    pub(crate) fn store(&self, state: RunState) {
        self.0.store(state as u8, Ordering::Release);
    }
}

named! {
    /// Why a machine is shut down or reset.
    ShutdownCause {
        /// No cause given.
        None "none",
        /// An error of the host.
        HostError "host-error",
        /// The `quit` command.
        HostQmpQuit "host-qmp-quit",
        /// The `system_reset` command.
        HostQmpSystemReset "host-qmp-system-reset",
        /// A signal, such as SIGTERM.
        HostSignal "host-signal",
        /// A user interface was closed.
        HostUi "host-ui",
        /// The guest powered off.
        GuestShutdown "guest-shutdown",
        /// The guest asked for a reset.
        GuestReset "guest-reset",
        /// The guest panicked.
        GuestPanic "guest-panic",
        /// Part of the machine restarts.
        SubsystemReset "subsystem-reset",
        /// A snapshot is loaded.
        SnapshotLoad "snapshot-load",
    }
}

impl ShutdownCause {
    /// Whether the guest, not the host, is behind it.
    #[must_use]
    pub const fn by_guest(self) -> bool {
        self as u8 >= Self::GuestShutdown as u8
    }
}

named! {
    /// What a guest's reset does.
    RebootAction {
        /// Reset the machine.
        Reset "reset",
        /// Shut it down (`-no-reboot`).
        Shutdown "shutdown",
    }
}

named! {
    /// What a shutdown does.
    ShutdownAction {
        /// End the process.
        Poweroff "poweroff",
        /// Stop the machine and keep it (`-no-shutdown`).
        Pause "pause",
    }
}

named! {
    /// What a panic of the guest does.
    PanicAction {
        /// Stop the machine.
        Pause "pause",
        /// Shut it down.
        Shutdown "shutdown",
        /// Shut it down and exit with failure.
        ExitFailure "exit-failure",
        /// Nothing.
        None "none",
    }
}

named! {
    /// What a watchdog that runs out does.
    WatchdogAction {
        /// Reset the machine.
        Reset "reset",
        /// Ask the guest to shut down.
        Shutdown "shutdown",
        /// Shut the machine down.
        Poweroff "poweroff",
        /// Stop it.
        Pause "pause",
        /// Say so on stderr.
        Debug "debug",
        /// Nothing.
        None "none",
        /// Inject a non-maskable interrupt.
        InjectNmi "inject-nmi",
    }
}

named! {
    /// What is done about a panic that has happened.
    GuestPanicAction {
        /// The machine is stopped.
        Pause "pause",
        /// It is shut down.
        Poweroff "poweroff",
        /// It goes on.
        Run "run",
    }
}

/// What is done about things that happen (`-action`, `set-action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions {
    /// About a reset asked for by guest or user.
    pub reboot: RebootAction,
    /// About a shutdown.
    pub shutdown: ShutdownAction,
    /// About a panic.
    pub panic: PanicAction,
    /// About a watchdog.
    pub watchdog: WatchdogAction,
}

impl Default for Actions {
    fn default() -> Self {
        Self {
            reboot: RebootAction::Reset,
            shutdown: ShutdownAction::Poweroff,
            panic: PanicAction::Shutdown,
            watchdog: WatchdogAction::Reset,
        }
    }
}

/// What the machine tells the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It has stopped.
    Stop,
    /// It goes on.
    Resume,
    /// It was reset.
    Reset(ShutdownCause),
    /// It is shut down.
    Shutdown(ShutdownCause),
    /// The guest is asked to power down.
    Powerdown,
    /// The guest has panicked, and this is done about it.
    GuestPanicked(GuestPanicAction),
    /// The guest has panicked and runs another kernel to look into that.
    GuestCrashLoaded,
    /// The guest has shut down and waits for the power to go.
    GuestPvShutdown,
    /// The watchdog has run out, and this is done about it.
    Watchdog(WatchdogAction),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_published() {
        let cell = RunStateCell::default();
        assert_eq!(cell.load(), RunState::Prelaunch);
        for state in RunState::ALL {
            cell.store(*state);
            assert_eq!(cell.load(), *state);
        }
    }

    #[test]
    fn causes_know_who_is_behind_them() {
        let guest: Vec<_> = ShutdownCause::ALL
            .iter()
            .filter(|cause| cause.by_guest())
            .map(|c| c.name())
            .collect();
        let expected = [
            "guest-shutdown",
            "guest-reset",
            "guest-panic",
            "subsystem-reset",
            "snapshot-load",
        ];
        assert_eq!(guest, expected);
    }
}
