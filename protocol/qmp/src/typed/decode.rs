//! A deserialiser of JSON text that knows where it is, may be strict, and
//! shows a union its tag first.
//!
//! It stands between a type and `serde_json`. Generated types ask it for what
//! serde has no words for by the names in [`hook`](super::hook). Any other
//! deserialiser ignores those names; the types then buffer what they must
//! look at twice.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::value::RawValue;

use super::{hook, text::Text};

/// Levels of nesting that are followed; `serde_json` has the same limit.
const DEPTH: usize = 128;

/// Where the reader is, and how it judges what it does not know.
pub(super) struct Place<'de> {
    strict: bool,
    path: Vec<Step<'de>>,
}

enum Step<'de> {
    Member(Cow<'de, str>),
    Element(usize),
}

impl<'de> Place<'de> {
    pub(super) fn new(strict: bool) -> Self {
        let path = Vec::new();
        Self { strict, path }
    }

    /// The path to where reading failed: a step is undone only on success.
    pub(super) fn path(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Element(index) => write!(text, "[{index}]"),
                Step::Member(name) if text.is_empty() => write!(text, "{name}"),
                Step::Member(name) => write!(text, ".{name}"),
            };
        }
        text
    }

    fn enter<E: de::Error>(&mut self, step: Step<'de>) -> Result<(), E> {
        self.path.push(step);
        match self.path.len() > DEPTH {
            true => Err(E::custom("nested too deeply")),
            false => Ok(()),
        }
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    /// Refuses a value that is not among the known, if that is asked for.
    fn judge<E: de::Error>(&self, value: &str, known: &[&str]) -> Result<(), E> {
        match self.strict && !known.contains(&value) {
            true => Err(E::custom(format_args!("unknown value '{value}'"))),
            false => Ok(()),
        }
    }
}

/// Anything that reads, looks at, or hands over values, at its place.
pub(super) struct At<'a, 'de, T> {
    pub inner: T,
    pub place: &'a mut Place<'de>,
}

impl<'de, D: Deserializer<'de>> At<'_, 'de, D> {
    /// An object whose member `names[0]` is shown first; the other names are
    /// the values which that is known to have.
    fn tagged<V: Visitor<'de>>(
        self,
        names: &[&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let Some((tag, known)) = names.split_first() else {
            return self.inner.deserialize_map(visitor);
        };
        let text = <&RawValue>::deserialize(self.inner)?.get();
        let place = self.place;
        let first = find(text, tag);
        if let Some(value) = &first {
            place.enter(Step::Member(Cow::Borrowed(*tag)))?;
            place.judge(value, known)?;
            place.leave();
        }
        let inner = Tagged {
            visitor,
            tag,
            first,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let result = json.deserialize_any(At { inner, place });
        result.map_err(|error| de::Error::custom(super::reason(&error)))
    }

    /// A value that is shown with its kind, as an object of one member.
    fn alternate<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let text = <&RawValue>::deserialize(self.inner)?.get();
        let access = Alternate {
            kind: hook::kind(text),
            text,
            place: self.place,
        };
        let result = visitor.visit_map(access);
        result.map_err(|error: serde_json::Error| de::Error::custom(super::reason(&error)))
    }

    /// One of the strings `names`, or another.
    fn enumeration<V: Visitor<'de>>(
        self,
        names: &[&str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let Text(value) = Text::deserialize(self.inner)?;
        self.place.judge(&value, names)?;
        visitor.visit_str(&value)
    }
}

