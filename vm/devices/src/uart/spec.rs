//! Registers and bits of the 16550A (National Semiconductor PC16550D, section 8).

/// The size of the register window.
pub const SIZE: u64 = 8;
/// The input clock on the virt board, in hertz.
pub const CLOCK_FREQUENCY: u32 = 3_686_400;
/// Bytes in each FIFO.
pub(super) const FIFO_SIZE: usize = 16;

/// Received data ready interrupt enable.
pub(super) const IER_RDI: u8 = 0x01;
/// Transmitter empty interrupt enable.
pub(super) const IER_THRI: u8 = 0x02;
/// Line status interrupt enable.
pub(super) const IER_RLSI: u8 = 0x04;
/// Modem status interrupt enable.
pub(super) const IER_MSI: u8 = 0x08;

/// Nothing pending.
pub(super) const IIR_NO_INT: u8 = 0x01;
/// Modem status.
pub(super) const IIR_MSI: u8 = 0x00;
/// Transmitter empty.
pub(super) const IIR_THRI: u8 = 0x02;
/// Received data.
pub(super) const IIR_RDI: u8 = 0x04;
/// Line status.
pub(super) const IIR_RLSI: u8 = 0x06;
/// Received data that has waited below the trigger level.
pub(super) const IIR_CTI: u8 = 0x0c;
/// The FIFOs are on.
pub(super) const IIR_FIFOS: u8 = 0xc0;

/// FIFOs on.
pub(super) const FCR_ENABLE: u8 = 0x01;
/// Clear the receive FIFO.
pub(super) const FCR_CLEAR_RX: u8 = 0x02;
/// Clear the transmit FIFO.
pub(super) const FCR_CLEAR_TX: u8 = 0x04;
/// The bits that stay: enable, DMA mode, trigger level.
pub(super) const FCR_KEPT: u8 = 0xc9;

/// Registers 0 and 1 are the divisor.
pub(super) const LCR_DLAB: u8 = 0x80;
/// Send a break.
pub(super) const LCR_BREAK: u8 = 0x40;

/// The implemented bits.
pub(super) const MCR_MASK: u8 = 0x1f;
/// Output 2, loops to DCD.
pub(super) const MCR_LOOP: u8 = 0x10;

/// Data ready.
pub(super) const LSR_DR: u8 = 0x01;
/// Overrun.
pub(super) const LSR_OE: u8 = 0x02;
/// Break received.
pub(super) const LSR_BI: u8 = 0x10;
/// Transmit holding register empty.
pub(super) const LSR_THRE: u8 = 0x20;
/// Transmitter wholly empty.
pub(super) const LSR_TEMT: u8 = 0x40;
/// The conditions of a line status interrupt.
pub(super) const LSR_INT_ANY: u8 = 0x1e;

/// Carrier, data set ready and clear to send: the line is always up.
pub(super) const MSR_UP: u8 = 0xb0;
/// The changes since the last read.
pub(super) const MSR_ANY_DELTA: u8 = 0x0f;
