//! Frames on a stream of bytes: each comes after its length, four bytes, most significant first.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::cable::Port;
use crate::frame::{Frame, MAX_FRAME};

/// Bytes collected before they are written.
const BATCH: usize = 64 * 1024;

/// Carries frames both ways until the peer leaves.
pub(super) async fn carry(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    port: &Port,
) -> io::Result<()> {
    let (input, output) = tokio::io::split(stream);
    tokio::select! {
        end = read_frames(input, port) => end,
        end = write_frames(output, port) => end,
    }
}

async fn read_frames(mut input: impl AsyncRead + Unpin, port: &Port) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BATCH);
    loop {
        let mut rest = &buffer[..];
        while let Some((frame, after)) = split(rest)? {
            port.send(frame).await;
            rest = after;
        }
        let kept = rest.len();
        let taken = buffer.len() - kept;
        buffer.drain(..taken);
        buffer.reserve(BATCH);
        if input.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Takes the first frame off, if it is there whole.
fn split(bytes: &[u8]) -> io::Result<Option<(Frame, &[u8])>> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes"),
        ));
    }
    let frame = rest.split_at_checked(length);
    Ok(frame.map(|(frame, rest)| (frame.into(), rest)))
}

async fn write_frames(mut output: impl AsyncWrite + Unpin, port: &Port) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        push(&mut batch, &port.recv().await);
        while batch.len() < BATCH
            && let Some(frame) = port.try_recv()
        {
            push(&mut batch, &frame);
        }
        output.write_all(&batch).await?;
        batch.clear();
    }
}

fn push(batch: &mut Vec<u8>, frame: &[u8]) {
    // No frame is longer than MAX_FRAME.
    batch.extend_from_slice(&(frame.len() as u32).to_be_bytes());
    batch.extend_from_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting() {
        let check = |bytes: &[u8], expected: Option<(&[u8], &[u8])>| {
            let found = split(bytes).expect("well formed");
            let found = found.as_ref().map(|(frame, rest)| (&**frame, *rest));
            assert_eq!(found, expected, "{bytes:?}");
        };
        check(&[], None);
        check(&[0, 0, 0], None);
        check(&[0, 0, 0, 2, 7], None);
        check(&[0, 0, 0, 2, 7, 8, 9], Some((&[7, 8], &[9])));
        check(&[0, 0, 0, 0], Some((&[], &[])));
        assert!(split(&[0xff, 0, 0, 0]).is_err());
    }
}
