//! What a run says about a failure that its own step brought about, and about version rows, on each server.

use crate::project::Project;
use crate::support::{Kind, TestDatabase};

fn revision(id: &str, below: Option<&str>, upgrade: &str, downgrade: &str) -> String {
    let below = below.map_or("None".to_owned(), |below| format!("'{below}'"));
    let body =
        |text: &str| -> String { text.lines().map(|line| format!("    {line}\n")).collect() };
    format!(
        "import sqlalchemy as sa\nfrom alembic import op\n\nrevision = '{id}'\ndown_revision = {below}\n\n\n\
         def upgrade():\n{}\n\ndef downgrade():\n{}",
        body(upgrade),
        body(downgrade)
    )
}

/// A project of two revisions, at the newer one.
fn project(database: &TestDatabase<'_>, first: (&str, &str), second: (&str, &str)) -> Project {
    let project = Project::alembic("linear").env("DATABASE_URL", database.url());
    for file in project.files() {
        if file.starts_with("migrations/versions") {
            std::fs::remove_file(project.root().join(file)).unwrap();
        }
    }
    let project = project
        .file(
            "migrations/versions/aaaa1111.py",
            revision("aaaa1111", None, first.0, first.1),
        )
        .file(
            "migrations/versions/bbbb1111.py",
            revision("bbbb1111", Some("aaaa1111"), second.0, second.1),
        );
    project.engine("alembic upgrade head");
    project
}

const NOTES: (&str, &str) = (
    "op.create_table('notes', sa.Column('id', sa.Integer, primary_key=True), sa.Column('title', sa.String(20)))",
    "op.drop_table('notes')",
);

/// The last account of a run that failed: its diagnosis.
fn diagnosis(project: &Project, line: &str) -> serde_json::Value {
    let run = project.run(&format!("{line} --format json"));
    let lines = run.json_lines();
    let last = lines.last().unwrap_or_else(|| panic!("{run}"));
    assert_ne!(last["diagnosis"]["code"], serde_json::Value::Null, "{run}");
    last["diagnosis"].clone()
}

/// Turns red if an object that the step makes twice, or removes before it needs it, is said to have been there, or
/// gone, before the step.
#[test]
fn a_step_that_stands_in_its_own_way_is_told_from_what_it_found() {
    let enum_twice = (
        "op.drop_table('cfg')\nop.execute('DROP TYPE scope_type')",
        "scope = sa.Enum('a', 'b', name='scope_type')\nscope.create(op.get_bind(), checkfirst=True)\n\
         op.create_table('cfg', sa.Column('id', sa.Integer, primary_key=True), sa.Column('scope', scope))",
    );
    let with_enum = (
        "op.create_table('cfg', sa.Column('id', sa.Integer, primary_key=True), sa.Column('scope', sa.Enum('a', 'b', name='scope_type')))",
        "op.drop_table('cfg')\nop.execute('DROP TYPE scope_type')",
    );
    let database = TestDatabase::create(Kind::PostgreSql);
    let told = diagnosis(
        &project(&database, with_enum, enum_twice),
        "downgrade-safe -1 -y",
    );
    assert_eq!(told["code"], "already-exists");
    let cause = told["cause"].as_str().unwrap();
    assert!(
        cause.contains("the step itself makes scope_type at bbbb1111.py:15"),
        "{told:#}"
    );
    assert!(
        told["what_to_do"].to_string().contains("create_type=False"),
        "{told:#}"
    );

    // The forecast does not follow how this name comes about.
    let unseen = "name = bytes.fromhex('6d616465').decode()\nfor _ in range(2): op.execute(f'CREATE TABLE {name} (id integer)')";
    let made_twice = "op.execute('CREATE TABLE made (id integer)')\nop.execute('CREATE TABLE made (id integer)')";
    let by_hand = "op.execute('CREATE TABLE by_hand (id integer)')";
    for (kind, downgrade, code, cause) in [
        (
            Kind::PostgreSql,
            made_twice,
            "already-exists",
            "the step itself makes made at bbbb1111.py:13, and then makes it again",
        ),
        (
            Kind::Sqlite,
            made_twice,
            "already-exists",
            "the step itself makes made at bbbb1111.py:13, and then makes it again",
        ),
        (
            Kind::PostgreSql,
            unseen,
            "already-exists",
            "made did not exist before this step, and exists when the step makes it",
        ),
        (
            Kind::MariaDb,
            unseen,
            "already-exists",
            "made did not exist before this step, and exists when the step makes it",
        ),
        (
            Kind::PostgreSql,
            by_hand,
            "already-exists",
            "by_hand existed already before this step",
        ),
        (
            Kind::MariaDb,
            by_hand,
            "already-exists",
            "by_hand existed already before this step",
        ),
        (
            Kind::Sqlite,
            by_hand,
            "already-exists",
            "by_hand existed already before this step",
        ),
        (
            Kind::PostgreSql,
            "op.execute('CREATE TABLE notes (id integer)')",
            "already-exists",
            "notes exists already: revision aaaa1111 at aaaa1111.py:9 made it",
        ),
        (
            Kind::PostgreSql,
            "op.execute('DROP TABLE notes')\nop.execute('DROP TABLE notes')",
            "table-missing",
            "the step itself removes table notes at bbbb1111.py:13, and needs it afterwards",
        ),
        (
            Kind::PostgreSql,
            "op.execute('DROP TABLE nothing')",
            "table-missing",
            "table nothing does not exist",
        ),
    ] {
        let database = TestDatabase::create(kind);
        let project = project(&database, NOTES, ("pass", downgrade));
        database.execute("CREATE TABLE by_hand (id integer)");
        let told = diagnosis(&project, "downgrade-safe -1 -y --allow-failing");
        assert_eq!(told["code"], code, "{kind:?} {downgrade}\n{told:#}");
        assert_eq!(told["cause"], cause, "{kind:?} {downgrade}\n{told:#}");
    }
}

