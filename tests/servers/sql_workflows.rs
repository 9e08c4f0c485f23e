//! What a team does from day to day with SQL files: a migration is written, applied, registered, taken back; what goes
//! wrong on the way, and how it goes on.

use serde_json::Value;

use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};

/// A project and its database. Whole files are applied, as `psql -f`, `sqlite3` and `supabase db push` do it.
struct Team {
    database: TestDatabase<'static>,
    project: Project,
    folder: &'static str,
}

impl Team {
    fn on(kind: Kind) -> Self {
        let database = TestDatabase::create(kind);
        let project = Project::empty()
            .file(
                "rollback.toml",
                "engine = \"sql\"\nmigrations = \"migrations\"\n",
            )
            .env("ROLLBACK_DATABASE_URL", database.url());
        std::fs::create_dir(project.root().join("migrations")).unwrap();
        Self {
            database,
            project,
            folder: "migrations",
        }
    }

    /// With its tables, and a table `projects` of a migration that is applied and registered.
    fn at_work(kind: Kind) -> Self {
        let team = Self::on(kind);
        team.run("sql install").exits(0);
        team.write(
            "001_projects",
            "CREATE TABLE projects (id INTEGER NOT NULL PRIMARY KEY);",
            "DROP TABLE projects;",
        );
        team.apply("001_projects");
        team.run("sql register 001_projects").exits(0);
        team
    }

    /// A file with its block in comments; without a block where there is no text for it.
    fn write(&self, name: &str, up: &str, down: &str) {
        let block: String = down.lines().map(|line| format!("-- {line}\n")).collect();
        let block = match down {
            "" => String::new(),
            _ => format!("\n-- ROLLBACK START\n{block}-- ROLLBACK END\n"),
        };
        self.write_whole(name, &format!("{up}\n{block}"));
    }

    fn write_whole(&self, name: &str, text: &str) {
        let path = self
            .project
            .root()
            .join(self.folder)
            .join(format!("{name}.sql"));
        std::fs::write(path, text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        let path = self
            .project
            .root()
            .join(self.folder)
            .join(format!("{name}.sql"));
        std::fs::read_to_string(path).unwrap()
    }

    /// The whole file, to its last line.
    fn apply(&self, name: &str) {
        self.database.execute(&self.text(name));
    }

    fn run(&self, line: &str) -> Run {
        self.project.run(line)
    }

    fn table(&self) -> &'static str {
        match self.database.kind() {
            Kind::PostgreSql => "rollback.migration_history",
            Kind::Sqlite | Kind::MariaDb | Kind::MySql => "migration_history",
        }
    }

    fn status(&self, name: &str) -> String {
        self.database.query_one(&format!(
            "SELECT status FROM {} WHERE migration_name = '{name}'",
            self.table()
        ))
    }

    fn has(&self, table: &str) -> bool {
        self.database
            .try_execute(&format!("SELECT 1 FROM {table}"))
            .is_ok()
    }

