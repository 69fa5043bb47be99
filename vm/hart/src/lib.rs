//! One RISC-V hart: decode, execute, MMU, CSRs, and the built-in SBI firmware. It knows no devices.
