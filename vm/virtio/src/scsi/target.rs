//! What a target answers in place of a unit: which units there are, and that one is not.

use super::Host;
use super::command::{Command, op};
use super::sense::Sense;
use super::unit::Address;

/// Bytes of the standard data.
const STANDARD: usize = 36;

impl Host {
    /// Carries out a command for a unit that is not there, or about all units.
    pub(super) fn answer_as_target(
        &self,
        command: &Command,
        address: Address,
    ) -> Result<Vec<u8>, Sense> {
        match command.code() {
            op::REPORT_LUNS => self.report_luns(command, address.target),
            op::INQUIRY => inquire(command, address.lun),
            op::REQUEST_SENSE => Ok(match address.lun {
                0 => Sense::NONE.fixed().to_vec(),
                _ => Sense::LUN_NOT_SUPPORTED.fixed().to_vec(),
            }),
            op::TEST_UNIT_READY if address.lun == 0 => Ok(Vec::new()),
            _ => Err(Sense::LUN_NOT_SUPPORTED),
        }
    }

    /// The units of a target, to which number 0 always belongs.
    fn report_luns(&self, command: &Command, target: u8) -> Result<Vec<u8>, Sense> {
        if command.length() < 16 || command.byte(2) > 2 {
            return Err(Sense::INVALID_FIELD);
        }
        let mut luns = self.luns(target);
        if luns.first() != Some(&0) {
            luns.insert(0, 0);
        }
        let mut data = vec![0; 8];
        for lun in &luns {
            let [high, low] = lun.to_be_bytes();
            let high = if *lun < 256 { high } else { high | 0x40 };
            data.extend([high, low, 0, 0, 0, 0, 0, 0]);
        }
        let length = data.len() as u32 - 8;
        data[..4].copy_from_slice(&length.to_be_bytes());
        Ok(data)
    }
}

fn inquire(command: &Command, lun: u16) -> Result<Vec<u8>, Sense> {
    // No such unit now, or never; kind unknown.
    let kind = if lun == 0 { 0x3f } else { 0x7f };
    let page = command.byte(2);
    if command.byte(1) & 1 != 0 {
        return match page {
            0 => Ok(vec![kind, 0, 0, 1, 0]),
            _ => Err(Sense::INVALID_FIELD),
        };
    }
    if page != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    let mut data = vec![0; STANDARD];
    data[0] = kind;
    if lun == 0 {
        data[2..8].copy_from_slice(&[5, 0x12, STANDARD as u8 - 5, 0, 0, 0x12]);
        data[8..].copy_from_slice(b"QEMU    QEMU TARGET     2.5\0");
    }
    Ok(data)
}
