//! What no version table should hold, and the statement that corrects it.
//!
//! Alembic makes its table with a primary key. A table that was made otherwise, by an old release, a copy or a person,
//! can hold a row twice, none, or one that names nothing. Alembic then does the statements of a step and fails at its
//! row.

use std::collections::BTreeMap;

use super::connection::VersionTable;
use super::dialect::Dialect;
use super::revision::RevisionId;

/// One defect of a version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// The same row several times.
    Repeated {
        /// The row.
        id: String,
        /// How often it is there.
        count: usize,
    },
    /// Rows that are NULL or empty. Which of the two they are is not known here.
    Nothing {
        /// How many.
        count: usize,
    },
    /// A row with blanks before or after its revision.
    Blanks {
        /// The row.
        row: String,
        /// Whether there is a row for the revision without the blanks, too.
        beside: bool,
    },
}

impl Defect {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repeated { .. } => "repeated_version_row",
            Self::Nothing { .. } => "empty_version_row",
            Self::Blanks { .. } => "blanks_in_version_row",
        }
    }

    /// What is wrong, in one sentence.
    pub fn sentence(&self, table: &VersionTable) -> String {
        match self {
            Self::Repeated { id, count } => {
                format!("the version table {table} has the row {id} {count} times")
            }
            Self::Nothing { count: 1 } => {
                format!("the version table {table} has a row that is NULL or empty")
            }
            Self::Nothing { count } => {
                format!("the version table {table} has {count} rows that are NULL or empty")
            }
            Self::Blanks { row, .. } => format!(
                "the version table {table} has a row with blanks around the revision: {row:?}"
            ),
        }
    }

    /// The statement that corrects it on a server of this kind.
    pub fn correction(&self, table: &VersionTable, dialect: Option<Dialect>) -> String {
        let table = written(table, dialect);
        match self {
            Self::Repeated { id, count } => leave_one(&table, id, *count, dialect),
            Self::Nothing { .. } => {
                format!("DELETE FROM {table} WHERE version_num IS NULL OR version_num = '';")
            }
            Self::Blanks { row, beside: true } => {
                let length = match dialect {
                    // There a text is equal to the same with blanks after it.
                    Some(Dialect::MySql) => {
                        format!(" AND char_length(version_num) = {}", row.chars().count())
                    }
                    _ => String::new(),
                };
                format!(
                    "DELETE FROM {table} WHERE version_num = {}{length};",
                    literal(row)
                )
            }
            Self::Blanks { row, beside: false } => format!(
                "UPDATE {table} SET version_num = {} WHERE version_num = {};",
                literal(row.trim()),
                literal(row)
            ),
        }
    }
}

/// The defects of a version table with these rows.
pub fn defects(rows: &[RevisionId]) -> Vec<Defect> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.as_str()).or_default() += 1;
    }
    let mut defects = Vec::new();
    for (row, count) in &counts {
        if row.is_empty() {
            defects.push(Defect::Nothing { count: *count });
            continue;
        }
        if *count > 1 {
            defects.push(Defect::Repeated {
                id: (*row).to_owned(),
                count: *count,
            });
        }
        let bare = row.trim();
        if bare.len() < row.len() {
            defects.push(Defect::Blanks {
                row: (*row).to_owned(),
                beside: counts.contains_key(bare),
            });
        }
    }
    defects
}

/// The statement that leaves one of `count` equal rows. `table` is written as in a statement.
pub fn leave_one(table: &str, id: &str, count: usize, dialect: Option<Dialect>) -> String {
    let id = literal(id);
    match dialect {
        Some(Dialect::Postgres) => format!(
            "DELETE FROM {table} WHERE version_num = {id} AND ctid <> (SELECT ctid FROM {table} WHERE version_num = {id} LIMIT 1);"
        ),
        Some(Dialect::MySql) => format!(
            "DELETE FROM {table} WHERE version_num = {id} LIMIT {};",
            count.saturating_sub(1)
        ),
        Some(Dialect::Sqlite) => format!(
            "DELETE FROM {table} WHERE version_num = {id} AND rowid <> (SELECT min(rowid) FROM {table} WHERE version_num = {id});"
        ),
        // What every server understands.
        None => format!(
            "DELETE FROM {table} WHERE version_num = {id}; INSERT INTO {table} (version_num) VALUES ({id});"
        ),
    }
}

/// The table as it is written in a statement.
pub fn written(table: &VersionTable, dialect: Option<Dialect>) -> String {
    let quote = match dialect {
        Some(Dialect::MySql) => '`',
        _ => '"',
    };
    let part = |name: &str| {
        let plain = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|letter| {
                letter == '_' || letter.is_ascii_digit() || letter.is_ascii_lowercase()
            });
        if plain {
            return name.to_owned();
        }
        format!(
            "{quote}{}{quote}",
            name.replace(quote, &format!("{quote}{quote}"))
        )
    };
    let schema = table.schema.as_deref().map(|schema| part(schema) + ".");
    format!("{}{}", schema.unwrap_or_default(), part(&table.name))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&str]) -> Vec<Defect> {
        let rows: Vec<RevisionId> = rows.iter().map(|row| RevisionId::new(*row)).collect();
        defects(&rows)
    }

    /// Turns red if a row that Alembic fails at is not noticed, or one that it takes is.
    #[test]
    fn each_defect_is_noticed() {
        assert_eq!(of(&[]), []);
        assert_eq!(of(&["a", "b"]), []);
        let repeated = |id: &str, count| Defect::Repeated {
            id: id.to_owned(),
            count,
        };
        assert_eq!(of(&["b", "a", "b"]), [repeated("b", 2)]);
        assert_eq!(
            of(&["a", "a", "b", "b", "b"]),
            [repeated("a", 2), repeated("b", 3)]
        );
        assert_eq!(of(&["", "a", ""]), [Defect::Nothing { count: 2 }]);
        let blanks = |row: &str, beside| Defect::Blanks {
            row: row.to_owned(),
            beside,
        };
        assert_eq!(of(&["a "]), [blanks("a ", false)]);
        assert_eq!(of(&["a", "\ta\n"]), [blanks("\ta\n", true)]);
    }

    /// Turns red if an id out of a database could end the statement, or a name the identifier.
    #[test]
    fn an_id_cannot_leave_the_statement() {
        let table = VersionTable {
            name: "odd\"name".to_owned(),
            schema: Some("Sales".to_owned()),
            ..VersionTable::default()
        };
        let [defect] = <[Defect; 1]>::try_from(of(&["x'y", "x'y"])).unwrap();
        let statement = defect.correction(&table, Some(Dialect::Sqlite));
        assert!(
            statement.starts_with(
                "DELETE FROM \"Sales\".\"odd\"\"name\" WHERE version_num = 'x''y' AND"
            ),
            "{statement}"
        );
    }
}
