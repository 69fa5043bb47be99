//! The hart itself: how it is made, reset, run and looked at.

use std::sync::Arc;
use std::time::Duration;

use tinamou_memory::AddressSpace;

use crate::code::{CodeCache, Cursor};
use crate::control::{StartAt, request};
use crate::csr::{counter, envcfg, interrupt};
use crate::exec;
use crate::fp::Rounding;
use crate::isa::{Extension, Isa};
use crate::mmu::Mmu;
use crate::state::{Privilege, State};
use crate::{Environment, HartControl, HartStatus, TIME_FREQUENCY};

/// Who answers an `ecall` from supervisor mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Whatever the guest runs in machine mode.
    Guest,
    /// The SBI built into this crate; machine mode is never entered.
    BuiltIn,
}

/// What a hart is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its extensions.
    pub isa: Isa,
    /// Who answers its SBI calls.
    pub firmware: Firmware,
}

/// How a hart comes out of reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In machine mode at `pc`, all registers zero.
    Machine {
        /// The first instruction.
        pc: u64,
    },
    /// In supervisor mode at `pc`, with the hart id in a0 and `opaque` in a1, and traps delegated
    /// as firmware does before it starts a kernel.
    Supervisor {
        /// The first instruction.
        pc: u64,
        /// What a1 holds: the address of the device tree.
        opaque: u64,
    },
    /// Nowhere: it waits for `sbi_hart_start`.
    Stopped,
}

/// Why [`Hart::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// [`HartControl::pause`] was called.
    Paused,
}

/// A RISC-V hart.
pub struct Hart {
    pub(crate) state: State,
    /// The virtual address of the page being executed.
    pub(crate) page: u64,
    /// Taken branches left until [`Hart::run`] gets to look around.
    patience: u32,
    /// How often it has.
    glances: u32,
    /// Instructions executed: with the hart at rest, all of them; at an op, without its order.
    pub(crate) retired: u64,
    /// When the hart last executed `pause`, in instructions, and how many came in a row before.
    pub(crate) paused: (u64, u32),
    /// Whether `mstatus.FS` is dirty, so that nothing is to do before a floating-point instruction.
    pub(crate) float_on: bool,
    /// The rounding mode in `frm`, unless it is a reserved one.
    pub(crate) rounding: Option<Rounding>,
    /// The timer interrupts that were due when last polled.
    pub(crate) timers: u64,
    pub(crate) control: Arc<HartControl>,
    pub(crate) mmu: Mmu,
    pub(crate) code: CodeCache,
    pub(crate) config: Config,
    pub(crate) space: Arc<AddressSpace>,
    pub(crate) environment: Arc<dyn Environment>,
}

/// How many taken branches pass before a hart looks whether it is asked for anything: some
/// microseconds.
const PATIENCE: u32 = 256;

/// How many such looks pass before it looks at the clock too.
const GLANCES: u32 = 8;

/// Whether handlers go on from a taken branch by themselves. Optimised builds make jumps of the
/// calls in tail position; in others each would take its piece of the stack.
const CHAINS: bool = !cfg!(debug_assertions);

impl Hart {
    /// Makes a hart on an address space; `control` carries its id.
    #[must_use]
    pub fn new(
        config: Config,
        control: Arc<HartControl>,
        space: Arc<AddressSpace>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        let mut hart = Self {
            state: State::default(),
            page: 0,
            patience: PATIENCE,
            glances: 0,
            retired: 0,
            paused: (0, 0),
            float_on: false,
            rounding: None,
            timers: 0,
            control,
            mmu: Mmu::new(&space),
            code: CodeCache::new(config.isa),
            config,
            space,
            environment,
        };
        hart.reset(Start::Machine { pc: 0 });
        hart
    }

    /// Resets everything, as at power-on. The hart must not be running.
    pub fn reset(&mut self, start: Start) {
        self.state = State::default();
        self.retired = 0;
        self.doubt_instructions();
        if self.config.isa.has(Extension::Svadu) {
            self.state.csrs.menvcfg |= envcfg::ADUE;
        }
        if self.config.isa.has(Extension::Svpbmt) {
            self.state.csrs.menvcfg |= envcfg::PBMTE;
        }
        let status = match start {
            Start::Stopped => HartStatus::Stopped,
            Start::Machine { .. } | Start::Supervisor { .. } => HartStatus::Started,
        };
        self.control.reset(status);
        match start {
            Start::Machine { pc } => self.state.pc = pc,
            Start::Supervisor { pc, opaque } => self.start_supervisor(StartAt { pc, opaque }),
            Start::Stopped => {}
        }
        self.follow_all();
    }

