//! For people: a line per group, and at length only what failed.

use std::fmt::{self, Write as _};

use super::Counts;
use crate::GROUPS;
use crate::run::{Fault, Report, Run, Verdict};

/// Findings of one check shown; the rest is counted.
const SHOWN: usize = 10;

/// The whole report.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, report);
    out
}

/// What is said of a check that failed or differs, at length.
#[must_use]
pub fn fault(run: &Run, fault: &Fault) -> String {
    let mut out = String::new();
    let _ = write_fault(&mut out, run, fault);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    for run in &report.results {
        match &run.verdict {
            Verdict::Failed(found) => writeln!(out, "FAILED {}", fault(run, found))?,
            Verdict::Differs(found) => writeln!(out, "DIFFERS {}", fault(run, found))?,
            _ => {}
        }
    }
    for (group, _) in GROUPS {
        let counts = Counts::of(report, Some(group));
        if counts != Counts::default() {
            writeln!(out, "{group:<14} {counts}")?;
        }
    }
    write_asides(out, report)?;
    writeln!(out, "\n{}: {}", report.version, Counts::of(report, None))
}

/// What was skipped and what is known, in a line each.
fn write_asides(out: &mut String, report: &Report) -> fmt::Result {
    let aside = |run: &Run| matches!(run.verdict, Verdict::Skipped(_) | Verdict::Known(_));
    if report.results.iter().any(aside) {
        writeln!(out)?;
    }
    for run in &report.results {
        let id = &run.check.id;
        match &run.verdict {
            Verdict::Skipped(why) => writeln!(out, "skipped {id}: {why}")?,
            Verdict::Known(reasons) => writeln!(out, "known {id}: {}", reasons.join("; "))?,
            _ => {}
        }
    }
    Ok(())
}

fn write_fault(out: &mut String, run: &Run, fault: &Fault) -> fmt::Result {
    writeln!(out, "{}", run.check.id)?;
    writeln!(out, "    {}", run.check.rule)?;
    writeln!(out, "    ({})", run.check.basis)?;
    for found in fault.findings.iter().take(SHOWN) {
        match &found.case {
            Some(case) => writeln!(out, "  {case}: {}", found.what)?,
            None => writeln!(out, "  {}", found.what)?,
        }
    }
    if let Some(more @ 1..) = fault.findings.len().checked_sub(SHOWN) {
        writeln!(out, "  and {more} more")?;
    }
    for line in &fault.conversation {
        writeln!(out, "      {line}")?;
    }
    Ok(())
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        let others = [
            (self.skipped, "skipped"),
            (self.known, "known"),
            (self.differs, "differ"),
            (self.failed, "failed"),
        ];
        let some = others.iter().filter(|(count, _)| *count > 0);
        some.into_iter()
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

impl fmt::Display for crate::Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, micro] = self.numbers;
        write!(f, "{major}.{minor}.{micro}")?;
        match self.package.as_str() {
            "" => Ok(()),
            package => write!(f, " ({package})"),
        }
    }
}
