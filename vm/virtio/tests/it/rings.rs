//! Both layouts with every feature, through an echo.

use std::sync::{Arc, Mutex};

use tinamou_virtio::driver::{Guest, Ring};
use tinamou_virtio::{Interrupt, Virtio, feature};

use crate::fuzz::virtqueue::Echo;

/// Counts interrupts.
#[derive(Default)]
pub struct Counter {
    queue: Mutex<usize>,
    config: Mutex<usize>,
}

impl Counter {
    pub fn queue_interrupts(&self) -> usize {
        *self.queue.lock().unwrap()
    }

    pub fn config_interrupts(&self) -> usize {
        *self.config.lock().unwrap()
    }
}

impl Interrupt for Counter {
    fn queue(&self, _: usize) {
        *self.queue.lock().unwrap() += 1;
    }

    fn config(&self) {
        *self.config.lock().unwrap() += 1;
    }
}

pub struct Rig {
    pub guest: Guest,
    pub device: Arc<Virtio>,
    pub ring: Ring,
    pub counter: Arc<Counter>,
}

/// An echo with a ring of 8 on a queue.
pub fn rig(features: u64, queue: usize) -> Rig {
    let guest = Guest::new();
    let device = guest.plug(Echo::new);
    let counter = Arc::new(Counter::default());
    device.connect(counter.clone());
    guest.negotiate(&device, features);
    let ring = if features & feature::RING_PACKED == 0 {
        Ring::split(&guest, 8)
    } else {
        Ring::packed(&guest, 8)
    };
    ring.enable(&device, queue);
    guest.start(&device, features);
    Rig {
        guest,
        device,
        ring,
        counter,
    }
}

impl Rig {
    pub fn kick(&self, queue: usize) {
        self.device.kick(queue);
        self.device.process();
    }
}

/// Every combination of the features that concern rings.
fn combinations() -> impl Iterator<Item = u64> {
    let bits = [
        feature::RING_PACKED,
        feature::RING_EVENT_IDX,
        feature::IN_ORDER,
        feature::RING_INDIRECT_DESC,
    ];
    (0..16u32).map(move |choice| {
        let chosen = (0..)
            .zip(bits)
            .filter(|(index, _)| choice >> index & 1 != 0);
        chosen.fold(0, |features, (_, bit)| features | bit)
    })
}

#[test]
fn chains_go_round_and_round() {
    for features in combinations() {
        let mut rig = rig(features, 0);
        for lap in 0..40u8 {
            let text = [lap; 10];
            let parts = [&text[..4], &text[4..]];
            let head = if features & feature::RING_INDIRECT_DESC == 0 {
                rig.ring.add(&rig.guest, &parts, &[3, 20])
            } else {
                rig.ring.add_indirect(&rig.guest, &parts, &[3, 20])
            };
            rig.kick(0);
            assert_eq!(
                rig.ring.used(&rig.guest),
                Some((head, 10)),
                "{features:#x} {lap}"
            );
            let filled = rig.ring.filled(&rig.guest, head);
            assert_eq!((&filled[..10], &filled[10..]), (&text[..], &[0; 13][..]));
        }
        assert_eq!(rig.ring.used(&rig.guest), None);
    }
}

#[test]
fn several_chains_are_returned_in_their_order() {
    for features in combinations() {
        let mut rig = rig(features, 0);
        for _ in 0..5 {
            let heads = [(); 3].map(|()| rig.ring.add(&rig.guest, &[b"x"], &[1]));
            rig.kick(0);
            for head in heads {
                assert_eq!(rig.ring.used(&rig.guest), Some((head, 1)), "{features:#x}");
            }
        }
    }
}

#[test]
fn kicks_are_wanted_only_when_the_ring_is_empty() {
    for features in [0, feature::RING_PACKED] {
        let mut rig = rig(features, 0);
        rig.ring.add(&rig.guest, &[b"x"], &[1]);
        assert!(rig.ring.wants_kicks(&rig.guest));
        rig.kick(0);
        assert!(rig.ring.wants_kicks(&rig.guest));
    }
}

