//! What is looked at on PostgreSQL, by the same questions over our own connection and inside a
//! transaction of the engine, which our connection cannot see into.

use std::collections::BTreeSet;
use std::time::Duration;

use super::checks_postgres::{self, FAULTS, TABLES};
use super::connection::{SessionError, texts};
use super::failure::FailureKind;
use super::postgres::Postgres;
use super::schema_postgres::SCHEMA;
use super::{
    DatabaseError, DatabaseReader, DatabaseSnapshot, Limited, schema_of, version_query,
    version_rows,
};
use rollback_core::audit;
use rollback_core::checks::{Counts, Faults};
use rollback_core::connection::{VersionRows, VersionTable};
use rollback_core::outcome::SchemaLines;
use rollback_core::query::{Queries, TextRows};

/// Puts one query to the server, each value of the answer as text.
pub(super) trait Asks {
    /// Of the two ends of a query that takes too long, a `limit` is the server's.
    fn ask(&mut self, sql: &str, limit: Option<Duration>) -> Result<TextRows, SessionError>;

    /// The statement that reads the schema.
    fn schema_statement(&mut self) -> &'static str {
        SCHEMA
    }

    /// Sends statements together, which are one transaction: the rows of each. `None` where one of them failed,
    /// or they cannot be sent together.
    fn ask_together(&mut self, _statements: &[&str]) -> Option<Vec<TextRows>> {
        None
    }
}

impl<T: Asks> DatabaseReader for T {
    fn version_rows(&mut self, table: &VersionTable) -> Result<VersionRows, DatabaseError> {
        let rows = self.ask(&version_query(table, '"'), None);
        version_rows(rows, &[FailureKind::NoTable])
    }

    fn schema(&mut self) -> Result<SchemaLines, DatabaseError> {
        let statement = self.schema_statement();
        match self.ask(statement, None) {
            // A connection that was replaced for it has nothing prepared.
            Err(_) if statement != SCHEMA => Ok(schema(self.ask(SCHEMA, None)?)),
            rows => Ok(schema(rows?)),
        }
    }

    fn row_counts(&mut self, budget: Duration) -> Limited<Counts> {
        let counts = checks_postgres::counts(self, budget)?;
        Ok(counts.map(|counts| audit::not_counted(counts, true)))
    }

    fn faults(&mut self, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
        let faults = checks_postgres::faults(self, budget)?;
        Ok(faults.map(|faults| (faults, BTreeSet::new())))
    }

    fn snapshot(&mut self) -> Option<String> {
        let rows = self.ask(SNAPSHOT, None).ok()?;
        rows.into_iter().flatten().flatten().next()
    }

    fn at_once(&mut self, table: &VersionTable, budget: Duration) -> Option<DatabaseSnapshot> {
        let schema_statement = self.schema_statement();
        let answers = self.ask_together(&[
            READ_ONLY,
            SNAPSHOT,
            // At some thousand tables the server would compile the statement, which takes longer than it does.
            "SET LOCAL jit = off",
            &version_query(table, '"'),
            schema_statement,
            &statement_timeout(budget),
            TABLES,
            FAULTS,
        ])?;
        let [_, snapshot, _, rows, lines, _, tables, faults] =
            <[TextRows; 8]>::try_from(answers).ok()?;
        let counts = checks_postgres::counted(self, tables, budget);
        Some(DatabaseSnapshot {
            rows: version_rows(Ok(rows), &[]).ok()?,
            schema: schema(lines),
            counts: Some(audit::not_counted(counts, true)),
            faults: Some((checks_postgres::found(&faults), BTreeSet::new())),
            snapshot: snapshot.into_iter().flatten().flatten().next(),
        })
    }

    fn query(&mut self, sql: &str, limit: Duration) -> Limited<TextRows> {
        Ok(checks_postgres::ask(self, sql, limit)?)
    }
}

fn schema(rows: TextRows) -> SchemaLines {
    audit::without(schema_of(rows), true)
}

