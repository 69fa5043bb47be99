//! The generated types against what QEMU sends and takes: what is read is
//! written again as it was.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Debug;

use tinamou_api as api;
use tinamou_qmp::json::{self, Style};
use tinamou_qmp::{Command, Event, Object, Value, ValueSource, Visit, VisitMembers, visit};

fn read<T: Visit>(text: &str) -> tinamou_qmp::Result<T> {
    let value = json::parse(text.as_bytes()).unwrap();
    T::visit(&mut ValueSource::json(value), None)
}

fn object(text: &str) -> Object {
    match json::parse(text.as_bytes()).unwrap() {
        Value::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

fn written(value: &impl serde::Serialize) -> String {
    String::from_utf8(json::to_vec(value, Style::Compact).unwrap()).unwrap()
}

/// The text has its members in schema order.
fn check_return<K: Command<Return: Visit>>(text: &str) {
    assert_eq!(written(&read::<K::Return>(text).unwrap()), text);
}

fn check_arguments<K: Command>(text: &str) {
    let arguments = visit::arguments::<K::Arguments>(object(text)).unwrap();
    assert_eq!(written(&arguments), text);
}

fn check_refusal<T: VisitMembers + Debug>(text: &str, expected: &str) {
    let error = visit::arguments::<T>(object(text)).unwrap_err();
    assert_eq!(error.to_string(), expected, "{text}");
}

#[test]
fn returns() {
    check_return::<api::QueryStatus>(r#"{"running": false, "status": "prelaunch"}"#);
    check_return::<api::QueryVersion>(
        r#"{"qemu": {"major": 10, "minor": 0, "micro": 2}, "package": ""}"#,
    );
    check_return::<api::QueryUuid>(r#"{"UUID": "12345678-1234-4234-8234-123456789abc"}"#);
    check_return::<api::QueryKvm>(r#"{"enabled": false, "present": false}"#);
    check_return::<api::QueryMemorySizeSummary>(r#"{"base-memory": 268435456}"#);
    check_return::<api::QueryChardev>(concat!(
        r#"[{"label": "ser0", "filename": "null", "frontend-open": true}, "#,
        r#"{"label": "mc0", "filename": "unix:/SOCKET,server=on", "frontend-open": false}]"#,
    ));
    check_return::<api::ChardevAdd>("{}");
    check_return::<api::ChardevAdd>(r#"{"pty": "/dev/pts/3"}"#);
    check_return::<api::QomList>(r#"[{"name": "kernel", "type": "string"}]"#);
    check_return::<api::QueryFdsets>(
        r#"[{"fdset-id": 1, "fds": [{"fd": 3, "opaque": "rdonly"}, {"fd": 4}]}]"#,
    );
}

#[test]
fn values_of_any_type() {
    check_return::<api::DeviceListProperties>(
        r#"[{"name": "a", "type": "bool", "description": "on/off", "default-value": true}]"#,
    );
    check_return::<api::QomGet>(r#"{"deep": [1, -1, 1.5, null, "text", {}]}"#);
}

#[test]
fn unions_by_a_member() {
    check_return::<api::QueryYank>(
        r#"[{"type": "chardev", "id": "mc0"}, {"type": "migration"}, {"type": "block-node", "node-name": "a"}]"#,
    );
    check_return::<api::QueryCpusFast>(concat!(
        r#"[{"cpu-index": 0, "qom-path": "/machine/soc0/harts[0]", "thread-id": 24128, "#,
        r#""props": {"core-id": 0}, "target": "riscv64"}]"#,
    ));
    check_return::<api::QueryQmpSchema>(concat!(
        r#"[{"name": "int", "meta-type": "builtin", "json-type": "int"}, "#,
        r#"{"name": "[7]", "meta-type": "array", "element-type": "7"}, "#,
        r#"{"name": "7", "meta-type": "object", "members": "#,
        r#"[{"name": "a", "type": "int", "default": null, "features": ["unstable"]}], "#,
        r#""tag": "a", "variants": [{"case": "b", "type": "7"}]}, "#,
        r#"{"name": "8", "meta-type": "alternate", "members": [{"type": "int"}]}, "#,
        r#"{"name": "quit", "meta-type": "command", "arg-type": "0", "ret-type": "0", "allow-oob": true}]"#,
    ));
}

#[test]
fn unions_in_unions() {
    for backend in [
        r#"{"type": "null", "data": {}}"#,
        r#"{"type": "ringbuf", "data": {"logfile": "a", "logappend": true, "size": 4096}}"#,
        r#"{"type": "stdio", "data": {"signal": false}}"#,
        r#"{"type": "file", "data": {"out": "a", "append": true}}"#,
        r#"{"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": "a"}}, "server": true, "wait": false}}"#,
        r#"{"type": "socket", "data": {"addr": {"type": "inet", "data": {"host": "a", "port": "1", "ipv4": true}}, "reconnect-ms": 5}}"#,
        r#"{"type": "udp", "data": {"remote": {"type": "fd", "data": {"str": "3"}}}}"#,
    ] {
        check_arguments::<api::ChardevAdd>(&format!(r#"{{"id": "c", "backend": {backend}}}"#));
    }
}

#[test]
fn arguments() {
    check_arguments::<api::QmpCapabilities>("{}");
    check_arguments::<api::QmpCapabilities>(r#"{"enable": ["oob"]}"#);
    check_arguments::<api::SetAction>(r#"{"reboot": "shutdown", "panic": "exit-failure"}"#);
    check_arguments::<api::QomSet>(r#"{"path": "/a", "property": "b", "value": [null]}"#);
    check_arguments::<api::AddFd>(r#"{"fdset-id": 3, "opaque": "rdwr:/a"}"#);
}

#[test]
fn refusals() {
    type ChardevAdd = api::ChardevAddArguments;
    check_refusal::<ChardevAdd>("{}", "Parameter 'id' is missing");
    check_refusal::<ChardevAdd>(r#"{"id": "a"}"#, "Parameter 'backend' is missing");
    check_refusal::<ChardevAdd>(
        r#"{"id": "a", "backend": {"type": "warp"}}"#,
        "Parameter 'type' does not accept value 'warp'",
    );
    check_refusal::<ChardevAdd>(
        r#"{"id": "a", "backend": {"type": "null", "data": {"a": 1}}}"#,
        "Parameter 'backend.data.a' is unexpected",
    );
    check_refusal::<ChardevAdd>(
        r#"{"id": "a", "backend": {"type": "file", "data": {"out": 1}}}"#,
        "Invalid parameter type for 'backend.data.out', expected: string",
    );
    check_refusal::<()>(r#"{"a": 1}"#, "Parameter 'a' is unexpected");
}

#[test]
fn events() {
    fn check<E: Event>(event: &E, name: &str, expected: Option<&str>) {
        assert_eq!(E::NAME, name);
        assert_eq!(E::HAS_DATA, expected.is_some());
        assert_eq!(written(event), expected.unwrap_or("{}"));
    }
    check(&api::StopEvent {}, "STOP", None);
    let shutdown = api::ShutdownEvent {
        guest: true,
        reason: api::ShutdownCause::GuestShutdown,
    };
    let data = r#"{"guest": true, "reason": "guest-shutdown"}"#;
    check(&shutdown, "SHUTDOWN", Some(data));
}

/// Commands and events are what introspection lists.
#[test]
fn introspection_lists_what_there_is() {
    let names: Vec<&str> = api::SCHEMA.entries.iter().map(|entry| entry.name).collect();
    for name in [
        api::QueryStatus::SPEC.name,
        api::ChardevAdd::SPEC.name,
        api::Quit::SPEC.name,
        api::ShutdownEvent::NAME,
    ] {
        assert!(names.contains(&name), "{name}");
    }
}
