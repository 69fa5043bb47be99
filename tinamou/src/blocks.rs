//! Images and disks: what the command line says of them in the block graph's
//! terms, and what happens to them as events.

use std::sync::{Arc, OnceLock};

use tinamou_api as api;
use tinamou_block::{BlockBackend, Corruption, ErrorAction, Graph, IoError, Observer, filename};
use tinamou_machine::{Requests, RunState};
use tinamou_monitor::EventBus;
use tinamou_qmp::{Error, Object, Result, Value, ValueSource, Visit};

use crate::options::config::{BlockdevConfig, DriveConfig};

/// Tells clients what happens to disks, and stops the machine when a disk
/// cannot go on.
pub struct Watch {
    events: EventBus,
    /// Where the machine takes requests, once there is one.
    requests: OnceLock<Arc<Requests>>,
}

impl Watch {
    /// Events go out on that bus.
    pub fn new(events: EventBus) -> Arc<Self> {
        Arc::new(Self {
            events,
            requests: OnceLock::new(),
        })
    }

    /// The machine that is to be stopped.
    pub fn connect(&self, requests: &Arc<Requests>) {
        // There is one machine.
        let _ = self.requests.set(Arc::clone(requests));
    }
}

impl Observer for Watch {
    fn io_error(&self, error: &IoError) {
        self.events.emit(&api::BlockIoErrorEvent {
            qom_path: error.qom_path.clone(),
            device: error.device.clone(),
            node_name: error.node_name.clone(),
            operation: match error.is_read {
                true => api::IoOperationType::Read,
                false => api::IoOperationType::Write,
            },
            action: match error.action {
                ErrorAction::Report => api::BlockErrorAction::Report,
                ErrorAction::Ignore => api::BlockErrorAction::Ignore,
                ErrorAction::Stop => api::BlockErrorAction::Stop,
            },
            nospace: error.has_io_status.then_some(error.no_space),
            reason: error.reason.clone(),
        });
        if error.action == ErrorAction::Stop
            && let Some(requests) = self.requests.get()
        {
            requests.stop(RunState::IoError);
        }
    }

    fn write_threshold(&self, node: &str, exceeded: u64, threshold: u64) {
        self.events.emit(&api::BlockWriteThresholdEvent {
            node_name: node.to_owned(),
            amount_exceeded: exceeded,
            write_threshold: threshold,
        });
    }

    fn image_corrupted(&self, device: &str, node: &str, corruption: &Corruption) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.events.emit(&api::BlockImageCorruptedEvent {
            device: device.to_owned(),
            node_name: Some(node.to_owned()),
            msg: corruption.message.clone(),
            offset: corruption.place.map(|(offset, _)| number(offset)),
            size: corruption.place.map(|(_, size)| number(size)),
            fatal: corruption.fatal,
        });
    }

    fn tray_moved(&self, device: &str, id: &str, open: bool) {
        self.events.emit(&api::DeviceTrayMovedEvent {
            device: device.to_owned(),
            id: id.to_owned(),
            tray_open: open,
        });
    }
}

/// The wire's error for one of the graph.
pub fn wire(error: tinamou_block::Error) -> Error {
    Error::generic(error.to_string())
}

/// The same for the command line, which also says what to do.
fn told(error: tinamou_block::Error) -> Error {
    match &error {
        tinamou_block::Error::Locked { file, .. } => Error::generic(format!(
            "{error}\nIs another process using the image [{file}]?"
        )),
        _ => wire(error),
    }
}

/// Carries out `-blockdev`.
///
/// # Errors
/// The node cannot be made.
pub async fn add_blockdev(graph: &Graph, config: &BlockdevConfig) -> Result<()> {
    let members = config.members.clone();
    let mut source = match config.json {
        true => ValueSource::json(Value::Object(members)),
        false => ValueSource::keyval(members),
    };
    let options = api::BlockdevOptions::visit(&mut source, None)?;
    graph.add(options).await.map_err(told)?;
    Ok(())
}

/// Carries out `-drive`. The format of an image that nobody told and that
/// looks like none is reported through `warn`.
///
/// # Errors
/// The image cannot be opened.
pub async fn add_drive(
    graph: &Graph,
    config: &DriveConfig,
    warn: impl FnOnce(String),
) -> Result<Arc<BlockBackend>> {
    if graph.find(&config.id).is_some() {
        let desc = format!(
            "Device name '{}' conflicts with an existing node name",
            config.id
        );
        return Err(Error::generic(desc));
    }
    let medium = match &config.file {
        None if !config.options.contains_key("file") && config.format.is_none() => None,
        _ => Some(open(graph, config, warn).await?),
    };
    let drive = graph.new_backend(&config.id);
    drive.set_policies(config.policies);
    drive.set_write_cache(config.write_cache);
    let stats = drive.stats();
    stats.configure(
        config.account_invalid,
        config.account_failed,
        &config.intervals,
    );
    if config.limits.is_enabled() {
        let group = graph.group(config.group.as_ref().unwrap_or(&config.id));
        let set = group.set_limits(config.limits);
        set.map_err(|error| Error::generic(error.to_string()))?;
        drive.set_throttle_group(Some(group));
    }
    if let Some(medium) = medium {
        let inserted = drive.insert(&medium);
        if let Err(error) = inserted {
            graph.forget(&drive);
            return Err(told(error));
        }
    }
    Ok(drive)
}

