//! Images that lie: the read fails or gives anything, and nothing else happens.

use std::path::Path;
use std::time::Duration;

use tinamou_block::Zeroes;

use crate::qcow2::qemu_img;
use crate::support::{Random, graph, options, run};

#[path = "../../../../fuzz/targets/qcow2.rs"]
mod target;

/// A small image with data, a packed cluster and a snapshot.
fn image(directory: &Path) -> Vec<u8> {
    let flat: Vec<u8> = (0..64 << 10).map(|index: u32| (index >> 9) as u8).collect();
    std::fs::write(directory.join("flat"), flat).expect("a file");
    let small = ["-o", "cluster_size=512"];
    let convert = [
        &["convert", "-c", "-f", "raw", "-O", "qcow2"],
        &small[..],
        &["flat", "disk"],
    ];
    qemu_img(&convert.concat(), directory);
    qemu_img(&["snapshot", "-c", "before", "disk"], directory);
    std::fs::read(directory.join("disk")).expect("a file")
}

#[test]
fn damaged_images_harm_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = image(directory.path());
    let mut random = Random::new(99);
    for round in 0..400 {
        let mut image = whole.clone();
        for _ in 0..random.below(8) + 1 {
            // Tables and headers are at the beginning.
            let limit = if round % 2 == 0 { 4096 } else { image.len() };
            let place = random.below(limit);
            image[place] = random.below(256) as u8;
        }
        target::run(&image);
    }
}

#[test]
fn the_corpus_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/qcow2");
    let mut inputs = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        target::run(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 5, "the corpus has gone");
}

#[test]
fn an_image_behind_itself_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    qemu_img(&["create", "-q", "-f", "qcow2", "a", "1M"], here);
    qemu_img(
        &["create", "-q", "-f", "qcow2", "-b", "a", "-F", "qcow2", "b"],
        here,
    );
    qemu_img(
        &["rebase", "-u", "-f", "qcow2", "-b", "b", "-F", "qcow2", "a"],
        here,
    );
    run(async {
        let graph = graph();
        let path = here.join("a");
        let text = format!(
            "{{'driver': 'qcow2', 'node-name': 'disk', 'read-only': true,
               'file': {{'driver': 'file', 'filename': '{}'}}}}",
            path.display()
        );
        let opened = graph.add(options(&text));
        let opened = tokio::time::timeout(Duration::from_secs(10), opened).await;
        let error = opened.expect("an answer").expect_err("a loop").to_string();
        assert!(error.contains("is behind itself"), "{error}");
        assert!(graph.nodes().is_empty());
    });
}

#[test]
fn a_write_that_fails_half_way_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    qemu_img(
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            "cluster_size=4096",
            "disk",
            "1M",
        ],
        here,
    );
    run(async {
        let graph = graph();
        let text = format!(
            "{{'driver': 'qcow2', 'node-name': 'disk', 'discard': 'unmap', 'file': {{
                'driver': 'blkdebug',
                'inject-error': [
                    {{'event': 'write_aio', 'sector': 160, 'errno': 28, 'once': true}},
                    {{'event': 'write_aio', 'sector': 240, 'errno': 5}}],
                'image': {{'driver': 'file', 'filename': '{}'}}}}}}",
            here.join("disk").display()
        );
        let disk = graph.add(options(&text)).await.expect("the image opens");
        let mut model = vec![0; 1 << 20];
        let mut failures = 0;
        for cluster in 0..64 {
            let (start, byte) = (cluster * 4096, cluster as u8 + 1);
            match disk.write(start as u64, &[byte; 4096]).await {
                Ok(()) => model[start..start + 4096].fill(byte),
                Err(_) => failures += 1,
            }
        }
        assert!(failures > 0, "the errors were met");
        let mut bytes = vec![1; 1 << 20];
        disk.read(0, &mut bytes).await.expect("a read");
        assert!(bytes == model);
        disk.write_zeroes(0..8192, Zeroes { unmap: true })
            .await
            .expect("zeros");
        let _ = disk.flush().await;
        drop(disk);
        let _ = graph.delete("disk").await;
    });
    // Space may be lost, no more.
    let checked = std::process::Command::new("qemu-img")
        .args(["check", "-q", "disk"])
        .current_dir(here)
        .status()
        .expect("qemu-img runs");
    assert!(matches!(checked.code(), Some(0 | 3)), "{checked}");
}
