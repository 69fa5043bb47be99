//! Giving what was typed its type.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use tinamou_client::Schema;
use tinamou_client::schema::{Entity, Member, Meta};

use super::{Given, literal};
use crate::Error;

/// The arguments of `command`.
pub(super) fn arguments(
    command: &str,
    given: IndexMap<String, Given>,
    schema: Option<&Schema>,
) -> Result<Value, Error> {
    let ty = schema.and_then(|schema| schema.arguments(schema.command(command)?));
    match (schema, ty) {
        (Some(schema), Some(ty)) => Typing { schema }.object(given, ty, ""),
        _ => Ok(untyped_members(given)),
    }
}

struct Typing<'a> {
    schema: &'a Schema,
}

impl Typing<'_> {
    fn value(&self, given: Given, ty: &str, path: &str) -> Result<Value, Error> {
        let Some(entity) = self.schema.ty(ty) else {
            return Ok(untyped(given));
        };
        match (given, &entity.meta) {
            (Given::Json(value), _) => Ok(value),
            (Given::Members(members), Meta::Array { element_type }) => {
                self.list(members, element_type, path)
            }
            (Given::Members(members), Meta::Alternate { .. }) => {
                self.object(members, self.object_choice(entity).unwrap_or(entity), path)
            }
            (Given::Members(members), _) => self.object(members, entity, path),
            (Given::Text(text), _) => self.text(&text, entity, path),
        }
    }

    fn object(
        &self,
        given: IndexMap<String, Given>,
        ty: &Entity,
        path: &str,
    ) -> Result<Value, Error> {
        let known = self.members(ty, &given);
        let mut object = Map::new();
        for (name, given) in given {
            let path = join(path, &name);
            let member = known.iter().find(|member| member.name == name);
            let value = match member {
                Some(member) => self.value(given, &member.ty, &path)?,
                None => untyped(given),
            };
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }

    /// The members that an object may have, seen what its tag was given as.
    fn members<'s>(&'s self, ty: &'s Entity, given: &IndexMap<String, Given>) -> Vec<&'s Member> {
        let Meta::Object {
            members,
            tag,
            variants,
        } = &ty.meta
        else {
            return Vec::new();
        };
        let mut known: Vec<&Member> = members.iter().collect();
        let tag = tag.as_ref().and_then(|tag| match given.get(tag)? {
            Given::Text(text) => Some(text.as_str()),
            Given::Json(value) => value.as_str(),
            Given::Members(_) => None,
        });
        let chosen = variants
            .iter()
            .filter(|variant| tag.is_none_or(|tag| tag == variant.case));
        for variant in chosen {
            if let Some(Meta::Object { members, .. }) =
                self.schema.ty(&variant.ty).map(|ty| &ty.meta)
            {
                known.extend(members);
            }
        }
        known
    }

    /// `list.0=a list.1=b`: the keys are places.
    fn list(
        &self,
        given: IndexMap<String, Given>,
        element: &str,
        path: &str,
    ) -> Result<Value, Error> {
        let mut places = Vec::new();
        for (key, given) in given {
            let path = join(path, &key);
            let place: usize = key
                .parse()
                .map_err(|_| Error::usage(format!("'{path}': '{key}' is no place in a list")))?;
            places.push((place, self.value(given, element, &path)?));
        }
        places.sort_by_key(|(place, _)| *place);
        if let Some(gap) = (0..)
            .zip(&places)
            .find(|(place, (found, _))| place != found)
        {
            return Err(Error::usage(format!(
                "'{}' is missing",
                join(path, &gap.0.to_string())
            )));
        }
        Ok(places.into_iter().map(|(_, value)| value).collect())
    }

    fn text(&self, text: &str, ty: &Entity, path: &str) -> Result<Value, Error> {
        let wrong = |what: &str| Error::usage(format!("'{path}={text}': {what}"));
        match &ty.meta {
            Meta::Builtin { json_type } => scalar(text, json_type)
                .ok_or_else(|| wrong(&format!("expected {}", spoken(json_type)))),
            Meta::Array { element_type } if !text.trim_start().starts_with('[') => text
                .split(',')
                .filter(|_| !text.is_empty())
                .map(|element| self.value(Given::Text(element.to_owned()), element_type, path))
                .collect(),
            Meta::Array { .. } | Meta::Object { .. } => {
                literal::parse(text).map_err(|error| wrong(&error))
            }
            Meta::Alternate { members } => {
                let choices = members
                    .iter()
                    .filter_map(|choice| self.schema.ty(&choice.ty));
                Ok(alternate(text, &choices.collect::<Vec<_>>()))
            }
            _ => Ok(Value::from(text)),
        }
    }

    fn object_choice(&self, ty: &Entity) -> Option<&Entity> {
        let Meta::Alternate { members } = &ty.meta else {
            return None;
        };
        let mut choices = members
            .iter()
            .filter_map(|choice| self.schema.ty(&choice.ty));
        choices.find(|choice| matches!(choice.meta, Meta::Object { .. }))
    }
}

