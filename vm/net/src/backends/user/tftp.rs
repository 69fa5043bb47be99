//! Files for guests that boot from the network (RFC 1350, options of RFC 2347 to 2349).

use std::collections::HashMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// The port of servers.
pub(super) const PORT: u16 = 69;
/// Transfers at once.
const MOST_TRANSFERS: usize = 32;
/// How long a guest may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of a block unless agreed otherwise, and at most.
const BLOCK: usize = 512;
const LONGEST_BLOCK: usize = 1428;

/// Kinds of packet.
const READ: u16 = 1;
const DATA: u16 = 3;
const ACKNOWLEDGE: u16 = 4;
const ERROR: u16 = 5;
const OPTIONS: u16 = 6;
/// Reasons for an error.
const NOT_FOUND: u16 = 1;
const ILLEGAL: u16 = 4;

/// The server of one directory.
pub(super) struct Tftp {
    root: PathBuf,
    transfers: HashMap<(IpAddr, u16), Transfer>,
}

struct Transfer {
    file: File,
    block: usize,
    /// The block sent last, counted from 1.
    sent: u64,
    used: Instant,
}

impl Tftp {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            transfers: HashMap::new(),
        }
    }

    /// The answer to a packet, if it wants one.
    pub(super) fn answer(&mut self, guest: (IpAddr, u16), bytes: &[u8]) -> Option<Vec<u8>> {
        let (kind, rest) = bytes.split_first_chunk()?;
        match u16::from_be_bytes(*kind) {
            READ => Some(self.open(guest, rest)),
            ACKNOWLEDGE => self.go_on(guest, u16::from_be_bytes(*rest.first_chunk()?)),
            ERROR => {
                self.transfers.remove(&guest);
                None
            }
            _ => Some(failure(ILLEGAL, "Illegal TFTP operation")),
        }
    }

    fn open(&mut self, guest: (IpAddr, u16), request: &[u8]) -> Vec<u8> {
        let mut words = request
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy);
        let (Some(name), Some(mode)) = (words.next(), words.next()) else {
            return failure(ILLEGAL, "Illegal TFTP operation");
        };
        if !mode.eq_ignore_ascii_case("octet") {
            return failure(ILLEGAL, "Unsupported transfer mode");
        }
        let Some((file, length)) = within(&self.root, &name).and_then(|path| regular(&path)) else {
            return failure(NOT_FOUND, "File not found");
        };
        let mut transfer = Transfer {
            file,
            block: BLOCK,
            sent: 0,
            used: Instant::now(),
        };
        let mut agreed = OPTIONS.to_be_bytes().to_vec();
        while let (Some(option), Some(value)) = (words.next(), words.next()) {
            let value = match option.to_ascii_lowercase().as_str() {
                "tsize" => length,
                "blksize" => match value.parse::<usize>() {
                    Ok(wanted) if wanted >= 8 => {
                        transfer.block = wanted.min(LONGEST_BLOCK);
                        transfer.block as u64
                    }
                    _ => continue,
                },
                _ => continue,
            };
            agreed.extend(format!("{option}\0{value}\0").bytes());
        }
        let answer = if agreed.len() > 2 {
            agreed
        } else {
            transfer.sent = 1;
            data(&transfer)
        };
        self.transfers
            .retain(|_, transfer| transfer.used.elapsed() < IDLE);
        if self.transfers.len() >= MOST_TRANSFERS {
            return failure(0, "Too many transfers");
        }
        self.transfers.insert(guest, transfer);
        answer
    }

    /// The block after the one acknowledged, or that one again if it was lost. The numbers of
    /// long files wrap around.
    fn go_on(&mut self, guest: (IpAddr, u16), acknowledged: u16) -> Option<Vec<u8>> {
        let transfer = self.transfers.get_mut(&guest)?;
        transfer.used = Instant::now();
        if acknowledged == transfer.sent as u16 {
            let length = transfer.file.metadata().ok()?.len();
            if transfer.sent * transfer.block as u64 > length {
                self.transfers.remove(&guest);
                return None;
            }
            transfer.sent += 1;
        } else if acknowledged.wrapping_add(1) != transfer.sent as u16 {
            return None;
        }
        Some(data(transfer))
    }
}

