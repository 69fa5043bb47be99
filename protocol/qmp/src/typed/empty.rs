//! Objects without members.

/// Lets a unit struct be written as an object without members, and read from
/// any.
///
/// ```
/// /// A command without arguments.
/// #[derive(Debug, PartialEq)]
/// pub struct Ring;
///
/// tinamou_qmp::empty_object!(Ring);
///
/// assert_eq!(serde_json::to_string(&Ring).unwrap(), "{}");
/// assert_eq!(tinamou_qmp::typed::decode("{}"), Ok(Ring));
/// ```
#[macro_export]
macro_rules! empty_object {
    ($name:ident) => {
        impl $crate::typed::serde::Serialize for $name {
            fn serialize<S: $crate::typed::serde::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                $crate::typed::serde::Serialize::serialize(&$crate::typed::Empty {}, serializer)
            }
        }

        impl<'de> $crate::typed::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::typed::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let empty =
                    <$crate::typed::Empty as $crate::typed::serde::Deserialize>::deserialize(
                        deserializer,
                    );
                empty.map(|_| Self)
            }
        }
    };
}
