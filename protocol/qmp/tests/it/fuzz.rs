//! The fuzz targets on their corpora, so that what they found stays found.

use std::path::Path;

#[path = "../../../../fuzz/targets/client.rs"]
mod client;
#[path = "../../../../fuzz/targets/lexer.rs"]
mod lexer;
#[path = "../../../../fuzz/targets/session.rs"]
mod session;

fn replay(corpus: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(corpus);
    let files: Vec<_> = std::fs::read_dir(&corpus)
        .expect("the corpus is committed")
        .collect();
    assert!(
        files.len() > 10,
        "{corpus:?} has only {} files",
        files.len()
    );
    for file in files {
        target(
            &std::fs::read(file.expect("the corpus is readable").path())
                .expect("the corpus is readable"),
        );
    }
}

#[test]
fn client_corpus() {
    replay("client", client::run);
}

#[test]
fn lexer_corpus() {
    replay("lexer", lexer::run);
}

#[test]
fn session_corpus() {
    replay("session", session::run);
}
