//! The source that feeds visitors from a [`Value`].

use super::{Kind, Name, Source};
use crate::{Error, Object, Result, Value, hash_order, keyval};
use std::fmt::Write as _;

/// Feeds visitors from a parsed JSON value, or from `key=value` pairs, whose
/// scalars are all strings and are converted as they are read.
#[derive(Debug)]
pub struct ValueSource {
    root: Option<Value>,
    stack: Vec<Frame>,
    text: bool,
}

/// A container stood in.
#[derive(Debug)]
struct Frame {
    /// How it hangs in its parent; empty for the root and list elements.
    name: Option<Box<str>>,
    members: Members,
}

#[derive(Debug)]
enum Members {
    /// Members are taken out as they are read; `read` lists their places.
    Object {
        object: Object,
        taken: Vec<bool>,
        read: Vec<usize>,
    },
    /// `index` is that of the element stood at.
    List {
        elements: std::vec::IntoIter<Value>,
        current: Option<Value>,
        index: usize,
    },
}

impl ValueSource {
    /// A source with the strict types of JSON.
    #[must_use]
    pub fn json(root: Value) -> Self {
        Self {
            root: Some(root),
            stack: Vec::new(),
            text: false,
        }
    }

    /// A source of [`keyval`](crate::keyval) pairs.
    #[must_use]
    pub fn keyval(members: Object) -> Self {
        Self {
            root: Some(Value::Object(members)),
            stack: Vec::new(),
            text: true,
        }
    }

    /// Takes the value under `name` out.
    fn take(&mut self, name: Name<'_>) -> Result<Value> {
        self.try_take(name)
            .ok_or_else(|| Error::missing_parameter(&self.path(name)))
    }

    fn try_take(&mut self, name: Name<'_>) -> Option<Value> {
        let Some(frame) = self.stack.last_mut() else {
            return self.root.take();
        };
        match &mut frame.members {
            Members::List { current, .. } => current.take(),
            Members::Object {
                object,
                taken,
                read,
            } => {
                let (place, _, value) = object.get_full_mut(name?)?;
                if std::mem::replace(&mut taken[place], true) {
                    return None;
                }
                read.push(place);
                Some(std::mem::replace(value, Value::Null))
            }
        }
    }

    /// The value under `name`, left in its place.
    fn peek(&self, name: Name<'_>) -> Option<&Value> {
        let Some(frame) = self.stack.last() else {
            return self.root.as_ref();
        };
        match &frame.members {
            Members::List { current, .. } => current.as_ref(),
            Members::Object { object, taken, .. } => {
                let (place, _, value) = object.get_full(name?)?;
                (!taken[place]).then_some(value)
            }
        }
    }

    /// Where `name` is, from the root: `a.b[0].c`.
    fn path(&self, name: Name<'_>) -> String {
        let mut path = String::new();
        for frame in &self.stack {
            append_name(&mut path, frame.name.as_deref());
            if let Members::List { index, .. } = frame.members {
                let _ = write!(path, "[{index}]");
            }
        }
        append_name(&mut path, name);
        path
    }

    /// A value of the wrong type.
    fn invalid(&self, name: Name<'_>, expected: &str) -> Error {
        Error::invalid_type(&self.path(name), expected)
    }

    /// A value with the right type, but a wrong content.
    fn expects(&self, name: Name<'_>, what: &str) -> Error {
        Error::expects(Some(&self.path(name)), what)
    }

    /// The text under `name`, in a source of text.
    fn take_text(&mut self, name: Name<'_>) -> Result<String> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(Error::generic(format!(
                "Parameters '{}.*' are unexpected",
                self.path(name)
            ))),
        }
    }

    fn push(&mut self, name: Name<'_>, members: Members) {
        self.stack.push(Frame {
            name: name.map(Box::from),
            members,
        });
    }
}

