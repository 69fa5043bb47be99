//! Sound mocks: what rules say, and what is done without any.

use tinamou_mock::{Builder, Mock, Rules, Schema};

use crate::talk::{GREETING, HELLO, talk};

fn check(builder: Builder, input: &[&str], expected: &[&str]) {
    let input: Vec<&str> = [HELLO].iter().chain(input).copied().collect();
    let output = talk(&builder.build(), &input);
    let expected: Vec<&str> = [GREETING, r#"{"return": {}}"#]
        .iter()
        .chain(expected)
        .copied()
        .collect();
    assert_eq!(output, expected, "{input:?}");
}

fn by(rules: &str) -> Builder {
    let rules = Rules::parse(rules).expect("rules");
    rules.check(&Schema::whole()).expect("sound rules");
    Mock::builder().rules(rules)
}

#[test]
fn the_base_needs_no_rules() {
    check(
        Mock::builder(),
        &[
            r#"{"execute": "query-status", "id": 1}"#,
            r#"{"execute": "stop", "id": [2]}"#,
            r#"{"execute": "query-status", "id": {"three": 3}}"#,
            r#"{"execute": "stop"}"#,
            r#"{"execute": "cont"}"#,
            r#"{"execute": "quit"}"#,
            r#"{"execute": "query-status"}"#,
        ],
        &[
            r#"{"return": {"status": "running", "running": true}, "id": 1}"#,
            r#"{"event": "STOP"}"#,
            r#"{"return": {}, "id": [2]}"#,
            r#"{"return": {"status": "paused", "running": false}, "id": {"three": 3}}"#,
            r#"{"return": {}}"#,
            r#"{"event": "RESUME"}"#,
            r#"{"return": {}}"#,
            r#"{"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}"#,
            r#"{"return": {}}"#,
        ],
    );
}

#[test]
fn commands_are_checked_and_made_up() {
    check(
        Mock::builder(),
        &[
            r#"{"execute": "query-uuid"}"#,
            r#"{"execute": "query-blockstats"}"#,
            r#"{"execute": "nonsense"}"#,
            r#"{"execute": "device_del"}"#,
            r#"{"execute": "device_del", "arguments": {"id": 1}}"#,
            r#"{"execute": "device_del", "arguments": {"id": "x", "y": 1}}"#,
            r#"{"execute": "set-action", "arguments": {"reboot": "maybe"}}"#,
            r#"{"execute": "device_del", "arguments": {"id": "x"}}"#,
        ],
        &[
            r#"{"return": {"UUID": "made-up"}}"#,
            r#"{"return": []}"#,
            r#"{"error": {"class": "CommandNotFound", "desc": "The command nonsense has not been found"}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Parameter 'id' is missing"}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Invalid parameter type for 'id', expected: string"}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Parameter 'y' is unexpected"}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Parameter 'reboot' does not accept value 'maybe'"}}"#,
            r#"{"return": {}}"#,
        ],
    );
}

#[test]
fn a_strict_mock_makes_nothing_up() {
    check(
        Mock::builder().strict(),
        &[r#"{"execute": "query-uuid"}"#],
        &[r#"{"error": {"class": "GenericError", "desc": "No rule answers 'query-uuid'"}}"#],
    );
}

#[test]
fn rules_answer() {
    let rules = r#"
        # The first rule that fits is the one.
        {"command": "device_del", "arguments": {"id": "a"}, "return": {},
         "events": [{"event": "DEVICE_DELETED", "data": {"device": "a", "path": "/a"}, "after": 0}]}
        {"command": "device_del", "error": {"class": "DeviceNotFound", "desc": "no"}}
        {"command": "query-uuid", "sequence": [{"return": {"UUID": "1"}}, {"return": {"UUID": "2"}}]}
        {"command": "query-vm-*", "error": {"class": "OddError", "desc": "odd"}, "delay": 1}
    "#;
    check(
        by(rules),
        &[
            r#"{"execute": "device_del", "arguments": {"id": "a"}}"#,
            r#"{"execute": "device_del", "arguments": {"id": "b"}}"#,
            r#"{"execute": "query-uuid"}"#,
            r#"{"execute": "query-uuid"}"#,
            r#"{"execute": "query-uuid"}"#,
        ],
        &[
            r#"{"return": {}}"#,
            r#"{"event": "DEVICE_DELETED", "data": {"device": "a", "path": "/a"}}"#,
            r#"{"error": {"class": "DeviceNotFound", "desc": "no"}}"#,
            r#"{"return": {"UUID": "1"}}"#,
            r#"{"return": {"UUID": "2"}}"#,
            r#"{"return": {"UUID": "2"}}"#,
        ],
    );
}

#[test]
fn every_made_up_value_fits_its_type() {
    let schema = Schema::whole();
    for command in schema.commands() {
        let value = schema.example_return(command);
        let checked = schema.check_return(command, value.clone());
        assert_eq!(checked, Ok(()), "{command}: {value:?}");
    }
}

#[test]
fn a_schema_is_found_in_what_holds_it() {
    let ours = Schema::whole();
    let array = serde_json::to_string(ours.introspection()).expect("JSON");
    let reply = format!(r#"{{"return": {array}, "id": 1}}"#);
    let recording =
        format!("{{\"recording\": 1}}\n{{\"from\": \"server\", \"message\": {reply}}}\n");
    for text in [&array, &reply, &recording] {
        let schema = Schema::from_text(text).expect("a schema");
        assert_eq!(schema.commands(), ours.commands());
    }
    for text in [
        "",
        "[]",
        "{}",
        "[1]",
        r#"[{"meta-type": "array", "name": "x", "element-type": "y"}]"#,
    ] {
        assert!(Schema::from_text(text).is_err(), "{text}");
    }
}
