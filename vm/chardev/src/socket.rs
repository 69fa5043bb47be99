//! The `socket` back end: servers that admit one client per free seat, and clients that come back.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::address::{self, Listening, Target};
use crate::chardev::{Arrival, Port};
use crate::config::{Role, Socket};
use crate::connection::{FdInbox, Transport};
use crate::error::{Error, Result};
use crate::fd::SocketStream;
use crate::hangup::Hangup;
use crate::link::{Kind, Link};
use crate::plain::accept;
use crate::telnet::Telnet;
use crate::tls::{Authorizer, TlsCreds};
use crate::websocket::WebSocket;

/// How long a server pauses when the process is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);

/// How the socket's peers are treated and named.
#[derive(Debug)]
struct Style {
    tls: Option<TlsCreds>,
    authorizer: Option<Authorizer>,
    websocket: bool,
    telnet: bool,
    nodelay: bool,
    server: bool,
}

/// A back end and those it serves.
#[derive(Debug, Clone)]
struct Place {
    port: Arc<Port>,
    link: Arc<Link>,
    style: Arc<Style>,
}

/// Listens or connects. Must be called within the runtime.
pub(crate) fn open(port: &Arc<Port>, config: Socket, log: Option<File>) -> Result<Arc<Link>> {
    let style = Style {
        tls: config.tls,
        authorizer: config.authorizer,
        websocket: config.websocket,
        telnet: config.telnet,
        nodelay: config.nodelay,
        server: matches!(config.role, Role::Server { .. }),
    };
    style.check()?;
    match config.role {
        Role::Server { wait } => {
            let mut listening = address::listen(config.address)?;
            let place = Place::new(port, wait, style, &listening.name, log);
            if let Some(path) = listening.path.take() {
                place.link.guard(path);
            }
            Ok(place.run(|place| serve(place, listening)))
        }
        Role::Client { reconnect: None } => {
            let target = Target::new(config.address)?;
            let socket = target.connect_now()?;
            let place = Place::new(port, false, style, &target.name, log);
            let peer = Peer::new(&place.style, socket, &target.name);
            let peer = peer.map_err(|source| target.lost(source))?;
            if place.style.is_plain() {
                port.admit_steady(&place.link, peer.plain());
                return Ok(place.link);
            }
            Ok(place.run(|place| greet_once(place, peer, target)))
        }
        Role::Client {
            reconnect: Some(delay),
        } => {
            let target = Target::new(config.address)?;
            let place = Place::new(port, false, style, &target.name, log);
            Ok(place.run(|place| call(place, target, delay)))
        }
    }
}

impl Style {
    fn check(&self) -> Result<()> {
        if self.websocket && !self.server {
            return Err(Error::WebSocketClient);
        }
        match &self.tls {
            Some(tls) => tls.check(self.server),
            None => Ok(()),
        }
    }

    /// Whether bytes pass as they are, from the start.
    fn is_plain(&self) -> bool {
        self.tls.is_none() && !self.websocket && !self.telnet
    }

    /// `tcp:` is shown as what is spoken over it.
    fn name(&self, address: &str) -> String {
        let server = if self.server { ",server=on" } else { "" };
        match address.strip_prefix("tcp:") {
            Some(rest) if self.telnet => format!("telnet:{rest}{server}"),
            Some(rest) if self.websocket => format!("websocket:{rest}{server}"),
            _ => format!("{address}{server}"),
        }
    }
}

impl Place {
    fn new(port: &Arc<Port>, wait: bool, style: Style, name: &str, log: Option<File>) -> Self {
        let name = format!("disconnected:{}", style.name(name));
        Self {
            port: Arc::clone(port),
            link: Arc::new(Link::new(Kind::Socket { wait }, name, log)),
            style: Arc::new(style),
        }
    }

    /// Starts what runs the back end until it is closed.
    fn run<F>(self, task: impl FnOnce(Self) -> F) -> Arc<Link>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let link = Arc::clone(&self.link);
        let runtime = self.port.runtime.clone();
        link.run_by(runtime.spawn(task(self)).abort_handle());
        link
    }
}

