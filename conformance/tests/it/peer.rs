//! Servers for the suite: mocks on a socket, with something in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tinamou_conformance::{Report, Settings, Target, Verdict, run};
use tinamou_mock::Mock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// Changes a line of output, given the line of input before it.
pub(crate) type Mangle = dyn Fn(&str, &str) -> String + Send + Sync;

/// A server on a socket; its thread ends with the test program.
pub(crate) struct Peer {
    dir: TempDir,
}

impl Peer {
    /// Serves a mock.
    pub(crate) fn mock(mock: Mock) -> Self {
        Self::start(move |stream| {
            let mock = mock.clone();
            async move { drop(mock.serve(stream).await) }
        })
    }

    /// Serves a mock through something that changes its output.
    pub(crate) fn mangled(mock: Mock, mangle: Arc<Mangle>) -> Self {
        Self::start(move |stream| {
            let (mock, mangle) = (mock.clone(), Arc::clone(&mangle));
            async move { relay(stream, mock, &*mangle).await }
        })
    }

    fn start<F, S>(serve: S) -> Self
    where
        F: Future<Output = ()> + 'static,
        S: Fn(UnixStream) -> F + Send + 'static,
    {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("qmp.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, async move {
                let listener = UnixListener::from_std(listener).expect("a socket");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::task::spawn_local(serve(stream));
                }
            });
        });
        Self { dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("qmp.sock")
    }

    /// Makes the checks that fit, everything demanded and allowed.
    pub(crate) fn hold(&self, only: &[&str], patience: Duration) -> Report {
        let settings = Settings {
            patience,
            disposable: true,
            strict: true,
            only: only.iter().map(|&id| id.to_owned()).collect(),
            ..Settings::default()
        };
        run(Target::Unix(self.path()), &settings, |_| ()).expect("the server is there")
    }
}

/// The ids of the checks whose rules were broken, known deviations included:
/// a mock says that it is QEMU.
pub(crate) fn failed(report: &Report) -> Vec<&str> {
    let results = report.results.iter();
    let failed =
        results.filter(|run| matches!(run.verdict, Verdict::Failed(_) | Verdict::Known(_)));
    failed.map(|run| run.check.id.as_str()).collect()
}

/// Carries bytes one way as they are and lines the other way changed. What a
/// client has sent last is told to the one who changes.
async fn relay(client: UnixStream, mock: Mock, mangle: &Mangle) {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    tokio::task::spawn_local(async move { drop(mock.serve(far).await) });
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_mock, mut to_mock) = near.into_split();
    let (mut asked, mut line) = (Vec::new(), Vec::new());
    let (mut input, mut output) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut reading = true;
    loop {
        tokio::select! {
            count = from_client.read(&mut input), if reading => match count {
                Ok(count @ 1..) => {
                    // Pieces of one request are one; a reply begins another. The greeting is
                    // none: a request may be faster.
                    asked.extend_from_slice(&input[..count]);
                    if to_mock.write_all(&input[..count]).await.is_err() {
                        return;
                    }
                }
                _ => {
                    reading = false;
                    drop(to_mock.shutdown().await);
                }
            },
            count = from_mock.read(&mut output) => {
                let Ok(count @ 1..) = count else {
                    // At the end there may be something to add.
                    let last = mangle(&String::from_utf8_lossy(&asked), "");
                    drop(to_client.write_all(last.as_bytes()).await);
                    return;
                };
                line.extend_from_slice(&output[..count]);
                while let Some(end) = line.iter().position(|&byte| byte == b'\n') {
                    let text: Vec<u8> = line.drain(..=end).collect();
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let changed = mangle(&String::from_utf8_lossy(&asked), &text);
                    if !["\"event\"", "\"QMP\""].iter().any(|kind| text.contains(kind)) {
                        asked.clear();
                    }
                    if to_client.write_all(changed.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
