//! One client of a mock.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tinamou_qmp::Value;
use tinamou_qmp::json::{Style, to_vec};
use tinamou_qmp::session::{Request, Session, Ticket};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::{Answer, Happening, Outcome, Received};
use crate::fault::Fault;
use crate::intake::{Intake, Taken};
use crate::message;
use crate::mock::{Core, Emitted};
use crate::outlet::{Kind, Outlet, Step};

/// Steps that wait for a client that does not read; then requests wait too.
const STEPS: usize = 256;

/// The letters that a long string is made of, at once.
const LETTERS: [u8; 16 << 10] = [b'a'; 16 << 10];

/// What is going to happen, in the order of time.
enum Due {
    Reply(Ticket, &'static str, Answer),
    Event(Happening),
}

/// The state of one connection.
pub(crate) struct Connection {
    core: Arc<Core>,
    number: usize,
    session: Session,
    intake: Option<Intake>,
    outlet: Outlet,
    due: BTreeMap<(Instant, u64), Due>,
    counter: u64,
    negotiated: bool,
    events: broadcast::Receiver<Emitted>,
    steps: mpsc::Sender<Step>,
    written: Option<mpsc::Receiver<Step>>,
    closing: bool,
}

impl Connection {
    pub(crate) fn new(core: Arc<Core>, number: usize) -> Self {
        let (steps, written) = mpsc::channel(STEPS);
        Self {
            session: Session::new(&core.greeting, Style::Compact),
            intake: Intake::new(&core.faults),
            outlet: Outlet::new(&core.faults),
            events: core.events.subscribe(),
            core,
            number,
            due: BTreeMap::new(),
            counter: 0,
            negotiated: false,
            steps,
            written: Some(written),
            closing: false,
        }
    }

    /// Serves the client.
    pub(crate) async fn run(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> io::Result<()> {
        let (reader, writer) = tokio::io::split(stream);
        let Some(written) = self.written.take() else {
            return Ok(());
        };
        let writing = tokio::spawn(write(writer, written));
        let result = self.converse(reader).await;
        drop(self);
        // The rest is written, unless the client has left with it unread.
        let written = writing.await.map_err(io::Error::other)?;
        result.and(written)
    }

    async fn converse(&mut self, mut reader: ReadHalf<impl AsyncRead>) -> io::Result<()> {
        let greeting = self.session.take_output();
        self.send(Kind::Greeting, greeting).await;
        self.negotiate_by_itself();
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.advance().await;
            if self.closing || self.session.is_finished() {
                return Ok(());
            }
            let first = self.due.keys().next().map(|&(at, _)| at);
            tokio::select! {
                biased;
                emitted = self.events.recv() => self.overheard(emitted).await,
                () = sleep_until(first.unwrap_or_else(Instant::now)), if first.is_some() => {
                    self.fire().await;
                }
                read = reader.read(&mut buffer), if self.session.wants_input() => match read? {
                    0 => self.session.end_input(),
                    count => self.take(&buffer[..count]).await,
                },
                () = self.steps.closed() => return Ok(()),
            }
        }
    }

