//! One TCP connection with the guest (RFC 9293), without sockets or clocks.
//!
//! The link to the guest loses next to nothing: where it could, senders wait. So what comes out
//! of order is not kept, what is lost is sent again from there on, and there is no congestion
//! control: the host's kernel has one for the way outside.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::wire::{Tcp, flags};

/// Bytes kept for the guest, sent or not, until it has acknowledged them.
const OUT_MAX: usize = 256 * 1024;
/// Bytes from the guest kept until the host takes them.
const IN_MAX: usize = 256 * 1024;
/// By how many bits our windows are shifted.
const SCALE: u8 = 3;
/// The longest segment we take.
const MSS: u16 = 1460;
/// What a peer takes that says nothing (RFC 9293 §3.7.1).
const DEFAULT_MSS: u16 = 536;
/// The least we send at once, whatever the peer says.
const LEAST_MSS: u16 = 48;
/// Bytes handed over at once; the network splits them as needed.
const LONGEST: usize = 32 * 1024;
/// How long an answer may take before something is sent again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a connection is offered to the guest.
const SYN_TRIES: u32 = 6;
/// Acknowledgements of the same byte that tell of a loss.
const DUPLICATES: u8 = 3;

/// A connection.
#[derive(Debug)]
pub(super) struct Tcb {
    /// Ours and the guest's.
    ports: (u16, u16),
    state: State,
    send: Send,
    receive: Receive,
    wait: Duration,
    deadline: Option<Instant>,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// We have called.
    SynSent,
    /// The guest has called.
    SynReceived,
    Established,
    /// Nothing more to do but to say so.
    Resetting,
    Over,
}

#[derive(Debug)]
struct Send {
    /// The oldest byte not acknowledged.
    oldest: u32,
    /// The next to send.
    next: u32,
    /// After the newest ever sent.
    newest: u32,
    window: u32,
    scale: u8,
    mss: u16,
    /// From `oldest` on.
    bytes: VecDeque<u8>,
    fin: Fin,
    duplicates: u8,
    /// Send one byte into a closed window.
    probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    Open,
    Wanted,
    Acknowledged,
}

#[derive(Debug)]
struct Receive {
    next: u32,
    bytes: VecDeque<u8>,
    scale: u8,
    /// The end of the window the guest knows of.
    edge: u32,
    closed: bool,
    acknowledge: bool,
    /// The guest has reset the connection.
    reset: bool,
}

/// What to send to the guest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) tcp: Tcp,
    pub(super) payload: Vec<u8>,
    /// How the payload is split.
    pub(super) mss: u16,
}

fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

impl Tcb {
    fn new(ports: (u16, u16), state: State, sequence: u32) -> Self {
        Self {
            ports,
            state,
            send: Send {
                oldest: sequence,
                next: sequence,
                newest: sequence,
                window: 0,
                scale: 0,
                mss: DEFAULT_MSS,
                bytes: VecDeque::new(),
                fin: Fin::Open,
                duplicates: 0,
                probe: false,
            },
            receive: Receive {
                next: 0,
                bytes: VecDeque::new(),
                scale: 0,
                edge: 0,
                closed: false,
                acknowledge: false,
                reset: false,
            },
            wait: FIRST_WAIT,
            deadline: None,
            tries: 0,
        }
    }

    /// Calls the guest.
    pub(super) fn call(ports: (u16, u16), sequence: u32) -> Self {
        let mut tcb = Self::new(ports, State::SynSent, sequence);
        tcb.receive.scale = SCALE;
        tcb
    }

    /// Answers the guest's call.
    pub(super) fn answer(syn: &Tcp, sequence: u32) -> Self {
        let ports = (syn.destination, syn.source);
        let mut tcb = Self::new(ports, State::SynReceived, sequence);
        tcb.meet(syn);
        tcb
    }

