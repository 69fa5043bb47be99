//! Measures Tinamou beside QEMU on this machine in one run and prints a table.
//!
//! `cargo run --release -p tinamou-benches` builds both ends. What takes a
//! Linux guest is measured when `TINAMOU_GUEST` names what `guest/linux` makes.
//! Words name the groups wanted: monitor, guest, devices, disk, network; or
//! `proxy`: `qmp proxy` in front of QEMU, measured alone; or `start`: `qmp run`
//! and `qmp shell` beside QEMU's `qmp-shell`.

mod devices;
mod disk;
mod echo;
mod guest;
mod linux;
mod monitor;
mod network;
mod peer;
mod proxy;
mod start;
mod table;

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use peer::Program;
use table::Row;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The rows of one group for one program.
type Measure = fn(&Program) -> io::Result<Vec<Row>>;

/// What is measured, in the table's order.
const GROUPS: [(&str, Measure); 5] = [
    ("monitor", monitor::measure),
    ("guest", guest::measure),
    ("devices", devices::measure),
    ("disk", disk::measure),
    ("network", network::measure),
];

fn run() -> io::Result<()> {
    let theirs = Program {
        name: "qemu",
        path: "qemu-system-riscv64".into(),
    };
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted == ["proxy"] {
        return proxy::measure(&theirs, &build("tinamou-tools", "qmp")?);
    }
    if wanted == ["start"] {
        return start::measure(&theirs, &build("tinamou-tools", "qmp")?);
    }
    if let Some(word) = wanted.iter().find(|word| !is_group(word)) {
        return Err(io::Error::other(format!("{word} is no group")));
    }
    let ours = Program {
        name: "tinamou",
        path: build("tinamou", "tinamou")?,
    };
    table::print(
        [ours.name, theirs.name],
        &measure(&ours, &wanted)?,
        &measure(&theirs, &wanted)?,
    );
    Ok(())
}

fn is_group(word: &str) -> bool {
    GROUPS.iter().any(|(name, _)| *name == word)
}

fn measure(program: &Program, wanted: &[String]) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, measure) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            eprintln!("measuring {}: {name}", program.name);
            rows.extend(measure(program)?);
        }
    }
    Ok(rows)
}

/// Builds a package with optimisation and returns the path of its binary.
fn build(package: &str, binary: &str) -> io::Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", package])
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("the build of {package} failed")));
    }
    let benches = std::env::current_exe()?;
    let profile = benches
        .parent()
        .ok_or_else(|| io::Error::other("no build directory"))?;
    Ok(profile.with_file_name("release").join(binary))
}
