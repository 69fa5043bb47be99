//! Pictures of screens.

use crate::{Client, FdSet, Result};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A picture of a machine's first screen, or of that of the display `device`:
/// a PNG file's bytes. The server needs no directory that we share with it,
/// since it is handed a file; so the connection must be a unix socket.
///
/// # Errors
/// There is no such screen, or no unix socket.
pub async fn screenshot(client: &Client, device: Option<&str>) -> Result<Vec<u8>> {
    let (mut picture, target) = unnamed_file()?;
    let set = FdSet::new(client, vec![target.into()]).await?;
    let mut arguments = json!({"filename": set.path(), "format": "png"});
    if let Some(device) = device {
        arguments["device"] = json!(device);
    }
    client.execute("screendump", arguments).await?;
    let mut bytes = Vec::new();
    picture.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file without a name: to read from, and to write to. Two descriptors are
/// needed, because servers pick one by the access that it was opened for.
fn unnamed_file() -> io::Result<(File, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tinamou-screen-{}-{count}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut new = OpenOptions::new();
    let write = new.write(true).create_new(true).mode(0o600).open(&path)?;
    let read = File::open(&path);
    std::fs::remove_file(&path)?;
    Ok((read?, write))
}
