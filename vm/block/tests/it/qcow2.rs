//! `qcow2` against a model in memory, with `qemu-img` as the judge of what is on the disk.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tinamou_block::{Graph, Node, Zeroes};

use crate::support::{Random, graph, options, run};

const SIZE: usize = 3 << 20;

/// Runs `qemu-img` and returns what it printed.
pub fn qemu_img(arguments: &[&str], directory: &Path) -> String {
    let output = Command::new("qemu-img")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("qemu-img runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

/// Opens an image by its path.
async fn open(graph: &Graph, path: &Path) -> Arc<Node> {
    let path = path.to_str().expect("a path in UTF-8");
    let text = format!(
        "{{'driver': 'qcow2', 'node-name': 'disk', 'discard': 'unmap',
           'file': {{'driver': 'file', 'filename': '{path}'}}}}"
    );
    graph.add(options(&text)).await.expect("the image opens")
}

async fn step(random: &mut Random, disk: &Node, model: &mut [u8]) {
    let start = random.below(model.len());
    let longest = if random.below(4) == 0 { 400_000 } else { 9000 };
    let length = random.below(longest.min(model.len() - start)) + 1;
    let length = length.min(model.len() - start);
    let range = start as u64..(start + length) as u64;
    match random.below(10) {
        0 => {
            let how = Zeroes {
                unmap: random.below(2) == 0,
            };
            disk.write_zeroes(range, how).await.expect("zeros");
            model[start..start + length].fill(0);
        }
        1 => {
            disk.discard(range.clone()).await.expect("a discard");
            // What was discarded is undefined; find out what it is.
            let mut now = vec![0; length];
            disk.read(range.start, &mut now).await.expect("a read");
            for (old, new) in model[start..start + length].iter_mut().zip(now) {
                assert!(*old == new || new == 0);
                *old = new;
            }
        }
        2 => disk.flush().await.expect("a flush"),
        3..6 => {
            let mut bytes = vec![1; length];
            disk.read(range.start, &mut bytes).await.expect("a read");
            assert!(bytes == model[start..start + length], "{range:?}");
        }
        _ => {
            let byte = random.below(255) as u8 + 1;
            let bytes = vec![byte; length];
            disk.write(range.start, &bytes).await.expect("a write");
            model[start..start + length].fill(byte);
        }
    }
}

/// Makes an image, works on it, and lets `qemu-img` look at it.
fn check(create: &[&str], backing: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let mut model = vec![0; SIZE];
    let mut arguments = vec!["create", "-q", "-f", "qcow2"];
    if backing {
        model[..SIZE / 2].fill(7);
        std::fs::write(here.join("base"), &model[..SIZE / 2]).expect("a file");
        arguments.extend(["-b", "base", "-F", "raw"]);
    }
    arguments.extend(create);
    let size = SIZE.to_string();
    arguments.extend(["disk.qcow2", &size]);
    qemu_img(&arguments, here);
    let mut random = Random::new(create.len() as u64 + 1);
    run(async {
        let graph = graph();
        let disk = open(&graph, &here.join("disk.qcow2")).await;
        assert_eq!(disk.size(), SIZE as u64);
        for _ in 0..300 {
            step(&mut random, &disk, &mut model).await;
        }
        drop(disk);
        graph.delete("disk").await.expect("nobody uses it");
    });
    qemu_img(&["check", "-f", "qcow2", "disk.qcow2"], here);
    qemu_img(
        &["convert", "-f", "qcow2", "-O", "raw", "disk.qcow2", "flat"],
        here,
    );
    let flat = std::fs::read(here.join("flat")).expect("a file");
    let wrong = flat
        .iter()
        .zip(&model)
        .position(|(is, should)| is != should);
    assert_eq!((flat.len(), wrong), (SIZE, None), "{create:?}");
}

#[test]
fn as_qemu_makes_them() {
    check(&[], false);
}

#[test]
fn over_another_image() {
    check(&[], true);
}

#[test]
fn with_small_clusters() {
    check(&["-o", "cluster_size=512"], false);
    check(&["-o", "cluster_size=4096"], true);
}

#[test]
fn with_large_clusters() {
    check(&["-o", "cluster_size=2M"], true);
}

#[test]
fn of_version_2() {
    check(&["-o", "compat=0.10"], false);
    check(&["-o", "compat=0.10,cluster_size=4096"], true);
}

#[test]
fn with_other_reference_counts() {
    for bits in ["1", "2", "8", "32", "64"] {
        let options = format!("refcount_bits={bits},cluster_size=1024");
        check(&["-o", &options], false);
    }
}

#[test]
fn preallocated() {
    check(&["-o", "preallocation=metadata"], false);
}