#[test]
fn interrupts_follow_the_drivers_wish() {
    for features in [0, feature::RING_PACKED] {
        let mut rig = rig(features, 0);
        let mut check = |wanted, expected| {
            rig.ring.want_interrupts(&rig.guest, wanted);
            rig.ring.add(&rig.guest, &[b"x"], &[1]);
            rig.device.kick(0);
            rig.device.process();
            assert_eq!(rig.counter.queue_interrupts(), expected, "{features:#x}");
        };
        check(true, 1);
        check(false, 1);
        check(true, 2);
    }
}

#[test]
fn event_indexes_say_when() {
    let mut rig = rig(feature::RING_EVENT_IDX, 0);
    let used_event = rig.ring.driver + 4 + 2 * 8;
    let avail_event = rig.ring.device + 4 + 8 * 8;
    let mut check = |event, expected| {
        rig.guest.memory().store(used_event, 2, event).unwrap();
        rig.ring.add(&rig.guest, &[b"x"], &[1]);
        rig.device.kick(0);
        rig.device.process();
        assert_eq!(rig.counter.queue_interrupts(), expected, "after {event}");
    };
    // The first return always interrupts: nothing was said of it before.
    check(5, 1);
    check(5, 1);
    check(2, 2);
    check(2, 2);
    assert_eq!(rig.guest.memory().load(avail_event, 2), Ok(4));
}

#[test]
fn a_packed_ring_names_the_place_of_an_interrupt() {
    let mut rig = rig(feature::RING_PACKED | feature::RING_EVENT_IDX, 0);
    let driver = rig.ring.driver;
    let mut check = |slot: u64, wrap: u64, expected| {
        let memory = rig.guest.memory();
        memory.store(driver, 2, slot | wrap << 15).unwrap();
        memory.store(driver + 2, 2, 2).unwrap();
        rig.ring.add(&rig.guest, &[b"x"], &[]);
        rig.device.kick(0);
        rig.device.process();
        assert_eq!(rig.counter.queue_interrupts(), expected, "at {slot}");
    };
    check(6, 1, 1);
    check(6, 1, 1);
    check(2, 1, 2);
    check(6, 1, 2);
    check(6, 1, 2);
    check(6, 1, 2);
    check(6, 1, 3);
}

#[test]
fn a_queue_alone_is_reset_with_what_is_in_it() {
    for features in [0, feature::RING_PACKED, feature::IN_ORDER] {
        let mut rig = rig(features, 1);
        rig.ring.add(&rig.guest, &[b"kept"], &[4]);
        rig.kick(1);
        rig.device.reset_queue(1);
        let mut ring = if features & feature::RING_PACKED == 0 {
            Ring::split(&rig.guest, 8)
        } else {
            Ring::packed(&rig.guest, 8)
        };
        ring.enable(&rig.device, 1);
        let second = ring.add(&rig.guest, &[b"two"], &[3]);
        let third = ring.add(&rig.guest, &[b"three"], &[5]);
        rig.kick(1);
        // The chain from before the reset was not answered anywhere.
        assert_eq!(rig.ring.used(&rig.guest), None);
        assert_eq!(ring.used(&rig.guest), Some((second, 3)));
        assert_eq!(ring.used(&rig.guest), None);
        assert_eq!(ring.filled(&rig.guest, third), [0; 5]);
    }
}

#[test]
fn a_closed_gate_keeps_chains_in_the_ring() {
    let mut rig = rig(0, 0);
    rig.guest.site.gate.close();
    let head = rig.ring.add(&rig.guest, &[b"x"], &[1]);
    rig.device.kick(0);
    assert!(!rig.device.process());
    rig.guest.settle();
    assert_eq!(rig.ring.used(&rig.guest), None);
    rig.guest.site.gate.open();
    rig.guest.settle();
    assert_eq!(rig.ring.used(&rig.guest), Some((head, 1)));
}
