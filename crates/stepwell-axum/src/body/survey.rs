//! What there is to know of a JSON body before anything is made of it: that it is JSON, how many values it
//! holds, and a digest of what it says. It keeps nothing of the body.

use std::fmt;

use http::StatusCode;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// How many values a body may hold. Each of them costs up to a hundred times its text where a type keeps
/// any JSON: two bytes of `[{},{},…]` are a map in memory.
const VALUES_MAX: usize = 100_000;

/// What is known of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The same for bodies that say the same: neither blanks nor the order of members count.
    pub(crate) digest: String,
}

/// Reads through a body. An empty one says nothing, and has a digest of its own.
///
/// # Errors
/// 400 if it is no JSON, 413 if it holds too many values.
pub(crate) fn survey(body: &[u8]) -> Result<Survey, Problem> {
    if body.is_empty() {
        return Ok(Survey {
            digest: hex::encode(Sha256::digest(b"")),
        });
    }
    let mut left = VALUES_MAX;
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Value { left: &mut left }.deserialize(&mut json);
    let read = read.and_then(|digest| json.end().map(|()| digest));
    match read {
        Ok(Sum(digest)) => Ok(Survey {
            digest: hex::encode(digest),
        }),
        // Counted out: the error is ours.
        Err(_) if left == 0 => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body holds more than the {VALUES_MAX} values that are allowed"),
        )),
        Err(error) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is no JSON: {error}"),
        )),
    }
}

/// A digest, to which others can be added in any order.
#[derive(Debug, Clone, Copy, Default)]
struct Sum([u8; 32]);

impl Sum {
    fn of(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update([kind]);
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    fn add(&mut self, other: Self) {
        let mut carry = 0_u16;
        for (byte, more) in self.0.iter_mut().zip(other.0) {
            let [low, high] = (u16::from(*byte) + u16::from(more) + carry).to_le_bytes();
            *byte = low;
            carry = u16::from(high);
        }
    }
}

struct Value<'a> {
    left: &'a mut usize,
}

impl Value<'_> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.left.checked_sub(1) {
            Some(left) if left > 0 => {
                *self.left = left;
                Ok(())
            }
            _ => {
                *self.left = 0;
                Err(E::custom("too many values"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Sum;

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<Sum, D::Error> {
        self.count()?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Sum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Sum, E> {
        Ok(Sum::of(b'n', &[]))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Sum, E> {
        Ok(Sum::of(b'b', &[&[u8::from(value)]]))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Sum, E> {
        Ok(Sum::of(b'u', &[&value.to_le_bytes()]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Sum, E> {
        Ok(Sum::of(b'i', &[&value.to_le_bytes()]))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Sum, E> {
        Ok(Sum::of(b'f', &[&value.to_bits().to_le_bytes()]))
    }

    fn visit_str<E>(self, value: &str) -> Result<Sum, E> {
        Ok(Sum::of(b's', &[value.as_bytes()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Sum, A::Error> {
        let mut all = Sha256::new();
        all.update(b"a");
        while let Some(Sum(value)) = values.next_element_seed(Value { left: self.left })? {
            all.update(value);
        }
        Ok(Sum(all.finalize().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Sum, A::Error> {
        let mut all = Sum::default();
        while let Some(Sum(name)) = members.next_key_seed(Value { left: self.left })? {
            let Sum(value) = members.next_value_seed(Value { left: self.left })?;
            all.add(Sum::of(b'm', &[&name, &value]));
        }
        Ok(Sum::of(b'o', &[&all.0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(body: &str) -> String {
        survey(body.as_bytes()).unwrap().digest
    }

    #[test]
    fn bodies_that_say_the_same_have_one_digest() {
        let body = digest(r#"{"a": 1, "b": [true, null, "x"], "c": {"d": -1.5}}"#);
        assert_eq!(
            digest(r#"{"c":{"d":-1.5},"b":[true,null,"\u0078"],"a":1}"#),
            body
        );
    }

    #[test]
    fn bodies_that_say_something_else_have_another_one() {
        let bodies = [
            "",
            "null",
            "true",
            "false",
            "1",
            "-1",
            "1.5",
            r#""1""#,
            "[]",
            "{}",
            "[1]",
            "[[1]]",
            "[1,2]",
            "[2,1]",
            "[1,[2]]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":1,"a":1}"#,
        ];
        let digests: std::collections::HashSet<_> = bodies.map(digest).into_iter().collect();
        assert_eq!(digests.len(), bodies.len());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in ["{", "1 2", "nul", "[1,]", &"[".repeat(200)] {
            let problem = survey(body.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{body}");
        }
    }

    #[test]
    fn a_body_holds_so_many_values_and_no_more() {
        let body = |values: usize| format!("[{}]", vec!["0"; values].join(","));
        // The list is one of them, and the last is not given away.
        assert!(survey(body(VALUES_MAX - 2).as_bytes()).is_ok());
        let problem = survey(body(VALUES_MAX).as_bytes()).unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
