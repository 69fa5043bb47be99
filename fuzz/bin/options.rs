#![no_main]

#[path = "../targets/options.rs"]
mod options;

libfuzzer_sys::fuzz_target!(|input: &[u8]| options::run(input));
