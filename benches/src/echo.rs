//! The other end of a guest's wire: Ethernet frames over a stream socket, each
//! behind its length (32 bits, big-endian), and echo requests (RFC 792) that
//! the guest's kernel answers.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The address of this end.
const HERE: [u8; 4] = [192, 0, 2, 1];
/// The address that the guest must have.
const GUEST: [u8; 4] = [192, 0, 2, 2];
const HERE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const ICMP: usize = 8;
const ARP_ETHERTYPE: [u8; 2] = [8, 6];
const IPV4_ETHERTYPE: [u8; 2] = [8, 0];

/// A connected wire whose guest is known.
pub struct Wire {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    guest: [u8; 6],
}

impl Wire {
    /// Finds the guest on a wire that its network device listens on.
    pub fn new(writer: UnixStream) -> io::Result<Self> {
        writer.set_read_timeout(Some(Duration::from_secs(20)))?;
        let reader = BufReader::with_capacity(1 << 16, writer.try_clone()?);
        let mut wire = Self {
            writer,
            reader,
            guest: [0xff; 6],
        };
        wire.send(&arp(1, wire.guest, [0; 6]))?;
        loop {
            let frame = wire.receive()?;
            if is_arp(&frame, 2) {
                wire.guest.copy_from_slice(&frame[6..12]);
                return Ok(wire);
            }
        }
    }

    /// Sends one request with `length` bytes of data.
    pub fn ask(&mut self, length: usize) -> io::Result<()> {
        let frame = echo(self.guest, length);
        self.send(&frame)
    }

    /// Waits for an answer; answers what the guest asks meanwhile.
    pub fn answer(&mut self) -> io::Result<()> {
        loop {
            let frame = self.receive()?;
            if is_arp(&frame, 1) {
                self.send(&arp(2, self.guest, self.guest))?;
            }
            let icmp = ETHERNET + IPV4;
            if frame[12..14] == IPV4_ETHERTYPE && frame[23] == 1 && frame.get(icmp) == Some(&0) {
                return Ok(());
            }
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.writer
            .write_all(&[&length.to_be_bytes(), frame].concat())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.reader.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.reader.read_exact(&mut frame)?;
        if frame.len() < ETHERNET + IPV4 {
            return Err(io::Error::other("a frame is too short"));
        }
        Ok(frame)
    }
}

fn is_arp(frame: &[u8], operation: u8) -> bool {
    frame[12..14] == ARP_ETHERTYPE && frame[21] == operation
}

/// RFC 826: request 1, reply 2.
fn arp(operation: u8, to: [u8; 6], target: [u8; 6]) -> Vec<u8> {
    let mut frame = [&to[..], &HERE_MAC, &ARP_ETHERTYPE].concat();
    frame.extend([0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(HERE_MAC.iter().chain(&HERE).chain(&target).chain(&GUEST));
    frame.resize(60, 0);
    frame
}

fn echo(to: [u8; 6], length: usize) -> Vec<u8> {
    let mut icmp = vec![0; ICMP + length];
    icmp[0] = 8;
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let total = u16::try_from(IPV4 + icmp.len()).unwrap_or(u16::MAX);
    let mut ip = vec![0x45, 0];
    ip.extend(total.to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 1, 0, 0]);
    ip.extend(HERE.iter().chain(&GUEST));
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    [&to[..], &HERE_MAC, &IPV4_ETHERTYPE, &ip, &icmp].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    (!(folded as u16)).to_be_bytes()
}
