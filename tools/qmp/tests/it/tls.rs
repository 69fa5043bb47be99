//! `tls:` addresses, with every kind of subcommand that connects.

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::certificates;
use crate::peers::{Peer, qmp, text, told};
use crate::served::Served;

/// A server whose second monitor wants certificates.
struct Guarded {
    peer: Peer,
    port: String,
    directory: String,
    _place: TempDir,
}

impl Guarded {
    fn both() -> Vec<Self> {
        let peers = [Peer::qemu as fn(&[&str]) -> _, Peer::tinamou];
        peers.into_iter().filter_map(Self::start).collect()
    }

    fn start(peer: fn(&[&str]) -> Option<Peer>) -> Option<Self> {
        let place = tempfile::tempdir().expect("a temporary directory can be made");
        let directory = place.path().display().to_string();
        if !certificates::make(&directory) {
            eprintln!("skipped: openssl made no certificates");
            return None;
        }
        let credentials =
            format!("tls-creds-x509,id=creds,dir={directory},endpoint=server,verify-peer=on");
        let peer = peer(&[
            "-object",
            &credentials,
            "-chardev",
            "socket,id=guarded,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=creds",
            "-mon",
            "chardev=guarded,mode=control",
        ])?;
        Some(Self {
            port: port(&peer),
            peer,
            directory,
            _place: place,
        })
    }

    fn address(&self) -> String {
        format!("tls:127.0.0.1:{}", self.port)
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }

    /// Runs `qmp SUBCOMMAND ADDR ARGUMENTS --tls DIR`.
    fn qmp(&self, subcommand: &str, arguments: &[&str]) -> Output {
        let address = self.address();
        let words = [subcommand, &address, "--tls", &self.directory];
        qmp(words.into_iter().chain(arguments.iter().copied()))
    }
}

/// The port that was chosen, as the other monitor tells it.
fn port(peer: &Peer) -> String {
    let chardevs = peer.qmp(&["run"], &["query-chardev", "--json"]);
    let chardevs: Value = serde_json::from_slice(&chardevs.stdout).expect("JSON");
    let guarded = chardevs.as_array().and_then(|chardevs| {
        let mut all = chardevs.iter();
        all.find(|chardev| chardev["label"] == "guarded")
    });
    let filename = guarded.and_then(|chardev| chardev["filename"].as_str());
    let filename = filename.expect("it has a name").split(',').next();
    let port = filename.and_then(|name| name.rsplit(':').next());
    port.expect("it has a port").to_owned()
}

#[test]
fn a_directory_has_all_that_is_needed() {
    for guarded in Guarded::both() {
        let name = guarded.peer.name;
        let ran = guarded.qmp("run", &["query-name", "--json"]);
        assert_eq!(
            text(&ran),
            "{\"name\":\"peer\"}\n",
            "{name}: {}",
            told(&ran)
        );
        let status = guarded.qmp("status", &[]);
        assert!(text(&status).contains("peer"), "{name}: {}", text(&status));
        let shown = guarded.qmp("schema", &["query-name"]);
        assert_eq!(shown.status.code(), Some(2), "{name}");
        let top = guarded.qmp("top", &["--count", "1", "--json"]);
        assert!(text(&top).contains("prelaunch"), "{name}: {}", told(&top));
    }
}

#[test]
fn single_files_are_taken_too() {
    for guarded in Guarded::both() {
        let name = guarded.peer.name;
        let address = guarded.address();
        let authority = guarded.file("ca-cert.pem");
        let (cert, key) = (
            guarded.file("other-cert.pem"),
            guarded.file("other-key.pem"),
        );
        let run = |more: &[&str]| {
            let words = ["run", &address, "query-name", "--json"];
            qmp(words.into_iter().chain(more.iter().copied()))
        };
        let trusting = ["--tls-ca", &authority];
        let whole = run(&[&trusting[..], &["--tls-cert", &cert, "--tls-key", &key]].concat());
        assert_eq!(whole.status.code(), Some(0), "{name}: {}", told(&whole));
        // The server asks for a certificate.
        let anonymous = run(&trusting);
        assert_ne!(anonymous.status.code(), Some(0), "{name}");
        for (more, wanted) in [
            (&[][..], "--tls-ca"),
            (
                &[&trusting[..], &["--tls-cert", &cert]].concat(),
                "--tls-key",
            ),
            (&["--tls", "/nonexistent"], "/nonexistent/ca-cert.pem"),
        ] {
            let refused = run(more);
            assert_eq!(refused.status.code(), Some(2), "{name} {more:?}");
            assert!(
                told(&refused).contains(wanted),
                "{name}: {}",
                told(&refused)
            );
        }
    }
}

#[test]
fn the_server_must_be_who_it_should_be() {
    for guarded in Guarded::both() {
        let name = guarded.peer.name;
        let address = format!("tls:localhost:{}", guarded.port);
        let words = ["run", &address, "query-name", "--tls", &guarded.directory];
        let stranger = qmp(words);
        assert_eq!(stranger.status.code(), Some(3), "{name}");
        let expected = qmp(words.into_iter().chain(["--tls-hostname", "127.0.0.1"]));
        assert_eq!(
            expected.status.code(),
            Some(0),
            "{name}: {}",
            told(&expected)
        );
        // Another authority's word is worth nothing.
        let place = tempfile::tempdir().expect("a temporary directory can be made");
        let other = place.path().display().to_string();
        assert!(certificates::make(&other));
        let distrusted = guarded.qmp(
            "run",
            &["query-name", "--tls-ca", &format!("{other}/ca-cert.pem")],
        );
        assert_eq!(
            distrusted.status.code(),
            Some(3),
            "{name}: {}",
            told(&distrusted)
        );
    }
}

#[test]
fn those_in_between_speak_it_on_both_sides() {
    for guarded in Guarded::both() {
        let name = guarded.peer.name;
        let recording = guarded.file("session.jsonl");
        let to = guarded.address();
        let tls = ["--tls", guarded.directory.as_str()];
        let asks = |front: &Served| {
            let words = ["run", &front.address, "query-name", "--json"];
            let ran = qmp(words.into_iter().chain(tls));
            assert_eq!(
                text(&ran),
                "{\"name\":\"peer\"}\n",
                "{name}: {}",
                told(&ran)
            );
        };
        let here = "tls:127.0.0.1:0";
        let start = |words: &[&str]| Served::start(&[words, &tls[..]].concat());
        let recorder = start(&["record", &to, here, "--once", "-o", &recording]);
        asks(&recorder);
        assert!(recorder.end().0.success(), "{name}");
        asks(&start(&["proxy", here, "--to", &to]));
        asks(&start(&["replay", &recording, here]));
    }
}
