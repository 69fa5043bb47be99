//! The schema compiler: any text gives a schema or an error.

use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let load = |path: &Path| match path.to_str() {
        Some("main.json") => Ok(text.clone().into_owned()),
        Some("included.json") => Ok("{ 'enum': 'Included', 'data': [ 'a' ] }".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    match tinamou_qapi::compile_with(Path::new("main.json"), &load) {
        Ok(schema) => {
            let pages = tinamou_qapi::docs(&schema, &HashSet::new());
            assert_eq!(pages[0].0, "index.md");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
