//! What several tests need.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tinamou_block::file::{File, Kind, Options};
use tinamou_block::{BlockBackend, Driver, IoError, Node, NodeOptions, Observer};

/// Runs a test's future to its end.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// A file in a directory of its own.
pub struct Image {
    directory: TempDir,
}

impl Image {
    pub fn new(content: &[u8]) -> Self {
        let image = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        std::fs::write(image.path(), content).expect("a file");
        image
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    pub fn content(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("the file")
    }
}

pub fn file_options(path: &Path) -> Options {
    Options {
        path: path.to_owned(),
        writable: true,
        ..Options::default()
    }
}

/// A writable node on a file, with discards.
pub fn file_node(path: &Path) -> Arc<Node> {
    let file = File::open(Kind::File, &file_options(path)).expect("the file opens");
    node("file0", file)
}

pub fn node(name: &str, driver: impl Driver + 'static) -> Arc<Node> {
    let options = NodeOptions {
        unmap: true,
        ..NodeOptions::default()
    };
    Node::new(name, Box::new(driver), options)
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Watch(pub Mutex<Vec<IoError>>);

impl Observer for Watch {
    fn io_error(&self, error: &IoError) {
        self.0.lock().expect("no panic").push(error.clone());
    }
}

pub fn backend(node: &Arc<Node>) -> (Arc<BlockBackend>, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    let backend = BlockBackend::new("disk0", Arc::clone(&watch) as Arc<dyn Observer>);
    backend.set_medium(Some(Arc::clone(node)));
    (backend, watch)
}
