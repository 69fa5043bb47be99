//! A logical unit: a disk or a CD drive that answers commands (SPC-4, SBC-3, MMC-6).

mod cd;
mod inquiry;
mod io;
mod mode;
mod options;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tinamou_block::{BlockBackend, Disk, Failure, Stopped, Tray};
use tokio::sync::Semaphore;

pub use options::{Address, Kind, Options};

use super::command::{Command, op};
use super::sense::Sense;
use crate::{Reader, Writer};

/// Memory that requests of a unit may take together, in KiB.
const BUFFERS: usize = 64 << 10;

/// A logical unit.
pub struct Unit {
    options: Options,
    backend: Arc<BlockBackend>,
    state: Mutex<State>,
    buffers: Semaphore,
    /// Told when the unit is no longer what it was.
    changed: OnceLock<Changed>,
}

/// Whoever tells the driver that a unit has changed.
type Changed = Box<dyn Fn(Address, Sense) + Send + Sync>;

struct State {
    /// What the next command fails with.
    attention: Option<Sense>,
    tray: Tray,
    /// A medium came or went since the guest asked.
    medium_event: bool,
    /// Somebody outside wants the medium.
    eject_request: bool,
    /// After the news that the medium is gone comes that of a new one.
    medium_changed: bool,
}

/// What a command answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Data, which are cut or padded to what was asked for.
    Data(Vec<u8>),
    /// All data have been moved.
    Done,
}

/// Why a command has not been carried out.
#[derive(Debug)]
pub(super) enum Failed {
    /// The guest is told.
    Sense(Sense),
    /// It is tried again when the machine goes on.
    Stopped(Stopped),
}

impl From<Sense> for Failed {
    fn from(sense: Sense) -> Self {
        Self::Sense(sense)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stopped(stopped) => Self::Stopped(stopped),
            Failure::Report(error) => Self::Sense(match error.kind() {
                std::io::ErrorKind::StorageFull => Sense::SPACE_ALLOCATION,
                std::io::ErrorKind::InvalidInput => Sense::INVALID_FIELD,
                std::io::ErrorKind::OutOfMemory => Sense::TARGET_FAILURE,
                _ => Sense::IO_ERROR,
            }),
        }
    }
}

pub(super) type Outcome = Result<Reply, Failed>;

/// A command's data.
pub(super) struct Data<'a> {
    /// What the initiator sends.
    pub input: Reader<'a>,
    /// Room for what it is sent.
    pub output: Writer<'a>,
}

