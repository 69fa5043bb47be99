//! Enumerations that keep the values they do not know.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, EnumAccess, Visitor};

/// What [`enumeration!`](crate::enumeration) makes.
pub trait Enumeration: Clone + 'static {
    /// The known values.
    const ALL: &'static [Self];
    /// Their names on the wire, in the same order.
    const NAMES: &'static [&'static str];

    /// A value that is not known.
    fn unknown(name: String) -> Self;
}

/// The value of a name.
pub fn from_name<T: Enumeration>(name: &str) -> T {
    let known = T::NAMES.iter().position(|known| *known == name);
    match known.and_then(|index| T::ALL.get(index)) {
        Some(value) => value.clone(),
        None => T::unknown(name.to_owned()),
    }
}

/// Reads an enumeration; its `Deserialize` is this.
///
/// # Errors
/// The value is no string.
pub fn enumeration<'de, T: Enumeration, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_enum(super::hook::ENUMERATION, T::NAMES, NameVisitor(PhantomData))
}

struct NameVisitor<T>(PhantomData<T>);

impl<'de, T: Enumeration> Visitor<'de> for NameVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        Ok(from_name(name))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<T, A::Error> {
        let (name, _) = access.variant::<String>()?;
        Ok(from_name(&name))
    }
}

/// Makes an enumeration of strings with a variant `Unknown` for all others.
///
/// ```
/// tinamou_qmp::enumeration! {
///     /// The sides of a coin.
///     pub enum Side {
///         /// The front.
///         Heads = "heads",
///         /// The back.
///         Tails = "tails",
///     }
/// }
/// assert_eq!(Side::from("heads"), Side::Heads);
/// assert_eq!(Side::from("edge").as_str(), "edge");
/// ```
#[macro_export]
macro_rules! enumeration {
    ($(#[$outer:meta])* pub enum $name:ident {
        $($(#[$inner:meta])* $variant:ident = $wire:literal,)*
    }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$inner])* $variant,)*
            /// A value that was not known when this was made.
            Unknown(String),
        }

        impl $name {
            /// The known values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)*
                    Self::Unknown(name) => name,
                }
            }
        }

        impl $crate::typed::Enumeration for $name {
            const ALL: &'static [Self] = Self::ALL;
            const NAMES: &'static [&'static str] = &[$($wire),*];

            fn unknown(name: String) -> Self {
                Self::Unknown(name)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                $crate::typed::from_name(name)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Ok($crate::typed::from_name(name))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::typed::serde::Serialize for $name {
            fn serialize<S: $crate::typed::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::typed::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::typed::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::typed::enumeration(deserializer)
            }
        }
    };
}
