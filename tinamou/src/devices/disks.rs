//! What all disks have in common: which image they show, and how.

use std::sync::Arc;

use tinamou_block::{BlockBackend, Disk, ErrorPolicy, Holder, Policies};
use tinamou_qdev::{Convert, Kind, OnOffAuto, properties};
use tinamou_qmp::{Error, Result, Value};

use super::Plug;
use crate::blocks::wire;
use crate::options::config::DriveInterface;
use crate::vm::Vm;

properties! {
    /// What every disk takes.
    pub struct DiskProperties {
        /// The image, by node name or drive id.
        pub drive: Option<String> = None => "drive" as Kind::Drive;
        /// Bytes of a block as the guest sees it.
        pub logical_block_size: u32 = 0 => "logical_block_size" as Kind::BlockSize;
        /// Bytes of a block as the disk has it.
        pub physical_block_size: u32 = 0 => "physical_block_size" as Kind::BlockSize;
        /// Bytes that are well moved at once, at least.
        pub min_io_size: u32 = 0 => "min_io_size" as Kind::Size32;
        /// Bytes that are best moved at once.
        pub opt_io_size: u32 = 0 => "opt_io_size" as Kind::Size32;
        /// Unit of discards.
        pub discard_granularity: u32 = u32::MAX => "discard_granularity" as Kind::Size32;
        /// Writes may stay in a cache.
        pub write_cache: OnOffAuto = OnOffAuto::Auto => "write-cache";
        /// Others may write to the image, too.
        pub share_rw: bool = false => "share-rw";
        /// What to do when a read fails.
        pub rerror: OnError = OnError(ErrorPolicy::Auto) => "rerror";
        /// What to do when a write fails.
        pub werror: OnError = OnError(ErrorPolicy::Auto) => "werror";
        /// Invalid requests end the idle time.
        pub account_invalid: OnOffAuto = OnOffAuto::Auto => "account-invalid";
        /// Failed requests count for latencies.
        pub account_failed: OnOffAuto = OnOffAuto::Auto => "account-failed";
        /// Take sizes over from the image.
        pub backend_defaults: OnOffAuto = OnOffAuto::Auto => "backend_defaults";
    }
}

properties! {
    /// The shape that disks had when they had one.
    pub struct GeometryProperties {
        /// Cylinders as the guest sees them.
        pub cyls: u32 = 0 => "cyls";
        /// Heads as the guest sees them.
        pub heads: u32 = 0 => "heads";
        /// Sectors as the guest sees them.
        pub secs: u32 = 0 => "secs";
        /// Cylinders as the firmware sees them.
        pub lcyls: u32 = 0 => "lcyls";
        /// Heads as the firmware sees them.
        pub lheads: u32 = 0 => "lheads";
        /// Sectors as the firmware sees them.
        pub lsecs: u32 = 0 => "lsecs";
    }
}

impl GeometryProperties {
    /// Cylinders, heads and sectors; zeros for what suits the size.
    pub fn as_seen_by_guest(&self) -> (u32, u32, u32) {
        (self.cyls, self.heads, self.secs)
    }
}

impl DiskProperties {
    /// Bytes of a block as the guest sees it, and as the disk has it.
    ///
    /// # Errors
    /// They do not go together.
    pub fn block_sizes(&self, default: u32) -> Result<(u32, u32)> {
        let or = |value, default| if value == 0 { default } else { value };
        let logical = or(self.logical_block_size, default);
        let physical = or(self.physical_block_size, logical);
        if logical > physical {
            let desc = "logical_block_size > physical_block_size not supported";
            return Err(Error::generic(desc));
        }
        Ok((logical, physical))
    }
}

/// The image of a disk that is being made.
pub struct Image {
    /// What the disk works on.
    pub backend: Arc<BlockBackend>,
    share_rw: bool,
    holder: Holder,
}

