//! The tables and functions of the migration history, on the real servers.

use std::process::{Command, Output};

use rollback_core::dialect::Dialect;
use rollback_core::lock::POSTGRES_KEY;
use rollback_core::query::{Execution, RunError, always};
use rollback_core::revision::RevisionId;
use rollback_database::{self, SCHEMA_OF_POSTGRES};
use rollback_sql_files::engine::history_table::{By, Installation, Tables};
use rollback_sql_files::file::{Form, MigrationFile, Rollback};
use rollback_sql_files::history::{
    CAN, Dependency, History, HistoryKind as From, HistoryProgress, MigrationStatus,
};
use rollback_sql_files::supabase::RemoteMigration;

use crate::project::Project;
use crate::session::Session;
use crate::support::{Kind, PASSWORD, TestDatabase, USER, database_environment};

/// The tables of a database, and the connection over which they are written.
struct Kept<'a> {
    database: &'a TestDatabase<'a>,
    tables: Tables,
    execution: Box<dyn Execution>,
}

fn dialect(kind: Kind) -> Dialect {
    match kind {
        Kind::Sqlite => Dialect::Sqlite,
        Kind::PostgreSql => Dialect::Postgres,
        Kind::MariaDb | Kind::MySql => Dialect::MySql,
    }
}

fn id(name: &str) -> RevisionId {
    RevisionId::new(name)
}

fn by() -> By {
    By {
        who: "o'neil@\\host".to_owned(),
        run: Some("run".to_owned()),
        reason: None,
    }
}

fn file(name: &str, down: &str) -> MigrationFile {
    MigrationFile {
        id: id(name),
        path: format!("migrations/{name}.sql"),
        description: None,
        up: String::new(),
        rollback: (!down.is_empty()).then(|| Rollback {
            form: Form::Commented,
            sql: down.to_owned(),
            file: format!("migrations/{name}.sql"),
            line: 3,
        }),
        depends_on: Vec::new(),
        independent_of: Vec::new(),
        checksum: "c".to_owned(),
    }
}

fn pushed(version: &str) -> RemoteMigration {
    RemoteMigration::new(version, None)
}

fn needs(of: &str, on: &str) -> Dependency {
    Dependency {
        of: id(of),
        on: id(on),
        kind: From::Inferred,
        object: Some("table \"a'b\"".to_owned()),
    }
}

impl<'a> Kept<'a> {
    fn of(database: &'a TestDatabase<'a>, schema: Option<&str>) -> Self {
        let facts = database.facts();
        Self {
            database,
            tables: Tables::new(dialect(database.kind()), schema),
            execution: rollback_database::execution(&facts, &database_environment(), None).unwrap(),
        }
    }

    fn installed(database: &'a TestDatabase<'a>) -> Self {
        let mut kept = Self::of(database, None);
        kept.install();
        kept
    }

    fn install(&mut self) -> Installation {
        let installation = self
            .tables
            .install(self.execution.as_mut(), SCHEMA_OF_POSTGRES)
            .unwrap();
        self.done(&installation.statements);
        installation
    }

    fn try_done(&mut self, statements: &[String]) -> Result<(), RunError> {
        self.tables.transact(self.execution.as_mut(), statements)
    }

    fn done(&mut self, statements: &[String]) {
        self.try_done(statements)
            .unwrap_or_else(|error| panic!("{:?}: {error}\n{statements:#?}", self.database.kind()));
    }

    fn register(&mut self, file: &MigrationFile, dependencies: &[Dependency]) {
        let statements = self.tables.register(file, dependencies, &by());
        self.done(&statements);
    }

    fn read(&mut self) -> History {
        self.tables
            .read(self.execution.as_mut())
            .unwrap()
            .expect("the tables are there")
    }

    fn run(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.execution
            .run(sql, &mut always)
            .unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }
}

