//! Filling generated types from a source of input.
//!
//! The schema compiler emits, for every type, one `Visit` implementation that
//! says in which order members are read. A [`Source`] supplies the values: a
//! parsed JSON value, `key=value` pairs of a command line, HMP arguments.

use crate::{Result, Value};

/// How a value hangs in its parent: a member has a name, a list element and
/// the root have none (QEMU shows the word `null` for those in leaf errors).
pub type Name<'a> = Option<&'a str>;

/// What kind of JSON value is next; alternates choose their branch by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// a boolean
    Bool,
    /// any number
    Number,
    /// a string
    String,
    /// an array
    Array,
    /// an object
    Object,
}

/// A type that a [`Source`] can fill.
pub trait Visit: Sized {
    /// Reads one value that hangs under `name`.
    ///
    /// # Errors
    /// The first fault met, in QEMU's class and wording.
    fn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self>;
}

/// A struct or flat union whose members can be read in place, because it is
/// the base of another type, the branch of a union, or a command's arguments.
pub trait VisitMembers: Sized {
    /// Reads the members out of the object that `source` stands in.
    ///
    /// # Errors
    /// The first fault met, in QEMU's class and wording.
    fn visit_members<S: Source>(source: &mut S) -> Result<Self>;
}

/// A supplier of input values, walked in schema order.
pub trait Source {
    /// Steps into the object under `name`.
    fn begin_struct(&mut self, name: Name<'_>) -> Result<()>;
    /// Checks that every member was read, then steps out.
    fn end_struct(&mut self) -> Result<()>;
    /// Steps into the list under `name`.
    fn begin_list(&mut self, name: Name<'_>) -> Result<()>;
    /// Moves to the next element; `false` at the end.
    fn next_element(&mut self) -> bool;
    /// Steps out of the list.
    fn end_list(&mut self) -> Result<()>;
    /// Whether the optional member `name` is there.
    fn has(&mut self, name: &str) -> bool;
    /// The kind of the value under `name`. `expected` names the alternate.
    fn kind(&mut self, name: Name<'_>) -> Result<Kind>;
    /// A signed 64-bit integer.
    fn integer(&mut self, name: Name<'_>) -> Result<i64>;
    /// An unsigned 64-bit integer.
    fn unsigned(&mut self, name: Name<'_>) -> Result<u64>;
    /// A byte count; sources of text take units (`64M`).
    fn size(&mut self, name: Name<'_>) -> Result<u64>;
    /// A boolean.
    fn boolean(&mut self, name: Name<'_>) -> Result<bool>;
    /// A double.
    fn number(&mut self, name: Name<'_>) -> Result<f64>;
    /// A string.
    fn string(&mut self, name: Name<'_>) -> Result<String>;
    /// A null.
    fn null(&mut self, name: Name<'_>) -> Result<()>;
    /// Any value at all.
    fn any(&mut self, name: Name<'_>) -> Result<Value>;
}
