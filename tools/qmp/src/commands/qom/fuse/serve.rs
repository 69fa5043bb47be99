//! The kernel's requests, answered from the tree.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::process::{getgid, getuid};

use super::objects::Objects;
use super::tree::{Entry, Status, Tree};

/// Nothing is remembered: objects come, go and change by themselves.
const NOW: Duration = Duration::ZERO;

/// The number of an entry that nobody has looked up.
const UNKNOWN: u64 = 0xFFFF_FFFF;

/// The tree as the kernel sees it.
pub(super) struct Served<O> {
    tree: Tree<O>,
}

impl<O: Objects> Served<O> {
    pub(super) fn new(objects: O) -> Self {
        Self {
            tree: Tree::new(objects),
        }
    }
}

impl<O: Objects> Filesystem for Served<O> {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_str().ok_or(Errno::ENOENT);
        match name.and_then(|name| self.tree.look_up(parent.0, name)) {
            Ok(status) => reply.entry(&NOW, &attributes(&status), Generation(0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn forget(&self, _: &Request, node: INodeNo, lookups: u64) {
        self.tree.forget(node.0, lookups);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.tree.status(node.0) {
            Ok(status) => reply.attr(&NOW, &attributes(&status)),
            Err(errno) => reply.error(errno),
        }
    }

    /// Truncating comes before writing, and means nothing here.
    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if mode.or(uid).or(gid).is_some() {
            return reply.error(Errno::EPERM);
        }
        match self.tree.status(node.0) {
            Ok(status) => reply.attr(&NOW, &attributes(&status)),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        match self.tree.target(node.0) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let reads = flags.acc_mode() != OpenAccMode::O_WRONLY;
        match self.tree.open(node.0, reads) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.tree.read(handle.0, offset, size) {
            Ok(data) => reply.data(&data),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.tree.write(node.0, offset, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.tree.release(handle.0);
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let entries = match self.tree.entries(node.0) {
            Ok(entries) => entries,
            Err(errno) => return reply.error(errno),
        };
        let entries = [dots("."), dots("..")].into_iter().chain(entries);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, entry) in (1..).zip(entries).skip(start) {
            let number = INodeNo(entry.number.unwrap_or(UNKNOWN));
            if reply.add(number, next, entry.kind, &entry.name) {
                break;
            }
        }
        reply.ok();
    }
}

fn dots(name: &str) -> Entry {
    Entry {
        number: None,
        kind: FileType::Directory,
        name: name.to_owned(),
    }
}

fn attributes(status: &Status) -> FileAttr {
    let (perm, nlink) = match status.kind {
        FileType::Directory => (0o755, 2),
        FileType::Symlink => (0o777, 1),
        _ => (0o644, 1),
    };
    FileAttr {
        ino: INodeNo(status.number),
        size: status.size,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: status.kind,
        perm,
        nlink,
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