    /// Of each applied migration, newest first: its name, whether it can go, and why not.
    fn list(&self) -> Vec<(String, bool, Option<String>)> {
        let answer = self.run("list --format json").exits(0).json();
        let revisions = answer["revisions"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        revisions
            .map(|one| {
                (
                    text(&one["revision"]).unwrap(),
                    one["can_rollback"].as_bool().unwrap(),
                    text(&one["blocking_reason"]),
                )
            })
            .collect()
    }

    /// The names of the applied ones, newest first.
    fn applied(&self) -> Vec<String> {
        self.list().into_iter().map(|(name, _, _)| name).collect()
    }
}

const PREFERENCES: &str =
    "CREATE TABLE preferences (id INTEGER NOT NULL PRIMARY KEY, project_id INTEGER NOT NULL);";

/// Turns red if the whole file undoes itself, or a new migration is not known after `register`.
fn a_new_migration_is_applied_whole_and_registered(kind: Kind) {
    let team = Team::at_work(kind);
    team.write(
        "002_preferences",
        PREFERENCES,
        "DROP TABLE IF EXISTS preferences;",
    );
    team.apply("002_preferences");
    assert!(team.has("preferences"), "{kind:?}: the comment ran");
    let run = team.run("sql register 002_preferences").exits(0);
    assert!(run.stderr.is_empty(), "nothing to warn of\n{run}");
    assert_eq!(
        team.list(),
        [
            ("002_preferences".to_owned(), true, None),
            ("001_projects".to_owned(), true, None),
        ],
        "{kind:?}"
    );
}
on_each!(a_new_migration_is_applied_whole_and_registered: sqlite, postgresql, mariadb);

/// Turns red if nobody is told of a block that runs with its file, or the command that is named does not mend it.
fn a_plain_block_is_reported_before_it_undoes_its_own_migration(kind: Kind) {
    let team = Team::at_work(kind);
    let plain = format!(
        "{PREFERENCES}\n\n-- ROLLBACK START\nDROP TABLE IF EXISTS preferences;\n-- ROLLBACK END\n"
    );
    team.write_whole("002_preferences", &plain);
    let run = team.run("sql register 002_preferences --dry-run").exits(0);
    let remedy = "rollback sql comment 002_preferences";
    assert!(run.stderr.contains(remedy), "{kind:?}: {run}");
    let run = team.run("current").exits(0);
    assert!(run.to_string().contains(remedy), "{kind:?}: {run}");

    team.apply("002_preferences");
    assert!(!team.has("preferences"), "{kind:?}: this is the trap");

    team.run("sql comment 002_preferences").exits(0);
    team.apply("002_preferences");
    assert!(
        team.has("preferences"),
        "{kind:?}: {}",
        team.text("002_preferences")
    );
    let run = team.run("sql register 002_preferences").exits(0);
    assert!(!run.stderr.contains("sql comment"), "{kind:?}: {run}");
    team.run("downgrade-safe --only 002_preferences -y")
        .exits(0);
    assert!(!team.has("preferences"), "{kind:?}");
}
on_each!(a_plain_block_is_reported_before_it_undoes_its_own_migration: sqlite, postgresql, mariadb);

/// Turns red if looking changes something, or the migration is not gone and written down as gone.
fn a_recent_migration_is_listed_checked_previewed_and_taken_back(kind: Kind) {
    let team = Team::at_work(kind);
    team.write(
        "002_preferences",
        PREFERENCES,
        "DROP TABLE IF EXISTS preferences;",
    );
    team.apply("002_preferences");
    team.run("sql register 002_preferences").exits(0);
    assert_eq!(
        team.applied(),
        ["002_preferences", "001_projects"],
        "{kind:?}"
    );
    let check = team.run("check 002_preferences").exits(0);
    assert!(check.stdout.contains("drops table"), "{kind:?}: {check}");
    let preview = team.run("plan -1 --sql").exits(0);
    assert!(
        preview.stdout.contains("DROP TABLE IF EXISTS preferences;"),
        "{kind:?}: {preview}"
    );
    team.run("downgrade-safe --only 002_preferences --dry-run")
        .exits(0);
    assert!(team.has("preferences"), "{kind:?}");
    assert_eq!(team.status("002_preferences"), "applied", "{kind:?}");

    team.run("downgrade-safe --only 002_preferences -y")
        .exits(0);
    assert!(!team.has("preferences"), "{kind:?}");
    assert_eq!(team.status("002_preferences"), "rolled_back", "{kind:?}");
    assert_eq!(team.applied(), ["001_projects"], "{kind:?}");
    let who = format!(
        "SELECT rollback_by FROM {} WHERE rollback_at IS NOT NULL",
        team.table()
    );
    assert!(team.database.query_one(&who).contains('@'), "{kind:?}");
}
on_each!(a_recent_migration_is_listed_checked_previewed_and_taken_back: sqlite, postgresql, mariadb);

/// Turns red if a migration without a block can be taken back, or the block that is offered does not take it back.
fn a_migration_without_a_block_is_refused_until_it_has_one(kind: Kind) {
    let team = Team::at_work(kind);
    team.write("002_preferences", PREFERENCES, "");
    team.apply("002_preferences");
    let run = team.run("sql register 002_preferences").exits(0);
    let remedy = "rollback sql template 002_preferences";
    assert!(run.stderr.contains(remedy), "{kind:?}: {run}");
    let refusal = team
        .run("downgrade-safe --only 002_preferences -y")
        .exits(3);
    assert!(refusal.stderr.contains(remedy), "{kind:?}: {refusal}");
    assert!(!team.list()[0].1, "{kind:?}");

    team.run("sql template 002_preferences --write").exits(0);
    // The block is in the file alone: what is registered is what runs.
    let refusal = team
        .run("downgrade-safe --only 002_preferences -y")
        .exits(3);
    assert!(
        refusal.stderr.contains("002_preferences"),
        "{kind:?}: {refusal}"
    );
    assert!(team.has("preferences"), "{kind:?}");

    team.run("sql register 002_preferences").exits(0);
    team.run("downgrade-safe --only 002_preferences -y")
        .exits(0);
    assert!(!team.has("preferences"), "{kind:?}");
}
on_each!(a_migration_without_a_block_is_refused_until_it_has_one: sqlite, postgresql, mariadb);

/// Three migrations, each on the one before: declared, and by a foreign key.
fn chain(kind: Kind) -> Team {
    let team = Team::at_work(kind);
    team.write(
        "002_queue",
        "-- Depends on: 001_projects\nCREATE TABLE queue (id INTEGER NOT NULL PRIMARY KEY);",
        "DROP TABLE queue;",
    );
    team.write(
        "003_analytics",
        "CREATE TABLE analytics (id INTEGER NOT NULL PRIMARY KEY, job_id INTEGER NOT NULL,\n    \
         FOREIGN KEY (job_id) REFERENCES queue (id));",
        "DROP TABLE analytics;",
    );
    for name in ["002_queue", "003_analytics"] {
        team.apply(name);
    }
    team.run("sql sync").exits(0);
    team
}

/// Turns red if one that others stand on goes before them, or they are named in an order in which they cannot go.
fn a_chain_goes_last_first(kind: Kind) {
    let team = chain(kind);
    let check = team.run("check 001_projects").exits(0).stdout;
    let refusal = team.run("downgrade-safe --only 001_projects -y").exits(3);
    for said in [&check, &refusal.stderr] {
        let place = |name: &str| said.find(&format!("{name} depends on"));
        let (last, middle) = (place("003_analytics"), place("002_queue"));
        assert!(last.is_some() && last < middle, "{kind:?}: {said}");
    }
    assert_eq!(team.applied().len(), 3, "{kind:?}");

    for name in ["003_analytics", "002_queue", "001_projects"] {
        team.run(&format!("downgrade-safe --only {name} -y"))
            .exits(0);
    }
    assert!(
        ["analytics", "queue", "projects"]
            .iter()
            .all(|table| !team.has(table)),
        "{kind:?}"
    );
    assert!(team.applied().is_empty(), "{kind:?}");
}
on_each!(a_chain_goes_last_first: sqlite, postgresql, mariadb);

/// One whose rollback names a table that is not there, and one after it that has nothing to do with it.
fn broken(kind: Kind) -> Team {
    let team = Team::at_work(kind);
    team.write("002_preferences", PREFERENCES, "DROP TABLE preference;");
    team.apply("002_preferences");
    team.run("sql sync").exits(0);
    // It is sure to fail, which is told before.
    team.run("downgrade-safe -1 -y").exits(3);
    let run = team.run("downgrade-safe -1 -y --allow-failing").exits(4);
    assert!(run.stderr.contains("preference"), "{kind:?}: {run}");
    assert_eq!(team.status("002_preferences"), "failed", "{kind:?}");
    assert!(team.has("preferences"), "{kind:?}");
    team
}

/// Turns red if a row that a person corrected is not believed.
fn a_failed_rollback_is_finished_by_hand(kind: Kind) {
    let team = broken(kind);
    assert!(
        !team.list()[0].1,
        "{kind:?}: a failed one goes nowhere by itself"
    );
    team.database.execute("DROP TABLE preferences");
    team.database.execute(&format!(
        "UPDATE {} SET status = 'rolled_back' WHERE migration_name = '002_preferences'",
        team.table()
    ));
    assert_eq!(team.applied(), ["001_projects"], "{kind:?}");
    team.run("downgrade-safe -1 -y").exits(0);
    assert!(!team.has("projects"), "{kind:?}");
}
on_each!(a_failed_rollback_is_finished_by_hand: sqlite, postgresql, mariadb);

/// Turns red if the mended block is not what runs, or the failure still stands in its way.
fn a_failed_rollback_is_mended_and_registered_again(kind: Kind) {
    let team = broken(kind);
    team.write("002_preferences", PREFERENCES, "DROP TABLE preferences;");
    team.run("sql register 002_preferences").exits(0);
    assert_eq!(team.status("002_preferences"), "applied", "{kind:?}");
    // The run that failed is still there to be gone on with.
    let refusal = team.run("downgrade-safe -1 -y").exits(3);
    assert!(
        refusal.stderr.contains("rollback resume"),
        "{kind:?}: {refusal}"
    );
    team.run("downgrade-safe --resume -y").exits(0);
    assert!(!team.has("preferences"), "{kind:?}");
    assert_eq!(team.applied(), ["001_projects"], "{kind:?}");
}
on_each!(a_failed_rollback_is_mended_and_registered_again: sqlite, postgresql, mariadb);

const BATCH: &str = "\
for migration in 003_analytics 002_queue 001_projects; do
    echo \"Next: $migration\"
    rollback downgrade-safe --only \"$migration\" -y || { echo \"Stopped at $migration\"; exit 1; }
done";

/// Turns red if a script over single migrations goes on after a failure, or one command does less than the script.
fn a_batch_is_a_script_that_stops_or_one_command(kind: Kind) {
    let team = chain(kind);
    let output = team.project.shell(BATCH).output().unwrap();
    let run = team.project.told(&output).exits(0);
    assert!(team.applied().is_empty(), "{kind:?}: {run}");

    let team = chain(kind);
    // The second one fails.
    team.write(
        "002_queue",
        "-- Depends on: 001_projects\nCREATE TABLE queue (id INTEGER NOT NULL PRIMARY KEY);",
        "DROP TABLE nowhere;",
    );
    team.run("sql register 002_queue").exits(0);
    let output = team.project.shell(BATCH).output().unwrap();
    let run = team.project.told(&output).exits(1);
    assert!(
        run.stdout.ends_with("Stopped at 002_queue\n"),
        "{kind:?}: {run}"
    );
    assert!(
        !team.has("analytics") && team.has("queue") && team.has("projects"),
        "{kind:?}"
    );

    let team = chain(kind);
    team.run("downgrade-safe base -y").exits(0);
    assert!(team.applied().is_empty(), "{kind:?}");
    assert!(!team.has("projects"), "{kind:?}");
}
on_each!(a_batch_is_a_script_that_stops_or_one_command: sqlite, postgresql, mariadb);

/// A database as the Supabase CLI leaves it: two migrations pushed, in its own table.
fn pushed() -> Team {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(
        "CREATE SCHEMA supabase_migrations;
         CREATE TABLE supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY, statements text[], name text)",
    );
    // No setting: the folder is known, and so is the variable.
    let project = Project::empty().env("SUPABASE_DB_URL", database.url());
    let folder = "supabase/migrations";
    std::fs::create_dir_all(project.root().join(folder)).unwrap();
    let team = Team {
        database,
        project,
        folder,
    };
    team.write(
        "20250120090000_profiles",
        "CREATE TABLE public.profiles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text NOT NULL);",
        "DROP TABLE public.profiles;",
    );
    team.write(
        "20250121090000_notes",
        "CREATE TABLE public.notes (id bigint PRIMARY KEY, profile_id uuid REFERENCES public.profiles (id));",
        "DROP TABLE public.notes;",
    );
    team.write(
        "20250122090000_later",
        "CREATE TABLE public.later (id bigint);",
        "DROP TABLE public.later;",
    );
    for name in ["20250120090000_profiles", "20250121090000_notes"] {
        team.push(name);
    }
    team.run("sql install").exits(0);
    team
}

