//! Frames in a file, in the format that capturing tools read (draft-ietf-opsawg-pcap).

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};
use crate::frame::{Accepts, Frame};
use crate::offload;

/// Times in microseconds; the order of its bytes tells that of all others.
const MAGIC: u32 = 0xa1b2_c3d4;
/// Major and minor version.
const VERSION: [u16; 2] = [2, 4];
/// Ethernet.
const LINK_TYPE: u32 = 1;

/// A file of frames.
#[derive(Debug)]
pub(super) struct Pcap {
    max_length: u32,
    sink: Mutex<Option<Sink>>,
}

/// Where records go. A pipe whose reader is slow loses whole records: nobody waits for it.
#[derive(Debug)]
struct Sink {
    file: File,
    /// What the pipe did not take of the last record.
    rest: Vec<u8>,
}

impl Pcap {
    /// Begins a file, of which at most so many bytes of each frame are kept.
    pub(super) fn create(path: &Path, max_length: u32) -> Result<Self> {
        let failed = |source| {
            let what = format!("net dump: can't open {}", path.display());
            Error::host(what, source)
        };
        let flags =
            OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file = rustix::fs::open(path, flags, mode).map_err(failed)?;
        let mut file = File::from(file);
        file.write_all(&header(max_length)).map_err(|source| {
            let what = format!("net dump write error on {}", path.display());
            Error::host(what, source)
        })?;
        Ok(Self {
            max_length,
            sink: Mutex::new(Some(Sink {
                file,
                rest: Vec::new(),
            })),
        })
    }

    /// Adds a frame as it would be on a wire: what its sender has left to others is done.
    pub(super) fn write(&self, frame: &Frame) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if Accepts::default().takes(frame.offload) {
            self.record(&mut sink, now, frame);
            return;
        }
        for frame in offload::finish(frame.clone(), Accepts::default()) {
            self.record(&mut sink, now, &frame);
        }
    }

    fn record(&self, slot: &mut Option<Sink>, time: Duration, frame: &[u8]) {
        let Some(sink) = slot else { return };
        let kept = &frame[..frame.len().min(self.max_length as usize)];
        let mut record = Vec::with_capacity(16 + kept.len());
        for word in [
            time.as_secs() as u32,
            time.subsec_micros(),
            kept.len() as u32,
            frame.len() as u32,
        ] {
            record.extend(word.to_ne_bytes());
        }
        record.extend(kept);
        if let Err(error) = sink.put(record) {
            tracing::warn!("network dump write error - stopping dump: {error}");
            *slot = None;
        }
    }
}

impl Sink {
    fn put(&mut self, record: Vec<u8>) -> std::io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        self.rest = self.write(rest)?;
        if self.rest.is_empty() {
            self.rest = self.write(record.clone())?;
            if self.rest.len() == record.len() {
                // None of it has been written: it is lost as a whole.
                self.rest.clear();
            }
        }
        Ok(())
    }

    /// Gives back what was not taken.
    fn write(&mut self, mut bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        while !bytes.is_empty() {
            match self.file.write(&bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(bytes.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }
}

fn header(max_length: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend(VERSION.map(u16::to_ne_bytes).concat());
    // The zone and accuracy of the times, both unused.
    bytes.extend([0; 8]);
    bytes.extend(max_length.to_ne_bytes());
    bytes.extend(LINK_TYPE.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Checksum, Offload};

    #[test]
    fn files_hold_frames_as_they_are_on_a_wire() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("frames.pcap");
        let pcap = Pcap::create(&path, 20).expect("a file");
        pcap.write(&Frame::from(vec![7; 30]));
        let checksum = Checksum {
            start: 4,
            offset: 2,
        };
        let offload = Offload {
            checksum: Some(checksum),
            segments: None,
        };
        pcap.write(&Frame::with_offload(vec![1; 10], offload));
        let bytes = std::fs::read(&path).expect("the file");
        assert_eq!(&bytes[..4], MAGIC.to_ne_bytes());
        assert_eq!(bytes[16..24], [20u32, 1].map(u32::to_ne_bytes).concat());
        let (first, second) = bytes[24..].split_at(16 + 20);
        assert_eq!(first[8..16], [20u32, 30].map(u32::to_ne_bytes).concat());
        assert_eq!(first[16..], [7; 20]);
        assert_eq!(second[8..16], [10u32, 10].map(u32::to_ne_bytes).concat());
        assert_eq!(second[16..], [1, 1, 1, 1, 1, 1, 0xfc, 0xfc, 1, 1]);
    }

    #[test]
    fn slow_readers_of_pipes_lose_whole_records() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .expect("a pipe");
        assert!(Pcap::create(&path, 65536).is_err(), "nobody reads it");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let reader = rustix::fs::open(&path, flags, Mode::empty()).expect("its end");
        let pcap = Pcap::create(&path, 65536).expect("the other");
        for _ in 0..100 {
            pcap.write(&Frame::from(vec![9; 1500]));
        }
        let mut seen = read(&reader);
        pcap.write(&Frame::from(vec![8; 1500]));
        seen.extend(read(&reader));
        let records = seen[24..].chunks(16 + 1500).collect::<Vec<_>>();
        assert!(records.len() < 100);
        let whole = |record: &&[u8]| record[12..16] == 1500u32.to_ne_bytes();
        assert!(records.iter().all(whole));
        assert_eq!(records.last().map(|record| record[16]), Some(8));
    }

    fn read(pipe: &std::os::fd::OwnedFd) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let mut length = 0;
        while let Ok(count @ 1..) = rustix::io::read(pipe, &mut bytes[length..]) {
            length += count;
        }
        bytes.truncate(length);
        bytes
    }
}
