//! Killed in mid-write: what was flushed is there, and the image is whole.
//!
//! The writer is this test program again, run as [`writer`] with the image and a journal in its
//! environment. Block `hash(N)` gets the number N; the journal says up to which number all writes
//! were flushed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::qcow2::qemu_img;
use crate::support::{Random, graph, options, run};

const BLOCK: usize = 4096;
const BLOCKS: u64 = 2048;

fn block_of(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 & (BLOCKS - 1)
}

/// Not a test: it writes until it is killed.
#[test]
#[ignore = "the writer, which the tests run and kill"]
fn writer() {
    let Ok(path) = std::env::var("TINAMOU_TEST_IMAGE") else {
        return;
    };
    let journal = std::env::var("TINAMOU_TEST_JOURNAL").expect("a journal");
    let format = std::env::var("TINAMOU_TEST_FORMAT").expect("a format");
    run(async {
        let graph = graph();
        let text = format!(
            "{{'driver': '{format}', 'node-name': 'disk', 'discard': 'unmap',
               'file': {{'driver': 'file', 'filename': '{path}'}}}}"
        );
        let disk = graph.add(options(&text)).await.expect("the image opens");
        for number in 1.. {
            let mut bytes = [0; BLOCK];
            bytes[..8].copy_from_slice(&u64::to_le_bytes(number));
            bytes[BLOCK - 8..].copy_from_slice(&u64::to_le_bytes(number));
            let offset = block_of(number) * BLOCK as u64;
            disk.write(offset, &bytes).await.expect("a write");
            if number % 64 == 0 {
                disk.flush().await.expect("a flush");
                std::fs::write(format!("{journal}.new"), number.to_string()).expect("a journal");
                std::fs::rename(format!("{journal}.new"), &journal).expect("a journal");
            }
        }
    });
}

/// Lets the writer write for a while and kills it.
fn write_and_kill(image: &Path, journal: &Path, format: &str, wait: Duration) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "durability::writer", "--ignored"])
        .env("TINAMOU_TEST_IMAGE", image)
        .env("TINAMOU_TEST_JOURNAL", journal)
        .env("TINAMOU_TEST_FORMAT", format)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs");
    // Until it has flushed once, and then for a while.
    while !journal.exists() && child.try_wait().expect("a status").is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(wait);
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
}

/// The number that a block holds; both its ends say the same unless a write was torn, which can
/// only happen to one that was not flushed.
fn number(content: &[u8], block: u64) -> [u64; 2] {
    let bytes = &content[block as usize * BLOCK..][..BLOCK];
    let at = |start: usize| {
        let bytes = bytes[start..start + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    };
    [at(0), at(BLOCK - 8)]
}

fn check(format: &str, create: &[&str], rounds: usize) {
    let mut random = Random::new(rounds as u64);
    for _ in 0..rounds {
        let directory = tempfile::tempdir().expect("a directory");
        let here = directory.path();
        let size = (BLOCKS * BLOCK as u64).to_string();
        let arguments = [&["create", "-q", "-f", format], create, &["disk", &size]].concat();
        qemu_img(&arguments, here);
        let journal = here.join("journal");
        let wait = Duration::from_micros(random.below(60_000) as u64);
        write_and_kill(&here.join("disk"), &journal, format, wait);
        let flushed = std::fs::read_to_string(&journal).expect("it has flushed");
        let flushed: u64 = flushed.parse().expect("a number");
        if format == "qcow2" {
            // Clusters that were taken and not used yet are lost, no more: status 3.
            let status = Command::new("qemu-img")
                .args(["check", "-q", "-f", "qcow2", "disk"])
                .current_dir(here)
                .status()
                .expect("qemu-img runs");
            assert!(matches!(status.code(), Some(0 | 3)), "{status}");
        }
        qemu_img(
            &["convert", "-f", format, "-O", "raw", "disk", "flat"],
            here,
        );
        let content = std::fs::read(here.join("flat")).expect("a file");
        for written in (1..=flushed).rev().take(4 * BLOCKS as usize) {
            let [first, last] = number(&content, block_of(written));
            assert!(
                first >= written && last >= written,
                "{written} of {flushed}: {first} {last}"
            );
        }
    }
}

#[test]
fn flushed_writes_survive_in_qcow2() {
    check("qcow2", &[], 6);
    check("qcow2", &["-o", "cluster_size=4096"], 4);
}

#[test]
fn flushed_writes_survive_in_raw() {
    check("raw", &[], 3);
}
