//! `pci-testdev`: registers that count writes, by which guests measure the cost of an access.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Bar, ConfigSpace, Function, Identity, PciFunction};

const MEMORY: u8 = 0;
const IO: u8 = 1;
const EXTRA: u8 = 2;

const MEMORY_SIZE: u64 = 0x1000;
const IO_SIZE: u64 = 0x100;

/// What a test's writes are matched with.
#[derive(Clone, Copy, Debug)]
struct Test {
    name: &'static str,
    bar: u8,
    /// Where writes are counted.
    offset: u64,
    /// The value in its description.
    data: u8,
    /// Only that value counts.
    matched: bool,
    /// Writes of one byte are taken by a notifier, which counts for itself.
    notified: bool,
}

/// The tests, by their numbers: three in memory, three in I/O space.
const TESTS: [Test; 6] = [
    test("mmio-no-eventfd", MEMORY, 0x800, 0),
    test("mmio-wildcard-eventfd", MEMORY, 0x801, 1),
    test("mmio-datamatch-eventfd", MEMORY, 0x802, 2),
    test("portio-no-eventfd", IO, 0x83, 0),
    test("portio-wildcard-eventfd", IO, 0x84, 1),
    test("portio-datamatch-eventfd", IO, 0x85, 2),
];
/// How many there are for each bar.
const TESTS_EACH: usize = TESTS.len() / 2;

const fn test(name: &'static str, bar: u8, offset: u64, variant: u8) -> Test {
    Test {
        name,
        bar,
        offset,
        data: if variant == 1 { 0xce } else { 0xfa },
        matched: variant != 1,
        notified: variant != 0,
    }
}

/// Makes a `pci-testdev`, with a further bar of `extra` bytes, a power of two, unless that is 0.
///
/// # Panics
/// `extra` is neither 0 nor a power of two.
pub fn testdev(id: &str, extra: u64, multifunction: bool) -> Arc<Function> {
    let identity = Identity::new(0x1b36, 0x0005, 0x00ff);
    let mut config = ConfigSpace::conventional(&identity).with_multifunction(multifunction);
    config.add_bar(MEMORY, Bar::memory(MEMORY_SIZE));
    config.add_bar(IO, Bar::io(IO_SIZE));
    if extra != 0 {
        config.add_bar(EXTRA, Bar::memory64(extra).prefetchable());
    }
    Function::new("pci-testdev", id, config, None, |_| {
        Arc::new(Testdev(Mutex::default()))
    })
}

/// The test that runs, by its number, and its count.
#[derive(Debug, Default)]
struct State(Option<(usize, u32)>);

#[derive(Debug)]
struct Testdev(Mutex<State>);

impl Testdev {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Starts the test of a bar, or none.
    fn choose(&mut self, bar: u8, number: u64) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let first = usize::from(bar) * TESTS_EACH;
        self.0 = (number < TESTS_EACH).then_some((first + number, 0));
    }

    /// Counts a write, of which the byte at the test's place matters.
    fn count(&mut self, bar: u8, offset: u64, size: u8, value: u64) {
        let Some((number, count)) = &mut self.0 else {
            return;
        };
        let test = TESTS[*number];
        let Some(index) = test
            .offset
            .checked_sub(offset)
            .filter(|index| *index < size.into())
        else {
            return;
        };
        let byte = (value >> (8 * index)) as u8;
        let fits = !test.matched || byte == test.data;
        let taken = test.notified && size == 1 && bar == test.bar;
        if fits && !taken {
            *count = count.wrapping_add(1);
        }
    }

    /// The description of the test that runs: number, width, offset, data, count and name.
    fn description(&self) -> Vec<u8> {
        let Some((number, count)) = self.0 else {
            return Vec::new();
        };
        let test = TESTS[number];
        let longs = [test.offset as u32, test.data.into(), count];
        let mut bytes = vec![number as u8, 1, 0, 0];
        bytes.extend(longs.iter().flat_map(|long| long.to_le_bytes()));
        bytes.extend(test.name.bytes());
        bytes.push(0);
        bytes
    }
}

impl PciFunction for Testdev {
    fn bar_read(&self, bar: u8, offset: u64, size: u8) -> u64 {
        if bar == EXTRA {
            return u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 4)));
        }
        let description = self.lock().description();
        // The last byte, which ends the name, cannot be read, and reads as zero like all beyond.
        let byte = |index: u64| {
            let place = usize::try_from(offset + index).ok();
            let byte = place.and_then(|place| description.get(place)).copied();
            u64::from(byte.unwrap_or(0)) << (8 * index)
        };
        (0..u64::from(size.min(4))).map(byte).sum()
    }

    fn bar_write(&self, bar: u8, offset: u64, size: u8, value: u64) {
        match (bar, offset) {
            (EXTRA, _) => {}
            (_, 0) => self.lock().choose(bar, value),
            _ => self.lock().count(bar, offset, size, value),
        }
    }

    fn reset(&self) {
        self.lock().0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted() {
        let function = testdev("", 0, false);
        assert_eq!(function.bar_read(0, 0, 4), 0);
        function.bar_write(0, 0, 1, 0);
        assert_eq!(function.bar_read(0, 0, 4), 0x100);
        assert_eq!(function.bar_read(0, 4, 4), 0x800);
        assert_eq!(
            function.bar_read(0, 16, 4),
            u64::from(u32::from_le_bytes(*b"mmio"))
        );
        for (size, value) in [(1, 0xfa), (4, 0xfa), (1, 0xce), (2, 0)] {
            function.bar_write(0, 0x800, size, value);
        }
        assert_eq!(function.bar_read(0, 12, 4), 2);
        function.bar_write(1, 0, 1, 2);
        assert_eq!(function.bar_read(1, 0, 1), 5);
        function.bar_write(1, 0x85, 1, 0xfa);
        assert_eq!(function.bar_read(1, 12, 1), 0);
        function.bar_write(0, 0, 1, 3);
        assert_eq!(function.bar_read(0, 4, 4), 0);
    }
}