fn statement_timeout(limit: Duration) -> String {
    format!("SET LOCAL statement_timeout = {}", limit.as_millis().max(1))
}

/// The transactions that are visible now.
const SNAPSHOT: &str = "SELECT txid_current_snapshot()::text";

const READ_ONLY: &str = "SET LOCAL transaction_read_only = on";

/// The prepared statement that reads the schema.
const EXECUTE: &str = "EXECUTE rollback_schema";

/// Whether a query of a project may say `BEGIN` or `START TRANSACTION`.
fn may_open_a_transaction(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    ["begin", "start"].iter().any(|word| sql.contains(word))
}

impl Asks for Postgres {
    /// `SET LOCAL` in one message with a query holds for that query: the message is a transaction of
    /// its own, which ends with it, unless the query makes one that does not.
    fn ask(&mut self, sql: &str, limit: Option<Duration>) -> Result<TextRows, SessionError> {
        let rows = match limit {
            Some(limit) => {
                let limit = statement_timeout(limit);
                let rows = self.session.rows(&format!("{limit}; {READ_ONLY}; {sql}"));
                if may_open_a_transaction(sql) {
                    // What it holds would keep the engine waiting. Without one this is a warning of the server's.
                    self.session.rows("ROLLBACK")?;
                }
                rows
            }
            None => self.session.rows(sql),
        };
        rows.map(|rows| texts(&rows))
    }

    /// The server plans the statement for longer than it runs it. So it is planned once, in a session that is known to
    /// stay ours: the lock is refused behind a pooler.
    fn schema_statement(&mut self) -> &'static str {
        if !self.has_lock() {
            return SCHEMA;
        }
        let connection = self.session.connections();
        if self.schema_prepared != Some(connection) {
            let prepare = format!("PREPARE rollback_schema AS {SCHEMA}");
            if self.session.rows_here(&prepare).is_err() {
                return SCHEMA;
            }
            self.schema_prepared = Some(connection);
        }
        EXECUTE
    }

    fn ask_together(&mut self, statements: &[&str]) -> Option<Vec<TextRows>> {
        let answers = self.session.results(statements).ok()?;
        Some(answers.iter().map(|rows| texts(rows)).collect())
    }
}

/// What decides how the server writes a schema and a value, and which table a bare name means.
const MANNERS: &str = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('search_path', \
     'DateStyle', 'IntervalStyle', 'TimeZone', 'extra_float_digits', 'bytea_output', 'quote_all_identifiers')";

/// A transaction of the engine, asked in the manners of our own connection: what is seen in there and
/// what is read before and after it has to be comparable.
pub(super) struct Inside<'a> {
    transaction: &'a mut dyn Queries,
    manners: String,
    place: String,
}

impl<'a> Inside<'a> {
    pub(super) fn new(own: &mut Postgres, transaction: &'a mut dyn Queries, place: String) -> Self {
        // Without an answer the engine's own manners have to do.
        let rows = own.ask(MANNERS, None).unwrap_or_default();
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let set: Vec<String> = rows
            .iter()
            .filter_map(|row| match row.as_slice() {
                [Some(name), Some(value)] => Some(format!(
                    "set_config({}, {}, true)",
                    quoted(name),
                    quoted(value)
                )),
                _ => None,
            })
            .collect();
        Self {
            transaction,
            manners: format!("SELECT {}", set.join(", ")),
            place,
        }
    }
}

impl Asks for Inside<'_> {
    fn ask(&mut self, sql: &str, limit: Option<Duration>) -> Result<TextRows, SessionError> {
        let limit = limit.map(statement_timeout);
        let mut statements = vec![self.manners.as_str(), READ_ONLY];
        statements.extend(limit.as_deref());
        statements.push(sql);
        self.transaction
            .rows(&statements)
            .map_err(|error| SessionError {
                failure: error
                    .code
                    .as_deref()
                    .map_or(FailureKind::Other, FailureKind::of_sqlstate),
                report: DatabaseError::Query {
                    place: self.place.clone(),
                    reason: error.reason,
                },
                code: error.code,
                number: None,
            })
    }
}
