//! The I/O thread.

use std::io;
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// An OS thread with a runtime of its own, which hosts transports and
/// sessions, so that they live on while the main loop is busy. Tasks that are
/// left when it is dropped end where they stand.
#[derive(Debug)]
pub struct IoThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl IoThread {
    /// Starts the thread under that name.
    ///
    /// # Errors
    /// The host has no thread or no descriptor left.
    pub fn spawn(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let body = move || {
            // An error only says that the sender is gone, which stops as well.
            let _ = runtime.block_on(stopped);
        };
        let thread = thread::Builder::new().name(name.into()).spawn(body)?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// To spawn tasks on it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let joined = self.thread.take().map(thread::JoinHandle::join);
        if let Some(Err(_)) = joined {
            tracing::error!("the I/O thread panicked");
        }
    }
}
