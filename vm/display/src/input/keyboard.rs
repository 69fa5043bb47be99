//! Typing: keys that go down and up again one after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tinamou_devices::{Clock, Timer};

use super::{Event, Inputs};

/// How long a key is held unless told otherwise.
const HOLD: Duration = Duration::from_millis(10);
/// The most steps that wait; further ones are dropped, as QEMU does.
const STEPS_MAX: usize = 1024;

/// Types on the machine's keyboard, in virtual time.
#[derive(Debug)]
pub struct Keyboard(Arc<Typing>);

#[derive(Debug)]
struct Typing {
    inputs: Inputs,
    clock: Arc<Clock>,
    timer: Timer,
    /// What is to be done; the first step is under way.
    steps: Mutex<VecDeque<Step>>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Key(Event),
    Wait(Duration),
}

impl Keyboard {
    /// Types to the keyboard among `inputs`.
    #[must_use]
    pub fn new(inputs: Inputs, clock: &Arc<Clock>) -> Self {
        Self(Arc::new_cyclic(|me: &Weak<Typing>| {
            let me = me.clone();
            let timer = clock.timer(move || {
                if let Some(typing) = me.upgrade() {
                    typing.go_on();
                }
            });
            Typing {
                inputs,
                clock: Arc::clone(clock),
                timer,
                steps: Mutex::default(),
            }
        }))
    }

    /// Presses the keys one after the other, each after the one before was held for a while, and
    /// releases them in the opposite order likewise.
    pub fn press(&self, codes: &[u16], hold: Option<Duration>) {
        let hold = hold.unwrap_or(HOLD);
        let down = codes.iter().map(|code| (*code, true));
        let up = codes.iter().rev().map(|code| (*code, false));
        for (code, down) in down.chain(up) {
            self.0.key(Event::Key { code, down });
            self.0.wait(hold);
        }
    }
}

impl Typing {
    fn key(&self, event: Event) {
        let mut steps = self.steps();
        if steps.is_empty() {
            drop(steps);
            self.send(event);
        } else if steps.len() < STEPS_MAX {
            steps.push_back(Step::Key(event));
        }
    }

    fn wait(&self, duration: Duration) {
        let mut steps = self.steps();
        if steps.is_empty() {
            self.arm(duration);
        }
        if steps.len() < STEPS_MAX {
            steps.push_back(Step::Wait(duration));
        }
    }

    /// A wait is over. A step stays in the list until it is done, so that what is typed
    /// meanwhile comes after it.
    fn go_on(&self) {
        let mut steps = self.steps();
        loop {
            steps.pop_front();
            match steps.front().copied() {
                None => return,
                Some(Step::Wait(duration)) => return self.arm(duration),
                Some(Step::Key(event)) => {
                    drop(steps);
                    self.send(event);
                    steps = self.steps();
                }
            }
        }
    }

    fn arm(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.timer.set(Some(self.clock.now().saturating_add(nanos)));
    }

    fn send(&self, event: Event) {
        self.inputs.send(None, event);
        self.inputs.sync();
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
