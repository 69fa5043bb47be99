//! Output: exact bytes, and that it reads back.

use proptest::prelude::*;
use tinamou_qmp::json::{Style, append, parse, to_vec};
use tinamou_qmp::session::{Session, event};
use tinamou_qmp::{Error, Event, Object, Value};

use crate::server::{feed, greeting};

fn text(value: &Value, style: Style) -> String {
    String::from_utf8(to_vec(value, style).unwrap()).unwrap()
}

#[test]
fn doubles_have_17_digits() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.10000000000000001"),
        (1e-4, "0.0001"),
        (1e-5, "1.0000000000000001e-05"),
        (1e-7, "9.9999999999999995e-08"),
        (123_456.789, "123456.789"),
        (1e16, "10000000000000000"),
        (1e17, "1e+17"),
        (99_999_999_999_999_999.0, "1e+17"),
        (1.234_567_890_123_456_8e20, "1.2345678901234568e+20"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "4.9406564584124654e-324"),
        (f64::INFINITY, "1e999"),
        (f64::NEG_INFINITY, "-1e999"),
    ] {
        assert_eq!(text(&Value::Double(value), Style::Compact), expected);
    }
}

#[test]
fn strings_are_ascii() {
    for (value, expected) in [
        ("\"\\/'", r#""\"\\/'""#),
        ("\u{8}\u{C}\n\r\t\u{0}\u{1F}", r#""\b\f\n\r\t\u0000\u001F""#),
        ("~\u{7F}é€😀", r#""~\u007F\u00E9\u20AC\uD83D\uDE00""#),
        ("a\u{FFFE}b\u{FDD0}\u{10FFFF}", r#""a\uFFFDb\uFFFD\uFFFD""#),
    ] {
        assert_eq!(
            text(&Value::String(value.to_owned()), Style::Compact),
            expected
        );
    }
}

#[test]
fn both_styles() {
    let value = parse(br#"{"a":[1,{"b":{}},[]],"c":null}"#).unwrap();
    assert_eq!(
        text(&value, Style::Compact),
        r#"{"a": [1, {"b": {}}, []], "c": null}"#
    );
    let pretty = r#"{
    "a": [
        1,
        {
            "b": {
            }
        },
        [
        ]
    ],
    "c": null
}"#;
    assert_eq!(text(&value, Style::Pretty), pretty.replace('\n', "\r\n"));
}

#[test]
fn a_failed_value_leaves_no_trace() {
    let mut out = b"before".to_vec();
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(append(&mut out, &map, Style::Compact, 0).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn pretty_sessions() {
    let mut session = Session::new(&greeting(), Style::Pretty);
    feed(
        &mut session,
        br#"{"execute": "qmp_capabilities"}{"execute": "query-name", "id": []}{}"#,
    );
    let expected = r#"{
    "QMP": {
        "version": {
            "qemu": {
                "micro": 2,
                "minor": 0,
                "major": 10
            },
            "package": ""
        },
        "capabilities": [
            "oob"
        ]
    }
}
{
    "return": {
    }
}
{
    "return": {
        "name": "probe"
    },
    "id": [
    ]
}
{
    "error": {
        "class": "GenericError",
        "desc": "QMP input lacks member 'execute'"
    }
}
"#;
    assert_eq!(
        String::from_utf8(session.take_output()).unwrap(),
        expected.replace('\n', "\r\n")
    );
}

#[derive(serde::Serialize)]
struct Shutdown {
    guest: bool,
}

impl Event for Shutdown {
    const NAME: &'static str = "SHUTDOWN";
    const HAS_DATA: bool = true;
}

#[derive(serde::Serialize)]
struct Stop {}

impl Event for Stop {
    const NAME: &'static str = "STOP";
    const HAS_DATA: bool = false;
}

#[test]
fn events() {
    let time = std::time::Duration::new(1_700_000_000, 25_999);
    assert_eq!(
        event(&Shutdown { guest: false }, time, Style::Compact).unwrap(),
        b"{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 25}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": false}}\r\n"
    );
    assert_eq!(
        event(&Stop {}, time, Style::Compact).unwrap(),
        b"{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 25}, \"event\": \"STOP\"}\r\n"
    );
}

#[test]
fn serde_reads_values_too() {
    let text = r#"{"a": [null, true, -1, 18446744073709551615, 0.5, "x"]}"#;
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(Ok(value), parse(text.as_bytes()));
}

#[test]
fn one_text_holds_one_value() {
    for (text, expected) in [
        ("", "Expecting a JSON value"),
        ("{} {}", "Expecting at most one JSON value"),
        ("{}1", "Expecting at most one JSON value"),
        ("{", "JSON parse error, premature EOI"),
        (r#"{"driver""#, "JSON parse error, premature EOI"),
        (r#"{"a":tru"#, "JSON parse error, invalid keyword 'tru'"),
        (r#"{"a":1."#, "JSON parse error, stray '1.'"),
        ("{\"a\":\"x\n\"}", "JSON parse error, stray '\"x\n'"),
        ("@@", "JSON parse error, stray '@'"),
    ] {
        assert_eq!(
            parse(text.as_bytes()),
            Err(Error::generic(expected)),
            "{text}"
        );
    }
    assert_eq!(parse(b" 12"), Ok(Value::Int(12)));
}

/// Values that survive: QEMU's reader knows no non-characters, and takes a
/// double with a whole value, which is written without a point, for an integer.
fn values() -> impl Strategy<Value = Value> {
    let text = any::<String>().prop_map(|text| {
        text.chars()
            .filter(|&c| u32::from(c) < 0xFDD0)
            .collect::<String>()
    });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (1 << 63..=u64::MAX).prop_map(Value::Uint),
        any::<f64>()
            .prop_filter("fraction", |x| x.is_infinite() || x.fract() != 0.0)
            .prop_map(Value::Double),
        text.clone().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in values()) {
        for style in [Style::Compact, Style::Pretty] {
            let text = to_vec(&value, style).unwrap();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(parse(&text), Ok(value.clone()));
        }
    }

    #[test]
    fn doubles_read_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        let text = text(&Value::Double(value), Style::Compact);
        prop_assert_eq!(text.parse::<f64>(), Ok(value));
    }
}
