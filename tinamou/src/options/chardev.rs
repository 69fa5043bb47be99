//! `-chardev`, and the short notation of `-serial`, `-monitor` and `-qmp`.

use super::config::{ChardevBackend, ChardevConfig, InetAddress, SocketAddress, SocketConfig};
use super::error::{Error, Origin, Result, Warning};
use super::help;
use super::low::LowArgs;
use super::params::{self, Group, Param, Params};
use crate::backends;
use std::time::Duration;

/// The parameters of all kinds of character device together.
pub(crate) static GROUP: Group = Group {
    name: "chardev",
    implied: Some("backend"),
    merge: false,
    params: &[
        Param::number("max-clients")
            .help("how many clients a server serves at once (default: no limit)"),
        Param::boolean("abstract"),
        Param::boolean("tight").default("on"),
        Param::boolean("clipboard"),
        Param::boolean("mouse"),
        Param::boolean("logappend"),
        Param::string("logfile"),
        Param::boolean("append"),
        Param::string("chardevs.3"),
        Param::string("chardevs.2"),
        Param::string("chardevs.1"),
        Param::string("chardevs.0"),
        Param::string("chardev"),
        Param::size("size"),
        Param::number("debug"),
        Param::string("name"),
        Param::boolean("signal"),
        Param::boolean("mux"),
        Param::number("rows"),
        Param::number("cols"),
        Param::number("height"),
        Param::number("width"),
        Param::boolean("websocket"),
        Param::string("tls-authz"),
        Param::string("tls-creds"),
        Param::boolean("tn3270"),
        Param::boolean("telnet"),
        Param::number("reconnect-ms"),
        Param::number("reconnect"),
        Param::boolean("nodelay"),
        Param::boolean("delay"),
        Param::boolean("server"),
        Param::boolean("wait"),
        Param::boolean("ipv6"),
        Param::boolean("ipv4"),
        Param::number("to"),
        Param::string("localport"),
        Param::string("localaddr"),
        Param::string("fd"),
        Param::string("port"),
        Param::string("host"),
        Param::string("input-path"),
        Param::string("path"),
        Param::string("backend"),
    ],
};

/// The kinds of character device that can be made, as `-chardev help` and
/// `query-chardev-backends` list them.
pub const BACKENDS: &[&str] = &[
    "ringbuf", "mux", "pipe", "null", "hub", "udp", "socket", "memory", "file", "serial", "pty",
    "stdio",
];

/// Reads `-chardev`.
pub(crate) fn read(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    if params::asks_for_help(text) {
        low.answer = Some(help::list("Available chardev backend types:", BACKENDS));
        return Ok(());
    }
    let params = GROUP.parse_or_json(text, origin, &mut low.warnings)?;
    low.chardevs.push(params);
    Ok(())
}

/// Reads one description as `chardev-add` of the human monitor has it.
///
/// # Errors
/// As for the option.
pub fn parse_chardev(text: &str) -> Result<ChardevConfig> {
    let origin = Origin::option("chardev-add", Some(text));
    let params = GROUP.parse_or_json(text, &origin, &mut Vec::new())?;
    resolve_here(&params)
}

/// Makes sense of the parameters of one `-chardev`.
pub(crate) fn resolve(params: &Params) -> Result<ChardevConfig> {
    resolve_here(params).map_err(|error| error.at(&params.origin))
}

fn resolve_here(params: &Params) -> Result<ChardevConfig> {
    let id = params
        .id
        .clone()
        .ok_or_else(|| Error::new("chardev: no id specified"))?;
    let Some(kind) = params.text("backend") else {
        return Err(Error::new(format!("chardev: \"{id}\" missing backend")));
    };
    Ok(ChardevConfig {
        backend: backend(kind, params)?,
        id,
        mux: params.boolean("mux")?.unwrap_or(false),
        logfile: params.path("logfile"),
        logappend: params.boolean("logappend")?.unwrap_or(false),
        origin: params.origin.clone(),
    })
}

