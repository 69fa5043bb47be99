//! The rows of the network: a Linux guest behind the process, and its receive filter.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::echo::Wire;
use crate::linux::{self, Linux};
use crate::peer::Program;
use crate::table::{Row, Unit, median};

/// Megabytes carried each way.
const MEGABYTES: usize = 16;
/// Bytes of one.
const MEGABYTE: usize = 1_000_000;
/// Questions asked of the guest, one after the other.
const QUESTIONS: usize = 500;
/// Echoes of one MTU through a socket, and how many are under way at once.
const ECHOES: usize = 8000;
const WINDOW: usize = 16;
/// Bytes of data in each.
const ECHO: usize = 1400;
/// Changes of the receive filter that are asked about, one by one.
const CHANGES: usize = 50;

/// Measures every row of the network for one program.
pub fn measure(program: &Program) -> io::Result<Vec<Row>> {
    let Some(artifacts) = linux::artifacts() else {
        return Ok(Vec::new());
    };
    let mut rows = user(program, &artifacts)?;
    rows.extend(socket(program, &artifacts)?);
    rows.extend(receive_filter(program, &artifacts)?);
    Ok(rows)
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn user(program: &Program, artifacts: &Path) -> io::Result<Vec<Row>> {
    let port = free_port()?;
    let netdev = format!("user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:7000");
    let arguments = [
        "-M",
        "virt",
        "-netdev",
        &netdev,
        "-device",
        "virtio-net-pci,netdev=n0",
    ];
    let mut guest = Linux::start(program, artifacts, "Image.small", &arguments)?;
    guest.expect("@> ")?;
    guest.run("t up 10.0.2.15/24")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = listener.local_addr()?.port();
    let far = thread::spawn(move || carry(&listener));
    let length = MEGABYTES * MEGABYTE;
    guest.run(&format!("head -c {length} /dev/zero | nc 10.0.2.2 {host}"))?;
    guest.run(&format!("nc 10.0.2.2 {host} </dev/null >/dev/null"))?;
    let carried = far
        .join()
        .map_err(|_| io::Error::other("the host's side is gone"))?;
    let (out, back) = carried?;
    let speed = |time: Duration| MEGABYTES as f64 / time.as_secs_f64();
    guest.run("nc -l -p 7000 -e cat >/dev/null 2>&1 &")?;
    guest.run("t until sh -c 'netstat -ltn | grep -q :7000'")?;
    let mut times = questions(TcpStream::connect(("127.0.0.1", port))?)?;
    Ok(vec![
        Row::more(
            "user network, guest to host",
            speed(out),
            Unit::MegabytesPerSecond,
        ),
        Row::more(
            "user network, host to guest",
            speed(back),
            Unit::MegabytesPerSecond,
        ),
        Row::less(
            "user network, round trip",
            median(&mut times),
            Unit::Microseconds,
        ),
    ])
}

/// Takes all from the first that calls, and gives as much to the second.
fn carry(listener: &TcpListener) -> io::Result<(Duration, Duration)> {
    let (mut stream, _) = listener.accept()?;
    let start = Instant::now();
    io::copy(&mut stream, &mut io::sink())?;
    let out = start.elapsed();
    drop(stream);
    let (mut stream, _) = listener.accept()?;
    let start = Instant::now();
    let megabyte = vec![0; MEGABYTE];
    for _ in 0..MEGABYTES {
        stream.write_all(&megabyte)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // The guest closes when it has all.
    stream.read_to_end(&mut Vec::new())?;
    Ok((out, start.elapsed()))
}

fn questions(mut stream: TcpStream) -> io::Result<Vec<f64>> {
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        let start = Instant::now();
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

/// A wire of which this process holds the other end.
fn socket(program: &Program, artifacts: &Path) -> io::Result<Vec<Row>> {
    let arguments = [
        "-M",
        "virt",
        "-netdev",
        "stream,id=n0,server=on,addr.type=unix,addr.path=wire.sock",
        "-device",
        "virtio-net-pci,netdev=n0",
    ];
    let mut guest = Linux::start(program, artifacts, "Image.small", &arguments)?;
    guest.expect("@> ")?;
    guest.run("t up 192.0.2.2/24")?;
    let mut wire = Wire::new(guest.peer.stream("wire.sock")?)?;
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        let start = Instant::now();
        wire.ask(1)?;
        wire.answer()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let start = Instant::now();
    for echo in 0..ECHOES + WINDOW {
        if echo < ECHOES {
            wire.ask(ECHO)?;
        }
        if echo >= WINDOW {
            wire.answer()?;
        }
    }
    let carried = (ECHOES * ECHO) as f64 / MEGABYTE as f64;
    Ok(vec![
        Row::more(
            "socket, there and back",
            carried / start.elapsed().as_secs_f64(),
            Unit::MegabytesPerSecond,
        ),
        Row::less("socket, round trip", median(&mut times), Unit::Microseconds),
    ])
}

/// Changes told one by one, each asked about; and a flood that nobody asks about.
fn receive_filter(program: &Program, artifacts: &Path) -> io::Result<Vec<Row>> {
    let arguments = [
        "-M",
        "virt",
        "-netdev",
        "hubport,id=n0,hubid=0",
        "-device",
        "virtio-net-pci,id=net0,netdev=n0",
    ];
    let mut guest = Linux::start(program, artifacts, "Image.small", &arguments)?;
    guest.expect("@> ")?;
    guest.run("t up")?;
    let mut session = guest.peer.qmp()?;
    let start = Instant::now();
    guest.run("t churn 1000")?;
    let flood = 4126.0 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    for change in 0..CHANGES {
        session.call("{\"execute\":\"query-rx-filter\",\"arguments\":{\"name\":\"net0\"}}")?;
        let mode = if change % 2 == 0 { "on" } else { "off" };
        guest.run(&format!("t promisc {mode}"))?;
    }
    let told = CHANGES as f64 / start.elapsed().as_secs_f64();
    Ok(vec![
        Row::more("receive filter, changes", flood, Unit::PerSecond),
        Row::more("receive filter, events asked for", told, Unit::PerSecond),
    ])
}
