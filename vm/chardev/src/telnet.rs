//! The telnet protocol (RFC 854) as far as a raw console needs it: options are announced, the
//! peer's commands are taken out of the input, and its break is noticed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::connection::Transport;
use crate::frontend::Bell;

const IAC: u8 = 255;
const DO: u8 = 253;
const WILL: u8 = 251;
const SB: u8 = 250;
const BREAK: u8 = 243;
const SE: u8 = 240;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// What is sent to a new peer: it shall neither echo nor edit lines nor translate bytes.
const GREETING: [u8; 12] = [
    IAC,
    WILL,
    ECHO,
    IAC,
    WILL,
    SUPPRESS_GO_AHEAD,
    IAC,
    WILL,
    BINARY,
    IAC,
    DO,
    BINARY,
];

/// Where in the peer's commands the input stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Data,
    /// After IAC.
    Command,
    /// After WILL, WONT, DO or DONT.
    Option,
    /// Within a subnegotiation.
    Subnegotiation,
    /// After IAC within a subnegotiation.
    SubnegotiationCommand,
}

/// Takes telnet commands out of the input.
#[derive(Debug, Default)]
struct Filter(State);

impl Filter {
    /// Moves the data among `bytes` to their front. Returns how many there are, and whether the
    /// peer sent a break.
    fn strip(&mut self, bytes: &mut [u8]) -> (usize, bool) {
        let (mut kept, mut broke) = (0, false);
        for index in 0..bytes.len() {
            let byte = bytes[index];
            broke |= self.0 == State::Command && byte == BREAK;
            if self.step(byte) {
                bytes[kept] = byte;
                kept += 1;
            }
        }
        (kept, broke)
    }

    /// Whether `byte` is data.
    fn step(&mut self, byte: u8) -> bool {
        let data = byte != IAC && self.0 == State::Data || byte == IAC && self.0 == State::Command;
        self.0 = match (self.0, byte) {
            (State::Data, IAC) => State::Command,
            (State::Command, SB) => State::Subnegotiation,
            (State::Command, WILL..=254) => State::Option,
            (State::Subnegotiation, IAC) => State::SubnegotiationCommand,
            (State::SubnegotiationCommand, SE) => State::Data,
            (State::Subnegotiation | State::SubnegotiationCommand, _) => State::Subnegotiation,
            _ => State::Data,
        };
        data
    }
}

/// A transport with telnet spoken over it.
pub(crate) struct Telnet<T> {
    inner: T,
    filter: Filter,
    bell: Arc<Bell>,
}

impl<T: Transport> Telnet<T> {
    /// Announces the options.
    pub(crate) async fn greet(mut inner: T, bell: Arc<Bell>) -> io::Result<Self> {
        inner.write_all(&GREETING).await?;
        inner.flush().await?;
        Ok(Self {
            inner,
            filter: Filter::default(),
            bell,
        })
    }
}

impl<T: Transport> AsyncRead for Telnet<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
            let received = &mut buffer.filled_mut()[before..];
            if received.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (kept, broke) = self.filter.strip(received);
            buffer.set_filled(before + kept);
            if broke {
                self.bell.ring();
            }
            // Nothing left of it must not look like the end of the input.
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: Transport> AsyncWrite for Telnet<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strip(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut filter, mut data, mut broke) = (Filter::default(), Vec::new(), false);
        for piece in pieces {
            let mut bytes = piece.to_vec();
            let (kept, saw_break) = filter.strip(&mut bytes);
            data.extend_from_slice(&bytes[..kept]);
            broke |= saw_break;
        }
        (data, broke)
    }

    #[test]
    fn commands_are_taken_out() {
        let cases: &[(&[u8], &[u8], bool)] = &[
            (b"plain", b"plain", false),
            (b"a\xff\xffb", b"a\xffb", false),
            (b"a\xff\xfb\x01b", b"ab", false),
            (b"a\xff\xfd\x03b", b"ab", false),
            (b"a\xff\xf3b", b"ab", true),
            (b"a\xff\xfa\x18\x00xterm\xff\xf0b", b"ab", false),
            (b"a\xff\xfa\xff\xf3\xff\xffx\xff\xf0b", b"ab", false),
            (b"\xff\xfe\xffz", b"z", false),
        ];
        for (input, data, broke) in cases {
            assert_eq!(strip(&[input]), (data.to_vec(), *broke), "{input:x?}");
        }
    }

    proptest! {
        #[test]
        fn doubled_bytes_come_through(data: Vec<u8>) {
            let wire: Vec<u8> = data
                .iter()
                .flat_map(|&byte| std::iter::repeat_n(byte, if byte == IAC { 2 } else { 1 }))
                .collect();
            prop_assert_eq!(strip(&[&wire]), (data, false));
        }

        #[test]
        fn pieces_do_not_matter(
            wire in prop::collection::vec(prop_oneof![any::<u8>(), 239u8..=255], 0..64),
            at in 0usize..64,
        ) {
            let (head, tail) = wire.split_at(at.min(wire.len()));
            prop_assert_eq!(strip(&[head, tail]), strip(&[&wire]));
        }
    }
}
