//! A session in control mode: QMP on one connection.
//!
//! # A client that does not read
//!
//! Output waits in memory, up to a limit ([`Config::output_limit`]). When half
//! of it is full no further request is taken from the client, so replies never
//! fill the rest. Events may: a client that lets them pile up to the limit is
//! disconnected, which is counted and logged, since it would miss something
//! otherwise. Neither the main loop nor anyone who emits an event ever waits
//! for a client, and no reply is dropped while its client is connected.
//!
//! [`Config::output_limit`]: crate::Config::output_limit

use crate::call::{Call, Slip};
use crate::connection::{Connection, FdInbox, Stream};
use crate::mailbox::Mailbox;
use crate::outbox::Outbox;
use crate::server::{Core, MonitorId};
use crate::table::{Commands, Handler, Run};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tinamou_qmp::json::Style;
use tinamou_qmp::session::{Catalog, Request, Session, Ticket};
use tinamou_qmp::{CommandSpec, Error, Result};
use tokio::io::{AsyncRead as _, ReadBuf};

/// How much is read at once.
const READ_SIZE: usize = 16 << 10;

/// What the main loop and the event bus leave for a session.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A whole line, shared with other sessions.
    Event(Arc<[u8]>),
    /// The answer to a request.
    Answer(Ticket, Outcome),
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a value, serialised already.
    Return(Vec<u8>),
    /// With success, of which the client is not told.
    Silence,
    /// With an error.
    Error(Error),
}

/// One connection in control mode.
pub(crate) struct Control<C, S> {
    core: Arc<Core<C, S>>,
    monitor: MonitorId,
    session: Session,
    mailbox: Arc<Mailbox<Letter>>,
    subscribed: bool,
    stream: Box<dyn Stream>,
    fds: Option<Arc<dyn FdInbox>>,
    outbox: Outbox,
}

impl<C: 'static, S: Send + Sync + 'static> Control<C, S> {
    pub(crate) fn new(
        core: Arc<Core<C, S>>,
        monitor: MonitorId,
        (style, oob): (Style, bool),
        connection: Connection,
    ) -> Self {
        let session = Session::new(&core.greeting(oob), style);
        Self {
            monitor,
            session,
            mailbox: Arc::new(Mailbox::new(core.output_limit)),
            subscribed: false,
            stream: connection.stream,
            fds: connection.fds,
            outbox: Outbox::default(),
            core,
        }
    }

    /// Serves the client until it leaves or the server closes.
    pub(crate) async fn run(&mut self) -> io::Result<()> {
        let mut closing = self.core.closing();
        let mailbox = Arc::clone(&self.mailbox);
        loop {
            self.dispatch();
            self.outbox.append(self.session.take_output());
            if self.outbox.is_empty() && self.session.is_finished() {
                return self.outbox.close(&mut self.stream).await;
            }
            if self.outbox.len() > self.core.output_limit {
                return Err(self.core.overflow());
            }
            tokio::select! {
                biased;
                letters = mailbox.take() => match letters {
                    Ok(letters) => self.deliver(letters),
                    Err(_) => return Err(self.core.overflow()),
                },
                result = std::future::poll_fn(|cx| self.poll_transfer(cx)) => result?,
                () = closing.wait() => {
                    self.deliver(mailbox.take_now());
                    self.outbox.append(self.session.take_output());
                    return self.outbox.close(&mut self.stream).await;
                }
            }
        }
    }

    /// Starts the requests whose turn it is, as long as their replies have
    /// somewhere to go.
    fn dispatch(&mut self) {
        let core = Arc::clone(&self.core);
        while self.has_room() && core.is_serving() {
            let request = self.session.next(&*core);
            self.subscribe();
            let Some(request) = request else { return };
            self.start(request);
        }
    }

    fn has_room(&self) -> bool {
        self.outbox.len() + self.session.output().len() < self.core.output_limit / 2
    }

    /// From its negotiation on a session gets events.
    fn subscribe(&mut self) {
        if self.session.negotiated() && !self.subscribed {
            self.subscribed = true;
            let style = self.session.style();
            self.core.events.subscribe(&self.mailbox, style);
        }
    }

    fn start(&mut self, request: Request) {
        let Request {
            ticket,
            command,
            arguments,
            ..
        } = request;
        let entry = self
            .core
            .commands
            .find(command)
            .expect("a session hands out commands of its catalog only");
        match &entry.handler {
            Handler::Shared(run) => run(&self.core.shared, arguments, &mut self.session, ticket),
            Handler::Main(read) => match read(arguments) {
                Ok(run) => self.post(run, ticket, !entry.spec.success_response),
                Err(error) => self.session.reply_error(ticket, &error),
            },
        }
    }

    /// Sends a command to the main loop. Should the client leave before its
    /// turn, it is not run.
    fn post(&self, run: Run<C>, ticket: Ticket, silent: bool) {
        let mailbox = Arc::clone(&self.mailbox);
        let slip = Slip::new(mailbox, ticket, self.session.style(), silent);
        let mut call = Call::new(self.monitor, self.fds.clone(), self.core.preconfig());
        self.core.jobs.post(move |context| {
            if !slip.is_abandoned() {
                run(context, &mut call, slip);
            }
        });
    }

    fn deliver(&mut self, letters: VecDeque<Letter>) {
        for letter in letters {
            match letter {
                Letter::Event(line) => self.session.event(&line),
                Letter::Answer(ticket, Outcome::Return(text)) => {
                    self.session.reply_raw(ticket, &text);
                }
                Letter::Answer(ticket, Outcome::Silence) => self.session.no_reply(ticket),
                Letter::Answer(ticket, Outcome::Error(error)) => {
                    self.session.reply_error(ticket, &error);
                }
            }
        }
    }

    /// Moves bytes in whichever direction is ready.
    fn poll_transfer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = self.outbox.poll_write(&mut self.stream, cx) {
            return Poll::Ready(result);
        }
        if !self.session.wants_input() || !self.has_room() {
            return Poll::Pending;
        }
        let mut space = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        match buffer.filled() {
            [] => self.session.end_input(),
            bytes => self.session.feed(bytes),
        }
        Poll::Ready(Ok(()))
    }
}

impl<C, S> Drop for Control<C, S> {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl<C, S> Catalog for Core<C, S> {
    fn command(&self, name: &str) -> Option<&CommandSpec> {
        let entry = Commands::find(&self.commands, name)?;
        Some(&entry.spec)
    }

    fn admit(&self, _command: &CommandSpec) -> Result<()> {
        Ok(())
    }

    fn preconfig(&self) -> bool {
        Core::preconfig(self)
    }
}
