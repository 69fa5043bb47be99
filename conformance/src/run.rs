//! Runs the checks and says what came of each.

use std::io;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::check::{Body, Check, Finding, Trouble};
use crate::deviations::{Deviation, Version, deviations};
use crate::lists::matches;
use crate::target::Target;
use crate::wire::WireError;
use crate::{GROUPS, checks};

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest wait for anything.
    pub patience: Duration,
    /// The server may be stopped, reset and ended; one that is started for
    /// the test always may.
    pub disposable: bool,
    /// A command that answers shortly, changes nothing and needs no
    /// arguments; found by itself if left out.
    pub probe: Option<String>,
    /// Checks whose ids fit one of these patterns are run; all if empty.
    pub only: Vec<String>,
    /// What QEMU does beyond its specification is demanded too.
    pub strict: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(5),
            disposable: false,
            probe: None,
            only: Vec::new(),
            strict: false,
        }
    }
}

/// What came of all checks.
#[derive(Debug)]
pub struct Report {
    /// What the server says it is.
    pub version: Version,
    /// What came of each, in the order they ran.
    pub results: Vec<Run>,
}

/// What came of a check.
#[derive(Debug)]
pub struct Run {
    /// The check.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// What can come of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The rule holds; with a note on what was looked at.
    Passed(String),
    /// The check does not apply, and why.
    Skipped(String),
    /// The server deviates as it is known to, and why.
    Known(Vec<String>),
    /// The server does other than QEMU where no specification binds it.
    Differs(Fault),
    /// The server breaks the rule.
    Failed(Fault),
}

/// What was wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Each way in which the rule was broken.
    pub findings: Vec<Finding>,
    /// The end of the conversation.
    pub conversation: Vec<String>,
}

impl Report {
    /// Whether no check failed.
    #[must_use]
    pub fn is_conformant(&self) -> bool {
        let failed = |run: &Run| matches!(run.verdict, Verdict::Failed(_));
        !self.results.iter().any(failed)
    }
}

/// Runs the checks against a server, and tells of each as it is done. An
/// error means that there was no server to be tested.
pub fn run(target: Target, settings: &Settings, mut done: impl FnMut(&Run)) -> io::Result<Report> {
    let disposable = settings.disposable || matches!(target, Target::Spawn(_));
    let mut bench = Bench::new(
        target,
        settings.patience,
        disposable,
        settings.probe.clone(),
    );
    bench.reach()?;
    // What this gives is asked for again by whoever needs it.
    let _ = bench.probe();
    let version = Version::of_greeting(&bench.greeting().unwrap_or_default());
    let known = deviations().into_iter();
    let known: Vec<_> = known.filter(|known| known.concerns(&version)).collect();
    let mut results = Vec::new();
    for (group, _) in GROUPS {
        bench.restart();
        for check in checks_of(group, settings) {
            let run = run_check(&mut bench, check, &known, settings.strict);
            done(&run);
            results.push(run);
        }
    }
    Ok(Report { version, results })
}

fn checks_of(group: &str, settings: &Settings) -> Vec<Check> {
    let chosen = |check: &Check| {
        let only = &settings.only;
        only.is_empty() || only.iter().any(|pattern| matches(pattern, &check.id))
    };
    let mut checks = checks();
    checks.retain(|check| check.group() == group && chosen(check));
    checks
}

fn run_check(bench: &mut Bench, check: Check, known: &[Deviation], strict: bool) -> Run {
    let begin = Instant::now();
    // What an earlier check said is not evidence for this one.
    bench.take_conversation();
    let outcome = match &check.body {
        Body::Script(script) => script.play(bench),
        Body::Code(program) => program(bench),
    };
    let mut blame = |mut findings: Vec<Finding>| {
        if let Some(what) = bench.last_words() {
            findings.push(Finding { case: None, what });
        }
        judge(bench, &check, findings, known, strict)
    };
    let verdict = match outcome {
        Ok(note) => Verdict::Passed(note),
        Err(Trouble::Skipped(why)) => Verdict::Skipped(why),
        Err(Trouble::Broken(findings)) => blame(findings),
        Err(Trouble::Silent(time)) => {
            let what = WireError::Silence(time).to_string();
            blame(vec![Finding { case: None, what }])
        }
    };
    Run {
        check,
        verdict,
        took: begin.elapsed(),
    }
}

/// Whether a broken rule is known, binding, or neither.
fn judge(
    bench: &mut Bench,
    check: &Check,
    findings: Vec<Finding>,
    known: &[Deviation],
    strict: bool,
) -> Verdict {
    let mut reasons = Vec::new();
    let mut unknown = Vec::new();
    for found in findings {
        let covers = |known: &&Deviation| known.covers(&check.id, found.case.as_deref());
        match known.iter().find(covers) {
            None => unknown.push(found),
            Some(known) if reasons.contains(&known.why) => {}
            Some(known) => reasons.push(known.why.clone()),
        }
    }
    if unknown.is_empty() {
        return Verdict::Known(reasons);
    }
    let fault = Fault {
        findings: unknown,
        conversation: bench.take_conversation(),
    };
    match strict || check.basis.is_binding() {
        true => Verdict::Failed(fault),
        false => Verdict::Differs(fault),
    }
}