/// The block that was sent last; empty after the end of the file.
fn data(transfer: &Transfer) -> Vec<u8> {
    let mut block = vec![0; transfer.block];
    let offset = transfer.sent.saturating_sub(1) * transfer.block as u64;
    let mut filled = 0;
    while let Ok(count) = transfer
        .file
        .read_at(&mut block[filled..], offset + filled as u64)
        && count > 0
    {
        filled += count;
    }
    let mut bytes = DATA.to_be_bytes().to_vec();
    bytes.extend((transfer.sent as u16).to_be_bytes());
    bytes.extend(&block[..filled]);
    bytes
}

fn failure(reason: u16, text: &str) -> Vec<u8> {
    let mut bytes = ERROR.to_be_bytes().to_vec();
    bytes.extend(reason.to_be_bytes());
    bytes.extend(text.bytes());
    bytes.push(0);
    bytes
}

/// A path below the root: no way leads out of it.
fn within(root: &Path, name: &str) -> Option<PathBuf> {
    let mut path = root.to_owned();
    for component in Path::new(name.trim_start_matches('/')).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let (path, root) = (path.canonicalize().ok()?, root.canonicalize().ok()?);
    path.starts_with(root).then_some(path)
}

fn regular(path: &Path) -> Option<(File, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        return None;
    }
    Some((File::open(path).ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2000);

    fn read(text: &str) -> Vec<u8> {
        [&[0, 1], text.as_bytes()].concat()
    }

    #[test]
    fn a_file_in_blocks() {
        let dir = tempfile::tempdir().expect("a directory");
        let content: Vec<u8> = (0..1324u32).map(|i| i as u8).collect();
        std::fs::write(dir.path().join("boot"), &content).expect("a file");
        let mut tftp = Tftp::new(dir.path().to_owned());
        let mut got: Vec<u8> = Vec::new();
        let mut packet = tftp.answer(GUEST, &read("/boot\0octet\0")).expect("data");
        for number in 1..=3u16 {
            assert_eq!(packet[..4], [0, 3, 0, number as u8]);
            got.extend(&packet[4..]);
            let answer = tftp.answer(GUEST, &[0, 4, 0, number as u8]);
            if number == 3 {
                assert_eq!(answer, None);
            } else {
                packet = answer.expect("more");
            }
        }
        assert_eq!(got, content);
    }

    #[test]
    fn options() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("boot"), [7; 2000]).expect("a file");
        let mut tftp = Tftp::new(dir.path().to_owned());
        let request = read("boot\0octet\0tsize\x000\0blksize\x001000\0");
        let answer = tftp.answer(GUEST, &request).expect("options");
        assert_eq!(answer, b"\0\x06tsize\x002000\0blksize\x001000\0");
        let check = |tftp: &mut Tftp, number: u8, expected: Option<usize>| {
            let answer = tftp.answer(GUEST, &[0, 4, 0, number]);
            assert_eq!(answer.map(|bytes| bytes.len() - 4), expected, "{number}");
        };
        check(&mut tftp, 0, Some(1000));
        check(&mut tftp, 1, Some(1000));
        check(&mut tftp, 2, Some(0));
        check(&mut tftp, 3, None);
    }

    #[test]
    fn refusals() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("root")).expect("a directory");
        std::fs::write(dir.path().join("secret"), "x").expect("a file");
        std::os::unix::fs::symlink("../secret", dir.path().join("root/link")).expect("a link");
        let mut tftp = Tftp::new(dir.path().join("root"));
        for name in ["../secret", "/../secret", "link", "none", "", "."] {
            let answer = tftp
                .answer(GUEST, &read(&format!("{name}\0octet\0")))
                .expect("an error");
            assert_eq!(answer[..4], [0, 5, 0, 1], "{name}");
        }
        for nonsense in [&b""[..], b"\0", b"\0\x01", b"\0\x01x", b"\0\x04\0"] {
            let answer = tftp.answer(GUEST, nonsense);
            assert!(answer.is_none_or(|answer| answer[1] == 5), "{nonsense:?}");
        }
    }
}
