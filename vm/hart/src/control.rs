//! What other threads may do to a hart: raise interrupt lines, set its timer, ask it to pause or
//! to forget what it has cached, wake it.
//!
//! The hart looks at one atomic word at the end of every straight run of instructions; whoever
//! wants its attention changes the fact first and sets a bit of that word afterwards.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An interrupt line that enters the hart from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// MSIP, from the CLINT.
    MachineSoftware = 3,
    /// MTIP, for a timer that compares outside the hart (see [`HartControl::set_timer`]).
    MachineTimer = 7,
    /// SEIP, from the interrupt controller's supervisor context.
    SupervisorExternal = 9,
    /// MEIP, from the interrupt controller's machine context.
    MachineExternal = 11,
}

impl Line {
    /// The line's bit in `mip`.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// Reasons to look up from guest code. All but `PAUSE` are taken back as they are served.
pub(crate) mod request {
    /// Return from [`crate::Hart::run`]; stays until [`super::HartControl::resume`].
    pub(crate) const PAUSE: u32 = 1 << 0;
    /// Interrupts may have become pending.
    pub(crate) const INTERRUPT: u32 = 1 << 1;
    /// Forget address translations.
    pub(crate) const TRANSLATIONS: u32 = 1 << 2;
    /// Forget decoded instructions.
    pub(crate) const INSTRUCTIONS: u32 = 1 << 3;
    /// The SBI asks a stopped hart to start.
    pub(crate) const START: u32 = 1 << 4;
}

/// The life of a hart as SBI's hart state management sees it (SBI 3.0 §9, the numbers of
/// `sbi_hart_get_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HartStatus {
    /// Running, or waiting for an interrupt.
    Started = 0,
    /// Waiting for `sbi_hart_start`.
    Stopped = 1,
    /// Asked to start, not yet running.
    StartPending = 2,
    /// Waiting in `sbi_hart_suspend`.
    Suspended = 4,
}

/// Where a hart starts in supervisor mode, and what it finds in a1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartAt {
    pub(crate) pc: u64,
    pub(crate) opaque: u64,
}

/// The handle that other threads hold to a hart.
#[derive(Debug)]
pub struct HartControl {
    id: u64,
    requests: AtomicU32,
    lines: AtomicU64,
    software: AtomicBool,
    timer: AtomicU64,
    executing: AtomicBool,
    status: AtomicU8,
    start: Mutex<Option<StartAt>>,
    bed: Mutex<()>,
    alarm: Condvar,
}

