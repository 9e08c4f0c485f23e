//! The inverse of what makes something.

use super::schema_knowledge::{KnownDefinition, SchemaKnowledge};
use super::{Piece, lost};
use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::{Create, Object, arguments};
use rollback_sql::words::{Name, Reader, Sql};

pub(super) fn inverse(sql: &Sql, made: &Create<'_>, known: &SchemaKnowledge) -> Vec<Piece> {
    if made.temporary {
        return Vec::new();
    }
    let Some(drop) = drop(sql, made) else {
        return vec![lost(sql, why_not(made, sql.dialect))];
    };
    let before = before(sql, made, known);
    if made.or_replace {
        return replaced(sql, made, drop, before);
    }
    let mut pieces = Vec::new();
    if made.if_not_exists {
        if before.is_some() || is_a_known_table(made, known) {
            return vec![lost(
                sql,
                "an earlier migration made it, and IF NOT EXISTS left it as it was.",
            )];
        }
        pieces.push(Piece::Note(
            "IF NOT EXISTS: had it been there before, this takes away what was there before."
                .to_owned(),
        ));
    }
    if made.kind == Object::Index && made.name.is_none() {
        pieces.push(Piece::Note(
            "The index has no name of its own. PostgreSQL calls it so unless that name was taken."
                .to_owned(),
        ));
    }
    pieces.push(Piece::Sql(drop));
    pieces
}

fn is_a_known_table(made: &Create<'_>, known: &SchemaKnowledge) -> bool {
    let name = made.name.as_ref();
    made.kind == Object::Table && name.is_some_and(|name| known.table(name).is_some())
}

/// What was there under that name, with the same arguments.
fn before<'k>(
    sql: &Sql,
    made: &Create<'_>,
    known: &'k SchemaKnowledge,
) -> Option<&'k KnownDefinition> {
    let name = made.name.as_ref()?;
    let all = known.definitions(made.kind, name, made.on.as_ref(), sql.dialect);
    if !made.kind.has_arguments() {
        return all.last();
    }
    let arguments = arguments(made.group);
    all.iter().find(|one| one.arguments == arguments)
}

/// `CREATE OR REPLACE`.
fn replaced(
    sql: &Sql,
    made: &Create<'_>,
    drop: String,
    before: Option<&KnownDefinition>,
) -> Vec<Piece> {
    if made.kind == Object::Table {
        return vec![lost(
            sql,
            "if there was a table of that name, its rows are lost. Rename it in the part that goes up instead.",
        )];
    }
    let Some(before) = before else {
        return vec![
            Piece::Note(
                "No earlier migration made it. Had it been there before, put that back instead."
                    .to_owned(),
            ),
            Piece::Sql(drop),
        ];
    };
    if before.changed {
        return vec![lost(
            sql,
            "an earlier migration made it and a later one changed it. Put back what was there before.",
        )];
    }
    if made.kind.has_arguments()
        || before
            .statement
            .to_uppercase()
            .starts_with("CREATE OR REPLACE TRIGGER")
    {
        return vec![
            Piece::Note("As an earlier migration made it.".to_owned()),
            Piece::Sql(or_replace(&before.statement)),
        ];
    }
    vec![
        Piece::Note(
            "As an earlier migration made it. Rights on it have to be given once more.".to_owned(),
        ),
        Piece::Sql(drop),
        Piece::Sql(before.statement.clone()),
    ]
}

fn or_replace(statement: &str) -> String {
    let upper = statement.to_uppercase();
    let words: Vec<&str> = upper.split_whitespace().take(2).collect();
    match words.as_slice() {
        ["CREATE", "OR"] => statement.to_owned(),
        // The bytes are those of ASCII letters.
        _ => format!(
            "CREATE OR REPLACE{}",
            statement.get(6..).unwrap_or_default()
        ),
    }
}

