//! Arguments against types, with the answers of QEMU 10.0.2.

use tinamou_qmp::visit::{self, Kind, Name, Source, Visit, VisitMembers};
use tinamou_qmp::{Object, Result, Value, json};

/// What the compiler makes of a struct with these members, all required but
/// those of the second group.
macro_rules! schema_struct {
    ($name:ident { $($member:ident: $type:ty = $wire:literal),* } $({ $($option:ident: $of:ty = $key:literal),* })?) => {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only the faults are looked at")]
        struct $name { $($member: $type,)* $($($option: Option<$of>,)*)? }

        impl Visit for $name {
            fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
                visit::structure(source, name)
            }
        }

        impl VisitMembers for $name {
            fn visit_members<S: Source>(source: &mut S) -> Result<Self> {
                Ok(Self {
                    $($member: <$type>::visit(source, Some($wire))?,)*
                    $($($option: visit::optional(source, $key)?,)*)?
                })
            }
        }
    };
}

macro_rules! schema_enum {
    ($name:ident { $($value:ident = $wire:literal),* }) => {
        #[derive(Clone, Copy, Debug)]
        enum $name { $($value),* }

        impl Visit for $name {
            fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
                visit::enumeration(source, name, &[$(($wire, Self::$value)),*])
            }
        }
    };
}

schema_struct!(SetLink {
    name: String = "name",
    up: bool = "up"
});
schema_struct!(Balloon {
    value: i64 = "value"
});
schema_struct!(SendKey { keys: Vec<Key> = "keys" } { hold_time: i64 = "hold-time" });
schema_struct!(Backend { size: u64 = "size" } {
    host_nodes: Vec<u16> = "host-nodes",
    threads: u32 = "prealloc-threads",
    initial: u8 = "cpu-throttle-initial",
    nothing: () = "nothing",
    ratio: f64 = "ratio",
    anything: Value = "anything"
});
schema_struct!(Number { data: i64 = "data" });
schema_struct!(Code {
    data: QKeyCode = "data"
});
schema_struct!(Blockdev { driver: Driver = "driver" } { file: BlockdevRef = "file" });
schema_enum!(QKeyCode { A = "a", B = "b" });
schema_enum!(KeyType { Number = "number", QCode = "qcode" });
schema_enum!(Driver { Raw = "raw", QCow2 = "qcow2" });

/// A flat union: its branch follows the discriminator.
#[derive(Debug)]
#[expect(dead_code, reason = "only the faults are looked at")]
enum Key {
    Number(Number),
    Code(Code),
}

impl Visit for Key {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        visit::structure(source, name)
    }
}

impl VisitMembers for Key {
    fn visit_members<S: Source>(source: &mut S) -> Result<Self> {
        Ok(match KeyType::visit(source, Some("type"))? {
            KeyType::Number => Self::Number(VisitMembers::visit_members(source)?),
            KeyType::QCode => Self::Code(VisitMembers::visit_members(source)?),
        })
    }
}

/// An alternate.
#[derive(Debug)]
#[expect(dead_code, reason = "only the faults are looked at")]
enum BlockdevRef {
    Definition(Box<Blockdev>),
    Reference(String),
}

impl Visit for BlockdevRef {
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {
        match source.kind(name)? {
            Kind::Object => Visit::visit(source, name).map(Self::Definition),
            Kind::String => Visit::visit(source, name).map(Self::Reference),
            _ => Err(visit::no_branch(name, "BlockdevRef")),
        }
    }
}

/// Each fault is one that QEMU reports; `ok` is none.
fn check<T: VisitMembers>(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let Ok(Value::Object(arguments)) = json::parse(text.as_bytes()) else {
            panic!("{text} is no object");
        };
        let outcome =
            visit::arguments::<T>(arguments).map_or_else(|error| error.desc, |_| "ok".to_owned());
        assert_eq!(outcome, *expected, "{text}");
    }
}