impl Team {
    /// What `supabase db push` does with a migration: the file, then its row.
    fn push(&self, name: &str) {
        self.apply(name);
        let (version, name) = name.split_once('_').unwrap();
        self.database.execute(&format!(
            "INSERT INTO supabase_migrations.schema_migrations (version, name) VALUES ('{version}', '{name}')"
        ));
    }

    fn versions(&self) -> Vec<String> {
        let rows = self
            .database
            .query("SELECT version FROM supabase_migrations.schema_migrations ORDER BY version");
        rows.into_iter().flatten().flatten().collect()
    }
}

/// Turns red if `sync` registers what Supabase has not applied, or the two tables part ways on a rollback.
#[test]
fn supabase_can_push_again_what_was_rolled_back() {
    let team = pushed();
    team.run("sql sync").exits(0);
    assert_eq!(
        team.applied(),
        ["20250121090000_notes", "20250120090000_profiles"],
        "what is not pushed is not applied"
    );
    team.run("downgrade-safe -1 -y").exits(0);
    assert!(!team.has("public.notes"));
    assert_eq!(team.versions(), ["20250120090000"]);
    assert_eq!(team.applied(), ["20250120090000_profiles"]);

    team.push("20250121090000_notes");
    let current = team.run("current").exits(0).to_string();
    assert!(current.contains("rollback sql sync"), "{current}");
    team.run("sql sync").exits(0);
    assert_eq!(team.status("20250121090000_notes"), "applied");
    assert_eq!(team.applied().len(), 2);
    let current = team.run("current").exits(0).to_string();
    let disagree = |line: &str| line.starts_with("odd:") && line.contains("Supabase");
    assert!(!current.lines().any(disagree), "{current}");
}

