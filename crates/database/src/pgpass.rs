//! libpq's password file, which the engine's driver reads without being asked.
//!
//! The driver crate reads it only for a host that comes from the environment, so we do it ourselves:
//! <https://www.postgresql.org/docs/current/libpq-pgpass.html>.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Environment;
use rollback_core::secret::Secret;

/// The password for this connection, where the file has one. A file that others may read is passed
/// over, as libpq does.
pub(super) fn load(
    environment: &Environment,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> Option<Secret> {
    let path = match environment.get(OsStr::new("PGPASSFILE")) {
        Some(file) if !file.is_empty() => PathBuf::from(file),
        _ => PathBuf::from(environment.get(OsStr::new("HOME"))?).join(".pgpass"),
    };
    let metadata = fs::metadata(&path).ok()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
        return None;
    }
    // The default socket directory counts as the local host.
    let host = if host.starts_with('/') {
        "localhost"
    } else {
        host
    };
    lookup(
        &fs::read_to_string(path).ok()?,
        [host, &port.to_string(), database, user],
    )
}

fn lookup(content: &str, wanted: [&str; 4]) -> Option<Secret> {
    content
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = fields(line);
            let matches = fields.len() >= 5
                && wanted
                    .iter()
                    .zip(&fields)
                    .all(|(wanted, field)| field == "*" || field == wanted);
            matches.then(|| Secret::new(&fields[4]))
        })
}

/// The fields of a line: separated by `:`, with `\:` and `\\` inside.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![];
    let mut field = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => field.extend(characters.next()),
            ':' => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_wins() {
        let file =
            "# h:5432:d:u:comment\nbroken\nh:5433:*:u:other\nh:*:d:u:p\\:w\\\\d\n*:*:*:*:last";
        let password = |host, port| {
            lookup(file, [host, port, "d", "u"])
                .unwrap()
                .reveal()
                .to_owned()
        };
        assert_eq!(password("h", "5432"), r"p:w\d");
        assert_eq!(password("h", "5433"), "other");
        assert_eq!(password("x", "5432"), "last");
        assert!(lookup("h:1:d:u:p", ["h", "2", "d", "u"]).is_none());
    }
}
