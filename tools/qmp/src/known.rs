//! The interfaces that this program knows of: their documentation, and the
//! names of types, which servers hide.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use tinamou_qapi::{Doc, Schema};

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schema.z"));

static FILES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut text = String::new();
    let unpacked = ZlibDecoder::new(PACKED).read_to_string(&mut text);
    unpacked.expect("what the build packed can be unpacked");
    unpack(&text).expect("what the build packed is whole")
});

fn unpack(mut text: &str) -> Option<HashMap<String, String>> {
    let mut files = HashMap::new();
    while let Some((head, rest)) = text.split_once('\n') {
        let (name, length) = head.rsplit_once(' ')?;
        let (body, rest) = rest.split_at_checked(length.parse().ok()?)?;
        files.insert(name.to_owned(), body.to_owned());
        text = rest;
    }
    Some(files)
}

/// The whole interface of QEMU's monitor.
pub fn monitor() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| compile("qapi-schema.json"));
    &SCHEMA
}

/// The guest agent's.
pub fn agent() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| compile("qga/qapi-schema.json"));
    &SCHEMA
}

/// What a definition is, in a sentence.
pub fn first_sentence(doc: Option<&Doc>) -> String {
    sentence(doc.map_or("", Doc::summary))
}

/// The first sentence of a text, on one line.
pub fn sentence(text: &str) -> String {
    let text = text.split("\n\n").next().unwrap_or_default();
    let end = text.find(". ").or_else(|| text.find(".\n"));
    text[..end.map_or(text.len(), |end| end + 1)].replace('\n', " ")
}

fn compile(main: &str) -> Schema {
    let load = |path: &Path| {
        let file = FILES.get(path.to_string_lossy().as_ref());
        file.cloned().ok_or(io::ErrorKind::NotFound.into())
    };
    let schema = tinamou_qapi::compile_with(Path::new(main), &load);
    schema.expect("our own schema is sound").unconditional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_there() {
        assert!(monitor().find("query-status").is_some());
        assert!(agent().find("guest-ping").is_some());
    }
}
