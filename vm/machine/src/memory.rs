//! Guest memory as commands see it: holes read as zeros, virtual addresses go through a hart.

use tinamou_memory::{AddressSpace, Fault, PAGE_SIZE};

use crate::{Error, Machine};

impl Machine {
    /// Reads guest physical memory and devices; where nothing answers, zeros.
    /// Whether something answered everywhere is returned.
    pub fn read_physical(&self, address: u64, bytes: &mut [u8]) -> bool {
        let mut whole = true;
        walk(self.space(), address, bytes.len(), |address, from, to| {
            let part = &mut bytes[from..to];
            part.fill(0);
            let result = self.space().read(address, part);
            whole &= result.is_ok();
            result
        });
        whole
    }

    /// Writes guest physical memory and devices; what falls where nothing answers is lost.
    pub fn write_physical(&self, address: u64, bytes: &[u8]) {
        walk(self.space(), address, bytes.len(), |address, from, to| {
            self.space().write(address, &bytes[from..to])
        });
        self.flush_instructions();
    }

    /// Reads memory at addresses as hart `cpu` sees them now.
    ///
    /// # Errors
    /// [`Error::NoSuchCpu`], or [`Error::InvalidAddress`] where nothing is mapped.
    pub fn read_virtual(&self, cpu: usize, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let size = bytes.len() as u64;
        let mut done = 0;
        while done < bytes.len() {
            let at = address.wrapping_add(done as u64);
            let in_page = (PAGE_SIZE - at % PAGE_SIZE) as usize;
            let end = bytes.len().min(done + in_page);
            let physical = self.with_hart(cpu, |hart| hart.translate(at))?;
            let read = physical.map(|physical| self.space().read(physical, &mut bytes[done..end]));
            if !matches!(read, Some(Ok(()))) {
                return Err(Error::InvalidAddress { address, size });
            }
            done = end;
        }
        Ok(())
    }
}

/// Does `access` to a stretch of addresses, going on behind every hole it meets.
fn walk(
    space: &AddressSpace,
    address: u64,
    length: usize,
    mut access: impl FnMut(u64, usize, usize) -> Result<(), Fault>,
) {
    let view = space.view();
    let mut done = 0;
    while done < length {
        let at = address.wrapping_add(done as u64);
        // No access crosses the end of the address space.
        let left = usize::try_from(u64::MAX - at)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let end = length.min(done.saturating_add(left));
        let Err(fault) = access(at, done, end) else {
            done = end;
            continue;
        };
        let next = match view.find(fault.address) {
            // Something is there that refuses this access: try behind it.
            Some(_) => Some(fault.address.wrapping_add(1)),
            None => view
                .iter()
                .map(|there| there.first)
                .find(|first| *first > fault.address),
        };
        let skipped = next.map_or(end, |next| {
            let distance = next.wrapping_sub(address);
            usize::try_from(distance)
                .unwrap_or(end)
                .clamp(done + 1, end)
        });
        done = skipped;
    }
}
