//! `qmp shell`: the command line of it; the rest is in `crate::shell`.

use std::path::PathBuf;

use clap::Args;
use tinamou_client::Address;

use crate::recording::Redaction;

const EXAMPLES: &str = "\
Lines are as qmp-shell takes them: COMMAND KEY=VALUE…, with dots into objects
and JSON values; `transaction(` … `)`; or whole messages as on the wire.

Examples:
  qmp shell vm.sock
  qmp shell -H vm.sock
  qmp shell --wrap -- qemu-system-riscv64 -M virt -display none
  echo query-status | qmp shell --json vm.sock";

/// What `qmp shell` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the server listens
    #[arg(
        value_name = "ADDR",
        env = "QMP_SOCKET",
        required_unless_present = "wrap"
    )]
    pub(crate) address: Option<Address>,
    /// Lines go to the human monitor
    #[arg(short = 'H', long)]
    pub(crate) hmp: bool,
    /// Show what goes over the wire
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Show it indented
    #[arg(short, long)]
    pub(crate) pretty: bool,
    /// Do not negotiate: the server is a guest agent
    #[arg(short = 'N', long)]
    pub(crate) skip_negotiation: bool,
    /// Append each command and its reply to a file, a line of JSON for both
    #[arg(short, long, value_name = "FILE")]
    pub(crate) logfile: Option<PathBuf>,
    /// Record all that is said to a file that `qmp replay` serves again; secrets are left out
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Hide a member in it as well: COMMAND.MEMBER…; may be repeated
    #[arg(long, value_name = "PATH", requires = "record")]
    pub(crate) redact: Vec<Redaction>,
    /// Start a machine with the command after `--`, and end it with the shell
    #[arg(long, requires = "command", conflicts_with = "address")]
    pub(crate) wrap: bool,
    /// The machine's command line
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
