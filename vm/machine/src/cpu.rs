//! A hart and the thread that runs it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tinamou_hart::{Hart, HartControl};

use crate::Error;

/// A hart, the thread it runs on, and the gate at which that thread waits while stopped.
pub(crate) struct Cpu {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    thread_id: i64,
}

struct Shared {
    control: Arc<HartControl>,
    hart: Mutex<Hart>,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Default)]
struct Gate {
    /// The thread may leave the gate.
    open: bool,
    /// The thread must end.
    closing: bool,
    /// The thread waits at the gate.
    parked: bool,
    /// The thread's id on the host.
    thread_id: Option<i64>,
}

impl Cpu {
    /// Starts the thread `name`, parked.
    pub(crate) fn new(name: String, hart: Hart) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            control: Arc::clone(hart.control()),
            hart: Mutex::new(hart),
            gate: Mutex::default(),
            moved: Condvar::new(),
        });
        shared.control.pause();
        let inner = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || inner.live())
            .map_err(Error::Thread)?;
        let thread_id = shared
            .wait(|gate| gate.thread_id.is_some())
            .thread_id
            .unwrap_or(0);
        Ok(Self {
            shared,
            thread: Some(thread),
            thread_id,
        })
    }

    /// The thread's id on the host.
    pub(crate) fn thread_id(&self) -> i64 {
        self.thread_id
    }

    /// Makes the hart decode anew what has changed behind its back.
    pub(crate) fn flush_instructions(&self) {
        self.shared.control.flush_instructions();
    }

    /// Lets the hart run.
    pub(crate) fn start(&self) {
        self.shared.control.resume();
        self.shared.lock().open = true;
        self.shared.moved.notify_all();
    }

    /// Asks the hart to stop; [`Cpu::park`] waits for it.
    pub(crate) fn ask_to_stop(&self) {
        self.shared.lock().open = false;
        self.shared.control.pause();
    }

    /// Waits until a hart that was asked to stop has.
    pub(crate) fn park(&self) {
        drop(self.shared.wait(|gate| gate.parked));
    }

    /// Gives the hart to `look`, stopping it meanwhile if it runs.
    pub(crate) fn with_hart<R>(&self, look: impl FnOnce(&mut Hart) -> R) -> R {
        let running = self.shared.lock().open;
        if running {
            self.ask_to_stop();
            self.park();
        }
        let result = look(&mut self.shared.hart());
        if running {
            self.start();
        }
        result
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        self.ask_to_stop();
        self.shared.lock().closing = true;
        self.shared.moved.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn live(&self) {
        self.lock().thread_id = Some(own_thread_id());
        while self.pass_gate() {
            self.hart().run();
        }
    }

    /// Waits for leave to run; false when it is time to end.
    fn pass_gate(&self) -> bool {
        let mut gate = self.lock();
        gate.parked = true;
        self.moved.notify_all();
        let wait = self
            .moved
            .wait_while(gate, |gate| !gate.open && !gate.closing);
        gate = wait.unwrap_or_else(PoisonError::into_inner);
        gate.parked = false;
        !gate.closing
    }

    fn wait(&self, until: impl Fn(&Gate) -> bool) -> MutexGuard<'_, Gate> {
        let wait = self.moved.wait_while(self.lock(), |gate| !until(gate));
        wait.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hart(&self) -> MutexGuard<'_, Hart> {
        self.hart.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn own_thread_id() -> i64 {
    rustix::thread::gettid().as_raw_nonzero().get().into()
}
