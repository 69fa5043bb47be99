//! One request from the ring to the disk and back.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tinamou_block::{Failure, Operation, Zeroes};
use tinamou_devices::Pass;

use super::spec::{self, request, status};
use super::{Blk, UNIT};
use crate::{Chain, Error, Reader, Writer};

/// Most bytes that a request moves in one go.
const PIECE: usize = 1 << 20;

/// A request's parts.
struct Parts<'a> {
    kind: u32,
    sector: u64,
    /// Data to write.
    input: Reader<'a>,
    /// Room for data that are read.
    output: Writer<'a>,
    /// Room for the status.
    status: Writer<'a>,
}

impl Blk {
    /// Carries out a request and returns its chain.
    pub(super) async fn serve(self: Arc<Self>, chain: Chain, pass: Pass) {
        if self.reset.swap(false, Ordering::AcqRel) {
            drop(self.traffic.write().await);
        }
        let _traffic = self.traffic.read().await;
        let mut pass = Some(pass);
        let written = match parts(&chain) {
            Ok(parts) => self.carry_out(parts, &mut pass).await,
            Err(error) => return self.port.fail(error),
        };
        let Some(written) = written else { return };
        let queue = chain.queue();
        self.port.push(chain, written);
        self.port.notify(queue);
    }

    /// Returns how many bytes were given to the driver; nothing if a reset has come in between.
    async fn carry_out(&self, mut parts: Parts<'_>, pass: &mut Option<Pass>) -> Option<u32> {
        let room = parts.output.remaining();
        let status = loop {
            let mut again = Parts {
                input: parts.input.clone(),
                output: parts.output.clone(),
                status: parts.status.clone(),
                ..parts
            };
            match self.try_once(&mut again).await {
                Ok(status) => break status,
                Err(Failure::Report(_)) => break status::IOERR,
                Err(Failure::Stopped(stopped)) => {
                    // The machine stops now, which waits for all passes.
                    pass.take();
                    if !stopped.resumed().await {
                        return None;
                    }
                    *pass = Some(self.port.admission().await);
                }
            }
        };
        parts.status.write_all(&[status]).ok()?;
        u32::try_from(room + 1).ok()
    }

    async fn try_once(&self, parts: &mut Parts<'_>) -> Result<u8, Failure> {
        match parts.kind {
            request::IN => self.read(parts).await,
            request::OUT => self.write(parts).await,
            request::FLUSH => self.disk.flush().await.map(|()| status::OK),
            request::GET_ID => Ok(self.tell_id(&mut parts.output)),
            request::DISCARD if self.options.discard => self.discard(parts).await,
            request::WRITE_ZEROES if self.options.write_zeroes => self.zero(parts).await,
            _ => Ok(status::UNSUPP),
        }
    }

    async fn read(&self, parts: &mut Parts<'_>) -> Result<u8, Failure> {
        let length = parts.output.remaining();
        let Some(range) = self.range(parts.sector, length, Operation::Read) else {
            return Ok(status::IOERR);
        };
        let mut request = self.disk.begin(Operation::Read, length).await;
        for (offset, length) in pieces(range) {
            let _memory = self.claim(length).await;
            let mut bytes = vec![0; length];
            if let Err(error) = request.read(offset, &mut bytes).await {
                return request.finish(Err(error)).map(|()| status::OK);
            }
            if parts.output.write_all(&bytes).is_err() {
                break;
            }
        }
        request.finish(Ok(())).map(|()| status::OK)
    }

    async fn write(&self, parts: &mut Parts<'_>) -> Result<u8, Failure> {
        let length = parts.input.remaining();
        let Some(range) = self.range(parts.sector, length, Operation::Write) else {
            return Ok(status::IOERR);
        };
        if self.disk.is_read_only() {
            self.disk.stats().invalid(Operation::Write);
            return Ok(status::IOERR);
        }
        let mut request = self.disk.begin(Operation::Write, length).await;
        for (offset, length) in pieces(range) {
            let _memory = self.claim(length).await;
            let mut bytes = vec![0; length];
            if parts.input.read_exact(&mut bytes).is_err() {
                break;
            }
            if let Err(error) = request.write(offset, &bytes).await {
                return request.finish(Err(error)).map(|()| status::OK);
            }
        }
        let done = request.persist().await;
        request.finish(done).map(|()| status::OK)
    }

