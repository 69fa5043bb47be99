//! Sockets between a host and its virtual machines (AF_VSOCK), which rustix
//! has no addresses for.

#![expect(unsafe_code, reason = "an address is handed to the kernel as bytes")]

use super::Transport;
use super::descriptor::Descriptor;
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect as call, socket_with, sockopt};
use std::io;

/// `struct sockaddr_vm` of `linux/vm_sockets.h`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct VsockAddress {
    family: u16,
    reserved: u16,
    port: u32,
    cid: u32,
    flags: u8,
    zero: [u8; 3],
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

/// Connects to a port of the machine `cid`.
pub(super) async fn connect(cid: u32, port: u32) -> io::Result<Box<dyn Transport>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)?;
    let address = VsockAddress {
        family: AddressFamily::VSOCK.as_raw(),
        reserved: 0,
        port,
        cid,
        flags: 0,
        zero: [0; 3],
    };
    let called = call(&socket, &address);
    let descriptor = Descriptor::new(socket)?;
    match called {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => {
            descriptor.writable().await?;
            sockopt::socket_error(descriptor.fd())??;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Box::new(descriptor))
}
