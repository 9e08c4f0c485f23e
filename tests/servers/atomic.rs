//! All or nothing.

use std::collections::BTreeMap;
use std::fs::File;

use serde_json::{Value, json};

use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};
use crate::walk::{rows, upgraded};

/// Ten revisions, of which the first one, the last on the way down, does what it is told.
pub(crate) fn ten(database: &TestDatabase<'_>, last: &str) -> Project {
    let mut project = Project::alembic("linear").env("DATABASE_URL", database.url());
    for file in project.files() {
        if file.starts_with("migrations/versions") {
            std::fs::remove_file(project.root().join(file)).unwrap();
        }
    }
    for number in 1..=10 {
        let below = match number {
            1 => "None".to_owned(),
            _ => format!("\"r{:02}\"", number - 1),
        };
        let down = if number == 1 { last } else { "pass" };
        project = project.file(
            &format!("migrations/versions/r{number:02}.py"),
            format!(
                "\"\"\"Table {number}\"\"\"\nimport sqlalchemy as sa\nfrom alembic import op\n\n\
                 revision = \"r{number:02}\"\ndown_revision = {below}\n\n\n\
                 def upgrade():\n    \
                 op.create_table(\"t{number}\", sa.Column(\"id\", sa.Integer(), primary_key=True), \
                 sa.Column(\"name\", sa.String(20)))\n    \
                 op.execute(\"INSERT INTO t{number} (id, name) VALUES (1, 'one'), (2, 'two')\")\n\n\n\
                 def downgrade():\n    op.drop_table(\"t{number}\")\n    {down}\n"
            ),
        );
    }
    database.filled("ten", || {
        project.engine("alembic upgrade heads");
    });
    project
}

/// Schema, version table and every row.
pub(crate) fn everything(
    database: &TestDatabase<'_>,
) -> BTreeMap<String, Vec<Vec<Option<String>>>> {
    let mut found = BTreeMap::new();
    for line in database.open().schema().unwrap() {
        if let Some(table) = line.strip_prefix("table ") {
            let text = if database.kind() == Kind::Sqlite {
                "SELECT * FROM"
            } else {
                "SELECT md5(t::text) FROM"
            };
            let mut rows = database.query(&format!("{text} {table} t"));
            rows.sort();
            found.insert(format!("rows of {table}"), rows);
        }
        found.insert(line, Vec::new());
    }
    found
}

pub(crate) fn events(run: &Run, name: &str) -> Vec<Value> {
    run.json_lines()
        .into_iter()
        .filter(|line| line["event"] == name)
        .collect()
}

pub(crate) const FAILS: &str = "op.drop_table(\"never_created\")";

/// Turns red if a step before the failing one is committed, or is told as done.
fn the_last_of_ten_steps_fails_and_nothing_happened(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = ten(&database, FAILS);
    let before = everything(&database);
    let run = project
        .run("downgrade-safe base -y --allow-failing --atomic --format json")
        .exits(4);
    assert_eq!(everything(&database), before, "{kind:?}\n{run}");
    assert_eq!(rows(&database), ["r10"]);
    let finished = &events(&run, "finished")[0];
    assert_eq!(finished["removed"], json!([]), "{run}");
    assert_eq!(finished["current"], json!(["r10"]), "{run}");
    assert_eq!(events(&run, "step_failed")[0]["removes"], "r01", "{run}");
    assert!(
        run.stderr.contains("all that was done was taken back"),
        "{run}"
    );
    assert!(run.stderr.contains("rollback resume --atomic"), "{run}");
    if kind == Kind::PostgreSql {
        assert_eq!(events(&run, "step_applied").len(), 9, "{run}");
        assert_eq!(events(&run, "step_finished").len(), 0, "{run}");
    } else {
        let folder = database.path().parent().unwrap().to_owned();
        let left: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
    // With the cause mended, the advice goes the whole way.
    let project = project.edit("migrations/versions/r01.py", FAILS, "pass");
    project
        .run("downgrade-safe --resume --atomic -y --allow-failing")
        .exits(0);
    assert_eq!(rows(&database), [""; 0], "{kind:?}");
}
on_each!(the_last_of_ten_steps_fails_and_nothing_happened: postgresql, sqlite);

fn a_whole_that_succeeds_ends_where_single_steps_do(kind: Kind) {
    let one_by_one = TestDatabase::create(kind);
    let stepwise = ten(&one_by_one, "pass")
        .run("downgrade-safe -9 -y --allow-failing --format json")
        .exits(0);
    let database = TestDatabase::create(kind);
    let run = ten(&database, "pass")
        .run("downgrade-safe -9 -y --allow-failing --atomic --format json")
        .exits(0);
    assert_eq!(everything(&database), everything(&one_by_one), "{run}");
    for name in ["removed", "current"] {
        assert_eq!(
            events(&run, "finished")[0][name],
            events(&stepwise, "finished")[0][name],
            "{run}"
        );
    }
    let heads = |run: &Run| -> Vec<Value> {
        events(run, "step_finished")
            .iter()
            .map(|line| line["heads"].clone())
            .collect()
    };
    assert_eq!(heads(&run), heads(&stepwise));
}
on_each!(a_whole_that_succeeds_ends_where_single_steps_do: postgresql, sqlite);

/// The engine is given the planned revisions, not a target that it would find a way to.
#[test]
fn merges_branches_and_dependencies_are_walked_as_planned() {
    for shape in [
        "diamond",
        "forest",
        "merge_of_merges",
        "depends_on",
        "three_way_merge",
        "two_heads",
    ] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = upgraded(shape, &database);
        let plan = project.run("plan base --format json").exits(0).json();
        let run = project
            .run("downgrade-safe base -y --allow-failing --atomic --format json")
            .exits(0);
        let planned: Vec<_> = plan["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["removes"].clone())
            .collect();
        let applied: Vec<_> = events(&run, "step_applied")
            .iter()
            .map(|line| line["removes"].clone())
            .collect();
        assert_eq!(applied, planned, "{shape}\n{run}");
        assert_eq!(rows(&database), [""; 0], "{shape}");
    }
}

/// What ends the transaction is stopped before it does, or seen right after.
#[test]
fn a_migration_that_commits_by_itself_ends_the_run() {
    for (last, words, exit) in [
        (
            "with op.get_context().autocommit_block():\n        pass",
            "autocommit_block",
            4,
        ),
        ("op.get_bind().commit()", "commits by itself", 4),
        ("op.execute(\"COMMIT\")", "ended the transaction", 5),
    ] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = ten(&database, last);
        let before = everything(&database);
        let run = project
            .run("downgrade-safe base -y --allow-failing --atomic --format json")
            .exits(exit);
        assert!(run.stderr.contains(words), "{run}");
        if exit == 4 {
            assert_eq!(everything(&database), before, "{run}");
        }
    }
}

