//! Two ends that talk to each other, with segments lost on the way.

use super::*;

/// Two ends of a connection, and a way to lose what is between them.
struct Pair {
    ends: [Tcb; 2],
    now: Instant,
    random: u32,
    lost: usize,
}

fn pair() -> Pair {
    let mut now = Instant::now();
    let mut caller = Tcb::call((1000, 80), u32::MAX - 5);
    let syn = caller.next_segment(now).expect("a call");
    now += Duration::from_millis(1);
    let callee = Tcb::answer(&syn.tcp, u32::MAX - 100);
    let mut pair = Pair {
        ends: [caller, callee],
        now,
        random: 1,
        lost: 0,
    };
    pair.settle(0);
    pair
}

impl Pair {
    /// Carries segments until neither end has any, dropping about one in `lose` of them.
    fn settle(&mut self, lose: u32) {
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            for from in 0..2 {
                while let Some(segment) = self.ends[from].next_segment(self.now) {
                    quiet = 0;
                    self.random = self
                        .random
                        .wrapping_mul(1_664_525)
                        .wrapping_add(1_013_904_223);
                    if lose > 0 && (self.random >> 8).is_multiple_of(lose) {
                        self.lost += 1;
                        continue;
                    }
                    let to = &mut self.ends[1 - from];
                    to.take(&segment.tcp, &segment.payload, self.now);
                }
            }
        }
    }

    /// Lets every deadline pass that is set.
    fn wait(&mut self) {
        for tcb in &mut self.ends {
            if let Some(deadline) = tcb.deadline() {
                self.now = self.now.max(deadline);
                tcb.expire(self.now);
            }
        }
    }

    /// Sends bytes from the first to the second end.
    fn carry(&mut self, bytes: &[u8], lose: u32) -> Vec<u8> {
        let (mut rest, mut got) = (bytes, Vec::new());
        for _ in 0..10_000 {
            let count = self.ends[0].room().min(rest.len());
            self.ends[0].push(&rest[..count]);
            rest = &rest[count..];
            self.settle(lose);
            let input = self.ends[1].input().to_vec();
            self.ends[1].consume(input.len());
            got.extend(&input);
            if got.len() == bytes.len() {
                return got;
            }
            if input.is_empty() {
                self.wait();
            }
        }
        panic!("{} of {} bytes arrive", got.len(), bytes.len());
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 31) >> 3) as u8).collect()
}

#[test]
fn bytes_arrive_whole() {
    for length in [1, 1459, 1460, 1461, 100_000, 1_000_000] {
        let bytes = content(length);
        assert!(pair().carry(&bytes, 0) == bytes, "{length}");
    }
}

#[test]
fn losses_are_made_up_for() {
    for lose in [2, 3, 7] {
        let mut pair = pair();
        let bytes = content(300_000);
        assert!(pair.carry(&bytes, lose) == bytes, "{lose}");
        assert!(pair.lost > 0);
    }
}

#[test]
fn a_closed_window_opens_again() {
    let mut pair = pair();
    let bytes = content(OUT_MAX + IN_MAX);
    pair.ends[0].push(&bytes[..OUT_MAX]);
    pair.settle(0);
    pair.ends[0].push(&bytes[OUT_MAX..]);
    pair.settle(0);
    assert_eq!(pair.ends[1].queues().0, IN_MAX);
    pair.wait();
    pair.settle(0);
    assert_eq!(pair.ends[1].queues().0, IN_MAX, "a probe does not get in");
    let mut got = Vec::new();
    for _ in 0..100 {
        let input = pair.ends[1].input().to_vec();
        pair.ends[1].consume(input.len());
        got.extend(input);
        pair.settle(0);
        pair.wait();
    }
    assert!(got == bytes);
}

#[test]
fn each_side_closes_for_itself() {
    let mut pair = pair();
    pair.ends[0].push(b"last words");
    pair.ends[0].close();
    pair.settle(0);
    assert!(pair.ends[1].is_closed_by_guest());
    assert_eq!(pair.ends[1].input(), b"last words");
    assert_eq!(pair.ends[1].state_name(), "CLOSE_WAIT");
    assert_eq!(pair.ends[0].state_name(), "FIN_WAIT_2");
    pair.ends[1].consume(10);
    pair.ends[1].push(b"answer");
    pair.ends[1].close();
    pair.settle(0);
    assert_eq!(pair.ends[0].input(), b"answer");
    pair.ends[0].consume(6);
    pair.settle(0);
    assert!(pair.ends.iter().all(Tcb::is_over), "{:?}", pair.ends);
}

#[test]
fn resets() {
    let mut pair = pair();
    pair.ends[0].reset();
    pair.settle(0);
    assert!(pair.ends[0].is_over() && pair.ends[1].is_over());
    assert!(pair.ends[1].was_reset());
}

#[test]
fn a_call_that_nobody_answers_ends() {
    let mut tcb = Tcb::call((1, 2), 0);
    let mut now = Instant::now();
    for _ in 0..SYN_TRIES {
        assert!(tcb.next_segment(now).is_some());
        now = tcb.deadline().expect("a deadline");
        tcb.expire(now);
    }
    assert!(tcb.is_over());
}

#[test]
fn no_segment_upsets_it() {
    let mut random = 1u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as u32
    };
    let payload = content(2000);
    for round in 0..300 {
        let mut pair = pair();
        let Pair {
            ends: [tcb, _],
            now,
            ..
        } = &mut pair;
        for _ in 0..50 {
            let near = |base: u32, random: u32| match random % 4 {
                0 => random.wrapping_mul(7919),
                _ => base.wrapping_add(random % 5000).wrapping_sub(2500),
            };
            let tcp = Tcp {
                sequence: near(tcb.receive.next, next()),
                acknowledged: near(tcb.send.oldest, next()),
                flags: if round % 2 == 0 {
                    flags::ACK
                } else {
                    next() as u8
                },
                window: next() as u16,
                ..Tcp::default()
            };
            tcb.take(&tcp, &payload[..next() as usize % 2000], *now);
            tcb.push(&payload[..tcb.room().min(next() as usize % 2000)]);
            if next() % 10 == 0 {
                tcb.close();
            }
            for _ in 0..5 {
                tcb.next_segment(*now);
            }
            let taken = tcb.input().len().min(next() as usize % 2000);
            tcb.consume(taken);
            if let Some(deadline) = tcb.deadline() {
                *now = deadline;
                tcb.expire(*now);
            }
            let (input, output) = tcb.queues();
            assert!(input <= IN_MAX && output <= OUT_MAX);
        }
    }
}
