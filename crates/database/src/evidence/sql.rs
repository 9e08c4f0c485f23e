//! Questions as SQL, the way an operator would type it, with every name in quotes.
//!
//! SQLite takes a name in double quotes that it does not know for a text, so that a column is named
//! with its table there: a column that is gone is an error then, and no answer.

use super::constant::{condition, constant};
use super::misfits::{changes, misfits};
use crate::mysql::IS_MARIADB;
use crate::quoted;
use rollback_core::dialect::Dialect;
use rollback_core::operation::TableName;
use rollback_core::probe::Question;

/// The statement whose only value is the answer; `None` where there is no way to ask that server.
pub fn query_of(dialect: Dialect, question: &Question) -> Option<String> {
    let of = |table: &TableName, condition: String| {
        let table = named(dialect, table);
        Some(format!("SELECT count(*) FROM {table} WHERE {condition}"))
    };
    match question {
        Question::Rows { table } => Some(format!("SELECT count(*) FROM {}", named(dialect, table))),
        Question::Values {
            table,
            column,
            default,
        } => {
            let column = qualified(dialect, table, column);
            let default = default.as_deref().and_then(constant);
            // NULL is never unequal to anything, so that the comparison alone leaves it out.
            of(
                table,
                match default {
                    Some(default) => format!("{column} <> {default}"),
                    None => format!("{column} IS NOT NULL"),
                },
            )
        }
        Question::Nulls { table, column } => of(
            table,
            format!("{} IS NULL", qualified(dialect, table, column)),
        ),
        Question::Misfits {
            table,
            column,
            from,
            to,
        } => of(
            table,
            misfits(dialect, &qualified(dialect, table, column), &from.0, &to.0)?,
        ),
        Question::Changes {
            table,
            column,
            from,
            to,
        } => of(
            table,
            changes(dialect, &qualified(dialect, table, column), &from.0, &to.0)?,
        ),
        Question::Duplicates {
            table,
            columns,
            condition,
            nulls,
        } => duplicates(dialect, table, columns, condition.as_deref(), *nulls),
        Question::Orphans {
            table,
            columns,
            referent,
            referent_columns,
        } => orphans(dialect, table, columns, referent, referent_columns),
        Question::Violations {
            table,
            condition: text,
        } => of(table, format!("NOT ({})", condition(text)?)),
        Question::Holding {
            table,
            column,
            words,
        } => {
            let words: Option<Vec<String>> =
                words.iter().map(|word| literal(dialect, word)).collect();
            let words = words.filter(|words| !words.is_empty())?;
            let column = qualified(dialect, table, column);
            let cast = match dialect {
                Dialect::Postgres => "::text",
                Dialect::MySql | Dialect::Sqlite => "",
            };
            of(table, format!("{column}{cast} IN ({})", words.join(", ")))
        }
        Question::Size { table } => size(dialect, table),
        Question::ColumnChange { table } => column_change(dialect, table),
    }
}

/// The server's own estimate of the answer, where it has one.
pub(super) fn estimate_of(dialect: Dialect, question: &Question) -> Option<String> {
    match (dialect, question) {
        (_, Question::Rows { table }) => rows(dialect, table),
        (
            Dialect::Postgres,
            Question::Values {
                table,
                column,
                default: None,
            },
        ) => share(table, column, "1 - s.null_frac"),
        (Dialect::Postgres, Question::Nulls { table, column }) => {
            share(table, column, "s.null_frac")
        }
        _ => None,
    }
}

/// How many rows have to be read for the answer, as the server estimates it.
pub(super) fn rows_to_read(dialect: Dialect, question: &Question) -> Option<String> {
    match question {
        // SQLite's highest row number says little, and its files are small: the time limit decides.
        _ if dialect == Dialect::Sqlite => None,
        Question::Size { .. } | Question::ColumnChange { .. } => None,
        Question::Rows { table }
        | Question::Values { table, .. }
        | Question::Nulls { table, .. }
        | Question::Misfits { table, .. }
        | Question::Changes { table, .. }
        | Question::Duplicates { table, .. }
        | Question::Orphans { table, .. }
        | Question::Violations { table, .. }
        | Question::Holding { table, .. } => rows(dialect, table),
    }
}

/// A group goes by the collations of its columns, as the key would.
fn duplicates(
    dialect: Dialect,
    table: &TableName,
    columns: &[String],
    among: Option<&str>,
    nulls: bool,
) -> Option<String> {
    let columns = qualified_all(dialect, table, columns)?;
    let mut conditions = Vec::new();
    if let Some(among) = among {
        conditions.push(format!("({})", condition(among)?));
    }
    if !nulls {
        let filled = columns.iter().map(|column| format!("{column} IS NOT NULL"));
        conditions.extend(filled);
    }
    let rows = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    Some(format!(
        "SELECT count(*) FROM (SELECT 1 FROM {}{rows} GROUP BY {} HAVING count(*) > 1) AS duplicates",
        named(dialect, table),
        columns.join(", ")
    ))
}

fn orphans(
    dialect: Dialect,
    table: &TableName,
    columns: &[String],
    referent: &TableName,
    referent_columns: &[String],
) -> Option<String> {
    if columns.is_empty() || columns.len() != referent_columns.len() {
        return None;
    }
    let name = |column: &String| quoted(column, quote(dialect));
    let filled: Vec<String> = columns
        .iter()
        .map(|column| format!("child.{} IS NOT NULL", name(column)))
        .collect();
    let joined: Vec<String> = columns
        .iter()
        .zip(referent_columns)
        .map(|(here, there)| format!("parent.{} = child.{}", name(there), name(here)))
        .collect();
    Some(format!(
        "SELECT count(*) FROM {} AS child WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS parent WHERE {})",
        named(dialect, table),
        filled.join(" AND "),
        named(dialect, referent),
        joined.join(" AND ")
    ))
}