/// Turns red if the second time changes something, or a newer program's tables are written by this one.
fn to_install_twice_changes_nothing(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut kept = Kept::of(&database, None);
    assert_eq!(kept.tables.read(kept.execution.as_mut()).unwrap(), None);
    assert_eq!(kept.install().found, None, "{kind:?}");
    let again = kept.install();
    assert_eq!(again.statements, Vec::<String>::new(), "{kind:?}");
    assert_eq!(again.without_functions, None, "{kind:?}");
    assert_eq!(kept.read(), History::default(), "{kind:?}");
    let prefix = if kind == Kind::PostgreSql {
        "rollback."
    } else {
        ""
    };
    kept.run(&format!(
        "UPDATE {prefix}migration_history_version SET version = 7"
    ));
    let error = kept.tables.read(kept.execution.as_mut()).unwrap_err();
    assert!(error.reason.contains("of version 7"), "{kind:?} {error}");
}
on_each!(to_install_twice_changes_nothing: sqlite, postgresql, mariadb);

/// Turns red if a text or a name is read as SQL by a server, whatever its settings say about quotes.
#[test]
fn every_text_comes_back_as_it_was() {
    let down = "DROP TABLE \"t'\"; -- $$ $rollback$ \\' \\\" \u{1f6e0} `x` %s ? :a\n\tSELECT '\\\\', '';\r\n\u{1}";
    let settings: [(Kind, &[&str]); 3] = [
        (Kind::Sqlite, &[""]),
        (
            Kind::PostgreSql,
            &[
                "",
                "SET standard_conforming_strings = off; SET backslash_quote = off",
            ],
        ),
        (
            Kind::MariaDb,
            &[
                "",
                "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,STRICT_ALL_TABLES'",
                "SET sql_mode = ''",
            ],
        ),
    ];
    for (kind, settings) in settings {
        for setting in settings {
            let database = TestDatabase::create(kind);
            let mut kept = Kept::of(&database, None);
            if !setting.is_empty() {
                kept.run(setting);
            }
            kept.install();
            for name in ["2_a'b\\\"c$$`", "2_A'b\\\"c$$`", "2_é; DROP TABLE x --"] {
                let mut file = file(name, down);
                file.up.push_str(down);
                file.description = Some(down.to_owned());
                kept.register(&file, &[]);
            }
            kept.register(&file("9", ""), &[needs("9", "2_A'b\\\"c$$`")]);
            let history = kept.read();
            assert_eq!(history.records.len(), 4, "{kind:?} {setting}");
            let record = history.get(&id("2_a'b\\\"c$$`")).unwrap();
            assert_eq!(
                record.rollback_sql.as_deref(),
                Some(down),
                "{kind:?} {setting}"
            );
            assert_eq!(
                record.metadata.up_sql.as_deref(),
                Some(down),
                "{kind:?} {setting}"
            );
            assert_eq!(record.metadata.description.as_deref(), Some(down));
            assert_eq!(record.applied_by.as_deref(), Some("o'neil@\\host"));
            assert_eq!(
                history.dependencies,
                [needs("9", "2_A'b\\\"c$$`")],
                "{kind:?} {setting}: a name is that of one case"
            );
        }
    }
}

