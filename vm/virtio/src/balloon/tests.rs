//! The balloon as a driver fills it.

use std::sync::mpsc::{Receiver, channel};

use tinamou_memory::Stretch;

use super::*;
use crate::Virtio;
use crate::driver::{Guest, RAM_BASE, RAM_SIZE, Ring};

struct Rig {
    guest: Guest,
    device: Arc<Virtio>,
    balloon: Arc<Balloon>,
    changes: Receiver<u64>,
    rings: Vec<Ring>,
}

fn rig(options: Options) -> Rig {
    let guest = Guest::new();
    let (sender, changes) = channel();
    let mut balloon = None;
    let device = guest.plug(|port| {
        let observer = Box::new(move |actual| sender.send(actual).unwrap());
        let made = Balloon::new(port, options, RAM_SIZE, observer);
        balloon = Some(Arc::clone(&made));
        made
    });
    guest.negotiate(&device, device.offered() & 0x3f);
    let rings: Vec<_> = (0..device.queue_count())
        .map(|queue| {
            let ring = Ring::split(&guest, 32);
            ring.enable(&device, queue);
            ring
        })
        .collect();
    guest.start(&device, 0);
    Rig {
        guest,
        device,
        balloon: balloon.unwrap(),
        changes,
        rings,
    }
}

impl Rig {
    fn send(&mut self, queue: usize, readable: &[&[u8]], writable: &[u32]) -> u16 {
        let head = self.rings[queue].add(&self.guest, readable, writable);
        self.device.kick(queue);
        self.device.process();
        head
    }

    fn used(&mut self, queue: usize) -> Option<(u16, u32)> {
        self.rings[queue].used(&self.guest)
    }

    /// Whether the host has a page in memory for this address.
    fn page(&self, address: u64) -> u64 {
        let memory = self.guest.memory();
        let stretch: Stretch<'_> = memory.stretches(address, 8).next().unwrap().unwrap();
        stretch.ram.load(stretch.offset, 8).unwrap()
    }
}

fn numbers(pages: &[u64]) -> Vec<u8> {
    let page = |page: &u64| ((page >> PAGE_SHIFT) as u32).to_le_bytes();
    pages.iter().flat_map(page).collect()
}

#[test]
fn pages_in_the_balloon_are_released() {
    let mut rig = rig(Options::default());
    let page = |index| RAM_BASE + RAM_SIZE - index * PAGE_SIZE;
    for index in 1..=5 {
        rig.guest.memory().store(page(index), 8, 7).unwrap();
    }
    // In no order, with one twice, one that is no RAM, and one beyond all addresses.
    let list = numbers(&[page(2), page(1), page(4), page(2), 0x1000, 0xffff_ffff_f000]);
    let head = rig.send(INFLATE, &[&list], &[]);
    assert_eq!(rig.used(INFLATE), Some((head, 0)));
    let left: Vec<_> = (1..=5).map(|index| rig.page(page(index))).collect();
    assert_eq!(left, [0, 0, 7, 0, 7]);
    let head = rig.send(DEFLATE, &[&list], &[]);
    assert_eq!(rig.used(DEFLATE), Some((head, 0)));
}

