#![no_main]

#[path = "../targets/lexer.rs"]
mod lexer;

libfuzzer_sys::fuzz_target!(|input: &[u8]| lexer::run(input));
