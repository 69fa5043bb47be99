//! Serial ports and consoles (virtio 1.2 §5.3): pipes of bytes that come and go while the guest
//! runs, each with a name and with flow control both ways.

mod port;
pub mod spec;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Chain, DeviceType, Port, VirtioDevice};

use port::SerialPort;
pub use port::{Backend, Observer, PortConfig, PortError, PortState};
use spec::{
    CONTROL_IN, CONTROL_OUT, CONTROL_QUEUE_SIZE, EMERGENCY, PORTS_MAX, QUEUE_SIZE, event, feature,
    input_queue, port_of,
};

/// Control messages that wait for buffers of the driver; more are lost.
const MESSAGES_MAX: usize = 4096;

/// The device.
pub struct Serial {
    port: Port,
    ports_max: u32,
    emergency_write: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ports: BTreeMap<u32, SerialPort>,
    messages: VecDeque<Vec<u8>>,
}

impl Serial {
    /// A device with room for `ports_max` ports, of which there are at most [`PORTS_MAX`].
    #[must_use]
    pub fn new(port: Port, ports_max: u32, emergency_write: bool) -> Arc<Self> {
        Arc::new(Self {
            port,
            ports_max: ports_max.clamp(1, PORTS_MAX),
            emergency_write,
            state: Mutex::default(),
        })
    }

