//! Supervisor software interrupts (RISC-V ACLINT 1.0 §4): a word for each hart, and a one written
//! to it makes SSIP pending there. The hart itself takes that back.

use std::sync::Arc;

use tinamou_memory::Mmio;

use crate::IrqSink;
use crate::log::guest_error;

/// The size of the register window.
pub const SIZE: u64 = 0x4000;

/// The device.
pub struct Sswi {
    harts: usize,
    sink: Arc<dyn IrqSink>,
}

impl Sswi {
    /// A device for so many harts; `sink` gets a pulse at the input of a hart's number.
    #[must_use]
    pub fn new(harts: usize, sink: Arc<dyn IrqSink>) -> Self {
        Self { harts, sink }
    }

    fn hart(&self, offset: u64, access: &str) -> Option<usize> {
        let hart = (offset / 4) as usize;
        if offset.is_multiple_of(4) && hart < self.harts {
            return Some(hart);
        }
        guest_error(format_args!("aclint-swi: invalid {access}: {offset:08x}"));
        None
    }
}

impl Mmio for Sswi {
    fn read(&self, offset: u64, _: u8) -> u64 {
        self.hart(offset, "read");
        0
    }

    fn write(&self, offset: u64, _: u8, value: u64) {
        if let Some(hart) = self.hart(offset, "write")
            && value & 1 != 0
        {
            self.sink.set_level(hart, true);
            self.sink.set_level(hart, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<usize>>);

    impl IrqSink for Log {
        fn set_level(&self, input: usize, level: bool) {
            if level {
                self.0.lock().unwrap().push(input);
            }
        }
    }

    #[test]
    fn a_one_is_a_pulse_for_its_hart() {
        let log = Arc::new(Log::default());
        let sswi = Sswi::new(2, log.clone());
        for (offset, value) in [(0, 0), (4, 1), (8, 1), (6, 1), (0, 3), (4, 2)] {
            sswi.write(offset, 4, value);
            assert_eq!(sswi.read(offset, 4), 0);
        }
        assert_eq!(*log.0.lock().unwrap(), [1, 0]);
    }
}
