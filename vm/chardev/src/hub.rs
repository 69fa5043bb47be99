//! The `hub` back end: one front end talks through several devices at once. All of them get its
//! output, and it gets the input of each.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;

use crate::chardev::{Chardev, Port};
use crate::connection::Stream;
use crate::error::{Error, Result};
use crate::frontend::{Claim, Clients, Frontend};
use crate::link::Kind;

/// Devices that fit.
const MOST: usize = 4;

/// Bytes under way to or from the front end.
const BUFFER: usize = 4096;

/// Chunks of output that wait for a device that does not take them.
const QUEUE: usize = 4;

type Chunk = Arc<[u8]>;

/// The tasks that serve the devices, and the claims on these.
#[derive(Debug)]
pub(crate) struct Hub {
    tasks: Vec<AbortHandle>,
    claims: Vec<Arc<Claim>>,
}

impl Hub {
    /// Claims the devices. What is returned with the hub is the front end's.
    pub(crate) fn open(port: &Arc<Port>, devices: &[Chardev]) -> Result<(Self, DuplexStream)> {
        if devices.is_empty() {
            return Err(Error::HubEmpty);
        }
        if devices.len() > MOST {
            return Err(Error::HubFull(port.id.clone()));
        }
        let (front, back) = duplex(BUFFER);
        let (output, input) = split(back);
        let input = Arc::new(Mutex::new(input));
        let mut hub = Self {
            tasks: Vec::new(),
            claims: Vec::new(),
        };
        let mut queues = Vec::new();
        for device in devices {
            let frontend = claim(port, device)?;
            hub.claims.push(frontend.share_claim());
            let (sender, queue) = mpsc::channel(QUEUE);
            queues.push(sender);
            hub.run(&port.runtime, serve(frontend, queue, Arc::clone(&input)));
        }
        hub.run(&port.runtime, spread(output, queues));
        Ok((hub, front))
    }

    fn run(&mut self, runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(runtime.spawn(task).abort_handle());
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        // A task ends on its own thread; the devices are free at once.
        self.claims.iter().for_each(|claim| claim.end());
    }
}

fn claim(port: &Arc<Port>, device: &Chardev) -> Result<Frontend> {
    if matches!(device.link().kind, Kind::Mux(_) | Kind::Hub(_)) {
        return Err(Error::HubStack(device.label().to_owned()));
    }
    let frontend = device.claim(Clients::One)?;
    let bell = Arc::clone(&port.bell);
    frontend.on_break(move || bell.ring());
    Ok(frontend)
}

/// Gives the front end's output to every device. The slowest sets the pace.
async fn spread(mut output: ReadHalf<DuplexStream>, queues: Vec<mpsc::Sender<Chunk>>) {
    let mut buffer = [0; BUFFER];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let chunk: Chunk = buffer[..count].into();
        for queue in &queues {
            // Fails only while the hub is being closed.
            let _ = queue.send(Arc::clone(&chunk)).await;
        }
    }
}

/// Serves one peer of a device after the other; between them output vanishes.
async fn serve(
    mut device: Frontend,
    mut queue: mpsc::Receiver<Chunk>,
    input: Arc<Mutex<WriteHalf<DuplexStream>>>,
) {
    loop {
        let connection = tokio::select! {
            connection = device.accept() => connection,
            Some(_) = queue.recv() => continue,
        };
        let Some(connection) = connection else {
            return;
        };
        let (mut reader, mut writer) = split(connection.stream);
        tokio::select! {
            () = collect(&mut reader, &input) => {}
            () = show(&mut writer, &mut queue) => {}
        }
    }
}

async fn collect(reader: &mut ReadHalf<Stream>, input: &Mutex<WriteHalf<DuplexStream>>) {
    let mut buffer = [0; BUFFER];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        if input
            .lock()
            .await
            .write_all(&buffer[..count])
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn show(writer: &mut WriteHalf<Stream>, queue: &mut mpsc::Receiver<Chunk>) {
    while let Some(chunk) = queue.recv().await {
        if writer.write_all(&chunk).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}
