//! What `-device` and `device_add` ask for.

use tinamou_qdev::Given;
use tinamou_qmp::{Object, Value};

/// A device to be plugged in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The class, by name or alias.
    pub driver: Option<String>,
    /// What to call it.
    pub id: Option<String>,
    /// Where to plug it in.
    pub bus: Option<String>,
    /// Values of its properties, in order.
    pub properties: Vec<(String, Given)>,
}

impl Request {
    /// From the pairs of `driver,key=value`, in which the last of several
    /// values for a key counts.
    pub fn from_pairs(id: Option<&str>, pairs: &[(String, String)]) -> Self {
        let members = pairs.iter().map(|(key, text)| (key.clone(), text.clone()));
        let id = id.map(|id| ("id".to_owned(), id.to_owned()));
        let mut request = Self::default();
        for (key, text) in members.chain(id) {
            request.take(key, Given::Text(text));
        }
        request
    }

    /// From a JSON object.
    pub fn from_object(object: Object) -> Self {
        let mut request = Self::default();
        for (key, value) in object {
            request.take(key, Given::Json(value));
        }
        request
    }

    fn take(&mut self, key: String, given: Given) {
        let slot = match key.as_str() {
            "driver" => &mut self.driver,
            "id" => &mut self.id,
            "bus" => &mut self.bus,
            _ => {
                self.properties.retain(|(name, _)| *name != key);
                self.properties.push((key, given));
                return;
            }
        };
        *slot = match given {
            Given::Text(text) | Given::Json(Value::String(text)) => Some(text),
            // QEMU takes what is no string for what is not there.
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts() {
        let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        let pairs = [
            pair("driver", "a"),
            pair("x", "1"),
            pair("driver", "b"),
            pair("x", "2"),
        ];
        let request = Request::from_pairs(Some("i"), &pairs);
        assert_eq!(request.driver.as_deref(), Some("b"));
        assert_eq!(request.id.as_deref(), Some("i"));
        assert_eq!(
            request.properties,
            [("x".to_owned(), Given::Text("2".into()))]
        );
    }

    #[test]
    fn what_is_no_string_names_nothing() {
        let object = Object::from([
            ("driver".to_owned(), Value::Int(1)),
            ("bus".to_owned(), Value::String("b".into())),
            ("x".to_owned(), Value::Int(2)),
        ]);
        let request = Request::from_object(object);
        assert_eq!((request.driver, request.bus.as_deref()), (None, Some("b")));
        assert_eq!(
            request.properties,
            [("x".to_owned(), Given::Json(Value::Int(2)))]
        );
    }
}
