//! Whole conversations with a small program, over streams in memory.

mod control;
mod program;
mod readline;
