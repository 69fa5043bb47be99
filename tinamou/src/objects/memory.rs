//! `memory-backend-ram`, `-file` and `-memfd`: memory that can be the
//! machine's own.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};
use tinamou_api as api;
use tinamou_memory::{PAGE_SIZE, Ram, RamOptions};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Property;

use super::user::{Listed, UserType};
use crate::commands::machine::reason;

/// Memory.
pub const RAM: UserType = UserType {
    name: "memory-backend-ram",
    parent: "memory-backend",
    properties: &COMMON,
};

/// Memory in a file.
pub const FILE: UserType = UserType {
    name: "memory-backend-file",
    parent: "memory-backend",
    properties: &FILE_PROPERTIES,
};

/// Memory in a file without a name.
pub const MEMFD: UserType = UserType {
    name: "memory-backend-memfd",
    parent: "memory-backend",
    properties: &MEMFD_PROPERTIES,
};

const COMMON: [Listed; 9] = [
    (
        "dump",
        "bool",
        Some("Set to 'off' to exclude from core dump"),
    ),
    (
        "host-nodes",
        "int",
        Some("Binds memory to the list of NUMA host nodes"),
    ),
    ("merge", "bool", Some("Mark memory as mergeable")),
    ("policy", "HostMemPolicy", Some("Set the NUMA policy")),
    ("prealloc", "bool", Some("Preallocate memory")),
    (
        "prealloc-threads",
        "int",
        Some("Number of CPU threads to use for prealloc"),
    ),
    (
        "reserve",
        "bool",
        Some("Reserve swap space (or huge pages) if applicable"),
    ),
    (
        "share",
        "bool",
        Some("Mark the memory as private to QEMU or shared"),
    ),
    ("size", "int", Some("Size of the memory region (ex: 500M)")),
];

const FILE_PROPERTIES: [Listed; 14] = with(&[
    ("align", "int", None),
    ("discard-data", "bool", None),
    ("mem-path", "string", None),
    (
        "offset",
        "int",
        Some("Offset into the target file (ex: 1G)"),
    ),
    ("readonly", "bool", None),
]);

const MEMFD_PROPERTIES: [Listed; 10] = with(&[("seal", "bool", Some("Seal growing & shrinking"))]);

/// What all have, and then `more`.
const fn with<const N: usize>(more: &[Listed]) -> [Listed; N] {
    let mut all = [COMMON[0]; N];
    let mut place = 0;
    while place < N {
        all[place] = if place < COMMON.len() {
            COMMON[place]
        } else {
            more[place - COMMON.len()]
        };
        place += 1;
    }
    all
}

/// What memory is made from.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// Nothing.
    Ram(&'a api::MemoryBackendProperties),
    /// A file.
    File(&'a api::MemoryBackendFileProperties),
    /// A file without a name.
    Memfd(&'a api::MemoryBackendMemfdProperties),
}

impl Kind<'_> {
    fn type_name(self) -> &'static str {
        match self {
            Self::Ram(_) => RAM.name,
            Self::File(_) => FILE.name,
            Self::Memfd(_) => MEMFD.name,
        }
    }

    fn common(&self) -> &api::MemoryBackendProperties {
        match self {
            Self::Ram(options) => options,
            Self::File(options) => &options.base,
            Self::Memfd(options) => &options.base,
        }
    }
}

/// Memory with what its user said of it.
pub struct MemoryBackend {
    kind: &'static str,
    ram: Arc<Ram>,
    size: u64,
    prealloc: Cell<bool>,
    merge: Cell<bool>,
    dump: Cell<bool>,
    share: bool,
    reserve: bool,
    threads: u32,
    leased: Cell<bool>,
    /// `mem-path`, `offset` and `align`, with what becomes of the file.
    file: Option<FileOptions>,
    seal: Option<bool>,
}

/// Memory that a device has; dropping this gives it back.
pub struct Lease(Rc<MemoryBackend>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.leased.set(false);
    }
}

struct FileOptions {
    path: String,
    offset: u64,
    align: u64,
    discard_data: bool,
}

impl MemoryBackend {
    /// Makes memory.
    ///
    /// # Errors
    /// A value is wrong, or the host refuses.
    pub fn new(id: &str, kind: Kind<'_>) -> Result<Self> {
        let common = kind.common();
        check(kind.type_name(), common)?;
        let reserve = common.reserve.unwrap_or(true);
        let share = common.share.unwrap_or(matches!(kind, Kind::Memfd(_)));
        let ram = match kind {
            Kind::Ram(_) => map(id, common.size, None, share, reserve)?,
            Kind::File(options) => map_file(id, options, share, reserve)?,
            Kind::Memfd(options) => map_memfd(id, options, share, reserve)?,
        };
        let backend = Self {
            kind: kind.type_name(),
            ram: Arc::new(ram),
            size: common.size,
            prealloc: Cell::new(common.prealloc.unwrap_or(false)),
            merge: Cell::new(common.merge.unwrap_or(true)),
            dump: Cell::new(common.dump.unwrap_or(true)),
            share,
            reserve,
            threads: common.prealloc_threads.unwrap_or(1),
            leased: Cell::new(false),
            file: match kind {
                Kind::File(options) => Some(FileOptions {
                    path: options.mem_path.clone(),
                    offset: options.offset.unwrap_or(0),
                    align: options.align.unwrap_or(0),
                    discard_data: options.discard_data.unwrap_or(false),
                }),
                _ => None,
            },
            seal: match kind {
                Kind::Memfd(options) => Some(options.seal.unwrap_or(true)),
                _ => None,
            },
        };
        if let Some(merge) = common.merge {
            backend.ram.set_mergeable(merge);
        }
        if !backend.dump.get() {
            backend.ram.set_dumped(false);
        }
        if backend.prealloc.get() {
            backend.populate();
        }
        Ok(backend)
    }

