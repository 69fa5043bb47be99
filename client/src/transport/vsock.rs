//! Sockets between a host and its virtual machines (AF_VSOCK), which rustix
//! has no addresses for.

#![expect(unsafe_code, reason = "an address is handed to the kernel as bytes")]

use super::Transport;
use super::descriptor::Descriptor;
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect as call, listen,
    socket_with, sockopt,
};
use std::io;
use std::os::fd::OwnedFd;

/// Connections that wait to be taken.
const QUEUE: i32 = 16;

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

/// Connects to a port of the machine `cid`.
pub(super) async fn connect(cid: u32, port: u32) -> io::Result<Box<dyn Transport>> {
    let socket = socket()?;
    let called = call(&socket, &VsockAddress::new(cid, port));
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

/// Where machines connect to.
pub(super) struct VsockListener(Descriptor);

impl VsockListener {
    /// Listens on a port of our own as machine `cid`, or as any of them.
    pub(super) fn bind(cid: u32, port: u32) -> io::Result<Self> {
        let socket = socket()?;
        bind(&socket, &VsockAddress::new(cid, port))?;
        listen(&socket, QUEUE)?;
        Ok(Self(Descriptor::new(socket)?))
    }

    pub(super) async fn accept(&self) -> io::Result<Box<dyn Transport>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = self.0.read_with(|fd| accept_with(fd, flags)).await?;
        Ok(Box::new(Descriptor::new(socket)?))
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::VSOCK,
        SocketType::STREAM,
        flags,
        None,
    )?)
}
