//! From expressions to definitions: keys, names and the kinds of values, all
//! that can be checked of a definition by itself.

use crate::condition::Condition;
use crate::error::Result;
use crate::expression::{Expression, Value};
use crate::model::{
    Alternate, Body, Branch, Command, Definition, Enum, EnumValue, Event, Feature, Member, Object,
    TypeRef, Union,
};
use crate::names;
use crate::parser::Item;
use crate::source::Position;

/// Makes the definition of an item.
pub(crate) fn definition(item: &mut Item) -> Result<Definition> {
    let context = format!("{} '{}'", item.kind, item.name);
    contextualize(&mut item.expression, &context);
    let position = &item.expression.position;
    match item.kind {
        "event" => names::check_upper(&item.name, item.kind, position)?,
        "command" => {
            let permissive = item.pragmas.command_names.contains(&item.name);
            names::check_lower(&item.name, item.kind, permissive, position)?;
        }
        _ => names::check_camel(&item.name, item.kind, position)?,
    }
    let shape = Shape { item };
    let body = match item.kind {
        "enum" => shape.enumeration()?,
        "struct" => shape.structure()?,
        "union" => shape.union()?,
        "alternate" => shape.alternate()?,
        "command" => shape.command()?,
        _ => shape.event()?,
    };
    Ok(Definition {
        condition: Condition::read(item.expression.member("if"), item.kind)?,
        features: features(&item.expression)?,
        name: item.name.clone(),
        doc: item.doc.clone(),
        body,
    })
}

/// Puts the definition's name before the messages of faults in it.
fn contextualize(expression: &mut Expression, context: &str) {
    expression.position = expression.position.within(context);
    match &mut expression.value {
        Value::Object(members) => members
            .iter_mut()
            .for_each(|(_, value)| contextualize(value, context)),
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|value| contextualize(value, context)),
        Value::String(_) | Value::Bool(_) => {}
    }
}

struct Shape<'a> {
    item: &'a Item,
}

