//! `qmp ga`, against the agent of this very host: nothing here may halt,
//! suspend or freeze it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peers::{eventually, qmp, text, told};

/// The host's agent, on a socket; gone when this is dropped.
struct Agent {
    child: Child,
    directory: TempDir,
}

impl Agent {
    /// `None`, said aloud, where no agent is installed and none is demanded.
    fn start() -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let socket = directory.path().join("agent.sock");
        let child = Command::new("qemu-ga")
            .args(["-m", "unix-listen", "-p"])
            .arg(&socket)
            .arg("-t")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) if std::env::var_os("CI").is_some() => panic!("qemu-ga: {error}"),
            Err(error) => {
                eprintln!("skipped: qemu-ga: {error}");
                return None;
            }
        };
        // The socket is there a moment before anybody listens.
        eventually(|| UnixStream::connect(&socket).is_ok());
        Some(Self { child, directory })
    }

    /// A path in a directory of its own.
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Runs `qmp ga ADDR WORDS`.
    fn run(&self, words: &[&str]) -> Output {
        let socket = self.path("agent.sock");
        let start = ["ga", socket.as_str()];
        qmp(start.into_iter().chain(words.iter().copied()))
    }

    /// One run: what it prints, what it tells, its code.
    fn check(&self, words: &[&str], expected: &str, error: &str, code: i32) {
        let output = self.run(words);
        assert_eq!(text(&output), expected, "{words:?}");
        assert_eq!(told(&output), error, "{words:?}");
        assert_eq!(output.status.code(), Some(code), "{words:?}");
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[&["--json"], words].concat());
        assert_eq!(told(&output), "", "{words:?}");
        serde_json::from_slice(&output.stdout).expect("it is one value")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_the_agent_knows_is_told() {
    let Some(agent) = Agent::start() else { return };
    agent.check(&["ping"], "", "", 0);
    assert_eq!(agent.json(&["ping", "20"]), json!({}));
    agent.check(&["fsfreeze", "status"], "thawed\n", "", 0);

    let info = text(&agent.run(&["info"]));
    assert!(info.starts_with("version: "), "{info}");
    assert!(info.contains("\n\tenabled: "), "{info}");
    let version = agent.json(&["info"])["version"].clone();
    let version = version.as_str().expect("it is a string");
    assert!(info.starts_with(&format!("version: {version}\n")), "{info}");

    let interfaces = text(&agent.run(&["ifconfig"]));
    let loopback = "lo:\n\tinet 127.0.0.1  netmask 255.0.0.0\n";
    assert!(interfaces.contains(loopback), "{interfaces}");
    assert!(text(&agent.run(&["users"])).starts_with("USER  DOMAIN  LOGIN\n"));
    assert!(agent.json(&["time"]).as_i64() > Some(1_700_000_000_000_000_000));
    assert!(text(&agent.run(&["time"])).ends_with("Z\n"));
}

#[test]
fn files_are_copied_both_ways() {
    let Some(agent) = Agent::start() else { return };
    let data: Vec<u8> = (0..300_000_u32).map(|place| (place % 251) as u8).collect();
    let (here, there, back) = (agent.path("here"), agent.path("there"), agent.path("back"));
    fs::write(&here, &data).expect("it can be written");
    fs::create_dir(&back).expect("it is free");
    let guest = format!("guest:{there}");

    agent.check(&["copy", &here, &guest], "", "", 0);
    assert!(fs::read(&there).expect("it was copied") == data);
    assert_eq!(
        agent.json(&["copy", &guest, &back]),
        json!({"bytes": 300_000})
    );
    let copied = fs::read(agent.path("back/there"));
    assert!(copied.expect("it was copied") == data);
    assert!(agent.run(&["cat", &there]).stdout == data);

    fs::write(&here, "").expect("it can be written");
    assert_eq!(agent.json(&["copy", &here, &guest]), json!({"bytes": 0}));
    agent.check(&["cat", &there], "", "", 0);
}

