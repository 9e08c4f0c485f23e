//! Database URLs as SQLAlchemy writes them.
//!
//! The operator gives us the URL that the engine is given, so it has to mean the same here: the
//! pattern is the one of `sqlalchemy/engine/url.py` (1.4 to 2.1), which is no RFC 3986 parser. It
//! takes `:`, `/`, `?` and `#` inside a password, and nothing in a query is a fragment.
//!
//! No error of this module quotes the URL: one that does not parse may hold the password anywhere.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::DatabaseError;
use rollback_core::connection::{ConnectionFacts, EngineSession};
use rollback_core::dialect::Dialect;
use rollback_core::secret::Secret;

/// `_parse_url` of SQLAlchemy, anchored at the start only, as `re.match` is.
static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        ^(?P<name>[\w\+]+)://
        (?:
            (?P<user>[^:/]*)
            (?::(?P<password>[^@]*))?
        @)?
        (?:
            (?:
                \[(?P<ipv6>[^/\?]+)\] |
                (?P<host>[^/:\?]+)
            )?
            (?::(?P<port>[^/\?]*))?
        )?
        (?:/(?P<database>[^\?]*))?
        (?:\?(?P<query>.*))?
        ",
    )
    .expect("the pattern is a constant")
});

/// Reads a SQLAlchemy URL; a relative SQLite path is taken from `directory`.
pub fn parse(url: &str, directory: &Path) -> Result<ConnectionFacts, DatabaseError> {
    let url = url.trim();
    let captures = PATTERN.captures(url).ok_or_else(|| {
        refusal(
            "the database URL is not understood; it has the form \
             postgresql://user:password@host:5432/database",
        )
    })?;
    let part = |name| captures.name(name).map(|part| part.as_str());
    let full_name = part("name").unwrap_or_default().to_lowercase();
    let (dialect, driver) = full_name.split_once('+').unwrap_or((&full_name, ""));
    let mut facts = ConnectionFacts {
        dialect: dialect.to_owned(),
        session: EngineSession {
            driver: (!driver.is_empty()).then(|| driver.to_owned()),
            ..EngineSession::default()
        },
        ..ConnectionFacts::default()
    };
    let query = query_pairs(part("query").unwrap_or_default());

    if facts.known_dialect() == Some(Dialect::Sqlite) {
        let with_server = ["user", "password", "host", "ipv6", "port"]
            .iter()
            .any(|name| part(name).is_some_and(|text| !text.is_empty()));
        let database = part("database").map(unquote).unwrap_or_default();
        facts.database = Some(sqlite_file(
            driver,
            with_server,
            &database,
            &query,
            directory,
        )?);
        return Ok(facts);
    }

    let raw_host = part("host");
    let raw_database = part("database").filter(|text| !text.is_empty());
    // SQLAlchemy ends the password at its first @ and looks for a host named `rest@host`. No such
    // host exists, and what stands there is a piece of the password: it must not be shown as a host.
    if [raw_host, part("ipv6"), raw_database]
        .iter()
        .flatten()
        .any(|text| text.contains('@'))
    {
        return Err(refusal(
            "the database URL has an @ too many; inside a user name, a password or a database name \
             write @ as %40, and / in a user name as %2F",
        ));
    }
    facts.user = part("user").filter(|text| !text.is_empty()).map(unquote);
    facts.password = part("password").map(|text| Secret::new(unquote(text)));
    facts.host = part("ipv6").or(raw_host).map(str::to_owned);
    facts.port = part("port")
        .filter(|text| !text.is_empty())
        .map(port)
        .transpose()?;
    facts.database = raw_database.map(unquote);
    take_query(&mut facts, query)?;
    Ok(facts)
}

/// Reads a URL whose password was replaced by `***`, as `alembic current --verbose` prints it.
///
/// The result has no password, so that nobody tries to log in with three asterisks.
pub fn parse_masked(url: &str, directory: &Path) -> Result<ConnectionFacts, DatabaseError> {
    let mut facts = parse(url, directory)?;
    facts.password = None;
    Ok(facts)
}

/// The URL for people and logs: `postgresql://user:***@host:5432/database`. Of the options only the
/// socket is shown, because any other may carry a secret.
pub fn masked(facts: &ConnectionFacts) -> String {
    let mut url = format!("{}://", facts.dialect);
    if facts.known_dialect() == Some(Dialect::Sqlite) {
        url.push('/');
        url.push_str(facts.database.as_deref().unwrap_or_default());
        return url;
    }
    if facts.user.is_some() || facts.password.is_some() {
        url.push_str(&quote(facts.user.as_deref().unwrap_or_default()));
        if facts.password.is_some() {
            url.push_str(":***");
        }
        url.push('@');
    }
    let directory = facts.host.as_deref().filter(|host| host.starts_with('/'));
    match facts.host.as_deref() {
        Some(host) if host.starts_with('/') => {}
        Some(host) if host.contains(':') => url.extend(["[", host, "]"]),
        Some(host) => url.push_str(host),
        None => {}
    }
    if let Some(port) = facts.port {
        // Writing to a String cannot fail.
        let _ = write!(url, ":{port}");
    }
    if let Some(database) = &facts.database {
        url.push('/');
        url.push_str(&quote(database));
    } else if directory.is_some() || facts.socket.is_some() {
        url.push('/');
    }
    if let Some(directory) = directory {
        url.extend(["?host=", directory]);
    } else if let Some(socket) = &facts.socket {
        url.extend(["?unix_socket=", socket]);
    }
    url
}

fn refusal(sentence: &str) -> DatabaseError {
    DatabaseError::Settings(sentence.to_owned())
}

