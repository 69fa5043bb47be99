//! Locks against other processes, compatible with QEMU's: single bytes far into the file, which
//! need not exist. Byte 100 + N says that somebody needs permission N, byte 200 + N that somebody
//! does not share it. All locks are shared; whoever wants one looks for its opposite.
#![expect(
    unsafe_code,
    reason = "rustix has no locks on byte ranges of open files"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::permission::{Claim, Permissions};

const NEEDED: u64 = 100;
const UNSHARED: u64 = 200;

/// Why a claim cannot be had.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Another process holds the opposite of this lock.
    Held(String),
    /// The host has no locks for such a file.
    Host(u64, io::Error),
}

/// Whether the host can lock the file like this.
pub(super) fn available(file: &File) -> bool {
    holder(file, NEEDED).is_ok()
}

/// Takes the locks of a claim and gives up those that it does not have.
pub(super) fn claim(file: &File, old: Claim, new: Claim) -> Result<(), Refusal> {
    lock(file, new)?;
    if let Err(refusal) = look(file, new) {
        unlock(file, new, old);
        return Err(refusal);
    }
    unlock(file, old, new);
    Ok(())
}

fn lock(file: &File, claim: Claim) -> Result<(), Refusal> {
    for byte in bytes(claim) {
        set(file, libc::F_RDLCK, byte).map_err(|error| Refusal::Host(byte, error))?;
    }
    Ok(())
}

/// Takes the locks that another descriptor of this process holds already.
pub(super) fn copy(file: &File, held: Claim) -> io::Result<()> {
    bytes(held).try_for_each(|byte| set(file, libc::F_RDLCK, byte))
}

/// Gives up what `old` has and `new` has not.
fn unlock(file: &File, old: Claim, new: Claim) {
    let kept: Vec<u64> = bytes(new).collect();
    for byte in bytes(old).filter(|byte| !kept.contains(byte)) {
        // A lock that cannot be given up harms others, but nothing can be done about it here.
        let _ = set(file, libc::F_UNLCK, byte);
    }
}

/// Looks for other processes that need what is not shared or do not share what is needed.
fn look(file: &File, claim: Claim) -> Result<(), Refusal> {
    for (index, (permission, name)) in (0..).zip(Permissions::NAMES) {
        let held = |byte| holder(file, byte).map_err(|error| Refusal::Host(byte, error));
        if claim.need.intersects(permission) && held(UNSHARED + index)? {
            return Err(Refusal::Held(format!("\"{name}\"")));
        }
        if !claim.share.intersects(permission) && held(NEEDED + index)? {
            return Err(Refusal::Held(format!("shared \"{name}\"")));
        }
    }
    Ok(())
}

fn bytes(claim: Claim) -> impl Iterator<Item = u64> {
    (0..)
        .zip(Permissions::NAMES)
        .flat_map(move |(index, (permission, _))| {
            let needed = claim.need.intersects(permission).then_some(NEEDED + index);
            let unshared = (!claim.share.intersects(permission)).then_some(UNSHARED + index);
            needed.into_iter().chain(unshared)
        })
}

fn set(file: &File, kind: i32, byte: u64) -> io::Result<()> {
    command(file, libc::F_OFD_SETLK, kind, byte).map(|_| ())
}

/// Whether another open file has a lock on the byte.
fn holder(file: &File, byte: u64) -> io::Result<bool> {
    let kind = command(file, libc::F_OFD_GETLK, libc::F_WRLCK, byte)?;
    Ok(kind != libc::F_UNLCK)
}

fn command(file: &File, command: i32, kind: i32, byte: u64) -> io::Result<i32> {
    let mut lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `lock` is a whole
    // `flock` that the call reads and, for F_OFD_GETLK, writes.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, &mut lock) };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(lock.l_type.into()),
    }
}