/// Turns red if the row goes where the rollback did not.
#[test]
fn a_failing_rollback_leaves_the_row_of_supabase() {
    let team = pushed();
    team.write(
        "20250121090000_notes",
        "CREATE TABLE public.notes (id bigint PRIMARY KEY, profile_id uuid REFERENCES public.profiles (id));",
        "DROP TABLE public.notes;\nDROP TABLE public.nowhere;",
    );
    team.run("sql sync").exits(0);
    team.run("downgrade-safe -1 -y --allow-failing").exits(4);
    assert!(team.has("public.notes"), "the transaction was not undone");
    assert_eq!(team.versions(), ["20250120090000", "20250121090000"]);
    assert_eq!(team.status("20250121090000_notes"), "failed");
}

/// Turns red if nobody is told that the two tables say different things.
#[test]
fn two_tables_that_disagree_are_told_of() {
    let team = pushed();
    team.run("sql sync").exits(0);
    for (statement, told) in [
        (
            "DELETE FROM supabase_migrations.schema_migrations WHERE version = '20250121090000'",
            "20250121090000_notes",
        ),
        (
            "INSERT INTO supabase_migrations.schema_migrations (version, name) VALUES ('20250130090000', 'by_hand')",
            "20250130090000",
        ),
    ] {
        team.database.execute(statement);
        for command in ["current", "list"] {
            let said = team.run(command).exits(0).to_string();
            let line = said
                .lines()
                .find(|line| line.contains("Supabase") && line.contains(told));
            assert!(line.is_some(), "{command} after {statement}\n{said}");
        }
    }
}

/// Turns red if a guard does not see what was pushed, because nobody registered it.
#[test]
fn a_push_that_goes_wrong_is_taken_back() {
    let team = pushed();
    team.run("sql sync").exits(0);
    let url = team.database.url().replace("+psycopg2", "");
    let push = format!(
        "psql -q -v ON_ERROR_STOP=1 {url} -f supabase/migrations/20250122090000_later.sql \
         -c \"INSERT INTO supabase_migrations.schema_migrations VALUES ('20250122090000')\" && false"
    );
    let push = shlex::try_quote(&push).unwrap();
    team.run(&format!("guard -y -- sh -c {push}")).exits(8);
    assert!(!team.has("public.later"));
    assert_eq!(team.versions(), ["20250120090000", "20250121090000"]);
    assert_eq!(team.applied().len(), 2);
}
