//! Rows that do not fit the schema that is to come back.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::Failed;
use super::names::{column, condition, key, length, named, new_type, of_table, table, written};
use rollback_core::dialect::Dialect;

pattern!(KEY_DETAIL = r"\(([^()=]+)\)=\(");
pattern!(SQLITE_FIELDS = r"constraint failed: ([\w.$, ]+)");
pattern!(MYSQL_KEY = r"for key '([^']+)'");
pattern!(
    MYSQL_CHECK =
        r"CONSTRAINT [`']?(?:[^`'.]*\.)?[`']?([^`' ]+)[`']? failed|Check constraint '([^']+)'"
);
pattern!(MYSQL_VALUE = r"for column (?:`[^`]*`\.`([^`]*)`\.)?[`']([^`']+)[`']");
pattern!(PG_TYPE = r"character varying\((\d+)\)|character\((\d+)\)");

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "value-too-long",
        when: "A value is longer than the column that the step makes.",
        means: "Rows were written since that the older schema has no room for; nothing was cut off.",
        remedy: "Shorten or move the values, or keep the column as wide as it is.",
        states: &["22001"],
        numbers: &[1406, 1265],
        english: &["^value too long for type"],
        // 1265 has other reasons where there is no length, or where NULL is refused.
        and: |failed| {
            failed.number != Some(1265)
                || length(&failed.sql).is_some() && !failed.sql.contains("NOT NULL")
        },
        in_a_step: true,
        words: too_long,
        ..NEXT
    },
    Entry {
        code: "value-truncated",
        when: "MariaDB or MySQL would have to cut a value, or has no such word in the enum, or finds NULL where none may be.",
        means: "Rows were written since that the older type cannot hold; the server refused to change them.",
        remedy: "Find the rows, change them, run the step again.",
        numbers: &[1265],
        in_a_step: true,
        words: truncated,
        ..NEXT
    },
    Entry {
        code: "value-out-of-range",
        when: "A number is larger than the type that the step gives its column.",
        means: "Rows were written since that the older type cannot hold; nothing was changed in them.",
        remedy: "Change the rows that are too large, or keep the larger type.",
        states: &["22003"],
        numbers: &[1264],
        english: &[
            "^(?:smallint|integer|bigint) out of range",
            "^value .* is out of range",
            "^numeric field overflow",
            "^Out of range value",
        ],
        in_a_step: true,
        words: out_of_range,
        ..NEXT
    },
    Entry {
        code: "cast-missing",
        when: "PostgreSQL does not turn one type into the other by itself.",
        means: "The column keeps its type.",
        remedy: "Say in the migration how: `postgresql_using=` of `alter_column`, or `USING` in SQL.",
        states: &["42804", "42846"],
        english: &["cannot be cast automatically", "^cannot cast type"],
        // The code is that of everything whose types do not fit.
        and: |failed| {
            alters_type(failed)
                || failed.message.contains("cannot be cast automatically")
                || failed.sql.is_empty() && failed.message.starts_with("cannot cast type")
        },
        in_a_step: true,
        words: no_cast,
        ..NEXT
    },
    Entry {
        code: "cast-failed",
        when: "A value has no meaning in the type that the step gives its column, such as a word that is no number or is gone from an enum.",
        means: "Rows hold values that the older type does not have; nothing was changed in them.",
        remedy: "Find the values, change them, run the step again.",
        states: &["22P02", "22007", "22008"],
        numbers: &[1366, 1292],
        english: &["^invalid input (?:syntax|value)"],
        in_a_step: true,
        words: cast_failed,
        ..NEXT
    },
    Entry {
        code: "null-in-column",
        when: "A column is to be NOT NULL, and rows have NULL in it.",
        means: "The column still takes NULL. The rows came after the upgrade had allowed it.",
        remedy: "Give these rows a value, then run the step again.",
        states: &["23502"],
        numbers: &[1048, 1138],
        sqlite: &["^NOT NULL constraint failed"],
        english: &["contains null values", "violates not-null constraint"],
        in_a_step: true,
        words: null,
        ..NEXT
    },
    Entry {
        code: "duplicate-values",
        when: "Values are to be unique, and some are there twice.",
        means: "The condition is not there yet. The rows came while nothing kept them out.",
        remedy: "Find the duplicates, decide which row stays, run the step again.",
        states: &["23505"],
        numbers: &[1062],
        sqlite: &["^UNIQUE constraint failed"],
        // A catalogue of PostgreSQL's own: two sessions made an object of the same name.
        and: |failed| !in_catalogue(failed),
        english: &[
            "duplicate key value violates",
            "^could not create unique index",
        ],
        in_a_step: true,
        words: duplicate,
        ..NEXT
    },
    Entry {
        code: "check-violated",
        when: "A CHECK is to hold, and rows break it.",
        means: "The condition is not there yet. The rows came while nothing kept them out.",
        remedy: "Find the rows, change them, run the step again.",
        states: &["23514"],
        numbers: &[4025, 3819],
        sqlite: &["^CHECK constraint failed"],
        english: &["violates check constraint", "is violated by some row"],
        in_a_step: true,
        words: check,
        ..NEXT
    },
    Entry {
        code: "exclusion-violated",
        when: "An EXCLUDE constraint of PostgreSQL is to hold, and rows conflict.",
        means: "The condition is not there yet.",
        remedy: "Change the rows that conflict, run the step again.",
        states: &["23P01"],
        english: &["exclusion constraint"],
        in_a_step: true,
        words: exclusion,
        ..NEXT
    },
];

