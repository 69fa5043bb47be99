//! `-blockdev`, `-drive` and the short forms of it: images and who uses them.

use super::config::{BlockdevConfig, Config, DriveConfig, DriveInterface};
use super::error::{Error, Origin, Result};
use super::low::LowArgs;
use super::params::{Group, Param, Params};
use tinamou_block::throttle::{Bucket, Limits, Rate};
use tinamou_block::{ErrorPolicy, Policies};
use tinamou_qmp::{Object, Value, keyval};

/// `-drive`; what is not among these goes to the image's driver.
pub(crate) static GROUP: Group = Group {
    name: "drive",
    implied: None,
    merge: false,
    params: &[],
};

/// The parameters that `query-command-line-options` tells of.
pub(crate) static DRIVE: Group = Group {
    name: "drive",
    implied: None,
    merge: false,
    params: &[
        Param::string("bus").help("number of the bus"),
        Param::number("unit").help("number on the bus"),
        Param::number("index").help("number among drives of its kind"),
        Param::string("media").help("disk or cdrom"),
        Param::string("if").help("none or virtio"),
        Param::string("file").help("the image"),
        Param::boolean("snapshot").help("keep writes in a temporary file"),
        Param::string("discard").help("ignore or unmap"),
        Param::string("cache").help("none, writeback, writethrough, directsync or unsafe"),
        Param::string("aio").help("threads, native or io_uring"),
        Param::string("format").help("format of the image"),
        Param::string("rerror").help("what to do when a read fails"),
        Param::string("werror").help("what to do when a write fails"),
        Param::boolean("read-only").help("nothing can be written"),
        Param::boolean("copy-on-read").help("copy what is read from behind the image"),
        Param::boolean("detect-zeroes").help("what becomes of writes of zeros"),
    ],
};

/// Keys that mean something for every drive, whatever its image.
const OWN: &[&str] = &[
    "bus",
    "unit",
    "index",
    "media",
    "if",
    "file",
    "snapshot",
    "discard",
    "cache",
    "format",
    "rerror",
    "werror",
    "read-only",
    "copy-on-read",
    "aio",
    "driver",
];

/// Older names of keys.
const ALIASES: &[(&str, &str)] = &[
    ("iops", "throttling.iops-total"),
    ("iops_rd", "throttling.iops-read"),
    ("iops_wr", "throttling.iops-write"),
    ("bps", "throttling.bps-total"),
    ("bps_rd", "throttling.bps-read"),
    ("bps_wr", "throttling.bps-write"),
    ("iops_max", "throttling.iops-total-max"),
    ("iops_rd_max", "throttling.iops-read-max"),
    ("iops_wr_max", "throttling.iops-write-max"),
    ("bps_max", "throttling.bps-total-max"),
    ("bps_rd_max", "throttling.bps-read-max"),
    ("bps_wr_max", "throttling.bps-write-max"),
    ("iops_size", "throttling.iops-size"),
    ("group", "throttling.group"),
    ("readonly", "read-only"),
];

/// Reads `-blockdev`.
pub(crate) fn read_blockdev(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let failed = |error: tinamou_qmp::Error| Error::new(error.desc);
    let json = text.starts_with('{');
    let members = if json {
        match tinamou_qmp::json::parse(text.as_bytes()).map_err(failed)? {
            Value::Object(members) => members,
            _ => return Err(Error::new("Invalid parameter type, expected: object")),
        }
    } else {
        keyval::parse(text, Some("driver")).map_err(failed)?.members
    };
    low.blockdevs.push(BlockdevConfig {
        members,
        json,
        origin: origin.clone(),
    });
    Ok(())
}

/// Reads `-drive`.
pub(crate) fn read_drive(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let params = GROUP.parse(text, origin, &mut low.warnings)?;
    low.drives.push(params);
    Ok(())
}

/// Reads `-hda FILE` and its kin, and an image without an option.
pub(crate) fn read_image(
    low: &mut LowArgs,
    file: &str,
    index: usize,
    cdrom: bool,
    origin: &Origin,
) -> Result<()> {
    let mut params = Params::at(origin);
    params.set("index", index.to_string());
    params.set("media", if cdrom { "cdrom" } else { "disk" });
    params.set("file", file);
    low.drives.push(params);
    Ok(())
}

