//! What is known of each machine: samples in, figures out. Nothing here waits
//! or draws.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::host::Traffic;
use super::sample::{Counters, Job, Migration, Sample};
use crate::Exit;

/// How many lines of events and replies are kept for each machine.
const LINES: usize = 1000;

/// What became known of a machine.
#[derive(Debug)]
pub(crate) enum Update {
    /// It can be talked to.
    Connected {
        /// Of the server.
        version: Option<String>,
    },
    /// It answered.
    Sample(Box<Sample>),
    /// It has not answered a question asked at that time.
    Silent(Instant),
    /// The connection ended, or could not be made.
    Away {
        /// Whether there was a connection.
        ended: bool,
        reason: String,
        exit: Exit,
    },
    /// Something for the list of events.
    Line(Line),
}

/// A line of the list of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server, of its own accord.
    Event,
    /// A command that was typed.
    Typed,
    /// What it returned.
    Reply,
    /// Its failure.
    Fault,
}

/// How a machine's server is.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Connecting,
    Present,
    /// The connection stands, but nothing comes.
    Silent {
        since: Instant,
    },
    Away {
        ended: bool,
        reason: String,
        since: Instant,
        exit: Exit,
    },
}

/// A machine under watch.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) address: String,
    pub(crate) condition: Condition,
    pub(crate) version: Option<String>,
    /// Since when the connection stands.
    pub(crate) connected: Option<Instant>,
    pub(crate) sample: Sample,
    pub(crate) figures: Figures,
    /// The oldest first.
    pub(crate) lines: VecDeque<Line>,
    /// How many lines there were in all.
    pub(crate) told: usize,
}

/// What two samples tell of the time between them. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Percent of a host CPU, for each CPU of the guest.
    pub(crate) cpus: Vec<Option<f64>>,
    /// For each disk.
    pub(crate) disks: Vec<Option<DiskRate>>,
    /// Bytes a second, for each net: to the guest and from it.
    pub(crate) nets: Vec<Option<(f64, f64)>>,
}

/// What a disk does in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct DiskRate {
    pub(crate) reads: f64,
    pub(crate) writes: f64,
    pub(crate) read_bytes: f64,
    pub(crate) written_bytes: f64,
    /// How long a request took on average, if there was one.
    pub(crate) latency: Option<Duration>,
}

