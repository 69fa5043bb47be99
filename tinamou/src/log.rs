//! What the program tells: messages on standard error, and the log of `-d`
//! and `-D`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::options::config::{LogConfig, MessageConfig};

/// The log item for resets; also the target of what is logged about them.
pub const CPU_RESET: &str = "cpu_reset";

/// What can be logged: an item of `-d`, which is also the target of its events, and what help says.
pub const ITEMS: &[(&str, &str)] = &[
    ("in_asm", "guest code as it is decoded"),
    ("int", "traps: exceptions and interrupts that harts take"),
    (CPU_RESET, "resets of the machine, with their cause"),
    ("unimp", "what the guest asks for that is not built"),
    ("guest_errors", "what the guest should not have done"),
    ("invalid_mem", "accesses that no memory or device accepts"),
    (TRACE, "everything the program traces"),
];

/// The item for everything; its events have other targets.
const TRACE: &str = "trace";

/// The wanted items, by their place in the table.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// Where the log goes; standard error by default.
static FILE: Mutex<Option<File>> = Mutex::new(None);
static PREFIX: OnceLock<(MessageConfig, String)> = OnceLock::new();

/// Begins logging. Warnings are always shown.
///
/// # Errors
/// The log file cannot be opened.
pub fn start(
    config: &LogConfig,
    messages: MessageConfig,
    name: Option<&str>,
) -> Result<(), String> {
    // The first start wins: there is one standard error.
    let _ = PREFIX.set((messages, name.unwrap_or_default().to_owned()));
    if let Some(path) = &config.file {
        open(path)?;
    }
    choose(config.items.iter().copied());
    let layer = fmt::layer()
        .with_ansi(false)
        .event_format(Lines)
        .with_writer(|| Output);
    let layer = layer.with_filter(filter_fn(is_wanted));
    // A second subscriber in one process, as in tests, changes nothing.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Logs these items from now on, and no others.
pub fn choose<'a>(items: impl Iterator<Item = &'a str>) {
    let bits = items.filter_map(bit_of).fold(0, |bits, bit| bits | bit);
    WANTED.store(bits, Ordering::Relaxed);
    // Whether anybody listens is remembered where events arise.
    tracing::callsite::rebuild_interest_cache();
}

/// Sends the log to a file from now on; `%d` in its name stands for the process.
///
/// # Errors
/// It cannot be opened, in QEMU's words.
pub fn open(name: &Path) -> Result<(), String> {
    let path = expand(name).ok_or_else(|| format!("Bad logfile template: {}", name.display()))?;
    let file = File::create(&path).map_err(|error| {
        let reason = crate::commands::machine::reason(&error);
        format!("Error opening logfile {}: {reason}", path.display())
    })?;
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    Ok(())
}

/// The name of a log file with the process's id for its one `%d`; `None` when there is another `%`.
fn expand(name: &Path) -> Option<PathBuf> {
    let text = name.as_os_str().as_bytes();
    let Some(place) = text.iter().position(|byte| *byte == b'%') else {
        return Some(name.to_owned());
    };
    let (before, rest) = text.split_at(place);
    let after = rest.strip_prefix(b"%d")?;
    if after.contains(&b'%') {
        return None;
    }
    let process = std::process::id().to_string();
    let path = [before, process.as_bytes(), after].concat();
    Some(PathBuf::from(OsString::from_vec(path)))
}

/// Tells the user something, after the time and the machine's name if `-msg`
/// asks for them.
pub fn tell(program: &str, text: impl std::fmt::Display) {
    let mut prefix = String::new();
    if let Some((messages, name)) = PREFIX.get() {
        if messages.timestamp {
            prefix = timestamp(SystemTime::now()) + " ";
        }
        if messages.guest_name && !name.is_empty() {
            prefix = format!("{prefix}{name} ");
        }
    }
    eprintln!("{prefix}{program}: {text}");
}

fn is_wanted(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || wants(TRACE) || wants(metadata.target())
}

fn wants(item: &str) -> bool {
    bit_of(item).is_some_and(|bit| WANTED.load(Ordering::Relaxed) & bit != 0)
}

fn bit_of(item: &str) -> Option<u32> {
    let place = ITEMS.iter().position(|(name, _)| *name == item)?;
    Some(1 << place)
}

/// Writes what log items tell as it is, as QEMU does, and everything else with level and target.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        if bit_of(event.metadata().target()).is_none() {
            return fmt::format()
                .without_time()
                .format_event(context, writer, event);
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *FILE.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A time in ISO 8601, in UTC, to the microsecond.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The date that many days after 1970-01-01, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that leap days end years, in eras of 400.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(seconds: u64, expected: &str) {
        assert_eq!(
            timestamp(UNIX_EPOCH + Duration::new(seconds, 42_000)),
            expected
        );
    }

    #[test]
    fn a_log_file_may_be_named_after_the_process() {
        let process = std::process::id();
        for (name, expected) in [
            ("log", Some("log".to_owned())),
            ("a%db", Some(format!("a{process}b"))),
            ("%s", None),
            ("%d%d", None),
            ("%", None),
        ] {
            assert_eq!(expand(name.as_ref()), expected.map(PathBuf::from), "{name}");
        }
    }

    #[test]
    fn times_are_dates() {
        check(0, "1970-01-01T00:00:00.000042Z");
        check(951_782_400, "2000-02-29T00:00:00.000042Z");
        check(1_795_238_620, "2026-11-21T05:23:40.000042Z");
        check(4_107_542_399, "2100-02-28T23:59:59.000042Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000042Z");
    }
}
