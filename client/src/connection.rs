//! One connection: the session, the byte stream below it, and the task that
//! moves bytes between the two.
//!
//! A caller writes its own request when nothing else is under way, so a call
//! costs one write, one wake-up and one read. Otherwise the task writes, and
//! what several callers asked for meanwhile goes out together.

use crate::events::Log;
use crate::transport::Transport;
use crate::{Closed, Error, Result};
use serde_json::value::RawValue;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tinamou_qmp::client::{
    ErrorReply, Event, Fault, Greeting, Incoming, Peer, Request, RequestId, Session,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Bytes that are read at once.
const READ: usize = 32 << 10;

/// What becomes of a request.
pub(crate) type Outcome = Result<Result<Box<RawValue>, ErrorReply>, Closed>;

/// Who waits for a reply, and what goes along with the request.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) reply: oneshot::Sender<Outcome>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// A connection.
pub(crate) struct Connection {
    link: Mutex<Link>,
    log: Arc<Log>,
    closed: OnceLock<Closed>,
}

/// What the task and the callers share.
struct Link {
    session: Session<Waiter>,
    stream: Option<Box<dyn Transport>>,
    /// The task's, once it has run.
    driver: Waker,
    /// Why nothing can be written any more.
    write_error: Option<Arc<io::Error>>,
    /// Bytes are in the stream's own buffer (TLS).
    unflushed: bool,
    /// `SHUTDOWN` came.
    shutdown: Option<Event>,
    /// Asked to end by a handle.
    closing: bool,
    ended: bool,
}

/// What one round of reading brought.
#[derive(Debug, Default)]
struct Batch {
    replies: Vec<(Waiter, Result<Box<RawValue>, ErrorReply>)>,
    events: Vec<Event>,
    /// Readers of events were woken.
    told: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Greeted,
    Negotiated,
}

impl Connection {
    pub(crate) fn new(
        stream: Box<dyn Transport>,
        peer: Peer,
        longest_message: usize,
        log: Arc<Log>,
    ) -> Arc<Self> {
        Arc::new(Self {
            link: Mutex::new(Link {
                session: Session::new(peer, longest_message),
                stream: Some(stream),
                driver: Waker::noop().clone(),
                write_error: None,
                unflushed: false,
                shutdown: None,
                closing: false,
                ended: false,
            }),
            log,
            closed: OnceLock::new(),
        })
    }

    /// Moves bytes until the server has greeted, or negotiated.
    pub(crate) async fn until(&self, progress: Progress) -> Result<()> {
        while !self.has_come_to(progress) {
            match poll_fn(|cx| self.poll_round(cx)).await {
                Ok(_) => {}
                Err(closed) => return Err(self.finish(closed).await.into_error("")),
            }
        }
        Ok(())
    }

    /// Moves bytes until the connection ends. May be dropped and begun again.
    pub(crate) async fn run(&self) -> Closed {
        loop {
            match poll_fn(|cx| self.poll_round(cx)).await {
                // Let readers see these before the next ones come.
                Ok(batch) if batch.told => tokio::task::yield_now().await,
                Ok(_) => {}
                Err(closed) => return self.finish(closed).await,
            }
        }
    }

    /// Makes a request; the reply goes to its waiter.
    pub(crate) fn submit(&self, request: &Request<'_>, waiter: Waiter) -> Result<RequestId> {
        let mut link = self.lock();
        if link.ended || link.closing {
            drop(link);
            let closed = self.closed.get().cloned().unwrap_or(Closed::Here);
            return Err(closed.into_error(request.command));
        }
        if request.oob && !link.session.oob() {
            return Err(Error::usage(
                "out-of-band execution was not negotiated on this connection",
            ));
        }
        let carries = link.stream.as_ref().is_some_and(|s| s.carries_fds());
        if request.carries && !carries {
            return Err(Error::usage(
                "descriptors can be passed over unix sockets only",
            ));
        }
        let id = link.session.request(request, waiter);
        link.write_or_wake();
        Ok(id)
    }

    /// Nobody waits for this reply any more.
    pub(crate) fn forget(&self, id: RequestId) {
        let token = self.lock().session.forget(id);
        drop(token);
    }

    /// Begins to synchronise with a guest agent.
    pub(crate) fn resynchronise(&self) {
        self.lock().session.resynchronise();
    }

    /// Whether it has ended, or is about to.
    pub(crate) fn is_over(&self) -> bool {
        let link = self.lock();
        link.ended || link.closing
    }

    /// Ends the connection.
    pub(crate) fn close(&self) {
        let mut link = self.lock();
        link.closing = true;
        link.driver.wake_by_ref();
    }

    pub(crate) fn greeting(&self) -> Option<Greeting> {
        self.lock().session.greeting().cloned()
    }

    pub(crate) fn oob(&self) -> bool {
        self.lock().session.oob()
    }

    pub(crate) fn strays(&self) -> u64 {
        self.lock().session.strays()
    }

    fn has_come_to(&self, progress: Progress) -> bool {
        let session = &self.lock().session;
        match progress {
            Progress::Greeted => session.greeting().is_some(),
            Progress::Negotiated => session.is_ready(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One round: writes what is to be written, reads once, hands out what
    /// came. Wakers are foreign code and run when the lock is released.
    fn poll_round(&self, cx: &mut Context<'_>) -> Poll<Result<Batch, Closed>> {
        let mut batch = Batch::default();
        let read = self.lock().poll_round(cx, &mut batch);
        let wakers = match batch.events.is_empty() {
            true => Vec::new(),
            false => self.log.add(std::mem::take(&mut batch.events)),
        };
        batch.told = !wakers.is_empty();
        wakers.into_iter().for_each(Waker::wake);
        for (waiter, outcome) in batch.replies.drain(..) {
            // Whoever gave up in this instant gets nothing.
            let _ = waiter.reply.send(Ok(outcome));
        }
        read.map(|result| result.map(|()| batch))
    }

    /// Tells those who wait for replies that it is over, with what the stream
    /// knows about the end.
    async fn finish(&self, mut closed: Closed) -> Closed {
        let stream = {
            let mut link = self.lock();
            link.ended = true;
            link.stream.take()
        };
        if let (Closed::Ended, Some(mut stream)) = (&closed, stream)
            && let Some(epitaph) = stream.epitaph().await
        {
            closed = Closed::Lost(Arc::new(Error::Child(epitaph)));
        }
        self.closed.get_or_init(|| closed.clone());
        let waiting = self.lock().session.end();
        for (_, waiter) in waiting {
            let _ = waiter.reply.send(Err(closed.clone()));
        }
        closed
    }
}

impl Link {
    /// Writes at once if nothing else is under way; otherwise lets the task do
    /// it, together with what others ask for until then.
    fn write_or_wake(&mut self) {
        if self.session.waiting() > 1 || self.write_error.is_some() {
            self.driver.wake_by_ref();
            return;
        }
        let driver = self.driver.clone();
        if let Err(error) = self.poll_write(&mut Context::from_waker(&driver)) {
            self.write_error = Some(error.into());
            driver.wake();
        }
    }

    /// Writes what is to be written, as far as it goes.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        loop {
            let (bytes, waiter) = self.session.output();
            if bytes.is_empty() {
                break;
            }
            let written = match waiter {
                Some(waiter) if !waiter.fds.is_empty() => {
                    let sent = stream.poll_send(cx, bytes, &waiter.fds);
                    if sent.is_ready() {
                        waiter.fds.clear();
                    }
                    sent
                }
                _ => Pin::new(&mut *stream).poll_write(cx, bytes),
            };
            match written {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(length)) => self.session.sent(length),
                Poll::Ready(Err(error)) => return Err(error),
            }
            self.unflushed = true;
        }
        if self.unflushed {
            match Pin::new(stream).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(done) => {
                    done?;
                    self.unflushed = false;
                }
            }
        }
        Ok(())
    }

    fn poll_round(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<(), Closed>> {
        if self.closing {
            return Poll::Ready(Err(Closed::Here));
        }
        if !self.driver.will_wake(cx.waker()) {
            self.driver = cx.waker().clone();
        }
        if self.write_error.is_none()
            && let Err(error) = self.poll_write(cx)
        {
            self.write_error = Some(error.into());
        }
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(Closed::Here));
        };
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(stream).poll_read(cx, &mut buffer) {
            Poll::Pending => match self.write_error.take() {
                // What the server had said was read; now it is over.
                Some(error) => Poll::Ready(Err(Closed::Lost(Arc::new(Error::Io(error))))),
                None => Poll::Pending,
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.lost(error))),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(self.ended())),
            Poll::Ready(Ok(())) => {
                self.session.feed(buffer.filled());
                Poll::Ready(self.sort(batch).map_err(|fault| {
                    let error = match fault {
                        Fault::Negotiation(reply) => Error::Negotiation(reply.desc),
                        fault => Error::Protocol(fault.to_string()),
                    };
                    Closed::Lost(Arc::new(error))
                }))
            }
        }
    }

    /// Sorts what came in by who is to get it.
    fn sort(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        while let Some(incoming) = self.session.receive()? {
            match incoming {
                Incoming::Greeting | Incoming::Negotiated => {}
                Incoming::Reply { token, outcome, .. } => batch.replies.push((token, outcome)),
                Incoming::Event(event) => {
                    if event.name == "SHUTDOWN" {
                        self.shutdown = Some(event.clone());
                    }
                    batch.events.push(event);
                }
            }
        }
        Ok(())
    }

    /// The server ended the connection.
    fn ended(&mut self) -> Closed {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Shutdown {
            guest: bool,
            reason: Option<String>,
        }
        let Some(event) = self.shutdown.take() else {
            return Closed::Ended;
        };
        let data = event.data.and_then(|d| serde_json::from_str(d.get()).ok());
        let Shutdown { guest, reason } = data.unwrap_or_default();
        Closed::Shutdown { guest, reason }
    }

    /// Reading failed. A server that ends with our bytes unread resets the
    /// connection, which after a shutdown is an end like any other.
    fn lost(&mut self, error: io::Error) -> Closed {
        match self.ended() {
            Closed::Ended => Closed::Lost(Arc::new(error.into())),
            closed => closed,
        }
    }
}
