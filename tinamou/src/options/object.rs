//! `-object`, `-device` and `-global`: objects made from the command line.

use super::config::{Config, DeviceConfig, Global, ObjectConfig};
use tinamou_api::{ObjectOptions, ObjectOptionsBranch as Branch};
use tinamou_qmp::{Object, Value, ValueSource, Visit as _};

use super::error::{Error, Origin, Result, Warning};
use super::help;
use super::low::LowArgs;
use super::opts_source::OptsSource;
use super::params::{self, Group, Param, Params};
use crate::devices::{self, Request};
use crate::objects;

/// `-object`; each type has its own parameters.
pub(crate) static OBJECT: Group = Group {
    name: "object",
    implied: Some("qom-type"),
    merge: false,
    params: &[],
};

/// `-device`; each model has its own parameters.
pub(crate) static DEVICE: Group = Group {
    name: "device",
    implied: Some("driver"),
    merge: false,
    params: &[],
};

/// `-global`
pub(crate) static GLOBAL: Group = Group {
    name: "global",
    implied: None,
    merge: false,
    params: &[
        Param::string("value"),
        Param::string("property"),
        Param::string("driver"),
    ],
};

/// Reads `-object`.
pub(crate) fn read_object(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if let Some(answer) = object_help(text)? {
        low.answer = Some(answer);
        return Ok(());
    }
    let options = if text.starts_with('{') {
        object_from_json(text)?
    } else {
        object_from_text(low, text, origin)?
    };
    low.objects.push(ObjectConfig {
        options,
        origin: origin.clone(),
    });
    Ok(())
}

fn object_from_json(text: &str) -> Result<ObjectOptions> {
    let object = json_object(text)?;
    let mut source = ValueSource::json(Value::Object(object));
    ObjectOptions::visit(&mut source, None).map_err(|error| Error::new(error.desc))
}

fn object_from_text(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<ObjectOptions> {
    let params = OBJECT.parse(text, origin, &mut low.warnings)?;
    let Some(id) = &params.id else {
        let kind = params.text("qom-type");
        let known = kind.map(|kind| objects::find_type(kind).is_some());
        return Err(match (kind, known) {
            (Some(kind), Some(false)) => Error::value_not_accepted("qom-type", kind),
            (None, _) => Error::missing_parameter("qom-type"),
            _ => Error::missing_parameter("id"),
        });
    };
    if low.objects.iter().any(|other| other.options.id == *id) {
        return Err(Error::new(format!("Duplicate ID '{id}' for object")));
    }
    let mut pairs = params.pairs.clone();
    pairs.push(("id".to_owned(), id.clone()));
    let mut source = OptsSource::new(pairs);
    ObjectOptions::visit(&mut source, None).map_err(|error| Error::new(error.desc))
}

/// The list of types, or the properties of one, if they are asked for.
///
/// # Errors
/// There is no such type.
pub fn object_help(text: &str) -> Result<Option<String>> {
    if params::asks_for_help(text) {
        let names: Vec<_> = objects::TYPES.iter().map(|kind| kind.name).collect();
        return Ok(Some(help::list("List of user creatable objects:", &names)));
    }
    let mut words = text.split(',');
    let kind = words.next().unwrap_or_default();
    let kind = kind.strip_prefix("qom-type=").unwrap_or(kind);
    if !words.any(|word| matches!(word, "help" | "?")) {
        return Ok(None);
    }
    let kind =
        objects::find_type(kind).ok_or_else(|| Error::value_not_accepted("qom-type", kind))?;
    let mut text = format!("{} options:\n", kind.name);
    for (name, kind, description) in kind.properties {
        let name = format!("{name}=<{kind}>");
        match description {
            Some(description) => text.push_str(&format!("  {name:<22} - {description}\n")),
            None => text.push_str(&format!("  {name}\n")),
        }
    }
    Ok(Some(text))
}

/// Reads the argument of the human monitor's `object_add`.
///
/// # Errors
/// It describes no object.
pub fn parse_object(text: &str) -> tinamou_qmp::Result<ObjectOptions> {
    let parsed = tinamou_qmp::keyval::parse(text, OBJECT.implied)?;
    ObjectOptions::visit(&mut ValueSource::keyval(parsed.members), None)
}

/// Reads `-device`.
pub(crate) fn read_device(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(devices::help::models(false));
        return Ok(());
    }
    if text.starts_with('{') {
        low.json_devices.push((json_object(text)?, origin.clone()));
        return Ok(());
    }
    let params = DEVICE.parse(text, origin, &mut low.warnings)?;
    if let Some(text) = device_help(&params)? {
        low.answer = Some(text);
        return Ok(());
    }
    if let Some(id) = &params.id
        && low
            .devices
            .iter()
            .any(|other| other.id.as_ref() == Some(id))
    {
        return Err(Error::new(format!("Duplicate ID '{id}' for device")));
    }
    low.devices.push(params);
    Ok(())
}

fn json_object(text: &str) -> Result<Object> {
    let value =
        tinamou_qmp::json::parse(text.as_bytes()).map_err(|error| Error::new(error.desc))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::new(
            "Invalid parameter type for 'device', expected: object",
        )),
    }
}

