//! Reads the files in `checks/`.

use serde_json::Value;

use super::{Expected, Script, Step};
use crate::bench::State;
use crate::check::{Basis, Body, Check};

/// The checks of a file. What is wrong with a file is a fault of this crate,
/// found by its tests.
pub(crate) fn checks(file: &str) -> Vec<Check> {
    parse(file).unwrap_or_else(|fault| panic!("the files in checks/ are well-formed: {fault}"))
}

fn parse(file: &str) -> Result<Vec<Check>, String> {
    let mut checks = Vec::new();
    let mut current: Option<Draft> = None;
    for (number, line) in file.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |fault: &str| format!("line {}: {fault}", number + 1);
        if let Some(id) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            checks.extend(current.take().map(Draft::finish).transpose()?);
            current = Some(Draft::new(id));
            continue;
        }
        let draft = current.as_mut().ok_or_else(|| at("no check begins"))?;
        draft.line(line).ok_or_else(|| at(line))?;
    }
    checks.extend(current.take().map(Draft::finish).transpose()?);
    Ok(checks)
}

/// A check that is being read.
struct Draft {
    id: String,
    rule: Option<String>,
    basis: Option<Basis>,
    script: Script,
}

impl Draft {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            rule: None,
            basis: None,
            script: Script::default(),
        }
    }

    fn line(&mut self, line: &str) -> Option<()> {
        if let Some(rule) = line.strip_prefix("rule: ") {
            self.rule = Some(rule.to_owned());
        } else if let Some(basis) = line.strip_prefix("basis: ") {
            self.basis = Some(Basis::parse(basis)?);
        } else if let Some(state) = line.strip_prefix("state: ") {
            self.script.state = Some(state_named(state)?);
        } else {
            self.step(line)?;
        }
        Some(())
    }

    fn step(&mut self, line: &str) -> Option<()> {
        let steps = &mut self.script.steps;
        if let Some(text) = line.strip_prefix(">> ") {
            steps.extend([Step::Send(expand(text)?), Step::Pause]);
        } else if let Some(text) = line.strip_prefix(">. ") {
            let mut bytes = expand(text)?;
            bytes.push(b'\n');
            steps.push(Step::Dribble(bytes));
        } else if let Some(text) = line.strip_prefix("> ") {
            let mut bytes = expand(text)?;
            bytes.push(b'\n');
            steps.push(Step::Send(bytes));
        } else if line == "close" {
            steps.push(Step::Close);
        } else {
            steps.push(expected(line.strip_prefix("< ")?)?);
        }
        Some(())
    }

    fn finish(self) -> Result<Check, String> {
        let missing = |what| format!("{} has no {what}", self.id);
        Ok(Check {
            rule: self.rule.ok_or_else(|| missing("rule"))?,
            basis: self.basis.ok_or_else(|| missing("basis"))?,
            id: self.id,
            body: Body::Script(self.script),
        })
    }
}

fn state_named(name: &str) -> Option<State> {
    match name {
        "fresh" => Some(State::Fresh),
        "negotiated" => Some(State::Negotiated),
        "oob" => Some(State::Oob),
        _ => None,
    }
}

fn expected(text: &str) -> Option<Step> {
    match text {
        "end" => return Some(Step::End),
        "errors" => return Some(Step::Errors),
        _ => {}
    }
    let (what, id) = match text.split_once(" ; id ") {
        Some((what, id)) => (what, Some(json(id)?)),
        None => (text, None),
    };
    let what = match what.split_once(' ') {
        None if what == "return" => Expected::Return(None),
        None if what == "error" => Expected::ANY_ERROR,
        Some(("return", value)) => Expected::Return(Some(json(value)?)),
        Some(("error", rest)) => error(rest),
        _ => return None,
    };
    Some(Step::Reply { what, id })
}

fn error(text: &str) -> Expected {
    let (class, saying) = match text.split_once(" saying ") {
        Some((class, words)) => (class, Some(words.to_owned())),
        None => (text, None),
    };
    Expected::Error {
        class: Some(class.to_owned()),
        saying,
    }
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_slice(&expand(text)?).ok()
}

/// Replaces `<41>` by a byte, and `<41*9>` by nine of them.
fn expand(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.extend_from_slice(before.as_bytes());
        let (inside, after) = after.split_once('>')?;
        let (byte, times) = inside.split_once('*').unwrap_or((inside, "1"));
        let byte = u8::from_str_radix(byte, 16).ok()?;
        let length = out.len() + times.parse::<usize>().ok()?;
        out.resize(length, byte);
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_bytes() {
        let expand = |text| expand(text).expect("it is well-formed");
        assert_eq!(expand("a<FF>b"), b"a\xFFb");
        assert_eq!(expand("<61*3>é"), "aaaé".as_bytes());
    }

    #[test]
    fn says_what_is_wrong() {
        let fault = |text| parse(text).expect_err("it is malformed");
        assert_eq!(fault("> x"), "line 1: no check begins");
        assert_eq!(fault("[a/b]\nstate: odd"), "line 2: state: odd");
        assert_eq!(fault("[a/b]\n< maybe"), "line 2: < maybe");
        assert_eq!(fault("[a/b]\nrule: x"), "a/b has no basis");
    }
}
