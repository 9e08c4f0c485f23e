//! Beside Supabase's own table, a migration is its version and its name.

use crate::project::Project;
use crate::support::{Kind, TestDatabase};

const QUEUE: &str = "20250119_add_analytics_queue";
const SETTINGS: &str = "20250120_add_user_settings";
const ANALYTICS: &str = "20250120_add_project_analytics";
const TAGS: &str = "20250120_add_project_tags";

/// Each with what it creates. Three files have one version.
const FILES: [(&str, &str); 4] = [
    (
        QUEUE,
        "CREATE TABLE IF NOT EXISTS public.analytics_queue (id bigint PRIMARY KEY);

-- ROLLBACK START
-- DROP TABLE IF EXISTS public.analytics_queue;
-- ROLLBACK END
",
    ),
    (
        SETTINGS,
        "-- Description: Settings of each user
CREATE TABLE IF NOT EXISTS public.user_settings (id bigint PRIMARY KEY, theme text DEFAULT 'light');
CREATE INDEX idx_user_settings_theme ON public.user_settings (theme);

-- ROLLBACK START
-- DROP INDEX IF EXISTS public.idx_user_settings_theme;
-- DROP TABLE IF EXISTS public.user_settings;
-- ROLLBACK END
",
    ),
    (
        ANALYTICS,
        "-- Depends on: 20250119_add_analytics_queue.sql
CREATE TABLE IF NOT EXISTS public.project_analytics (
    id bigint PRIMARY KEY, job bigint REFERENCES public.analytics_queue (id)
);

-- ROLLBACK START
-- DROP TABLE IF EXISTS public.project_analytics;
-- ROLLBACK END
",
    ),
    (
        TAGS,
        "CREATE TABLE public.project_tags (tag bigint PRIMARY KEY);

-- ROLLBACK START
-- DROP TABLE IF EXISTS public.project_tags;
-- ROLLBACK END
",
    ),
];

struct Shop {
    database: TestDatabase<'static>,
    project: Project,
}

impl Shop {
    /// Supabase's table as the CLI makes it, and the files; nothing is applied.
    fn new() -> Self {
        let database = TestDatabase::create(Kind::PostgreSql);
        database.execute(
            "CREATE SCHEMA supabase_migrations;
             CREATE TABLE supabase_migrations.schema_migrations (
                 version text NOT NULL PRIMARY KEY, statements text[], name text, created_by text
             )",
        );
        let mut project = Project::empty().env("SUPABASE_DB_URL", database.url());
        for (name, text) in FILES {
            project = project.file(&format!("supabase/migrations/{name}.sql"), text);
        }
        Self { database, project }
    }

    fn apply(&self, name: &str) {
        let (_, text) = FILES.iter().find(|(file, _)| *file == name).unwrap();
        let (up, _) = text.split_once("-- ROLLBACK START").unwrap();
        self.database.execute(up);
    }

    fn push(&self, name: &str, by: Option<&str>) {
        self.apply(name);
        let (version, name) = name.split_once('_').unwrap();
        let by = by.map_or("NULL".to_owned(), |by| format!("'{by}'"));
        self.database.execute(&format!(
            "INSERT INTO supabase_migrations.schema_migrations (version, name, created_by)
             VALUES ('{version}', '{name}', {by})"
        ));
    }

    /// The rows of Supabase's table, then those of the history.
    fn rows(&self) -> (String, String) {
        let remote = self.database.query_one(
            "SELECT coalesce(string_agg(version || '_' || coalesce(name, '?'), ' ' ORDER BY version), '')
             FROM supabase_migrations.schema_migrations",
        );
        let own = self.database.query_one(
            "SELECT coalesce(string_agg(migration_name || ' ' || status, ', ' ORDER BY migration_name), '')
             FROM rollback.migration_history",
        );
        (remote, own)
    }

    fn count(&self, table: &str) -> String {
        self.database.query_one(&format!(
            "SELECT count(*)::text FROM pg_tables WHERE tablename = '{table}'"
        ))
    }
}

