//! Keys: what a foreign key joins, what refers to what, and what a key is needed for.

use super::DiagnosisContext;
use super::data::written_by_step;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::Failed;
use super::names::{Verb, named, of_table, quoted, references, table, verb, written};
use rollback_core::dialect::Dialect;

pattern!(MYSQL_CHILD = r"\(`[^`]*`\.`([^`]*)`");
pattern!(PARENT_DETAIL = r#"["«»„“”]([^"«»„“”]+)["«»„“”]"#);

/// MySQL's `ER_FK_INCOMPATIBLE_COLUMNS`: of a new foreign key, or of a column that is changed under one.
const INCOMPATIBLE: u32 = 3780;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "foreign-key-types",
        when: "A foreign key is to join columns of different types.",
        means: "The foreign key was not made.",
        remedy: "Give both columns the same type first.",
        states: &["42804"],
        numbers: &[INCOMPATIBLE],
        english: &["^foreign key constraint .* cannot be implemented"],
        and: |failed| match failed.number {
            Some(_) => !changes_key_column(failed),
            None => failed.message.ends_with("cannot be implemented"),
        },
        in_a_step: true,
        words: key_types,
        ..NEXT
    },
    Entry {
        code: "referenced-not-unique",
        when: "A foreign key is to refer to columns that no unique key covers.",
        means: "The foreign key was not made.",
        remedy: "Make a unique constraint on the columns that are referred to first.",
        states: &["42830"],
        numbers: &[1822, 6125],
        sqlite: &["^foreign key mismatch"],
        english: &["^there is no unique constraint matching given keys"],
        in_a_step: true,
        words: not_unique,
        ..NEXT
    },
    Entry {
        code: "still-referenced",
        when: "Rows or a table are to go that a foreign key of another table refers to.",
        means: "Nothing that is referred to was removed.",
        remedy: "Remove the rows that refer to it, or drop the foreign key first.",
        states: &["23503", "23001"],
        numbers: &[1451, 1217, 3730],
        sqlite: &["^FOREIGN KEY constraint failed"],
        english: &["^update or delete on table"],
        and: refers_downwards,
        in_a_step: true,
        words: still_referenced,
        ..NEXT
    },
    Entry {
        code: "orphaned-rows",
        when: "A foreign key is to hold, and rows refer to others that are not there.",
        means: "The foreign key is not there yet. The rows came while nothing kept them out.",
        remedy: "Find the orphans, remove them or give them their parent, run the step again.",
        states: &["23503"],
        numbers: &[1452, 1216],
        sqlite: &["^FOREIGN KEY constraint failed"],
        english: &["violates foreign key constraint"],
        in_a_step: true,
        words: orphaned,
        ..NEXT
    },
    Entry {
        code: "index-needed",
        when: "An index or column is to be dropped that a foreign key of MariaDB or MySQL needs.",
        means: "The index or column is still there, and so is the foreign key.",
        remedy: "Drop the foreign key first, or make another index that begins with its columns.",
        numbers: &[1553, 1828, 1829],
        in_a_step: true,
        words: index_needed,
        ..NEXT
    },
    Entry {
        code: "auto-increment-key",
        when: "A key of MariaDB or MySQL is to go that an AUTO_INCREMENT column needs.",
        means: "The key is still there.",
        remedy: "Take AUTO_INCREMENT from the column first, or make another key of it in the same statement.",
        numbers: &[1075],
        in_a_step: true,
        words: auto_increment,
        ..NEXT
    },
    Entry {
        code: "foreign-key-column",
        when: "A column is to change that a foreign key of MariaDB or MySQL uses.",
        means: "The column is as it was.",
        remedy: "Drop the foreign key, change the column, and make the foreign key again.",
        numbers: &[1832, 1833, INCOMPATIBLE],
        in_a_step: true,
        words: key_column,
        ..NEXT
    },
];

/// Whether the foreign key was there before the statement.
fn changes_key_column(failed: &Failed) -> bool {
    !failed.sql.is_empty() && references(&failed.sql).is_none()
}

fn key_types(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let key = references(&failed.sql).or_else(|| references(&failed.message));
    let table = table(failed);
    Wording::new(match &key {
        Some((ours, parent, theirs)) => format!(
            "the foreign key joins {} to {parent}.{theirs}, and their types differ",
            of_table("column", Some(ours), table.as_deref())
        ),
        None => "a foreign key joins columns of different types".to_owned(),
    })
    .then("give both columns the same type first, in the downgrade")
}

