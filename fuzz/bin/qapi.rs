#![no_main]

#[path = "../targets/qapi.rs"]
mod qapi;

libfuzzer_sys::fuzz_target!(|input: &[u8]| qapi::run(input));
