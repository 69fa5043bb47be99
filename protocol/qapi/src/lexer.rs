//! Source text to tokens: QAPI's JSON without numbers, with single quotes,
//! and with comments.

use std::sync::Arc;

use crate::error::Result;
use crate::source::{Position, Source};

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// One of `{ } [ ] : ,`
    Mark(char),
    String(String),
    Bool(bool),
    /// A documentation comment: its lines without the leading `#`, and the
    /// offset of each in the source.
    Doc(Vec<(usize, String)>),
    End,
}

/// Takes a source apart.
#[derive(Debug)]
pub(crate) struct Lexer {
    source: Arc<Source>,
    offset: usize,
}

impl Lexer {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, offset: 0 }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        Position::new(&self.source, offset)
    }

    /// The next token and where it begins.
    pub(crate) fn next(&mut self) -> Result<(Token, Position)> {
        loop {
            let rest = &self.source.text[self.offset..];
            let start = self.offset;
            let Some(first) = rest.chars().next() else {
                return Ok((Token::End, self.position(start)));
            };
            match first {
                space if space.is_ascii_whitespace() => self.offset += 1,
                '#' if rest.starts_with("##") => {
                    return Ok((self.doc()?, self.position(start)));
                }
                '#' => self.offset += rest.find('\n').unwrap_or(rest.len()),
                '{' | '}' | '[' | ']' | ':' | ',' => {
                    self.offset += 1;
                    return Ok((Token::Mark(first), self.position(start)));
                }
                '\'' => return Ok((self.string()?, self.position(start))),
                _ => return self.word(rest.to_owned(), start),
            }
        }
    }

    fn word(&mut self, rest: String, start: usize) -> Result<(Token, Position)> {
        for (word, value) in [("true", true), ("false", false)] {
            if rest.starts_with(word) {
                self.offset += word.len();
                return Ok((Token::Bool(value), self.position(start)));
            }
        }
        let ends = |c: char| " \n#'{}[]:,".contains(c);
        let stray = &rest[..rest.find(ends).unwrap_or(rest.len()).max(1)];
        self.position(start).fail(format!("stray '{stray}'"))
    }

    fn string(&mut self) -> Result<Token> {
        let start = self.offset;
        let mut value = String::new();
        let mut chars = self.source.text[start + 1..].char_indices();
        while let Some((index, c)) = chars.next() {
            let here = start + 1 + index;
            match c {
                '\'' => {
                    self.offset = here + 1;
                    return Ok(Token::String(value));
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, '\\')) => value.push('\\'),
                    Some((_, other)) if other != '\n' => {
                        return self
                            .position(here)
                            .fail(format!("unknown escape \\{other}"));
                    }
                    _ => break,
                },
                ' '..='~' => value.push(c),
                _ => return self.position(here).fail("funny character in string"),
            }
        }
        self.position(start).fail("missing terminating \"'\"")
    }

    /// A documentation comment: from a line `##` to the next line `##`.
    fn doc(&mut self) -> Result<Token> {
        let source = Arc::clone(&self.source);
        let mut lines = Vec::new();
        let mut offset = self.offset;
        let mut text = source.text[offset..].split('\n');
        let first = text.next().unwrap_or("");
        if first.trim_end() != "##" {
            return self
                .position(offset)
                .fail("junk after '##' at start of documentation comment");
        }
        offset += first.len() + 1;
        for line in text {
            // Lines without a comment may stand between.
            if line.trim().is_empty() {
                offset += line.len() + 1;
                continue;
            }
            let Some(comment) = line.trim_start().strip_prefix('#') else {
                break;
            };
            if let Some(rest) = comment.strip_prefix('#') {
                if !rest.trim_end().is_empty() {
                    return self
                        .position(offset)
                        .fail("junk after '##' at end of documentation comment");
                }
                self.offset = offset + line.len();
                return Ok(Token::Doc(lines));
            }
            if !comment.is_empty() && !comment.starts_with(' ') {
                return self.position(offset).fail("missing space after #");
            }
            lines.push((offset, comment.trim_end().to_owned()));
            offset += line.len() + 1;
        }
        self.position(offset.min(source.text.len()))
            .fail("documentation comment must end with '##'")
    }
}
