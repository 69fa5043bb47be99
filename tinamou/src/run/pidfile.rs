//! `-pidfile`

use std::path::{Path, PathBuf};

use super::Failure;
use crate::commands;

/// The file with the process's id, which goes when this is dropped.
pub(super) struct Pidfile(Option<PathBuf>);

impl Pidfile {
    /// Writes the file, if one is wanted.
    pub(super) fn write(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        std::fs::write(path, format!("{}\n", std::process::id())).map_err(|error| {
            Failure(format!(
                "cannot create PID file: Cannot open pid file: {}",
                commands::machine::reason(&error)
            ))
        })?;
        // By the time it is removed the daemon is in another directory.
        Ok(Self(std::path::absolute(path).ok()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may have been removed already; there is nothing left to do.
            let _ = std::fs::remove_file(path);
        }
    }
}
