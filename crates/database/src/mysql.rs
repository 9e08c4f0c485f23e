//! MySQL and MariaDB.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};

use super::connection::{Connection, SessionError, number, text, texts};
use super::failure::FailureKind;
use super::lock::mysql::MySqlLock;
use super::schema_mysql::{SCHEMA, SEQUENCE, sequences};
use super::{
    Database, DatabaseError, DatabaseReader, DatabaseSnapshot, Limited, audit, audited, blockers,
    checks_mysql, proof_mysql, put_or_create, schema_of, version_query, version_rows,
};
use rollback_core::audit as domain_audit;
use rollback_core::blocker::Blocker;
use rollback_core::checks::{Counts, Faults, Health, Leftover};
use rollback_core::connection::{ConnectionFacts, Identity, VersionRows, VersionTable};
use rollback_core::database_identity::{self as identity, DatabaseIdentity};
use rollback_core::dialect::Dialect;
use rollback_core::lock::{LockOwner, Locked};
use rollback_core::outcome::SchemaLines;
use rollback_core::proof::{MySqlTrace, RowEvidence, StepSession, Trace};

/// `SHOW` passes over the names that a server does not know, where `SELECT @@name` fails. The id of
/// a server is copied with its files, so its place counts as well.
const IDENTITY: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', \
     'server_uid', 'hostname', 'port', 'datadir', 'lower_case_table_names')";

/// SQL that holds on MariaDB and not on MySQL.
pub(super) const IS_MARIADB: &str = "VERSION() LIKE '%MariaDB%'";

/// The class of "command denied".
const NOT_ALLOWED: &str = "42000";

/// An open connection.
pub(super) struct MySql {
    pub(super) session: Connection<MySqlConnection>,
    lock: Option<MySqlLock>,
    facts: ConnectionFacts,
    database: String,
    /// The connection that was made read-only, as the session counts them.
    read_only: Option<u32>,
    /// Whether the server may tell who holds a lock on a table.
    tells_holders: bool,
}

impl MySql {
    pub(super) fn open(facts: &ConnectionFacts) -> Result<Self, DatabaseError> {
        let Some(database) = facts.database.clone() else {
            return Err(DatabaseError::Settings(format!(
                "the connection to {} names no database",
                server(facts)
            )));
        };
        let session = Connection::open(
            options(facts)?,
            place(facts, &database),
            facts.password.clone(),
        )?;
        Ok(Self {
            session,
            lock: None,
            facts: facts.clone(),
            database,
            read_only: None,
            tells_holders: true,
        })
    }

    /// Has the server refuse whatever would change something, on the connection that there is then.
    pub(super) fn become_read_only(&mut self) -> Result<(), SessionError> {
        if self.read_only != Some(self.session.connections()) {
            self.session.rows("SET SESSION TRANSACTION READ ONLY")?;
            self.read_only = Some(self.session.connections());
        }
        Ok(())
    }

    /// What became read-only is not known to be so any more.
    pub(super) fn may_have_changed(&mut self) {
        self.read_only = None;
    }
}

impl MySql {
    /// Of a server that has no id: the last part of its `UUID()`s.
    fn hardware_address(
        &mut self,
        variables: &BTreeMap<String, String>,
    ) -> Result<Option<String>, DatabaseError> {
        if variables.contains_key("server_uuid") || variables.contains_key("server_uid") {
            return Ok(None);
        }
        let rows = self.session.rows("SELECT UUID()")?;
        let uuid = rows.first().and_then(|row| text(row, 0));
        Ok(uuid.and_then(|uuid| Some(uuid.rsplit_once('-')?.1.to_owned())))
    }