    fn negotiate_by_itself(&mut self) {
        if self.intake.as_ref().is_some_and(Intake::negotiates_itself) {
            self.session.feed(br#"{"execute": "qmp_capabilities"}"#);
            // Its reply is not the client's.
            while self.session.next(&self.core.schema).is_some() {}
            drop(self.session.take_output());
        }
    }

    async fn take(&mut self, bytes: &[u8]) {
        let Some(intake) = &mut self.intake else {
            return self.session.feed(bytes);
        };
        for taken in intake.take(bytes, &self.core.schema) {
            match taken {
                Taken::Feed(bytes) => self.session.feed(&bytes),
                Taken::Answer(line) => {
                    // What came ahead of it is answered ahead of it.
                    self.advance().await;
                    self.send(Kind::Reply(None), line).await;
                }
                Taken::HangUp => {
                    self.advance().await;
                    self.closing = true;
                }
            }
        }
    }

    /// Runs requests as far as they go.
    async fn advance(&mut self) {
        while !self.closing {
            let request = self.session.next(&self.core.schema);
            self.flush(None).await;
            let Some(request) = request else { return };
            self.run_command(request).await;
        }
    }

    async fn run_command(&mut self, request: Request) {
        let Request {
            ticket,
            command,
            arguments,
            oob,
        } = request;
        if let Err(error) = self.core.check(command, &arguments) {
            self.session.reply_error(ticket, &error);
            return self.flush(Some(command)).await;
        }
        let received = Received {
            connection: self.number,
            command,
            arguments,
            oob,
        };
        let mut answer = self.core.answer(&received);
        if self.core.has(Fault::EventAfterReply) {
            let before = std::mem::take(&mut answer.before);
            answer.after.splice(0..0, before);
        }
        match answer.delay {
            Duration::ZERO => self.reply(ticket, command, answer).await,
            delay => self.schedule(delay, Due::Reply(ticket, command, answer)),
        }
    }

    async fn reply(&mut self, ticket: Ticket, command: &'static str, answer: Answer) {
        for event in &answer.before {
            self.happen(event).await;
        }
        match answer.outcome {
            Outcome::Return(value) => self.session.reply(ticket, &value),
            Outcome::Error { class, desc } => {
                let body = message::object([
                    ("class", message::text(class)),
                    ("desc", message::text(desc)),
                ]);
                let body = to_vec(&Value::Object(body), Style::Compact);
                self.session
                    .reply_error_raw(ticket, &body.unwrap_or_default());
            }
            Outcome::Silence => self.session.no_reply(ticket),
        }
        self.flush(Some(command)).await;
        for event in answer.after {
            match event.delay {
                Duration::ZERO => self.happen(&event).await,
                delay => self.schedule(delay, Due::Event(event)),
            }
        }
        if answer.close {
            self.closing = true;
            self.core.set_quit();
        }
    }

    /// Does what was due first.
    async fn fire(&mut self) {
        let Some((_, due)) = self.due.pop_first() else {
            return;
        };
        match due {
            Due::Reply(ticket, command, answer) => self.reply(ticket, command, answer).await,
            Due::Event(event) => {
                self.happen(&event).await;
                if let Some(every) = event.every {
                    self.schedule(every, Due::Event(event));
                }
            }
        }
    }

    fn schedule(&mut self, delay: Duration, due: Due) {
        self.counter += 1;
        self.due.insert((Instant::now() + delay, self.counter), due);
    }

    /// Sends an event to all clients, to this one in its place.
    async fn happen(&mut self, event: &Happening) {
        let line = message::event(&event.name, event.data.clone());
        self.core.emit(line.as_slice().into(), Some(self.number));
        self.event(&line).await;
    }

    async fn overheard(&mut self, emitted: Result<Emitted, RecvError>) {
        match emitted {
            Ok(Emitted { line, by }) if by != Some(self.number) => self.event(&line).await,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => self.closing = true,
        }
    }

    async fn event(&mut self, line: &[u8]) {
        if self.session.negotiated() {
            self.send(Kind::Event, line.to_vec()).await;
        }
    }

    /// Sends what the session has written: replies to this command, or its
    /// own answers.
    async fn flush(&mut self, command: Option<&'static str>) {
        let output = self.session.take_output();
        let negotiated = self.session.negotiated() && !self.negotiated;
        if negotiated {
            self.negotiated = true;
            for event in self.core.clone().script().happenings(self.number) {
                self.schedule(event.delay, Due::Event(event));
            }
        }
        let mut negotiation = negotiated;
        for line in output.split_inclusive(|&byte| byte == b'\n') {
            // Before it nothing succeeds.
            let is_it = negotiation && line.starts_with(b"{\"return\"");
            negotiation &= !is_it;
            let kind = match is_it {
                true => Kind::Negotiation,
                false => Kind::Reply(command),
            };
            self.send(kind, line.to_vec()).await;
        }
    }

    async fn send(&mut self, kind: Kind, line: Vec<u8>) {
        for step in self.outlet.send(kind, line) {
            self.closing |= step == Step::Close;
            // The writer has ended; that is seen where events are awaited.
            let _ = self.steps.send(step).await;
        }
    }
}

/// Carries the steps out, one after another.
async fn write(
    mut writer: WriteHalf<impl AsyncWrite>,
    mut steps: mpsc::Receiver<Step>,
) -> io::Result<()> {
    while let Some(step) = steps.recv().await {
        match step {
            Step::Bytes(bytes) => writer.write_all(&bytes).await?,
            Step::Fill(bytes) => fill(&mut writer, bytes).await?,
            Step::Pause(time) => sleep(time).await,
            Step::HalfClose => writer.shutdown().await?,
            Step::Stall => while steps.recv().await.is_some() {},
            Step::Close => return Ok(()),
        }
    }
    writer.flush().await
}

async fn fill(writer: &mut WriteHalf<impl AsyncWrite>, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let count = bytes.min(LETTERS.len() as u64);
        writer.write_all(&LETTERS[..count as usize]).await?;
        bytes -= count;
    }
    Ok(())
}
