//! Each fault shows, and nothing else is wrong with its mock.

use std::time::Duration;

use tinamou_mock::{Fault, Mock};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::talk::{GREETING, HELLO, exchange, lines, runtime, talk};

/// What a faulty mock answers to a negotiation and a line behind it.
fn check(fault: &str, input: &str, expected: &[&str]) {
    let mock = Mock::with(fault.parse::<tinamou_mock::Planted>().expect(fault));
    let output = talk(&mock, &[HELLO, input]);
    let expected: Vec<&str> = [GREETING, OK].iter().chain(expected).copied().collect();
    assert_eq!(output, expected, "{fault}: {input}");
}

/// The same for what comes before the negotiation, or in its place.
fn check_start(fault: &str, input: &[&str], expected: &[&str]) {
    let mock = Mock::with(fault.parse::<tinamou_mock::Planted>().expect(fault));
    assert_eq!(talk(&mock, input), expected, "{fault}: {input:?}");
}

const OK: &str = r#"{"return": {}}"#;
const NAME: &str = r#"{"execute": "query-uuid", "id": 7}"#;
const NAMED: &str = r#"{"return": {"UUID": "made-up"}, "id": 7}"#;
const SCALAR: &str =
    r#"{"error": {"class": "GenericError", "desc": "QMP input must be a JSON object"}}"#;
const RESUME: &str = r#"{"event": "RESUME"}"#;

#[test]
fn greetings() {
    for (fault, expected) in [
        ("no-greeting", &[OK][..]),
        ("late-greeting:ms=1", &[GREETING, OK]),
        ("hang-up", &[]),
        ("garbled-greeting", &["hello, this is a server", OK]),
        ("repeated-greeting", &[GREETING, GREETING, OK]),
        ("event-before-greeting", &[RESUME, GREETING, OK]),
        ("event-before-negotiation", &[GREETING, RESUME, OK]),
        (
            "greeting-without-version",
            &[r#"{"QMP": {"capabilities": ["oob"]}}"#, OK],
        ),
        (
            "greeting-without-capabilities",
            &[
                r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "qmp mock"}}}"#,
                OK,
            ],
        ),
    ] {
        check_start(fault, &[HELLO], expected);
    }
}

#[test]
fn negotiations() {
    let refused = r#"{"error": {"class": "GenericError", "desc": "Capability oob not available"}}"#;
    let oob = r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}"#;
    let odd = r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["odd"]}}"#;
    for (fault, input, expected) in [
        (
            "negotiation-refused",
            &[HELLO][..],
            &[GREETING, refused][..],
        ),
        ("negotiation-needless", &[NAME], &[GREETING, NAMED]),
        (
            "negotiation-repeatable",
            &[HELLO, HELLO],
            &[GREETING, OK, OK],
        ),
        (
            "unknown-capability-accepted",
            &[odd, NAME],
            &[GREETING, OK, NAMED],
        ),
        ("oob-refused", &[oob, HELLO], &[GREETING, refused, OK]),
        (
            "stall:command=qmp_capabilities",
            &[HELLO, NAME],
            &[GREETING],
        ),
    ] {
        check_start(fault, input, expected);
    }
}

