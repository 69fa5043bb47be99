//! What the driver is told without having asked (virtio 1.2 §5.6.6.3).

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{MutexGuard, PoisonError};

use super::sense::Sense;
use super::spec::{EVENT_SIZE, event, feature};
use super::{Address, EVENTS, Host};

/// How many events wait for buffers at most.
const WAITING_MAX: usize = 16;

/// Events that wait for buffers.
#[derive(Default)]
pub(super) struct Events {
    waiting: VecDeque<[u8; EVENT_SIZE as usize]>,
    /// There were more than can wait.
    missed: bool,
}

impl Host {
    /// A unit came or went.
    pub(super) fn tell_hotplug(&self, address: Address, reason: u32) {
        if !self.port.has(feature::HOTPLUG) {
            return;
        }
        for unit in self.units() {
            if unit.address() != address {
                unit.attend(Sense::LUNS_CHANGED);
            }
        }
        self.tell(event::TRANSPORT_RESET, address, reason);
    }

    /// A unit is not what it was.
    pub(super) fn tell_change(&self, address: Address, news: Sense) {
        if self.port.has(feature::CHANGE) {
            let reason = u32::from(news.code) | u32::from(news.qualifier) << 8;
            self.tell(event::PARAM_CHANGE, address, reason);
        }
    }

    fn tell(&self, kind: u32, address: Address, reason: u32) {
        if !self.port.is_running() {
            return;
        }
        let mut events = self.waiting();
        if events.waiting.len() < WAITING_MAX {
            let kind = if events.missed {
                kind | event::MISSED
            } else {
                kind
            };
            events.missed = false;
            events.waiting.push_back(encode(kind, address, reason));
        } else {
            events.missed = true;
        }
        drop(events);
        self.port.wake(EVENTS);
    }

    /// Hands out what waits, as far as there are buffers.
    pub(super) fn send_events(&self) {
        loop {
            let mut events = self.waiting();
            if events.waiting.is_empty() && events.missed {
                let nobody = Address { target: 0, lun: 0 };
                let lost = encode(event::NO_EVENT | event::MISSED, nobody, 0);
                events.waiting.push_back(lost);
                events.missed = false;
            }
            if events.waiting.is_empty() {
                return;
            }
            let Some(chain) = self.port.pop(EVENTS) else {
                return;
            };
            let mut writer = chain.writer();
            let bytes = events.waiting.pop_front().unwrap_or_default();
            drop(events);
            let written = writer.write(&bytes).unwrap_or(0);
            self.port.push(chain, written as u32);
            self.port.notify(EVENTS);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(kind: u32, address: Address, reason: u32) -> [u8; EVENT_SIZE as usize] {
    let mut bytes = [0; EVENT_SIZE as usize];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    let [high, low] = address.lun.to_be_bytes();
    // Units from 256 on are told in the flat format.
    let high = if address.lun < 256 { high } else { high | 0x40 };
    bytes[4..8].copy_from_slice(&[1, address.target, high, low]);
    bytes[12..].copy_from_slice(&reason.to_le_bytes());
    bytes
}
