//! What all buses of a host share: the map of what is visible where, the interrupt wires, and the
//! way out for messages.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use tinamou_devices::{IrqLine, MsiSink};

use crate::bus::{BusKind, Devfn, PciBus};
use crate::spec::{bridge, command, header};
use crate::{Error, Function};

/// What all buses of a host share.
pub(crate) struct Fabric {
    root: OnceLock<Weak<PciBus>>,
    maps: RwLock<Arc<Maps>>,
    /// Held while the maps are made, so that the last change is what stays.
    making: Mutex<()>,
    pub(crate) intx: IntxWires,
    pub(crate) messages: Arc<dyn MsiSink>,
    /// The chassis and slot numbers that are taken.
    slots: Mutex<BTreeSet<(u8, u16)>>,
    /// How many buses of each kind without a name of their own have been made.
    unnamed: [AtomicU32; 2],
}

impl Fabric {
    pub(crate) fn new(lines: [IrqLine; 4], messages: Arc<dyn MsiSink>) -> Arc<Self> {
        Arc::new(Self {
            root: OnceLock::new(),
            maps: RwLock::default(),
            making: Mutex::default(),
            intx: IntxWires::new(lines),
            messages,
            slots: Mutex::default(),
            unnamed: Default::default(),
        })
    }

    pub(crate) fn set_root(&self, root: &Arc<PciBus>) {
        // A host is made with its bus, once.
        let _ = self.root.set(Arc::downgrade(root));
    }

    /// Takes a slot's number within its chassis.
    pub(crate) fn claim_slot(&self, chassis: u8, slot: u16) -> Result<(), Error> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots
            .insert((chassis, slot))
            .then_some(())
            .ok_or(Error::SlotNumberTaken)
    }

    pub(crate) fn free_slot(&self, chassis: u8, slot: u16) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.remove(&(chassis, slot));
    }

    /// A name for a bus whose bridge has none. As with QEMU the first of PCI Express is `pcie.0`,
    /// although the root bus has that name already and is what it finds.
    pub(crate) fn bus_name(&self, kind: BusKind) -> String {
        let (name, count) = match kind {
            BusKind::Express => ("pcie", &self.unnamed[0]),
            BusKind::Conventional => ("pci", &self.unnamed[1]),
        };
        format!("{name}.{}", count.fetch_add(1, Ordering::Relaxed))
    }

    /// The function that the guest addresses by bus number and place.
    pub(crate) fn find(&self, number: u8, devfn: Devfn) -> Option<Arc<Function>> {
        let mut bus = self.root.get()?.upgrade()?;
        while bus.number() != number {
            bus = bus.visible_functions().iter().find_map(|function| {
                let secondary = function.secondary()?;
                let behind = function.interface().config(|config| {
                    config.byte(bridge::SECONDARY_BUS)..=config.byte(bridge::SUBORDINATE_BUS)
                });
                (*behind.start() != 0 && behind.contains(&number)).then(|| Arc::clone(secondary))
            })?;
        }
        bus.visible(devfn)
    }

    /// What is visible at present.
    pub(crate) fn maps(&self) -> Arc<Maps> {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&maps)
    }

    /// Finds out anew what is visible where. No lock of a function or bus is held.
    pub(crate) fn remap(&self) {
        let Some(root) = self.root.get().and_then(Weak::upgrade) else {
            return;
        };
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut maps = Maps::default();
        let all = Windows {
            io: iter::once(0..u64::from(u32::MAX)).collect(),
            memory: iter::once(0..u64::MAX).collect(),
        };
        maps.add_bus(&root, &all);
        *self.maps.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(maps);
    }
}

/// The four interrupt wires of a host: each is up while any function holds it up.
pub(crate) struct IntxWires {
    lines: [IrqLine; 4],
    holders: Mutex<[u32; 4]>,
}

impl IntxWires {
    fn new(lines: [IrqLine; 4]) -> Self {
        Self {
            lines,
            holders: Mutex::default(),
        }
    }

    pub(crate) fn raise(&self, wire: usize) {
        self.change(wire, |holders| holders.saturating_add(1));
    }

    pub(crate) fn lower(&self, wire: usize) {
        self.change(wire, |holders| holders.saturating_sub(1));
    }

    fn change(&self, wire: usize, count: impl FnOnce(u32) -> u32) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let wire = wire % self.lines.len();
        holders[wire] = count(holders[wire]);
        self.lines[wire].set(holders[wire] > 0);
    }
}

/// A stretch of a bar that is visible.
pub(crate) struct Mapping {
    pub(crate) range: Range<u64>,
    pub(crate) function: Arc<Function>,
    pub(crate) bar: u8,
    /// Where the bar begins.
    pub(crate) base: u64,
}

