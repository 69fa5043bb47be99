//! What a command of HMP prints to, and what its terminal remembers.

use super::editor::History;
use super::format::{self, Format};
use crate::call::Call;
use std::fmt;

/// The state of a terminal, which outlives a command.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) cpu_index: Option<usize>,
    pub(crate) format: Format,
    pub(crate) history: History,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            cpu_index: None,
            format: format::DEFAULT,
            history: History::default(),
        }
    }
}

/// The terminal of a command that is running.
#[derive(Debug)]
pub struct Console<'a> {
    output: String,
    call: &'a mut Call,
    terminal: &'a mut Terminal,
}

impl<'a> Console<'a> {
    pub(super) fn new(call: &'a mut Call, terminal: &'a mut Terminal) -> Self {
        Self {
            output: String::new(),
            call,
            terminal,
        }
    }

    /// Shows `text`. Lines end in LF; on the terminal it becomes CR LF.
    pub fn print(&mut self, text: &str) {
        self.output.push_str(text);
    }

    /// Where the command came from.
    #[must_use]
    pub fn call(&mut self) -> &mut Call {
        self.call
    }

    /// The CPU that the monitor stands at, unless it is the first.
    #[must_use]
    pub fn cpu_index(&self) -> Option<usize> {
        self.terminal.cpu_index
    }

    /// Makes the monitor stand at another CPU (`cpu`).
    pub fn set_cpu_index(&mut self, index: usize) {
        self.terminal.cpu_index = Some(index);
    }

    pub(super) fn terminal(&mut self) -> &mut Terminal {
        self.terminal
    }

    pub(super) fn finish(self) -> String {
        self.output.replace('\n', "\r\n")
    }
}

impl fmt::Write for Console<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.print(text);
        Ok(())
    }
}
