//! QEMU's own schemas, which stay outside of the repository: `QAPI_SCHEMA_DIR`
//! names the root of a QEMU source tree.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use tinamou_qapi::compile;

fn tree() -> PathBuf {
    let tree = std::env::var_os("QAPI_SCHEMA_DIR");
    tree.expect("QAPI_SCHEMA_DIR is the root of a QEMU source tree")
        .into()
}

/// QEMU's generator writes its refusal into NAME.err beside NAME.json.
#[test]
#[ignore = "needs QAPI_SCHEMA_DIR"]
fn test_cases_are_judged_alike() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(tree().join("tests/qapi-schema")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(expected) = fs::read_to_string(path.with_extension("err")) else {
            continue;
        };
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        count += 1;
        let result = compile(&path);
        if result.is_ok() != expected.is_empty() {
            wrong.push(format!("{}: {expected}{:?}", path.display(), result.err()));
        }
    }
    assert!(count > 200, "{count} cases only");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs QAPI_SCHEMA_DIR"]
fn whole_schemas_go_through_every_back_end() {
    for (schema, fewest) in [
        ("qapi/qapi-schema.json", 250),
        ("qga/qapi-schema.json", 20),
        ("storage-daemon/qapi/qapi-schema.json", 50),
    ] {
        let schema = compile(&tree().join(schema)).unwrap_or_else(|error| panic!("{error}"));
        let none = HashSet::new();
        let entries = tinamou_qapi::describe(&schema, &none).entries.len();
        assert!(entries >= fewest, "{entries} commands and events");
        for (name, text) in tinamou_qapi::rust(&schema, &none) {
            tinamou_qapi::format(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(tinamou_qapi::docs(&schema, &none).len() > 1);
    }
}
