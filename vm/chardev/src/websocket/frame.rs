//! Frames (RFC 6455 §5).

use std::io;

use tokio::io::ReadBuf;

/// Opcodes (§5.2).
const CONTINUATION: u8 = 0;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Of the first byte.
const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;

/// Of the second byte.
const MASKED: u8 = 0x80;

/// The most bytes a control frame carries (§5.5).
const MOST_CONTROL: u64 = 125;

/// What a step of decoding found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Something that is over with its bytes: data, now in the buffer, or a pong.
    Data,
    Ping(Vec<u8>),
    Close(Vec<u8>),
}

/// Takes the client's frames apart.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    mask: [u8; 4],
    /// How far the mask is turned.
    turned: usize,
    /// Payload of a data frame that is still to come.
    rest: u64,
}

struct Header {
    length: usize,
    opcode: u8,
    payload: u64,
    mask: [u8; 4],
}

impl Decoder {
    /// Decodes the front of `raw`; data goes to `buffer`. Returns how many bytes were used, and
    /// nothing when more are needed.
    pub(super) fn next(
        &mut self,
        raw: &[u8],
        buffer: &mut ReadBuf<'_>,
    ) -> io::Result<Option<(usize, Message)>> {
        if self.rest > 0 {
            return Ok(self.data(raw, buffer));
        }
        let Some(header) = header(raw)? else {
            return Ok(None);
        };
        self.mask = header.mask;
        self.turned = 0;
        if matches!(header.opcode, CONTINUATION | BINARY) {
            self.rest = header.payload;
            return Ok(Some((header.length, Message::Data)));
        }
        let end = header.length + header.payload as usize;
        let Some(payload) = raw.get(header.length..end) else {
            return Ok(None);
        };
        let payload: Vec<u8> = payload.iter().map(|byte| self.unmask(*byte)).collect();
        let message = match header.opcode {
            CLOSE => Message::Close(payload),
            PING => Message::Ping(payload),
            _ => Message::Data,
        };
        Ok(Some((end, message)))
    }

    fn data(&mut self, raw: &[u8], buffer: &mut ReadBuf<'_>) -> Option<(usize, Message)> {
        let count = raw.len().min(buffer.remaining());
        let count = count.min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        if count == 0 {
            return None;
        }
        for byte in &raw[..count] {
            buffer.put_slice(&[self.unmask(*byte)]);
        }
        self.rest -= count as u64;
        Some((count, Message::Data))
    }

    fn unmask(&mut self, byte: u8) -> u8 {
        let plain = byte ^ self.mask[self.turned];
        self.turned = (self.turned + 1) % 4;
        plain
    }
}

/// The header at the front of `raw`, as soon as it is complete.
fn header(raw: &[u8]) -> io::Result<Option<Header>> {
    let [first, second, rest @ ..] = raw else {
        return Ok(None);
    };
    let opcode = first & 0x0f;
    let control = opcode >= CLOSE;
    let (extended, payload) = match second & !MASKED {
        126 => (
            2,
            rest.first_chunk()
                .map(|two| u16::from_be_bytes(*two).into()),
        ),
        127 => (
            8,
            rest.first_chunk().map(|eight| u64::from_be_bytes(*eight)),
        ),
        short => (0, Some(short.into())),
    };
    if first & RESERVED != 0 || second & MASKED == 0 {
        return Err(broken("an extension, or a frame without a mask"));
    }
    if !matches!(opcode, CONTINUATION | BINARY | CLOSE | PING | PONG) {
        return Err(broken("a frame that is not binary"));
    }
    if control && (first & FIN == 0 || u64::from(second & !MASKED) > MOST_CONTROL) {
        return Err(broken("a control frame that is too long"));
    }
    let mask = rest.get(extended..).and_then(<[u8]>::first_chunk);
    let (Some(payload), Some(mask)) = (payload, mask) else {
        return Ok(None);
    };
    Ok(Some(Header {
        length: 2 + extended + 4,
        opcode,
        payload,
        mask: *mask,
    }))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the client sent {what}"),
    )
}

/// Appends a frame of the server, which is never masked.
pub(super) fn encode(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    match payload.len() {
        short @ ..126 => out.push(short as u8),
        medium if medium <= usize::from(u16::MAX) => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes all of `raw`: the data, and the other messages.
    fn decode(raw: &[u8]) -> io::Result<(Vec<u8>, Vec<Message>)> {
        let (mut decoder, mut at, mut messages) = (Decoder::default(), 0, Vec::new());
        let mut space = [0; 256];
        let mut buffer = ReadBuf::new(&mut space);
        while let Some((used, message)) = decoder.next(&raw[at..], &mut buffer)? {
            at += used;
            if message != Message::Data {
                messages.push(message);
            }
        }
        Ok((buffer.filled().to_vec(), messages))
    }

    #[test]
    fn frames_of_a_client() {
        // The masked "Hello" of RFC 6455 §5.7, as binary data.
        let hello = [
            0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        let parts = [
            &[0x02, 0x83, 0, 0, 0, 0][..],
            b"one",
            &[0x89, 0x82, 0, 0, 0, 0],
            b"hi",
            &[0x80, 0xfe, 0, 3, 0, 0, 0, 0],
            b"two",
            &[0x8a, 0x80, 0, 0, 0, 0],
            &[0x88, 0x80, 0, 0, 0, 0],
        ];
        let (data, messages) = decode(&hello).unwrap();
        assert_eq!((data.as_slice(), messages.len()), (&b"Hello"[..], 0));
        let (data, messages) = decode(&parts.concat()).unwrap();
        assert_eq!(data, b"onetwo");
        assert_eq!(
            messages,
            [Message::Ping(b"hi".to_vec()), Message::Close(Vec::new())]
        );
    }

    #[test]
    fn faults_of_a_client() {
        for raw in [
            &[0x82, 0x01, b'x'][..],
            &[0x81, 0x81, 0, 0, 0, 0, b'x'],
            &[0xc2, 0x81, 0, 0, 0, 0, b'x'],
            &[0x09, 0x80, 0, 0, 0, 0],
            &[0x89, 0xfe, 0, 126, 0, 0, 0, 0],
            &[0x83, 0x80, 0, 0, 0, 0],
        ] {
            assert!(decode(raw).is_err(), "{raw:x?}");
        }
        // A length beyond memory is only a number.
        let endless = [
            0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, b'x',
        ];
        assert_eq!(decode(&endless).unwrap().0, b"x");
    }

    #[test]
    fn frames_of_the_server() {
        for (length, header) in [(1, vec![0x82, 1]), (126, vec![0x82, 126, 0, 126])] {
            let mut out = Vec::new();
            encode(BINARY, &vec![7; length], &mut out);
            assert_eq!(out[..header.len()], header);
            assert_eq!(out.len(), header.len() + length);
        }
    }
}
