//! PostgreSQL, directly or behind PgBouncer.
//!
//! What the URL leaves open is filled in as libpq would, because the engine's own driver is libpq in
//! nearly every project: the `PG*` variables, the password file, the socket directory.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};

use super::connection::{Connection, text, texts};
use super::failure::FailureKind;
use super::lock::postgres::PostgresLock;
use super::postgres_looks::Inside;
use super::{
    Database, DatabaseError, DatabaseReader, Environment, audit, audited, blockers, pgpass,
    proof_postgres, put_or_create, quoted,
};
use rollback_core::audit::Row;
use rollback_core::blocker::Blocker;
use rollback_core::checks::{Health, Leftover};
use rollback_core::connection::{ConnectionFacts, Identity, VersionTable};
use rollback_core::database_identity::{DATABASE_OID, DatabaseIdentity, SYSTEM_IDENTIFIER};
use rollback_core::dialect::Dialect;
use rollback_core::lock::{LockOwner, Locked};
use rollback_core::proof::{PostgresTrace, RowEvidence, StepSession, Trace};
use rollback_core::query::Queries;
use rollback_core::secret::Secret;

/// What all releases know. `version()` starts with the product's own name.
const IDENTITY: &str = "SELECT version(), current_database()";

/// The start of the server to the microsecond tells a server from every copy of its files, which the
/// system identifier does not: a standby and a restored snapshot have the original's.
const FINGERPRINT: &str = ", extract(epoch FROM pg_postmaster_start_time()) \
     , current_setting('port'), pg_is_in_recovery() \
     , (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The id of the cluster. Everybody may read it unless an administrator revoked that, and servers that only speak the
/// protocol do not have it.
const SYSTEM: &str = ", (SELECT system_identifier FROM pg_catalog.pg_control_system())";

/// An open connection.
pub(super) struct Postgres {
    pub(super) session: Connection<PgConnection>,
    lock: Option<PostgresLock>,
    settings: PostgresSettings,
    /// The connection, by its number, in which the statement is prepared that reads the schema.
    pub(super) schema_prepared: Option<u32>,
}

impl Postgres {
    pub(super) fn open(
        facts: &ConnectionFacts,
        environment: &Environment,
    ) -> Result<Self, DatabaseError> {
        Self::with(PostgresSettings::new(facts, environment)?)
    }

    pub(super) fn with(settings: PostgresSettings) -> Result<Self, DatabaseError> {
        let place = settings.place();
        let session = Connection::open(settings.options(), place, settings.password.clone())?;
        Ok(Self {
            session,
            lock: None,
            settings,
            schema_prepared: None,
        })
    }

    pub(super) fn has_lock(&self) -> bool {
        self.lock.is_some()
    }
}

/// Nobody waits for the row of a run for longer.
const AUDIT_LIMITS: &str = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '10s'";

impl Postgres {
    /// As much as the server tells of its identity: servers that only speak the protocol lack some of these
    /// functions.
    fn identity_rows(&mut self) -> Result<Vec<PgRow>, DatabaseError> {
        for columns in [format!("{FINGERPRINT}{SYSTEM}"), FINGERPRINT.to_owned()] {
            match self.session.rows(&format!("{IDENTITY}{columns}")) {
                Err(error) if error.failure == FailureKind::Other => {}
                result => return Ok(result?),
            }
        }
        Ok(self.session.rows(IDENTITY)?)
    }

    /// The table of `[audit]` in the schema of the version table, wherever the search path finds that.
    fn audit_table(&mut self, beside: &VersionTable) -> Result<String, DatabaseError> {
        if beside.schema.is_some() {
            return Ok(audit::name(Dialect::Postgres, beside.schema.as_deref()));
        }
        let found = format!(
            "SELECT n.nspname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid = to_regclass({})",
            quoted(&quoted(&beside.name, '"'), '\'')
        );
        let rows = self.session.rows(&found)?;
        let schema = rows.first().and_then(|row| text(row, 0));
        Ok(audit::name(Dialect::Postgres, schema.as_deref()))
    }
}

