//! The page of the book that lists every check.

use std::fmt::{self, Write as _};

use crate::lists::{Conduct, lines};
use crate::{GROUPS, checks, deviations};

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out);
    out
}

fn write(out: &mut String) -> fmt::Result {
    let checks = checks();
    let binding = checks.iter().filter(|check| check.basis.is_binding());
    let (all, binding) = (checks.len(), binding.count());
    writeln!(out, "# All checks\n")?;
    writeln!(
        out,
        "`qmp test` makes {all} checks. {binding} of them rest on a specification; \
         the others on what QEMU has always done, and count only with `--strict`."
    )?;
    for (group, about) in GROUPS {
        writeln!(out, "\n## {group}\n\n{about}\n")?;
        writeln!(out, "| check | rule | rests on |\n|---|---|---|")?;
        for check in checks.iter().filter(|check| check.group() == *group) {
            let rule = cell(&check.rule);
            writeln!(out, "| `{}` | {rule} | {} |", check.id, check.basis)?;
        }
    }
    write_deviations(out)?;
    write_commands(out)
}

fn write_deviations(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Known deviations\n")?;
    writeln!(
        out,
        "| server | versions | check | what it does |\n|---|---|---|---|"
    )?;
    for known in deviations() {
        let versions = match (&known.since, &known.until) {
            (None, None) => "all".to_owned(),
            (Some(since), None) => format!("{since} and later"),
            (None, Some(until)) => format!("before {until}"),
            (Some(since), Some(until)) => format!("{since} and later, before {until}"),
        };
        let check = match &known.case {
            Some(case) => format!("`{}`, {case}", known.check),
            None => format!("`{}`", known.check),
        };
        let why = cell(&known.why);
        writeln!(out, "| {} | {versions} | {check} | {why} |", known.server)?;
    }
    Ok(())
}

fn write_commands(out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Which commands are carried out\n")?;
    writeln!(
        out,
        "Commands that only read are carried out. Commands that could reach beyond the server \
         are never sent. All others are sent with arguments that must be refused, and only to \
         servers that were started for the test or declared disposable.\n"
    )?;
    writeln!(out, "| commands | | why |\n|---|---|---|")?;
    for (conduct, pattern, why) in lines() {
        let conduct = match conduct {
            Conduct::Reads => "carried out",
            Conduct::Changes => "sent with bad arguments",
            Conduct::Never => "never sent",
        };
        writeln!(out, "| `{pattern}` | {conduct} | {why} |")?;
    }
    Ok(())
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|")
}