/// Turns red if a row can be rolled back twice, or what others keep in `metadata` is lost.
fn a_row_goes_through_its_states(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut kept = Kept::installed(&database);
    let tables = kept.tables.clone();
    let prefix = if kind == Kind::PostgreSql {
        "rollback."
    } else {
        ""
    };
    kept.register(&file("1", "SELECT 1"), &[]);
    kept.run(&format!(
        "UPDATE {prefix}migration_history SET metadata = '{{\"theirs\": [1]}}', applied_at = '2020-01-01 00:00:00'"
    ));
    let progress = HistoryProgress {
        run: "r".to_owned(),
        done: 2,
        schema: "s".to_owned(),
        script: "t'".to_owned(),
    };
    let id = id("1");
    kept.done(&tables.progressed(&id, Some(&progress)));
    assert_eq!(
        kept.read().records[0].metadata.progress,
        Some(progress),
        "{kind:?}"
    );
    kept.done(&tables.failed(&id, &by(), "it's\\ not"));
    let row = kept.read().records.remove(0);
    assert_eq!(row.status, MigrationStatus::Failed, "{kind:?}");
    assert_eq!(
        row.metadata.error.as_deref(),
        Some("it's\\ not"),
        "{kind:?}"
    );
    assert_eq!(
        row.applied_at.as_deref(),
        Some("2020-01-01T00:00:00Z"),
        "{kind:?}"
    );
    kept.done(&tables.rolled_back(&id, &by(), None));
    let row = kept.read().records.remove(0);
    assert_eq!(row.status, MigrationStatus::RolledBack, "{kind:?}");
    assert_eq!(
        row.rollback_by.as_deref(),
        Some("o'neil@\\host"),
        "{kind:?}"
    );
    assert_eq!(
        row.rollback_at.as_deref().map(str::len),
        Some(20),
        "{kind:?}"
    );
    assert_eq!(
        (&row.metadata.error, &row.metadata.progress),
        (&None, &None),
        "{kind:?}"
    );
    assert_eq!(row.metadata.others["theirs"][0], 1, "{kind:?}");
    for gone in ["1", "no such name"] {
        let again = tables.rolled_back(&RevisionId::new(gone), &by(), None);
        assert!(kept.try_done(&again).is_err(), "{kind:?} {gone}");
    }
    kept.register(&file("1", ""), &[]);
    let row = kept.read().records.remove(0);
    assert_eq!(row.status, MigrationStatus::Applied, "{kind:?}");
    assert_ne!(
        row.applied_at.as_deref(),
        Some("2020-01-01T00:00:00Z"),
        "{kind:?}"
    );
    assert_eq!(
        (&row.rollback_at, &row.rollback_sql),
        (&None, &None),
        "{kind:?}"
    );
    assert_eq!(row.metadata.others["theirs"][0], 1, "{kind:?}");
    let actions = kept.run(&format!("SELECT action FROM {prefix}migration_audit"));
    let mut actions: Vec<String> = actions.into_iter().flatten().flatten().collect();
    actions.sort();
    assert_eq!(
        actions,
        ["applied", "failed", "registered", "rolled_back"],
        "{kind:?}"
    );
    // What depends on something that is not there is no row at all, where the connection of a run keeps foreign
    // keys: on SQLite it does not, as no connection does that did not ask for it.
    if kind != Kind::Sqlite {
        let unknown = tables.register(&file("2", ""), &[needs("2", "0")], &by());
        assert!(kept.try_done(&unknown).is_err(), "{kind:?}");
        assert_eq!(kept.read().records.len(), 1, "{kind:?}: all or nothing");
    }
}
on_each!(a_row_goes_through_its_states: sqlite, postgresql, mariadb);

/// The tables as a team has them that kept a history by hand, with two rows.
const BEFORE: &str = "
    CREATE TABLE migration_history (
        id UUID PRIMARY KEY,
        migration_name TEXT NOT NULL UNIQUE,
        migration_version TEXT NOT NULL,
        applied_at TIMESTAMPTZ DEFAULT NOW(),
        applied_by TEXT DEFAULT current_user,
        rollback_sql TEXT,
        checksum TEXT,
        status TEXT,
        rollback_at TIMESTAMPTZ,
        rollback_by TEXT,
        notes TEXT,
        metadata JSONB DEFAULT '{}'
    );
    CREATE TABLE migration_dependencies (
        id UUID PRIMARY KEY,
        migration_name TEXT NOT NULL REFERENCES migration_history(migration_name),
        depends_on TEXT NOT NULL REFERENCES migration_history(migration_name),
        created_at TIMESTAMPTZ DEFAULT NOW(),
        UNIQUE(migration_name, depends_on)
    );
    INSERT INTO migration_history (id, migration_name, migration_version, status, rollback_sql, metadata) VALUES
        (gen_random_uuid(), '20250119_a', '20250119', 'applied', 'SELECT 1', NULL),
        (gen_random_uuid(), '20250120_b', '20250120', NULL, NULL, '{}');
    INSERT INTO migration_dependencies VALUES (gen_random_uuid(), '20250120_b', '20250119_a')";

