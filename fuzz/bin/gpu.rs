#![no_main]

#[path = "../targets/gpu.rs"]
mod gpu;

libfuzzer_sys::fuzz_target!(|input: &[u8]| gpu::run(input));
