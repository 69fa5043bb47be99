//! The declaration of a device's properties.

use tinamou_qmp::Value;

use crate::Kind;

/// A property of a class.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What it is called.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// The value it starts with.
    pub default: fn() -> Value,
    /// What a listing says of it, if not what it says of its kind.
    pub description: Option<&'static str>,
}

impl Spec {
    /// What a listing says of it.
    #[must_use]
    pub fn description(&self) -> Option<&'static str> {
        self.description.or(self.kind.description())
    }

    /// The value it starts with, if a listing shows one.
    #[must_use]
    pub fn shown_default(&self) -> Option<Value> {
        self.kind
            .shows_default()
            .then(self.default)
            .filter(|value| *value != Value::Null)
    }
}

/// A struct made by [`properties!`](crate::properties!).
pub trait Properties: Default {
    /// What can be set, in the order of declaration.
    const SPECS: &'static [Spec];

    /// Sets the property of that name to a value read by its kind. `false` if
    /// there is none, or the value is of another kind.
    fn put(&mut self, name: &str, value: &Value) -> bool;

    /// The values, by name, in the order of declaration.
    fn values(&self) -> Vec<(&'static str, Value)>;
}

/// Declares a struct of properties. Each line has the field, its type, the
/// value it starts with and the property's name; then, where the type does not
/// say it, the [`Kind`], and a description for listings.
///
/// ```
/// use tinamou_qdev::{Kind, Properties as _, properties};
///
/// properties! {
///     /// What a lamp can be told.
///     pub struct LampProperties {
///         /// How bright it is.
///         pub brightness: u32 = 100 => "brightness";
///         /// How much it remembers.
///         pub memory: u64 = 4096 => "memory" as Kind::Size, "Bytes it remembers";
///         /// Where it gets its colours from.
///         pub source: Option<String> = None => "source" as Kind::Link("colour-source");
///     }
/// }
///
/// assert_eq!(LampProperties::default().brightness, 100);
/// assert_eq!(LampProperties::SPECS[1].kind.type_name(), "size");
/// ```
#[macro_export]
macro_rules! properties {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field_visibility:vis $field:ident: $type:ty = $default:expr
                    => $property:literal $(as $kind:expr)? $(, $description:literal)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $visibility struct $name {
            $($(#[$field_meta])* $field_visibility $field: $type,)*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::Properties for $name {
            const SPECS: &'static [$crate::Spec] = &[$($crate::Spec {
                name: $property,
                kind: $crate::properties!(@kind $type $(, $kind)?),
                default: || {
                    let value: $type = $default;
                    $crate::Convert::to_value(&value)
                },
                description: $crate::properties!(@description $($description)?),
            },)*];

            fn put(&mut self, name: &str, value: &$crate::reexport::Value) -> bool {
                match name {
                    $($property => match $crate::Convert::from_value(value) {
                        ::core::option::Option::Some(value) => {
                            self.$field = value;
                            true
                        }
                        ::core::option::Option::None => false,
                    },)*
                    _ => false,
                }
            }

            fn values(&self) -> ::std::vec::Vec<(&'static str, $crate::reexport::Value)> {
                ::std::vec![$(($property, $crate::Convert::to_value(&self.$field)),)*]
            }
        }
    };
    (@kind $type:ty) => { <$type as $crate::Convert>::KIND };
    (@kind $type:ty, $kind:expr) => { $kind };
    (@description) => { ::core::option::Option::None };
    (@description $description:literal) => { ::core::option::Option::Some($description) };
}

/// Declares an enumeration that is the type of a property: its name in QEMU,
/// what a listing says, and the word for each value.
///
/// ```
/// use tinamou_qdev::{Convert as _, property_enum};
///
/// property_enum! {
///     /// How fast a link is.
///     pub enum LinkSpeed("PCIELinkSpeed", "2_5/5") {
///         /// 2.5 GT/s
///         Gen1 = "2_5",
///         /// 5 GT/s
///         Gen2 = "5",
///     }
/// }
///
/// assert_eq!(LinkSpeed::KIND.type_name(), "PCIELinkSpeed");
/// ```
#[macro_export]
macro_rules! property_enum {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident($kind:literal, $description:literal) {
            $($(#[$value_meta:meta])* $value:ident = $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[$value_meta])* $value,)*
        }

        impl $crate::Convert for $name {
            const KIND: $crate::Kind = $crate::Kind::Enum($kind, &[$($word),*], $description);

            fn from_value(value: &$crate::reexport::Value) -> ::core::option::Option<Self> {
                let $crate::reexport::Value::String(word) = value else {
                    return ::core::option::Option::None;
                };
                match word.as_str() {
                    $($word => ::core::option::Option::Some(Self::$value),)*
                    _ => ::core::option::Option::None,
                }
            }

            fn to_value(&self) -> $crate::reexport::Value {
                let word = match self {
                    $(Self::$value => $word,)*
                };
                $crate::reexport::Value::String(word.to_owned())
            }
        }
    };
}
