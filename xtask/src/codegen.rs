//! Generated code: made from `schema/`, committed, and compared here.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes the generated files; with `check`, says which are out of date.
pub fn run(root: &Path, check: bool) -> Result<(), String> {
    let schema = root.join("schema/qapi-schema.json");
    let schema = tinamou_qapi::compile(&schema).map_err(|error| error.to_string())?;
    let directory = root.join("protocol/api/src");
    let mut stale = Vec::new();
    let files = tinamou_qapi::rust(&schema, &HashSet::new());
    for (name, text) in &files {
        let path = directory.join(name);
        let text = format(text)?;
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        stale.push(path.display().to_string());
        if !check {
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    match check && !stale.is_empty() {
        true => Err(format!(
            "out of date, run `cargo xtask codegen`: {}",
            stale.join(", ")
        )),
        false => Ok(()),
    }
}

fn format(text: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("rustfmt: {error}");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = rustfmt.stdin.take().ok_or("rustfmt: no standard input")?;
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = rustfmt.wait_with_output().map_err(failed)?;
    writer
        .join()
        .map_err(|_| "rustfmt: the writer panicked")?
        .map_err(failed)?;
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|error| error.to_string()),
        false => Err("rustfmt refuses the generated code".into()),
    }
}
