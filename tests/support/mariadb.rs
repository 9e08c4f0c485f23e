//! How a throw-away MariaDB is made and run.

use std::fs;
use std::path::{Path, PathBuf};

use super::server::{PASSWORD, USER, program, shell_word};
use super::supervisor::Commands;

pub(super) fn commands(directory: &Path, port: u16) -> Commands {
    let places = [
        "/usr/sbin",
        "/usr/libexec",
        "/usr/local/sbin",
        "/opt/homebrew/bin",
    ];
    let places = places.map(PathBuf::from);
    let install = shell_word(&program(
        &["mariadb-install-db", "mysql_install_db"],
        &places,
    ));
    let server = shell_word(&program(&["mariadbd", "mysqld"], &places));
    fs::write(directory.join("users.sql"), users()).unwrap();
    Commands {
        fill: format!(
            "{install} --no-defaults --datadir=\"$PWD/data\" --skip-test-db --skip-name-resolve \
             --auth-root-authentication-method=normal"
        ),
        // Nothing here has to survive a power failure.
        serve: format!(
            "{server} --no-defaults --datadir=\"$PWD/data\" --port={port} --bind-address=127.0.0.1 \
             --socket=\"$PWD/mariadb.sock\" --pid-file=\"$PWD/mariadb.pid\" --tmpdir=\"$PWD\" \
             --init-file=\"$PWD/users.sql\" --skip-name-resolve --skip-log-bin \
             --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 \
             --innodb-buffer-pool-size=16M --innodb-log-file-size=8M"
        ),
        stop_signal: "TERM",
        end_signal: "KILL",
        afterwards: "",
    }
}

/// Makes the owner of everything.
pub(super) fn users() -> String {
    let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
    // For both ways in: on a socket the host is `localhost`, which `%` does not always include.
    ["%", "localhost"]
        .iter()
        .map(|host| {
            format!(
                "CREATE USER IF NOT EXISTS '{USER}'@'{host}' IDENTIFIED BY '{password}';\n\
                 GRANT ALL ON *.* TO '{USER}'@'{host}' WITH GRANT OPTION;\n"
            )
        })
        .collect()
}

pub(super) fn socket(directory: &Path) -> String {
    directory.join("mariadb.sock").display().to_string()
}