/// Turns red if such a team loses its rows, or a function that runs stored SQL gets into a schema of the web.
#[test]
fn a_history_kept_before_in_public_is_gone_on_with() {
    let server = crate::support::Server::start(Kind::PostgreSql);
    let database = server.create_database();
    server.execute("CREATE ROLE anon");
    database.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon");
    database.execute(BEFORE);
    let mut beside = Kept::of(&database, None);
    let installation = beside
        .tables
        .install(beside.execution.as_mut(), SCHEMA_OF_POSTGRES)
        .unwrap();
    assert!(installation.others_in_public && installation.found.is_none());

    let mut kept = Kept::of(&database, Some("public"));
    let installation = kept.install();
    assert_eq!(installation.found, Some(0));
    assert!(installation.functions_in_public, "{installation:?}");
    let refused = database
        .try_execute("SET ROLE anon; SELECT public.execute_migration_rollback('20250120_b', true)");
    assert!(
        format!("{refused:?}").contains("permission denied"),
        "{refused:?}"
    );
    let tables = kept.tables.clone();
    assert_eq!(tables.callers(kept.execution.as_mut()).unwrap(), [USER]);
    assert!(kept.install().statements.is_empty());

    let history = kept.read();
    let b = history.get(&id("20250120_b")).unwrap();
    assert_eq!(b.status, MigrationStatus::Applied, "null was applied");
    assert_eq!(history.dependencies[0].kind, From::Declared);
    assert_eq!(
        history.verdict(&id("20250119_a")).dependents,
        [id("20250120_b")]
    );
    kept.register(
        &file("20250120_b", "SELECT 2"),
        &[needs("20250120_b", "20250119_a")],
    );
    kept.register(&file("20250121_c", ""), &[]);
    let tables = kept.tables.clone();
    kept.done(&tables.failed(&id("20250119_a"), &by(), "no"));
    kept.done(&tables.rolled_back(&id("20250120_b"), &by(), None));
    // Who may write a row decides what somebody else runs.
    let refused = database.try_execute(
        "SET ROLE anon; UPDATE public.migration_history SET rollback_sql = 'DROP TABLE t'",
    );
    assert!(
        format!("{refused:?}").contains("permission denied"),
        "{refused:?}"
    );
}

/// Fails if functions that somebody else made are replaced.
#[test]
fn functions_of_others_in_public_stay() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(BEFORE);
    database.execute(
        "CREATE FUNCTION can_rollback_migration(name text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    );
    let installation = Kept::of(&database, Some("public")).install();
    let reason = installation.without_functions.unwrap();
    assert!(reason.contains("rollback did not make"), "{reason}");
    assert!(!installation.functions_in_public);
    assert_eq!(owner(&database, "SELECT can_rollback_migration('x')"), "t");
}

/// A schema that the clients of a web API come into has no function that runs stored SQL.
#[test]
fn a_schema_that_others_come_into_gets_no_functions() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute("CREATE SCHEMA api; GRANT USAGE ON SCHEMA api TO PUBLIC");
    let mut kept = Kept::of(&database, Some("api"));
    let reason = kept.install().without_functions.unwrap();
    assert!(reason.contains("the schema api"), "{reason}");
    // Once it is closed, they are made.
    kept.run("REVOKE USAGE ON SCHEMA api FROM PUBLIC");
    assert_eq!(kept.install().without_functions, None);
    assert_eq!(
        kept.run("SELECT can_rollback::text FROM api.can_rollback_migration('x')"),
        [[Some("false".to_owned())]]
    );
}

