//! SQL files as migrations that can be followed without running them.

use std::collections::BTreeMap;
use std::sync::Arc;

use migration_forecast::{Direction, Event, EventKind, Followed, Host, Migrations};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, Place};
use rollback_core::revision::RevisionId;
use rollback_sql::script::{Statement, statements};

/// A text of SQL and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MigrationSql {
    /// The SQL.
    pub sql: String,
    /// The file, or the table that it was read from.
    pub source: String,
    /// The line of the source that the first line is, from 1.
    pub line: usize,
}

/// Both ways of each migration, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct SqlMigrations {
    /// The server that the SQL is for.
    pub dialect: Option<Dialect>,
    /// What goes up.
    pub up: BTreeMap<RevisionId, MigrationSql>,
    /// What takes it down.
    pub down: BTreeMap<RevisionId, MigrationSql>,
}

impl Migrations for SqlMigrations {
    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        let texts = match direction {
            Direction::Upgrade => &self.up,
            Direction::Downgrade => &self.down,
        };
        let (Some(text), Some(dialect)) = (texts.get(revision), self.dialect) else {
            return Followed::Missing;
        };
        let statements = match statements(&text.sql, dialect) {
            Ok(statements) => statements,
            Err(error) => {
                let line = text.line + error.line.saturating_sub(1);
                return Followed::Unreadable(format!("{}:{line}: {}", text.source, error.reason));
            }
        };
        if statements.is_empty() {
            return Followed::Empty;
        }
        let file: Arc<str> = text.source.as_str().into();
        for statement in &statements {
            let event = event(statement, text.line, &file, dialect);
            if let Err(raised) = host.happens(event) {
                host.escaped(&raised, true);
                break;
            }
        }
        Followed::Whole
    }

    fn lacks(&self, revision: &RevisionId) -> String {
        format!("migration {revision} has no rollback SQL")
    }

    fn are_sql_files(&self) -> bool {
        true
    }

    /// Whatever can be run in a transaction is.
    fn may_autocommit(&self) -> bool {
        false
    }
}

fn event(statement: &Statement, first: usize, file: &Arc<str>, dialect: Dialect) -> Event {
    let line = first + statement.line.saturating_sub(1);
    let text = statement.text.clone();
    Event {
        place: Place {
            file: Arc::clone(file),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 1,
        },
        called_from: None,
        certain: true,
        autocommit: statement.runs_alone(dialect).is_some(),
        kind: EventKind::Operation(Box::new(Operation::Sql {
            text: vec![Some(text)],
        })),
    }
}
