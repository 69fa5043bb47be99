//! When a machine serves. QEMU's monitor and its main loop take up a socket
//! side by side: who connects in that moment may never be answered. So a
//! machine is asked by a monitor that it opens itself before it starts.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a machine may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a machine to be started opens a monitor of its own accord.
pub struct Ready {
    listener: UnixListener,
    path: PathBuf,
}

impl Ready {
    /// Listens in this directory.
    pub fn listen(directory: &Path) -> Self {
        let path = directory.join("ready.sock");
        let listener = UnixListener::bind(&path).expect("a socket can be made");
        listener.set_nonblocking(true).expect("it can");
        Self { listener, path }
    }

    /// What the machine's command line has to say for it.
    pub fn options(&self) -> [String; 2] {
        ["-qmp".to_owned(), format!("unix:{}", self.path.display())]
    }

    /// Waits until the machine has obeyed a command.
    pub fn wait(self) {
        let mut stream = self.accept();
        stream.set_nonblocking(false).expect("it can");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        let mut replies = BufReader::new(stream.try_clone().expect("it can be shared")).lines();
        replies.next().expect("a greeting").expect("a greeting");
        stream
            .write_all(b"{\"execute\": \"qmp_capabilities\"}\n")
            .expect("the machine reads");
        replies.next().expect("a reply").expect("a reply");
    }

    fn accept(&self) -> UnixStream {
        let began = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            assert!(began.elapsed() < PATIENCE, "the machine does not start");
            sleep(Duration::from_millis(5));
        }
    }
}
