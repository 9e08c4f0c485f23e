//! Whether the values of one type fit another one, as far as the types alone say it.

use crate::dialect::Dialect;
use crate::operation::{ColumnType, Family};

/// What comes of a value of one type in a column of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeFit {
    /// Every value fits as it is.
    All,
    /// Each one has to be looked at.
    Some,
    /// The server refuses the change whatever the values are, unless it is told how to convert them.
    NeedsConversion,
    /// Not known.
    Unknown,
}

/// Digits before the point that the values of an integer type may have.
fn digits(family: Family) -> Option<u32> {
    match family {
        Family::SmallInteger => Some(5),
        Family::Integer => Some(10),
        Family::BigInteger => Some(19),
        _ => None,
    }
}

/// The smallest and the largest value of an integer type.
pub fn range(family: Family) -> Option<(i64, i64)> {
    match family {
        Family::SmallInteger => Some((i16::MIN.into(), i16::MAX.into())),
        Family::Integer => Some((i32::MIN.into(), i32::MAX.into())),
        Family::BigInteger => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}

/// Whether it is text with or without a limit.
pub fn is_text(family: Family) -> bool {
    matches!(family, Family::String | Family::Text)
}

/// Whether it is a number.
pub fn is_number(family: Family) -> bool {
    matches!(
        family,
        Family::SmallInteger
            | Family::Integer
            | Family::BigInteger
            | Family::Numeric
            | Family::Float
    )
}

fn is_moment(family: Family) -> bool {
    matches!(family, Family::Date | Family::DateTime)
}

/// Whether two types are one, however each is written: `VARCHAR(9)` is `character varying(9)`.
pub fn is_same(one: &ColumnType, other: &ColumnType) -> bool {
    let shape = |kind: &ColumnType| {
        let enum_name = kind.enum_name.as_ref().map(|name| name.name.clone());
        // MariaDB's `int(11)` is no smaller than its `int(20)`.
        let sizes = match range(kind.family) {
            Some(_) => (None, None, None),
            None => (kind.length, kind.precision, kind.scale),
        };
        (kind.family, sizes, kind.timezone, enum_name)
    };
    if one.written.eq_ignore_ascii_case(&other.written) {
        return one.values == other.values;
    }
    let is_told_whole = !matches!(one.family, Family::Other | Family::Array);
    is_told_whole && shape(one) == shape(other) && one.values == other.values
}

/// Whether values get lost where Alembic copies a table on SQLite: it casts what gets a type of another
/// kind, and SQLite casts days and times to numbers, because it has no such types.
///
/// `SQLiteImpl.cast_for_batch_migrate` in `alembic/ddl/sqlite.py`, measured with Alembic 1.20.
pub fn is_cast_to_number(from: &ColumnType, to: &ColumnType) -> bool {
    let is_integer = |family| digits(family).is_some();
    let (from, to) = (from.family, to.family);
    let to_number = is_number(to) || is_moment(to) || matches!(to, Family::Time | Family::Boolean);
    let is_harmless = from == to
        || is_integer(from) && is_number(to)
        || from == Family::Boolean && is_number(to)
        || is_number(from) && is_number(to) && !is_integer(to);
    to_number && !is_harmless
}

/// What comes of the values of `from` in a column of `to`.
pub fn fit(from: &ColumnType, to: &ColumnType, dialect: Dialect) -> TypeFit {
    let fits = |yes: bool| if yes { TypeFit::All } else { TypeFit::Some };
    if is_same(from, to) {
        return TypeFit::All;
    }
    match (from.family, to.family) {
        (Family::Other, _) | (_, Family::Other) | (Family::Array, Family::Array) => {
            TypeFit::Unknown
        }
        (Family::Enum, Family::Enum) => {
            let same_type = from.enum_name == to.enum_name;
            if dialect == Dialect::Postgres && !same_type {
                return TypeFit::NeedsConversion;
            }
            fits(!to.values.is_empty() && from.values.iter().all(|word| to.values.contains(word)))
        }
        // Of MySQL it has a length in bytes, of which a letter takes up to four.
        (Family::Text | Family::String, Family::Text) if to.length.is_some() => {
            let most = if from.family == Family::Text { 1 } else { 4 };
            fits(from.length.map(|from| from * most) <= to.length && from.length.is_some())
        }
        (_, Family::Text) => TypeFit::All,
        (Family::String | Family::Binary, same) if same == from.family => fits(
            to.length
                .is_none_or(|to| from.length.is_some_and(|from| from <= to)),
        ),
        (Family::Enum, Family::String) => {
            let longest = from.values.iter().map(|word| word.chars().count()).max();
            fits(
                to.length
                    .is_none_or(|to| longest.is_some_and(|longest| longest as u64 <= to)),
            )
        }
        (_, Family::String) => fits(to.length.is_none()),
        (Family::Numeric, Family::Numeric) => fits(match (from.precision, to.precision) {
            (_, None) => dialect != Dialect::MySql,
            (None, Some(_)) => false,
            (Some(from_all), Some(to_all)) => {
                let (from_scale, to_scale) =
                    (from.scale.unwrap_or_default(), to.scale.unwrap_or_default());
                from_scale <= to_scale
                    && from_all.saturating_sub(from_scale) <= to_all.saturating_sub(to_scale)
            }
        }),
        (from, Family::Numeric) if digits(from).is_some() => {
            let whole = to
                .precision
                .map(|all| all.saturating_sub(to.scale.unwrap_or_default()));
            fits(whole.is_none_or(|whole| digits(from).is_some_and(|digits| digits <= whole)))
        }
        (from, Family::Float) if is_number(from) => TypeFit::All,
        (from, to) if is_number(from) && is_number(to) => {
            fits(digits(from).is_some() && digits(from) <= digits(to))
        }
        (Family::Date, Family::DateTime) => fits(dialect != Dialect::Sqlite),
        (Family::DateTime, Family::DateTime)
        | (Family::Json, Family::Jsonb)
        | (Family::Time, Family::Interval | Family::Time) => TypeFit::All,
        (from, to) if is_moment(from) && is_moment(to) => TypeFit::Some,
        (Family::DateTime | Family::Interval, Family::Time) => TypeFit::Some,
        // SQLite stores what it gets, and MariaDB's boolean is a small integer.
        (one, other) if one == other => TypeFit::All,
        (Family::Boolean, number) if is_number(number) && dialect != Dialect::Postgres => {
            TypeFit::All
        }
        (Family::Jsonb, Family::Json) => TypeFit::All,
        _ if dialect == Dialect::Postgres => TypeFit::NeedsConversion,
        _ => TypeFit::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::kind;

    fn of(from: &str, to: &str, dialect: Dialect) -> TypeFit {
        fit(&kind(from), &kind(to), dialect)
    }

    #[test]
    fn what_is_written_otherwise_is_the_same() {
        let mut other = kind("VARCHAR(100)");
        other.written = "character varying(100)".to_owned();
        assert!(is_same(&kind("VARCHAR(100)"), &other));
        assert!(!is_same(&kind("VARCHAR(101)"), &other));
        assert!(!is_same(&kind("INET"), &kind("CIDR")));
    }

    #[test]
    fn what_is_wider_takes_everything() {
        for (from, to) in [
            ("VARCHAR(100)", "VARCHAR(255)"),
            ("VARCHAR(100)", "TEXT"),
            ("INTEGER", "BIGINT"),
            ("INTEGER", "NUMERIC(12, 2)"),
            ("NUMERIC(10, 2)", "NUMERIC(12, 3)"),
            ("DATE", "TIMESTAMP"),
            ("JSON", "JSONB"),
        ] {
            assert_eq!(of(from, to, Dialect::Postgres), TypeFit::All, "{from} {to}");
        }
    }

    #[test]
    fn sqlite_makes_numbers_of_what_it_has_no_type_for() {
        let is_cast = |from, to| is_cast_to_number(&kind(from), &kind(to));
        for (from, to) in [
            ("DATE", "TIMESTAMP"),
            ("TEXT", "INTEGER"),
            ("NUMERIC", "INTEGER"),
        ] {
            assert!(is_cast(from, to), "{from} {to}");
            assert_eq!(of(from, to, Dialect::Sqlite), TypeFit::Some);
        }
        for (from, to) in [
            ("VARCHAR(9)", "VARCHAR(3)"),
            ("BIGINT", "INTEGER"),
            ("INTEGER", "TEXT"),
        ] {
            assert!(!is_cast(from, to), "{from} {to}");
        }
    }

    #[test]
    fn what_is_narrower_has_to_be_looked_at() {
        for (from, to) in [
            ("VARCHAR(255)", "VARCHAR(100)"),
            ("TEXT", "VARCHAR(100)"),
            ("BIGINT", "INTEGER"),
            ("NUMERIC(12, 2)", "NUMERIC(10, 2)"),
            ("NUMERIC(12, 4)", "NUMERIC(12, 2)"),
            ("NUMERIC(12, 2)", "INTEGER"),
            ("TIMESTAMP", "DATE"),
        ] {
            for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
                assert_eq!(of(from, to, dialect), TypeFit::Some, "{from} {to}");
            }
        }
    }

    #[test]
    fn postgresql_wants_to_be_told_how() {
        for (from, to) in [
            ("TEXT", "INTEGER"),
            ("BOOLEAN", "INTEGER"),
            ("TEXT", "UUID"),
        ] {
            assert_eq!(of(from, to, Dialect::Postgres), TypeFit::NeedsConversion);
            assert_ne!(of(from, to, Dialect::MySql), TypeFit::NeedsConversion);
        }
    }
}
