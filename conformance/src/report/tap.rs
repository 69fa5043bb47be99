//! The Test Anything Protocol, version 14.

use std::fmt::{self, Write as _};

use crate::run::{Fault, Report, Verdict};

/// The report as TAP.
#[must_use]
pub fn tap(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "TAP version 14\n1..{}", report.results.len())?;
    for (number, run) in (1..).zip(&report.results) {
        let id = &run.check.id;
        match &run.verdict {
            Verdict::Passed(_) => writeln!(out, "ok {number} - {id}")?,
            Verdict::Skipped(why) => writeln!(out, "ok {number} - {id} # SKIP {}", plain(why))?,
            Verdict::Known(reasons) => {
                let why = plain(&reasons.join("; "));
                writeln!(out, "not ok {number} - {id} # todo known: {why}")?;
            }
            Verdict::Differs(fault) => {
                writeln!(out, "not ok {number} - {id} # todo differs from QEMU")?;
                write_fault(out, &run.check.rule, fault)?;
            }
            Verdict::Failed(fault) => {
                writeln!(out, "not ok {number} - {id}")?;
                write_fault(out, &run.check.rule, fault)?;
            }
        }
    }
    Ok(())
}

fn write_fault(out: &mut String, rule: &str, fault: &Fault) -> fmt::Result {
    // JSON is YAML too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    writeln!(out, "  ---\n  rule: {}\n  findings:", quoted(rule))?;
    for found in &fault.findings {
        let what = match &found.case {
            Some(case) => format!("{case}: {}", found.what),
            None => found.what.clone(),
        };
        writeln!(out, "    - {}", quoted(&what))?;
    }
    if !fault.conversation.is_empty() {
        writeln!(out, "  conversation:")?;
    }
    for line in &fault.conversation {
        writeln!(out, "    - {}", quoted(line))?;
    }
    writeln!(out, "  ...")
}

/// Text without what has a meaning behind `#`.
fn plain(text: &str) -> String {
    text.replace(['#', '\n'], " ")
}