/// Finds the image that a disk is to show. A disk with `removable` media may have none.
///
/// # Errors
/// There is no such image, or another disk has it.
pub fn image(
    vm: &Vm,
    plug: &Plug<'_>,
    path: &str,
    own: &DiskProperties,
    removable: bool,
) -> Result<Image> {
    let backend = match own.drive.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => find(vm, name)?,
        None if removable => vm.blocks.new_backend(""),
        None => return Err(Error::generic("drive property not set")),
    };
    if backend.medium().is_none() && !removable {
        return Err(Error::generic("Device needs media, but drive is empty"));
    }
    let policies = backend.policies();
    backend.set_policies(Policies {
        read: policy(own.rerror, policies.read),
        write: policy(own.werror, policies.write),
    });
    match own.write_cache {
        OnOffAuto::Auto => {}
        chosen => backend.set_write_cache(chosen == OnOffAuto::On),
    }
    let (invalid, failed) = backend.stats().accounts();
    let chosen = |choice, default| match choice {
        OnOffAuto::Auto => default,
        choice => choice == OnOffAuto::On,
    };
    backend.stats().account(
        chosen(own.account_invalid, invalid),
        chosen(own.account_failed, failed),
    );
    let path = path.to_owned();
    Ok(Image {
        backend,
        share_rw: own.share_rw,
        holder: Holder {
            // A device inside another has no id of its own.
            id: match plug.id {
                Some(id) if path == format!("/machine/peripheral/{id}") => id.to_owned(),
                _ => path.clone(),
            },
            qom_path: path,
        },
    })
}

impl Image {
    /// The disk that was made takes hold of it.
    ///
    /// # Errors
    /// Somebody else uses the image in a way that does not go with that.
    pub fn attach(self, disk: Arc<dyn Disk>) -> Result<Held> {
        let attached = self.backend.attach(self.holder, disk, self.share_rw);
        attached.map_err(wire)?;
        Ok(Held(self.backend))
    }
}

/// An image that a disk holds.
pub struct Held(Arc<BlockBackend>);

impl Held {
    /// The disk has gone: a drive goes with it, a node stays.
    pub fn release(self, vm: &Vm) {
        self.0.abandon();
        self.0.detach();
        vm.blocks.forget(&self.0);
    }
}

fn find(vm: &Vm, name: &str) -> Result<Arc<BlockBackend>> {
    if let Some(drive) = vm.blocks.drive(name) {
        if drive.attached().is_none() {
            return Ok(drive);
        }
        let mut drives = vm.config.drives.iter();
        let made = drives.find(|config| config.id == name);
        let automatic = made.is_some_and(|config| config.interface != DriveInterface::None);
        let why = match automatic {
            true => {
                "because it has been automatically connected to another device (did you need \
                 'if=none' in the drive options?)"
            }
            false => "by another device",
        };
        return Err(Error::generic(format!(
            "Drive '{name}' is already in use {why}"
        )));
    }
    let node = vm.blocks.find(name);
    let node = node.ok_or_else(|| Error::generic(format!("Node '{name}' not found")))?;
    let backend = vm.blocks.new_backend("");
    backend.insert(&node).map_err(wire)?;
    Ok(backend)
}

fn policy(chosen: OnError, default: ErrorPolicy) -> ErrorPolicy {
    match chosen.0 {
        ErrorPolicy::Auto => default,
        chosen => chosen,
    }
}

/// What a disk is told to do about errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnError(ErrorPolicy);

impl OnError {
    const WORDS: [(&str, ErrorPolicy); 5] = [
        ("report", ErrorPolicy::Report),
        ("ignore", ErrorPolicy::Ignore),
        ("enospc", ErrorPolicy::Enospc),
        ("stop", ErrorPolicy::Stop),
        ("auto", ErrorPolicy::Auto),
    ];
}

impl Convert for OnError {
    const KIND: Kind = Kind::BLOCKDEV_ON_ERROR;

    fn from_value(value: &Value) -> Option<Self> {
        let Value::String(text) = value else {
            return None;
        };
        let found = Self::WORDS.iter().find(|(word, _)| word == text);
        found.map(|(_, policy)| Self(*policy))
    }

    fn to_value(&self) -> Value {
        let found = Self::WORDS.iter().find(|(_, policy)| *policy == self.0);
        Value::String(found.map_or("auto", |(word, _)| word).to_owned())
    }
}
