//! The rate limit of events, sans-I/O: time is passed in.
//!
//! The first event of a kind is sent and starts an interval. Those that follow
//! within it are held, each replacing the one before. When the interval ends
//! the held event is sent and starts another; with none held, it is over.

use std::collections::BTreeMap;
use std::time::Duration;

/// How often an event may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The event's name.
    pub event: &'static str,
    /// The member of its data by which it is told apart from others of its
    /// name; each value has an interval of its own.
    pub key: Option<&'static str>,
    /// The shortest time between two.
    pub interval: Duration,
}

/// QEMU's limits.
pub const QEMU_RULES: &[Rule] = &[
    limit("RTC_CHANGE", None),
    limit("BLOCK_IO_ERROR", Some("qom-path")),
    limit("WATCHDOG", None),
    limit("BALLOON_CHANGE", None),
    limit("QUORUM_REPORT_BAD", Some("node-name")),
    limit("QUORUM_FAILURE", None),
    limit("VSERPORT_CHANGE", Some("id")),
    limit("MEMORY_DEVICE_SIZE_CHANGE", Some("qom-path")),
    limit("HV_BALLOON_STATUS_REPORT", None),
];

const fn limit(event: &'static str, key: Option<&'static str>) -> Rule {
    Rule {
        event,
        key,
        interval: Duration::from_secs(1),
    }
}

/// The intervals that run.
#[derive(Debug)]
pub(crate) struct Throttle<T> {
    running: BTreeMap<(&'static str, String), Interval<T>>,
}

#[derive(Debug)]
struct Interval<T> {
    length: Duration,
    end: Duration,
    held: Option<T>,
}

impl<T> Throttle<T> {
    pub(crate) fn new() -> Self {
        Self {
            running: BTreeMap::new(),
        }
    }

    /// An event of `rule` and `key` happened: hands it back if it is to be
    /// sent at once.
    pub(crate) fn offer(&mut self, rule: &Rule, key: String, now: Duration, event: T) -> Option<T> {
        let place = (rule.event, key);
        if let Some(interval) = self.running.get_mut(&place) {
            interval.held = Some(event);
            return None;
        }
        let interval = Interval {
            length: rule.interval,
            end: now + rule.interval,
            held: None,
        };
        self.running.insert(place, interval);
        Some(event)
    }

    /// The held events whose interval is over, in the order it ended.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<T> {
        let mut due = Vec::new();
        self.running.retain(|_, interval| {
            if interval.end > now {
                return true;
            }
            let Some(event) = interval.held.take() else {
                return false;
            };
            due.push((interval.end, event));
            interval.end = now + interval.length;
            true
        });
        due.sort_by_key(|&(end, _)| end);
        due.into_iter().map(|(_, event)| event).collect()
    }

    /// When the next interval ends.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.running.values().map(|interval| interval.end).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = limit("VSERPORT_CHANGE", Some("id"));

    /// Plays `script`: `T KEY=EVENT` offers, `T` alone expires. Returns what
    /// was sent, as `T:EVENT`.
    fn play(script: &[&str]) -> Vec<String> {
        let mut throttle = Throttle::new();
        let mut sent = Vec::new();
        for step in script {
            let (time, offer) = step.split_once(' ').unwrap_or((step, ""));
            let now = Duration::from_millis(time.parse().expect("a time"));
            let events = match offer.split_once('=') {
                Some((key, event)) => throttle
                    .offer(&RULE, key.into(), now, event)
                    .into_iter()
                    .collect(),
                None => throttle.expire(now),
            };
            sent.extend(events.iter().map(|event| format!("{time}:{event}")));
        }
        sent
    }

    #[test]
    fn the_last_of_a_burst_follows_after_the_interval() {
        let sent = play(&[
            "0 p0=a", "100 p0=b", "200 p1=c", "300 p0=d", "1000", "1200", "2000",
        ]);
        assert_eq!(sent, ["0:a", "200:c", "1000:d"]);
    }

    #[test]
    fn a_held_event_starts_another_interval() {
        let sent = play(&[
            "0 p=a", "1 p=b", "1000", "1500 p=c", "2000", "2500 p=d", "3000",
        ]);
        assert_eq!(sent, ["0:a", "1000:b", "2000:c", "3000:d"]);
    }

    #[test]
    fn after_a_quiet_interval_the_next_goes_at_once() {
        assert_eq!(play(&["0 p=a", "1000", "1001 p=b"]), ["0:a", "1001:b"]);
    }

    #[test]
    fn a_late_timer_counts_from_when_it_fires() {
        let sent = play(&["0 p=a", "1 p=b", "1700", "1800 p=c", "2600", "2700"]);
        assert_eq!(sent, ["0:a", "1700:b", "2700:c"]);
    }

    #[test]
    fn the_deadline_is_the_earliest_end() {
        let mut throttle = Throttle::new();
        assert_eq!(throttle.deadline(), None);
        throttle.offer(&RULE, "a".into(), Duration::from_secs(5), ());
        throttle.offer(&RULE, "b".into(), Duration::from_secs(4), ());
        assert_eq!(throttle.deadline(), Some(Duration::from_secs(5)));
    }
}
