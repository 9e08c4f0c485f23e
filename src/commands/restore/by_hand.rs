//! The commands that restore a backup without this program. None holds a password: the clients ask for it.

use std::path::Path;

use rollback_core::connection::ConnectionFacts;
use rollback_core::dialect::Dialect;

/// The command for a database and a file; `None` for a server that has no such client.
pub(super) fn by_hand(facts: &ConnectionFacts, file: &Path) -> Option<String> {
    let path = file.display().to_string();
    let database = facts.database.clone().unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(
            value
                .into_iter()
                .flat_map(|value| [format!("--{name}"), value]),
        );
    };
    let port = facts.port.map(|port| port.to_string());
    match facts.known_dialect()? {
        Dialect::Postgres => {
            option("host", facts.host.clone());
            option("port", port);
            option("username", facts.user.clone());
            option("dbname", Some(database));
            let words = joined(&words)?;
            let path = joined(&[path])?;
            Some(format!(
                "pg_restore --clean --if-exists --single-transaction {words} {path}"
            ))
        }
        Dialect::MySql => {
            if let Some(socket) = &facts.socket {
                option("socket", Some(socket.clone()));
            } else {
                option("protocol", Some("tcp".to_owned()));
                option("host", facts.host.clone());
                option("port", port);
            }
            option("user", facts.user.clone());
            option("max-allowed-packet", Some("1G".to_owned()));
            let words = joined(&words)?;
            let (database, path) = (joined(&[database])?, joined(&[path])?);
            Some(format!(
                "mariadb {words} --password --binary-mode {database} < {path}"
            ))
        }
        Dialect::Sqlite => {
            let remove = joined(&[format!("{database}-wal"), format!("{database}-shm")])?;
            let copy = joined(&[path, database])?;
            Some(format!("rm -f {remove} && cp {copy}"))
        }
    }
}

/// As a shell reads them.
fn joined(words: &[String]) -> Option<String> {
    shlex::try_join(words.iter().map(String::as_str)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollback_database::url;

    #[test]
    fn each_server_has_its_own_command_and_none_has_the_password() {
        for (url, expected) in [
            (
                "postgresql://u:s3cret@h:5433/d",
                "pg_restore --clean --if-exists --single-transaction --host h --port 5433 --username u --dbname d '/a b.dump'",
            ),
            (
                "mysql+pymysql://u:s3cret@h/d",
                "mariadb --protocol tcp --host h --user u --max-allowed-packet 1G --password --binary-mode d < '/a b.dump'",
            ),
            (
                "sqlite:////app.db",
                "rm -f /app.db-wal /app.db-shm && cp '/a b.dump' /app.db",
            ),
        ] {
            let facts = url::parse(url, Path::new("/")).unwrap();
            let command = by_hand(&facts, Path::new("/a b.dump"));
            assert_eq!(command.as_deref(), Some(expected));
        }
    }
}
