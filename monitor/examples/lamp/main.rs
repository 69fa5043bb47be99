//! A lamp with a monitor: a program that is no machine at all, with a schema
//! of its own, QMP on one socket and HMP on another.
//!
//! ```text
//! cargo run -p tinamou-monitor --example lamp
//! qmp-shell localhost:4444
//! telnet localhost 4445
//! ```

#[path = "api/lib.rs"]
#[expect(unreachable_pub, reason = "it is made for a crate of its own")]
mod api;

use api::*;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tinamou_monitor::hmp::{Command, Hmp};
use tinamou_monitor::{Call, Config, Connection, EventBus, IoThread, Mode, Monitor, Server, Table};
use tinamou_qmp::Result;
use tinamou_qmp::session::Version;
use tokio::net::TcpListener;

/// What the main loop owns.
struct Lamp {
    info: LampInfo,
    events: EventBus,
    on: bool,
}

fn query_lamp(lamp: &mut Lamp, _: &mut Call, (): ()) -> Result<LampInfo> {
    Ok(lamp.info.clone())
}

fn set_lamp(lamp: &mut Lamp, _: &mut Call, change: SetLampArguments) -> Result<Empty> {
    lamp.info.brightness = change.brightness.unwrap_or(100);
    lamp.info.colour = change.colour.unwrap_or(lamp.info.colour);
    lamp.events.emit(&LampChangedEvent {
        lamp: lamp.info.clone(),
    });
    Ok(Empty {})
}

fn quit(lamp: &mut Lamp, _: &mut Call, (): ()) -> Result<Empty> {
    lamp.on = false;
    Ok(Empty {})
}

/// The list of commands.
fn table() -> Table<Lamp> {
    let mut table = Table::new();
    table
        .main::<QueryLamp>(query_lamp)
        .main::<SetLamp>(set_lamp)
        .main::<Quit>(quit)
        .derived::<QueryCommands, _>(|names| {
            let info = |name: &&str| CommandInfo {
                name: name.to_string(),
            };
            names.iter().map(info).collect::<Vec<_>>()
        })
        .derived::<QueryQmpSchema, _>(|names| {
            let names = names.to_vec();
            SCHEMA.introspect(|entry| names.contains(&entry.name) || entry.name == "LAMP_CHANGED")
        });
    table
}

/// The same for people.
fn hmp() -> Hmp<Lamp> {
    let mut hmp = Hmp::new("Lamp monitor - type 'help' for more information");
    let lamp = Command::new("lamp", "", |lamp: &mut Lamp, console, _| {
        let LampInfo { brightness, colour } = &lamp.info;
        console.print(&format!("{} at {brightness} %\n", colour.as_str()));
        Ok(())
    });
    hmp.set_prompt("(lamp) ")
        .add_info(lamp.help("what the lamp does"));
    hmp
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let events = EventBus::new();
    let version = Version {
        micro: 0,
        minor: 1,
        major: 0,
    };
    let config = Config {
        hmp: Arc::new(hmp()),
        events: events.clone(),
        ..Config::new(table(), Arc::new(()), version)
    };
    let io = IoThread::spawn("io")?;
    let (server, mut main_loop) = Server::start(config, io.handle());
    for (address, mode) in [
        ("localhost:4444", Mode::QMP),
        ("localhost:4445", Mode::Readline),
    ] {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        io.handle()
            .spawn(accept(listener, server.monitor(address, mode)));
    }
    let mut lamp = Lamp {
        info: LampInfo {
            brightness: 0,
            colour: Colour::White,
        },
        events,
        on: true,
    };
    while lamp.on
        && let Some(job) = main_loop.recv().await
    {
        job.run(&mut lamp);
    }
    server.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// Hands every client to the monitor.
async fn accept(listener: std::net::TcpListener, monitor: Monitor<Lamp>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monitor.attach(Connection::new(stream, peer.to_string()));
    }
}