    /// The answer to [`SCHEMA`], with what else is to be said of sequences.
    fn schema_of(&mut self, rows: &[MySqlRow]) -> Result<SchemaLines, DatabaseError> {
        let mut rows = texts(rows);
        let lines = rows.iter_mut().filter_map(|row| row.first_mut()?.as_mut());
        let mut lines: Vec<&mut String> = lines.filter(|line| line.starts_with(SEQUENCE)).collect();
        let names: Vec<&str> = lines.iter().map(|line| &line[SEQUENCE.len()..]).collect();
        if !names.is_empty() {
            match self.session.rows(&sequences(&names)) {
                Ok(ends) => {
                    for end in &ends {
                        let position = number(end, 0).and_then(|at| usize::try_from(at).ok());
                        if let Some(line) = position.and_then(|at| lines.get_mut(at)) {
                            line.push_str(&text(end, 1).unwrap_or_default());
                        }
                    }
                }
                // Where the right to read one of them is missing, all are told by name alone.
                Err(error) if error.is_code(&[NOT_ALLOWED]) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(domain_audit::without(schema_of(rows), false))
    }
}

impl DatabaseReader for MySql {
    fn version_rows(&mut self, table: &VersionTable) -> Result<VersionRows, DatabaseError> {
        // A schema is a database here, and our own one was there when we connected.
        let rows = self.session.rows(&version_query(table, '`'));
        version_rows(
            rows.map(|rows| texts(&rows)),
            &[FailureKind::NoTable, FailureKind::NoDatabase],
        )
    }

    fn schema(&mut self) -> Result<SchemaLines, DatabaseError> {
        let rows = self.session.rows(SCHEMA)?;
        self.schema_of(&rows)
    }
    fn row_counts(&mut self, budget: Duration) -> Limited<Counts> {
        let counts = checks_mysql::counts(self, budget)?;
        Ok(counts.map(|counts| domain_audit::not_counted(counts, false)))
    }

    fn faults(&mut self, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
        checks_mysql::faults(self, budget)
    }

    fn at_once(&mut self, table: &VersionTable, budget: Duration) -> Option<DatabaseSnapshot> {
        let limited = |sql: &str| checks_mysql::limited(sql.trim_start(), budget);
        let answers = self.session.results(&[
            &version_query(table, '`'),
            SCHEMA,
            &limited(checks_mysql::TABLES),
            &limited(checks_mysql::LEFTOVERS),
            &limited(checks_mysql::FOREIGN_KEYS),
        ]);
        let answers = <[Vec<MySqlRow>; 5]>::try_from(answers.ok()?).ok()?;
        let [rows, lines, tables, left_over, keys] = answers;
        let counts = checks_mysql::counted(self, &tables, budget);
        Some(DatabaseSnapshot {
            rows: version_rows(Ok(texts(&rows)), &[]).ok()?,
            schema: self.schema_of(&lines).ok()?,
            counts: Some(domain_audit::not_counted(counts, false)),
            faults: Some(checks_mysql::found(self, &left_over, &keys, budget)),
            snapshot: None,
        })
    }

    fn query(&mut self, sql: &str, limit: Duration) -> Limited<Vec<Vec<Option<String>>>> {
        Ok(checks_mysql::query(self, sql, limit)?.map(|rows| texts(&rows)))
    }
}

impl Database for MySql {
    fn identity(&mut self) -> Result<Identity, DatabaseError> {
        let rows = self.session.rows(IDENTITY)?;
        let variables: BTreeMap<_, _> = rows
            .iter()
            .filter_map(|row| Some((text(row, 0)?.to_lowercase(), text(row, 1)?)))
            .collect();
        let over_socket = self.facts.socket.is_some();
        let fingerprint = fingerprint(&variables, &self.database);
        let server = variables.get("version").map(|version| product(version));
        let hardware_address = self.hardware_address(&variables)?;
        Ok(Identity {
            dialect: "mysql".to_owned(),
            lasting: Some(DatabaseIdentity::new(
                server.clone(),
                marks(&variables, hardware_address, &self.database),
                fingerprint.clone(),
            )),
            server,
            host: Some(
                self.facts
                    .socket
                    .clone()
                    .unwrap_or_else(|| host(&self.facts).to_owned()),
            ),
            port: (!over_socket).then(|| self.facts.port.unwrap_or(3306)),
            database: self.database.clone(),
            user: self.facts.user.clone(),
            fingerprint,
        })
    }

    fn blockers(&mut self, open_for: Duration) -> Result<Vec<Blocker>, DatabaseError> {
        blockers::of_mysql(&mut self.session, open_for, &mut self.tells_holders)
    }

    fn lock(&mut self, claim: &LockOwner) -> Result<Locked, DatabaseError> {
        let mut lock = match self.lock.take() {
            Some(lock) => lock,
            None => MySqlLock::open(
                options(&self.facts)?,
                place(&self.facts, &self.database),
                self.facts.password.clone(),
                claim,
            )?,
        };
        let locked = lock.take()?;
        self.lock = Some(lock);
        Ok(locked)
    }

    fn release_lock(&mut self) -> Result<(), DatabaseError> {
        self.lock.as_mut().map_or(Ok(()), MySqlLock::release)
    }

    fn holds_lock(&mut self) -> Result<bool, DatabaseError> {
        self.lock.as_mut().map_or(Ok(false), MySqlLock::holds)
    }

    fn write_audit(
        &mut self,
        beside: &VersionTable,
        row: &domain_audit::Row,
    ) -> Result<(), DatabaseError> {
        let table = audit::name(Dialect::MySql, beside.schema.as_deref());
        self.session.rows("SET SESSION TRANSACTION READ WRITE")?;
        self.may_have_changed();
        let mut run = |statement: &str| {
            // Where a server does not commit by itself, the row would be lost and its lock would stay.
            self.session.rows("START TRANSACTION")?;
            let written = self.session.rows_here(statement);
            let end = if written.is_ok() {
                "COMMIT"
            } else {
                "ROLLBACK"
            };
            let ended = self.session.rows_here(end);
            written.and(ended).map(drop)
        };
        put_or_create(
            &mut run,
            &audit::put(Dialect::MySql, &table, row),
            &audit::create(Dialect::MySql, &table),
        )
    }

    fn audit(&mut self, beside: &VersionTable) -> Result<Vec<(String, String)>, DatabaseError> {
        let table = audit::name(Dialect::MySql, beside.schema.as_deref());
        let rows = self.session.rows(&audit::all(&table));
        audited(rows.map(|rows| texts(&rows)))
    }

    fn evidence(
        &mut self,
        table: &VersionTable,
        health: Option<&Health>,
    ) -> Result<RowEvidence, DatabaseError> {
        proof_mysql::evidence(self, table, health).map(RowEvidence::Mysql)
    }

    fn trace(
        &mut self,
        before: &RowEvidence,
        _: Option<&StepSession>,
        table: &VersionTable,
        _: Duration,
    ) -> Result<Trace, DatabaseError> {
        let RowEvidence::Mysql(before) = before else {
            return Ok(Trace::Mysql(MySqlTrace::default()));
        };
        proof_mysql::trace(self, before, table).map(Trace::Mysql)
    }

    fn leftovers(&mut self) -> Result<Vec<Leftover>, DatabaseError> {
        let rows = self.session.rows(checks_mysql::LEFTOVERS)?;
        Ok(rows
            .iter()
            .filter_map(|row| Some(Leftover::Table(text(row, 0)?)))
            .collect())
    }
}

/// `10.11.14-MariaDB-0+deb12u1` is MariaDB 10.11.14.
fn product(version: &str) -> String {
    let name = if version.contains("MariaDB") {
        "MariaDB"
    } else {
        "MySQL"
    };
    format!("{name} {}", version.split('-').next().unwrap_or(version))
}

fn fingerprint(variables: &BTreeMap<String, String>, database: &str) -> Option<String> {
    let mark = |name: &str| variables.get(name).map_or("", String::as_str);
    if mark("hostname").is_empty() && mark("server_uuid").is_empty() {
        return None;
    }
    let database = known_as(variables, database);
    let marks = ["server_uuid", "server_uid", "hostname", "port", "datadir"].map(mark);
    Some(format!("mysql:{}:{database}", marks.join(":")))
}

/// On Windows and macOS `App` and `app` are one database.
fn known_as(variables: &BTreeMap<String, String>, database: &str) -> String {
    match variables.get("lower_case_table_names").map(String::as_str) {
        None | Some("0" | "") => database.to_owned(),
        Some(_) => database.to_lowercase(),
    }
}

/// What the server is known by later. MySQL has an id of its own. MariaDB's is made of its hardware address and its
/// port, which two containers on two machines may well share, so the names of its machine and folder count too.
fn marks(
    variables: &BTreeMap<String, String>,
    hardware_address: Option<String>,
    database: &str,
) -> Vec<(&'static str, Option<String>)> {
    let variable = |name: &str| variables.get(name).cloned();
    let mut marks = vec![(identity::DATABASE_NAME, Some(known_as(variables, database)))];
    if let Some(uuid) = variable("server_uuid") {
        marks.push((identity::SERVER_UUID, Some(uuid)));
        return marks;
    }
    marks.extend([
        (identity::SERVER_UID, variable("server_uid")),
        (identity::HOST_NAME, variable("hostname")),
        (identity::DATA_DIRECTORY, variable("datadir")),
    ]);
    if hardware_address.is_some() {
        marks.push((identity::HARDWARE_ADDRESS, hardware_address));
        marks.push((identity::PORT, variable("port")));
    }
    marks
}

fn host(facts: &ConnectionFacts) -> &str {
    facts.host.as_deref().unwrap_or("localhost")
}

fn server(facts: &ConnectionFacts) -> String {
    match &facts.socket {
        Some(socket) => socket.clone(),
        None => format!("{}:{}", host(facts), facts.port.unwrap_or(3306)),
    }
}

fn place(facts: &ConnectionFacts, database: &str) -> String {
    let user = facts.user.as_deref().unwrap_or("root");
    format!("database {database} at {} (user {user})", server(facts))
}

/// The names of `PyMySQL`, `mysqlclient` and `mysql-connector`, as far as they say how to connect.
pub(super) fn options(facts: &ConnectionFacts) -> Result<Vec<MySqlConnectOptions>, DatabaseError> {
    let option = |names: &[&str]| {
        let found = facts
            .options
            .iter()
            .find(|(key, _)| names.contains(&key.as_str()));
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let is_true = |name: &str| {
        option(&[name])
            .is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1" | "yes"))
    };
    let mut options = MySqlConnectOptions::new()
        .host(host(facts))
        .port(facts.port.unwrap_or(3306))
        .statement_cache_capacity(0)
        // The session stays as the server makes it: what we read needs none of these.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .disable_statement_logging();
    if let Some(user) = &facts.user {
        options = options.username(user);
    }
    if let Some(password) = &facts.password {
        options = options.password(password.reveal());
    }
    if let Some(database) = &facts.database {
        options = options.database(database);
    }
    if let Some(socket) = &facts.socket {
        options = options.socket(socket);
    }
    if let Some(file) = option(&["ssl_ca"]) {
        options = options.ssl_ca(file);
    }
    if let (Some(cert), Some(key)) = (option(&["ssl_cert"]), option(&["ssl_key"])) {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    let mode = match option(&["ssl_mode"]).map(str::to_uppercase).as_deref() {
        _ if is_true("ssl_disabled") => Some(MySqlSslMode::Disabled),
        Some("DISABLED") => Some(MySqlSslMode::Disabled),
        Some("PREFERRED") => None,
        Some("REQUIRED") => Some(MySqlSslMode::Required),
        Some("VERIFY_CA") => Some(MySqlSslMode::VerifyCa),
        Some("VERIFY_IDENTITY") => Some(MySqlSslMode::VerifyIdentity),
        Some(other) => {
            return Err(DatabaseError::Settings(format!(
                "ssl_mode {other:?} is not known"
            )));
        }
        None if is_true("ssl_verify_identity") || is_true("ssl_check_hostname") => {
            Some(MySqlSslMode::VerifyIdentity)
        }
        // PyMySQL: who names an authority wants the certificate checked by it.
        None if is_true("ssl_verify_cert") || option(&["ssl_ca"]).is_some() => {
            Some(MySqlSslMode::VerifyCa)
        }
        None => None,
    };
    Ok(match mode {
        Some(mode) => vec![options.ssl_mode(mode)],
        // Old servers speak versions and show certificates that rustls refuses, where the engine's
        // driver would not have encrypted at all.
        None => vec![
            options.clone().ssl_mode(MySqlSslMode::Preferred),
            options.ssl_mode(MySqlSslMode::Disabled),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::url;

    fn parsed(url: &str) -> Vec<MySqlConnectOptions> {
        options(&url::parse(url, Path::new("/")).unwrap()).unwrap()
    }

    #[test]
    fn the_url_reaches_the_driver() {
        let options = parsed("mysql+pymysql://u:p@h:3307/d?charset=utf8mb4");
        assert_eq!((options[0].get_host(), options[0].get_port()), ("h", 3307));
        assert_eq!(
            (options[0].get_username(), options[0].get_database()),
            ("u", Some("d"))
        );
        assert!(matches!(options[0].get_ssl_mode(), MySqlSslMode::Preferred));
        assert!(matches!(options[1].get_ssl_mode(), MySqlSslMode::Disabled));
        let socket = parsed("mysql://u@/d?unix_socket=/run/m.sock");
        assert_eq!(
            socket[0].get_socket().map(std::path::PathBuf::as_path),
            Some(Path::new("/run/m.sock"))
        );
    }

    #[test]
    fn what_was_asked_of_encryption_is_the_least_that_happens() {
        for (query, expected) in [
            ("ssl_ca=/ca.pem", "VerifyCa"),
            ("ssl_ca=/ca.pem&ssl_check_hostname=true", "VerifyIdentity"),
            ("ssl_mode=REQUIRED", "Required"),
            ("ssl_mode=verify_identity", "VerifyIdentity"),
            ("ssl_disabled=True", "Disabled"),
        ] {
            let options = parsed(&format!("mysql://u@h/d?{query}"));
            assert_eq!(options.len(), 1, "{query}");
            assert_eq!(
                format!("{:?}", options[0].get_ssl_mode()),
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn the_product_is_told_by_the_version() {
        assert_eq!(product("10.11.14-MariaDB-0+deb12u1"), "MariaDB 10.11.14");
        assert_eq!(product("8.4.3"), "MySQL 8.4.3");
        assert_eq!(product("8.0.35-27"), "MySQL 8.0.35");
    }

    #[test]
    fn the_case_of_the_name_counts_where_the_server_says_so() {
        let marks = |mode: &str| {
            BTreeMap::from(
                [("hostname", "h"), ("lower_case_table_names", mode)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            )
        };
        assert_eq!(
            fingerprint(&marks("1"), "App"),
            fingerprint(&marks("1"), "app")
        );
        assert_ne!(
            fingerprint(&marks("0"), "App"),
            fingerprint(&marks("0"), "app")
        );
        assert_eq!(fingerprint(&BTreeMap::new(), "app"), None);
    }

    #[test]
    fn a_connection_without_a_database_is_refused() {
        let facts = url::parse("mysql://u:s3cret@h", Path::new("/")).unwrap();
        let error = MySql::open(&facts).err().unwrap().to_string();
        assert_eq!(error, "the connection to h:3306 names no database");
    }
}
