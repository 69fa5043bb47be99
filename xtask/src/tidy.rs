//! Checks of the repository itself: rules that the compiler cannot see.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The crates in order of reach: each may depend on those before it only.
const LAYERS: &[&str] = &[
    "tinamou-qmp",
    "tinamou-qapi",
    "tinamou-interface",
    "tinamou-client",
    "tinamou-conformance",
    "tinamou-api",
    "tinamou-mock",
    "tinamou-monitor",
    "tinamou-memory",
    "tinamou-qom",
    "tinamou-qdev",
    "tinamou-hart",
    "tinamou-devices",
    "tinamou-display",
    "tinamou-chardev",
    "tinamou-block",
    "tinamou-net",
    "tinamou-pci",
    "tinamou-virtio",
    "tinamou-machine",
    "tinamou-guest",
    "tinamou",
    "tinamou-tools",
    "tinamou-benches",
    "xtask",
];

/// A hand-written source file longer than this must be split.
const LONGEST_FILE: usize = 1000;

/// Words that mark unfinished work; written apart so that this file passes.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// Runs every check on the repository at `root`; prints and counts the faults.
pub fn check(root: &Path) -> Result<(), String> {
    let files = tracked_files(root)?;
    let mut faults = Vec::new();
    check_sources(root, &files, &mut faults);
    check_dependencies(root, &mut faults)?;
    check_papers(&files, &mut faults);
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    match faults.len() {
        0 => Ok(()),
        n => Err(format!("{n} faults")),
    }
}

fn tracked_files(root: &Path) -> Result<Vec<String>, String> {
    let output = run(
        root,
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    let exists = |path: &&str| root.join(path).exists();
    Ok(output.lines().filter(exists).map(str::to_owned).collect())
}

fn check_sources(root: &Path, files: &[String], faults: &mut Vec<String>) {
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            faults.push(format!("{path}: is not UTF-8 text"));
            continue;
        };
        if text.contains("@generated") && !path.starts_with("xtask/") {
            continue;
        }
        check_source(path, &text, faults);
    }
}

fn check_source(path: &str, text: &str, faults: &mut Vec<String>) {
    let length = text.lines().count();
    if length > LONGEST_FILE {
        faults.push(format!("{path}: {length} lines, more than {LONGEST_FILE}"));
    }
    for (number, line) in text.lines().enumerate() {
        let at = number + 1;
        if line.trim_end() != line {
            faults.push(format!("{path}:{at}: trailing white space"));
        }
        if UNFINISHED.iter().any(|word| line.contains(word)) {
            faults.push(format!("{path}:{at}: unfinished work"));
        }
    }
}

fn check_dependencies(root: &Path, faults: &mut Vec<String>) -> Result<(), String> {
    let metadata = run(
        root,
        "cargo",
        &["metadata", "--no-deps", "--format-version", "1"],
    )?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let papers = fs::read_to_string(root.join("DEPENDENCIES.md")).unwrap_or_default();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(layer) = LAYERS.iter().position(|layer| *layer == name) else {
            faults.push(format!(
                "{name}: has no place in the layers of xtask/src/tidy.rs"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            check_dependency(name, layer, dependency, &papers, faults);
        }
    }
    Ok(())
}

fn check_dependency(
    name: &str,
    layer: usize,
    dependency: &Value,
    papers: &str,
    faults: &mut Vec<String>,
) {
    let wanted = dependency["name"].as_str().unwrap_or_default();
    match LAYERS.iter().position(|other| *other == wanted) {
        // Tests may look anywhere; what ships may only look up the list.
        Some(other) if other >= layer && dependency["kind"].is_null() => {
            faults.push(format!("{name} depends on {wanted}, which stands below it"));
        }
        None if !papers.contains(&format!("| {wanted} |")) => {
            faults.push(format!(
                "{name} depends on {wanted}, which DEPENDENCIES.md does not explain"
            ));
        }
        _ => {}
    }
}

fn check_papers(files: &[String], faults: &mut Vec<String>) {
    for paper in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "DEPENDENCIES.md",
    ] {
        if !files.iter().any(|file| file == paper) {
            faults.push(format!("{paper}: missing"));
        }
    }
}

fn run(root: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{program}: {error}"))
}
