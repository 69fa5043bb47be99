//! Commands about the medium (SBC-3 §5): capacity, reads, writes, unmapping.

use std::io::{Read, Write};
use std::ops::Range;

use tinamou_block::{Operation, Zeroes};

use super::{Data, Failed, Outcome, Reply, Unit};
use crate::scsi::command::{Command, op};
use crate::scsi::sense::Sense;

/// Bytes of a unit of buffers.
const UNIT: usize = 1 << 10;
/// Most bytes that a command moves in one go: no less than the longest block.
const PIECE: u64 = 2 << 20;
/// Bytes of the longest list of ranges to unmap: 255 of 16 bytes, and a head.
const UNMAP_MAX: usize = 8 + 255 * 16;
/// READ CAPACITY among the service actions.
const READ_CAPACITY_16: u8 = 0x10;

impl Unit {
    pub(super) async fn medium(&self, command: &Command, data: &mut Data<'_>) -> Outcome {
        match command.code() {
            op::READ_CAPACITY_10 => self.capacity_10(command),
            op::SERVICE_ACTION_IN_16 => self.capacity_16(command),
            op::READ_6 | op::READ_10 | op::READ_12 | op::READ_16 => {
                let range = self.accessed(command)?;
                self.read(range, Some(data)).await
            }
            op::WRITE_6 | op::WRITE_10 | op::WRITE_12 | op::WRITE_16 => {
                let range = self.written(command)?;
                self.write(range, command, data).await
            }
            op::WRITE_VERIFY_10 | op::WRITE_VERIFY_12 | op::WRITE_VERIFY_16 => {
                let range = self.written(command)?;
                self.write(range, command, data).await
            }
            op::VERIFY_10 | op::VERIFY_12 | op::VERIFY_16 => self.verify(command).await,
            op::SYNCHRONIZE_CACHE_10 => {
                self.ready()?;
                // Who never writes has nothing to wait for.
                if !self.backend.is_read_only() {
                    self.backend.flush().await?;
                }
                Ok(Reply::Done)
            }
            op::UNMAP if !self.is_cd() => self.unmap(command, data).await,
            op::WRITE_SAME_10 | op::WRITE_SAME_16 => self.write_same(command, data).await,
            _ => Err(Sense::INVALID_OPCODE.into()),
        }
    }

    fn capacity_10(&self, command: &Command) -> Outcome {
        self.ready()?;
        // A block may be given only with the bit that says so.
        if command.byte(8) & 1 == 0 && command.u32(2) != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let last = self.last_block()?;
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        let data = [last.to_be_bytes(), self.block().to_be_bytes()];
        Ok(Reply::Data(data.concat()))
    }

    fn capacity_16(&self, command: &Command) -> Outcome {
        if command.byte(1) & 0x1f != READ_CAPACITY_16 {
            return Err(Sense::INVALID_FIELD.into());
        }
        self.ready()?;
        let mut data = self.last_block()?.to_be_bytes().to_vec();
        data.extend(self.block().to_be_bytes());
        let ratio = (self.options.physical_block / self.block()).max(1);
        // Blocks can be unmapped; what they read as then is not said.
        let provisioned = if self.options.discard_granularity == 0 {
            0
        } else {
            0x80
        };
        data.extend([0, ratio.ilog2() as u8, provisioned, 0]);
        data.resize(32, 0);
        Ok(Reply::Data(data))
    }

    fn last_block(&self) -> Result<u64, Sense> {
        self.blocks()
            .checked_sub(1)
            .ok_or(Sense::MEDIUM_NOT_PRESENT)
    }

    /// The bytes that a command is about, if they are on the medium.
    fn accessed(&self, command: &Command) -> Result<Range<u64>, Failed> {
        self.ready()?;
        // There is no protection information.
        if command.code() >> 5 != 0 && command.byte(1) & 0xe0 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        Ok(self.range(command.lba(), command.length().into())?)
    }

    /// The same for commands that write.
    fn written(&self, command: &Command) -> Result<Range<u64>, Failed> {
        self.ready()?;
        if self.is_cd() || self.backend.is_read_only() {
            return Err(Sense::WRITE_PROTECTED.into());
        }
        self.accessed(command)
    }

    fn range(&self, lba: u64, blocks: u64) -> Result<Range<u64>, Sense> {
        let end = lba.checked_add(blocks);
        let end = end.filter(|end| *end <= self.blocks());
        let end = end.ok_or(Sense::LBA_OUT_OF_RANGE)?;
        let block = u64::from(self.block());
        Ok(lba * block..end * block)
    }

    /// Reads a range, into the guest's memory if there are data.
    async fn read(&self, range: Range<u64>, mut data: Option<&mut Data<'_>>) -> Outcome {
        let length = range.end - range.start;
        let mut request = self.backend.begin(Operation::Read, length).await;
        for (offset, length) in pieces(range) {
            let _memory = self.claim(length).await;
            let mut bytes = vec![0; length];
            if let Err(error) = request.read(offset, &mut bytes).await {
                request.finish(Err(error))?;
                return Ok(Reply::Done);
            }
            if let Some(data) = &mut data
                && data.output.write_all(&bytes).is_err()
            {
                break;
            }
        }
        request.finish(Ok(()))?;
        Ok(Reply::Done)
    }

