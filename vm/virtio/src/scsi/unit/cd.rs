//! What only CD drives answer (MMC-6): the table of contents, profiles, events.

use super::{Outcome, Reply, Unit};
use crate::scsi::command::{Command, op};
use crate::scsi::sense::Sense;

/// The commands of a CD drive.
pub(super) const CODES: [u8; 7] = [
    op::READ_TOC,
    op::GET_CONFIGURATION,
    op::GET_EVENT_STATUS_NOTIFICATION,
    op::READ_DISC_INFORMATION,
    op::READ_DVD_STRUCTURE,
    op::MECHANISM_STATUS,
    op::SEEK_10,
];

/// Blocks of the largest CD; what has more is a DVD.
const CD_BLOCKS: u64 = 80 * 60 * 75;
/// The profile of a CD.
const PROFILE_CD: u16 = 8;
/// The profile of a DVD.
const PROFILE_DVD: u16 = 0x10;
/// The track that stands for the end of the medium.
const LEAD_OUT: u8 = 0xaa;
/// The class of events about media.
const CLASS_MEDIA: u8 = 4;

impl Unit {
    pub(super) fn cd(&self, command: &Command) -> Outcome {
        let data = match command.code() {
            op::GET_CONFIGURATION => self.configuration(),
            op::GET_EVENT_STATUS_NOTIFICATION => self.event_status(command)?,
            op::MECHANISM_STATUS => vec![0, 0, 0, 0, 0, 1, 0, 0],
            code => {
                self.ready()?;
                match code {
                    op::READ_TOC => self.contents(command)?,
                    op::READ_DISC_INFORMATION => disc_information(command)?,
                    op::SEEK_10 if command.lba() < self.blocks() => return Ok(Reply::Done),
                    op::SEEK_10 => return Err(Sense::LBA_OUT_OF_RANGE.into()),
                    // A CD has no such structure, and those of DVDs are not known.
                    _ => return Err(Sense::INCOMPATIBLE_FORMAT.into()),
                }
            }
        };
        Ok(Reply::Data(data))
    }

    fn configuration(&self) -> Vec<u8> {
        let current = match self.ready() {
            Err(_) => 0,
            Ok(()) if self.blocks() > CD_BLOCKS => PROFILE_DVD,
            Ok(()) => PROFILE_CD,
        };
        let profile = |profile: u16| {
            let [high, low] = profile.to_be_bytes();
            [high, low, u8::from(profile == current), 0]
        };
        let [high, low] = current.to_be_bytes();
        let parts: [&[u8]; 6] = [
            &[0, 0, 0, 0x24, 0, 0, high, low],
            // The list of profiles.
            &[0, 0, 3, 8],
            &profile(PROFILE_DVD),
            &profile(PROFILE_CD),
            // The core: behind SCSI, with events on request.
            &[0, 1, 0xb, 8, 0, 0, 0, 1, 1, 0, 0, 0],
            // Removable media: a tray that locks and opens.
            &[0, 3, 0xb, 4, 0x39, 0, 0, 0],
        ];
        parts.concat()
    }

    fn event_status(&self, command: &Command) -> Result<Vec<u8>, Sense> {
        const NEW_MEDIA: u8 = 2;
        const EJECT_REQUEST: u8 = 1;
        // Without polling a drive would answer when something happens.
        if command.byte(1) & 1 == 0 {
            return Err(Sense::INVALID_FIELD);
        }
        let supported = 1 << CLASS_MEDIA;
        if command.byte(4) & supported == 0 {
            return Ok(vec![0, 0, 0x80, supported]);
        }
        let mut state = self.state();
        let present = self.backend.medium().is_some();
        let status = match (state.tray.open, present) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        };
        let mut event = 0;
        if status != 1 {
            if std::mem::take(&mut state.medium_event) {
                event = NEW_MEDIA;
            } else if std::mem::take(&mut state.eject_request) {
                event = EJECT_REQUEST;
            }
        }
        Ok(vec![0, 4, CLASS_MEDIA, supported, event, status, 0, 0])
    }

    fn contents(&self, command: &Command) -> Result<Vec<u8>, Sense> {
        let msf = command.byte(1) & 2 != 0;
        let (format, start) = (command.byte(2) & 0xf, command.byte(6));
        let end = u32::try_from(self.blocks()).unwrap_or(u32::MAX);
        let mut body = vec![1, 1];
        let address = |lba: u32| match msf {
            true => minutes(lba),
            false => lba.to_be_bytes(),
        };
        match format {
            0 if start > 1 && start != LEAD_OUT => return Err(Sense::INVALID_FIELD),
            0 => {
                if start <= 1 {
                    body.extend([0, 0x14, 1, 0]);
                    body.extend(address(0));
                }
                body.extend([0, 0x16, LEAD_OUT, 0]);
                body.extend(address(end));
            }
            // One session.
            1 => body.extend([0; 8]),
            2 => {
                for (point, place) in [
                    (0xa0, [0, 1, 0, 0]),
                    (0xa1, [0, 1, 0, 0]),
                    (0xa2, address(end)),
                    (1, address(0)),
                ] {
                    body.extend([1, 0x14, 0, point, 0, 0, 0]);
                    body.extend(place);
                }
            }
            _ => return Err(Sense::INVALID_FIELD),
        }
        let length = (body.len() as u16).to_be_bytes();
        Ok([length.to_vec(), body].concat())
    }
}

/// A place as minutes, seconds and frames; the first block is two seconds in.
fn minutes(lba: u32) -> [u8; 4] {
    let frames = u64::from(lba) + 150;
    [
        0,
        (frames / 75 / 60) as u8,
        (frames / 75 % 60) as u8,
        (frames % 75) as u8,
    ]
}

/// One finished session with one track.
fn disc_information(command: &Command) -> Result<Vec<u8>, Sense> {
    if command.byte(1) & 7 != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    let mut data = vec![0; 34];
    data[..8].copy_from_slice(&[0, 0x20, 0xe, 1, 1, 1, 1, 0x20]);
    Ok(data)
}
