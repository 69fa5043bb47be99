//! A cable between a network card and a back end: two bounded queues of frames.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::filter::Dump;
use crate::frame::{Accepts, Frame};
use crate::offload;

/// Frames that wait in one direction before the sender has to.
const MOST_FRAMES: usize = 512;

/// Bytes that wait in one direction before the sender has to.
const MOST_BYTES: usize = 1 << 20;

/// One end of a cable. Frames sent while the other end is loose, or while either link is down,
/// are lost, as on a real one. Dropping a port pulls it out.
#[derive(Debug)]
pub struct Port {
    cable: Arc<Cable>,
    side: Side,
}

/// The two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Backend,
    Nic,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Backend => Self::Nic,
            Self::Nic => Self::Backend,
        }
    }
}

/// What two ports share.
#[derive(Debug, Default)]
pub(crate) struct Cable {
    ends: Mutex<Ends>,
    bells: [Bells; 2],
    /// What sees frames pass, if anything does.
    filters: Mutex<Vec<Arc<Dump>>>,
    filtered: AtomicBool,
}

#[derive(Debug, Default)]
struct End {
    plugged: bool,
    link_down: bool,
    accepts: Accepts,
    inbox: VecDeque<Frame>,
    bytes: usize,
    /// The other end found the inbox full.
    awaited: bool,
}

impl End {
    fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.inbox.push_back(frame);
    }

    fn is_full(&self) -> bool {
        self.inbox.len() >= MOST_FRAMES || self.bytes >= MOST_BYTES
    }

    fn is_half_empty(&self) -> bool {
        self.inbox.len() <= MOST_FRAMES / 2 && self.bytes <= MOST_BYTES / 2
    }

    fn clear(&mut self) {
        self.inbox.clear();
        self.bytes = 0;
    }
}

/// The ends, by [`Side`].
#[derive(Debug, Default)]
struct Ends([End; 2]);

/// Whether a frame gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Free,
    /// Not now.
    Full,
    /// Nobody is there, or a link is down.
    Lost,
}

impl Ends {
    /// What becomes of a frame that is sent from that side.
    fn passage(&mut self, side: Side) -> Passage {
        let (own, other) = (side, side.other());
        if self[own].link_down || self[other].link_down || !self[other].plugged {
            return Passage::Lost;
        }
        if self[other].is_full() {
            self[other].awaited = true;
            return Passage::Full;
        }
        Passage::Free
    }
}

impl Index<Side> for Ends {
    type Output = End;

    fn index(&self, side: Side) -> &End {
        &self.0[side as usize]
    }
}

impl IndexMut<Side> for Ends {
    fn index_mut(&mut self, side: Side) -> &mut End {
        &mut self.0[side as usize]
    }
}

/// What rings when a [`Port`] can go on.
#[derive(Clone, Debug)]
pub struct PortBells {
    cable: Arc<Cable>,
    side: Side,
}

impl PortBells {
    /// As [`Port::readable`].
    pub async fn readable(&self) {
        self.cable.bells[self.side as usize]
            .readable
            .notified()
            .await;
    }

    /// As [`Port::writable`].
    pub async fn writable(&self) {
        self.cable.bells[self.side as usize]
            .writable
            .notified()
            .await;
    }
}

#[derive(Debug, Default)]
struct Bells {
    readable: Notify,
    writable: Notify,
}

impl Cable {
    /// Plugs a port in on that side, which must be free.
    pub(crate) fn plug(self: &Arc<Self>, side: Side) -> Option<Port> {
        let end = &mut self.ends()[side];
        if end.plugged {
            return None;
        }
        end.plugged = true;
        Some(Port {
            cable: Arc::clone(self),
            side,
        })
    }

    pub(crate) fn is_plugged(&self, side: Side) -> bool {
        self.ends()[side].plugged
    }

    /// Says whether that side's link is up.
    pub(crate) fn set_link(&self, side: Side, up: bool) {
        self.ends()[side].link_down = !up;
    }

    /// Says what sees frames pass, in that order.
    pub(crate) fn set_filters(&self, filters: Vec<Arc<Dump>>) {
        self.filtered.store(!filters.is_empty(), Ordering::Release);
        *self.filters() = filters;
    }

    /// Sends from one side to the other; see [`Port::try_send`].
    fn try_send_from(&self, side: Side, frame: Frame) -> Result<(), Frame> {
        let mut ends = self.ends();
        match ends.passage(side) {
            Passage::Lost => return Ok(()),
            Passage::Full => return Err(frame),
            Passage::Free => {}
        }
        if self.filtered.load(Ordering::Acquire) {
            // Filters take their time, and see a frame before anybody can answer it.
            drop(ends);
            let filters = self.filters().clone();
            filters.iter().for_each(|filter| filter.see(side, &frame));
            ends = self.ends();
            if ends.passage(side) == Passage::Lost {
                return Ok(());
            }
        }
        let other = side.other();
        let end = &mut ends[other];
        let first = end.inbox.is_empty();
        if end.accepts.takes(frame.offload) {
            end.push(frame);
        } else {
            for frame in offload::finish(frame, end.accepts) {
                end.push(frame);
            }
        }
        drop(ends);
        if first {
            self.bells[other as usize].readable.notify_one();
        }
        Ok(())
    }

