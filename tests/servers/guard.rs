//! A deploy that undoes itself, with a real health check.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::project::{Project, workflows};
use crate::support::{Kind, TestDatabase};

/// An application that answers one question after its health by this status. Gives the command that asks, and what
/// ends with the answer.
fn application(status: &'static str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /health "));
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
    });
    let ask = format!(
        "python -c \"import urllib.request; urllib.request.urlopen('http://{address}/health')\""
    );
    (ask, answer)
}

/// `rollback guard` over a migration and a health check, as a shell would be given it.
fn deploy(project: &Project, migrate: &str, ask: &str) -> crate::project::Run {
    let line = format!("{migrate} && {ask}");
    let line = shlex::try_quote(&line).unwrap();
    project.run(&format!("guard -y --reason 'release 4.2' -- sh -c {line}"))
}

/// Turns red if what an unhealthy release applied stays, or what was there before goes.
fn an_unhealthy_release_is_taken_back_and_a_healthy_one_stays(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = Project::alembic("linear").env("DATABASE_URL", database.url());
    project.engine("alembic upgrade 2b3c4d5e6f02");
    let before = database.open().schema().unwrap();
    let rows = || database.query("SELECT version_num FROM alembic_version");

    let (ask, answered) = application("500 Internal Server Error");
    let run = deploy(&project, "alembic upgrade head", &ask).exits(8);
    answered.join().unwrap();
    assert!(run.stderr.contains("HTTP Error 500"), "{kind:?}: {run}");
    assert_eq!(rows(), [[Some("2b3c4d5e6f02".to_owned())]], "{kind:?}");
    assert_eq!(database.open().schema().unwrap(), before, "{kind:?}");
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["exit_code"], 8);
    assert_eq!(report["guarded"]["exit_status"], 1);

    let (ask, answered) = application("200 OK");
    deploy(&project, "alembic upgrade head", &ask).exits(0);
    answered.join().unwrap();
    assert_eq!(rows(), [[Some("5e6f7a8b9c05".to_owned())]], "{kind:?}");
}
on_each!(an_unhealthy_release_is_taken_back_and_a_healthy_one_stays: sqlite, postgresql, mariadb);

/// Turns red if the version table alone is believed where the server keeps half of a migration.
#[test]
fn half_a_migration_is_called_what_the_server_made_of_it() {
    for (kind, exit) in [(Kind::PostgreSql, 8), (Kind::MariaDb, 5)] {
        let database = TestDatabase::create(kind);
        let project = Project::alembic("linear")
            .env("DATABASE_URL", database.url())
            .edit(
                "migrations/versions/4d5e6f7a8b04_index_orders_by_customer.py",
                "def upgrade():\n",
                "def upgrade():\n    op.execute('CREATE TABLE half (id integer)')\n    raise RuntimeError('half way')\n",
            );
        project.engine("alembic upgrade 3c4d5e6f7a03");
        let run = project.run("guard -y -- alembic upgrade head").exits(exit);
        assert_eq!(run.stderr.contains("new:  table half"), exit == 5, "{run}");
    }
}

/// `supabase db push`, as far as a database sees it. With a version in `UNTIL` it stops there.
const SUPABASE: &str = "\
#!/usr/bin/env python
import os, pathlib, sys
import psycopg2

assert sys.argv[1:4] == ['db', 'push', '--db-url'], sys.argv
with psycopg2.connect(sys.argv[4]) as connection, connection.cursor() as cursor:
    cursor.execute('CREATE SCHEMA IF NOT EXISTS supabase_migrations')
    cursor.execute('CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations '
                   '(version text PRIMARY KEY, statements text[], name text)')
    cursor.execute('SELECT version FROM supabase_migrations.schema_migrations')
    applied = {version for version, in cursor}
    for file in sorted(pathlib.Path('migrations').glob('*.sql')):
        version, name = file.stem.split('_', 1)
        if version in applied or version > os.environ.get('UNTIL', version):
            continue
        cursor.execute(file.read_text())
        cursor.execute('INSERT INTO supabase_migrations.schema_migrations VALUES (%s, NULL, %s)', (version, name))
";

/// Turns red if the workflow of the page does not take a Supabase release back, takes more, or if the next push does
/// not apply it again.
#[test]
fn the_workflow_for_supabase_takes_an_unhealthy_release_back() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let url = database.url().replace("+psycopg2", "");
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("SUPABASE_DB_URL", &url)
        .env("UNTIL", "20250107090000")
        .file("stubs/supabase", SUPABASE)
        .stub("deploy", "echo \"$1\" >> released")
        .stub("stubs/pip", "exit 0");
    project.make_executable("stubs/supabase");
    project.engine(&format!("python stubs/supabase db push --db-url {url}"));
    let project = project.env("UNTIL", "9");
    let pushed = || {
        database.query_one(
            "SELECT string_agg(substr(version, 1, 8), ' ' ORDER BY version) FROM supabase_migrations.schema_migrations",
        )
    };
    let tables = || {
        database.query_one(
            "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'",
        )
    };
    let workflow = workflows("docs/deploy.md").remove(1);
    let play = |project: &Project| {
        let given = [
            ("secrets.SUPABASE_DB_URL", url.as_str()),
            ("vars.HEALTH_URL", "https://app.example/health"),
            ("github.event.before", "before"),
        ];
        project.play(&workflow, &given)
    };

    let project = project.stub("stubs/curl", "exit 22");
    let played = play(&project);
    assert!(played.failed, "{}", played.output);
    assert_eq!(pushed(), "20250106 20250107", "{}", played.output);
    assert_eq!(tables(), "customers products", "{}", played.output);
    let released = std::fs::read_to_string(project.root().join("released")).unwrap();
    assert_eq!(released, "0123abcd\nbefore\n", "{}", played.output);
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["exit_code"], 8);
    assert_eq!(report["guarded"]["exit_status"], 22);

    let project = project.stub("stubs/curl", "exit 0");
    let played = play(&project);
    assert!(!played.failed, "{}", played.output);
    assert_eq!(pushed(), "20250106 20250107 20250108 20250109 20250110");
}
