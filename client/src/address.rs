//! Where a server is.

use crate::{Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server is, or where to wait for one.
///
/// ```
/// use tinamou_client::Address;
///
/// let address: Address = "unix:/run/vm.sock,server=on,wait=off".parse()?;
/// assert_eq!(address, Address::Unix("/run/vm.sock".into()));
/// assert_eq!(address.to_string(), "/run/vm.sock");
/// # Ok::<(), tinamou_client::Error>(())
/// ```
///
/// | text | meaning |
/// |---|---|
/// | `/run/vm.sock`, `./vm.sock`, `unix:PATH` | a unix socket |
/// | `unix:@NAME`, `abstract:NAME` | a unix socket without a file (Linux) |
/// | `HOST:PORT`, `tcp:HOST:PORT`, `[::1]:4444` | TCP |
/// | `tls:HOST:PORT` | TCP with TLS |
/// | `vsock:CID:PORT` | a virtual machine's socket (Linux) |
/// | `fd:N` | a descriptor that this process was given |
/// | `exec:COMMAND …` | the standard input and output of a child |
///
/// After `unix:`, `tcp:` and `tls:`, everything from the first single comma on
/// is QEMU's own options (`,server=on`) and ignored; a comma of the path is
/// doubled there. A text without a colon is a path, taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A unix socket without a file.
    Abstract(String),
    /// TCP.
    Tcp {
        /// A name or an address; `::1` without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// TCP with TLS.
    Tls {
        /// A name or an address, which the certificate must bear.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket between a host and a virtual machine.
    Vsock {
        /// The machine: `host` and, to listen, `any` have names.
        cid: u32,
        /// The port.
        port: u32,
    },
    /// A descriptor that this process was given.
    Fd(i32),
    /// A child's standard input and output: the program and its arguments.
    Exec(Vec<String>),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text).map_err(|reason| Error::Address {
            address: text.to_owned(),
            reason,
        })
    }
}

fn read(text: &str) -> Result<Address, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(Address::Unix(text.into()));
    };
    match scheme {
        "unix" => read_unix(&without_options(rest)),
        "abstract" => named(rest).map(Address::Abstract),
        "tcp" => host_port(&without_options(rest)).map(|(host, port)| Address::Tcp { host, port }),
        "tls" => host_port(&without_options(rest)).map(|(host, port)| Address::Tls { host, port }),
        "vsock" => read_vsock(rest),
        "fd" => match rest.parse() {
            Ok(fd) if fd >= 0 => Ok(Address::Fd(fd)),
            _ => Err("a descriptor is a number".to_owned()),
        },
        "exec" => words(rest).map(Address::Exec),
        _ if scheme.contains('/') || scheme.starts_with('.') => Ok(Address::Unix(text.into())),
        _ => host_port(text).map(|(host, port)| Address::Tcp { host, port }),
    }
}

fn read_unix(path: &str) -> Result<Address, String> {
    match path.strip_prefix('@') {
        Some(name) => named(name).map(Address::Abstract),
        None => named(path).map(|path| Address::Unix(path.into())),
    }
}

fn read_vsock(text: &str) -> Result<Address, String> {
    let numbers = text.split_once(':').and_then(|(cid, port)| {
        let cid = match cid {
            "host" => 2,
            "any" => u32::MAX,
            number => number.parse().ok()?,
        };
        Some((cid, port.parse().ok()?))
    });
    match numbers {
        Some((cid, port)) => Ok(Address::Vsock { cid, port }),
        None => Err("expected vsock:CID:PORT".to_owned()),
    }
}

fn named(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a name is missing".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// What precedes the first single comma, with double commas made single.
fn without_options(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        if next == ',' && rest.next_if_eq(&',').is_none() {
            break;
        }
        kept.push(next);
    }
    kept
}

fn host_port(text: &str) -> Result<(String, u16), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err("a port is missing".to_owned());
    };
    let Ok(port) = port.parse() else {
        return Err(format!("'{port}' is no port"));
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner.unwrap_or(host) {
        "" => Ok(("localhost".to_owned(), port)),
        plain if inner.is_none() && plain.contains(':') => {
            Err("an IPv6 address needs brackets".to_owned())
        }
        plain => Ok((plain.to_owned(), port)),
    }
}

