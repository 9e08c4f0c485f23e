//! What has no inverse: what is lost, and how it could be kept.
//!
//! The way to keep it is always the same: a copy of the rows that is made in the part that goes up, before they
//! are lost, and statements for the block that put them back.

use super::alter::AlterTarget;
use super::schema_knowledge::{KnownTable, SchemaKnowledge};
use super::{Piece, head, lost};
use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::Rows;
use rollback_sql::words::{Name, Part, Reader, Sql};

/// A name that begins with `archived_`, in the quotes of the other.
fn archived(table: &Name, column: Option<&Part>) -> String {
    let mut name = format!("archived_{}", bare(&table.last().written));
    if let Some(column) = column {
        name.push_str(&format!("_{}", bare(&column.written)));
    }
    let quote = [&table.last().written]
        .into_iter()
        .chain(column.map(|column| &column.written))
        .find_map(|written| {
            written
                .chars()
                .next()
                .filter(|first| "\"`".contains(*first))
        });
    match quote {
        Some(quote) => table.beside(&format!("{quote}{name}{quote}")),
        None => table.beside(&name),
    }
}

fn bare(written: &str) -> &str {
    written.trim_matches(['"', '`', '[', ']'])
}

/// That it is lost, what to put before it, and what to put here.
fn kept(sql: &Sql, what: &str, before: &[String], here: &[String]) -> Piece {
    let lines = |all: &[String]| {
        all.iter()
            .map(|line| format!("  {line};"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    Piece::Lost(format!(
        "{} has no inverse: {what} To keep that, put before it in the part that goes up:\n{}\nand here:\n{}",
        head(sql),
        lines(before),
        lines(here)
    ))
}

/// The primary key, and what has to be said where it is guessed.
fn key(table: Option<&KnownTable>) -> (Vec<String>, &'static str) {
    match table {
        Some(table) if !table.key.is_empty() => (table.key.clone(), ""),
        _ => (vec!["id".to_owned()], " (id stands for the primary key.)"),
    }
}

/// Puts columns of rows back that are there.
fn put_back(
    dialect: Dialect,
    table: &Name,
    archive: &str,
    key: &[String],
    columns: &[String],
) -> String {
    let written = table.written();
    let equal = |one: &String| format!("{written}.{one} = {archive}.{one}");
    let on: Vec<String> = key.iter().map(equal).collect();
    let on = on.join(" AND ");
    if dialect == Dialect::MySql {
        let set: Vec<String> = columns.iter().map(equal).collect();
        return format!(
            "UPDATE {written} JOIN {archive} ON {on} SET {}",
            set.join(", ")
        );
    }
    let set = columns.iter().map(|one| format!("{one} = {archive}.{one}"));
    let set: Vec<String> = set.collect();
    format!(
        "UPDATE {written} SET {} FROM {archive} WHERE {on}",
        set.join(", ")
    )
}

/// `DROP TABLE`.
pub(super) fn table(sql: &Sql, name: &Name, known: &SchemaKnowledge) -> Piece {
    let written = name.written();
    let archive = archived(name, None);
    let made = match known.table(name) {
        Some(table) if !table.changed => in_one_line(sql, &table.statement),
        _ => format!("CREATE TABLE {written} (...)"),
    };
    kept(
        sql,
        &format!("the rows of {written} are lost, with its indexes, constraints and rights."),
        &[format!("CREATE TABLE {archive} AS SELECT * FROM {written}")],
        &[
            made,
            format!("INSERT INTO {written} SELECT * FROM {archive}"),
            format!("DROP TABLE {archive}"),
        ],
    )
}

fn in_one_line(sql: &Sql, statement: &str) -> String {
    Sql::new(statement, sql.dialect).reader().in_line()
}

/// A column whose values are lost: copies them with the key.
fn values(
    target: &AlterTarget<'_>,
    column: &Part,
    known: &SchemaKnowledge,
    what: &str,
    again: String,
) -> Piece {
    let table = target.name.written();
    let (key, guessed) = key(known.table(target.name));
    let archive = archived(target.name, Some(column));
    let mut columns = key.clone();
    columns.push(column.written.clone());
    kept(
        target.sql,
        &format!("{what}{guessed}"),
        &[format!(
            "CREATE TABLE {archive} AS SELECT {} FROM {table}",
            columns.join(", ")
        )],
        &[
            again,
            put_back(
                target.sql.dialect,
                target.name,
                &archive,
                &key,
                std::slice::from_ref(&column.written),
            ),
            format!("DROP TABLE {archive}"),
        ],
    )
}

/// `DROP COLUMN`.
pub(super) fn column(target: &AlterTarget<'_>, column: &Part, known: &SchemaKnowledge) -> Piece {
    let definition = known
        .column(target.name, column)
        .map(|one| one.definition.as_str())
        .filter(|text| !text.is_empty())
        .unwrap_or("...");
    let again = format!(
        "ALTER TABLE {} ADD COLUMN {} {definition}",
        target.name.written(),
        column.written
    );
    let what = format!(
        "the values of {} are lost, with the indexes and constraints on it.",
        column.written
    );
    values(target, column, known, &what, again)
}

/// `ALTER COLUMN ... TYPE`.
pub(super) fn column_type(
    target: &AlterTarget<'_>,
    column: &Part,
    known: &SchemaKnowledge,
) -> Piece {
    let kind = known
        .column(target.name, column)
        .map(|one| one.kind.as_str())
        .filter(|text| !text.is_empty())
        .unwrap_or("...");
    let name = &column.written;
    let again = format!(
        "ALTER TABLE {} ALTER COLUMN {name} TYPE {kind} USING {name}::{kind}",
        target.name.written()
    );
    let what = format!(
        "what the new type of {name} cannot hold is lost, and the way back may fail for values that have come since."
    );
    values(target, column, known, &what, again)
}

/// MariaDB: `MODIFY` and `CHANGE`.
pub(super) fn changed_column(
    target: &AlterTarget<'_>,
    column: &Part,
    known: &SchemaKnowledge,
) -> Piece {
    let definition = known
        .column(target.name, column)
        .map(|one| one.definition.as_str())
        .filter(|text| !text.is_empty())
        .unwrap_or("...");
    let name = &column.written;
    let again = format!(
        "ALTER TABLE {} MODIFY {name} {definition}",
        target.name.written()
    );
    let what = format!("what the new type of {name} cannot hold is lost.");
    values(target, column, known, &what, again)
}

/// `INSERT`, `UPDATE`, `DELETE` and the like.
pub(super) fn rows(sql: &Sql, how: Rows, tables: &[Name], known: &SchemaKnowledge) -> Vec<Piece> {
    let Some(table) = tables.first() else {
        return vec![lost(sql, "which rows it changes is not known here.")];
    };
    let written = table.written();
    let (key, guessed) = key(known.table(table));
    let reader = sql.reader();
    let archive = archived(table, None);
    // Of more than one table the condition is no condition of this one.
    let several = reader.find(&["FROM", "USING", "JOIN"]).is_some() && how != Rows::Delete
        || reader.find(&["USING"]).is_some();
    let condition = reader
        .find(&["WHERE"])
        .filter(|_| !several)
        .map(|at| {
            let from = Reader { at, ..reader };
            let end = from.find(&["RETURNING", "ORDER BY", "LIMIT"]);
            format!(" {}", from.until(end.unwrap_or(from.end)).in_line())
        })
        .unwrap_or_default();
    let copy = format!("CREATE TABLE {archive} AS SELECT * FROM {written}{condition}");
    let drop = format!("DROP TABLE {archive}");
    vec![match how {
        Rows::Insert | Rows::Copy => inserted(sql, table, &key, guessed),
        Rows::Update => {
            let columns = assigned(reader);
            kept(
                sql,
                &format!("what the rows of {written} held before is lost.{guessed}"),
                &[copy],
                &[put_back(sql.dialect, table, &archive, &key, &columns), drop],
            )
        }
        Rows::Delete => kept(
            sql,
            "the rows are lost, and those that a foreign key takes with them.",
            &[copy],
            &[
                format!("INSERT INTO {written} SELECT * FROM {archive}"),
                drop,
            ],
        ),
        Rows::Truncate => {
            let copies: Vec<String> = tables
                .iter()
                .map(|one| {
                    format!(
                        "CREATE TABLE {} AS SELECT * FROM {}",
                        archived(one, None),
                        one.written()
                    )
                })
                .collect();
            let back: Vec<String> = tables
                .iter()
                .flat_map(|one| {
                    let archive = archived(one, None);
                    [
                        format!("INSERT INTO {} SELECT * FROM {archive}", one.written()),
                        format!("DROP TABLE {archive}"),
                    ]
                })
                .collect();
            kept(sql, "all rows are lost.", &copies, &back)
        }
        Rows::Merge => kept(
            sql,
            &format!("what the rows of {written} held before is lost."),
            &[format!("CREATE TABLE {archive} AS SELECT * FROM {written}")],
            &[
                format!("DELETE FROM {written}"),
                format!("INSERT INTO {written} SELECT * FROM {archive}"),
                drop,
            ],
        ),
    }]
}

/// The columns that `UPDATE` sets.
fn assigned(reader: Reader<'_>) -> Vec<String> {
    let Some(set) = reader.find(&["SET"]) else {
        return vec!["...".to_owned()];
    };
    let from = Reader {
        at: set + 1,
        ..reader
    };
    let end = from.find(&["WHERE", "FROM", "RETURNING", "ORDER BY", "LIMIT"]);
    let from = from.until(end.unwrap_or(from.end));
    let columns = from.list().into_iter().flat_map(|mut one| {
        let several = one.group().map(Reader::list);
        let parts = several.unwrap_or_else(|| vec![one]);
        parts
            .into_iter()
            .filter_map(|mut part| part.name().map(|name| name.last().written.clone()))
            .collect::<Vec<_>>()
    });
    let columns: Vec<String> = columns.collect();
    if columns.is_empty() {
        vec!["...".to_owned()]
    } else {
        columns
    }
}

/// Rows that came: with keys that are written in the statement they can be named.
fn inserted(sql: &Sql, table: &Name, key: &[String], guessed: &str) -> Piece {
    let written = table.written();
    let rows = match key {
        [key] => literal_keys(sql.reader(), key).map(|values| (key, values)),
        _ => None,
    };
    let example = match rows {
        Some((key, values)) => {
            format!(
                "  DELETE FROM {written} WHERE {key} IN ({});",
                values.join(", ")
            )
        }
        None => format!("  DELETE FROM {written} WHERE ...;"),
    };
    let guessed = if example.contains("...") { "" } else { guessed };
    Piece::Lost(format!(
        "{} has no inverse that is sure: other rows may hang on these since, and what was there before under the same key is not known.{guessed} Where the rows may go, put here:\n{example}",
        head(sql)
    ))
}

/// The values of a column in `VALUES`, where all are written out.
fn literal_keys(reader: Reader<'_>, key: &str) -> Option<Vec<String>> {
    const MOST: usize = 100;
    let into = reader.find(&["INTO"])?;
    let mut reader = Reader {
        at: into + 1,
        ..reader
    };
    reader.name()?;
    let columns = reader.group()?.list();
    let position = columns.into_iter().position(|mut one| {
        one.part()
            .is_some_and(|part| bare(&part.written) == bare(key))
    })?;
    reader.at = reader.find(&["VALUES"])? + 1;
    let end = reader.find(&["ON", "RETURNING"]).unwrap_or(reader.end);
    let rows = reader.until(end).list();
    if rows.len() > MOST {
        return None;
    }
    rows.into_iter()
        .map(|mut row| {
            let values = row.group()?.list();
            let value = values.get(position)?;
            // A literal is one sign.
            (value.end == value.at + 1 && value.word().is_none()).then(|| value.rest().to_owned())
        })
        .collect()
}
