//! Requests and replies over a connection: many at once, answered in any order.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

const FLAG_NO_HOLE: u16 = 1 << 1;

/// Requests that wait to be sent.
const QUEUE: usize = 64;

/// A request without its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    flags: u16,
    kind: u16,
    offset: u64,
    length: u32,
}

impl Request {
    pub(super) fn read(offset: u64, length: u32) -> Self {
        Self::new(0, offset, length)
    }

    pub(super) fn write(offset: u64, length: u32) -> Self {
        Self::new(1, offset, length)
    }

    pub(super) fn flush() -> Self {
        Self::new(3, 0, 0)
    }

    pub(super) fn trim(offset: u64, length: u32) -> Self {
        Self::new(4, offset, length)
    }

    pub(super) fn write_zeroes(offset: u64, length: u32, unmap: bool) -> Self {
        let flags = if unmap { 0 } else { FLAG_NO_HOLE };
        Self {
            flags,
            ..Self::new(6, offset, length)
        }
    }

    fn new(kind: u16, offset: u64, length: u32) -> Self {
        Self {
            flags: 0,
            kind,
            offset,
            length,
        }
    }

    /// Bytes that the reply carries.
    fn expected(self) -> usize {
        if self.kind == 0 {
            self.length as usize
        } else {
            0
        }
    }

    fn message(self, handle: u64, data: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(28 + data.len());
        message.extend(REQUEST_MAGIC.to_be_bytes());
        message.extend(self.flags.to_be_bytes());
        message.extend(self.kind.to_be_bytes());
        message.extend(handle.to_be_bytes());
        message.extend(self.offset.to_be_bytes());
        message.extend(self.length.to_be_bytes());
        message.extend(data);
        message
    }
}

/// A connection in the phase of requests. Clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<Vec<u8>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<HashMap<u64, Waiting>>,
    next: AtomicU64,
    lost: AtomicBool,
}

/// Who waits for a reply, and how many bytes come with it.
struct Waiting {
    expected: usize,
    answer: oneshot::Sender<io::Result<Vec<u8>>>,
}

impl Connection {
    pub(super) fn new<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let shared = Arc::new(Shared::default());
        let (outbox, messages) = mpsc::channel(QUEUE);
        let receiver = tokio::spawn(receive(Arc::clone(&shared), reader));
        let sender = Arc::clone(&shared);
        tokio::spawn(async move {
            send(writer, messages).await;
            // Either the stream is broken, or nobody has a use for it any more.
            receiver.abort();
            sender.lose();
        });
        Self { shared, outbox }
    }

    /// Whether the connection is of no use any more.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Acquire)
    }

    /// Sends a request and waits for its reply.
    pub(super) async fn request(&self, request: Request, data: &[u8]) -> io::Result<Vec<u8>> {
        let handle = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (answer, reply) = oneshot::channel();
        let waiting = Waiting {
            expected: request.expected(),
            answer,
        };
        self.shared.waiting().insert(handle, waiting);
        let sent = self.outbox.send(request.message(handle, data)).await;
        if sent.is_err() || self.is_lost() {
            self.shared.waiting().remove(&handle);
            return Err(Errno::IO.into());
        }
        reply.await.unwrap_or_else(|_| Err(Errno::IO.into()))
    }
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody will be answered any more.
    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.waiting().clear();
    }
}

async fn send<S: AsyncWrite>(mut writer: WriteHalf<S>, mut messages: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = messages.recv().await {
        if writer.write_all(&message).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

async fn receive<S: AsyncRead>(shared: Arc<Shared>, mut reader: ReadHalf<S>) {
    // A server that breaks the protocol is as good as one that is gone.
    while receive_one(&shared, &mut reader).await.is_ok() {}
    shared.lose();
}

async fn receive_one<S: AsyncRead>(shared: &Shared, reader: &mut ReadHalf<S>) -> io::Result<()> {
    let magic = reader.read_u32().await?;
    let errno = reader.read_u32().await?;
    let handle = reader.read_u64().await?;
    let waiting = shared.waiting().remove(&handle);
    let waiting = waiting.ok_or(Errno::PROTO)?;
    if magic != REPLY_MAGIC {
        return Err(Errno::PROTO.into());
    }
    if errno != 0 {
        let _ = waiting.answer.send(Err(error(errno)));
        return Ok(());
    }
    let mut data = vec![0; waiting.expected];
    reader.read_exact(&mut data).await?;
    // Whoever asked may not wait any more.
    let _ = waiting.answer.send(Ok(data));
    Ok(())
}

/// The numbers of the protocol are those of Linux, as far as it has them.
fn error(errno: u32) -> io::Error {
    match errno {
        1 | 5 | 12 | 22 | 28 | 75 | 95 | 108 => io::Error::from_raw_os_error(errno as i32),
        _ => Errno::INVAL.into(),
    }
}