impl Database for Postgres {
    fn identity(&mut self) -> Result<Identity, DatabaseError> {
        let rows = self.identity_rows()?;
        let row = rows.first();
        let column = |index| row.and_then(|row| text(row, index));
        let marks: Option<Vec<_>> = row
            .filter(|row| sqlx::Row::len(*row) > 2)
            .and_then(|row| (2..6).map(|index| text(row, index)).collect());
        let server = column(0).map(|version| product(&version));
        let fingerprint = marks.map(|marks| format!("postgresql:{}", marks.join(":")));
        // A query without these columns has none to ask for.
        let optional =
            |index| column(index).filter(|_| row.is_some_and(|row| sqlx::Row::len(row) > index));
        let marks = [
            (DATABASE_OID, optional(5)),
            (SYSTEM_IDENTIFIER, optional(6)),
        ];
        Ok(Identity {
            dialect: "postgresql".to_owned(),
            lasting: Some(DatabaseIdentity::new(
                server.clone(),
                marks,
                fingerprint.clone(),
            )),
            server,
            host: Some(self.settings.host.clone()),
            port: Some(self.settings.port),
            database: column(1).unwrap_or_else(|| self.settings.database.clone()),
            user: Some(self.settings.user.clone()),
            fingerprint,
        })
    }

    fn blockers(&mut self, open_for: Duration) -> Result<Vec<Blocker>, DatabaseError> {
        blockers::of_postgres(&mut self.session, open_for)
    }

    fn lock(&mut self, claim: &LockOwner) -> Result<Locked, DatabaseError> {
        let mut lock = match self.lock.take() {
            Some(lock) => lock,
            None => PostgresLock::open(
                self.settings.options(),
                self.settings.place(),
                self.settings.password.clone(),
                claim,
                &mut self.session,
            )?,
        };
        let locked = lock.take()?;
        self.lock = Some(lock);
        Ok(locked)
    }

    fn release_lock(&mut self) -> Result<(), DatabaseError> {
        self.lock.as_mut().map_or(Ok(()), PostgresLock::release)
    }

    fn holds_lock(&mut self) -> Result<bool, DatabaseError> {
        self.lock.as_mut().map_or(Ok(false), PostgresLock::holds)
    }

    fn leftovers(&mut self) -> Result<Vec<Leftover>, DatabaseError> {
        super::checks_postgres::leftovers(self)
    }

    fn write_audit(&mut self, beside: &VersionTable, row: &Row) -> Result<(), DatabaseError> {
        let table = self.audit_table(beside)?;
        // One message is one transaction, which takes the limits with it.
        let mut run = |statement: &str| {
            let limited = format!("{AUDIT_LIMITS}; {statement}");
            self.session.rows(&limited).map(drop)
        };
        put_or_create(
            &mut run,
            &audit::put(Dialect::Postgres, &table, row),
            &audit::create(Dialect::Postgres, &table),
        )
    }

    fn audit(&mut self, beside: &VersionTable) -> Result<Vec<(String, String)>, DatabaseError> {
        let table = self.audit_table(beside)?;
        let rows = self.session.rows(&audit::all(&table));
        audited(rows.map(|rows| texts(&rows)))
    }

    fn evidence(
        &mut self,
        table: &VersionTable,
        health: Option<&Health>,
    ) -> Result<RowEvidence, DatabaseError> {
        proof_postgres::evidence(self, table, health).map(RowEvidence::Postgresql)
    }

    fn trace(
        &mut self,
        before: &RowEvidence,
        step: Option<&StepSession>,
        table: &VersionTable,
        budget: Duration,
    ) -> Result<Trace, DatabaseError> {
        let RowEvidence::Postgresql(before) = before else {
            return Ok(Trace::Postgresql(PostgresTrace::default()));
        };
        proof_postgres::trace(self, before, step, table, budget).map(Trace::Postgresql)
    }

