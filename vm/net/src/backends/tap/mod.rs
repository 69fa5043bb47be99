//! `tap` and `bridge`: a network interface of the host, whose other end is a file, or several
//! that share its work.

mod device;
mod helper;

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;

use self::device::Device;
use super::{Backend, Context};
use crate::cable::Port;
use crate::config::{Bridge, Passed, Tap};
use crate::error::{Error, Result};
use crate::frame::{Accepts, Frame, MAX_FRAME};
use crate::vnet;

pub(super) fn open(config: Tap, ports: Vec<Port>, context: &Context<'_>) -> Result<Backend> {
    match config {
        Tap::Fds(passed) => {
            let infos = passed.iter().map(|fd| format!("fd={}", fd.name)).collect();
            let devices = adopt(passed, context)?;
            carry(infos, devices, ports, None, context)
        }
        Tap::Helper(bridge) => {
            let info = format!("helper={}", bridge.helper);
            open_bridge(info, &bridge, ports, context)
        }
        Tap::Interface {
            name,
            script,
            downscript,
            vnet_header,
            send_buffer,
            queues,
        } => {
            let open = |name: Option<&str>| Device::open(name, queues > 1, vnet_header);
            let (first, name) = open(name.as_deref())?;
            if let Some(bytes) = send_buffer {
                let failed = |source| Error::host("TUNSETSNDBUF ioctl failed", source);
                first.set_send_buffer(bytes).map_err(failed)?;
            }
            run(script.as_deref(), &name)?;
            let shown = |script: &Option<PathBuf>| match script {
                Some(script) => script.display().to_string(),
                None => "no".to_owned(),
            };
            let (up, down) = (shown(&script), shown(&downscript));
            let info = format!("ifname={name},script={up},downscript={down}");
            let mut devices = vec![first];
            for _ in 1..queues {
                devices.push(open(Some(&name))?.0);
            }
            let infos = vec![info; devices.len()];
            let farewell = downscript.map(|script| Farewell { script, name });
            carry(infos, devices, ports, farewell, context)
        }
    }
}

pub(super) fn open_bridge(
    info: String,
    bridge: &Bridge,
    ports: Vec<Port>,
    context: &Context<'_>,
) -> Result<Backend> {
    let device = Device::passed(helper::run(&bridge.helper, &bridge.bridge)?)?;
    carry(vec![info], vec![device], ports, None, context)
}

fn adopt(passed: Vec<Passed>, context: &Context<'_>) -> Result<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for Passed { fd, .. } in passed {
        let device = Device::passed(fd)?;
        if devices
            .first()
            .is_some_and(|first| first.vnet != device.vnet)
        {
            let id = &context.id;
            let text = format!("{id}: vnet_hdr not consistent across given tap fds");
            return Err(Error::parameter(text));
        }
        devices.push(device);
    }
    Ok(devices)
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

/// The queues of an interface, which whoever is connected may use in part.
#[derive(Clone, Debug)]
pub(crate) struct Queues(Vec<Arc<AsyncFd<OwnedFd>>>);

impl Queues {
    /// Has the host spread what comes over the first queues, as many as are used.
    pub(crate) fn use_first(&self, count: usize) {
        for (place, fd) in self.0.iter().enumerate().filter(|_| self.0.len() > 1) {
            // Fails if it is so already.
            let _ = device::use_queue(fd.get_ref(), place < count);
        }
    }
}

fn carry(
    infos: Vec<String>,
    devices: Vec<Device>,
    ports: Vec<Port>,
    farewell: Option<Farewell>,
    context: &Context<'_>,
) -> Result<Backend> {
    let mut backend = Backend::with_infos("tap", infos, context);
    // It is run when the last queue has gone.
    let farewell = Arc::new(farewell);
    let mut queues = Queues(Vec::new());
    for (Device { fd, vnet }, port) in devices.into_iter().zip(ports) {
        let fd = Arc::new(registered(fd).map_err(|source| Error::host("tap", source))?);
        queues.0.push(Arc::clone(&fd));
        if vnet {
            port.accept(Accepts::ALL);
        }
        let interface = Interface { fd, vnet };
        let (id, farewell) = (context.id.clone(), Arc::clone(&farewell));
        backend.tasks.spawn(async move {
            // Dropped before the descriptor is closed.
            let _fd = Arc::clone(&interface.fd);
            let _farewell = farewell;
            let end = tokio::select! {
                end = interface.receive(&port) => end,
                end = interface.transmit(&port) => end,
            };
            if let Err(error) = end {
                // The interface is gone.
                tracing::warn!("{id}: {error}");
            }
            port.set_link(false);
            std::future::pending::<()>().await;
        });
    }
    queues.use_first(1);
    backend.queues = Some(queues);
    Ok(backend)
}

#[expect(
    unsafe_code,
    reason = "the reactor relies on the descriptor staying the same"
)]
fn registered(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names one open descriptor until it is dropped, with the registration.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

/// A queue at work.
struct Interface {
    fd: Arc<AsyncFd<OwnedFd>>,
    vnet: bool,
}

impl Interface {
    async fn receive(&self, port: &Port) -> io::Result<()> {
        let mut buffer = vec![0; MAX_FRAME + vnet::SHORT];
        loop {
            let mut ready = self.fd.readable().await?;
            let read = |fd: &AsyncFd<OwnedFd>| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?);
            let Ok(length) = ready.try_io(read) else {
                continue;
            };
            let bytes = &buffer[..length?];
            if bytes.is_empty() {
                return Ok(());
            }
            if let Some(frame) = self.unpack(bytes) {
                port.send(frame).await;
            }
        }
    }

    fn unpack(&self, bytes: &[u8]) -> Option<Frame> {
        if !self.vnet {
            return Some(bytes.into());
        }
        let (head, bytes) = bytes.split_first_chunk()?;
        vnet::decode(head, bytes.to_vec())
    }

    async fn transmit(&self, port: &Port) -> io::Result<()> {
        loop {
            let frame = port.recv().await;
            let head = vnet::encode(&frame, 0);
            let head = if self.vnet { &head[..vnet::SHORT] } else { &[] };
            loop {
                let mut ready = self.fd.writable().await?;
                let pieces = [IoSlice::new(head), IoSlice::new(&frame)];
                let write = |fd: &AsyncFd<OwnedFd>| Ok(rustix::io::writev(fd.get_ref(), &pieces)?);
                match ready.try_io(write) {
                    Err(_) => {}
                    Ok(Err(error)) if is_of_the_frame(&error) => break,
                    Ok(done) => {
                        done?;
                        break;
                    }
                }
            }
        }
    }
}

/// Whether a frame is lost, as on a real interface: that is down, or makes no sense of the frame.
fn is_of_the_frame(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let lost = [Errno::IO, Errno::INVAL, Errno::NOBUFS, Errno::MSGSIZE];
    lost.iter()
        .any(|lost| error.raw_os_error() == Some(lost.raw_os_error()))
}
