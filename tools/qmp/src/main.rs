//! `qmp`, the toolbox.

fn main() {}
