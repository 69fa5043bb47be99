//! The book's list of checks is the suite's.
//!
//! `TINAMOU_UPDATE_BOOK=1 cargo test -p tinamou-conformance --test it book`
//! writes it anew.

use std::path::Path;

use tinamou_conformance::report;

#[test]
fn the_page_of_checks_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src/toolbox/checks.md");
    let page = report::page();
    if std::env::var_os("TINAMOU_UPDATE_BOOK").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(&path, page).expect("the page is written");
        return;
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present == page,
        "the page is stale; see the top of this file"
    );
}
