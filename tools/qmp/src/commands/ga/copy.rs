//! `qmp ga cat` and `qmp ga copy`: files over the agent's channel.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::json;
use tinamou_client::Client;
use tinamou_client::agent::{CHUNK, GuestFile};

use super::progress::Progress;
use crate::output::write_all;
use crate::{Error, Exit, Output};

const EXAMPLES: &str = "\
One of the two is in the guest: `guest:PATH`. Copied are the bytes, not the
owner or the mode. A file that is there is overwritten.

Examples:
  qmp ga agent.sock copy guest:/var/log/messages .
  qmp ga agent.sock copy ./setup.sh guest:/root/setup.sh";

/// What `qmp ga copy` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What is copied: FILE, or guest:FILE
    source: Place,
    /// To where: FILE, DIRECTORY, or guest:FILE
    destination: Place,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Guest(String),
    Here(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("guest:") {
            Some("") => Err("which file of the guest?".to_owned()),
            Some(path) => Ok(Self::Guest(path.to_owned())),
            None => Ok(Self::Here(PathBuf::from(text))),
        }
    }
}

/// Prints a file: its bytes as they are, or as a JSON string in pieces.
pub(super) async fn cat(client: &Client, path: &str, output: &Output) -> Result<Exit, Error> {
    let mut file = GuestFile::open(client, path, "r").await?;
    while let Some(data) = file.read().await? {
        match output.is_json() {
            true => output.value(&json!(String::from_utf8_lossy(&data)))?,
            false => write_all(&data)?,
        }
    }
    file.close().await;
    Ok(Exit::Done)
}

pub(super) async fn run(options: Options, client: &Client, output: &Output) -> Result<Exit, Error> {
    let bytes = match (options.source, options.destination) {
        (Place::Guest(from), Place::Here(to)) => pull(client, &from, &to, output).await?,
        (Place::Here(from), Place::Guest(to)) => push(client, &from, &to, output).await?,
        _ => {
            return Err(Error::usage(
                "one of the two must be in the guest: guest:FILE",
            ));
        }
    };
    if output.is_json() {
        output.value(&json!({"bytes": bytes}))?;
    }
    Ok(Exit::Done)
}

async fn pull(client: &Client, from: &str, to: &Path, output: &Output) -> Result<u64, Error> {
    let to = inside(to, from);
    let name = to.display().to_string();
    let mut file = GuestFile::open(client, from, "r").await?;
    let mut here = File::create(&to).map_err(Error::io(name.clone()))?;
    let mut progress = Progress::new(output, None);
    while let Some(data) = file.read().await? {
        here.write_all(&data).map_err(Error::io(name.clone()))?;
        progress.add(data.len());
    }
    file.close().await;
    Ok(progress.end())
}

async fn push(client: &Client, from: &Path, to: &str, output: &Output) -> Result<u64, Error> {
    let name = from.display().to_string();
    let mut here = File::open(from).map_err(Error::io(name.clone()))?;
    let total = here.metadata().ok().filter(|data| data.is_file());
    let mut progress = Progress::new(output, total.map(|data| data.len()));
    let mut file = GuestFile::open(client, to, "w").await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = here.read(&mut buffer).map_err(Error::io(name.clone()))?;
        if length == 0 {
            break;
        }
        file.write(&buffer[..length]).await?;
        progress.add(length);
    }
    file.finish().await?;
    Ok(progress.end())
}

/// The file to write: in a directory it is called as it is in the guest.
fn inside(to: &Path, from: &str) -> PathBuf {
    let name = from.rsplit(['/', '\\']).next().unwrap_or(from);
    match to.is_dir() && !matches!(name, "" | "." | "..") {
        true => to.join(name),
        false => to.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_tell_the_guest_from_here() {
        let guest = Place::Guest("/etc/fstab".to_owned());
        assert_eq!("guest:/etc/fstab".parse(), Ok(guest));
        assert_eq!("./guest:x".parse(), Ok(Place::Here("./guest:x".into())));
        assert!("guest:".parse::<Place>().is_err());
    }

    #[test]
    fn a_file_keeps_its_name_in_a_directory() {
        for (to, from, expected) in [
            ("/", "/etc/fstab", "/fstab"),
            ("/", "C:\\log.txt", "/log.txt"),
            ("/none/x", "/etc/fstab", "/none/x"),
            ("/", "/etc/..", "/"),
        ] {
            assert_eq!(inside(Path::new(to), from), Path::new(expected), "{from}");
        }
    }
}
