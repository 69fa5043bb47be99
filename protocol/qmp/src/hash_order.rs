//! The orders in which QEMU walks its hash tables. They decide which of
//! several faults a client is told about.

use crate::Object;

/// Buckets of the table that holds an object's members.
const BUCKETS: u32 = 512;

/// Objects beyond this size skip the second table: crafted keys would make
/// its collisions costly, and no client counts on the choice then.
const MAX_KEYS: usize = 256;

/// The places of an object's members in the order of QEMU's object table: by
/// bucket, and within one bucket the member written last comes first.
pub(crate) fn member_order(object: &Object) -> Vec<usize> {
    let mut order: Vec<_> = object
        .keys()
        .map(|key| bucket(&key_bytes(key)))
        .enumerate()
        .collect();
    order.sort_by_key(|&(place, bucket)| (bucket, std::cmp::Reverse(place)));
    order.into_iter().map(|(place, _)| place).collect()
}

/// The member QEMU calls unexpected when several of `object` were not read.
///
/// All keys go into a string hash table in the order of [`member_order`], the
/// places in `read` leave it again in that order, and what the table then
/// shows first is reported.
pub(crate) fn first_left_over(object: &Object, read: &[usize]) -> Option<usize> {
    let order = member_order(object);
    if order.len() > MAX_KEYS {
        return order.into_iter().find(|place| !read.contains(place));
    }
    let hashes: Vec<u32> = object
        .keys()
        .map(|key| string_hash(&key_bytes(key)))
        .collect();
    let mut table = StringTable::new();
    for place in order {
        table.insert(Key {
            place,
            hash: hashes[place],
        });
    }
    for &place in read {
        table.remove(Key {
            place,
            hash: hashes[place],
        });
    }
    table.first()
}

/// A key's bytes as QEMU keeps them: U+0000 is `C0 80`.
fn key_bytes(key: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            0 => bytes.extend([0xC0, 0x80]),
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// The bucket of a key in QEMU's object table.
fn bucket(key: &[u8]) -> u32 {
    let seed = 0x238F_13AF_u32.wrapping_mul(key.len() as u32);
    let sum = key.iter().enumerate().fold(seed, |sum, (i, &byte)| {
        sum.wrapping_add(u32::from(byte) << (i * 5 % 24))
    });
    1_103_515_243_u32.wrapping_mul(sum).wrapping_add(12345) % BUCKETS
}

/// GLib's hash of a string, kept off the two values that mark unused slots.
fn string_hash(key: &[u8]) -> u32 {
    let signed = |byte: u8| i32::from(byte.cast_signed()).cast_unsigned();
    let hash = key.iter().fold(5381_u32, |hash, &byte| {
        hash.wrapping_mul(33).wrapping_add(signed(byte))
    });
    hash.max(2)
}

/// A key of [`StringTable`]: the member's place in its object, and its hash.
#[derive(Clone, Copy, PartialEq)]
struct Key {
    place: usize,
    hash: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Unused,
    /// Held a key that was removed.
    Tombstone,
    Held(Key),
}

/// GLib's open-addressed hash table (2.74), as far as its walking order goes.
struct StringTable {
    slots: Vec<Slot>,
    keys: usize,
    /// Keys and tombstones.
    occupied: usize,
}

impl StringTable {
    const MIN_SIZE: usize = 8;

    fn new() -> Self {
        Self {
            slots: vec![Slot::Unused; Self::MIN_SIZE],
            keys: 0,
            occupied: 0,
        }
    }

    /// All keys come before the first removal, so no tombstone is in the way.
    fn insert(&mut self, key: Key) {
        let free = path(key.hash, self.slots.len()).find(|&at| self.slots[at] == Slot::Unused);
        let Some(free) = free else { return };
        self.slots[free] = Slot::Held(key);
        self.keys += 1;
        self.occupied += 1;
        self.fit();
    }

    fn remove(&mut self, key: Key) {
        let held = path(key.hash, self.slots.len()).find(|&at| self.slots[at] == Slot::Held(key));
        let Some(held) = held else { return };
        self.slots[held] = Slot::Tombstone;
        self.keys -= 1;
        self.fit();
    }

    fn first(&self) -> Option<usize> {
        self.slots.iter().find_map(|slot| match slot {
            Slot::Held(key) => Some(key.place),
            _ => None,
        })
    }

    /// Resizes a table that is nearly full or nearly empty.
    fn fit(&mut self) {
        let size = self.slots.len();
        let sparse = size > self.keys * 4 && size > Self::MIN_SIZE;
        if sparse || size <= self.occupied + self.occupied / 16 {
            let wanted = (self.keys as f64 * 1.333) as usize;
            self.resize((wanted + 1).next_power_of_two().max(Self::MIN_SIZE));
        }
    }

    /// Moves the keys to their slots in a table of `size`, in slot order; one
    /// whose new slot is still taken by a key to move sends that on first.
    fn resize(&mut self, size: usize) {
        let old = self.slots.len();
        self.slots.resize(size.max(old), Slot::Unused);
        let mut settled = vec![false; size];
        for at in 0..old {
            if settled.get(at) == Some(&true) {
                continue;
            }
            let mut moving = std::mem::replace(&mut self.slots[at], Slot::Unused);
            while let Slot::Held(key) = moving {
                let Some(to) = path(key.hash, size).find(|&to| !settled[to]) else {
                    break;
                };
                settled[to] = true;
                moving = std::mem::replace(&mut self.slots[to], Slot::Held(key));
            }
        }
        self.slots.truncate(size);
        self.occupied = self.keys;
    }
}

/// The slots where a key may be, in a table of `size`: steps grow by one.
fn path(hash: u32, size: usize) -> impl Iterator<Item = usize> {
    const PRIMES: [u32; 7] = [7, 13, 31, 61, 127, 251, 509];
    let prime = PRIMES[(size / StringTable::MIN_SIZE).ilog2() as usize];
    let home = (hash.wrapping_mul(11) % prime) as usize;
    (0..size).map(move |step| (home + step * (step + 1) / 2) & (size - 1))
}
