//! Translation contexts: what distinguishes entries of the TLB besides their address.
//!
//! Every combination of `satp` and the mode bits that decide about an access has a small number,
//! its id, which is part of an entry's tag. So traps, returns and switches between address spaces
//! keep the entries; forgetting all is giving out new ids. Only when the ids run out are the
//! arrays cleared.

use crate::state::Privilege;

/// How many ids there are; id 0 is never given out.
pub(super) const IDS: u16 = 512;
/// How many address spaces are kept apart.
const SPACES: usize = 8;

#[derive(Clone, Copy, Default)]
struct Space {
    satp: u64,
    /// Of loads and stores, by mode and the bits of `mstatus` that matter to them.
    data: [u16; 16],
    /// Of fetches, by mode.
    fetch: [u16; 4],
}

/// Gives ids to contexts.
pub(super) struct Contexts {
    spaces: [Space; SPACES],
    current: usize,
    victim: usize,
    last: u16,
}

impl Contexts {
    pub(super) fn new() -> Self {
        Self {
            spaces: [Space::default(); SPACES],
            current: 0,
            victim: 0,
            last: 0,
        }
    }

    /// Makes `satp` the current address space.
    pub(super) fn select(&mut self, satp: u64) {
        if self.spaces[self.current].satp == satp {
            return;
        }
        if let Some(known) = self.spaces.iter().position(|space| space.satp == satp) {
            self.current = known;
            return;
        }
        self.victim = (self.victim + 1) % SPACES;
        self.current = self.victim;
        self.spaces[self.current] = Space {
            satp,
            ..Space::default()
        };
    }

    /// The id of loads and stores in the current address space; `None` when there are no more.
    pub(super) fn data(&mut self, privilege: Privilege, sum: bool, mxr: bool) -> Option<u16> {
        let index = privilege as usize | usize::from(sum) << 2 | usize::from(mxr) << 3;
        given(&mut self.spaces[self.current].data[index], &mut self.last)
    }

    /// The id of fetches in the current address space; `None` when there are no more.
    pub(super) fn fetch(&mut self, privilege: Privilege) -> Option<u16> {
        let id = &mut self.spaces[self.current].fetch[privilege as usize];
        given(id, &mut self.last)
    }

    /// Takes all ids back; entries that have them will not be found again.
    pub(super) fn forget(&mut self) {
        for space in &mut self.spaces {
            (space.data, space.fetch) = ([0; 16], [0; 4]);
        }
    }

    /// Takes the ids of fetches back.
    pub(super) fn forget_fetches(&mut self) {
        for space in &mut self.spaces {
            space.fetch = [0; 4];
        }
    }

    /// Starts over with the first id; the caller clears what has ids.
    pub(super) fn restart(&mut self) {
        self.forget();
        self.last = 0;
    }
}

/// An id that has been given out, or the next one now.
fn given(id: &mut u16, last: &mut u16) -> Option<u16> {
    if *id == 0 {
        if *last == IDS - 1 {
            return None;
        }
        *last += 1;
        *id = *last;
    }
    Some(*id)
}
