//! What can go wrong, worded as QEMU's users know it.

use std::io;
use std::path::PathBuf;

/// The result of an operation on character devices.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal of the registry or a failure to open a back end. `chardev-add` and `chardev-change`
/// put `Failed to add chardev 'ID': ` before those where [`Error::is_open`] holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id is taken.
    #[error("Chardev with id '{0}' already exists")]
    Exists(String),
    /// Removal of, or a break for, an unknown id.
    #[error("Chardev '{0}' not found")]
    NotFound(String),
    /// Change of an unknown id.
    #[error("Chardev '{0}' does not exist")]
    DoesNotExist(String),
    /// A ring buffer command for an unknown id.
    #[error("Device '{0}' not found")]
    DeviceNotFound(String),
    /// A ring buffer command for another back end.
    #[error("{0} is not a ringbuf device")]
    NotRingbuf(String),
    /// `ringbuf-read` of nothing.
    #[error("size must be greater than zero")]
    RingReadSize,
    /// Removal of a device someone uses.
    #[error("Chardev '{0}' is busy")]
    Busy(String),
    /// A change under a front end that keeps state about its peer.
    #[error("Chardev user does not support chardev hotswap")]
    Hotswap,
    /// A change from or to a mux.
    #[error("Mux device hotswap not supported yet")]
    MuxHotswap,

    /// A second front end wants the device.
    #[error("chardev '{0}' is already in use")]
    InUse(String),
    /// A fifth front end wants the mux.
    #[error("too many uses of multiplexed chardev '{0}' (maximum is 4)")]
    MuxFull(String),
    /// A mux over an unknown id.
    #[error("mux: base chardev {0} not found")]
    MuxBase(String),
    /// A hub over nothing.
    #[error("hub: 'chardevs' list is not defined")]
    HubEmpty,
    /// A hub over too many devices.
    #[error("hub: too many uses of chardevs '{0}' (maximum is 4)")]
    HubFull(String),
    /// A hub over an unknown id.
    #[error("hub: chardev can't be found by id '{0}'")]
    HubBase(String),
    /// A hub over a mux or a hub.
    #[error(
        "hub: multiplexers and hub devices can't be stacked, check chardev '{0}', \
         chardev should not be a hub device or have 'mux=on' enabled"
    )]
    HubStack(String),
    /// TLS credentials for the other side.
    #[error("Expected TLS credentials for a {0} endpoint")]
    TlsEndpoint(&'static str),
    /// A file of TLS credentials that is not there.
    #[error("Unable to access credentials {}: No such file or directory", .0.display())]
    TlsAccess(PathBuf),
    /// TLS credentials that make no sense.
    #[error("Cannot load credentials {}: {reason}", .path.display())]
    TlsLoad {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A websocket that is to connect.
    #[error("Websocket client is not implemented")]
    WebSocketClient,
    /// A ring buffer of a size it cannot have.
    #[error("size of ringbuf chardev must be power of two")]
    RingSize,
    /// A ring buffer that would exhaust the host's memory.
    #[error("size of ringbuf chardev must be at most 1 GiB")]
    RingTooLarge,
    /// There is one standard input.
    #[error("cannot use stdio by multiple character devices")]
    StdioTaken,
    /// A file, pipe or device that cannot be opened.
    #[error("Could not open '{}': {}", .path.display(), plain(.source))]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// A log file that cannot be opened.
    #[error("Could not create '{}': {}", .path.display(), plain(.source))]
    Log {
        /// What was to be opened.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// A pseudoterminal that cannot be made.
    #[error("Failed to create PTY: {}", plain(.0))]
    Pty(#[source] io::Error),
    /// The link to a pseudoterminal cannot be made.
    #[error("Failed to create PTY symlink: {}", plain(.0))]
    PtyLink(#[source] io::Error),
    /// A name or port that leads nowhere.
    #[error("address resolution failed for {address}: {reason}")]
    Resolve {
        /// Host and port asked for.
        address: String,
        /// The resolver's words.
        reason: String,
    },
    /// Both families of addresses were ruled out.
    #[error("Cannot disable IPv4 and IPv6 at same time")]
    NoFamily,
    /// No port of the range can be bound.
    #[error("Failed to find an available port: {}", plain(.0))]
    Listen(#[source] io::Error),
    /// A path that cannot be bound.
    #[error("Failed to bind socket to {path}: {}", plain(.source))]
    Bind {
        /// The socket's path.
        path: String,
        /// Why it was not bound.
        source: io::Error,
    },
    /// Nobody answers.
    #[error("Failed to connect to '{address}': {}", plain(.source))]
    Connect {
        /// Who was called.
        address: String,
        /// Why the call failed.
        source: io::Error,
    },
    /// A name longer than the kernel's socket addresses.
    #[error("UNIX socket path '{0}' is too long")]
    PathTooLong(String),
    /// A socket that was passed in does not do what is asked of it.
    #[error("File descriptor '{name}' cannot be used as a socket: {}", plain(.source))]
    Passed {
        /// How it was named.
        name: String,
        /// Why it is of no use.
        source: io::Error,
    },
}

impl Error {
    /// Whether opening the back end failed, rather than the request being refused.
    pub fn is_open(&self) -> bool {
        !matches!(
            self,
            Self::Exists(_)
                | Self::NotFound(_)
                | Self::DoesNotExist(_)
                | Self::DeviceNotFound(_)
                | Self::NotRingbuf(_)
                | Self::RingReadSize
                | Self::Busy(_)
                | Self::Hotswap
                | Self::MuxHotswap
        )
    }
}

/// The system's words for an error, without the number Rust adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
