//! When two JSON values are the same for a protocol.

use serde_json::Value;

/// Whether two values say the same: members in any order, numbers by value.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (!whole(one) || !whole(other)) && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let in_other = |(name, value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(in_other)
        }
        _ => one == other,
    }
}

fn whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64()
}

#[cfg(test)]
mod tests {
    use super::same;
    use serde_json::{Value, json};

    fn check(one: Value, other: Value, expected: bool) {
        assert_eq!(same(&one, &other), expected, "{one} {other}");
    }

    #[test]
    fn compares_by_meaning() {
        check(json!(1), json!(1.0), true);
        check(json!(1e3), json!(1000), true);
        check(json!(u64::MAX), json!(u64::MAX - 1), false);
        check(json!(-0.0), json!(0), true);
        check(json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1}), true);
        check(json!([1, 2]), json!([2, 1]), false);
        check(json!("1"), json!(1), false);
        check(json!({}), json!([]), false);
    }
}
