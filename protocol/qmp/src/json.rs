//! JSON with QEMU's rules: what is accepted, how a stream is cut into
//! messages, how reading recovers after an error, and how output looks.

mod lexer;
mod message;
mod reader;
mod scalar;
mod writer;

pub use reader::{Reader, parse};
pub use writer::{Style, append, to_vec};

/// Deepest nesting of braces and brackets together.
pub const MAX_NESTING: usize = 1024;

/// Most tokens in one message.
pub const MAX_TOKENS: usize = 2 << 20;

/// The text of a message's tokens stays below this many bytes.
pub const MAX_TEXT: usize = 64 << 20;
