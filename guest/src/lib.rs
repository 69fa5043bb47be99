//! The built-in guest: a small RISC-V assembler and the program that runs when no kernel is given.