impl HartControl {
    /// The handle of hart `id` (its `mhartid`).
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self {
            id,
            requests: AtomicU32::new(0),
            lines: AtomicU64::new(0),
            software: AtomicBool::new(false),
            timer: AtomicU64::new(u64::MAX),
            executing: AtomicBool::new(false),
            status: AtomicU8::new(HartStatus::Started as u8),
            start: Mutex::new(None),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        }
    }

    /// The hart's `mhartid`.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Drives an interrupt line.
    pub fn set_line(&self, line: Line, level: bool) {
        let bit = line.bit();
        let before = if level {
            self.lines.fetch_or(bit, Ordering::SeqCst)
        } else {
            self.lines.fetch_and(!bit, Ordering::SeqCst)
        };
        if level && before & bit == 0 {
            self.ask(request::INTERRUPT);
        }
    }

    /// The lines that are high, as bits of `mip`.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::SeqCst)
    }

    /// Sets the hart's SSIP bit, as an ACLINT SSWI or an SBI IPI does.
    pub fn raise_software(&self) {
        self.software.store(true, Ordering::SeqCst);
        self.ask(request::INTERRUPT);
    }

    /// Sets the value of mtime from which MTIP is pending: the CLINT's `mtimecmp`. The hart itself
    /// compares it with [`crate::Environment::time`]; `u64::MAX` means never.
    pub fn set_timer(&self, compare: u64) {
        self.timer.store(compare, Ordering::SeqCst);
        self.ask(request::INTERRUPT);
    }

    /// The value last given to [`HartControl::set_timer`].
    #[must_use]
    pub fn timer(&self) -> u64 {
        self.timer.load(Ordering::SeqCst)
    }

    /// Asks [`crate::Hart::run`] to return, now and whenever it is called before
    /// [`HartControl::resume`].
    pub fn pause(&self) {
        self.ask(request::PAUSE);
    }

    /// Takes [`HartControl::pause`] back. It does not run the hart: its thread does.
    pub fn resume(&self) {
        self.requests.fetch_and(!request::PAUSE, Ordering::SeqCst);
    }

    /// Makes the hart look again at the address space and its page tables, as is due when a
    /// region came or went.
    pub fn flush_translations(&self) {
        self.ask(request::TRANSLATIONS);
    }

    /// Makes the hart decode instructions anew where memory has changed, as `fence.i` does.
    pub fn flush_instructions(&self) {
        self.ask(request::INSTRUCTIONS);
    }

    /// What hart state management says of the hart.
    #[must_use]
    pub fn status(&self) -> HartStatus {
        match self.status.load(Ordering::SeqCst) {
            0 => HartStatus::Started,
            1 => HartStatus::Stopped,
            2 => HartStatus::StartPending,
            _ => HartStatus::Suspended,
        }
    }

    /// Whether guest code is being executed at this moment (not paused, stopped or waiting).
    #[must_use]
    pub fn is_executing(&self) -> bool {
        self.executing.load(Ordering::SeqCst)
    }

    /// Sets request bits and wakes the hart if it sleeps.
    pub(crate) fn ask(&self, bits: u32) {
        self.requests.fetch_or(bits, Ordering::SeqCst);
        if !self.executing.load(Ordering::SeqCst) {
            drop(self.lock_bed());
            self.alarm.notify_all();
        }
    }

    /// Whether anything at all is asked: the one check of the hot path.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.requests.load(Ordering::Relaxed) != 0
    }

    /// The request bits, of which all but `PAUSE` are taken.
    pub(crate) fn take_requests(&self) -> u32 {
        self.requests.fetch_and(request::PAUSE, Ordering::SeqCst)
    }

    /// As [`Self::take_requests`], leaving some more bits for later.
    pub(crate) fn take_requests_but(&self, later: u32) -> u32 {
        let left = self
            .requests
            .fetch_and(request::PAUSE | later, Ordering::SeqCst);
        left & !(request::PAUSE | later)
    }

    /// Whether any of these bits is still unserved.
    pub(crate) fn is_asking(&self, bits: u32) -> bool {
        self.requests.load(Ordering::SeqCst) & bits != 0
    }

    /// Takes the SSIP raised from outside.
    pub(crate) fn take_software(&self) -> bool {
        self.software.swap(false, Ordering::SeqCst)
    }

    /// Forgets everything that a reset of the hart clears; lines are driven by devices and stay.
    pub(crate) fn reset(&self, status: HartStatus) {
        self.requests.fetch_and(request::PAUSE, Ordering::SeqCst);
        self.software.store(false, Ordering::SeqCst);
        *self.lock_start() = None;
        self.set_status(status);
        self.requests.fetch_or(request::INTERRUPT, Ordering::SeqCst);
    }

    pub(crate) fn set_status(&self, status: HartStatus) {
        self.status.store(status as u8, Ordering::SeqCst);
    }

    /// Asks a stopped hart to start; false when it is not stopped.
    pub(crate) fn ask_start(&self, at: StartAt) -> bool {
        let mut start = self.lock_start();
        if self.status() != HartStatus::Stopped {
            return false;
        }
        self.set_status(HartStatus::StartPending);
        *start = Some(at);
        drop(start);
        self.ask(request::START);
        true
    }

    /// Where the hart was asked to start.
    pub(crate) fn take_start(&self) -> Option<StartAt> {
        self.lock_start().take()
    }

    /// Notes whether the thread is inside guest code; it looks at its requests after entering.
    pub(crate) fn set_executing(&self, executing: bool) {
        self.executing.store(executing, Ordering::SeqCst);
    }

    /// Sleeps until something is asked or the time is over. The hart must not be `executing`.
    pub(crate) fn sleep(&self, limit: Option<Duration>) {
        let bed = self.lock_bed();
        let idle = |(): &mut ()| self.requests.load(Ordering::SeqCst) == 0;
        match limit {
            Some(limit) => drop(self.alarm.wait_timeout_while(bed, limit, idle)),
            None => drop(self.alarm.wait_while(bed, idle)),
        }
    }

    fn lock_bed(&self) -> MutexGuard<'_, ()> {
        self.bed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_start(&self) -> MutexGuard<'_, Option<StartAt>> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