pattern!(WRITES = r"(?is)^\s*(?:(INSERT|REPLACE)\b.*?\bVALUES\b|(UPDATE)\b)");

/// The words for a value that the step writes itself, `None` if it is about rows that are there. A copy of a table
/// (`INSERT ... SELECT`) has the rows that are there.
pub(super) fn written_by_step(failed: &Failed, problem: &str) -> Option<Wording> {
    let verb = group(&WRITES, &failed.sql)?.to_ascii_uppercase();
    let article = if verb == "REPLACE" { "a" } else { "an" };
    let at = failed.migration().map_or(String::new(), |frame| {
        let file = frame.file.rsplit('/').next().unwrap_or_default();
        format!(" at {file}:{}", frame.line)
    });
    let place = match value_column(failed) {
        (Some(column), table) => {
            format!(": {}", of_table("column", Some(&column), table.as_deref()))
        }
        (None, Some(table)) => format!(" in table {table}"),
        (None, None) => String::new(),
    };
    let words = Wording {
        meaning: Some("The statement was not done. The step writes the value itself: the rows from before need not be at fault.".to_owned()),
        ..Wording::new(format!(
            "{article} {verb} of the step{at} {problem}{place}"
        ))
    };
    Some(words.then("correct what the migration writes"))
}

fn place(failed: &Failed, column: Option<&str>, table: Option<&str>) -> String {
    let _ = failed;
    of_table("column", column, table)
}

/// A query that shows the rows with a condition.
fn rows(failed: &Failed, table: Option<&str>, condition: &str) -> Option<String> {
    let table = written(table?, failed.dialect);
    Some(format!(
        "find them: SELECT * FROM {table} WHERE {condition};"
    ))
}

fn value_column(failed: &Failed) -> (Option<String>, Option<String>) {
    let found = MYSQL_VALUE.captures(&failed.message);
    let told = found.as_ref().and_then(|found| found.get(2));
    let column = told
        .map(|name| name.as_str().to_owned())
        .or_else(|| column(failed));
    let in_table = found
        .as_ref()
        .and_then(|found| found.get(1))
        .map(|name| name.as_str().to_owned())
        // The copy that an ALTER writes has a name of the server's own.
        .filter(|name| !name.starts_with('#'));
    (column, in_table.or_else(|| table(failed)))
}

fn too_long(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(failed, "writes a value that is longer than its column") {
        return words;
    }
    let (column, table) = value_column(failed);
    let limit = group(&PG_TYPE, &failed.message).or_else(|| length(&failed.sql));
    let most = limit.as_deref().map_or(String::new(), |limit| {
        format!(" than the {limit} characters that it is to have")
    });
    let query = column
        .as_deref()
        .zip(limit.as_deref())
        .and_then(|(column, limit)| {
            let column = written(column, failed.dialect);
            rows(
                failed,
                table.as_deref(),
                &format!("char_length({column}) > {limit}"),
            )
        });
    Wording::new(format!(
        "a value in {} is longer{most}",
        place(failed, column.as_deref(), table.as_deref())
    ))
    .and_then(query)
    .then("shorten them, or leave the column as wide as it is in the downgrade")
}

