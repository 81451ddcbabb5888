//! Whether a value that was written is the same when it is read: it is read, written once more, and
//! compared.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{Serialize, de::DeserializeOwned};

use super::canonical::{Lists, Tree};
use crate::{engine::panic_message, limits::InvalidInput};

/// Reads `json` as it will be read later, and refuses it if it cannot be, or comes back otherwise.
pub(super) fn read<T: Serialize + DeserializeOwned>(json: &str) -> Result<T, InvalidInput> {
    // The reader is the user's code; what it does with its own value must not take the caller along.
    let read = catch_unwind(AssertUnwindSafe(|| serde_json::from_str::<T>(json)));
    let value = read
        .map_err(|panic| unreadable::<T>(&format!("it panics: {}", panic_message(&*panic))))?
        .map_err(|error| unreadable::<T>(&error.to_string()))?;
    same(json, &value)?;
    Ok(value)
}

fn unreadable<T>(why: &str) -> InvalidInput {
    InvalidInput::new(format!(
        "the value can be stored as JSON, but not be read from it as `{}`: {why}; change how the type \
         is serialized (serde cannot read 128-bit numbers, or maps whose keys are numbers, within \
         what is flattened, untagged or has its tag inside)",
        std::any::type_name::<T>()
    ))
}

/// Refuses a value that was read from `json` and is written otherwise.
fn same<T: Serialize>(json: &str, value: &T) -> Result<(), InvalidInput> {
    let mut rest = Rest(json.as_bytes());
    if serde_json::to_writer(&mut rest, value).is_ok() && rest.0.is_empty() {
        return Ok(());
    }
    // Maps and sets are written in another order each time.
    let again = serde_json::to_string(value)
        .map_err(|error| changed::<T>("", &format!("it cannot be written again: {error}")))?;
    let tree = |json| Tree::of(json, Lists::Sorted);
    match (tree(json), tree(&again)) {
        (Some(before), Some(after)) if before == after => Ok(()),
        (Some(before), Some(after)) => Err(changed::<T>(
            &before.difference(&after),
            "it is another one when it is read and written again",
        )),
        _ => Err(changed::<T>("", "it nests too deep")),
    }
}

fn changed<T>(path: &str, why: &str) -> InvalidInput {
    let place = match path.trim_start_matches('.') {
        "" => "the value".to_owned(),
        path => format!("`{path}`"),
    };
    InvalidInput::new(format!(
        "{place} does not come back from JSON as `{}`: {why}; change how the type is serialized",
        std::any::type_name::<T>()
    ))
}

/// What is still to be written. Whatever else is, is an error: nothing is kept of it.
struct Rest<'a>(&'a [u8]);

impl io::Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.strip_prefix(bytes) {
            Some(rest) => self.0 = rest,
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use serde::Deserialize;

    use super::*;
    use crate::payload::Payload;

    #[track_caller]
    fn refused<T: Serialize + DeserializeOwned>(value: &T, reason: &str) {
        let error = Payload::of_durable(value, 1_000).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[track_caller]
    fn kept<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        let payload = Payload::of_durable(value, 100_000).unwrap();
        assert_eq!(payload.read::<T>().unwrap(), *value);
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Plain { number: u64, half: f32 },
        Large { number: u128 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flattened {
        name: String,
        #[serde(flatten)]
        rest: BTreeMap<u32, String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Skipped {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        items: Vec<u8>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Fraction(f64),
        Whole(i64),
    }

    #[derive(Serialize)]
    struct Even(u32);

    impl<'de> Deserialize<'de> for Even {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number = u32::deserialize(deserializer)?;
            assert!(number.is_multiple_of(2), "{number} is odd");
            Ok(Self(number))
        }
    }

    #[test]
    fn what_could_not_be_read_is_refused() {
        refused(&Tagged::Large { number: 1 }, "u128");
        let rest = BTreeMap::from([(7, "seven".to_owned())]);
        let name = "a".to_owned();
        refused(&Flattened { name, rest }, "not be read from it as");
        refused(&Skipped { items: vec![] }, "missing field `items`");
        refused(&Even(3), "it panics: 3 is odd");
    }

    #[test]
    fn what_would_come_back_as_another_value_is_refused_with_its_path() {
        refused(&vec![Untagged::Whole(3)], "`[0]` does not come back");
        refused(&Some(()), "`Some`");
        refused(&vec![(1, Some(None::<u8>))], "`[0][1]` is `Some`");
        refused(&(1, Some(serde_json::Value::Null)), "`[1]` is `Some`");
        let raw = serde_json::value::RawValue::from_string("null".to_owned()).unwrap();
        refused(&Some(raw), "`Some`");
    }

    #[test]
    fn what_comes_back_is_kept_whatever_its_order() {
        kept(&Tagged::Plain {
            number: u64::MAX,
            half: 0.1,
        });
        kept(&Skipped { items: vec![1] });
        kept(&vec![Untagged::Fraction(3.0)]);
        kept(&(u128::MAX, i128::MIN, Some("null".to_owned()), Some(Some(1))));
        kept(
            &(0..100)
                .map(|n| (n, n.to_string()))
                .collect::<HashMap<u32, String>>(),
        );
        kept(&(0..100).collect::<HashSet<u32>>());
        kept(&(1.900_000_000_000_000_1, f64::MIN_POSITIVE, -0.0, f32::MAX));
        kept(&serde_json::json!({"a": [1.5, null], "b": u64::MAX}));
    }
}
