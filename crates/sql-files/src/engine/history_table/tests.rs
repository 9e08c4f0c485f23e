use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;

use super::*;
use crate::file::{Form, MigrationFile, Rollback};
use crate::history::{
    Dependency, History, HistoryKind, HistoryProgress, MigrationStatus, RolledBack,
};
use rollback_core::revision::RevisionId;

/// SQLite in memory, as the connection of a run sees it.
struct Memory(rusqlite::Connection);

impl Memory {
    fn new() -> Self {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch("PRAGMA foreign_keys = ON")
            .unwrap();
        Self(connection)
    }

    fn try_rows(&self, sql: &str) -> rusqlite::Result<TextRows> {
        let mut batch = rusqlite::Batch::new(&self.0, sql);
        let mut last = Vec::new();
        while let Some(mut statement) = batch.next()? {
            let width = statement.column_count();
            let rows = statement.query_map((), |row| {
                let text = |value| match value {
                    ValueRef::Null => None,
                    ValueRef::Integer(number) => Some(number.to_string()),
                    other => Some(other.as_str().unwrap().to_owned()),
                };
                (0..width).map(|at| Ok(text(row.get_ref(at)?))).collect()
            })?;
            last = rows.collect::<rusqlite::Result<_>>()?;
        }
        Ok(last)
    }
}

impl Execution for Memory {
    fn run(&mut self, sql: &str, _: &mut dyn FnMut() -> bool) -> Result<TextRows, RunError> {
        self.try_rows(sql)
            .map_err(|error| refused(format!("{error}: {sql}")))
    }
}

fn tables() -> Tables {
    Tables::new(Dialect::Sqlite, None)
}

fn by(run: Option<&str>) -> By {
    By {
        who: "o'neil@host".to_owned(),
        run: run.map(str::to_owned),
        reason: run.map(|_| "it's slow".to_owned()),
    }
}

fn id(name: &str) -> RevisionId {
    RevisionId::new(name)
}

fn file(name: &str, sql: Option<&str>) -> MigrationFile {
    MigrationFile {
        id: id(name),
        path: format!("migrations/{name}.sql"),
        description: Some("what's it \\ for".to_owned()),
        up: "CREATE TABLE \"t'\" (a text DEFAULT '\\');".to_owned(),
        rollback: sql.map(|sql| Rollback {
            form: Form::Commented,
            sql: sql.to_owned(),
            file: format!("migrations/{name}.sql"),
            line: 7,
        }),
        depends_on: Vec::new(),
        independent_of: Vec::new(),
        checksum: "c0ffee".to_owned(),
    }
}

fn dependency(of: &str, on: &str, kind: HistoryKind) -> Dependency {
    Dependency {
        of: id(of),
        on: id(on),
        kind,
        object: Some("table \"t'\"".to_owned()),
    }
}

fn installed() -> Memory {
    let mut memory = Memory::new();
    let installation = tables().install(&mut memory, "").unwrap();
    assert_eq!(installation.found, None);
    tables()
        .transact(&mut memory, &installation.statements)
        .unwrap();
    memory
}

fn register(memory: &mut Memory, file: &MigrationFile, dependencies: &[Dependency]) {
    let statements = tables().register(file, dependencies, &by(None));
    tables().transact(memory, &statements).unwrap();
}

fn read(memory: &mut Memory) -> History {
    tables().read(memory).unwrap().unwrap()
}

fn actions(memory: &Memory) -> Vec<String> {
    let rows = memory
        .try_rows("SELECT migration_name || ' ' || action FROM migration_audit ORDER BY rowid");
    rows.unwrap().into_iter().flatten().flatten().collect()
}

#[test]
fn to_install_twice_changes_nothing() {
    let mut memory = installed();
    let again = tables().install(&mut memory, "").unwrap();
    assert_eq!((again.found, again.statements.len()), (Some(VERSION), 0));
}

