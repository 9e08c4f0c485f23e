//! A project of three SQL files, applied and written down, whose rollbacks do what only counts once.

use std::time::Duration;

use rollback_core::dialect::Dialect;
use rollback_core::query::always;
use rollback_core::revision::RevisionId;
use rollback_sql_files::engine::history_table::{By, Tables};
use rollback_sql_files::file::{Form, MigrationFile, Rollback};

use crate::project::Project;
use crate::support::{Kind, TestDatabase, database_environment};

/// The second migration, with the rollback that a test gives it.
pub(crate) const MIDDLE: &str = "002_middle";

/// What the second one's rollback says unless a test says otherwise: each update counts, and each drop can be done
/// but once.
pub(crate) const DOWN: &str = "UPDATE a SET x = x + 1;
DROP TABLE c;
UPDATE a SET x = x + 10;
ALTER TABLE a DROP COLUMN note;
UPDATE a SET x = x + 100;
DROP TABLE b;";

/// The migrations: their names, their texts up and down.
fn migrations(down: &str) -> [(&'static str, &'static str, String); 3] {
    [
        (
            "001_first",
            "CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, x INTEGER NOT NULL)",
            "DROP TABLE a;".to_owned(),
        ),
        (
            MIDDLE,
            "CREATE TABLE b (id INTEGER NOT NULL PRIMARY KEY, n INTEGER);
             CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY);
             CREATE INDEX b_n ON b (n);
             ALTER TABLE a ADD COLUMN note VARCHAR(20);
             INSERT INTO a (id, x) VALUES (1, 0)",
            down.to_owned(),
        ),
        (
            "003_last",
            "CREATE TABLE d (id INTEGER NOT NULL PRIMARY KEY)",
            "DROP TABLE d;".to_owned(),
        ),
    ]
}

pub(crate) fn dialect(kind: Kind) -> Dialect {
    match kind {
        Kind::PostgreSql => Dialect::Postgres,
        Kind::MariaDb | Kind::MySql => Dialect::MySql,
        Kind::Sqlite => Dialect::Sqlite,
    }
}

fn file(name: &str, up: &str, down: &str) -> MigrationFile {
    MigrationFile {
        id: RevisionId::from(name),
        path: format!("migrations/{name}.sql"),
        description: None,
        up: up.to_owned(),
        rollback: Some(Rollback {
            form: Form::Commented,
            sql: down.to_owned(),
            file: format!("migrations/{name}.sql"),
            line: 7,
        }),
        depends_on: Vec::new(),
        independent_of: Vec::new(),
        checksum: "0".repeat(64),
    }
}

/// Applies the migrations and writes them down. The project has no files: what the database knows is what runs.
pub(crate) fn applied(database: &TestDatabase<'_>, down: &str) -> Project {
    let tables = Tables::new(dialect(database.kind()), None);
    let limit = Some(Duration::from_secs(20));
    let mut execution =
        rollback_database::execution(&database.facts(), &database_environment(), limit).unwrap();
    let mut texts = tables
        .install(execution.as_mut(), rollback_database::SCHEMA_OF_POSTGRES)
        .unwrap()
        .statements;
    let by = By {
        who: "a@b".to_owned(),
        run: None,
        reason: None,
    };
    for (name, up, down) in migrations(down) {
        database.execute(up);
        texts.extend(tables.register(&file(name, up, &down), &[], &by));
    }
    for sql in texts {
        execution
            .run(&sql, &mut always)
            .unwrap_or_else(|error| panic!("{error:?}\nin: {sql}"));
    }
    Project::empty()
        .file(
            "rollback.toml",
            "engine = \"sql\"\nmigrations = \"migrations\"\n",
        )
        .env("ROLLBACK_DATABASE_URL", database.url())
}

/// Replaces the rollback that is written down, as somebody who mends it does.
pub(crate) fn mended(database: &TestDatabase<'_>, down: &str) {
    replaced(database, MIDDLE, down);
}

/// The same of any migration.
pub(crate) fn replaced(database: &TestDatabase<'_>, migration: &str, down: &str) {
    let tables = Tables::new(dialect(database.kind()), None);
    database.execute(&format!(
        "UPDATE {} SET rollback_sql = '{}' WHERE migration_name = '{migration}'",
        tables.version_table(),
        down.replace('\'', "''")
    ));
}

/// The only value of `a.x`, which says how often each update was done.
pub(crate) fn count(database: &TestDatabase<'_>) -> String {
    database
        .query_one("SELECT CAST(x AS CHAR(9)) FROM a")
        .trim()
        .to_owned()
}

/// What is written down about each migration.
pub(crate) fn statuses(database: &TestDatabase<'_>) -> Vec<String> {
    let tables = Tables::new(dialect(database.kind()), None);
    let rows = database.query(&format!(
        "SELECT status FROM {} ORDER BY migration_name",
        tables.version_table()
    ));
    rows.into_iter().flatten().flatten().collect()
}

/// All that the table has of the second one beside its SQL.
pub(crate) fn metadata(database: &TestDatabase<'_>) -> serde_json::Value {
    let tables = Tables::new(dialect(database.kind()), None);
    let text = database.query_one(&format!(
        "SELECT CAST(metadata AS CHAR(20000)) FROM {} WHERE migration_name = '{MIDDLE}'",
        tables.version_table()
    ));
    serde_json::from_str(text.trim()).unwrap()
}
