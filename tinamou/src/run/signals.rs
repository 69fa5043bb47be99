//! Signals that end the process in good order, from its start on.

use std::io;
use std::sync::{Arc, OnceLock};

use tinamou_chardev::Chardevs;
use tinamou_machine::{Requests, ShutdownCause};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::log;

/// Listens on the I/O thread, since the start may wait for something.
pub(super) struct Signals(Arc<OnceLock<Arc<Requests>>>);

impl Signals {
    /// Listens from now on. Until there is a machine, a signal closes the
    /// character devices, which gives the terminal its mode back, and ends the
    /// process.
    pub(super) fn listen(io: &Handle, chardevs: &Chardevs, program: &str) -> io::Result<Self> {
        let machine = Arc::new(OnceLock::new());
        let _runtime = io.enter();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            let end = End {
                machine: Arc::clone(&machine),
                chardevs: chardevs.clone(),
                name: format!("signal {}", kind.as_raw_value()),
                program: program.into(),
            };
            io.spawn(end.on(signal(kind)?));
        }
        Ok(Self(machine))
    }

    /// From now on signals ask the machine to end.
    pub(super) fn ask(&self, requests: &Arc<Requests>) {
        // There is one machine, so this is the first.
        let _ = self.0.set(Arc::clone(requests));
    }
}

struct End {
    machine: Arc<OnceLock<Arc<Requests>>>,
    chardevs: Chardevs,
    name: String,
    program: String,
}

impl End {
    async fn on(self, mut signals: Signal) {
        while signals.recv().await.is_some() {
            let name = &self.name;
            log::tell(&self.program, format_args!("terminating on {name}"));
            let Some(requests) = self.machine.get() else {
                self.chardevs.close();
                // One may just be being opened.
                tinamou_chardev::restore_terminal();
                std::process::exit(1);
            };
            requests.quit(ShutdownCause::HostSignal);
        }
    }
}