#[test]
fn target_and_actual() {
    let rig = rig(Options::default());
    let config = |offset: u64| {
        let mut bytes = [0; 4];
        rig.device.read_config(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    };
    let generation = rig.device.generation();
    rig.balloon.set_target(RAM_SIZE - 8 * PAGE_SIZE);
    assert_eq!((config(0), config(4)), (8, 0));
    assert_ne!(rig.device.generation(), generation);
    rig.device.write_config(4, &3u32.to_le_bytes());
    rig.device.write_config(4, &3u32.to_le_bytes());
    assert_eq!(
        rig.changes.try_iter().collect::<Vec<_>>(),
        [RAM_SIZE - 3 * PAGE_SIZE]
    );
    assert_eq!(rig.balloon.actual(), RAM_SIZE - 3 * PAGE_SIZE);
    // The target is the host's word, and more than there is is nothing.
    rig.device.write_config(0, &1u32.to_le_bytes());
    assert_eq!(config(0), 8);
    rig.device.write_config(4, &u32::MAX.to_le_bytes());
    assert_eq!(rig.balloon.actual(), 0);
    rig.balloon.set_target(u64::MAX);
    assert_eq!(config(0), 0);
}

#[test]
fn reported_pages_are_released_unless_poisoned() {
    let options = Options {
        free_page_reporting: true,
        ..Options::default()
    };
    for (poison, expected) in [(0u32, 0), (0xaa, 7)] {
        let mut rig = rig(options);
        rig.device.write_config(12, &poison.to_le_bytes());
        let page = rig
            .guest
            .allocate(3 * PAGE_SIZE)
            .next_multiple_of(PAGE_SIZE);
        rig.guest.memory().store(page, 8, 7).unwrap();
        let ring = &mut rig.rings[REPORTING];
        let head = ring.add_at(&rig.guest, page, 2 * PAGE_SIZE as u32);
        rig.device.kick(REPORTING);
        rig.device.process();
        assert_eq!(rig.used(REPORTING), Some((head, 0)));
        assert_eq!(rig.page(page), expected, "{poison:#x}");
    }
}

#[test]
fn statistics_are_asked_for() {
    let mut rig = rig(Options::default());
    let statistic = |tag: u16, value: u64| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
    let sent = [statistic(4, 1000), statistic(99, 1), statistic(15, 5)].concat();
    assert_eq!(rig.balloon.statistics(), Statistics::NONE);
    let head = rig.send(STATS, &[&sent], &[]);
    assert_eq!(rig.used(STATS), None);
    let statistics = rig.balloon.statistics();
    assert_eq!((statistics.values[4], statistics.values[15]), (1000, 5));
    assert_eq!(statistics.values[0], u64::MAX);
    assert!(statistics.last_update > 0);

    // The first question comes at once, the next after the interval.
    rig.balloon.set_polling_interval(2).unwrap();
    let clock = Arc::clone(&rig.guest.site.clock);
    clock.step_to(0);
    rig.device.process();
    assert_eq!(rig.used(STATS), Some((head, 30)));
    let head = rig.send(STATS, &[&sent], &[]);
    clock.step_to(NANOS * 2 - 1);
    rig.device.process();
    assert_eq!(rig.used(STATS), None);
    clock.step_to(NANOS * 2);
    rig.device.process();
    assert_eq!(rig.used(STATS), Some((head, 30)));

    // The driver has the buffer: the question waits for it.
    clock.step_to(NANOS * 60);
    rig.device.process();
    rig.balloon.set_polling_interval(0).unwrap();
    rig.send(STATS, &[&sent], &[]);
    clock.step_to(NANOS * 90);
    rig.device.process();
    assert_eq!(rig.used(STATS), None);
}

const NANOS: u64 = 1_000_000_000;

#[test]
fn intervals_are_checked() {
    let rig = rig(Options::default());
    let check = |seconds, expected: &str| {
        let error = rig.balloon.set_polling_interval(seconds).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(-1, "timer value must be greater than zero");
    check(1 << 32, "timer value is too big");
    assert_eq!(rig.balloon.polling_interval(), 0);
}

#[test]
fn a_reset_forgets_the_buffer_but_not_the_target() {
    let mut rig = rig(Options::default());
    rig.balloon.set_target(0x1000);
    rig.send(STATS, &[&[0; 10]], &[]);
    rig.device.reset();
    rig.balloon.set_polling_interval(1).unwrap();
    rig.guest.site.clock.step_to(0);
    rig.device.process();
    assert_eq!(rig.used(STATS), None);
    assert_ne!(rig.balloon.config()[..4], [0; 4]);
}

#[test]
fn the_configuration_space_grows_with_the_features() {
    let size = |options| rig(options).device.config_size();
    assert_eq!(size(Options::default()), 16);
    let plain = Options {
        page_poison: false,
        ..Options::default()
    };
    assert_eq!(size(plain), 8);
    let full = Options {
        full_config: true,
        ..plain
    };
    assert_eq!(size(full), 16);
}
