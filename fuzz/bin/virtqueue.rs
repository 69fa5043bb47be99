#![no_main]

#[path = "../targets/virtqueue.rs"]
mod virtqueue;

libfuzzer_sys::fuzz_target!(|input: &[u8]| virtqueue::run(input));
