//! Properties: how a value of an object is read and written.

use std::fmt;

use tinamou_qmp::{Error, Object, Result, Value, ValueSource, Visit};

use crate::ObjectId;

/// Reads a property.
pub type Getter = Box<dyn Fn() -> Result<Value>>;

/// Writes a property.
pub type Setter = Box<dyn Fn(Value) -> Result<()>>;

/// What is behind a property.
pub enum Access {
    /// An object that this one owns; its path leads through here.
    Child(ObjectId),
    /// An object that lives elsewhere, or none.
    Link(Option<ObjectId>),
    /// A property of another object, under whatever name it has there.
    Alias(ObjectId, String),
    /// A value that is computed when asked for.
    Value {
        /// Absent when the property cannot be read.
        get: Option<Getter>,
        /// Absent when it cannot be written.
        set: Option<Setter>,
    },
}

/// A named value of an object.
pub struct Property {
    pub(crate) kind: String,
    pub(crate) description: Option<&'static str>,
    pub(crate) access: Access,
}

impl Property {
    /// A property of the named type that is computed when read.
    pub fn read_only(kind: &str, get: impl Fn() -> Value + 'static) -> Self {
        let get: Getter = Box::new(move || Ok(get()));
        Self::new(
            kind,
            Access::Value {
                get: Some(get),
                set: None,
            },
        )
    }

    /// A property that never changes.
    pub fn constant(kind: &str, value: Value) -> Self {
        Self::read_only(kind, move || value.clone())
    }

    /// A property with a getter and a setter. The value written is checked
    /// as QMP checks arguments, so a wrong type is refused in QEMU's wording.
    pub fn writable<T: Visit + 'static>(
        name: &'static str,
        kind: &str,
        get: impl Fn() -> Value + 'static,
        set: impl Fn(T) -> Result<()> + 'static,
    ) -> Self {
        let get: Getter = Box::new(move || Ok(get()));
        let set: Setter = Box::new(move |value| set(typed(name, value)?));
        Self::new(
            kind,
            Access::Value {
                get: Some(get),
                set: Some(set),
            },
        )
    }

    /// Adds a description.
    #[must_use]
    pub fn described(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    pub(crate) fn new(kind: &str, access: Access) -> Self {
        Self {
            kind: kind.to_owned(),
            description: None,
            access,
        }
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Reads a typed value that hangs under the property's name, so that errors
/// name the property.
fn typed<T: Visit>(name: &str, value: Value) -> Result<T> {
    use tinamou_qmp::Source as _;
    let mut source = ValueSource::json(Value::Object(Object::from([(name.to_owned(), value)])));
    source.begin_struct(None)?;
    T::visit(&mut source, Some(name))
}

/// The error of a property that an object does not have.
pub(crate) fn not_found(kind: &str, name: &str) -> Error {
    Error::generic(format!("Property '{kind}.{name}' not found"))
}
