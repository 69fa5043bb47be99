//! The `mux` back end: up to four front ends take turns at the input of one device, by commands
//! that follow Ctrl-A.

use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use crate::arrivals::Arrivals;
use crate::chardev::{Arrival, Chardev};
use crate::connection::{Connection, Stream};
use crate::error::{Error, Result};
use crate::frontend::{Bell, Claim, Clients, Frontend};
use crate::link::{Link, lock};

/// Front ends that fit.
const SLOTS: usize = 4;

/// Bytes under way to or from one front end.
const BUFFER: usize = 4096;

/// Ctrl-A.
const ESCAPE: u8 = 1;

const HELP: &str = "\n\rCtrl-A h  show these commands\n\r\
    Ctrl-A x  end the machine\n\r\
    Ctrl-A t  show or hide the time before each line\n\r\
    Ctrl-A b  send a break\n\r\
    Ctrl-A c  go to the next console or monitor\n\r\
    Ctrl-A Ctrl-A  send Ctrl-A\n\r";

/// The front ends and whose turn it is.
#[derive(Debug)]
pub(crate) struct Mux {
    state: Mutex<State>,
    /// Output on its way to the device.
    output: mpsc::Sender<Vec<u8>>,
    exit: Arc<Bell>,
    base: Arc<Claim>,
    task: Mutex<Option<AbortHandle>>,
    runtime: tokio::runtime::Handle,
}

#[derive(Debug, Default)]
struct State {
    slots: [Option<Arc<Slot>>; SLOTS],
    focus: usize,
    clock: Clock,
}

/// One front end's place.
#[derive(Debug)]
pub(crate) struct Slot {
    mux: Weak<Mux>,
    bell: Arc<Bell>,
    focus: watch::Sender<bool>,
    input: tokio::sync::Mutex<WriteHalf<DuplexStream>>,
}

impl Mux {
    /// Claims `base` and shares it; takes input when `open` says so.
    pub(crate) fn open(
        base: &Chardev,
        exit: Arc<Bell>,
        open: watch::Receiver<bool>,
    ) -> Result<Arc<Self>> {
        let frontend = base.claim(Clients::One)?;
        let runtime = base.port().runtime.clone();
        let (output, queue) = mpsc::channel(SLOTS);
        let mux = Arc::new(Self {
            state: Mutex::default(),
            output,
            exit,
            base: frontend.share_claim(),
            task: Mutex::default(),
            runtime: runtime.clone(),
        });
        let broken = Arc::downgrade(&mux);
        frontend.on_break(move || {
            if let Some(mux) = broken.upgrade() {
                mux.send_break();
            }
        });
        let task = runtime.spawn(run(Arc::downgrade(&mux), frontend, queue, open));
        *lock(&mux.task) = Some(task.abort_handle());
        Ok(mux)
    }

    /// Adds a front end and turns to it.
    pub(crate) fn attach(
        self: &Arc<Self>,
        chardev: &Chardev,
        link: &Arc<Link>,
        clients: Clients,
    ) -> Result<Frontend> {
        let mut state = lock(&self.state);
        let Some(index) = state.slots.iter().position(Option::is_none) else {
            return Err(Error::MuxFull(chardev.label().to_owned()));
        };
        let (front, back) = duplex(BUFFER);
        let (reader, writer) = split(back);
        let slot = Arc::new(Slot {
            mux: Arc::downgrade(self),
            bell: Arc::default(),
            focus: watch::Sender::new(false),
            input: tokio::sync::Mutex::new(writer),
        });
        state.slots[index] = Some(Arc::clone(&slot));
        state.turn_to(index);
        drop(state);
        // A monitor's prompts would only disturb the console that is being typed at.
        let quiet = clients != Clients::One;
        self.runtime.spawn(forward(
            reader,
            self.output.clone(),
            quiet.then(|| slot.focus.subscribe()),
        ));
        let arrivals = Arc::new(Arrivals::only(connect(front, link, &slot)));
        let bell = Arc::clone(&slot.bell);
        let claim = Claim::new(chardev.clone(), clients, Some(slot));
        Ok(Frontend::new(claim, arrivals, bell))
    }

    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.state).slots.iter().any(Option::is_some)
    }

    pub(crate) fn send_break(&self) {
        if let Some(slot) = self.focused() {
            slot.bell.ring();
        }
    }

    fn focused(&self) -> Option<Arc<Slot>> {
        let state = lock(&self.state);
        state.slots[state.focus].clone()
    }

    /// Obeys the command that followed Ctrl-A; returns what is shown for it.
    fn command(&self, command: u8) -> &'static str {
        match command {
            b'h' | b'?' => return HELP,
            b'x' => {
                self.exit.ring();
                return "Terminated by Ctrl-A x\n\r";
            }
            b'b' => self.send_break(),
            b'c' => lock(&self.state).turn_to_next(),
            b't' => lock(&self.state).clock.toggle(),
            _ => {}
        }
        ""
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        // The task ends on its own thread; the device is free at once.
        self.base.end();
    }
}

