//! The book's pages on devices say what the binary says of itself.
//!
//! `TINAMOU_UPDATE_BOOK=1 cargo test -p tinamou --test it book` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Qmp, Vm, run, tinamou};

/// A line of `-device help`.
struct Model {
    name: String,
    bus: Option<String>,
    description: Option<String>,
}

#[test]
fn every_device_has_its_page() {
    let vm = Vm::start(&tinamou(), &["-M", "none", "-nodefaults"]);
    let mut qmp = vm.qmp();
    let models = models();
    for model in &models {
        check(
            &format!("devices/{}.md", model.name),
            &page(&mut qmp, model),
        );
    }
    check("devices/index.md", &index(&models));
    let summary = std::fs::read_to_string(book().join("SUMMARY.md")).expect("the summary");
    for Model { name, .. } in &models {
        let line = format!("  - [{name}](devices/{name}.md)\n");
        assert!(summary.contains(&line), "SUMMARY.md lacks {line}");
    }
}

fn models() -> Vec<Model> {
    let (_, help, _) = run(tinamou(), &["-device", "help"]);
    let models: Vec<_> = help.lines().filter_map(model).collect();
    assert!(!models.is_empty(), "{help}");
    models
}

/// Reads `name "pci-testdev", bus PCI, desc "PCI Test Device"`. Variants that
/// differ from a model in what they offer old drivers share its page.
fn model(line: &str) -> Option<Model> {
    let mut rest = line.strip_prefix("name \"")?;
    let name;
    (name, rest) = rest.split_once('"')?;
    if name.ends_with("transitional") {
        return None;
    }
    let part = |label: &str, end: &[char]| {
        let (_, value) = rest.split_once(label)?;
        Some(value.split(end).next()?.to_owned())
    };
    Some(Model {
        name: name.to_owned(),
        bus: part(", bus ", &[',']),
        description: part(", desc \"", &['"']),
    })
}

fn index(models: &[Model]) -> String {
    let mut text = String::from(
        "# Devices\n\n\
         What `-device` and `device_add` can make; `tinamou -device help` lists the same.\n\n\
         | model | bus | |\n|---|---|---|\n",
    );
    for Model {
        name,
        bus,
        description,
    } in models
    {
        let bus = bus.as_deref().unwrap_or("");
        let description = description.as_deref().unwrap_or("");
        writeln!(text, "| [{name}]({name}.md) | {bus} | {description} |").expect("a string");
    }
    text
}

fn page(
    qmp: &mut Qmp,
    Model {
        name,
        bus,
        description,
    }: &Model,
) -> String {
    let mut text = format!("# {name}\n\n");
    if let Some(description) = description {
        writeln!(text, "{description}.\n").expect("a string");
    }
    if let Some(bus) = bus {
        writeln!(text, "Goes on a bus of type `{bus}`.\n").expect("a string");
    }
    text.push_str("| property | type | default | |\n|---|---|---|---|\n");
    let properties = qmp.execute("device-list-properties", json!({"typename": name}));
    let properties = properties.expect("properties");
    for property in properties.as_array().expect("a list") {
        let cell = |member: &str| property[member].as_str().unwrap_or("").replace('|', "\\|");
        let default = match &property["default-value"] {
            Value::Null => String::new(),
            value => format!("`{value}`"),
        };
        let (name, kind, description) = (cell("name"), cell("type"), cell("description"));
        writeln!(text, "| `{name}` | {kind} | {default} | {description} |").expect("a string");
    }
    text
}

fn check(page: &str, expected: &str) {
    let path = book().join(page);
    if std::env::var_os("TINAMOU_UPDATE_BOOK").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(&path, expected).expect("the page is written");
        return;
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present == expected,
        "{page} is stale; see the top of this file"
    );
}

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src")
}
