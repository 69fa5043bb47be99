//! From tokens to messages: a message ends when its braces and brackets
//! balance, and only then is its first fault reported.

use super::lexer::Token;
use super::{MAX_NESTING, MAX_TEXT, MAX_TOKENS, scalar};
use crate::{Error, Object, Result, Value};
use indexmap::map::Entry;

/// The message being read. It is bounded by the limits on tokens and text.
#[derive(Debug, Default)]
pub(super) struct Message {
    braces: isize,
    brackets: isize,
    tokens: usize,
    text: usize,
    tree: Tree,
    fault: Option<Error>,
}

impl Message {
    /// Adds a token; a message that ends with it is handed out.
    pub(super) fn add(&mut self, token: Token, text: &[u8]) -> Option<Result<Value>> {
        match token {
            Token::LeftBrace => self.braces += 1,
            Token::RightBrace => self.braces -= 1,
            Token::LeftBracket => self.brackets += 1,
            Token::RightBracket => self.brackets -= 1,
            Token::Stray => return Some(Err(self.abandon(stray(text)))),
            _ => {}
        }
        if let Some(limit) = self.exceeded(text.len()) {
            return Some(Err(self.abandon(Error::json_limit(limit))));
        }
        self.tokens += 1;
        self.text += text.len();
        if self.fault.is_none() {
            self.fault = self.tree.add(token, text).err();
        }
        let open = self.braces >= 0 && self.brackets >= 0 && self.braces + self.brackets > 0;
        if open { None } else { self.finish() }
    }

    /// Drops what was read, in favour of an error.
    pub(super) fn abandon(&mut self, error: Error) -> Error {
        *self = Self::default();
        error
    }

    /// Ends the message, if there is one.
    pub(super) fn finish(&mut self) -> Option<Result<Value>> {
        let Self {
            tree,
            fault,
            tokens,
            ..
        } = std::mem::take(self);
        if tokens == 0 {
            return None;
        }
        Some(match (fault, tree.root) {
            (Some(fault), _) => Err(fault),
            (None, Some(root)) => Ok(root),
            (None, None) => Err(Error::json("premature EOI")),
        })
    }

    fn exceeded(&self, length: usize) -> Option<&'static str> {
        let depth = (self.braces + self.brackets).cast_unsigned();
        if self.text + length + 1 > MAX_TEXT {
            Some("token size")
        } else if self.tokens + 1 > MAX_TOKENS {
            Some("token count")
        } else if self.braces + self.brackets > 0 && depth > MAX_NESTING {
            Some("nesting depth")
        } else {
            None
        }
    }
}

fn stray(text: &[u8]) -> Error {
    let end = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    Error::json(&format!("stray '{}'", scalar::lossy(&text[..end])))
}

/// A value under construction. The stack is explicit, so that deep nesting
/// costs no stack of the thread.
#[derive(Debug, Default)]
struct Tree {
    open: Vec<Container>,
    expected: Expected,
    root: Option<Value>,
}

#[derive(Debug)]
enum Container {
    Array(Vec<Value>),
    /// `key` is that of the member whose value comes next.
    Object {
        members: Object,
        key: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// A value, or an object's next key.
    #[default]
    Value,
    /// The same, or the end of a container without any.
    ValueOrEnd,
    Colon,
    CommaOrEnd,
}

impl Tree {
    fn add(&mut self, token: Token, text: &[u8]) -> Result<()> {
        match (self.expected, token) {
            (Expected::Value | Expected::ValueOrEnd, Token::LeftBrace) => {
                self.begin(Container::Object {
                    members: Object::new(),
                    key: None,
                });
                Ok(())
            }
            (Expected::Value | Expected::ValueOrEnd, Token::LeftBracket) => {
                self.begin(Container::Array(Vec::new()));
                Ok(())
            }
            (
                Expected::ValueOrEnd | Expected::CommaOrEnd,
                Token::RightBrace | Token::RightBracket,
            ) if self.ends_with(token) => self.end(),
            (Expected::Value | Expected::ValueOrEnd, _) => {
                let value = scalar::value(token, text)?;
                self.place(value)
            }
            (Expected::Colon, Token::Colon) | (Expected::CommaOrEnd, Token::Comma) => {
                self.expected = Expected::Value;
                Ok(())
            }
            (Expected::Colon, _) => Err(Error::json("missing : in object pair")),
            (Expected::CommaOrEnd, _) => Err(Error::json(match self.open.last() {
                Some(Container::Object { .. }) => "expected separator in dict",
                _ => "expected separator in list",
            })),
        }
    }

    fn begin(&mut self, container: Container) {
        self.open.push(container);
        self.expected = Expected::ValueOrEnd;
    }

    fn ends_with(&self, token: Token) -> bool {
        match self.open.last() {
            Some(Container::Object { .. }) => token == Token::RightBrace,
            Some(Container::Array(_)) => token == Token::RightBracket,
            None => false,
        }
    }

    fn end(&mut self) -> Result<()> {
        match self.open.pop() {
            Some(Container::Object { members, .. }) => self.place(Value::Object(members)),
            Some(Container::Array(elements)) => self.place(Value::Array(elements)),
            None => Ok(()),
        }
    }

    /// Puts a complete value where it belongs.
    fn place(&mut self, value: Value) -> Result<()> {
        self.expected = Expected::CommaOrEnd;
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Container::Array(elements)) => elements.push(value),
            Some(Container::Object { members, key }) => match (key.take(), value) {
                (Some(key), value) => return insert(members, key, value),
                (None, Value::String(name)) => {
                    *key = Some(name);
                    self.expected = Expected::Colon;
                }
                (None, _) => return Err(Error::json("key is not a string in object")),
            },
        }
        Ok(())
    }
}

fn insert(members: &mut Object, key: String, value: Value) -> Result<()> {
    match members.entry(key) {
        Entry::Occupied(_) => Err(Error::json("duplicate key")),
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}
