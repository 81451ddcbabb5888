//! Values of everything that serde knows.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use proptest::{collection, option, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepwell::Timestamp;

/// A value of any shape. Two are the same if `Debug` says so: it tells apart what `==` does not, such
/// as 0.0 and -0.0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Any {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    Bytes(Bytes),
    Unit(()),
    UnitStruct(Nothing),
    UnitVariant,
    Option(Option<Box<Self>>),
    OptionOfUnit(Option<()>),
    OptionOfStruct(Option<Nothing>),
    OptionOfOption(Option<Option<u8>>),
    OptionOfFloat(Option<f64>),
    OptionOfJson(Option<serde_json::Value>),
    Newtype(Newtype),
    List(Vec<Self>),
    Tuple(Box<(Self, u8, Self)>),
    TupleStruct(Pair),
    TupleVariant(u8, Box<Self>),
    StructVariant { one: Box<Self>, other: Option<u32> },
    Record(Record),
    TextMap(BTreeMap<String, Self>),
    NumberMap(BTreeMap<i64, Self>),
    WideMap(BTreeMap<u128, u8>),
    BoolMap(BTreeMap<bool, u8>),
    CharMap(BTreeMap<char, u8>),
    WordMap(BTreeMap<Word, u8>),
    PairMap(BTreeMap<(u8, u8), u8>),
    HashMap(Unordered<HashMap<String, i64>>),
    HashSet(Unordered<HashSet<u64>>),
    Tagged(Tagged),
    Adjacent(Adjacent),
    Untagged(Untagged),
    Flat(Flat),
    FlatNumbers(FlatNumbers),
    Json(serde_json::Value),
    Raw(Box<RawValue>),
    Instant(Timestamp),
    Duration(Duration),
    Address(std::net::IpAddr),
}

/// Written with `serialize_bytes`.
#[derive(Debug, Clone)]
pub(super) struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Nothing;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Newtype(Box<Any>);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pair(Box<Any>, i16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    OneWord,
    Another,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(rename = "the name")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<u8>,
    /// Without `default` an empty one is written and cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forgotten: Vec<u8>,
    value: Box<Any>,
}

/// What has another order each time it is written.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Unordered<T>(T);

