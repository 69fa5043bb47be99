//! `qmp ga cat` and `qmp ga copy`: files over the agent's channel.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::json;
use tinamou_client::Client;

use super::file::{CHUNK, GuestFile};
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
    let file = GuestFile::open(client, path, "r").await?;
    let copied = receive(&file, |data| match output.is_json() {
        true => output.value(&json!(String::from_utf8_lossy(data))),
        false => write_all(data),
    });
    let copied = copied.await;
    file.close().await;
    copied.map(|()| Exit::Done)
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
    let file = GuestFile::open(client, from, "r").await?;
    let mut progress = Progress::new(output, None);
    let copied = match File::create(&to) {
        Ok(mut here) => {
            let copied = receive(&file, |data| {
                progress.add(data.len());
                here.write_all(data).map_err(Error::io(name.clone()))
            });
            copied.await
        }
        Err(error) => Err(Error::io(name.clone())(error)),
    };
    file.close().await;
    let bytes = progress.end();
    copied.map(|()| bytes)
}

async fn push(client: &Client, from: &Path, to: &str, output: &Output) -> Result<u64, Error> {
    let name = from.display().to_string();
    let mut here = File::open(from).map_err(Error::io(name.clone()))?;
    let total = here.metadata().ok().filter(|data| data.is_file());
    let mut progress = Progress::new(output, total.map(|data| data.len()));
    let file = GuestFile::open(client, to, "w").await?;
    let copied = send(&file, &mut here, &name, &mut progress).await;
    let bytes = progress.end();
    match copied {
        Ok(()) => file.finish().await?,
        Err(error) => {
            file.close().await;
            return Err(error);
        }
    }
    Ok(bytes)
}

async fn receive(
    file: &GuestFile<'_>,
    mut take: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        let chunk = file.read().await?;
        if !chunk.data.is_empty() {
            take(&chunk.data)?;
        }
        if chunk.ended || chunk.data.is_empty() {
            return Ok(());
        }
    }
}

async fn send(
    file: &GuestFile<'_>,
    here: &mut File,
    name: &str,
    progress: &mut Progress,
) -> Result<(), Error> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = here.read(&mut buffer).map_err(Error::io(name))?;
        if length == 0 {
            return Ok(());
        }
        file.write(&buffer[..length]).await?;
        progress.add(length);
    }
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