async fn serve(place: Place, listening: Listening) {
    while let Some(permit) = place.port.seat().await {
        let peer = loop {
            let socket = accept(&listening.sockets).await;
            match socket.and_then(|socket| Peer::new(&place.style, socket, &listening.name)) {
                Ok(peer) => break peer,
                Err(error) => tracing::debug!("a client was lost before it was served: {error}"),
            }
            sleep(PAUSE).await;
        };
        if place.style.is_plain() {
            place.port.admit(&place.link, permit, peer.plain());
            continue;
        }
        // A client that says nothing has its seat for a while and holds up nobody else.
        let host = place.clone();
        place.link.also_run_by(place.port.runtime.spawn(async move {
            match timeout(GREETING, peer.greet(&host, None)).await {
                Ok(Ok(arrival)) => drop(host.port.admit(&host.link, permit, arrival)),
                Ok(Err(error)) => tracing::debug!("a client did not greet: {error}"),
                Err(_) => tracing::debug!("a client was silent"),
            }
        }));
    }
}

async fn call(place: Place, target: Target, delay: Duration) {
    while let Some(permit) = place.port.seat().await {
        let arrival = loop {
            match call_once(&place, &target).await {
                Ok(arrival) => break arrival,
                Err(error) => tracing::debug!("no connection to {}: {error}", target.name),
            }
            sleep(delay).await;
        };
        // Resolves with an error, since nothing is ever sent: the connection is gone.
        let _ = place.port.admit(&place.link, permit, arrival).await;
        sleep(delay).await;
    }
}

async fn call_once(place: &Place, target: &Target) -> io::Result<Arrival> {
    let peer = Peer::new(&place.style, target.connect().await?, &target.name)?;
    timeout(GREETING, peer.greet(place, target.host())).await?
}

/// The rest of a connection that was made while the caller waited.
async fn greet_once(place: Place, peer: Peer, target: Target) {
    match timeout(GREETING, peer.greet(&place, target.host())).await {
        Ok(Ok(arrival)) => {
            if let Some(permit) = place.port.seat().await {
                place.port.admit(&place.link, permit, arrival);
            }
        }
        Ok(Err(error)) => tracing::warn!("no connection to {}: {error}", target.name),
        Err(_) => tracing::warn!("no connection to {}: it is silent", target.name),
    }
}

/// Someone on a socket, not greeted yet.
struct Peer {
    socket: Arc<OwnedFd>,
    stream: SocketStream,
    fds: FdInbox,
    name: String,
}

impl Peer {
    /// It is shown as `name` unless its address says more.
    fn new(style: &Style, socket: OwnedFd, name: &str) -> io::Result<Self> {
        let ends = address::ends(&socket)?;
        if style.nodelay && ends.is_some() {
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        }
        let name = match ends {
            Some((local, peer)) => format!("{} <-> {peer}", style.name(&format!("tcp:{local}"))),
            None => style.name(name),
        };
        let socket = Arc::new(socket);
        let fds = FdInbox::default();
        Ok(Self {
            stream: SocketStream::new(Arc::clone(&socket), fds.clone())?,
            socket,
            fds,
            name,
        })
    }

    fn plain(self) -> Arrival {
        Arrival {
            transport: Box::new(self.stream),
            hangup: Arc::new(Hangup::of_socket(self.socket)),
            fds: self.fds,
            peer: self.name.clone(),
            name: Some(self.name),
        }
    }

    /// Goes through what is spoken before the first byte of data, from the inside out.
    async fn greet(self, place: &Place, host: Option<&str>) -> io::Result<Arrival> {
        let style = &place.style;
        let mut transport: Box<dyn Transport> = Box::new(self.stream);
        if let Some(tls) = &style.tls {
            transport = tls.wrap(transport, host, style.authorizer.as_ref()).await?;
        }
        if style.websocket {
            transport = Box::new(WebSocket::accept(transport).await?);
        }
        if style.telnet {
            let bell = Arc::clone(&place.port.bell);
            transport = Box::new(Telnet::greet(transport, bell).await?);
        }
        Ok(Arrival {
            transport,
            hangup: Arc::new(Hangup::of_socket(self.socket)),
            fds: self.fds,
            peer: self.name.clone(),
            name: Some(self.name),
        })
    }
}
