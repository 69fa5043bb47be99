//! Measures Tinamou beside QEMU on this machine in one run and prints a table.
//!
//! `cargo run --release -p tinamou-benches` builds both ends. What takes a
//! Linux guest is measured when `TINAMOU_GUEST` names what `guest/linux` makes.
//! With the word `proxy`, `qmp proxy` is measured instead, in front of QEMU.

mod devices;
mod disk;
mod guest;
mod linux;
mod monitor;
mod network;
mod peer;
mod proxy;
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

fn run() -> io::Result<()> {
    let theirs = Program {
        name: "qemu",
        path: "qemu-system-riscv64".into(),
    };
    if std::env::args().nth(1).as_deref() == Some("proxy") {
        return proxy::measure(&theirs, &build("tinamou-tools", "qmp")?);
    }
    let ours = Program {
        name: "tinamou",
        path: build("tinamou", "tinamou")?,
    };
    table::print(
        [ours.name, theirs.name],
        &measure(&ours)?,
        &measure(&theirs)?,
    );
    Ok(())
}

fn measure(program: &Program) -> io::Result<Vec<Row>> {
    eprintln!("measuring {}", program.name);
    let mut rows = monitor::measure(program)?;
    rows.extend(guest::measure(program)?);
    rows.extend(devices::measure(program)?);
    rows.extend(disk::measure(program)?);
    rows.extend(network::measure(program)?);
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
