//! Cuts what a server sends into messages.
//!
//! A message is a JSON object, on one line or over several; where it ends is
//! found by its brackets alone, so that bad JSON inside is still cut right.

/// Collects bytes until a message is whole.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    bytes: Vec<u8>,
    /// Bytes looked at already.
    seen: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// What a server said at once.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    /// The message, without white space around it.
    pub(crate) text: Vec<u8>,
    /// The bytes after it up to and with the end of the line.
    pub(crate) end: Vec<u8>,
}

impl Scanner {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of an unfinished message.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.trim_ascii()
    }

    /// Whether a message is there whose line has not ended.
    pub(crate) fn is_whole(&self) -> bool {
        self.seen > 0 && self.depth == 0
    }

    /// The next message with its end of line, if both are there.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        self.skip_blanks();
        let length = self.message()?;
        // The end of the line belongs to the message, and may still be on its way.
        let rest = &self.bytes[length..];
        let end = match rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(other) => line_end(&rest[..other]),
            None => line_end(rest),
        };
        let complete = rest[..end].ends_with(b"\n") || end < rest.len();
        if !complete {
            return None;
        }
        let end = rest[..end].to_vec();
        let text = self.bytes[..length].to_vec();
        self.bytes.drain(..length + end.len());
        self.restart();
        Some(Piece { text, end })
    }

    /// The next message, though its line has not ended.
    pub(crate) fn unterminated(&mut self) -> Option<Piece> {
        self.skip_blanks();
        let length = self.message()?;
        let text = self.bytes.drain(..length).collect();
        let end = std::mem::take(&mut self.bytes);
        self.restart();
        Some(Piece { text, end })
    }

    fn restart(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        *self = Self {
            bytes,
            ..Self::default()
        };
    }

    fn skip_blanks(&mut self) {
        if self.seen > 0 {
            return;
        }
        let blanks = self.bytes.iter().take_while(|b| b.is_ascii_whitespace());
        let blanks = blanks.count();
        self.bytes.drain(..blanks);
    }

    /// The length of the message at the start, if it is whole.
    fn message(&mut self) -> Option<usize> {
        if self.bytes.first().is_some_and(|first| *first != b'{') {
            return self.bytes.iter().position(|byte| *byte == b'\n');
        }
        // Found before, but its line had not ended.
        if self.seen > 0 && self.depth == 0 {
            return Some(self.seen);
        }
        while let Some(&byte) = self.bytes.get(self.seen) {
            self.seen += 1;
            self.step(byte);
            if self.depth == 0 {
                return Some(self.seen);
            }
        }
        None
    }

    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The length of the first line end in white space; all of it if it has none.
fn line_end(blanks: &[u8]) -> usize {
    let newline = blanks.iter().position(|byte| *byte == b'\n');
    newline.map_or(blanks.len(), |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out whatever the bytes are cut into.
    fn check(input: &str, expected: &[(&str, &str)]) {
        for size in 1..=input.len() {
            let mut scanner = Scanner::default();
            let mut found = Vec::new();
            for chunk in input.as_bytes().chunks(size) {
                scanner.push(chunk);
                while let Some(piece) = scanner.next() {
                    found.push(piece);
                }
            }
            let expected = expected.iter().map(|(text, end)| Piece {
                text: text.as_bytes().to_vec(),
                end: end.as_bytes().to_vec(),
            });
            assert_eq!(found, expected.collect::<Vec<_>>(), "in pieces of {size}");
        }
    }

    #[test]
    fn cuts_messages() {
        check(
            "{}\r\n{\"a\": [{}]}\r\n",
            &[("{}", "\r\n"), ("{\"a\": [{}]}", "\r\n")],
        );
        check(
            "{\n  \"}\\\"{\": 1\n}\n",
            &[("{\n  \"}\\\"{\": 1\n}", "\n")],
        );
        check("no JSON {\n{}\n", &[("no JSON {", "\n"), ("{}", "\n")]);
        check("{}{}\r\n", &[("{}", ""), ("{}", "\r\n")]);
        check("{\"a\": ", &[]);
    }
}