#[test]
fn nothing_is_read_where_there_are_no_tables() {
    assert_eq!(tables().read(&mut Memory::new()).unwrap(), None);
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let mut memory = installed();
    memory
        .try_rows("UPDATE migration_history_version SET version = 99")
        .unwrap();
    for error in [
        tables().read(&mut memory).unwrap_err(),
        tables().install(&mut memory, "").unwrap_err(),
    ] {
        assert!(error.reason.contains("of version 99"), "{error}");
    }
}

#[test]
fn a_history_that_a_team_kept_before_gets_the_columns_that_it_lacks() {
    let mut memory = Memory::new();
    memory
        .try_rows(
            "CREATE TABLE migration_history (id text PRIMARY KEY, migration_name text NOT NULL UNIQUE,
                migration_version text NOT NULL, rollback_sql text, status text DEFAULT 'applied');
             CREATE TABLE migration_dependencies (id text PRIMARY KEY, migration_name text NOT NULL,
                depends_on text NOT NULL);
             INSERT INTO migration_history (id, migration_name, migration_version) VALUES (1, 'a', 'a'), (2, 'b', 'b');
             INSERT INTO migration_dependencies VALUES (1, 'b', 'a')",
        )
        .unwrap();
    assert_eq!(tables().read(&mut memory).unwrap(), None, "not yet ours");
    let installation = tables().install(&mut memory, "").unwrap();
    assert_eq!(installation.found, Some(0));
    tables()
        .transact(&mut memory, &installation.statements)
        .unwrap();
    let history = read(&mut memory);
    assert_eq!(history.records.len(), 2);
    assert_eq!(history.records[0].status, MigrationStatus::Applied);
    assert_eq!(history.dependencies[0].kind, HistoryKind::Declared);
}

#[test]
fn another_table_of_that_name_is_left_alone() {
    let mut memory = Memory::new();
    memory
        .try_rows("CREATE TABLE migration_history (version integer)")
        .unwrap();
    let error = tables().install(&mut memory, "").unwrap_err();
    assert!(
        error.reason.contains("none of a migration history"),
        "{error}"
    );
}

#[test]
fn what_is_registered_is_read_as_it_was_whatever_it_holds() {
    let mut memory = installed();
    let sql = "DROP TABLE \"t'\"; -- $$ \\' \u{1f6e0} ; `x` %s\n\tSELECT E'\\\\', '';\r\n";
    register(&mut memory, &file("20250120_a'b\"c$$", Some(sql)), &[]);
    let history = read(&mut memory);
    let record = &history.records[0];
    assert_eq!(record.id, id("20250120_a'b\"c$$"));
    assert_eq!(record.rollback_sql.as_deref(), Some(sql));
    assert_eq!(record.applied_by.as_deref(), Some("o'neil@host"));
    assert_eq!(record.checksum.as_deref(), Some("c0ffee"));
    let metadata = &record.metadata;
    assert_eq!(metadata.description.as_deref(), Some("what's it \\ for"));
    assert_eq!(
        metadata.up_sql.as_deref(),
        Some("CREATE TABLE \"t'\" (a text DEFAULT '\\');")
    );
    assert_eq!(metadata.line, Some(7));
    assert!(
        record
            .applied_at
            .as_deref()
            .is_some_and(|at| at.ends_with('Z'))
    );
    let nul = file("a", Some("SELECT '\0'"));
    assert_eq!(
        writable(&nul),
        Err(Unwritable("migrations/a.sql".to_owned()))
    );
}

#[test]
fn dependencies_are_those_of_the_last_time() {
    let mut memory = installed();
    for name in ["a", "b"] {
        register(&mut memory, &file(name, None), &[]);
    }
    let all = [
        dependency("c", "a", HistoryKind::Inferred),
        dependency("c", "b", HistoryKind::Declared),
        dependency("b", "a", HistoryKind::Declared),
    ];
    register(&mut memory, &file("c", None), &all);
    assert_eq!(read(&mut memory).dependencies, all[..2]);
    let independent = [dependency("c", "a", HistoryKind::Independent)];
    register(&mut memory, &file("c", None), &independent);
    assert_eq!(read(&mut memory).dependencies, []);
    let unknown = tables().register(
        &file("d", None),
        &[dependency("d", "x", HistoryKind::Declared)],
        &by(None),
    );
    tables().transact(&mut memory, &unknown).unwrap_err();
    assert_eq!(read(&mut memory).get(&id("d")), None, "all or nothing");
}

