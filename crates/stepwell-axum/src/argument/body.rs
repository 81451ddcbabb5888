//! The arguments of a workflow that takes one, from a body alone.

use serde::{
    Deserializer,
    de::{DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::Error;

/// A tuple of one member, which is a text of JSON.
pub(super) struct OneOf<'a>(pub(super) &'a [u8]);

impl<'de> Deserializer<'de> for OneOf<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Member(Some(self.0)))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Member<'a>(Option<&'a [u8]>);

impl<'de> SeqAccess<'de> for Member<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(text) = self.0.take() else {
            return Ok(None);
        };
        let mut json = serde_json::Deserializer::from_slice(text);
        let value = seed.deserialize(&mut json)?;
        json.end()?;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.0.is_some()))
    }
}
