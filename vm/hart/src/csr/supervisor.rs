//! Supervisor-level registers (priv §12.1).

use super::{Effect, counter, envcfg, interrupt, status};
use crate::Hart;
use crate::isa::Extension;
use crate::log;
use crate::mmu::Mode;
use crate::state::Privilege;

const SSTATUS: u16 = 0x100;
const SIE: u16 = 0x104;
const STVEC: u16 = 0x105;
const SCOUNTEREN: u16 = 0x106;
const SENVCFG: u16 = 0x10a;
const SSCRATCH: u16 = 0x140;
const SEPC: u16 = 0x141;
const SCAUSE: u16 = 0x142;
const STVAL: u16 = 0x143;
const SIP: u16 = 0x144;
const STIMECMP: u16 = 0x14d;
const SATP: u16 = 0x180;

impl Hart {
    pub(super) fn read_supervisor(&self, number: u16) -> Option<u64> {
        let csrs = &self.state.csrs;
        Some(match number {
            SSTATUS => self.mstatus() & status::SUPERVISOR,
            SIE => csrs.mie & csrs.mideleg,
            STVEC => csrs.stvec,
            SCOUNTEREN => csrs.scounteren,
            SENVCFG => csrs.senvcfg,
            SSCRATCH => csrs.sscratch,
            SEPC => csrs.sepc,
            SCAUSE => csrs.scause,
            STVAL => csrs.stval,
            SIP => self.mip() & csrs.mideleg,
            STIMECMP if self.has_stimecmp() => csrs.stimecmp,
            SATP if self.has_satp() => csrs.satp,
            _ => return None,
        })
    }

    pub(super) fn write_supervisor(&mut self, number: u16, value: u64) -> Option<Effect> {
        let pc = self.aligned(value);
        let csrs = &mut self.state.csrs;
        match number {
            SSTATUS => {
                let kept = csrs.mstatus & !status::SUPERVISOR_WRITE;
                self.set_mstatus(kept | value & status::SUPERVISOR_WRITE);
            }
            SIE => {
                csrs.mie = csrs.mie & !csrs.mideleg | value & csrs.mideleg;
                self.look_for_interrupts();
            }
            STVEC if value & 3 < 2 => csrs.stvec = value,
            STVEC => tracing::debug!(target: log::UNIMP, "CSR_STVEC: reserved mode not supported"),
            SCOUNTEREN => csrs.scounteren = value & 0xffff_ffff,
            SENVCFG => csrs.senvcfg = block_fields(value),
            SSCRATCH => csrs.sscratch = value,
            SEPC => csrs.sepc = pc,
            SCAUSE => csrs.scause = value,
            STVAL => csrs.stval = value,
            SIP => {
                let mask = interrupt::SSIP & csrs.mideleg;
                csrs.mip = csrs.mip & !mask | value & mask;
                self.look_for_interrupts();
            }
            STIMECMP => {
                csrs.stimecmp = value;
                self.poll_timers();
            }
            SATP => return Some(self.write_satp(value)),
            _ => {}
        }
        Some(Effect::None)
    }

    /// A `satp` of a mode that the hart does not have changes nothing (priv §12.1.11).
    fn write_satp(&mut self, value: u64) -> Effect {
        if Mode::of(value, &self.config.isa).is_none() || value == self.state.csrs.satp {
            return Effect::None;
        }
        self.state.csrs.satp = value;
        self.state.reservation = None;
        self.follow_mode();
        Effect::Refetch
    }

    fn has_satp(&self) -> bool {
        self.state.privilege != Privilege::Supervisor || self.state.csrs.mstatus & status::TVM == 0
    }

    fn has_stimecmp(&self) -> bool {
        let csrs = &self.state.csrs;
        let delegated = csrs.menvcfg & envcfg::STCE != 0 && csrs.mcounteren & counter::TM != 0;
        self.config.isa.has(Extension::Sstc) && (self.in_machine() || delegated)
    }

    /// An exception program counter: no lower bits than instructions have.
    pub(super) fn aligned(&self, value: u64) -> u64 {
        if self.config.isa.has(Extension::C) {
            value & !1
        } else {
            value & !3
        }
    }
}

/// The fields that `menvcfg` and `senvcfg` have in common; CBIE = 2 is reserved and becomes 0.
pub(super) fn block_fields(value: u64) -> u64 {
    let kept = value & (envcfg::FIOM | envcfg::CBIE | envcfg::CBCFE | envcfg::CBZE);
    if kept & envcfg::CBIE == 2 << 4 {
        kept & !envcfg::CBIE
    } else {
        kept
    }
}
