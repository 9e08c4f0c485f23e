//! What the client of a server says is in a database.

use std::process::Command;

use crate::backup::real;
use crate::support::{Kind, PASSWORD, TestDatabase, USER};

/// Definitions and rows as `pg_dump`, `mariadb-dump` or `sqlite3` writes them, without what differs from one dump of
/// the same database to the next.
pub(crate) fn dump(database: &TestDatabase<'_>, options: &[&str]) -> Vec<String> {
    let facts = database.facts();
    let port = || format!("--port={}", facts.port.unwrap());
    let mut client = match database.kind() {
        Kind::PostgreSql => {
            let mut client = Command::new(real("pg_dump"));
            client
                .args(["--host=127.0.0.1", "--username", USER])
                .arg(port())
                .arg(format!("--dbname={}", database.name()))
                .env("PGPASSWORD", PASSWORD);
            client
        }
        Kind::MariaDb | Kind::MySql => {
            let mut client = Command::new(real(database.kind().clients().0));
            client
                .args(["--host=127.0.0.1", "--user", USER])
                .arg(port())
                .args(["--skip-comments", "--order-by-primary"])
                .args(["--routines", "--events", "--triggers"])
                .arg(database.name())
                .env("MYSQL_PWD", PASSWORD);
            client
        }
        Kind::Sqlite => {
            let mut client = Command::new(real("sqlite3"));
            client.arg(database.path()).arg(".dump");
            client
        }
    };
    let output = client.args(options).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Newer versions of pg_dump put a word of chance around the text.
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("restrict "))
        .map(str::to_owned)
        .collect()
}
