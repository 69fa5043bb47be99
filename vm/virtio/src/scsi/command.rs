//! Command descriptor blocks (SPC-4 §4.3).

use super::sense::Sense;

/// Operation codes.
pub mod op {
    pub const TEST_UNIT_READY: u8 = 0x00;
    pub const REQUEST_SENSE: u8 = 0x03;
    pub const READ_6: u8 = 0x08;
    pub const WRITE_6: u8 = 0x0a;
    pub const INQUIRY: u8 = 0x12;
    pub const MODE_SELECT_6: u8 = 0x15;
    pub const RESERVE_6: u8 = 0x16;
    pub const RELEASE_6: u8 = 0x17;
    pub const MODE_SENSE_6: u8 = 0x1a;
    pub const START_STOP_UNIT: u8 = 0x1b;
    pub const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
    pub const READ_CAPACITY_10: u8 = 0x25;
    pub const READ_10: u8 = 0x28;
    pub const WRITE_10: u8 = 0x2a;
    pub const SEEK_10: u8 = 0x2b;
    pub const WRITE_VERIFY_10: u8 = 0x2e;
    pub const VERIFY_10: u8 = 0x2f;
    pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub const WRITE_SAME_10: u8 = 0x41;
    pub const UNMAP: u8 = 0x42;
    pub const READ_TOC: u8 = 0x43;
    pub const GET_CONFIGURATION: u8 = 0x46;
    pub const GET_EVENT_STATUS_NOTIFICATION: u8 = 0x4a;
    pub const READ_DISC_INFORMATION: u8 = 0x51;
    pub const MODE_SELECT_10: u8 = 0x55;
    pub const RESERVE_10: u8 = 0x56;
    pub const RELEASE_10: u8 = 0x57;
    pub const MODE_SENSE_10: u8 = 0x5a;
    pub const READ_16: u8 = 0x88;
    pub const WRITE_16: u8 = 0x8a;
    pub const WRITE_VERIFY_16: u8 = 0x8e;
    pub const VERIFY_16: u8 = 0x8f;
    pub const WRITE_SAME_16: u8 = 0x93;
    pub const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub const REPORT_LUNS: u8 = 0xa0;
    pub const READ_12: u8 = 0xa8;
    pub const WRITE_12: u8 = 0xaa;
    pub const WRITE_VERIFY_12: u8 = 0xae;
    pub const VERIFY_12: u8 = 0xaf;
    pub const READ_DVD_STRUCTURE: u8 = 0xad;
    pub const MECHANISM_STATUS: u8 = 0xbd;
}

/// A command as its initiator sent it, padded to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command(pub [u8; 16]);

impl Command {
    /// The command at the head of `bytes`.
    ///
    /// # Errors
    /// It is of no length that is known.
    pub fn parse(bytes: &[u8]) -> Result<Self, Sense> {
        let length = match bytes.first().map(|code| code >> 5) {
            Some(0) => 6,
            Some(1 | 2) => 10,
            Some(4) => 16,
            Some(5) => 12,
            _ => return Err(Sense::INVALID_OPCODE),
        };
        let taken = bytes.get(..length).ok_or(Sense::INVALID_OPCODE)?;
        let mut cdb = [0; 16];
        cdb[..length].copy_from_slice(taken);
        Ok(Self(cdb))
    }

    /// The operation code.
    pub fn code(&self) -> u8 {
        self.0[0]
    }

    /// A byte.
    pub fn byte(&self, offset: usize) -> u8 {
        self.0[offset]
    }

    /// Two bytes, the higher first.
    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_be_bytes([self.0[offset], self.0[offset + 1]])
    }

    /// Four bytes, the highest first.
    pub fn u32(&self, offset: usize) -> u32 {
        u32::from(self.u16(offset)) << 16 | u32::from(self.u16(offset + 2))
    }

    /// The first block that a command of the read or write family is about.
    pub fn lba(&self) -> u64 {
        match self.code() >> 5 {
            0 => (self.u32(0) & 0x1f_ffff).into(),
            4 => u64::from(self.u32(2)) << 32 | u64::from(self.u32(6)),
            _ => self.u32(2).into(),
        }
    }

    /// How many blocks such a command, or how many bytes another, is about.
    pub fn length(&self) -> u32 {
        match (self.code(), self.code() >> 5) {
            (op::READ_6 | op::WRITE_6, _) if self.byte(4) == 0 => 256,
            (_, 0) => self.byte(4).into(),
            (_, 1 | 2) => self.u16(7).into(),
            (_, 4) => self.u32(10),
            _ => self.u32(6),
        }
    }

    /// Whether the data of the command go to the unit.
    pub fn sends(&self) -> bool {
        const SENDS: [u8; 12] = [
            op::WRITE_6,
            op::WRITE_10,
            op::WRITE_12,
            op::WRITE_16,
            op::WRITE_VERIFY_10,
            op::WRITE_VERIFY_12,
            op::WRITE_VERIFY_16,
            op::WRITE_SAME_10,
            op::WRITE_SAME_16,
            op::UNMAP,
            op::MODE_SELECT_6,
            op::MODE_SELECT_10,
        ];
        SENDS.contains(&self.code())
    }

    /// How many bytes the command would move at most, blocks having `block` bytes.
    pub fn transfer(&self, block: u32) -> u64 {
        let blocks = u64::from(self.length()) * u64::from(block);
        match self.code() {
            op::READ_6 | op::READ_10 | op::READ_12 | op::READ_16 => blocks,
            op::WRITE_6 | op::WRITE_10 | op::WRITE_12 | op::WRITE_16 => blocks,
            op::WRITE_VERIFY_10 | op::WRITE_VERIFY_12 | op::WRITE_VERIFY_16 => blocks,
            op::INQUIRY => self.u16(3).into(),
            op::READ_CAPACITY_10 => 8,
            op::MECHANISM_STATUS | op::READ_DVD_STRUCTURE => self.u16(8).into(),
            op::WRITE_SAME_16 if self.byte(1) & 1 != 0 => 0,
            op::WRITE_SAME_10 | op::WRITE_SAME_16 => block.into(),
            op::REQUEST_SENSE
            | op::MODE_SELECT_6
            | op::MODE_SENSE_6
            | op::UNMAP
            | op::READ_TOC
            | op::GET_CONFIGURATION
            | op::GET_EVENT_STATUS_NOTIFICATION
            | op::READ_DISC_INFORMATION
            | op::MODE_SELECT_10
            | op::MODE_SENSE_10
            | op::SERVICE_ACTION_IN_16
            | op::REPORT_LUNS => self.length().into(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cdb: &[u8], lba: u64, length: u32) {
        let command = Command::parse(cdb).expect("a command");
        assert_eq!((command.lba(), command.length()), (lba, length));
    }

    #[test]
    fn places_and_lengths() {
        check(&[8, 0xff, 2, 3, 0, 0], 0x1f_0203, 256);
        check(&[0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0], 0x102_0304, 0x506);
        check(
            &[0xa8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0],
            0x102_0304,
            0x506_0708,
        );
        let long = [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0];
        check(&long, 0x102_0304_0506_0708, 0x90a_0b0c);
    }

    #[test]
    fn what_is_no_command() {
        for bytes in [&[][..], &[0x28; 9], &[0x60; 16], &[0xc0; 16], &[0xff; 32]] {
            assert_eq!(Command::parse(bytes), Err(Sense::INVALID_OPCODE));
        }
    }
}