    /// Adds a port and returns its number. A guest that runs is told.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn add_port(&self, config: PortConfig) -> Result<u32, PortError> {
        let mut state = self.state();
        let number = self.place(&state, &config)?;
        state.ports.insert(number, SerialPort::new(config));
        drop(state);
        self.send(number, event::DEVICE_ADD, 1);
        Ok(number)
    }

    /// Takes a port out. A guest that runs is told.
    pub fn remove_port(&self, number: u32) {
        let Some(mut port) = self.state().ports.remove(&number) else {
            return;
        };
        if let Some((chain, _)) = port.take_pending() {
            self.finish(chain, 0);
        }
        self.send(number, event::DEVICE_REMOVE, 1);
    }

    /// Where a port stands.
    #[must_use]
    pub fn port_state(&self, number: u32) -> Option<PortState> {
        self.state().ports.get(&number).map(|port| port.state)
    }

    /// Somebody has come to the host's side of a port, or left it. Consoles do not tell.
    pub fn set_host_connected(&self, number: u32, open: bool) {
        let mut state = self.state();
        let Some(port) = state.ports.get_mut(&number) else {
            return;
        };
        if port.is_console || port.state.host_connected == open {
            return;
        }
        port.state.host_connected = open;
        let lost = if open { None } else { port.take_pending() };
        port.state.throttled = false;
        drop(state);
        if let Some((chain, _)) = lost {
            self.finish(chain, 0);
        }
        self.send(number, event::PORT_OPEN, open.into());
        self.port.wake(input_queue(number) + 1);
    }

    /// The host has bytes for a port.
    pub fn readable(&self, number: u32) {
        self.port.wake(input_queue(number));
    }

    /// The host takes bytes of a port again.
    pub fn writable(&self, number: u32) {
        self.port.wake(input_queue(number) + 1);
    }

    /// The number that a new port gets.
    fn place(&self, state: &State, config: &PortConfig) -> Result<u32, PortError> {
        if let Some(number) = config
            .number
            .filter(|number| state.ports.contains_key(number))
        {
            return Err(PortError::NumberTaken(number));
        }
        let named = |name: &&String| {
            state
                .ports
                .values()
                .any(|port| port.name.as_ref() == Some(name))
        };
        if let Some(name) = config.name.as_ref().filter(named) {
            return Err(PortError::NameTaken(name.clone()));
        }
        let free = || {
            // QEMU looks for a bit in a map of whole words.
            let numbers = 1..self.ports_max.next_multiple_of(32);
            numbers
                .into_iter()
                .find(|number| !state.ports.contains_key(number))
        };
        let number = match config.number {
            Some(number) => number,
            None if config.is_console && !state.ports.contains_key(&0) => 0,
            None => free().ok_or(PortError::Full)?,
        };
        if number >= self.ports_max {
            return Err(PortError::OutOfRange(self.ports_max - 1));
        }
        if number == 0 && !config.is_console {
            return Err(PortError::Reserved);
        }
        Ok(number)
    }

    /// Sends a control message to a guest that can take one.
    fn send(&self, port: u32, what: u16, value: u16) {
        self.send_bytes(message(port, what, value));
    }

    fn send_bytes(&self, message: Vec<u8>) {
        if !self.port.has(feature::MULTIPORT) || !self.port.is_ready(CONTROL_IN) {
            return;
        }
        let mut state = self.state();
        if state.messages.len() < MESSAGES_MAX {
            state.messages.push_back(message);
        }
        drop(state);
        self.port.wake(CONTROL_IN);
    }

    /// Puts waiting messages into the driver's buffers.
    fn deliver_messages(&self) {
        loop {
            let next = self.state().messages.pop_front();
            let Some(message) = next else { return };
            let Some(chain) = self.port.pop(CONTROL_IN) else {
                return self.state().messages.push_front(message);
            };
            let written = chain.writer().write(&message).unwrap_or(0);
            self.finish(chain, written as u32);
        }
    }

    fn take_messages(&self) {
        while let Some(chain) = self.port.pop(CONTROL_OUT) {
            let message = chain.reader().array::<8>();
            self.finish(chain, 0);
            if let Ok([a, b, c, d, e, f, g, h]) = message {
                let port = u32::from_le_bytes([a, b, c, d]);
                let (what, value) = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
                self.handle(port, what, value);
            }
        }
    }

    fn handle(&self, number: u32, what: u16, value: u16) {
        match what {
            event::DEVICE_READY if value != 0 => self.announce_all(),
            event::DEVICE_READY => tracing::warn!("virtio-serial: guest failure in adding device"),
            event::PORT_READY if value != 0 => self.describe(number),
            event::PORT_READY => {
                tracing::warn!("virtio-serial: guest failure in adding port {number}");
            }
            event::PORT_OPEN => {
                let mut state = self.state();
                if let Some(port) = state.ports.get_mut(&number) {
                    port.set_guest_connected(value != 0);
                }
                drop(state);
                self.port.wake(input_queue(number));
            }
            _ => {}
        }
    }

    fn announce_all(&self) {
        let numbers: Vec<_> = self.state().ports.keys().copied().collect();
        for number in numbers {
            self.send(number, event::DEVICE_ADD, 1);
        }
    }

    /// Tells the guest what a port is, now that it is ready for it.
    fn describe(&self, number: u32) {
        let state = self.state();
        let Some(port) = state.ports.get(&number) else {
            return;
        };
        let mut messages = Vec::new();
        if port.is_console {
            messages.push(message(number, event::CONSOLE_PORT, 1));
        }
        if let Some(name) = &port.name {
            let mut named = message(number, event::PORT_NAME, 1);
            named.extend(name.as_bytes());
            named.push(0);
            messages.push(named);
        }
        if port.state.host_connected {
            messages.push(message(number, event::PORT_OPEN, 1));
        }
        drop(state);
        for message in messages {
            self.send_bytes(message);
        }
    }

    /// Carries a port's bytes to the host.
    fn send_output(&self, number: u32, queue: usize) {
        loop {
            let mut state = self.state();
            let pending = match state.ports.get_mut(&number) {
                Some(port) => {
                    port.state.throttled = false;
                    port.take_pending()
                }
                None => None,
            };
            let next = pending.or_else(|| Some((self.port.pop(queue)?, 0)));
            let Some((chain, offset)) = next else { return };
            let done = match state.ports.get_mut(&number) {
                Some(port) => port.send(chain, offset),
                None => Some(chain),
            };
            drop(state);
            let Some(chain) = done else { return };
            self.finish(chain, 0);
        }
    }

    /// Carries the host's bytes to a port that the guest has opened.
    fn send_input(&self, number: u32, queue: usize) {
        let multiport = self.port.has(feature::MULTIPORT);
        loop {
            let state = self.state();
            let open = |port: &&SerialPort| port.state.guest_connected || !multiport;
            let Some(port) = state.ports.get(&number).filter(open) else {
                return;
            };
            let Some(chain) = self.port.pop(queue) else {
                return;
            };
            let written = port.fill(&chain);
            drop(state);
            if written == 0 {
                return self.port.unpop(chain);
            }
            self.finish(chain, written);
        }
    }

    fn finish(&self, chain: Chain, written: u32) {
        let queue = chain.queue();
        self.port.push(chain, written);
        self.port.notify(queue);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A control message.
fn message(port: u32, what: u16, value: u16) -> Vec<u8> {
    [
        &port.to_le_bytes()[..],
        &what.to_le_bytes(),
        &value.to_le_bytes(),
    ]
    .concat()
}

impl VirtioDevice for Serial {
    fn device_type(&self) -> DeviceType {
        DeviceType::Console
    }

    fn features(&self) -> u64 {
        let optional = [
            (self.ports_max > 1, feature::MULTIPORT),
            (self.emergency_write, feature::EMERG_WRITE),
        ];
        let chosen = optional.iter().filter(|(on, _)| *on);
        chosen.fold(0, |bits, (_, bit)| bits | bit)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        let control = [CONTROL_QUEUE_SIZE; 2];
        let others = vec![QUEUE_SIZE; 2 * (self.ports_max as usize - 1)];
        [&[QUEUE_SIZE; 2][..], &control, &others].concat()
    }

    fn config(&self) -> Vec<u8> {
        // The size of a console is not told: the first field of four bytes is zero.
        let mut config = [0, self.ports_max, 0].map(u32::to_le_bytes).concat();
        if !self.emergency_write {
            config.truncate(EMERGENCY);
        }
        config
    }

    fn write_config(&self, offset: usize, bytes: &[u8]) {
        if offset != EMERGENCY || bytes.iter().all(|byte| *byte == 0) {
            return;
        }
        let state = self.state();
        let mut consoles = state.ports.values().filter(|port| port.is_console);
        if let Some(console) = consoles.next() {
            console.send_emergency(bytes[0]);
        }
    }

    fn driver_ok(&self) {
        // Without control messages, a guest cannot say that it has opened its only port.
        if !self.port.has(feature::MULTIPORT)
            && let Some(port) = self.state().ports.get_mut(&0)
        {
            port.state.guest_connected = true;
        }
    }

    fn kick(&self, queue: usize) {
        match (queue, port_of(queue)) {
            (CONTROL_IN, _) => self.deliver_messages(),
            (CONTROL_OUT, _) => self.take_messages(),
            (_, (number, true)) => self.send_input(number, queue),
            (_, (number, false)) => self.send_output(number, queue),
        }
    }

    fn queue_reset(&self, queue: usize) {
        let (number, _) = port_of(queue);
        if let Some(port) = self.state().ports.get_mut(&number) {
            port.take_pending();
        }
    }

    fn reset(&self) {
        let mut state = self.state();
        state.messages.clear();
        for port in state.ports.values_mut() {
            port.take_pending();
            port.state.throttled = false;
            if port.state.guest_connected {
                port.set_guest_connected(false);
            }
        }
    }
}