    fn inside<'a>(
        &mut self,
        transaction: &'a mut dyn Queries,
    ) -> Option<Box<dyn DatabaseReader + 'a>> {
        let inside = Inside::new(self, transaction, self.settings.place());
        Some(Box::new(inside))
    }
}

/// `PostgreSQL 15.18 (Debian 15.18-1) on x86_64...` without what follows the version.
fn product(version: &str) -> String {
    let end = [" (", " on ", ","]
        .iter()
        .filter_map(|mark| version.find(mark))
        .min();
    version[..end.unwrap_or(version.len())].to_owned()
}

/// The connection after all defaults.
#[derive(Clone)]
pub(super) struct PostgresSettings {
    host: String,
    port: u16,
    pub(super) user: String,
    database: String,
    pub(super) password: Option<Secret>,
    ssl_mode: PgSslMode,
    /// Where nobody asked for a mode, a failed handshake is followed by an attempt without one.
    ssl_optional: bool,
    ssl_root_cert: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
    session_options: Vec<(String, String)>,
}

impl PostgresSettings {
    pub(super) fn new(
        facts: &ConnectionFacts,
        environment: &Environment,
    ) -> Result<Self, DatabaseError> {
        let variable = |name: &str| {
            let value = environment.get(std::ffi::OsStr::new(name))?.to_str()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let option = |name: &str| {
            let found = facts.options.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        let given = |name: &str, fallback: &str| option(name).or_else(|| variable(fallback));

        if given("service", "PGSERVICE").is_some() {
            return Err(DatabaseError::Settings(
                "the connection is described by a libpq service, which our own connection does not \
                 read; give the database URL with host and database"
                    .to_owned(),
            ));
        }
        // The driver itself knows the usual socket directories and the name of the login.
        let defaults = PgConnectOptions::new_without_pgpass();
        let port = facts
            .port
            .or_else(|| variable("PGPORT")?.parse().ok())
            .unwrap_or(5432);
        let host = option("hostaddr")
            .or_else(|| facts.host.clone())
            .or_else(|| variable("PGHOSTADDR"))
            .or_else(|| variable("PGHOST"))
            .unwrap_or_else(|| defaults.clone().port(port).get_host().to_owned());
        if host.contains(',') {
            return Err(DatabaseError::Settings(
                "the connection names several hosts, and the engine may connect to any of them; \
                 give the database URL with the one that is meant"
                    .to_owned(),
            ));
        }
        let user = facts.user.clone().or_else(|| variable("PGUSER"));
        let user = user.unwrap_or_else(|| defaults.get_username().to_owned());
        let database = facts.database.clone().or_else(|| variable("PGDATABASE"));
        let database = database.unwrap_or_else(|| user.clone());
        let password = facts
            .password
            .clone()
            .or_else(|| variable("PGPASSWORD").map(Secret::new))
            .or_else(|| pgpass::load(environment, &host, port, &database, &user));

        let asked = given("sslmode", "PGSSLMODE").or_else(|| option("ssl"));
        let ssl_mode = match asked.as_deref() {
            // A socket is never encrypted, whatever the mode.
            _ if host.starts_with('/') => PgSslMode::Disable,
            None => PgSslMode::Prefer,
            Some(mode) => ssl_mode(mode)?,
        };
        // libpq's own place for the certificate of the authority.
        let root_of_user = || {
            let file = format!("{}/.postgresql/root.crt", variable("HOME")?);
            Path::new(&file).exists().then_some(file)
        };
        Ok(Self {
            ssl_optional: matches!(asked.as_deref(), None | Some("allow" | "prefer")),
            ssl_mode,
            ssl_root_cert: given("sslrootcert", "PGSSLROOTCERT")
                .or_else(root_of_user)
                .filter(|file| file != "system"),
            ssl_cert: given("sslcert", "PGSSLCERT"),
            ssl_key: given("sslkey", "PGSSLKEY"),
            session_options: given("options", "PGOPTIONS")
                .map(|text| session_options(&text))
                .unwrap_or_default(),
            host,
            port,
            user,
            database,
            password,
        })
    }

    /// The same for a client of libpq, as its variables.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let mode = match self.ssl_mode {
            PgSslMode::Disable => "disable",
            PgSslMode::Allow => "allow",
            PgSslMode::Prefer => "prefer",
            PgSslMode::Require => "require",
            PgSslMode::VerifyCa => "verify-ca",
            PgSslMode::VerifyFull => "verify-full",
        };
        let mut variables = vec![
            ("PGHOST", self.host.clone()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGSSLMODE", mode.to_owned()),
            ("PGAPPNAME", "rollback".to_owned()),
        ];
        let root = self.ssl_root_cert.clone().or_else(|| {
            // Where our driver has its own list of authorities, libpq has to be told to take the system's.
            mode.starts_with("verify").then(|| "system".to_owned())
        });
        let options: Vec<String> = self
            .session_options
            .iter()
            .map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
                format!("-c {name}={value}")
            })
            .collect();
        let password = self.password.as_ref().map(|it| it.reveal().to_owned());
        for (name, value) in [
            ("PGSSLROOTCERT", root),
            ("PGSSLCERT", self.ssl_cert.clone()),
            ("PGSSLKEY", self.ssl_key.clone()),
            (
                "PGOPTIONS",
                (!options.is_empty()).then(|| options.join(" ")),
            ),
            ("PGPASSWORD", password),
        ] {
            variables.extend(value.map(|value| (name, value)));
        }
        variables
    }

    /// The same server and user, another database.
    pub(super) fn with_database(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }

    pub(super) fn place(&self) -> String {
        let Self {
            database,
            host,
            port,
            user,
            ..
        } = self;
        format!("database {database} at {host}:{port} (user {user})")
    }

    fn options(&self) -> Vec<PgConnectOptions> {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .password(
                self.password
                    .as_ref()
                    .map(Secret::reveal)
                    .unwrap_or_default(),
            )
            .ssl_mode(self.ssl_mode)
            .application_name("rollback")
            // PgBouncer refuses startup parameters that it does not know, and in transaction mode a
            // prepared statement may be gone at its second use.
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        if let Some(file) = &self.ssl_root_cert {
            options = options.ssl_root_cert(file);
        }
        if let (Some(cert), Some(key)) = (&self.ssl_cert, &self.ssl_key) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        if !self.session_options.is_empty() && options.get_options().is_none() {
            options = options.options(self.session_options.iter().map(|(k, v)| (k, v)));
        }
        let mut all = vec![options];
        if self.ssl_optional && !matches!(self.ssl_mode, PgSslMode::Disable) {
            all.push(all[0].clone().ssl_mode(PgSslMode::Disable));
        }
        all
    }
}

/// libpq's modes, and the booleans of asyncpg's `ssl`.
fn ssl_mode(mode: &str) -> Result<PgSslMode, DatabaseError> {
    match mode {
        "disable" | "false" => Ok(PgSslMode::Disable),
        // The driver's `allow` never encrypts, but a server may demand it.
        "allow" | "prefer" => Ok(PgSslMode::Prefer),
        "require" => Ok(PgSslMode::Require),
        "verify-ca" => Ok(PgSslMode::VerifyCa),
        "verify-full" | "true" => Ok(PgSslMode::VerifyFull),
        other => Err(DatabaseError::Settings(format!(
            "sslmode {other:?} is not known"
        ))),
    }
}

/// The `-c name=value` and `--name=value` of libpq's `options`; spaces inside are escaped by `\`.
fn session_options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (' ' | '\t' | '\n', _) => words.push(String::new()),
            (_, Some(word)) => word.push(character),
            (_, None) => {}
        }
    }
    words
        .iter()
        .map(|word| {
            word.strip_prefix("--")
                .or_else(|| word.strip_prefix("-c"))
                .unwrap_or(word)
        })
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
