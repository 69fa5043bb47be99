//! UDP of guests: a socket of the host for each of their ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::link::Link;
use super::plan::Plan;

/// How long an unused socket is kept.
const IDLE: Duration = Duration::from_secs(240);
/// The longest datagram.
const LONGEST: usize = 65535;

/// A guest's port, as the outside sees it.
pub(super) struct Binding {
    /// The address and port in the guest.
    pub(super) guest: SocketAddr,
    pub(super) socket: UdpSocket,
    /// A rule made it: it stays.
    pub(super) is_forward: bool,
    closing: Notify,
    state: Mutex<State>,
}

struct State {
    used: Instant,
    /// The name server that stands behind the virtual one.
    resolver: Option<SocketAddr>,
}

impl Binding {
    /// A socket for what a guest sends from `guest`. Must be called within the runtime.
    pub(super) fn open(guest: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match guest {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::bind(guest, SocketAddr::new(any, 0), false)
    }

    /// A socket at `host` that leads to the guest. Must be called within the runtime.
    pub(super) fn forward(guest: SocketAddr, host: SocketAddr) -> io::Result<Self> {
        Self::bind(guest, host, true)
    }

    fn bind(guest: SocketAddr, host: SocketAddr, is_forward: bool) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(host)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            guest,
            socket: UdpSocket::from_std(socket)?,
            is_forward,
            closing: Notify::new(),
            state: Mutex::new(State {
                used: Instant::now(),
                resolver: None,
            }),
        })
    }

    /// Sends what the guest says, `resolver` being where its name server really is.
    pub(super) fn send(&self, payload: &[u8], to: SocketAddr, resolver: Option<SocketAddr>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used = Instant::now();
        if resolver.is_some() {
            state.resolver = resolver;
        }
        drop(state);
        let to = resolver.unwrap_or(to);
        // Not by the reactor, which does not know yet that a new socket can be written to.
        // Datagrams get lost.
        let _ = rustix::net::sendto(&self.socket, payload, SendFlags::DONTWAIT, &to);
    }

    /// Ends [`run`](Self::run).
    pub(super) fn close(&self) {
        self.closing.notify_one();
    }

    pub(super) fn last_used(&self) -> Instant {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .used
    }

    /// Carries answers to the guest until the socket is closed or nobody has used it for a
    /// while.
    pub(super) async fn run(self: Arc<Self>, link: Arc<Link>, plan: Plan) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let received = tokio::time::timeout(IDLE, self.socket.recv_from(&mut buffer));
            let received = tokio::select! {
                received = received => received,
                () = self.closing.notified() => return,
            };
            match received {
                Ok(Ok((length, from))) => {
                    let source = self.name(from, &plan);
                    let guest = (self.guest.ip(), self.guest.port());
                    link.udp(source, guest, &buffer[..length]);
                }
                // Such as that nobody was there.
                Ok(Err(_)) => tokio::task::yield_now().await,
                Err(_) if self.is_forward || self.last_used().elapsed() < IDLE => {}
                Err(_) => return,
            }
        }
    }

    /// Who has answered, as the guest knows them.
    fn name(&self, from: SocketAddr, plan: &Plan) -> (IpAddr, u16) {
        let resolver = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .resolver;
        let guest = self.guest.ip();
        let alias = match () {
            () if Some(from) == resolver => plan.dns_for(guest),
            () if from.ip().is_loopback() => plan.host_for(guest),
            () => None,
        };
        (alias.unwrap_or(from.ip()), from.port())
    }

    /// The line of `info usernet`.
    pub(super) fn describe(&self) -> (String, i32, SocketAddr) {
        let what = match self.is_forward {
            true => "UDP[HOST_FORWARD]".to_owned(),
            false => {
                let left = IDLE.saturating_sub(self.last_used().elapsed());
                format!("UDP[{} sec]", left.as_secs())
            }
        };
        let local = self.socket.local_addr();
        let local = local.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        (what, self.socket.as_raw_fd(), local)
    }
}
