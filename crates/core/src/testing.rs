//! Values for tests.

use super::operation::{ColumnType, Family};

/// A type by its SQL: enough of it for tests.
pub fn kind(written: &str) -> ColumnType {
    let (word, rest) = written.split_once('(').unwrap_or((written, ""));
    let arguments = rest.trim_end_matches(')');
    let numbers: Vec<u32> = arguments
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    let values = arguments
        .split(',')
        .filter_map(|value| value.trim().strip_prefix('\'')?.strip_suffix('\''))
        .map(str::to_owned)
        .collect();
    let family = match word.trim() {
        "BOOLEAN" => Family::Boolean,
        "SMALLINT" => Family::SmallInteger,
        "INTEGER" => Family::Integer,
        "BIGINT" => Family::BigInteger,
        "NUMERIC" => Family::Numeric,
        "DOUBLE" => Family::Float,
        "VARCHAR" => Family::String,
        "TEXT" => Family::Text,
        "DATE" => Family::Date,
        "TIMESTAMP" => Family::DateTime,
        "JSON" => Family::Json,
        "JSONB" => Family::Jsonb,
        "UUID" => Family::Uuid,
        "ENUM" => Family::Enum,
        _ => Family::Other,
    };
    let exact = family == Family::Numeric;
    ColumnType {
        family,
        length: numbers.first().filter(|_| !exact).map(|n| u64::from(*n)),
        precision: numbers.first().copied().filter(|_| exact),
        scale: numbers.get(1).copied().filter(|_| exact),
        timezone: false,
        enum_name: None,
        values,
        written: written.to_owned(),
    }
}
