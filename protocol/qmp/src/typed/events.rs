//! All events of a schema as one type.

/// Makes an enumeration over types of events, with a variant `Unknown` for
/// all others.
///
/// ```
/// use tinamou_qmp::typed::{AnyEvent, Strictness, TypedEvent};
///
/// #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// pub struct Ding {}
///
/// impl TypedEvent for Ding {
///     const NAME: &'static str = "DING";
/// }
///
/// tinamou_qmp::events! {
///     /// What a bell says.
///     pub enum BellEvent { Ding(Ding) }
/// }
///
/// let ding = BellEvent::read("DING", "{}", Strictness::Tolerant);
/// assert_eq!(ding, Ok(BellEvent::Ding(Box::new(Ding {}))));
/// ```
#[macro_export]
macro_rules! events {
    ($(#[$outer:meta])* pub enum $name:ident { $($variant:ident($data:ty)),* $(,)? }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[doc = concat!("[`", stringify!($data), "`]")]
                $variant(Box<$data>),
            )*
            /// An event that was not known when this was made.
            Unknown {
                /// Its name on the wire.
                name: String,
                /// Its data.
                data: $crate::typed::Value,
            },
        }

        impl $crate::typed::AnyEvent for $name {
            fn read(
                name: &str,
                data: &str,
                strictness: $crate::typed::Strictness,
            ) -> Result<Self, $crate::typed::DecodeError> {
                $(
                    if name == <$data as $crate::typed::TypedEvent>::NAME {
                        let data = $crate::typed::decode_as(data, strictness)?;
                        return Ok(Self::$variant(Box::new(data)));
                    }
                )*
                $crate::typed::unknown_event(name, strictness)?;
                Ok(Self::Unknown {
                    name: name.to_owned(),
                    data: $crate::typed::decode_as(data, strictness)?,
                })
            }

            fn name(&self) -> &str {
                match self {
                    $(Self::$variant(_) => <$data as $crate::typed::TypedEvent>::NAME,)*
                    Self::Unknown { name, .. } => name,
                }
            }
        }
    };
}
