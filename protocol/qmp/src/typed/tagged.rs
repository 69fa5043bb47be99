//! How unions and alternates are read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny,
    IntoDeserializer, MapAccess, Visitor,
};

use super::text::Text;
use super::{Object, Value, hook};

/// A union: an object of which one member tells what the others are.
pub trait Tagged: Sized {
    /// The name of that member, then the values it is known to have.
    const TAG: &'static [&'static str];

    /// Reads the members beside the tag.
    ///
    /// # Errors
    /// They are not what the tag says.
    fn read<'de, A: MapAccess<'de>>(tag: &str, members: A) -> Result<Self, A::Error>;
}

/// Reads a union; its `Deserialize` is this.
///
/// # Errors
/// The value is no such union.
pub fn tagged<'de, T: Tagged, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_struct(hook::TAGGED, T::TAG, TaggedVisitor(PhantomData))
}

struct TaggedVisitor<T>(PhantomData<T>);

impl<T: Tagged> TaggedVisitor<T> {
    fn tag() -> &'static str {
        T::TAG.first().copied().unwrap_or_default()
    }

    /// From members whose tag does not come first.
    fn unordered<'de, A: MapAccess<'de>>(key: &str, mut members: A) -> Result<T, A::Error> {
        let mut object = Object::new();
        object.insert(key.to_owned(), members.next_value()?);
        while let Some((key, value)) = members.next_entry()? {
            object.insert(key, value);
        }
        let tag = match object.remove(Self::tag()) {
            Some(Value::String(tag)) => tag,
            Some(_) => return Err(de::Error::custom(format!("{} is no string", Self::tag()))),
            None => return Err(de::Error::missing_field(Self::tag())),
        };
        let read = T::read(&tag, MapDeserializer::new(object.into_iter()));
        read.map_err(|error: serde_json::Error| de::Error::custom(error))
    }
}

impl<'de, T: Tagged> Visitor<'de> for TaggedVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<T, A::Error> {
        match members.next_key::<Text<'de>>()? {
            Some(Text(key)) if key == Self::tag() => {
                let Text(tag) = members.next_value()?;
                T::read(&tag, members)
            }
            Some(Text(key)) => Self::unordered(&key, members),
            None => Err(de::Error::missing_field(Self::tag())),
        }
    }
}

/// Reads the members of a branch.
///
/// # Errors
/// They are not the branch's.
pub fn branch<'de, T: Deserialize<'de>, A: MapAccess<'de>>(members: A) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(members))
}

/// Reads on where a branch has no members.
///
/// # Errors
/// There are some, and that is found wrong.
pub fn no_members<'de, A: MapAccess<'de>>(mut members: A) -> Result<(), A::Error> {
    while members.next_key::<IgnoredAny>()?.is_some() {
        members.next_value::<IgnoredAny>()?;
    }
    Ok(())
}

/// Reads an optional member that is there, and may be null.
///
/// # Errors
/// It is not of its type.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The value of a member that must be there.
///
/// # Errors
/// It is not.
pub fn required<T, E: de::Error>(value: Option<T>, name: &'static str) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

/// Keeps the members of an unknown branch, the tag among them.
///
/// # Errors
/// They are no JSON.
pub fn unknown<'de, T: Tagged, A: MapAccess<'de>>(
    tag: &str,
    mut members: A,
) -> Result<Object, A::Error> {
    let mut object = Object::new();
    object.insert(TaggedVisitor::<T>::tag().to_owned(), tag.into());
    while let Some((key, value)) = members.next_entry()? {
        object.insert(key, value);
    }
    Ok(object)
}

/// The members that remain when `take` has read those it knows.
pub struct Remaining<A, F> {
    members: A,
    take: F,
}

impl<'de, A, F> Remaining<A, F>
where
    A: MapAccess<'de>,
    F: FnMut(&str, &mut A) -> Result<bool, A::Error>,
{
    /// `take` reads the value of a key and says true, or does nothing.
    pub fn new(members: A, take: F) -> Self {
        Self { members, take }
    }
}

impl<'de, A, F> MapAccess<'de> for Remaining<A, F>
where
    A: MapAccess<'de>,
    F: FnMut(&str, &mut A) -> Result<bool, A::Error>,
{
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        while let Some(Text(key)) = self.members.next_key()? {
            if !(self.take)(&key, &mut self.members)? {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.members.next_value_seed(seed)
    }
}

/// An alternate: the kind of JSON value tells what it is.
pub trait Alternate: Sized {
    /// The schema's name of it.
    const NAME: &'static str;

    /// Reads a value of a kind, `object` or such; `None` if it has no branch.
    ///
    /// # Errors
    /// The value is not what its kind says.
    fn read<R: Read>(kind: &str, value: R) -> Result<Option<Self>, R::Error>;
}

/// A value that is yet to be read.
pub trait Read {
    /// What reading fails with.
    type Error: de::Error;

    /// Reads it.
    ///
    /// # Errors
    /// It is not of the type.
    fn read<T: DeserializeOwned>(self) -> Result<T, Self::Error>;
}

/// The one value of an access.
struct Next<'a, 'de, A>(&'a mut A, PhantomData<&'de ()>);

impl<'de, A: MapAccess<'de>> Read for Next<'_, 'de, A> {
    type Error = A::Error;

    fn read<T: DeserializeOwned>(self) -> Result<T, A::Error> {
        self.0.next_value()
    }
}

impl Read for Value {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        T::deserialize(self)
    }
}

/// Reads an alternate; its `Deserialize` is this.
///
/// # Errors
/// The value is none of its branches.
pub fn alternate<'de, T: Alternate, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(hook::ALTERNATE, AlternateVisitor(PhantomData))
}

struct AlternateVisitor<T>(PhantomData<T>);

impl<T: Alternate> AlternateVisitor<T> {
    fn some<E: de::Error>(kind: &str, value: Option<T>) -> Result<T, E> {
        value.ok_or_else(|| E::custom(format_args!("{kind} is no {}", T::NAME)))
    }
}

impl<'de, T: Alternate> Visitor<'de> for AlternateVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::NAME)
    }

    /// The deserialiser shows the kind.
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<T, A::Error> {
        let Some(Text(kind)) = access.next_key()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let value = T::read(&kind, Next(&mut access, PhantomData))?;
        Self::some(&kind, value)
    }

    /// It does not.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let kind = hook::kind_of(&value);
        let value = T::read(kind, value).map_err(de::Error::custom)?;
        Self::some(kind, value)
    }
}
