//! Values that go into statements, and money that comes out of them.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteArguments, SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Arguments as _, Decode, Encode, Postgres, Sqlite, Type};

/// An amount of money, exact to the last digit: TEXT in SQLite, NUMERIC in PostgreSQL, never a float.
///
/// SQLite would turn a number in a NUMERIC or REAL column into a float, so a column that holds money there has to be
/// declared TEXT; anything else is refused when it is read. Sums are made in Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub Decimal);

impl Type<Sqlite> for Money {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Money {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.to_string(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Money {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Decimal::from_str_exact(<&str as Decode<Sqlite>>::decode(value)?)?))
    }
}

impl Type<Postgres> for Money {
    fn type_info() -> PgTypeInfo {
        <Decimal as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Money {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.0, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Money {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<Decimal as Decode<Postgres>>::decode(value)?))
    }
}

/// A value of a statement, of a type that both engines know. An absent one is NULL of its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number: INTEGER, BIGINT.
    Integer(Option<i64>),
    /// Text: TEXT in both.
    Text(Option<Arc<str>>),
    /// Yes or no: INTEGER 0 or 1, BOOLEAN.
    Bool(Option<bool>),
    /// A point in time, to the microsecond: TEXT (RFC 3339, UTC, of one length, so that it sorts), TIMESTAMPTZ.
    Time(Option<DateTime<Utc>>),
    /// Money: TEXT, NUMERIC.
    Money(Option<Decimal>),
    /// JSON: TEXT, JSONB.
    Json(Option<serde_json::Value>),
}

macro_rules! value_from {
    ($($type:ty => $variant:ident($convert:expr)),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let convert: fn($type) -> _ = $convert;
                Self::$variant(Some(convert(value)))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                let convert: fn($type) -> _ = $convert;
                Self::$variant(value.map(convert))
            }
        }
    )+};
}

value_from! {
    i64 => Integer(|value| value),
    &str => Text(|value| Arc::from(value)),
    String => Text(|value| Arc::from(value)),
    &String => Text(|value| Arc::from(value.as_str())),
    bool => Bool(|value| value),
    DateTime<Utc> => Time(|value| value),
    Money => Money(|value| value.0),
    serde_json::Value => Json(|value| value),
    &serde_json::Value => Json(Clone::clone),
}

/// A time as SQLite keeps it. PostgreSQL keeps microseconds; a different number of digits would compare differently.
pub(crate) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(crate) fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Integer(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bool(value) => arguments.add(value),
            Value::Time(value) => arguments.add(value.map(time_text)),
            Value::Money(value) => arguments.add(value.map(Money)),
            Value::Json(value) => arguments.add(value),
        }?;
    }
    Ok(arguments)
}

pub(crate) fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), values.len() * 16);
    for value in values {
        match value {
            Value::Integer(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value.as_deref()),
            Value::Bool(value) => arguments.add(value),
            Value::Time(value) => arguments.add(value),
            Value::Money(value) => arguments.add(value),
            Value::Json(value) => arguments.add(value),
        }?;
    }
    Ok(arguments)
}
