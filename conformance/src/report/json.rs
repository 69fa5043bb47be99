//! The report as one JSON object.

use serde_json::{Value, json};

use super::Counts;
use crate::run::{Fault, Report, Run, Verdict};

/// The report as JSON.
#[must_use]
pub fn json(report: &Report) -> Value {
    let counts = Counts::of(report, None);
    json!({
        "server": report.version.to_string(),
        "conformant": report.is_conformant(),
        "passed": counts.passed,
        "skipped": counts.skipped,
        "known": counts.known,
        "differs": counts.differs,
        "failed": counts.failed,
        "checks": report.results.iter().map(result).collect::<Vec<_>>(),
    })
}

fn result(run: &Run) -> Value {
    let mut shown = json!({
        "id": run.check.id,
        "rule": run.check.rule,
        "basis": run.check.basis.to_string(),
        "binding": run.check.basis.is_binding(),
        "seconds": run.took.as_secs_f64(),
    });
    let (verdict, details) = match &run.verdict {
        Verdict::Passed(note) => ("passed", json!({"note": note})),
        Verdict::Skipped(why) => ("skipped", json!({"why": why})),
        Verdict::Known(reasons) => ("known", json!({"why": reasons})),
        Verdict::Differs(found) => ("differs", fault(found)),
        Verdict::Failed(found) => ("failed", fault(found)),
    };
    shown["verdict"] = json!(verdict);
    if let (Some(shown), Value::Object(details)) = (shown.as_object_mut(), details) {
        shown.extend(details);
    }
    shown
}

fn fault(fault: &Fault) -> Value {
    let findings = fault.findings.iter().map(|found| {
        let mut shown = json!({"what": found.what});
        if let Some(case) = &found.case {
            shown["case"] = json!(case);
        }
        shown
    });
    json!({
        "findings": findings.collect::<Vec<_>>(),
        "conversation": fault.conversation,
    })
}
