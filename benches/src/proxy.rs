//! What `qmp proxy` costs: the same QEMU, straight and through it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Program, Session};
use crate::table::{self, Row, Unit, percentile};

const STATUS: &str = "{\"execute\":\"query-status\"}";
const VIRT: &[&str] = &["-M", "virt", "-m", "128", "-S", "-nodefaults"];

/// Clients that talk at the same time.
const CLIENTS: usize = 100;

/// Clients that are connected for their memory to be measured.
const MANY: usize = 1000;

/// Measures and prints.
pub fn measure(qemu: &Program, qmp: &Path) -> io::Result<()> {
    let qemu = Peer::start(qemu, VIRT)?;
    let straight = {
        let mut session = qemu.qmp()?;
        let mut rows = round_trips(&mut session, &qemu)?;
        rows.push(together(&mut [session])?);
        rows
    };
    let to = qemu.path("qmp.sock").display().to_string();
    let proxy = Program {
        name: "through qmp proxy",
        path: qmp.to_owned(),
    };
    let peer = Peer::run(&proxy, &["proxy", "./qmp.sock", "--to", &to])?;
    let mut rows = round_trips(&mut peer.qmp()?, &peer)?;
    let before = peer.resident()?;
    let mut sessions: Vec<Session> = connect(&peer, CLIENTS)?;
    rows.push(together(&mut sessions)?);
    sessions.extend(connect(&peer, MANY - CLIENTS)?);
    let each = (peer.resident()? - before) as f64 / 1e3 / MANY as f64;
    rows.push(Row::less(
        "memory of one of 1000 clients",
        each,
        Unit::Kilobytes,
    ));
    table::print([proxy.name, "straight"], &rows, &straight);
    Ok(())
}

fn connect(peer: &Peer, count: usize) -> io::Result<Vec<Session>> {
    (0..count).map(|_| peer.qmp()).collect()
}

fn round_trips(session: &mut Session, of: &Peer) -> io::Result<Vec<Row>> {
    const COUNT: usize = 10_000;
    for _ in 0..500 {
        session.call(STATUS)?;
    }
    let before = of.cpu()?;
    let mut times = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        let start = Instant::now();
        session.call(STATUS)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = (of.cpu()? - before).as_secs_f64() * 1e6 / COUNT as f64;
    times.sort_by(f64::total_cmp);
    Ok(vec![
        Row::less(
            "query-status, p50",
            percentile(&times, 50),
            Unit::Microseconds,
        ),
        Row::less(
            "query-status, p99",
            percentile(&times, 99),
            Unit::Microseconds,
        ),
        Row::less("query-status, CPU of who answers", cpu, Unit::Microseconds),
    ])
}

/// Everyone asks, then everyone reads; QEMU itself has room for one client
/// per socket, which asks as much alone.
fn together(sessions: &mut [Session]) -> io::Result<Row> {
    let each = CLIENTS / sessions.len();
    let requests = STATUS.repeat(each);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < Duration::from_secs(3) {
        for session in &mut *sessions {
            session.send(requests.as_bytes())?;
        }
        for session in &mut *sessions {
            for _ in 0..each {
                session.line()?;
            }
        }
        count += CLIENTS;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    Ok(Row::more(
        "100 calls at a time, of 100 clients or of one",
        rate,
        Unit::PerSecond,
    ))
}
