//! The windows of a bridge: first and last address of what it lets through (PCI-to-PCI Bridge 1.2
//! §4). A window whose last address is below its first lets nothing through.

use super::ConfigSpace;
use crate::spec::bridge;

impl ConfigSpace {
    /// The ports behind the bridge.
    #[must_use]
    pub fn io_window(&self) -> (u64, u64) {
        let end = |register| u64::from(self.byte(register) & 0xf0) << 8;
        (end(bridge::IO_BASE), end(bridge::IO_LIMIT) | 0xfff)
    }

    /// The memory behind the bridge.
    #[must_use]
    pub fn memory_window(&self) -> (u64, u64) {
        let end = |register| u64::from(self.word(register) & 0xfff0) << 16;
        let limit = end(bridge::MEMORY_LIMIT) | 0xf_ffff;
        (end(bridge::MEMORY_BASE), limit)
    }

    /// The prefetchable memory behind the bridge.
    #[must_use]
    pub fn prefetch_window(&self) -> (u64, u64) {
        let end = |low, high| {
            let low = u64::from(self.word(low) & 0xfff0) << 16;
            low | u64::from(self.long(high)) << 32
        };
        let limit = end(bridge::PREF_MEMORY_LIMIT, bridge::PREF_LIMIT_UPPER32);
        let base = end(bridge::PREF_MEMORY_BASE, bridge::PREF_BASE_UPPER32);
        (base, limit | 0xf_ffff)
    }
}