    /// Runs guest code until asked to pause.
    pub fn run(&mut self) -> Exit {
        let mut op = Cursor::NONE;
        self.control.set_executing(true);
        // What was asked before is looked at in any case: whoever waits for it to be done does
        // not wait for a hart that executes nothing.
        let mut wanted = true;
        loop {
            if wanted {
                self.settle(op);
                op = Cursor::NONE;
                if !self.attend() {
                    self.control.set_executing(false);
                    return Exit::Paused;
                }
            }
            self.patience = PATIENCE;
            if op.is_none() {
                op = self.enter(self.state.pc);
            }
            if !op.is_none() {
                op = op.run(self);
            }
            wanted = self.is_wanted();
        }
    }

    /// Executes one instruction, or takes one trap or interrupt.
    pub fn step(&mut self) {
        self.serve(self.control.take_requests());
        self.poll_timers();
        let before = self.state.pc;
        self.take_interrupt();
        if self.state.pc != before || self.control.status() != HartStatus::Started {
            return;
        }
        self.state.waiting = false;
        let op = self.enter(before);
        if op.is_none() {
            return;
        }
        self.settle(op);
        let Some(bits) = self.bits_at(before) else {
            return;
        };
        self.patience = 1;
        let single = self.code.single(bits, before & 0xfff, 0, exec::rest);
        let after = single.run(self);
        self.settle(after);
    }

    /// The handle for other threads.
    #[must_use]
    pub fn control(&self) -> &Arc<HartControl> {
        &self.control
    }

    /// What the hart was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The architectural state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Changes the architectural state of the hart, which must not be running.
    pub fn modify(&mut self, change: impl FnOnce(&mut State)) {
        change(&mut self.state);
        self.follow_all();
    }