#[test]
fn a_row_goes_through_its_states() {
    let mut memory = installed();
    let a = id("a");
    register(&mut memory, &file("a", Some("SELECT 1")), &[]);
    memory
        .try_rows("UPDATE migration_history SET applied_at = '2020-01-01T00:00:00Z', metadata = json_set(metadata, '$.theirs', 1)")
        .unwrap();
    let progress = HistoryProgress {
        run: "r".to_owned(),
        done: 2,
        schema: "s".to_owned(),
        script: "t".to_owned(),
    };
    let tables = tables();
    let done = |memory: &mut Memory, statements: &[String]| {
        tables.transact(memory, statements).unwrap();
        read(memory).records.remove(0)
    };
    let row = done(&mut memory, &tables.progressed(&a, Some(&progress)));
    assert_eq!(row.metadata.progress, Some(progress));
    let row = done(
        &mut memory,
        &tables.failed(&a, &by(Some("r1")), "it's \0 no"),
    );
    assert_eq!(row.status, MigrationStatus::Failed);
    assert_eq!(row.metadata.error.as_deref(), Some("it's \u{fffd} no"));
    let row = done(&mut memory, &tables.rolled_back(&a, &by(Some("r2")), None));
    assert_eq!(row.status, MigrationStatus::RolledBack);
    assert_eq!(row.rollback_by.as_deref(), Some("o'neil@host"));
    assert!(row.rollback_at.is_some());
    let rolled_back = RolledBack {
        run: Some("r2".to_owned()),
        reason: Some("it's slow".to_owned()),
    };
    assert_eq!(row.metadata.rolled_back, Some(rolled_back));
    let note = "rolled back by o'neil@host in run r2: it's slow";
    assert_eq!(row.notes.as_deref(), Some(note));
    let details =
        memory.try_rows("SELECT detail FROM migration_audit WHERE action = 'rolled_back'");
    assert_eq!(details.unwrap(), [[Some(note.to_owned())]]);
    assert_eq!(
        (&row.metadata.error, &row.metadata.progress),
        (&None, &None)
    );
    assert_eq!(row.metadata.others.len(), 1, "what is theirs stays");

    let error = tables
        .transact(&mut memory, &tables.rolled_back(&a, &by(None), None))
        .unwrap_err();
    assert!(error.reason.contains("migration_audit.action"), "{error}");
    let absent = tables.rolled_back(&id("b"), &by(None), None);
    tables.transact(&mut memory, &absent).unwrap_err();

    let again = tables.register(&file("a", None), &[], &by(None));
    let row = done(&mut memory, &again);
    assert_eq!(row.status, MigrationStatus::Applied);
    assert_ne!(row.applied_at.as_deref(), Some("2020-01-01T00:00:00Z"));
    assert_eq!((&row.rollback_at, &row.rollback_by), (&None, &None));
    assert_eq!((&row.rollback_sql, row.metadata.line), (&None, None));
    assert_eq!(row.metadata.rolled_back, None);
    assert_eq!(
        row.notes.as_deref(),
        Some(note),
        "what happened stays noted"
    );
    assert_eq!(
        actions(&memory),
        ["a registered", "a failed", "a rolled_back", "a applied"]
    );
}

#[test]
fn a_failed_one_that_is_registered_again_keeps_its_moment() {
    let mut memory = installed();
    register(&mut memory, &file("a", Some("SELECT 1")), &[]);
    memory
        .try_rows("UPDATE migration_history SET applied_at = '2020-01-01T00:00:00Z'")
        .unwrap();
    let failed = tables().failed(&id("a"), &by(None), "no");
    tables().transact(&mut memory, &failed).unwrap();
    register(&mut memory, &file("a", Some("SELECT 2")), &[]);
    let row = read(&mut memory).records.remove(0);
    assert_eq!(row.status, MigrationStatus::Applied);
    assert_eq!(row.applied_at.as_deref(), Some("2020-01-01T00:00:00Z"));
    assert_eq!(row.rollback_sql.as_deref(), Some("SELECT 2"));
    assert_eq!(row.metadata.error, None);
}

