//! Formatting with `rustfmt`, which is found on the path.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// Formats Rust source.
///
/// # Errors
/// `rustfmt` cannot be run, or refuses the source.
pub fn format(text: &str) -> io::Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("rustfmt: {error}")))?;
    let stdin = rustfmt.stdin.take();
    // Written from another thread, so that neither pipe can block the other.
    let output = std::thread::scope(|scope| {
        let writer = scope.spawn(move || match stdin {
            Some(mut stdin) => stdin.write_all(text.as_bytes()),
            None => Ok(()),
        });
        let output = rustfmt.wait_with_output();
        let written = writer.join().unwrap_or(Ok(()));
        written.and(output)
    })?;
    if !output.status.success() {
        return Err(io::Error::other("rustfmt refuses the generated code"));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
