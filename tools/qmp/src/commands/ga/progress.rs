//! How far a transfer has come, for a person who watches.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::Output;
use crate::output::size;

/// How often it is told.
const PERIOD: Duration = Duration::from_millis(100);

/// One line on the terminal that changes in place; nothing without a terminal.
pub(super) struct Progress {
    watched: bool,
    done: u64,
    total: Option<u64>,
    began: Instant,
    told: Option<Instant>,
}

impl Progress {
    /// Of `total` bytes, if it is known how many there are.
    pub(super) fn new(output: &Output, total: Option<u64>) -> Self {
        Self {
            watched: output.is_watched(),
            done: 0,
            total,
            began: Instant::now(),
            told: None,
        }
    }

    /// `bytes` more were transferred.
    pub(super) fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let due = self.told.unwrap_or(self.began).elapsed() >= PERIOD;
        if self.watched && due {
            self.told = Some(Instant::now());
            let _ = write!(anstream::stderr(), "\r{}\x1b[K", self.line());
        }
    }

    /// How many bytes there were.
    pub(super) fn end(self) -> u64 {
        self.done
    }

    fn line(&self) -> String {
        let done = size(self.done);
        let rate = self.done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let rate = size(rate as u64);
        match self.total {
            Some(total) if total > 0 => {
                let percent = self.done.saturating_mul(100) / total;
                format!("{percent:3} %  {done} of {}  {rate}/s", size(total))
            }
            _ => format!("{done}  {rate}/s"),
        }
    }
}

impl Drop for Progress {
    /// Takes the line away.
    fn drop(&mut self) {
        if self.told.is_some() {
            let _ = write!(anstream::stderr(), "\r\x1b[K");
        }
    }
}
