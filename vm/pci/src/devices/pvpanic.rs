//! `pvpanic-pci`: one register through which a guest says that it has crashed.

use std::sync::Arc;

use crate::{Bar, ConfigSpace, Function, Identity, PciFunction};

/// What a guest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicEvent {
    /// It has crashed.
    Panicked,
    /// It has crashed and runs another kernel to look into that.
    CrashLoaded,
    /// It has shut down and waits for the power to go.
    Shutdown,
}

impl PanicEvent {
    /// The first of the events that a byte names, in the order of their bits.
    fn from_bits(bits: u8) -> Option<Self> {
        let events = [
            (0x01, Self::Panicked),
            (0x02, Self::CrashLoaded),
            (0x04, Self::Shutdown),
        ];
        let named = events.into_iter().find(|(bit, _)| bits & bit != 0);
        named.map(|(_, event)| event)
    }
}

/// Makes a `pvpanic-pci` that offers `events` to the guest and hands those that it reports to
/// `sink`, which returns at once.
pub fn pvpanic(
    id: &str,
    events: u8,
    multifunction: bool,
    sink: impl Fn(PanicEvent) + Send + Sync + 'static,
) -> Arc<Function> {
    let mut identity = Identity::new(0x1b36, 0x0011, 0x0880);
    identity.revision = 1;
    let mut config = ConfigSpace::conventional(&identity).with_multifunction(multifunction);
    config.add_bar(0, Bar::memory(2));
    let device = Pvpanic {
        events,
        sink: Box::new(sink),
    };
    Function::new("pvpanic-pci", id, config, None, |_| Arc::new(device))
}

struct Pvpanic {
    events: u8,
    sink: Box<dyn Fn(PanicEvent) + Send + Sync>,
}

impl PciFunction for Pvpanic {
    // The register is a byte; wider accesses are several of one byte.
    fn bar_read(&self, _: u8, _: u64, size: u8) -> u64 {
        let bytes = [self.events; 8];
        u64::from_le_bytes(bytes) & (u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8))))
    }

    fn bar_write(&self, _: u8, _: u64, size: u8, value: u64) {
        let bytes = value.to_le_bytes().into_iter().take(size.into());
        for event in bytes.filter_map(PanicEvent::from_bits) {
            (self.sink)(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn events() {
        let heard = Arc::new(Mutex::new(None));
        let log = Arc::clone(&heard);
        let function = pvpanic("", 7, false, move |event| {
            *log.lock().unwrap() = Some(event)
        });
        assert_eq!(function.bar_read(0, 0, 1), 7);
        assert_eq!(function.bar_read(0, 0, 4), 0x0707_0707);
        let check = |value, expected| {
            function.bar_write(0, 0, 1, value);
            assert_eq!(heard.lock().unwrap().take(), expected, "{value}");
        };
        check(0, None);
        check(1, Some(PanicEvent::Panicked));
        check(2, Some(PanicEvent::CrashLoaded));
        check(3, Some(PanicEvent::Panicked));
        check(4, Some(PanicEvent::Shutdown));
        check(0xf8, None);
    }
}
