//! What can go wrong with the graph, worded as QEMU's users know it. Requests fail with the
//! host's own errors instead.

use std::io;

use crate::backend::reason;
use crate::drivers::raw::OutOfFile;
use crate::permission::Conflict;

/// The result of an operation on the graph.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the graph cannot be as it was asked to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that no node may have.
    #[error("Invalid node-name: '{0}'")]
    InvalidName(String),
    /// A name that a node has.
    #[error("Duplicate nodes with node-name='{0}'")]
    DuplicateNode(String),
    /// A name that a drive has.
    #[error("node-name={0} is conflicting with a device id")]
    NameOfDevice(String),
    /// A name longer than any may be.
    #[error("Node name too long")]
    NameTooLong,
    /// A node without a name, made by itself.
    #[error("'node-name' must be specified for the root node")]
    NameMissing,
    /// No node or drive of that name.
    #[error("Cannot find device='{0}' nor node-name='{1}'")]
    NotFound(String, String),
    /// No node of that name.
    #[error("Failed to find node with node-name='{0}'")]
    NoNode(String),
    /// Somebody uses the node.
    #[error("Node {0} is in use")]
    InUse(String),
    /// Another node uses it.
    #[error("Block device {0} is in use")]
    HasParents(String),
    /// It was not made by `blockdev-add`.
    #[error("Node {0} is not owned by the monitor")]
    NotOwned(String),
    /// Two users do not get on.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Something that writes wants a node that cannot be written.
    #[error("Block node is read-only")]
    ReadOnlyNode,
    /// A node that is to be read-only while somebody writes to it.
    #[error("Read-only block node '{0}' cannot support read-write users")]
    ReadOnlyUsed(String),
    /// A node that would be below itself.
    #[error("Making '{child}' a {role} child of '{parent}' would create a cycle")]
    Cycle {
        /// The node that is to be below.
        child: String,
        /// `file`, `backing`
        role: &'static str,
        /// The node that is to be above.
        parent: String,
    },
    /// An image with another behind it, and nothing said of that.
    #[error("backing is missing for '{0}'")]
    BackingMissing(String),
    /// A driver whose options stay as they are.
    #[error("Block format '{driver}' used by node '{node}' does not support reopening files")]
    NoReopen {
        /// The driver.
        driver: &'static str,
        /// The node.
        node: String,
    },
    /// Another process uses the image; the file is what it was opened as.
    #[error("Failed to get {lock} lock")]
    Locked {
        /// `"write"`, `shared "write"`
        lock: String,
        /// The image.
        file: String,
    },
    /// Locks were asked for where there are none.
    #[error("Failed to lock byte {0}: {reason}", reason = reason(.1))]
    LockByte(u64, #[source] io::Error),
    /// A file that cannot be opened.
    #[error("Could not open '{path}': {reason}", reason = reason(.source))]
    Open {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file that is open already elsewhere, and not lent.
    #[error("{0}")]
    NotLent(String),
    /// A `host_device` that is none.
    #[error("'host_device' driver requires '{0}' to be either a character or block device")]
    NotDevice(String),
    /// A window that lies outside of its file.
    #[error(transparent)]
    OutOfFile(#[from] OutOfFile),
    /// A size below zero.
    #[error("Parameter '{0}' expects a size value")]
    Negative(&'static str),
    /// A size that is no number of sectors.
    #[error("Specified size is not multiple of 512")]
    SizeNotSectors,
    /// `force-share` where others could be disturbed.
    #[error("force-share=on can only be used with read-only images")]
    ForceShare,
    /// `detect-zeroes=unmap` where nothing is unmapped.
    #[error(
        "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap"
    )]
    DetectZeroes,
    /// The kernel's asynchronous calls go past the page cache.
    #[error("aio=native was specified, but it requires cache.direct=on, which was not specified.")]
    AioNative,
    /// A throttle node without limits.
    #[error("Throttle group '{0}' does not exist")]
    NoThrottleGroup(String),
    /// An option that stays as it is.
    #[error("Cannot change the option '{0}'")]
    CannotChange(String),
    /// An option that stays as it is, and is not repeated.
    #[error("Option '{0}' cannot be reset to its default value")]
    CannotReset(&'static str),
    /// Reopening needs a name.
    #[error("node-name not specified")]
    ReopenName,
    /// A disk that has no other size.
    #[error("Image format driver does not support resize")]
    NoResize,
    /// A disk that cannot be written has the size it has.
    #[error("Image is read-only")]
    ResizeReadOnly,
    /// A name that begins with an unknown protocol.
    #[error("Unknown protocol '{0}'")]
    UnknownProtocol(String),
    /// A format that is none.
    #[error("Unknown driver '{0}'")]
    UnknownDriver(String),
    /// The image behind another cannot be opened.
    #[error("Could not open backing file: {0}")]
    Backing(#[source] Box<Error>),
    /// The host refuses.
    #[error("{0}: {reason}", reason = reason(.1))]
    Host(&'static str, #[source] io::Error),
    /// An image that is not what it should be.
    #[error("{0}")]
    Image(String),
}
