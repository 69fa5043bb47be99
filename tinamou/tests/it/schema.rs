//! What introspection tells is what there is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Vm, tinamou};

fn names(list: &Value, kind: Option<&str>) -> BTreeSet<String> {
    let entries = list.as_array().expect("a list").iter();
    entries
        .filter(|entry| kind.is_none_or(|kind| entry["meta-type"] == kind))
        .map(|entry| entry["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Names referred to in a schema entry.
fn references(entry: &Value, found: &mut BTreeSet<String>) {
    match entry {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("type" | "arg-type" | "ret-type" | "element-type", Value::String(name)) => {
                        found.insert(name.clone());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn schema_and_commands_agree() {
    let vm = Vm::start(&tinamou(), &["-M", "virt", "-m", "64", "-S", "-nodefaults"]);
    let mut qmp = vm.qmp();
    let schema = qmp
        .execute("query-qmp-schema", json!({}))
        .expect("a schema");
    let commands = qmp.execute("query-commands", json!({})).expect("commands");
    let commands = names(&commands, None);
    assert_eq!(names(&schema, Some("command")), commands);
    assert!(commands.len() > 40, "{commands:?}");

    let defined = names(&schema, None);
    let mut referred = BTreeSet::new();
    references(&schema, &mut referred);
    let missing: Vec<_> = referred.difference(&defined).collect();
    assert!(missing.is_empty(), "{missing:?}");

    for command in &commands {
        if command == "quit" {
            continue;
        }
        // An argument that nothing has keeps the command from being run.
        let error = qmp.execute(command, json!({"no-such-argument": 1}));
        let error = error.expect_err(command);
        assert_eq!(error["class"], "GenericError", "{command}: {error}");
    }
}

#[test]
fn commands_out_of_the_schema_are_not_found() {
    let vm = Vm::start(&tinamou(), &["-M", "none", "-nodefaults"]);
    let mut qmp = vm.qmp();
    // Commands of QEMU that are not built yet are as unknown as any word.
    for command in ["no-such", "migrate", "savevm", "Quit", "query_status", ""] {
        let error = qmp.execute(command, json!({})).expect_err(command);
        let desc = format!("The command {command} has not been found");
        assert_eq!(error, json!({"class": "CommandNotFound", "desc": desc}));
    }
}
