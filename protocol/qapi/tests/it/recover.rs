//! From introspection back to a schema.

use std::collections::HashSet;
use std::path::Path;

use tinamou_qapi::{Body, Schema, describe, recover};
use tinamou_qmp::{Value, json};

use crate::cases;

const SCHEMA: &str = "
{ 'enum': 'Kind', 'data': [ 'plain', 'round', { 'name': 'odd', 'features': ['unstable'] } ] }
{ 'struct': 'Round', 'data': { '*radii': ['size'], 'twin': 'Shape' } }
{ 'struct': 'Odd', 'data': {} }
{ 'union': 'Shape', 'base': { 'id': 'uint8', 'kind': 'Kind' }, 'discriminator': 'kind',
  'data': { 'round': 'Round', 'odd': 'Odd' } }
{ 'alternate': 'ShapeRef', 'data': { 'name': 'str', 'shape': 'Shape' } }
{ 'event': 'DRAWN', 'data': { 'what': 'ShapeRef' } }
{ 'command': 'draw', 'boxed': true, 'data': 'Shape', 'features': [ 'unstable' ] }
{ 'command': 'drawn', 'data': { 'from': 'Round', 'to': 'Round' }, 'gen': false }
{ 'command': 'query-shapes', 'allow-oob': true, 'returns': [ 'Shape' ] }
{ 'command': 'query-names', 'returns': [ 'Round' ] }
{ 'command': 'redraw', 'data': 'Round' }
";

fn introspect(schema: &Schema) -> Value {
    describe(schema, &HashSet::new()).introspect(|_| true)
}

/// Recovering loses nothing that introspection shows; the names of types,
/// commands and events come out.
fn check(schema: &Schema, known: Option<&Schema>) -> Vec<String> {
    let shown = introspect(schema);
    let recovered = recover(&shown, known).unwrap();
    assert_eq!(introspect(&recovered), shown);
    let names = recovered.in_order().map(|found| found.name.clone());
    names.collect()
}

#[test]
fn names_are_paths() {
    let schema = cases::compile(SCHEMA).unwrap();
    let entries = [
        "DRAWN",
        "draw",
        "drawn",
        "query-shapes",
        "query-names",
        "redraw",
    ];
    let types = [
        "DrawnWhat",
        "DrawOptions",
        "DrawnFrom",
        "DrawOptionsKind",
        "DrawOptionsOdd",
    ];
    assert_eq!(check(&schema, None), [&entries[..], &types].concat());
}

#[test]
fn known_names_and_facts_are_taken() {
    let schema = cases::compile(SCHEMA).unwrap();
    let names = check(&schema, Some(&schema));
    assert_eq!(names[6..], ["ShapeRef", "Shape", "Round", "Kind", "Odd"]);
    let recovered = recover(&introspect(&schema), Some(&schema)).unwrap();
    let Some(Body::Command(drawn)) = recovered.find("drawn").map(|found| &found.body) else {
        panic!("drawn is a command");
    };
    assert!(!drawn.generated);
}

#[test]
fn our_own_schema_comes_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema");
    for file in ["qapi-schema.json", "qga/qapi-schema.json"] {
        let schema = tinamou_qapi::compile(&root.join(file)).unwrap();
        let schema = schema.unconditional();
        check(&schema, None);
        let known = check(&schema, Some(&schema));
        let is_known = |name: &&String| schema.find(name).is_none();
        assert_eq!(known.iter().find(is_known), None);
    }
}

#[test]
fn faults_are_told() {
    for (text, message) in [
        ("{}", "a list is expected"),
        ("[7]", "an object is expected"),
        ("[{}]", "an entity has no 'meta-type'"),
        (
            r#"[{"meta-type": "event", "name": "E", "arg-type": "1"}]"#,
            "there is no type '1'",
        ),
        (
            r#"[{"meta-type": "event", "name": "E", "arg-type": "1"},
                {"meta-type": "object", "name": "1", "members": [{"name": "a", "type": "[1]"}]},
                {"meta-type": "array", "name": "[1]", "element-type": "[1]"}]"#,
            "'[1]' is a list of lists",
        ),
        (
            r#"[{"meta-type": "event", "name": "E", "arg-type": "1"},
                {"meta-type": "thing", "name": "1"}]"#,
            "an entity has no 'members'",
        ),
    ] {
        let value = json::parse(text.as_bytes()).unwrap();
        let error = recover(&value, None).unwrap_err();
        assert_eq!(error.message(), message, "{text}");
    }
}
