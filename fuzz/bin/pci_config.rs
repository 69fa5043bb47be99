#![no_main]

#[path = "../targets/pci_config.rs"]
mod pci_config;

libfuzzer_sys::fuzz_target!(|input: &[u8]| pci_config::run(input));