/// Makes sense of them.
pub(crate) fn resolve(low: &mut LowArgs, config: &mut Config) -> Result<()> {
    config.blockdevs = std::mem::take(&mut low.blockdevs);
    for params in std::mem::take(&mut low.drives) {
        let drive = drive(&params, low.snapshot, &config.drives);
        config
            .drives
            .push(drive.map_err(|error| error.at(&params.origin))?);
    }
    Ok(())
}

/// Reads the argument of the human monitor's `drive_add`.
///
/// # Errors
/// It makes no sense.
pub fn parse_drive(text: &str, drives: &[DriveConfig]) -> Result<DriveConfig> {
    let mut warnings = Vec::new();
    let params = GROUP.parse(text, &Origin::default(), &mut warnings)?;
    drive(&params, false, drives)
}

fn drive(params: &Params, snapshot: bool, others: &[DriveConfig]) -> Result<DriveConfig> {
    let params = &with_new_names(params)?;
    let interface = match params.text("if") {
        None | Some("virtio") => DriveInterface::Virtio,
        Some("none") => DriveInterface::None,
        Some("scsi" | "ide" | "floppy" | "pflash" | "mtd" | "sd" | "xen") => {
            return Err(unsupported(params));
        }
        Some(other) => return Err(Error::new(format!("unsupported bus type '{other}'"))),
    };
    let cdrom = match params.text("media") {
        None | Some("disk") => false,
        Some("cdrom") => true,
        Some(other) => return Err(Error::new(format!("'{other}' invalid media"))),
    };
    let index = match params.number("index")? {
        Some(index) => index as usize,
        None => free_index(others, interface),
    };
    let prefix = interface.name();
    let id = params
        .id
        .clone()
        .unwrap_or_else(|| format!("{prefix}{index}"));
    if others.iter().any(|other| other.id == id) {
        return Err(Error::new(format!("Duplicate ID '{id}' for drive")));
    }
    Ok(DriveConfig {
        interface,
        index,
        id,
        cdrom,
        file: params.string("file").filter(|file| !file.is_empty()),
        format: params.string("format").or_else(|| params.string("driver")),
        snapshot: params.boolean("snapshot")?.unwrap_or(snapshot),
        read_only: params.boolean("read-only")?.unwrap_or(cdrom),
        copy_on_read: params.boolean("copy-on-read")?.unwrap_or(false),
        write_cache: cache_options(params)?.0,
        policies: policies(params)?,
        limits: limits(params)?,
        group: params.string("throttling.group"),
        account_invalid: params.boolean("stats-account-invalid")?.unwrap_or(true),
        account_failed: params.boolean("stats-account-failed")?.unwrap_or(true),
        intervals: intervals(params)?,
        options: image_options(params)?,
        origin: params.origin.clone(),
    })
}

/// The parameters without older names.
fn with_new_names(params: &Params) -> Result<Params> {
    let mut renamed = params.clone();
    for (old, new) in ALIASES {
        if params.text(old).is_some() && params.text(new).is_some() {
            return Err(Error::new(format!(
                "'{new}' and its alias '{old}' can't be used at the same time"
            )));
        }
        for (key, _) in renamed.pairs.iter_mut().filter(|(key, _)| key == old) {
            *key = (*new).to_owned();
        }
    }
    Ok(renamed)
}

fn unsupported(params: &Params) -> Error {
    let (bus, unit) = (
        params.text("bus").unwrap_or("0"),
        params.text("unit").unwrap_or("0"),
    );
    let interface = params.text("if").unwrap_or_default();
    Error::new(format!(
        "machine type does not support if={interface},bus={bus},unit={unit}"
    ))
}

fn free_index(others: &[DriveConfig], interface: DriveInterface) -> usize {
    let taken = |index: &usize| {
        let same = |other: &&DriveConfig| other.interface == interface;
        others
            .iter()
            .filter(same)
            .any(|other| other.index == *index)
    };
    (0..).find(|index| !taken(index)).unwrap_or(0)
}

