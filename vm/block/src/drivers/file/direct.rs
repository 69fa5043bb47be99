//! Access past the page cache: the host wants offsets, lengths and buffers aligned.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use super::read_to_end_or;

/// Buffers are aligned to pages, whatever the disk wants.
const PAGE: usize = 4096;

/// Two writers that each change a part of one block must not undo each other.
static READ_MODIFY_WRITE: Mutex<()> = Mutex::new(());

/// The unit of offsets and lengths, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alignment(u64);

impl Alignment {
    /// Finds the smallest unit in which the file can be read.
    pub(super) fn probe(file: &File) -> io::Result<Self> {
        for unit in [512, 4096] {
            let mut buffer = Aligned::new(unit);
            match file.read_at(buffer.bytes(), 0) {
                Ok(_) => return Ok(Self(unit as u64)),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Err(rustix::io::Errno::INVAL.into())
    }

    pub(super) fn read(self, file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let (start, mut buffer) = self.around(offset, length);
        read_to_end_or(file, start, buffer.bytes())?;
        let skip = (offset - start) as usize;
        Ok(buffer.bytes()[skip..skip + length].to_vec())
    }

    pub(super) fn write(self, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        let (start, mut buffer) = self.around(offset, data.len());
        let skip = (offset - start) as usize;
        let whole = skip == 0 && buffer.length == data.len();
        let _alone = (!whole).then(|| READ_MODIFY_WRITE.lock());
        if !whole {
            read_to_end_or(file, start, buffer.bytes())?;
        }
        buffer.bytes()[skip..skip + data.len()].copy_from_slice(data);
        file.write_all_at(buffer.bytes(), start)
    }

    /// Whole units around a range: where they begin, and room for them.
    fn around(self, offset: u64, length: usize) -> (u64, Aligned) {
        let start = offset - offset % self.0;
        let length = (offset - start) as usize + length;
        (
            start,
            Aligned::new(length.next_multiple_of(self.0 as usize)),
        )
    }
}

/// Bytes that begin at a page.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let memory = vec![0_u8; length + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        Self {
            memory,
            start,
            length,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}
