//! `nbd` against `qemu-nbd`.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tinamou_block::{Graph, Node, Zeroes};

use crate::support::{graph, options, run};

/// A server that ends with the test.
struct Server(Child);

impl Server {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("socket");
        // The one before may have left it.
        let _ = std::fs::remove_file(&socket);
        let child = Command::new("qemu-nbd")
            .arg("-k")
            .arg(&socket)
            .args(["-f", "raw", "-t", "-x", "disk", "--discard=unmap", "image"])
            .current_dir(directory)
            .args(["--detect-zeroes=off"])
            .stderr(Stdio::null())
            .spawn()
            .expect("qemu-nbd runs");
        // The socket is there a moment before anybody listens.
        while UnixStream::connect(&socket).is_err() {
            std::thread::sleep(Duration::from_millis(2));
        }
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn open(graph: &Graph, directory: &Path, export: &str) -> tinamou_block::Result<Arc<Node>> {
    let socket = directory.join("socket");
    let text = format!(
        "{{'driver': 'nbd', 'node-name': 'disk', 'discard': 'unmap', 'export': '{export}',
           'open-timeout': 5, 'server': {{'type': 'unix', 'path': '{}'}}}}",
        socket.display()
    );
    graph.add(options(&text)).await
}

#[test]
fn a_server_is_read_and_written_and_comes_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    std::fs::write(here.join("image"), vec![7; 4 << 20]).expect("an image");
    let server = Server::start(here);
    run(async {
        let graph = graph();
        let disk = open(&graph, here, "disk")
            .await
            .expect("the server answers");
        assert_eq!(disk.size(), 4 << 20);
        disk.write(1000, &[1; 3 << 20])
            .await
            .expect("a large write");
        disk.write_zeroes(8192..16384, Zeroes { unmap: true })
            .await
            .expect("zeros");
        disk.discard(65_536..131_072).await.expect("a discard");
        disk.flush().await.expect("a flush");
        let mut bytes = vec![0; 4 << 20];
        disk.read(0, &mut bytes).await.expect("a large read");
        assert_eq!(
            [bytes[999], bytes[1000], bytes[8192], bytes[16_384]],
            [7, 1, 0, 1]
        );
        assert_eq!([bytes[(3 << 20) + 999], bytes[(3 << 20) + 1000]], [1, 7]);
        drop(server);
        assert!(
            disk.read(0, &mut bytes[..512]).await.is_err(),
            "the server is gone"
        );
        let _server = Server::start(here);
        disk.read(0, &mut bytes[..512]).await.expect("it is back");
    });
}

#[test]
fn a_server_without_the_disk_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    std::fs::write(here.join("image"), vec![7; 1 << 20]).expect("an image");
    let _server = Server::start(here);
    run(async {
        let graph = graph();
        let socket = here.join("socket");
        let text = format!(
            "{{'driver': 'nbd', 'node-name': 'disk', 'export': 'other',
               'server': {{'type': 'unix', 'path': '{}'}}}}",
            socket.display()
        );
        let refused = graph.add(options(&text)).await.expect_err("no such disk");
        assert_eq!(refused.to_string(), "Requested export not available");
    });
}