fn append_name(path: &mut String, name: Name<'_>) {
    let Some(name) = name else { return };
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

impl Source for ValueSource {
    fn begin_struct(&mut self, name: Name<'_>) -> Result<()> {
        let Value::Object(object) = self.take(name)? else {
            return Err(self.invalid(name, "object"));
        };
        let taken = vec![false; object.len()];
        self.push(
            name,
            Members::Object {
                object,
                taken,
                read: Vec::new(),
            },
        );
        Ok(())
    }

    fn end_struct(&mut self) -> Result<()> {
        let left_over = match self.stack.last().map(|frame| &frame.members) {
            Some(Members::Object { object, read, .. }) if read.len() < object.len() => {
                hash_order::first_left_over(object, read).and_then(|place| object.get_index(place))
            }
            _ => None,
        };
        if let Some((key, _)) = left_over {
            return Err(Error::unexpected_parameter(&self.path(Some(key))));
        }
        self.stack.pop();
        Ok(())
    }

    fn begin_list(&mut self, name: Name<'_>) -> Result<()> {
        let Value::Array(elements) = self.take(name)? else {
            return Err(self.invalid(name, "array"));
        };
        let elements = elements.into_iter();
        self.push(
            name,
            Members::List {
                elements,
                current: None,
                index: usize::MAX,
            },
        );
        Ok(())
    }

    fn next_element(&mut self) -> bool {
        let Some(Frame {
            members:
                Members::List {
                    elements,
                    current,
                    index,
                },
            ..
        }) = self.stack.last_mut()
        else {
            return false;
        };
        *current = elements.next();
        *index = index.wrapping_add(1);
        current.is_some()
    }

    fn end_list(&mut self) -> Result<()> {
        self.stack.pop();
        Ok(())
    }

    fn has(&mut self, name: &str) -> bool {
        self.peek(Some(name)).is_some()
    }

    fn kind(&mut self, name: Name<'_>) -> Result<Kind> {
        let value = self
            .peek(name)
            .ok_or_else(|| Error::missing_parameter(&self.path(name)))?;
        Ok(value.kind())
    }

    fn integer(&mut self, name: Name<'_>) -> Result<i64> {
        if self.text {
            let text = self.take_text(name)?;
            return keyval::integer(&text).ok_or_else(|| self.expects(name, "integer"));
        }
        match self.take(name)? {
            Value::Int(value) => Ok(value),
            _ => Err(self.invalid(name, "integer")),
        }
    }

    fn unsigned(&mut self, name: Name<'_>) -> Result<u64> {
        if self.text {
            let text = self.take_text(name)?;
            return keyval::unsigned(&text).ok_or_else(|| self.expects(name, "integer"));
        }
        match self.take(name)? {
            Value::Int(value) => Ok(value.cast_unsigned()),
            Value::Uint(value) => Ok(value),
            _ => Err(self.expects(name, "uint64")),
        }
    }

    fn size(&mut self, name: Name<'_>) -> Result<u64> {
        if !self.text {
            return self.unsigned(name);
        }
        let text = self.take_text(name)?;
        keyval::size(&text).ok_or_else(|| self.expects(name, "size"))
    }

    fn boolean(&mut self, name: Name<'_>) -> Result<bool> {
        if self.text {
            let text = self.take_text(name)?;
            return keyval::boolean(&text).ok_or_else(|| self.expects(name, "'on' or 'off'"));
        }
        match self.take(name)? {
            Value::Bool(value) => Ok(value),
            _ => Err(self.invalid(name, "boolean")),
        }
    }

    fn number(&mut self, name: Name<'_>) -> Result<f64> {
        if self.text {
            let text = self.take_text(name)?;
            return keyval::number(&text).ok_or_else(|| self.expects(name, "number"));
        }
        match self.take(name)? {
            Value::Double(value) => Ok(value),
            Value::Int(value) => Ok(value as f64),
            Value::Uint(value) => Ok(value as f64),
            _ => Err(self.invalid(name, "number")),
        }
    }

    fn string(&mut self, name: Name<'_>) -> Result<String> {
        if self.text {
            return self.take_text(name);
        }
        match self.take(name)? {
            Value::String(value) => Ok(value),
            _ => Err(self.invalid(name, "string")),
        }
    }

    fn null(&mut self, name: Name<'_>) -> Result<()> {
        match self.take(name)? {
            Value::Null => Ok(()),
            _ => Err(self.invalid(name, "null")),
        }
    }

    fn any(&mut self, name: Name<'_>) -> Result<Value> {
        self.take(name)
    }

    fn rest(&mut self) -> Object {
        let Some(Frame {
            members:
                Members::Object {
                    object,
                    taken,
                    read,
                },
            ..
        }) = self.stack.last_mut()
        else {
            return Object::new();
        };
        let members = std::mem::take(object);
        let taken = std::mem::take(taken);
        read.clear();
        members
            .into_iter()
            .zip(taken)
            .filter(|(_, taken)| !taken)
            .map(|(member, _)| member)
            .collect()
    }
}
