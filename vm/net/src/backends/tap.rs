//! `tap`: a network interface of the host, whose other end is a file.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use tokio::io::unix::AsyncFd;

use super::{Backend, Context};
use crate::cable::Port;
use crate::config::Tap;
use crate::error::{Error, Result};
use crate::frame::{Frame, MAX_FRAME};

/// Where interfaces are made.
const CLONE: &str = "/dev/net/tun";
/// An Ethernet interface, its frames without anything before them (linux/if_tun.h).
const TAP_NO_PI: i16 = 0x0002 | 0x1000;
/// Bytes of an interface's name, with the zero at its end.
const NAME: usize = 16;

pub(super) fn open(config: Tap, port: Port, context: &Context<'_>) -> Result<Backend> {
    match config {
        Tap::Fd { name, fd } => {
            let failed = |source: io::Error| {
                let what = format!("{}: Can't use file descriptor {name}", context.id);
                Error::host(what, source)
            };
            prepare(&fd).map_err(failed)?;
            let backend = Backend::new("tap", format!("fd={name}"), context);
            carry(&backend, fd, port, None).map_err(failed)?;
            Ok(backend)
        }
        Tap::Interface {
            name,
            script,
            downscript,
        } => {
            let (fd, name) = create(name.as_deref())?;
            run(script.as_deref(), &name)?;
            let shown = |script: &Option<PathBuf>| match script {
                Some(script) => script.display().to_string(),
                None => "no".to_owned(),
            };
            let (up, down) = (shown(&script), shown(&downscript));
            let info = format!("ifname={name},script={up},downscript={down}");
            let backend = Backend::new("tap", info, context);
            let farewell = downscript.map(|script| Farewell { script, name });
            carry(&backend, fd, port, farewell)
                .map_err(|source| Error::host("could not use /dev/net/tun", source))?;
            Ok(backend)
        }
    }
}

fn prepare(fd: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    Ok(())
}

/// Makes an interface, or opens that of the name.
fn create(name: Option<&str>) -> Result<(OwnedFd, String)> {
    let shown = name.unwrap_or("tap%d");
    let failed = |source: rustix::io::Errno| {
        Error::host(format!("could not configure {CLONE} ({shown})"), source)
    };
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::open(CLONE, flags, rustix::fs::Mode::empty())
        .map_err(|source| Error::host(format!("could not open {CLONE}"), source))?;
    let mut request = Request {
        name: [0; NAME],
        flags: TAP_NO_PI,
        rest: [0; 22],
    };
    if shown.len() >= NAME {
        return Err(failed(rustix::io::Errno::INVAL));
    }
    request.name[..shown.len()].copy_from_slice(shown.as_bytes());
    set_interface(&fd, &mut request).map_err(failed)?;
    let length = request
        .name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(NAME);
    let name = String::from_utf8_lossy(&request.name[..length]).into_owned();
    Ok((fd, name))
}

/// `struct ifreq`
#[repr(C)]
struct Request {
    name: [u8; NAME],
    flags: i16,
    rest: [u8; 22],
}

#[expect(unsafe_code, reason = "the library does not know this request")]
fn set_interface(fd: &OwnedFd, request: &mut Request) -> rustix::io::Result<()> {
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `Request` is, for the call only.
    unsafe { ioctl(fd, SetInterface(request)) }
}

struct SetInterface<'a>(&'a mut Request);

#[expect(unsafe_code, reason = "the library does not know this request")]
// SAFETY: the pointer is to a whole `struct ifreq`, which the request may write.
unsafe impl Ioctl for SetInterface<'_> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        // TUNSETIFF
        0x4004_54ca
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(
        _: IoctlOutput,
        _: *mut std::ffi::c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(())
    }
}

/// Runs a script with the interface's name.
fn run(script: Option<&Path>, name: &str) -> Result<()> {
    let Some(script) = script else { return Ok(()) };
    let shown = script.display();
    let status = Command::new(script).arg(name).status().map_err(|source| {
        Error::host(format!("could not launch network script {shown}"), source)
    })?;
    if status.success() {
        return Ok(());
    }
    let code = std::os::unix::process::ExitStatusExt::into_raw(status);
    let message = format!("network script {shown} failed with status {code}");
    Err(Error::parameter(message))
}

/// What is run before the interface goes.
struct Farewell {
    script: PathBuf,
    name: String,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Err(error) = run(Some(&self.script), &self.name) {
            tracing::warn!("{error}");
        }
    }
}

fn carry(backend: &Backend, fd: OwnedFd, port: Port, farewell: Option<Farewell>) -> io::Result<()> {
    let fd = Arc::new(registered(fd)?);
    let info = backend.info.clone();
    backend.tasks.spawn(async move {
        // Dropped before the descriptor is closed.
        let _fd = Arc::clone(&fd);
        let _farewell = farewell;
        let end = tokio::select! {
            end = receive(&fd, &port) => end,
            end = transmit(&fd, &port) => end,
        };
        if let Err(error) = end {
            // The interface is gone.
            tracing::warn!("{}: {error}", info.text());
        }
        port.set_link(false);
        std::future::pending::<()>().await;
    });
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "the reactor relies on the descriptor staying the same"
)]
fn registered(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names one open descriptor until it is dropped, with the registration.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

async fn receive(fd: &AsyncFd<OwnedFd>, port: &Port) -> io::Result<()> {
    let mut buffer = vec![0; MAX_FRAME];
    loop {
        let mut ready = fd.readable().await?;
        let read = |fd: &AsyncFd<OwnedFd>| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?);
        let Ok(length) = ready.try_io(read) else {
            continue;
        };
        let length = length?;
        if length == 0 {
            return Ok(());
        }
        port.send(Frame::from(&buffer[..length])).await;
    }
}

async fn transmit(fd: &AsyncFd<OwnedFd>, port: &Port) -> io::Result<()> {
    loop {
        let frame = port.recv().await;
        loop {
            let mut ready = fd.writable().await?;
            let write = |fd: &AsyncFd<OwnedFd>| Ok(rustix::io::write(fd.get_ref(), &frame)?);
            match ready.try_io(write) {
                Err(_) => {}
                // Such as that the interface is down: the frame is lost, as on a real one.
                Ok(Err(error)) if error.raw_os_error() == Some(5) => break,
                Ok(done) => {
                    done?;
                    break;
                }
            }
        }
    }
}
