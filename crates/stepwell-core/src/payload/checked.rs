//! serde_json, stricter: what it would store in silence as `null`, or could not read again, is an
//! error that names the path.
//!
//! One adapter stands between the value and serde_json's serializer. It forwards everything, refuses
//! numbers that are not finite, and counts the depth. The path is put together on the way back: each
//! level that an error passes adds its own part.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::limits::{InvalidInput, PAYLOAD_DEPTH_MAX};

/// Marks where the path ends in an error's text; it cannot stand in a field's name that reads well.
const PATH_END: char = '\u{1}';

/// `depth_max` is how deep it may nest.
pub(super) fn to_json<T: Serialize + ?Sized>(
    value: &T,
    depth_max: usize,
) -> Result<String, InvalidInput> {
    let mut bytes = Vec::with_capacity(64);
    value
        .serialize(Checked {
            inner: &mut serde_json::Serializer::new(&mut bytes),
            left: depth_max,
            within: Within::Value,
        })
        .map_err(|error| InvalidInput::new(describe(&error.to_string())))?;
    String::from_utf8(bytes).map_err(|_| InvalidInput::new("the value is not UTF-8 as JSON"))
}

/// Turns ``more[1]\u{1}is inf`` into a sentence.
fn describe(error: &str) -> String {
    match error.split_once(PATH_END) {
        Some((path, what)) => {
            let path = path.trim_start_matches('.');
            let place = if path.is_empty() {
                "the value".into()
            } else {
                format!("`{path}`")
            };
            format!("{place} {what}, which cannot be stored as JSON")
        }
        None => format!("the value cannot be stored as JSON: {error}"),
    }
}

fn refuse<E: Error>(what: &str) -> E {
    E::custom(format!("{PATH_END}{what}"))
}

/// Adds a part to the path of an error that has one.
fn at<E: Error>(error: E, part: &str) -> E {
    let text = error.to_string();
    if text.contains(PATH_END) {
        E::custom(format!("{part}{text}"))
    } else {
        error
    }
}

/// What a value stands in, as far as it matters to `null`: JSON writes `Some(None)`, `Some(())` and
/// `None` alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// It may be `null`.
    Value,
    /// It is what a `Some` holds.
    Some,
    /// It is the text of a `RawValue` that a `Some` holds.
    RawInSome,
}

/// The name of the struct, and of its field, by which a `RawValue` makes itself known to serde_json.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

struct Checked<S> {
    inner: S,
    /// How many levels may still be opened.
    left: usize,
    within: Within,
}

impl<S: Serializer> Checked<S> {
    fn finite(&self, value: f64) -> Result<(), S::Error> {
        if value.is_finite() {
            Ok(())
        } else {
            Err(refuse(&format!("is {value}")))
        }
    }

    /// Whether `null` may be written here.
    fn may_be_null(&self) -> Result<(), S::Error> {
        match self.within {
            Within::Value => Ok(()),
            Within::Some | Within::RawInSome => Err(refuse(
                "is `Some` of what is `null` as JSON and would be read as `None`",
            )),
        }
    }
}

/// A value on its way through a serializer of the inner kind.
struct Wrapped<'a, T: ?Sized> {
    value: &'a T,
    left: usize,
    within: Within,
}

impl<T: Serialize + ?Sized> Serialize for Wrapped<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Checked {
            inner: serializer,
            left: self.left,
            within: self.within,
        })
    }
}

/// A list or an object that is open.
struct Compound<C> {
    inner: C,
    left: usize,
    index: usize,
    key: String,
    members: Within,
}

fn deeper<C, E: Error>(left: usize, open: impl FnOnce() -> Result<C, E>) -> Result<Compound<C>, E> {
    if left == 0 {
        return Err(refuse(&format!(
            "nests deeper than {PAYLOAD_DEPTH_MAX} levels"
        )));
    }
    Ok(Compound {
        inner: open()?,
        left: left - 1,
        index: 0,
        key: String::new(),
        members: Within::Value,
    })
}

/// The values that are passed on as they are.
macro_rules! forward {
    ($($method:ident($type:ty);)*) => {
        $(fn $method(self, value: $type) -> Result<Self::Ok, Self::Error> {
            self.inner.$method(value)
        })*
    };
}

impl<S: Serializer> Serializer for Checked<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<S::SerializeSeq>;
    type SerializeTuple = Compound<S::SerializeTuple>;
    type SerializeTupleStruct = Compound<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<S::SerializeTupleVariant>;
    type SerializeMap = Compound<S::SerializeMap>;
    type SerializeStruct = Compound<S::SerializeStruct>;
    type SerializeStructVariant = Compound<S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_bytes(&[u8]);
    }

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        if self.within == Within::RawInSome && value == "null" {
            self.may_be_null()?;
        }
        self.inner.serialize_str(value)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.may_be_null()?;
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.finite(value.into())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.finite(value)?;
        self.inner.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.may_be_null()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Wrapped {
            value,
            left: self.left,
            within: Within::Some,
        })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.may_be_null()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(
            name,
            &Wrapped {
                value,
                left: self.left,
                within: self.within,
            },
        )
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Wrapped {
            value,
            left: self.left.saturating_sub(1),
            within: Within::Value,
        };
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        deeper(self.left, || self.inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        deeper(self.left, || self.inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        deeper(self.left, || self.inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        deeper(self.left, || {
            self.inner
                .serialize_tuple_variant(name, index, variant, len)
        })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        deeper(self.left, || self.inner.serialize_map(len))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let is_raw = name == RAW_VALUE && self.within == Within::Some;
        let mut compound = deeper(self.left, || self.inner.serialize_struct(name, len))?;
        if is_raw {
            compound.members = Within::RawInSome;
        }
        Ok(compound)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        deeper(self.left, || {
            self.inner
                .serialize_struct_variant(name, index, variant, len)
        })
    }
}

/// The compounds whose members have numbers.
macro_rules! numbered {
    ($($trait:ident::$method:ident),*) => {
        $(impl<C: $trait> $trait for Compound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let index = self.index;
                self.index += 1;
                self.inner
                    .$method(&Wrapped { value, left: self.left, within: self.members })
                    .map_err(|error| at(error, &format!("[{index}]")))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

numbered!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// The compounds whose members have names.
macro_rules! named {
    ($($trait:ident),*) => {
        $(impl<C: $trait> $trait for Compound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.inner
                    .serialize_field(key, &Wrapped { value, left: self.left, within: self.members })
                    .map_err(|error| at(error, &format!(".{key}")))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

named!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        // Only for the path of an error; a key that JSON cannot hold is refused just below.
        self.key = serde_json::to_string(key).unwrap_or_default();
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner
            .serialize_value(&Wrapped {
                value,
                left: self.left,
                within: Within::Value,
            })
            .map_err(|error| at(error, &format!(".{}", self.key.trim_matches('"'))))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
