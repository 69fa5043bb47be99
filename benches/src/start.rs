//! How soon a client on the command line is done: `qmp` beside QEMU's
//! `qmp-shell`, from starting it to its end.

use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::peer::{Peer, Program};
use crate::table::{self, Row, Unit, percentile};

const RUNS: usize = 40;

/// `qmp-shell`, as its own starter calls it.
const SHELL: &str = "from qemu.qmp.qmp_shell import main; main()";

/// Measures and prints. `TINAMOU_PYTHON` names a Python that has `qemu.qmp`.
pub fn measure(qemu: &Program, qmp: &Path) -> io::Result<()> {
    let Some(python) = env::var_os("TINAMOU_PYTHON") else {
        return Err(io::Error::other("TINAMOU_PYTHON is not set"));
    };
    let qemu = Peer::start(qemu, &["-M", "none", "-nodefaults"])?;
    // It listens once somebody has been answered.
    drop(qemu.qmp()?);
    let monitor = qemu.path("qmp.sock");

    let mut run = Command::new(qmp);
    run.arg("run").arg(&monitor).arg("query-status");
    let mut shell = Command::new(qmp);
    shell.arg("shell").arg(&monitor);
    let mut theirs = Command::new(python);
    theirs.args(["-c", SHELL]).arg(&monitor);
    // It keeps its history there.
    theirs.env("HOME", qemu.path("."));

    let [run, shell, theirs] = times([(&mut run, ""), (&mut shell, LINE), (&mut theirs, LINE)])?;
    let ours = [
        Row::less("`run ADDR query-status`, p50", run, Unit::Milliseconds),
        Row::less("shell fed one line, p50", shell, Unit::Milliseconds),
    ];
    let theirs = [
        Row::less("`run ADDR query-status`, p50", theirs, Unit::Milliseconds),
        Row::less("shell fed one line, p50", theirs, Unit::Milliseconds),
    ];
    table::print(["qmp", "qmp-shell"], &ours, &theirs);
    Ok(())
}

const LINE: &str = "query-status\n";

/// Milliseconds of each program, in the middle of many runs in turn.
fn times<const N: usize>(mut programs: [(&mut Command, &str); N]) -> io::Result<[f64; N]> {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..RUNS {
        for ((program, input), times) in programs.iter_mut().zip(&mut times) {
            times.push(once(program, input)?);
        }
    }
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        percentile(&times, 50)
    }))
}

fn once(program: &mut Command, input: &str) -> io::Result<f64> {
    let start = Instant::now();
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let taken = start.elapsed().as_secs_f64() * 1e3;
    let text = String::from_utf8_lossy(&output.stdout);
    match output.status.success() && text.contains("\"running\"") {
        true => Ok(taken),
        false => Err(io::Error::other(format!("{program:?}: {text}"))),
    }
}
