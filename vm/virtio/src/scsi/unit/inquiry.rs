//! What a unit says it is: INQUIRY and its pages of vital product data (SPC-4 §6.4, §7.8).

use super::{Kind, Unit};
use crate::scsi::command::Command;
use crate::scsi::sense::Sense;

/// Pages of vital product data.
mod page {
    pub const SUPPORTED: u8 = 0;
    pub const SERIAL: u8 = 0x80;
    pub const IDENTIFICATION: u8 = 0x83;
    pub const BLOCK_LIMITS: u8 = 0xb0;
    pub const BLOCK_CHARACTERISTICS: u8 = 0xb1;
    pub const PROVISIONING: u8 = 0xb2;
}

/// Bytes of the standard data.
const STANDARD: u16 = 36;
/// Bytes of a serial number in designators.
const SERIAL_MAX: usize = 20;

impl Unit {
    pub(super) fn inquiry(&self, command: &Command) -> Result<Vec<u8>, Sense> {
        let kind = match self.options.kind {
            Kind::Disk => 0,
            Kind::Cd => 5,
        };
        let page = command.byte(2);
        if command.byte(1) & 1 == 0 {
            return match page {
                0 => Ok(self.standard(kind, command.u16(3))),
                _ => Err(Sense::INVALID_FIELD),
            };
        }
        let body = match page {
            page::SUPPORTED => self.pages(),
            page::SERIAL => self.serial()?.as_bytes().to_vec(),
            page::IDENTIFICATION => self.designators(),
            page::BLOCK_LIMITS if !self.is_cd() => self.limits(),
            page::BLOCK_CHARACTERISTICS => {
                let mut body = vec![0; 0x3c];
                body[..2].copy_from_slice(&self.options.rotation_rate.to_be_bytes());
                body
            }
            page::PROVISIONING => {
                let thin = if self.options.discard_granularity == 0 {
                    1
                } else {
                    2
                };
                vec![0, 0xe0, thin, 0]
            }
            _ => return Err(Sense::INVALID_FIELD),
        };
        let length = body.len() as u16;
        let [high, low] = length.to_be_bytes();
        Ok([vec![kind, page, high, low], body].concat())
    }

    fn standard(&self, kind: u8, room: u16) -> Vec<u8> {
        let removable = if self.options.has_tray() { 0x80 } else { 0 };
        let version = self.options.scsi_version;
        // More than the standard data is zeros, which count as data.
        let length = room.clamp(STANDARD, 255) as u8 - 5;
        let mut data = vec![kind, removable, version, 0x12, length, 0, 0, 0x12];
        for (text, length) in [
            (&self.options.vendor, 8),
            (&self.options.product, 16),
            (&self.options.version, 4),
        ] {
            let padded = text.bytes().chain(std::iter::repeat(b' '));
            // The revision is padded with what ends a text.
            let padded = padded.take(length).enumerate();
            data.extend(padded.map(|(index, byte)| match length {
                4 if index >= text.len() => 0,
                _ => byte,
            }));
        }
        data
    }

    fn serial(&self) -> Result<&str, Sense> {
        self.options.serial.as_deref().ok_or(Sense::INVALID_FIELD)
    }

    fn pages(&self) -> Vec<u8> {
        let mut pages = vec![page::SUPPORTED];
        pages.extend(self.options.serial.is_some().then_some(page::SERIAL));
        pages.push(page::IDENTIFICATION);
        if !self.is_cd() {
            pages.push(page::BLOCK_LIMITS);
            pages.extend([page::BLOCK_CHARACTERISTICS, page::PROVISIONING]);
        }
        pages
    }

    fn designators(&self) -> Vec<u8> {
        let options = &self.options;
        let serial = options.serial.as_deref();
        let serial = serial.map(|serial| &serial.as_bytes()[..serial.len().min(SERIAL_MAX)]);
        let named = Some(self.backend.name().as_bytes()).filter(|name| !name.is_empty());
        let id = options.device_id.as_deref().map(str::as_bytes);
        let id = id.or(serial).or(named).unwrap_or_default();
        let id = &id[..id.len().min(255 - 8)];
        let mut list = Vec::new();
        let mut add = |head: [u8; 2], value: &[u8]| {
            list.extend([head[0], head[1], 0, value.len() as u8]);
            list.extend(value);
        };
        // The text; then NAA names of the unit and of its port; then the port's number.
        if !id.is_empty() {
            add([2, 0], id);
        }
        if options.wwn != 0 {
            add([1, 3], &options.wwn.to_be_bytes());
        }
        if options.port_wwn != 0 {
            add([0x61, 0x93], &options.port_wwn.to_be_bytes());
        }
        if options.port_index != 0 {
            add([0x61, 0x94], &u32::from(options.port_index).to_be_bytes());
        }
        list
    }

    fn limits(&self) -> Vec<u8> {
        let block = u64::from(self.block());
        let blocks = |bytes: u64| u32::try_from(bytes / block).unwrap_or(u32::MAX);
        let options = &self.options;
        let longest = blocks(options.max_io);
        let granularity = match options.discard_granularity {
            u32::MAX => self.block(),
            granularity => granularity,
        };
        let mut body = vec![0; 0x3c];
        let mut put = |offset: usize, bytes: &[u8]| {
            // Offsets are those of the page, which begins with a head of 4.
            body[offset - 4..offset - 4 + bytes.len()].copy_from_slice(bytes);
        };
        // WRITE SAME needs a length.
        put(4, &[1]);
        put(6, &(blocks(options.min_io.into()) as u16).to_be_bytes());
        put(8, &longest.to_be_bytes());
        put(12, &blocks(options.opt_io.into()).to_be_bytes());
        put(20, &blocks(options.max_unmap).to_be_bytes());
        put(24, &255_u32.to_be_bytes());
        put(28, &blocks(granularity.into()).to_be_bytes());
        put(36, &u64::from(longest).to_be_bytes());
        body
    }
}