/// The value of a member of an object, where that is a string.
fn find<'de>(object: &'de str, name: &'static str) -> Option<Cow<'de, str>> {
    struct Find<'a, 'de>(&'static str, &'a mut Option<Cow<'de, str>>);

    impl<'de> Visitor<'de> for Find<'_, 'de> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(Text(key)) = map.next_key()? {
                if key == self.0 {
                    *self.1 = Some(map.next_value::<Text<'de>>()?.0);
                    // The rest is of no interest, nor that it is left unread.
                    return Ok(());
                }
                map.next_value::<de::IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut found = None;
    // What is wrong with the object is said when it is read.
    let _ = serde_json::Deserializer::from_str(object).deserialize_any(Find(name, &mut found));
    found
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*)),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let At { inner, place } = self;
            inner.$method($($argument,)* At { inner: visitor, place })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for At<'_, 'de, D> {
    type Error = D::Error;

    forward! {
        deserialize_any(), deserialize_bool(), deserialize_i8(), deserialize_i16(),
        deserialize_i32(), deserialize_i64(), deserialize_i128(), deserialize_u8(),
        deserialize_u16(), deserialize_u32(), deserialize_u64(), deserialize_u128(),
        deserialize_f32(), deserialize_f64(), deserialize_char(), deserialize_str(),
        deserialize_string(), deserialize_bytes(), deserialize_byte_buf(), deserialize_option(),
        deserialize_unit(), deserialize_unit_struct(name: &'static str), deserialize_seq(),
        deserialize_tuple(len: usize), deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_map(), deserialize_identifier(),
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == hook::ALTERNATE {
            return self.alternate(visitor);
        }
        let At { inner, place } = self;
        let visitor = At {
            inner: visitor,
            place,
        };
        inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == hook::TAGGED {
            return self.tagged(fields, visitor);
        }
        let At { inner, place } = self;
        let visitor = At {
            inner: visitor,
            place,
        };
        inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == hook::ENUMERATION {
            return self.enumeration(variants, visitor);
        }
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if self.place.strict {
            return Err(de::Error::custom("unknown member"));
        }
        self.inner.deserialize_ignored_any(visitor)
    }
}

macro_rules! visit {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for At<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_f32: f32,
        visit_f64: f64, visit_i128: i128, visit_u128: u128, visit_char: char, visit_str: &str,
        visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let place = self.place;
        self.inner.visit_some(At { inner, place })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let place = self.place;
        self.inner.visit_newtype_struct(At { inner, place })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Elements {
            elements,
            index: 0,
            place: self.place,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Members {
            members,
            key: None,
            place: self.place,
        })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for At<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let place = self.place;
        self.inner.deserialize(At { inner, place })
    }
}

struct Elements<'a, 'de, A> {
    elements: A,
    index: usize,
    place: &'a mut Place<'de>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        inner: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let place = &mut *self.place;
        place.enter(Step::Element(self.index))?;
        self.index += 1;
        let element = self.elements.next_element_seed(At { inner, place })?;
        self.place.leave();
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.elements.size_hint()
    }
}

/// The members of an object.
struct Members<'a, 'de, A> {
    members: A,
    /// The key whose value is next.
    key: Option<Cow<'de, str>>,
    place: &'a mut Place<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(Text(key)) = self.members.next_key()? else {
            return Ok(None);
        };
        let key = self.key.insert(key);
        deserialize_text(key, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, inner: S) -> Result<S::Value, A::Error> {
        let place = &mut *self.place;
        place.enter(Step::Member(self.key.take().unwrap_or_default()))?;
        let value = self.members.next_value_seed(At { inner, place })?;
        self.place.leave();
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        self.members.size_hint()
    }
}

fn deserialize_text<'de, S: DeserializeSeed<'de>, E: de::Error>(
    text: &Cow<'de, str>,
    seed: S,
) -> Result<S::Value, E> {
    match text {
        Cow::Borrowed(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
        Cow::Owned(text) => seed.deserialize(text.as_str().into_deserializer()),
    }
}

/// Of an object, shows a visitor the tag before all else.
struct Tagged<'de, V> {
    visitor: V,
    tag: &'static str,
    first: Option<Cow<'de, str>>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Tagged<'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        let Self {
            visitor,
            tag,
            first,
        } = self;
        let state = match first {
            Some(value) => TagState::Due(value),
            None => TagState::Absent,
        };
        visitor.visit_map(TagFirst {
            tag,
            state,
            members,
        })
    }
}

struct TagFirst<'de, A> {
    tag: &'static str,
    state: TagState<'de>,
    members: A,
}

enum TagState<'de> {
    /// The tag is the next key.
    Due(Cow<'de, str>),
    /// The tag's value is the next value.
    Shown(Cow<'de, str>),
    /// The tag is to be left out where it stands.
    Done,
    /// There is no tag, or none that is a string.
    Absent,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for TagFirst<'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        match std::mem::replace(&mut self.state, TagState::Done) {
            TagState::Due(value) => {
                self.state = TagState::Shown(value);
                return deserialize_text(&Cow::Borrowed(self.tag), seed).map(Some);
            }
            TagState::Absent => {
                self.state = TagState::Absent;
                return self.members.next_key_seed(seed);
            }
            TagState::Shown(_) | TagState::Done => {}
        }
        while let Some(Text(key)) = self.members.next_key()? {
            if key != self.tag {
                return deserialize_text(&key, seed).map(Some);
            }
            self.members.next_value::<Text<'de>>()?;
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match std::mem::replace(&mut self.state, TagState::Done) {
            TagState::Shown(value) => deserialize_text(&value, seed),
            state => {
                self.state = state;
                self.members.next_value_seed(seed)
            }
        }
    }
}

/// A value with its kind: an object whose one key is the kind.
struct Alternate<'a, 'de> {
    kind: &'static str,
    text: &'de str,
    place: &'a mut Place<'de>,
}

impl<'de> MapAccess<'de> for Alternate<'_, 'de> {
    type Error = serde_json::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        deserialize_text(&Cow::Borrowed(self.kind), seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        let mut json = serde_json::Deserializer::from_str(self.text);
        let place = &mut *self.place;
        seed.deserialize(At {
            inner: &mut json,
            place,
        })
    }
}
