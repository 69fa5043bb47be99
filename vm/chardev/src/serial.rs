//! A byte pipe for a synchronous device: bounded queues that outlive each peer.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::chardev::Chardev;
use crate::connection::{Connection, Stream};
use crate::frontend::Frontend;
use crate::link::lock;

/// Bytes of input held for a device that does not fetch them; the peer then has to wait.
const INPUT: usize = 4096;

/// Bytes of output held for a peer that does not read them; the device then is not ready.
const OUTPUT: usize = 16384;

/// What a device is told, on the I/O thread. It must not block there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SerialEvent {
    /// A peer has come.
    Opened,
    /// The peer has left.
    Closed,
    /// There is input for [`SerialPipe::read`].
    Input,
    /// There is room again, after [`SerialPipe::write`] took less than it was given.
    Writable,
    /// The line was held low.
    Break,
}

/// The device's side of a serial line. Dropping it ends the connection and frees the character
/// device.
#[derive(Debug)]
pub struct SerialPipe {
    shared: Arc<Shared>,
    pump: AbortHandle,
    /// Hangs up when the character device is free.
    freed: Mutex<mpsc::Receiver<()>>,
}

/// How long dropping a pipe waits for the I/O thread to free the character device.
const PATIENCE: Duration = Duration::from_secs(1);

/// The front end, and what is dropped after it.
struct Claim {
    frontend: Frontend,
    _held: mpsc::Sender<()>,
}

struct Shared {
    chardev: Chardev,
    queues: Mutex<Queues>,
    written: Notify,
    fetched: Notify,
    drained: Notify,
    notify: Box<dyn Fn(SerialEvent) + Send + Sync>,
}

#[derive(Debug, Default)]
struct Queues {
    input: VecDeque<u8>,
    output: VecDeque<u8>,
    /// The device waits for room.
    refused: bool,
}

impl SerialPipe {
    /// Joins `frontend` to a device that wants to be told by `notify`.
    pub fn new(frontend: Frontend, notify: impl Fn(SerialEvent) + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            chardev: frontend.chardev().clone(),
            queues: Mutex::default(),
            written: Notify::new(),
            fetched: Notify::new(),
            drained: Notify::new(),
            notify: Box::new(notify),
        });
        let broken = Arc::downgrade(&shared);
        frontend.on_break(move || {
            if let Some(shared) = broken.upgrade() {
                (shared.notify)(SerialEvent::Break);
            }
        });
        let (runtime, pumped) = (&frontend.chardev().port().runtime.clone(), &shared);
        let pumped = Arc::clone(pumped);
        let (held, freed) = mpsc::channel();
        let mut claim = Claim {
            frontend,
            _held: held,
        };
        let pump = runtime.spawn(async move {
            while let Some(connection) = accept(&mut claim).await {
                pumped.pump(connection).await;
            }
        });
        Self {
            shared,
            pump: pump.abort_handle(),
            freed: Mutex::new(freed),
        }
    }

    /// Sends bytes; returns how many were taken. Without a peer all are, and vanish. If fewer are
    /// taken than given, [`SerialEvent::Writable`] follows.
    pub fn write(&self, bytes: &[u8]) -> usize {
        if !self.shared.chardev.is_connected() {
            self.shared.chardev.log(bytes);
            return bytes.len();
        }
        let mut queues = lock(&self.shared.queues);
        let taken = bytes.len().min(OUTPUT - queues.output.len());
        queues.output.extend(&bytes[..taken]);
        queues.refused |= taken < bytes.len();
        drop(queues);
        self.shared.written.notify_one();
        taken
    }

    /// Whether [`write`](Self::write) would take a byte.
    pub fn is_writable(&self) -> bool {
        !self.shared.chardev.is_connected() || lock(&self.shared.queues).output.len() < OUTPUT
    }

    /// Fetches input; returns how many bytes there were.
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let mut queues = lock(&self.shared.queues);
        let count = buffer.len().min(queues.input.len());
        for (to, from) in buffer.iter_mut().zip(queues.input.drain(..count)) {
            *to = from;
        }
        drop(queues);
        if count > 0 {
            self.shared.fetched.notify_one();
        }
        count
    }

    /// Waits until everything written has left for the peer, or the peer has left.
    pub async fn drained(&self) {
        loop {
            // Made before the look, so that what happens in between is not missed.
            let drained = self.shared.drained.notified();
            if lock(&self.shared.queues).output.is_empty() {
                return;
            }
            drained.await;
        }
    }

    /// The character device joined.
    pub fn chardev(&self) -> &Chardev {
        &self.shared.chardev
    }
}

impl Drop for SerialPipe {
    fn drop(&mut self) {
        self.pump.abort();
        // Whoever drops a pipe may use the character device next.
        let _ = lock(&self.freed).recv_timeout(PATIENCE);
    }
}

/// The next peer; the claim as a whole stays with the task.
async fn accept(claim: &mut Claim) -> Option<Connection> {
    claim.frontend.accept().await
}

impl Shared {
    async fn pump(&self, connection: Connection) {
        (self.notify)(SerialEvent::Opened);
        let (mut reader, mut writer) = split(connection.stream);
        // Either direction's end is the end of both.
        let result = tokio::select! {
            result = self.pump_input(&mut reader) => result,
            result = self.pump_output(&mut writer) => result,
        };
        if let Err(error) = result {
            tracing::debug!("{} was lost: {error}", connection.peer);
        }
        // The peer counts as connected until its stream is gone; only then is output refused.
        drop((reader, writer));
        self.forget_output();
        (self.notify)(SerialEvent::Closed);
    }

    async fn pump_input(&self, reader: &mut ReadHalf<Stream>) -> io::Result<()> {
        let mut buffer = [0; INPUT];
        loop {
            let room = INPUT - lock(&self.queues).input.len();
            if room == 0 {
                self.fetched.notified().await;
                continue;
            }
            let count = reader.read(&mut buffer[..room]).await?;
            if count == 0 {
                return Ok(());
            }
            lock(&self.queues).input.extend(&buffer[..count]);
            (self.notify)(SerialEvent::Input);
        }
    }

    async fn pump_output(&self, writer: &mut WriteHalf<Stream>) -> io::Result<()> {
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            chunk.extend(lock(&self.queues).output.iter().take(INPUT));
            if chunk.is_empty() {
                self.written.notified().await;
                continue;
            }
            let count = writer.write(&chunk).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.sent(count);
        }
    }

    fn sent(&self, count: usize) {
        let mut queues = lock(&self.queues);
        queues.output.drain(..count);
        let tell = std::mem::take(&mut queues.refused);
        let drained = queues.output.is_empty();
        drop(queues);
        if drained {
            self.drained.notify_waiters();
        }
        if tell {
            (self.notify)(SerialEvent::Writable);
        }
    }

    fn forget_output(&self) {
        let count = lock(&self.queues).output.len();
        self.sent(count);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
