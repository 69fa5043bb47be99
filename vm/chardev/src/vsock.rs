//! Addresses of sockets between host and guests (AF_VSOCK), which rustix does not know.

#![expect(unsafe_code, reason = "an address is handed to the kernel as bytes")]

use std::os::fd::OwnedFd;

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `struct sockaddr_vm` of `linux/vm_sockets.h`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct VsockAddress {
    family: u16,
    reserved: u16,
    port: u32,
    cid: u32,
    flags: u8,
    zero: [u8; 3],
}

impl VsockAddress {
    fn new(cid: u32, port: u32) -> Self {
        Self {
            family: AddressFamily::VSOCK.as_raw(),
            reserved: 0,
            port,
            cid,
            flags: 0,
            zero: [0; 3],
        }
    }
}

// SAFETY: the pointer is to a live value whose size is given along.
unsafe impl SocketAddrArg for VsockAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        act: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        act(
            std::ptr::from_ref(self).cast(),
            size_of::<Self>() as SocketAddrLen,
        )
    }
}

/// A blocking socket that `act` binds or connects to an address.
pub(crate) fn socket(
    cid: u32,
    port: u32,
    act: impl FnOnce(&OwnedFd, &VsockAddress) -> rustix::io::Result<()>,
) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)?;
    act(&socket, &VsockAddress::new(cid, port))?;
    Ok(socket)
}
