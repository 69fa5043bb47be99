//! A hub: what comes in at one port goes out at all others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, Context};
use crate::cable::Port;

/// A hub with its ports. It ends with the last of them.
pub(crate) struct Hub {
    number: i32,
    ports: Mutex<Vec<Arc<Port>>>,
}

impl Hub {
    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    fn ports(&self) -> MutexGuard<'_, Vec<Arc<Port>>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a port to the hub of that number.
pub(super) fn open(number: i32, port: Port, context: &Context<'_>) -> Backend {
    let found = context.hubs.iter().find(|hub| hub.number == number);
    let hub = found.map_or_else(
        || {
            Arc::new(Hub {
                number,
                ports: Mutex::default(),
            })
        },
        |hub| Arc::clone(hub),
    );
    let seat = Seat {
        port: Arc::new(port),
        hub: Arc::clone(&hub),
    };
    hub.ports().push(Arc::clone(&seat.port));
    let mut backend = Backend::new("hubport", "", context);
    backend.hub = Some(hub);
    backend.tasks.spawn(async move {
        loop {
            seat.repeat(seat.port.recv().await);
        }
    });
    backend
}

/// A port's place in its hub.
struct Seat {
    port: Arc<Port>,
    hub: Arc<Hub>,
}

impl Seat {
    /// Sends a frame to all others. Who cannot take it now loses it: one slow station must not
    /// hold up the rest.
    fn repeat(&self, frame: crate::Frame) {
        let ports = self.hub.ports();
        for other in ports.iter().filter(|other| !Arc::ptr_eq(other, &self.port)) {
            // Full: lost.
            let _ = other.try_send(frame.clone());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut ports = self.hub.ports();
        ports.retain(|port| !Arc::ptr_eq(port, &self.port));
    }
}
