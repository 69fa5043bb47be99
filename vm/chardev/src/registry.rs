//! All character devices of a process, by id.

use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::chardev::{Arrival, Chardev, Info, Port};
use crate::config::{Backend, Config};
use crate::error::{Error, Result};
use crate::frontend::Bell;
use crate::hub::Hub;
use crate::link::{Kind, Link, lock};
use crate::mux::Mux;
use crate::open;

/// The registry. Cheap to clone; usable from any thread.
#[derive(Debug, Clone)]
pub struct Chardevs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: Handle,
    list: Mutex<Vec<Chardev>>,
    exit: Arc<Bell>,
    /// Whether muxes take input.
    open: Arc<watch::Sender<bool>>,
}

/// While it lives, muxes leave their input where it is.
#[derive(Debug)]
#[must_use = "dropping it lets the input in"]
pub struct HeldInput(Arc<watch::Sender<bool>>);

impl Drop for HeldInput {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Chardevs {
    /// No devices yet; their input and output will run on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            runtime,
            list: Mutex::default(),
            exit: Arc::default(),
            open: Arc::new(watch::Sender::new(true)),
        }))
    }

    /// Keeps what is typed at muxes for the front ends that are still to come.
    pub fn hold_input(&self) -> HeldInput {
        self.0.open.send_replace(false);
        HeldInput(Arc::clone(&self.0.open))
    }

    /// Has `on_exit` called when someone types a mux's exit command, Ctrl-A x.
    pub fn on_exit(&self, on_exit: impl Fn() + Send + Sync + 'static) {
        self.0.exit.set(Some(Arc::new(on_exit)));
    }

    /// Opens a device. A client without reconnect delay connects before this returns.
    pub fn add(&self, id: &str, config: Config) -> Result<Chardev> {
        if self.find(id).is_some() {
            return Err(Error::Exists(id.to_owned()));
        }
        let chardev = Chardev::open(id, self.0.runtime.clone(), |port| self.open(port, config))?;
        let mut list = lock(&self.0.list);
        if list.iter().any(|other| other.label() == id) {
            drop(list);
            chardev.close();
            return Err(Error::Exists(id.to_owned()));
        }
        list.push(chardev.clone());
        Ok(chardev)
    }

    /// Gives a device a new back end; a serial port on it sees its peer leave and another come.
    pub fn change(&self, id: &str, config: Config) -> Result<Chardev> {
        let chardev = self
            .find(id)
            .ok_or_else(|| Error::DoesNotExist(id.to_owned()))?;
        let to_mux = matches!(config.backend, Backend::Mux { .. });
        if to_mux || matches!(chardev.link().kind, Kind::Mux(_)) {
            return Err(Error::MuxHotswap);
        }
        if !chardev.is_swappable() {
            return Err(Error::Hotswap);
        }
        chardev.change(|port| self.open(port, config))?;
        Ok(chardev)
    }

    /// Closes a device nobody uses.
    pub fn remove(&self, id: &str) -> Result<()> {
        let mut list = lock(&self.0.list);
        let index = list
            .iter()
            .position(|chardev| chardev.label() == id)
            .ok_or_else(|| Error::NotFound(id.to_owned()))?;
        if list[index].is_busy() {
            return Err(Error::Busy(id.to_owned()));
        }
        let chardev = list.remove(index);
        drop(list);
        chardev.close();
        Ok(())
    }

    /// Makes the front end of a device see a break.
    pub fn send_break(&self, id: &str) -> Result<()> {
        let chardev = self
            .find(id)
            .ok_or_else(|| Error::NotFound(id.to_owned()))?;
        chardev.send_break();
        Ok(())
    }

    /// The device called `id`.
    pub fn find(&self, id: &str) -> Option<Chardev> {
        lock(&self.0.list)
            .iter()
            .find(|chardev| chardev.label() == id)
            .cloned()
    }

    /// `query-chardev`, in the order the devices were added.
    pub fn list(&self) -> Vec<Info> {
        lock(&self.0.list).iter().map(Chardev::info).collect()
    }

    /// The ids `yank` may name.
    pub fn yank_instances(&self) -> Vec<String> {
        lock(&self.0.list)
            .iter()
            .filter(|chardev| chardev.is_socket())
            .map(|chardev| chardev.label().to_owned())
            .collect()
    }

    /// `ringbuf-write`.
    pub fn ringbuf_write(&self, id: &str, bytes: &[u8]) -> Result<()> {
        self.with_ring(id, |link, ring| {
            ring.write(bytes);
            link.log(bytes);
        })
    }

    /// `ringbuf-read`: takes the oldest bytes, at most `size`.
    pub fn ringbuf_read(&self, id: &str, size: i64) -> Result<Vec<u8>> {
        self.with_ring(id, |_, _| ())?;
        let size = usize::try_from(size)
            .ok()
            .filter(|&size| size > 0)
            .ok_or(Error::RingReadSize)?;
        self.with_ring(id, |_, ring| ring.read(size))
    }

    fn with_ring<T>(
        &self,
        id: &str,
        act: impl FnOnce(&Link, &crate::sink::Ring) -> T,
    ) -> Result<T> {
        let chardev = self
            .find(id)
            .ok_or_else(|| Error::DeviceNotFound(id.to_owned()))?;
        let link = chardev.link();
        match &link.kind {
            Kind::Ringbuf(ring) => Ok(act(&link, ring)),
            _ => Err(Error::NotRingbuf(id.to_owned())),
        }
    }

    /// Closes every device: sockets and links leave the file system, the terminal gets its mode
    /// back. To be called before the process ends.
    pub fn close(&self) {
        for chardev in std::mem::take(&mut *lock(&self.0.list)) {
            chardev.close();
        }
    }

    fn open(&self, port: &Arc<Port>, config: Config) -> Result<Arc<Link>> {
        // What is registered with the reactor must be made within its runtime.
        let _runtime = self.0.runtime.enter();
        let log = config.log.as_ref().map(open::log_file).transpose()?;
        let kind = match config.backend {
            Backend::Mux { chardev } => {
                let base = self.find(&chardev).ok_or(Error::MuxBase(chardev))?;
                let (exit, open) = (Arc::clone(&self.0.exit), self.0.open.subscribe());
                Kind::Mux(Mux::open(&base, exit, open)?)
            }
            Backend::Hub { chardevs } => return self.open_hub(port, chardevs, log),
            backend => return open::backend(port, backend, log),
        };
        Ok(Arc::new(Link::new(kind, "mux", log)))
    }

    fn open_hub(
        &self,
        port: &Arc<Port>,
        ids: Vec<String>,
        log: Option<std::fs::File>,
    ) -> Result<Arc<Link>> {
        let find = |id: String| self.find(&id).ok_or(Error::HubBase(id));
        let devices = ids.into_iter().map(find).collect::<Result<Vec<_>>>()?;
        let (hub, front) = Hub::open(port, &devices)?;
        let link = Arc::new(Link::new(Kind::Hub(Mutex::new(Some(hub))), "hub", log));
        port.admit_steady(&link, Arrival::steady(front, "hub"));
        Ok(link)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for chardev in lock(&self.list).drain(..) {
            chardev.close();
        }
    }
}
