//! Options for what this program does not have. They are accepted where they
//! ask for just that, so that command lines made for QEMU work.

use super::error::{Error, Origin, Result};
use super::help;
use super::low::LowArgs;
use super::params::{self, Group, Param};

/// `-sandbox`
pub(crate) static SANDBOX: Group = Group {
    name: "sandbox",
    implied: Some("enable"),
    merge: false,
    params: &[
        Param::string("resourcecontrol"),
        Param::string("spawn"),
        Param::string("elevateprivileges"),
        Param::string("obsolete"),
        Param::boolean("enable"),
    ],
};

pub(crate) fn display(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::list("Available display backend types:", &["none"]));
        return Ok(());
    }
    for (key, text) in params::keyval(text, Some("type"))? {
        match (key.as_str(), text.as_str()) {
            ("type", "none") => low.display_none = true,
            ("type", other) => return Err(Error::value_not_accepted("type", other)),
            (other, _) => return Err(Error::new(format!("Parameter '{other}' is unexpected"))),
        }
    }
    Ok(())
}

pub(crate) fn vga(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    match text {
        "none" => Ok(()),
        "help" | "?" => {
            low.answer = Some("none                 no graphics card\n".to_owned());
            Ok(())
        }
        _ => Err(Error::new(format!("unknown vga type: {text}"))),
    }
}

pub(crate) fn parallel(_: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    match text {
        "none" | "null" => Ok(()),
        _ => Err(Error::new("this machine has no parallel port")),
    }
}

pub(crate) fn incoming(_: &mut LowArgs, _: &str, _: &Origin) -> Result<()> {
    Err(Error::new("migration is not available in this program"))
}

/// Going on without the sandbox that was asked for would be a lie.
pub(crate) fn sandbox(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let params = SANDBOX.parse(text, origin, &mut low.warnings)?;
    match params.boolean("enable")? {
        Some(true) => Err(Error::new("the sandbox is not available in this program")),
        _ => Ok(()),
    }
}