/// The properties of the device, if they are asked for in its place.
pub(crate) fn device_help(params: &Params) -> Result<Option<String>> {
    let asked = params
        .pairs
        .iter()
        .any(|(key, _)| matches!(key.as_str(), "help" | "?"));
    let Some(driver) = params.text("driver").filter(|_| asked) else {
        return Ok(None);
    };
    let text = devices::help::properties(driver).map_err(|error| Error::new(error.desc))?;
    Ok(Some(text))
}

/// Reads the argument of the human monitor's `device_add`: the device, or the
/// help that is asked for.
///
/// # Errors
/// The text is no list of parameters.
pub fn parse_device(text: &str, warnings: &mut Vec<Warning>) -> Result<DeviceArgument> {
    if params::asks_for_help(text) {
        return Ok(DeviceArgument::Help(devices::help::models(false)));
    }
    let params = DEVICE.parse(text, &Origin::default(), warnings)?;
    if let Some(text) = device_help(&params)? {
        return Ok(DeviceArgument::Help(text));
    }
    Ok(DeviceArgument::Device(request(&params)))
}

/// What the argument of `device_add` asks for.
pub enum DeviceArgument {
    /// A device.
    Device(Request),
    /// This text.
    Help(String),
}

fn request(params: &Params) -> Request {
    Request::from_pairs(params.id.as_deref(), &params.pairs)
}

/// Reads `-set GROUP.ID.KEY=VALUE`, which adds to what has that id.
pub(crate) fn read_set(low: &mut LowArgs, text: &str, _: &Origin) -> Result<()> {
    let Some((group, id, key, value)) = short_set(text) else {
        return Err(Error::new(format!("can't parse: \"{text}\"")));
    };
    let (group, things) = match group {
        "chardev" => (&super::chardev::GROUP, &mut low.chardevs),
        "device" => (&DEVICE, &mut low.devices),
        _ => return Err(Error::new(format!("There is no option group '{group}'"))),
    };
    let Some(params) = things
        .iter_mut()
        .find(|params| params.id.as_deref() == Some(id))
    else {
        return Err(Error::new(format!(
            "there is no {} \"{id}\" defined",
            group.name
        )));
    };
    group.check(key, value)?;
    params.set(key, value);
    Ok(())
}

fn short_set(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (path, value) = text.split_once('=')?;
    let (group, path) = path.split_once('.')?;
    let (id, key) = path.split_once('.')?;
    Some((group, id, key, value))
}

/// Makes sense of the three.
pub(crate) fn resolve(low: &LowArgs, config: &mut Config) -> Result<()> {
    config.objects = low.objects.clone();
    config.devices = device_configs(low);
    config.globals = low.globals.iter().map(global).collect::<Result<_>>()?;
    check_main_memory(config)
}

/// The devices in the order in which QEMU makes them: those given as JSON
/// come last.
fn device_configs(low: &LowArgs) -> Vec<DeviceConfig> {
    let text = low.devices.iter().map(|params| DeviceConfig {
        request: request(params),
        origin: params.origin.clone(),
    });
    let json = low
        .json_devices
        .iter()
        .map(|(object, origin)| DeviceConfig {
            request: Request::from_object(object.clone()),
            origin: origin.clone(),
        });
    text.chain(json).collect()
}

fn global(params: &Params) -> Result<Global> {
    let text = |key| {
        let missing = || Error::new("options 'driver', 'property', and 'value' are required");
        params
            .string(key)
            .ok_or_else(|| missing().at(&params.origin))
    };
    Ok(Global {
        driver: text("driver")?,
        property: text("property")?,
        value: text("value")?,
    })
}

/// An object that is the main memory must exist and have the right size.
fn check_main_memory(config: &Config) -> Result<()> {
    let Some(id) = &config.machine.memory_backend else {
        return Ok(());
    };
    let object = config
        .objects
        .iter()
        .find(|object| object.options.id == *id);
    let size = object.and_then(|object| match &object.options.branch {
        Branch::MemoryBackendRam(options) => Some(options.size),
        Branch::MemoryBackendFile(options) => Some(options.base.size),
        Branch::MemoryBackendMemfd(options) => Some(options.base.size),
        _ => None,
    });
    match size {
        None => Err(Error::new(format!("Memory backend '{id}' not found"))),
        Some(size) if size != config.memory.size => Err(Error::new(
            "Machine memory size does not match the size of the memory backend",
        )),
        Some(_) => Ok(()),
    }
}

/// Reads `-global`, which has a notation of its own: `DRIVER.PROPERTY=VALUE`.
pub(crate) fn read_global(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let mut params = Params::at(origin);
    match short_global(text) {
        Some((driver, property, value)) => {
            params.set("driver", driver);
            params.set("property", property);
            params.set("value", value);
        }
        None => GLOBAL.parse_into(&mut params, text, None, &mut low.warnings)?,
    }
    low.globals.push(params);
    Ok(())
}

fn short_global(text: &str) -> Option<(&str, &str, &str)> {
    let (left, value) = text.split_once('=')?;
    let (driver, property) = left.split_once('.')?;
    (!driver.is_empty() && !property.is_empty()).then_some((driver, property, value))
}
