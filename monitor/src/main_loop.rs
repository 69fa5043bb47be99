//! The way onto the main loop: jobs in the order they were posted.
//!
//! A session has at most one job waiting or running, so commands of different
//! sessions are served round robin, and the queue is never longer than there
//! are sessions.

use std::fmt;
use tokio::sync::mpsc;

/// Where the embedder's main loop gets its work from.
#[derive(Debug)]
pub struct MainLoop<C> {
    jobs: mpsc::UnboundedReceiver<Job<C>>,
}

impl<C> MainLoop<C> {
    pub(crate) fn new() -> (Poster<C>, Self) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Poster(sender), Self { jobs })
    }

    /// The next job; `None` once the server is gone. It is cancel safe.
    pub async fn recv(&mut self) -> Option<Job<C>> {
        self.jobs.recv().await
    }

    /// The next job if there is one now.
    pub fn try_recv(&mut self) -> Option<Job<C>> {
        self.jobs.try_recv().ok()
    }
}

/// A command to run on the main loop.
pub struct Job<C>(Box<dyn FnOnce(&mut C) + Send>);

impl<C> Job<C> {
    /// Runs it.
    pub fn run(self, context: &mut C) {
        (self.0)(context);
    }
}

impl<C> fmt::Debug for Job<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// Posts jobs, from any thread.
pub(crate) struct Poster<C>(mpsc::UnboundedSender<Job<C>>);

impl<C> Poster<C> {
    /// Posts a job. If the main loop is gone it is dropped, and what it
    /// carries answers for it.
    pub(crate) fn post(&self, job: impl FnOnce(&mut C) + Send + 'static) {
        drop(self.0.send(Job(Box::new(job))));
    }
}