#[test]
fn packed_clusters_are_read_and_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let mut model: Vec<u8> = (0..SIZE).map(|index| (index / 1000) as u8).collect();
    std::fs::write(here.join("flat"), &model).expect("a file");
    qemu_img(
        &[
            "convert",
            "-c",
            "-f",
            "raw",
            "-O",
            "qcow2",
            "flat",
            "disk.qcow2",
        ],
        here,
    );
    let mut random = Random::new(5);
    run(async {
        let graph = graph();
        let disk = open(&graph, &here.join("disk.qcow2")).await;
        for _ in 0..200 {
            step(&mut random, &disk, &mut model).await;
        }
        drop(disk);
        graph.delete("disk").await.expect("nobody uses it");
    });
    qemu_img(&["check", "disk.qcow2"], here);
    qemu_img(&["convert", "-O", "raw", "disk.qcow2", "flat"], here);
    assert!(std::fs::read(here.join("flat")).expect("a file") == model);
}

#[test]
fn snapshots_stay_as_they_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let mut model = vec![3; SIZE];
    std::fs::write(here.join("flat"), &model).expect("a file");
    qemu_img(
        &["convert", "-f", "raw", "-O", "qcow2", "flat", "disk.qcow2"],
        here,
    );
    qemu_img(&["snapshot", "-c", "before", "disk.qcow2"], here);
    let mut random = Random::new(6);
    run(async {
        let graph = graph();
        let disk = open(&graph, &here.join("disk.qcow2")).await;
        for _ in 0..200 {
            step(&mut random, &disk, &mut model).await;
        }
        drop(disk);
        graph.delete("disk").await.expect("nobody uses it");
    });
    qemu_img(&["check", "disk.qcow2"], here);
    qemu_img(&["convert", "-O", "raw", "disk.qcow2", "now"], here);
    assert!(std::fs::read(here.join("now")).expect("a file") == model);
    qemu_img(&["snapshot", "-a", "before", "disk.qcow2"], here);
    qemu_img(&["convert", "-O", "raw", "disk.qcow2", "then"], here);
    assert!(std::fs::read(here.join("then")).expect("a file") == vec![3; SIZE]);
}

#[test]
fn sizes_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    std::fs::write(here.join("base"), vec![7; 2 << 20]).expect("a file");
    let create = ["create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw"];
    let arguments = [&create[..], &["-o", "cluster_size=512", "disk.qcow2", "1M"]].concat();
    qemu_img(&arguments, here);
    run(async {
        let graph = graph();
        let disk = open(&graph, &here.join("disk.qcow2")).await;
        disk.resize(4 << 20).await.expect("to grow");
        assert_eq!(disk.size(), 4 << 20);
        let mut bytes = vec![1; 4 << 20];
        disk.read(0, &mut bytes).await.expect("a read");
        assert!(bytes[..1 << 20].iter().all(|byte| *byte == 7));
        assert!(
            bytes[1 << 20..].iter().all(|byte| *byte == 0),
            "what is behind stays hidden"
        );
        disk.write((4 << 20) - 512, &[9; 512])
            .await
            .expect("a write at the new end");
        disk.resize(1 << 20).await.expect("to shrink");
        disk.resize(4 << 20).await.expect("to grow again");
        disk.read(0, &mut bytes).await.expect("a read");
        assert!(bytes[1 << 20..].iter().all(|byte| *byte == 0));
        drop(disk);
        graph.delete("disk").await.expect("nobody uses it");
    });
    qemu_img(&["check", "disk.qcow2"], here);
}

#[test]
fn many_requests_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    qemu_img(&["create", "-q", "-f", "qcow2", "disk.qcow2", "64M"], here);
    run(async {
        let graph = graph();
        let disk = open(&graph, &here.join("disk.qcow2")).await;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..64_u64 {
            let disk = Arc::clone(&disk);
            tasks.spawn(async move {
                for round in 0..16 {
                    // Neighbours share clusters.
                    let offset = (round * 64 + task) * 4096;
                    disk.write(offset, &[task as u8 + 1; 4096])
                        .await
                        .expect("a write");
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
        disk.flush().await.expect("a flush");
        let mut bytes = vec![0; 16 * 64 * 4096];
        disk.read(0, &mut bytes).await.expect("a read");
        let wrong = bytes
            .iter()
            .enumerate()
            .find(|(index, byte)| usize::from(**byte) != index / 4096 % 64 + 1);
        assert_eq!(wrong, None);
        drop(disk);
        graph.delete("disk").await.expect("nobody uses it");
    });
    qemu_img(&["check", "disk.qcow2"], here);
}
