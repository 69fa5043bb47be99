//! The registers of a 16550A and what the guest's accesses do to them. No wire, no back end.

use std::collections::VecDeque;

use super::spec::*;

/// The device's registers, as saved and restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Baud rate divisor.
    pub divisor: u16,
    /// Interrupt enable.
    pub ier: u8,
    /// FIFO control.
    pub fcr: u8,
    /// Line control.
    pub lcr: u8,
    /// Modem control.
    pub mcr: u8,
    /// Line status.
    pub lsr: u8,
    /// Modem status.
    pub msr: u8,
    /// Scratch.
    pub scr: u8,
    /// The transmitter has become empty since the guest last looked.
    pub thr_pending: bool,
    /// Received bytes have waited too long below the trigger level.
    pub timeout_pending: bool,
    /// Received bytes.
    pub rx: VecDeque<u8>,
    /// Bytes to transmit.
    pub tx: VecDeque<u8>,
}

/// What an access asks of the device around the registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Bytes are waiting in `tx`.
    pub(super) transmit: bool,
    /// There may be new room for received bytes.
    pub(super) drained: bool,
    /// The break condition on the line has changed to this.
    pub(super) line_break: Option<bool>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            divisor: 0x0c,
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0x08,
            lsr: LSR_THRE | LSR_TEMT,
            msr: MSR_UP,
            scr: 0,
            thr_pending: false,
            timeout_pending: false,
            rx: VecDeque::with_capacity(FIFO_SIZE),
            tx: VecDeque::with_capacity(FIFO_SIZE),
        }
    }
}

impl State {
    pub(super) fn read(&mut self, offset: u64) -> (u8, Effects) {
        let divisor = self.lcr & LCR_DLAB != 0;
        let value = match offset {
            0 if divisor => self.divisor as u8,
            0 => {
                return (
                    self.read_data(),
                    Effects {
                        drained: true,
                        ..Effects::default()
                    },
                );
            }
            1 if divisor => (self.divisor >> 8) as u8,
            1 => self.ier,
            2 => self.read_iir(),
            3 => self.lcr,
            4 => self.mcr,
            5 => self.read_lsr(),
            6 => self.read_msr(),
            7 => self.scr,
            _ => 0,
        };
        (value, Effects::default())
    }

    pub(super) fn write(&mut self, offset: u64, value: u8) -> Effects {
        let divisor = self.lcr & LCR_DLAB != 0;
        let mut effects = Effects::default();
        match offset {
            0 if divisor => self.divisor = self.divisor & 0xff00 | u16::from(value),
            0 => effects = self.write_data(value),
            1 if divisor => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            1 => self.write_ier(value),
            2 => effects.drained = self.write_fcr(value),
            3 => effects.line_break = self.write_lcr(value),
            4 => self.mcr = value & MCR_MASK,
            7 => self.scr = value,
            _ => {}
        }
        effects
    }

    /// The interrupt identification, without the FIFO bits.
    pub(super) fn interrupt(&self) -> u8 {
        let enabled = |bit| self.ier & bit != 0;
        if enabled(IER_RLSI) && self.lsr & LSR_INT_ANY != 0 {
            IIR_RLSI
        } else if enabled(IER_RDI) && self.timeout_pending {
            IIR_CTI
        } else if enabled(IER_RDI) && self.lsr & LSR_DR != 0 && self.rx.len() >= self.trigger() {
            IIR_RDI
        } else if enabled(IER_THRI) && self.thr_pending {
            IIR_THRI
        } else if enabled(IER_MSI) && self.msr & MSR_ANY_DELTA != 0 {
            IIR_MSI
        } else {
            IIR_NO_INT
        }
    }

    /// How many more bytes can be received.
    pub(super) fn room(&self) -> usize {
        self.rx_limit().saturating_sub(self.rx.len())
    }

