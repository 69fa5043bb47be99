//! What devices, harts and signal handlers ask of the main loop.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tinamou_devices::test_finisher::Finish;
use tinamou_hart::SystemReset;
use tinamou_pci::devices::PanicEvent;

use crate::run_state::{RunState, ShutdownCause};

/// Pending requests, at most one of a kind: a later shutdown or reset replaces an earlier one.
#[derive(Default)]
pub struct Requests {
    pending: Mutex<Pending>,
    waker: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) reset: Option<ShutdownCause>,
    pub(crate) powerdown: bool,
    pub(crate) stop: Option<RunState>,
    pub(crate) watchdog: bool,
    /// What the guest says of itself, each at most once.
    pub(crate) panics: Vec<PanicEvent>,
}

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shutdown {
    pub(crate) cause: ShutdownCause,
    /// The exit status of the process.
    pub(crate) status: u8,
    /// Whether the process ends even if shutdowns only pause the machine.
    pub(crate) forced: bool,
}

impl Shutdown {
    /// Asked for by the guest.
    pub(crate) fn by_guest(cause: ShutdownCause) -> Self {
        Self {
            cause,
            status: 0,
            forced: false,
        }
    }
}

impl Requests {
    /// Calls `wake` after every request; it returns at once and may be called from any thread.
    /// Only the first caller is heard.
    pub fn on_request(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A machine belongs to one main loop.
        let _ = self.waker.set(Box::new(wake));
    }

    /// Asks for a shutdown on behalf of the guest.
    pub fn shutdown(&self, cause: ShutdownCause, status: u8) {
        self.ask(|pending| {
            pending.shutdown = Some(Shutdown {
                cause,
                status,
                forced: false,
            });
        });
    }

    /// Asks for the end of the process, whatever a shutdown does otherwise.
    pub fn quit(&self, cause: ShutdownCause) {
        self.ask(|pending| {
            pending.shutdown = Some(Shutdown {
                cause,
                status: 0,
                forced: true,
            });
        });
    }

    /// Asks for a reset.
    pub fn reset(&self, cause: ShutdownCause) {
        self.ask(|pending| pending.reset = Some(cause));
    }

    /// Asks that the guest be asked to power down.
    pub fn powerdown(&self) {
        self.ask(|pending| pending.powerdown = true);
    }

    /// Asks for a stop in `state`.
    pub fn stop(&self, state: RunState) {
        self.ask(|pending| pending.stop = Some(state));
    }

    /// Says that the watchdog has run out.
    pub fn watchdog(&self) {
        self.ask(|pending| pending.watchdog = true);
    }

    /// Says what the guest says of its own end.
    pub fn panic(&self, event: PanicEvent) {
        self.ask(|pending| {
            if !pending.panics.contains(&event) {
                pending.panics.push(event);
            }
        });
    }

    /// What the test finisher was told.
    pub(crate) fn finish(&self, finish: Finish) {
        match finish {
            Finish::Pass => self.shutdown(ShutdownCause::GuestShutdown, 0),
            Finish::Reset => self.reset(ShutdownCause::GuestReset),
            // Of an exit status the host keeps the low eight bits.
            Finish::Fail(code) => self.shutdown(ShutdownCause::GuestPanic, code as u8),
        }
    }

    /// What the firmware was told (SBI 3.0 §10).
    pub(crate) fn system_reset(&self, reset: SystemReset) {
        match reset {
            SystemReset::Shutdown { failure: false } => self.finish(Finish::Pass),
            SystemReset::Shutdown { failure: true } => self.finish(Finish::Fail(1)),
            SystemReset::Cold | SystemReset::Warm => self.finish(Finish::Reset),
        }
    }

    /// Takes all that is pending.
    pub(crate) fn take(&self) -> Pending {
        std::mem::take(&mut self.lock())
    }

    fn ask(&self, note: impl FnOnce(&mut Pending)) {
        note(&mut self.lock());
        if let Some(wake) = self.waker.get() {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}