/// Small numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Turns red if the functions of the database and the program answer one question differently.
#[test]
fn the_functions_give_the_answers_of_the_program() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let mut kept = Kept::installed(&database);
    let mut numbers = Numbers(6);
    let mut reasons = std::collections::BTreeSet::new();
    for _ in 0..40 {
        kept.run(
            "TRUNCATE rollback.migration_history, rollback.migration_dependencies, rollback.migration_audit",
        );
        let count = 1 + numbers.below(9);
        let names: Vec<String> = (0..count)
            .map(|index| {
                let word = ["a", "B", "é", "_", "z'"][usize::try_from(numbers.below(5)).unwrap()];
                format!("{word}{index}")
            })
            .collect();
        for name in &names {
            let down =
                ["", " \t\n", "SELECT 1", "SELECT 1"][usize::try_from(numbers.below(4)).unwrap()];
            kept.register(&file(name, "x"), &[]);
            let status = ["applied", "applied", "applied", "rolled_back", "failed"]
                [usize::try_from(numbers.below(5)).unwrap()];
            kept.run(&format!(
                "UPDATE rollback.migration_history SET status = '{status}', rollback_sql = '{down}' \
                 WHERE migration_name = '{}'",
                name.replace('\'', "''")
            ));
        }
        // Circles among them: nobody's order, and still an answer.
        for _ in 0..numbers.below(2 * count) {
            let mut one =
                || names[usize::try_from(numbers.below(count)).unwrap()].replace('\'', "''");
            let (of, on) = (one(), one());
            let kind = ["'declared'", "'inferred'", "'independent'", "NULL"]
                [usize::try_from(numbers.below(4)).unwrap()];
            kept.run(&format!(
                "INSERT INTO rollback.migration_dependencies (migration_name, depends_on, kind) \
                 VALUES ('{of}', '{on}', {kind}) ON CONFLICT DO NOTHING"
            ));
        }
        let history = kept.read();
        let mut expected = Vec::new();
        for name in names.iter().map(String::as_str).chain(["nobody"]) {
            let verdict = history.verdict(&id(name));
            reasons.insert(verdict.reason.clone());
            let answer = kept.run(&format!(
                "SELECT can_rollback::text, reason, dependent_migrations::text \
                 FROM rollback.can_rollback_migration('{}')",
                name.replace('\'', "''")
            ));
            let dependents: Vec<&str> = verdict.dependents.iter().map(RevisionId::as_str).collect();
            let dependents = format!("{{{}}}", dependents.join(","));
            let told = [
                Some(verdict.can_rollback.to_string()),
                Some(verdict.reason.clone()),
                Some(dependents.clone()),
            ];
            assert_eq!(answer, [told], "{name} of {history:#?}");
            if let Some(record) = history.get(&id(name)).filter(|record| record.is_applied()) {
                expected.push([
                    Some(name.to_owned()),
                    Some(verdict.can_rollback.to_string()),
                    Some(record.has_rollback().to_string()),
                    (!verdict.can_rollback).then_some(verdict.reason),
                    Some(dependents),
                ]);
            }
        }
        expected.sort_by(|one, other| other[0].cmp(&one[0]));
        let listed = kept.run(
            "SELECT migration_name, can_rollback::text, has_rollback::text, blocking_reason, \
             dependent_migrations::text FROM rollback.list_rollbackable_migrations()",
        );
        assert_eq!(listed, expected, "{history:#?}");
    }
    assert_eq!(reasons.len(), 6, "each reason occurred: {reasons:?}");
}

fn psql(database: &TestDatabase<'_>, user: &str, password: &str, sql: &str) -> Output {
    let facts = database.facts();
    Command::new("psql")
        .args(["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-h"])
        .arg(facts.host.unwrap())
        .args(["-p", &facts.port.unwrap().to_string(), "-U", user])
        .args(["-d", database.name(), "-c", sql])
        .env("PGPASSWORD", password)
        .output()
        .unwrap()
}

