//! Bytes into messages. Servers end each message with a line break, but may
//! break lines within it too (`pretty=on`), so braces are counted instead.

use super::Fault;

/// Input beyond this is given back to the allocator once it is read.
const KEPT: usize = 64 << 10;

/// How much of bad input an error shows.
const EXCERPT: usize = 60;

/// Input that is cut into messages. The scan of a message goes on where it
/// stopped, so that a long message in many pieces costs its length once.
#[derive(Debug)]
pub(super) struct Frames {
    limit: usize,
    /// A byte before which everything is void (guest agents).
    delimiter: Option<u8>,
    /// Whether to drop input up to the next delimiter.
    skipping: bool,
    buffer: Vec<u8>,
    /// Where the current message begins, or blanks before it.
    start: usize,
    /// How far the current message was scanned.
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Frames {
    pub(super) fn new(limit: usize, delimiter: Option<u8>) -> Self {
        Self {
            limit,
            delimiter,
            skipping: false,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.clear();
        } else if self.start > KEPT && self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        self.restart(0);
    }

    /// Drops what is there, and what comes before the next delimiter.
    pub(super) fn skip_to_delimiter(&mut self) {
        self.clear();
        self.skipping = true;
    }

    /// The text of the next message, if it is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            if Some(byte) == self.delimiter {
                self.skipping = false;
                self.restart(self.scanned + 1);
                continue;
            }
            self.scanned += 1;
            if self.skipping {
                self.restart(self.scanned);
            } else if self.depth == 0 {
                self.begin(byte)?;
            } else if self.ends(byte) {
                let start = self.start;
                let end = self.scanned;
                self.restart(end);
                return Ok(Some(&self.buffer[start..end]));
            }
            if self.scanned - self.start > self.limit {
                return Err(Fault::TooLong { limit: self.limit });
            }
        }
        Ok(None)
    }

    fn restart(&mut self, at: usize) {
        self.start = at;
        self.scanned = at;
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
    }

    /// A byte between messages.
    fn begin(&mut self, byte: u8) -> Result<(), Fault> {
        match byte {
            b'{' => {
                self.start = self.scanned - 1;
                self.depth = 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' => self.start = self.scanned,
            // What an agent says before it is synchronised may be half a reply.
            _ if self.delimiter.is_some() => self.start = self.scanned,
            _ => {
                let rest = &self.buffer[self.scanned - 1..];
                return Err(Fault::garbage(rest));
            }
        }
        Ok(())
    }

    /// Whether a byte within a message ends it.
    fn ends(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
        } else if self.in_string {
            match byte {
                b'"' => self.in_string = false,
                b'\\' => self.escaped = true,
                _ => {}
            }
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        self.depth == 0
    }
}

impl Fault {
    pub(super) fn garbage(bytes: &[u8]) -> Self {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
        let shown = line.get(..EXCERPT).unwrap_or(line);
        let more = if shown.len() < line.len() { "…" } else { "" };
        let shown = shown.escape_ascii().to_string().replace("\\\"", "\"");
        Self::Garbage {
            excerpt: format!("{shown}{more}"),
        }
    }
}