    async fn write(&self, range: Range<u64>, command: &Command, data: &mut Data<'_>) -> Outcome {
        /// Force unit access.
        const FUA: u8 = 8;
        let length = range.end - range.start;
        let mut request = self.backend.begin(Operation::Write, length).await;
        for (offset, length) in pieces(range) {
            let _memory = self.claim(length).await;
            let mut bytes = vec![0; length];
            if data.input.read_exact(&mut bytes).is_err() {
                break;
            }
            if let Err(error) = request.write(offset, &bytes).await {
                request.finish(Err(error))?;
                return Ok(Reply::Done);
            }
        }
        let done = request.persist().await;
        request.finish(done)?;
        let verifies = matches!(
            command.code(),
            op::WRITE_VERIFY_10 | op::WRITE_VERIFY_12 | op::WRITE_VERIFY_16
        );
        let forced = command.code() != op::WRITE_6 && command.byte(1) & FUA != 0;
        if verifies || forced {
            self.backend.flush().await?;
        }
        Ok(Reply::Done)
    }

    async fn verify(&self, command: &Command) -> Outcome {
        // Data to compare with are not taken.
        if command.byte(1) & 6 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let range = self.accessed(command)?;
        self.read(range, None).await
    }

    async fn unmap(&self, command: &Command, data: &mut Data<'_>) -> Outcome {
        let length = command.length() as usize;
        if length == 0 {
            return Ok(Reply::Done);
        }
        // Anchored blocks there are none.
        if command.byte(1) & 1 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        self.ready()?;
        if self.backend.is_read_only() {
            return Err(Sense::WRITE_PROTECTED.into());
        }
        let mut list = vec![0; length.min(UNMAP_MAX)];
        if length < 8 || data.input.read_exact(&mut list).is_err() {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        }
        for (lba, blocks) in self.descriptors(&list)? {
            let range = self.range(lba, blocks)?;
            if !range.is_empty() {
                self.backend.discard(range, true).await?;
            }
        }
        Ok(Reply::Done)
    }

    /// The ranges of a list, if its lengths go together and all are on the medium.
    fn descriptors(&self, list: &[u8]) -> Result<Vec<(u64, u64)>, Sense> {
        let (total, ranges) = (number(&list[..2]), number(&list[2..4]));
        let (total, ranges) = (total as usize, ranges as usize);
        if total + 2 > list.len() || ranges > list.len() - 8 || !ranges.is_multiple_of(16) {
            return Err(Sense::PARAMETER_LIST_LENGTH);
        }
        let ranges = list[8..8 + ranges].chunks_exact(16);
        let ranges = ranges.map(|range| (number(&range[..8]), number(&range[8..12])));
        let ranges: Vec<_> = ranges.collect();
        for (lba, blocks) in &ranges {
            self.range(*lba, *blocks)?;
        }
        Ok(ranges)
    }

    async fn write_same(&self, command: &Command, data: &mut Data<'_>) -> Outcome {
        let range = self.written(command)?;
        // Numbers are written into no block, and some block must be meant.
        if range.is_empty() || command.byte(1) & 6 != 0 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let no_data = command.code() == op::WRITE_SAME_16 && command.byte(1) & 1 != 0;
        let mut block = vec![0; self.block() as usize];
        if !no_data && data.input.read_exact(&mut block).is_err() {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        }
        let unmap = command.byte(1) & 8 != 0;
        if block.iter().all(|byte| *byte == 0) {
            self.backend.write_zeroes(range, Zeroes { unmap }).await?;
            return Ok(Reply::Done);
        }
        let length = range.end - range.start;
        let mut request = self.backend.begin(Operation::Write, length).await;
        for (offset, length) in pieces(range) {
            let _memory = self.claim(length).await;
            let bytes = block.repeat(length / block.len());
            if let Err(error) = request.write(offset, &bytes).await {
                request.finish(Err(error))?;
                return Ok(Reply::Done);
            }
            // The range may be as long as the disk: others go on meanwhile.
            tokio::task::yield_now().await;
        }
        let done = request.persist().await;
        request.finish(done)?;
        Ok(Reply::Done)
    }

    /// Leave to take that much memory.
    async fn claim(&self, length: usize) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX);
        // It is never closed.
        self.buffers.acquire_many(units).await.ok()
    }
}

/// A range in pieces: where each begins and how long it is.
fn pieces(range: Range<u64>) -> impl Iterator<Item = (u64, usize)> {
    let starts = range.clone().step_by(PIECE as usize);
    starts.map(move |start| (start, (range.end - start).min(PIECE) as usize))
}

/// A number, the highest byte first.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
