//! Values made up from their types.

use tinamou_qmp::{Object, Value};

use super::{Builtin, ObjectType, Schema, Type, TypeId};

/// The text of every string that is made up, so that nobody takes it for a
/// server's.
pub(crate) const MADE_UP: &str = "made-up";

/// Deeper than any type of QEMU's that nests without a way out.
const DEEPEST: usize = 32;

impl Schema {
    /// The least value that the command may return: required members only,
    /// no elements, zeros, the first value of an enumeration.
    #[must_use]
    pub fn example_return(&self, command: &str) -> Value {
        match self.commands.get(command) {
            Some(command) => self.example(command.returns, 0),
            None => Value::Null,
        }
    }

    fn example(&self, ty: TypeId, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        match self.ty(ty) {
            Type::Builtin(builtin) => builtin_example(*builtin),
            Type::Enum(values) => text(values.first().map_or(MADE_UP, String::as_str)),
            Type::Array(_) => Value::Array(Vec::new()),
            Type::Object(object) => {
                let mut members = Object::new();
                self.example_members(object, depth, &mut members);
                Value::Object(members)
            }
            Type::Alternate(branches) => match branches.first() {
                Some(&branch) => self.example(branch, depth + 1),
                None => Value::Null,
            },
        }
    }

    fn example_members(&self, object: &ObjectType, depth: usize, out: &mut Object) {
        for member in object.members.iter().filter(|member| !member.optional) {
            out.insert(member.name.clone(), self.example(member.ty, depth + 1));
        }
        let Some(Value::String(case)) = object.tag.as_ref().and_then(|tag| out.get(tag)) else {
            return;
        };
        let variant = object.variants.get(case).map(|&ty| self.ty(ty));
        if let Some(Type::Object(variant)) = variant {
            self.example_members(variant, depth + 1, out);
        }
    }
}

fn builtin_example(builtin: Builtin) -> Value {
    match builtin {
        Builtin::String | Builtin::Value => text(MADE_UP),
        Builtin::Number | Builtin::Int => Value::Int(0),
        Builtin::Boolean => Value::Bool(false),
        Builtin::Null => Value::Null,
        Builtin::Object => Value::Object(Object::new()),
        Builtin::Array => Value::Array(Vec::new()),
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
