//! Where random bytes come from: the objects `rng-builtin` and `rng-random`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// The host's generator, which never waits.
const HOST: &str = "/dev/urandom";
/// `O_NONBLOCK` on Linux.
const NONBLOCK: i32 = 0o4000;

/// How long until a pipe without entropy is looked at again.
const DRY: Duration = Duration::from_millis(10);

/// A source of random bytes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Entropy {
    /// The host's generator.
    Builtin,
    /// A file or device that is read without blocking.
    File(File),
}

impl Entropy {
    /// Opens a file or device.
    ///
    /// # Errors
    /// What the host says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(NONBLOCK)
            .open(path)?;
        Ok(Self::File(file))
    }

    /// Fetches at least one and at most `count` bytes, waiting as long as it takes. A file that
    /// has come to its end gives none.
    ///
    /// # Errors
    /// What the host says.
    pub async fn read(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let read = match self {
            Self::Builtin => {
                File::open(HOST)?.read_exact(&mut bytes)?;
                count
            }
            Self::File(file) => read_file(file, &mut bytes).await?,
        };
        bytes.truncate(read);
        Ok(bytes)
    }
}

async fn read_file(mut file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(DRY).await;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    }

    #[test]
    fn the_host_gives_what_is_asked() {
        let bytes = runtime().block_on(Entropy::Builtin.read(100)).unwrap();
        assert_eq!(bytes.len(), 100);
        assert!(bytes.iter().any(|byte| *byte != 0));
    }

    #[test]
    fn an_empty_pipe_is_waited_for() {
        runtime().block_on(async {
            let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let source = Entropy::File(File::from(std::os::fd::OwnedFd::from(ours)));
            let mut read = std::pin::pin!(source.read(8));
            let early = tokio::time::timeout(std::time::Duration::from_millis(1), &mut read);
            assert!(early.await.is_err());
            theirs.write_all(b"abc").unwrap();
            assert_eq!(read.await.unwrap(), b"abc");
        });
    }
}
