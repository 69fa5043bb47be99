//! What the device offers: numbered items, and files, which are items with names.

use std::collections::BTreeMap;

use super::spec::{self, FILES_MAX, NAME_SIZE, key};

/// Why a file cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is one of that name.
    #[error("duplicate fw_cfg file name: {0}")]
    Duplicate(String),
    /// The name does not fit into the directory.
    #[error("name too long (max. {} char)", NAME_SIZE - 1)]
    NameTooLong,
    /// The directory is full.
    #[error("no room for more than {FILES_MAX} files")]
    TooMany,
}

/// All items. Files are numbered in the order of their names.
#[derive(Debug)]
pub(super) struct Items {
    numbered: BTreeMap<u16, Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Items {
    /// What every machine offers.
    pub(super) fn new() -> Self {
        let mut items = Self {
            numbered: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        items.set(key::SIGNATURE, spec::SIGNATURE.into());
        items.set(key::ID, spec::FEATURES.to_le_bytes().into());
        items.list_files();
        items
    }

    pub(super) fn set(&mut self, key: u16, content: Vec<u8>) {
        self.numbered.insert(key, content);
    }

    pub(super) fn add_file(&mut self, name: &str, content: Vec<u8>) -> Result<(), Error> {
        if name.len() >= NAME_SIZE {
            return Err(Error::NameTooLong);
        }
        if self.files.contains_key(name) {
            return Err(Error::Duplicate(name.to_owned()));
        }
        if self.files.len() == FILES_MAX {
            return Err(Error::TooMany);
        }
        self.files.insert(name.to_owned(), content);
        self.list_files();
        Ok(())
    }

    /// Gives a file other content.
    pub(super) fn replace_file(&mut self, name: &str, content: Vec<u8>) {
        if let Some(file) = self.files.get_mut(name) {
            *file = content;
            self.list_files();
        }
    }

    /// What a selector stands for; nothing is written, and no architecture has items here.
    pub(super) fn find(&self, selector: u16) -> Option<&[u8]> {
        if selector & spec::ARCHITECTURE != 0 {
            return None;
        }
        let key = selector & !spec::WRITE_CHANNEL;
        let content = match key.checked_sub(key::FILE_FIRST) {
            Some(number) => self.files.values().nth(number.into()),
            None => self.numbered.get(&key),
        };
        content.map(Vec::as_slice)
    }

    fn list_files(&mut self) {
        let count = self.files.len() as u32;
        let mut directory = vec![0; 4 + FILES_MAX * (8 + NAME_SIZE)];
        let (head, entries) = directory.split_at_mut(4);
        head.copy_from_slice(&count.to_be_bytes());
        let entries = entries.chunks_exact_mut(8 + NAME_SIZE);
        for ((key, (name, content)), entry) in (key::FILE_FIRST..).zip(&self.files).zip(entries) {
            entry[..4].copy_from_slice(&(content.len() as u32).to_be_bytes());
            entry[4..6].copy_from_slice(&key.to_be_bytes());
            entry[8..8 + name.len()].copy_from_slice(name.as_bytes());
        }
        self.set(key::FILE_DIR, directory);
    }
}
