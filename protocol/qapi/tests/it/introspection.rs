//! What introspection shows of a schema.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::env;
use std::fs;
use std::path::Path;

use tinamou_qapi::Schema;
use tinamou_qmp::json::{self, Style};
use tinamou_qmp::{Object, Value};

use crate::cases;

const SCHEMA: &str = "
{ 'include': 'included.json' }
{ 'enum': 'Kind', 'data': [ 'plain', 'round', { 'name': 'odd', 'if': 'ODD' } ] }
{ 'struct': 'Root', 'data': { 'id': 'uint8' } }
{ 'struct': 'Trunk', 'base': 'Root', 'data': { 'kind': 'Kind' } }
{ 'struct': 'Round', 'data': { '*radii': ['size'], 'twin': 'Shape' } }
{ 'union': 'Shape', 'base': 'Trunk', 'discriminator': 'kind', 'data': { 'round': 'Round' } }
{ 'alternate': 'ShapeRef', 'data': { 'name': 'str', 'shape': 'Shape' } }
{ 'event': 'DRAWN', 'data': { 'what': 'ShapeRef' } }
{ 'command': 'draw', 'boxed': true, 'data': 'Shape', 'features': [ 'unstable' ] }
{ 'command': 'wait', 'allow-oob': true, 'returns': 'Included' }
{ 'command': 'unseen', 'if': 'ODD', 'returns': 'Root' }
";

/// One line for each entity.
const SHOWN: &str = r#"
{"name": "DRAWN", "meta-type": "event", "arg-type": "0"}
{"name": "draw", "meta-type": "command", "arg-type": "1", "ret-type": "2", "features": ["unstable"]}
{"name": "wait", "meta-type": "command", "arg-type": "2", "ret-type": "3", "allow-oob": true}
{"name": "0", "members": [{"name": "what", "type": "4"}], "meta-type": "object"}
{"name": "1", "members": [{"name": "id", "type": "int"}, {"name": "kind", "type": "5"}], "tag": "kind", "variants": [{"case": "round", "type": "6"}, {"case": "plain", "type": "2"}], "meta-type": "object"}
{"name": "2", "members": [], "meta-type": "object"}
{"name": "3", "members": [], "meta-type": "object"}
{"name": "4", "members": [{"type": "str"}, {"type": "1"}], "meta-type": "alternate"}
{"name": "int", "json-type": "int", "meta-type": "builtin"}
{"name": "5", "members": [{"name": "plain"}, {"name": "round"}], "values": ["plain", "round"], "meta-type": "enum"}
{"name": "6", "members": [{"name": "radii", "type": "[int]", "default": null}, {"name": "twin", "type": "1"}], "meta-type": "object"}
{"name": "str", "json-type": "string", "meta-type": "builtin"}
{"name": "[int]", "element-type": "int", "meta-type": "array"}
"#;

#[test]
fn shows_a_schema() {
    let schema = cases::compile(SCHEMA).unwrap();
    let Value::Array(shown) = introspect(&schema, &HashSet::new()) else {
        panic!("introspection is an array");
    };
    let line = |entity: &Value| {
        let text = json::to_vec(entity, Style::Compact).unwrap();
        String::from_utf8(text).unwrap() + "\n"
    };
    let shown: String = shown.iter().map(line).collect();
    assert_eq!(shown, SHOWN.trim_start());
}

