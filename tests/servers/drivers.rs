//! Every driver of the three servers that can be installed without a compiler, in projects that Alembic's own templates
//! make: each is rolled back to its base.

use crate::project::Project;
use crate::support::{Kind, TestDatabase};
use crate::walk::{events, rows, tables};

/// A table with an index, and rows in it.
fn revision(number: usize) -> String {
    let before = match number {
        1 => "None".to_owned(),
        _ => format!("\"r{}\"", number - 1),
    };
    format!(
        r#""""Create table t{number}"""

import sqlalchemy as sa
from alembic import op

revision = "r{number}"
down_revision = {before}
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("t{number}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
    op.create_index("ix_t{number}", "t{number}", ["name"])
    op.execute("INSERT INTO t{number} (id, name) VALUES ({number}, 'one')")


def downgrade():
    op.drop_index("ix_t{number}", table_name="t{number}")
    op.drop_table("t{number}")
"#
    )
}

/// A project that `alembic init` made, with three revisions, upgraded.
fn made_by(template: &str, database: &TestDatabase<'_>, driver: &str) -> Project {
    let project = Project::empty_of("drivers");
    project.engine(&format!("alembic init -t {template} migrations"));
    let url = database.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let dialect = scheme.split('+').next().unwrap();
    // In an ini file each `%` is doubled.
    let url = format!("{dialect}+{driver}://{rest}").replace('%', "%%");
    let project = project.edit("alembic.ini", "driver://user:pass@localhost/dbname", &url);
    let project = (1..=3).fold(project, |project, number| {
        project.file(
            &format!("migrations/versions/r{number}.py"),
            revision(number),
        )
    });
    project.engine("alembic upgrade head");
    project
}

/// A plan says what comes, and a run does it. The first driver of a server has a backup made before.
fn rolled_back(kind: Kind, cases: &[(&str, &str)]) {
    for (at, (template, driver)) in cases.iter().enumerate() {
        let story = format!("{kind:?} by {driver}, template {template}");
        let database = TestDatabase::create(kind);
        let project = made_by(template, &database, driver);
        assert_eq!(rows(&database), ["r3"], "{story}");
        let plan = project.run("plan base --format json").exits(0).json();
        let steps = plan["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 3, "{story}: {plan:#}");
        for step in steps {
            let codes: Vec<&str> = step["findings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|finding| finding["code"].as_str().unwrap())
                .collect();
            assert!(codes.contains(&"table-dropped"), "{story}: {plan:#}");
            assert!(!codes.contains(&"unknown-code"), "{story}: {plan:#}");
        }
        let backup = if at == 0 { " --backup" } else { "" };
        let run = project
            .run(&format!(
                "downgrade-safe base -y --allow all --format json{backup}"
            ))
            .exits(0);
        let lines = run.json_lines();
        assert_eq!(events(&lines, "step_finished").len(), 3, "{story}\n{run}");
        let backups = events(&lines, "backup_finished");
        assert_eq!(backups.len(), usize::from(at == 0), "{story}\n{run}");
        assert!(!run.stderr.contains("warning"), "{story}\n{run}");
        assert_eq!(rows(&database), [""; 0], "{story}\n{run}");
        let tables = tables(&database);
        assert_eq!(tables.len(), 1, "{story}: {tables:?}");
    }
}

/// Turns red if a driver of PostgreSQL, or a template, is not rolled back.
#[test]
fn every_driver_of_postgresql_is_rolled_back() {
    rolled_back(
        Kind::PostgreSql,
        &[
            ("generic", "psycopg2"),
            ("generic", "psycopg"),
            ("generic", "pg8000"),
            ("async", "asyncpg"),
            ("async", "psycopg_async"),
            ("pyproject", "psycopg2"),
        ],
    );
}

/// Turns red if a driver of MariaDB and MySQL is not rolled back.
#[test]
fn every_driver_of_mariadb_is_rolled_back() {
    rolled_back(
        Kind::MariaDb,
        &[
            ("generic", "pymysql"),
            ("async", "aiomysql"),
            ("async", "asyncmy"),
        ],
    );
}

/// Turns red if a driver of SQLite is not rolled back.
#[test]
fn every_driver_of_sqlite_is_rolled_back() {
    rolled_back(
        Kind::Sqlite,
        &[("generic", "pysqlite"), ("async", "aiosqlite")],
    );
}

/// Turns red if a project of several databases is rolled back in part, or refused without its reason.
#[test]
fn a_project_of_several_databases_is_refused() {
    let project = Project::empty_of("drivers");
    project.engine("alembic init -t multidb migrations");
    let project = project
        .edit(
            "alembic.ini",
            "driver://user:pass@localhost/dbname2",
            "sqlite:///second.db",
        )
        .edit(
            "alembic.ini",
            "driver://user:pass@localhost/dbname",
            "sqlite:///first.db",
        )
        .file(
            "migrations/versions/r1.py",
            "revision = \"r1\"\ndown_revision = None\n\n\ndef upgrade(engine_name):\n    pass\n\n\n\
             def downgrade(engine_name):\n    pass\n",
        );
    project.engine("alembic upgrade head");
    let refused = project.run("downgrade-safe base -y --allow all").exits(1);
    assert!(
        refused.stderr.contains("migrates several databases"),
        "{refused}"
    );
    assert_eq!(project.engine("alembic current").matches("r1").count(), 2);
}
