//! Source files and positions in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::parser::Load;

/// A file of the schema.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn read(path: &Path, load: &Load<'_>) -> std::io::Result<Arc<Self>> {
        let text = load(path)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            text,
        }))
    }
}

/// A place in a file, and the definition it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) source: Arc<Source>,
    pub(crate) offset: usize,
    /// `command 'stop'`, once that is known; shown before messages.
    pub(crate) context: Arc<str>,
}

impl Position {
    pub(crate) fn new(source: &Arc<Source>, offset: usize) -> Self {
        Self {
            source: Arc::clone(source),
            offset,
            context: "".into(),
        }
    }

    pub(crate) fn within(&self, context: &str) -> Self {
        Self {
            context: context.into(),
            ..self.clone()
        }
    }

    /// A fault at this place.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        let text = &self.source.text;
        let offset = self.offset.min(text.len());
        let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[offset..]
            .find('\n')
            .map_or(text.len(), |length| offset + length);
        Error {
            file: self.source.path.clone(),
            at: Some((
                text[..start].matches('\n').count() + 1,
                text[start..offset].chars().count() + 1,
            )),
            line: text[start..end].to_owned(),
            context: self.context.to_string(),
            message: message.into(),
        }
    }

    /// The same as a result.
    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(self.error(message))
    }
}
