//! `stream`: a stream socket, either side of it.

use std::time::Duration;

use tinamou_chardev::{Caller, Listener, Peer, SocketAddress};
use tokio::time::sleep;

use super::framing::carry;
use super::{Backend, Context, Info};
use crate::cable::Port;
use crate::config::Stream;
use crate::error::Result;
use crate::network::{Event, PeerAddress};

/// How long a server pauses when it cannot accept: out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn open(config: Stream, port: Port, context: &Context<'_>) -> Result<Backend> {
    let backend = Backend::new("stream", "connecting", context);
    let session = Session {
        id: context.id.clone(),
        info: backend.info(),
        report: std::sync::Arc::clone(&context.report),
        local: local_name(&config.address),
        port,
    };
    session.port.set_link(false);
    if config.server {
        let listener = Listener::bind(config.address)?;
        session.info.set("listening");
        backend.tasks.spawn(serve(listener, session));
    } else {
        let caller = Caller::new(config.address)?;
        backend.tasks.spawn(call(caller, config.reconnect, session));
    }
    Ok(backend)
}

/// What peers are called that have no internet address.
fn local_name(address: &SocketAddress) -> PeerAddress {
    match address {
        SocketAddress::Unix(path) => PeerAddress::Unix(path.display().to_string()),
        SocketAddress::Abstract { name, .. } => {
            PeerAddress::Unix(String::from_utf8_lossy(name).into_owned())
        }
        SocketAddress::Fd { name, .. } => PeerAddress::Fd(name.clone()),
        _ => PeerAddress::Unix(String::new()),
    }
}

async fn serve(listener: Listener, session: Session) {
    loop {
        match listener.accept().await {
            Ok(peer) => {
                session.run(peer).await;
                session.info.set("listening");
            }
            Err(error) => {
                tracing::debug!(
                    "{}: a peer was lost before it was served: {error}",
                    session.id
                );
                sleep(PAUSE).await;
            }
        }
    }
}

async fn call(caller: Caller, reconnect: Option<Duration>, session: Session) {
    loop {
        match caller.call().await {
            Ok(peer) => session.run(peer).await,
            Err(error) => session.info.set(format!("error: {error}")),
        }
        let Some(delay) = reconnect else { return };
        sleep(delay).await;
        session.info.set("connecting");
    }
}

struct Session {
    id: String,
    info: Info,
    report: std::sync::Arc<dyn Fn(Event) + Send + Sync>,
    local: PeerAddress,
    port: Port,
}

impl Session {
    /// Carries frames until the peer leaves.
    async fn run(&self, peer: Peer) {
        let address = peer
            .address
            .map_or_else(|| self.local.clone(), PeerAddress::Inet);
        self.info.set(match &address {
            PeerAddress::Inet(address) => format!("tcp:{}:{}", address.ip(), address.port()),
            PeerAddress::Unix(path) => format!("unix:{path}"),
            PeerAddress::Fd(name) => format!("fd:{name}"),
        });
        self.port.set_link(true);
        (self.report)(Event::StreamConnected {
            netdev: self.id.clone(),
            peer: address,
        });
        if let Err(error) = carry(peer.stream, &self.port).await {
            tracing::debug!("{}: {error}", self.id);
        }
        self.port.set_link(false);
        self.info.set("");
        (self.report)(Event::StreamDisconnected {
            netdev: self.id.clone(),
        });
    }
}