fn port(text: &str) -> Result<u16, DatabaseError> {
    // The text is not quoted: after a password with a missing @ it is the password.
    text.trim().parse().map_err(|_| {
        refusal(
            "the port in the database URL is not a number between 0 and 65535 (a URL without the @ \
             after its password looks like that, too)",
        )
    })
}

/// Moves what names the server from the query to its field, where the drivers would look first, and
/// keeps the rest. Whatever may be a secret is kept nowhere but in `password`.
fn take_query(
    facts: &mut ConnectionFacts,
    query: Vec<(String, String)>,
) -> Result<(), DatabaseError> {
    let Some(dialect) = facts.known_dialect() else {
        // `odbc_connect` and its like hold whole connection strings, and nobody here reads them.
        return Ok(());
    };
    let mut hosts = Vec::new();
    for (key, value) in query {
        match (dialect, key.as_str()) {
            (Dialect::Postgres, "host") => match value.rsplit_once(':') {
                Some((host, text)) if !host.starts_with('/') && !host.contains(':') => {
                    facts.port = Some(port(text)?);
                    hosts.push(host.to_owned());
                }
                _ => hosts.push(value),
            },
            (_, "host") => hosts.push(value),
            (_, "port") => facts.port = Some(port(&value)?),
            (_, "user") => facts.user = Some(value),
            (_, "password" | "passwd") => facts.password = Some(Secret::new(value)),
            (Dialect::Postgres, "dbname" | "database") | (Dialect::MySql, "db" | "database") => {
                facts.database = Some(value);
            }
            (Dialect::MySql, "unix_socket") => facts.socket = Some(value),
            (_, other) if other.to_lowercase().contains("pass") => {}
            _ => facts.options.push((key, value)),
        }
    }
    if !hosts.is_empty() {
        facts.host = Some(hosts.join(","));
    }
    Ok(())
}

/// The absolute path of the file that pysqlite would open.
fn sqlite_file(
    driver: &str,
    with_server: bool,
    database: &str,
    query: &[(String, String)],
    directory: &Path,
) -> Result<String, DatabaseError> {
    if driver == "pysqlcipher" {
        return Err(refusal(
            "encrypted SQLite files cannot be read by our own connection",
        ));
    }
    if with_server {
        return Err(refusal(
            "a SQLite URL has three slashes before a relative path and four before an absolute one: \
             sqlite:///relative.db, sqlite:////absolute/path.db",
        ));
    }
    let option = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    // SQLAlchemy's own rule: only with `uri=true` is `file:` more than a part of the name.
    let path = match database.strip_prefix("file:") {
        Some(path) if option("uri") == Some("true") => path
            .strip_prefix("//localhost")
            .or_else(|| path.strip_prefix("//"))
            .unwrap_or(path),
        _ => database,
    };
    if path.is_empty() || path == ":memory:" || option("mode") == Some("memory") {
        return Err(refusal(
            "the database URL names a SQLite database in memory; it ends with the process that made \
             it, so there is nothing to roll back",
        ));
    }
    let absolute = directory.join(path);
    absolute.into_os_string().into_string().map_err(|_| {
        refusal("the path of the SQLite file is not UTF-8, which our own connection cannot open")
    })
}

/// `urllib.parse.parse_qsl`.
fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| {
            (
                unquote(&key.replace('+', " ")),
                unquote(&value.replace('+', " ")),
            )
        })
        .collect()
}

/// `urllib.parse.unquote`: what is no valid escape stays as it is.
fn unquote(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = (bytes[index] == b'%')
            .then(|| bytes.get(index + 1..index + 3))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escape {
            decoded.push(byte);
            index += 3;
        } else {
            decoded.push(bytes[index]);
            index += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

/// Whether two descriptions name the same database, as far as names can tell: the loopback has
/// several, and a port that is not given is the dialect's own.
pub fn same_place(one: &ConnectionFacts, other: &ConnectionFacts) -> bool {
    let host = |facts: &ConnectionFacts| match facts.host.as_deref() {
        None | Some("" | "localhost" | "127.0.0.1" | "::1") => None,
        Some(path) if path.starts_with('/') => None,
        Some(host) => Some(host.to_ascii_lowercase()),
    };
    let port = |facts: &ConnectionFacts| {
        facts.port.or(match facts.known_dialect() {
            Some(Dialect::Postgres) => Some(5432),
            Some(Dialect::MySql) => Some(3306),
            _ => None,
        })
    };
    one.known_dialect() == other.known_dialect()
        && one.database == other.database
        && host(one) == host(other)
        && port(one) == port(other)
}

/// What of a driver's options decides which server is reached.
const WAYS: [&str; 4] = [
    "hostaddr",
    "service",
    "target_session_attrs",
    "load_balance_hosts",
];

/// Whether two descriptions lead to one server, database and user word for word, nothing of it left to the client.
pub fn same_address(one: &ConnectionFacts, other: &ConnectionFacts) -> bool {
    fn ways(facts: &ConnectionFacts) -> [Option<&str>; 4] {
        WAYS.map(|way| {
            let found = facts.options.iter().find(|(name, _)| name == way);
            found.map(|(_, value)| value.as_str())
        })
    }
    one.known_dialect().is_some()
        && one.known_dialect() == other.known_dialect()
        && (one.host.is_some() || one.socket.is_some())
        && one.database.is_some()
        && one.user.is_some()
        && (&one.host, one.port, &one.socket) == (&other.host, other.port, &other.socket)
        && (&one.database, &one.user) == (&other.database, &other.user)
        && ways(one) == ways(other)
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