/// Fails if a file is registered, or a row deleted, because another migration has the same version.
#[test]
fn three_files_of_one_version_are_three_migrations() {
    let shop = Shop::new();
    shop.push(QUEUE, None);
    shop.push(SETTINGS, Some("ada@example.org"));

    // The table is readable before there is a history.
    let current = shop.project.run("current").exits(0);
    assert!(
        current
            .stdout
            .contains("Supabase:  2 migrations in its table; newest: 20250120_add_user_settings\n"),
        "{current}"
    );
    assert!(current.stdout.contains("rollback sql install"), "{current}");

    shop.project.run("sql install").exits(0);
    let sync = shop.project.run("sql sync").exits(0);
    assert!(
        sync.stdout
            .contains("2 migrations registered, 2 not applied"),
        "{sync}"
    );
    assert!(
        sync.stderr.contains("3 files have the version 20250120"),
        "{sync}"
    );
    let registered = format!("{QUEUE} applied, {SETTINGS} applied");
    assert_eq!(shop.rows().1, registered);

    let list = shop.project.run("list --format json").exits(0).json();
    let names: Vec<&str> = list["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["revision"].as_str().unwrap())
        .collect();
    assert_eq!(names, [SETTINGS, QUEUE]);
    assert_eq!(list["revisions"][0]["applied_by"], "ada@example.org");
    assert_eq!(list["revisions"][1]["applied_by"], serde_json::Value::Null);
    assert_eq!(list["revisions"][1]["applied_at"], serde_json::Value::Null);
    assert!(list["revisions"][1]["registered_at"].is_string(), "{list}");

    let check = shop.project.run(&format!("check {SETTINGS}")).exits(0);
    assert!(
        check
            .stdout
            .contains("Applied:   pushed by ada@example.org; registered 20"),
        "{check}"
    );
    let check = shop.project.run(&format!("check {TAGS}")).exits(0);
    assert!(check.stdout.contains("it is not registered"), "{check}");

    // Applied by hand, and registered by name: the row of its version is another migration's.
    shop.apply(ANALYTICS);
    shop.project
        .run(&format!("sql register {ANALYTICS}"))
        .exits(0);
    shop.project
        .run(&format!("downgrade-safe --only {ANALYTICS} -y"))
        .exits(0);
    assert_eq!(shop.count("project_analytics"), "0");
    assert_eq!(
        shop.rows(),
        (
            format!("{QUEUE} {SETTINGS}"),
            format!("{QUEUE} applied, {ANALYTICS} rolled_back, {SETTINGS} applied")
        ),
        "the row of another migration is gone"
    );

    let plan = shop.project.run("plan -1").exits(0);
    assert!(plan.stdout.contains(SETTINGS), "{plan}");
    assert!(plan.stdout.contains("registered 20"), "{plan}");
    shop.project.run("downgrade-safe -1 -y").exits(0);
    assert_eq!(shop.count("user_settings"), "0");
    assert_eq!(
        shop.rows(),
        (
            QUEUE.to_owned(),
            format!("{QUEUE} applied, {ANALYTICS} rolled_back, {SETTINGS} rolled_back")
        )
    );
}

/// Fails if a repaired row is given to one of several files, or if the rollback in SQL deletes by version alone.
#[test]
fn a_repaired_row_belongs_to_a_migration_only_if_there_is_one() {
    let shop = Shop::new();
    shop.push(QUEUE, None);
    shop.push(TAGS, None);
    shop.database
        .execute("UPDATE supabase_migrations.schema_migrations SET name = NULL");
    shop.project.run("sql install").exits(0);
    let sync = shop.project.run("sql sync").exits(0);
    assert!(
        sync.stdout.contains("1 migration registered, 3 unknown"),
        "{sync}"
    );
    assert_eq!(shop.rows().1, format!("{QUEUE} applied"));

    // Nobody knows whose row it is, and it is newer than the one that would go.
    let run = shop.project.run("downgrade-safe -1 -y").exits(3);
    assert!(run.stderr.contains("20250120"), "{run}");
    assert_eq!(shop.count("analytics_queue"), "1");

    // In SQL too, with two migrations of the version registered.
    shop.apply(SETTINGS);
    shop.project
        .run(&format!("sql register {TAGS} {SETTINGS}"))
        .exits(0);
    let execute = |name: &str| {
        shop.database.query_one(&format!(
            "SELECT message FROM rollback.execute_migration_rollback('{name}', false)"
        ))
    };
    assert_eq!(execute(SETTINGS), "it was rolled back");
    assert_eq!(shop.rows().0, "20250119_? 20250120_?");
    shop.database.execute(
        "UPDATE supabase_migrations.schema_migrations SET name = 'add_project_analytics' WHERE version = '20250120'",
    );
    assert_eq!(execute(TAGS), "it was rolled back");
    assert_eq!(shop.rows().0, "20250119_? 20250120_add_project_analytics");
    assert_eq!(execute(QUEUE), "it was rolled back");
    assert_eq!(shop.rows().0, "20250120_add_project_analytics");
}

/// Fails if `-1` rolls back an older migration than the newest one that Supabase has applied.
#[test]
fn a_newer_remote_migration_stops_a_rollback() {
    let shop = Shop::new();
    shop.push(QUEUE, None);
    shop.push(SETTINGS, None);
    shop.project.run("sql install").exits(0);
    shop.project.run("sql sync").exits(0);
    shop.database.execute(
        "INSERT INTO supabase_migrations.schema_migrations (version, name) VALUES ('20250301', 'made_elsewhere')",
    );
    let before = shop.rows();
    for line in [
        "plan -1",
        "plan base",
        "downgrade-safe -1 --dry-run",
        "downgrade-safe -1 -y",
        "downgrade-safe base -y",
    ] {
        let run = shop.project.run(line).exits(3);
        for words in [
            "20250301_made_elsewhere",
            "has no file here",
            "supabase migration fetch",
            "supabase migration repair --status reverted 20250301",
        ] {
            assert!(run.stderr.contains(words), "{words}\n{run}");
        }
    }
    assert_eq!(shop.rows(), before);
    let current = shop.project.run("current").exits(0);
    assert!(
        current
            .stdout
            .contains("20250301_made_elsewhere, no file here"),
        "{current}"
    );

    // Named exactly, it is the operator's decision.
    let run = shop
        .project
        .run(&format!("downgrade-safe --only {SETTINGS} -y"))
        .exits(0);
    assert!(run.stderr.contains("20250301_made_elsewhere"), "{run}");
    assert_eq!(shop.rows().0, format!("{QUEUE} 20250301_made_elsewhere"));
}

/// Fails if `sync` registers a file without Supabase's table although the schema does not show it.
fn without_that_table_the_live_schema_decides(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = Project::empty()
        .env("ROLLBACK_DATABASE_URL", database.url())
        .file(
            "rollback.toml",
            "engine = \"sql\"\nmigrations = \"migrations\"\n",
        )
        .file(
            "migrations/1_a.sql",
            "CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, Note VARCHAR(9));",
        )
        .file("migrations/2_data.sql", "INSERT INTO a (id) VALUES (1);")
        .file(
            "migrations/3_b.sql",
            "ALTER TABLE a ADD COLUMN extra INTEGER; CREATE INDEX a_extra ON a (extra);",
        )
        .file("migrations/4_c.sql", "CREATE VIEW v AS SELECT id FROM a;");
    let states = |line: &str| -> Vec<String> {
        let answer = project.run(line).exits(0).json();
        let entries = answer["migrations"].as_array().unwrap();
        let state = |one: &serde_json::Value| one["state"].as_str().unwrap().to_owned();
        entries.iter().map(state).collect()
    };
    project.run("sql install").exits(0);
    assert_eq!(
        states("sql sync --format json"),
        ["not_applied", "unknown", "not_applied", "not_applied"],
        "{kind:?}: the database is empty"
    );
    for sql in [
        "CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, Note VARCHAR(9))",
        "ALTER TABLE a ADD COLUMN extra INTEGER",
        "CREATE VIEW v AS SELECT id FROM a",
    ] {
        database.execute(sql);
    }
    assert_eq!(
        states("sql sync --format json"),
        ["registered", "unknown", "unknown", "registered"],
        "{kind:?}: the index is missing"
    );
    database.execute("CREATE INDEX a_extra ON a (extra)");
    assert_eq!(
        states("sql sync --format json"),
        ["unchanged", "unknown", "registered", "unchanged"],
        "{kind:?}"
    );
    assert_eq!(
        states("sql sync --assume-applied --format json"),
        ["unchanged", "registered", "unchanged", "unchanged"],
        "{kind:?}"
    );
}
on_each!(without_that_table_the_live_schema_decides: sqlite, postgresql, mariadb);
