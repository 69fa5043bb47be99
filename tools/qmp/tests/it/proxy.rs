//! `qmp proxy`, in front of real servers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::Command;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates;
use crate::peers::{Peer, eventually, qmp, told};
use crate::served::{Served, Wire};

fn place() -> (TempDir, impl Fn(&str) -> String) {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let root = place.path().to_owned();
    (place, move |name: &str| {
        root.join(name).display().to_string()
    })
}

/// A proxy in front of a server, with further arguments.
fn proxy(socket: &str, to: &str, more: &[&str]) -> Served {
    let arguments: Vec<&str> = ["proxy", socket, "--to", to]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    Served::start(&arguments)
}

#[test]
fn a_client_cannot_tell() {
    let requests = [
        r#"{"execute": "query-status"}"#,
        r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["odd"]}}"#,
        r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}, "id": {"a": [1, null]}}"#,
        r#"{"execute": "query-name", "id": 18446744073709551615}"#,
        r#"{"exec-oob": "query-name", "id": 1}"#,
        r#"{"exec-oob": "query-yank", "id": "oob"}"#,
        "{]",
        "[]",
        r#"{"execute": "nonsense", "id": 2}"#,
        r#"{"execute": "device_del", "arguments": {}, "id": 3}"#,
        r#"{"execute": "device_del", "arguments": {"id": "nic"}, "id": 4}"#,
        r#"{"execute": "query-name", "extra": 1, "id": 5}"#,
        r#"{"execute": "human-monitor-command", "arguments": {"command-line": "info name"}}"#,
        r#"{"execute": "query-version"}"#,
        r#"{"execute": "query-qmp-schema"}"#,
        r#"{"execute": "qmp_capabilities"}"#,
    ];
    for peer in Peer::both(&[]) {
        let (_place, path) = place();
        let proxy = proxy(&path("proxy.sock"), &peer.second_address(), &[]);
        let mut straight = Wire::connect(&PathBuf::from(peer.address()));
        let mut through = proxy.wire();
        assert_eq!(through.line(), straight.line(), "{}", peer.name);
        for request in requests {
            straight.send(request);
            through.send(request);
            let expected = straight.line().expect("a reply");
            // The monitors differ in their labels.
            let expected = expected.replace("compat_monitor0", "compat_monitor1");
            let reply = through
                .line()
                .expect("a reply")
                .replace("compat_monitor0", "compat_monitor1");
            assert_eq!(reply, expected, "{}: {request}", peer.name);
        }
        for request in [r#"{"execute": "cont"}"#, r#"{"execute": "stop"}"#] {
            straight.send(request);
            // The event reaches both; the one who asked gets the reply behind it.
            let event = straight.line().expect("an event");
            assert_eq!(straight.line().as_deref(), Some(r#"{"return": {}}"#));
            assert_eq!(through.line(), Some(event), "{}", peer.name);
        }
        through.send(r#"{"execute": "cont", "id": 6}"#);
        let event = through.line().expect("an event");
        assert!(event.ends_with(r#""event": "RESUME"}"#), "{event}");
        assert_eq!(
            through.line().as_deref(),
            Some(r#"{"return": {}, "id": 6}"#)
        );
    }
}

#[test]
fn the_python_client_cannot_tell() {
    let Some(python) = std::env::var_os("TINAMOU_PYTHON") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "TINAMOU_PYTHON is not set"
        );
        eprintln!("skipped: TINAMOU_PYTHON is not set");
        return;
    };
    let Some(peer) = Peer::qemu(&[]) else { return };
    let (_place, path) = place();
    let proxy = proxy(&path("proxy.sock"), &peer.address(), &["--end-with-server"]);
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tinamou/tests/python/drive.py");
    let driven = Command::new(python)
        .arg(script)
        .arg(&proxy.address)
        .output()
        .expect("python starts");
    let stderr = String::from_utf8_lossy(&driven.stderr);
    assert_eq!(
        String::from_utf8_lossy(&driven.stdout),
        "driven\n",
        "{stderr}"
    );
    // The script has ended the machine.
    assert!(proxy.end().0.success());
}

#[test]
fn a_hundred_clients_get_their_own_replies() {
    for peer in Peer::both(&[]) {
        let (_place, path) = place();
        let proxy = proxy(&path("proxy.sock"), &peer.address(), &[]);
        let mut clients: Vec<Wire> = (0..100).map(|_| proxy.client()).collect();
        for round in 0..5 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.send(&format!(
                    r#"{{"execute": "query-name", "id": [{number}, {round}]}}"#
                ));
                client.send(&format!(r#"{{"execute": "qom-list", "arguments": {{"path": "/none{number}"}}, "id": {number}}}"#));
            }
            for (number, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.reply()["id"], json!([number, round]));
                let error = client.reply();
                assert_eq!(error["id"], number);
                let desc = format!("Device '/none{number}' not found");
                assert_eq!(error["error"]["desc"], desc);
            }
        }
        clients[0].execute("cont", json!({})).expect("it runs");
        for client in &mut clients[1..] {
            assert_eq!(client.event(), "RESUME");
        }
    }
}

#[test]
fn clients_outlive_the_server() {
    let (_place, path) = place();
    let server = path("server.sock");
    let first = Served::start(&["mock", &server, "--fault", "no-reply:command=query-uuid"]);
    let proxy = proxy(&path("proxy.sock"), &server, &[]);
    let mut client = proxy.client();
    let mut waiting = proxy.client();
    waiting.send(r#"{"execute": "query-uuid", "id": 1}"#);
    assert_eq!(
        client.execute("query-status", json!({})),
        Ok(json!({"status": "running", "running": true}))
    );
    drop(first);
    let lost = "The server behind the proxy was lost before it answered";
    assert_eq!(
        waiting.reply(),
        json!({"id": 1, "error": {"class": "GenericError", "desc": lost}})
    );
    let away = client.execute("query-status", json!({}));
    assert_eq!(
        away,
        Err("The proxy has no connection to its server".to_owned())
    );
    let second = Served::start(&["mock", &server, "--strict"]);
    proxy.told("qmp: ");
    eventually(|| client.execute("query-status", json!({})).is_ok());
    assert_eq!(
        waiting.execute("query-uuid", json!({})),
        Err("No rule answers 'query-uuid'".to_owned())
    );
    drop(second);
}

#[test]
fn a_client_that_does_not_read_harms_nobody() {
    for (slow, closed) in [("close", true), ("drop", false)] {
        let (_place, path) = place();
        let server = path("server.sock");
        let _mock = Served::start(&["mock", &server]);
        let metrics = [
            "--metrics",
            "tcp:127.0.0.1:0",
            "--backlog",
            "4096",
            "--slow",
            slow,
        ];
        let proxy = proxy(&path("proxy.sock"), &server, &metrics);
        let page = proxy.told("qmp: metrics at tcp:");
        let mut lazy = proxy.client();
        let mut busy = proxy.client();
        let counter = if closed {
            "clients_dropped_total"
        } else {
            "events_dropped_total"
        };
        eventually(|| {
            for _ in 0..500 {
                busy.execute("stop", json!({})).expect("it stops");
                busy.execute("cont", json!({})).expect("it runs");
            }
            metric(&page, counter) > 0.0
        });
        // It is let go although it has not read a byte.
        eventually(|| metric(&page, "clients") == if closed { 1.0 } else { 2.0 });
        // What it missed shows as the end, or as a gap.
        let mut seen = 0;
        if closed {
            while lazy.line().is_some() {
                seen += 1;
            }
            assert!(seen > 0);
        } else {
            assert_eq!(
                lazy.execute("query-status", json!({}))
                    .map(|status| status["running"].clone()),
                Ok(json!(true))
            );
        }
        busy.execute("query-status", json!({})).expect("it is well");
    }
}

#[test]
fn a_client_that_leaves_a_stuck_server_is_let_go() {
    let (_place, path) = place();
    let server = path("server.sock");
    let _mock = Served::start(&["mock", &server, "--fault", "no-reply:command=query-uuid"]);
    let proxy = proxy(
        &path("proxy.sock"),
        &server,
        &["--metrics", "tcp:127.0.0.1:0"],
    );
    let page = proxy.told("qmp: metrics at tcp:");
    let mut client = proxy.client();
    client.send(r#"{"execute": "query-uuid"}"#);
    eventually(|| metric(&page, "queue_depth") == 1.0);
    drop(client);
    eventually(|| metric(&page, "clients") == 0.0);
    proxy
        .client()
        .execute("query-name", json!({}))
        .expect("the others are served");
}

#[test]
fn policies_hold() {
    let refused = |command: &str| {
        Err(format!(
            "The proxy's policy does not allow '{command}' with these arguments"
        ))
    };
    let Some(peer) = Peer::qemu(&[]) else { return };
    let (_place, path) = place();
    let uid = rustix::process::getuid().as_raw();
    let policy = path("policy.toml");
    std::fs::write(
        &policy,
        format!(
            "[[rule]]\ntitle = \"me\"\nuid = [{uid}]\n\
             allow = [\"query-*\", \"object-add qom-type=rng-*\", \"stop\"]\ndeny = [\"query-uuid\"]\n"
        ),
    )
    .expect("the directory is writable");
    let audit = path("audit.jsonl");
    let front = proxy(
        &path("proxy.sock"),
        &peer.address(),
        &[
            "--policy",
            &policy,
            "--audit",
            &audit,
            "--deny",
            "query-version",
        ],
    );
    let mut client = front.client();
    assert_eq!(
        client.execute("query-name", json!({})),
        Ok(json!({"name": "peer"}))
    );
    assert_eq!(
        client.execute("query-uuid", json!({})),
        refused("query-uuid")
    );
    assert_eq!(
        client.execute("query-version", json!({})),
        refused("query-version")
    );
    assert_eq!(client.execute("quit", json!({})), refused("quit"));
    let secret = json!({"qom-type": "secret", "id": "s", "data": "hidden"});
    assert_eq!(client.execute("object-add", secret), refused("object-add"));
    let random = json!({"qom-type": "rng-builtin", "id": "r"});
    assert_eq!(client.execute("object-add", random), Ok(json!({})));
    drop(client);
    eventually(|| std::fs::read_to_string(&audit).is_ok_and(|text| text.contains("\"left\"")));
    let text = std::fs::read_to_string(&audit).expect("it was written");
    assert!(!text.contains("hidden"), "{text}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {}", line["what"], line["command"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "came null",
            "asked query-name",
            "answered query-name",
            "denied query-uuid",
            "denied query-version",
            "denied quit",
            "denied object-add",
            "asked object-add",
            "answered object-add",
            "left null",
        ]
    );
    assert_eq!(lines[0]["rule"], "me");
    assert_eq!(lines[0]["peer"]["uid"], uid);
    assert_eq!(lines[0]["peer"]["pid"], std::process::id());
    drop(front);

    let front = proxy(&path("proxy.sock"), &peer.address(), &["--read-only"]);
    let mut client = front.client();
    assert_eq!(client.execute("stop", json!({})), refused("stop"));
    assert!(client.execute("qom-list", json!({"path": "/"})).is_ok());
    drop(front);

    std::fs::write(&policy, "[[rule]]\nuid = [4294967294]\n").expect("the directory is writable");
    let front = proxy(&path("proxy.sock"), &peer.address(), &["--policy", &policy]);
    assert_eq!(front.wire().line(), None);
}

#[test]
fn a_rate_holds_calls_back() {
    let (_place, path) = place();
    let server = path("server.sock");
    let _mock = Served::start(&["mock", &server]);
    let more = ["--rate", "20", "--metrics", "tcp:127.0.0.1:0"];
    let proxy = proxy(&path("proxy.sock"), &server, &more);
    let page = proxy.told("qmp: metrics at tcp:");
    let mut client = proxy.client();
    let began = std::time::Instant::now();
    for _ in 0..25 {
        client
            .execute("query-name", json!({}))
            .expect("it is late, but answered");
    }
    // Twenty at once, and five at 50 ms each.
    assert!(began.elapsed().as_millis() >= 240);
    assert!(metric(&page, "throttled_total") >= 5.0);
}

#[test]
fn the_metrics_are_prometheus_text() {
    let Some(peer) = Peer::qemu(&[]) else { return };
    let (_place, path) = place();
    let front = proxy(
        &path("proxy.sock"),
        &peer.address(),
        &["--metrics", "tcp:127.0.0.1:0"],
    );
    let page = front.told("qmp: metrics at tcp:");
    let mut client = front.client();
    client
        .execute("query-name", json!({}))
        .expect("it has a name");
    client
        .execute("device_del", json!({"id": "none"}))
        .expect_err("there is none");
    let text = get(&page, "/metrics");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let mut families = std::collections::HashSet::new();
    for line in body.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            families.insert(family.split(' ').next().expect("a name").to_owned());
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().expect("a name");
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(
            families.contains(family) || families.contains(name),
            "{line}"
        );
    }
    for line in [
        "qmp_proxy_clients 1",
        "qmp_proxy_server_up 1",
        "qmp_proxy_command_seconds_count{command=\"query-name\"} 1",
        "qmp_proxy_command_seconds_bucket{command=\"query-name\",le=\"+Inf\"} 1",
        "qmp_proxy_command_errors_total{command=\"device_del\"} 1",
    ] {
        assert!(body.lines().any(|other| other == line), "{line}\n{body}");
    }
    assert!(get(&page, "/other").starts_with("HTTP/1.1 404 "));
}

#[test]
fn descriptors_reach_the_server() {
    for peer in Peer::both(&[]) {
        let (_place, path) = place();
        let front = proxy(&path("proxy.sock"), &peer.address(), &[]);
        let mut client = front.client();
        let null = std::fs::File::open("/dev/null").expect("it is there");
        let request = r#"{"execute": "add-fd", "arguments": {"fdset-id": 3}}"#;
        send_with(&client, request.as_bytes(), null.as_fd());
        let added = client.reply();
        assert_eq!(added["return"]["fdset-id"], 3, "{}: {added}", peer.name);
        let none = client.execute("getfd", json!({"fdname": "x"}));
        assert_eq!(
            none,
            Err("No file descriptor supplied via SCM_RIGHTS".to_owned()),
            "{}",
            peer.name
        );
    }
}

fn send_with(client: &Wire, bytes: &[u8], fd: BorrowedFd<'_>) {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    let sent = sendmsg(
        &client.stream,
        &[std::io::IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::empty(),
    );
    assert_eq!(sent, Ok(bytes.len()));
}

#[test]
fn the_network_is_let_in_by_certificate_only() {
    let Some(peer) = Peer::qemu(&[]) else { return };
    let open = qmp(["proxy", "tcp:0.0.0.0:0", "--to", &peer.address()]);
    assert_eq!(open.status.code(), Some(2));
    assert!(told(&open).contains("--insecure"), "{}", told(&open));
    let bare = qmp(["proxy", "tls:127.0.0.1:0", "--to", &peer.address()]);
    assert_eq!(bare.status.code(), Some(2), "{}", told(&bare));

    let (_place, path) = place();
    if !certificates::make(&path("")) {
        return;
    }
    let policy = path("policy.toml");
    std::fs::write(
        &policy,
        "[[rule]]\nname = [\"ops-*\"]\nallow = [\"query-name\"]\n",
    )
    .expect("it is writable");
    let dir = path("");
    let front = proxy(
        "tls:127.0.0.1:0",
        &peer.address(),
        &["--tls", &dir, "--policy", &policy],
    );
    let port = front.address.rsplit(':').next().expect("a port").to_owned();
    let say =
        "{\"execute\": \"qmp_capabilities\"}{\"execute\": \"query-name\"}{\"execute\": \"quit\"}\n";
    let good = over_tls(
        &dir,
        &port,
        &["-cert", "client-cert.pem", "-key", "client-key.pem"],
        say,
    );
    assert!(good.contains(r#"{"return": {"name": "peer"}}"#), "{good}");
    assert!(good.contains("policy does not allow 'quit'"), "{good}");
    let other = over_tls(
        &dir,
        &port,
        &["-cert", "other-cert.pem", "-key", "other-key.pem"],
        say,
    );
    assert!(!other.contains("QMP"), "{other}");
    let nobody = over_tls(&dir, &port, &[], say);
    assert!(!nobody.contains("QMP"), "{nobody}");
}

/// What `openssl s_client` prints when it has sent a text and been answered.
fn over_tls(dir: &str, port: &str, more: &[&str], text: &str) -> String {
    let address = format!("127.0.0.1:{port}");
    let mut child = Command::new("openssl")
        .current_dir(dir)
        .args([
            "s_client",
            "-quiet",
            "-CAfile",
            "ca-cert.pem",
            "-connect",
            &address,
        ])
        .args(more)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("openssl starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = child.stdout.take().expect("it is piped");
    // One that is turned away reads nothing.
    let _ = stdin.write_all(text.as_bytes());
    let mut printed = Vec::new();
    let mut buffer = [0; 4096];
    while printed.iter().filter(|&&byte| byte == b'\n').count() < 4 {
        match stdout.read(&mut buffer) {
            Ok(count) if count > 0 => printed.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    drop(stdin);
    let _ = child.kill();
    let _ = child.wait();
    String::from_utf8_lossy(&printed).into_owned()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the page is served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it is text");
    text
}

fn metric(address: &str, name: &str) -> f64 {
    let page = get(address, "/metrics");
    let start = format!("qmp_proxy_{name} ");
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(start.as_str()));
    value
        .and_then(|value| value.parse().ok())
        .expect("it is on the page")
}
