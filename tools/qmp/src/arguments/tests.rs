use super::*;
use serde_json::json;

/// A server with two commands, as its introspection shows them.
fn schema() -> Schema {
    let text = json!([
        {"name": "set", "meta-type": "command", "arg-type": "0", "ret-type": "1"},
        {"name": "0", "meta-type": "object", "members": [
            {"name": "id", "type": "str"},
            {"name": "size", "type": "int", "default": null},
            {"name": "on", "type": "bool", "default": null},
            {"name": "any", "type": "any", "default": null},
            {"name": "list", "type": "[str]", "default": null},
            {"name": "addr", "type": "2", "default": null},
            {"name": "either", "type": "4", "default": null}]},
        {"name": "1", "meta-type": "object", "members": []},
        {"name": "2", "meta-type": "object", "tag": "type",
         "members": [{"name": "type", "type": "3"}],
         "variants": [{"case": "fd", "type": "5"}, {"case": "inet", "type": "6"}]},
        {"name": "3", "meta-type": "enum", "values": ["fd", "inet"]},
        {"name": "4", "meta-type": "alternate",
         "members": [{"type": "str"}, {"type": "int"}, {"type": "6"}]},
        {"name": "5", "meta-type": "object", "members": [{"name": "str", "type": "str"}]},
        {"name": "6", "meta-type": "object", "members": [
            {"name": "port", "type": "str"}, {"name": "keep", "type": "bool", "default": null}]},
        {"name": "[str]", "meta-type": "array", "element-type": "str"},
        {"name": "str", "meta-type": "builtin", "json-type": "string"},
        {"name": "int", "meta-type": "builtin", "json-type": "int"},
        {"name": "bool", "meta-type": "builtin", "json-type": "boolean"},
        {"name": "any", "meta-type": "builtin", "json-type": "value"}
    ]);
    Schema::read(&text.to_string()).expect("it is introspection")
}

fn typed(words: &str) -> Result<Value, String> {
    read("set", words.split_whitespace(), Some(&schema())).map_err(|error| error.to_string())
}

#[test]
fn values_become_what_the_schema_says() {
    for (words, expected) in [
        ("", json!({})),
        ("id=1", json!({"id": "1"})),
        ("id=true size=0x10", json!({"id": "true", "size": 16})),
        ("size=512M", json!({"size": 512 << 20})),
        ("size=-1 on=off", json!({"size": -1, "on": false})),
        ("on=true", json!({"on": true})),
        ("size=+1_000", json!({"size": 1000})),
        ("any=007", json!({"any": 7})),
        ("any=-1", json!({"any": -1})),
        ("any=TRUE", json!({"any": true})),
        ("any=1_", json!({"any": "1_"})),
        (
            "addr={'port':'1'} addr.keep=on",
            json!({"addr": {"port": "1", "keep": true}}),
        ),
        ("any=1", json!({"any": 1})),
        ("any=word", json!({"any": "word"})),
        ("any={'a':[1]}", json!({"any": {"a": [1]}})),
        ("list=a,b", json!({"list": ["a", "b"]})),
        ("list=", json!({"list": []})),
        ("list=['a']", json!({"list": ["a"]})),
        ("list.1=b list.0=1", json!({"list": ["1", "b"]})),
        (
            "addr.type=inet addr.port=1",
            json!({"addr": {"type": "inet", "port": "1"}}),
        ),
        (
            "addr.port=1 addr.keep=on",
            json!({"addr": {"port": "1", "keep": true}}),
        ),
        ("either=5", json!({"either": 5})),
        ("either=five", json!({"either": "five"})),
        (
            "either.port=5 either.keep=no",
            json!({"either": {"port": "5", "keep": false}}),
        ),
        ("{'id':'x'} size=1", json!({"id": "x", "size": 1})),
        ("unheard.of=1", json!({"unheard": {"of": 1}})),
    ] {
        assert_eq!(typed(words), Ok(expected), "{words}");
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    for (words, expected) in [
        ("word", "'word' is neither key=value nor a JSON object"),
        ("id=1 id=2", "'id' is given twice"),
        ("id=1 id.x=2", "'id.x' is given twice"),
        (
            "addr={'port':'1'} addr.port=2",
            "'addr.port' is given twice",
        ),
        ("=1", "'=' names no argument"),
        (
            "size=big",
            "'size=big': expected a whole number, such as 5, 0x10 or 512M",
        ),
        (
            "size=99999999999999999999",
            "'size=99999999999999999999': expected a whole number, such as 5, 0x10 or 512M",
        ),
        ("on=perhaps", "'on=perhaps': expected on or off"),
        ("list.0=a list.2=b", "'list.1' is missing"),
        ("list.x=a", "'list.x': 'x' is no place in a list"),
    ] {
        assert_eq!(typed(words), Err(expected.to_owned()), "{words}");
    }
}

#[test]
fn without_a_schema_json_is_json() {
    let value = read("set", ["id=1", "name=x", "on=true"], None);
    assert_eq!(value.ok(), Some(json!({"id": 1, "name": "x", "on": true})));
}
