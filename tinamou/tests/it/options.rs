//! Command lines: which are refused and with what words, beside real QEMU;
//! what the others mean; and that no text at all makes the parser panic.
//!
//! In `tests/options/*.txt`, `> ARGUMENTS` is a command line and `< TEXT` a line
//! that must be said about it, after the program's name. A first line
//! `# -OPTION …` goes before all of them. `< ok` stands for the
//! machine being made. `<t` is expected of Tinamou alone and `<q` of QEMU
//! alone, where we differ on purpose.

mod arbitrary;
mod meaning;
mod wording;