    async fn discard(&self, parts: &mut Parts<'_>) -> Result<u8, Failure> {
        let Some((sector, count, flags)) = range_of(&mut parts.input) else {
            return Ok(status::UNSUPP);
        };
        // To unmap is what a discard does; the flag is for zeros (§5.2.6.2).
        if flags != 0 {
            return Ok(status::UNSUPP);
        }
        let length = u64::from(count) * spec::SECTOR;
        let range = self.range(sector, length, Operation::Unmap);
        let Some(range) = range.filter(|_| count <= self.options.max_discard) else {
            return Ok(status::IOERR);
        };
        self.disk.discard(range, false).await.map(|()| status::OK)
    }

    async fn zero(&self, parts: &mut Parts<'_>) -> Result<u8, Failure> {
        let Some((sector, count, flags)) = range_of(&mut parts.input) else {
            return Ok(status::UNSUPP);
        };
        if flags & !spec::RANGE_UNMAP != 0 {
            return Ok(status::UNSUPP);
        }
        let length = u64::from(count) * spec::SECTOR;
        let range = self.range(sector, length, Operation::Write);
        let Some(range) = range.filter(|_| count <= self.options.max_write_zeroes) else {
            return Ok(status::IOERR);
        };
        let unmap = flags & spec::RANGE_UNMAP != 0;
        let done = self.disk.write_zeroes(range, Zeroes { unmap }).await;
        done.map(|()| status::OK)
    }

    fn tell_id(&self, output: &mut Writer<'_>) -> u8 {
        let mut id = [0; spec::ID_BYTES];
        let serial = self.options.serial.as_bytes();
        let length = serial.len().min(id.len());
        id[..length].copy_from_slice(&serial[..length]);
        let room = usize::try_from(output.remaining()).unwrap_or(id.len());
        match output.write_all(&id[..room.min(id.len())]) {
            Ok(()) => status::OK,
            Err(_) => status::IOERR,
        }
    }

    /// The bytes of the disk that a request is about, if they are whole blocks on it.
    fn range(&self, sector: u64, length: u64, operation: Operation) -> Option<Range<u64>> {
        let block = u64::from(self.options.logical_block);
        let start = sector.checked_mul(spec::SECTOR);
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        let fits = |range: &Range<u64>| {
            let whole = length.is_multiple_of(block) && range.start.is_multiple_of(block);
            whole && range.end <= self.disk.size()
        };
        let range = range.filter(fits);
        if range.is_none() {
            self.disk.stats().invalid(operation);
        }
        range
    }

    /// Leave to take that much memory.
    async fn claim(&self, length: usize) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX);
        // It is never closed.
        self.buffers.acquire_many(units).await.ok()
    }
}

/// Takes a chain apart.
fn parts(chain: &Chain) -> Result<Parts<'_>, Error> {
    let mut input = chain.reader();
    let mut output = chain.writer();
    if input.remaining() < spec::HEADER || output.remaining() == 0 {
        return Err(Error::Request("virtio-blk missing headers"));
    }
    let room = output.remaining() - 1;
    let status = output.split_off(room);
    let header = (|| -> io::Result<(u32, u64)> {
        let kind = u32::from_le_bytes(input.array()?);
        let _priority: [u8; 4] = input.array()?;
        Ok((kind, u64::from_le_bytes(input.array()?)))
    })();
    // A chain whose memory went away belongs to a ring that was reset.
    let (kind, sector) = header.unwrap_or((u32::MAX, 0));
    Ok(Parts {
        kind,
        sector,
        input,
        output,
        status,
    })
}

/// The one range of a discard or of zeros: sector, count, flags.
fn range_of(input: &mut Reader<'_>) -> Option<(u64, u32, u32)> {
    if input.remaining() != spec::RANGE {
        return None;
    }
    let sector = u64::from_le_bytes(input.array().ok()?);
    let count = u32::from_le_bytes(input.array().ok()?);
    let flags = u32::from_le_bytes(input.array().ok()?);
    Some((sector, count, flags))
}

/// A range in pieces: where each begins and how long it is.
fn pieces(range: Range<u64>) -> impl Iterator<Item = (u64, usize)> {
    let starts = range.clone().step_by(PIECE);
    starts.map(move |start| {
        let length = (range.end - start).min(PIECE as u64);
        (start, length as usize)
    })
}