/// `QAPI_SCHEMA_DIR` is the root of a QEMU source tree, `QAPI_SCHEMA_REPLY` a
/// file with what a QEMU built from it answers to `query-qmp-schema`, and
/// `QAPI_SCHEMA_DEFINES` the symbols its build defined, separated by spaces.
#[test]
#[ignore = "needs QAPI_SCHEMA_DIR, QAPI_SCHEMA_REPLY, QAPI_SCHEMA_DEFINES"]
fn shows_qemus_schema_as_qemu_does() {
    let tree = env::var("QAPI_SCHEMA_DIR").unwrap();
    let reply = fs::read(env::var("QAPI_SCHEMA_REPLY").unwrap()).unwrap();
    let defined = env::var("QAPI_SCHEMA_DEFINES").unwrap();
    let defined = defined.split_whitespace().map(str::to_owned).collect();
    let schema = tinamou_qapi::compile(&Path::new(&tree).join("qapi/qapi-schema.json"));
    let schema = schema.unwrap_or_else(|error| panic!("{error}"));
    let Value::Object(mut reply) = json::parse(&reply).unwrap() else {
        panic!("a reply is an object");
    };

    let theirs = Interface::new(reply.swap_remove("return").unwrap());
    let ours = Interface::new(introspect(&schema, &defined));
    assert_eq!(ours.entries(), theirs.entries());
    compare(&ours, &theirs);
    // QEMU orders and numbers its types before it leaves out what is
    // conditional, so it has them as we do when nothing is left out.
    let mut whole = Interface::new(introspect(&schema, &symbols(&schema))).order;
    whole.retain(|name| theirs.entities.contains_key(name));
    assert_eq!(whole, theirs.order);
}

fn introspect(schema: &Schema, defined: &HashSet<String>) -> Value {
    tinamou_qapi::describe(schema, defined).introspect(|_| true)
}

/// Every symbol that a condition names.
fn symbols(schema: &Schema) -> HashSet<String> {
    let text = format!("{schema:?}");
    let symbols = text.split("Symbol(\"").skip(1);
    symbols
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect()
}

/// Walks both from their commands and events. Names of types are matched, not
/// compared.
fn compare(ours: &Interface, theirs: &Interface) {
    let entries = ours.entries().into_iter();
    let mut queue: VecDeque<_> = entries.map(|name| (name.clone(), name)).collect();
    let mut matched = HashMap::new();
    while let Some((our, their)) = queue.pop_front() {
        let path = format!("{our} / {their}");
        let mut types = Vec::new();
        same_members(
            &path,
            &ours.entities[&our],
            &theirs.entities[&their],
            &mut types,
        );
        for (our, their) in types {
            match matched.insert(our.clone(), their.clone()) {
                Some(before) => assert_eq!(before, their, "{our} of {path}"),
                None => queue.push_back((our, their)),
            }
        }
    }
}

/// The keys whose values are names of types.
const REFERENCES: &[&str] = &["arg-type", "ret-type", "element-type", "type"];

/// Checks that two objects agree but for the names of types, which it collects.
fn same_members(path: &str, ours: &Object, theirs: &Object, types: &mut Vec<(String, String)>) {
    let keys = |object: &Object| -> BTreeSet<String> { object.keys().cloned().collect() };
    assert_eq!(keys(ours), keys(theirs), "{path}");
    for (key, our) in ours {
        let their = &theirs[key];
        match REFERENCES.contains(&key.as_str()) {
            true => types.push((text(our), text(their))),
            false => same(&format!("{path}.{key}"), our, their, types),
        }
    }
}

fn same(path: &str, ours: &Value, theirs: &Value, types: &mut Vec<(String, String)>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => same_members(path, ours, theirs, types),
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{path}: {ours:?} {theirs:?}");
            for (index, (our, their)) in ours.iter().zip(theirs).enumerate() {
                same(&format!("{path}[{index}]"), our, their, types);
            }
        }
        _ => assert_eq!(ours, theirs, "{path}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        _ => panic!("a name is a string"),
    }
}

struct Interface {
    order: Vec<String>,
    /// By name, and without it.
    entities: HashMap<String, Object>,
}

impl Interface {
    fn new(shown: Value) -> Self {
        let Value::Array(shown) = shown else {
            panic!("introspection is an array");
        };
        let mut order = Vec::new();
        let mut entities = HashMap::new();
        for entity in shown {
            let Value::Object(mut entity) = entity else {
                panic!("an entity is an object");
            };
            let name = text(&entity.shift_remove("name").unwrap());
            order.push(name.clone());
            entities.insert(name, entity);
        }
        Self { order, entities }
    }

    /// The names of commands and events.
    fn entries(&self) -> Vec<String> {
        let is_entry = |name: &&String| {
            let meta = text(&self.entities[*name]["meta-type"]);
            meta == "command" || meta == "event"
        };
        self.order.iter().filter(is_entry).cloned().collect()
    }
}