fn owner(database: &TestDatabase<'_>, sql: &str) -> String {
    let output = psql(database, USER, PASSWORD, sql);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Turns red if somebody else than the owner may call a function or read a table of ours.
#[test]
fn a_role_without_rights_is_refused_by_psql() {
    let server = crate::support::Server::start(Kind::PostgreSql);
    let database = server.create_database();
    server.execute("CREATE ROLE anon; CREATE ROLE modest LOGIN PASSWORD 'modest' IN ROLE anon");
    // As generous as a schema's defaults may be.
    database.execute(
        "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO anon;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon",
    );
    let mut kept = Kept::installed(&database);
    kept.register(&file("1_a", "DROP TABLE t"), &[]);
    for grant in ["", "GRANT USAGE ON SCHEMA rollback TO modest"] {
        if !grant.is_empty() {
            database.execute(grant);
        }
        for question in [
            "SELECT * FROM rollback.can_rollback_migration('1_a')",
            "SELECT * FROM rollback.execute_migration_rollback('1_a', false)",
            "SELECT * FROM rollback.list_rollbackable_migrations()",
            "SELECT rollback.create_migration_snapshot('1_a', 'x')",
            "SELECT rollback.migration_dependents('1_a')",
            "SELECT * FROM rollback.migration_history",
            "SELECT * FROM rollback.migration_snapshots",
        ] {
            let output = psql(&database, "modest", "modest", question);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && told.contains("permission denied"),
                "{question}: {told}"
            );
        }
    }
    assert_eq!(
        owner(
            &database,
            "SELECT reason FROM rollback.can_rollback_migration('1_a')"
        ),
        CAN
    );
}

/// Turns red if a rollback in SQL leaves something half done, or runs beside one of the program.
#[test]
fn a_rollback_in_sql_is_whole_or_nothing() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let name = database.name().to_owned();
    database.execute(&format!(
        "CREATE SCHEMA app; ALTER DATABASE {name} SET search_path = app, public;
         CREATE SCHEMA supabase_migrations;
         CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY);
         INSERT INTO supabase_migrations.schema_migrations VALUES ('1'), ('2');
         CREATE TABLE app.a (i int); CREATE TABLE app.b (i int)"
    ));
    let mut kept = Kept::installed(&database);
    kept.register(&file("1_a", "DROP TABLE a; SELECT 1;"), &[]);
    kept.register(
        &file("2_b", "DROP TABLE b; DROP TABLE no_such_table"),
        &[needs("2_b", "1_a")],
    );
    let execute = |name: &str, dry: bool| {
        owner(
            &database,
            &format!("SELECT * FROM rollback.execute_migration_rollback('{name}', {dry})"),
        )
    };
    assert_eq!(
        execute("1_a", false),
        "f|other migrations depend on it; first have to go: 2_b|"
    );
    assert_eq!(
        execute("2_b", true),
        "t|nothing was run; this is what would be|DROP TABLE b; DROP TABLE no_such_table"
    );
    let failed = execute("2_b", false);
    assert!(
        failed.starts_with("f|it failed, and nothing was changed: table \"no_such_table\""),
        "{failed}"
    );
    assert_eq!(owner(&database, "SELECT count(*) FROM app.b"), "0");
    let history = kept.read();
    let b = history.get(&id("2_b")).unwrap();
    assert_eq!(b.status, MigrationStatus::Failed);
    assert!(
        b.metadata
            .error
            .as_deref()
            .unwrap()
            .contains("no_such_table")
    );
    assert_eq!(history.supabase, Some(vec![pushed("1"), pushed("2")]));

    kept.register(&file("2_b", "DROP TABLE b"), &[needs("2_b", "1_a")]);
    let (high, low) = POSTGRES_KEY;
    let mut other = Session::of(&database);
    other.execute(&format!("SELECT pg_advisory_lock({high}, {low})"));
    let refused = execute("2_b", false);
    assert!(
        refused.contains("another run of rollback holds the lock"),
        "{refused}"
    );
    other.execute(&format!("SELECT pg_advisory_unlock({high}, {low})"));

    kept.register(
        &file("3_c", "DROP INDEX CONCURRENTLY IF EXISTS no_such_index"),
        &[],
    );
    let alone = execute("3_c", false);
    assert!(
        alone.starts_with("f|it cannot run in a transaction: DROP INDEX CONCURRENTLY"),
        "{alone}"
    );
    assert_eq!(
        kept.read().get(&id("3_c")).unwrap().status,
        MigrationStatus::Applied,
        "and it was not tried"
    );
    let tables = kept.tables.clone();
    kept.done(&tables.rolled_back(&id("3_c"), &by(), None));

    // The path of the database, though the function has none of it and the session another one.
    let done = owner(
        &database,
        "SET search_path = public; SELECT success FROM rollback.execute_migration_rollback('2_b', false); \
         SHOW search_path",
    );
    assert_eq!(done, "t\npublic");
    assert_eq!(
        execute("1_a", false),
        "t|it was rolled back|DROP TABLE a; SELECT 1;"
    );
    assert_eq!(
        owner(
            &database,
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'app'"
        ),
        "0"
    );
    let history = kept.read();
    assert!(history.records.iter().all(|record| !record.is_applied()));
    assert_eq!(
        history.supabase,
        Some(Vec::new()),
        "the rows of Supabase go as well"
    );
    assert!(history.disagreement(&[]).is_empty());
}

