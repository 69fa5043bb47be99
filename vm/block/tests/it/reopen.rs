//! Other options for nodes in use, and other nodes below them.

use std::path::Path;
use std::sync::Arc;

use tinamou_block::{Graph, Node};

use crate::qcow2::qemu_img;
use crate::support::{Image, graph, options, run};

async fn add(graph: &Graph, text: &str) -> Arc<Node> {
    graph.add(options(text)).await.expect("a node")
}

async fn reopen(graph: &Graph, texts: &[&str]) -> String {
    let all = texts.iter().map(|text| options(text)).collect();
    match graph.reopen(all).await {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

async fn first(node: &Node) -> u8 {
    let mut byte = [0];
    node.read(0, &mut byte).await.expect("a read");
    byte[0]
}

/// A raw image, one that nobody has written to and one over the first.
struct Images {
    a: Image,
    b: Image,
    top: Image,
}

impl Images {
    fn new() -> Self {
        let (a, b) = (Image::new(&[b'a'; 4096]), Image::new(&[b'b'; 4096]));
        let top = Image::new(&[]);
        let (below, path) = (a.path(), top.path());
        let create = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b"];
        let below = below.to_str().expect("a path");
        let path = path.to_str().expect("a path");
        qemu_img(&[&create[..], &[below, path]].concat(), Path::new("."));
        Self { a, b, top }
    }

    async fn open(&self) -> (Graph, Arc<Node>) {
        let graph = graph();
        for (name, image) in [("a", &self.a), ("b", &self.b), ("f", &self.top)] {
            let path = image.path();
            let path = path.display();
            let node = format!("{{'driver':'file','node-name':'{name}','filename':'{path}'}}");
            add(&graph, &node).await;
        }
        let top = "{'driver':'qcow2','node-name':'top','file':'f','backing':'a'}";
        let top = add(&graph, top).await;
        (graph, top)
    }
}

fn top(rest: &str) -> String {
    format!("{{'driver':'qcow2','node-name':'top','file':'f'{rest}}}")
}

#[test]
fn another_image_is_behind() {
    let images = Images::new();
    run(async {
        let (graph, node) = images.open().await;
        assert_eq!(first(&node).await, b'a');
        node.write(1024, &[b'w'; 512]).await.expect("a write");
        for (rest, refusal, shown) in [
            (",'backing':'b'", "", b'b'),
            (",'backing':null", "", 0),
            ("", "backing is missing for 'top'", 0),
            (
                ",'backing':'nope'",
                "Cannot find device='' nor node-name='nope'",
                0,
            ),
            (
                ",'backing':'top'",
                "Making 'top' a backing child of 'top' would create a cycle",
                0,
            ),
            (
                ",'backing':{'driver':'null-co'}",
                "Cannot change the option 'backing.driver'",
                0,
            ),
            (",'backing':'a','read-only':true", "", b'a'),
            (",'backing':'b'", "", b'b'),
        ] {
            assert_eq!(reopen(&graph, &[&top(rest)]).await, refusal, "{rest}");
            // What is behind a cluster that was written to in part was copied with it.
            let mut bytes = [0; 512];
            node.read(1024, &mut bytes).await.expect("a read");
            assert_eq!(bytes, [b'w'; 512], "{rest}");
            assert_eq!(node.children().len(), if shown == 0 { 1 } else { 2 });
        }
        graph.close().await;
    });
    let path = images.top.path();
    qemu_img(
        &["check", "-q", path.to_str().expect("a path")],
        Path::new("."),
    );
}

#[test]
fn what_is_not_written_is_read_from_there() {
    let images = Images::new();
    run(async {
        let (graph, node) = images.open().await;
        for (rest, shown) in [(",'backing':'b'", b'b'), (",'backing':null", 0)] {
            assert_eq!(reopen(&graph, &[&top(rest)]).await, "");
            assert_eq!(first(&node).await, shown, "{rest}");
        }
    });
}

#[test]
fn a_filter_comes_between() {
    let images = Images::new();
    run(async {
        let (graph, node) = images.open().await;
        node.write(0, &[b'w'; 4096]).await.expect("a write");
        add(&graph, "{'driver':'blkdebug','node-name':'d','image':'f'}").await;
        let through = "{'driver':'qcow2','node-name':'top','file':'d','backing':'a'}";
        assert_eq!(reopen(&graph, &[through]).await, "");
        assert_eq!(node.children()[0].1.name(), "d");
        assert_eq!(first(&node).await, b'w');
        node.write(0, &[b'x'; 4096]).await.expect("a write");
        assert_eq!(reopen(&graph, &[&top(",'backing':'a'")]).await, "");
        assert_eq!(first(&node).await, b'x');
        graph.delete("d").await.expect("nobody uses it");
        // The file is the image's alone again.
        let second = "{'driver':'qcow2','node-name':'top2','file':'f','backing':null}";
        let refused = graph.add(options(second)).await;
        assert!(refused.is_err(), "two images in one file");
    });
}

#[test]
fn all_nodes_change_or_none() {
    let images = Images::new();
    run(async {
        let (graph, node) = images.open().await;
        let raw = |file: &str, rest: &str| {
            format!("{{'driver':'raw','node-name':'r','file':'{file}'{rest}}}")
        };
        let other = add(&graph, &raw("b", "")).await;
        let (to_b, far) = (top(",'backing':'b'"), raw("a", ",'offset':8192"));
        assert_eq!(
            reopen(&graph, &[&to_b, &far]).await,
            "Offset (8192) cannot be greater than size of the containing file (4096)"
        );
        assert_eq!((first(&node).await, first(&other).await), (b'a', b'b'));
        let to_a = raw("a", "");
        assert_eq!(reopen(&graph, &[&to_b, &to_a]).await, "");
        assert_eq!((first(&node).await, first(&other).await), (b'b', b'a'));
    });
}
