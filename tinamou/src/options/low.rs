//! The command line as it was typed: which options, with which parameters,
//! before anything is asked about what they mean together.

use super::config::{FwCfgFile, ObjectConfig};
use super::error::{Error, Origin, Result, Warning};
use super::help;
use super::monitor::Monitor;
use super::params::{self, Params};
use super::table::{self, Apply, Opt};
use std::ffi::OsString;
use std::path::PathBuf;
use tinamou_machine::run_state::Actions;

/// What the options said, each kind in the order it was given. The functions
/// of the option table write it; resolving turns it into a
/// [`Config`](super::Config).
#[derive(Debug, Default)]
pub(crate) struct LowArgs {
    /// The name the program was called by.
    pub(crate) program: String,

    pub(crate) machine: Vec<(String, String)>,
    pub(crate) smp: Vec<(String, String)>,
    pub(crate) boot: Vec<(String, String)>,
    pub(crate) memory: Params,
    pub(crate) cpu: Option<String>,
    pub(crate) accel: Vec<Params>,
    pub(crate) objects: Vec<ObjectConfig>,
    pub(crate) netdevs: Vec<super::config::NetdevConfig>,
    pub(crate) nics: Vec<super::config::NicConfig>,
    pub(crate) blockdevs: Vec<super::config::BlockdevConfig>,
    pub(crate) drives: Vec<Params>,
    pub(crate) snapshot: bool,
    pub(crate) devices: Vec<Params>,
    pub(crate) json_devices: Vec<(tinamou_qmp::Object, Origin)>,
    pub(crate) globals: Vec<Params>,
    pub(crate) bios: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) initrd: Option<String>,
    pub(crate) append: Option<String>,
    pub(crate) dtb: Option<String>,

    pub(crate) chardevs: Vec<Params>,
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) serials: Vec<(String, Origin)>,
    pub(crate) qtest: Option<(String, Origin)>,
    pub(crate) qtest_log: Option<String>,
    pub(crate) no_defaults: bool,
    pub(crate) nographic: bool,
    pub(crate) display_none: bool,

    pub(crate) name: Params,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) start_paused: bool,
    pub(crate) preconfig: bool,
    pub(crate) actions: Actions,
    pub(crate) rtc: Params,
    pub(crate) messages: Params,
    pub(crate) fds: Vec<Params>,
    pub(crate) fw_cfg: Vec<FwCfgFile>,
    pub(crate) pidfile: Option<String>,
    pub(crate) daemonize: bool,
    pub(crate) log_items: Vec<&'static str>,
    pub(crate) log_file: Option<String>,
    pub(crate) data_dirs: Vec<PathBuf>,

    /// Text to print instead of running a machine.
    pub(crate) answer: Option<String>,
    pub(crate) warnings: Vec<Warning>,
}

impl LowArgs {
    /// Reads the options from left to right, up to the first that asks for
    /// nothing but a text.
    pub(crate) fn read(&mut self, args: impl IntoIterator<Item = OsString>) -> Result<()> {
        let mut args = args.into_iter();
        while self.answer.is_none() {
            let Some(typed) = args.next() else { break };
            self.read_option(&text(typed)?, &mut args)?;
        }
        Ok(())
    }

    fn read_option(
        &mut self,
        typed: &str,
        args: &mut impl Iterator<Item = OsString>,
    ) -> Result<()> {
        let bare = Origin::option(typed, None);
        let Some(name) = typed.strip_prefix('-') else {
            return super::drive::read_image(self, typed, 0, false, &bare);
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let opt = table::find(name).ok_or_else(|| Error::new("invalid option").at(&bare))?;
        if let Apply::Flag(apply) = opt.apply {
            apply(self);
            return Ok(());
        }
        let argument = args
            .next()
            .ok_or_else(|| Error::new("requires an argument").at(&bare))?;
        let argument = text(argument)?;
        let origin = Origin::option(typed, Some(&argument));
        self.apply(opt, &argument, &origin)
            .map_err(|error| error.at(&origin))
    }

    /// Does what `opt` says with its argument.
    pub(crate) fn apply(&mut self, opt: &Opt, text: &str, origin: &Origin) -> Result<()> {
        if let (Apply::Params(_) | Apply::Keyval(_), Some(group)) = (opt.apply, opt.group)
            && params::asks_for_help(text)
        {
            self.answer = Some(help::group(group));
            return Ok(());
        }
        match (opt.apply, opt.group) {
            (Apply::Flag(apply), _) => apply(self),
            (Apply::Text(slot), _) => *slot(self) = Some(text.to_owned()),
            (Apply::Custom(apply), _) => apply(self, text, origin)?,
            (Apply::Params(slot), Some(group)) => {
                let given = group.parse(text, origin, &mut self.warnings)?;
                slot(self).merge(given);
            }
            (Apply::List(slot), Some(group)) => {
                let given = group.parse(text, origin, &mut self.warnings)?;
                slot(self).push(given);
            }
            (Apply::Keyval(slot), group) => {
                let implied = group.and_then(|group| group.implied);
                slot(self).extend(params::keyval(text, implied)?);
            }
            (Apply::Params(_) | Apply::List(_), None) => {
                unreachable!("every entry that needs a group has one, as the table's tests check")
            }
        }
        Ok(())
    }
}

fn text(argument: OsString) -> Result<String> {
    argument.into_string().map_err(|argument| {
        Error::new("not valid UTF-8").at(&Origin::option(&argument.to_string_lossy(), None))
    })
}
