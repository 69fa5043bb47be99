//! Faults of a schema, shown with the line they are in.

use std::fmt;
use std::path::PathBuf;

/// What the compiler's steps return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    pub(crate) file: PathBuf,
    /// Line and column from one; a fault of the whole file has none.
    pub(crate) at: Option<(usize, usize)>,
    /// The text of that line.
    pub(crate) line: String,
    pub(crate) context: String,
    pub(crate) message: String,
}

impl Error {
    /// What is wrong, without its position.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            at,
            line,
            context,
            message,
        } = self;
        let file = file.display();
        let Some((row, column)) = at else {
            return write!(f, "{file}: {message}");
        };
        let separator = if context.is_empty() { "" } else { ": " };
        writeln!(f, "{file}:{row}:{column}: {context}{separator}{message}")?;
        let gutter = row.to_string().len();
        writeln!(f, "{row} | {line}")?;
        // Tabs before the column are kept, so that the mark stands below it.
        let before = line
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' });
        write!(f, "{:gutter$} | {}^", "", before.collect::<String>())
    }
}
