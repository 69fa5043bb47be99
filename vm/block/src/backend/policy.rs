//! What becomes of requests that fail.

use std::io;

use rustix::io::Errno;
use tinamou_api::BlockDeviceIoStatus;

use super::BlockBackend;
use super::request::{Failure, Stopped};

/// What to do when a request fails (`werror`, `rerror`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// `enospc` for writes, `report` for reads.
    #[default]
    Auto,
    /// Tell the guest.
    Report,
    /// Pretend that it worked.
    Ignore,
    /// Stop the machine and try again when it goes on.
    Stop,
    /// Stop the machine if the disk is full, else tell the guest.
    Enospc,
}

/// What is done about a request that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorAction {
    /// The guest is told.
    Report,
    /// The guest is told that it worked.
    Ignore,
    /// The machine stops; the request is tried again when it goes on.
    Stop,
}

/// The policies of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// `rerror`
    pub read: ErrorPolicy,
    /// `werror`
    pub write: ErrorPolicy,
}

/// A request that has failed, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// The name of the backend, empty if it has none.
    pub device: String,
    /// The node that failed.
    pub node_name: Option<String>,
    /// The disk's place in the object tree.
    pub qom_path: String,
    /// Whether it was a read; flushes and discards are writes here.
    pub is_read: bool,
    /// What is done about it.
    pub action: ErrorAction,
    /// Whether the disk tells how it fares.
    pub has_io_status: bool,
    /// Whether it failed for want of space.
    pub no_space: bool,
    /// The host's words.
    pub reason: String,
}

impl BlockBackend {
    /// Says what is done about an error, and tells whoever watches.
    pub(super) fn fail(&self, is_read: bool, error: io::Error) -> Result<(), Failure> {
        let action = self.action(is_read, &error);
        if action == ErrorAction::Stop {
            self.state().io_status = match is_no_space(&error) {
                true => BlockDeviceIoStatus::Nospace,
                false => BlockDeviceIoStatus::Failed,
            };
        }
        let stopped = Stopped::new(self.wake.subscribe());
        let report = self.io_error(is_read, action, &error);
        self.observer.io_error(&report);
        match action {
            ErrorAction::Report => Err(Failure::Report(error)),
            ErrorAction::Ignore => Ok(()),
            ErrorAction::Stop => Err(Failure::Stopped(stopped)),
        }
    }

    fn action(&self, is_read: bool, error: &io::Error) -> ErrorAction {
        let policies = self.policies();
        let no_space = is_no_space(error);
        match if is_read {
            policies.read
        } else {
            policies.write
        } {
            ErrorPolicy::Auto if is_read => ErrorAction::Report,
            ErrorPolicy::Auto | ErrorPolicy::Enospc if no_space => ErrorAction::Stop,
            ErrorPolicy::Auto | ErrorPolicy::Enospc | ErrorPolicy::Report => ErrorAction::Report,
            ErrorPolicy::Ignore => ErrorAction::Ignore,
            ErrorPolicy::Stop => ErrorAction::Stop,
        }
    }

    fn io_error(&self, is_read: bool, action: ErrorAction, error: &io::Error) -> IoError {
        let state = self.state();
        let disk = state.disk.as_ref();
        IoError {
            device: self.name().to_owned(),
            node_name: state.medium.as_ref().map(|edge| edge.name().to_owned()),
            qom_path: disk
                .map(|disk| disk.holder.qom_path.clone())
                .unwrap_or_default(),
            is_read,
            action,
            has_io_status: disk.is_some_and(|disk| disk.disk.has_io_status()),
            no_space: is_no_space(error),
            reason: reason(error),
        }
    }
}

fn is_no_space(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())
}

/// The system's words for an error, without the number Rust adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
