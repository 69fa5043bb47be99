//! What a card lets in: its address, the tables of stations, groups and virtual networks, and
//! the modes that overrule them (virtio 1.2 §5.1.6.5.1).

use tinamou_net::{MacAddress, RxFilter, RxMode};

/// Stations and groups that the tables hold together, as in QEMU.
const TABLE_SIZE: usize = 64;
/// Virtual networks there are.
const VLANS: usize = 4096;
/// The type of a frame of a virtual network (IEEE 802.1Q).
const VLAN_TYPE: [u8; 2] = [0x81, 0x00];

/// The filter of a card.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) mac: MacAddress,
    pub(super) modes: Modes,
    unicast: Table,
    multicast: Table,
    vlans: Box<[u64; VLANS / 64]>,
}

/// What overrules the tables.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is set by a command of its own"
)]
pub(super) struct Modes {
    pub(super) promiscuous: bool,
    pub(super) all_multicast: bool,
    pub(super) all_unicast: bool,
    pub(super) no_multicast: bool,
    pub(super) no_unicast: bool,
    pub(super) no_broadcast: bool,
}

#[derive(Clone, Debug, Default)]
struct Table {
    entries: Vec<MacAddress>,
    /// There were more than fit: all are let in.
    overflow: bool,
}

impl Table {
    /// Takes the addresses if `room` is left for them.
    fn fill(bytes: &[u8], room: usize) -> Self {
        let (entries, _) = bytes.as_chunks();
        if entries.len() > room {
            return Self {
                entries: Vec::new(),
                overflow: true,
            };
        }
        Self {
            entries: entries.iter().copied().map(MacAddress).collect(),
            overflow: false,
        }
    }

    fn admits(&self, address: MacAddress) -> bool {
        self.overflow || self.entries.contains(&address)
    }

    /// The newest first, as QEMU lists them.
    fn list(&self) -> Vec<MacAddress> {
        self.entries.iter().rev().copied().collect()
    }
}

impl Filter {
    /// Everything is let in until the driver says otherwise. That includes every virtual
    /// network, one by one: QEMU's table is full after a reset and stays so.
    pub(super) fn new(mac: MacAddress) -> Self {
        Self {
            mac,
            modes: Modes {
                promiscuous: true,
                ..Modes::default()
            },
            unicast: Table::default(),
            multicast: Table::default(),
            vlans: Box::new([u64::MAX; VLANS / 64]),
        }
    }

    /// Sets both tables from the addresses one after the other.
    pub(super) fn set_tables(&mut self, unicast: &[u8], multicast: &[u8]) {
        self.unicast = Table::fill(unicast, TABLE_SIZE);
        self.multicast = Table::fill(multicast, TABLE_SIZE - self.unicast.entries.len());
    }

    /// Lets a virtual network in, or not. False if there is none of that number.
    pub(super) fn set_vlan(&mut self, id: u16, on: bool) -> bool {
        let Some(word) = self.vlans.get_mut(usize::from(id) / 64) else {
            return false;
        };
        let bit = 1 << (id % 64);
        if on {
            *word |= bit;
        } else {
            *word &= !bit;
        }
        true
    }

    fn has_vlan(&self, id: u16) -> bool {
        self.vlans[usize::from(id) / 64] >> (id % 64) & 1 == 1
    }

    /// Whether a frame is let in.
    pub(super) fn admits(&self, frame: &[u8]) -> bool {
        if self.modes.promiscuous {
            return true;
        }
        let Some(destination) = frame.first_chunk() else {
            return false;
        };
        if let [_, _, _, _, _, _, _, _, _, _, _, _, kind @ ..] = frame
            && let Some((tag, rest)) = kind.split_first_chunk()
            && *tag == VLAN_TYPE
        {
            let id = rest
                .first_chunk()
                .map(|bytes| u16::from_be_bytes(*bytes) & 0xfff);
            if !id.is_some_and(|id| self.has_vlan(id)) {
                return false;
            }
        }
        self.admits_address(MacAddress(*destination))
    }

    fn admits_address(&self, address: MacAddress) -> bool {
        let modes = self.modes;
        if address == MacAddress::BROADCAST {
            !modes.no_broadcast
        } else if address.is_multicast() {
            !modes.no_multicast && (modes.all_multicast || self.multicast.admits(address))
        } else {
            !modes.no_unicast
                && (modes.all_unicast || address == self.mac || self.unicast.admits(address))
        }
    }