#[test]
fn replies() {
    for (fault, expected) in [
        (
            "wrong-id",
            &[r#"{"return": {"UUID": "made-up"}, "id": "another's"}"#][..],
        ),
        ("missing-id", &[r#"{"return": {"UUID": "made-up"}}"#]),
        (
            "text-id",
            &[r#"{"return": {"UUID": "made-up"}, "id": "7"}"#],
        ),
        ("no-reply", &[]),
        ("repeated-reply", &[NAMED, NAMED]),
        (
            "unasked-reply",
            &[r#"{"return": {}, "id": "nobody's"}"#, NAMED],
        ),
        ("delay:ms=1", &[NAMED]),
        ("cut", &[&NAMED[..21]]),
        ("close", &[]),
        ("stall", &[]),
        ("half-close", &[]),
        ("garble", &["{\"return\": {\"UUID\": \"}{]\x01"]),
        ("garbage-line", &["this is no JSON", NAMED]),
        ("huge-reply:bytes=3", &[r#"{"return": "aaa", "id": 7}"#]),
        ("split-reply", &[NAMED]),
        (
            "return-and-error",
            &[
                r#"{"return": {"UUID": "made-up"}, "id": 7, "error": {"class": "GenericError", "desc": "made up by a fault"}}"#,
            ],
        ),
        ("neither-return-nor-error", &[r#"{"id": 7}"#]),
        ("not-an-object", &[r#"[{"UUID": "made-up"}, 7]"#]),
        ("wrong-return-type", &[r#"{"return": "a string", "id": 7}"#]),
        ("unterminated-reply", &[NAMED]),
        (
            "unexpected-error",
            &[r#"{"id": 7, "error": {"class": "GenericError", "desc": "made up by a fault"}}"#],
        ),
        ("undeclared-event", &[NAMED, r#"{"event": "MADE_UP"}"#]),
        ("delay:command=stop,ms=600000", &[NAMED]),
        ("close:from=2", &[NAMED]),
    ] {
        check(fault, NAME, expected);
    }
    check(
        "needless-id",
        r#"{"execute": "stop"}"#,
        &[r#"{"event": "STOP"}"#, r#"{"return": {}, "id": 0}"#],
    );
    check(
        "rounded-id",
        r#"{"execute": "cont", "id": 9007199254740993}"#,
        &[r#"{"return": {}, "id": 9007199254740992}"#],
    );
    check(
        "reorder:times=1",
        &[NAME, &NAME.replace('7', "8")].concat(),
        &[&NAMED.replace('7', "8"), NAMED],
    );
    check(
        "repeated-reply:times=1",
        &[NAME, NAME].concat(),
        &[NAMED, NAMED, NAMED],
    );
}

#[test]
fn errors() {
    let wrong = r#"{"execute": "nonsense"}"#;
    let desc = "The command nonsense has not been found";
    let sound = format!(r#"{{"error": {{"class": "CommandNotFound", "desc": "{desc}"}}}}"#);
    for (fault, expected) in [
        (
            "error-without-class",
            format!(r#"{{"error": {{"desc": "{desc}"}}}}"#),
        ),
        (
            "error-without-desc",
            r#"{"error": {"class": "CommandNotFound"}}"#.to_owned(),
        ),
        (
            "unknown-error-class",
            sound.replace("CommandNotFound", "MadeUpError"),
        ),
        ("text-error", r#"{"error": "it went wrong"}"#.to_owned()),
    ] {
        check(fault, &[wrong, NAME].concat(), &[&expected, NAMED]);
    }
    check("close-on-error", &[wrong, NAME].concat(), &[&sound]);
}

#[test]
fn requests() {
    let deep = format!(
        r#"{{"execute": "stop", "arguments": {{"x": {}{}}}}}"#,
        "[".repeat(17),
        "]".repeat(17)
    );
    let long = format!(
        r#"{{"execute": "query-uuid", "id": "{}"}}"#,
        "x".repeat(70_000)
    );
    for (fault, input, expected) in [
        (
            "unknown-member-ignored",
            r#"{"execute": "cont", "x": 1}"#,
            &[OK][..],
        ),
        ("unknown-member-ignored", "12\n3", &[SCALAR, SCALAR]),
        ("missing-command-ignored", r#"{"id": 1}"#, &[]),
        (
            "arguments-type-ignored",
            r#"{"execute": "cont", "arguments": []}"#,
            &[OK],
        ),
        (
            "unknown-command-accepted",
            r#"{"execute": "nonsense"}"#,
            &[OK],
        ),
        ("close-on-bad-json", "{]", &[]),
        ("silent-on-bad-json", "{]\n{\"execute\": \"cont\"}", &[OK]),
        ("short-lines", &long, &[]),
        (
            "shallow-nesting",
            &deep,
            &[
                r#"{"error": {"class": "GenericError", "desc": "JSON nesting depth limit exceeded"}}"#,
            ],
        ),
        (
            "unknown-argument-accepted",
            r#"{"execute": "cont", "arguments": {"x": 1}}"#,
            &[OK],
        ),
        (
            "missing-argument-accepted",
            r#"{"execute": "device_del"}"#,
            &[OK],
        ),
        (
            "wrong-type-accepted",
            r#"{"execute": "device_del", "arguments": {"id": 1}}"#,
            &[OK],
        ),
        (
            "unknown-value-accepted",
            r#"{"execute": "set-action", "arguments": {"reboot": "x"}}"#,
            &[OK],
        ),
        ("oob-for-all", r#"{"exec-oob": "cont"}"#, &[OK]),
        (
            "oob-unnegotiated",
            r#"{"exec-oob": "query-yank"}"#,
            &[r#"{"return": []}"#],
        ),
    ] {
        check(fault, input, expected);
    }
    check_start("one-request-per-read", &[HELLO, NAME], &[GREETING, OK]);
}

#[test]
fn events() {
    let stop = r#"{"execute": "stop"}"#;
    for (fault, expected) in [
        ("event-without-timestamp", &[r#"{"event": "STOP"}"#, OK][..]),
        (
            "text-timestamp",
            &[r#"{"timestamp": "now", "event": "STOP"}"#, OK],
        ),
        (
            "empty-event-data",
            &[r#"{"event": "STOP", "data": {}}"#, OK],
        ),
        (
            "repeated-event",
            &[r#"{"event": "STOP"}"#, r#"{"event": "STOP"}"#, OK],
        ),
        ("event-after-reply", &[OK, r#"{"event": "STOP"}"#]),
        ("lost-event", &[OK]),
    ] {
        check(fault, stop, expected);
    }
}

#[test]
fn introspection() {
    let commands = |fault: &str, command: &str| -> bool {
        let planted: tinamou_mock::Planted = fault.parse().expect(fault);
        let output = talk(
            &Mock::with(planted),
            &[HELLO, r#"{"execute": "query-commands"}"#],
        );
        output[2].contains(&format!("\"{command}\""))
    };
    assert!(commands("phantom-command", "phantom"));
    assert!(!commands("hidden-command", "query-name"));
    assert!(!commands("commands-disagree", "query-name"));
    let shown = |fault: Fault, text: &str| {
        let output = talk(
            &Mock::with(fault),
            &[HELLO, r#"{"execute": "query-qmp-schema"}"#],
        );
        output[2].contains(text)
    };
    assert!(shown(Fault::PhantomCommand, r#"{"name": "phantom""#));
    assert!(shown(
        Fault::PhantomArgument,
        r#"{"name": "phantom", "type": "bool", "default": null}"#
    ));
    assert!(!shown(Fault::HiddenCommand, r#"{"name": "query-name""#));
    assert!(shown(Fault::CommandsDisagree, r#"{"name": "query-name""#));
    check("hidden-command", r#"{"execute": "query-name"}"#, &[OK]);
}

#[test]
fn out_of_band_in_its_turn() {
    let rules = r#"{"command": "query-uuid", "delay": 30}"#;
    let oob = r#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}"#;
    let yank = r#"{"exec-oob": "query-yank"}"#;
    let yanked = r#"{"return": []}"#;
    let answered = r#"{"return": {}, "id": 7}"#;
    for (fault, expected) in [
        ("lost-event", [yanked, answered]),
        ("oob-in-turn", [answered, yanked]),
    ] {
        let rules = tinamou_mock::Rules::parse(rules).expect("rules");
        let fault: Fault = fault.parse().expect("a fault");
        let mock = Mock::builder().rules(rules).fault(fault).build();
        let output = runtime().block_on(async {
            use tokio::io::AsyncWriteExt;
            let (mut client, server) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move { mock.serve(server).await });
            for request in [oob, NAME, yank] {
                client.write_all(request.as_bytes()).await.expect("a pipe");
            }
            let mut output = vec![0; 1 << 12];
            let mut length = 0;
            while output[..length]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count()
                < 4
            {
                length += client.read(&mut output[length..]).await.expect("a pipe");
            }
            lines(&output[..length])
        });
        assert_eq!(output[2..], expected, "{fault}");
    }
}

#[test]
fn broken_bytes() {
    let bytes = |fault: Fault| {
        let input = format!("{HELLO}{NAME}");
        runtime().block_on(exchange(&Mock::with(fault), input.as_bytes()))
    };
    assert!(String::from_utf8(bytes(Fault::InvalidUtf8)).is_err());
    assert!(!bytes(Fault::UnterminatedReply).ends_with(b"\n"));
    let inside = String::from_utf8(bytes(Fault::EventInsideReply)).expect("text");
    assert!(
        inside.contains(r#"{"return": {"UUID": "{"timestamp""#),
        "{inside}"
    );
}

#[test]
fn an_endless_line_has_no_end() {
    runtime().block_on(async {
        use tokio::io::AsyncWriteExt;
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let serving =
            tokio::spawn(async move { Mock::with(Fault::EndlessLine).serve(server).await });
        client
            .write_all(format!("{HELLO}{NAME}").as_bytes())
            .await
            .expect("a pipe");
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        while total < 10 << 20 {
            total += client.read(&mut buffer).await.expect("a pipe");
        }
        drop(client);
        let ended = timeout(Duration::from_secs(60), serving).await;
        assert!(ended.expect("it notices").expect("no panic").is_err());
    });
}
