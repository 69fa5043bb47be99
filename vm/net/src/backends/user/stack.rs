//! Where packets of guests are told apart, and what is kept of those that use the host.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::fragments::Fragments;
use super::icmp::{self, Ping};
use super::link::Link;
use super::plan::Plan;
use super::rules::{GuestRule, HostRule, Protocol};
use super::services::Services;
use super::tcb::{Segment, Tcb};
use super::tcp::{Arrived, BACKLOG, Connection, Flow, HostStream, Shown};
use super::udp::Binding;
use super::wire::{Ethernet, Ip, Tcp, Udp, ethertype, flags, protocol};
use super::{guestfwd, resolver};
use crate::backends::Tasks;
use crate::frame::Frame;
use crate::mac::MacAddress;

/// Connections at once; when there are more, the one idle longest goes.
const MOST_CONNECTIONS: usize = 512;
/// Sockets for UDP at once.
const MOST_BINDINGS: usize = 256;
/// Echoes under way.
const MOST_PINGS: usize = 32;

/// The virtual network.
pub(super) struct Stack {
    pub(super) plan: Plan,
    pub(super) link: Arc<Link>,
    pub(super) tasks: Tasks,
    pub(super) chardevs: tinamou_chardev::Chardevs,
    pub(super) guest_rules: Vec<GuestRule>,
    state: Mutex<State>,
    pings: AtomicUsize,
    sequence: AtomicU32,
}

#[derive(Default)]
struct State {
    connections: HashMap<Flow, Entry>,
    bindings: HashMap<SocketAddr, Arc<Binding>>,
    forwards: Vec<Forward>,
    fragments: Fragments,
    services: Services,
}

struct Entry {
    segments: mpsc::Sender<Arrived>,
    shown: Arc<Mutex<Shown>>,
    used: Instant,
}

/// A rule of `hostfwd` at work.
struct Forward {
    protocol: Protocol,
    /// As the rule names it; port 0 means any.
    asked: SocketAddr,
    local: SocketAddr,
    guest: SocketAddr,
    fd: i32,
    task: tokio::task::AbortHandle,
}

impl Stack {
    pub(super) fn new(
        plan: Plan,
        link: Arc<Link>,
        tasks: Tasks,
        chardevs: tinamou_chardev::Chardevs,
        guest_rules: Vec<GuestRule>,
        services: Services,
    ) -> Self {
        Self {
            plan,
            link,
            tasks,
            chardevs,
            guest_rules,
            state: Mutex::new(State {
                services,
                ..State::default()
            }),
            pings: AtomicUsize::new(0),
            sequence: AtomicU32::new(0x1000_0000),
        }
    }

    /// Takes a frame of a guest.
    pub(super) fn take(self: &Arc<Self>, frame: Frame) {
        let Some(ethernet) = Ethernet::parse(&frame) else {
            return;
        };
        let from = ethernet.source;
        let ip = match ethernet.kind {
            ethertype::ARP => return self.link.take_arp(ethernet.payload),
            ethertype::IPV4 if self.plan.v4.is_some() => Ip::parse_v4(ethernet.payload),
            ethertype::IPV6 if self.plan.v6.is_some() => Ip::parse_v6(ethernet.payload),
            _ => None,
        };
        let Some(ip) = ip else { return };
        if self.plan.contains(ip.source) && !self.plan.is_ours(ip.source) {
            self.link.meet(ip.source, from);
        }
        if ip.fragment.is_some() {
            let whole = self.state().fragments.add(&ip);
            if let Some(payload) = whole {
                let ip = Ip {
                    payload: &payload,
                    fragment: None,
                    ..ip
                };
                // Segments of TCP are never fragmented by those that know the way's limits.
                self.take_datagram(&ip, from, true);
            }
            return;
        }
        let verified = frame.offload.checksum.is_some();
        if ip.protocol != protocol::TCP {
            return self.take_datagram(&ip, from, !verified);
        }
        if !verified && !ip.is_sound() {
            return;
        }
        let Some((tcp, header)) = Tcp::parse(ip.payload) else {
            return;
        };
        let flow = Flow {
            guest: SocketAddr::new(ip.source, tcp.source),
            remote: SocketAddr::new(ip.destination, tcp.destination),
        };
        let start = ip.payload.as_ptr().addr() - frame.as_ptr().addr();
        let payload = start + header..start + ip.payload.len();
        let arrived = Arrived {
            tcp,
            payload,
            frame,
        };
        self.take_segment(flow, arrived);
    }

