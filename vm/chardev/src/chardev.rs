//! The handle of one character device, which outlives its back end.

use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::arrivals::Arrivals;
use crate::connection::{Connection, FdInbox, Stream, Transport};
use crate::error::{Error, Result};
use crate::frontend::{Bell, Claim, Clients, Frontend};
use crate::hangup::Hangup;
use crate::link::{Kind, Link, Seat, lock};

/// One character device. Cheap to clone; usable from any thread.
#[derive(Debug, Clone)]
pub struct Chardev(Arc<Port>);

/// The part of a device that stays when its back end is changed.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) id: String,
    pub(crate) runtime: Handle,
    /// One permit per connection that may exist.
    pub(crate) seats: Arc<Semaphore>,
    /// Holds no more than `seats` admits.
    arrivals: Arc<Arrivals>,
    pub(crate) bell: Arc<Bell>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    link: Arc<Link>,
    frontend_open: bool,
    /// Whether the front end can bear a change of back end.
    swappable: bool,
    claimed: bool,
}

/// A line of `query-chardev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The device's id.
    pub label: String,
    /// What it is connected to.
    pub filename: String,
    /// Whether the front end is listening.
    pub frontend_open: bool,
}

impl Chardev {
    /// A device whose back end `open` makes.
    pub(crate) fn open(
        id: &str,
        runtime: Handle,
        open: impl FnOnce(&Arc<Port>) -> Result<Arc<Link>>,
    ) -> Result<Self> {
        let placeholder = Arc::new(Link::new(Kind::Plain, String::new(), None));
        let port = Arc::new(Port {
            id: id.to_owned(),
            runtime,
            seats: Arc::new(Semaphore::new(1)),
            arrivals: Arc::default(),
            bell: Arc::default(),
            state: Mutex::new(State {
                link: placeholder,
                frontend_open: false,
                swappable: true,
                claimed: false,
            }),
        });
        let link = open(&port)?;
        lock(&port.state).link = link;
        Ok(Self(port))
    }

    /// The device's id.
    pub fn label(&self) -> &str {
        &self.0.id
    }

    /// What it is connected to, as `query-chardev` shows it.
    pub fn filename(&self) -> String {
        self.link().filename()
    }

    /// The line of `query-chardev`.
    pub fn info(&self) -> Info {
        Info {
            label: self.label().to_owned(),
            filename: self.filename(),
            frontend_open: lock(&self.0.state).frontend_open,
        }
    }

    /// Says whether the front end listens; claiming says yes, so this is for front ends that the
    /// guest opens and closes, such as a virtio port.
    pub fn set_frontend_open(&self, open: bool) {
        lock(&self.0.state).frontend_open = open;
    }