impl Shape<'_> {
    fn keys(&self, required: &[&str], optional: &[&str]) -> Result<()> {
        let required = [&[self.item.kind], required].concat();
        let optional = [&["if", "features"], optional].concat();
        self.item
            .expression
            .check_keys(self.item.kind, &required, &optional)
    }

    fn value(&self, key: &str) -> Option<&Expression> {
        self.item.expression.member(key)
    }

    fn position(&self) -> &Position {
        &self.item.expression.position
    }

    fn permissive(&self) -> bool {
        self.item.pragmas.member_names.contains(&self.item.name)
    }

    /// A fault of the value of a key.
    fn fault<T>(&self, key: &str, message: &str) -> Result<T> {
        let position = self
            .value(key)
            .map_or(self.position(), |value| &value.position);
        position.fail(message)
    }

    fn enumeration(&self) -> Result<Body> {
        self.keys(&["data"], &["prefix"])?;
        if let Some(prefix) = self.value("prefix")
            && prefix.as_str().is_none()
        {
            return prefix.fail("'prefix' must be a string");
        }
        let data = self.value("data");
        let Some(elements) = data.and_then(Expression::as_array) else {
            return self.fault("data", "'data' must be an array");
        };
        let values = elements
            .iter()
            .map(|element| self.enum_value(element))
            .collect::<Result<_>>()?;
        Ok(Body::Enum(Enum { values }))
    }

    fn enum_value(&self, element: &Expression) -> Result<EnumValue> {
        const WHAT: &str = "'data' member";
        let named = match &element.value {
            Value::String(_) => element,
            Value::Object(_) => {
                element.check_keys(WHAT, &["name"], &["if", "features"])?;
                element.member("name").unwrap_or(element)
            }
            _ => return element.fail(format!("{WHAT} requires a string name")),
        };
        let Some(name) = named.as_str() else {
            return element.fail(format!("{WHAT} requires a string name"));
        };
        let what = format!("{WHAT} '{name}'");
        names::check_value(name, &what, self.permissive(), &element.position)?;
        Ok(EnumValue {
            name: name.to_owned(),
            condition: Condition::read(element.member("if"), &what)?,
            features: features(element)?,
        })
    }

    fn structure(&self) -> Result<Body> {
        self.keys(&["data"], &["base"])?;
        let Some(data) = self.value("data").filter(|data| data.as_object().is_some()) else {
            return self.fault("data", "'data' should be an object");
        };
        let base = self
            .value("base")
            .map(|base| self.type_name("base", base))
            .transpose()?;
        Ok(Body::Struct(Object {
            base,
            members: self.members("data", data)?,
        }))
    }

    fn union(&self) -> Result<Body> {
        self.keys(&["base", "discriminator", "data"], &[])?;
        let (mut base, mut members) = (None, Vec::new());
        if let Some(value) = self.value("base") {
            match value.as_object() {
                Some(_) => members = self.members("base", value)?,
                None => base = Some(self.type_name("base", value)?),
            }
        }
        let discriminator = self.value("discriminator").and_then(Expression::as_str);
        let Some(discriminator) = discriminator.map(str::to_owned) else {
            return self
                .position()
                .fail("'discriminator' requires a string name");
        };
        let branches = self.branches(true)?;
        Ok(Body::Union(Union {
            base,
            members,
            discriminator,
            branches,
        }))
    }

    fn alternate(&self) -> Result<Body> {
        self.keys(&["data"], &[])?;
        let branches = self.branches(false)?;
        match branches.is_empty() {
            true => self.position().fail("'data' must not be empty"),
            false => Ok(Body::Alternate(Alternate { branches })),
        }
    }

    fn branches(&self, of_union: bool) -> Result<Vec<Branch>> {
        let Some(data) = self.value("data").and_then(Expression::as_object) else {
            return self.fault("data", "'data' must be an object");
        };
        data.iter()
            .map(|(name, value)| self.branch(name, value, of_union))
            .collect()
    }

    fn branch(&self, name: &str, value: &Expression, of_union: bool) -> Result<Branch> {
        let what = format!("'data' member '{name}'");
        // A union's branch is a value of an enumeration, which is checked there.
        if !of_union {
            names::check_lower(name, &what, false, &value.position)?;
        }
        if value.as_object().is_some() {
            value.check_keys(&what, &["type"], &["if"])?;
        }
        let kind = value.member("type").unwrap_or(value);
        let kind = match of_union {
            true => TypeRef::Name(type_name(&what, kind)?),
            false => type_or_list(&what, kind)?,
        };
        Ok(Branch {
            name: name.to_owned(),
            kind,
            condition: Condition::read(value.member("if"), &what)?,
        })
    }

    fn command(&self) -> Result<Body> {
        let flags = [
            "gen",
            "success-response",
            "boxed",
            "allow-oob",
            "allow-preconfig",
            "coroutine",
        ];
        self.keys(&[], &[&["data", "returns"], flags.as_slice()].concat())?;
        let flag = |name| self.flag(name);
        let (boxed, allow_oob, coroutine) =
            (flag("boxed")?, flag("allow-oob")?, flag("coroutine")?);
        if allow_oob && coroutine {
            return self
                .position()
                .fail("flags 'allow-oob' and 'coroutine' are incompatible");
        }
        let (data, members) = self.data(boxed)?;
        let returns = self
            .value("returns")
            .map(|returns| type_or_list("'returns'", returns))
            .transpose()?;
        Ok(Body::Command(Command {
            data,
            members,
            returns,
            boxed,
            allow_oob,
            coroutine,
            allow_preconfig: flag("allow-preconfig")?,
            generated: !flag("gen")?,
            success_response: !flag("success-response")?,
        }))
    }

    fn event(&self) -> Result<Body> {
        self.keys(&[], &["data", "boxed"])?;
        let boxed = self.flag("boxed")?;
        let (data, members) = self.data(boxed)?;
        Ok(Body::Event(Event {
            data,
            members,
            boxed,
        }))
    }

    /// Whether a flag departs from its default: `gen` and `success-response`
    /// may only be false, the others only true.
    fn flag(&self, name: &str) -> Result<bool> {
        let Some(value) = self.value(name) else {
            return Ok(false);
        };
        let wanted = !matches!(name, "gen" | "success-response");
        match value.as_bool() == Some(wanted) {
            true => Ok(true),
            false => value.fail(format!("flag '{name}' may only use {wanted} value")),
        }
    }

    /// The arguments of a command or the data of an event.
    fn data(&self, boxed: bool) -> Result<(Option<String>, Vec<Member>)> {
        match self.value("data") {
            None if boxed => self.position().fail("'boxed': true requires 'data'"),
            None => Ok((None, Vec::new())),
            Some(data) => match &data.value {
                Value::Object(_) if boxed => data.fail("'data' should be a type name"),
                Value::Object(_) => Ok((None, self.members("data", data)?)),
                Value::String(name) => Ok((Some(name.clone()), Vec::new())),
                _ => data.fail("'data' should be an object or type name"),
            },
        }
    }

    fn members(&self, key: &str, object: &Expression) -> Result<Vec<Member>> {
        let members = object.as_object().into_iter().flatten();
        members
            .map(|(name, value)| self.member(key, name, value))
            .collect()
    }

    fn member(&self, key: &str, name: &str, value: &Expression) -> Result<Member> {
        let what = format!("'{key}' member '{name}'");
        let bare = name.strip_prefix('*').unwrap_or(name);
        names::check_lower(bare, &what, self.permissive(), &value.position)?;
        names::check_reserved(bare, &what, &value.position)?;
        let is_type =
            |value: &Expression| matches!(value.value, Value::String(_) | Value::Array(_));
        if value.as_object().is_some() {
            value.check_keys(&what, &["type"], &["if", "features"])?;
        } else if !is_type(value) {
            return value.fail(format!("{what} should be a type name or array"));
        }
        Ok(Member {
            name: bare.to_owned(),
            kind: type_or_list(&what, value.member("type").unwrap_or(value))?,
            optional: name.starts_with('*'),
            condition: Condition::read(value.member("if"), &what)?,
            features: features(value)?,
        })
    }

    fn type_name(&self, key: &str, value: &Expression) -> Result<String> {
        type_name(&format!("'{key}'"), value)
    }
}