impl<T: Clone + IntoIterator<Item: Ord + fmt::Debug>> fmt::Debug for Unordered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.0.clone().into_iter().collect();
        all.sort();
        f.debug_list().entries(all).finish()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Tagged {
    Unit,
    Plain {
        text: String,
        number: i64,
        whole: u64,
    },
    Fraction {
        single: f32,
        double: f64,
    },
    Wide {
        number: u128,
    },
    Negative {
        number: i128,
    },
    Numbers {
        map: BTreeMap<u32, u8>,
    },
    List {
        list: Vec<Option<char>>,
    },
    Bytes {
        bytes: Bytes,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
pub(super) enum Adjacent {
    Unit,
    Wide(u128),
    Fraction(f32),
    Any(Box<Any>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    Small(u8),
    Fraction(f64),
    Whole(i64),
    Wide(u128),
    Text(String),
    List(Vec<u8>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Flat {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Small>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Small {
    Number(i64),
    Float(f32),
    Wide(u128),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FlatNumbers {
    #[serde(flatten)]
    rest: BTreeMap<u16, u8>,
}

/// Which of its variants a whole number is, the type itself leaves open: the first one that it fits.
impl fmt::Debug for Untagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small(number) => number.fmt(f),
            Self::Fraction(number) => number.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Wide(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::List(list) => list.fmt(f),
        }
    }
}

/// Text of all that Rust's may hold.
pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[a-z]{0,6}",
        2 => any::<String>(),
        1 => Just("null".to_owned()),
        1 => Just("\0\u{1b}\"\\\u{2028}\u{feff}🦀".to_owned()),
        1 => Just("name".to_owned()),
    ]
    .boxed()
}

/// Of all bits.
fn double() -> BoxedStrategy<f64> {
    let some = [
        0.0,
        -0.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        f64::NAN,
        f64::INFINITY,
        1e21,
    ];
    prop_oneof![
        6 => any::<u64>().prop_map(f64::from_bits),
        3 => 0.0..10.0_f64,
        1 => proptest::sample::select(some.to_vec()),
    ]
    .boxed()
}

fn single() -> BoxedStrategy<f32> {
    any::<u32>().prop_map(f32::from_bits).boxed()
}

/// Numbers at the edges of the machine's types, where readers change over.
fn wide() -> BoxedStrategy<u128> {
    let at = |n: u128| prop_oneof![Just(n - 1), Just(n), Just(n + 1)];
    prop_oneof![
        any::<u128>(),
        any::<u8>().prop_map(u128::from),
        at(1 << 53),
        at(1 << 63),
        at(1 << 64)
    ]
    .boxed()
}

fn number_text() -> BoxedStrategy<String> {
    let some = [
        "1e400",
        "-0",
        "1E+2",
        "0.1000",
        "123456789012345678901234567890",
        "null",
        "[ 1,2 ]",
    ];
    proptest::sample::select(some.map(str::to_owned).to_vec()).boxed()
}

fn json() -> BoxedStrategy<serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        double().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
    .boxed()
}

fn map<K: Strategy<Value: Ord> + 'static>(key: K) -> impl Strategy<Value = BTreeMap<K::Value, u8>>
where
    K::Value: Clone,
{
    collection::btree_map(key, any::<u8>(), 0..4)
}

fn word() -> BoxedStrategy<Word> {
    prop_oneof![Just(Word::OneWord), Just(Word::Another)].boxed()
}

fn tagged() -> BoxedStrategy<Tagged> {
    prop_oneof![
        Just(Tagged::Unit),
        (text(), any::<i64>(), any::<u64>()).prop_map(|(text, number, whole)| Tagged::Plain {
            text,
            number,
            whole
        }),
        (single(), double()).prop_map(|(single, double)| Tagged::Fraction { single, double }),
        wide().prop_map(|number| Tagged::Wide { number }),
        any::<i128>().prop_map(|number| Tagged::Negative { number }),
        map(any::<u32>()).prop_map(|map| Tagged::Numbers { map }),
        collection::vec(option::of(any::<char>()), 0..4).prop_map(|list| Tagged::List { list }),
        collection::vec(any::<u8>(), 0..4).prop_map(|bytes| Tagged::Bytes {
            bytes: Bytes(bytes)
        }),
    ]
    .boxed()
}

fn untagged() -> BoxedStrategy<Untagged> {
    prop_oneof![
        any::<u8>().prop_map(Untagged::Small),
        double().prop_map(Untagged::Fraction),
        any::<i64>().prop_map(Untagged::Whole),
        wide().prop_map(Untagged::Wide),
        text().prop_map(Untagged::Text),
        collection::vec(any::<u8>(), 0..4).prop_map(Untagged::List),
    ]
    .boxed()
}

fn small() -> BoxedStrategy<Small> {
    prop_oneof![
        any::<i64>().prop_map(Small::Number),
        single().prop_map(Small::Float),
        wide().prop_map(Small::Wide),
    ]
    .boxed()
}

fn numbers() -> BoxedStrategy<Any> {
    prop_oneof![
        any::<bool>().prop_map(Any::Bool),
        any::<i8>().prop_map(Any::I8),
        any::<i16>().prop_map(Any::I16),
        any::<i32>().prop_map(Any::I32),
        any::<i64>().prop_map(Any::I64),
        any::<i128>().prop_map(Any::I128),
        any::<u8>().prop_map(Any::U8),
        any::<u16>().prop_map(Any::U16),
        any::<u32>().prop_map(Any::U32),
        any::<u64>().prop_map(Any::U64),
        wide().prop_map(Any::U128),
        single().prop_map(Any::F32),
        double().prop_map(Any::F64),
    ]
    .boxed()
}

fn texts_and_nothings() -> BoxedStrategy<Any> {
    prop_oneof![
        any::<char>().prop_map(Any::Char),
        text().prop_map(Any::Text),
        collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Any::Bytes(Bytes(bytes))),
        Just(Any::Unit(())),
        Just(Any::UnitStruct(Nothing)),
        Just(Any::UnitVariant),
        Just(Any::Option(None)),
        option::of(Just(())).prop_map(Any::OptionOfUnit),
        option::of(Just(Nothing)).prop_map(Any::OptionOfStruct),
        option::of(option::of(any::<u8>())).prop_map(Any::OptionOfOption),
        option::of(double()).prop_map(Any::OptionOfFloat),
        option::of(json()).prop_map(Any::OptionOfJson),
        json().prop_map(Any::Json),
        number_text().prop_map(|text| Any::Raw(RawValue::from_string(text).unwrap())),
        any::<i32>().prop_map(|s| Any::Instant(Timestamp::from_second(s.into()).unwrap())),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Any::Duration(Duration::new(s, n))),
        any::<u128>().prop_map(|it| Any::Address(std::net::Ipv6Addr::from_bits(it).into())),
    ]
    .boxed()
}

