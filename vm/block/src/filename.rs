//! Names of images as users write them: paths, `PROTOCOL:REST`, and JSON.

use tinamou_api as api;
use tinamou_qmp::json;
use tinamou_qmp::{Object, Value, ValueSource, Visit};

use crate::error::{Error, Result};

/// The options for the node that a name means.
///
/// # Errors
/// There is no such protocol, or what follows it is not understood.
pub fn options(name: &str) -> Result<api::BlockdevOptions> {
    visit(members(name)?)
}

/// The same as pairs of text, nested where the options are.
///
/// # Errors
/// As [`options`].
pub fn members(name: &str) -> Result<Object> {
    let members = match name.split_once(':') {
        Some(("json", text)) => return parse_json(text),
        Some(("nbd" | "nbd+tcp" | "nbd+unix", _)) => nbd(name)?,
        Some(("null-co" | "null-aio", _)) if name.ends_with("://") => {
            let driver = name.trim_end_matches("://");
            vec![("driver", text(driver))]
        }
        Some(("file", path)) => file(path),
        Some((protocol, _)) if has_protocol(name) => {
            return Err(Error::UnknownProtocol(protocol.into()));
        }
        _ => file(name),
    };
    Ok(object(members))
}

/// The same for an image with a format of its own on top.
///
/// # Errors
/// As [`options`].
pub fn with_format(name: &str, format: &str) -> Result<api::BlockdevOptions> {
    let file = options(name)?;
    let image = visit(object(vec![("driver", text(format)), ("file", text(""))]));
    let mut image = image.map_err(|_| Error::UnknownDriver(format.into()))?;
    use api::BlockdevOptionsBranch as Branch;
    let below = Box::new(api::BlockdevRef::Definition(Box::new(file)));
    match &mut image.branch {
        Branch::Raw(options) => options.base.file = below,
        Branch::Qcow2(options) => options.base.base.file = below,
        Branch::CopyOnRead(options) => options.base.file = below,
        _ => return Err(Error::UnknownDriver(format.into())),
    }
    Ok(image)
}

/// The name of an image that another names, seen from here.
pub fn beside(image: &str, name: &str) -> String {
    if name.starts_with('/') || has_protocol(name) || has_protocol(image) {
        return name.to_owned();
    }
    match image.rfind('/') {
        Some(slash) => format!("{}/{name}", &image[..slash]),
        None => name.to_owned(),
    }
}

/// Whether a name begins with a protocol: a colon before any slash.
fn has_protocol(name: &str) -> bool {
    let end = name.find([':', '/']);
    end.is_some_and(|end| end > 0 && name.as_bytes()[end] == b':')
}

fn file(path: &str) -> Vec<(&'static str, Value)> {
    use std::os::unix::fs::FileTypeExt;
    let device = std::fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_block_device() || kind.is_char_device()
    });
    let driver = if device { "host_device" } else { "file" };
    vec![("driver", text(driver)), ("filename", text(path))]
}

fn parse_json(text: &str) -> Result<Object> {
    let refused = |error: tinamou_qmp::Error| {
        Error::Image(format!("Could not parse the JSON options: {}", error.desc))
    };
    match json::parse(text.as_bytes()).map_err(refused)? {
        Value::Object(members) => Ok(members.into_iter().map(as_text).collect()),
        _ => Err(Error::Image("The JSON options are no object".into())),
    }
}

/// A member with its scalars as text.
fn as_text((key, value): (String, Value)) -> (String, Value) {
    let value = match value {
        Value::Bool(true) => text("on"),
        Value::Bool(false) => text("off"),
        Value::Int(number) => text(&number.to_string()),
        Value::Uint(number) => text(&number.to_string()),
        Value::Object(members) => Value::Object(members.into_iter().map(as_text).collect()),
        Value::Array(elements) => {
            let elements = elements
                .into_iter()
                .map(|value| as_text((String::new(), value)).1);
            Value::Array(elements.collect())
        }
        other => other,
    };
    (key, value)
}

/// `nbd:HOST:PORT[:exportname=NAME]`, `nbd:unix:PATH[:exportname=NAME]`, `nbd://HOST[:PORT]/NAME`,
/// `nbd+unix:///NAME?socket=PATH`.
fn nbd(name: &str) -> Result<Vec<(&'static str, Value)>> {
    let bad = || Error::Image(format!("Not a valid NBD address: '{name}'"));
    let inet = |host: &str, port: &str| address([("type", "inet"), ("host", host), ("port", port)]);
    let unix = |path: &str| address([("type", "unix"), ("path", path)]);
    let (server, export) = if let Some(rest) = name.strip_prefix("nbd+unix://") {
        let (export, socket) = rest.split_once("?socket=").ok_or_else(bad)?;
        (unix(socket), export.trim_start_matches('/'))
    } else if let Some((_, rest)) = name.split_once("://") {
        let (place, export) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "10809"));
        (inet(host, port), export)
    } else {
        let rest = name.strip_prefix("nbd:").ok_or_else(bad)?;
        let (place, export) = rest.split_once(":exportname=").unwrap_or((rest, ""));
        match place.strip_prefix("unix:") {
            Some(path) => (unix(path), export),
            None => {
                let (host, port) = place.rsplit_once(':').ok_or_else(bad)?;
                (inet(host, port), export)
            }
        }
    };
    Ok(vec![
        ("driver", text("nbd")),
        ("server", server),
        ("export", text(export)),
    ])
}

fn address<const N: usize>(members: [(&'static str, &str); N]) -> Value {
    let members = members.map(|(key, value)| (key, text(value)));
    Value::Object(object(members.into()))
}

fn object(members: Vec<(&'static str, Value)>) -> Object {
    let members = members.into_iter();
    members
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn visit(members: Object) -> Result<api::BlockdevOptions> {
    let mut source = ValueSource::keyval(members);
    let options = api::BlockdevOptions::visit(&mut source, None);
    options.map_err(|error| Error::Image(error.desc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_seen_from_their_image() {
        let rows = [
            ("a.qcow2", "b.raw", "b.raw"),
            ("/x/a.qcow2", "b.raw", "/x/b.raw"),
            ("y/a.qcow2", "z/b.raw", "y/z/b.raw"),
            ("/x/a.qcow2", "/b.raw", "/b.raw"),
            ("/x/a.qcow2", "nbd:localhost:1", "nbd:localhost:1"),
            ("/x/a:b.qcow2", "b", "/x/b"),
        ];
        for (image, name, expected) in rows {
            assert_eq!(beside(image, name), expected, "{image} {name}");
        }
    }

    #[test]
    fn protocols() {
        let driver = |name| {
            options(name)
                .map(|options| options.branch)
                .map_err(|error| error.to_string())
        };
        use api::BlockdevOptionsBranch as Branch;
        assert!(matches!(driver("a/b:c"), Ok(Branch::File(file)) if file.filename == "a/b:c"));
        assert!(matches!(driver("file:x"), Ok(Branch::File(file)) if file.filename == "x"));
        assert!(matches!(driver("null-co://"), Ok(Branch::NullCo(_))));
        assert!(matches!(
            driver("json:{'driver':'null-co'}"),
            Ok(Branch::NullCo(_))
        ));
        let Ok(Branch::Nbd(nbd)) = driver("nbd://[::1]:5/disk") else {
            panic!("an NBD address");
        };
        assert_eq!(nbd.export.as_deref(), Some("disk"));
        assert!(matches!(
            driver("nbd:unix:/s:exportname=e"),
            Ok(Branch::Nbd(_))
        ));
        assert_eq!(driver("ftp://x"), Err("Unknown protocol 'ftp'".to_owned()));
    }
}
