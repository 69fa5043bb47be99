//! Where lines come from: a line editor on a thread of its own if a person
//! types, else standard input as it is.

use std::borrow::Cow;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread;
use std::time::Duration;

use reedline::{
    ColumnarMenu, DefaultHinter, EditCommand, Emacs, ExternalPrinter, FileBackedHistory, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, ValidationResult, Validator, default_emacs_keybindings,
};
use tokio::sync::mpsc;

use super::complete::Completion;
use super::words::split;

/// Lines that are kept of former sessions.
const HISTORY: usize = 5000;

/// How often the editor looks for events to print.
const POLL: Duration = Duration::from_millis(30);

/// Events that may wait for the editor to print them.
const WAITING: usize = 256;

/// What came from the keyboard.
#[derive(Debug)]
pub(super) enum Input {
    /// A line.
    Line(String),
    /// A line that is no text: not UTF-8.
    Garbled,
    /// Ctrl-C: the line was thrown away.
    Interrupt,
    /// Ctrl-D, or the end of standard input.
    End,
    /// The terminal failed.
    Failed(io::Error),
}

/// The source of lines. Each has to be asked for.
#[derive(Debug)]
pub(super) struct Editor {
    asks: Sender<String>,
    lines: mpsc::UnboundedReceiver<Input>,
    printer: Option<SyncSender<String>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Editor {
    /// Whether a person types, and sees what is printed.
    pub(super) fn is_interactive() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Starts the line editor, or a reader of standard input.
    pub(super) fn start(completion: Completion, coloured: bool) -> Self {
        let (asks, asked) = channel();
        let (sender, lines) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut printer = None;
        let thread = if Self::is_interactive() {
            let external = ExternalPrinter::new(WAITING);
            printer = Some(external.sender());
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let editor = editor(completion, coloured, external, stop);
                type_lines(editor, &asked, &sender);
            })
        } else {
            thread::spawn(move || read_lines(&asked, &sender))
        };
        Self {
            asks,
            lines,
            printer,
            stop,
            thread: Some(thread),
        }
    }

    /// Asks for a line, which [`next`](Self::next) gives.
    pub(super) fn ask(&self, prompt: &str) {
        // A thread that is gone has said so.
        let _ = self.asks.send(prompt.to_owned());
    }

    /// The line that was asked for.
    pub(super) async fn next(&mut self) -> Input {
        self.lines.recv().await.unwrap_or(Input::End)
    }

    /// Prints above the line that is being typed. Gives the text back if
    /// nobody types, or too much is waiting to be printed.
    pub(super) fn print(&self, text: String) -> Result<(), String> {
        match &self.printer {
            Some(printer) => printer.try_send(text).map_err(|error| match error {
                std::sync::mpsc::TrySendError::Full(text)
                | std::sync::mpsc::TrySendError::Disconnected(text) => text,
            }),
            None => Err(text),
        }
    }

    /// Ends a line that is being typed, and gives the terminal back.
    pub(super) fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.asks);
        // A read of plain standard input cannot be ended; the process's end
        // does it.
        if self.printer.is_some()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn editor(
    completion: Completion,
    coloured: bool,
    printer: ExternalPrinter<String>,
    stop: Arc<AtomicBool>,
) -> Reedline {
    let menu = ColumnarMenu::default()
        .with_name("completion")
        .with_columns(1)
        .with_marker("");
    let editor = Reedline::create()
        .with_ansi_colors(coloured)
        .with_completer(Box::new(completion))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_edit_mode(Box::new(Emacs::new(keys())))
        .with_partial_completions(true)
        .with_quick_completions(true)
        .with_validator(Box::new(Whole))
        .with_external_printer(printer)
        .use_bracketed_paste(true)
        .with_poll_interval(POLL)
        .with_break_signal(stop);
    let editor = match coloured {
        true => editor.with_hinter(Box::new(DefaultHinter::default())),
        false => editor,
    };
    match history() {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

fn keys() -> reedline::Keybindings {
    let mut keys = default_emacs_keybindings();
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu("completion".to_owned()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    keys.add_binding(
        KeyModifiers::ALT,
        KeyCode::Enter,
        ReedlineEvent::Edit(vec![EditCommand::InsertNewline]),
    );
    keys
}

/// The file of former lines, in the user's directory for state; none if there
/// is no such directory, which is no reason not to work.
fn history() -> Option<FileBackedHistory> {
    let state = match std::env::var_os("XDG_STATE_HOME") {
        Some(state) => PathBuf::from(state),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".local/state"),
    };
    FileBackedHistory::with_file(HISTORY, state.join("qmp/history")).ok()
}

fn type_lines(
    mut editor: Reedline,
    asked: &Receiver<String>,
    lines: &mpsc::UnboundedSender<Input>,
) {
    // What was pasted may be many lines, each of which is asked for.
    let mut pasted = io::Cursor::new(Vec::new());
    while let Ok(text) = asked.recv() {
        let prompt = Plain { text };
        let input = match read_whole(&mut pasted) {
            Input::End => match editor.read_line(&prompt) {
                Ok(Signal::Success(lines)) if lines.is_empty() => Input::Line(lines),
                Ok(Signal::Success(lines)) => {
                    pasted = io::Cursor::new(lines.into_bytes());
                    read_whole(&mut pasted)
                }
                Ok(Signal::CtrlC) => Input::Interrupt,
                Ok(_) => Input::End,
                Err(error) => Input::Failed(io::Error::other(error)),
            },
            next => next,
        };
        if lines.send(input).is_err() {
            return;
        }
    }
}

fn read_lines(asked: &Receiver<String>, lines: &mpsc::UnboundedSender<Input>) {
    while asked.recv().is_ok() {
        if lines.send(read_whole(&mut io::stdin().lock())).is_err() {
            return;
        }
    }
}

/// Reads lines until nothing is open in them.
fn read_whole(source: &mut impl BufRead) -> Input {
    let mut whole = String::new();
    loop {
        let mut line = Vec::new();
        let count = match source.read_until(b'\n', &mut line) {
            Ok(count) => count,
            Err(error) => return Input::Failed(error),
        };
        let Ok(line) = str::from_utf8(&line) else {
            return Input::Garbled;
        };
        whole.push_str(line);
        match count {
            0 if whole.is_empty() => return Input::End,
            0 => return Input::Line(whole),
            _ if is_whole(&whole) => return Input::Line(whole),
            _ => {}
        }
    }
}

/// Whether a line is complete. Only JSON may go on in the next one: an
/// apostrophe in a line for the human monitor opens nothing.
fn is_whole(line: &str) -> bool {
    !line.contains(['{', '[']) || split(line).1.nothing()
}

struct Whole;

impl Validator for Whole {
    fn validate(&self, line: &str) -> ValidationResult {
        match is_whole(line) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

struct Plain {
    text: String,
}

impl Prompt for Plain {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.text)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("... ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_until_nothing_is_open() {
        let mut source = &b"a\n{'b':\n1}\nc='\n\xFF\nd {\n\xFE\ne"[..];
        let mut read = || match read_whole(&mut source) {
            Input::Line(line) => line,
            other => format!("{other:?}"),
        };
        for expected in [
            "a\n",
            "{'b':\n1}\n",
            "c='\n",
            "Garbled",
            "Garbled",
            "e",
            "End",
        ] {
            assert_eq!(read(), expected);
        }
    }
}
