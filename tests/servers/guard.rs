//! A deploy that undoes itself, with a real health check.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::project::Project;
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
#[test]
fn an_unhealthy_release_is_taken_back_and_a_healthy_one_stays() {
    for kind in Kind::ALL {
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
}

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
