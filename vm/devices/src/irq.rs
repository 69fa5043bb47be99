//! Interrupt lines: level-triggered wires from a device to whoever listens.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The end of a wire: an input of an interrupt controller, or a pin of a hart.
pub trait IrqSink: Send + Sync {
    /// The level of `input` has changed.
    fn set_level(&self, input: usize, level: bool);
}

/// One wire. Clones are the same wire.
#[derive(Clone)]
pub struct IrqLine(Arc<Wire>);

/// Called with every change of a wire's level.
type Tap = Box<dyn Fn(bool) + Send + Sync>;

struct Wire {
    level: AtomicBool,
    sink: Option<(Arc<dyn IrqSink>, usize)>,
    tap: OnceLock<Tap>,
}

impl IrqLine {
    /// A low wire to `input` of `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn IrqSink>, input: usize) -> Self {
        Self::from_sink(Some((sink, input)))
    }

    /// A wire that ends nowhere; it can still be tapped.
    #[must_use]
    pub fn unconnected() -> Self {
        Self::from_sink(None)
    }

    /// Drives the wire; the sink hears of it only when the level changes.
    pub fn set(&self, level: bool) {
        let wire = &*self.0;
        if wire.level.load(Ordering::Relaxed) == level
            || wire.level.swap(level, Ordering::AcqRel) == level
        {
            return;
        }
        if let Some((sink, input)) = &wire.sink {
            sink.set_level(*input, level);
        }
        if let Some(tap) = wire.tap.get() {
            tap(level);
        }
    }

    /// The present level.
    #[must_use]
    pub fn level(&self) -> bool {
        self.0.level.load(Ordering::Acquire)
    }

    /// Lets `tap` hear every later change of level, besides the sink. A wire has one tap; false
    /// when it is taken.
    pub fn tap(&self, tap: impl Fn(bool) + Send + Sync + 'static) -> bool {
        self.0.tap.set(Box::new(tap)).is_ok()
    }

    fn from_sink(sink: Option<(Arc<dyn IrqSink>, usize)>) -> Self {
        Self(Arc::new(Wire {
            level: AtomicBool::new(false),
            sink,
            tap: OnceLock::new(),
        }))
    }
}

impl fmt::Debug for IrqLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IrqLine").field(&self.level()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<(usize, bool)>>);

    impl IrqSink for Recorder {
        fn set_level(&self, input: usize, level: bool) {
            self.0.lock().unwrap().push((input, level));
        }
    }

    #[test]
    fn only_changes_are_heard() {
        let sink = Arc::new(Recorder::default());
        let line = IrqLine::new(sink.clone(), 7);
        for level in [false, true, true, false, true] {
            line.set(level);
        }
        assert_eq!(*sink.0.lock().unwrap(), [(7, true), (7, false), (7, true)]);
        assert!(line.level());
    }

    #[test]
    fn a_tap_listens_beside_the_sink() {
        let sink = Arc::new(Recorder::default());
        let line = IrqLine::new(sink.clone(), 1);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        assert!(line.tap(move |level| log.lock().unwrap().push(level)));
        assert!(!line.tap(|_| ()));
        line.set(true);
        line.set(false);
        assert_eq!(*heard.lock().unwrap(), [true, false]);
        assert_eq!(sink.0.lock().unwrap().len(), 2);
    }
}
