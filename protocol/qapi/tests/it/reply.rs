//! Introspection against what a real QEMU answers: `QAPI_SCHEMA_DIR` names the
//! root of its source tree, `QMP_SCHEMA_REPLY` a file with the return value of
//! query-qmp-schema of a riscv64 machine with every common library.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde_json::Value;

/// What such a build does not have.
const UNDEFINED: &[&str] = &[
    "CONFIG_AF_XDP",
    "CONFIG_AUDIO_COREAUDIO",
    "CONFIG_AUDIO_DSOUND",
    "CONFIG_AUDIO_SNDIO",
    "CONFIG_BLKIO",
    "CONFIG_COCOA",
    "CONFIG_QATZIP",
    "CONFIG_QPL",
    "CONFIG_UADK",
    "CONFIG_VMNET",
    "CONFIG_WIN32",
];

/// Members whose value is the name of a type.
const REFERENCES: &[&str] = &["arg-type", "element-type", "ret-type", "type"];

#[test]
#[ignore = "needs QAPI_SCHEMA_DIR and QMP_SCHEMA_REPLY"]
fn introspection_is_qemus() {
    let tree = PathBuf::from(std::env::var_os("QAPI_SCHEMA_DIR").unwrap()).join("qapi");
    let reply = std::fs::read(std::env::var_os("QMP_SCHEMA_REPLY").unwrap()).unwrap();
    let theirs: Vec<Value> = serde_json::from_slice(&reply).unwrap();
    let schema = tinamou_qapi::compile(&tree.join("qapi-schema.json")).unwrap();
    let ours = tinamou_qapi::describe(&schema, &symbols(&tree)).introspect(|_| true);
    let ours: Vec<Value> = serde_json::from_value(serde_json::to_value(ours).unwrap()).unwrap();
    assert_eq!(entries(&ours), entries(&theirs));
    let mut pair = Pair {
        ours: by_name(&ours),
        theirs: by_name(&theirs),
        met: HashMap::new(),
    };
    for name in entries(&ours) {
        let (ours, theirs) = (pair.ours[name], pair.theirs[name]);
        pair.compare(ours, theirs, name);
    }
    // QEMU also lists types that only commands of other builds use.
    assert_eq!(pair.met.len(), ours.len() - entries(&ours).len());
    assert!(pair.met.len() + 20 > theirs.len() - entries(&theirs).len());
}

fn symbols(tree: &PathBuf) -> HashSet<String> {
    let mut symbols = HashSet::new();
    for file in std::fs::read_dir(tree).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        symbols.extend(words.map(str::to_owned).filter(|word| {
            let is_other = word.starts_with("TARGET_") && word != "TARGET_RISCV";
            let is_symbol = word.starts_with("CONFIG_") || word.starts_with("HAVE_");
            (is_symbol || word == "TARGET_RISCV")
                && !is_other
                && !UNDEFINED.contains(&word.as_str())
        }));
    }
    symbols
}

/// The names of commands and events, in order.
fn entries(schema: &[Value]) -> Vec<&str> {
    let is_entry = |info: &&Value| info["meta-type"] == "command" || info["meta-type"] == "event";
    let entries = schema.iter().filter(is_entry);
    entries.map(|info| info["name"].as_str().unwrap()).collect()
}

fn by_name(schema: &[Value]) -> HashMap<&str, &Value> {
    let names = schema.iter().map(|info| info["name"].as_str().unwrap());
    names.zip(schema).collect()
}

/// Two schemas, and which type of one is which of the other.
struct Pair<'a> {
    ours: HashMap<&'a str, &'a Value>,
    theirs: HashMap<&'a str, &'a Value>,
    met: HashMap<&'a str, &'a str>,
}

impl<'a> Pair<'a> {
    fn compare(&mut self, ours: &'a Value, theirs: &'a Value, path: &str) {
        match (ours, theirs) {
            (Value::Object(ours), Value::Object(theirs)) => {
                let keys: HashSet<&String> = ours.keys().chain(theirs.keys()).collect();
                let is_type = ours.get("meta-type").is_some();
                for key in keys {
                    let path = format!("{path}.{key}");
                    let (Some(ours), Some(theirs)) = (ours.get(key), theirs.get(key)) else {
                        panic!("{path} is on one side only");
                    };
                    if REFERENCES.contains(&key.as_str()) {
                        self.refer(ours.as_str().unwrap(), theirs.as_str().unwrap(), &path);
                    } else if key != "name" || !is_type {
                        self.compare(ours, theirs, &path);
                    }
                }
            }
            (Value::Array(ours), Value::Array(theirs)) => {
                assert_eq!(ours.len(), theirs.len(), "{path}: {ours:?} {theirs:?}");
                for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                    self.compare(ours, theirs, &format!("{path}[{index}]"));
                }
            }
            _ => assert_eq!(ours, theirs, "{path}"),
        }
    }

    fn refer(&mut self, ours: &'a str, theirs: &'a str, path: &str) {
        match self.met.insert(ours, theirs) {
            Some(before) => assert_eq!(before, theirs, "{path}"),
            None => self.compare(self.ours[ours], self.theirs[theirs], path),
        }
    }
}
