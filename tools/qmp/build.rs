//! Packs `schema/` for [`known`](src/known.rs): what commands mean is read
//! from the schema itself, a quarter of its size.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;

fn main() -> io::Result<()> {
    let directory = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../../schema");
    println!("cargo::rerun-if-changed={}", directory.display());
    let out = PathBuf::from(variable("OUT_DIR")).join("schema.z");
    let mut out = ZlibEncoder::new(File::create(out)?, Compression::best());
    pack(&directory, "", &mut out)?;
    pack(&directory.join("qga"), "qga/", &mut out)?;
    out.finish().map(drop)
}

/// Writes each file as its name, its length and its text.
fn pack(directory: &Path, prefix: &str, out: &mut impl Write) -> io::Result<()> {
    let entries = fs::read_dir(directory)?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| name.ends_with(".json"));
    names.sort();
    for name in names {
        let text = fs::read_to_string(directory.join(&name))?;
        write!(out, "{prefix}{name} {}\n{text}", text.len())?;
    }
    Ok(())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}
