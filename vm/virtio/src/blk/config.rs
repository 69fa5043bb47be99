//! What a disk tells of itself.

use super::spec::{self, feature};

/// What a disk is made to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What it says to who asks for its serial number.
    pub serial: String,
    /// Bytes of a block as the guest sees it.
    pub logical_block: u32,
    /// Bytes of a block as the disk has it.
    pub physical_block: u32,
    /// Bytes that are well read or written at once, at least.
    pub min_io: u32,
    /// Bytes that are best read or written at once.
    pub opt_io: u32,
    /// Unit of discards, if it is not the block.
    pub discard_granularity: Option<u32>,
    /// Cylinders, heads and sectors; guessed if the first is 0.
    pub geometry: (u32, u32, u32),
    /// Number of queues.
    pub queues: u16,
    /// Descriptors of each.
    pub queue_size: u16,
    /// The most segments follow from the queue's size.
    pub seg_max_adjust: bool,
    /// The guest may turn the write cache on and off.
    pub config_wce: bool,
    /// There are discards.
    pub discard: bool,
    /// The unit of discards is told.
    pub report_discard_granularity: bool,
    /// Sectors of the longest discard.
    pub max_discard: u32,
    /// There are writes of zeros.
    pub write_zeroes: bool,
    /// Sectors of the longest write of zeros.
    pub max_write_zeroes: u32,
}

/// Longest range of sectors that a request may have by default.
pub const MAX_SECTORS: u32 = (i32::MAX as u32) >> 9;

impl Default for Options {
    fn default() -> Self {
        Self {
            serial: String::new(),
            logical_block: 512,
            physical_block: 512,
            min_io: 0,
            opt_io: 0,
            discard_granularity: None,
            geometry: (0, 0, 0),
            queues: 1,
            queue_size: 256,
            seg_max_adjust: true,
            config_wce: true,
            discard: true,
            report_discard_granularity: true,
            max_discard: MAX_SECTORS,
            write_zeroes: true,
            max_write_zeroes: MAX_SECTORS,
        }
    }
}

impl Options {
    /// The features that follow from the options alone.
    pub(super) fn features(&self) -> u64 {
        let optional = [
            (self.config_wce, feature::CONFIG_WCE | feature::FLUSH),
            (self.queues > 1, feature::MQ),
            (self.discard, feature::DISCARD),
            (self.write_zeroes, feature::WRITE_ZEROES),
        ];
        let always = feature::SEG_MAX | feature::GEOMETRY | feature::TOPOLOGY | feature::BLK_SIZE;
        let chosen = optional.iter().filter(|(on, _)| *on);
        chosen.fold(always, |features, (_, feature)| features | feature)
    }

    /// The configuration space of a disk of `size` bytes.
    pub(super) fn config(&self, size: u64, write_cache: bool) -> Vec<u8> {
        let (cylinders, heads, sectors) = self.geometry(size);
        let seg_max = match self.seg_max_adjust {
            true => u32::from(self.queue_size.saturating_sub(2)),
            false => 126,
        };
        let granularity = match self.report_discard_granularity {
            true => self.discard_granularity.unwrap_or(self.logical_block),
            false => self.logical_block,
        };
        let exponent = (self.physical_block / self.logical_block.max(1))
            .max(1)
            .ilog2();
        let blocks = |bytes: u32| bytes / self.logical_block.max(1);
        let mut config = Vec::with_capacity(spec::CONFIG);
        let mut put = |bytes: &[u8]| config.extend_from_slice(bytes);
        put(&(size / spec::SECTOR).to_le_bytes());
        put(&0_u32.to_le_bytes());
        put(&seg_max.to_le_bytes());
        put(&cylinders.to_le_bytes());
        put(&[heads, sectors]);
        put(&self.logical_block.to_le_bytes());
        put(&[exponent as u8, 0]);
        put(&(blocks(self.min_io) as u16).to_le_bytes());
        put(&blocks(self.opt_io).to_le_bytes());
        put(&[u8::from(write_cache), 0]);
        put(&self.queues.to_le_bytes());
        put(&self.max_discard.to_le_bytes());
        put(&1_u32.to_le_bytes());
        put(&(granularity / spec::SECTOR as u32).to_le_bytes());
        put(&self.max_write_zeroes.to_le_bytes());
        put(&1_u32.to_le_bytes());
        put(&[1, 0, 0, 0]);
        config
    }

    /// Cylinders, heads and sectors, as a disk of that size would have had them.
    fn geometry(&self, size: u64) -> (u16, u8, u8) {
        if self.geometry.0 != 0 {
            let (cylinders, heads, sectors) = self.geometry;
            return (cylinders as u16, heads as u8, sectors as u8);
        }
        let cylinders = (size / spec::SECTOR / (16 * 63)).clamp(2, 16_383);
        (cylinders as u16, 16, 63)
    }
}
