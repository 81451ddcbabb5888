//! A deserializer over JSON and over text that becomes what the type asks for.

use serde::{
    Deserializer,
    de::{Error as _, IntoDeserializer, Visitor, value::MapDeserializer, value::SeqDeserializer},
};
use serde_json::{Error, value::RawValue};

/// A value of a request.
#[derive(Debug)]
pub(super) enum Lenient {
    /// From a body, as it was written: a `Value` has no room for all numbers.
    Json(Box<RawValue>),
    /// From a path or a query.
    Text(String),
    /// The merged members.
    Object(Vec<(String, Lenient)>),
    /// The arguments.
    List(Vec<Lenient>),
}

/// Reads JSON that lives no longer than this call.
fn json(raw: &RawValue) -> serde_json::Deserializer<serde_json::de::IoRead<&[u8]>> {
    serde_json::Deserializer::from_reader(raw.get().as_bytes())
}

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Text that is read as the type asks; everything else is passed on.
macro_rules! parsed {
    ($($method:ident $visit:ident $what:literal),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self {
                Self::Text(text) => match text.parse() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Error::custom(format!("`{text}` is not {}", $what))),
                },
                Self::Json(raw) => json(&raw).$method(visitor),
                other => other.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Json(raw) => json(&raw).deserialize_any(visitor),
            Self::Text(text) => visitor.visit_string(text),
            Self::Object(members) => visitor.visit_map(MapDeserializer::new(members.into_iter())),
            Self::List(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter())),
        }
    }

    parsed! {
        deserialize_bool visit_bool "a boolean",
        deserialize_i8 visit_i8 "a number",
        deserialize_i16 visit_i16 "a number",
        deserialize_i32 visit_i32 "a number",
        deserialize_i64 visit_i64 "a number",
        deserialize_i128 visit_i128 "a number",
        deserialize_u8 visit_u8 "a number",
        deserialize_u16 visit_u16 "a number",
        deserialize_u32 visit_u32 "a number",
        deserialize_u64 visit_u64 "a number",
        deserialize_u128 visit_u128 "a number",
        deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number",
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Json(raw) if raw.get() == "null" => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            Self::Json(raw) => json(&raw).deserialize_enum(name, variants, visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text(_) => Self::List(vec![self]).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}