    /// Sends from a side whose port is somebody else's, unless that has to wait.
    pub(crate) fn send_from(&self, side: Side, frame: Frame) {
        // Full: lost.
        let _ = self.try_send_from(side, frame);
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn filters(&self) -> MutexGuard<'_, Vec<Arc<Dump>>> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    /// Sends a frame, or gives it back if the other end should first take what waits there;
    /// [`writable`](Self::writable) tells when it has.
    ///
    /// # Errors
    /// The queue is full.
    pub fn try_send(&self, frame: Frame) -> Result<(), Frame> {
        self.cable.try_send_from(self.side, frame)
    }

    /// Sends a frame as soon as there is room for it.
    pub async fn send(&self, mut frame: Frame) {
        let mut waited = false;
        while let Err(back) = self.try_send(frame) {
            frame = back;
            self.writable().await;
            waited = true;
        }
        if waited {
            // The bell woke one; there may be room for others that wait.
            self.bell().writable.notify_one();
        }
    }

    /// Waits until a frame that was refused may be sent again. One task may wait for it.
    pub async fn writable(&self) {
        self.cable.bells[self.side as usize]
            .writable
            .notified()
            .await;
    }

    /// Takes the oldest frame that waits here.
    pub fn try_recv(&self) -> Option<Frame> {
        let mut ends = self.cable.ends();
        let end = &mut ends[self.side];
        let frame = end.inbox.pop_front()?;
        end.bytes = end.bytes.saturating_sub(frame.len());
        let room = end.awaited && end.is_half_empty();
        if room {
            end.awaited = false;
        }
        drop(ends);
        if room {
            self.ring_sender();
        }
        Some(frame)
    }

    /// Takes the oldest frame, waiting for one. One task may wait for it.
    pub async fn recv(&self) -> Frame {
        loop {
            if let Some(frame) = self.try_recv() {
                return frame;
            }
            self.readable().await;
        }
    }

    /// Waits until frames have come where there were none. Look first, then wait; one task may.
    pub async fn readable(&self) {
        self.cable.bells[self.side as usize]
            .readable
            .notified()
            .await;
    }

    /// Says which frames this end takes with work left to do; none, at first.
    pub fn accept(&self, accepts: Accepts) {
        self.cable.ends()[self.side].accepts = accepts;
    }

    /// Something to wait on that does not hold the port.
    pub fn bells(&self) -> PortBells {
        PortBells {
            cable: Arc::clone(&self.cable),
            side: self.side,
        }
    }

    /// Says whether this end's link is up. What waits here is lost when it goes down.
    pub fn set_link(&self, up: bool) {
        self.cable.set_link(self.side, up);
        if !up {
            self.discard();
        }
    }

    /// Whether the link of this end is up.
    pub fn link_is_up(&self) -> bool {
        !self.cable.ends()[self.side].link_down
    }

    /// Throws away what waits here.
    pub fn discard(&self) {
        self.cable.ends()[self.side].clear();
        self.ring_sender();
    }

    fn bell(&self) -> &Bells {
        &self.cable.bells[self.side as usize]
    }

    fn ring_sender(&self) {
        self.cable.bells[self.side.other() as usize]
            .writable
            .notify_one();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut ends = self.cable.ends();
        ends[self.side] = End::default();
        drop(ends);
        self.ring_sender();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cable() -> (Port, Port) {
        let cable = Arc::new(Cable::default());
        let [backend, nic] = [Side::Backend, Side::Nic].map(|side| cable.plug(side));
        (backend.expect("free"), nic.expect("free"))
    }

    fn frame(byte: u8) -> Frame {
        vec![byte; 60].into()
    }

    #[test]
    fn frames_arrive_in_order() {
        let (a, b) = cable();
        for byte in 0..3 {
            a.try_send(frame(byte)).expect("room");
        }
        for byte in 0..3 {
            assert_eq!(b.try_recv(), Some(frame(byte)));
        }
        assert_eq!(b.try_recv(), None);
    }

    #[test]
    fn a_full_queue_gives_the_frame_back() {
        let (a, b) = cable();
        let sent = (0..).take_while(|_| a.try_send(frame(1)).is_ok()).count();
        assert_eq!(sent, MOST_FRAMES);
        assert_eq!(a.try_send(frame(2)), Err(frame(2)));
        assert_eq!(b.try_recv(), Some(frame(1)));
        assert_eq!(a.try_send(frame(2)), Ok(()));
    }

    #[test]
    fn long_frames_fill_it_sooner() {
        let (a, _b) = cable();
        let sent = (0..).take_while(|_| a.try_send(vec![0; 65536].into()).is_ok());
        assert_eq!(sent.count(), MOST_BYTES / 65536);
    }

    #[test]
    fn a_loose_end_or_a_link_that_is_down_loses_frames() {
        let (a, b) = cable();
        b.set_link(false);
        a.try_send(frame(1)).expect("lost");
        b.set_link(true);
        a.set_link(false);
        a.try_send(frame(2)).expect("lost");
        a.set_link(true);
        assert_eq!(b.try_recv(), None);
        a.try_send(frame(3)).expect("room");
        drop(b);
        for _ in 0..MOST_FRAMES * 2 {
            a.try_send(frame(4)).expect("lost");
        }
        let b = a.cable.plug(Side::Nic).expect("free again");
        assert_eq!(b.try_recv(), None);
        assert!(a.cable.plug(Side::Nic).is_none());
    }

    #[tokio::test]
    async fn a_sender_is_called_when_there_is_room() {
        let (a, b) = cable();
        while a.try_send(frame(1)).is_ok() {}
        let taker = tokio::spawn(async move {
            for _ in 0..MOST_FRAMES {
                b.recv().await;
            }
            b.recv().await
        });
        a.send(frame(2)).await;
        assert_eq!(taker.await.expect("taken"), frame(2));
    }

    #[tokio::test]
    async fn a_sender_is_called_when_the_other_end_is_pulled_out() {
        let (a, b) = cable();
        while a.try_send(frame(1)).is_ok() {}
        let sender = tokio::spawn(async move { a.send(frame(2)).await });
        tokio::task::yield_now().await;
        drop(b);
        sender.await.expect("sent nowhere");
    }
}
