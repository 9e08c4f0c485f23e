//! Backups of PostgreSQL by `pg_dump`, in its own compressed format.

mod listing;
mod load;
mod scratch;
mod tools;

use std::path::Path;

use sqlx::postgres::PgConnection;

use self::load::PostgresLoad;
use self::scratch::PostgresScratch;
use self::tools::PostgresTools;
use super::client::{self, Call, ClientStop, Watching};
use super::{BackupContext, BackupDriver, BackupError, NotRestored, Progress};
use crate::connection::{Connection, SessionError, text, texts};
use crate::failure::FailureKind;
use crate::postgres::{Postgres, PostgresSettings};
use crate::postgres_looks::Asks;
use crate::{DatabaseError, DatabaseReader as _};
use rollback_core::backup::{DatabaseDigest, LeftOut, OmittedPart, fingerprint};
use rollback_core::connection::{ConnectionFacts, VersionRows, VersionTable};
use rollback_core::dialect::Dialect;
use rollback_core::query::TextRows;
use rollback_system::process::{Environment, Files};

/// How long is waited for somebody else's lock on a table.
const LOCK_LIMIT: &str = "10s";

/// `lock_not_available`.
const LOCKED: &str = "55P03";

/// The tables with rows that a backup holds. Those of an extension come with it.
const TABLES: &str = r"
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1";

/// No limit of the user's or the database's ends what may take long. `set_config` of what a release does
/// not know would fail.
const PATIENCE: &str = "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN \
     ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";

/// Backups of one database.
pub(super) struct PostgresBackups {
    settings: PostgresSettings,
    surroundings: BackupContext,
    server: Option<Server>,
    tools: Option<PostgresTools>,
    /// A connection of which all is answered, for the next question.
    idle: Option<Connection<PgConnection>>,
}

#[derive(Debug, Clone)]
struct Server {
    /// `PostgreSQL 15.18`.
    name: String,
    major: u32,
}

impl PostgresBackups {
    pub(super) fn open(
        facts: &ConnectionFacts,
        surroundings: BackupContext,
    ) -> Result<Self, BackupError> {
        Ok(Self {
            settings: PostgresSettings::new(facts, &surroundings.environment)?,
            surroundings,
            server: None,
            tools: None,
            idle: None,
        })
    }

    fn connect(&mut self) -> Result<Connection<PgConnection>, BackupError> {
        if let Some(idle) = self.idle.take() {
            return Ok(idle);
        }
        Ok(Postgres::with(self.settings.clone())?.session)
    }

