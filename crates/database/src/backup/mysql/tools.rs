//! The clients of MariaDB and MySQL, and how they are told where to go.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sqlx::mysql::MySqlSslMode;

use super::super::BackupError;
use super::super::client::{Program, programs};
use crate::mysql::options;
use rollback_core::connection::ConnectionFacts;
use rollback_system::process::{Environment, is_executable};

/// The first release of MariaDB whose client writes the history of tables.
const HISTORY: (u32, u32) = (10, 11);

/// The program that dumps and the one that loads.
#[derive(Debug, Clone)]
pub(super) struct MySqlTools {
    /// `mariadb-dump 10.11.14`.
    pub(super) version: String,
    /// What errors call them.
    pub(super) dump_name: &'static str,
    pub(super) load_name: &'static str,
    pub(super) dump: PathBuf,
    pub(super) load: PathBuf,
    /// Whether they are MariaDB's, which know other options than MySQL's.
    pub(super) is_mariadb: bool,
    /// Whether the client writes the history of system-versioned tables, and the server reads it.
    pub(super) keeps_history: bool,
}

impl MySqlTools {
    /// The ones of the server's own kind, or where there are none the other ones.
    pub(super) fn find(environment: &Environment, server: &str) -> Result<Self, BackupError> {
        let for_mariadb = server.starts_with("MariaDB");
        let names: [&'static str; 2] = if for_mariadb {
            ["mariadb-dump", "mysqldump"]
        } else {
            ["mysqldump", "mariadb-dump"]
        };
        let package = if for_mariadb {
            "mariadb-client"
        } else {
            "mysql-client"
        };
        let missing = |program| BackupError::NoClient {
            program,
            package: package.to_owned(),
        };
        let found = programs(&names, environment, &[]);
        // What is called `mysqldump` is MariaDB's on many machines.
        let program = found
            .iter()
            .find(|program| is_mariadb(program) == for_mariadb)
            .or(found.first())
            .ok_or_else(|| missing(names[0]))?;
        let (dump_name, load_name) = if program.file.ends_with("mariadb-dump") {
            ("mariadb-dump", "mariadb")
        } else {
            ("mysqldump", "mysql")
        };
        let load = program
            .file
            .parent()
            .unwrap_or(Path::new(""))
            .join(load_name);
        if !is_executable(&load) {
            return Err(missing(load_name));
        }
        let version = format!("{dump_name} {}", number(&program.version));
        let installed = release(number(&program.version));
        let required = release(server.split(' ').nth(1).unwrap_or_default());
        // MariaDB's clients read older and newer servers; MySQL's ask for what older ones have not.
        if !is_mariadb(program) && installed.0 < required.0 {
            return Err(BackupError::OldClient {
                client: version,
                server: server.to_owned(),
                package: package.to_owned(),
            });
        }
        Ok(Self {
            version,
            dump_name,
            load_name,
            dump: program.file.clone(),
            load,
            is_mariadb: is_mariadb(program),
            keeps_history: is_mariadb(program)
                && for_mariadb
                && installed >= HISTORY
                && required >= HISTORY,
        })
    }

    /// The pipe that a client reads its options from, as the only file of options that it reads: the
    /// password is on no disk, in no argument and in no environment.
    pub(super) fn options(
        &self,
        facts: &ConnectionFacts,
        is_encrypted: bool,
    ) -> Result<io::PipeReader, BackupError> {
        let failed = |source| BackupError::Io {
            path: "a pipe".into(),
            source,
        };
        let text = option_file(facts, self.is_mariadb, is_encrypted)?;
        let (reader, mut writer) = io::pipe().map_err(failed)?;
        // Far less than a pipe holds, so nobody needs to read yet.
        writer.write_all(text.as_bytes()).map_err(failed)?;
        Ok(reader)
    }
}

/// `(10, 11)` of `10.11.14`.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten().unwrap_or_default();
    (next(), next())
}

fn is_mariadb(program: &Program) -> bool {
    program.version.contains("MariaDB")
}

/// `10.11.14` of `mariadb-dump  Ver 10.19 Distrib 10.11.14-MariaDB, for ...`, and of newer ones
/// `mariadb-dump from 11.4.2-MariaDB, client 10.19 for ...`, `8.4.3` of `mysqldump  Ver 8.4.3 for ...`.
fn number(version: &str) -> &str {
    ["Distrib ", "from ", "Ver "]
        .iter()
        .find_map(|word| version.split_once(word))
        .and_then(|(_, rest)| rest.split([' ', ',', '-']).next())
        .unwrap_or(version)
}

