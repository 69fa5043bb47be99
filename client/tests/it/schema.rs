//! Asking a server's own description.

use tinamou_client::Schema;

const INTROSPECTION: &str = r#"[
    {"name": "add", "meta-type": "command", "arg-type": "1", "ret-type": "0", "features": ["fast"]},
    {"name": "BEGUN", "meta-type": "event", "arg-type": "0"},
    {"name": "0", "meta-type": "object", "members": []},
    {"name": "1", "meta-type": "object", "tag": "driver",
     "members": [{"name": "driver", "type": "2"},
                 {"name": "list", "type": "[3]", "default": null, "features": ["deprecated"]}],
     "variants": [{"case": "file", "type": "4"}]},
    {"name": "2", "meta-type": "enum", "values": ["file", "null"],
     "members": [{"name": "file"}, {"name": "null"}]},
    {"name": "[3]", "meta-type": "array", "element-type": "3"},
    {"name": "3", "meta-type": "alternate", "members": [{"type": "4"}, {"type": "str"}]},
    {"name": "4", "meta-type": "object",
     "members": [{"name": "filename", "type": "str"}, {"name": "self", "type": "1", "default": null}]},
    {"name": "str", "meta-type": "builtin", "json-type": "string"},
    {"name": "new", "meta-type": "hologram", "colour": 7}
]"#;

#[test]
fn has_what_it_has() {
    let schema = Schema::read(INTROSPECTION).unwrap();
    let check = |has: bool, expected: bool, what: &str| assert_eq!(has, expected, "{what}");
    check(schema.has_command("add"), true, "add");
    check(schema.has_command("BEGUN"), false, "an event is no command");
    check(schema.has_event("BEGUN"), true, "BEGUN");
    check(schema.has_feature("add", "fast"), true, "fast");
    check(schema.has_feature("add", "slow"), false, "slow");
    for (path, expected) in [
        ("driver", true),
        ("filename", true),
        ("list", true),
        ("list.filename", true),
        ("self.list.self.filename", true),
        ("list.driver", false),
        ("driver.x", false),
        ("", false),
    ] {
        check(schema.has_arg("add", path), expected, path);
    }
    check(schema.has_arg("none", "driver"), false, "none");
    check(schema.has_value("add", "driver", "null"), true, "null");
    check(schema.has_value("add", "self.driver", "file"), true, "file");
    check(schema.has_value("add", "driver", "raw"), false, "raw");
    check(
        schema.has_arg_feature("add", "list", "deprecated"),
        true,
        "list",
    );
    check(
        schema.arg("add", "list").unwrap().optional(),
        true,
        "optional",
    );
    check(
        schema.arg("add", "driver").unwrap().optional(),
        false,
        "driver",
    );
}

#[test]
fn refuses_what_is_no_description() {
    let error = Schema::read(r#"[{"name": 5}]"#).unwrap_err();
    assert!(
        error.to_string().starts_with("query-qmp-schema: "),
        "{error}"
    );
}
