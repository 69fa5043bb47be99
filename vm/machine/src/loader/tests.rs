use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::elf::tests::executable;
use super::*;

const ROOM: Room = Room {
    base: 0x8000_0000,
    size: 16 << 20,
};

fn kernel(bytes: &[u8]) -> Result<Loaded, LoadError> {
    load_kernel(
        &Payload::Bytes("test".into(), bytes.into()),
        ROOM.base + 1,
        ROOM,
    )
}

fn image(size: u64, flags: u64) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[16..24].copy_from_slice(&size.to_le_bytes());
    header[24..32].copy_from_slice(&flags.to_le_bytes());
    header[48..53].copy_from_slice(b"RISCV");
    header
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_image_goes_to_the_next_aligned_address() {
    let loaded = kernel(&image(0x10_0000, 0)).unwrap();
    assert_eq!(
        (loaded.entry, loaded.low, loaded.end),
        (0x8020_0000, 0x8020_0000, 0x8020_0040)
    );
}

#[test]
fn a_packed_image_is_unpacked() {
    let loaded = kernel(&gzip(&image(0x10_0000, 0))).unwrap();
    assert_eq!(loaded.roms[0].content.len(), 64);
}

#[test]
fn an_elf_file_goes_where_it_says() {
    let file = executable(0x8010_0000, 0x8010_0004, b"code", 0x1000);
    let loaded = kernel(&file).unwrap();
    assert_eq!(
        (loaded.entry, loaded.low, loaded.end),
        (0x8010_0004, 0x8010_0000, 0x8010_1000)
    );
    assert_eq!(loaded.roms[0].content.len(), 0x1000);
}

#[test]
fn what_does_not_fit_is_refused() {
    let check = |bytes: &[u8], message: &str| {
        assert_eq!(kernel(bytes).unwrap_err().to_string(), message);
    };
    check(
        &image(15 << 20, 0),
        "0xf00000 bytes at 0x80200000 do not fit into guest memory",
    );
    check(
        &image(u64::MAX, 0),
        "0xffffffffffffffff bytes at 0x80200000 do not fit into guest memory",
    );
    check(&image(1, 1), "the kernel is big-endian");
    check(
        &gzip(&vec![0; 17 << 20]),
        "unpacked, it is larger than guest memory",
    );
    check(
        &executable(0x1000, 0x1000, b"x", 1),
        "0x1 bytes at 0x1000 do not fit into guest memory",
    );
    check(
        &executable(u64::MAX, 0, b"xy", 2),
        "0x2 bytes at 0xffffffffffffffff do not fit into guest memory",
    );
    let torn = gzip(&image(0, 0));
    assert!(matches!(kernel(&torn[..20]), Err(LoadError::Gzip(_))));
}

#[test]
fn the_initial_ram_disk_lies_half_the_memory_behind_the_kernel() {
    let file = std::env::temp_dir().join(format!("initrd-{}", std::process::id()));
    std::fs::write(&file, b"070701").unwrap();
    let place = |size| {
        load_initrd(
            &file,
            0x8020_0000,
            Room {
                base: 0x8000_0000,
                size,
            },
        )
    };
    assert_eq!(place(512 << 20).unwrap().address, 0x9020_0000);
    assert_eq!(place(4 << 30).unwrap().address, 0xa020_0000);
    assert!(matches!(place(4 << 20), Err(LoadError::Room { .. })));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn the_device_tree_ends_up_high() {
    let room = |size| Room {
        base: 0x8000_0000,
        size,
    };
    assert_eq!(
        device_tree_address(5000, room(512 << 20)),
        Some(0x9fe0_0000)
    );
    assert_eq!(device_tree_address(5000, room(4096)), None);
}