/// Turns red if a command of the history does not do on a server what it does on SQLite.
fn a_folder_is_written_down_on_each_server(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("ROLLBACK_DATABASE_URL", database.url());
    project.run("sql install").exits(0);
    project.run("sql install").exits(0);
    let run = project
        .run("sql sync --assume-applied --format json")
        .exits(0);
    assert_eq!(run.json()["registered"], 5, "{kind:?}\n{run}");
    let run = project.run("sql sync --format json").exits(0);
    assert_eq!(run.json()["registered"], 0, "{kind:?}\n{run}");
    project
        .run("sql register 20250109090000_add_order_notes")
        .exits(0);
    let mut kept = Kept::of(&database, None);
    let history = kept.read();
    assert_eq!(history.records.len(), 5, "{kind:?}");
    assert_eq!(
        history
            .verdict(&id("20250106090000_create_customers"))
            .dependents,
        [
            "20250110090000_create_newsletter",
            "20250109090000_add_order_notes",
            "20250108090000_create_orders"
        ]
        .map(id),
        "{kind:?}"
    );
    let notes = history.get(&id("20250109090000_add_order_notes")).unwrap();
    assert!(
        notes.has_rollback() && notes.metadata.path.is_some(),
        "{kind:?}"
    );

    let kept = project
        .run("sql snapshot create --format json")
        .exits(0)
        .json();
    database.execute("CREATE TABLE extra (id INTEGER)");
    let diff = project
        .run("sql snapshot diff latest --format json")
        .exits(0)
        .json();
    let new = diff["new"].as_array().unwrap();
    assert_eq!(diff["gone"].as_array().unwrap().len(), 0, "{kind:?} {diff}");
    assert!(
        !new.is_empty()
            && new
                .iter()
                .all(|line| line.as_str().unwrap().contains("extra")),
        "{kind:?} {diff}"
    );
    if kind == Kind::PostgreSql {
        // By the function, and with another path: the lines are the same.
        let now = project
            .run("sql snapshot create --format json")
            .exits(0)
            .json();
        owner(
            &database,
            "SET search_path = rollback; SELECT create_migration_snapshot('x', 'y')",
        );
        let shown = project
            .run("sql snapshot show latest --format json")
            .exits(0)
            .json();
        assert_eq!(shown["note"], "y");
        assert_eq!(shown["schema"], now["schema"]);
        assert_ne!(shown["schema"], kept["schema"]);
    }
}
on_each!(a_folder_is_written_down_on_each_server: sqlite, postgresql, mariadb);

/// Turns red if `sync` takes for applied what Supabase has not applied.
#[test]
fn only_what_supabase_has_applied_is_registered() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(
        "CREATE SCHEMA supabase_migrations;
         CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
         INSERT INTO supabase_migrations.schema_migrations VALUES ('20250106090000'), ('20250107090000')",
    );
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("DATABASE_URL", database.url());
    project.run("sql install").exits(0);
    let run = project.run("sql sync").exits(0);
    assert!(
        run.stdout
            .contains("2 migrations registered, 3 not applied"),
        "{run}"
    );
    let last = id("20250107090000_create_products");
    let mut kept = Kept::of(&database, None);
    let statements = kept
        .tables
        .rolled_back(&last, &by(), Some(&pushed("20250107090000")));
    kept.done(&statements);
    assert_eq!(
        kept.read().supabase,
        Some(vec![pushed("20250106090000")]),
        "so that the next push applies it again"
    );
    let run = project.run("sql sync").exits(0);
    assert!(run.stdout.contains("0 migrations registered"), "{run}");
    database.execute("INSERT INTO supabase_migrations.schema_migrations VALUES ('20250107090000')");
    assert_eq!(
        kept.read().disagreement(&[]).rolled_back_here,
        std::slice::from_ref(&last)
    );
    let run = project.run("sql sync").exits(0);
    assert!(run.stdout.contains("applied again"), "{run}");
    assert!(kept.read().get(&last).unwrap().is_applied());
}