fn not_unique(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let key = references(&failed.sql);
    let parent = key
        .as_ref()
        .map(|(_, parent, _)| parent.clone())
        .or_else(|| named(failed, 0));
    let columns = key.map(|(_, _, theirs)| theirs);
    let words = Wording::new(format!(
        "table {} has no unique key over {}, which the foreign key is to refer to",
        parent.as_deref().unwrap_or("(not named)"),
        columns.as_deref().unwrap_or("the columns")
    ));
    match (&parent, &columns) {
        (Some(parent), Some(columns)) => words.then(format!(
            "make one first: ALTER TABLE {} ADD UNIQUE ({columns});",
            written(parent, failed.dialect)
        )),
        _ => words.then("make one first"),
    }
}

/// The code of PostgreSQL is the same for both directions; its words are translated, the statement is not.
fn refers_downwards(failed: &Failed) -> bool {
    if failed.number.is_some() {
        return true;
    }
    if failed.is_sqlite() {
        return matches!(verb(failed), Verb::Delete | Verb::DropTable);
    }
    match verb(failed) {
        Verb::Delete | Verb::DropTable => true,
        _ => {
            failed.message.starts_with("update or delete on table")
                || failed.details.contains("is still referenced")
        }
    }
}

fn still_referenced(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let (parent, constraint, child) = match failed.dialect {
        Some(Dialect::MySql) => {
            let child = group(&MYSQL_CHILD, &failed.message);
            let constraint = named(failed, 2).filter(|_| failed.number == Some(1451));
            (table(failed), constraint, child)
        }
        _ => (
            named(failed, 0).or_else(|| table(failed)),
            named(failed, 1),
            named(failed, 2),
        ),
    };
    let what = if verb(failed) == Verb::DropTable {
        "table"
    } else {
        "rows of table"
    };
    let by = child
        .as_deref()
        .map_or("by another table".to_owned(), |child| {
            format!("by table {child}")
        });
    let key = constraint.as_deref().map_or(String::new(), |constraint| {
        format!(" (foreign key {constraint})")
    });
    if failed.is_sqlite() {
        let parent = parent.as_deref().unwrap_or("TABLE");
        return Wording::new(format!(
            "{what} {parent} cannot go while rows of another table refer to it (PRAGMA foreign_keys is on)"
        ))
        .then(format!(
            "see which tables refer to it: SELECT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE f.\"table\" = '{}';",
            parent.replace('\'', "''")
        ))
        .then("remove those rows first")
        .then("or, if a batch operation only copies the table, have env.py switch PRAGMA foreign_keys off before its transaction begins");
    }
    let first = match (&child, &constraint, verb(failed)) {
        (Some(child), Some(constraint), Verb::DropTable) => format!(
            "drop the foreign key first: ALTER TABLE {} DROP {} {};",
            written(child, failed.dialect),
            if failed.dialect == Some(Dialect::MySql) {
                "FOREIGN KEY"
            } else {
                "CONSTRAINT"
            },
            written(constraint, failed.dialect)
        ),
        (_, _, Verb::DropTable) => "drop the foreign keys that refer to it first".to_owned(),
        (Some(child), ..) => {
            format!("remove or change the rows of {child} that refer to them first")
        }
        _ => "remove or change the rows that refer to them first".to_owned(),
    };
    Wording::new(format!(
        "{what} {} cannot go while referred to {by}{key}",
        parent.as_deref().unwrap_or("(not named)")
    ))
    .then(first)
}

fn orphaned(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(words) = written_by_step(
        failed,
        "writes a row that refers to one that does not exist",
    ) {
        return words;
    }
    if failed.is_sqlite() || failed.message.starts_with("FOREIGN KEY constraint failed") {
        return Wording::new(
            "a foreign key does not hold: rows refer to others that are not there",
        )
        .then("find them: PRAGMA foreign_key_check;")
        .then("remove them or give them their parent");
    }
    let named_by_server = references(&failed.message);
    let key = named_by_server.or_else(|| references(&failed.sql));
    let child = match failed.dialect {
        Some(Dialect::MySql) => group(&MYSQL_CHILD, &failed.message)
            .filter(|name| !name.starts_with('#'))
            .or_else(|| table(failed)),
        _ => named(failed, 0).or_else(|| table(failed)),
    };
    let parent = key
        .as_ref()
        .map(|(_, parent, _)| parent.clone())
        .or_else(|| {
            group(&PARENT_DETAIL, &failed.details)
                .filter(|_| failed.sql.is_empty() || failed.state.is_some())
        });
    let query = child.as_deref().and_then(|child| match &key {
        Some((ours, parent, theirs)) if !ours.contains(',') => {
            let name = |name: &str| written(name, failed.dialect);
            Some(format!(
                "find them: SELECT c.* FROM {} c LEFT JOIN {} p ON c.{} = p.{} WHERE c.{} IS NOT NULL AND p.{} IS NULL;",
                name(child), name(parent), name(ours), name(theirs), name(ours), name(theirs)
            ))
        }
        _ => None,
    });
    Wording::new(format!(
        "rows of table {} refer to rows of table {} that are not there",
        child.as_deref().unwrap_or("(not named)"),
        parent.as_deref().unwrap_or("(not named)")
    ))
    .and_then(query)
    .then("remove them or give them their parent")
}