impl Unit {
    /// A unit that shows what `backend` holds.
    #[must_use]
    pub fn new(backend: Arc<BlockBackend>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            options,
            backend,
            state: Mutex::new(State {
                attention: Some(Sense::RESET),
                tray: Tray {
                    open: false,
                    locked: false,
                },
                medium_event: false,
                eject_request: false,
                medium_changed: false,
            }),
            buffers: Semaphore::new(BUFFERS),
            changed: OnceLock::new(),
        })
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.options.address
    }

    /// Cylinders, heads and sectors as the guest sees them.
    pub fn geometry(&self) -> (u32, u8, u8) {
        self.options.geometry(self.backend.size())
    }

    /// Whoever is told of changes.
    pub(super) fn connect(&self, changed: Changed) {
        // A unit has one host.
        let _ = self.changed.set(changed);
    }

    /// What it works on.
    pub(super) fn backend(&self) -> &BlockBackend {
        &self.backend
    }

    /// Bytes of a block.
    pub(super) fn block(&self) -> u32 {
        self.options.block()
    }

    /// Everything is as at power-on, but the tray stays where it is.
    pub(super) fn reset(&self) {
        self.backend.abandon();
        self.state().tray.locked = false;
        self.attend(Sense::RESET);
    }

    /// Notes what the next command is to fail with, unless it is less than what is noted.
    pub(super) fn attend(&self, news: Sense) {
        let mut state = self.state();
        let old = state.attention.map(Sense::precedence);
        if old.is_none_or(|old| news.precedence() < old) {
            state.attention = Some(news);
        }
    }

    /// What is to be told before this command is carried out.
    fn attention(&self, code: u8) -> Option<Sense> {
        const QUIET: [u8; 4] = [
            op::INQUIRY,
            op::REPORT_LUNS,
            op::GET_CONFIGURATION,
            op::GET_EVENT_STATUS_NOTIFICATION,
        ];
        if QUIET.contains(&code) {
            return None;
        }
        let mut state = self.state();
        let told = state.attention.take();
        if told.is_some() && std::mem::take(&mut state.medium_changed) {
            state.attention = Some(Sense::MEDIUM_CHANGED);
        }
        told
    }

    /// Carries out a command.
    pub(super) async fn execute(&self, command: &Command, data: &mut Data<'_>) -> Outcome {
        if let Some(news) = self.attention(command.code()) {
            return Err(news.into());
        }
        match command.code() {
            op::TEST_UNIT_READY => self.ready().map(|()| Reply::Done),
            op::REQUEST_SENSE => Ok(self.request_sense(command)),
            op::INQUIRY => Ok(Reply::Data(self.inquiry(command)?)),
            op::MODE_SENSE_6 | op::MODE_SENSE_10 => Ok(Reply::Data(self.mode_sense(command)?)),
            op::MODE_SELECT_6 | op::MODE_SELECT_10 => self.mode_select(command, data),
            // There is one initiator, so what it reserves nobody else wants.
            op::RESERVE_6 | op::RELEASE_6 | op::RESERVE_10 | op::RELEASE_10 => Ok(Reply::Done),
            op::START_STOP_UNIT => self.start_stop(command),
            op::PREVENT_ALLOW_MEDIUM_REMOVAL => {
                self.state().tray.locked = command.byte(4) & 1 != 0;
                Ok(Reply::Done)
            }
            code if self.is_cd() && cd::CODES.contains(&code) => self.cd(command),
            _ => self.medium(command, data).await,
        }
    }

    /// Whether there is a medium to work on.
    fn ready(&self) -> Result<(), Failed> {
        let open = self.state().tray.open;
        match !open && self.backend.medium().is_some() {
            true => Ok(()),
            false => Err(Sense::MEDIUM_NOT_PRESENT.into()),
        }
    }

    /// Errors are told with the command that fails, so there is nothing left but the medium.
    fn request_sense(&self, command: &Command) -> Reply {
        let sense = match self.ready() {
            Ok(()) => Sense::NONE,
            Err(_) => Sense::MEDIUM_NOT_PRESENT,
        };
        Reply::Data(match command.byte(1) & 1 {
            0 => sense.fixed().to_vec(),
            _ => sense.descriptor().to_vec(),
        })
    }

    fn start_stop(&self, command: &Command) -> Outcome {
        let (start, eject) = (command.byte(4) & 1 != 0, command.byte(4) & 2 != 0);
        let changes_power = command.byte(4) & 0xf0 != 0;
        if changes_power || !eject || !self.options.has_tray() {
            return Ok(Reply::Done);
        }
        let tray = self.state().tray;
        if !start && !tray.open && tray.locked {
            return Err(match self.backend.medium() {
                Some(_) => Sense::REMOVAL_PREVENTED.into(),
                None => Sense::REMOVAL_PREVENTED_NOT_READY.into(),
            });
        }
        self.move_tray(!start);
        Ok(Reply::Done)
    }

    fn move_tray(&self, open: bool) {
        let before = std::mem::replace(&mut self.state().tray.open, open);
        if before != open {
            self.backend.tray_moved(open);
        }
    }

    fn is_cd(&self) -> bool {
        self.options.kind == Kind::Cd
    }

    /// Whole blocks of the medium.
    fn blocks(&self) -> u64 {
        self.backend.size() / u64::from(self.block())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for Unit {
    fn resized(&self, _: u64) {
        self.attend(Sense::CAPACITY_CHANGED);
        if let Some(changed) = self.changed.get() {
            changed(self.address(), Sense::CAPACITY_CHANGED);
        }
    }

    fn tray(&self) -> Option<Tray> {
        self.options.has_tray().then(|| self.state().tray)
    }

    fn eject_request(&self, force: bool) {
        let mut state = self.state();
        state.eject_request = true;
        if force {
            state.tray.locked = false;
        }
    }

    fn medium_changed(&self, loaded: bool) {
        let mut state = self.state();
        state.medium_changed = loaded;
        state.medium_event = true;
        state.eject_request = false;
        drop(state);
        // The guest must learn that the old medium is gone before it learns of the new one.
        self.attend(Sense::MEDIUM_GONE);
        self.move_tray(!loaded);
    }
}