    /// The memory itself.
    pub fn ram(&self) -> &Arc<Ram> {
        &self.ram
    }

    /// What `query-memdev` says of it.
    pub fn info(&self, id: &str) -> api::Memdev {
        api::Memdev {
            id: Some(id.to_owned()),
            size: self.size,
            merge: self.merge.get(),
            dump: self.dump.get(),
            prealloc: self.prealloc.get(),
            share: self.share,
            reserve: Some(self.reserve),
            host_nodes: Vec::new(),
            policy: api::HostMemPolicy::Default,
        }
    }

    fn populate(&self) {
        self.ram.populate(0..self.ram.size());
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Takes it for a machine or device, unless another has it.
    pub fn lease(this: &Rc<Self>) -> Option<Lease> {
        let leased = this.leased.replace(true);
        (!leased).then(|| Lease(Rc::clone(this)))
    }

    /// Takes it for as long as there is a machine.
    pub(super) fn keep(&self) {
        self.leased.set(true);
    }

    /// Whether a machine or device has it.
    pub(super) fn in_use(&self) -> bool {
        self.leased.get()
    }

    /// Whether reads of what was never written cost no memory of the host.
    pub fn shares_zeroes(&self) -> bool {
        self.kind == RAM.name && !self.share
    }

    pub(super) fn properties(this: &Rc<Self>) -> Vec<(&'static str, Property)> {
        let size = Value::Int(this.size.cast_signed());
        let refused = format!("cannot change property size of {} ", this.kind);
        let mut properties = vec![
            (
                "share",
                fixed("share", "bool", Value::Bool(this.share), FIXED),
            ),
            ("size", fixed("size", "int", size, &refused)),
            (
                "reserve",
                fixed("reserve", "bool", Value::Bool(this.reserve), FIXED),
            ),
            (
                "policy",
                Property::constant("HostMemPolicy", Value::String("default".into())),
            ),
            (
                "host-nodes",
                Property::constant("int", Value::Array(Vec::new())),
            ),
            (
                "prealloc-threads",
                Property::constant("int", Value::Int(this.threads.into())),
            ),
        ];
        properties.extend([
            this.switch(
                "dump",
                |this| &this.dump,
                |this, on| {
                    this.dump.set(on);
                    this.ram.set_dumped(on);
                },
            ),
            this.switch(
                "merge",
                |this| &this.merge,
                |this, on| {
                    this.merge.set(on);
                    this.ram.set_mergeable(on);
                },
            ),
            // What was taken is not given back.
            this.switch(
                "prealloc",
                |this| &this.prealloc,
                |this, on| {
                    if on && !this.prealloc.replace(true) {
                        this.populate();
                    }
                },
            ),
        ]);
        properties.extend(this.file_properties());
        properties
    }

    fn file_properties(&self) -> Vec<(&'static str, Property)> {
        let number = |number: u64| Property::constant("int", Value::Int(number.cast_signed()));
        let boolean = |on| Property::constant("bool", Value::Bool(on));
        let mut properties = Vec::new();
        if let Some(file) = &self.file {
            let path = Value::String(file.path.clone());
            properties.extend([
                ("mem-path", Property::constant("string", path)),
                ("offset", number(file.offset)),
                ("align", number(file.align)),
                ("discard-data", boolean(file.discard_data)),
                ("readonly", boolean(false)),
            ]);
        }
        properties.extend(self.seal.map(|seal| ("seal", boolean(seal))));
        properties
    }

    fn switch(
        self: &Rc<Self>,
        name: &'static str,
        slot: fn(&Self) -> &Cell<bool>,
        set: fn(&Self, bool),
    ) -> (&'static str, Property) {
        let (reader, writer) = (Rc::clone(self), Rc::clone(self));
        let property = Property::writable::<bool>(
            name,
            "bool",
            move || Value::Bool(slot(&reader).get()),
            move |on| {
                set(&writer, on);
                Ok(())
            },
        );
        (name, property)
    }
}

impl Drop for MemoryBackend {
    fn drop(&mut self) {
        if self.file.as_ref().is_some_and(|file| file.discard_data) {
            // The contents are not needed any more; keeping them harms nobody.
            let _ = self.ram.discard(0, self.ram.size());
        }
    }
}

const FIXED: &str = "cannot change property value";

fn fixed(name: &'static str, kind: &str, value: Value, refused: &str) -> Property {
    let refused = Error::generic(refused);
    Property::writable::<Value>(
        name,
        kind,
        move || value.clone(),
        move |_| Err(refused.clone()),
    )
}

fn check(kind: &str, common: &api::MemoryBackendProperties) -> Result<()> {
    let refused = |name: &str| {
        let desc = format!("property '{name}' of {kind} doesn't take value '0'");
        Err(Error::generic(desc))
    };
    if common.size == 0 {
        return refused("size");
    }
    if common.prealloc_threads == Some(0) {
        return refused("prealloc-threads");
    }
    if common.prealloc == Some(true) && common.reserve == Some(false) {
        let desc = "'prealloc=on' and 'reserve=off' are incompatible";
        return Err(Error::generic(desc));
    }
    let nodes = common
        .host_nodes
        .as_ref()
        .is_some_and(|nodes| !nodes.is_empty());
    let policy = common.policy.unwrap_or(api::HostMemPolicy::Default);
    match (policy, nodes) {
        (api::HostMemPolicy::Default, false) => Ok(()),
        (api::HostMemPolicy::Default, true) => Err(Error::generic(
            "host-nodes must be empty for policy default, or you should explicitly specify \
             a policy other than default",
        )),
        (_, false) => {
            let policy = policy.as_str();
            Err(Error::generic(format!(
                "host-nodes must be set for policy {policy}"
            )))
        }
        (_, true) => Err(Error::generic(
            "NUMA node binding are not supported by this QEMU",
        )),
    }
}

fn map(
    id: &str,
    size: u64,
    file: Option<(BorrowedFd<'_>, u64)>,
    shared: bool,
    reserve: bool,
) -> Result<Ram> {
    let failed = |error: &dyn std::error::Error| {
        let cause = error.source().and_then(|source| source.downcast_ref());
        let cause = cause.map_or_else(|| error.to_string(), reason);
        Error::generic(format!("cannot set up guest memory '{id}': {cause}"))
    };
    let options = RamOptions {
        size: size.next_multiple_of(PAGE_SIZE),
        file,
        shared,
        reserve,
    };
    Ram::map(&options).map_err(|error| failed(&error))
}

fn map_file(
    id: &str,
    options: &api::MemoryBackendFileProperties,
    share: bool,
    reserve: bool,
) -> Result<Ram> {
    let (path, size) = (&options.mem_path, options.base.size);
    if options.readonly == Some(true) {
        return Err(Error::generic(
            "property 'readonly' = 'on' is not supported for memory that guests write",
        ));
    }
    let offset = options.offset.unwrap_or(0);
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Error::generic(format!(
            "offset {offset:#x} must be multiples of page size {PAGE_SIZE:#x}"
        )));
    }
    if options
        .align
        .is_some_and(|align| align > PAGE_SIZE || !align.is_power_of_two())
    {
        let align = options.align.unwrap_or(0);
        return Err(Error::generic(format!(
            "alignment {align:#x} must be a power of two, and no more than {PAGE_SIZE:#x}"
        )));
    }
    let file = open(path).map_err(|error| {
        let reason = reason(&error);
        Error::generic(format!(
            "can't open backing store {path} for guest RAM: {reason}"
        ))
    })?;
    let length = size.next_multiple_of(PAGE_SIZE);
    let there = file.metadata().map_or(0, |metadata| metadata.len());
    if there == 0 {
        let end = offset.saturating_add(length);
        let extended = file.set_len(end);
        extended.map_err(|error| Error::generic(reason(&error)))?;
    } else if there < offset.saturating_add(size) {
        return Err(Error::generic(format!(
            "a backing store size {there:#x} is too small for 'size' option {size:#x} plus \
             'offset' option {offset:#x}"
        )));
    }
    map(id, size, Some((file.as_fd(), offset)), share, reserve)
}

/// Opens the file, or one without a name in the directory.
fn open(path: &str) -> std::io::Result<File> {
    if Path::new(path).is_dir() {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::TMPFILE;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        return Ok(File::from(rustix::fs::open(path, flags, mode)?));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path)
}

fn map_memfd(
    id: &str,
    options: &api::MemoryBackendMemfdProperties,
    share: bool,
    reserve: bool,
) -> Result<Ram> {
    let size = options.base.size;
    let failed = |error: std::io::Error| {
        let reason = reason(&error);
        Error::generic(format!("failed to resize memfd to {size}: {reason}"))
    };
    let file = memfd(size, options.seal.unwrap_or(true)).map_err(failed)?;
    map(id, size, Some((file.as_fd(), 0)), share, reserve)
}

fn memfd(size: u64, seal: bool) -> std::io::Result<OwnedFd> {
    let mut flags = MemfdFlags::CLOEXEC;
    flags.set(MemfdFlags::ALLOW_SEALING, seal);
    let file = rustix::fs::memfd_create("memory-backend-memfd", flags)?;
    rustix::fs::ftruncate(&file, size.next_multiple_of(PAGE_SIZE))?;
    if seal {
        let seals = SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)?;
    }
    Ok(file)
}
