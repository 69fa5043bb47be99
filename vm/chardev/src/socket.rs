//! The `socket` back end: servers that admit one client per free seat, and clients that come back.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::address::{self, Listening, Target};
use crate::chardev::{Arrival, Port};
use crate::config::{Role, Socket};
use crate::connection::{FdInbox, Transport};
use crate::error::Result;
use crate::fd::SocketStream;
use crate::hangup::Hangup;
use crate::link::{Kind, Link};
use crate::plain::accept;
use crate::telnet::Telnet;

/// How long a server pauses when the process is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How the socket's peers are treated and named.
#[derive(Debug, Clone, Copy)]
struct Style {
    telnet: bool,
    nodelay: bool,
    server: bool,
}

/// Listens or connects. Must be called within the runtime.
pub(crate) fn open(port: &Arc<Port>, config: Socket, log: Option<File>) -> Result<Arc<Link>> {
    let style = Style {
        telnet: config.telnet,
        nodelay: config.nodelay,
        server: matches!(config.role, Role::Server { .. }),
    };
    match config.role {
        Role::Server { wait } => {
            let mut listening = address::listen(config.address)?;
            let link = link(wait, style, &listening.name, log);
            if let Some(path) = listening.path.take() {
                link.guard(path);
            }
            start(
                port,
                &link,
                serve(Arc::clone(port), Arc::clone(&link), style, listening),
            )
        }
        Role::Client { reconnect: None } => {
            let target = Target::new(config.address)?;
            let socket = target.connect_now()?;
            let link = link(false, style, &target.name, log);
            let arrival =
                arrival(port, style, socket, &target.name).map_err(|source| target.lost(source))?;
            port.admit_steady(&link, arrival);
            Ok(link)
        }
        Role::Client {
            reconnect: Some(delay),
        } => {
            let target = Target::new(config.address)?;
            let link = link(false, style, &target.name, log);
            start(
                port,
                &link,
                call(Arc::clone(port), Arc::clone(&link), style, target, delay),
            )
        }
    }
}

fn link(wait: bool, style: Style, name: &str, log: Option<File>) -> Arc<Link> {
    let name = format!("disconnected:{}", style.name(name));
    Arc::new(Link::new(Kind::Socket { wait }, name, log))
}

fn start(
    port: &Port,
    link: &Arc<Link>,
    task: impl Future<Output = ()> + Send + 'static,
) -> Result<Arc<Link>> {
    link.run_by(port.runtime.spawn(task).abort_handle());
    Ok(Arc::clone(link))
}

impl Style {
    /// `tcp:` is shown as `telnet:` where that is spoken.
    fn name(self, address: &str) -> String {
        let server = if self.server { ",server=on" } else { "" };
        match address.strip_prefix("tcp:") {
            Some(rest) if self.telnet => format!("telnet:{rest}{server}"),
            _ => format!("{address}{server}"),
        }
    }
}

async fn serve(port: Arc<Port>, link: Arc<Link>, style: Style, listening: Listening) {
    while let Some(permit) = port.seat().await {
        let arrival = loop {
            let arrival = accept(&listening.sockets)
                .await
                .and_then(|socket| arrival(&port, style, socket, &listening.name));
            match arrival {
                Ok(arrival) => break arrival,
                Err(error) => tracing::debug!("a client was lost before it was served: {error}"),
            }
            sleep(PAUSE).await;
        };
        port.admit(&link, permit, arrival);
    }
}

async fn call(port: Arc<Port>, link: Arc<Link>, style: Style, target: Target, delay: Duration) {
    while let Some(permit) = port.seat().await {
        let socket = loop {
            let arrival = target
                .connect()
                .await
                .and_then(|socket| arrival(&port, style, socket, &target.name));
            match arrival {
                Ok(arrival) => break arrival,
                Err(error) => tracing::debug!("no connection to {}: {error}", target.name),
            }
            sleep(delay).await;
        };
        // Resolves with an error, since nothing is ever sent: the connection is gone.
        let _ = port.admit(&link, permit, socket).await;
        sleep(delay).await;
    }
}

/// A peer on `socket`, which is shown as `name` unless its address says more.
fn arrival(port: &Port, style: Style, socket: OwnedFd, name: &str) -> io::Result<Arrival> {
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
    let stream = SocketStream::new(Arc::clone(&socket), fds.clone())?;
    let transport: Box<dyn Transport> = if style.telnet {
        Box::new(Telnet::new(stream, &socket, Arc::clone(&port.bell))?)
    } else {
        Box::new(stream)
    };
    Ok(Arrival {
        transport,
        hangup: Arc::new(Hangup::of_socket(socket)),
        fds,
        peer: name.clone(),
        name: Some(name),
    })
}
