//! How a throw-away MySQL is made and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::mariadb::users;
use super::server::shell_word;
use super::supervisor::Commands;

/// The folder with `mysqld`, `mysqldump` and `mysql`: of `ROLLBACK_TEST_MYSQL_BIN`, of `scripts/setup-servers mysql`,
/// or the one of `PATH` that has a `mysqld` which is not MariaDB's.
pub(super) fn folder() -> Option<&'static Path> {
    static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        if let Some(named) = std::env::var_os("ROLLBACK_TEST_MYSQL_BIN") {
            let named = PathBuf::from(named);
            assert!(
                is_mysql(&named),
                "ROLLBACK_TEST_MYSQL_BIN names {}, which has no mysqld of MySQL",
                named.display()
            );
            return Some(named);
        }
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/servers/mysql/bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::iter::once(installed)
            .chain(std::env::split_paths(&path))
            .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
            .find(|folder| is_mysql(folder))
    });
    FOLDER.as_deref()
}

/// On Debian, `mysqld` is MariaDB's if that is installed.
fn is_mysql(folder: &Path) -> bool {
    let server = folder.join("mysqld");
    server.is_file()
        && Command::new(server)
            .arg("--version")
            .output()
            .is_ok_and(|output| {
                output.status.success()
                    && !String::from_utf8_lossy(&output.stdout).contains("MariaDB")
            })
}

pub(super) fn commands(directory: &Path, port: u16) -> Commands {
    let folder = folder().expect(
        "MySQL is not installed: run `scripts/setup-servers mysql` on Debian, or name the folder of its programs in \
         ROLLBACK_TEST_MYSQL_BIN",
    );
    let server = shell_word(&folder.join("mysqld"));
    fs::write(directory.join("users.sql"), users()).unwrap();
    // Nothing here has to survive a power failure.
    let common = "--no-defaults --user=\"$(id -un)\" --datadir=\"$PWD/data\" --innodb-redo-log-capacity=32M \
         --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-buffer-pool-size=16M";
    Commands {
        fill: format!("{server} {common} --initialize-insecure"),
        serve: format!(
            "{server} {common} --port={port} --bind-address=127.0.0.1 --socket=\"$PWD/mysql.sock\" \
             --pid-file=\"$PWD/data/mysql.pid\" --tmpdir=\"$PWD\" --secure-file-priv=\"$PWD\" \
             --init-file=\"$PWD/users.sql\" --skip-name-resolve --skip-log-bin --mysqlx=OFF \
             --event-scheduler=OFF"
        ),
        stop_signal: "TERM",
        end_signal: "KILL",
        afterwards: "",
    }
}

pub(super) fn socket(directory: &Path) -> String {
    directory.join("mysql.sock").display().to_string()
}
