//! The host's interfaces, as linux/if_tun.h has them.
#![expect(unsafe_code, reason = "the library does not know these requests")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::ioctl::{self, IntegerSetter, Setter, Updater, opcode};

use crate::error::{Error, Result};
use crate::vnet;

/// Where interfaces are made.
const CLONE: &str = "/dev/net/tun";
/// Bytes of an interface's name, with the zero at its end.
const NAME: usize = 16;

/// Flags of an interface.
mod flag {
    /// Ethernet frames.
    pub(super) const TAP: i16 = 0x0002;
    /// Nothing but the header below before them.
    pub(super) const NO_PI: i16 = 0x1000;
    /// The header of virtio's packets before them.
    pub(super) const VNET_HDR: i16 = 0x4000;
    /// There are several queues.
    pub(super) const MULTI_QUEUE: i16 = 0x0100;
    /// Use this queue.
    pub(super) const ATTACH_QUEUE: i16 = 0x0200;
    /// Do not.
    pub(super) const DETACH_QUEUE: i16 = 0x0400;
}

/// What may be left to us: checksums, and segments of TCP over IPv4 and IPv6, with ECN.
const OFFLOADS: usize = 0x0f;

const SET_INTERFACE: ioctl::Opcode = opcode::write::<i32>(b'T', 202);
const SET_OFFLOAD: ioctl::Opcode = opcode::write::<u32>(b'T', 208);
const INTERFACE: ioctl::Opcode = opcode::read::<u32>(b'T', 210);
const SET_SEND_BUFFER: ioctl::Opcode = opcode::write::<i32>(b'T', 212);
const SET_HEADER_SIZE: ioctl::Opcode = opcode::write::<i32>(b'T', 216);
const SET_QUEUE: ioctl::Opcode = opcode::write::<i32>(b'T', 217);

/// `struct ifreq`
#[repr(C)]
struct Request {
    name: [u8; NAME],
    flags: i16,
    rest: [u8; 22],
}

impl Request {
    fn new(name: &[u8], flags: i16) -> Option<Self> {
        let mut request = Self {
            name: [0; NAME],
            flags,
            rest: [0; 22],
        };
        // The zero at the end must stay.
        request.name[..NAME - 1]
            .get_mut(..name.len())?
            .copy_from_slice(name);
        Some(request)
    }

    fn name(&self) -> String {
        let name = self.name.split(|byte| *byte == 0).next();
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    }
}

/// A queue of an interface.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) fd: OwnedFd,
    /// The header of virtio's packets is before each frame.
    pub(super) vnet: bool,
}

impl Device {
    /// Makes an interface, or opens that of the name, and tells its name.
    pub(super) fn open(
        name: Option<&str>,
        multi_queue: bool,
        vnet: bool,
    ) -> Result<(Self, String)> {
        let shown = name.unwrap_or("tap%d");
        let failed =
            |source: Errno| Error::host(format!("could not configure {CLONE} ({shown})"), source);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::open(CLONE, flags, rustix::fs::Mode::empty())
            .map_err(|source| Error::host(format!("could not open {CLONE}"), source))?;
        let mut flags = flag::TAP | flag::NO_PI;
        if multi_queue {
            flags |= flag::MULTI_QUEUE;
        }
        if vnet {
            flags |= flag::VNET_HDR;
        }
        let request = Request::new(shown.as_bytes(), flags);
        let mut request = request.ok_or_else(|| failed(Errno::INVAL))?;
        // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `Request` is.
        let made = unsafe {
            let request = Updater::<SET_INTERFACE, Request>::new(&mut request);
            ioctl::ioctl(&fd, request)
        };
        made.map_err(failed)?;
        let device = Self { fd, vnet };
        device.prepare();
        Ok((device, request.name()))
    }

    /// Takes over what somebody else has opened.
    pub(super) fn passed(fd: OwnedFd) -> Result<Self> {
        let number = fd.as_raw_fd();
        let failed = |source: Errno| {
            Error::host(format!("Unable to query TUNGETIFF on FD {number}"), source)
        };
        let mut request = Request::new(b"", 0).ok_or_else(|| failed(Errno::INVAL))?;
        // SAFETY: TUNGETIFF writes a `struct ifreq`, which `Request` is.
        let asked = unsafe { ioctl::ioctl(&fd, Updater::<INTERFACE, Request>::new(&mut request)) };
        asked.map_err(failed)?;
        let flags = rustix::fs::fcntl_getfl(&fd).map_err(failed)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK).map_err(failed)?;
        let device = Self {
            fd,
            vnet: request.flags & flag::VNET_HDR != 0,
        };
        device.prepare();
        Ok(device)
    }

    /// Has the host leave checksums and segmentation to us. Where it cannot, it does them itself.
    fn prepare(&self) {
        if !self.vnet {
            return;
        }
        // SAFETY: TUNSETVNETHDRSZ reads an int.
        let sized = unsafe {
            let request = Setter::<SET_HEADER_SIZE, i32>::new(vnet::SHORT as i32);
            ioctl::ioctl(&self.fd, request)
        };
        // SAFETY: TUNSETOFFLOAD takes a number.
        let offloaded = unsafe {
            let request = IntegerSetter::<SET_OFFLOAD>::new_usize(OFFLOADS);
            ioctl::ioctl(&self.fd, request)
        };
        if let Err(error) = sized.and(offloaded) {
            tracing::debug!("the interface does all work itself: {error}");
        }
    }

    /// Limits what waits to be sent.
    pub(super) fn set_send_buffer(&self, bytes: u64) -> io::Result<()> {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: TUNSETSNDBUF reads an int.
        let set = unsafe { ioctl::ioctl(&self.fd, Setter::<SET_SEND_BUFFER, i32>::new(bytes)) };
        Ok(set?)
    }
}

/// Has the host use a queue of an interface with several, or leave it alone.
pub(super) fn use_queue(fd: &OwnedFd, on: bool) -> io::Result<()> {
    let flags = if on {
        flag::ATTACH_QUEUE
    } else {
        flag::DETACH_QUEUE
    };
    let request = Request::new(b"", flags).ok_or(Errno::INVAL)?;
    // SAFETY: TUNSETQUEUE reads a `struct ifreq`, which `Request` is.
    let set = unsafe { ioctl::ioctl(fd, Setter::<SET_QUEUE, Request>::new(request)) };
    Ok(set?)
}
