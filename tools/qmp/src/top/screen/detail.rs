//! One machine: a panel for each thing its server can tell.

use std::time::{Duration, Instant};

use ratatui::text::{Line, Span};

use super::{Theme, fit, meter, percent, plain, rate, state};
use crate::output::size;
use crate::top::sample::Migration;
use crate::top::state::{Condition, Machine};

/// The narrowest screen that has room for all columns.
const WIDE: usize = 70;

/// What the machine is, in a line.
pub(super) fn title(machine: &Machine, now: Instant) -> String {
    let mut title = format!(" {}  {}", machine.title(), state(machine, now));
    if let Some(version) = &machine.version {
        title += &format!("  {version}");
    }
    if let Some(since) = machine.connected {
        title += &format!("  up {}", clock(now.saturating_duration_since(since)));
    }
    if machine.title() != machine.address {
        title += &format!("  {}", machine.address);
    }
    title
}

/// The panels; what the server cannot tell has none.
pub(super) fn body(machine: &Machine, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Condition::Away { reason, .. } = &machine.condition {
        let style = theme.state(machine);
        lines.push(Line::styled(plain(reason), style));
        lines.push(Line::raw("trying to connect again"));
    }
    lines.extend(cpus(machine, width, theme));
    lines.extend(memory(machine, theme));
    lines.extend(disks(machine, width, theme));
    lines.extend(nets(machine, width, theme));
    lines.extend(jobs(machine, width, theme));
    let migration = machine.sample.migration.as_ref();
    lines.extend(migration.map(|it| migration_line(it, theme)));
    lines
}

/// Meters, as many beside each other as there is room for.
fn cpus(machine: &Machine, width: usize, theme: Theme) -> Vec<Line<'static>> {
    const CELL: usize = 26;
    let cpus = machine.sample.cpus.as_deref().unwrap_or_default();
    let loads = machine.figures.cpus.iter().copied();
    let loads = loads.chain(std::iter::repeat(None));
    let cells: Vec<_> = cpus.iter().zip(loads).collect();
    let row = |row: &[(&crate::top::sample::Cpu, Option<f64>)]| {
        let spans = row.iter().flat_map(|(cpu, load)| {
            [
                Span::styled(format!("CPU {:<3}", cpu.cpu_index), theme.head()),
                Span::styled(meter(load.map(|load| load / 100.0), 10), theme.meter()),
                Span::raw(format!("{:>5}  ", percent(*load))),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    cells.chunks((width / CELL).max(1)).map(row).collect()
}

fn memory(machine: &Machine, theme: Theme) -> Option<Line<'static>> {
    let sample = &machine.sample;
    let memory = sample.memory.map(size);
    let balloon = sample.balloon.map(size);
    let text = match (memory, balloon) {
        (None, None) => return None,
        (Some(memory), None) => memory,
        (None, Some(balloon)) => format!("balloon {balloon}"),
        (Some(memory), Some(balloon)) => format!("{memory}, balloon {balloon}"),
    };
    Some(Line::from(vec![
        Span::styled("MEMORY ", theme.head()),
        Span::raw(text),
    ]))
}

fn disks(machine: &Machine, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let disks = machine.sample.disks.as_deref().unwrap_or_default();
    if disks.is_empty() {
        return Vec::new();
    }
    let row = |cells: [&str; 6]| {
        let [name, reads, writes, read, written, latency] = cells;
        match width >= WIDE {
            true => format!(
                "{}{reads:>9}{writes:>9}{read:>13}{written:>13}{latency:>10}",
                fit(name, 16)
            ),
            false => format!("{}{read:>13}{written:>13}", fit(name, 13)),
        }
    };
    let head = row(["DISK", "READS/S", "WRITES/S", "READ", "WRITTEN", "LATENCY"]);
    let mut lines = vec![Line::styled(head, theme.head())];
    let rates = machine.figures.disks.iter().copied();
    let rates = rates.chain(std::iter::repeat(None));
    for (disk, figures) in disks.iter().zip(rates) {
        let operations =
            |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
        let latency = figures.and_then(|it| it.latency);
        lines.push(Line::raw(row([
            &disk.name,
            &operations(figures.map(|it| it.reads)),
            &operations(figures.map(|it| it.writes)),
            &rate(figures.map(|it| it.read_bytes)),
            &rate(figures.map(|it| it.written_bytes)),
            &latency.map_or("-".to_owned(), short),
        ])));
    }
    lines
}

/// What backends there are, with rates where this host counts them.
fn nets(machine: &Machine, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let nets = machine.sample.nets.as_deref().unwrap_or_default();
    if nets.is_empty() {
        return Vec::new();
    }
    let row = |name: &str, kind: &str, to: &str, from: &str| match width >= WIDE {
        true => format!("{}{}{to:>13}{from:>13}", fit(name, 16), fit(kind, 18)),
        false => format!("{}{}", fit(name, 13), fit(kind, 26)),
    };
    let counted = nets.iter().any(|net| net.bytes.is_some());
    let (to, from) = match counted {
        true => ("TO GUEST", "FROM GUEST"),
        false => ("", ""),
    };
    let mut lines = vec![Line::styled(row("NET", "KIND", to, from), theme.head())];
    let rates = machine.figures.nets.iter().copied();
    let rates = rates.chain(std::iter::repeat(None));
    for (net, figures) in nets.iter().zip(rates) {
        let (to, from) = match net.bytes {
            Some(_) => (rate(figures.map(|it| it.0)), rate(figures.map(|it| it.1))),
            None => (String::new(), String::new()),
        };
        lines.push(Line::raw(row(&net.name, &net.kind, &to, &from)));
    }
    lines
}

fn jobs(machine: &Machine, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let jobs = machine.sample.jobs.as_deref().unwrap_or_default();
    let bar = if width >= WIDE { 20 } else { 6 };
    let name = if width >= WIDE { 16 } else { 8 };
    let rows = jobs.iter().map(|job| {
        let state = match &job.error {
            Some(error) => format!("{} {error}", job.status),
            None => job.status.clone(),
        };
        let done = job.fraction();
        Line::from(vec![
            Span::styled("JOB ", theme.head()),
            Span::raw(fit(&job.id, name)),
            Span::styled(meter(done, bar), theme.meter()),
            Span::raw(format!("{:>5} ", percent(done.map(|done| done * 100.0)))),
            Span::raw(plain(&format!("{} {state}", job.kind))),
        ])
    });
    rows.collect()
}

fn migration_line(migration: &Migration, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::styled("MIGRATION ", theme.head())];
    let done = migration.fraction();
    if done.is_some() {
        spans.push(Span::styled(meter(done, 10), theme.meter()));
        let done = percent(done.map(|done| done * 100.0));
        spans.push(Span::raw(format!("{done:>5} ")));
    }
    let mut text = migration.status.clone();
    if let Some(ram) = migration.ram {
        text += &format!(", {} left, {:.0} Mbit/s", size(ram.remaining), ram.mbps);
    }
    if let Some(error) = &migration.error_desc {
        text += &format!(": {error}");
    }
    spans.push(Span::raw(plain(&text)));
    Line::from(spans)
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

/// A short time with two or three figures.
fn short(time: Duration) -> String {
    match time.as_nanos() {
        nanos @ 0..1000 => format!("{nanos} ns"),
        1000..1_000_000 => format!("{:.0} us", time.as_secs_f64() * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
