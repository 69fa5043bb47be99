//! Character devices: the byte pipes that monitors, serial ports and tests talk through.
//!
//! A [`Chardev`] is opened from a [`Config`] and kept in the registry [`Chardevs`]. A front end
//! claims it and receives a [`Connection`] per peer: one after another for a serial port, several
//! at once for a monitor. The input and output run on the runtime the registry was given; every
//! handle may be used from any thread.

mod address;
mod arrivals;
mod chardev;
mod config;
mod connection;
mod distinguished_name;
mod error;
mod fd;
mod frontend;
mod hangup;
mod hub;
mod link;
mod mux;
mod open;
mod plain;
mod pty;
mod registry;
mod serial;
mod sink;
mod socket;
mod stdio;
mod telnet;
mod tls;
mod udp;
mod vsock;
mod websocket;

pub use chardev::{Chardev, Info};
pub use config::{Backend, Config, InetAddress, LogFile, Role, Socket, SocketAddress, Udp};
pub use connection::{Connection, FdInbox, Stream};
pub use error::{Error, Result};
pub use fd::SocketStream;
pub use frontend::{Clients, Frontend};
pub use plain::{Caller, Listener, Peer};
pub use registry::{Chardevs, HeldInput};
pub use serial::{SerialEvent, SerialPipe};
pub use stdio::restore_terminal;
pub use tls::{Authorizer, Endpoint, TlsCreds, TlsFiles};
