//! The monitor's rows: latency, throughput, events, start-up, memory.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Program};
use crate::table::{Row, Unit, median, percentile};

const STATUS: &str = "{\"execute\":\"query-status\"}";
const VIRT: &[&str] = &["-M", "virt", "-m", "128", "-S", "-nodefaults"];
const NONE: &[&str] = &["-M", "none", "-nodefaults"];

/// Measures every row of the monitor for one program.
pub fn measure(program: &Program) -> io::Result<Vec<Row>> {
    let mut rows = round_trips(program)?;
    rows.push(pipelined(program)?);
    rows.push(schema(program)?);
    rows.push(events(program)?);
    rows.push(startup(program, "start to greeting, -M none", NONE)?);
    rows.push(startup(program, "start to greeting, -M virt -S", VIRT)?);
    rows.push(resident(program, "resident memory, -M none", NONE)?);
    rows.push(resident(
        program,
        "resident memory, -M virt -m 128 -S",
        VIRT,
    )?);
    rows.extend(idle_monitors(program)?);
    Ok(rows)
}

fn latencies(peer: &Peer, request: &str, count: usize) -> io::Result<(Vec<f64>, f64)> {
    let mut session = peer.qmp()?;
    for _ in 0..200 {
        session.call(request)?;
    }
    let before = peer.cpu()?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        session.call(request)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = (peer.cpu()? - before).as_secs_f64() * 1e6 / count as f64;
    times.sort_by(f64::total_cmp);
    Ok((times, cpu))
}

fn round_trips(program: &Program) -> io::Result<Vec<Row>> {
    let peer = Peer::start(program, VIRT)?;
    let (status, cpu) = latencies(&peer, STATUS, 20_000)?;
    let get =
        "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"type\"}}";
    let (qom, qom_cpu) = latencies(&peer, get, 10_000)?;
    Ok(vec![
        Row::less(
            "query-status round trip, p50",
            percentile(&status, 50),
            Unit::Microseconds,
        ),
        Row::less(
            "query-status round trip, p99",
            percentile(&status, 99),
            Unit::Microseconds,
        ),
        Row::less("query-status, server CPU", cpu, Unit::Microseconds),
        Row::less(
            "qom-get round trip, p50",
            percentile(&qom, 50),
            Unit::Microseconds,
        ),
        Row::less("qom-get, server CPU", qom_cpu, Unit::Microseconds),
    ])
}

fn pipelined(program: &Program) -> io::Result<Row> {
    const WINDOW: usize = 64;
    let peer = Peer::start(program, VIRT)?;
    let mut session = peer.qmp()?;
    let batch = STATUS.repeat(WINDOW);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < Duration::from_secs(2) {
        session.send(batch.as_bytes())?;
        for _ in 0..WINDOW {
            session.line()?;
        }
        count += WINDOW;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    Ok(Row::more(
        "pipelined query-status, window 64",
        rate,
        Unit::PerSecond,
    ))
}

fn schema(program: &Program) -> io::Result<Row> {
    let peer = Peer::start(program, VIRT)?;
    let mut session = peer.qmp()?;
    let request = "{\"execute\":\"query-qmp-schema\"}";
    session.call(request)?;
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < Duration::from_secs(2) {
        bytes += session.call(request)?;
    }
    let rate = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    Ok(Row::more(
        "query-qmp-schema",
        rate,
        Unit::MegabytesPerSecond,
    ))
}

/// One session stops and continues the machine; ten others count the events.
fn events(program: &Program) -> io::Result<Row> {
    const READERS: usize = 10;
    const PAIRS: usize = 5_000;
    let sockets: Vec<String> = (0..READERS)
        .map(|n| format!("unix:m{n}.sock,server=on,wait=off"))
        .collect();
    let mut arguments = VIRT.to_vec();
    for socket in &sockets {
        arguments.extend(["-qmp", socket]);
    }
    let peer = Peer::start(program, &arguments)?;
    let mut writer = peer.qmp()?;
    let mut readers = Vec::new();
    for n in 0..READERS {
        let mut reader = peer.session(&format!("m{n}.sock"))?;
        reader.call("{\"execute\":\"qmp_capabilities\"}")?;
        readers.push(reader);
    }
    let start = Instant::now();
    thread::scope(|scope| {
        let counters: Vec<_> = readers
            .iter_mut()
            .map(|reader| {
                scope.spawn(move || (0..2 * PAIRS).try_for_each(|_| reader.line().map(|_| ())))
            })
            .collect();
        const BURST: usize = 25;
        let burst = "{\"execute\":\"cont\"}{\"execute\":\"stop\"}".repeat(BURST);
        for _ in 0..PAIRS / BURST {
            writer.send(burst.as_bytes())?;
            // Each command is answered by an event and a reply.
            for _ in 0..4 * BURST {
                writer.line()?;
            }
        }
        counters
            .into_iter()
            .try_for_each(|counter| counter.join().unwrap_or(Ok(())))
    })?;
    let rate = (READERS * 2 * PAIRS) as f64 / start.elapsed().as_secs_f64();
    Ok(Row::more(
        "events delivered to ten readers",
        rate,
        Unit::PerSecond,
    ))
}

fn startup(program: &Program, name: &'static str, arguments: &[&str]) -> io::Result<Row> {
    let mut times = Vec::new();
    for _ in 0..15 {
        let peer = Peer::start(program, arguments)?;
        peer.greeted()?;
        times.push(peer.age().as_secs_f64() * 1e3);
    }
    Ok(Row::less(name, median(&mut times), Unit::Milliseconds))
}

fn resident(program: &Program, name: &'static str, arguments: &[&str]) -> io::Result<Row> {
    let peer = Peer::start(program, arguments)?;
    peer.qmp()?.call(STATUS)?;
    Ok(Row::less(
        name,
        peer.resident()? as f64 / 1e6,
        Unit::Megabytes,
    ))
}

fn idle_monitors(program: &Program) -> io::Result<Vec<Row>> {
    const EXTRA: usize = 100;
    let sockets: Vec<String> = (0..EXTRA)
        .map(|n| format!("unix:m{n}.sock,server=on,wait=off"))
        .collect();
    let mut arguments = VIRT.to_vec();
    let base = Peer::start(program, &arguments)?;
    base.qmp()?.call(STATUS)?;
    for socket in &sockets {
        arguments.extend(["-qmp", socket]);
    }
    let peer = Peer::start(program, &arguments)?;
    let mut sessions = Vec::new();
    for n in 0..EXTRA {
        let mut session = peer.session(&format!("m{n}.sock"))?;
        session.call("{\"execute\":\"qmp_capabilities\"}")?;
        sessions.push(session);
    }
    let (times, _) = latencies(&peer, STATUS, 5_000)?;
    let each = (peer.resident()? as f64 - base.resident()? as f64) / EXTRA as f64 / 1e3;
    Ok(vec![
        Row::less(
            "memory of one more connected monitor",
            each,
            Unit::Kilobytes,
        ),
        Row::less(
            "query-status p50 with 100 idle monitors",
            percentile(&times, 50),
            Unit::Microseconds,
        ),
    ])
}