/// The first of the choices that the text can be, strings last.
fn alternate(text: &str, choices: &[&Entity]) -> Value {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = literal::parse(text)
    {
        return value;
    }
    choices
        .iter()
        .filter_map(|choice| match &choice.meta {
            Meta::Builtin { json_type } if json_type != "string" => scalar(text, json_type),
            _ => None,
        })
        .next()
        .unwrap_or_else(|| Value::from(text))
}

/// What `text` means where introspection expects `json_type`, if it can.
pub(crate) fn scalar(text: &str, json_type: &str) -> Option<Value> {
    match json_type {
        "string" => Some(Value::from(text)),
        "int" => integer(text).or_else(|| python_integer(text)),
        "number" => literal::parse(text).ok().filter(Value::is_number),
        "boolean" => match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" => Some(Value::Bool(true)),
            "off" | "false" | "no" => Some(Value::Bool(false)),
            _ => None,
        },
        "null" => (text == "null").then_some(Value::Null),
        _ => Some(untyped(Given::Text(text.to_owned()))),
    }
}

fn spoken(json_type: &str) -> &str {
    match json_type {
        "int" => "a whole number, such as 5, 0x10 or 512M",
        "boolean" => "on or off",
        "number" => "a number",
        other => other,
    }
}

/// A whole number: decimal, or hexadecimal after `0x`; decimal ones may have
/// a binary unit from `K` to `E`.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let magnitude = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok()?,
        None => {
            let (digits, shift) = unit(digits);
            let number: u64 = digits.parse().ok()?;
            number.checked_mul(1 << shift)?
        }
    };
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Value::from);
    }
    Some(Value::from(magnitude))
}

/// Splits a unit off, as the power of two that it stands for.
fn unit(text: &str) -> (&str, u32) {
    let units = ["k", "m", "g", "t", "p", "e"];
    let Some((last, _)) = text.char_indices().next_back() else {
        return (text, 0);
    };
    let (digits, letter) = text.split_at(last);
    match (10..)
        .step_by(10)
        .zip(units)
        .find(|(_, unit)| letter.eq_ignore_ascii_case(unit))
    {
        Some((shift, _)) => (digits, shift),
        None => (text, 0),
    }
}

/// What nothing is known of: what QEMU's own shell takes it for, or JSON if it
/// is JSON, else a string.
fn untyped(given: Given) -> Value {
    match given {
        Given::Json(value) => value,
        Given::Text(text) => python(&text)
            .or_else(|| literal::parse(&text).ok())
            .unwrap_or(Value::String(text)),
        Given::Members(members) => untyped_members(members),
    }
}

/// Whole numbers and truth as Python's `int()` and `lower()` read them:
/// `007`, `+5`, `1_000`, `TRUE`.
fn python(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => python_integer(text),
    }
}

fn python_integer(text: &str) -> Option<Value> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some((sign @ ("+" | "-"), digits)) => (sign, digits),
        _ => ("+", text),
    };
    let is_digits =
        |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    if !digits.split('_').all(is_digits) {
        return None;
    }
    let magnitude: u64 = digits.replace('_', "").parse().ok()?;
    match sign {
        "-" => 0i64.checked_sub_unsigned(magnitude).map(Value::from),
        _ => Some(Value::from(magnitude)),
    }
}

fn untyped_members(members: IndexMap<String, Given>) -> Value {
    let members = members
        .into_iter()
        .map(|(name, given)| (name, untyped(given)));
    Value::Object(members.collect())
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}