#[test]
fn what_cannot_be_copied_is_told() {
    let Some(agent) = Agent::start() else { return };
    let error = "qmp: error: failed to open file '/nonexistent' (mode: 'r'): \
                 No such file or directory\n";
    agent.check(&["cat", "/nonexistent"], "", error, 1);
    let error = "qmp: error: one of the two must be in the guest: guest:FILE\n";
    agent.check(&["copy", "a", "b"], "", error, 2);
    let error = "qmp: error: /nonexistent: No such file or directory (os error 2)\n";
    agent.check(&["copy", "/nonexistent", "guest:/tmp/x"], "", error, 8);
    let error = "qmp: error: /nonexistent/x: No such file or directory (os error 2)\n";
    agent.check(
        &["copy", "guest:/etc/passwd", "/nonexistent/x"],
        "",
        error,
        8,
    );
}

#[test]
fn programs_end_with_their_codes() {
    let Some(agent) = Agent::start() else { return };
    let script = "echo out; echo err >&2; exit 3";
    agent.check(&["exec", "--", "sh", "-c", script], "out\n", "err\n", 3);
    agent.check(
        &["exec", "--stream", "--", "sh", "-c", script],
        "out\n",
        "err\n",
        3,
    );
    agent.check(&["exec", "sh", "-c", "kill -9 $$"], "", "", 137);
    let echo = ["sh", "-c", "echo $WORD"];
    agent.check(
        &[&["exec", "--env", "WORD=ga", "--"], &echo[..]].concat(),
        "ga\n",
        "",
        0,
    );

    let input = agent.path("input");
    fs::write(&input, "echo from input\n").expect("it can be written");
    agent.check(&["exec", "--input", &input, "sh"], "from input\n", "", 0);
    agent.check(
        &["exec", "--stream", "--input", &input, "sh"],
        "from input\n",
        "",
        0,
    );

    let status = agent.json(&["exec", "--", "printf", "a\\377"]);
    assert_eq!(
        status,
        json!({"exited": true, "exitcode": 0, "out-data": "Yf8=", "out-truncated": false})
    );
    assert_eq!(agent.run(&["exec", "/nonexistent"]).status.code(), Some(1));
    assert_eq!(
        agent
            .run(&["exec", "--stream", "/nonexistent"])
            .status
            .code(),
        Some(127)
    );
}

#[test]
fn a_stream_comes_while_the_program_runs() {
    let Some(agent) = Agent::start() else { return };
    let go = agent.path("go");
    let script = format!("echo first; until test -e {go}; do sleep 0.05; done; seq 100000");
    let socket = agent.path("agent.sock");
    let printed = agent.path("printed");
    let mut running = Command::new(env!("CARGO_BIN_EXE_qmp"))
        .args(["ga", &socket, "exec", "--stream", "--", "sh", "-c", &script])
        .stdout(fs::File::create(&printed).expect("it is free"))
        .spawn()
        .expect("qmp was built");
    eventually(|| fs::read_to_string(&printed).is_ok_and(|text| text == "first\n"));
    fs::write(&go, "").expect("it can be written");
    assert!(running.wait().expect("it is a child").success());
    let printed = fs::read_to_string(&printed).expect("it is text");
    assert_eq!(printed.lines().count(), 100_001);
    assert!(printed.ends_with("\n100000\n"));
}

#[test]
fn an_agent_that_is_not_there_is_given_up() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let path = directory.path().join("mute.sock");
    let _mute = std::os::unix::net::UnixListener::bind(&path).expect("the path is free");
    let path = path.display().to_string();
    let output = qmp(["ga", &path, "ping", "0.2"]);
    assert_eq!(output.status.code(), Some(4));
    let error = "qmp: error: no answer within 200ms: waited for the synchronisation\n";
    assert_eq!(told(&output), error);
}

/// What `qmp ga WORDS` asks of an agent, and what it prints. The agent says
/// nothing of its end, as the real one.
fn asked(words: &[&str]) -> (Value, Output) {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let path = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&path).expect("the path is free");
    let agent = thread::spawn(move || serve(&listener));
    let path = path.display().to_string();
    let output = qmp(["ga", &path].into_iter().chain(words.iter().copied()));
    (agent.join().expect("it has heard a command"), output)
}

