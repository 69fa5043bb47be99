//! The SiFive test finisher: a register through which the guest ends or restarts the machine.

use std::fmt;

use tinamou_memory::Mmio;

use crate::log::guest_error;

/// The size of the register window.
pub const SIZE: u64 = 0x1000;

/// What a guest can ask of the finisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Power off.
    Pass,
    /// Start over.
    Reset,
    /// Power off and report this exit status.
    Fail(u16),
}

impl Finish {
    fn from_command(command: u32) -> Option<Self> {
        match command as u16 {
            0x5555 => Some(Self::Pass),
            0x7777 => Some(Self::Reset),
            0x3333 => Some(Self::Fail((command >> 16) as u16)),
            _ => None,
        }
    }
}

/// The device.
pub struct TestFinisher {
    request: Box<dyn Fn(Finish) + Send + Sync>,
}

impl TestFinisher {
    /// A finisher that hands what the guest asks to `request`, which returns at once.
    #[must_use]
    pub fn new(request: impl Fn(Finish) + Send + Sync + 'static) -> Self {
        Self {
            request: Box::new(request),
        }
    }
}

impl Mmio for TestFinisher {
    fn read(&self, _: u64, _: u8) -> u64 {
        0
    }

    fn write(&self, offset: u64, _: u8, value: u64) {
        match Finish::from_command(value as u32) {
            Some(finish) if offset == 0 => (self.request)(finish),
            _ => guest_error(format_args!(
                "sifive_test_write: write: addr={offset:#x} val={value:#018x}"
            )),
        }
    }
}

impl fmt::Debug for TestFinisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestFinisher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn commands() {
        let asked = Arc::new(Mutex::new(None));
        let log = Arc::clone(&asked);
        let finisher = TestFinisher::new(move |finish| *log.lock().unwrap() = Some(finish));
        let check = |offset, value, expected| {
            finisher.write(offset, 4, value);
            assert_eq!(
                asked.lock().unwrap().take(),
                expected,
                "{value:#x} at {offset}"
            );
        };
        check(0, 0x5555, Some(Finish::Pass));
        check(0, 0x7777, Some(Finish::Reset));
        check(0, 0x0007_3333, Some(Finish::Fail(7)));
        check(0, 0xffff_ffff_0000_5555, Some(Finish::Pass));
        check(0, 0, None);
        check(4, 0x5555, None);
        assert_eq!(finisher.read(0, 4), 0);
    }
}
