//! The first message of a session.

use super::output::end_line;
use crate::json::{Style, append};
use serde::Serialize;

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// The version of the emulator.
    pub version: Version,
    /// Who packaged it; empty if nobody did.
    pub package: String,
    /// Whether out-of-band execution is offered.
    pub oob: bool,
}

/// A version number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Raised with small changes.
    pub micro: i64,
    /// Raised with each release.
    pub minor: i64,
    /// Raised once a year.
    pub major: i64,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "QMP")]
    qmp: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    version: VersionInfo<'a>,
    capabilities: &'a [&'a str],
}

#[derive(Serialize)]
struct VersionInfo<'a> {
    qemu: Version,
    package: &'a str,
}

impl Greeting {
    pub(super) fn write(&self, out: &mut Vec<u8>, style: Style) {
        let version = VersionInfo {
            qemu: self.version,
            package: &self.package,
        };
        let capabilities: &[&str] = if self.oob { &["oob"] } else { &[] };
        let message = Message {
            qmp: Body {
                version,
                capabilities,
            },
        };
        append(out, &message, style, 0).expect("plain structs have a JSON text");
        end_line(out);
    }
}
