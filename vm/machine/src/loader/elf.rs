//! 64-bit little-endian RISC-V ELF executables (System V ABI, chapters 4 and 5).

use std::ops::Range;

use crate::error::LoadError;

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const CLASS_64: u8 = 2;
const DATA_LITTLE: u8 = 1;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
const MACHINE_RISCV: u16 = 243;
const PROGRAM_LOAD: u32 = 1;

/// What an ELF file wants in memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// The first instruction, as a physical address.
    pub(crate) entry: u64,
    /// Whether the code runs at any address.
    pub(crate) position_independent: bool,
    /// What to load.
    pub(crate) segments: Vec<Segment>,
}

/// A part of the file that goes into memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its physical address.
    pub(crate) address: u64,
    /// Its virtual address.
    virtual_address: u64,
    /// Where it is in the file.
    pub(crate) file: Range<usize>,
    /// How many bytes it has in memory; those beyond the file's are zero.
    pub(crate) size: u64,
}

impl Elf {
    /// Whether a file claims to be an ELF file.
    pub(crate) fn is_elf(file: &[u8]) -> bool {
        file.starts_with(b"\x7fELF")
    }

    /// Reads the headers; every segment is within the file.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, LoadError> {
        let header = file
            .get(..HEADER_SIZE)
            .ok_or(LoadError::Elf("the ELF header is cut short"))?;
        if header[4] != CLASS_64 || header[5] != DATA_LITTLE || half(header, 18) != MACHINE_RISCV {
            return Err(LoadError::Elf("the ELF file is not for 64-bit RISC-V"));
        }
        if !matches!(half(header, 16), TYPE_EXECUTABLE | TYPE_SHARED) {
            return Err(LoadError::Elf("the ELF file is not executable"));
        }
        if usize::from(half(header, 54)) != PROGRAM_HEADER_SIZE {
            return Err(LoadError::Elf(
                "the ELF program headers have an unknown size",
            ));
        }
        let (table, count) = (double(header, 32), usize::from(half(header, 56)));
        let headers = usize::try_from(table)
            .ok()
            .and_then(|start| file.get(start..start.checked_add(count * PROGRAM_HEADER_SIZE)?))
            .ok_or(LoadError::Elf(
                "the ELF program headers lie outside the file",
            ))?;
        let loadable = headers
            .chunks_exact(PROGRAM_HEADER_SIZE)
            .filter(|header| word(header, 0) == PROGRAM_LOAD && double(header, 40) > 0);
        let segments = loadable
            .map(|header| Segment::parse(header, file))
            .collect::<Result<Vec<_>, _>>()?;
        if segments.is_empty() {
            return Err(LoadError::Elf("the ELF file has nothing to load"));
        }
        let entry = double(header, 24);
        Ok(Self {
            entry: segments
                .iter()
                .find_map(|segment| segment.locate(entry))
                .unwrap_or(entry),
            position_independent: half(header, 16) == TYPE_SHARED,
            segments,
        })
    }

    /// Moves everything up by `distance`.
    pub(crate) fn displace(&mut self, distance: u64) {
        self.entry = self.entry.wrapping_add(distance);
        for segment in &mut self.segments {
            segment.address = segment.address.wrapping_add(distance);
        }
    }

    /// The lowest address of any segment.
    pub(crate) fn low(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.address)
            .min()
            .unwrap_or(self.entry)
    }
}

impl Segment {
    fn parse(header: &[u8], file: &[u8]) -> Result<Self, LoadError> {
        let outside = || LoadError::Elf("an ELF segment lies outside the file");
        let start = usize::try_from(double(header, 8)).map_err(|_| outside())?;
        let length = usize::try_from(double(header, 32)).map_err(|_| outside())?;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= file.len())
            .ok_or_else(outside)?;
        let size = double(header, 40);
        if size < length as u64 {
            return Err(LoadError::Elf(
                "an ELF segment is smaller in memory than in the file",
            ));
        }
        Ok(Self {
            address: double(header, 24),
            virtual_address: double(header, 16),
            file: start..end,
            size,
        })
    }

    /// The physical address of what the file calls `address`: kernels name their entry by either.
    fn locate(&self, address: u64) -> Option<u64> {
        let mut bases = [self.address, self.virtual_address].into_iter();
        let offset = bases.find_map(|base| {
            address
                .checked_sub(base)
                .filter(|offset| *offset < self.size)
        })?;
        self.address.checked_add(offset)
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) | u32::from(half(bytes, at + 2)) << 16
}

fn double(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An executable of one segment.
    pub(crate) fn executable(address: u64, entry: u64, content: &[u8], size: u64) -> Vec<u8> {
        executable_at((address, address), entry, content, size)
    }

    /// The same with a physical and a virtual address.
    fn executable_at(
        (address, virtual_address): (u64, u64),
        entry: u64,
        content: &[u8],
        size: u64,
    ) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        for half in [TYPE_EXECUTABLE, MACHINE_RISCV, 1, 0] {
            file.extend(half.to_le_bytes());
        }
        for double in [entry, HEADER_SIZE as u64, 0] {
            file.extend(double.to_le_bytes());
        }
        for half in [0, 0, 64, PROGRAM_HEADER_SIZE as u16, 1, 0, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        file.extend(PROGRAM_LOAD.to_le_bytes());
        file.extend(7u32.to_le_bytes());
        let start = (HEADER_SIZE + PROGRAM_HEADER_SIZE) as u64;
        for double in [
            start,
            virtual_address,
            address,
            content.len() as u64,
            size,
            0x1000,
        ] {
            file.extend(double.to_le_bytes());
        }
        file.extend(content);
        file
    }

    #[test]
    fn segments_are_found() {
        let file = executable(0x8000_0000, 0x8000_0004, b"abcdefgh", 100);
        let elf = Elf::parse(&file).unwrap();
        assert_eq!((elf.entry, elf.low()), (0x8000_0004, 0x8000_0000));
        assert_eq!(
            elf.segments,
            [Segment {
                address: 0x8000_0000,
                virtual_address: 0x8000_0000,
                file: 120..128,
                size: 100
            }]
        );
    }

    #[test]
    fn an_entry_may_be_virtual() {
        let file = executable_at(
            (0x8020_0000, u64::MAX << 31),
            (u64::MAX << 31) + 4,
            b"abcdefgh",
            8,
        );
        assert_eq!(Elf::parse(&file).unwrap().entry, 0x8020_0004);
    }

    #[test]
    fn every_truncation_is_refused() {
        let file = executable(0x8000_0000, 0x8000_0000, b"abcdefgh", 8);
        for length in 0..file.len() {
            assert!(Elf::parse(&file[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn absurd_numbers_are_refused() {
        let file = executable(0x8000_0000, 0x8000_0000, b"abcdefgh", 8);
        let check = |at: usize, bytes: &[u8]| {
            let mut broken = file.clone();
            broken[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(Elf::parse(&broken).is_err(), "{bytes:x?} at {at}");
        };
        check(4, &[1]);
        check(5, &[2]);
        check(16, &[1]);
        check(18, &[62, 0]);
        check(32, &[0xff; 8]);
        check(54, &[1]);
        check(56, &[0xff; 2]);
        check(64, &[0]);
        check(72, &[0xff; 8]);
        check(96, &[0xff; 8]);
        check(104, &[1]);
    }
}
