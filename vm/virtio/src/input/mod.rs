//! Keyboards and pointers (virtio 1.2 §5.8).

mod model;
mod spec;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_display::{Event, Handler, InputDevice, Inputs};

pub use model::Model;
use model::{Answer, Report};
use spec::{EVENTS, PAYLOAD, QUEUE_SIZE, STATUS, ev};

use crate::spec::QUEUE_SIZE_MAX;
use crate::{Chain, DeviceType, Port, VirtioDevice};

/// How a device is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is.
    pub model: Model,
    /// Its serial number.
    pub serial: Option<String>,
    /// Whether a wheel turns an axis; it pushes buttons otherwise.
    pub wheel_axis: bool,
    /// The screen whose events it wants, if of one alone.
    pub screen: Option<usize>,
}

/// The device.
pub struct Input {
    port: Port,
    wheel_axis: bool,
    answers: Vec<Answer>,
    handler: Handler,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the driver has selected in the configuration space.
    selected: [u8; 2],
    /// The driver is ready.
    active: bool,
    /// What was done since the last sync.
    open: Vec<Report>,
    /// What waits for the device thread, each batch to be delivered as a whole or not at all.
    batches: VecDeque<Vec<Report>>,
}

impl Input {
    /// A device that gets events from `inputs`.
    #[must_use]
    pub fn new(port: Port, inputs: &Inputs, options: &Options) -> Arc<Self> {
        let model = options.model;
        Arc::new_cyclic(|me: &Weak<Self>| {
            let me: Weak<dyn InputDevice> = me.clone();
            Self {
                port,
                wheel_axis: options.wheel_axis,
                answers: model.answers(options.serial.as_deref()),
                handler: inputs.register(model.name(), model.kinds(), options.screen, me),
                state: Mutex::default(),
            }
        })
    }

    /// Is out of the machine: gets no more events.
    pub fn leave(&self) {
        self.handler.leave();
    }

    /// Gives the driver a batch. It is lost when there is not room for all of it.
    fn deliver(&self, batch: &[Report]) {
        let mut chains = Vec::new();
        for _ in batch {
            let Some(chain) = self.port.pop(EVENTS) else {
                while let Some(chain) = chains.pop() {
                    self.port.unpop(chain);
                }
                return;
            };
            chains.push(chain);
        }
        let filled = chains.into_iter().zip(batch);
        let filled = filled.map(|(chain, report)| {
            let written = fill(&chain, *report);
            (chain, written)
        });
        self.port.push_all(filled);
    }

    /// The driver switches lights, which nobody sees yet.
    fn take_status(&self) {
        while let Some(chain) = self.port.pop(STATUS) {
            self.port.push(chain, 0);
        }
        self.port.notify(STATUS);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InputDevice for Input {
    fn event(&self, event: Event) {
        let mut state = self.state();
        // More than a ring can hold would be lost anyway; one more marks it so.
        if state.active && state.open.len() <= usize::from(QUEUE_SIZE_MAX) {
            state.open.extend(model::reports(event, self.wheel_axis));
        }
    }

    fn sync(&self) {
        let mut state = self.state();
        if !state.active {
            return;
        }
        let mut batch = std::mem::take(&mut state.open);
        batch.push((ev::SYN, 0, 0));
        let waiting: usize = state.batches.iter().map(Vec::len).sum();
        if waiting + batch.len() > usize::from(QUEUE_SIZE_MAX) {
            return;
        }
        state.batches.push_back(batch);
        drop(state);
        self.port.wake(EVENTS);
    }
}

impl VirtioDevice for Input {
    fn device_type(&self) -> DeviceType {
        DeviceType::Input
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; 2]
    }

    /// The selected answer; all zeroes if there is none.
    fn config(&self) -> Vec<u8> {
        let longest = self.answers.iter().map(|answer| answer.payload.len()).max();
        let mut config = vec![0; PAYLOAD + longest.unwrap_or(0)];
        let [select, subselect] = self.state().selected;
        let mut answers = self.answers.iter();
        let wanted = |answer: &&Answer| (answer.select, answer.subselect) == (select, subselect);
        if let Some(answer) = answers.find(wanted) {
            let length = answer.payload.len();
            config[..3].copy_from_slice(&[select, subselect, length as u8]);
            config[PAYLOAD..PAYLOAD + length].copy_from_slice(&answer.payload);
        }
        config
    }

    fn write_config(&self, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        for (field, byte) in state.selected.iter_mut().skip(offset).zip(bytes) {
            *field = *byte;
        }
    }

    fn driver_ok(&self) {
        self.state().active = true;
        self.handler.activate();
    }

    fn kick(&self, queue: usize) {
        if queue == STATUS {
            return self.take_status();
        }
        let batches = std::mem::take(&mut self.state().batches);
        for batch in &batches {
            self.deliver(batch);
        }
        if !batches.is_empty() {
            self.port.notify(EVENTS);
        }
    }

    fn reset(&self) {
        let was_active = std::mem::take(&mut *self.state()).active;
        if was_active {
            self.handler.deactivate();
        }
    }
}

/// Writes an event into a buffer; how much fitted.
fn fill(chain: &Chain, (kind, code, value): Report) -> u32 {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&kind.to_le_bytes());
    bytes[2..4].copy_from_slice(&code.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_le_bytes());
    let written = std::io::Write::write(&mut chain.writer(), &bytes);
    written.unwrap_or(0) as u32
}

#[cfg(test)]
mod tests;
