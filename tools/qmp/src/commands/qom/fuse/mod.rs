//! `qmp qom fuse`: the object tree as a file system.

mod nodes;
mod objects;
mod serve;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use fuser::{Config, MountOption, Session, SessionUnmounter};
use serde_json::json;
use tinamou_client::Address;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::{Error, Exit, Global, Output, connect, watch};
use objects::Remote;
use serve::Served;

/// How many requests of the kernel are served at a time: one that waits for
/// the server holds up no other.
const THREADS: usize = 4;

/// How long the last requests have, once nobody can make new ones.
const LAST: Duration = Duration::from_secs(1);

/// What `qmp qom fuse` takes.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// An empty directory
    #[arg(value_name = "MOUNTPOINT")]
    mountpoint: PathBuf,
}

/// Why the file system is taken down.
enum End {
    /// A signal came, or somebody unmounted it.
    Wanted,
    /// The server ended.
    Server(Exit),
}

pub(super) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let client = connect::connect(&options.address, global).await?;
    let (place, name) = (options.mountpoint, options.address.to_string());
    let shown = place.display().to_string();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("signals"))?;

    let served = Served::new(Remote::new(client.clone(), Handle::current()));
    let session = mount(served, place.clone(), &name).await;
    let mut session = session.map_err(Error::io(shown.clone()))?;
    match output.is_json() {
        true => output.line(&json!({"mountpoint": shown}).to_string())?,
        false => output.note(&format!("{name} is mounted at {shown}")),
    }
    let unmounter = session.unmount_callable();
    let (ended, mut serving) = oneshot::channel();
    // A thread of its own: the runtime would wait for one of its pool.
    thread::spawn(move || ended.send(session.run()));

    let end = tokio::select! {
        ended = &mut serving => {
            ended.unwrap_or(Ok(())).map_err(Error::io(shown))?;
            return Ok(Exit::Done);
        }
        _ = interrupt.recv() => End::Wanted,
        _ = terminate.recv() => End::Wanted,
        closed = client.closed() => End::Server(watch::exit_of(&closed)),
    };
    // The runtime must go on while the last requests are answered.
    let unmounted = spawn_blocking(move || unmount(unmounter, &place)).await;
    joined(unmounted).map_err(Error::io(shown))?;
    // Who still has files open loses them when this process ends.
    let _ = timeout(LAST, serving).await;
    Ok(match end {
        End::Wanted => Exit::Done,
        End::Server(exit) => exit,
    })
}

async fn mount(
    served: Served<Remote>,
    place: PathBuf,
    name: &str,
) -> io::Result<Session<Served<Remote>>> {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(name.replace(',', ";")),
        MountOption::Subtype("qom".to_owned()),
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoExec,
    ];
    config.n_threads = Some(THREADS);
    joined(spawn_blocking(move || Session::new(served, place, &config)).await)
}

/// Unmounts; what is in use is detached, so that nobody else finds it.
fn unmount(mut unmounter: SessionUnmounter, place: &Path) -> io::Result<()> {
    match unmounter.unmount() {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => detach(place),
        unmounted => unmounted,
    }
}

fn detach(place: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(
        place,
        rustix::mount::UnmountFlags::DETACH,
    )?)
}

fn joined<T>(result: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    result.map_err(io::Error::other)?
}