#[test]
fn no_arguments() {
    check::<()>(&[
        ("{}", "ok"),
        (r#"{"x": null}"#, "Parameter 'x' is unexpected"),
        (r#"{"aaa": 1, "bbb": 2}"#, "Parameter 'bbb' is unexpected"),
    ]);
}

#[test]
fn arguments_read_by_hand() {
    let Ok(Value::Object(arguments)) = json::parse(br#"{"driver": 1, "x": [2]}"#) else {
        panic!()
    };
    assert_eq!(visit::arguments::<Object>(arguments.clone()), Ok(arguments));
}

#[test]
fn scalars() {
    check::<SetLink>(&[
        (r#"{"name": "x", "up": true}"#, "ok"),
        (
            r#"{"name": "x", "up": 1}"#,
            "Invalid parameter type for 'up', expected: boolean",
        ),
        (
            r#"{"name": "x", "up": "on"}"#,
            "Invalid parameter type for 'up', expected: boolean",
        ),
        (
            r#"{"name": "x", "up": null}"#,
            "Invalid parameter type for 'up', expected: boolean",
        ),
        (r#"{"up": true}"#, "Parameter 'name' is missing"),
        ("{}", "Parameter 'name' is missing"),
        (
            r#"{"name": 1, "up": 1}"#,
            "Invalid parameter type for 'name', expected: string",
        ),
        (
            r#"{"name": "x", "up": 1, "z": 1}"#,
            "Invalid parameter type for 'up', expected: boolean",
        ),
        (
            r#"{"name": "x", "up": true, "z": 1, "y": 2}"#,
            "Parameter 'z' is unexpected",
        ),
    ]);
    check::<Balloon>(&[
        (r#"{"value": -1}"#, "ok"),
        (r#"{"value": 9223372036854775807}"#, "ok"),
        (
            r#"{"value": 9223372036854775808}"#,
            "Invalid parameter type for 'value', expected: integer",
        ),
        (
            r#"{"value": 18446744073709551616}"#,
            "Invalid parameter type for 'value', expected: integer",
        ),
        (
            r#"{"value": "1"}"#,
            "Invalid parameter type for 'value', expected: integer",
        ),
        (
            r#"{"value": 1.0}"#,
            "Invalid parameter type for 'value', expected: integer",
        ),
        (
            r#"{"value": 1e9}"#,
            "Invalid parameter type for 'value', expected: integer",
        ),
        (
            r#"{"value": [1]}"#,
            "Invalid parameter type for 'value', expected: integer",
        ),
    ]);
}

#[test]
fn ranges() {
    check::<Backend>(&[
        (r#"{"size": 18446744073709551615}"#, "ok"),
        (r#"{"size": -1}"#, "ok"),
        (r#"{"size": "1M"}"#, "Parameter 'size' expects uint64"),
        (r#"{"size": 1.0}"#, "Parameter 'size' expects uint64"),
        (r#"{"size": 1, "host-nodes": [0, 65535]}"#, "ok"),
        (
            r#"{"size": 1, "host-nodes": [65536]}"#,
            "Parameter 'null' expects uint16_t",
        ),
        (
            r#"{"size": 1, "host-nodes": [-1]}"#,
            "Parameter 'null' expects uint16_t",
        ),
        (
            r#"{"size": 1, "host-nodes": ["x"]}"#,
            "Parameter 'host-nodes[0]' expects uint64",
        ),
        (
            r#"{"size": 1, "host-nodes": {}}"#,
            "Invalid parameter type for 'host-nodes', expected: array",
        ),
        (
            r#"{"size": 1, "prealloc-threads": 4294967296}"#,
            "Parameter 'prealloc-threads' expects uint32_t",
        ),
        (
            r#"{"size": 1, "prealloc-threads": -1}"#,
            "Parameter 'prealloc-threads' expects uint32_t",
        ),
        (
            r#"{"size": 1, "cpu-throttle-initial": 256}"#,
            "Parameter 'cpu-throttle-initial' expects uint8_t",
        ),
        (r#"{"size": 1, "nothing": null}"#, "ok"),
        (
            r#"{"size": 1, "nothing": 0}"#,
            "Invalid parameter type for 'nothing', expected: null",
        ),
        (r#"{"size": 1, "ratio": 1}"#, "ok"),
        (
            r#"{"size": 1, "ratio": "1"}"#,
            "Invalid parameter type for 'ratio', expected: number",
        ),
        (r#"{"size": 1, "anything": {"a": [null]}}"#, "ok"),
    ]);
}

#[test]
fn lists_and_unions() {
    check::<SendKey>(&[
        (r#"{"keys": []}"#, "ok"),
        (
            r#"{"keys": [{"type": "qcode", "data": "a"}], "hold-time": 5}"#,
            "ok",
        ),
        (
            r#"{"keys": {}}"#,
            "Invalid parameter type for 'keys', expected: array",
        ),
        (
            r#"{"keys": [null]}"#,
            "Invalid parameter type for 'keys[0]', expected: object",
        ),
        (
            r#"{"keys": ["a"]}"#,
            "Invalid parameter type for 'keys[0]', expected: object",
        ),
        (
            r#"{"keys": [{"type": "qcode", "data": "bogus"}]}"#,
            "Parameter 'data' does not accept value 'bogus'",
        ),
        (
            r#"{"keys": [{"type": "qcode"}]}"#,
            "Parameter 'keys[0].data' is missing",
        ),
        (
            r#"{"keys": [{"type": "qcode", "data": "a"}, {"type": "number", "data": "x"}]}"#,
            "Invalid parameter type for 'keys[1].data', expected: integer",
        ),
        (
            r#"{"keys": [{"type": "qcode", "data": "a"}, {"type": "number", "data": 1, "x": 1}]}"#,
            "Parameter 'keys[1].x' is unexpected",
        ),
        (
            r#"{"keys": [], "hold-time": null}"#,
            "Invalid parameter type for 'hold-time', expected: integer",
        ),
    ]);
}

#[test]
fn alternates() {
    check::<Blockdev>(&[
        (r#"{"driver": "qcow2", "file": "node"}"#, "ok"),
        (
            r#"{"driver": "bogus"}"#,
            "Parameter 'driver' does not accept value 'bogus'",
        ),
        (
            r#"{"driver": 1}"#,
            "Invalid parameter type for 'driver', expected: string",
        ),
        (
            r#"{"driver": "qcow2", "file": 1}"#,
            "Invalid parameter type for 'file', expected: BlockdevRef",
        ),
        (
            r#"{"driver": "raw", "file": {"driver": "raw", "file": 1}}"#,
            "Invalid parameter type for 'file', expected: BlockdevRef",
        ),
        (
            r#"{"driver": "raw", "file": {"driver": "bogus"}}"#,
            "Parameter 'driver' does not accept value 'bogus'",
        ),
        (
            r#"{"driver": "raw", "file": {}}"#,
            "Parameter 'file.driver' is missing",
        ),
        (
            r#"{"driver": "raw", "file": {"driver": "raw", "bogus": 1}}"#,
            "Parameter 'file.bogus' is unexpected",
        ),
    ]);
}
