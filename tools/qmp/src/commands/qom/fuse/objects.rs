//! Objects as the file system asks for them.

use fuser::Errno;
use serde_json::Value;
use tinamou_client::qmp::{ObjectPropertyInfo, QomGet, QomList, QomSet};
use tinamou_client::{Client, Error, TypedCommand};
use tokio::runtime::Handle;

/// Where objects come from. Threads of the file system wait for the answers.
pub(super) trait Objects: Send + Sync + 'static {
    /// What the object at `path` has.
    fn list(&self, path: &str) -> Result<Vec<ObjectPropertyInfo>, Errno>;

    /// The value of a property.
    fn value(&self, path: &str, property: &str) -> Result<Value, Errno>;

    /// Sets a property.
    fn set(&self, path: &str, property: &str, value: Value) -> Result<(), Errno>;
}

/// The objects of a server. Each answer is waited for as long as the client's
/// deadline allows.
pub(super) struct Remote {
    client: Client,
    runtime: Handle,
}

impl Remote {
    /// `runtime` drives the client, on a thread that does not wait for this.
    pub(super) fn new(client: Client, runtime: Handle) -> Self {
        Self { client, runtime }
    }

    fn call<C: TypedCommand>(&self, command: C) -> Result<C::Return, Error> {
        self.runtime.block_on(self.client.call(command))
    }
}

impl Objects for Remote {
    fn list(&self, path: &str) -> Result<Vec<ObjectPropertyInfo>, Errno> {
        let listed = self.call(QomList::new(path));
        listed.map_err(|error| errno(&error, Errno::EIO))
    }

    fn value(&self, path: &str, property: &str) -> Result<Value, Errno> {
        let value = self.call(QomGet::new(path, property));
        value.map_err(|error| errno(&error, Errno::EIO))
    }

    fn set(&self, path: &str, property: &str, value: Value) -> Result<(), Errno> {
        let set = self.call(QomSet::new(path, property, value));
        set.map(drop).map_err(|error| errno(&error, Errno::EINVAL))
    }
}

/// What programs are told; `refused` if the server's reason is none of those
/// that have a number of their own.
fn errno(error: &Error, refused: Errno) -> Errno {
    match error {
        Error::Command { class, .. } if class == "DeviceNotFound" => Errno::ENOENT,
        Error::Command { desc, .. } => reason(desc).unwrap_or(refused),
        Error::Unresponsive { .. } => Errno::ETIMEDOUT,
        _ => Errno::EIO,
    }
}

/// QEMU has no class for these, only words.
fn reason(desc: &str) -> Option<Errno> {
    let forbidden = ["not readable", "not writable", "Insufficient permission"];
    match desc {
        _ if forbidden.iter().any(|words| desc.contains(words)) => Some(Errno::EPERM),
        _ if desc.starts_with("Property '") && desc.ends_with("' not found") => Some(Errno::ENOENT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(class: &str, desc: &str, expected: Errno) {
        let error = Error::Command {
            class: class.to_owned(),
            desc: desc.to_owned(),
            command: "qom-set".to_owned(),
            id: "1".to_owned(),
            elapsed: Duration::ZERO,
        };
        assert_eq!(errno(&error, Errno::EINVAL), expected, "{desc}");
    }

    #[test]
    fn errors_have_numbers() {
        check("DeviceNotFound", "Device '/none' not found", Errno::ENOENT);
        check(
            "GenericError",
            "Property 'virt-machine.none' not found",
            Errno::ENOENT,
        );
        check(
            "GenericError",
            "Property 'virt-machine.type' is not writable",
            Errno::EPERM,
        );
        check(
            "GenericError",
            "Insufficient permission to perform this operation",
            Errno::EPERM,
        );
        check(
            "GenericError",
            "Parameter 'x' expects on or off",
            Errno::EINVAL,
        );
    }
}
