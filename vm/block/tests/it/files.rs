//! `file`, `raw` and `null-co`.

use std::time::Duration;

use tinamou_block::file::{File, Kind};
use tinamou_block::null::{Flavour, Null};
use tinamou_block::raw::Raw;
use tinamou_block::{Node, NodeOptions, Specific, Zeroes};

use crate::support::{Image, backend, edge, file_node, file_options, node, run};

const SECTOR: usize = 512;

#[test]
fn bytes_come_back() {
    for direct in [false, true] {
        let image = Image::new(&[7; 16 * SECTOR]);
        let mut options = file_options(&image.path());
        options.direct = direct;
        // Not every file system can be read past its cache.
        let Ok(file) = File::open(Kind::File, &options) else {
            assert!(direct, "a plain file opens");
            continue;
        };
        run(async {
            let disk = node("disk", file);
            assert_eq!(disk.size(), 16 * SECTOR as u64);
            disk.write(1000, &[1, 2, 3]).await.expect("a write");
            let mut bytes = [0; 5];
            disk.read(999, &mut bytes).await.expect("a read");
            assert_eq!(bytes, [7, 1, 2, 3, 7], "direct={direct}");
            disk.flush().await.expect("a flush");
        });
        assert_eq!(image.content().len(), 16 * SECTOR);
    }
}

#[test]
fn a_torn_sector_is_filled_with_zeros() {
    let image = Image::new(&[9; 700]);
    run(async {
        let disk = file_node(&image.path());
        assert_eq!(disk.size(), 1024);
        let mut bytes = [1; 512];
        disk.read(512, &mut bytes).await.expect("a read");
        assert!(bytes[..188].iter().all(|byte| *byte == 9));
        assert!(bytes[188..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn ranges_outside_of_the_disk_are_errors() {
    let image = Image::new(&[0; SECTOR]);
    run(async {
        let disk = node("disk", Raw::new(edge(&file_node(&image.path()))));
        let (disk, _) = backend(&disk);
        let mut bytes = [0; 2];
        assert!(disk.read(511, &mut bytes).await.is_err());
        assert!(disk.read(u64::MAX, &mut bytes).await.is_err());
        assert!(disk.write(u64::MAX - 1, &bytes).await.is_err());
        assert!(disk.discard(500..600, true).await.is_err());
        let backwards = std::ops::Range { start: 600, end: 5 };
        assert!(disk.discard(backwards, true).await.is_err());
    });
}

#[test]
fn zeros_and_discards() {
    let image = Image::new(&[5; 256 * 1024]);
    run(async {
        let disk = file_node(&image.path());
        disk.write_zeroes(100..70_000, Zeroes { unmap: false })
            .await
            .expect("zeros");
        disk.discard(131_072..196_608).await.expect("a discard");
        let discards = Specific::Discards {
            ok: 1,
            failed: 0,
            bytes: 65_536,
        };
        assert_eq!(disk.specific(), Some(discards));
        let mut bytes = vec![1; 256 * 1024];
        disk.read(0, &mut bytes).await.expect("a read");
        let zero =
            |index: usize| (100..70_000).contains(&index) || (131_072..196_608).contains(&index);
        let wrong =
            (0..bytes.len()).find(|index| bytes[*index] != if zero(*index) { 0 } else { 5 });
        assert_eq!(wrong, None);
    });
}

#[test]
fn nodes_that_may_not_write_do_not() {
    let image = Image::new(&[5; SECTOR]);
    run(async {
        let mut options = file_options(&image.path());
        options.writable = false;
        let file = File::open(Kind::File, &options).expect("the file");
        let options = NodeOptions {
            read_only: true,
            ..NodeOptions::default()
        };
        let disk = Node::new("disk", Box::new(file), options);
        let error = disk.write(0, &[1]).await.expect_err("read-only");
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(disk.resize(0).await.is_err());
        disk.flush().await.expect("nothing to flush");
    });
}

#[test]
fn raw_is_a_window() {
    let image = Image::new(&[5; 8 * SECTOR]);
    run(async {
        let file = file_node(&image.path());
        let raw = Raw::window(edge(&file), 512, Some(1024)).expect("a window");
        let disk = node("disk", raw);
        assert_eq!(disk.size(), 1024);
        disk.write(0, &[1; 1024]).await.expect("a write");
        assert!(disk.write(1, &[1; 1024]).await.is_err());
        assert!(disk.resize(2048).await.is_err());
        assert!(Raw::window(edge(&file), 5000, None).is_err());
        assert!(Raw::window(edge(&file), 512, Some(4000)).is_err());
    });
    let content = image.content();
    assert_eq!(
        [content[511], content[512], content[1535], content[1536]],
        [5, 1, 1, 5]
    );
}

#[test]
fn files_and_raw_images_grow_and_shrink() {
    let image = Image::new(&[5; SECTOR]);
    run(async {
        let disk = node("disk", Raw::new(edge(&file_node(&image.path()))));
        disk.resize(4096).await.expect("to grow");
        assert_eq!(disk.size(), 4096);
        disk.write(4000, &[1])
            .await
            .expect("a write in the new part");
        disk.resize(512).await.expect("to shrink");
        assert_eq!(disk.size(), 512);
    });
    assert_eq!(image.content().len(), SECTOR);
}

#[test]
fn null_keeps_nothing() {
    run(async {
        let null = Null {
            flavour: Flavour::Co,
            size: Null::SIZE,
            latency: Duration::ZERO,
            read_zeroes: true,
        };
        let disk = node("disk", null);
        disk.write(0, &[1; 4]).await.expect("a write");
        let mut bytes = [9; 4];
        disk.read(0, &mut bytes).await.expect("a read");
        assert_eq!(bytes, [0; 4]);
    });
}