fn truncated(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(failed, "writes a value that its column cannot hold") {
        return words;
    }
    let (column, table) = value_column(failed);
    let query = column.as_deref().and_then(|column| {
        let column = written(column, failed.dialect);
        let table = written(table.as_deref()?, failed.dialect);
        Some(format!(
            "see what there is: SELECT {column}, count(*) FROM {table} GROUP BY {column};"
        ))
    });
    Wording::new(format!(
        "a value in {} does not fit the type that it is to have: too long, no word of its enum, or NULL",
        place(failed, column.as_deref(), table.as_deref())
    ))
    .and_then(query)
    .then("change the rows that do not fit")
}

fn out_of_range(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(
        failed,
        "writes a number that is out of the range of its column",
    ) {
        return words;
    }
    let (column, table) = value_column(failed);
    let query = column.as_deref().and_then(|column| {
        let column = written(column, failed.dialect);
        let table = written(table.as_deref()?, failed.dialect);
        Some(format!(
            "see how large they are: SELECT min({column}), max({column}) FROM {table};"
        ))
    });
    Wording::new(format!(
        "a number in {} is out of the range of the type that it is to have",
        place(failed, column.as_deref(), table.as_deref())
    ))
    .and_then(query)
    .then("change these rows, or keep the larger type in the downgrade")
}

/// Whether the statement gives a column another type.
fn alters_type(failed: &Failed) -> bool {
    let sql = failed.sql.to_ascii_uppercase();
    sql.starts_with("ALTER TABLE") && sql.contains(" TYPE ")
}

/// Whether a unique index of PostgreSQL's own catalogues is meant.
pub(super) fn in_catalogue(failed: &Failed) -> bool {
    failed.dialect == Some(Dialect::Postgres)
        && named(failed, 0).is_some_and(|index| index.starts_with("pg_"))
}

fn no_cast(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if failed.message.starts_with("default for column") {
        let column = named(failed, 0).or_else(|| column(failed));
        let table = table(failed);
        return Wording::new(format!(
            "PostgreSQL does not turn the default of {} into the new type by itself",
            of_table("column", column.as_deref(), table.as_deref())
        ))
        .then("drop the default first, and set it again after the type: op.alter_column(..., server_default=None)");
    }
    let column = column(failed).or_else(|| named(failed, 0));
    let table = table(failed);
    let new = new_type(failed);
    let how = match (&column, &new) {
        (Some(column), Some(new)) => format!("{}::{new}", written(column, failed.dialect)),
        _ => "COLUMN::TYPE".to_owned(),
    };
    Wording::new(format!(
        "PostgreSQL does not turn {} into {} by itself",
        place(failed, column.as_deref(), table.as_deref()),
        new.as_deref().unwrap_or("the type that it is to have")
    ))
    .then(format!(
        "say how in the downgrade: op.alter_column(..., postgresql_using='{how}')"
    ))
}

fn cast_failed(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(failed, "has a value that its type cannot hold") {
        return words;
    }
    let (column, table) = value_column(failed);
    let query = column.as_deref().and_then(|column| {
        let column = written(column, failed.dialect);
        let table = written(table.as_deref()?, failed.dialect);
        Some(format!(
            "see what there is: SELECT {column}, count(*) FROM {table} GROUP BY {column};"
        ))
    });
    Wording::new(format!(
        "a value in {} has no meaning in the type that it is to have",
        place(failed, column.as_deref(), table.as_deref())
    ))
    .and_then(query)
    .then("change the rows that do not fit, or say in the downgrade what becomes of them")
}

/// `table.column` of SQLite, which names the copy of a batch.
fn sqlite_fields(failed: &Failed) -> Option<(String, Vec<String>)> {
    let listed = group(&SQLITE_FIELDS, &failed.message)?;
    let fields: Vec<(String, String)> = listed
        .split(", ")
        .filter_map(|field| field.split_once('.'))
        .map(|(table, column)| (table.to_owned(), column.trim().to_owned()))
        .collect();
    let table = fields
        .first()?
        .0
        .trim_start_matches("_alembic_tmp_")
        .to_owned();
    Some((
        table,
        fields.into_iter().map(|(_, column)| column).collect(),
    ))
}

