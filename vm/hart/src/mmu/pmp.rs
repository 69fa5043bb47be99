//! Physical memory protection (priv §3.7), by whole pages.

use super::Kind;
use crate::Hart;
use crate::isa::Extension;
use crate::state::Privilege;

/// The smallest region: a page, so that one answer serves for each page.
pub(crate) const GRAIN: u64 = 4096;
/// The lock bit of an entry.
pub(crate) const LOCK: u8 = 1 << 7;

const READ: u8 = 1;
const WRITE: u8 = 1 << 1;
const EXECUTE: u8 = 1 << 2;

/// How an entry's address is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    Off,
    TopOfRange,
    PowerOfTwo,
}

impl Matching {
    pub(crate) fn of(configuration: u8) -> Self {
        match configuration >> 3 & 3 {
            1 => Self::TopOfRange,
            3 => Self::PowerOfTwo,
            // NA4 is never stored.
            _ => Self::Off,
        }
    }
}

/// The entries of a hart; none when it has no protection at all.
#[derive(Clone, Copy)]
pub(crate) struct Pmp<'a> {
    entries: Option<(&'a [u8; 16], &'a [u64; 16])>,
}

impl Hart {
    pub(super) fn pmp(&self) -> Pmp<'_> {
        let csrs = &self.state.csrs;
        let present = self.config.isa.has(Extension::Pmp);
        Pmp {
            entries: present.then_some((&csrs.pmpcfg, &csrs.pmpaddr)),
        }
    }
}

impl Pmp<'_> {
    /// Whether an access to the page of `physical` is permitted.
    pub(crate) fn permits(&self, physical: u64, kind: Kind, privilege: Privilege) -> bool {
        let Some((configurations, addresses)) = self.entries else {
            return true;
        };
        let page = physical / GRAIN;
        let mut below = 0;
        for (configuration, address) in configurations.iter().zip(addresses) {
            // Addresses are in units of four bytes.
            let top = address >> 10;
            let matches = match Matching::of(*configuration) {
                Matching::Off => false,
                Matching::TopOfRange => (below..top).contains(&page),
                Matching::PowerOfTwo => {
                    let ones = (address | 0x1ff).trailing_ones() + 1 - 10;
                    page >> ones == top >> ones
                }
            };
            below = top;
            if matches {
                let free = privilege == Privilege::Machine && configuration & LOCK == 0;
                return free || configuration & needed(kind) != 0;
            }
        }
        privilege == Privilege::Machine
    }
}

fn needed(kind: Kind) -> u8 {
    match kind {
        Kind::Fetch => EXECUTE,
        Kind::Load => READ,
        Kind::Store => WRITE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAPOT: u8 = 3 << 3;
    const TOR: u8 = 1 << 3;

    #[track_caller]
    fn check(
        entries: &[(u8, u64)],
        physical: u64,
        kind: Kind,
        privilege: Privilege,
        expected: bool,
    ) {
        let (mut configurations, mut addresses) = ([0; 16], [0; 16]);
        for (i, (configuration, address)) in entries.iter().enumerate() {
            configurations[i] = *configuration;
            addresses[i] = *address;
        }
        let pmp = Pmp {
            entries: Some((&configurations, &addresses)),
        };
        assert_eq!(
            pmp.permits(physical, kind, privilege),
            expected,
            "{entries:x?} {physical:#x}"
        );
    }

    #[test]
    fn without_a_match_only_machine_mode_passes() {
        check(&[], 0x8000_0000, Kind::Load, Privilege::Machine, true);
        check(&[], 0x8000_0000, Kind::Load, Privilege::Supervisor, false);
        assert!(Pmp { entries: None }.permits(0, Kind::Fetch, Privilege::User));
    }

    #[test]
    fn the_first_match_decides() {
        // 512 KiB at 0x8000_0000 without rights, then everything.
        let entries = [(NAPOT, 0x2000_ffff), (NAPOT | 7, u64::MAX >> 10)];
        for (physical, permitted) in [
            (0x7fff_f000, true),
            (0x8000_0000, false),
            (0x8007_ffff, false),
            (0x8008_0000, true),
        ] {
            check(
                &entries,
                physical,
                Kind::Store,
                Privilege::Supervisor,
                permitted,
            );
            check(&entries, physical, Kind::Store, Privilege::Machine, true);
        }
    }

    #[test]
    fn top_of_range_reaches_from_the_entry_below() {
        let entries = [(0, 0x1000 >> 2), (TOR | READ | LOCK, 0x3000 >> 2)];
        for (physical, kind, permitted) in [
            (0x0fff, Kind::Load, true),
            (0x1000, Kind::Load, true),
            (0x2fff, Kind::Load, true),
            (0x2fff, Kind::Store, false),
            (0x3000, Kind::Store, true),
        ] {
            check(&entries, physical, kind, Privilege::Machine, permitted);
        }
    }

    #[test]
    fn the_smallest_power_of_two_is_a_page() {
        let entries = [(NAPOT | READ, 0x5000 >> 2)];
        for (physical, permitted) in [
            (0x4fff, false),
            (0x5000, true),
            (0x5fff, true),
            (0x6000, false),
        ] {
            check(&entries, physical, Kind::Load, Privilege::User, permitted);
        }
    }
}