fn size(dialect: Dialect, table: &TableName) -> Option<String> {
    Some(match dialect {
        Dialect::Postgres => {
            format!("SELECT pg_total_relation_size({})", relation(table)?)
        }
        Dialect::MySql => format!(
            "SELECT data_length + index_length FROM information_schema.tables WHERE {}",
            of_mysql(table)?
        ),
        Dialect::Sqlite => format!(
            "SELECT sum(pgsize) FROM dbstat WHERE name IN \
             (SELECT name FROM sqlite_master WHERE tbl_name = {})",
            literal(dialect, &table.name)?
        ),
    })
}

/// `10.11.14-MariaDB` as 10011014.
const RELEASE: &str = "CAST(SUBSTRING_INDEX(VERSION(), '.', 1) AS UNSIGNED) * 1000000 \
     + CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(VERSION(), '.', 2), '.', -1) AS UNSIGNED) * 1000 \
     + CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(VERSION(), '.', 3), '.', -1) AS UNSIGNED)";

/// The numbers are those of `domain::risk::instant`.
fn column_change(dialect: Dialect, table: &TableName) -> Option<String> {
    if dialect != Dialect::MySql {
        return None;
    }
    let table = of_mysql(table)?;
    Some(format!(
        "SELECT CASE WHEN engine <> 'InnoDB' THEN 1 WHEN row_format = 'Compressed' THEN 2 \
         WHEN EXISTS (SELECT 1 FROM information_schema.statistics \
         WHERE {table} AND index_type = 'FULLTEXT') THEN 3 \
         WHEN {RELEASE} < IF({IS_MARIADB}, 10003002, 8000012) THEN 4 \
         WHEN {RELEASE} < IF({IS_MARIADB}, 10004000, 8000029) THEN 5 \
         WHEN {IS_MARIADB} THEN 7 ELSE 6 END \
         FROM information_schema.tables WHERE {table}"
    ))
}

/// PostgreSQL counts while it analyzes; before that the size tells something.
fn rows(dialect: Dialect, table: &TableName) -> Option<String> {
    Some(match dialect {
        Dialect::Postgres => format!(
            "SELECT (CASE WHEN reltuples > 0 THEN reltuples ELSE pg_relation_size(oid) / 100 END)::bigint \
             FROM pg_class WHERE oid = {}",
            relation(table)?
        ),
        Dialect::MySql => format!(
            "SELECT table_rows FROM information_schema.tables WHERE {}",
            of_mysql(table)?
        ),
        Dialect::Sqlite => format!("SELECT max(rowid) FROM {}", named(dialect, table)),
    })
}

/// A part of the rows by what the server found when it analyzed.
fn share(table: &TableName, column: &str, part: &str) -> Option<String> {
    Some(format!(
        "SELECT round(c.reltuples * ({part}))::bigint FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname \
         WHERE c.oid = {} AND s.attname = {} AND c.reltuples >= 0",
        relation(table)?,
        literal(Dialect::Postgres, column)?
    ))
}

/// `'"schema"."table"'::regclass`.
fn relation(table: &TableName) -> Option<String> {
    let name = literal(Dialect::Postgres, &named(Dialect::Postgres, table))?;
    Some(format!("{name}::regclass"))
}

fn of_mysql(table: &TableName) -> Option<String> {
    let schema = match &table.schema {
        Some(schema) => literal(Dialect::MySql, schema)?,
        None => "DATABASE()".to_owned(),
    };
    let name = literal(Dialect::MySql, &table.name)?;
    Some(format!("table_schema = {schema} AND table_name = {name}"))
}

fn quote(dialect: Dialect) -> char {
    match dialect {
        Dialect::MySql => '`',
        Dialect::Postgres | Dialect::Sqlite => '"',
    }
}

fn named(dialect: Dialect, table: &TableName) -> String {
    let name = quoted(&table.name, quote(dialect));
    match &table.schema {
        Some(schema) => format!("{}.{name}", quoted(schema, quote(dialect))),
        None => name,
    }
}

fn qualified(dialect: Dialect, table: &TableName, column: &str) -> String {
    let column = quoted(column, quote(dialect));
    match dialect {
        Dialect::Sqlite => format!("{}.{column}", quoted(&table.name, '"')),
        Dialect::Postgres | Dialect::MySql => column,
    }
}

fn qualified_all(dialect: Dialect, table: &TableName, columns: &[String]) -> Option<Vec<String>> {
    let columns: Vec<String> = columns
        .iter()
        .map(|column| qualified(dialect, table, column))
        .collect();
    (!columns.is_empty()).then_some(columns)
}

/// A text between single quotes. What a backslash means is a setting of two of the servers, so that a
/// text with one is written in the way that does not depend on it.
pub(super) fn literal(dialect: Dialect, text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let doubled = text.replace('\'', "''");
    Some(match dialect {
        _ if dialect == Dialect::Sqlite || !text.contains('\\') => format!("'{doubled}'"),
        Dialect::Postgres => format!("E'{}'", doubled.replace('\\', "\\\\")),
        Dialect::MySql | Dialect::Sqlite => {
            format!("CONVERT(x'{}' USING utf8mb4)", hex::encode(text))
        }
    })
}

/// Ten to the power of the digits.
pub(super) fn number_text(digits: u32) -> String {
    format!("1{}", "0".repeat(digits.min(1000) as usize))
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
