//! Message signalled interrupts: an interrupt that is a write to memory.

/// What takes messages: an interrupt controller that listens on addresses.
pub trait MsiSink: Send + Sync {
    /// Takes the write of `data` to `address`; what lies at no controller is dropped.
    fn send(&self, address: u64, data: u32);
}

/// Where there is no controller for messages: all are dropped.
#[derive(Debug)]
pub struct NoMessages;

impl MsiSink for NoMessages {
    fn send(&self, _: u64, _: u32) {}
}