fn backend(kind: &str, params: &Params) -> Result<ChardevBackend> {
    Ok(match kind {
        "null" => ChardevBackend::Null,
        "ringbuf" | "memory" => ringbuf(params)?,
        "stdio" => ChardevBackend::Stdio {
            signal: params.boolean("signal")?,
        },
        "pty" => ChardevBackend::Pty {
            path: params.path("path"),
        },
        "file" => ChardevBackend::File {
            out: params
                .path("path")
                .ok_or_else(|| Error::new("chardev: file: no filename given"))?,
            input: params.path("input-path"),
            append: params.boolean("append")?.unwrap_or(false),
        },
        "pipe" => ChardevBackend::Pipe {
            path: params
                .path("path")
                .ok_or_else(|| Error::new("chardev: pipe: no device path given"))?,
        },
        "socket" => ChardevBackend::Socket(socket(params)?),
        "udp" => udp(params)?,
        "serial" => ChardevBackend::Serial {
            path: params
                .path("path")
                .ok_or_else(|| Error::new("chardev: serial/tty: no device path given"))?,
        },
        "hub" => hub(params)?,
        "mux" => ChardevBackend::Mux {
            chardev: params
                .string("chardev")
                .ok_or_else(|| Error::new("chardev: mux: no chardev given"))?,
        },
        _ => {
            return Err(Error::new(format!(
                "'{kind}' is not a valid char driver name"
            )));
        }
    })
}

fn hub(params: &Params) -> Result<ChardevBackend> {
    let chardevs: Vec<_> = (0..4)
        .map_while(|place| params.string(&format!("chardevs.{place}")))
        .collect();
    if chardevs.is_empty() {
        return Err(refused(&tinamou_chardev::Error::HubEmpty));
    }
    Ok(ChardevBackend::Hub { chardevs })
}

fn refused(error: &tinamou_chardev::Error) -> Error {
    Error::new(error.to_string())
}

fn ringbuf(params: &Params) -> Result<ChardevBackend> {
    let size = params.size("size")?.unwrap_or(65536);
    if !size.is_power_of_two() {
        return Err(refused(&tinamou_chardev::Error::RingSize));
    }
    Ok(ChardevBackend::Ringbuf { size })
}

fn socket(params: &Params) -> Result<SocketConfig> {
    if params.text("tn3270").is_some_and(|text| text != "off") {
        let refused = "'tn3270' is not available in this program";
        return Err(Error::new(refused));
    }
    let [tls, tls_authz] = ["tls-creds", "tls-authz"].map(|key| params.string(key));
    if tls_authz.is_some() && tls.is_none() {
        let refused = "'tls_authz' option requires 'tls_creds' option";
        return Err(Error::new(refused));
    }
    let server = params.boolean("server")?.unwrap_or(false);
    let wait = params.boolean("wait")?;
    if wait.is_some() && !server {
        return Err(Error::new(
            "'wait' option is incompatible with socket in client connect mode",
        ));
    }
    let delay = params.boolean("delay")?.unwrap_or(true);
    Ok(SocketConfig {
        address: address(params)?,
        server,
        wait: wait.unwrap_or(server),
        nodelay: params.boolean("nodelay")?.unwrap_or(!delay),
        telnet: params.boolean("telnet")?.unwrap_or(false),
        websocket: params.boolean("websocket")?.unwrap_or(false),
        tls,
        tls_authz,
        reconnect: reconnect(params, server)?,
        max_clients: params.number("max-clients")?,
    })
}