impl State {
    fn turn_to(&mut self, index: usize) {
        self.focus = index;
        for (at, slot) in self.slots.iter().enumerate() {
            if let Some(slot) = slot {
                slot.focus.send_if_modified(|focus| {
                    std::mem::replace(focus, at == index) != (at == index)
                });
            }
        }
    }

    fn turn_to_next(&mut self) {
        let next = (1..=SLOTS)
            .map(|step| (self.focus + step) % SLOTS)
            .find(|&index| self.slots[index].is_some());
        if let Some(index) = next {
            self.turn_to(index);
        }
    }
}

impl Slot {
    /// Frees the place.
    pub(crate) fn leave(self: &Arc<Self>) {
        let Some(mux) = self.mux.upgrade() else {
            return;
        };
        let mut state = lock(&mux.state);
        let own = |slot: &Option<Arc<Self>>| slot.as_ref().is_some_and(|s| Arc::ptr_eq(s, self));
        let Some(index) = state.slots.iter().position(own) else {
            return;
        };
        state.slots[index] = None;
        if state.focus == index {
            state.turn_to_next();
        }
    }
}

/// The front end's end of its place.
fn connect(front: DuplexStream, link: &Arc<Link>, slot: &Slot) -> Connection {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned();
    let permit = permit.expect("a new semaphore has its permit");
    let (mut connection, _) = Arrival::steady(front, "mux").seat(link, permit);
    connection.focus = Some(slot.focus.subscribe());
    connection
}

/// Moves one front end's output to the device, for a quiet one only while it has its turn.
async fn forward(
    mut reader: ReadHalf<DuplexStream>,
    output: mpsc::Sender<Vec<u8>>,
    mut turn: Option<watch::Receiver<bool>>,
) {
    let mut buffer = [0; BUFFER];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        if let Some(turn) = &mut turn
            && turn.wait_for(|&turn| turn).await.is_err()
        {
            return;
        }
        if output.send(buffer[..count].to_vec()).await.is_err() {
            return;
        }
    }
}

/// Serves one peer of the device after the other; between them output vanishes.
async fn run(
    mux: Weak<Mux>,
    mut base: Frontend,
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut open: watch::Receiver<bool>,
) {
    loop {
        let connection = tokio::select! {
            connection = base.accept() => connection,
            Some(_) = queue.recv() => continue,
        };
        let Some(connection) = connection else {
            return;
        };
        let (mut reader, mut writer) = split(connection.stream);
        tokio::select! {
            () = steer(&mux, &mut reader, &mut open) => {}
            () = show(&mux, &mut writer, &mut queue) => {}
        }
    }
}

/// Reads the device's input, obeys commands and passes the rest to whoever has its turn.
async fn steer(mux: &Weak<Mux>, reader: &mut ReadHalf<Stream>, open: &mut watch::Receiver<bool>) {
    // Fails only when the registry is gone, and the mux is about to be.
    let _ = open.wait_for(|&open| open).await;
    let mut buffer = [0; BUFFER];
    let mut escaped = false;
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        let Some(mux) = mux.upgrade() else {
            return;
        };
        let mut plain = Vec::new();
        for &byte in &buffer[..count] {
            match (std::mem::take(&mut escaped), byte) {
                (false, ESCAPE) => escaped = true,
                (true, command) if command != ESCAPE => {
                    deliver(&mux, &mut plain).await;
                    let shown = mux.command(command);
                    if !shown.is_empty() {
                        // Fails only when the mux is being closed.
                        let _ = mux.output.send(shown.as_bytes().to_vec()).await;
                    }
                }
                _ => plain.push(byte),
            }
        }
        deliver(&mux, &mut plain).await;
    }
}

async fn deliver(mux: &Mux, bytes: &mut Vec<u8>) {
    if let Some(slot) = mux.focused() {
        // Fails only when the front end is leaving; its input goes with it.
        let _ = slot.input.lock().await.write_all(bytes).await;
    }
    bytes.clear();
}

/// Writes everyone's output to the device.
async fn show(
    mux: &Weak<Mux>,
    writer: &mut WriteHalf<Stream>,
    queue: &mut mpsc::Receiver<Vec<u8>>,
) {
    while let Some(bytes) = queue.recv().await {
        let Some(mux) = mux.upgrade() else {
            return;
        };
        let stamped = lock(&mux.state).clock.stamp(bytes);
        if writer.write_all(&stamped).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}

/// The times shown before each line, counted from when they were asked for.
#[derive(Debug, Default)]
struct Clock {
    start: Option<Instant>,
    within_line: bool,
}

impl Clock {
    fn toggle(&mut self) {
        self.start = match self.start {
            Some(_) => None,
            None => Some(Instant::now()),
        };
        self.within_line = false;
    }

    fn stamp(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(start) = self.start else {
            return bytes;
        };
        let past = start.elapsed();
        let (seconds, millis) = (past.as_secs(), past.subsec_millis());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let time = format!("[{hours:02}:{minutes:02}:{seconds:02}.{millis:03}] ");
        let mut stamped = Vec::with_capacity(bytes.len() + time.len());
        for byte in bytes {
            if !std::mem::replace(&mut self.within_line, byte != b'\n') {
                stamped.extend_from_slice(time.as_bytes());
            }
            stamped.push(byte);
        }
        stamped
    }
}
