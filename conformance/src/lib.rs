//! The portable conformance suite: checks that hold any QMP server to the
//! protocol.
//!
//! It knows bytes on a wire and what they must be. It must never know which
//! server it talks to, except to name that server's known deviations.
//!
//! ```no_run
//! use tinamou_conformance::{Settings, Target, report, run};
//!
//! let target = Target::Spawn("my-server --qmp {socket}".to_owned());
//! let found = run(target, &Settings::default(), |_| ())?;
//! print!("{}", report::text(&found));
//! assert!(found.is_conformant());
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod bench;
mod check;
mod checks;
mod deviations;
mod lists;
mod observed;
pub mod report;
mod run;
mod same;
mod schema;
mod script;
mod target;
mod wire;

pub use check::{Basis, Check, Finding};
pub use checks::{GROUPS, checks};
pub use deviations::{Deviation, Version, deviations};
pub use lists::{Conduct, lines as conducts, matches};
pub use run::{Fault, Report, Run, Settings, Verdict, run};
pub use target::Target;
