//! Whatever is read is written such that it is read the same.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tinamou_interface::qmp::{
    BlockdevOptions, BlockdevRef, GuestPanicInformation, ImageInfoSpecific, Netdev, RunState,
    SocketAddress,
};
use tinamou_qmp::typed;

const TAGS: &[&str] = &[
    "file", "qcow2", "raw", "inet", "unix", "fd", "vsock", "user", "tap", "hubport", "s390",
    "running", "new",
];

const NAMES: &[&str] = &[
    "driver",
    "node-name",
    "filename",
    "file",
    "backing",
    "type",
    "data",
    "host",
    "port",
    "path",
    "str",
    "id",
    "cid",
    "hubid",
    "cache",
    "more",
];

/// JSON that is likely to be something: names and values of unions beside
/// others.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        proptest::sample::select(TAGS).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        "[a-z\"\\\\é]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let name = proptest::sample::select(NAMES);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec((name, inner), 0..6).prop_map(|members| {
                let members = members.into_iter();
                Value::Object(
                    members
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &Value) {
    let text = value.to_string();
    let Ok(read) = typed::decode::<T>(&text) else {
        return;
    };
    assert_eq!(
        serde_json::from_value::<T>(value.clone()).ok().as_ref(),
        Some(&read),
        "{text}"
    );
    let written = serde_json::to_string(&read).expect("it can be written");
    assert_eq!(typed::decode::<T>(&written).as_ref(), Ok(&read), "{text}");
}

proptest! {
    #[test]
    fn values_survive(value in value()) {
        check::<BlockdevOptions>(&value);
        check::<BlockdevRef>(&value);
        check::<SocketAddress>(&value);
        check::<Netdev>(&value);
        check::<ImageInfoSpecific>(&value);
        check::<GuestPanicInformation>(&value);
        check::<RunState>(&value);
    }

    #[test]
    fn unknown_branches_survive(tag in "[a-z]{1,8}-new", more in value()) {
        let mut object = Map::new();
        object.insert("more".to_owned(), more);
        object.insert("type".to_owned(), json!(tag));
        let value = Value::Object(object);
        check::<SocketAddress>(&value);
        let read: SocketAddress = typed::decode(&value.to_string()).expect("it is kept");
        prop_assert_eq!(serde_json::to_value(&read).ok(), Some(value));
    }
}
