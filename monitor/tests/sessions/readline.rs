//! Conversations in readline mode.

use crate::program::{Client, Program, short};
use tinamou_monitor::{Connection, Mode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

const BANNER: &str = "QEMU 10.0.2 monitor - type 'help' for more information\r\n";

/// A client that has got its prompt.
async fn terminal(program: &Program) -> Client {
    let monitor = program.server.monitor("hmp", Mode::Readline);
    let mut client = Client::connect(&monitor);
    client.expect(&format!("{BANNER}(qemu) ")).await;
    client
}

/// What the screen gets while `line` is typed.
fn echo(line: &str) -> String {
    let draw = |end: usize| format!("{}{}\x1b[K", "\x1b[D".repeat(end - 1), &line[..end]);
    (1..=line.len()).map(draw).collect()
}

#[tokio::test]
async fn every_byte_is_echoed_as_it_comes() {
    let program = Program::start();
    let mut client = terminal(&program).await;
    for (key, screen) in [
        ("a", "a\x1b[K"),
        ("b", "\x1b[Dab\x1b[K"),
        ("\x1b[D", "\x1b[D"),
    ] {
        client.send(key).await;
        client.expect(screen).await;
    }
}

#[tokio::test]
async fn commands_answer_on_the_terminal() {
    let mut program = Program::start();
    let mut client = terminal(&program).await;
    for (line, answer) in [
        ("info status", "VM status: paused\r\n"),
        ("cpu 3", ""),
        ("p $cpu", "0x3\r\n"),
        ("p/d -1", "-1\r\n"),
        ("p 10", "10\r\n"),
        (
            "info history",
            "0: 'info status'\r\n1: 'cpu 3'\r\n2: 'p $cpu'\r\n3: 'p/d -1'\r\n4: 'p 10'\r\n5: 'info history'\r\n",
        ),
    ] {
        client.send(&format!("{line}\n")).await;
        program.step().await;
        client
            .expect(&format!("{}\r\n{answer}(qemu) ", echo(line)))
            .await;
    }
}

#[tokio::test]
async fn an_empty_line_needs_no_main_loop() {
    let program = Program::start();
    let mut client = terminal(&program).await;
    client.send("\r\n").await;
    client.expect("\r\n(qemu) \r\n(qemu) ").await;
}

#[tokio::test]
async fn what_is_typed_ahead_waits_for_the_prompt() {
    let mut program = Program::start();
    let mut client = terminal(&program).await;
    client.send("note a\nnote b\nx").await;
    client.expect(&format!("{}\r\n", echo("note a"))).await;
    assert_eq!(program.machine.log, [""; 0]);
    program.steps(2).await;
    client
        .expect(&format!("(qemu) {}\r\n", echo("note b")))
        .await;
    client.expect("(qemu) x\x1b[K").await;
    assert_eq!(program.machine.log, ["a", "b"]);
}

#[tokio::test]
async fn the_tab_key_completes() {
    let mut program = Program::start();
    let mut client = terminal(&program).await;
    for (keys, screen) in [
        (
            "inf\t",
            format!("{}\x1b[D\x1b[D\x1b[Dinfo \x1b[K", echo("inf")),
        ),
        (
            "\t",
            "\r\nhistory   status    \r\n(qemu) info \x1b[K".into(),
        ),
    ] {
        client.send(keys).await;
        program.step().await;
        client.expect(&screen).await;
    }
}

#[tokio::test]
async fn the_end_of_input_ends_the_session_after_its_commands() {
    let mut program = Program::start();
    let mut client = terminal(&program).await;
    client.send("note a\nnote b\n").await;
    client.end().await;
    program.steps(2).await;
    assert!(client.rest().await.ends_with("\r\n(qemu) "));
    assert_eq!(program.machine.log, ["a", "b"]);
}

#[tokio::test]
async fn a_shared_terminal_shows_its_prompt_with_the_focus() {
    let program = Program::start();
    let monitor = program.server.monitor("hmp", Mode::Readline);
    let (mut stream, server) = tokio::io::duplex(1000);
    let (focus, receiver) = watch::channel(false);
    let mut connection = Connection::new(server, "mux");
    connection.focus = Some(receiver);
    monitor.attach(connection);

    let mut screen = vec![0; BANNER.len() + "(qemu) ".len()];
    focus.send_replace(true);
    stream.read_exact(&mut screen).await.expect("a prompt");
    assert_eq!(String::from_utf8_lossy(&screen), format!("{BANNER}(qemu) "));
    stream.write_all(b"ab").await.expect("the server reads");
    let mut screen = vec![0; echo("ab").len()];
    stream.read_exact(&mut screen).await.expect("an echo");

    focus.send_replace(false);
    let mut screen = vec![0; 2];
    stream.read_exact(&mut screen).await.expect("a line end");
    assert_eq!(screen, b"\r\n");
    focus.send_replace(true);
    let mut screen = vec![0; "(qemu) ab\x1b[K".len()];
    stream.read_exact(&mut screen).await.expect("a prompt");
    assert_eq!(screen, b"(qemu) ab\x1b[K");
}

#[tokio::test]
async fn human_monitor_command_answers_with_what_would_be_shown() {
    let mut program = Program::start();
    let mut client = program.client("").await;
    for (line, answer) in [
        ("", ""),
        ("bogus", "unknown command: 'bogus'\r\n"),
        ("# comment", "unknown command: '#'\r\n"),
        ("stop;cont", "unknown command: 'stop;cont'\r\n"),
        ("inf status", "unknown command: 'inf'\r\n"),
        ("info bogus", "unknown command: 'info bogus'\r\n"),
        ("info /x", "unknown command: 'info'\r\n"),
        ("/x", "unknown command: ''\r\n"),
        ("  info   status  ", "VM status: paused\r\n"),
        (r"info\tstatus\r\n", "VM status: paused\r\n"),
        (
            "info status x",
            "status: extraneous characters at the end of line\r\nTry \"help info status\" for more information\r\n",
        ),
        (
            "fail x",
            "fail|f: extraneous characters at the end of line\r\nTry \"help fail\" for more information\r\n",
        ),
        ("f", "Error: Device 'd' not found\r\n"),
        (
            "note",
            "note: string expected\r\nTry \"help note\" for more information\r\n",
        ),
        (
            "logfile",
            "logfile: filename expected\r\nTry \"help logfile\" for more information\r\n",
        ),
        (
            "x /",
            "unexpected end of expression\r\nTry \"help x\" for more information\r\n",
        ),
        (
            "x/2z 0",
            "invalid char in format: 'z'\r\nTry \"help x\" for more information\r\n",
        ),
        ("x/2xw 0x10", "0000000000000010: 0x13121110 0x17161514\r\n"),
        ("print 1+2*3", "0x7\r\n"),
        ("p/x 255", "0xff\r\n"),
        (
            "p 1 2",
            "print|p: extraneous characters at the end of line\r\nTry \"help p\" for more information\r\n",
        ),
        ("help bogus", "unknown command: 'bogus'\r\n"),
        ("help info stat", "unknown command: 'info stat'\r\n"),
        ("help note x", "note  -- write down\r\n"),
        ("help info status", "info status  -- run state\r\n"),
        (
            "info",
            "info history  -- list the lines entered so far\r\ninfo status  -- run state\r\n",
        ),
        ("info history", ""),
    ] {
        client.label("human-monitor-command", line).await;
        program.step().await;
        let reply: serde_json::Value =
            serde_json::from_str(&client.line().await).expect("a reply is JSON");
        assert_eq!(reply["return"], answer, "{line}");
    }
}

#[tokio::test]
async fn before_the_machine_only_some_commands_are_known() {
    let mut program = Program::start();
    program.server.set_preconfig(true);
    let mut client = terminal(&program).await;
    for (line, answer) in [
        ("info status", "VM status: paused\r\n"),
        (
            "note a",
            "Command 'note' not available until machine initialization has completed.\r\n",
        ),
    ] {
        client.send(&format!("{line}\n")).await;
        program.step().await;
        client
            .expect(&format!("{}\r\n{answer}(qemu) ", echo(line)))
            .await;
    }
    let mut qmp = program.client("").await;
    qmp.send("{}").await;
    assert_eq!(short(&qmp.line().await), "QMP input lacks member 'execute'");
}
