//! Generated files: made from `schema/`, committed, and compared here.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Name and text of each file.
type Files = Vec<(String, String)>;

/// Each schema that code is made from, and where it goes.
const CRATES: [(&str, &str); 2] = [
    ("schema/qapi-schema.json", "protocol/api/src"),
    (
        "monitor/examples/lamp/lamp.json",
        "monitor/examples/lamp/api",
    ),
];

/// Each schema that clients' types are made from, whole.
const INTERFACES: [(&str, &str); 2] = [
    ("schema/qapi-schema.json", "client/interface/src/qmp"),
    ("schema/qga/qapi-schema.json", "client/interface/src/qga"),
];

/// What the conditions of the schema find defined in the whole interface, of
/// which a server carries out a part.
const WHOLE: &str = "WHOLE";

/// Writes the sources made from schemas; with `check`, says which are out of
/// date.
pub fn code(root: &Path, check: bool) -> Result<(), String> {
    api(root, check)?;
    let whole = HashSet::from([WHOLE.to_owned()]);
    for (schema, directory) in INTERFACES {
        let schema = tinamou_qapi::compile(&root.join(schema));
        let schema = schema.map_err(|error| error.to_string())?;
        let files = format(tinamou_qapi::client(&schema, &whole))?;
        update(&root.join(directory), files, "codegen", check)?;
    }
    introspection(root, &whole, check)
}

/// The whole interface as a server would show it, for servers that are made
/// up.
fn introspection(root: &Path, whole: &HashSet<String>, check: bool) -> Result<(), String> {
    let schema = tinamou_qapi::compile(&root.join("schema/qapi-schema.json"));
    let schema = schema.map_err(|error| error.to_string())?;
    let shown = tinamou_qapi::describe(&schema, whole).introspect(|_| true);
    let shown = serde_json::to_value(shown).map_err(|error| error.to_string())?;
    let infos = shown.as_array().into_iter().flatten();
    let lines: Vec<String> = infos.map(ToString::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let files = vec![("whole.json".to_owned(), text)];
    update(&root.join("mock/src/schema"), files, "codegen", check)
}

fn format(mut files: Files) -> Result<Files, String> {
    for (_, text) in &mut files {
        *text = tinamou_qapi::format(text).map_err(|error| error.to_string())?;
    }
    Ok(files)
}

fn api(root: &Path, check: bool) -> Result<(), String> {
    for (schema, directory) in CRATES {
        let schema = tinamou_qapi::compile(&root.join(schema));
        let schema = schema.map_err(|error| error.to_string())?;
        let files = format(tinamou_qapi::rust(&schema, &HashSet::new()))?;
        update(&root.join(directory), files, "codegen", check)?;
    }
    Ok(())
}

/// The same for the reference in the book.
pub fn docs(root: &Path, check: bool) -> Result<(), String> {
    let schema = tinamou_qapi::compile(&root.join("schema/qapi-schema.json"));
    let schema = schema.map_err(|error| error.to_string())?;
    let files = tinamou_qapi::docs(&schema, &HashSet::new());
    update(&root.join("book/src/reference"), files, "docs", check)
}

fn update(directory: &Path, files: Files, action: &str, check: bool) -> Result<(), String> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    if !check {
        fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    }
    let mut stale = Vec::new();
    for (name, text) in files {
        let path = directory.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        stale.push(path.display().to_string());
        if !check {
            fs::write(&path, text).map_err(|error| failed(&path, error))?;
        }
    }
    if check && !stale.is_empty() {
        let stale = stale.join(", ");
        return Err(format!("out of date, run `cargo xtask {action}`: {stale}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        parent.expect("xtask is a directory of the repository")
    }

    #[test]
    fn the_code_is_up_to_date() {
        assert_eq!(code(root(), true), Ok(()));
    }

    #[test]
    fn the_reference_is_up_to_date() {
        assert_eq!(docs(root(), true), Ok(()));
    }

    /// A page that the summary leaves out is not in the book.
    #[test]
    fn the_book_lists_the_reference() {
        let book = root().join("book/src");
        let summary = fs::read_to_string(book.join("SUMMARY.md")).expect("a book");
        for page in fs::read_dir(book.join("reference")).expect("a reference") {
            let page = page.expect("a file").file_name();
            let link = format!("(reference/{})", page.display());
            assert!(summary.contains(&link), "{link}");
        }
    }
}