fn null(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(failed, "leaves NULL in a column that is NOT NULL") {
        return words;
    }
    let (column, table) = match sqlite_fields(failed) {
        Some((table, columns)) => (columns.into_iter().next(), Some(table)),
        None if failed.dialect == Some(Dialect::MySql) => (
            named(failed, 0)
                .filter(|_| failed.number == Some(1048))
                .or_else(|| column(failed)),
            table(failed),
        ),
        None => {
            let relation = table(failed).or_else(|| named(failed, 1));
            (named(failed, 0).or_else(|| column(failed)), relation)
        }
    };
    let is_null = column
        .as_deref()
        .map(|column| format!("{} IS NULL", written(column, failed.dialect)));
    let fill = is_null
        .as_deref()
        .zip(table.as_deref())
        .map(|(is_null, table)| {
            format!(
                "give them a value: UPDATE {} SET {} = ... WHERE {is_null};",
                written(table, failed.dialect),
                written(column.as_deref().unwrap_or_default(), failed.dialect)
            )
        });
    Wording::new(format!(
        "rows have NULL in {}, which is to be NOT NULL",
        place(failed, column.as_deref(), table.as_deref())
    ))
    .and_then(is_null.and_then(|is_null| rows(failed, table.as_deref(), &is_null)))
    .then(fill.unwrap_or_else(|| "give them a value".to_owned()))
}

fn duplicate(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(
        failed,
        "writes a value that has to be unique and exists already",
    ) {
        return words;
    }
    let (columns, table) = match sqlite_fields(failed) {
        Some((table, columns)) => (Some(columns.join(", ")), Some(table)),
        None => (
            group(&KEY_DETAIL, &failed.details).or_else(|| key(failed)),
            table(failed),
        ),
    };
    let constraint = match failed.dialect {
        Some(Dialect::MySql) => group(&MYSQL_KEY, &failed.message),
        _ => named(failed, 0),
    };
    let which = constraint.map_or(String::new(), |name| format!(", which {name} forbids"));
    let query = columns.as_deref().zip(table.as_deref()).map(|(columns, table)| {
        format!(
            "find the duplicates: SELECT {columns}, count(*) FROM {} GROUP BY {columns} HAVING count(*) > 1;",
            written(table, failed.dialect)
        )
    });
    Wording::new(format!(
        "rows{} have the same {}{which}",
        table
            .as_deref()
            .map_or(String::new(), |table| format!(" of table {table}")),
        columns.as_deref().unwrap_or("value")
    ))
    .and_then(query)
    .then("decide which of them stay")
}

fn check(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(failed, "writes a row that a CHECK forbids") {
        return words;
    }
    let (name, table) = match failed.dialect {
        Some(Dialect::MySql) => (group(&MYSQL_CHECK, &failed.message), table(failed)),
        Some(Dialect::Sqlite) => (
            failed
                .message
                .split_once(": ")
                .map(|(_, name)| name.to_owned()),
            table(failed).map(|name| name.trim_start_matches("_alembic_tmp_").to_owned()),
        ),
        // `check constraint "c" of relation "t" is violated`; `row for relation "t" violates "c"`.
        _ => match table(failed) {
            Some(table) => {
                let name = [named(failed, 0), named(failed, 1)]
                    .into_iter()
                    .flatten()
                    .find(|name| *name != table);
                (name, Some(table))
            }
            None => (named(failed, 0), named(failed, 1)),
        },
    };
    let query = condition(failed)
        .and_then(|condition| rows(failed, table.as_deref(), &format!("NOT ({condition})")));
    Wording::new(format!(
        "rows of table {} break the condition {}",
        table.as_deref().unwrap_or("(not named)"),
        name.as_deref().unwrap_or("(not named)")
    ))
    .and_then(query)
    .then("change the rows that break it")
}

fn exclusion(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(
        failed,
        "writes a row that conflicts with another by an EXCLUDE constraint",
    ) {
        return words;
    }
    Wording::new(format!(
        "rows{} conflict with each other by the constraint {}",
        table(failed).map_or(String::new(), |table| format!(" of table {table}")),
        named(failed, 0).as_deref().unwrap_or("(not named)")
    ))
    .then("change the rows that conflict")
}
