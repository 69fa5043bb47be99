//! From bytes to tokens. The lexer keeps its state between calls, so that
//! input may be cut anywhere, and reads every byte once.

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Colon,
    Comma,
    Integer,
    Float,
    Keyword,
    String,
    /// No token can begin or go on like this. Its text ends with the
    /// offending byte, and what follows is skipped up to a byte that looks
    /// like the start of something new.
    Stray,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Recovery,
    /// Within a string that ends with this quote.
    String(u8),
    Escape(u8),
    Sign,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Keyword,
}

/// Where the current token starts, and where reading stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub(super) start: usize,
    pub(super) at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Lexer {
    state: State,
}

enum Step {
    To(State),
    /// A token ended before this byte.
    Before(Token),
    /// A token ends with this byte.
    With(Token),
}

impl Lexer {
    /// Reads up to the end of the next token, which then is the text from
    /// `cursor.start` to `cursor.at`. `None` when `bytes` ends before it.
    pub(super) fn next(&mut self, bytes: &[u8], cursor: &mut Cursor) -> Option<Token> {
        loop {
            match self.state {
                State::Between => skip(bytes, cursor, |byte| {
                    !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
                }),
                State::Recovery => {
                    skip(bytes, cursor, ends_recovery);
                    if cursor.at < bytes.len() {
                        self.state = State::Between;
                        continue;
                    }
                }
                State::String(quote) => cursor.at += string_run(&bytes[cursor.at..], quote),
                _ => {}
            }
            let byte = *bytes.get(cursor.at)?;
            match self.step(byte) {
                Step::To(state) => {
                    self.state = state;
                    cursor.at += 1;
                }
                Step::Before(token) => return Some(self.end(token)),
                Step::With(token) => {
                    cursor.at += 1;
                    return Some(self.end(token));
                }
            }
        }
    }

    /// Ends the input: the token that was being read, if any.
    pub(super) fn finish(&mut self) -> Option<Token> {
        let state = std::mem::take(&mut self.state);
        match state {
            State::Between | State::Recovery => None,
            _ => Some(complete(state).unwrap_or(Token::Stray)),
        }
    }

    /// Forgets the token that was being read.
    pub(super) fn reset(&mut self) {
        self.state = State::Between;
    }

    fn end(&mut self, token: Token) -> Token {
        self.state = if token == Token::Stray {
            State::Recovery
        } else {
            State::Between
        };
        token
    }

    fn step(&self, byte: u8) -> Step {
        use State::*;
        match (self.state, byte) {
            (Between | Recovery, _) => begin(byte),
            (String(quote), _) if byte == quote => Step::With(Token::String),
            (String(quote), b'\\') => Step::To(Escape(quote)),
            (String(quote) | Escape(quote), 0x20..=0xFD) => Step::To(String(quote)),
            (Sign, b'0') => Step::To(Zero),
            (Sign, b'1'..=b'9') | (Digits, b'0'..=b'9') => Step::To(Digits),
            (Zero | Digits, b'.') => Step::To(Point),
            (Zero, b'0'..=b'9') => Step::With(Token::Stray),
            (Digits | Fraction, b'e' | b'E') => Step::To(Exponent),
            (Point | Fraction, b'0'..=b'9') => Step::To(Fraction),
            (Exponent, b'+' | b'-') => Step::To(ExponentSign),
            (Exponent | ExponentSign | ExponentDigits, b'0'..=b'9') => Step::To(ExponentDigits),
            (Keyword, b'a'..=b'z') => Step::To(Keyword),
            (state, _) => complete(state).map_or(Step::With(Token::Stray), Step::Before),
        }
    }
}

/// The first byte of a token.
fn begin(byte: u8) -> Step {
    match byte {
        b'{' => Step::With(Token::LeftBrace),
        b'}' => Step::With(Token::RightBrace),
        b'[' => Step::With(Token::LeftBracket),
        b']' => Step::With(Token::RightBracket),
        b':' => Step::With(Token::Colon),
        b',' => Step::With(Token::Comma),
        b'"' | b'\'' => Step::To(State::String(byte)),
        b'-' => Step::To(State::Sign),
        b'0' => Step::To(State::Zero),
        b'1'..=b'9' => Step::To(State::Digits),
        b'a'..=b'z' => Step::To(State::Keyword),
        _ => Step::With(Token::Stray),
    }
}

/// The token that may end in `state`.
fn complete(state: State) -> Option<Token> {
    match state {
        State::Zero | State::Digits => Some(Token::Integer),
        State::Fraction | State::ExponentDigits => Some(Token::Float),
        State::Keyword => Some(Token::Keyword),
        _ => None,
    }
}

/// Moves to the first byte that `stop` takes; the next token starts there.
fn skip(bytes: &[u8], cursor: &mut Cursor, stop: impl Fn(u8) -> bool) {
    let rest = &bytes[cursor.at..];
    cursor.at += rest
        .iter()
        .position(|&byte| stop(byte))
        .unwrap_or(rest.len());
    cursor.start = cursor.at;
}

/// The bytes at which reading goes on after an error.
fn ends_recovery(byte: u8) -> bool {
    match byte {
        b'{' | b'}' | b'[' | b']' | b':' | b',' | 0xFE | 0xFF => true,
        b'\t' => false,
        _ => byte < 0x20,
    }
}

/// How many bytes at the start of `bytes` are neither the quote, a backslash
/// nor forbidden in strings.
fn string_run(bytes: &[u8], quote: u8) -> usize {
    let plain = |byte: u8| byte >= 0x20 && byte != quote && byte != b'\\' && byte < 0xFE;
    let mut run = 0;
    for block in bytes.chunks_exact(16) {
        if !block.iter().fold(true, |all, &byte| all & plain(byte)) {
            break;
        }
        run += block.len();
    }
    run + bytes[run..]
        .iter()
        .position(|&byte| !plain(byte))
        .unwrap_or(bytes.len() - run)
}