fn index_needed(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let mut named = quoted(failed).into_iter();
    let (name, key) = (named.next(), named.next());
    let table = table(failed);
    let name = name.as_deref().unwrap_or("what the step drops");
    let words = Wording::new(match &key {
        Some(key) => format!("{name} is needed by foreign key {key}"),
        None => format!("{name} is needed by a foreign key"),
    });
    let words = match (&key, &table) {
        (Some(key), Some(table)) => words.then(format!(
            "drop the foreign key first: ALTER TABLE {} DROP FOREIGN KEY {};",
            written(table, failed.dialect),
            written(key, failed.dialect)
        )),
        (None, Some(table)) => words.then(format!(
            "see which one: SHOW CREATE TABLE {};",
            written(table, failed.dialect)
        )),
        _ => words.then("drop the foreign key first"),
    };
    words.then("or make another index that begins with the columns of the foreign key")
}

fn auto_increment(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let table = table(failed);
    let table = table.as_deref().unwrap_or("TABLE");
    Wording::new(format!(
        "the AUTO_INCREMENT column of table {table} has to be in a key, and the step takes that away"
    ))
    .then(format!(
        "take AUTO_INCREMENT from it first: ALTER TABLE {} MODIFY COLUMN_NAME INTEGER NOT NULL;",
        written(table, failed.dialect)
    ))
    .then("or drop the key and make the other one in one statement: ALTER TABLE ... DROP PRIMARY KEY, ADD PRIMARY KEY (...);")
}

fn key_column(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let mut named = quoted(failed).into_iter();
    let (mut column, mut key) = (named.next(), named.next());
    // 1833 is about a foreign key of another table, which it names last.
    let mut owner = match failed.number {
        Some(1833) => named
            .next()
            .map(|name| name.rsplit('.').next().unwrap_or(&name).to_owned()),
        _ => table(failed),
    };
    if failed.number == Some(INCOMPATIBLE) {
        // The column that refers, the one it refers to, and the key; the statement says which of them it changes.
        let referenced = std::mem::replace(&mut key, named.next());
        let is_in = |name: &Option<String>| {
            name.as_deref()
                .is_some_and(|name| has_word(&failed.sql, name))
        };
        match (is_in(&column), is_in(&referenced)) {
            (true, false) => {}
            (false, true) => (column, owner) = (referenced, None),
            _ => (column, owner) = (None, None),
        }
    }
    let column = of_table("column", column.as_deref(), table(failed).as_deref());
    let words = Wording::new(match &key {
        Some(key) => format!("{column} is used in foreign key {key} and cannot be changed"),
        None => format!("{column} is used in a foreign key and cannot be changed"),
    });
    match (&key, &owner) {
        (Some(key), Some(owner)) => words.then(format!(
            "drop the foreign key before: ALTER TABLE {} DROP FOREIGN KEY {};",
            written(owner, failed.dialect),
            written(key, failed.dialect)
        )),
        (Some(key), None) if failed.number == Some(INCOMPATIBLE) => words
            .then(format!(
                "see which table has it: SELECT table_name FROM information_schema.referential_constraints \
                 WHERE constraint_schema = DATABASE() AND constraint_name = '{}';",
                key.replace('\'', "''")
            ))
            .then("drop the foreign key before"),
        _ => words.then("drop the foreign key before"),
    }
    .then("make it again after the column was changed")
}

fn has_word(sql: &str, word: &str) -> bool {
    sql.split(|sign: char| !sign.is_alphanumeric() && sign != '_' && sign != '$')
        .any(|other| other.eq_ignore_ascii_case(word))
}
