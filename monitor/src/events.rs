//! The event bus: from any thread to every negotiated session.
//!
//! An event is stamped and serialised once, when it happens, and all sessions
//! of one output style share the bytes. Some events are held back for a while
//! ([`QEMU_RULES`]); they keep their original stamp. An event that no
//! negotiated session is there to receive is dropped, as QMP has it.

mod throttle;

use crate::control::Letter;
use crate::mailbox::Mailbox;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};
use throttle::Throttle;
use tinamou_qmp::Event;
use tinamou_qmp::json::Style;
use tinamou_qmp::session;
use tokio::sync::Notify;

pub use throttle::{QEMU_RULES, Rule};

/// The clocks of the bus.
pub trait Clock: Send + Sync + 'static {
    /// Time since 1970, for the stamps.
    fn real(&self) -> Duration;

    /// The time that throttling goes by, from any start.
    fn throttle(&self) -> Duration;
}

/// Emits events to all sessions. Clones share the bus.
#[derive(Clone)]
pub struct EventBus(Arc<Bus>);

struct Bus {
    /// The clock is the host's, so that a server can wait by it.
    follows_host: bool,
    clock: Box<dyn Clock>,
    rules: &'static [Rule],
    throttle: Mutex<Throttle<Text>>,
    /// Set when the throttle has a deadline that it had not before.
    armed: Notify,
    listeners: Mutex<Vec<Listener>>,
}

/// A negotiated session.
struct Listener {
    mailbox: Weak<Mailbox<Letter>>,
    style: Style,
}

impl EventBus {
    /// A bus that goes by the host's clock. A [`Server`](crate::Server) fires
    /// its held events in time.
    #[must_use]
    pub fn new() -> Self {
        Self::build(true, HostClock(Instant::now()), QEMU_RULES)
    }

    /// A bus with other clocks and limits. Its owner calls
    /// [`expire`](Self::expire) whenever the clock moved.
    #[must_use]
    pub fn with_clock(clock: impl Clock, rules: &'static [Rule]) -> Self {
        Self::build(false, clock, rules)
    }

    fn build(follows_host: bool, clock: impl Clock, rules: &'static [Rule]) -> Self {
        Self(Arc::new(Bus {
            follows_host,
            clock: Box::new(clock),
            rules,
            throttle: Mutex::new(Throttle::new()),
            armed: Notify::new(),
            listeners: Mutex::new(Vec::new()),
        }))
    }

    /// Emits an event that happened now.
    pub fn emit<E: Event>(&self, event: &E) {
        let bus = &*self.0;
        let Some(rule) = bus.rules.iter().find(|rule| rule.event == E::NAME) else {
            bus.emit_now(event);
            return;
        };
        let text = Text::new(event, bus.clock.real());
        let key = rule.key.map_or_else(String::new, |key| member(event, key));
        let now = bus.clock.throttle();
        let mut throttle = lock(&bus.throttle);
        let due = throttle.offer(rule, key, now, text);
        // Still under the lock, so that a held event cannot overtake.
        if let Some(text) = due {
            bus.deliver(&text);
            bus.armed.notify_one();
        }
    }

    /// Sends the held events whose time has come.
    pub fn expire(&self) {
        let mut throttle = lock(&self.0.throttle);
        for text in throttle.expire(self.0.clock.throttle()) {
            self.0.deliver(&text);
        }
    }

    /// How long until [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        let deadline = lock(&self.0.throttle).deadline()?;
        Some(deadline.saturating_sub(self.0.clock.throttle()))
    }

    pub(crate) fn follows_host(&self) -> bool {
        self.0.follows_host
    }

    /// Sends held events by the host's time, for ever.
    pub(crate) async fn run_timer(self) {
        loop {
            let Some(wait) = self.next_expiry() else {
                self.0.armed.notified().await;
                continue;
            };
            tokio::time::sleep(wait).await;
            self.expire();
        }
    }

    /// A session negotiated: it gets events from now on.
    pub(crate) fn subscribe(&self, mailbox: &Arc<Mailbox<Letter>>, style: Style) {
        let mut listeners = lock(&self.0.listeners);
        listeners.retain(|listener| listener.mailbox.strong_count() > 0);
        listeners.push(Listener {
            mailbox: Arc::downgrade(mailbox),
            style,
        });
    }
}

impl Default for EventBus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBus").finish_non_exhaustive()
    }
}

impl Bus {
    /// Serialises in the styles that have a listener, and no other.
    fn emit_now<E: Event>(&self, event: &E) {
        let stamp = self.clock.real();
        let mut texts = [None, None];
        for listener in &*lock(&self.listeners) {
            let text = texts[listener.style as usize]
                .get_or_insert_with(|| Arc::from(line(event, stamp, listener.style)));
            listener.send(text);
        }
    }

    fn deliver(&self, text: &Text) {
        for listener in &*lock(&self.listeners) {
            listener.send(&text.0[listener.style as usize]);
        }
    }
}

impl Listener {
    fn send(&self, text: &Arc<[u8]>) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            mailbox.push_bulk(Letter::Event(Arc::clone(text)), text.len());
        }
    }
}

/// An event in both styles, to be sent later.
#[derive(Debug)]
struct Text([Arc<[u8]>; 2]);

impl Text {
    fn new<E: Event>(event: &E, stamp: Duration) -> Self {
        Self([Style::Compact, Style::Pretty].map(|style| Arc::from(line(event, stamp, style))))
    }
}

fn line<E: Event>(event: &E, stamp: Duration, style: Style) -> Vec<u8> {
    session::event(event, stamp, style).unwrap_or_else(|error| {
        tracing::error!(event = E::NAME, %error, "event cannot be serialised");
        Vec::new()
    })
}

/// The value of a member of an event's data, as text.
fn member<E: Event>(event: &E, name: &str) -> String {
    let data = serde_json::to_value(event).unwrap_or_default();
    data.get(name).map(ToString::to_string).unwrap_or_default()
}

/// The host's clock, counted from the bus's start for throttling.
struct HostClock(Instant);

impl Clock for HostClock {
    fn real(&self) -> Duration {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn throttle(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A poisoned lock is as good as any: no invariant spans a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
