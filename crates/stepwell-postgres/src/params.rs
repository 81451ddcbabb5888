//! Values on their way into a statement, each with the type that the server is told.
//!
//! The types are given rather than asked for, so that an unnamed statement is one round trip.

use jiff::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};

/// A value and its type.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Something that a statement can be given.
pub(crate) trait Value: ToSql + Sync {
    /// Its type.
    const TYPE: Type;
    /// The type of several.
    const ARRAY: Type;
}

macro_rules! value {
    ($rust:ty, $one:ident, $many:ident) => {
        impl Value for $rust {
            const TYPE: Type = Type::$one;
            const ARRAY: Type = Type::$many;
        }
    };
}

value!(i32, INT4, INT4_ARRAY);
value!(i64, INT8, INT8_ARRAY);
value!(bool, BOOL, BOOL_ARRAY);
value!(&str, TEXT, TEXT_ARRAY);
value!(String, TEXT, TEXT_ARRAY);
value!(At, TIMESTAMPTZ, TIMESTAMPTZ_ARRAY);

impl<T: Value> Value for Option<T> {
    const TYPE: Type = T::TYPE;
    const ARRAY: Type = T::ARRAY;
}

impl<T: Value> Value for Vec<T> {
    const TYPE: Type = T::ARRAY;
    const ARRAY: Type = T::ARRAY;
}

/// A value with its type.
pub(crate) fn param<T: Value>(value: &T) -> Param<'_> {
    (value, T::TYPE)
}

/// The values of a statement, in the order of their numbers.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::params::param(&$value)),*]
    };
}
pub(crate) use params;

/// An instant, as the server keeps it: microseconds. What is no instant of ours (`infinity`, the
/// year 100,000) is an error, not a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Timestamp);

/// From 1970 to 2000, where Postgres begins to count.
const EPOCH_US: i64 = 946_684_800_000_000;

impl ToSql for At {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // Within the years that `Timestamp` knows this cannot overflow.
        (self.0.as_microsecond() - EPOCH_US).to_sql(&Type::INT8, out)
    }

    tokio_postgres::types::accepts!(TIMESTAMPTZ);
    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for At {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let number = i64::from_sql(&Type::INT8, raw)?;
        let instant = number
            .checked_add(EPOCH_US)
            .and_then(|number| Timestamp::from_microsecond(number).ok());
        Ok(Self(instant.ok_or_else(|| {
            format!("{number} microseconds from 2000 are no instant here")
        })?))
    }

    tokio_postgres::types::accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn comes_back(instant: Timestamp) {
        let mut raw = BytesMut::new();
        At(instant).to_sql(&Type::TIMESTAMPTZ, &mut raw).unwrap();
        assert_eq!(At::from_sql(&Type::TIMESTAMPTZ, &raw).unwrap().0, instant);
    }

    #[test]
    fn an_instant_comes_back() {
        comes_back(Timestamp::UNIX_EPOCH);
        comes_back("2026-02-03T04:05:06.789012Z".parse().unwrap());
        comes_back("9999-12-30T00:00:00Z".parse().unwrap());
        comes_back("-009999-01-03T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_is_no_instant_is_an_error() {
        for number in [i64::MAX, i64::MIN, 1 << 60] {
            let mut raw = BytesMut::new();
            number.to_sql(&Type::INT8, &mut raw).unwrap();
            assert!(At::from_sql(&Type::TIMESTAMPTZ, &raw).is_err());
        }
    }
}
