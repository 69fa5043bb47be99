//! Connecting again, and putting things in order before anyone goes on.

use crate::client::Inner;
use crate::connection::Connection;
use crate::events::Log;
use crate::transport;
use crate::{Address, Client, Closed, Result};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;

type Resync = dyn Fn(Client) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync;

/// How to connect again: after how long, how often, and what to do first.
#[derive(Clone)]
pub struct Reconnect {
    first: Duration,
    longest: Duration,
    attempts: u32,
    resync: Option<Arc<Resync>>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            attempts: u32::MAX,
            resync: None,
        }
    }
}

impl Reconnect {
    /// Waits `first` before the first attempt and twice as long before each
    /// further one, but never longer than `longest`: 100 ms and 10 s unless
    /// told otherwise.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// Gives up after so many attempts that failed in a row; never, unless
    /// told otherwise.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// What to do on each new connection before anyone else may use it: ask
    /// for the state that events would have told of meanwhile. The client
    /// that it is given is for it alone. If it fails, the connection is given
    /// up and another attempt made.
    #[must_use]
    pub fn resync<F, W>(mut self, resync: F) -> Self
    where
        F: Fn(Client) -> W + Send + Sync + 'static,
        W: Future<Output = Result<()>> + Send + 'static,
    {
        self.resync = Some(Arc::new(move |client| Box::pin(resync(client))));
        self
    }

    /// Tries until it succeeds; `None` when it is to be given up.
    async fn again(&self, inner: &Weak<Inner>, address: &Address) -> Option<Arc<Connection>> {
        let mut pause = self.first;
        for _ in 0..self.attempts {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.longest);
            // Nobody may be left to use it.
            let inner = inner.upgrade()?;
            if let Ok(connection) = self.attempt(&inner, address).await {
                return Some(connection);
            }
        }
        None
    }

    async fn attempt(&self, inner: &Inner, address: &Address) -> Result<Arc<Connection>> {
        let stream = transport::connect(address, &inner.builder).await?;
        let connection = inner.builder.open(stream, &inner.log).await?;
        let Some(resync) = &self.resync else {
            return Ok(connection);
        };
        let client = Client::passing(inner, Arc::clone(&connection));
        tokio::select! {
            done = resync(client) => done?,
            end = connection.run() => return Err(end.into_error("")),
        }
        Ok(connection)
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("first", &self.first)
            .field("longest", &self.longest)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// Moves a client's bytes until the end, over one connection or many.
pub(crate) async fn supervise(
    inner: Weak<Inner>,
    log: Arc<Log>,
    mut connection: Arc<Connection>,
    plan: Option<(Reconnect, Address)>,
    closing: Arc<Notify>,
) {
    let end = loop {
        let end = connection.run().await;
        let Some((reconnect, address)) = plan.as_ref().filter(|_| !matches!(end, Closed::Here))
        else {
            break end;
        };
        let next = tokio::select! {
            next = reconnect.again(&inner, address) => next,
            () = closing.notified() => break Closed::Here,
        };
        let Some(next) = next else {
            break end;
        };
        let Some(inner) = inner.upgrade() else {
            break end;
        };
        connection = next;
        inner.replace(Arc::clone(&connection));
    };
    if let Some(inner) = inner.upgrade() {
        inner.finish(end);
    }
    log.end().into_iter().for_each(Waker::wake);
}
