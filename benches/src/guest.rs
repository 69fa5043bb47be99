//! The guest's rows: how fast code runs, and Linux's way to its shell.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Program};
use crate::table::{Row, Unit, median};

/// Measures every row of the guest for one program.
pub fn measure(program: &Program) -> io::Result<Vec<Row>> {
    let Some(guest) = std::env::var_os("TINAMOU_GUEST").map(PathBuf::from) else {
        eprintln!("TINAMOU_GUEST is not set: the Linux boot is not measured");
        return Ok(Vec::new());
    };
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(boot(program, &guest)?.as_secs_f64());
    }
    Ok(vec![Row::less(
        "Debian's kernel to the shell",
        median(&mut times),
        Unit::Seconds,
    )])
}

fn boot(program: &Program, guest: &std::path::Path) -> io::Result<Duration> {
    let image = guest.join("Image").display().to_string();
    let initrd = guest.join("initrd.cpio").display().to_string();
    let peer = Peer::start(
        program,
        &[
            "-M",
            "virt",
            "-m",
            "512",
            "-nodefaults",
            "-kernel",
            &image,
            "-initrd",
            &initrd,
            "-append",
            "console=ttyS0 quiet",
            "-serial",
            "unix:console.sock,server=on,wait=on",
        ],
    )?;
    let mut console = peer.stream("console.sock")?;
    let start = Instant::now();
    let (mut seen, mut bytes) = (String::new(), [0; 4096]);
    while !seen.contains("@READY") {
        let n = console.read(&mut bytes)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    Ok(start.elapsed())
}
