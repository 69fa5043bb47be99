//! Network back ends: user-mode networking, taps, sockets, hubs and filters.
//!
//! A [`Network`] holds the back ends (`-netdev`) and knows the network cards. Between a card and
//! its back end lies a cable with two ends, each a [`Port`]: frames wait in bounded queues, and a
//! sender that finds a queue full comes back when there is room. Every back end is a task on the
//! runtime that the network was given; ports may be used from any thread.
//!
//! It knows Ethernet frames and the host's sockets. It must never know which device a frame
//! comes from, nor who configures it.

mod backends;
mod cable;
mod config;
mod error;
mod filter;
mod frame;
mod mac;
mod network;
mod nic;
mod offload;
pub mod vnet;

pub use cable::{Port, PortBells};
pub use config::{Bridge, Config, Datagram, LegacySocket, Passed, Stream, Tap, UserConfig};
pub use error::{Error, Result};
pub use filter::{Direction, DumpConfig, Filter, Position};
pub use frame::{Accepts, Checksum, Frame, MAX_FRAME, Offload, SegmentKind, Segments};
pub use mac::MacAddress;
pub use network::{Announcements, Event, Network, PeerAddress};
pub use nic::{Nic, NicConfig, NicDevice, RxFilter, RxMode};
