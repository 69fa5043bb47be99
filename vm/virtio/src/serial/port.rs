//! A port: what is behind it, and how far the guest has come with it.

use std::io::{Read, Write};

use crate::Chain;

/// Bytes moved at once.
const PIECE: usize = 4096;

/// What is behind a port on the host. It never blocks.
pub trait Backend: Send + Sync {
    /// Takes bytes from the guest; returns how many. When fewer than given, it says so later
    /// through [`Serial::writable`](super::Serial::writable).
    fn write(&self, bytes: &[u8]) -> usize;

    /// Gives bytes to the guest; returns how many there were.
    fn read(&self, bytes: &mut [u8]) -> usize;
}

/// Told when the guest opens (true) and closes its side of a port. Returns at once and never
/// calls back.
pub type Observer = Box<dyn Fn(bool) + Send + Sync>;

/// A port that is to be added.
pub struct PortConfig {
    /// Its number; the next free one unless given.
    pub number: Option<u32>,
    /// By what name the guest finds it.
    pub name: Option<String>,
    /// Whether it is a console: always connected, and losing what the host does not take.
    pub is_console: bool,
    /// What is behind it.
    pub backend: Option<Box<dyn Backend>>,
    /// Who is told of the guest.
    pub observer: Observer,
}

/// Why a port cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Number 0 is for a console.
    #[error(
        "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility."
    )]
    Reserved,
    /// The number is taken.
    #[error("virtio-serial-bus: A port already exists at id {0}")]
    NumberTaken(u32),
    /// The name is taken.
    #[error("virtio-serial-bus: A port already exists by name {0}")]
    NameTaken(String),
    /// No number is left.
    #[error("virtio-serial-bus: Maximum port limit for this device reached")]
    Full,
    /// The number is too high.
    #[error("virtio-serial-bus: Out-of-range port id specified, max. allowed: {0}")]
    OutOfRange(u32),
}

/// Where a port stands, for `info qtree`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// The guest has opened it.
    pub guest_connected: bool,
    /// The host has somebody there.
    pub host_connected: bool,
    /// The host has not taken all yet.
    pub throttled: bool,
}

pub(super) struct SerialPort {
    pub(super) name: Option<String>,
    pub(super) is_console: bool,
    pub(super) state: PortState,
    backend: Option<Box<dyn Backend>>,
    observer: Observer,
    /// A chain of which the host has taken some bytes only.
    pending: Option<(Chain, u64)>,
}

impl SerialPort {
    pub(super) fn new(config: PortConfig) -> Self {
        Self {
            name: config.name,
            is_console: config.is_console,
            state: PortState {
                // Nobody need listen to a console.
                host_connected: config.is_console && config.backend.is_some(),
                ..PortState::default()
            },
            backend: config.backend,
            observer: config.observer,
            pending: None,
        }
    }

    /// The guest opens or closes its side.
    pub(super) fn set_guest_connected(&mut self, open: bool) {
        self.state.guest_connected = open;
        (self.observer)(open);
    }

    /// The chain to go on with.
    pub(super) fn take_pending(&mut self) -> Option<(Chain, u64)> {
        self.pending.take()
    }

    /// Gives what a chain holds to the host, from `offset` on. True when the chain is done with;
    /// otherwise it is kept.
    pub(super) fn send(&mut self, chain: Chain, mut offset: u64) -> Option<Chain> {
        let Some(backend) = self.backend.as_ref().filter(|_| self.state.host_connected) else {
            return Some(chain);
        };
        let mut reader = chain.reader();
        reader.skip(offset);
        let mut bytes = [0; PIECE];
        loop {
            let count = reader.read(&mut bytes).unwrap_or(0);
            if count == 0 {
                return Some(chain);
            }
            let taken = backend.write(&bytes[..count]);
            offset += taken as u64;
            if taken < count && !self.is_console {
                self.state.throttled = true;
                self.pending = Some((chain, offset));
                return None;
            }
        }
    }

    /// Writes a byte that the guest could send in no other way.
    pub(super) fn send_emergency(&self, byte: u8) {
        if let Some(backend) = &self.backend {
            backend.write(&[byte]);
        }
    }

    /// Fills a chain with what the host has; returns how much.
    pub(super) fn fill(&self, chain: &Chain) -> u32 {
        let Some(backend) = &self.backend else {
            return 0;
        };
        let mut writer = chain.writer();
        let mut bytes = [0; PIECE];
        let mut total = 0;
        while writer.remaining() > 0 {
            let room = usize::try_from(writer.remaining()).map_or(PIECE, |room| room.min(PIECE));
            let count = backend.read(&mut bytes[..room]);
            if count == 0 || writer.write_all(&bytes[..count]).is_err() {
                break;
            }
            total += count as u32;
        }
        total
    }
}