    /// How many instructions the hart has executed since its reset.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.retired
    }

    /// The address of the instruction at `op`.
    #[inline(always)]
    pub(crate) fn address(&self, op: Cursor) -> u64 {
        self.page.wrapping_add(op.offset())
    }

    /// Comes to rest before `op`, if there is one.
    #[inline(always)]
    pub(crate) fn settle(&mut self, op: Cursor) {
        if !op.is_none() {
            self.state.pc = self.address(op);
            self.retired = self.retired.wrapping_add(op.order());
        }
    }

    /// Comes to rest behind `op`, of `N` halfwords.
    pub(crate) fn rest_after<const N: usize>(&mut self, op: Cursor) -> Cursor {
        self.state.pc = self.address(op.next::<N>());
        self.retired = self.retired.wrapping_add(op.order() + 1);
        Cursor::NONE
    }

    /// A taken branch to another op of the page.
    #[inline(always)]
    pub(crate) fn jump(&mut self, op: Cursor, target: Cursor) -> Cursor {
        self.retired = self
            .retired
            .wrapping_add(op.order() + 1)
            .wrapping_sub(target.order());
        self.chain(target)
    }

    /// A taken branch to anywhere.
    #[inline(always)]
    pub(crate) fn leave(&mut self, op: Cursor, pc: u64) -> Cursor {
        self.retired = self.retired.wrapping_add(op.order() + 1);
        if let Some(target) = self.enter_fast(pc) {
            return self.chain(target);
        }
        self.state.pc = pc;
        Cursor::NONE
    }

    /// Goes on at the target of a taken branch, or leaves that to [`Hart::run`].
    #[inline(always)]
    fn chain(&mut self, target: Cursor) -> Cursor {
        self.patience = self.patience.wrapping_sub(1);
        if !CHAINS || self.patience == 0 {
            return target;
        }
        target.run(self)
    }

    /// Whether something other than the next instruction may be due.
    fn is_wanted(&mut self) -> bool {
        if self.control.is_asked() || self.state.waiting {
            return true;
        }
        self.glances = self.glances.wrapping_add(1);
        if !self.glances.is_multiple_of(GLANCES) {
            return false;
        }
        self.poll_timers();
        self.control.is_asked()
    }

    /// Enters supervisor mode as firmware hands over to a kernel.
    pub(crate) fn start_supervisor(&mut self, at: StartAt) {
        const CALL_FROM_SUPERVISOR: u64 = 1 << 9;
        const EVERYTHING: (u8, u64) = (0x1f, (1 << 54) - 1);
        let isa = self.config.isa;
        self.state = State::default();
        self.state.privilege = Privilege::Supervisor;
        self.state.pc = at.pc;
        self.state.registers.set_x(10, self.control.id());
        self.state.registers.set_x(11, at.opaque);
        let csrs = &mut self.state.csrs;
        csrs.medeleg = crate::trap::DELEGABLE & !CALL_FROM_SUPERVISOR;
        csrs.mideleg = interrupt::SUPERVISOR;
        csrs.mcounteren = counter::CY | counter::TM | counter::IR;
        // As OpenSBI leaves it: kernels without a driver for the counters rely on it.
        csrs.scounteren = csrs.mcounteren;
        csrs.menvcfg = envcfg::CBIE | envcfg::CBCFE | envcfg::CBZE;
        if isa.has(Extension::Svadu) {
            csrs.menvcfg |= envcfg::ADUE;
        }
        if isa.has(Extension::Sstc) {
            csrs.menvcfg |= envcfg::STCE;
        }
        if isa.has(Extension::Svpbmt) {
            csrs.menvcfg |= envcfg::PBMTE;
        }
        (csrs.pmpcfg[0], csrs.pmpaddr[0]) = EVERYTHING;
        self.follow_all();
    }

    /// Derives everything that follows from the architectural state.
    fn follow_all(&mut self) {
        self.follow_float();
        self.flush_translations(None);
        self.poll_timers();
    }

    /// Does what is asked of the hart at rest, and waits while it has nothing to execute. False
    /// when it is to pause.
    fn attend(&mut self) -> bool {
        loop {
            let requests = self.control.take_requests();
            self.serve(requests);
            if requests & request::PAUSE != 0 {
                return false;
            }
            self.poll_timers();
            let status = self.control.status();
            let stopped = matches!(status, HartStatus::Stopped | HartStatus::StartPending);
            if self.state.waiting && !stopped && self.is_woken() {
                self.state.waiting = false;
                self.control.set_status(HartStatus::Started);
            }
            if !self.state.waiting && !stopped {
                self.take_interrupt();
                return true;
            }
            self.doze(stopped);
        }
    }

    /// Sleeps until something is asked or a timer is due.
    fn doze(&mut self, stopped: bool) {
        let limit = if stopped { None } else { self.next_timer() };
        let nanoseconds = 1_000_000_000 / TIME_FREQUENCY;
        let limit = limit.map(|ticks| Duration::from_nanos(ticks.saturating_mul(nanoseconds)));
        self.control.set_executing(false);
        self.control.sleep(limit);
        self.control.set_executing(true);
    }

    /// Does what other threads have asked for; the hart is at rest.
    pub(crate) fn serve(&mut self, requests: u32) {
        if self.control.take_software() {
            self.state.csrs.mip |= interrupt::SSIP;
        }
        if requests & request::TRANSLATIONS != 0 {
            self.flush_translations(None);
        }
        if requests & request::INSTRUCTIONS != 0 {
            self.doubt_instructions();
        }
        if requests & request::START != 0
            && let Some(at) = self.control.take_start()
        {
            self.start_supervisor(at);
            self.control.set_status(HartStatus::Started);
        }
        self.follow_space();
    }

    /// The instruction at `pc`, if it can be fetched; a trap is taken if not.
    fn bits_at(&mut self, pc: u64) -> Option<u32> {
        let low = self.fetch_half(pc);
        let wide = low.map(|low| low & 3 == 3);
        let high = match wide {
            Ok(true) => self.fetch_half(pc.wrapping_add(2)),
            _ => Ok(0),
        };
        match (low, high) {
            (Ok(low), Ok(high)) => Some(u32::from(low) | u32::from(high) << 16),
            (Err(trap), _) | (_, Err(trap)) => {
                self.take_exception(trap);
                None
            }
        }
    }
}

impl std::fmt::Debug for Hart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hart")
            .field("id", &self.control.id())
            .field("pc", &self.state.pc)
            .field("privilege", &self.state.privilege)
            .finish_non_exhaustive()
    }
}