#[test]
fn where_it_cannot_be_kept_it_is_refused() {
    let refused = |project: &Project, database: &TestDatabase<'_>, line: &str, words: &str| {
        let run = project
            .rollback(line)
            .env("ROLLBACK_DATABASE_URL", &database.url())
            .run()
            .exits(3);
        assert!(run.stderr.contains(words), "{run}");
        assert_eq!(rows(database), ["r10"], "{run}");
    };
    let line = "downgrade-safe -2 -y --allow-failing --atomic";

    let database = TestDatabase::create(Kind::MariaDb);
    refused(
        &ten(&database, "pass"),
        &database,
        line,
        "commits at each statement",
    );

    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass").file("engine", "#!/bin/sh\nexec alembic \"$@\"\n");
    project.make_executable("engine");
    let plain = format!("{line} --engine-command ./engine");
    refused(&project, &database, &plain, "cannot be entered");
    let project = project.edit(
        "migrations/env.py",
        "context.configure(connection=connection)",
        "context.configure(connection=connection, transaction_per_migration=True)",
    );
    refused(&project, &database, line, "transaction_per_migration");

    let database = TestDatabase::create(Kind::Sqlite);
    let project = ten(&database, "pass");
    let holder = File::open(database.path()).unwrap();
    refused(&project, &database, line, "is open in another process");
    drop(holder);
    project.run(line).exits(0);
}

/// A reader that opens the file during the run keeps it from being put back; the copy is then named.
#[test]
fn a_file_that_somebody_opened_meanwhile_is_not_overwritten() {
    let database = TestDatabase::create(Kind::Sqlite);
    let hold = "import subprocess, sys; subprocess.Popen(['sleep', '20'], stdin=open(sys.argv[1]))";
    let last = format!(
        "import sys; sys.argv[1] = {:?}\n    {hold}\n    {FAILS}",
        database.path().display().to_string()
    );
    let project = ten(&database, &last);
    let run = project
        .run("downgrade-safe base -y --allow-failing --atomic --format json")
        .exits(5);
    assert!(run.stderr.contains("is open in another process"), "{run}");
    assert!(run.stderr.contains("it is kept as"), "{run}");
}

/// The log of WAL mode belongs to the file.
#[test]
fn a_file_in_wal_mode_is_put_back_whole() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = ten(&database, FAILS);
    database.execute("PRAGMA journal_mode = WAL");
    database.execute("INSERT INTO t3 (id, name) VALUES (3, 'three')");
    let before = everything(&database);
    project
        .run("downgrade-safe base -y --allow-failing --atomic")
        .exits(4);
    assert_eq!(everything(&database), before);
    assert_eq!(database.query_one("PRAGMA journal_mode"), "wal");
}
