//! A session in readline mode: HMP on one connection.
//!
//! The line editor answers on the I/O thread. A line that was entered runs on
//! the main loop; what is typed meanwhile is kept, up to a limit, and takes
//! effect when the prompt is back. Output waits for a client that does not
//! read as in control mode; since nothing but the client's own input makes
//! output here, such a client only stops itself.

use crate::call::Call;
use crate::connection::{Connection, FdInbox, Stream};
use crate::hmp::Terminal;
use crate::hmp::complete::Completions;
use crate::hmp::editor::{Action, Editor};
use crate::mailbox::Mailbox;
use crate::outbox::Outbox;
use crate::server::{Core, MonitorId};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::watch;

/// How much may be typed ahead of a prompt.
const MAX_AHEAD: usize = 4096;

/// One connection in readline mode.
pub(crate) struct Readline<C, S> {
    core: Arc<Core<C, S>>,
    monitor: MonitorId,
    editor: Editor,
    /// Absent while a command has it.
    terminal: Option<Terminal>,
    mailbox: Arc<Mailbox<Letter>>,
    /// Typed, but not yet taken by the editor.
    ahead: VecDeque<u8>,
    ended: bool,
    focus: Option<watch::Receiver<bool>>,
    focused: bool,
    /// Output for when the focus is back.
    held: Vec<u8>,
    stream: Box<dyn Stream>,
    fds: Option<Arc<dyn FdInbox>>,
    outbox: Outbox,
}

/// What the main loop leaves for a session: the terminal, in any case.
enum Letter {
    Ran(String, Terminal),
    Completed(Completions, Terminal),
}

impl<C: 'static, S: Send + Sync + 'static> Readline<C, S> {
    pub(crate) fn new(
        core: Arc<Core<C, S>>,
        monitor: MonitorId,
        mut connection: Connection,
    ) -> Self {
        let focus = connection.focus.as_mut();
        Self {
            monitor,
            editor: Editor::new(core.hmp.prompt()),
            terminal: Some(Terminal::default()),
            mailbox: Arc::new(Mailbox::new(core.output_limit)),
            ahead: VecDeque::new(),
            ended: false,
            focused: focus.is_none_or(|focus| *focus.borrow_and_update()),
            focus: connection.focus,
            held: Vec::new(),
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
        let mut focus = self.focus.take();
        self.greet();
        loop {
            self.edit();
            if self.outbox.is_empty() && self.is_finished() {
                return self.outbox.close(&mut self.stream).await;
            }
            tokio::select! {
                biased;
                letters = mailbox.take() => {
                    letters.into_iter().flatten().for_each(|letter| self.deliver(letter));
                }
                result = std::future::poll_fn(|cx| self.poll_transfer(cx)) => result?,
                focused = focus_changes(&mut focus) => self.show_focus(focused),
                () = closing.wait() => {
                    mailbox.take_now().into_iter().for_each(|letter| self.deliver(letter));
                    return self.outbox.close(&mut self.stream).await;
                }
            }
        }
    }

    fn greet(&mut self) {
        let banner = format!("{}\r\n", self.core.hmp.banner());
        self.show(banner.into_bytes());
        self.show_prompt();
    }

    /// Lets the editor take what was typed, as long as it has the terminal.
    fn edit(&mut self) {
        let mut screen = Vec::new();
        while self.outbox.len() + screen.len() < self.core.output_limit / 2 {
            let Some(terminal) = &mut self.terminal else {
                break;
            };
            let Some(byte) = self.ahead.pop_front() else {
                break;
            };
            match self.editor.key(byte, &mut terminal.history, &mut screen) {
                Action::None => {}
                Action::Run(line) if line.trim_ascii().is_empty() => {
                    self.editor.show_prompt(&mut screen);
                }
                Action::Run(line) => self.post(move |job| {
                    let mut terminal = job.terminal;
                    let output = job
                        .core
                        .hmp
                        .run_line(job.context, job.call, &mut terminal, &line);
                    Letter::Ran(output, terminal)
                }),
                Action::Complete(line) => self.post(move |job| {
                    let preconfig = job.call.preconfig();
                    let found = job.core.hmp.complete(job.context, &line, preconfig);
                    Letter::Completed(found, job.terminal)
                }),
            }
        }
        self.show(screen);
    }

    /// Sends work for the terminal to the main loop. Should the client leave
    /// before its turn, it is not done.
    fn post(&mut self, work: impl FnOnce(Work<'_, C, S>) -> Letter + Send + 'static) {
        let Some(terminal) = self.terminal.take() else {
            return;
        };
        let core = Arc::clone(&self.core);
        let mailbox = Arc::clone(&self.mailbox);
        let mut call = Call::new(self.monitor, self.fds.clone(), core.preconfig());
        self.core.jobs.post(move |context| {
            if mailbox.is_closed() {
                return;
            }
            let letter = work(Work {
                core: &core,
                context,
                call: &mut call,
                terminal,
            });
            mailbox.push(letter);
        });
    }

    fn deliver(&mut self, letter: Letter) {
        match letter {
            Letter::Ran(output, terminal) => {
                self.terminal = Some(terminal);
                self.show(output.into_bytes());
                if self.core.is_serving() {
                    self.show_prompt();
                }
            }
            Letter::Completed(completions, terminal) => {
                self.terminal = Some(terminal);
                let mut screen = Vec::new();
                self.editor.complete(&completions, &mut screen);
                self.show(screen);
            }
        }
    }

    /// The prompt waits for the focus; then it comes with the line so far.
    fn show_prompt(&mut self) {
        if !self.focused {
            return;
        }
        let mut screen = Vec::new();
        self.editor.show_prompt(&mut screen);
        self.show(screen);
    }

    fn show_focus(&mut self, focused: bool) {
        if focused == self.focused {
            return;
        }
        if focused {
            self.focused = true;
            let held = std::mem::take(&mut self.held);
            self.show(held);
            if self.terminal.is_some() {
                self.show_prompt();
            }
        } else {
            if self.terminal.is_some() {
                self.show(b"\r\n".to_vec());
            }
            self.focused = false;
        }
    }

    fn show(&mut self, bytes: Vec<u8>) {
        if self.focused {
            self.outbox.append(bytes);
        } else {
            self.held.extend_from_slice(&bytes);
        }
    }

    /// Whether the client's input ended, and all of it has been run.
    fn is_finished(&self) -> bool {
        self.ended && self.ahead.is_empty() && self.terminal.is_some()
    }

    /// Moves bytes in whichever direction is ready.
    fn poll_transfer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = self.outbox.poll_write(&mut self.stream, cx) {
            return Poll::Ready(result);
        }
        if self.ended || !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let mut space = [MaybeUninit::uninit(); MAX_AHEAD];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.ended = buffer.filled().is_empty();
        self.ahead.extend(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl<C, S> Drop for Readline<C, S> {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

/// What work on the main loop has at hand.
struct Work<'a, C, S> {
    core: &'a Core<C, S>,
    context: &'a mut C,
    call: &'a mut Call,
    terminal: Terminal,
}

/// The next change of the focus; never, if there is nothing to share it with.
async fn focus_changes(focus: &mut Option<watch::Receiver<bool>>) -> bool {
    if let Some(focus) = focus
        && focus.changed().await.is_ok()
    {
        return *focus.borrow_and_update();
    }
    std::future::pending().await
}
