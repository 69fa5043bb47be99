//! Events: one bounded history per client, and any number of readers that
//! walk along it. A reader sees everything from where it began, unless it is
//! slower than the history is long; then it counts what it missed.

use crate::{Client, Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tinamou_qmp::client::{Event, Timestamp};
use tinamou_qmp::typed::{self, TypedEvent};

/// Something that happened on the server.
#[derive(Clone, Debug)]
pub struct EventMessage {
    /// Its number: 1 for the first event of a client, and so on.
    pub sequence: u64,
    /// What happened, such as `SHUTDOWN`.
    pub name: Arc<str>,
    /// When, by the server's clock.
    pub timestamp: Timestamp,
    data: Option<Arc<RawValue>>,
}

impl EventMessage {
    /// The details as they came; `{}` if there are none.
    #[must_use]
    pub fn data(&self) -> &str {
        self.data.as_ref().map_or("{}", |data| data.get())
    }

    /// The details as a value; an empty object if there are none.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.data()).unwrap_or_default()
    }

    /// One of the details, such as the `device` of `DEVICE_DELETED`.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Value> {
        match self.value() {
            Value::Object(mut members) => members.remove(name),
            _ => None,
        }
    }

    /// The details as a type of the caller's.
    ///
    /// # Errors
    /// They do not have its form.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        typed::decode(self.data()).map_err(|error| Error::decode(&self.name, error))
    }

    /// As [`decode`](Self::decode), and what the type does not know is an
    /// error.
    ///
    /// # Errors
    /// They do not have its form, or say more.
    pub fn decode_strict<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        typed::decode_strict(self.data()).map_err(|error| Error::decode(&self.name, error))
    }

    /// The event as `E`, if it is one.
    ///
    /// # Errors
    /// It is one by name, but its details do not have the form.
    pub fn typed<E: TypedEvent>(&self) -> Result<Option<E>> {
        match &*self.name == E::NAME {
            true => self.decode().map(Some),
            false => Ok(None),
        }
    }
}

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// The history, and who waits for it to go on.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    room: Room,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<EventMessage>,
    bytes: usize,
    /// The number of the last event.
    last: u64,
    ended: bool,
    waiting: Vec<(u64, Waker)>,
    readers: u64,
}

impl Log {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            state: Mutex::default(),
            room,
        }
    }

    /// Adds events, and returns the readers to wake.
    pub(crate) fn add(&self, events: impl IntoIterator<Item = Event>) -> Vec<Waker> {
        let mut state = self.lock();
        for event in events {
            state.last += 1;
            let event = EventMessage {
                sequence: state.last,
                name: event.name.into(),
                timestamp: event.timestamp,
                data: event.data.map(Into::into),
            };
            state.bytes += size(&event);
            state.kept.push_back(event);
            while state.kept.len() > self.room.events || state.bytes > self.room.bytes {
                let Some(oldest) = state.kept.pop_front() else {
                    break;
                };
                state.bytes -= size(&oldest);
            }
        }
        state.wakers()
    }

    /// Says that nothing more will come, and returns the readers to wake.
    pub(crate) fn end(&self) -> Vec<Waker> {
        let mut state = self.lock();
        state.ended = true;
        state.wakers()
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wakers(&mut self) -> Vec<Waker> {
        self.waiting.drain(..).map(|(_, waker)| waker).collect()
    }

    /// The number of the oldest event that is kept, or of the next one.
    fn oldest(&self) -> u64 {
        self.last + 1 - self.kept.len() as u64
    }
}

fn size(event: &EventMessage) -> usize {
    size_of::<EventMessage>() + event.name.len() + event.data().len()
}

type Filter = Box<dyn FnMut(&EventMessage) -> bool + Send>;

/// A reader of a client's events. It misses none from the moment it was made,
/// read late or not, as long as the history holds them.
pub struct Events {
    log: Arc<Log>,
    reader: u64,
    /// The number of the next event to look at.
    next: u64,
    dropped: u64,
    names: Option<Vec<String>>,
    filter: Option<Filter>,
    /// The connection lives as long as someone reads its events.
    _client: Option<Client>,
}

impl Events {
    /// A reader that begins with the first event whose number exceeds `after`.
    pub(crate) fn new(log: Arc<Log>, after: u64) -> Self {
        let reader = {
            let mut state = log.lock();
            state.readers += 1;
            state.readers
        };
        Self {
            log,
            reader,
            next: after + 1,
            dropped: 0,
            names: None,
            filter: None,
            _client: None,
        }
    }

    pub(crate) fn keeping(mut self, client: Client) -> Self {
        self._client = Some(client);
        self
    }

    /// Only events with these names.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Only events of which `filter` says so.
    #[must_use]
    pub fn filter(mut self, filter: impl FnMut(&EventMessage) -> bool + Send + 'static) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    /// The next event; `None` when the connection has ended and all that came
    /// before was read.
    pub async fn next(&mut self) -> Option<EventMessage> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<EventMessage> {
        match self.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// The next event of type `E`; others are passed over.
    ///
    /// # Errors
    /// Its details do not have the form.
    pub async fn next_typed<E: TypedEvent>(&mut self) -> Option<Result<E>> {
        loop {
            match self.next().await?.typed() {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Events that went by unseen, because the history was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Polls for the next event.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<EventMessage>> {
        loop {
            let event = match self.poll_any(cx) {
                Poll::Ready(Some(event)) => event,
                other => return other,
            };
            let named = self.names.as_ref();
            let named = named.is_none_or(|names| names.iter().any(|name| **name == *event.name));
            if named && self.filter.as_mut().is_none_or(|filter| filter(&event)) {
                return Poll::Ready(Some(event));
            }
        }
    }

    fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Option<EventMessage>> {
        let mut state = self.log.lock();
        let oldest = state.oldest();
        self.dropped += oldest.saturating_sub(self.next);
        self.next = self.next.max(oldest);
        let place = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        if let Some(event) = state.kept.get(place) {
            self.next += 1;
            return Poll::Ready(Some(event.clone()));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        let waker = cx.waker().clone();
        let mut waiting = state.waiting.iter_mut();
        match waiting.find(|(reader, _)| *reader == self.reader) {
            Some((_, place)) => *place = waker,
            None => state.waiting.push((self.reader, waker)),
        }
        Poll::Pending
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        state.waiting.retain(|(reader, _)| *reader != self.reader);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("next", &self.next)
            .field("dropped", &self.dropped)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl futures_core::Stream for Events {
    type Item = EventMessage;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Events::poll_next(self.get_mut(), cx)
    }
}
