//! Filling generated types from a source of input.
//!
//! The schema compiler emits, for every type, one `Visit` implementation that
//! says in which order members are read. A [`Source`] supplies the values: a
//! parsed JSON value or the `key=value` pairs of a command line
//! ([`ValueSource`] serves both), HMP arguments.

mod builtin;
mod input;

pub use input::ValueSource;

use crate::{Error, Object, Result, Value};

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
///
/// After an error the source is spent: nothing more may be read from it.
pub trait Source {
    /// Steps into the object under `name`.
    ///
    /// # Errors
    /// The member is missing or no object.
    fn begin_struct(&mut self, name: Name<'_>) -> Result<()>;

    /// Checks that every member was read, then steps out.
    ///
    /// # Errors
    /// A member was left over.
    fn end_struct(&mut self) -> Result<()>;

    /// Steps into the list under `name`.
    ///
    /// # Errors
    /// The member is missing or no list.
    fn begin_list(&mut self, name: Name<'_>) -> Result<()>;

    /// Moves to the next element; `false` at the end.
    fn next_element(&mut self) -> bool;

    /// Steps out of the list.
    ///
    /// # Errors
    /// None today: lists are read to their end.
    fn end_list(&mut self) -> Result<()>;

    /// Whether the optional member `name` is there.
    fn has(&mut self, name: &str) -> bool;

    /// The kind of the value under `name`, which is not consumed.
    ///
    /// # Errors
    /// The member is missing.
    fn kind(&mut self, name: Name<'_>) -> Result<Kind>;

    /// A signed 64-bit integer.
    ///
    /// # Errors
    /// The member is missing or no such integer.
    fn integer(&mut self, name: Name<'_>) -> Result<i64>;

    /// An unsigned 64-bit integer; JSON numbers below zero wrap.
    ///
    /// # Errors
    /// The member is missing or no such integer.
    fn unsigned(&mut self, name: Name<'_>) -> Result<u64>;

    /// A byte count; sources of text take units (`64M`).
    ///
    /// # Errors
    /// The member is missing or no byte count.
    fn size(&mut self, name: Name<'_>) -> Result<u64>;

    /// A boolean.
    ///
    /// # Errors
    /// The member is missing or no boolean.
    fn boolean(&mut self, name: Name<'_>) -> Result<bool>;

    /// A double.
    ///
    /// # Errors
    /// The member is missing or no number.
    fn number(&mut self, name: Name<'_>) -> Result<f64>;

    /// A string.
    ///
    /// # Errors
    /// The member is missing or no string.
    fn string(&mut self, name: Name<'_>) -> Result<String>;

    /// A null.
    ///
    /// # Errors
    /// The member is missing or not null.
    fn null(&mut self, name: Name<'_>) -> Result<()>;

    /// Any value at all.
    ///
    /// # Errors
    /// The member is missing.
    fn any(&mut self, name: Name<'_>) -> Result<Value>;

    /// All members of the object stood in that were not read yet.
    fn rest(&mut self) -> Object;
}

/// Reads a whole struct that hangs under `name`: the usual body of
/// [`Visit::visit`] for a type that has [`VisitMembers`].
///
/// # Errors
/// The first fault met.
pub fn structure<T: VisitMembers, S: Source>(source: &mut S, name: Name<'_>) -> Result<T> {
    source.begin_struct(name)?;
    let value = T::visit_members(source)?;
    source.end_struct()?;
    Ok(value)
}

/// Reads a command's arguments, refusing members it does not have.
///
/// # Errors
/// The first fault met.
pub fn arguments<T: VisitMembers>(arguments: Object) -> Result<T> {
    structure(&mut ValueSource::json(Value::Object(arguments)), None)
}

/// Reads the optional member `name`.
///
/// # Errors
/// It is there, but with a fault.
pub fn optional<T: Visit, S: Source>(source: &mut S, name: &str) -> Result<Option<T>> {
    optional_with(source, name, T::visit)
}

/// Reads the optional member `name` by `read`, such as [`size`].
///
/// # Errors
/// It is there, but with a fault.
pub fn optional_with<T, S: Source>(
    source: &mut S,
    name: &str,
    read: impl FnOnce(&mut S, Name<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if source.has(name) {
        read(source, Some(name)).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads the list under `name`, each element by `read`.
///
/// # Errors
/// The first fault met.
pub fn list_with<T, S: Source>(
    source: &mut S,
    name: Name<'_>,
    mut read: impl FnMut(&mut S, Name<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    source.begin_list(name)?;
    let mut elements = Vec::new();
    while source.next_element() {
        elements.push(read(source, None)?);
    }
    source.end_list()?;
    Ok(elements)
}

/// Reads a member of the schema's type `size`.
///
/// # Errors
/// It is missing or no byte count.
pub fn size<S: Source>(source: &mut S, name: Name<'_>) -> Result<u64> {
    source.size(name)
}

/// Reads a string and looks it up in `table`, which lists the values of an
/// enumeration by their wire names.
///
/// # Errors
/// It is missing, no string, or not in the table.
pub fn enumeration<T: Copy, S: Source>(
    source: &mut S,
    name: Name<'_>,
    table: &[(&str, T)],
) -> Result<T> {
    let text = source.string(name)?;
    table
        .iter()
        .find(|(wire, _)| *wire == text)
        .map(|&(_, value)| value)
        .ok_or_else(|| Error::value_not_accepted(name, &text))
}

/// The fault of an alternate: no branch takes the kind of value found.
/// QEMU shows only the leaf name here.
pub fn no_branch(name: Name<'_>, alternate: &str) -> Error {
    Error::invalid_type(leaf(name), alternate)
}

/// The name shown where QEMU does not know the path.
pub(crate) fn leaf<'a>(name: Name<'a>) -> &'a str {
    name.unwrap_or("null")
}
