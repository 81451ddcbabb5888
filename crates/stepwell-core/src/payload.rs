//! What crosses a checkpoint: JSON text, checked before it is stored.

mod again;
mod canonical;
mod checked;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
};

use crate::{
    engine::panic_message,
    limits::{InvalidInput, PAYLOAD_DEPTH_MAX},
};

use canonical::{Lists, Tree};

/// A value as JSON text. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// Writes `value` as JSON of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// Names the path of the part that JSON cannot hold (NaN, an infinite number, a map key that
    /// is not a string), that nests too deep, or says how large the whole is. A panic of the type's
    /// own code is such an error, too.
    pub fn of<T: Serialize + ?Sized>(value: &T, bytes_max: usize) -> Result<Self, InvalidInput> {
        let text = guarded_json(value, PAYLOAD_DEPTH_MAX)?;
        if text.len() > bytes_max {
            return Err(InvalidInput::new(format!(
                "the value has {} bytes as JSON, at most {bytes_max} are allowed; store it \
                 elsewhere and pass a reference, or raise the application's limit",
                text.len()
            )));
        }
        Ok(Self(text.into()))
    }

    /// Writes `value` as JSON of at most `bytes_max` bytes, and makes sure that it is the same when it is
    /// read: it is read, written once more, and compared.
    ///
    /// # Errors
    /// As [`of`](Self::of), and for a value that cannot be read as its type, or comes back as another
    /// one: the path of the part, and the type.
    pub fn of_durable<T: Serialize + DeserializeOwned>(
        value: &T,
        bytes_max: usize,
    ) -> Result<Self, InvalidInput> {
        let payload = Self::of(value, bytes_max)?;
        payload.read_back::<T>()?;
        Ok(payload)
    }

    /// Reads the value that was written just now, and makes sure that it would be written as it stands
    /// here.
    pub(crate) fn read_back<T: Serialize + DeserializeOwned>(&self) -> Result<T, InvalidInput> {
        guarded(|| again::read(&self.0)).unwrap_or_else(|message| {
            Err(InvalidInput::new(format!(
                "the value cannot be read back: its type panicked: {message}"
            )))
        })
    }

    /// Writes what the engine has made, or has put around a value that was checked before: that may
    /// be a little larger, and nest a little deeper, than a value may.
    pub(crate) fn of_ours<T: Serialize>(value: &T) -> Result<Self, InvalidInput> {
        Ok(Self(guarded_json(value, PAYLOAD_DEPTH_MAX + 4)?.into()))
    }

    /// Takes JSON text that a store has kept. It is not parsed again.
    #[must_use]
    pub fn from_stored(json: String) -> Self {
        Self(json.into())
    }

    /// Several values as a JSON array.
    pub(crate) fn array(values: &[Self]) -> Self {
        let texts: Vec<_> = values.iter().map(Self::as_str).collect();
        Self(format!("[{}]", texts.join(",")).into())
    }

    /// A text as a JSON value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }

    /// The JSON value `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Reads the value.
    ///
    /// # Errors
    /// serde's, if the value does not fit the type. A panic of the type's own code is such an error,
    /// too: values are read where nothing must be torn down by them.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        guarded(|| serde_json::from_str(&self.0)).unwrap_or_else(|message| {
            Err(serde_json::Error::custom(format!(
                "its type panicked: {message}"
            )))
        })
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both hold the same JSON value. The order of an object's keys does not count, so that
    /// a map that was filled in another order is no other input. Numbers count as they are written:
    /// those that no type of the machine holds differ, too.
    #[must_use]
    pub fn same_value(&self, other: &Self) -> bool {
        let tree = |json| Tree::of(json, Lists::Ordered);
        self.0 == other.0
            || tree(&self.0).is_some_and(|mine| tree(&other.0).is_some_and(|other| mine == other))
    }
}

/// Writes a value as JSON; a panic of its type is an error.
fn guarded_json<T: Serialize + ?Sized>(
    value: &T,
    depth_max: usize,
) -> Result<String, InvalidInput> {
    guarded(|| checked::to_json(value, depth_max)).unwrap_or_else(|message| {
        Err(InvalidInput::new(format!(
            "the value cannot be stored as JSON: its type panicked: {message}"
        )))
    })
}

/// Runs code of a type of the user's; a panic of it comes back as its message.
fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    // What the code was about is dropped with the panic: nobody sees it half changed.
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| panic_message(panic.as_ref()))
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&serde_json::value::RawValue>(&self.0) {
            Ok(raw) => raw.serialize(serializer),
            // A store that hands out what is no JSON is corrupt; show the text rather than panic.
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    /// Takes the JSON text as it is written. From `serde_json` only.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self(Box::<str>::from(raw).into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn refused<T: Serialize>(value: &T, reason: &str) {
        let error = Payload::of(value, 1_000).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[derive(Serialize)]
    struct Point {
        x: f64,
        more: Vec<Option<f32>>,
    }

    #[test]
    fn what_json_would_silently_change_is_refused_with_its_path() {
        refused(
            &Point {
                x: f64::NAN,
                more: vec![],
            },
            "`x` is NaN",
        );
        refused(
            &Point {
                x: 1.0,
                more: vec![None, Some(f32::INFINITY)],
            },
            "`more[1]` is inf",
        );
        refused(
            &BTreeMap::from([("price", f64::NEG_INFINITY)]),
            "`price` is -inf",
        );
    }

    #[test]
    fn a_map_key_that_is_no_text_is_refused() {
        refused(&BTreeMap::from([((1, 2), 3)]), "key must be a string");
    }

    #[test]
    fn a_payload_that_is_too_large_names_both_sizes() {
        refused(&"x".repeat(1_000), "has 1002 bytes as JSON, at most 1000");
    }

    #[test]
    fn a_payload_that_could_not_be_read_again_is_refused() {
        let mut value = serde_json::json!(1);
        for _ in 0..200 {
            value = serde_json::json!([value]);
        }
        refused(&value, "nests deeper than 120");
    }

    #[test]
    fn the_order_of_keys_makes_no_other_value() {
        let a = Payload::from_stored(r#"{"a":1,"b":2}"#.into());
        assert!(a.same_value(&Payload::from_stored(r#"{"b":2,"a":1}"#.into())));
        assert!(!a.same_value(&Payload::from_stored(r#"{"b":2,"a":3}"#.into())));
        let number = |text: &str| Payload::from_stored(format!("[{text}]"));
        assert!(!number("18446744073709551616").same_value(&number("18446744073709551617")));
    }

    #[derive(Debug)]
    struct Touchy;

    impl Serialize for Touchy {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("not today")
        }
    }

    impl<'de> serde::Deserialize<'de> for Touchy {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("not today")
        }
    }

    #[test]
    fn a_panic_of_a_type_is_an_error_of_the_value() {
        refused(&Touchy, "its type panicked: not today");
        let error = Payload::null().read::<Touchy>().unwrap_err();
        assert_eq!(error.to_string(), "its type panicked: not today");
    }

    #[test]
    fn what_fits_comes_back_as_it_was() {
        let value = BTreeMap::from([("a".to_owned(), vec![Some(1.5), None])]);
        let payload = Payload::of(&value, 1_000).unwrap();
        assert_eq!(
            payload
                .read::<BTreeMap<String, Vec<Option<f64>>>>()
                .unwrap(),
            value
        );
    }
}
