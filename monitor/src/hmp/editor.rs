//! The line editor, sans-I/O: bytes of the keyboard go in, bytes for the
//! screen come out.
//!
//! Whatever a byte changes, the line is drawn anew: the cursor goes left to
//! the line's start, the line follows, the rest of the screen line is erased,
//! and the cursor goes back to its place. Tests of QEMU's monitor expect
//! exactly that.

use super::complete::Completions;
use std::collections::VecDeque;

/// The longest line.
const MAX_LINE: usize = 4095;

/// How many lines are remembered.
const MAX_HISTORY: usize = 64;

/// The width of the screen on which candidates are listed.
const COLUMNS: usize = 80;

/// What a byte asks for, beyond drawing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Run this line.
    Run(String),
    /// Complete the line that ends at the cursor.
    Complete(String),
}

/// A line under construction, and the screen that shows it.
#[derive(Debug)]
pub(crate) struct Editor {
    prompt: String,
    line: Vec<u8>,
    cursor: usize,
    shown: Vec<u8>,
    shown_cursor: usize,
    escape: Escape,
}

/// How much of an escape sequence came already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// `ESC`
    Begun,
    /// `ESC [`, and a number.
    Control(u32),
    /// `ESC O`
    Single,
}

impl Editor {
    pub(crate) fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            line: Vec::new(),
            cursor: 0,
            shown: Vec::new(),
            shown_cursor: 0,
            escape: Escape::None,
        }
    }

    /// Shows the prompt, and what was typed already.
    pub(crate) fn show_prompt(&mut self, screen: &mut Vec<u8>) {
        screen.extend_from_slice(self.prompt.as_bytes());
        self.shown.clear();
        self.shown_cursor = 0;
        self.draw(screen);
    }

    /// Takes a byte of the keyboard.
    pub(crate) fn key(&mut self, byte: u8, history: &mut History, screen: &mut Vec<u8>) -> Action {
        let action = match self.escape {
            Escape::None => self.plain(byte, history, screen),
            Escape::Begun => {
                self.escape = match byte {
                    b'[' => Escape::Control(0),
                    b'O' => Escape::Single,
                    _ => Escape::None,
                };
                Action::None
            }
            Escape::Single => {
                self.control(byte, 0, history);
                Action::None
            }
            Escape::Control(number) if byte.is_ascii_digit() => {
                let digit = u32::from(byte - b'0');
                self.escape = Escape::Control(number.saturating_mul(10).saturating_add(digit));
                Action::None
            }
            Escape::Control(number) => {
                self.control(byte, number, history);
                Action::None
            }
        };
        if action == Action::None {
            self.draw(screen);
        }
        action
    }

    /// Puts on the line what completes it, or lists what could.
    pub(crate) fn complete(&mut self, completions: &Completions, screen: &mut Vec<u8>) {
        let Completions { typed, candidates } = completions;
        let Some(first) = candidates.first() else {
            return;
        };
        let common = candidates.iter().fold(first.len(), |length, candidate| {
            let same = first
                .bytes()
                .zip(candidate.bytes())
                .take_while(|(a, b)| a == b);
            length.min(same.count())
        });
        self.insert(&first.as_bytes()[*typed..common]);
        if candidates.len() > 1 {
            list(candidates, screen);
            self.show_prompt(screen);
            return;
        }
        if !first.ends_with('/') {
            self.insert(b" ");
        }
        self.draw(screen);
    }

    fn plain(&mut self, byte: u8, history: &mut History, screen: &mut Vec<u8>) -> Action {
        match byte {
            b'\n' | b'\r' => return Action::Run(self.enter(history, screen)),
            b'\t' => {
                let before = &self.line[..self.cursor];
                return Action::Complete(String::from_utf8_lossy(before).into_owned());
            }
            0x01 => self.cursor = 0,
            0x04 => self.delete(self.cursor, self.cursor + 1),
            0x05 => self.cursor = self.line.len(),
            0x08 | 0x7f => self.delete(self.cursor.saturating_sub(1), self.cursor),
            0x0b => self.delete(self.cursor, self.line.len()),
            0x0c => {
                screen.extend_from_slice(b"\x1b[2J\x1b[1;1H");
                self.show_prompt(screen);
            }
            0x0e => self.replace(history.newer()),
            0x10 => self.replace(history.older()),
            0x15 => self.delete(0, self.cursor),
            0x17 => self.delete(self.word_start(), self.cursor),
            0x1b => self.escape = Escape::Begun,
            b' '.. => self.insert(&[byte]),
            _ => {}
        }
        Action::None
    }

    /// Ends a control sequence.
    fn control(&mut self, byte: u8, number: u32, history: &mut History) {
        self.escape = Escape::None;
        match (byte, number) {
            (b'A', _) => self.replace(history.older()),
            (b'B', _) => self.replace(history.newer()),
            (b'C', _) => self.cursor = self.line.len().min(self.cursor + 1),
            (b'D', _) => self.cursor = self.cursor.saturating_sub(1),
            (b'H', _) | (b'~', 1 | 7) => self.cursor = 0,
            (b'F', _) | (b'~', 4 | 8) => self.cursor = self.line.len(),
            (b'~', 3) => self.delete(self.cursor, self.cursor + 1),
            _ => {}
        }
    }

    fn enter(&mut self, history: &mut History, screen: &mut Vec<u8>) -> String {
        screen.extend_from_slice(b"\r\n");
        let line = std::mem::take(&mut self.line);
        self.cursor = 0;
        self.shown.clear();
        self.shown_cursor = 0;
        let text = String::from_utf8_lossy(&line).into_owned();
        history.add(line);
        text
    }

    fn insert(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        let bytes = &bytes[..bytes.len().min(room)];
        let at = self.cursor;
        self.line.splice(at..at, bytes.iter().copied());
        self.cursor += bytes.len();
    }

    fn delete(&mut self, from: usize, to: usize) {
        if to <= self.line.len() {
            self.line.drain(from..to);
            self.cursor = from;
        }
    }

    fn replace(&mut self, line: Option<Vec<u8>>) {
        if let Some(line) = line {
            self.cursor = line.len();
            self.line = line;
        }
    }

    fn word_start(&self) -> usize {
        let before = self.line[..self.cursor].trim_ascii_end();
        let word = before
            .iter()
            .rev()
            .take_while(|byte| !byte.is_ascii_whitespace());
        before.len() - word.count()
    }

    /// Makes the screen show the line.
    fn draw(&mut self, screen: &mut Vec<u8>) {
        if self.line != self.shown {
            screen.extend(b"\x1b[D".repeat(self.shown_cursor));
            screen.extend_from_slice(&self.line);
            screen.extend_from_slice(b"\x1b[K");
            self.shown.clone_from(&self.line);
            self.shown_cursor = self.line.len();
        }
        let left = self.shown_cursor.saturating_sub(self.cursor);
        let right = self.cursor.saturating_sub(self.shown_cursor);
        screen.extend(b"\x1b[D".repeat(left));
        screen.extend(b"\x1b[C".repeat(right));
        self.shown_cursor = self.cursor;
    }
}

