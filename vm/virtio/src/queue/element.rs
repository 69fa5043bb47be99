//! Looking at a chain in a split ring without taking it, for people who search for faults.

use tinamou_memory::DmaView;

use super::{Descriptor, Setup, at};
use crate::Error;
use crate::spec::QUEUE_SIZE_MAX;

/// A chain as it stands in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Element {
    /// The index of its first descriptor.
    pub head: u16,
    /// Its descriptors in their order; those of the indirect table, if it has one.
    pub descriptors: Vec<ElementDescriptor>,
    /// Flags and index of the available ring.
    pub available: (u16, u16),
    /// Flags and index of the used ring.
    pub used: (u16, u16),
}

/// A descriptor of such a chain, as the driver wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElementDescriptor {
    /// Where the buffer is.
    pub address: u64,
    /// How long it is.
    pub length: u32,
    /// `VIRTQ_DESC_F_*`.
    pub flags: u16,
}

/// Why a chain cannot be looked at; in QEMU's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// There is no such queue.
    #[error("Invalid virtqueue number {0}")]
    Queue(usize),
    /// Only split rings can be looked at.
    #[error("Packed ring not supported")]
    Packed,
    /// The driver has not set up the ring.
    #[error("Region caches not initialized")]
    NotSetUp,
    /// The ring or its descriptors are not in RAM.
    #[error("Cannot map descriptor ring")]
    Ring,
    /// The indirect table is not in RAM.
    #[error("Cannot map indirect buffer")]
    Table,
}

/// Reads entry `index` of the available ring, counted around the ring, and the chain it names.
pub(crate) fn read(setup: &Setup, view: &DmaView, index: u16) -> Result<Element, Unreadable> {
    if setup.descriptors == 0 || setup.size == 0 {
        return Err(Unreadable::NotSetUp);
    }
    let half = |base, offset| {
        let loaded = view.load(at(base, offset), 2);
        loaded
            .map(|value| value as u16)
            .map_err(|_| Unreadable::Ring)
    };
    let slot = u64::from(index % setup.size);
    let head = half(setup.driver, 4 + 2 * slot)?;
    Ok(Element {
        head,
        descriptors: chain(setup, view, head)?,
        available: (half(setup.driver, 0)?, half(setup.driver, 2)?),
        used: (half(setup.device, 0)?, half(setup.device, 2)?),
    })
}

fn chain(setup: &Setup, view: &DmaView, head: u16) -> Result<Vec<ElementDescriptor>, Unreadable> {
    let first = Descriptor::read(view, setup.descriptors, head).map_err(|_| Unreadable::Ring)?;
    if head >= setup.size {
        return Err(Unreadable::Ring);
    }
    if first.low & Descriptor::INDIRECT == 0 {
        return follow(view, setup.descriptors, setup.size, head).map_err(|_| Unreadable::Ring);
    }
    let entries = first.table_length().map_err(|_| Unreadable::Table)?;
    follow(view, first.address, entries, 0).map_err(|_| Unreadable::Table)
}

/// The chain in a table of `entries`, as far as it makes sense.
fn follow(
    view: &DmaView,
    table: u64,
    entries: u16,
    mut index: u16,
) -> Result<Vec<ElementDescriptor>, Error> {
    let mut found = Vec::new();
    while index < entries && found.len() < usize::from(entries.min(QUEUE_SIZE_MAX)) {
        let descriptor = Descriptor::read(view, table, index)?;
        found.push(ElementDescriptor {
            address: descriptor.address,
            length: descriptor.length,
            flags: descriptor.low,
        });
        if descriptor.low & Descriptor::NEXT == 0 {
            break;
        }
        index = descriptor.high;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::driver::{Guest, Ring};
    use crate::rng::{Entropy, Rate, Rng};
    use crate::{Virtio, feature};

    fn device(guest: &Guest) -> Arc<Virtio> {
        guest.plug(|port| Rng::new(port, Arc::new(Entropy::Builtin), Rate::default()))
    }

    fn shape(element: &Element) -> Vec<(u32, u16)> {
        let descriptors = element.descriptors.iter();
        descriptors
            .map(|descriptor| (descriptor.length, descriptor.flags))
            .collect()
    }

    #[test]
    fn a_chain_is_shown_and_left_in_the_ring() {
        let guest = Guest::new();
        let device = device(&guest);
        let mut ring = Ring::split(&guest, 8);
        assert_eq!(device.element(0, None), Err(Unreadable::NotSetUp));
        assert_eq!(device.element(1, None), Err(Unreadable::Queue(1)));
        ring.enable(&device, 0);
        guest.start(&device, feature::RING_INDIRECT_DESC);
        let first = ring.add(&guest, &[b"abc"], &[16]);
        let second = ring.add_indirect(&guest, &[], &[4, 5]);
        let element = device.element(0, None).unwrap();
        assert_eq!(element.head, first);
        assert_eq!(shape(&element), [(3, 1), (16, 2)]);
        assert_eq!((element.available, element.used), ((0, 2), (0, 0)));
        // The index goes around the ring.
        let element = device.element(0, Some(9)).unwrap();
        assert_eq!(element.head, second);
        assert_eq!(shape(&element), [(4, 3), (5, 2)]);
        device.kick(0);
        guest.run_until(|| ring.used(&guest).is_some());
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let guest = Guest::new();
        let device = device(&guest);
        let mut ring = Ring::split(&guest, 4);
        ring.enable(&device, 0);
        guest.start(&device, 0);
        let head = ring.add(&guest, &[], &[16]);
        let setup = device.setup(0).unwrap();
        let flags = setup.descriptors + 16 * u64::from(head) + 12;
        let looped = u64::from(Descriptor::NEXT) | u64::from(head) << 16;
        guest.memory().store(flags, 4, looped).unwrap();
        assert_eq!(device.element(0, None).unwrap().descriptors.len(), 4);
    }

    #[test]
    fn packed_rings_are_refused() {
        let guest = Guest::new();
        let device = device(&guest);
        let ring = Ring::packed(&guest, 4);
        guest.negotiate(&device, feature::RING_PACKED);
        ring.enable(&device, 0);
        assert_eq!(device.element(0, None), Err(Unreadable::Packed));
    }
}
