//! Numbers of the balloon device (virtio 1.2 §5.5).

/// Feature bits, as masks.
pub mod feature {
    /// Statistics of the guest's memory.
    pub const STATS_VQ: u64 = 1 << 1;
    /// The guest may take pages back when it runs out of memory.
    pub const DEFLATE_ON_OOM: u64 = 1 << 2;
    /// The guest tells what it fills free pages with.
    pub const PAGE_POISON: u64 = 1 << 4;
    /// The guest reports pages that it does not use at present.
    pub const REPORTING: u64 = 1 << 5;
}

/// Pages are counted in these units, whatever the guest's page size.
pub(super) const PAGE_SHIFT: u32 = 12;
/// The size of such a page.
pub(super) const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// Offset of the pages the guest has given, in the configuration space.
pub(super) const ACTUAL: usize = 4;
/// Offset of the value free pages are filled with.
pub(super) const POISON_VALUE: usize = 12;
/// The length of the configuration space without `PAGE_POISON`.
pub(super) const CONFIG_SIZE: usize = 8;
/// The length with all fields.
pub(super) const CONFIG_SIZE_FULL: usize = 16;

/// A statistic as the guest sends it: a tag of 2 bytes, then 8 bytes.
pub(super) const STATISTIC_SIZE: usize = 10;

/// QEMU's names of the statistics, by their tags.
pub const STATISTICS: [&str; 16] = [
    "stat-swap-in",
    "stat-swap-out",
    "stat-major-faults",
    "stat-minor-faults",
    "stat-free-memory",
    "stat-total-memory",
    "stat-available-memory",
    "stat-disk-caches",
    "stat-htlb-pgalloc",
    "stat-htlb-pgfail",
    "stat-oom-kills",
    "stat-alloc-stalls",
    "stat-async-scans",
    "stat-direct-scans",
    "stat-async-reclaims",
    "stat-direct-reclaims",
];