    /// As `query-rx-filter` shows it. `filters_vlans`: the driver has said it would.
    pub(super) fn show(&self, filters_vlans: bool) -> RxFilter {
        let mode = |none, all| match (none, all) {
            (true, _) => RxMode::None,
            (false, true) => RxMode::All,
            (false, false) => RxMode::Normal,
        };
        let modes = self.modes;
        let vlan_table: Vec<u16> = (0..VLANS as u16)
            .rev()
            .filter(|id| self.has_vlan(*id))
            .collect();
        RxFilter {
            promiscuous: modes.promiscuous,
            multicast: mode(modes.no_multicast, modes.all_multicast),
            unicast: mode(modes.no_unicast, modes.all_unicast),
            vlan: match (filters_vlans, vlan_table.is_empty()) {
                (false, _) => RxMode::All,
                (true, true) => RxMode::None,
                (true, false) => RxMode::Normal,
            },
            // QEMU shows the opposite of what the name says.
            broadcast_allowed: modes.no_broadcast,
            multicast_overflow: self.multicast.overflow,
            unicast_overflow: self.unicast.overflow,
            main_mac: self.mac,
            vlan_table,
            unicast_table: self.unicast.list(),
            multicast_table: self.multicast.list(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    const OTHER: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 1]);
    const GROUP: MacAddress = MacAddress([0x33, 0x33, 0, 0, 0, 1]);

    fn quiet() -> Filter {
        let mut filter = Filter::new(OWN);
        filter.modes.promiscuous = false;
        filter
    }

    fn check(filter: &Filter, expected: [bool; 4]) {
        let found = [OWN, OTHER, GROUP, MacAddress::BROADCAST].map(|mac| {
            let mut frame = vec![0; 60];
            frame[..6].copy_from_slice(&mac.0);
            filter.admits(&frame)
        });
        assert_eq!(found, expected, "own, other, group, all: {filter:?}");
    }

    #[test]
    fn modes() {
        check(&Filter::new(OWN), [true; 4]);
        check(&quiet(), [true, false, false, true]);
        let with = |set: fn(&mut Modes)| {
            let mut filter = quiet();
            set(&mut filter.modes);
            filter
        };
        check(
            &with(|modes| modes.all_multicast = true),
            [true, false, true, true],
        );
        check(
            &with(|modes| modes.all_unicast = true),
            [true, true, false, true],
        );
        check(
            &with(|modes| modes.no_unicast = true),
            [false, false, false, true],
        );
        check(
            &with(|modes| modes.no_broadcast = true),
            [true, false, false, false],
        );
        check(
            &with(|modes| (modes.no_multicast, modes.all_multicast) = (true, true)),
            [true, false, false, true],
        );
    }

    #[test]
    fn tables() {
        let mut filter = quiet();
        filter.set_tables(&OTHER.0, &GROUP.0);
        check(&filter, [true; 4]);
        let shown = filter.show(true);
        assert_eq!(
            (shown.unicast_table, shown.multicast_table),
            (vec![OTHER], vec![GROUP])
        );
        filter.set_tables(&[], &[]);
        check(&filter, [true, false, false, true]);
    }

    #[test]
    fn tables_that_overflow_let_all_in() {
        let check = |unicast: usize, multicast: usize, expected: (usize, bool, usize, bool)| {
            let mut filter = quiet();
            filter.set_tables(&OTHER.0.repeat(unicast), &GROUP.0.repeat(multicast));
            let shown = filter.show(true);
            let found = (
                shown.unicast_table.len(),
                shown.unicast_overflow,
                shown.multicast_table.len(),
                shown.multicast_overflow,
            );
            assert_eq!(found, expected, "{unicast} + {multicast}");
        };
        check(64, 0, (64, false, 0, false));
        check(65, 0, (0, true, 0, false));
        check(65, 64, (0, true, 64, false));
        check(2, 62, (2, false, 62, false));
        check(2, 63, (2, false, 0, true));
    }

    #[test]
    fn virtual_networks() {
        let mut filter = quiet();
        let mut frame = vec![0; 60];
        frame[..6].copy_from_slice(&OWN.0);
        frame[12..16].copy_from_slice(&[0x81, 0, 0x60, 5]);
        assert!(filter.admits(&frame));
        assert!(filter.set_vlan(5, false));
        assert!(!filter.admits(&frame));
        assert_eq!(filter.show(true).vlan_table.len(), 4095);
        assert!(filter.set_vlan(5, true));
        assert!(filter.admits(&frame));
        assert!(!filter.set_vlan(4096, true));
        assert!(!filter.admits(&frame[..14]), "a tag without a number");
        assert_eq!(filter.show(false).vlan, RxMode::All);
        assert_eq!(filter.show(true).vlan_table.first(), Some(&4095));
    }
}
