//! TCP connections of guests: each is a task between a host's stream and a [`Tcb`].

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::link::Link;
use super::tcb::{Segment, Tcb};
use super::wire::Tcp;
use crate::frame::Frame;

/// Segments from the guest that wait for their connection; more than a window holds.
pub(super) const BACKLOG: usize = 512;

/// Bytes read from the host at once.
const CHUNK: usize = 64 * 1024;

/// The two ends of a connection as the guest sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) guest: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// A segment from the guest, its payload still in its frame.
pub(super) struct Arrived {
    pub(super) tcp: Tcp,
    pub(super) frame: Frame,
    pub(super) payload: Range<usize>,
}

/// What `info usernet` shows of a connection.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) state: &'static str,
    pub(super) fd: i32,
    pub(super) queues: (usize, usize),
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            state: "SYN_SENT",
            fd: -1,
            queues: (0, 0),
        }
    }
}

/// The host's side of a connection.
pub(super) enum HostStream {
    Tcp(TcpStream),
    Other(Box<dyn Duplex>),
}

/// Something that bytes go to and come from.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl HostStream {
    fn fd(&self) -> i32 {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Other(_) => -1,
        }
    }

    fn pinned(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Other(stream) => Pin::new(stream.as_mut()),
        }
    }

    /// The guest has reset the connection: so does the host.
    fn reset(&self) {
        if let Self::Tcp(stream) = self {
            // It may be gone already.
            let _ = stream.set_zero_linger();
        }
    }
}

/// What the host's side has done.
enum Progress {
    /// So many bytes were taken.
    Wrote(usize),
    /// So many were given; none at the end.
    Read(usize),
    Failed,
}

/// A connection at work.
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    pub(super) flow: Flow,
    pub(super) arrivals: mpsc::Receiver<Arrived>,
    pub(super) shown: Arc<Mutex<Shown>>,
}

impl Connection {
    /// Answers the guest's call when the host's side is there, and carries bytes.
    pub(super) async fn answer(
        mut self,
        syn: Tcp,
        sequence: u32,
        host: impl Future<Output = io::Result<HostStream>>,
    ) {
        match host.await {
            Ok(stream) => {
                // The guest has called again meanwhile.
                while self.arrivals.try_recv().is_ok() {}
                self.run(Tcb::answer(&syn, sequence), stream).await;
            }
            Err(error) => {
                tracing::debug!("no connection to {}: {error}", self.flow.remote);
                self.refuse(&syn).await;
            }
        }
    }

    async fn refuse(&self, syn: &Tcp) {
        if let Some(tcp) = Tcb::refusal(syn, 0) {
            let segment = Segment {
                tcp,
                payload: Vec::new(),
                mss: 0,
            };
            self.send(segment).await;
        }
    }

    /// Calls the guest for the host's side, and carries bytes.
    pub(super) async fn call(self, sequence: u32, stream: HostStream) {
        let ports = (self.flow.remote.port(), self.flow.guest.port());
        self.run(Tcb::call(ports, sequence), stream).await;
    }

    async fn send(&self, segment: Segment) {
        let (source, destination): (IpAddr, IpAddr) = (self.flow.remote.ip(), self.flow.guest.ip());
        // Nobody there: it is sent again when nobody answers.
        self.link.tcp(source, destination, segment).await;
    }

    async fn run(mut self, mut tcb: Tcb, mut stream: HostStream) {
        let mut chunk = vec![0; CHUNK];
        let mut shut = false;
        loop {
            while let Some(segment) = tcb.next_segment(Instant::now()) {
                self.send(segment).await;
            }
            self.show(&tcb, &stream);
            if tcb.is_over() {
                break;
            }
            let deadline = tcb.deadline();
            tokio::select! {
                arrived = self.arrivals.recv() => {
                    let Some(arrived) = arrived else { break };
                    self.take(&mut tcb, &arrived);
                }
                progress = progress(&mut stream, &tcb, &mut chunk) => match progress {
                    Progress::Wrote(count) => tcb.consume(count),
                    Progress::Read(0) => tcb.close(),
                    Progress::Read(count) => tcb.push(&chunk[..count]),
                    Progress::Failed => tcb.reset(),
                },
                () = expiry(deadline) => tcb.expire(Instant::now()),
            }
            if tcb.is_closed_by_guest() && tcb.input().is_empty() && !shut {
                shut = true;
                // It may be gone already.
                let _ = stream.pinned().shutdown().await;
            }
        }
        if tcb.was_reset() {
            stream.reset();
        }
    }

    /// Takes a segment and those that wait behind it.
    fn take(&mut self, tcb: &mut Tcb, first: &Arrived) {
        let now = Instant::now();
        tcb.take(&first.tcp, &first.frame[first.payload.clone()], now);
        while let Ok(next) = self.arrivals.try_recv() {
            tcb.take(&next.tcp, &next.frame[next.payload.clone()], now);
        }
    }

    fn show(&self, tcb: &Tcb, stream: &HostStream) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Shown {
            state: tcb.state_name(),
            fd: stream.fd(),
            queues: tcb.queues(),
        };
    }
}

async fn expiry(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until the host takes what the guest has sent, or gives what there is room for.
async fn progress(stream: &mut HostStream, tcb: &Tcb, chunk: &mut [u8]) -> Progress {
    let input = tcb.input();
    let room = tcb.room().min(chunk.len());
    poll_fn(|cx| {
        if !input.is_empty()
            && let Poll::Ready(wrote) = stream.pinned().poll_write(cx, input)
        {
            return Poll::Ready(wrote.map_or(Progress::Failed, Progress::Wrote));
        }
        if room > 0 {
            let mut buffer = ReadBuf::new(&mut chunk[..room]);
            if let Poll::Ready(read) = stream.pinned().poll_read(cx, &mut buffer) {
                let count = buffer.filled().len();
                return Poll::Ready(read.map_or(Progress::Failed, |()| Progress::Read(count)));
            }
        }
        Poll::Pending
    })
    .await
}
