//! The QAPI schema language: source text → tokens → expressions → a checked
//! [`Schema`] → back ends.
//!
//! It knows the language as QEMU documents it and refuses what QEMU's own
//! generator refuses, with the position of the fault. It must never know what
//! a particular schema describes.
#![forbid(unsafe_code)]

mod condition;
mod doc;
mod docs;
mod error;
mod expression;
mod introspect;
mod lexer;
mod model;
mod names;
mod parser;
mod pragma;
mod recover;
mod resolve;
mod rust;
mod shape;
mod source;

use std::io;
use std::path::Path;

pub use condition::Condition;
pub use doc::{Doc, Section, SectionKind};
pub use docs::docs;
pub use error::{Error, Result};
pub use introspect::describe;
pub use model::{
    Alternate, Body, Branch, Command, Content, Definition, Enum, EnumValue, Event, Feature, Member,
    Module, Object, Schema, TypeRef, Union,
};
pub use recover::recover;
pub use rust::{client, client_crate, format, rust, traits};

/// Reads a schema and everything it includes, and checks it whole.
///
/// # Errors
/// The first fault, with its position and the source line.
pub fn compile(path: &Path) -> Result<Schema> {
    compile_with(path, &|path| std::fs::read_to_string(path))
}

/// Like [`compile`], with the text of each file from `load`.
///
/// # Errors
/// The first fault, with its position and the source line.
pub fn compile_with(path: &Path, load: &dyn Fn(&Path) -> io::Result<String>) -> Result<Schema> {
    let parsed = parser::parse(path, load)?;
    resolve::resolve(parsed)
}
