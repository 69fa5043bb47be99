//! The values that one device is to have.

use indexmap::IndexMap;
use tinamou_qmp::Value;

use crate::Properties;

/// Checked values by property, for a device that is about to be made. A later
/// value takes the place of an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: IndexMap<String, Value>,
}

impl Settings {
    /// Adds a value that was read by the property's kind.
    pub fn put(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// The value that was set, if any was.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// A struct of properties with these values in place of its defaults.
    #[must_use]
    pub fn fill<P: Properties>(&self) -> P {
        let mut properties = P::default();
        for spec in P::SPECS {
            if let Some(value) = self.values.get(spec.name) {
                let taken = properties.put(spec.name, value);
                debug_assert!(taken, "{}: {value:?} does not fit its field", spec.name);
            }
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DevFn, Kind, MacAddr, OnOffAuto};

    crate::property_enum! {
        /// A colour.
        enum Colour("Colour", "red/green") {
            /// Red.
            Red = "red",
            /// Green.
            Green = "green",
        }
    }

    crate::properties! {
        /// One of each.
        struct Everything {
            on: bool = true => "on";
            number: u32 = 7 => "number";
            bytes: u64 = 1 << 40 => "bytes" as Kind::Size, "Some bytes";
            name: Option<String> = None => "name";
            legacy: OnOffAuto = OnOffAuto::Auto => "legacy";
            mac: MacAddr = MacAddr::default() => "mac";
            addr: DevFn = DevFn(None) => "addr";
            colour: Colour = Colour::Red => "colour";
        }
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let filled: Everything = Settings::default().fill();
        assert_eq!((filled.on, filled.number, filled.bytes), (true, 7, 1 << 40));
        assert_eq!((filled.name, filled.addr), (None, DevFn(None)));
    }

    #[test]
    fn every_value_survives_the_way_there_and_back() {
        let values = [
            ("on", Value::Bool(false)),
            ("number", Value::Int(u32::MAX.into())),
            ("bytes", Value::Uint(u64::MAX)),
            ("name", Value::String("n".into())),
            ("legacy", Value::String("off".into())),
            ("mac", Value::String("52:54:00:12:34:56".into())),
            ("addr", Value::Int(255)),
            ("colour", Value::String("green".into())),
        ];
        let mut settings = Settings::default();
        for (name, value) in &values {
            settings.put(name, value.clone());
        }
        assert_eq!(settings.fill::<Everything>().values(), values);
    }

    #[test]
    fn listings_follow_the_declaration() {
        let specs = Everything::SPECS;
        let shown: Vec<_> = specs
            .iter()
            .map(|spec| {
                (
                    spec.name,
                    spec.kind.type_name(),
                    spec.description(),
                    spec.shown_default(),
                )
            })
            .collect();
        let text = |text: &str| Some(Value::String(text.into()));
        assert_eq!(
            shown[..5],
            [
                ("on", "bool".into(), Some("on/off"), Some(Value::Bool(true))),
                ("number", "uint32".into(), None, Some(Value::Int(7))),
                (
                    "bytes",
                    "size".into(),
                    Some("Some bytes"),
                    Some(Value::Int(1 << 40))
                ),
                ("name", "str".into(), None, None),
                (
                    "legacy",
                    "OnOffAuto".into(),
                    Some("on/off/auto"),
                    text("auto")
                ),
            ]
        );
        assert_eq!(shown[6].3, Some(Value::Int(-1)));
        assert_eq!(shown[7].1, "Colour");
    }
}
