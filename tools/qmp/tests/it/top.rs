//! `qmp top` on a terminal that `expect` plays, and in lines without one.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::peers::{PATIENCE, Peer, qmp, text};

/// Starts `qmp top` in a shell at a terminal, which says afterwards how it
/// ended and how the terminal was left. Only what changes is written: `shown`
/// changes the size until a whole screen, which lacks blanks, has the word.
const STORY: &str = r#"
set timeout 60
set stty_init "rows 24 columns 90"
log_user 0
proc await {text} {
    expect {
        -ex $text {}
        timeout { puts "no $text"; exit 101 }
        eof { puts "ended before $text"; exit 102 }
    }
}
proc shown {text} {
    for {set rows 24} {$rows < 84} {incr rows} {
        stty rows $rows columns 90 < $::spawn_out(slave,name)
        expect -timeout 1 -ex $text return
    }
    puts "not shown: $text"
    exit 103
}
set script {"$QMP" top "$ADDRESS" --interval 0.2 --timeout 60; echo "code=$?"; stty -a}
spawn -noecho sh -c $script
shown "MEMORY"
shown "prelaunch"
exec $env(QMP) run $env(SECOND) cont
shown "RESUME"
stty rows 3 columns 9 < $spawn_out(slave,name)
shown "EVENTS"
send ":query-status\r"
shown "\"running\":"
send ":nonsense\r"
shown "found"
# A key that comes along with a change of size is not held back.
send ":"
for {set typed a} {[string length $typed] < 16} {append typed a} {
    stty rows 23 columns 90 < $spawn_out(slave,name)
    send "a"
    shown ":$typed"
}
send "\003?"
shown "this"
send "xq"
await "\033\[?1049l"
await "code=0"
await " icanon"
await " echo "
"#;

#[test]
fn a_screen_shows_a_machine_and_leaves_the_terminal_as_it_was() {
    for peer in Peer::both(&[]) {
        let output = Command::new("expect")
            .args(["-c", STORY])
            .env("QMP", env!("CARGO_BIN_EXE_qmp"))
            .env("ADDRESS", peer.address())
            .env("SECOND", peer.second_address())
            .env("TERM", "xterm")
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) if std::env::var_os("CI").is_some() => panic!("expect: {error}"),
            Err(error) => return eprintln!("skipped: expect: {error}"),
        };
        assert!(output.status.success(), "{}: {}", peer.name, text(&output));
    }
}

#[test]
fn without_a_terminal_there_are_lines() {
    for peer in Peer::both(&[]) {
        let output = peer.qmp(&["top"], &["--count", "2"]);
        let printed = text(&output);
        let lines: Vec<Vec<&str>> = printed
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines.len(), 3, "{}: {printed}", peer.name);
        assert_eq!(lines[0][..3], ["MACHINE", "STATE", "CPU"]);
        for line in &lines[1..] {
            assert_eq!(line[..2], ["peer", "prelaunch"], "{}", peer.name);
        }
        assert_eq!(output.status.code(), Some(0), "{}", peer.name);
    }
}

#[test]
fn programs_read_lines_of_json() {
    for peer in Peer::both(&[]) {
        let address = peer.address();
        let output = qmp(["--json", "top", &address, "/nonexistent", "--count", "1"]);
        let printed = text(&output);
        let rows: Vec<Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        assert_eq!(rows[0]["state"], "prelaunch", "{}", peer.name);
        assert_eq!(rows[0]["memory"], 128 << 20, "{}", peer.name);
        let expected = json!({
            "address": "/nonexistent", "state": "unreachable",
            "error": "cannot connect to /nonexistent: No such file or directory (os error 2)",
        });
        assert_eq!(rows[1], expected);
        assert_eq!(output.status.code(), Some(3), "{}", peer.name);
    }
}

#[test]
fn the_others_are_watched_when_one_dies() {
    for (first, second) in Peer::both(&[]).iter().zip(Peer::both(&[])) {
        let mut top = Command::new(env!("CARGO_BIN_EXE_qmp"))
            .args(["--json", "top", "--interval", "0.1"])
            .args([first.address(), second.address()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("qmp was built");
        let stdout = BufReader::new(top.stdout.take().expect("it is piped"));
        let mut rows = stdout.lines().map(|line| {
            let line = line.expect("it is text");
            serde_json::from_str::<Value>(&line).expect("a line is JSON")
        });
        let mut await_states = |states: [&str; 2]| {
            let wanted = [first.address(), second.address()];
            let mut seen = [false; 2];
            let began = Instant::now();
            while seen != [true; 2] {
                let row = rows.next().expect("it goes on");
                assert!(began.elapsed() < PATIENCE, "never {states:?}: {row}");
                for place in 0..2 {
                    let is_it = row["address"] == wanted[place].as_str();
                    seen[place] |= is_it && row["state"] == states[place];
                }
            }
        };
        await_states(["prelaunch", "prelaunch"]);
        second.signal(Signal::KILL);
        await_states(["prelaunch", "ended"]);
        // The one that is left still changes.
        qmp(["run", &first.second_address(), "cont"]);
        await_states(["running", "ended"]);
        top.kill().expect("it runs");
        top.wait().expect("it was killed");
    }
}
