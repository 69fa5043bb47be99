//! The qtest socket: carries the protocol's lines between a character device
//! and the main loop, which owns the machine.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use tinamou_chardev::{Connection, Frontend};
use tinamou_machine::Machine;
use tinamou_machine::qtest::{Session, line_changed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Messages kept on the way between the threads. A test that sends commands
/// without reading replies waits when they are full.
const QUEUE: usize = 256;

/// What comes from the socket.
enum Arrival {
    Opened(mpsc::Sender<Vec<u8>>),
    Bytes(Vec<u8>),
}

/// The main loop's end of the socket.
pub struct Qtest {
    arrivals: mpsc::Receiver<Arrival>,
    session: Session,
    replies: Option<mpsc::Sender<Vec<u8>>>,
    log: Option<Log>,
}

/// A line for the main loop to carry out.
pub struct Work(Arrival);

struct Log {
    file: Box<dyn std::io::Write>,
    started: Instant,
}

impl Qtest {
    /// Serves the protocol on a claimed character device; `log` gets a line
    /// for everything sent and received.
    pub fn new(mut frontend: Frontend, io: &Handle, log: Option<Box<dyn std::io::Write>>) -> Self {
        let (sender, arrivals) = mpsc::channel(QUEUE);
        io.spawn(async move {
            while let Some(connection) = frontend.accept().await {
                serve(connection, &sender).await;
            }
        });
        let log = log.map(|file| Log {
            file,
            started: Instant::now(),
        });
        Self {
            arrivals,
            session: Session::new(),
            replies: None,
            log,
        }
    }

    /// The next thing to do; never, once the character device is gone.
    pub async fn recv(&mut self) -> Work {
        match self.arrivals.recv().await {
            Some(arrival) => Work(arrival),
            None => std::future::pending().await,
        }
    }

    /// Does it.
    pub fn carry_out(&mut self, Work(arrival): Work, machine: &mut Machine) {
        match arrival {
            Arrival::Opened(replies) => {
                self.session = Session::new();
                let lines = replies.clone();
                self.replies = Some(replies);
                machine.on_line_change(Arc::new(move |line, level| {
                    // A test that does not read misses changes of lines.
                    let _ = lines.try_send(line_changed(line, level).into_bytes());
                }));
                self.note("I", "OPENED");
            }
            Arrival::Bytes(bytes) => {
                let mut said = Vec::new();
                self.session.receive(&bytes, machine, &mut |line, reply| {
                    said.push((line.to_owned(), reply.to_owned()));
                });
                for (line, reply) in said {
                    self.note("R", &line);
                    self.note("S", reply.trim_end());
                    if let Some(replies) = &self.replies {
                        // The queue is as long as the one commands come by.
                        let _ = replies.try_send(reply.into_bytes());
                    }
                }
            }
        }
    }

    fn note(&mut self, direction: &str, text: &str) {
        if let Some(log) = &mut self.log {
            let time = log.started.elapsed().as_secs_f64();
            // A log that cannot be written must not stop the test.
            let _ = writeln!(log.file, "[{direction} +{time:.6}] {text}");
        }
    }
}

async fn serve(connection: Connection, arrivals: &mpsc::Sender<Arrival>) {
    let (mut reader, mut writer) = tokio::io::split(connection.stream);
    let (replies, mut outgoing) = mpsc::channel::<Vec<u8>>(2 * QUEUE);
    if arrivals.send(Arrival::Opened(replies)).await.is_err() {
        return;
    }
    let write = async {
        while let Some(bytes) = outgoing.recv().await {
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
    };
    let read = async {
        let mut bytes = vec![0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut bytes).await {
            if arrivals
                .send(Arrival::Bytes(bytes[..length].to_vec()))
                .await
                .is_err()
            {
                break;
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}
