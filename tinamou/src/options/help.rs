//! Texts that are asked for instead of a machine. All of them are made from
//! the tables that the parser uses.

use super::machine::{ACCELS, MACHINES};
use super::params::{Group, Kind};
use super::table::{OPTIONS, Opt, Section};
use std::fmt::Write as _;

/// The release of QEMU whose interface this program has.
pub const QEMU_VERSION: [u8; 3] = [10, 0, 2];

const VERSION: &str = env!("CARGO_PKG_VERSION");
const WIDTH: usize = 80;
const INDENT: usize = 16;

/// `-version`. Harnesses look for QEMU's line, those that were told another
/// name for this program at its very start.
pub(crate) fn version(program: &str) -> String {
    let [major, minor, micro] = QEMU_VERSION;
    let qemu = format!("QEMU emulator version {major}.{minor}.{micro}");
    if program.starts_with("qemu-") {
        format!("{qemu} (Tinamou {VERSION})\n")
    } else {
        format!("Tinamou {VERSION} ({qemu})\n")
    }
}

/// `-help`
pub(crate) fn options(program: &str) -> String {
    let mut text = version(program);
    let _ = writeln!(text, "usage: {program} [OPTION]...");
    for section in Section::ALL {
        let _ = writeln!(text, "\n{}:", section.title());
        for opt in OPTIONS.iter().filter(|opt| opt.section == section) {
            describe(&mut text, opt);
        }
    }
    text.push_str(
        "\nOptions may begin with one dash or two. A comma in a value is written twice.\n",
    );
    text
}

fn describe(text: &mut String, opt: &Opt) {
    let names: Vec<_> = std::iter::once(&opt.name)
        .chain(opt.aliases)
        .map(|name| format!("-{name}"))
        .collect();
    let mut head = names.join(" or ");
    if let Some(usage) = opt.usage {
        head = format!("{head} {usage}");
    }
    if head.len() < INDENT {
        let _ = write!(text, "{head:INDENT$}");
    } else {
        let _ = write!(text, "{head}\n{:INDENT$}", "");
    }
    let mut column = INDENT;
    for word in opt.help.split(' ') {
        if column + word.len() > WIDTH {
            let _ = write!(text, "\n{:INDENT$}", "");
            column = INDENT;
        }
        let _ = write!(text, "{}{word}", if column > INDENT { " " } else { "" });
        column += word.len() + 1;
    }
    text.push('\n');
}

/// The parameters of an option.
pub(crate) fn group(group: &Group) -> String {
    let mut params: Vec<_> = group.params.iter().collect();
    params.sort_by_key(|param| param.name);
    let mut text = format!("{} options:\n", group.name);
    for param in params {
        let kind = match param.kind {
            Kind::String => "str",
            Kind::Boolean => "bool (on/off)",
            Kind::Number => "num",
            Kind::Size => "size",
        };
        let head = format!("  {}=<{kind}>", param.name);
        let _ = match param.help {
            "" => writeln!(text, "{head}"),
            help => writeln!(text, "{head:<24} - {help}"),
        };
    }
    text
}

/// `-machine help`
pub(crate) fn machines() -> String {
    let lines = MACHINES
        .iter()
        .map(|(kind, what)| format!("{:<20} {what}\n", kind.name()));
    format!("Supported machines are:\n{}", lines.collect::<String>())
}

/// `-accel help`
pub(crate) fn accels() -> String {
    let lines = ACCELS.iter().map(|accel| format!("{}\n", accel.name()));
    format!(
        "Accelerators supported in QEMU binary:\n{}",
        lines.collect::<String>()
    )
}

/// Names under a title.
pub(crate) fn list(title: &str, names: &[&str]) -> String {
    let lines = names.iter().map(|name| format!("  {name}\n"));
    format!("{title}\n{}", lines.collect::<String>())
}
