//! `filter-dump`: the frames of a network back end in a file.

use std::rc::Rc;

use tinamou_api::{self as api, NetFilterDirection as Queue, NetfilterInsert as Insert};
use tinamou_net::{Direction, DumpConfig, Filter, Network, Position};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Property;

use super::user::{UserType, fixed};
use crate::netdevs;

/// The type.
pub const TYPE: UserType = UserType {
    name: "filter-dump",
    parent: "netfilter",
    properties: &[
        ("file", "string", None),
        ("insert", "string", None),
        ("maxlen", "uint32", None),
        ("netdev", "string", None),
        ("position", "string", None),
        ("queue", "NetFilterDirection", None),
        ("status", "string", None),
    ],
};

/// Bytes kept of each frame, unless somebody says otherwise.
const MAX_LENGTH: u32 = 65536;

/// Puts a filter in its place.
///
/// # Errors
/// A property makes no sense, or the file cannot be made.
pub fn make(
    id: &str,
    options: &api::FilterDumpProperties,
    network: &Network,
) -> Result<Rc<Filter>> {
    let base = &options.base;
    let max_length = options.maxlen.unwrap_or(MAX_LENGTH);
    if max_length == 0 {
        let refused = "Property 'filter-dump.maxlen' doesn't take value '0'";
        return Err(Error::generic(refused));
    }
    let config = DumpConfig {
        id: id.to_owned(),
        netdev: base.netdev.clone(),
        direction: direction(base.queue.unwrap_or(Queue::All)),
        enabled: base.status.as_deref().map_or(Ok(true), is_on)?,
        position: position(base.position.as_deref().unwrap_or("tail"))?,
        before: base.insert == Some(Insert::Before),
        file: options.file.clone().into(),
        max_length,
    };
    let filter = network.add_filter(config).map_err(netdevs::wire)?;
    Ok(Rc::new(filter))
}

/// What `qom-get` and `qom-set` show of it.
pub fn properties(filter: &Rc<Filter>) -> Vec<(&'static str, Property)> {
    let config = filter.config();
    let text = |text: &str| Value::String(text.to_owned());
    let insert = match config.before {
        true => Insert::Before,
        false => Insert::Behind,
    };
    let given: [(&str, &str, Value); 5] = [
        ("file", "string", text(&config.file.to_string_lossy())),
        ("insert", "string", text(insert.as_str())),
        ("maxlen", "uint32", Value::Int(config.max_length.into())),
        ("netdev", "string", text(&config.netdev)),
        ("position", "string", text(&config.position.to_string())),
    ];
    let given = given.map(|(name, kind, value)| (name, fixed(name, kind, value)));
    let (shown, changed) = (Rc::clone(filter), Rc::clone(filter));
    let queue = Property::writable::<Queue>(
        "queue",
        "NetFilterDirection",
        move || Value::String(queue(shown.direction()).as_str().to_owned()),
        move |queue| {
            changed.set_direction(direction(queue));
            Ok(())
        },
    );
    let (shown, changed) = (Rc::clone(filter), Rc::clone(filter));
    let status = Property::writable::<String>(
        "status",
        "string",
        move || Value::String(if shown.is_enabled() { "on" } else { "off" }.to_owned()),
        move |text| {
            changed.enable(is_on(&text)?);
            Ok(())
        },
    );
    let own = [("queue", queue), ("status", status)];
    given.into_iter().chain(own).collect()
}

fn direction(queue: Queue) -> Direction {
    match queue {
        Queue::All => Direction::All,
        Queue::Rx => Direction::Rx,
        Queue::Tx => Direction::Tx,
    }
}

fn queue(direction: Direction) -> Queue {
    match direction {
        Direction::All => Queue::All,
        Direction::Rx => Queue::Rx,
        Direction::Tx => Queue::Tx,
    }
}

fn is_on(text: &str) -> Result<bool> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Error::generic(
            "Invalid value for netfilter status, should be 'on' or 'off'",
        )),
    }
}

fn position(text: &str) -> Result<Position> {
    match text {
        "head" => Ok(Position::Head),
        "tail" => Ok(Position::Tail),
        _ => match text.strip_prefix("id=") {
            Some(id) => Ok(Position::NextTo(id.to_owned())),
            None => Err(Error::expects(
                Some("position"),
                "'head', 'tail' or 'id=<id>'",
            )),
        },
    }
}
