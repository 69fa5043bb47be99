//! What this host counts for a server that runs on it: the time of its
//! threads, the traffic of its taps. Linux only; elsewhere nothing is known.

use std::fs;
use std::time::Duration;

/// Bytes that went to the guest and came from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// How long a thread has run.
pub(crate) fn time_of_thread(thread: u32) -> Option<Duration> {
    // `/proc/THREAD/stat` would be the sum of all threads of its process.
    let stat = fs::read_to_string(format!("/proc/{thread}/task/{thread}/stat")).ok()?;
    let ticks = ticks(&stat)?;
    let second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / second))
}

/// The 14th and 15th field, `utime` and `stime` (proc_pid_stat(5)). The second
/// is a name in parentheses, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// What went through a tap: what the host sends there, the guest receives.
pub(crate) fn traffic_of_tap(interface: &str) -> Option<Traffic> {
    // The name is the server's word, and part of a path here.
    if interface.starts_with('.') || interface.contains('/') {
        return None;
    }
    let count = |name: &str| {
        let path = format!("/sys/class/net/{interface}/statistics/{name}");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(Traffic {
        received: count("tx_bytes")?,
        sent: count("rx_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_name_may_hold_anything() {
        let stat = "7 (CPU) 0/TCG) R 1 2 3 0 -1 4 5 6 7 8 120 30 0 0 20 0 1 0 9";
        assert_eq!(ticks(stat), Some(150));
        assert_eq!(ticks("7 (short) R 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn a_taps_name_leads_nowhere_else() {
        assert_eq!(traffic_of_tap("../../../etc"), None);
        assert_eq!(traffic_of_tap(".."), None);
    }
}
