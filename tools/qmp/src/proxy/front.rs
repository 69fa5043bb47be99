//! One client of a proxy: a session, as a server has it, whose commands are
//! carried out elsewhere.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tinamou_qmp::client::ErrorReply;
use tinamou_qmp::json::{Style, to_vec};
use tinamou_qmp::session::{Request, Session};
use tinamou_qmp::{Error, Value};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::Core;
use super::behind::{Call, Message};
use super::mailbox::{End, Mail, Mailbox};
use super::policy::{Rate, Rule};
use crate::listen::{Connected, FdInbox, Peer, Stream};
use crate::recording::Redactor;

/// Output above which a client's mail stays in its mailbox, and its requests
/// where they are.
const ENOUGH: usize = 64 << 10;

/// Bytes that are read at once.
const READ: usize = 8 << 10;

/// Input that is taken while a call is under way, so that it shows when the
/// client has left, however long the server takes.
const AHEAD: usize = 64 << 10;

/// How long a client that has ended its input may wait for replies; it may
/// have left for good.
const LINGER: Duration = Duration::from_secs(10);

/// The commands that take a descriptor which came along.
const TAKE_FD: [&str; 2] = ["getfd", "add-fd"];

/// A client.
pub(super) struct Front {
    core: Arc<Core>,
    number: u64,
    peer: Peer,
    stream: Box<dyn Stream>,
    fds: FdInbox,
    session: Session,
    rule: Arc<Rule>,
    rate: Option<Rate>,
    mailbox: Arc<Mailbox>,
    redactor: Redactor,
    output: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// A request that the rate holds back.
    held: Option<(Pin<Box<Sleep>>, Request)>,
    linger: Option<Pin<Box<Sleep>>>,
    /// Bytes read that the session could not look at yet.
    ahead: usize,
}

impl Front {
    pub(super) fn new(core: Arc<Core>, number: u64, connected: Connected, rule: Arc<Rule>) -> Self {
        let mailbox = Arc::new(Mailbox::new(core.config.backlog, core.config.slow));
        core.clients().insert(number, Arc::clone(&mailbox));
        core.metrics.client(true);
        core.audit(|audit| audit.came(number, &connected.peer, &rule));
        Self {
            session: Session::new(&core.server().greeting, Style::Compact),
            redactor: Redactor::new(core.config.redact.clone()),
            core,
            number,
            peer: connected.peer,
            stream: connected.stream,
            fds: connected.fds,
            rate: rule.rate(),
            rule,
            mailbox,
            output: Vec::new(),
            written: 0,
            unflushed: false,
            held: None,
            linger: None,
            ahead: 0,
        }
    }