fn maps_and_enums() -> BoxedStrategy<Any> {
    prop_oneof![
        map(wide()).prop_map(Any::WideMap),
        map(any::<bool>()).prop_map(Any::BoolMap),
        map(any::<char>()).prop_map(Any::CharMap),
        map(word()).prop_map(Any::WordMap),
        map(any::<(u8, u8)>()).prop_map(Any::PairMap),
        collection::hash_map(text(), any::<i64>(), 0..9).prop_map(|it| Any::HashMap(Unordered(it))),
        collection::hash_set(any::<u64>(), 0..9).prop_map(|it| Any::HashSet(Unordered(it))),
        tagged().prop_map(Any::Tagged),
        untagged().prop_map(Any::Untagged),
        wide().prop_map(|it| Any::Adjacent(Adjacent::Wide(it))),
        single().prop_map(|it| Any::Adjacent(Adjacent::Fraction(it))),
        Just(Any::Adjacent(Adjacent::Unit)),
        (text(), collection::btree_map(text(), small(), 0..3))
            .prop_map(|(name, rest)| Any::Flat(Flat { name, rest })),
        map(any::<u16>()).prop_map(|rest| Any::FlatNumbers(FlatNumbers { rest })),
    ]
    .boxed()
}

/// Values of every shape, one in another.
pub(super) fn anything() -> BoxedStrategy<Any> {
    let leaf = prop_oneof![numbers(), texts_and_nothings(), maps_and_enums()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(|it| Any::Option(Some(it))),
            boxed.clone().prop_map(|it| Any::Newtype(Newtype(it))),
            boxed
                .clone()
                .prop_map(|it| Any::Adjacent(Adjacent::Any(it))),
            collection::vec(inner.clone(), 0..4).prop_map(Any::List),
            (inner.clone(), any::<u8>(), inner.clone()).prop_map(|it| Any::Tuple(Box::new(it))),
            (boxed.clone(), any::<i16>()).prop_map(|(it, n)| Any::TupleStruct(Pair(it, n))),
            (any::<u8>(), boxed.clone()).prop_map(|(n, it)| Any::TupleVariant(n, it)),
            (boxed.clone(), option::of(any::<u32>()))
                .prop_map(|(one, other)| Any::StructVariant { one, other }),
            (
                text(),
                option::of(any::<u8>()),
                collection::vec(any::<u8>(), 0..3),
                boxed
            )
                .prop_map(|(name, left_out, forgotten, value)| Any::Record(Record {
                    name,
                    left_out,
                    forgotten,
                    value
                })),
            collection::btree_map(text(), inner.clone(), 0..4).prop_map(Any::TextMap),
            collection::btree_map(any::<i64>(), inner, 0..4).prop_map(Any::NumberMap),
        ]
    })
    .boxed()
}