fn type_name(what: &str, value: &Expression) -> Result<String> {
    match value.as_str() {
        Some(name) => Ok(name.to_owned()),
        None => value.fail(format!("{what} should be a type name")),
    }
}

fn type_or_list(what: &str, value: &Expression) -> Result<TypeRef> {
    match &value.value {
        Value::String(name) => Ok(TypeRef::Name(name.clone())),
        Value::Array(elements) => match elements.as_slice() {
            [
                Expression {
                    value: Value::String(name),
                    ..
                },
            ] => Ok(TypeRef::List(name.clone())),
            _ => value.fail(format!("{what}: array type must contain single type name")),
        },
        _ => value.fail(format!("{what} should be a type name or array")),
    }
}

fn features(expression: &Expression) -> Result<Vec<Feature>> {
    let Some(list) = expression.member("features") else {
        return Ok(Vec::new());
    };
    let Some(elements) = list.as_array() else {
        return list.fail("'features' must be an array");
    };
    let mut features: Vec<Feature> = Vec::new();
    for element in elements {
        let feature = feature(element)?;
        if features.iter().any(|other| other.name == feature.name) {
            let name = &feature.name;
            return element.fail(format!("feature '{name}' collides with feature '{name}'"));
        }
        features.push(feature);
    }
    Ok(features)
}

fn feature(element: &Expression) -> Result<Feature> {
    const WHAT: &str = "'features' member";
    if element.as_object().is_some() {
        element.check_keys(WHAT, &["name"], &["if"])?;
    }
    let Some(name) = element.member("name").unwrap_or(element).as_str() else {
        return element.fail(format!("{WHAT} requires a string name"));
    };
    let what = format!("{WHAT} '{name}'");
    names::check_lower(name, &what, false, &element.position)?;
    Ok(Feature {
        name: name.to_owned(),
        condition: Condition::read(element.member("if"), &what)?,
    })
}
