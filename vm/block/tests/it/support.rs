//! What several tests need.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tinamou_api::BlockdevOptions;
use tinamou_block::file::{File, Kind, Options};
use tinamou_block::{
    BlockBackend, Bond, Claim, Driver, Edge, Graph, IoError, Node, NodeOptions, Observer,
};
use tinamou_qmp::{ValueSource, Visit};

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

pub fn edge(node: &Arc<Node>) -> Edge {
    node.join("node 'above'", "file", Bond::Filtered, Claim::IDLE)
        .expect("nobody else uses it")
}

/// A graph of its own.
pub fn graph() -> Graph {
    Graph::new(
        tokio::runtime::Handle::current(),
        Arc::new(Watch::default()),
    )
}

/// Options as a client writes them.
pub fn options(text: &str) -> BlockdevOptions {
    let value = tinamou_qmp::json::parse(text.as_bytes()).expect("JSON");
    BlockdevOptions::visit(&mut ValueSource::json(value), None).expect("valid options")
}

/// Numbers without a pattern, the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit.max(1)
    }
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
    backend.insert(node).expect("nobody else uses it");
    (backend, watch)
}