/// A command line as a shell would split it, without its expansions.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match (next, quote) {
            (' ' | '\t' | '\n', None) => words.extend(word.take()),
            (_, Some(open)) if next == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(rest.next()),
            _ => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    match (quote, words.is_empty()) {
        (Some(_), _) => Err("a quote is not closed".to_owned()),
        (None, true) => Err("a command is missing".to_owned()),
        (None, false) => Ok(words),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => {
                let text = path.to_string_lossy();
                // A path that reads as something else gets its scheme.
                if read(&text) == Ok(self.clone()) {
                    f.write_str(&text)
                } else {
                    write!(f, "unix:{}", text.replace(',', ",,"))
                }
            }
            Self::Abstract(name) => write!(f, "abstract:{name}"),
            Self::Tcp { host, port } => write!(f, "tcp:{}", HostPort(host, *port)),
            Self::Tls { host, port } => write!(f, "tls:{}", HostPort(host, *port)),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
            Self::Fd(fd) => write!(f, "fd:{fd}"),
            Self::Exec(words) => {
                f.write_str("exec:")?;
                for (place, word) in words.iter().enumerate() {
                    let blank = if place == 0 { "" } else { " " };
                    write!(f, "{blank}{}", quoted(word))?;
                }
                Ok(())
            }
        }
    }
}

struct HostPort<'a>(&'a str, u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]:{}", self.0, self.1),
            false => write!(f, "{}:{}", self.0, self.1),
        }
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let address: Result<Address> = text.parse();
        let shown = match &address {
            Ok(address) => {
                let again: Address = address.to_string().parse().unwrap();
                assert_eq!(&again, address, "{text} does not survive being shown");
                format!("{address:?}")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn reads_addresses() {
        check("/run/vm.sock", r#"Unix("/run/vm.sock")"#);
        check("./q.sock", r#"Unix("./q.sock")"#);
        check("q.sock", r#"Unix("q.sock")"#);
        check("./odd:1", r#"Unix("./odd:1")"#);
        check("/a/b:1", r#"Unix("/a/b:1")"#);
        check("/a,b", r#"Unix("/a,b")"#);
        check("unix:q.sock", r#"Unix("q.sock")"#);
        check("unix:a:b", r#"Unix("a:b")"#);
        check("unix:/q,server=on,wait=off", r#"Unix("/q")"#);
        check("unix:/a,,b,server", r#"Unix("/a,b")"#);
        check("unix:@name", r#"Abstract("name")"#);
        check("abstract:a:b", r#"Abstract("a:b")"#);
        check("localhost:4444", r#"Tcp { host: "localhost", port: 4444 }"#);
        check("[::1]:4444", r#"Tcp { host: "::1", port: 4444 }"#);
        check(":4444", r#"Tcp { host: "localhost", port: 4444 }"#);
        check(
            "tcp:10.0.0.1:1,server,nowait",
            r#"Tcp { host: "10.0.0.1", port: 1 }"#,
        );
        check("tls:vm.example:1", r#"Tls { host: "vm.example", port: 1 }"#);
        check("vsock:3:5000", "Vsock { cid: 3, port: 5000 }");
        check("vsock:host:5000", "Vsock { cid: 2, port: 5000 }");
        check("fd:7", "Fd(7)");
        check(
            r#"exec:qemu -qmp stdio 'a b' "c\"d" '' \'"#,
            r#"Exec(["qemu", "-qmp", "stdio", "a b", "c\"d", "", "'"])"#,
        );
    }

    #[test]
    fn refuses_what_is_no_address() {
        check("", "'' is no address: it is empty");
        check("unix:", "'unix:' is no address: a name is missing");
        check("host:", "'host:' is no address: '' is no port");
        check(
            "host:99999",
            "'host:99999' is no address: '99999' is no port",
        );
        check(
            "::1:22",
            "'::1:22' is no address: an IPv6 address needs brackets",
        );
        check("fd:-1", "'fd:-1' is no address: a descriptor is a number");
        check(
            "vsock:x:1",
            "'vsock:x:1' is no address: expected vsock:CID:PORT",
        );
        check("exec:", "'exec:' is no address: a command is missing");
        check("exec:'a", "'exec:'a' is no address: a quote is not closed");
    }
}