#[test]
fn a_history_in_public_is_offered_and_not_doubled() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(BEFORE);
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("ROLLBACK_DATABASE_URL", database.url());
    let run = project.run("sql install").exits(1);
    assert!(run.stderr.contains("history_schema = \"public\""), "{run}");
    assert_eq!(
        database.query_one("SELECT count(*)::text FROM pg_namespace WHERE nspname = 'rollback'"),
        "0"
    );
    let project = project.file(
        "rollback.toml",
        "engine = \"sql\"\nmigrations = \"migrations\"\nhistory_schema = \"public\"\n",
    );
    let run = project.run("sql install").exits(0);
    let own = format!("; {USER} and superusers may call them");
    assert!(run.stderr.contains(&own), "{run}");
    project.run("sql sync").exits(0);
    // As a team calls them that has such a history: without the schema.
    database.execute(
        "UPDATE migration_history SET rollback_sql = 'SELECT 1' WHERE migration_name = '20250120_b'",
    );
    let answer = owner(
        &database,
        "SELECT can_rollback FROM can_rollback_migration('20250120_b');
         SELECT success FROM execute_migration_rollback('20250120_b', true);
         SELECT count(*) > 0 FROM list_rollbackable_migrations()",
    );
    assert_eq!(answer, "t\nt\nt");
    let indexes = "SELECT count(*)::text FROM pg_indexes WHERE schemaname = 'public' AND indexname IN (
        'idx_migration_history_version', 'idx_migration_history_status', 'idx_migration_history_applied_at',
        'idx_migration_deps_migration', 'idx_migration_deps_depends_on')";
    assert_eq!(database.query_one(indexes), "5");
}

#[test]
fn what_writes_waits_for_a_run() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("ROLLBACK_DATABASE_URL", database.url());
    project.run("sql install").exits(0);
    let (high, low) = POSTGRES_KEY;
    let mut other = Session::of(&database);
    other.execute(&format!("SELECT pg_advisory_lock({high}, {low})"));
    for line in [
        "sql install",
        "sql sync",
        "sql register x",
        "sql snapshot create",
    ] {
        project.run(line).exits(6);
    }
    project.run("sql sync --dry-run").exits(0);
    project.run("sql snapshot list").exits(0);
}

/// Turns red if a rollback of Supabase's leaves its row there, or is taken for a loss of rows.
#[test]
fn a_rollback_takes_the_row_of_supabase_with_it() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("SUPABASE_DB_URL", database.url());
    database.execute(
        "CREATE SCHEMA supabase_migrations;
         CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text)",
    );
    let mut files: Vec<_> = project.files();
    files.retain(|file| file.extension().is_some_and(|end| end == "sql"));
    for file in &files {
        database.execute(&std::fs::read_to_string(project.root().join(file)).unwrap());
        let version = file
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .split('_')
            .next()
            .unwrap();
        database.execute(&format!(
            "INSERT INTO supabase_migrations.schema_migrations VALUES ('{version}')"
        ));
    }
    project.run("sql install").exits(0);
    let run = project.run("sql sync").exits(0);
    assert!(run.stdout.contains("5 migrations registered"), "{run}");
    project.run("downgrade-safe -2 -y").exits(0);
    let mut kept = Kept::of(&database, None);
    let history = kept.read();
    assert_eq!(
        history.supabase.as_deref(),
        Some(&["20250106090000", "20250107090000", "20250108090000"].map(pushed)[..])
    );
    assert!(history.disagreement(&[]).is_empty(), "{history:#?}");
    let run = project.run("sql sync").exits(0);
    assert!(run.stdout.contains("0 migrations registered"), "{run}");
}
