//! Values made to a schema: the smallest that fit, and some that do not.

use serde_json::{Map, Value, json};

use super::{Member, Schema, Type};

/// A name that nothing has.
pub(crate) const NOTHING: &str = "no-such-thing";

/// How deep a made value may be; types may contain themselves.
const DEEPEST: usize = 16;

impl Schema {
    /// The smallest value of a type; names in it are those of nothing.
    pub(crate) fn instance(&self, ty: &str) -> Value {
        self.instance_at(ty, 0)
    }

    fn instance_at(&self, ty: &str, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        match self.ty(ty) {
            Some(Type::Builtin(json)) => builtin(json),
            Some(Type::Enum(values)) => json!(values.first()),
            Some(Type::Array(_)) => json!([]),
            Some(Type::Object { members, tag, .. }) => {
                let mut object = self.required(members, depth);
                if let Some(variant) = self.variant_of(ty, tag.as_deref(), &object) {
                    let variant = self.instance_at(&variant, depth + 1);
                    object.extend(variant.as_object().cloned().unwrap_or_default());
                }
                Value::Object(object)
            }
            Some(Type::Alternate(types)) => {
                let first = types.first().map(String::as_str);
                self.instance_at(first.unwrap_or_default(), depth + 1)
            }
            None => Value::Null,
        }
    }

    fn required(&self, members: &[Member], depth: usize) -> Map<String, Value> {
        let required = members.iter().filter(|member| !member.optional);
        let made = required.map(|member| {
            let value = self.instance_at(&member.ty, depth + 1);
            (member.name.clone(), value)
        });
        made.collect()
    }

    /// The type of the variant that an object's tag selects.
    pub(crate) fn variant_of(
        &self,
        ty: &str,
        tag: Option<&str>,
        object: &Map<String, Value>,
    ) -> Option<String> {
        let Some(Type::Object { variants, .. }) = self.ty(ty) else {
            return None;
        };
        let case = object.get(tag?)?.as_str()?;
        variants.get(case).cloned()
    }

    /// The type of the variant that a whole value has.
    pub(crate) fn chosen_variant(&self, ty: &str, value: &Value) -> Option<String> {
        let Some(Type::Object { tag, .. }) = self.ty(ty) else {
            return None;
        };
        self.variant_of(ty, tag.as_deref(), value.as_object()?)
    }

    /// The misfits among the elements of an array type.
    pub(crate) fn element_misfits(&self, ty: &str) -> Vec<Value> {
        match self.ty(ty) {
            Some(Type::Array(element)) => self.misfits(element),
            _ => Vec::new(),
        }
    }

    /// Values of JSON types that a type does not accept, one of each.
    pub(crate) fn misfits(&self, ty: &str) -> Vec<Value> {
        let samples = [
            json!(null),
            json!(true),
            json!("1"),
            json!(1),
            json!(1.5),
            json!([]),
            json!({}),
        ];
        let accepted = self.json_types(ty, 0);
        let mut misfits: Vec<Value> = samples
            .into_iter()
            .filter(|sample| !accepted.iter().any(|json| accepts(json, sample)))
            .collect();
        if let Some(Type::Enum(_)) = self.ty(ty) {
            misfits.push(json!(NOTHING));
        }
        misfits
    }

    /// The JSON types of a type's values; those of a type that is not defined
    /// are any.
    fn json_types(&self, ty: &str, depth: usize) -> Vec<String> {
        let one = |json: &str| vec![json.to_owned()];
        match self.ty(ty) {
            Some(Type::Builtin(json)) => one(json),
            Some(Type::Enum(_)) => one("string"),
            Some(Type::Array(_)) => one("array"),
            Some(Type::Object { .. }) => one("object"),
            Some(Type::Alternate(types)) if depth < DEEPEST => {
                let of = |ty: &String| self.json_types(ty, depth + 1);
                types.iter().flat_map(of).collect()
            }
            _ => one("value"),
        }
    }
}

fn builtin(json: &str) -> Value {
    match json {
        "string" => json!(NOTHING),
        "int" | "number" => json!(0),
        "boolean" => json!(false),
        "array" => json!([]),
        "object" => json!({}),
        _ => Value::Null,
    }
}

/// Whether a JSON type of the schema accepts a value.
pub(super) fn accepts(json: &str, value: &Value) -> bool {
    match json {
        "string" => value.is_string(),
        "int" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}
