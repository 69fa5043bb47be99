//! What concerns the process and the run of the machine: names, clocks,
//! actions, descriptors, messages.

use super::config::{BootConfig, MessageConfig, PassedFd, RtcBase, RtcClock, RtcConfig};
use super::error::{Error, Origin, Result, Warning};
use super::help;
use super::low::LowArgs;
use super::params::{self, Group, Param, Params};
use super::value;
use crate::log;
use tinamou_machine::run_state::{
    Actions, PanicAction, RebootAction, ShutdownAction, WatchdogAction,
};

/// `-name`
pub(crate) static NAME: Group = Group {
    name: "name",
    implied: Some("guest"),
    merge: true,
    params: &[
        Param::boolean("debug-threads").help("name threads after what they do"),
        Param::string("process").help("name of the process"),
        Param::string("guest").help("name of the guest"),
    ],
};

/// `-msg`
pub(crate) static MSG: Group = Group {
    name: "msg",
    implied: None,
    merge: true,
    params: &[
        Param::boolean("guest-name").help("begin messages with the name of the guest"),
        Param::boolean("timestamp").help("begin messages with the time"),
    ],
};

/// `-rtc`
pub(crate) static RTC: Group = Group {
    name: "rtc",
    implied: None,
    merge: true,
    params: &[
        Param::string("driftfix"),
        Param::string("clock"),
        Param::string("base"),
    ],
};

/// `-action`
pub(crate) static ACTION: Group = Group {
    name: "action",
    implied: None,
    merge: true,
    params: &[
        Param::string("watchdog"),
        Param::string("panic"),
        Param::string("reboot"),
        Param::string("shutdown"),
    ],
};

/// `-add-fd`
pub(crate) static ADD_FD: Group = Group {
    name: "add-fd",
    implied: None,
    merge: false,
    params: &[
        Param::string("opaque").help("text kept with the descriptor"),
        Param::number("set").help("set that the descriptor goes into"),
        Param::number("fd").help("descriptor to pass"),
    ],
};

/// `-boot`; parsed as keyval.
pub(crate) static BOOT: Group = Group {
    name: "boot-opts",
    implied: Some("order"),
    merge: true,
    params: &[
        Param::boolean("strict"),
        Param::number("reboot-timeout"),
        Param::number("splash-time"),
        Param::string("splash"),
        Param::boolean("menu"),
        Param::string("once"),
        Param::string("order"),
    ],
};

/// Reads `-d`.
pub(crate) fn read_log_items(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(log_help());
        return Ok(());
    }
    for word in text.split(',') {
        let Some((item, _)) = log::ITEMS.iter().find(|(name, _)| *name == word) else {
            return Err(
                Error::new(format!("'{word}' cannot be logged")).hint(log_help().trim_end())
            );
        };
        low.log_items.push(item);
    }
    Ok(())
}

pub(crate) fn log_help() -> String {
    list_log_items(log::ITEMS.iter())
}

/// The list for the human monitor, where all items can be taken back too.
pub(crate) fn log_help_with_none() -> String {
    let none = ("none", "no logging");
    list_log_items(std::iter::once(&none).chain(log::ITEMS))
}

fn list_log_items<'a>(items: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let lines = items.map(|(name, what)| format!("{name:<15} {what}\n"));
    format!(
        "Log items (comma separated):\n{}",
        lines.collect::<String>()
    )
}

/// Reads `-L`.
pub(crate) fn read_data_dir(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        let lines = low
            .data_dirs
            .iter()
            .map(|dir| format!("{}\n", dir.display()));
        low.answer = Some(lines.collect());
        return Ok(());
    }
    low.data_dirs.push(text.into());
    Ok(())
}

/// Reads `-uuid`.
pub(crate) fn read_uuid(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    let uuid = value::uuid(text);
    low.uuid = Some(uuid.ok_or_else(|| Error::new("failed to parse UUID string: wrong format"))?);
    Ok(())
}

/// Reads `-action`.
pub(crate) fn read_action(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::group(&ACTION));
        return Ok(());
    }
    let params = ACTION.parse(text, origin, &mut low.warnings)?;
    set_actions(&mut low.actions, &params)
}

/// Reads `-watchdog-action`.
pub(crate) fn read_watchdog_action(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    low.actions.watchdog = one_of("watchdog", text, WatchdogAction::from_name)?;
    Ok(())
}

