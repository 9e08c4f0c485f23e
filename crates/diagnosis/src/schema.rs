//! Objects that are not there, are there already, or have others that depend on them.

use super::DiagnosisContext;
use super::data::in_catalogue;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::{Failed, cut};
use super::names::{Verb, column, dropped, named, of_table, quoted, table, verb, written};
use super::presence::{exists, missing};
use rollback_core::dialect::Dialect;
use rollback_core::names::and;

pattern!(DEPENDS = r"(?m)^(?:DETAIL:\s+)?((?:\S+ )+on .*)$|^DETAIL:\s+(.*)$");
pattern!(ON_ENGLISH = r"(?m)^(?:DETAIL: +)?(.+?) depends on ");
pattern!(RULE_OF = r"^rule \S+ on (?:materialized )?view ");
pattern!(SQLITE_ERROR_IN = r"error in (view|trigger|index|table) (\S+?)(?: after [a-z ]+)?:");
pattern!(
    SQLITE_NAME = r"no such (?:table|column|index|view|trigger): (?:main\.)?(\S+)|^(?:table|index|view|trigger) [`']?([^\s`']+)[`']? already exists|duplicate column name: (\S+)|there is already (?:a|another) (?:table|index)[^:]*: (\S+)"
);
pattern!(PYTHON_NAME = r"'([^']+)'");
pattern!(LEFTOVER = r"_alembic_tmp_\w+");
pattern!(MYSQL_KIND = r"Can't DROP (COLUMN|INDEX|KEY|FOREIGN KEY|CONSTRAINT|PRIMARY KEY|CHECK)");
pattern!(
    KIND = r#"^(type|collation|role|index|constraint|extension|policy|publication|text search configuration|access method|operator class|tablespace|server|language|schema|event trigger|trigger|rule|unrecognized configuration parameter|access method) ["«»„“]"#
);