    fn server(&mut self) -> Result<Server, BackupError> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let mut session = self.connect()?;
        let rows = session
            .rows(
                "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version')",
            )
            .map_err(DatabaseError::from)?;
        self.idle = Some(session);
        let column = |index| rows.first().and_then(|row| text(row, index));
        let version = column(1).unwrap_or_default();
        let server = Server {
            name: format!(
                "PostgreSQL {}",
                version.split(' ').next().unwrap_or_default()
            ),
            major: column(0)
                .and_then(|major| major.parse().ok())
                .unwrap_or_default(),
        };
        self.server = Some(server.clone());
        Ok(server)
    }

    fn tools(&mut self) -> Result<PostgresTools, BackupError> {
        if let Some(tools) = &self.tools {
            return Ok(tools.clone());
        }
        let server = self.server()?;
        let tools = PostgresTools::find(&self.environment(), server.major, &server.name)?;
        self.tools = Some(tools.clone());
        Ok(tools)
    }

    /// The environment of a client. The password is in no file and no argument; only our own user can read
    /// the environment of a process.
    fn environment(&self) -> Environment {
        environment(&self.surroundings.environment, &self.settings)
    }

    fn stop(&self) -> ClientStop {
        ClientStop::after(1, &self.surroundings.interrupt)
    }

    fn write(
        &mut self,
        file: &Path,
        snapshot: Option<&str>,
        without: &[String],
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let tools = self.tools()?;
        // Ours before it has a byte: nobody else may read it.
        drop(client::create(file)?);
        let mut args = vec![
            "--format=custom".to_owned(),
            format!("--lock-wait-timeout={LOCK_LIMIT}"),
            "--no-password".to_owned(),
            // One cannot be dropped and made again without its publisher, so it is left as it is.
            "--no-subscriptions".to_owned(),
        ];
        args.extend(snapshot.map(|snapshot| format!("--snapshot={snapshot}")));
        let without = without.iter();
        args.extend(without.map(|table| format!("--exclude-table-data={table}")));
        let mut invocation = client::invocation(&tools.dump, &args, &self.environment());
        invocation.args.push("--file".into());
        invocation.args.push(file.into());
        let call = Call {
            name: "pg_dump",
            invocation,
            files: Files::default(),
            password: self.settings.password.as_ref(),
        };
        let mut measure = || client::length(file);
        let mut listener = Watching::new(&mut measure, progress);
        call.run(&self.surroundings.interrupt.at_once(), &mut listener)?;
        progress(client::length(file));
        Ok(())
    }

    /// The tables whose rows cannot be read, found by reading every value of all of them.
    fn unreadable(&mut self, stop: &ClientStop) -> Result<Vec<LeftOut>, BackupError> {
        let mut session = self.connect()?;
        let tables = DumpMoment::begin(&mut session, stop)?.tables()?;
        let mut left_out = Vec::new();
        for table in tables {
            // An error ends the transaction, so that each table has its own.
            let mut session = self.connect()?;
            let mut moment = DumpMoment::begin(&mut session, stop)?;
            match moment.ask(&format!("SELECT count(t::text) FROM ONLY {table} t")) {
                Ok(_) => {}
                Err(BackupError::Database(DatabaseError::Query { reason, .. })) => {
                    left_out.push(LeftOut::named(OmittedPart::Table, table, reason));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(left_out)
    }

    /// All in one transaction.
    fn replace(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError> {
        let tools = self.tools()?;
        let server = self.server()?;
        let stop = self.stop();
        let mut session = self.connect()?;
        let load = PostgresLoad {
            tools: &tools,
            environment: self.environment(),
            surroundings: &self.surroundings,
            password: self.settings.password.as_ref(),
            major: server.major,
        };
        let list = load.list(file)?;
        let kept = load::kept(&mut session, &list)?;
        stop.check()?;
        let first = load::emptying(&list);
        let wanted = listing::without(&list, &kept);
        match load.run(file, &first, Some(&wanted), progress) {
            Ok(()) => Ok(()),
            // Our word for the end is on its way: only the server knows whether it arrived.
            Err(failed) if failed.commit_sent && load::is_committed(&mut session, failed.xid)? => {
                Ok(())
            }
            Err(failed) => Err(failed.error),
        }
    }
}

/// Ours, with the variables of libpq that lead to this database and none that lead elsewhere.
fn environment(environment: &Environment, settings: &PostgresSettings) -> Environment {
    let mut environment = environment.clone();
    for name in [
        "PGHOSTADDR",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGPASSWORD",
        "PGPASSFILE",
        "PGOPTIONS",
        "PGSSLROOTCERT",
        "PGSSLCERT",
        "PGSSLKEY",
    ] {
        environment.remove(std::ffi::OsStr::new(name));
    }
    for (name, value) in settings.variables() {
        environment.insert(name.into(), value.into());
    }
    environment
}

impl BackupDriver for PostgresBackups {
    fn client(&mut self) -> Result<Option<String>, BackupError> {
        Ok(Some(self.tools()?.version))
    }

    fn size(&mut self) -> Result<Option<u64>, BackupError> {
        let mut session = self.connect()?;
        let rows = session
            .rows("SELECT pg_database_size(current_database())")
            .map_err(DatabaseError::from)?;
        self.idle = Some(session);
        Ok(rows
            .first()
            .and_then(|row| crate::connection::number(row, 0)))
    }

    fn contents(&mut self) -> Result<DatabaseDigest, BackupError> {
        let stop = self.stop();
        let mut session = self.connect()?;
        let mut moment = DumpMoment::begin(&mut session, &stop)?;
        moment.keep_tables()?;
        moment.contents(&self.surroundings.version_table, &[])
    }

    fn dump(&mut self, file: &Path, progress: Progress<'_>) -> Result<DatabaseDigest, BackupError> {
        self.tools()?;
        let stop = self.stop();
        let mut session = self.connect()?;
        let mut moment = DumpMoment::begin(&mut session, &stop)?;
        let Some(snapshot) = moment.export()? else {
            // A server that shares no snapshot: then two looks have to agree.
            drop(session);
            let before = self.contents()?;
            self.write(file, None, &[], progress)?;
            stop.check()?;
            return if self.contents()? == before {
                Ok(before)
            } else {
                Err(BackupError::Client {
                    program: "pg_dump",
                    reason: "the database was changed while it was read, and the server shares no snapshot"
                        .to_owned(),
                })
            };
        };
        // Before the client does the same: what it finds cannot be dropped until it is counted here.
        moment.keep_tables()?;
        self.write(file, Some(&snapshot), &[], progress)?;
        stop.check()?;
        moment.contents(&self.surroundings.version_table, &[])
    }

    fn salvage(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        let stop = self.stop();
        let left_out = self.unreadable(&stop)?;
        let without: Vec<String> = left_out.iter().map(|left| left.name.clone()).collect();
        self.write(file, None, &without, progress)?;
        let mut session = self.connect()?;
        let mut moment = DumpMoment::begin(&mut session, &stop)?;
        let mut contents = moment.contents(&self.surroundings.version_table, &without)?;
        contents.left_out = left_out;
        Ok(contents)
    }

    fn read_back(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError> {
        let tools = self.tools()?;
        let mut source = client::open(file)?;
        let call = Call {
            name: "pg_restore",
            invocation: client::invocation(
                &tools.restore,
                &["--file=/dev/null"],
                &self.environment(),
            ),
            files: Files {
                stdin: Some(client::shared(&source, file)?),
                ..Files::default()
            },
            password: self.settings.password.as_ref(),
        };
        let mut furthest = 0;
        let mut measure = || client::position(&mut source, &mut furthest);
        let mut listener = Watching::new(&mut measure, progress);
        match call.run(&self.surroundings.interrupt.at_once(), &mut listener) {
            Err(BackupError::Client { reason, .. }) => Err(BackupError::Damaged {
                path: file.to_owned(),
                reason,
            }),
            result => result.map(drop),
        }
    }

    fn rehearse(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        let tools = self.tools()?;
        let server = self.server()?;
        let stop = self.stop();
        let mut session = self.connect()?;
        let manners = scratch::manners(&mut session)?;
        let scratch = PostgresScratch::create(&mut session, &self.settings)?;
        let result = (|| {
            stop.check()?;
            let settings = self.settings.with_database(scratch.name());
            let load = PostgresLoad {
                tools: &tools,
                environment: environment(&self.surroundings.environment, &settings),
                surroundings: &self.surroundings,
                password: settings.password.as_ref(),
                major: server.major,
            };
            load.run(file, "", None, progress)
                .map_err(|failed| failed.error)?;
            stop.check()?;
            let mut session = Postgres::with(settings)?.session;
            let mut moment = DumpMoment::begin(&mut session, &stop)?;
            moment.ask(&manners)?;
            moment.contents(&self.surroundings.version_table, &[])
        })();
        let dropped = scratch.remove();
        // What went wrong first is what has to be known.
        let contents = result?;
        dropped?;
        Ok(contents)
    }

    fn restore(
        &mut self,
        file: &Path,
        _left_out: &[LeftOut],
        progress: Progress<'_>,
    ) -> Result<(), NotRestored> {
        // It is one transaction.
        self.replace(file, progress).map_err(|error| NotRestored {
            error,
            began: false,
        })
    }

    fn is_atomic(&self) -> bool {
        true
    }

    fn extension(&self) -> &'static str {
        ".dump"
    }
}

/// A transaction in which the database stands still.
struct DumpMoment<'a> {
    session: &'a mut Connection<PgConnection>,
    stop: &'a ClientStop,
}

impl<'a> DumpMoment<'a> {
    fn begin(
        session: &'a mut Connection<PgConnection>,
        stop: &'a ClientStop,
    ) -> Result<Self, BackupError> {
        let mut moment = Self { session, stop };
        moment.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        moment.ask(PATIENCE)?;
        // Rows that a policy hides are an error and not a smaller table.
        moment.ask(&format!(
            "SET LOCAL row_security = off; SET LOCAL lock_timeout = '{LOCK_LIMIT}'"
        ))?;
        Ok(moment)
    }

    /// A name by which a client sees the same moment; `None` where the server gives none.
    fn export(&mut self) -> Result<Option<String>, BackupError> {
        match self.patiently("SELECT pg_export_snapshot()") {
            Ok(rows) => Ok(rows.into_iter().flatten().next().flatten()),
            Err(error) if error.failure == FailureKind::Other => {
                self.stop.check()?;
                Ok(None)
            }
            Err(error) => Err(DatabaseError::from(error).into()),
        }
    }

    /// Sees to it that no table goes or is emptied before the transaction ends.
    fn keep_tables(&mut self) -> Result<(), BackupError> {
        let tables = self.tables()?;
        if !tables.is_empty() {
            let tables: Vec<String> = tables.iter().map(|table| format!("ONLY {table}")).collect();
            self.ask(&format!(
                "LOCK TABLE {} IN ACCESS SHARE MODE",
                tables.join(", ")
            ))?;
        }
        Ok(())
    }

    /// All but the rows of some tables.
    fn contents(
        &mut self,
        version_table: &VersionTable,
        without: &[String],
    ) -> Result<DatabaseDigest, BackupError> {
        let mut contents = DatabaseDigest::default();
        for table in self.tables()? {
            if without.contains(&table) {
                continue;
            }
            let rows = self.ask(&format!("SELECT count(*) FROM ONLY {table}"))?;
            let rows = rows.into_iter().flatten().next().flatten();
            let rows = rows.and_then(|rows| rows.parse().ok()).unwrap_or_default();
            contents.rows.insert(table, rows);
        }
        let schema = Reading(self).schema();
        // The last of all: where there is no such table, the transaction ends here.
        let rows = Reading(self).version_rows(version_table);
        // Whoever ended a question is told of that, not of the question.
        self.stop.check()?;
        contents.schema = fingerprint(&schema?, Dialect::Postgres);
        if let VersionRows::Rows(rows) = rows? {
            contents.heads = rows.into_iter().collect();
        }
        Ok(contents)
    }

    fn tables(&mut self) -> Result<Vec<String>, BackupError> {
        let rows = self.ask(TABLES)?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    fn ask(&mut self, sql: &str) -> Result<TextRows, BackupError> {
        self.patiently(sql).map_err(|error| {
            if self.stop.is_wanted() {
                return BackupError::Interrupted;
            }
            let locked = error.is_code(&[LOCKED]);
            match DatabaseError::from(error) {
                DatabaseError::Query { place, .. } if locked => DatabaseError::Query {
                    place,
                    reason: format!(
                        "somebody holds a lock on a table for longer than {LOCK_LIMIT}"
                    ),
                },
                error => error,
            }
            .into()
        })
    }

    fn patiently(&mut self, sql: &str) -> Result<TextRows, SessionError> {
        let stop = self.stop;
        self.session
            .rows_patiently(sql, &mut || stop.is_wanted())
            .map(|rows| texts(&rows))
    }
}

/// The usual looks, at that moment.
struct Reading<'a, 'b>(&'a mut DumpMoment<'b>);

impl Asks for Reading<'_, '_> {
    fn ask(&mut self, sql: &str, _: Option<std::time::Duration>) -> Result<TextRows, SessionError> {
        self.0.patiently(sql)
    }
}