    /// Serves the client until it leaves or is disconnected.
    pub(super) async fn run(mut self: Box<Self>) {
        // How it left is nobody's business but the log's.
        let end = poll_fn(|cx| self.poll(cx)).await;
        let why = match end {
            Ok(()) if self.mailbox.overflowed() => "it did not read".to_owned(),
            Ok(()) => "it left".to_owned(),
            Err(error) => error.to_string(),
        };
        self.core
            .audit(|audit| audit.left(self.number, &self.peer, &why));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.poll_mail(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            self.requests();
            while self.poll_held(cx).is_ready() {
                self.requests();
            }
            self.poll_write(cx)?;
            if self.is_done(cx) {
                return Poll::Ready(Ok(()));
            }
            if !self.wants_input() {
                return Poll::Pending;
            }
            if self.poll_read(cx)?.is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn wants_input(&self) -> bool {
        let full = self.output.len() - self.written >= ENOUGH;
        if full || self.held.is_some() || self.linger.is_some() {
            return false;
        }
        // Descriptors that wait belong to a request that waits.
        self.session.wants_input() || self.ahead < AHEAD && self.fds.is_empty()
    }

    /// Takes mail while there is room; ready when the client is to go.
    fn poll_mail(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.output.len() - self.written < ENOUGH {
            match self.mailbox.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Mail::Event(line))) => self.session.event(&line),
                Poll::Ready(Ok(Mail::Reply(ticket, Ok(value)))) => {
                    self.session.reply_raw(ticket, value.get().as_bytes());
                }
                Poll::Ready(Ok(Mail::Reply(ticket, Err(error)))) => {
                    self.session.reply_error_raw(ticket, &error_body(&error));
                }
                Poll::Ready(Err(End::Overflow)) => return Poll::Ready(()),
                Poll::Ready(Err(End::Closed)) => {
                    self.take_output();
                    let written = self.poll_write(cx);
                    let stuck = written.is_ok() && self.written < self.output.len();
                    return if stuck {
                        Poll::Pending
                    } else {
                        Poll::Ready(())
                    };
                }
            }
            self.take_output();
        }
        self.mailbox.poll_overflow(cx)
    }

    /// Lets a held request go when its time has come.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((sleep, _)) = &mut self.held else {
            return Poll::Pending;
        };
        ready!(sleep.as_mut().poll(cx));
        if let Some((_, request)) = self.held.take() {
            self.pass_on(request);
        }
        Poll::Ready(())
    }

    /// Hands on what the session has to run.
    fn requests(&mut self) {
        let server = self.core.server();
        while self.held.is_none() {
            let request = self.session.next(&server.schema);
            if self.session.negotiated() {
                self.mailbox.negotiated();
            }
            match request {
                Some(request) => self.admit(request),
                None => break,
            }
        }
        self.take_output();
    }

    fn admit(&mut self, request: Request) {
        let command = request.command;
        let policy = &self.core.config.policy;
        if let Err(reason) = policy.check(&self.rule, command, &request.arguments) {
            self.core.metrics.denied(command);
            let arguments = self.shown(command, &request);
            self.core
                .audit(|audit| audit.denied(self.number, &self.peer, command, arguments, &reason));
            self.session
                .reply_error(request.ticket, &Error::generic(reason));
            return;
        }
        let wait = self
            .rate
            .as_mut()
            .and_then(|rate| rate.take(Instant::now()));
        match wait {
            // What runs out of band is there to be run at once.
            Some(wait) if !request.oob => {
                self.core.metrics.throttled();
                self.held = Some((Box::pin(sleep(wait)), request));
            }
            _ => self.pass_on(request),
        }
    }

    fn pass_on(&mut self, request: Request) {
        let command = request.command;
        let arguments = self.shown(command, &request);
        self.core
            .audit(|audit| audit.asked(self.number, &self.peer, command, arguments));
        let arguments = Value::Object(request.arguments);
        let arguments = to_vec(&arguments, Style::Compact).expect("a value has a JSON text");
        let fd = if TAKE_FD.contains(&command) {
            self.fds.pop()
        } else {
            None
        };
        let call = Call {
            client: self.number,
            command,
            arguments,
            oob: request.oob,
            fds: fd.into_iter().collect(),
            ticket: request.ticket,
            mailbox: Arc::clone(&self.mailbox),
        };
        // The other side ends with the whole proxy only.
        let _ = self.core.calls.send(Message::Call(Box::new(call)));
    }

    /// The arguments for the log, if there is one.
    fn shown(&self, command: &str, request: &Request) -> Value {
        if self.core.config.audit.is_none() {
            return Value::Null;
        }
        let mut arguments = Value::Object(request.arguments.clone());
        self.redactor.arguments(command, &mut arguments);
        arguments
    }

    fn take_output(&mut self) {
        if self.session.output().is_empty() {
            return;
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        self.output.extend_from_slice(self.session.output());
        self.session.sent(self.session.output().len());
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.written += written?,
            }
            self.unflushed = true;
        }
        if self.written == self.output.len() && !self.output.is_empty() {
            self.output.clear();
            self.output.shrink_to(ENOUGH);
            self.written = 0;
            // There is room for mail again.
            cx.waker().wake_by_ref();
        }
        self.mailbox.set_output(self.output.len() - self.written);
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            flushed?;
            self.unflushed = false;
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(read) => read?,
        }
        if buffer.filled().is_empty() {
            self.session.end_input();
            self.linger = Some(Box::pin(sleep(LINGER)));
        } else {
            let waits = !self.session.wants_input();
            self.ahead = if waits {
                self.ahead + buffer.filled().len()
            } else {
                0
            };
            self.session.feed(buffer.filled());
        }
        Ok(Poll::Ready(()))
    }

    /// Whether the client has ended its input and has all it waits for.
    fn is_done(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(linger) = &mut self.linger else {
            return false;
        };
        let answered = self.session.is_finished() && self.output.is_empty();
        answered || linger.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.core.clients().remove(&self.number);
        self.core.metrics.client(false);
        let _ = self.core.calls.send(Message::Gone(self.number));
    }
}

/// An error as it stands in a reply, whatever its class.
fn error_body(error: &ErrorReply) -> Vec<u8> {
    let body = serde_json::json!({"class": error.class, "desc": error.desc});
    let class = &body["class"];
    let desc = &body["desc"];
    format!("{{\"class\": {class}, \"desc\": {desc}}}").into_bytes()
}
