//! The repository's own tools: `cargo xtask codegen [--check]`,
//! `cargo xtask docs [--check]`, `cargo xtask tidy`.

mod codegen;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    let result = match arguments.as_slice() {
        ["codegen"] => codegen::code(root, false),
        ["codegen", "--check"] => codegen::code(root, true),
        ["docs"] => codegen::docs(root, false),
        ["docs", "--check"] => codegen::docs(root, true),
        ["tidy"] => tidy::check(root),
        _ => Err("usage: cargo xtask codegen [--check] | docs [--check] | tidy".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
