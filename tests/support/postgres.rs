//! How a throw-away PostgreSQL is made and run.

use std::fs;
use std::path::{Path, PathBuf};

use super::server::{PASSWORD, USER, program, shell_word};
use super::supervisor::Commands;

pub(super) fn commands(directory: &Path, port: u16) -> Commands {
    let (initdb, postgres) = programs();
    fs::write(directory.join("password"), format!("{PASSWORD}\n")).unwrap();
    Commands {
        fill: format!(
            "{initdb} -D data -U {USER} --pwfile=password -A scram-sha-256 -E UTF8 --locale=C \
             --no-sync --no-instructions && rm password"
        ),
        // Nothing here has to survive a power failure.
        serve: format!(
            "{postgres} -D data -p {port} -c listen_addresses=127.0.0.1 \
             -c unix_socket_directories=\"$PWD\" -c fsync=off -c synchronous_commit=off \
             -c full_page_writes=off -c shared_buffers=16MB -c max_connections=60 -c jit=off \
             -c autovacuum=off -c timezone=UTC -c log_timezone=UTC"
        ),
        stop_signal: "INT",
        end_signal: "QUIT",
        // A postmaster that was killed leaves its System V memory; line 7 of its file names it.
        afterwards: "[ -f data/postmaster.pid ] && \
             ipcrm -m $(sed -n 7p data/postmaster.pid | awk '{print $2}')",
    }
}

/// Of the folder that `ROLLBACK_TEST_PG_BIN` names, or else the newest ones of this machine.
fn programs() -> (String, String) {
    if let Some(folder) = std::env::var_os("ROLLBACK_TEST_PG_BIN") {
        let named = |name: &str| {
            let file = Path::new(&folder).join(name);
            assert!(
                file.is_file(),
                "ROLLBACK_TEST_PG_BIN names {}, which has no {name}",
                Path::new(&folder).display()
            );
            shell_word(&file)
        };
        return (named("initdb"), named("postgres"));
    }
    let places = versions();
    let found = |name: &str| shell_word(&program(&[name], &places));
    (found("initdb"), found("postgres"))
}

/// Debian and Homebrew keep the server's programs out of the search path. The newest first.
fn versions() -> Vec<PathBuf> {
    let mut found: Vec<_> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").is_file())
        .collect();
    found.sort_by_key(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let number = name
            .trim_start_matches("postgresql@")
            .parse::<u32>()
            .unwrap_or(0);
        std::cmp::Reverse(number)
    });
    found.iter().map(|path| path.join("bin")).collect()
}