    /// Takes received bytes; those beyond the room are lost, as on a line without flow control.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(self.room());
        self.rx.extend(&bytes[..taken]);
        self.lsr |= LSR_DR;
        if taken < bytes.len() {
            self.lsr |= LSR_OE;
        }
    }

    /// A break on the line arrives as a null byte with the break bit.
    pub(super) fn receive_break(&mut self) {
        self.rx.clear();
        self.rx.push_back(0);
        self.lsr |= LSR_BI | LSR_DR;
    }

    /// `count` bytes of `tx` have gone out.
    pub(super) fn transmitted(&mut self, count: usize) {
        self.tx.drain(..count.min(self.tx.len()));
        if self.tx.is_empty() && self.lsr & LSR_THRE == 0 {
            self.lsr |= LSR_THRE | LSR_TEMT;
            self.thr_pending = true;
        }
    }

    /// True when received bytes wait below the trigger level.
    pub(super) fn lingering(&self) -> bool {
        self.fifos() && !self.rx.is_empty() && !self.timeout_pending
    }

    /// How long four characters take at the present speed, in nanoseconds.
    pub(super) fn timeout(&self) -> u64 {
        let data = 5 + u64::from(self.lcr & 3);
        let stop = if self.lcr & 4 != 0 { 2 } else { 1 };
        let parity = u64::from(self.lcr >> 3 & 1);
        let bit = 16 * crate::NANOS_PER_SECOND * u64::from(self.divisor.max(1));
        4 * (1 + data + parity + stop) * bit / u64::from(CLOCK_FREQUENCY)
    }

    fn fifos(&self) -> bool {
        self.fcr & FCR_ENABLE != 0
    }

    fn rx_limit(&self) -> usize {
        if self.fifos() { FIFO_SIZE } else { 1 }
    }

    /// How many received bytes raise the interrupt.
    fn trigger(&self) -> usize {
        match self.fcr >> 6 {
            _ if !self.fifos() => 1,
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        }
    }

    fn read_data(&mut self) -> u8 {
        let value = self.rx.pop_front().unwrap_or(0);
        if self.rx.is_empty() {
            self.lsr &= !(LSR_DR | LSR_BI);
        }
        self.timeout_pending = false;
        value
    }

    fn read_iir(&mut self) -> u8 {
        let interrupt = self.interrupt();
        // Identifying the empty transmitter as the cause also acknowledges it.
        if interrupt == IIR_THRI {
            self.thr_pending = false;
        }
        interrupt | if self.fifos() { IIR_FIFOS } else { 0 }
    }

    fn read_lsr(&mut self) -> u8 {
        let value = self.lsr;
        self.lsr &= !(LSR_BI | LSR_OE);
        value
    }

    fn read_msr(&mut self) -> u8 {
        if self.mcr & MCR_LOOP != 0 {
            // Looped back: OUT2 to DCD, OUT1 to RI, DTR to DSR, RTS to CTS.
            return (self.mcr & 0x0c) << 4 | (self.mcr & 0x02) << 3 | (self.mcr & 0x01) << 5;
        }
        let value = self.msr;
        self.msr &= !MSR_ANY_DELTA;
        value
    }

    fn write_data(&mut self, value: u8) -> Effects {
        self.thr_pending = false;
        if self.mcr & MCR_LOOP != 0 {
            self.receive(&[value]);
            self.thr_pending = true;
            return Effects::default();
        }
        // A full FIFO loses its oldest byte; without FIFOs the register is overwritten.
        let limit = if self.fifos() { FIFO_SIZE } else { 1 };
        while self.tx.len() >= limit {
            self.tx.pop_front();
        }
        self.tx.push_back(value);
        self.lsr &= !(LSR_THRE | LSR_TEMT);
        Effects {
            transmit: true,
            ..Effects::default()
        }
    }

    fn write_ier(&mut self, value: u8) {
        let value = value & 0x0f;
        if (self.ier ^ value) & IER_THRI != 0 {
            // Enabling the interrupt with an empty transmitter raises it at once.
            self.thr_pending = value & IER_THRI != 0 && self.lsr & LSR_THRE != 0;
        }
        self.ier = value;
    }

    /// True when the receive FIFO was emptied.
    fn write_fcr(&mut self, value: u8) -> bool {
        let toggled = (value ^ self.fcr) & FCR_ENABLE != 0;
        let clear_rx = toggled || value & FCR_CLEAR_RX != 0;
        if clear_rx {
            self.rx.clear();
            self.lsr &= !(LSR_DR | LSR_BI);
            self.timeout_pending = false;
        }
        if toggled || value & FCR_CLEAR_TX != 0 {
            self.tx.clear();
            self.lsr |= LSR_THRE;
            self.thr_pending = true;
        }
        self.fcr = value & FCR_KEPT;
        clear_rx
    }

    fn write_lcr(&mut self, value: u8) -> Option<bool> {
        let changed = (self.lcr ^ value) & LCR_BREAK != 0;
        self.lcr = value;
        changed.then_some(value & LCR_BREAK != 0)
    }
}
