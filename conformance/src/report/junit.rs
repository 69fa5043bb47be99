//! JUnit's XML, which build servers read.

use std::fmt::{self, Write as _};

use super::{Counts, text};
use crate::GROUPS;
use crate::run::{Report, Run, Verdict};

/// The report as JUnit XML.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"qmp test\">")?;
    for (group, _) in GROUPS {
        let of_group = |run: &&Run| run.check.group() == *group;
        let runs: Vec<&Run> = report.results.iter().filter(of_group).collect();
        if runs.is_empty() {
            continue;
        }
        let counts = Counts::of(report, Some(group));
        let skipped = runs.len() - counts.passed - counts.failed;
        let (tests, failures) = (runs.len(), counts.failed);
        writeln!(
            out,
            "  <testsuite name=\"{group}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">"
        )?;
        runs.into_iter().try_for_each(|run| write_case(out, run))?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn write_case(out: &mut String, run: &Run) -> fmt::Result {
    let id = &run.check.id;
    let (group, name) = id.split_once('/').unwrap_or(("", id));
    let seconds = run.took.as_secs_f64();
    write!(
        out,
        "    <testcase classname=\"{group}\" name=\"{name}\" time=\"{seconds:.3}\""
    )?;
    let skipped = |out: &mut String, why: &str| {
        let why = escape(why);
        writeln!(out, "><skipped message=\"{why}\"/></testcase>")
    };
    match &run.verdict {
        Verdict::Passed(_) => writeln!(out, "/>"),
        Verdict::Skipped(why) => skipped(out, why),
        Verdict::Known(reasons) => skipped(out, &format!("known: {}", reasons.join("; "))),
        Verdict::Differs(fault) => skipped(out, &text::fault(run, fault)),
        Verdict::Failed(fault) => {
            let rule = escape(&run.check.rule);
            let text = escape(&text::fault(run, fault));
            writeln!(
                out,
                "><failure message=\"{rule}\">{text}</failure></testcase>"
            )
        }
    }
}

/// Text as XML wants it. Control characters have no place in XML at all.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            control if control.is_control() => out.push('\u{FFFD}'),
            other => out.push(other),
        }
    }
    out
}