#[test]
fn a_status_that_nobody_knows_is_told() {
    let mut memory = installed();
    register(&mut memory, &file("a", None), &[]);
    memory
        .try_rows(
            "PRAGMA ignore_check_constraints = ON; UPDATE migration_history SET status = 'half'",
        )
        .unwrap();
    let error = tables().read(&mut memory).unwrap_err();
    assert!(
        error
            .reason
            .contains("the status of a in migration_history is \"half\""),
        "{error}"
    );
}

#[test]
fn snapshots_are_kept_with_their_lines() {
    let mut memory = installed();
    let schema = ["table a", "column a.b text default 'x'"]
        .map(str::to_owned)
        .into();
    let keep = tables().keep("i1", Some("a"), Some("it's"), "me@host", &schema);
    tables().transact(&mut memory, &[keep]).unwrap();
    let all = tables().snapshots(&mut memory, true).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].id.as_str(), &all[0].schema), ("i1", &schema));
    assert_eq!(all[0].note.as_deref(), Some("it's"));
    assert!(
        tables().snapshots(&mut memory, false).unwrap()[0]
            .schema
            .is_empty()
    );
}

/// Turns red if a function could be called by everybody, or would look for its helpers where its caller says.
#[test]
fn each_function_has_a_path_of_its_own_and_is_nobodys() {
    let tables = Tables::new(Dialect::Postgres, Some("a\"b"));
    let statements = tables.functions("SELECT 'x'", &["anon".to_owned()]);
    let (made, revoked) = statements.split_first().unwrap();
    let count = functions::FUNCTIONS.len();
    assert_eq!(
        made.matches("SECURITY INVOKER SET search_path = pg_catalog, pg_temp")
            .count(),
        count
    );
    assert_eq!(
        made.matches("CREATE OR REPLACE FUNCTION \"a\"\"b\".")
            .count(),
        count
    );
    assert_eq!(revoked.len(), count);
    assert!(
        revoked
            .iter()
            .all(|one| one.ends_with("FROM PUBLIC, \"anon\"")),
        "{revoked:?}"
    );
    assert!(!made.contains("{schema}") && made.contains("FROM (SELECT 'x') AS outline"));
}

#[test]
fn the_tables_are_known_in_the_lines_of_a_schema() {
    let ours = |schema, line| Tables::new(Dialect::Postgres, schema).is_ours(line);
    for line in [
        "table rollback.migration_history",
        "column rollback.migration_audit.run text",
        "foreign key rollback.migration_dependencies.x FOREIGN KEY (a)",
        "owner rollback.migration_history someone",
        "revoke rollback.migration_history SELECT from PUBLIC",
        "function rollback.migration_dependents(migration text) 0123",
        "revoke function rollback.migration_dependents(migration text) EXECUTE from PUBLIC",
        "schema rollback",
        "owner schema rollback someone",
    ] {
        assert!(ours(None, line), "{line}");
        assert!(!ours(Some("public"), line), "{line}");
    }
    assert!(ours(Some("A b"), "table \"A b\".migration_history"));
    assert!(!ours(None, "table rollback.migration_history_old"));
    assert!(!ours(
        None,
        "function public.migration_dependents(text) 0123"
    ));
    assert!(!ours(
        None,
        "function rollback.migration_dependents_old() 0123"
    ));
    assert!(!ours(None, "schema rollback_old"));
    assert!(!ours(Some("public"), "schema rollback"));
    assert!(!ours(Some("app"), "schema app"));
    assert!(!ours(None, "column public.t.migration_history text"));
    assert!(tables().is_ours("column migration_history_version.version integer"));
}