impl Machine {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            condition: Condition::Connecting,
            version: None,
            connected: None,
            sample: Sample::default(),
            figures: Figures::default(),
            lines: VecDeque::new(),
            told: 0,
        }
    }

    /// Takes in what became known at `now`.
    pub(crate) fn absorb(&mut self, update: Update, now: Instant) {
        match update {
            Update::Connected { version } => {
                self.version = version;
                self.connected = Some(now);
                self.condition = Condition::Present;
            }
            Update::Sample(sample) => {
                self.condition = Condition::Present;
                self.figures = Figures::between(&self.sample, &sample);
                self.sample = *sample;
            }
            Update::Silent(since) => {
                self.condition = Condition::Silent { since };
                self.figures = Figures::default();
            }
            Update::Away {
                ended,
                reason,
                exit,
            } => self.leave(ended, reason, exit, now),
            Update::Line(line) => {
                self.told += 1;
                self.lines.push_back(line);
                while self.lines.len() > LINES {
                    self.lines.pop_front();
                }
            }
        }
    }

    /// The server is away. What it was called stays, what it did does not; an
    /// attempt to connect that fails does not make it newly away.
    fn leave(&mut self, ended: bool, reason: String, exit: Exit, now: Instant) {
        if !ended && let Condition::Away { ended: true, .. } = self.condition {
            return;
        }
        let since = match self.condition {
            Condition::Away { since, .. } => since,
            _ => now,
        };
        self.condition = Condition::Away {
            ended,
            reason,
            since,
            exit,
        };
        self.connected = None;
        self.figures = Figures::default();
        self.sample = Sample {
            name: self.sample.name.take(),
            ..Sample::default()
        };
    }

    /// The machine's name, or where its server is if it has none.
    pub(crate) fn title(&self) -> &str {
        self.sample.name.as_deref().unwrap_or(&self.address)
    }

    /// One word for its state, and since when if it is not well.
    pub(crate) fn state(&self) -> (&str, Option<Instant>) {
        match &self.condition {
            Condition::Connecting => ("connecting", None),
            Condition::Present => (self.sample.status.as_deref().unwrap_or("up"), None),
            Condition::Silent { since } => ("unresponsive", Some(*since)),
            Condition::Away { ended, since, .. } => {
                (if *ended { "ended" } else { "unreachable" }, Some(*since))
            }
        }
    }

    /// All its CPUs together.
    pub(crate) fn cpu(&self) -> Option<f64> {
        self.figures
            .cpus
            .iter()
            .copied()
            .flatten()
            .reduce(|a, b| a + b)
    }

    /// All its disks together: bytes read and written a second.
    pub(crate) fn disk(&self) -> Option<(f64, f64)> {
        let disks = self.figures.disks.iter().flatten();
        let disks = disks.map(|disk| (disk.read_bytes, disk.written_bytes));
        disks.reduce(|a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// The last thing that happened.
    pub(crate) fn last_event(&self) -> Option<&str> {
        let mut lines = self.lines.iter().rev();
        let event = lines.find(|line| line.kind == Kind::Event)?;
        Some(&event.text)
    }
}

impl Figures {
    fn between(before: &Sample, now: &Sample) -> Self {
        let time = match (before.taken, now.taken) {
            (Some(before), Some(now)) => now.saturating_duration_since(before).as_secs_f64(),
            _ => 0.0,
        };
        Self {
            cpus: cpus(before, now, time),
            disks: disks(before, now, time),
            nets: nets(before, now, time),
        }
    }
}

fn cpus(before: &Sample, now: &Sample, time: f64) -> Vec<Option<f64>> {
    let old = before.cpus.as_deref().unwrap_or_default();
    let each = now.cpus.iter().flatten().map(|cpu| {
        let old = old.iter().find(|old| old.thread_id == cpu.thread_id)?;
        let spent = cpu.spent?.checked_sub(old.spent?)?;
        per(spent.as_secs_f64() * 100.0, time)
    });
    each.collect()
}

fn disks(before: &Sample, now: &Sample, time: f64) -> Vec<Option<DiskRate>> {
    let old = before.disks.as_deref().unwrap_or_default();
    let each = now.disks.iter().flatten().map(|disk| {
        let old = old.iter().find(|old| old.name == disk.name)?;
        DiskRate::between(&old.counters, &disk.counters, time)
    });
    each.collect()
}

fn nets(before: &Sample, now: &Sample, time: f64) -> Vec<Option<(f64, f64)>> {
    let old = before.nets.as_deref().unwrap_or_default();
    let each = now.nets.iter().flatten().map(|net| {
        let old: Traffic = old.iter().find(|old| old.name == net.name)?.bytes?;
        let new = net.bytes?;
        Some((
            rate(old.received, new.received, time)?,
            rate(old.sent, new.sent, time)?,
        ))
    });
    each.collect()
}

impl DiskRate {
    fn between(old: &Counters, new: &Counters, time: f64) -> Option<Self> {
        let requests = [
            new.rd_operations.checked_sub(old.rd_operations)?,
            new.wr_operations.checked_sub(old.wr_operations)?,
        ];
        let times = [
            new.rd_total_time_ns.checked_sub(old.rd_total_time_ns)?,
            new.wr_total_time_ns.checked_sub(old.wr_total_time_ns)?,
        ];
        let spent = times[0].saturating_add(times[1]);
        let latency = spent.checked_div(requests[0].saturating_add(requests[1]));
        Some(Self {
            reads: per(requests[0] as f64, time)?,
            writes: per(requests[1] as f64, time)?,
            read_bytes: rate(old.rd_bytes, new.rd_bytes, time)?,
            written_bytes: rate(old.wr_bytes, new.wr_bytes, time)?,
            latency: latency.map(Duration::from_nanos),
        })
    }
}

/// How fast a counter grows; nothing if it was reset.
fn rate(old: u64, new: u64, time: f64) -> Option<f64> {
    per(new.checked_sub(old)? as f64, time)
}

fn per(amount: f64, time: f64) -> Option<f64> {
    (time > 0.0).then(|| amount / time)
}

impl Job {
    /// How much is done, from 0 to 1.
    pub(crate) fn fraction(&self) -> Option<f64> {
        let total = self.total_progress as f64;
        per(self.current_progress as f64, total).map(|part| part.min(1.0))
    }
}

impl Migration {
    /// How much of the memory has moved, from 0 to 1.
    pub(crate) fn fraction(&self) -> Option<f64> {
        let ram = self.ram?;
        let moved = ram.total.saturating_sub(ram.remaining);
        per(moved as f64, ram.total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::sample::{Cpu, Disk, Net};

    fn sample(taken: Instant, step: u64) -> Sample {
        Sample {
            taken: Some(taken),
            status: Some("running".to_owned()),
            name: Some("web".to_owned()),
            cpus: Some(vec![Cpu {
                cpu_index: 0,
                thread_id: Some(7),
                spent: Some(Duration::from_millis(500 * step)),
            }]),
            disks: Some(vec![Disk {
                name: "disk0".to_owned(),
                counters: Counters {
                    rd_operations: 10 * step,
                    wr_operations: 30 * step,
                    rd_bytes: 4096 * step,
                    wr_bytes: 8192 * step,
                    rd_total_time_ns: 1_000_000 * step,
                    wr_total_time_ns: 3_000_000 * step,
                },
            }]),
            nets: Some(vec![Net {
                name: "t".to_owned(),
                kind: "tap tap0".to_owned(),
                bytes: Some(Traffic {
                    received: 1000 * step,
                    sent: 500 * step,
                }),
            }]),
            ..Sample::default()
        }
    }

    fn machine(samples: &[(u64, u64)]) -> Machine {
        let start = Instant::now();
        let mut machine = Machine::new("vm.sock".to_owned());
        machine.absorb(Update::Connected { version: None }, start);
        for (second, step) in samples {
            let taken = start + Duration::from_secs(*second);
            machine.absorb(Update::Sample(Box::new(sample(taken, *step))), taken);
        }
        machine
    }

    #[test]
    fn rates_are_what_happened_in_a_second() {
        let machine = machine(&[(0, 1), (2, 3)]);
        let expected = Figures {
            cpus: vec![Some(50.0)],
            disks: vec![Some(DiskRate {
                reads: 10.0,
                writes: 30.0,
                read_bytes: 4096.0,
                written_bytes: 8192.0,
                latency: Some(Duration::from_micros(100)),
            })],
            nets: vec![Some((1000.0, 500.0))],
        };
        assert_eq!(machine.figures, expected);
        assert_eq!(machine.disk(), Some((4096.0, 8192.0)));
    }

    #[test]
    fn one_sample_or_a_reset_counter_tells_no_rate() {
        let nothing = Figures {
            cpus: vec![None],
            disks: vec![None],
            nets: vec![None],
        };
        assert_eq!(machine(&[(0, 1)]).figures, nothing);
        assert_eq!(machine(&[(0, 5), (1, 2)]).figures, nothing);
        assert_eq!(machine(&[(0, 1), (0, 2)]).figures, nothing);
    }

    #[test]
    fn the_state_says_what_is_the_matter() {
        let mut machine = Machine::new("vm.sock".to_owned());
        let now = Instant::now();
        let away = |ended| Update::Away {
            ended,
            reason: "why".to_owned(),
            exit: Exit::Lost,
        };
        let mut check = |update: Option<Update>, state: &str, title: &str| {
            if let Some(update) = update {
                machine.absorb(update, now);
            }
            assert_eq!((machine.state().0, machine.title()), (state, title));
        };
        check(None, "connecting", "vm.sock");
        check(Some(away(false)), "unreachable", "vm.sock");
        let version = None;
        check(Some(Update::Connected { version }), "up", "vm.sock");
        let answer = Update::Sample(Box::new(sample(now, 1)));
        check(Some(answer), "running", "web");
        check(Some(Update::Silent(now)), "unresponsive", "web");
        check(Some(away(true)), "ended", "web");
        // That the next attempt fails is no news.
        check(Some(away(false)), "ended", "web");
    }

    #[test]
    fn lines_do_not_grow_for_ever() {
        let mut machine = Machine::new("vm.sock".to_owned());
        for _ in 0..LINES + 5 {
            let line = Line {
                kind: Kind::Event,
                text: "STOP".to_owned(),
            };
            machine.absorb(Update::Line(line), Instant::now());
        }
        assert_eq!((machine.lines.len(), machine.told), (LINES, LINES + 5));
        assert_eq!(machine.last_event(), Some("STOP"));
    }
}