/// `cache=`: the write cache, whether to go past the page cache, whether to ignore flushes.
fn cache_options(params: &Params) -> Result<(bool, bool, bool)> {
    let (writeback, direct, no_flush) = match params.text("cache") {
        None | Some("writeback") => (true, false, false),
        Some("none" | "off") => (true, true, false),
        Some("directsync") => (false, true, false),
        Some("writethrough") => (false, false, false),
        Some("unsafe") => (true, false, true),
        Some(_) => return Err(Error::new("invalid cache option")),
    };
    Ok((
        params.boolean("cache.writeback")?.unwrap_or(writeback),
        params.boolean("cache.direct")?.unwrap_or(direct),
        params.boolean("cache.no-flush")?.unwrap_or(no_flush),
    ))
}

fn policies(params: &Params) -> Result<Policies> {
    let policy = |key: &str, kind: &str| match params.text(key) {
        None | Some("auto") => Ok(ErrorPolicy::Auto),
        Some("report") => Ok(ErrorPolicy::Report),
        Some("ignore") => Ok(ErrorPolicy::Ignore),
        Some("stop") => Ok(ErrorPolicy::Stop),
        Some("enospc") if kind == "write" => Ok(ErrorPolicy::Enospc),
        Some(other) => Err(Error::new(format!("'{other}' invalid {kind} error action"))),
    };
    Ok(Policies {
        read: policy("rerror", "read")?,
        write: match policy("werror", "write")? {
            // What a drive is made with shows as this.
            ErrorPolicy::Auto => ErrorPolicy::Enospc,
            policy => policy,
        },
    })
}

fn limits(params: &Params) -> Result<Limits> {
    let number = |name: String| Ok(params.number(&name)?.unwrap_or(0));
    let rate = |name: &str| -> Result<Rate> {
        Ok(Rate {
            average: number(format!("throttling.{name}"))?,
            burst: number(format!("throttling.{name}-max"))?,
            burst_length: params
                .number(&format!("throttling.{name}-max-length"))?
                .unwrap_or(1),
        })
    };
    let mut limits = Limits {
        op_size: number("throttling.iops-size".into())?,
        ..Limits::default()
    };
    for bucket in Bucket::ALL {
        limits.buckets[bucket as usize] = rate(bucket.name())?;
    }
    limits
        .check()
        .map_err(|error| Error::new(error.to_string()))?;
    Ok(limits)
}

fn intervals(params: &Params) -> Result<Vec<u32>> {
    let listed = params
        .text("stats-intervals")
        .into_iter()
        .flat_map(|text| text.split(':'));
    let numbered = params.pairs.iter();
    let numbered = numbered.filter(|(key, _)| key.starts_with("stats-intervals."));
    let texts = listed.chain(numbered.map(|(_, text)| text.as_str()));
    let parse = |text: &str| {
        let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
        seconds.ok_or_else(|| Error::new(format!("Invalid interval length: {text}")))
    };
    texts.map(parse).collect()
}

/// What is said of the image: the options for its node, without the image itself.
fn image_options(params: &Params) -> Result<Object> {
    let is_own = |key: &str| {
        OWN.contains(&key)
            || ["cache.", "throttling.", "stats-"]
                .iter()
                .any(|prefix| key.starts_with(prefix))
    };
    let rest = params.pairs.iter().filter(|(key, _)| !is_own(key));
    let text: Vec<String> = rest
        .map(|(key, text)| format!("{key}={}", text.replace(',', ",,")))
        .collect();
    let parsed = keyval::parse(&text.join(","), None);
    let mut members = parsed.map_err(|error| Error::new(error.desc))?.members;
    let (_, direct, no_flush) = cache_options(params)?;
    let switch = |on| Value::String(if on { "on" } else { "off" }.to_owned());
    let cache = [("direct", switch(direct)), ("no-flush", switch(no_flush))];
    let cache = cache.map(|(key, value)| (key.to_owned(), value));
    members.insert("cache".into(), Value::Object(cache.into_iter().collect()));
    if let Some(discard) = params.text("discard") {
        let discard = match discard {
            "on" | "unmap" => "unmap",
            "off" | "ignore" => "ignore",
            _ => return Err(Error::new("Invalid discard option")),
        };
        members.insert("discard".into(), Value::String(discard.into()));
    }
    if let Some(aio) = params.text("aio") {
        members.insert("aio".into(), Value::String(aio.into()));
    }
    Ok(members)
}

/// `-snapshot`
pub(crate) fn snapshot(low: &mut LowArgs) {
    low.snapshot = true;
}
