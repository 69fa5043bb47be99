//! MODE SENSE and MODE SELECT (SPC-4 §6.11, SBC-3 §6.4, MMC-6 §7): pages of parameters, of which
//! only the write cache can be changed.

use std::io::Read;

use super::{Data, Outcome, Reply, Unit};
use crate::scsi::command::{Command, op};
use crate::scsi::sense::Sense;

/// Mode pages.
mod page {
    pub const ERROR_RECOVERY: u8 = 1;
    pub const GEOMETRY: u8 = 4;
    pub const FLEXIBLE: u8 = 5;
    pub const CACHING: u8 = 8;
    pub const AUDIO: u8 = 0xe;
    pub const CAPABILITIES: u8 = 0x2a;
    pub const ALL: u8 = 0x3f;
}

/// The pages there may be, in order.
const PAGES: [u8; 6] = [
    page::ERROR_RECOVERY,
    page::GEOMETRY,
    page::FLEXIBLE,
    page::CACHING,
    page::AUDIO,
    page::CAPABILITIES,
];
/// The switch of the write cache, in the third byte of its page.
const WRITE_CACHE: u8 = 4;
/// Bytes of a block descriptor.
const DESCRIPTOR: usize = 8;
/// Bytes of a parameter list that are looked at.
const LIST_MAX: usize = 4096;

/// Which values of a page are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    Current,
    Changeable,
    Default,
}

impl Unit {
    pub(super) fn mode_sense(&self, command: &Command) -> Result<Vec<u8>, Sense> {
        let control = match command.byte(2) >> 6 {
            0 => Control::Current,
            1 => Control::Changeable,
            2 => Control::Default,
            _ => return Err(Sense::SAVING_NOT_SUPPORTED),
        };
        let wanted = command.byte(2) & 0x3f;
        let wanted = PAGES
            .iter()
            .filter(|page| wanted == page::ALL || wanted == **page);
        let pages: Vec<u8> = wanted
            .filter_map(|page| self.page(*page, control))
            .flatten()
            .collect();
        if pages.is_empty() {
            return Err(Sense::INVALID_FIELD);
        }
        let without_descriptor = command.byte(1) & 8 != 0;
        let descriptor = match without_descriptor || self.is_cd() {
            true => Vec::new(),
            false => self.descriptor(),
        };
        // A CD drive's media are read-only by nature.
        let (mut specific, blocks) = (0, descriptor.len() as u8);
        if !self.is_cd() {
            specific |= if self.backend.is_read_only() { 0x80 } else { 0 };
            specific |= if self.options.dpofua { 0x10 } else { 0 };
        }
        let rest = descriptor.len() + pages.len();
        let head = match command.code() {
            op::MODE_SENSE_6 => vec![(rest + 3) as u8, 0, specific, blocks],
            _ => {
                let [high, low] = ((rest + 6) as u16).to_be_bytes();
                vec![high, low, 0, specific, 0, 0, 0, blocks]
            }
        };
        Ok([head, descriptor, pages].concat())
    }

    /// How many blocks there are, if that can be told, and how long they are.
    fn descriptor(&self) -> Vec<u8> {
        let blocks = u32::try_from(self.blocks());
        let blocks = blocks.ok().filter(|blocks| *blocks < 1 << 24);
        let blocks = blocks.unwrap_or(0).to_be_bytes();
        [blocks, self.block().to_be_bytes()].concat()
    }

    /// A page with its head, if the unit has it.
    fn page(&self, page: u8, control: Control) -> Option<Vec<u8>> {
        let known = match page {
            page::GEOMETRY | page::FLEXIBLE => !self.is_cd(),
            page::AUDIO | page::CAPABILITIES => self.is_cd(),
            _ => true,
        };
        if !known {
            return None;
        }
        let mut bytes = match page {
            page::ERROR_RECOVERY => self.error_recovery(),
            page::GEOMETRY => self.rigid(),
            page::FLEXIBLE => self.flexible(),
            page::CACHING => self.caching(control),
            page::AUDIO => vec![0; 14],
            _ => self.capabilities(),
        };
        if control == Control::Changeable && page != page::CACHING {
            bytes.fill(0);
        }
        let length = bytes.len() as u8;
        Some([vec![page, length], bytes].concat())
    }

    fn error_recovery(&self) -> Vec<u8> {
        let mut bytes = vec![0; 10];
        // Writes are moved away from bad blocks; a CD drive tries again.
        bytes[0] = 0x80;
        bytes[1] = if self.is_cd() { 0x20 } else { 0 };
        bytes
    }

    fn caching(&self, control: Control) -> Vec<u8> {
        let mut bytes = vec![0; 18];
        if control == Control::Changeable || self.backend.write_cache() {
            bytes[0] = WRITE_CACHE;
        }
        bytes
    }