/// Serves one client; the command that is not for synchronising.
fn serve(listener: &UnixListener) -> Value {
    let (mut stream, _) = listener.accept().expect("somebody comes");
    let mut heard = Value::Null;
    let reader = BufReader::new(stream.try_clone().expect("it can be shared"));
    for line in reader.split(b'\n').map_while(Result::ok) {
        // 0xFF makes an agent forget half a message.
        let start = line
            .iter()
            .rposition(|&byte| byte == 0xFF)
            .map_or(0, |at| at + 1);
        let mut message: Value = serde_json::from_slice(&line[start..]).expect("JSON");
        let id = message.as_object_mut().and_then(|it| it.remove("id"));
        let command = message["execute"].as_str().unwrap_or_default();
        let (mark, answer) = match command {
            "guest-sync-delimited" => ("\u{ff}", message["arguments"]["id"].clone()),
            "guest-fstrim" => ("", json!({"paths": []})),
            _ if command.starts_with("guest-fsfreeze") => ("", json!(2)),
            _ => ("", Value::Null),
        };
        if command != "guest-sync-delimited" {
            heard = message;
        }
        if answer.is_null() {
            continue;
        }
        let mut reply = json!({"return": answer});
        if let Some(id) = id {
            reply["id"] = id;
        }
        let mark: &[u8] = if mark.is_empty() { b"" } else { b"\xFF" };
        let text = reply.to_string() + "\n";
        let sent = stream.write_all(&[mark, text.as_bytes()].concat());
        sent.expect("it is read");
    }
    heard
}

/// What would end or freeze the host is told to an agent that only listens.
#[test]
fn every_verb_has_its_command() {
    let shutdown = |mode: &str| json!({"execute": "guest-shutdown", "arguments": {"mode": mode}});
    let plain = |command: &str| json!({"execute": command});
    let rows = [
        (vec!["halt"], shutdown("halt"), ""),
        (vec!["powerdown"], shutdown("powerdown"), ""),
        (vec!["shutdown"], shutdown("powerdown"), ""),
        (vec!["reboot"], shutdown("reboot"), ""),
        (vec!["suspend", "disk"], plain("guest-suspend-disk"), ""),
        (vec!["suspend", "ram"], plain("guest-suspend-ram"), ""),
        (vec!["suspend", "hybrid"], plain("guest-suspend-hybrid"), ""),
        (
            vec!["fsfreeze", "freeze"],
            plain("guest-fsfreeze-freeze"),
            "2 filesystems frozen\n",
        ),
        (
            vec!["fsfreeze", "freeze", "/home"],
            json!({"execute": "guest-fsfreeze-freeze-list", "arguments": {"mountpoints": ["/home"]}}),
            "2 filesystems frozen\n",
        ),
        (
            vec!["fsfreeze", "thaw"],
            plain("guest-fsfreeze-thaw"),
            "2 filesystems thawed\n",
        ),
        (
            vec!["--json", "fsfreeze", "thaw"],
            plain("guest-fsfreeze-thaw"),
            "2\n",
        ),
        (
            vec!["fstrim"],
            plain("guest-fstrim"),
            "MOUNTPOINT  TRIMMED\n",
        ),
        (
            vec!["--json", "fstrim", "4096"],
            json!({"execute": "guest-fstrim", "arguments": {"minimum": 4096}}),
            "{\"paths\":[]}\n",
        ),
    ];
    // Success is silence for a second: they are all waited for at once.
    let runs = rows.map(|(words, expected, printed)| {
        thread::spawn(move || {
            let (heard, output) = asked(&words);
            assert_eq!(heard, expected, "{words:?}");
            assert_eq!(text(&output), printed, "{words:?}: {}", told(&output));
            assert_eq!(output.status.code(), Some(0), "{words:?}");
        })
    });
    for run in runs {
        run.join().expect("it is as it should be");
    }
}