/// Lists candidates in columns.
fn list(candidates: &[String], screen: &mut Vec<u8>) {
    let longest = candidates.iter().map(String::len).max().unwrap_or_default();
    let width = (longest + 2).clamp(10, COLUMNS);
    screen.extend_from_slice(b"\r\n");
    for row in candidates.chunks(COLUMNS / width) {
        for candidate in row {
            screen.extend_from_slice(candidate.as_bytes());
            screen.extend(b" ".repeat(width.saturating_sub(candidate.len())));
        }
        screen.extend_from_slice(b"\r\n");
    }
}

/// The lines entered so far.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The oldest first. A line entered again moves to the end.
    lines: VecDeque<Vec<u8>>,
    /// The one that is on the screen.
    recalled: Option<usize>,
}

impl History {
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice)
    }

    fn add(&mut self, line: Vec<u8>) {
        self.recalled = None;
        if line.is_empty() {
            return;
        }
        self.lines.retain(|other| *other != line);
        if self.lines.len() == MAX_HISTORY {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn older(&mut self) -> Option<Vec<u8>> {
        let place = self.recalled.unwrap_or(self.lines.len()).checked_sub(1)?;
        self.recalled = Some(place);
        self.lines.get(place).cloned()
    }

    /// After the newest comes the empty line.
    fn newer(&mut self) -> Option<Vec<u8>> {
        let place = self.recalled? + 1;
        self.recalled = (place < self.lines.len()).then_some(place);
        Some(self.lines.get(place).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types each of `keys` and shows what the screen got for it, with `<` and
    /// `>` for a step of the cursor, `$` for erasing, `~` for a line end.
    fn type_keys(keys: &[&str]) -> Vec<String> {
        let mut editor = Editor::new("(qemu) ");
        let mut history = History::default();
        let mut typing = |keys: &&str| {
            let mut screen = Vec::new();
            for byte in keys.bytes() {
                if let Action::Run(_) = editor.key(byte, &mut history, &mut screen) {
                    editor.show_prompt(&mut screen);
                }
            }
            let text = String::from_utf8(screen).expect("the keys are ASCII");
            let signs = [
                ("\x1b[D", "<"),
                ("\x1b[C", ">"),
                ("\x1b[K", "$"),
                ("\r\n", "~"),
            ];
            signs
                .iter()
                .fold(text, |text, (from, to)| text.replace(from, to))
        };
        keys.iter().map(&mut typing).collect()
    }

    #[test]
    fn every_byte_draws_the_line_anew() {
        let screen = type_keys(&["a", "b", "\x1b[D", "c", "\x7f", "\x01", "\x05", "\x15"]);
        assert_eq!(
            screen,
            ["a$", "<ab$", "<", "<acb$<", "<<ab$<", "<", ">>", "<<$"]
        );
    }

    #[test]
    fn an_entered_line_runs_and_the_prompt_comes_back() {
        assert_eq!(type_keys(&["\n", "\r\n"]), ["~(qemu) ", "~(qemu) ~(qemu) "]);
    }

    #[test]
    fn keys_delete_before_and_behind_the_cursor() {
        let screen = type_keys(&["abc", "\x1b[D", "\x04", "\x04", "\x08", "\x15\x15"]);
        assert_eq!(screen[1..], ["<", "<<ab$", "", "<<a$", "<$"]);
        let screen = type_keys(&["abc", "\x1b[D", "\x15", "\x0b"]);
        assert_eq!(screen[1..], ["<", "<<c$<", "$"]);
        let screen = type_keys(&["ab cd ", "\x17", "\x17"]);
        assert_eq!(screen[1..], ["<<<<<<ab $", "<<<$"]);
        let screen = type_keys(&["ab", "\x1b[1~", "\x1b[3~", "\x1b[4~"]);
        assert_eq!(screen[1..], ["<<", "b$<", ">"]);
    }

    #[test]
    fn history_is_recalled() {
        let keys = [
            "x\n", "y\n", "x\n", "\x1b[A", "\x1b[A", "\x1b[A", "q", "\x1b[A", "\x15", "\x1b[B",
            "\x1b[B", "\x1b[B",
        ];
        let screen = type_keys(&keys);
        assert_eq!(
            screen[3..],
            ["x$", "<y$", "", "<yq$", "", "<<$", "x$", "<$", ""]
        );
    }

    #[test]
    fn a_cleared_screen_shows_the_line_again() {
        let screen = type_keys(&["ab", "\x0c"]);
        assert_eq!(screen[1], "\x1b[2J\x1b[1;1H(qemu) ab$");
    }

    #[test]
    fn what_is_no_key_does_nothing() {
        let screen = type_keys(&[
            "a",
            "\x03",
            "\x00",
            "\x1bb",
            "\x1b[99999999999999Z",
            "\x1bOA",
        ]);
        assert_eq!(screen, ["a$", "", "", "", "", ""]);
    }

    #[test]
    fn a_line_has_a_limit() {
        let screen = type_keys(&[&"a".repeat(MAX_LINE), "b"]);
        assert_eq!(screen[1], "");
    }

    #[test]
    fn candidates_are_put_in_or_listed() {
        for (line, typed, candidates, expected) in [
            ("in", 2, &["info"][..], "\x1b[D\x1b[Dinfo \x1b[K"),
            ("/e", 2, &["/etc/"], "\x1b[D\x1b[D/etc/\x1b[K"),
            (
                "sta",
                3,
                &["stats", "status"],
                "\r\nstats     status    \r\n(qemu) stat\x1b[K",
            ),
            ("zz", 2, &[], ""),
        ] {
            let (mut screen, mut history) = (Vec::new(), History::default());
            let mut editor = Editor::new("(qemu) ");
            for byte in line.bytes() {
                editor.key(byte, &mut history, &mut screen);
            }
            screen.clear();
            let candidates = candidates.iter().map(|&it| it.into()).collect();
            editor.complete(&Completions { typed, candidates }, &mut screen);
            assert_eq!(String::from_utf8_lossy(&screen), expected, "{line}");
        }
    }
}
