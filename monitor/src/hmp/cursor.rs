//! A place in a command line.

/// The part of a line that is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'l> {
    line: &'l str,
    at: usize,
}

impl<'l> Cursor<'l> {
    pub(super) fn new(line: &'l str) -> Self {
        Self { line, at: 0 }
    }

    /// What is still to be read.
    pub(super) fn rest(&self) -> &'l str {
        &self.line[self.at..]
    }

    /// What lies between `start` and here, without blanks at its end.
    pub(super) fn since(&self, start: Self) -> &'l str {
        self.line[start.at..self.at].trim_ascii_end()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    /// Takes the next byte. Of a character beyond ASCII all bytes are passed,
    /// and the first is returned.
    pub(super) fn bump(&mut self) -> Option<u8> {
        let next = self.rest().chars().next()?;
        let byte = self.peek();
        self.at += next.len_utf8();
        byte
    }

    /// Passes `length` bytes of ASCII.
    pub(super) fn advance(&mut self, length: usize) {
        self.at += length;
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// Takes characters as long as their first byte pleases `wanted`.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'l str {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        &self.line[start..self.at]
    }

    /// Takes a word or a quoted string, with the blanks before it. `None`
    /// where there is none, or a string that is broken.
    pub(super) fn string(&mut self) -> Option<String> {
        self.skip_blanks();
        if self.peek()? != b'"' {
            return Some(self.take_while(|byte| !is_blank(byte)).into());
        }
        self.bump();
        let mut string = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, next)) = chars.next() {
            match next {
                '"' => {
                    self.at += at + 1;
                    return Some(string);
                }
                '\\' => string.push(match chars.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    other @ ('\\' | '\'' | '"') => other,
                    _ => return None,
                }),
                _ => string.push(next),
            }
        }
        None
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_words_or_quoted() {
        for (line, string, rest) in [
            ("a b", Some("a"), " b"),
            ("  \t/tmp/x", Some("/tmp/x"), ""),
            ("\"a b\" c", Some("a b"), " c"),
            ("\"a\"b", Some("a"), "b"),
            (r#""\n\r\\\'\"""#, Some("\n\r\\'\""), ""),
            ("\"\"", Some(""), ""),
            ("caf\u{e9} x", Some("caf\u{e9}"), " x"),
            ("", None, ""),
            ("   ", None, ""),
            ("\"abc", None, ""),
            (r#""\x41""#, None, ""),
            (r#""\"#, None, ""),
        ] {
            let mut cursor = Cursor::new(line);
            let found = cursor.string();
            assert_eq!(found.as_deref(), string, "{line}");
            if found.is_some() {
                assert_eq!(cursor.rest(), rest, "{line}");
            }
        }
    }
}
