//! The opening handshake (RFC 6455 §4.2).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::Transport;

/// The longest request that is read.
const LONGEST: usize = 4096;

/// Appended to the client's key (§1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const REFUSAL: &str =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Answers the client's request. Returns what came behind it.
pub(super) async fn accept(stream: &mut impl Transport) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk).await?;
        if count == 0 || bytes.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&chunk[..count]);
    };
    let reply = answer(&String::from_utf8_lossy(&bytes[..end]));
    stream
        .write_all(reply.as_deref().unwrap_or(REFUSAL).as_bytes())
        .await?;
    stream.flush().await?;
    match reply {
        Some(_) => Ok(bytes.split_off(end + 4)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no websocket handshake",
        )),
    }
}

/// The answer to a request that asks for a websocket.
fn answer(request: &str) -> Option<String> {
    let mut lines = request.split("\r\n");
    let first = lines.next()?;
    if !(first.starts_with("GET ") && first.ends_with(" HTTP/1.1")) {
        return None;
    }
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        let found = headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let lists = |name: &str, wanted: &str| {
        let mut items = header(name).unwrap_or_default().split(',');
        items.any(|item| item.trim().eq_ignore_ascii_case(wanted))
    };
    header("Host")?;
    let offers = header("Sec-WebSocket-Protocol").is_some();
    let binary = lists("Sec-WebSocket-Protocol", "binary");
    if !lists("Upgrade", "websocket")
        || !lists("Connection", "upgrade")
        || header("Sec-WebSocket-Version") != Some("13")
        || (offers && !binary)
    {
        return None;
    }
    let accept = accept_key(header("Sec-WebSocket-Key")?);
    let protocol = if offers {
        "Sec-WebSocket-Protocol: binary\r\n"
    } else {
        ""
    };
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    ))
}

fn accept_key(key: &str) -> String {
    let text = format!("{key}{GUID}");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let good = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
        // The key and its answer are those of RFC 6455 §1.3.
        let reply = answer(good).unwrap();
        assert!(reply.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!reply.contains("Protocol:"));
        let with = |more: &str| answer(&format!("{good}\r\nSec-WebSocket-Protocol: {more}"));
        assert!(
            with("base64, binary")
                .unwrap()
                .contains("Protocol: binary\r\n")
        );
        assert_eq!(with("mqtt"), None);
        for (from, to) in [
            ("GET", "PUT"),
            ("Host", "Hosts"),
            ("WebSocket\r", "h2c\r"),
            ("Version: 13", "Version: 8"),
            ("keep-alive, Upgrade", "close"),
            ("Sec-WebSocket-Key", "Key"),
        ] {
            assert_eq!(answer(&good.replacen(from, to, 1)), None, "{to}");
        }
    }
}
