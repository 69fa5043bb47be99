//! Kernel images: the RISC-V Image header, and gzip around it.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::error::LoadError;

/// Where the header has its fields (Linux Documentation/arch/riscv/boot-image-header.rst).
const IMAGE_SIZE: usize = 16;
const FLAGS: usize = 24;
const MAGIC: usize = 48;
const MAGIC_2: usize = 56;
const HEADER_SIZE: usize = 64;
/// Set in `flags` when the kernel is big-endian.
const BIG_ENDIAN: u64 = 1;

/// Takes gzip off, when it is there; what comes out must fit into `limit` bytes.
pub(super) fn unpack(content: Vec<u8>, limit: u64) -> Result<Vec<u8>, LoadError> {
    if !content.starts_with(&[0x1f, 0x8b]) {
        return Ok(content);
    }
    let mut unpacked = Vec::new();
    let decoder = GzDecoder::new(content.as_slice());
    decoder
        .take(limit.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(LoadError::Gzip)?;
    match unpacked.len() as u64 {
        0 => Err(LoadError::Empty),
        size if size > limit => Err(LoadError::Image("unpacked, it is larger than guest memory")),
        _ => Ok(unpacked),
    }
}

/// How much memory an image says it needs, its zeroed data included; 0 when it has no header.
pub(super) fn memory_size(content: &[u8]) -> Result<u64, LoadError> {
    let Some(header) = content.get(..HEADER_SIZE) else {
        return Ok(0);
    };
    let magic = &header[MAGIC..MAGIC + 5] == b"RISCV" || &header[MAGIC_2..] == b"RSC\x05\0\0\0\0";
    if !magic {
        return Ok(0);
    }
    if double(header, FLAGS) & BIG_ENDIAN != 0 {
        return Err(LoadError::Image("the kernel is big-endian"));
    }
    Ok(double(header, IMAGE_SIZE))
}

fn double(header: &[u8], at: usize) -> u64 {
    let bytes = header[at..at + 8].iter().rev();
    bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
}