const MISSING: &str = "The step counts on something that an earlier step of this rollback, a later revision or a person has removed.";
const MEND: &str =
    "Make it by hand, or mend the downgrade (`if_exists=True`); look what removed it.";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "batch-leftover",
        when: "A table `_alembic_tmp_...` is there: a batch operation of SQLite or MariaDB broke off before.",
        means: "An earlier try of a step ended in the middle of copying a table. The table itself is still there, its copy is in the way of every further try.",
        remedy: "See that the table itself is whole, then drop the copy.",
        states: &["42P07"],
        numbers: &[1050],
        sqlite: &[r"^table [`']?_alembic_tmp_\w+[`']? already exists"],
        english: &["_alembic_tmp_.* already exists"],
        and: |failed| LEFTOVER.is_match(&failed.message),
        in_a_step: true,
        words: leftover,
        ..NEXT
    },
    Entry {
        code: "already-exists",
        when: "A table, column, index, constraint, type, schema or function is to be made that is there already.",
        means: "The step makes an object whose name is taken: by an earlier object, or by one that the step made itself.",
        remedy: "Compare it with what the downgrade makes; drop it or rename it, or have the downgrade pass over it.",
        states: &["42P07", "42701", "42710", "42P06", "42723", "23505"],
        numbers: &[1050, 1060, 1061, 1826, 1304, 1359, 121],
        sqlite: &[
            "already exists$",
            "^duplicate column name",
            "^there is already",
        ],
        english: &[
            r"^(?:relation|column|type|constraint|schema|index|table|function|trigger) .* already exists",
        ],
        // Of two sessions that make the same at the same time, one fails at a catalogue's own key.
        and: |failed| failed.state.as_deref() != Some("23505") || in_catalogue(failed),
        in_a_step: true,
        words: exists,
        ..NEXT
    },
    Entry {
        code: "objects-depend",
        when: "Something is to be dropped or altered that a view, a default, a constraint or an index depends on.",
        means: "Nothing was dropped. What depends on it is not known to this migration, or is dropped later.",
        remedy: "Drop what depends on it first, and make it again afterwards where it is still wanted.",
        states: &["2BP01", "0A000"],
        sqlite: &[
            "^error in (?:view|trigger|index|table)",
            "^cannot drop (?:UNIQUE|PRIMARY KEY) column",
            "^cannot drop column",
        ],
        english: &[
            "because other objects depend on it",
            "^cannot alter type of a column used",
        ],
        and: |failed| {
            failed.state.as_deref() != Some("0A000")
                || failed.details.contains("depends on")
                || failed.message.contains("used by")
        },
        in_a_step: true,
        words: dependents,
        ..NEXT
    },
    Entry {
        code: "table-missing",
        when: "A table, view or sequence that the step works on is not there.",
        means: MISSING,
        remedy: MEND,
        states: &["42P01"],
        numbers: &[1146, 1051, 1109],
        sqlite: &["^no such table", "^no such view"],
        english: &[r#"^(?:relation|table|view|sequence) "[^"]+" does not exist"#],
        python: &["NoSuchTableError: "],
        in_a_step: true,
        words: |failed, known| missing("table", failed, known),
        ..NEXT
    },
    Entry {
        code: "column-missing",
        when: "A column that the step works on is not there.",
        means: MISSING,
        remedy: MEND,
        states: &["42703"],
        numbers: &[1054, 1072, 1091],
        sqlite: &["^no such column", "has no column named"],
        english: &[r"^column .* does not exist"],
        // A batch of Alembic looks the column up in the table that it copies.
        python: &["^KeyError: '"],
        and: |failed| match failed.number {
            Some(1091) => dropped_kind(failed) == "column",
            _ if failed.class == "KeyError" => failed.frames.last().is_some_and(in_batch),
            _ => true,
        },
        in_a_step: true,
        words: |failed, known| missing("column", failed, known),
        ..NEXT
    },
    Entry {
        code: "index-missing",
        when: "An index that the step drops is not there.",
        means: MISSING,
        remedy: MEND,
        states: &["42704"],
        numbers: &[1091, 1176],
        sqlite: &["^no such index"],
        english: &[r#"^index "[^"]+" does not exist"#],
        python: &["^ValueError: No such index"],
        and: |failed| match failed.number {
            Some(1091) => dropped_kind(failed) == "index",
            None if failed.state.is_some() => verb(failed) == Verb::DropIndex,
            _ => true,
        },
        in_a_step: true,
        words: |failed, known| missing("index", failed, known),
        ..NEXT
    },
    Entry {
        code: "constraint-missing",
        when: "A constraint or foreign key that the step drops is not there, or not by that name.",
        means: MISSING,
        remedy: MEND,
        states: &["42704"],
        numbers: &[1091, 3940, 3821],
        english: &[r#"^constraint "[^"]+" (?:of relation "[^"]+" )?does not exist"#],
        python: &["^ValueError: No such constraint"],
        and: |failed| match failed.number {
            Some(1091) => dropped_kind(failed) == "constraint",
            None if failed.state.is_some() => verb(failed) == Verb::DropConstraint,
            _ => true,
        },
        in_a_step: true,
        words: |failed, known| missing("constraint", failed, known),
        ..NEXT
    },
    Entry {
        code: "type-missing",
        when: "A type of PostgreSQL that the step uses or drops is not there.",
        means: MISSING,
        remedy: "Make the type by hand, or mend the downgrade (`checkfirst=True`); look what removed it.",
        states: &["42704"],
        english: &[r#"^type "[^"]+" does not exist"#],
        and: |failed| match group(&KIND, &failed.message).as_deref() {
            Some(kind) => kind == "type",
            // In another language only the statement says what is missing.
            None => {
                verb(failed) == Verb::DropType || failed.sql.to_ascii_uppercase().contains(" TYPE ")
            }
        },
        in_a_step: true,
        words: |failed, known| missing("type", failed, known),
        ..NEXT
    },
    Entry {
        code: "object-missing",
        when: "A schema, function, trigger or something else that the step works on is not there.",
        means: MISSING,
        remedy: MEND,
        states: &["42704", "42883", "3F000"],
        numbers: &[1305, 1360, 1091],
        and: |failed| !failed.message.starts_with("operator does not exist"),
        sqlite: &["^no such trigger", "^no such function", "^no such module"],
        english: &[r"^(?:schema|function|trigger|role|extension) .* does not exist"],
        in_a_step: true,
        words: |failed, known| missing("object", failed, known),
        ..NEXT
    },
];

fn in_batch(frame: &super::trace::TraceFrame) -> bool {
    frame.file.contains("alembic/operations/batch.py") || frame.file.contains("alembic\\operations")
}

/// What MariaDB's 1091 is about. MySQL says `column/key` for all.
fn dropped_kind(failed: &Failed) -> &'static str {
    match group(&MYSQL_KIND, &failed.message).as_deref() {
        Some("COLUMN") => "column",
        Some("INDEX" | "KEY") => "index",
        Some(_) => "constraint",
        None => match verb(failed) {
            Verb::DropColumn => "column",
            Verb::DropIndex => "index",
            Verb::DropConstraint => "constraint",
            _ => "object",
        },
    }
}

fn leftover(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let copy = LEFTOVER
        .find(&failed.message)
        .map_or("_alembic_tmp_...", |found| found.as_str());
    let table = copy.trim_start_matches("_alembic_tmp_");
    Wording::new(format!(
        "{copy}, the copy of table {table} from a batch operation that broke off, is still there"
    ))
    .then(format!(
        "see that the table is whole: SELECT count(*) FROM {};",
        written(table, failed.dialect)
    ))
    .then(format!("then drop the copy: DROP TABLE {copy};"))
}

fn sqlite_name(failed: &Failed) -> Option<String> {
    SQLITE_NAME
        .captures(&failed.message)?
        .iter()
        .skip(1)
        .flatten()
        .next()
        .map(|found| found.as_str().trim_matches(['"', '`', '\'']).to_owned())
}

/// The name of what the error is about.
pub(super) fn name(failed: &Failed) -> Option<String> {
    match failed.dialect {
        Some(Dialect::Sqlite) => sqlite_name(failed),
        Some(Dialect::MySql) => {
            let name = quoted(failed)
                .into_iter()
                .next()
                .or_else(|| dropped(failed))?;
            // `database.table`: the database is the one that is worked on.
            Some(match failed.number {
                Some(1146 | 1051) => name.rsplit('.').next().unwrap_or(&name).to_owned(),
                _ => name,
            })
        }
        _ if failed.from_server => named(failed, 0).or_else(|| dropped(failed)),
        _ => group(&PYTHON_NAME, &failed.message).or_else(|| {
            let message = failed.message.trim();
            (!message.is_empty()).then(|| cut(message))
        }),
    }
}

fn dependents(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(found) = SQLITE_ERROR_IN.captures(&failed.message) {
        return Wording::new(format!(
            "{} {} uses what the step removes",
            &found[1], &found[2]
        ))
        .then(format!(
            "drop it before this step: DROP {} {};",
            found[1].to_ascii_uppercase(),
            written(&found[2], failed.dialect)
        ))
        .then("make it again afterwards where it is still wanted");
    }
    if failed.is_sqlite() {
        return Wording::new(format!(
            "SQLite drops no column that a key is made of: {}",
            failed.sentence()
        ))
        .then("write the downgrade as `with op.batch_alter_table(...)`, which copies the table");
    }
    let mut names: Vec<String> = ON_ENGLISH
        .captures_iter(&failed.details)
        .map(|found| cut(RULE_OF.replace(found[1].trim(), "view ").trim()))
        .take(10)
        .collect();
    names.dedup();
    if names.is_empty() {
        // In another language the detail still is the list.
        names.extend(
            DEPENDS
                .captures(&failed.details)
                .and_then(|found| found.get(2).or(found.get(1)).map(|text| cut(text.as_str()))),
        );
    }
    let altered = column(failed);
    let (table, dropped) = (table(failed), dropped(failed));
    let what = match verb(failed) {
        Verb::DropColumn => of_table("column", dropped.as_deref(), table.as_deref()),
        Verb::DropTable => format!("table {}", table.as_deref().unwrap_or("(not named)")),
        _ if altered.is_some() => of_table("column", altered.as_deref(), table.as_deref()),
        _ => named(failed, 0)
            .or(dropped)
            .unwrap_or_else(|| "what the step drops".to_owned()),
    };
    if names.is_empty() {
        return Wording::new(format!("other objects depend on {what}")).then(format!(
            "see which, and drop them before this step: \\d+ {}",
            table.as_deref().unwrap_or("NAME")
        ));
    }
    let views: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("view "))
        .collect();
    let words = Wording::new(format!("{} on {what}", depend(&names)));
    let words = match views.as_slice() {
        [] => words.then(format!("drop before this step: {}", names.join(", "))),
        views => words.then(format!(
            "drop before this step: DROP VIEW {};",
            views.join(", ")
        )),
    };
    words.then("make it again afterwards where it is still wanted")
}

fn depend(names: &[String]) -> String {
    match names {
        [one] => format!("{one} depends"),
        many => format!("{} depend", and(many)),
    }
}