    fn rigid(&self) -> Vec<u8> {
        let (cylinders, heads, _) = self.geometry();
        let [_, cylinders @ ..] = cylinders.to_be_bytes();
        let mut bytes = vec![0; 22];
        bytes[..3].copy_from_slice(&cylinders);
        bytes[3] = heads;
        // No write precompensation, no reduced current: both begin behind the end.
        bytes[4..7].copy_from_slice(&cylinders);
        bytes[7..10].copy_from_slice(&cylinders);
        bytes[10..12].copy_from_slice(&200_u16.to_be_bytes());
        // The landing zone is -1.
        bytes[12..15].fill(0xff);
        bytes[18..20].copy_from_slice(&5400_u16.to_be_bytes());
        bytes
    }

    fn flexible(&self) -> Vec<u8> {
        let (cylinders, heads, sectors) = self.geometry();
        let cylinders = (cylinders as u16).to_be_bytes();
        let mut bytes = vec![0; 30];
        bytes[..2].copy_from_slice(&5000_u16.to_be_bytes());
        (bytes[2], bytes[3]) = (heads, sectors);
        bytes[4..6].copy_from_slice(&(self.block() as u16).to_be_bytes());
        for offset in [6, 8, 10] {
            bytes[offset..offset + 2].copy_from_slice(&cylinders);
        }
        // Step rate, pulse, settle and motor delays, of one unit each.
        bytes[12..19].copy_from_slice(&[0, 1, 1, 0, 1, 1, 1]);
        bytes[26..28].copy_from_slice(&5400_u16.to_be_bytes());
        bytes
    }

    /// What the drive can do: read CDs and DVDs, play nothing, lock, eject; 50 times as fast as
    /// the first ones.
    fn capabilities(&self) -> Vec<u8> {
        let locked = self.state().tray.locked;
        let speed = (50 * 176_u16).to_be_bytes();
        let mut bytes = vec![0; 20];
        bytes[..6].copy_from_slice(&[0x3b, 0, 0x7f, 0xff, 0x2d | u8::from(locked) << 1, 0]);
        bytes[6..8].copy_from_slice(&speed);
        bytes[9] = 2;
        bytes[10..12].copy_from_slice(&2048_u16.to_be_bytes());
        for offset in [12, 16, 18] {
            let half = (16 * 176_u16).to_be_bytes();
            bytes[offset..offset + 2].copy_from_slice(&half);
        }
        bytes
    }

    pub(super) fn mode_select(&self, command: &Command, data: &mut Data<'_>) -> Outcome {
        let length = command.length() as usize;
        if length == 0 {
            return Ok(Reply::Done);
        }
        // Nothing can be saved, and every page must be in its own format.
        if command.byte(1) & 0x11 != 0x10 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let mut list = vec![0; length.min(LIST_MAX)];
        if data.input.read_exact(&mut list).is_err() {
            return Err(Sense::PARAMETER_LIST_LENGTH.into());
        }
        let (head, blocks) = match command.code() {
            op::MODE_SELECT_6 => (4, list.get(3).copied().map(usize::from)),
            _ => {
                let blocks = list.get(6..8).map(|bytes| [bytes[0], bytes[1]]);
                (8, blocks.map(|bytes| u16::from_be_bytes(bytes).into()))
            }
        };
        let blocks = blocks.ok_or(Sense::PARAMETER_LIST_LENGTH)?;
        if blocks != 0 && blocks != DESCRIPTOR {
            return Err(Sense::INVALID_PARAMETER.into());
        }
        let pages = list.get(head + blocks..);
        let pages = pages.ok_or(Sense::PARAMETER_LIST_LENGTH)?;
        if let Some(write_cache) = self.check_pages(pages)? {
            self.backend.set_write_cache(write_cache);
        }
        Ok(Reply::Done)
    }

    /// What a list of pages says of the write cache, if anything.
    fn check_pages(&self, mut pages: &[u8]) -> Result<Option<bool>, Sense> {
        let mut write_cache = None;
        while let [code, length, rest @ ..] = pages {
            let current = self.page(code & 0x3f, Control::Current);
            let mask = self.page(code & 0x3f, Control::Changeable);
            let (Some(current), Some(mask)) = (current, mask) else {
                return Err(Sense::INVALID_PARAMETER);
            };
            let length = usize::from(*length);
            if code & 0x40 != 0 || length != current.len() - 2 {
                return Err(Sense::INVALID_PARAMETER);
            }
            let body = rest.get(..length).ok_or(Sense::PARAMETER_LIST_LENGTH)?;
            let fixed = body.iter().zip(&current[2..]).zip(&mask[2..]);
            if fixed
                .into_iter()
                .any(|((new, old), mask)| (new ^ old) & !mask != 0)
            {
                return Err(Sense::INVALID_PARAMETER);
            }
            if code & 0x3f == page::CACHING {
                write_cache = Some(body[0] & WRITE_CACHE != 0);
            }
            pages = &rest[length..];
        }
        match pages {
            [] => Ok(write_cache),
            _ => Err(Sense::PARAMETER_LIST_LENGTH),
        }
    }
}
