//! Machine-level registers (priv §3.1).

use super::supervisor::block_fields;
use super::{Effect, envcfg, interrupt, status};
use crate::Hart;
use crate::isa::Extension;
use crate::log;
use crate::state::Privilege;
use crate::trap::DELEGABLE;

const MSTATUS: u16 = 0x300;
const MISA: u16 = 0x301;
const MEDELEG: u16 = 0x302;
const MIDELEG: u16 = 0x303;
const MIE: u16 = 0x304;
const MTVEC: u16 = 0x305;
const MCOUNTEREN: u16 = 0x306;
const MENVCFG: u16 = 0x30a;
const MCOUNTINHIBIT: u16 = 0x320;
const MSCRATCH: u16 = 0x340;
const MEPC: u16 = 0x341;
const MCAUSE: u16 = 0x342;
const MTVAL: u16 = 0x343;
const MIP: u16 = 0x344;
const MHARTID: u16 = 0xf14;

impl Hart {
    pub(super) fn read_machine(&self, number: u16) -> Option<u64> {
        let csrs = &self.state.csrs;
        Some(match number {
            MSTATUS => self.mstatus(),
            MISA => self.config.isa.misa(),
            MEDELEG => csrs.medeleg,
            MIDELEG => csrs.mideleg,
            MIE => csrs.mie,
            MTVEC => csrs.mtvec,
            MCOUNTEREN => csrs.mcounteren,
            MENVCFG => csrs.menvcfg,
            MCOUNTINHIBIT => csrs.mcountinhibit,
            0x323..=0x33f => 0,
            MSCRATCH => csrs.mscratch,
            MEPC => csrs.mepc,
            MCAUSE => csrs.mcause,
            MTVAL => csrs.mtval,
            MIP => self.mip(),
            0x3a0..=0x3bf => return self.read_pmp(number),
            MHARTID => self.control.id(),
            // Vendor, architecture and implementation are not told; there is no configuration.
            0xf11..=0xf15 => 0,
            _ => return None,
        })
    }

    pub(super) fn write_machine(&mut self, number: u16, value: u64) -> Option<Effect> {
        let pc = self.aligned(value);
        let csrs = &mut self.state.csrs;
        match number {
            MSTATUS => self.write_mstatus(value),
            MEDELEG => csrs.medeleg = value & DELEGABLE,
            MIDELEG => {
                csrs.mideleg = value & interrupt::SUPERVISOR;
                self.look_for_interrupts();
            }
            MIE => {
                csrs.mie = value & interrupt::ALL;
                self.look_for_interrupts();
            }
            MTVEC if value & 3 < 2 => csrs.mtvec = value,
            MTVEC => tracing::debug!(target: log::UNIMP, "CSR_MTVEC: reserved mode not supported"),
            MCOUNTEREN => csrs.mcounteren = value & 0xffff_ffff,
            MENVCFG => self.write_menvcfg(value),
            MCOUNTINHIBIT => self.inhibit_counters(value),
            MSCRATCH => csrs.mscratch = value,
            MEPC => csrs.mepc = pc,
            MCAUSE => csrs.mcause = value,
            MTVAL => csrs.mtval = value,
            MIP => self.write_mip(value),
            0x3a0..=0x3bf => {
                self.write_pmp(number, value);
                return Some(Effect::Refetch);
            }
            // What is left is hardwired: misa, the performance events.
            _ => {}
        }
        Some(Effect::None)
    }

    /// `mstatus` with the bits that follow from others.
    pub(crate) fn mstatus(&self) -> u64 {
        let value = self.state.csrs.mstatus | status::XL;
        if value & status::FS == status::FS {
            value | status::SD
        } else {
            value
        }
    }

    /// Sets `mstatus` and all that follows from it.
    pub(crate) fn set_mstatus(&mut self, value: u64) {
        let float = if self.config.isa.has(Extension::F) {
            status::FS
        } else {
            0
        };
        let changed = self.state.csrs.mstatus ^ value;
        self.state.csrs.mstatus = value & (!status::FS | float);
        if changed & status::FS != 0 {
            self.follow_float();
        }
        if changed & (status::MPRV | status::MPP | status::SUM | status::MXR) != 0 {
            self.follow_mode();
        }
        if value & changed & (status::MIE | status::SIE) != 0 {
            self.look_for_interrupts();
        }
    }

    fn write_mstatus(&mut self, value: u64) {
        let held = self.state.csrs.mstatus;
        let mpp = match Privilege::from_bits(value >> status::MPP_SHIFT) {
            Some(_) => value & status::MPP,
            None => held & status::MPP,
        };
        let kept = held & !(status::MACHINE_WRITE | status::MPP);
        self.set_mstatus(kept | value & status::MACHINE_WRITE | mpp);
    }

    pub(super) fn write_mip(&mut self, value: u64) {
        let mask = self.writable_mip();
        let csrs = &mut self.state.csrs;
        csrs.mip = csrs.mip & !mask | value & mask;
        self.look_for_interrupts();
    }

    fn write_menvcfg(&mut self, value: u64) {
        let fields = [
            (Extension::Svadu, envcfg::ADUE),
            (Extension::Svpbmt, envcfg::PBMTE),
            (Extension::Sstc, envcfg::STCE),
        ];
        let isa = &self.config.isa;
        let present = fields.iter().filter(|(extension, _)| isa.has(*extension));
        let mask = present.fold(0, |mask, (_, field)| mask | field);
        self.state.csrs.menvcfg = block_fields(value) | value & mask;
        self.flush_translations(None);
        self.poll_timers();
    }

    /// STIP is read-only where `stimecmp` drives it (priv §12.1.1.1).
    pub(super) fn writable_mip(&self) -> u64 {
        let driven = self.state.csrs.menvcfg & envcfg::STCE != 0;
        if driven {
            interrupt::SSIP | interrupt::SEIP
        } else {
            interrupt::SUPERVISOR
        }
    }
}