/// The statement that takes it away; `None` where there is none.
pub(super) fn drop(sql: &Sql, made: &Create<'_>) -> Option<String> {
    let dialect = sql.dialect;
    if made.kind == Object::Index {
        let on = made.on.as_ref()?;
        let name = match &made.name {
            Some(name) => name.written(),
            None => unnamed_index(made, on, dialect)?,
        };
        return Some(match dialect {
            Dialect::MySql => format!("DROP INDEX {name} ON {}", on.written()),
            Dialect::Sqlite => format!("DROP INDEX {name}"),
            Dialect::Postgres => {
                let concurrently = if made.concurrently {
                    "CONCURRENTLY "
                } else {
                    ""
                };
                format!("DROP INDEX {concurrently}{}", on.beside(&name))
            }
        });
    }
    let name = made.name.as_ref()?;
    let written = name.written();
    Some(match made.kind {
        Object::Function | Object::Procedure | Object::Aggregate
            if dialect == Dialect::Postgres =>
        {
            if made.kind == Object::Aggregate && made.group?.find(&["BASETYPE"]).is_some() {
                return None;
            }
            format!(
                "DROP {} {written}({})",
                made.kind.keyword(),
                types(made.group)
            )
        }
        Object::Policy | Object::Rule => {
            let on = made.on.as_ref()?;
            format!("DROP {} {written} ON {}", made.kind.keyword(), on.written())
        }
        Object::Trigger if dialect == Dialect::Postgres => {
            let on = made.on.as_ref()?;
            format!("DROP TRIGGER {written} ON {}", on.written())
        }
        Object::Schema => {
            let has_elements = made.rest.find(&["CREATE", "GRANT"]).is_some();
            if has_elements || dialect == Dialect::MySql {
                return None;
            }
            format!("DROP SCHEMA {written}")
        }
        Object::Role => {
            let word = ["USER", "GROUP"]
                .into_iter()
                .find(|word| sql.reader().until(2).find(&[word]).is_some());
            format!("DROP {} {written}", word.unwrap_or("ROLE"))
        }
        kind => format!("DROP {} {written}", kind.keyword()),
    })
}

fn why_not(made: &Create<'_>, dialect: Dialect) -> &'static str {
    match made.kind {
        Object::Schema if dialect == Dialect::MySql => {
            "dropping a database takes everything with it that was put into it since."
        }
        Object::Schema => {
            "it makes a schema with objects in it. Drop these one by one, and the schema last."
        }
        Object::Index => {
            "the index has no name of its own, and what the server calls it cannot be known here. Name it."
        }
        _ => "what it made cannot be named here. Drop it by its name.",
    }
}

/// What PostgreSQL calls an index without a name, where its columns are plain.
fn unnamed_index(made: &Create<'_>, on: &Name, dialect: Dialect) -> Option<String> {
    if dialect != Dialect::Postgres {
        return None;
    }
    let columns = made.group?.list().into_iter().map(|mut one| {
        let part = one.part()?;
        let plain = !one.says("(") && !one.says(".");
        plain.then_some(part.folded)
    });
    let columns: Vec<String> = columns.collect::<Option<_>>()?;
    // Columns that are only carried along are part of the name as well.
    if made.rest.find(&["INCLUDE"]).is_some() {
        return None;
    }
    default_name(on, &columns, "idx")
}

/// The name that PostgreSQL gives by itself: `ChooseRelationName`. It is cut to 63 bytes, which is left to a
/// person.
pub(super) fn default_name(table: &Name, columns: &[String], suffix: &str) -> Option<String> {
    let mut parts = vec![table.last().folded.as_str()];
    parts.extend(columns.iter().map(String::as_str));
    parts.push(suffix);
    let name = parts.join("_");
    (name.len() <= 63).then(|| quoted(&name))
}

/// A name as PostgreSQL takes it.
fn quoted(name: &str) -> String {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The arguments of a routine without their defaults: a name alone would not tell it from others.
pub(super) fn types(group: Option<Reader<'_>>) -> String {
    let all = group.map(Reader::list).unwrap_or_default();
    let all = all.into_iter().map(|one| {
        let end = one.find(&["DEFAULT", ": =", "="]).unwrap_or(one.end);
        one.until(end).in_line()
    });
    all.collect::<Vec<_>>().join(", ")
}
