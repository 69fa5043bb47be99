//! `-netdev`, `-nic` and `-net`: network back ends, and cards in passing.

use tinamou_api as api;
use tinamou_qmp::{Object, Value, ValueSource, Visit as _, keyval};

use super::config::{Config, NetdevConfig, NicConfig};
use super::error::{Error, Origin, Result};
use super::help;
use super::low::LowArgs;
use super::params::{self, Group, Params};

/// `-netdev`; each kind has its own parameters.
pub(crate) static GROUP: Group = Group {
    name: "netdev",
    implied: Some("type"),
    merge: false,
    params: &[],
};

/// The kinds of back end, as `-netdev help` lists them.
const KINDS: &[&str] = &[
    "socket", "stream", "dgram", "hubport", "tap", "user", "bridge",
];

/// Parameters that may be given several times.
const LISTS: &[&str] = &["hostfwd", "guestfwd", "dnssearch"];

/// Reads `-netdev`.
pub(crate) fn read_netdev(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::list("Available netdev backend types:", KINDS));
        return Ok(());
    }
    let config = netdev(text, origin)?;
    let id = config.netdev().map_err(|error| Error::new(error.desc))?.id;
    let is_same = |other: &NetdevConfig| other.members.get("id").and_then(as_text) == Some(&id);
    if low.netdevs.iter().any(is_same) {
        return Err(Error::new(format!("Duplicate ID '{id}' for netdev")));
    }
    low.netdevs.push(config);
    Ok(())
}

/// Reads one description as `netdev_add` of the human monitor has it.
///
/// # Errors
/// As for the option.
pub fn parse_netdev(text: &str) -> Result<NetdevConfig> {
    netdev(text, &Origin::option("netdev_add", Some(text)))
}

fn netdev(text: &str, origin: &Origin) -> Result<NetdevConfig> {
    let failed = |error: tinamou_qmp::Error| Error::new(error.desc);
    let config = |members, json| NetdevConfig {
        members,
        json,
        origin: origin.clone(),
    };
    if text.starts_with('{') {
        return match tinamou_qmp::json::parse(text.as_bytes()).map_err(failed)? {
            Value::Object(members) => Ok(config(members, true)),
            _ => Err(Error::new("Invalid parameter type, expected: object")),
        };
    }
    if is_nested(text) {
        let members = keyval::parse(text, GROUP.implied).map_err(failed)?.members;
        return Ok(config(members, false));
    }
    let params = GROUP.parse(text, origin, &mut Vec::new())?;
    Ok(config(members(&params), false))
}

/// Whether the kind has addresses, whose parameters are nested.
fn is_nested(text: &str) -> bool {
    let mut words = text.split(',');
    words.any(|word| {
        matches!(
            word.strip_prefix("type=").unwrap_or(word),
            "stream" | "dgram"
        )
    })
}

/// Parameters as members of the kind's struct.
fn members(params: &Params) -> Object {
    let mut members = Object::new();
    if let Some(id) = &params.id {
        members.insert("id".into(), Value::String(id.clone()));
    }
    for (key, text) in &params.pairs {
        let text = Value::String(text.clone());
        if !LISTS.contains(&key.as_str()) {
            members.insert(key.clone(), text);
            continue;
        }
        let item = Value::Object(Object::from_iter([("str".to_owned(), text)]));
        match members.get_mut(key) {
            Some(Value::Array(items)) => items.push(item),
            _ => {
                members.insert(key.clone(), Value::Array(vec![item]));
            }
        }
    }
    members
}

impl NetdevConfig {
    /// What it describes.
    ///
    /// # Errors
    /// A parameter is missing, unknown, or has a value of another kind.
    pub fn netdev(&self) -> tinamou_qmp::Result<api::Netdev> {
        let members = self.members.clone();
        let mut source = match self.json {
            true => ValueSource::json(Value::Object(members)),
            false => ValueSource::keyval(members),
        };
        api::Netdev::visit(&mut source, None).map_err(|mut error| {
            let unexpected = error.desc.strip_suffix(" is unexpected");
            if let Some(rest) = unexpected.filter(|_| !self.json) {
                error.desc = format!("Invalid {}", rest.replacen("Parameter", "parameter", 1));
            }
            error
        })
    }
}

/// Reads `-nic`: a back end and a card on it.
pub(crate) fn read_nic(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::list("Available netdev backend types:", KINDS));
        return Ok(());
    }
    let mut params = GROUP.parse(text, origin, &mut low.warnings)?;
    if params.text("type") == Some("none") {
        return Ok(());
    }
    let card = card(&mut params);
    let netdev = add_backend(low, params)?;
    low.nics.push(NicConfig { netdev, ..card });
    Ok(())
}

/// Reads `-net`: back ends and cards on one hub.
pub(crate) fn read_net(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let mut params = GROUP.parse(text, origin, &mut low.warnings)?;
    match params.text("type") {
        Some("none") => Ok(()),
        Some("nic") => {
            let card = card(&mut params);
            let netdev = match params.string("netdev") {
                Some(netdev) => netdev,
                None => add_port(low, None, origin),
            };
            low.nics.push(NicConfig { netdev, ..card });
            Ok(())
        }
        _ => {
            let netdev = add_backend(low, params)?;
            add_port(low, Some(netdev), origin);
            Ok(())
        }
    }
}

/// Takes what is said of the card out of the parameters.
fn card(params: &mut Params) -> NicConfig {
    let mac = params.string("mac").or(params.string("macaddr"));
    let card = NicConfig {
        netdev: String::new(),
        model: params.string("model"),
        mac,
        origin: params.origin.clone(),
    };
    let of_card = ["model", "mac", "macaddr"];
    params
        .pairs
        .retain(|(key, _)| !of_card.contains(&key.as_str()));
    card
}

/// Adds a back end, with a name of ours if it has none.
fn add_backend(low: &mut LowArgs, mut params: Params) -> Result<String> {
    let kind = params.string("type").unwrap_or_default();
    if !KINDS.contains(&kind.as_str()) {
        return Err(Error::value_not_accepted("type", &kind));
    }
    let number = low.netdevs.len();
    let id = params
        .id
        .get_or_insert_with(|| format!("net{number}"))
        .clone();
    low.netdevs.push(NetdevConfig {
        members: members(&params),
        json: false,
        origin: params.origin.clone(),
    });
    Ok(id)
}

/// Adds a port of hub 0.
fn add_port(low: &mut LowArgs, netdev: Option<String>, origin: &Origin) -> String {
    let is_port =
        |netdev: &&NetdevConfig| netdev.members.get("type").and_then(as_text) == Some("hubport");
    let id = format!("hub0port{}", low.netdevs.iter().filter(is_port).count());
    let member = |name: &str, text: &str| (name.to_owned(), Value::String(text.to_owned()));
    let mut members = Object::from_iter([
        member("id", &id),
        member("type", "hubport"),
        member("hubid", "0"),
    ]);
    if let Some(netdev) = netdev {
        members.insert("netdev".into(), Value::String(netdev));
    }
    low.netdevs.push(NetdevConfig {
        members,
        json: false,
        origin: origin.clone(),
    });
    id
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Makes sense of them.
pub(crate) fn resolve(low: &mut LowArgs, config: &mut Config) {
    config.netdevs = std::mem::take(&mut low.netdevs);
    config.nics = std::mem::take(&mut low.nics);
}
