//! `-object`, `-device` and `-global`: objects made from the command line.

use std::path::PathBuf;

use super::config::{Config, Credentials, DeviceConfig, Global, MemoryBackend};
use tinamou_chardev::{Endpoint, TlsFiles};
use tinamou_qmp::{Object, Value};

use super::error::{Error, Origin, Result, Warning};
use super::help;
use super::low::LowArgs;
use super::params::{self, Group, Param, Params};
use super::value;
use crate::devices::{self, Request};

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

/// The types that `-object` makes, as `-object help` lists them.
pub(crate) const TYPES: &[&str] = &["memory-backend-ram", "tls-creds-x509"];

/// Reads `-object`.
pub(crate) fn read_object(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::list("List of user creatable objects:", TYPES));
        return Ok(());
    }
    let pairs = params::keyval_or_json(text, OBJECT.implied)?;
    low.objects.push(Params {
        pairs,
        ..Params::at(origin)
    });
    Ok(())
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
    for params in &low.objects {
        object(params, config).map_err(|error| error.at(&params.origin))?;
    }
    config.devices = device_configs(low);
    config.globals = low.globals.iter().map(global).collect::<Result<_>>()?;
    check_main_memory(config)
}

fn object(params: &Params, config: &mut Config) -> Result<()> {
    let kind = params
        .text("qom-type")
        .ok_or_else(|| Error::missing_parameter("qom-type"))?;
    if !TYPES.contains(&kind) {
        return Err(Error::value_not_accepted("qom-type", kind));
    }
    let id = params
        .string("id")
        .ok_or_else(|| Error::missing_parameter("id"))?;
    let mut taken = config.objects.iter().map(|other| &other.id);
    let mut also = config.credentials.iter().map(|other| &other.id);
    if taken.any(|other| *other == id) || also.any(|other| *other == id) {
        return Err(Error::new(format!("Duplicate ID '{id}' for object")));
    }
    match kind {
        "tls-creds-x509" => config.credentials.push(credentials(params, id)?),
        _ => config.objects.push(memory_backend(params, id)?),
    }
    Ok(())
}

fn credentials(params: &Params, id: String) -> Result<Credentials> {
    let mut files = TlsFiles {
        dir: PathBuf::new(),
        endpoint: Endpoint::Client,
        verify_peer: true,
    };
    for (key, text) in &params.pairs {
        match key.as_str() {
            "qom-type" | "id" => {}
            "dir" => files.dir = text.into(),
            "endpoint" => {
                files.endpoint = match text.as_str() {
                    "server" => Endpoint::Server,
                    "client" => Endpoint::Client,
                    _ => return Err(Error::value_not_accepted(key, text)),
                }
            }
            "verify-peer" => files.verify_peer = value::boolean(key, text)?,
            _ => return Err(Error::invalid_parameter(key)),
        }
    }
    params::check_id(&id)?;
    Ok(Credentials { id, files })
}

fn memory_backend(params: &Params, id: String) -> Result<MemoryBackend> {
    let mut backend = MemoryBackend {
        id,
        size: 0,
        dump: None,
        merge: None,
        prealloc: false,
        share: false,
        reserve: true,
        origin: params.origin.clone(),
    };
    let mut size = None;
    for (key, text) in &params.pairs {
        match key.as_str() {
            "qom-type" | "id" => {}
            "size" => size = Some(byte_count(text)?),
            "dump" => backend.dump = Some(value::boolean(key, text)?),
            "merge" => backend.merge = Some(value::boolean(key, text)?),
            "prealloc" => backend.prealloc = value::boolean(key, text)?,
            "share" => backend.share = value::boolean(key, text)?,
            "reserve" => backend.reserve = value::boolean(key, text)?,
            _ => return Err(Error::invalid_parameter(key)),
        }
    }
    backend.size = size.ok_or_else(|| Error::missing_parameter("size"))?;
    params::check_id(&backend.id)?;
    check_memory_backend(backend)
}

fn check_memory_backend(backend: MemoryBackend) -> Result<MemoryBackend> {
    if backend.size == 0 {
        return Err(Error::new(
            "property 'size' of memory-backend-ram doesn't take value '0'",
        ));
    }
    if backend.prealloc && !backend.reserve {
        return Err(Error::new(
            "'prealloc=on' and 'reserve=off' are incompatible",
        ));
    }
    Ok(backend)
}

fn byte_count(text: &str) -> Result<u64> {
    value::parse_size(text, 'B').map_err(|_| Error::new("Parameter 'size' expects a size value"))
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
    match config.objects.iter().find(|object| object.id == *id) {
        None => Err(Error::new(format!("Memory backend '{id}' not found"))),
        Some(object) if object.size != config.memory.size => Err(Error::new(
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
