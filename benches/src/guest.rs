//! The guest's rows: how fast code runs, and Linux's way to its shell.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use tinamou_guest::bench;

use crate::linux::{self, Linux};
use crate::peer::{Peer, Program};
use crate::table::{Row, Unit, median};

/// A console that waits for its reader, so that nothing is lost.
const CONSOLE: [&str; 2] = ["-serial", "unix:console.sock,server=on,wait=on"];

/// How often each thing is measured; the median counts.
const TIMES: usize = 3;

/// Measures every row of the guest for one program.
pub fn measure(program: &Program) -> io::Result<Vec<Row>> {
    let mut rows = vec![
        speed(program, "guest integer mix", &bench::integer())?,
        speed(program, "guest double-precision loop", &bench::floating())?,
    ];
    let Some(artifacts) = linux::artifacts() else {
        eprintln!("TINAMOU_GUEST is not set: the Linux boot is not measured");
        return Ok(rows);
    };
    let mut times = Vec::new();
    for _ in 0..TIMES {
        times.push(boot(program, &artifacts)?.as_secs_f64());
    }
    rows.push(Row::less(
        "Debian's kernel to the shell",
        median(&mut times),
        Unit::Seconds,
    ));
    Ok(rows)
}

fn speed(program: &Program, name: &'static str, image: &[u8]) -> io::Result<Row> {
    let mut file = NamedTempFile::new()?;
    file.write_all(image)?;
    let mut figures = Vec::new();
    for _ in 0..TIMES {
        figures.push(mips(program, file.path())?);
    }
    Ok(Row::more(name, median(&mut figures), Unit::Mips))
}

/// Runs a benchmark, which measures itself by the guest's clock.
fn mips(program: &Program, image: &Path) -> io::Result<f64> {
    const TICKS_PER_MICROSECOND: f64 = 10.0;
    let image = image.display().to_string();
    let mut arguments = vec!["-M", "virt", "-nodefaults", "-kernel", &image];
    arguments.extend(CONSOLE);
    let peer = Peer::start(program, &arguments)?;
    let mut said = String::new();
    peer.stream("console.sock")?.read_to_string(&mut said)?;
    figures(&said)
        .map(|[instructions, ticks]| instructions * TICKS_PER_MICROSECOND / ticks)
        .ok_or_else(|| io::Error::other(format!("the benchmark says {said:?}")))
}

/// The instructions and the ticks of a line `BENCH <name> <instructions> <ticks>`.
fn figures(said: &str) -> Option<[f64; 2]> {
    let (_, line) = said.split_once("BENCH ")?;
    let mut words = line.split_whitespace().skip(1);
    Some([words.next()?.parse().ok()?, words.next()?.parse().ok()?])
}

fn boot(program: &Program, artifacts: &Path) -> io::Result<Duration> {
    let mut guest = Linux::start(program, artifacts, "Image", &["-M", "virt"])?;
    let start = Instant::now();
    guest.expect("@READY")?;
    Ok(start.elapsed())
}