/// Turns red if repeated rows pass on a server, if the step is begun, or if the suggested statement leaves another
/// number of rows than one.
fn repeated_rows_are_refused_and_can_be_corrected(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = project(&database, NOTES, ("pass", "pass"));
    for statement in [
        "DROP TABLE alembic_version",
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "INSERT INTO alembic_version VALUES ('bbbb1111'), ('bbbb1111'), ('bbbb1111')",
    ] {
        database.execute(statement);
    }
    let run = project.run("downgrade-safe -1 -y").exits(3);
    assert!(
        run.stderr.contains("has the row bbbb1111 3 times"),
        "{kind:?}: {run}"
    );
    let correction = run.stderr.split_once("correct it: ").unwrap().1;
    database.execute(correction.lines().next().unwrap().trim_end_matches(';'));
    let rows = database.query("SELECT version_num FROM alembic_version");
    assert_eq!(rows, [[Some("bbbb1111".to_owned())]], "{kind:?}");
    project.run("downgrade-safe -1 -y").exits(0);
}
on_each!(repeated_rows_are_refused_and_can_be_corrected: sqlite, postgresql, mariadb);

/// Turns red if an emptied version table is called rolled back on a server.
fn an_emptied_version_table_is_refused_on_each_server(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = project(&database, NOTES, ("pass", "pass"));
    database.execute("DELETE FROM alembic_version");
    let told = project.run("current").exits(0);
    assert!(
        told.stdout.contains("notes (made by aaaa1111)"),
        "{kind:?}: {told}"
    );
    let run = project.run("downgrade-safe -1 -y").exits(3);
    assert!(
        run.stderr.contains("alembic stamp REVISION"),
        "{kind:?}: {run}"
    );
}
on_each!(an_emptied_version_table_is_refused_on_each_server: sqlite, postgresql, mariadb);

/// Turns red if a transaction that env.py leaves open is noticed on SQLite alone.
fn a_transaction_that_is_left_open_is_refused_on_each_server(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = project(&database, NOTES, ("pass", "pass")).edit(
        "migrations/env.py",
        "context.configure(connection=connection)",
        "connection.exec_driver_sql('SELECT 1').scalar()\n        context.configure(connection=connection)",
    );
    let run = project.run("downgrade-safe -1 -y").exits(3);
    assert!(
        run.stderr.contains("a transaction was open"),
        "{kind:?}: {run}"
    );
    let project = project.edit(
        "migrations/env.py",
        "        context.configure(connection=connection)",
        "        connection.commit()\n        context.configure(connection=connection)",
    );
    project.run("downgrade-safe -1 -y").exits(0);
}
on_each!(a_transaction_that_is_left_open_is_refused_on_each_server: sqlite, postgresql, mariadb);
