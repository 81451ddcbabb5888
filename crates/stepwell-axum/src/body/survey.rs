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
    /// The same for bodies that say the same: neither blanks nor the order of members count. Numbers count
    /// as they are written.
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
    let mut reading = Reading {
        left: VALUES_MAX,
        numbers: Numbers(body),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Value(&mut reading).deserialize(&mut json);
    let read = read.and_then(|digest| json.end().map(|()| digest));
    match read {
        Ok(Sum(digest)) => Ok(Survey {
            digest: hex::encode(digest),
        }),
        // Counted out: the error is ours.
        Err(_) if reading.left == 0 => Err(Problem::new(
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

/// The state of a reading.
struct Reading<'b> {
    /// The number of values that may still come.
    left: usize,
    numbers: Numbers<'b>,
}

struct Value<'a, 'b>(&'a mut Reading<'b>);

impl Value<'_, '_> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.0.left.checked_sub(1) {
            Some(left) if left > 0 => {
                self.0.left = left;
                Ok(())
            }
            _ => {
                self.0.left = 0;
                Err(E::custom("too many values"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Sum;

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<Sum, D::Error> {
        self.count()?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
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
        self.0.numbers.next();
        Ok(Sum::of(b'u', &[&value.to_le_bytes()]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Sum, E> {
        self.0.numbers.next();
        Ok(Sum::of(b'i', &[&value.to_le_bytes()]))
    }

    /// A number with a fraction, or one that 64 bits do not hold: then it is rounded already.
    fn visit_f64<E>(self, _rounded: f64) -> Result<Sum, E> {
        let text = self.0.numbers.next().unwrap_or_default();
        Ok(Sum::of(b'd', &[text]))
    }

    fn visit_str<E>(self, value: &str) -> Result<Sum, E> {
        Ok(Sum::of(b's', &[value.as_bytes()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Sum, A::Error> {
        let mut all = Sha256::new();
        all.update(b"a");
        while let Some(Sum(value)) = values.next_element_seed(Value(self.0))? {
            all.update(value);
        }
        Ok(Sum(all.finalize().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Sum, A::Error> {
        let mut all = Sum::default();
        while let Some(Sum(name)) = members.next_key_seed(Value(self.0))? {
            let Sum(value) = members.next_value_seed(Value(self.0))?;
            all.add(Sum::of(b'm', &[&name, &value]));
        }
        Ok(Sum::of(b'o', &[&all.0]))
    }
}

/// The texts of the numbers in what is left of a body, in their order; values are visited in the same.
struct Numbers<'b>(&'b [u8]);

impl<'b> Iterator for Numbers<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        loop {
            match self.0 {
                [] => return None,
                [b'"', rest @ ..] => self.0 = behind_string(rest),
                [b'-' | b'0'..=b'9', ..] => {
                    let end = self.0.iter().position(|byte| !is_part(byte));
                    let (number, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
                    self.0 = rest;
                    return Some(number);
                }
                [_, rest @ ..] => self.0 = rest,
            }
        }
    }
}

/// Skips the rest of a string that has begun.
fn behind_string(mut text: &[u8]) -> &[u8] {
    loop {
        match text {
            [] => return text,
            [b'"', rest @ ..] => return rest,
            [b'\\', _, rest @ ..] | [_, rest @ ..] => text = rest,
        }
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

    /// As floats these are one number each.
    #[test]
    fn numbers_count_as_they_are_written() {
        for [one, other] in [
            ["18446744073709551616", "18446744073709551617"],
            ["0.1", "0.10000000000000000001"],
            [r#"{"1\"2": 3, "a": 1.50}"#, r#"{"1\"2": 3, "a": 1.5}"#],
        ] {
            assert_ne!(digest(one), digest(other), "{one}");
            assert_eq!(digest(one), digest(&format!(" {one}")));
        }
        let numbers = Numbers(br#"{"1\\": -1.5e-3,"2":[true,7 ,"\"8"],"c":1E+2}"#);
        let numbers: Vec<_> = numbers.map(String::from_utf8_lossy).collect();
        assert_eq!(numbers, ["-1.5e-3", "7", "1E+2"]);
    }

    /// Digests of bodies without fractions are kept by workflows that started before.
    #[test]
    fn a_digest_stays_what_it_was() {
        let body = r#"{"a": [1, -2, true, null, "x"]}"#;
        let before = "8f4fa469c7fa76458467e62f038eea6a23dd116c1d2011c1a18e6c48541abb9d";
        assert_eq!(digest(body), before);
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