async fn open(
    graph: &Graph,
    config: &DriveConfig,
    warn: impl FnOnce(String),
) -> Result<Arc<tinamou_block::Node>> {
    let mut probed = false;
    let format = match (&config.format, &config.file) {
        (Some(format), _) => format.clone(),
        (None, Some(file)) => {
            let format = graph.probe(file).await.map_err(told)?;
            probed = format == "raw";
            if probed {
                warn(guessed_raw(file));
            }
            format.to_owned()
        }
        (None, None) => "raw".to_owned(),
    };
    let mut options = options(config, &format)?;
    options.read_only = Some(config.read_only || config.snapshot);
    options.auto_read_only.get_or_insert(true);
    let node = match config.snapshot {
        false => graph.open(options).await,
        true => graph.open_snapshot(options).await,
    };
    let node = node.map_err(told)?;
    if probed {
        node.guard_format();
    }
    match config.copy_on_read && !config.read_only {
        true => graph.open_copy_on_read(node).await.map_err(told),
        false => Ok(node),
    }
}

/// The options for the drive's node: what was said of it, over what its file
/// means.
fn options(config: &DriveConfig, format: &str) -> Result<api::BlockdevOptions> {
    let mut members = config.options.clone();
    let aio = members.shift_remove("aio");
    let is_protocol = ["null-co", "null-aio", "nbd", "file", "host_device"].contains(&format);
    if !is_protocol && !matches!(members.get("file"), Some(Value::String(_))) {
        let mut file = match members.shift_remove("file") {
            Some(Value::Object(file)) => file,
            _ => Object::new(),
        };
        if let Some(name) = &config.file {
            let named = filename::members(name).map_err(wire)?;
            for (key, value) in named {
                file.entry(key).or_insert(value);
            }
        }
        file.entry("driver".into())
            .or_insert_with(|| Value::String("file".into()));
        if let Some(aio) = aio {
            file.insert("aio".into(), aio);
        }
        members.insert("file".into(), Value::Object(file));
    } else if let Some(name) = &config.file {
        members.insert("filename".into(), Value::String(name.clone()));
    }
    let protocol = match members.get("file") {
        Some(Value::Object(file)) => text(file.get("driver")),
        _ => None,
    };
    members.insert("driver".into(), Value::String(format.to_owned()));
    plain_sizes(&mut members);
    let mut source = ValueSource::keyval(members);
    let visited = api::BlockdevOptions::visit(&mut source, None);
    visited.map_err(|error| refused(error, format, protocol.as_deref().unwrap_or("file")))
}

fn text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Drives take sizes with units where nodes take plain numbers.
fn plain_sizes(members: &mut Object) {
    for (key, value) in members {
        match value {
            Value::Object(members) => plain_sizes(members),
            Value::String(text) if key == "size" || key == "offset" => {
                let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
                let unit = units
                    .iter()
                    .find(|(unit, _)| text.to_ascii_uppercase().ends_with(*unit));
                let Some((_, shift)) = unit else { continue };
                let number = text[..text.len() - 1].parse::<u64>().ok();
                if let Some(bytes) = number.and_then(|number| number.checked_mul(1 << shift)) {
                    *text = bytes.to_string();
                }
            }
            _ => {}
        }
    }
}

/// What the visitor says, as `-drive` says it.
fn refused(error: Error, format: &str, protocol: &str) -> Error {
    let quoted = |prefix: &str, suffix: &str| {
        let name = error.desc.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some(name.to_owned())
    };
    if let Some(name) = quoted("Parameter '", "' is unexpected") {
        return Error::generic(match name.strip_prefix("file.") {
            Some(name) => {
                format!("Block protocol '{protocol}' doesn't support the option '{name}'")
            }
            None => format!("Block format '{format}' does not support the option '{name}'"),
        });
    }
    if let Some(driver) = quoted("Parameter 'driver' does not accept value '", "'") {
        return Error::generic(format!("Unknown driver '{driver}'"));
    }
    error
}

fn guessed_raw(file: &str) -> String {
    let indent = " ".repeat("WARNING: ".len());
    format!(
        "WARNING: Image format was not specified for '{file}' and probing guessed raw.\n\
         {indent}Automatically detecting the format is dangerous for raw images, write \
         operations on block 0 will be restricted.\n\
         {indent}Specify the 'raw' format explicitly to remove the restrictions."
    )
}