/// The bars that are visible, sorted by address and disjoint.
#[derive(Default)]
pub(crate) struct Map(Vec<Mapping>);

impl Map {
    pub(crate) fn find(&self, address: u64) -> Option<&Mapping> {
        let after = self
            .0
            .partition_point(|mapping| mapping.range.start <= address);
        let mapping = self.0.get(after.checked_sub(1)?)?;
        mapping.range.contains(&address).then_some(mapping)
    }

    /// Shows a bar wherever nothing is shown yet: bars that the guest has put onto each other
    /// are shown in the order of their functions.
    fn add(
        &mut self,
        function: &Arc<Function>,
        bar: u8,
        bar_range: &Range<u64>,
        seen: &Range<u64>,
    ) {
        let mut gaps = Vec::new();
        let mut from = seen.start;
        for shown in &self.0 {
            if shown.range.end <= from || shown.range.start >= seen.end {
                continue;
            }
            if shown.range.start > from {
                gaps.push(from..shown.range.start);
            }
            from = shown.range.end;
        }
        if from < seen.end {
            gaps.push(from..seen.end);
        }
        self.0.extend(gaps.into_iter().map(|range| Mapping {
            range,
            function: Arc::clone(function),
            bar,
            base: bar_range.start,
        }));
        self.0.sort_by_key(|mapping| mapping.range.start);
    }
}

/// What is visible in each space.
#[derive(Default)]
pub(crate) struct Maps {
    pub(crate) io: Map,
    pub(crate) memory: Map,
}

/// What of each space reaches a bus.
struct Windows {
    io: Vec<Range<u64>>,
    memory: Vec<Range<u64>>,
}

impl Maps {
    fn add_bus(&mut self, bus: &Arc<PciBus>, windows: &Windows) {
        for function in bus.visible_functions() {
            self.add_function(&function, windows);
            if let Some(secondary) = function.secondary() {
                self.add_bus(secondary, &windows.behind(&function));
            }
        }
    }

    fn add_function(&mut self, function: &Arc<Function>, windows: &Windows) {
        let bars = function.interface().config(|config| {
            let bars = config.bars();
            bars.filter_map(|(index, bar)| Some((index, bar.io, config.bar_range(index)?)))
                .collect::<Vec<_>>()
        });
        for (index, io, range) in bars {
            let (map, windows) = if io {
                (&mut self.io, &windows.io)
            } else {
                (&mut self.memory, &windows.memory)
            };
            for window in windows {
                let seen = intersection(window, &range);
                if !seen.is_empty() {
                    map.add(function, index, &range, &seen);
                }
            }
        }
    }
}

impl Windows {
    /// What a bridge lets through (PCI-to-PCI Bridge 1.2 §4).
    fn behind(&self, function: &Function) -> Self {
        let (io, memory) = function.interface().config(|config| {
            let enabled = config.word(header::COMMAND);
            let io = open(config.io_window()).filter(|_| enabled & command::IO != 0);
            let memory = [config.memory_window(), config.prefetch_window()].map(open);
            let memory = memory
                .into_iter()
                .flatten()
                .filter(|_| enabled & command::MEMORY != 0);
            (io, memory.collect::<Vec<_>>())
        });
        let through = |windows: &[Range<u64>], from: &[Range<u64>]| {
            let pairs = windows
                .iter()
                .flat_map(|window| from.iter().map(move |outer| intersection(outer, window)));
            merge(pairs.filter(|range| !range.is_empty()).collect())
        };
        Self {
            io: through(io.as_slice(), &self.io),
            memory: through(&memory, &self.memory),
        }
    }
}

fn intersection(one: &Range<u64>, other: &Range<u64>) -> Range<u64> {
    one.start.max(other.start)..one.end.min(other.end)
}

/// Joins ranges that overlap: bridges behind each other would else multiply them.
fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut().filter(|last| last.end >= range.start) {
            Some(last) => last.end = last.end.max(range.end),
            None => merged.push(range),
        }
    }
    merged
}

/// A window of a bridge as a range, unless it ends before it begins.
fn open((base, limit): (u64, u64)) -> Option<Range<u64>> {
    (base <= limit).then(|| base..limit.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_are_one() {
        let check = |ranges: &[Range<u64>], expected: &[Range<u64>]| {
            assert_eq!(merge(ranges.to_vec()), expected);
        };
        check(&[], &[]);
        check(&[4..6, 0..2], &[0..2, 4..6]);
        check(
            &[4..6, 0..4, 1..3],
            iter::once(0..6).collect::<Vec<_>>().as_slice(),
        );
    }
}