fn reconnect(params: &Params, server: bool) -> Result<Duration> {
    let number = |key: &str| -> Result<Option<i64>> {
        let number = params.number(key)?;
        Ok(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    };
    let delay = backends::reconnect_ms(number("reconnect")?, number("reconnect-ms")?);
    let delay = delay.map_err(|error| Error::new(error.desc))?;
    let delay = Duration::from_millis(delay.unsigned_abs());
    if server && !delay.is_zero() {
        return Err(Error::new(
            "'reconnect' option is incompatible with socket in server listen mode",
        ));
    }
    Ok(delay)
}

fn address(params: &Params) -> Result<SocketAddress> {
    let given = ["path", "fd", "host"]
        .into_iter()
        .filter(|key| params.text(key).is_some());
    if given.count() > 1 {
        return Err(Error::new(
            "None or one of 'path', 'fd' or 'host' option required.",
        ));
    }
    if let Some(path) = params.string("path") {
        return Ok(SocketAddress::Unix {
            path,
            is_abstract: params.boolean("abstract")?.unwrap_or(false),
            tight: params.boolean("tight")?.unwrap_or(true),
        });
    }
    if let Some(host) = params.string("host") {
        let port = params
            .string("port")
            .ok_or_else(|| Error::new("chardev: socket: no port given"))?;
        return Ok(SocketAddress::Inet(inet(host, port, params)?));
    }
    match params.string("fd") {
        Some(fd) if fd.parse::<i32>().is_ok() => Ok(SocketAddress::Fd(fd)),
        Some(fd) => Err(Error::new(format!("Unable to parse FD number {fd}"))),
        None => Err(Error::new(
            "chardev: socket: none of 'path', 'fd' and 'host' given",
        )),
    }
}

fn inet(host: String, port: String, params: &Params) -> Result<InetAddress> {
    let to = params.number("to")?.map(u16::try_from).transpose();
    Ok(InetAddress {
        host,
        port,
        to: to.map_err(|_| Error::new("Parameter 'to' expects a port number"))?,
        ipv4: params.boolean("ipv4")?,
        ipv6: params.boolean("ipv6")?,
    })
}

fn udp(params: &Params) -> Result<ChardevBackend> {
    let text = |key: &str| params.string(key).filter(|text| !text.is_empty());
    let port = text("port").ok_or_else(|| Error::new("chardev: udp: remote port not specified"))?;
    let host = text("host").unwrap_or_else(|| "localhost".to_owned());
    let (address, local_port) = (text("localaddr"), text("localport"));
    let local = match (address, local_port) {
        (None, None) => None,
        (address, port) => {
            let port = port.unwrap_or_else(|| "0".to_owned());
            Some(inet(address.unwrap_or_default(), port, params)?)
        }
    };
    Ok(ChardevBackend::Udp {
        remote: inet(host, port, params)?,
        local,
    })
}

/// Reads the short notation, such as `tcp:localhost:4444,server=on`, into the
/// parameters of a character device called `id`.
pub(crate) fn parse_short(
    text: &str,
    id: &str,
    origin: &Origin,
    warnings: &mut Vec<Warning>,
) -> Result<Params> {
    let mut params = Params {
        id: Some(id.to_owned()),
        ..Params::at(origin)
    };
    let bare = match text.strip_prefix("mon:") {
        Some(rest) => {
            params.set("mux", "on");
            if rest == "stdio" {
                // Ctrl-C is for the guest when it shares the terminal.
                params.set("signal", "off");
            }
            rest
        }
        None => text,
    };
    read_short(bare, &mut params, warnings).map_err(|error| error.at(origin))?;
    Ok(params)
}

fn read_short(text: &str, params: &mut Params, warnings: &mut Vec<Warning>) -> Result<()> {
    let invalid = || Error::new(format!("'{text}' is not a valid char driver"));
    if matches!(text, "null" | "pty" | "stdio") {
        params.set("backend", text);
        return Ok(());
    }
    if text.starts_with("/dev/") {
        params.set("backend", "serial");
        params.set("path", text);
        return Ok(());
    }
    let (scheme, rest) = text.split_once(':').ok_or_else(invalid)?;
    match scheme {
        "file" | "pipe" | "pty" => {
            params.set("backend", scheme);
            params.set("path", rest);
            Ok(())
        }
        "unix" => {
            params.set("backend", "socket");
            GROUP.parse_into(params, rest, Some("path"), warnings)
        }
        "fd" => {
            params.set("backend", "socket");
            GROUP.parse_into(params, rest, Some("fd"), warnings)
        }
        "tcp" | "telnet" | "websocket" => {
            params.set("backend", "socket");
            if scheme != "tcp" {
                params.set(scheme, "on");
            }
            let options = host_and_port(rest, params).ok_or_else(|| no_port(text))?;
            GROUP.parse_into(params, options, None, warnings)
        }
        "udp" => {
            params.set("backend", "udp");
            udp_ends(rest, params).ok_or_else(|| no_port(text))
        }
        _ => Err(invalid()),
    }
}

/// Reads `[HOST]:PORT[@[HOST]:PORT]`, remote and local end.
fn udp_ends(text: &str, params: &mut Params) -> Option<()> {
    let (remote, local) = text.split_once('@').unwrap_or((text, ""));
    let ends = [(remote, "host", "port"), (local, "localaddr", "localport")];
    for (end, host_key, port_key) in ends.into_iter().filter(|(end, ..)| !end.is_empty()) {
        let (host, port) = end.rsplit_once(':')?;
        params.set(host_key, host);
        params.set(port_key, port);
    }
    Some(())
}

/// Reads `HOST:PORT[,…]`, where an IPv6 address stands in brackets. Gives
/// what comes after the comma.
fn host_and_port<'a>(text: &'a str, params: &mut Params) -> Option<&'a str> {
    let (address, options) = text.split_once(',').unwrap_or((text, ""));
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:")?,
        None => address.split_once(':')?,
    };
    if port.is_empty() {
        return None;
    }
    params.set("host", host);
    params.set("port", port);
    Some(options)
}

fn no_port(text: &str) -> Error {
    Error::new(format!("'{text}' has no port"))
}