    fn take_datagram(self: &Arc<Self>, ip: &Ip<'_>, from: MacAddress, check: bool) {
        match ip.protocol {
            protocol::ICMP => {
                if let Some(ping) = icmp::take_v4(&self.link, &self.plan, ip) {
                    self.ping(ping);
                }
            }
            protocol::ICMPV6 => icmp::take_v6(&self.link, &self.plan, ip, from),
            protocol::UDP => {
                // IPv4 may leave the checksum out.
                let has_sum = ip.payload.get(6..8).is_some_and(|sum| sum != [0, 0]);
                if (!check || !has_sum || ip.is_sound())
                    && let Some(udp) = Udp::parse(ip.payload)
                {
                    self.take_udp(ip, &udp, from);
                }
            }
            _ => {}
        }
    }

    fn ping(self: &Arc<Self>, ping: Ping) {
        if self.pings.load(Ordering::Relaxed) >= MOST_PINGS {
            return;
        }
        self.pings.fetch_add(1, Ordering::Relaxed);
        let stack = Arc::clone(self);
        self.tasks.spawn(async move {
            ping.run(Arc::clone(&stack.link), stack.plan.clone()).await;
            stack.pings.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn take_udp(self: &Arc<Self>, ip: &Ip<'_>, udp: &Udp<'_>, from: MacAddress) {
        if Services::serve(&self.plan, ip, udp) {
            return self.serve((ip, udp), from);
        }
        let guest = SocketAddr::new(ip.source, udp.source);
        let known = self.state().bindings.get(&guest).cloned();
        if let Some(known) = known {
            return self.send_udp(&known, ip, udp);
        }
        if self.plan.restrict || !self.reaches(ip.destination) {
            return;
        }
        if let Some(binding) = self.bind(guest) {
            self.send_udp(&binding, ip, udp);
        }
    }

    /// Whether a packet for that address leaves the virtual network, or is for the gateway.
    fn reaches(&self, address: IpAddr) -> bool {
        let special = address.is_multicast()
            || address.is_unspecified()
            || address == IpAddr::V4(Ipv4Addr::BROADCAST);
        !special && (self.plan.is_ours(address) || !self.plan.contains(address))
    }

    fn send_udp(&self, binding: &Binding, ip: &Ip<'_>, udp: &Udp<'_>) {
        let to = SocketAddr::new(ip.destination, udp.destination);
        let resolver = (self.plan.is_dns(to.ip()) && to.port() == resolver::PORT)
            .then(|| resolver::first(to.is_ipv4()));
        binding.send(udp.payload, self.real(to), resolver);
    }

    /// Where an address of the virtual network really is.
    fn real(&self, address: SocketAddr) -> SocketAddr {
        if !self.plan.is_ours(address.ip()) {
            return address;
        }
        if self.plan.is_dns(address.ip()) && address.port() == resolver::PORT {
            return resolver::first(address.is_ipv4());
        }
        let loopback: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(loopback, address.port())
    }

    fn bind(self: &Arc<Self>, guest: SocketAddr) -> Option<Arc<Binding>> {
        let binding = Arc::new(Binding::open(guest).ok()?);
        let mut state = self.state();
        let open = state
            .bindings
            .values()
            .filter(|binding| !binding.is_forward);
        if open.clone().count() >= MOST_BINDINGS
            && let Some(oldest) = open.min_by_key(|binding| binding.last_used())
        {
            oldest.close();
            let oldest = oldest.guest;
            state.bindings.remove(&oldest);
        }
        state.bindings.insert(guest, Arc::clone(&binding));
        drop(state);
        let (stack, working) = (Arc::clone(self), Arc::clone(&binding));
        self.tasks.spawn(async move {
            let link = Arc::clone(&stack.link);
            Arc::clone(&working).run(link, stack.plan.clone()).await;
            let mut state = stack.state();
            let known = state.bindings.get(&guest);
            if known.is_some_and(|known| Arc::ptr_eq(known, &working)) {
                state.bindings.remove(&guest);
            }
        });
        Some(binding)
    }

    /// What the gateway's own services say.
    fn serve(&self, datagram: (&Ip<'_>, &Udp<'_>), from: MacAddress) {
        let answer = self.state().services.answer(&self.plan, datagram, from);
        let Some(answer) = answer else { return };
        if let Some((address, mac)) = answer.met {
            self.link.meet(address, mac);
        }
        self.link
            .udp_to(answer.to, answer.source, answer.destination, &answer.bytes);
    }

    fn take_segment(self: &Arc<Self>, flow: Flow, arrived: Arrived) {
        let mut state = self.state();
        if let Some(entry) = state.connections.get_mut(&flow) {
            entry.used = Instant::now();
            // Full: lost, to be sent again.
            let _ = entry.segments.try_send(arrived);
            return;
        }
        drop(state);
        let tcp = arrived.tcp;
        let bits = flags::SYN | flags::ACK | flags::RST;
        if tcp.flags & bits == flags::SYN && self.admits(flow.remote) {
            return self.open(flow, tcp);
        }
        if let Some(answer) = Tcb::refusal(&tcp, arrived.payload.len()) {
            let segment = Segment {
                tcp: answer,
                payload: Vec::new(),
                mss: 0,
            };
            self.link
                .tcp_lossy(flow.remote.ip(), flow.guest.ip(), &segment);
        }
    }

    fn admits(&self, remote: SocketAddr) -> bool {
        self.guest_rule(remote).is_some() || (!self.plan.restrict && self.reaches(remote.ip()))
    }

    /// The rule of `guestfwd` for that place.
    fn guest_rule(&self, remote: SocketAddr) -> Option<&GuestRule> {
        self.guest_rules.iter().find(|rule| {
            let server = rule.server.map(IpAddr::from);
            rule.port == remote.port() && server == Some(remote.ip())
        })
    }

    /// A guest calls.
    fn open(self: &Arc<Self>, flow: Flow, syn: Tcp) {
        let stack = Arc::clone(self);
        let sequence = self.next_sequence();
        let real = self.real(flow.remote);
        let rule = self.guest_rule(flow.remote).cloned();
        self.start(flow, move |connection| async move {
            let host = async {
                match rule {
                    Some(rule) => guestfwd::open(&rule.target, &stack.chardevs),
                    None => TcpStream::connect(real).await.and_then(prepared),
                }
            };
            connection.answer(syn, sequence, host).await;
        });
    }

    /// Somebody calls a guest from outside.
    fn call(self: &Arc<Self>, guest: SocketAddr, stream: TcpStream, peer: SocketAddr) {
        let Some(host) = self.plan.host_for(guest.ip()) else {
            return;
        };
        let face = if peer.ip().is_loopback() || peer.is_ipv4() != guest.is_ipv4() {
            host
        } else {
            peer.ip()
        };
        let flow = Flow {
            guest,
            remote: SocketAddr::new(face, peer.port()),
        };
        let Ok(stream) = prepared(stream) else { return };
        let sequence = self.next_sequence();
        self.start(flow, move |connection| connection.call(sequence, stream));
    }

    fn start<F>(self: &Arc<Self>, flow: Flow, work: impl FnOnce(Connection) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (segments, arrivals) = mpsc::channel(BACKLOG);
        let shown = Arc::new(Mutex::new(Shown::default()));
        let mut state = self.state();
        if state.connections.len() >= MOST_CONNECTIONS {
            let oldest = state.connections.iter().min_by_key(|(_, entry)| entry.used);
            if let Some((oldest, _)) = oldest.map(|(flow, entry)| (*flow, entry.used)) {
                // Its task ends when nobody can send to it.
                state.connections.remove(&oldest);
            }
        }
        let entry = Entry {
            segments: segments.clone(),
            shown: Arc::clone(&shown),
            used: Instant::now(),
        };
        state.connections.insert(flow, entry);
        drop(state);
        let connection = Connection {
            link: Arc::clone(&self.link),
            flow,
            arrivals,
            shown,
        };
        let work = work(connection);
        let stack = Arc::clone(self);
        let segments = segments.downgrade();
        self.tasks.spawn(async move {
            work.await;
            let mut state = stack.state();
            let own = segments.upgrade();
            let is_own = |entry: &Entry| {
                own.as_ref()
                    .is_some_and(|own| own.same_channel(&entry.segments))
            };
            if state.connections.get(&flow).is_some_and(is_own) {
                state.connections.remove(&flow);
            }
        });
    }

    /// Begins to forward. Must be called within the runtime.
    pub(super) fn forward(self: &Arc<Self>, rule: &HostRule) -> io::Result<()> {
        let no_v4 = || io::Error::from(io::ErrorKind::Unsupported);
        let guest = rule
            .guest
            .or(self.plan.v4.map(|plan| plan.dhcp))
            .ok_or_else(no_v4)?;
        let guest = SocketAddr::new(guest.into(), rule.port);
        let (local, fd, task) = match rule.protocol {
            Protocol::Tcp => self.forward_tcp(rule.host, guest)?,
            Protocol::Udp => self.forward_udp(rule.host, guest)?,
        };
        self.state().forwards.insert(
            0,
            Forward {
                protocol: rule.protocol,
                asked: rule.host,
                local,
                guest,
                fd,
                task,
            },
        );
        Ok(())
    }

    fn forward_tcp(self: &Arc<Self>, host: SocketAddr, guest: SocketAddr) -> io::Result<Placed> {
        use std::os::fd::AsRawFd as _;
        let listener = std::net::TcpListener::bind(host)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let placed = (listener.local_addr()?, listener.as_raw_fd());
        let stack = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => stack.call(guest, stream, peer),
                    // Out of descriptors, or the peer is gone already.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            }
        });
        Ok((placed.0, placed.1, task))
    }

    fn forward_udp(self: &Arc<Self>, host: SocketAddr, guest: SocketAddr) -> io::Result<Placed> {
        let binding = Arc::new(Binding::forward(guest, host)?);
        let (_, fd, local) = binding.describe();
        self.state().bindings.insert(guest, Arc::clone(&binding));
        let (link, plan) = (Arc::clone(&self.link), self.plan.clone());
        Ok((local, fd, self.tasks.spawn(binding.run(link, plan))))
    }

    /// Ends a rule; false if there is none like it.
    pub(super) fn unforward(&self, protocol: Protocol, host: SocketAddr) -> bool {
        let mut state = self.state();
        let is_it = |forward: &Forward| {
            let same_port = forward.local.port() == host.port();
            forward.protocol == protocol && forward.asked.ip() == host.ip() && same_port
        };
        let Some(place) = state.forwards.iter().position(is_it) else {
            return false;
        };
        let forward = state.forwards.remove(place);
        if protocol == Protocol::Udp {
            state.bindings.remove(&forward.guest);
        }
        drop(state);
        self.tasks.end(&forward.task);
        true
    }

    /// The lines of `info usernet`.
    pub(super) fn describe(&self) -> String {
        let mut text = String::from(
            "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n",
        );
        let state = self.state();
        let mut line = |what: &str,
                        fd: i32,
                        from: (String, u16),
                        to: (String, u16),
                        queues: (usize, usize)| {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {what:<17} {fd:3} {:>15} {:5} {:>15} {:5} {:5} {:5}",
                from.0, from.1, to.0, to.1, queues.0, queues.1
            );
        };
        let name = |address: IpAddr| match address.is_unspecified() {
            true => "*".to_owned(),
            false => address.to_string(),
        };
        for forward in state
            .forwards
            .iter()
            .filter(|forward| forward.protocol == Protocol::Tcp)
        {
            let from = (name(forward.asked.ip()), forward.local.port());
            let to = (name(forward.guest.ip()), forward.guest.port());
            line("TCP[HOST_FORWARD]", forward.fd, from, to, (0, 0));
        }
        for (flow, entry) in &state.connections {
            let shown = entry
                .shown
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let from = (name(flow.guest.ip()), flow.guest.port());
            let to = (name(flow.remote.ip()), flow.remote.port());
            line(
                &format!("TCP[{}]", shown.state),
                shown.fd,
                from,
                to,
                shown.queues,
            );
        }
        for binding in state.bindings.values() {
            let (what, fd, local) = binding.describe();
            let guest = (name(binding.guest.ip()), binding.guest.port());
            let local = (name(local.ip()), local.port());
            let (from, to) = if binding.is_forward {
                (local, guest)
            } else {
                (guest, local)
            };
            line(&what, fd, from, to, (0, 0));
        }
        text
    }

    /// Sequence numbers begin where those of earlier connections cannot be any more (RFC 9293
    /// §3.4.1): the clock's part is enough on a link that keeps nothing.
    fn next_sequence(&self) -> u32 {
        self.sequence.fetch_add(0x0012_3457, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What listens: where, its descriptor, and the task.
type Placed = (SocketAddr, i32, tokio::task::AbortHandle);

fn prepared(stream: TcpStream) -> io::Result<HostStream> {
    stream.set_nodelay(true)?;
    Ok(HostStream::Tcp(stream))
}
