//! An enum variant given as a tag and its content, for serde.
//!
//! Two shapes lead here: a stored event (type and data apart) and a command on the wire (one
//! object whose `type` member is the tag). Neither is copied into another JSON text first, so an
//! error keeps the line and column of what was received.

use std::cell::Cell;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, IntoDeserializer,
    MapAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Error;

/// The member of a command's object that is its tag.
const TAG_MEMBER: &str = "type";

/// A tag and the JSON text of its content.
///
/// ```
/// use retell::events::Tagged;
/// use serde::Deserialize;
/// # use retell::doc::{LightCommand, LightEvent};
///
/// let stored = Tagged::new("SwitchedOn", "{}");
/// assert_eq!(LightEvent::deserialize(&stored)?, LightEvent::SwitchedOn {});
/// let received = Tagged::within("Dim", r#"{"type":"Dim","by":5}"#);
/// assert!(LightCommand::deserialize(&received).is_err() && received.tag_is_unknown());
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct Tagged<'de> {
    tag: &'de str,
    content: &'de str,
    /// Whether the content is the whole object, its tag among the members.
    tag_within: bool,
    unknown: Cell<bool>,
}

impl<'de> Tagged<'de> {
    /// A tag with its content apart.
    #[must_use]
    pub const fn new(tag: &'de str, content: &'de str) -> Self {
        Self { tag, content, tag_within: false, unknown: Cell::new(false) }
    }

    /// A tag that is the `type` member of this object.
    #[must_use]
    pub const fn within(tag: &'de str, object: &'de str) -> Self {
        Self { tag, content: object, tag_within: true, unknown: Cell::new(false) }
    }

    /// Whether the last attempt failed because the enum has no such variant.
    #[must_use]
    pub fn tag_is_unknown(&self) -> bool {
        self.unknown.get()
    }

    fn read<T>(
        &self,
        read: impl FnOnce(
            Content<&mut serde_json::Deserializer<serde_json::de::StrRead<'de>>>,
        ) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut json = serde_json::Deserializer::from_str(self.content);
        let value = read(Content { json: &mut json, without_tag: self.tag_within })?;
        json.end()?;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &Tagged<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de> EnumAccess<'de> for &Tagged<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let tag: StrDeserializer<'_, Error> = self.tag.into_deserializer();
        let variant = seed.deserialize(tag);
        self.unknown.set(variant.is_err());
        Ok((variant?, self))
    }
}

impl<'de> VariantAccess<'de> for &Tagged<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.read(|content| content.deserialize_any(IgnoredAny)).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.read(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.read(|content| content.json.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.read(|content| content.deserialize_map(visitor))
    }
}

/// The content of a variant; an object's tag member is left out where it stands within.
struct Content<D> {
    json: D,
    without_tag: bool,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Content<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if self.without_tag {
            self.json.deserialize_map(WithoutTag(visitor))
        } else {
            self.json.deserialize_any(visitor)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if self.without_tag {
            self.json.deserialize_map(WithoutTag(visitor))
        } else {
            self.json.deserialize_struct(name, fields, visitor)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if self.without_tag {
            visitor.visit_some(self)
        } else {
            self.json.deserialize_option(visitor)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if self.without_tag {
            return Err(D::Error::custom("the content of a command must be an object"));
        }
        self.json.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Shows a map to a visitor without its tag member.
struct WithoutTag<T>(T);

impl<'de, V: Visitor<'de>> Visitor<'de> for WithoutTag<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(WithoutTag(map))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutTag<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        while let Some(seed_of_this_key) = seed.take() {
            match self.0.next_key_seed(MemberKey(seed_of_this_key))? {
                None => return Ok(None),
                Some(Member::Other(key)) => return Ok(Some(key)),
                Some(Member::Tag(unused)) => {
                    self.0.next_value::<IgnoredAny>()?;
                    seed = Some(unused);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

/// Reads a member's key with the seed, unless it is the tag: then the seed comes back unused.
struct MemberKey<K>(K);

enum Member<K, T> {
    Tag(K),
    Other(T),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for MemberKey<K> {
    type Value = Member<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for MemberKey<K> {
    type Value = Member<K, K::Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        if key == TAG_MEMBER {
            return Ok(Member::Tag(self.0));
        }
        let key: StrDeserializer<'_, E> = key.into_deserializer();
        self.0.deserialize(key).map(Member::Other)
    }
}

/// The wire form of a command that a library user made: its enum with the tag as a member.
pub(crate) fn to_wire<C: Serialize>(command: &C) -> Result<Bytes, String> {
    let json = serde_json::to_string(command).map_err(|error| error.to_string())?;
    if let Ok(unit) = serde_json::from_str::<String>(&json) {
        return Ok(format!("{{\"type\":{}}}", serde_json::Value::String(unit)).into());
    }
    let enumeration: BTreeMap<String, serde_json::Map<String, _>> =
        serde_json::from_str(&json).map_err(|_| format!("{json} is no tagged object"))?;
    let Some((tag, mut fields)) = enumeration.into_iter().next() else {
        return Err(format!("{json} is no tagged object"));
    };
    fields.insert("type".to_owned(), serde_json::Value::String(tag));
    serde_json::to_vec(&fields).map(Bytes::from).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    enum Order {
        Open { owner: String, limit: Option<u32> },
        Close,
        Empty {},
        Rename(Name),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Name {
        name: String,
    }

    fn wire(tag: &str, object: &str) -> Result<Order, Error> {
        Order::deserialize(&Tagged::within(tag, object))
    }

    #[test]
    fn a_command_on_the_wire_is_read_without_its_tag() {
        let open = Order::Open { owner: "Ann".into(), limit: Some(3) };
        let text = r#"{"owner":"Ann","type":"Open","limit":3}"#;
        assert_eq!(wire("Open", text).expect("open"), open);
        assert_eq!(wire("Close", r#"{"type":"Close"}"#).expect("close"), Order::Close);
        assert_eq!(wire("Empty", r#"{"type":"Empty"}"#).expect("empty"), Order::Empty {});
        let rename = Order::Rename(Name { name: "x".into() });
        assert_eq!(wire("Rename", r#"{"type":"Rename","name":"x"}"#).expect("rename"), rename);
    }

    #[test]
    fn a_stored_event_is_read_from_tag_and_content() {
        let read = |tag, content| Order::deserialize(&Tagged::new(tag, content));
        assert_eq!(read("Close", "{}").expect("unit"), Order::Close);
        assert_eq!(read("Empty", "{}").expect("empty"), Order::Empty {});
        let open = Order::Open { owner: "Ann".into(), limit: None };
        assert_eq!(read("Open", r#"{"owner":"Ann"}"#).expect("open"), open);
    }

    #[test]
    fn an_error_keeps_its_place_in_what_was_received() {
        let error = wire("Open", "{\"type\":\"Open\",\n \"owner\": 5}").expect_err("wrong type");
        assert_eq!((error.line(), error.column()), (2, 11), "{error}");
    }

    #[test]
    fn an_unknown_tag_is_told_from_a_wrong_content() {
        let unknown = Tagged::new("Burn", "{}");
        assert!(Order::deserialize(&unknown).is_err() && unknown.tag_is_unknown());
        let wrong = Tagged::new("Open", "{}");
        assert!(Order::deserialize(&wrong).is_err() && !wrong.tag_is_unknown());
    }
}
