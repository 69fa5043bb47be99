//! What came of the checks, for people and for machines.

mod json;
mod junit;
mod page;
mod tap;
mod text;

pub use json::json;
pub use junit::junit;
pub use page::page;
pub use tap::tap;
pub use text::{fault, text};

use crate::run::{Report, Verdict};

/// How many checks came out in which way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// The rule holds.
    pub passed: usize,
    /// The check does not apply.
    pub skipped: usize,
    /// A deviation that is known.
    pub known: usize,
    /// Other than QEMU, where nothing binds.
    pub differs: usize,
    /// The rule is broken.
    pub failed: usize,
}

impl Counts {
    /// Counts the results of a group, or of all.
    #[must_use]
    pub fn of(report: &Report, group: Option<&str>) -> Self {
        let mut counts = Self::default();
        let wanted = |of: &str| group.is_none_or(|group| group == of);
        for run in report.results.iter().filter(|r| wanted(r.check.group())) {
            let count = match run.verdict {
                Verdict::Passed(_) => &mut counts.passed,
                Verdict::Skipped(_) => &mut counts.skipped,
                Verdict::Known(_) => &mut counts.known,
                Verdict::Differs(_) => &mut counts.differs,
                Verdict::Failed(_) => &mut counts.failed,
            };
            *count += 1;
        }
        counts
    }
}