fn set_actions(actions: &mut Actions, params: &Params) -> Result<()> {
    for (key, text) in &params.pairs {
        match key.as_str() {
            "reboot" => actions.reboot = one_of(key, text, RebootAction::from_name)?,
            "shutdown" => actions.shutdown = one_of(key, text, ShutdownAction::from_name)?,
            "panic" => actions.panic = one_of(key, text, PanicAction::from_name)?,
            "watchdog" => actions.watchdog = one_of(key, text, WatchdogAction::from_name)?,
            _ => {}
        }
    }
    Ok(())
}

fn one_of<T>(key: &str, text: &str, from_name: fn(&str) -> Option<T>) -> Result<T> {
    from_name(text).ok_or_else(|| Error::value_not_accepted(key, text))
}

/// Makes sense of `-rtc`.
pub(crate) fn resolve_rtc(params: &Params, warnings: &mut Vec<Warning>) -> Result<RtcConfig> {
    let base = match params.text("base") {
        None | Some("utc") => RtcBase::Utc,
        Some("localtime") => RtcBase::Localtime,
        Some(date) => RtcBase::Fixed(value::datetime(date).ok_or_else(|| {
            Error::new("invalid datetime format")
                .hint("valid formats: '2006-06-17T16:01:21' or '2006-06-17'")
        })?),
    };
    let clock = match params.text("clock") {
        None | Some("host") => RtcClock::Host,
        Some("rt") => RtcClock::Rt,
        Some("vm") => RtcClock::Vm,
        Some(other) => return Err(Error::new(format!("invalid option value '{other}'"))),
    };
    match params.text("driftfix") {
        None | Some("none") => {}
        Some("slew") => {
            warnings.push(Warning::new(
                "driftfix 'slew' is not available with this machine",
            ));
        }
        Some(other) => return Err(Error::new(format!("invalid option value '{other}'"))),
    }
    Ok(RtcConfig { base, clock })
}

/// Makes sense of `-msg`.
pub(crate) fn resolve_messages(params: &Params) -> Result<MessageConfig> {
    Ok(MessageConfig {
        timestamp: params.boolean("timestamp")?.unwrap_or(false),
        guest_name: params.boolean("guest-name")?.unwrap_or(false),
    })
}

/// Makes sense of one `-add-fd`.
pub(crate) fn resolve_fd(params: &Params) -> Result<PassedFd> {
    passed_fd(params).map_err(|error| error.at(&params.origin))
}

fn passed_fd(params: &Params) -> Result<PassedFd> {
    let required = || Error::new("fd option is required and must be non-negative");
    let fd = params
        .number("fd")?
        .and_then(|fd| i32::try_from(fd).ok())
        .ok_or_else(required)?;
    if fd <= 2 {
        return Err(Error::new("fd cannot be a standard I/O stream"));
    }
    let set = params
        .number("set")?
        .and_then(|set| i64::try_from(set).ok());
    let set = set.ok_or_else(|| Error::new("set option is required and must be non-negative"))?;
    Ok(PassedFd {
        fd,
        set,
        opaque: params.string("opaque"),
        origin: params.origin.clone(),
    })
}

/// Makes sense of `-boot`.
pub(crate) fn resolve_boot(pairs: &[(String, String)]) -> Result<BootConfig> {
    let mut boot = BootConfig::default();
    for (key, text) in pairs {
        let path = format!("boot.{key}");
        match key.as_str() {
            "order" => boot.order = Some(drive_letters(text)?),
            "once" => boot.once = Some(drive_letters(text)?),
            "menu" => boot.menu = Some(value::boolean(&path, text)?),
            "strict" => boot.strict = Some(value::boolean(&path, text)?),
            "splash" => boot.splash = Some(text.into()),
            "splash-time" => boot.splash_time = Some(integer(&path, text)?),
            "reboot-timeout" => boot.reboot_timeout = Some(integer(&path, text)?),
            _ => return Err(Error::new(format!("Parameter '{path}' is unexpected"))),
        }
    }
    Ok(boot)
}

fn integer(path: &str, text: &str) -> Result<i64> {
    let expects = |_| Error::new(format!("Parameter '{path}' expects integer"));
    // Negative numbers are read as their two's complement.
    value::parse_integer(text)
        .map(u64::cast_signed)
        .map_err(expects)
}

fn drive_letters(text: &str) -> Result<String> {
    for (index, letter) in text.char_indices() {
        if !('a'..='p').contains(&letter) {
            return Err(Error::new(format!("Invalid boot device '{letter}'")));
        }
        if text[..index].contains(letter) {
            return Err(Error::new(format!(
                "Boot device '{letter}' was given twice"
            )));
        }
    }
    Ok(text.to_owned())
}
