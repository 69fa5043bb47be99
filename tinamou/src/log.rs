//! What the program tells: messages on standard error, and the log of `-d`
//! and `-D`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::options::config::{LogConfig, MessageConfig};

/// The log item for resets; also the target of what is logged about them.
pub const CPU_RESET: &str = "cpu_reset";

/// The log item for everything that the program traces.
pub const TRACE: &str = "trace";

static RESETS: AtomicBool = AtomicBool::new(false);
static EVERYTHING: AtomicBool = AtomicBool::new(false);
/// Where the log goes; standard error by default.
static FILE: Mutex<Option<File>> = Mutex::new(None);
static PREFIX: OnceLock<(MessageConfig, String)> = OnceLock::new();

/// Begins logging. Warnings are always shown.
///
/// # Errors
/// The log file cannot be opened.
pub fn start(config: &LogConfig, messages: MessageConfig, name: Option<&str>) -> io::Result<()> {
    // The first start wins: there is one standard error.
    let _ = PREFIX.set((messages, name.unwrap_or_default().to_owned()));
    if let Some(path) = &config.file {
        open(path)?;
    }
    choose(config.items.iter().copied());
    let layer = fmt::layer()
        .without_time()
        .with_ansi(false)
        .with_writer(|| Output);
    let layer = layer.with_filter(dynamic_filter_fn(|metadata, _| is_wanted(metadata)));
    // A second subscriber in one process, as in tests, changes nothing.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Logs these items from now on, and no others.
pub fn choose<'a>(items: impl Iterator<Item = &'a str>) {
    let items: Vec<&str> = items.collect();
    RESETS.store(items.contains(&CPU_RESET), Ordering::Relaxed);
    EVERYTHING.store(items.contains(&TRACE), Ordering::Relaxed);
}

/// Sends the log to a file from now on.
///
/// # Errors
/// It cannot be opened.
pub fn open(path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    Ok(())
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
    *metadata.level() <= Level::WARN
        || EVERYTHING.load(Ordering::Relaxed)
        || metadata.target() == CPU_RESET && RESETS.load(Ordering::Relaxed)
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
    fn times_are_dates() {
        check(0, "1970-01-01T00:00:00.000042Z");
        check(951_782_400, "2000-02-29T00:00:00.000042Z");
        check(1_795_238_620, "2026-11-21T05:23:40.000042Z");
        check(4_107_542_399, "2100-02-28T23:59:59.000042Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000042Z");
    }
}
