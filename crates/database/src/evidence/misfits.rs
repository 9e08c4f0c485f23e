//! Which values do not fit another type: a condition over one column, per server.

use super::sql::{literal, number_text};
use crate::mysql::IS_MARIADB;
use rollback_core::dialect::Dialect;
use rollback_core::operation::{ColumnType, Family};
use rollback_core::type_fit::{is_cast_to_number, is_number, is_text, range};

/// A number as text.
const INTEGER: &str = "^[[:space:]]*[-+]?[0-9]+[[:space:]]*$";
const NUMBER: &str =
    "^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[[:space:]]*$";
const UUID: &str = "^[{]?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}[}]?$";

/// The values that the new type has no place for. `None` where there is no way to ask, among them
/// the pairs whose values all fit.
pub(super) fn misfits(
    dialect: Dialect,
    column: &str,
    from: &ColumnType,
    to: &ColumnType,
) -> Option<String> {
    let text = as_text(dialect, column, from);
    match to.family {
        Family::String => Some(too_long(dialect, &text, to.length?)),
        Family::Text if is_text(from.family) => {
            Some(format!("octet_length({column}) > {}", to.length?))
        }
        Family::Binary if from.family == Family::Binary => {
            let function = match dialect {
                Dialect::Postgres => "octet_length",
                Dialect::MySql | Dialect::Sqlite => "length",
            };
            Some(format!("{function}({column}) > {}", to.length?))
        }
        Family::SmallInteger | Family::Integer | Family::BigInteger if is_text(from.family) => {
            if dialect == Dialect::MySql {
                // MariaDB refuses the text `1.5`. MySQL rounds it.
                return Some(format!(
                    "{text} NOT REGEXP IF({IS_MARIADB}, '{INTEGER}', '{NUMBER}')"
                ));
            }
            not_matching(dialect, &text, INTEGER)
        }
        Family::Numeric | Family::Float if is_text(from.family) => {
            not_matching(dialect, &text, NUMBER)
        }
        Family::SmallInteger | Family::Integer | Family::BigInteger if is_number(from.family) => {
            let (least, most) = range(to.family)?;
            let value = match from.family {
                Family::Numeric | Family::Float => format!("round({column})"),
                _ => column.to_owned(),
            };
            Some(format!("{value} NOT BETWEEN {least} AND {most}"))
        }
        Family::Numeric if is_number(from.family) => {
            let scale = to.scale.unwrap_or_default();
            let digits = to.precision?.checked_sub(scale)?;
            let value = rounded(dialect, column, from, scale);
            Some(format!("abs({value}) >= {}", number_text(digits)))
        }
        Family::Boolean if is_number(from.family) => match dialect {
            Dialect::MySql => Some(format!("{column} NOT BETWEEN -128 AND 127")),
            Dialect::Postgres | Dialect::Sqlite => None,
        },
        Family::Enum if !to.values.is_empty() => {
            let words: Option<Vec<String>> = to
                .values
                .iter()
                .map(|word| literal(dialect, word))
                .collect();
            Some(format!("{text} NOT IN ({})", words?.join(", ")))
        }
        Family::Uuid if is_text(from.family) => not_matching(dialect, &text, UUID),
        Family::Json if is_text(from.family) && dialect != Dialect::Postgres => {
            Some(format!("json_valid({column}) = 0"))
        }
        _ => None,
    }
}

/// The values that the new type has a place for, but not as they are: digits after the point or the
/// time of day get lost.
pub(super) fn changes(
    dialect: Dialect,
    column: &str,
    from: &ColumnType,
    to: &ColumnType,
) -> Option<String> {
    if dialect == Dialect::Sqlite {
        // What does not come through the cast as it was: a text that is no number stays a text beside
        // the number that is made of it.
        let kind = range(to.family).map_or("NUMERIC", |_| "INTEGER");
        return is_cast_to_number(from, to)
            .then(|| format!("CAST({column} AS {kind}) <> {column}"));
    }
    match (from.family, to.family) {
        (Family::Numeric | Family::Float, Family::Numeric) => {
            let value = rounded(dialect, column, from, to.scale.unwrap_or_default());
            let exact = match dialect {
                Dialect::Postgres => format!("{column}::numeric"),
                Dialect::MySql | Dialect::Sqlite => column.to_owned(),
            };
            Some(format!("{exact} <> {value}"))
        }
        (
            Family::Numeric | Family::Float,
            Family::SmallInteger | Family::Integer | Family::BigInteger,
        ) => Some(format!("{column} <> round({column})")),
        (
            Family::String | Family::Text,
            Family::SmallInteger | Family::Integer | Family::BigInteger,
        ) if dialect == Dialect::MySql => Some(format!(
            "NOT ({IS_MARIADB}) AND {column} REGEXP '{NUMBER}' AND {column} <> round({column})"
        )),
        (Family::DateTime, Family::Date) => Some(match dialect {
            Dialect::Postgres => format!("{column}::time <> '00:00'"),
            Dialect::MySql | Dialect::Sqlite => format!("time({column}) <> '00:00:00'"),
        }),
        // The day is lost of each one.
        (Family::DateTime, Family::Time) => Some(format!("{column} IS NOT NULL")),
        _ => None,
    }
}

fn as_text(dialect: Dialect, column: &str, from: &ColumnType) -> String {
    match dialect {
        Dialect::Postgres if !is_text(from.family) => format!("{column}::text"),
        _ => column.to_owned(),
    }
}

/// PostgreSQL cuts spaces at the end without a word, as the standard wants it.
fn too_long(dialect: Dialect, text: &str, length: u64) -> String {
    match dialect {
        Dialect::Postgres => format!("char_length(rtrim({text}, ' ')) > {length}"),
        Dialect::MySql => format!("char_length({text}) > {length}"),
        Dialect::Sqlite => format!("length({text}) > {length}"),
    }
}

/// SQLite has no regular expressions of its own.
fn not_matching(dialect: Dialect, text: &str, pattern: &str) -> Option<String> {
    match dialect {
        Dialect::Postgres => Some(format!("{text} !~ '{pattern}'")),
        Dialect::MySql => Some(format!("{text} NOT REGEXP '{pattern}'")),
        Dialect::Sqlite => None,
    }
}

/// PostgreSQL rounds to digits only what is exact.
fn rounded(dialect: Dialect, column: &str, from: &ColumnType, scale: u32) -> String {
    match dialect {
        Dialect::Postgres if from.family != Family::Numeric => {
            format!("round({column}::numeric, {scale})")
        }
        _ => format!("round({column}, {scale})"),
    }
}