    /// The answer to a segment of no connection, if it wants one.
    pub(super) fn refusal(tcp: &Tcp, length: usize) -> Option<Tcp> {
        if tcp.has(flags::RST) {
            return None;
        }
        let answer = Tcp {
            source: tcp.destination,
            destination: tcp.source,
            flags: flags::RST,
            ..Tcp::default()
        };
        if tcp.has(flags::ACK) {
            return Some(Tcp {
                sequence: tcp.acknowledged,
                ..answer
            });
        }
        let controls = u32::from(tcp.has(flags::SYN)) + u32::from(tcp.has(flags::FIN));
        Some(Tcp {
            acknowledged: tcp
                .sequence
                .wrapping_add(length as u32)
                .wrapping_add(controls),
            flags: flags::RST | flags::ACK,
            ..answer
        })
    }

    /// Takes what the guest's SYN says.
    fn meet(&mut self, syn: &Tcp) {
        self.receive.next = syn.sequence.wrapping_add(1);
        self.receive.edge = self.receive.next;
        self.send.mss = syn.mss.unwrap_or(DEFAULT_MSS).clamp(LEAST_MSS, MSS);
        self.send.window = u32::from(syn.window);
        match syn.scale {
            Some(scale) => {
                self.send.scale = scale;
                self.receive.scale = SCALE;
            }
            None => self.receive.scale = 0,
        }
    }

