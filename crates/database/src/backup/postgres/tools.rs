//! The clients of PostgreSQL that fit a server.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::BackupError;
use super::super::client::{Program, programs};
use rollback_system::process::{Environment, is_executable};

/// Where Debian has one folder for each release, whatever is in the search path.
const RELEASES: &str = "/usr/lib/postgresql";

/// `pg_dump` and those that come with it.
#[derive(Debug, Clone)]
pub(super) struct PostgresTools {
    /// `pg_dump 15.18`.
    pub(super) version: String,
    pub(super) dump: PathBuf,
    pub(super) restore: PathBuf,
    pub(super) psql: PathBuf,
}

impl PostgresTools {
    /// The ones that fit a server of this release best: not older, and as little newer as there is.
    pub(super) fn find(
        environment: &Environment,
        major: u32,
        server: &str,
    ) -> Result<Self, BackupError> {
        let mut folders: Vec<PathBuf> = fs::read_dir(RELEASES)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        folders.sort();
        let found = programs(&["pg_dump"], environment, &folders);
        let program = fitting(&found, major, server)?;
        let beside = |name: &'static str| {
            let file = program.file.parent().unwrap_or(Path::new("")).join(name);
            if is_executable(&file) {
                Ok(file)
            } else {
                Err(BackupError::NoClient {
                    program: name,
                    package: package(major),
                })
            }
        };
        Ok(Self {
            version: told(program),
            restore: beside("pg_restore")?,
            psql: beside("psql")?,
            dump: program.file.clone(),
        })
    }
}

fn fitting<'a>(found: &'a [Program], major: u32, server: &str) -> Result<&'a Program, BackupError> {
    let known = || {
        found
            .iter()
            .filter_map(|program| Some((release(&program.version)?, program)))
    };
    // Of equal ones the first: the one in the search path.
    if let Some((_, program)) = known()
        .filter(|(release, _)| *release >= major)
        .min_by_key(|(release, _)| *release)
    {
        return Ok(program);
    }
    let newest = known()
        .max_by_key(|(release, _)| *release)
        .ok_or_else(|| BackupError::NoClient {
            program: "pg_dump",
            package: package(major),
        })?
        .1;
    Err(BackupError::OldClient {
        client: told(newest),
        server: server.to_owned(),
        package: package(major),
    })
}

fn package(major: u32) -> String {
    format!("postgresql-client-{major}")
}

/// `15.18` of `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn number(version: &str) -> Option<&str> {
    version
        .split_once("(PostgreSQL) ")?
        .1
        .split_whitespace()
        .next()
}

/// The release, `15` of `15.18` and of `15beta1`.
fn release(version: &str) -> Option<u32> {
    let number = number(version)?;
    let end = number.find(|character: char| !character.is_ascii_digit());
    number[..end.unwrap_or(number.len())].parse().ok()
}

fn told(program: &Program) -> String {
    format!(
        "pg_dump {}",
        number(&program.version).unwrap_or(&program.version)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(versions: &[&str]) -> Vec<Program> {
        versions
            .iter()
            .map(|version| Program {
                file: format!("/{version}/pg_dump").into(),
                version: format!("pg_dump (PostgreSQL) {version}"),
            })
            .collect()
    }

    #[test]
    fn the_client_is_not_older_than_the_server_and_as_near_as_there_is() {
        for (versions, major, expected) in [
            (&["9.6.24", "15.18 (Debian 15.18-0+deb12u1)"][..], 15, "15"),
            (&["17.2", "16.1", "14.3"], 15, "16"),
            (&["17.2", "15beta1", "15.3"], 15, "15beta1"),
        ] {
            let found = found(versions);
            let program = fitting(&found, major, "PostgreSQL").unwrap();
            assert!(
                program
                    .version
                    .starts_with(&format!("pg_dump (PostgreSQL) {expected}")),
                "{versions:?}: {program:?}"
            );
        }
    }

    #[test]
    fn a_client_that_is_too_old_is_named_with_what_to_install() {
        let found = found(&["9.6.24", "13.2", "12.9"]);
        let error = fitting(&found, 15, "PostgreSQL 15.18").unwrap_err();
        assert_eq!(
            error.to_string(),
            "pg_dump 13.2 is older than the server, PostgreSQL 15.18"
        );
        assert!(
            matches!(error, BackupError::OldClient { package, .. } if package == "postgresql-client-15")
        );
        let error = fitting(&[], 15, "PostgreSQL 15.18").unwrap_err();
        assert_eq!(error.to_string(), "pg_dump was not found");
    }
}
