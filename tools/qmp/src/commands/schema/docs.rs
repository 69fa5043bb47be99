//! `qmp schema docs` and `qmp schema rust`: files made from a schema.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::source::Source;
use crate::{Error, Exit, Global, output};

/// What `qmp schema docs` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// Where the schema comes from
    source: Source,
    /// Write files into this directory, not all text to standard output
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// What `qmp schema rust` takes.
#[derive(Args, Debug)]
pub struct RustOptions {
    /// Where the schema comes from
    source: Source,
    /// The directory of the crate; its name is the crate's
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) async fn run(options: Options, global: &Global) -> Result<Exit, Error> {
    let interface = options.source.load(global).await?;
    let pages = tinamou_qapi::docs(&interface.schema, &HashSet::new());
    match options.output {
        Some(directory) => write(&directory, pages)?,
        None => {
            for (_, text) in pages {
                output::write_all(text.as_bytes())?;
            }
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn rust(options: RustOptions, global: &Global) -> Result<Exit, Error> {
    let interface = options.source.load(global).await?;
    let directory = options.directory;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let files = tinamou_qapi::client_crate(&interface.schema, &HashSet::new(), &name);
    write(&directory, files.map_err(Error::io("rustfmt"))?)?;
    Ok(Exit::Done)
}

fn write(directory: &Path, files: Vec<(String, String)>) -> Result<(), Error> {
    for (name, text) in files {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(Error::io(parent.display().to_string()))?;
        fs::write(&path, text).map_err(Error::io(path.display().to_string()))?;
    }
    Ok(())
}
