//! The rows of devices, as a Linux guest drives them.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::linux::{self, Linux};
use crate::peer::{Program, Session};
use crate::table::{Row, Unit, median};

/// How often something is plugged in; the median counts.
const TIMES: usize = 3;

/// Measures every row of devices for one program.
pub fn measure(program: &Program) -> io::Result<Vec<Row>> {
    let Some(artifacts) = linux::artifacts() else {
        eprintln!("TINAMOU_GUEST is not set: devices are not measured");
        return Ok(Vec::new());
    };
    let mut rows = vec![hot_plug(program, &artifacts)?];
    rows.extend(balloon(program, &artifacts)?);
    Ok(rows)
}

/// From `device_add` to the driver that is bound, by the kernel's pciehp and MSI-X.
fn hot_plug(program: &Program, artifacts: &Path) -> io::Result<Row> {
    let ports: Vec<String> = (0..TIMES)
        .map(|slot| format!("pcie-root-port,id=port{slot},chassis={slot},slot={slot}"))
        .collect();
    let mut arguments = vec!["-M", "virt,aia=aplic-imsic"];
    arguments.extend(ports.iter().flat_map(|port| ["-device", port]));
    let mut guest = Linux::start(program, artifacts, "Image.small", &arguments)?;
    guest.expect("@> ")?;
    let mut session = guest.peer.qmp()?;
    let mut times = Vec::new();
    for slot in 0..TIMES {
        let start = Instant::now();
        session.call(&format!(
            "{{\"execute\":\"device_add\",\"arguments\":\
             {{\"driver\":\"virtio-rng-pci\",\"bus\":\"port{slot}\"}}}}"
        ))?;
        let count = slot + 1;
        guest.run(&format!(
            "t until sh -c '[ $(t drivers | grep -c virtio_rng) = {count} ]'"
        ))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let time = median(&mut times);
    Ok(Row::less(
        "device_add to driver bound",
        time,
        Unit::Milliseconds,
    ))
}

/// Memory that the host gets back from a guest that has used it.
fn balloon(program: &Program, artifacts: &Path) -> io::Result<[Row; 2]> {
    const TARGET: u64 = 192 << 20;
    let arguments = ["-M", "virt", "-device", "virtio-balloon-pci"];
    let mut guest = Linux::start(program, artifacts, "Image.small", &arguments)?;
    guest.expect("@> ")?;
    guest.run("t touch 350")?;
    let mut session = guest.peer.qmp()?;
    let start = Instant::now();
    session.call(&format!(
        "{{\"execute\":\"balloon\",\"arguments\":{{\"value\":{TARGET}}}}}"
    ))?;
    wait_for_balloon(&mut session, TARGET)?;
    let megabytes = guest.peer.resident()? as f64 / 1e6;
    let time = start.elapsed().as_secs_f64();
    Ok([
        Row::less("memory after 512 to 192 MiB", megabytes, Unit::Megabytes),
        Row::less("time that the balloon took", time, Unit::Seconds),
    ])
}

fn wait_for_balloon(session: &mut Session, target: u64) -> io::Result<()> {
    let target = target.to_string();
    loop {
        session.call("{\"execute\":\"query-balloon\"}")?;
        if session.says(&target) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
