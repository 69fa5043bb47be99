//! Whether values fit their types, in the order and wording of QEMU's own
//! visitors as far as introspection tells of the types: it hides their names
//! and the widths of integers.

use tinamou_qmp::visit::{self, Kind, Name, Source, ValueSource};
use tinamou_qmp::{Error, Object, Result, Value};

use super::{Builtin, ObjectType, Schema, Type, TypeId};

/// What a check lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Members that the type does not have.
    pub unknown_members: bool,
    /// Required members that are missing.
    pub missing_members: bool,
    /// Values of another JSON type.
    pub types: bool,
    /// Strings that are not among an enumeration's.
    pub values: bool,
}

impl Schema {
    /// Whether the arguments are right for the command.
    ///
    /// # Errors
    /// They are not, as QEMU would say it.
    pub fn check_arguments(
        &self,
        command: &str,
        arguments: Object,
        leniency: Leniency,
    ) -> Result<()> {
        let known = self.commands.get(command);
        let known = known.ok_or_else(|| Error::command_not_found(command))?;
        self.check(known.arguments, Value::Object(arguments), leniency)
    }

    /// Whether the command may return the value.
    ///
    /// # Errors
    /// It may not.
    pub fn check_return(&self, command: &str, value: Value) -> Result<()> {
        let known = self.commands.get(command);
        let known = known.ok_or_else(|| Error::command_not_found(command))?;
        self.check(known.returns, value, Leniency::default())
    }

    /// Whether the event may have the data.
    ///
    /// # Errors
    /// It may not, or there is no such event.
    pub fn check_event(&self, event: &str, data: Object) -> Result<()> {
        let unknown = || Error::generic(format!("there is no event '{event}'"));
        let ty = self.events.get(event).ok_or_else(unknown)?;
        self.check(*ty, Value::Object(data), Leniency::default())
    }

    fn check(&self, ty: TypeId, value: Value, leniency: Leniency) -> Result<()> {
        let mut check = Check {
            schema: self,
            source: ValueSource::json(value),
            leniency,
        };
        check.value(None, ty)
    }
}

struct Check<'a> {
    schema: &'a Schema,
    source: ValueSource,
    leniency: Leniency,
}

impl Check<'_> {
    fn value(&mut self, name: Name<'_>, ty: TypeId) -> Result<()> {
        let schema = self.schema;
        match schema.ty(ty) {
            Type::Builtin(builtin) => self.builtin(name, *builtin),
            Type::Alternate(branches) => self.alternate(name, branches),
            _ if self.leniency.types && self.source.kind(name)? != schema.kind(ty) => {
                self.source.any(name).map(drop)
            }
            Type::Enum(values) => self.enumeration(name, values).map(drop),
            Type::Array(element) => self.list(name, *element),
            Type::Object(object) => {
                self.source.begin_struct(name)?;
                self.members(object)?;
                if self.leniency.unknown_members {
                    self.source.rest();
                }
                self.source.end_struct()
            }
        }
    }

    fn members(&mut self, object: &ObjectType) -> Result<()> {
        let mut case = None;
        for member in &object.members {
            let present = self.source.has(&member.name);
            if !present && (member.optional || self.leniency.missing_members) {
                continue;
            }
            let is_tag = object.tag.as_ref() == Some(&member.name);
            match self.schema.ty(member.ty) {
                Type::Enum(values) if is_tag => {
                    case = Some(self.enumeration(Some(&member.name), values)?);
                }
                _ => self.value(Some(&member.name), member.ty)?,
            }
        }
        let variant = case.and_then(|case| object.variants.get(&case));
        match variant.map(|&ty| self.schema.ty(ty)) {
            Some(Type::Object(variant)) => self.members(variant),
            _ => Ok(()),
        }
    }

    fn enumeration(&mut self, name: Name<'_>, values: &[String]) -> Result<String> {
        let text = self.source.string(name)?;
        if values.contains(&text) || self.leniency.values {
            return Ok(text);
        }
        Err(Error::value_not_accepted(name, &text))
    }

    fn list(&mut self, name: Name<'_>, element: TypeId) -> Result<()> {
        self.source.begin_list(name)?;
        while self.source.next_element() {
            self.value(None, element)?;
        }
        self.source.end_list()
    }

    fn alternate(&mut self, name: Name<'_>, branches: &[TypeId]) -> Result<()> {
        let kind = self.source.kind(name)?;
        let takes = |ty: &&TypeId| self.schema.kind(**ty) == kind;
        match branches.iter().find(takes) {
            Some(&branch) => self.value(name, branch),
            None if self.leniency.types => self.source.any(name).map(drop),
            None => Err(visit::no_branch(name, "alternate")),
        }
    }

    fn builtin(&mut self, name: Name<'_>, builtin: Builtin) -> Result<()> {
        if builtin == Builtin::Value || self.leniency.types {
            return self.source.any(name).map(drop);
        }
        match builtin {
            Builtin::String => self.source.string(name).map(drop),
            Builtin::Number => self.source.number(name).map(drop),
            Builtin::Int => self.integer(name),
            Builtin::Boolean => self.source.boolean(name).map(drop),
            Builtin::Null => self.source.null(name),
            Builtin::Object => self.container(name, Kind::Object, "object"),
            Builtin::Array => self.container(name, Kind::Array, "array"),
            Builtin::Value => Ok(()),
        }
    }

    /// Introspection does not tell signed from unsigned.
    fn integer(&mut self, name: Name<'_>) -> Result<()> {
        match self.source.any(name)? {
            Value::Int(_) | Value::Uint(_) => Ok(()),
            _ => Err(Error::invalid_type(name.unwrap_or("null"), "integer")),
        }
    }

    fn container(&mut self, name: Name<'_>, kind: Kind, shown: &str) -> Result<()> {
        match self.source.any(name)?.kind() == kind {
            true => Ok(()),
            false => Err(Error::invalid_type(name.unwrap_or("null"), shown)),
        }
    }
}

impl Schema {
    /// The kind of JSON value that a type's values are.
    fn kind(&self, ty: TypeId) -> Kind {
        match self.ty(ty) {
            Type::Builtin(Builtin::String) | Type::Enum(_) => Kind::String,
            Type::Builtin(Builtin::Number | Builtin::Int) => Kind::Number,
            Type::Builtin(Builtin::Boolean) => Kind::Bool,
            Type::Builtin(Builtin::Null) => Kind::Null,
            Type::Builtin(Builtin::Array) | Type::Array(_) => Kind::Array,
            Type::Builtin(Builtin::Object | Builtin::Value)
            | Type::Object(_)
            | Type::Alternate(_) => Kind::Object,
        }
    }
}