    /// The name of the slave of a pseudoterminal.
    pub fn pty(&self) -> Option<String> {
        match &self.link().kind {
            Kind::Pty { name } => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether the back end is a socket, hence an instance for `yank`.
    pub fn is_socket(&self) -> bool {
        matches!(self.link().kind, Kind::Socket { .. })
    }

    /// Whether there is a peer now.
    pub fn is_connected(&self) -> bool {
        self.link().is_connected()
    }

    /// Whether a front end, or a mux on behalf of some, has claimed it.
    pub fn is_busy(&self) -> bool {
        match &self.link().kind {
            Kind::Mux(mux) => mux.is_busy(),
            _ => lock(&self.0.state).claimed,
        }
    }

    /// The line to print before waiting for the first client of a `wait=on` server, nothing for
    /// other devices. Follow it by [`connected`](Self::connected).
    pub fn waiting_message(&self) -> Option<String> {
        let link = self.link();
        let Kind::Socket { wait: true } = link.kind else {
            return None;
        };
        Some(format!(
            "QEMU waiting for connection on: {}",
            link.filename()
        ))
    }

    /// Waits until there was a first peer.
    pub async fn connected(&self) {
        self.link().connected().await;
    }

    /// Ends every connection of a socket, as the `yank` command does. Servers accept the next
    /// client, clients with a reconnect delay try again.
    pub fn yank(&self) {
        let link = self.link();
        if matches!(link.kind, Kind::Socket { .. }) {
            link.hang_up();
        }
    }

    /// Makes the front end see a break.
    pub fn send_break(&self) {
        match &self.link().kind {
            Kind::Mux(mux) => mux.send_break(),
            _ => self.0.bell.ring(),
        }
    }

    /// Copies output that had no peer to go to into the log file.
    pub(crate) fn log(&self, bytes: &[u8]) {
        self.link().log(bytes);
    }

    /// Claims the device for a front end that serves `clients`.
    pub fn claim(&self, clients: Clients) -> Result<Frontend> {
        let link = self.link();
        let frontend = match &link.kind {
            Kind::Mux(mux) => mux.attach(self, &link, clients)?,
            _ => self.claim_whole(clients)?,
        };
        self.set_frontend_open(true);
        Ok(frontend)
    }

    fn claim_whole(&self, clients: Clients) -> Result<Frontend> {
        let mut state = lock(&self.0.state);
        if std::mem::replace(&mut state.claimed, true) {
            return Err(Error::InUse(self.0.id.clone()));
        }
        state.swappable = clients == Clients::One;
        drop(state);
        self.0.seats.add_permits(clients.extra());
        Ok(Frontend::new(
            Claim::new(self.clone(), clients, None),
            Arc::clone(&self.0.arrivals),
            Arc::clone(&self.0.bell),
        ))
    }

    /// Takes the device back from its front end.
    pub(crate) fn release(&self, clients: Clients) {
        self.0.bell.set(None);
        self.0.seats.forget_permits(clients.extra());
        let mut state = lock(&self.0.state);
        state.claimed = false;
        state.frontend_open = false;
        state.swappable = true;
    }

    pub(crate) fn is_swappable(&self) -> bool {
        lock(&self.0.state).swappable
    }

    /// Replaces the back end by the one `open` makes. Should that fail, the old one stays.
    pub(crate) fn change(&self, open: impl FnOnce(&Arc<Port>) -> Result<Arc<Link>>) -> Result<()> {
        let new = open(&self.0)?;
        let mut state = lock(&self.0.state);
        let old = std::mem::replace(&mut state.link, new);
        let claimed = state.claimed;
        drop(state);
        if !claimed {
            drop(self.0.arrivals.take());
        }
        old.close();
        Ok(())
    }

    /// Ends the back end and undoes what it left in the file system.
    pub(crate) fn close(&self) {
        self.link().close();
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&lock(&self.0.state).link)
    }

    pub(crate) fn port(&self) -> &Arc<Port> {
        &self.0
    }
}

/// A peer that has just come.
pub(crate) struct Arrival {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) hangup: Arc<Hangup>,
    pub(crate) fds: FdInbox,
    pub(crate) peer: String,
    /// What `query-chardev` shows while it is here, unless the same as without it.
    pub(crate) name: Option<String>,
}

impl Arrival {
    /// A peer that is there as long as the device is.
    pub(crate) fn steady(transport: impl Transport + 'static, peer: &str) -> Self {
        Self {
            transport: Box::new(transport),
            hangup: Arc::default(),
            fds: FdInbox::default(),
            peer: peer.to_owned(),
            name: None,
        }
    }

    /// Makes the connection that holds `permit`, and a receiver that resolves when it is gone.
    pub(crate) fn seat(
        self,
        link: &Arc<Link>,
        permit: OwnedSemaphorePermit,
    ) -> (Connection, oneshot::Receiver<()>) {
        let (seat, gone) = Seat::take(Arc::clone(link), permit, self.hangup, self.name);
        let connection = Connection {
            stream: Stream::new(self.transport, seat),
            fds: self.fds,
            peer: self.peer,
            focus: None,
        };
        (connection, gone)
    }
}

impl Port {
    /// Hands `arrival` to the front end; resolves when the connection is gone.
    pub(crate) fn admit(
        &self,
        link: &Arc<Link>,
        permit: OwnedSemaphorePermit,
        arrival: Arrival,
    ) -> oneshot::Receiver<()> {
        let (connection, gone) = arrival.seat(link, permit);
        self.arrivals.push(connection);
        gone
    }

    /// Hands over the one connection of a back end without comings and goings: at once if the
    /// front end is free, else when it has dropped the previous back end's.
    pub(crate) fn admit_steady(self: &Arc<Self>, link: &Arc<Link>, arrival: Arrival) {
        if let Ok(permit) = Arc::clone(&self.seats).try_acquire_owned() {
            self.admit(link, permit, arrival);
            return;
        }
        let (port, opened) = (Arc::clone(self), Arc::clone(link));
        let task = self.runtime.spawn(async move {
            if let Some(permit) = port.seat().await {
                port.admit(&opened, permit, arrival);
            }
        });
        link.run_by(task.abort_handle());
    }

    /// Waits for a free seat; `None` never happens while the device exists.
    pub(crate) async fn seat(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.seats).acquire_owned().await.ok()
    }
}
