//! Whether a value is what the schema says.

use serde_json::{Map, Value};

use super::instance::accepts;
use super::{Member, Schema, Type};

impl Schema {
    /// Says where a value does not fit a type.
    pub(crate) fn fit(&self, value: &Value, ty: &str) -> Result<(), String> {
        self.fit_at(value, ty, "")
    }

    fn fit_at(&self, value: &Value, ty: &str, at: &str) -> Result<(), String> {
        let fault = |what: String| {
            let place = if at.is_empty() { "the value" } else { at };
            Err(format!("{place} {what}"))
        };
        match self.ty(ty) {
            None => fault(format!("has the type {ty}, which is not defined")),
            Some(Type::Builtin(json)) if accepts(json, value) => Ok(()),
            Some(Type::Builtin(json)) => fault(format!("is no {json}")),
            Some(Type::Enum(values)) => match value.as_str() {
                Some(text) if values.iter().any(|value| value == text) => Ok(()),
                _ => fault(format!("is {value}, which is none of the values")),
            },
            Some(Type::Array(element)) => match value.as_array() {
                Some(elements) => elements
                    .iter()
                    .enumerate()
                    .try_for_each(|(n, value)| self.fit_at(value, element, &format!("{at}[{n}]"))),
                None => fault("is no array".to_owned()),
            },
            Some(Type::Object { members, tag, .. }) => match value.as_object() {
                Some(object) => self.fit_object(object, ty, members, tag.as_deref(), at),
                None => fault("is no object".to_owned()),
            },
            Some(Type::Alternate(types)) => {
                let fits = |ty: &String| self.fit_at(value, ty, at).is_ok();
                match types.iter().any(fits) {
                    true => Ok(()),
                    false => fault("is none of the alternatives".to_owned()),
                }
            }
        }
    }

    fn fit_object(
        &self,
        object: &Map<String, Value>,
        ty: &str,
        members: &[Member],
        tag: Option<&str>,
        at: &str,
    ) -> Result<(), String> {
        let variant = self.variant_of(ty, tag, object);
        let of_variant = variant.as_deref().map_or(&[][..], |ty| self.members(ty));
        let known = || members.iter().chain(of_variant);
        for member in known() {
            let at = format!("{at}.{}", member.name);
            match object.get(&member.name) {
                Some(value) => self.fit_at(value, &member.ty, &at)?,
                None if member.optional => {}
                None => return Err(format!("{at} is missing")),
            }
        }
        let other = object
            .keys()
            .find(|name| !name.starts_with("__") && !known().any(|m| m.name == **name));
        match other {
            Some(name) => Err(format!("{at}.{name} is not in the schema")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::read(&json!([
            {"name": "int", "meta-type": "builtin", "json-type": "int"},
            {"name": "str", "meta-type": "builtin", "json-type": "string"},
            {"name": "Kind", "meta-type": "enum", "members": [{"name": "a"}, {"name": "b"}]},
            {"name": "[int]", "meta-type": "array", "element-type": "int"},
            {"name": "Size", "meta-type": "object", "members": [
                {"name": "size", "type": "int"}, {"name": "list", "type": "[int]", "default": null}]},
            {"name": "Either", "meta-type": "alternate", "members": [{"type": "int"}, {"type": "str"}]},
            {"name": "Union", "meta-type": "object", "tag": "kind",
             "members": [{"name": "kind", "type": "Kind"}],
             "variants": [{"case": "b", "type": "Size"}]},
        ]))
    }

    fn check(ty: &str, value: Value, expected: Result<(), &str>) {
        let found = schema().fit(&value, ty);
        assert_eq!(found, expected.map_err(str::to_owned), "{ty} {value}");
    }

    #[test]
    fn says_where_values_do_not_fit() {
        check("int", json!(1), Ok(()));
        check("int", json!(1.5), Err("the value is no int"));
        check(
            "Kind",
            json!("c"),
            Err("the value is \"c\", which is none of the values"),
        );
        check("Either", json!("x"), Ok(()));
        check(
            "Either",
            json!([]),
            Err("the value is none of the alternatives"),
        );
        check("Size", json!({}), Err(".size is missing"));
        check(
            "Size",
            json!({"size": 1, "list": [1, "x"]}),
            Err(".list[1] is no int"),
        );
        check("Union", json!({"kind": "a"}), Ok(()));
        check(
            "Union",
            json!({"kind": "a", "size": 1}),
            Err(".size is not in the schema"),
        );
        check("Union", json!({"kind": "b", "size": 1}), Ok(()));
        check("Union", json!({"kind": "b"}), Err(".size is missing"));
        check(
            "Lost",
            json!(1),
            Err("the value has the type Lost, which is not defined"),
        );
    }

    #[test]
    fn makes_values_that_fit_and_values_that_do_not() {
        let schema = schema();
        for ty in ["int", "str", "Kind", "[int]", "Size", "Either", "Union"] {
            assert_eq!(schema.fit(&schema.instance(ty), ty), Ok(()), "{ty}");
            let misfits = schema.misfits(ty);
            assert!(!misfits.is_empty(), "{ty}");
            for misfit in misfits {
                assert!(schema.fit(&misfit, ty).is_err(), "{ty} {misfit}");
            }
        }
    }
}
