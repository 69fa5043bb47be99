//! What a property of an object stands for.

use serde_json::Value;

/// A property is another object, leads to one, or has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An object that this one owns.
    Child,
    /// The path of an object that another owns, or nothing.
    Link,
    /// Anything else.
    Value,
}

impl Kind {
    /// By the type that `qom-list` gives.
    pub(super) fn of(ty: &str) -> Self {
        match ty {
            _ if ty.starts_with("child<") => Self::Child,
            _ if ty.starts_with("link<") => Self::Link,
            _ => Self::Value,
        }
    }
}

/// The path of what `name` is in the object at `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

/// A value on one line: strings without their quotes.
pub(super) fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_tell_children_and_links() {
        assert_eq!(Kind::of("child<container>"), Kind::Child);
        assert_eq!(Kind::of("link<memory-region>"), Kind::Link);
        assert_eq!(Kind::of("childish"), Kind::Value);
    }

    #[test]
    fn the_root_ends_in_a_slash_and_nothing_else() {
        assert_eq!(join("/", "machine"), "/machine");
        assert_eq!(join("/machine", "fw_cfg"), "/machine/fw_cfg");
    }
}
