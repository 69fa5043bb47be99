//! `qmp shell`: as a script on a pipe, and as a person at a terminal, whom
//! `expect` plays.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::peers::{Peer, qmp, text, told};
use crate::served::Served;

/// Runs the shell with `lines` on standard input.
fn script(options: &[&str], lines: &str) -> Output {
    script_of(options, lines.as_bytes())
}

fn script_of(options: &[&str], lines: &[u8]) -> Output {
    let mut shell = Command::new(env!("CARGO_BIN_EXE_qmp"))
        .arg("shell")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("qmp was built");
    let mut stdin = shell.stdin.take().expect("it is piped");
    stdin.write_all(lines).expect("the shell reads");
    drop(stdin);
    shell.wait_with_output().expect("it ends")
}

/// Lets `expect` play `story` at a terminal; the shell has been started in it.
fn play(options: &[&str], story: &str) {
    let state = tempfile::tempdir().expect("a temporary directory can be made");
    let story = format!(
        r#"
        set timeout 30
        set env(TERM) xterm
        set env(NO_COLOR) 1
        set env(XDG_STATE_HOME) {state}
        log_user 1
        # What has been printed and not yet been waited for. The editor asks
        # where the cursor is, and waits for the answer.
        set seen ""
        proc await {{text}} {{
            global seen
            while {{[set place [string first $text $seen]] < 0}} {{
                expect {{
                    -re {{\x1b\[6n}} {{ send "\033\[24;1R" }}
                    -re {{.+}} {{}}
                    timeout {{ puts "\nnever came: $text"; exit 1 }}
                    eof {{ puts "\nended before: $text"; exit 1 }}
                }}
                append seen $expect_out(buffer)
            }}
            set seen [string range $seen [expr {{$place + [string length $text]}}] end]
        }}
        # An empty line to type in: what is typed before it may yet belong to
        # the line that Ctrl-C throws away.
        proc fresh {{prompt}} {{ await "$prompt\x1b7\x1b8" }}
        spawn -noecho {qmp} shell {options}
        {story}
        send "exit\r"
        expect {{
            -re {{\x1b\[6n}} {{ send "\033\[24;1R"; exp_continue }}
            timeout {{ puts "\nit does not end"; exit 1 }}
            eof
        }}
        "#,
        state = state.path().display(),
        qmp = env!("CARGO_BIN_EXE_qmp"),
        options = options.join(" "),
    );
    let output = Command::new("expect").args(["-c", &story]).output();
    let output = match output {
        Ok(output) => output,
        Err(error) if std::env::var_os("CI").is_some() => panic!("expect: {error}"),
        Err(error) => return eprintln!("skipped: expect: {error}"),
    };
    assert!(
        output.status.success(),
        "{}{}",
        text(&output),
        told(&output)
    );
}

#[test]
fn a_script_is_obeyed() {
    for peer in Peer::both(&[]) {
        let lines = "query-name\n\n!info name\n{\"execute\":\n  \"query-name\"}\n";
        let output = script(&[&peer.address()], lines);
        let name = "{\n  \"name\": \"peer\"\n}\n";
        assert_eq!(
            text(&output),
            format!("{name}peer\n{name}"),
            "{}",
            peer.name
        );
        assert_eq!(output.status.code(), Some(0), "{}", peer.name);
    }
}

#[test]
fn a_refusal_is_told_and_the_rest_goes_on() {
    for peer in Peer::both(&[]) {
        let output = script(&["--json", &peer.address()], "nonsense\nquery-name\n");
        assert_eq!(
            text(&output),
            "{\"return\":{\"name\":\"peer\"}}\n",
            "{}",
            peer.name
        );
        assert!(told(&output).contains("The command nonsense has not been found"));
        assert_eq!(output.status.code(), Some(1), "{}", peer.name);
    }
}

#[test]
fn the_log_has_commands_with_their_replies() {
    for peer in Peer::both(&[]) {
        let log = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        let path = log.path().display().to_string();
        let output = script(&["-v", "-l", &path, &peer.address()], "query-name\n");
        let sent = "{\"execute\":\"query-name\"}\n{\"return\":{\"name\":\"peer\"}}\n";
        assert_eq!(text(&output), sent, "{}", peer.name);
        let logged = std::fs::read_to_string(log.path()).expect("it was written");
        let expected = "{\"execute\":\"query-name\",\"return\":{\"name\":\"peer\"}}\n";
        assert_eq!(logged, expected, "{}", peer.name);
    }
}

#[test]
fn actions_of_a_transaction_run_as_one() {
    let Some(peer) = Peer::qemu(&[]) else { return };
    let lines = "transaction(\nabort\n)\nquery-name\n";
    let output = script(&[&peer.address()], lines);
    assert!(told(&output).contains("Transaction aborted using Abort action"));
}

#[test]
fn bytes_that_are_no_text_harm_their_line_only() {
    for peer in Peer::both(&[]) {
        let output = script_of(&[&peer.address()], b"query-\xFF\xFE\nquery-name\n");
        assert!(text(&output).contains("\"peer\""), "{}", peer.name);
        assert!(told(&output).contains("not UTF-8"), "{}", told(&output));
        assert_eq!(output.status.code(), Some(1), "{}", peer.name);
    }
}

#[test]
fn the_human_monitor_keeps_its_cpu() {
    for peer in Peer::both(&["-smp", "2"]) {
        let lines = "info cpus\ncpu 1\ninfo cpus\ncpu 7\ninfo cpus\n";
        let output = script(&["-H", &peer.address()], lines);
        let chosen: Vec<String> = text(&output)
            .lines()
            .filter_map(|line| line.strip_prefix("* CPU #"))
            .map(|rest| rest.chars().take(1).collect())
            .collect();
        assert_eq!(chosen, ["0", "1", "1"], "{}: {}", peer.name, text(&output));
        assert_eq!(output.status.code(), Some(1), "{}", peer.name);
    }
}

#[test]
fn what_was_recorded_can_be_replayed() {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| place.path().join(name).display().to_string();
    for peer in Peer::both(&[]) {
        let file = path(peer.name);
        let lines = "query-name\nobject-add qom-type=secret id=s data=hidden\ncont\nnonsense\n";
        let record = ["--record", &file, "--redact", "query-name.name"];
        let output = script(&[&record[..], &[&peer.address()]].concat(), lines);
        assert_eq!(output.status.code(), Some(1), "{}", peer.name);
        let recorded = std::fs::read_to_string(&file).expect("it was written");
        assert!(!recorded.contains("hidden"), "{recorded}");
        assert!(recorded.contains("RESUME"), "{recorded}");
        assert!(recorded.contains(r#""closed":"client""#), "{recorded}");

        let replay = Served::start(&["replay", &file, &path("replay.sock"), "--once", "--json"]);
        let again = script(&[&replay.address], "query-name\nnonsense\n");
        assert!(text(&again).contains("[redacted]"), "{}", told(&again));
        assert!(told(&again).contains("The command nonsense has not been found"));
        let (status, report) = replay.end();
        assert!(status.success(), "{}: {report}", peer.name);
    }
}

#[test]
fn a_narrow_terminal_will_do() {
    for peer in Peer::both(&[]) {
        let story = r#"
            fresh "(QEMU) "
            stty columns 40 rows 10 < $spawn_out(slave,name)
            send "qom-li\t\t"
            await "qom-list-types"
            send "\x03"
            fresh "(QEMU) "
            send "device_add \t"
            await "id= "
            stty columns 20 rows 4 < $spawn_out(slave,name)
            send "\x03"
            fresh "(QEMU) "
            send "query-name\r"
            await "peer"
            fresh "(QEMU) "
            stty columns 3 rows 2 < $spawn_out(slave,name)
            send "query-name\r"
            await "peer"
            fresh "(QEMU) "
        "#;
        play(&[&peer.address()], story);
    }
}

#[test]
fn completion_tells_what_things_mean() {
    for peer in Peer::both(&[]) {
        let story = r#"
            fresh "(QEMU) "
            stty columns 100 < $spawn_out(slave,name)
            send "qom-list-\t"
            await "List the types of objects. "
            send "\x03"
            fresh "(QEMU) "
            send "qom-list-types \t"
            await "boolean, optional: "
            send "\x03"
            fresh "(QEMU) "
            send "help qom-list-types\r"
            await "implements: string, optional"
            fresh "(QEMU) "
        "#;
        play(&[&peer.address()], story);
    }
}

#[test]
fn quitting_ends_the_shell_in_order() {
    for peer in Peer::both(&[]) {
        let output = script(&[&peer.address()], "quit\n");
        assert_eq!(output.status.code(), Some(0), "{}", peer.name);
    }
}

#[test]
fn a_machine_can_be_wrapped() {
    let machine = [
        "qemu-system-riscv64",
        "-M",
        "none",
        "-display",
        "none",
        "-name",
        "wrapped",
    ];
    if Peer::qemu(&[]).is_none() {
        return;
    }
    let options: Vec<&str> = ["--wrap", "--"].into_iter().chain(machine).collect();
    let output = script(&options, "query-name\n");
    assert!(text(&output).contains("\"wrapped\""), "{}", told(&output));
    let missing = script(&["--wrap", "--", "/nonexistent/qemu"], "");
    assert_eq!(missing.status.code(), Some(8));
}

#[test]
fn a_person_has_completion_history_and_events() {
    for peer in Peer::both(&[]) {
        let second = peer.second_address();
        let qmp = env!("CARGO_BIN_EXE_qmp");
        let story = format!(
            r#"
            fresh "(QEMU) "
            # A command, an argument and a path are completed.
            send "qom-li\t\t"
            await "qom-list-types"
            send "\x15"
            send "qom-get pat\t/machine/unatt\t property=type\r"
            await "container"
            fresh "(QEMU) "
            # The line before is at hand.
            send "\x1b\[A"
            await "/machine/unattached"
            # Ctrl-C throws it away.
            send "\x03"
            fresh "(QEMU) "
            # An event does not break the line that is being typed.
            send "query-na"
            exec {qmp} run {second} cont
            await "RESUME"
            await "query-na"
            send "me\r"
            await "peer"
            fresh "(QEMU) "
            send "help device_del\r"
            await "returns nothing"
            fresh "(QEMU) "
            # Messages may have many lines.
            send "{{'execute':\r"
            send "'query-name'}}\r"
            await "peer"
            fresh "(QEMU) "
            # What is pasted waits for Enter, and is obeyed line by line.
            send "\x1b\[200~query-name\rquery-uuid\x1b\[201~"
            await "query-uuid"
            send "\r"
            await "peer"
            await "UUID"
            fresh "(QEMU) "
            "#
        );
        play(&[&peer.address()], &story);
    }
}

#[test]
fn the_human_monitor_has_a_shell_too() {
    for peer in Peer::both(&[]) {
        let story = r#"
            fresh "(qemu) "
            send "info uui\t"
            send "\r"
            await "00000000-0000"
            fresh "(qemu) "
        "#;
        play(&["-H", &peer.address()], story);
    }
}

#[test]
fn a_shell_needs_a_server() {
    let output = qmp(["shell"]);
    assert_eq!(output.status.code(), Some(2));
}