/// <https://mariadb.com/kb/en/configuring-mariadb-with-option-files/>
fn option_file(
    facts: &ConnectionFacts,
    for_mariadb: bool,
    is_encrypted: bool,
) -> Result<String, BackupError> {
    let connect = options(facts)?;
    let connect = &connect[0];
    let option = |name: &str| {
        let found = facts.options.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    let mut lines = vec![
        ("user", facts.user.clone().unwrap_or("root".to_owned())),
        ("default-character-set", "utf8mb4".to_owned()),
        ("max-allowed-packet", "1G".to_owned()),
    ];
    if let Some(socket) = &facts.socket {
        lines.push(("protocol", "socket".to_owned()));
        lines.push(("socket", socket.clone()));
    } else {
        // The clients take `localhost` for the socket, the drivers do not.
        lines.push(("protocol", "tcp".to_owned()));
        lines.push(("host", connect.get_host().to_owned()));
        lines.push(("port", connect.get_port().to_string()));
    }
    if let Some(password) = &facts.password {
        lines.push(("password", password.reveal().to_owned()));
    }
    for (name, key) in [
        ("ssl-ca", "ssl_ca"),
        ("ssl-cert", "ssl_cert"),
        ("ssl-key", "ssl_key"),
    ] {
        if !matches!(connect.get_ssl_mode(), MySqlSslMode::Disabled) {
            lines.extend(option(key).map(|value| (name, value)));
        }
    }
    let (mode, verifies) = match connect.get_ssl_mode() {
        // What our own connection came to: a client that only prefers it tells it apart in ways of its own.
        MySqlSslMode::Preferred if is_encrypted => ("REQUIRED", false),
        MySqlSslMode::Preferred | MySqlSslMode::Disabled => ("DISABLED", false),
        MySqlSslMode::Required => ("REQUIRED", false),
        MySqlSslMode::VerifyCa => ("VERIFY_CA", true),
        MySqlSslMode::VerifyIdentity => ("VERIFY_IDENTITY", true),
    };
    if for_mariadb {
        // There is but one kind of verification, which is the stricter one.
        let one = |is: bool| if is { "1" } else { "0" }.to_owned();
        lines.push(("ssl", one(mode != "DISABLED")));
        lines.push(("ssl-verify-server-cert", one(verifies)));
    } else {
        lines.push(("ssl-mode", mode.to_owned()));
    }
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name}={}\n", quoted(value)));
    Ok(format!("[client]\n{}", lines.collect::<String>()))
}

/// A value that is read back as it is, whatever it holds.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url;

    #[test]
    fn versions_are_read_as_each_client_writes_them() {
        for (line, expected) in [
            (
                "mariadb-dump  Ver 10.19 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)",
                "10.11.14",
            ),
            (
                "mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)",
                "11.4.2",
            ),
            ("mysqldump  Ver 8.4.3 for Linux on x86_64 (MySQL)", "8.4.3"),
        ] {
            assert_eq!(number(line), expected);
        }
    }

    #[test]
    fn the_options_lead_where_the_url_does() {
        let facts = |url: &str| url::parse(url, Path::new("/")).unwrap();
        let tcp = facts("mysql://u:p%22%5C%23%27%20%24@localhost/d");
        assert_eq!(
            option_file(&tcp, true, false).unwrap(),
            "[client]\nuser=\"u\"\ndefault-character-set=\"utf8mb4\"\nmax-allowed-packet=\"1G\"\n\
             protocol=\"tcp\"\nhost=\"localhost\"\nport=\"3306\"\npassword=\"p\\\"\\\\#' $\"\n\
             ssl=\"0\"\nssl-verify-server-cert=\"0\"\n"
        );
        let socket = option_file(&facts("mysql://u@/d?unix_socket=/s"), false, true).unwrap();
        assert!(
            socket.contains("protocol=\"socket\"\nsocket=\"/s\"\nssl-mode=\"REQUIRED\""),
            "{socket}"
        );
        let verified = option_file(&facts("mysql://u@h/d?ssl_ca=/ca.pem"), true, true).unwrap();
        assert!(
            verified.contains("ssl-ca=\"/ca.pem\"\nssl=\"1\"\nssl-verify-server-cert=\"1\""),
            "{verified}"
        );
    }
}