    /// Its state as `info usernet` names it.
    pub(super) fn state_name(&self) -> &'static str {
        match (self.state, self.send.fin, self.receive.closed) {
            (State::SynSent, ..) => "SYN_SENT",
            (State::SynReceived, ..) => "SYN_RCVD",
            (State::Established, Fin::Open, false) => "ESTABLISHED",
            (State::Established, Fin::Open, true) => "CLOSE_WAIT",
            (State::Established, Fin::Wanted, false) => "FIN_WAIT_1",
            (State::Established, Fin::Acknowledged, false) => "FIN_WAIT_2",
            (State::Established, Fin::Wanted, true) => "LAST_ACK",
            _ => "CLOSED",
        }
    }

    /// Bytes that wait for the host, and for the guest.
    pub(super) fn queues(&self) -> (usize, usize) {
        (self.receive.bytes.len(), self.send.bytes.len())
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether the guest has reset the connection.
    pub(super) fn was_reset(&self) -> bool {
        self.receive.reset
    }

    /// Whether the guest sends nothing more.
    pub(super) fn is_closed_by_guest(&self) -> bool {
        self.receive.closed
    }

    /// How many bytes for the guest there is room for.
    pub(super) fn room(&self) -> usize {
        match (self.state, self.send.fin) {
            (State::Established, Fin::Open) => OUT_MAX - self.send.bytes.len().min(OUT_MAX),
            _ => 0,
        }
    }

    /// Adds bytes for the guest.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.send.bytes.extend(bytes);
    }

    /// Nothing more comes for the guest.
    pub(super) fn close(&mut self) {
        if self.send.fin == Fin::Open {
            self.send.fin = Fin::Wanted;
        }
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(&mut self) {
        if self.state != State::Over {
            self.state = State::Resetting;
        }
    }

    /// The bytes from the guest that come first.
    pub(super) fn input(&self) -> &[u8] {
        self.receive.bytes.as_slices().0
    }

    /// The host has taken so many of them.
    pub(super) fn consume(&mut self, count: usize) {
        self.receive.bytes.drain(..count);
        let offered = self.receive.edge.wrapping_sub(self.receive.next) as usize;
        // Tell of a window that has become much larger, not of every byte.
        if self.window() >= offered + IN_MAX / 4 {
            self.receive.acknowledge = true;
        }
    }

    fn window(&self) -> usize {
        IN_MAX - self.receive.bytes.len().min(IN_MAX)
    }

    /// When [`expire`](Self::expire) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        self.tries += 1;
        let offering = matches!(self.state, State::SynSent | State::SynReceived);
        if offering && self.tries >= SYN_TRIES {
            self.state = State::Over;
            return;
        }
        self.send.probe = self.send.window == 0;
        self.send.next = self.send.oldest;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.deadline = Some(now + self.wait);
    }

    /// Takes a segment from the guest.
    pub(super) fn take(&mut self, tcp: &Tcp, payload: &[u8], now: Instant) {
        match self.state {
            State::Resetting | State::Over => return,
            State::SynSent => return self.take_answer(tcp),
            State::SynReceived | State::Established => {}
        }
        if tcp.has(flags::RST) {
            let offset = tcp.sequence.wrapping_sub(self.receive.next);
            if offset as usize <= IN_MAX {
                self.receive.reset = true;
                self.state = State::Over;
            }
            return;
        }
        if tcp.has(flags::SYN) {
            // Sent again, so the answer was lost; or nonsense, to be told what is expected.
            if self.state == State::SynReceived {
                self.send.next = self.send.oldest;
            }
            self.receive.acknowledge = self.state == State::Established;
            return;
        }
        if !tcp.has(flags::ACK) {
            return;
        }
        self.take_acknowledgement(tcp, payload.is_empty(), now);
        if self.state == State::Established {
            self.take_payload(tcp, payload);
        }
        self.finish();
    }

    /// The answer to our call.
    fn take_answer(&mut self, tcp: &Tcp) {
        let expected = tcp.acknowledged == self.send.newest;
        if tcp.has(flags::RST) {
            if expected && tcp.has(flags::ACK) {
                self.receive.reset = true;
                self.state = State::Over;
            }
            return;
        }
        if !tcp.has(flags::SYN | flags::ACK) || !expected {
            return;
        }
        self.meet(tcp);
        self.send.oldest = self.send.newest;
        self.established();
        self.receive.acknowledge = true;
    }

    fn established(&mut self) {
        self.state = State::Established;
        self.deadline = None;
        self.wait = FIRST_WAIT;
        self.tries = 0;
    }

    fn take_acknowledgement(&mut self, tcp: &Tcp, is_bare: bool, now: Instant) {
        let acknowledged = tcp.acknowledged;
        if after(acknowledged, self.send.newest) {
            // Of what was never sent.
            self.receive.acknowledge = true;
            return;
        }
        let window = u32::from(tcp.window) << self.send.scale;
        if after(acknowledged, self.send.oldest) {
            self.advance(acknowledged, now);
        } else if acknowledged == self.send.oldest && is_bare && window == self.send.window {
            self.count_duplicate();
        }
        if !after(self.send.oldest, acknowledged) {
            self.send.window = window;
        }
    }

    /// Forgets what the guest has.
    fn advance(&mut self, acknowledged: u32, now: Instant) {
        let mut count = acknowledged.wrapping_sub(self.send.oldest) as usize;
        if self.state == State::SynReceived {
            self.established();
            count -= 1;
        }
        if count > self.send.bytes.len() {
            // The FIN is the one after the last byte.
            count = self.send.bytes.len();
            self.send.fin = Fin::Acknowledged;
        }
        self.send.bytes.drain(..count);
        self.send.oldest = acknowledged;
        if after(acknowledged, self.send.next) {
            self.send.next = acknowledged;
        }
        self.send.duplicates = 0;
        self.wait = FIRST_WAIT;
        self.tries = 0;
        self.deadline = (self.send.newest != acknowledged).then(|| now + self.wait);
    }

    fn count_duplicate(&mut self) {
        if self.send.newest == self.send.oldest {
            return;
        }
        self.send.duplicates = self.send.duplicates.saturating_add(1);
        if self.send.duplicates == DUPLICATES {
            self.send.next = self.send.oldest;
        }
    }

    fn take_payload(&mut self, tcp: &Tcp, payload: &[u8]) {
        let fin = tcp.has(flags::FIN);
        if payload.is_empty() && !fin {
            if tcp.sequence != self.receive.next {
                // Such as a probe whether we are still there.
                self.receive.acknowledge = true;
            }
            return;
        }
        self.receive.acknowledge = true;
        let known = self.receive.next.wrapping_sub(tcp.sequence);
        let Some(new) = payload.get(known as usize..) else {
            return;
        };
        if self.receive.closed {
            return;
        }
        let count = new.len().min(self.window());
        self.receive.bytes.extend(&new[..count]);
        self.receive.next = self.receive.next.wrapping_add(count as u32);
        if fin && count == new.len() {
            self.receive.next = self.receive.next.wrapping_add(1);
            self.receive.closed = true;
        }
    }

    /// Both sides have ended and know it.
    fn finish(&mut self) {
        let quiet = self.receive.closed && self.receive.bytes.is_empty();
        if quiet && self.send.fin == Fin::Acknowledged && !self.receive.acknowledge {
            self.state = State::Over;
        }
    }

    /// The next segment for the guest, if there is one.
    pub(super) fn next_segment(&mut self, now: Instant) -> Option<Segment> {
        let segment = match self.state {
            State::Over => None,
            State::Resetting => {
                self.state = State::Over;
                Some(self.segment(flags::RST | flags::ACK, Vec::new()))
            }
            State::SynSent => self.greeting(flags::SYN, now),
            State::SynReceived => self.greeting(flags::SYN | flags::ACK, now),
            State::Established => self.stream(now),
        };
        self.finish();
        segment
    }

    fn greeting(&mut self, flags: u8, now: Instant) -> Option<Segment> {
        if self.send.next != self.send.oldest {
            return None;
        }
        let mut segment = self.segment(flags, Vec::new());
        segment.tcp.mss = Some(MSS);
        segment.tcp.scale = Some(self.receive.scale).filter(|scale| *scale > 0);
        // The window of a SYN is never shifted.
        segment.tcp.window = IN_MAX.min(0xffff) as u16;
        if flags & super::wire::flags::ACK == 0 {
            segment.tcp.acknowledged = 0;
        }
        self.sent(1, now);
        Some(segment)
    }

    fn stream(&mut self, now: Instant) -> Option<Segment> {
        let on_the_way = self.send.next.wrapping_sub(self.send.oldest) as usize;
        let waiting = self.send.bytes.len().saturating_sub(on_the_way);
        let mut count = waiting.min(self.allowed(on_the_way)).min(LONGEST);
        if count > usize::from(self.send.mss) && count < waiting {
            count -= count % usize::from(self.send.mss);
        }
        let silly = count < usize::from(self.send.mss) && count < waiting && on_the_way > 0;
        if count > 0 && !silly {
            let range = on_the_way..on_the_way + count;
            let payload: Vec<u8> = self.send.bytes.range(range).copied().collect();
            let last = count == waiting;
            let push = if last { flags::PSH } else { 0 };
            let fin = if last && self.send.fin == Fin::Wanted {
                flags::FIN
            } else {
                0
            };
            let segment = self.segment(flags::ACK | push | fin, payload);
            self.sent(count as u32 + u32::from(fin != 0), now);
            self.send.probe = false;
            return Some(segment);
        }
        if self.send.fin == Fin::Wanted && waiting == 0 && on_the_way == self.send.bytes.len() {
            let segment = self.segment(flags::ACK | flags::FIN, Vec::new());
            self.sent(1, now);
            return Some(segment);
        }
        if waiting > 0 && self.deadline.is_none() {
            // The window is closed: ask now and then whether it still is.
            self.deadline = Some(now + self.wait);
        }
        self.receive
            .acknowledge
            .then(|| self.segment(flags::ACK, Vec::new()))
    }

    /// How many more bytes the guest takes.
    fn allowed(&self, on_the_way: usize) -> usize {
        match self.send.probe {
            true => 1,
            false => (self.send.window as usize).saturating_sub(on_the_way),
        }
    }

    fn segment(&mut self, flags: u8, payload: Vec<u8>) -> Segment {
        let window = (self.window() >> self.receive.scale).min(0xffff);
        self.receive.acknowledge = false;
        let offered = (window << self.receive.scale) as u32;
        self.receive.edge = self.receive.next.wrapping_add(offered);
        Segment {
            tcp: Tcp {
                source: self.ports.0,
                destination: self.ports.1,
                sequence: self.send.next,
                acknowledged: self.receive.next,
                flags,
                window: window as u16,
                mss: None,
                scale: None,
            },
            payload,
            mss: self.send.mss,
        }
    }

    fn sent(&mut self, count: u32, now: Instant) {
        self.send.next = self.send.next.wrapping_add(count);
        if after(self.send.next, self.send.newest) {
            self.send.newest = self.send.next;
        }
        self.deadline.get_or_insert(now + self.wait);
    }
}
