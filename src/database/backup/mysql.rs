//! Backups of MariaDB and MySQL by their own clients, as a script.

mod script;
mod tools;

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::thread;

use self::script::Without;
use self::tools::Tools;
use super::client::{self, Call, Stop, Watching};
use super::{BackupError, Backups, Progress, Surroundings};
use crate::database::mysql::MySql;
use crate::database::session::{number, text};
use crate::database::{Database as _, DatabaseError, Look as _, quoted};
use crate::domain::backup::{Contents, fingerprint};
use crate::domain::connection::{ConnectionFacts, Dialect, VersionRows};
use crate::process::{Environment, Files, GIVEN, Interrupt};

/// How long is waited for somebody else's lock, in seconds.
const LOCK_LIMIT: u32 = 10;

/// A lock that was waited for in vain has no class of its own.
const LOCKED: &str = "HY000";

/// The class of "command denied".
const NOT_ALLOWED: &str = "42000";

/// The tables with rows.
const TABLES: &str = "SELECT table_name FROM information_schema.tables \
     WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name";

/// What a restore takes out, as statements. Triggers and indexes go with their tables.
const OBJECTS: &str = "
    SELECT CONCAT('DROP ', CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END,
        ' IF EXISTS `', REPLACE(table_name, '`', '``'), '`')
    FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type <> 'SYSTEM VIEW'
    UNION ALL SELECT CONCAT('DROP ', routine_type, ' IF EXISTS `', REPLACE(routine_name, '`', '``'), '`')
    FROM information_schema.routines WHERE routine_schema = DATABASE()
        AND routine_type IN ('FUNCTION', 'PROCEDURE', 'PACKAGE')
    UNION ALL SELECT CONCAT('DROP EVENT IF EXISTS `', REPLACE(event_name, '`', '``'), '`')
    FROM information_schema.events WHERE event_schema = DATABASE()";

const SIZE: &str = "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS UNSIGNED) \
     FROM information_schema.tables WHERE table_schema = DATABASE()";

/// Backups of one database.
pub(super) struct MySqlBackups {
    facts: ConnectionFacts,
    surroundings: Surroundings,
    tools: Option<Tools>,
    /// A connection of which all is answered, for the next question.
    idle: Option<MySql>,
}

impl MySqlBackups {
    pub(super) fn new(facts: &ConnectionFacts, surroundings: Surroundings) -> Self {
        Self {
            facts: facts.clone(),
            surroundings,
            tools: None,
            idle: None,
        }
    }

    fn connect(&mut self) -> Result<MySql, BackupError> {
        match self.idle.take() {
            Some(idle) => Ok(idle),
            None => self.connect_anew(),
        }
    }

    fn connect_anew(&self) -> Result<MySql, BackupError> {
        let mut database = MySql::open(&self.facts)?;
        rows(
            &mut database,
            &format!(
                "SET SESSION lock_wait_timeout = {LOCK_LIMIT}, SESSION foreign_key_checks = 0"
            ),
        )?;
        Ok(database)
    }

    fn tools(&mut self) -> Result<Tools, BackupError> {
        if let Some(tools) = &self.tools {
            return Ok(tools.clone());
        }
        let mut database = self.connect()?;
        let server = database.identity()?.server.unwrap_or_default();
        self.idle = Some(database);
        let tools = Tools::find(&self.surroundings.environment, &server)?;
        self.tools = Some(tools.clone());
        Ok(tools)
    }

    fn stop(&self) -> Stop {
        Stop::after(1, &self.surroundings.interrupt)
    }

    fn environment(&self) -> Environment {
        let mut environment = self.surroundings.environment.clone();
        environment.remove(std::ffi::OsStr::new("MYSQL_PWD"));
        // MySQL's clients read this one whatever they are told, and it goes before what we say.
        environment.insert("MYSQL_TEST_LOGIN_FILE".into(), "/dev/null/none".into());
        environment
    }

    fn database(&self) -> String {
        self.facts.database.clone().unwrap_or_default()
    }

    fn write(
        &self,
        file: &Path,
        tools: &Tools,
        is_encrypted: bool,
        mut begun: impl FnMut(),
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let target = client::create(file)?;
        let mut args = vec![
            format!("--defaults-file=/dev/fd/{GIVEN}"),
            "--single-transaction".to_owned(),
            "--quick".to_owned(),
            "--routines".to_owned(),
            "--triggers".to_owned(),
            "--events".to_owned(),
            "--hex-blob".to_owned(),
            "--no-tablespaces".to_owned(),
            "--no-autocommit".to_owned(),
            // Under these a default that is taken from a sequence could not be.
            "--skip-add-locks".to_owned(),
        ];
        if !tools.is_mariadb {
            args.push("--set-gtid-purged=OFF".to_owned());
            args.push("--column-statistics=0".to_owned());
        }
        args.push("--".to_owned());
        args.push(self.database());
        let call = Call {
            name: tools.dump_name,
            invocation: client::invocation(&tools.dump, &args, &self.environment()),
            files: Files {
                stdin: None,
                stdout: Some(client::shared(&target, file)?),
                given: Some(tools.options(&self.facts, is_encrypted)?.into()),
            },
            password: self.facts.password.as_ref(),
        };
        let mut measure = || {
            let length = client::length(file);
            // The first bytes leave the client's buffer with the first table, after its transaction has begun.
            if length > 0 {
                begun();
            }
            length
        };
        let mut listener = Watching::new(&mut measure, progress);
        call.run(&self.surroundings.interrupt.at_once(), &mut listener)?;
        target
            .sync_all()
            .map_err(|source| client::failed(file, source))?;
        progress(client::length(file));
        Ok(())
    }

    /// Runs a script in the database that the facts name.
    fn load(
        &self,
        file: &Path,
        facts: &ConnectionFacts,
        tools: &Tools,
        without: &Without,
        interrupt: &Interrupt,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let mut source = whole(file)?;
        let is_encrypted = is_encrypted(&mut self.connect_anew()?)?;
        let (input, input_end) = io::pipe().map_err(|error| client::failed(file, error))?;
        let call = Call {
            name: tools.load_name,
            invocation: client::invocation(
                &tools.load,
                &[
                    &format!("--defaults-file=/dev/fd/{GIVEN}"),
                    // The data is data: no command of the client's own is looked for in it.
                    "--binary-mode",
                    "--batch",
                    "--",
                    facts.database.as_deref().unwrap_or_default(),
                ],
                &self.environment(),
            ),
            files: Files {
                stdin: Some(input.into()),
                stdout: None,
                given: Some(tools.options(facts, is_encrypted)?.into()),
            },
            password: self.facts.password.as_ref(),
        };
        let script = source
            .try_clone()
            .map_err(|error| client::failed(file, error))?;
        let mut furthest = 0;
        let mut measure = || client::position(&mut source, &mut furthest);
        let mut listener = Watching::new(&mut measure, progress);
        let (ran, passed) = thread::scope(|scope| {
            let passed = scope.spawn(move || {
                let script = BufReader::with_capacity(1 << 16, script);
                script::pass(script, BufWriter::new(input_end), without)
            });
            (call.run(interrupt, &mut listener), passed.join())
        });
        ran?;
        // The client was content: then only a file that cannot be read is left to be at fault.
        match passed {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(client::failed(file, error))
            }
            _ => Ok(()),
        }
    }

    /// The contents as the transaction of this connection sees them.
    fn look(&self, database: &mut MySql, stop: &Stop) -> Result<Contents, BackupError> {
        let mut contents = Contents::default();
        for table in tables(database)? {
            let sql = format!("SELECT COUNT(*) FROM {}", quoted(&table, '`'));
            let answer = database
                .session
                .rows_patiently(&sql, &mut || stop.is_wanted());
            stop.check()?;
            let answer = answer.map_err(DatabaseError::from)?;
            let rows = answer.first().and_then(|row| number(row, 0));
            contents.rows.insert(table, rows.unwrap_or_default());
        }
        contents.schema = fingerprint(&database.schema()?, Dialect::MySql);
        if let VersionRows::Rows(rows) = database.version_rows(&self.surroundings.version_table)? {
            contents.heads = rows.into_iter().collect();
        }
        Ok(contents)
    }
}

/// What may not be said to the server by this user.
fn without(database: &mut MySql) -> Result<Without, BackupError> {
    let grants: Vec<String> = rows(database, "SHOW GRANTS")?
        .into_iter()
        .flatten()
        .collect();
    let may_name_others = grants.iter().any(|grant| {
        let Some((rights, _)) = grant.split_once(" ON *.* ") else {
            return false;
        };
        [
            "ALL PRIVILEGES",
            "SUPER",
            "SET USER",
            "SET_USER_ID",
            "SET_ANY_DEFINER",
        ]
        .iter()
        .any(|right| rights.contains(right))
    });
    if may_name_others {
        return Ok(Without::default());
    }
    let user = one(database, "SELECT CURRENT_USER()")?;
    let (name, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    Ok(Without {
        definers_but: Some(format!("{}@{}", quoted(name, '`'), quoted(host, '`'))),
        events: false,
    })
}

/// Begins a transaction that sees one moment.
fn begin(database: &mut MySql) -> Result<(), BackupError> {
    rows(
        database,
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    )?;
    rows(
        database,
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )?;
    Ok(())
}

fn rows(database: &mut MySql, sql: &str) -> Result<Vec<Option<String>>, BackupError> {
    let answer = database.session.rows_patiently(sql, &mut || false);
    let rows = answer.map_err(|error| {
        let locked = error.is_code(&[LOCKED]);
        match DatabaseError::from(error) {
            DatabaseError::Query { place, reason } if locked && reason.contains("timeout") => {
                DatabaseError::Query {
                    place,
                    reason: format!(
                        "somebody holds a lock on a table for longer than {LOCK_LIMIT}s: {reason}"
                    ),
                }
            }
            error => error,
        }
    })?;
    Ok(rows.iter().map(|row| text(row, 0)).collect())
}

fn one(database: &mut MySql, sql: &str) -> Result<String, BackupError> {
    Ok(rows(database, sql)?
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_default())
}

fn tables(database: &mut MySql) -> Result<Vec<String>, BackupError> {
    Ok(rows(database, TABLES)?.into_iter().flatten().collect())
}

fn lock_tables(database: &mut MySql, kind: &str) -> Result<(), BackupError> {
    let tables: Vec<String> = tables(database)?
        .iter()
        .map(|table| format!("{} {kind}", quoted(table, '`')))
        .collect();
    if !tables.is_empty() {
        rows(database, &format!("LOCK TABLES {}", tables.join(", ")))?;
    }
    Ok(())
}

fn is_encrypted(database: &mut MySql) -> Result<bool, BackupError> {
    let answer = database
        .session
        .rows_here("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        .map_err(DatabaseError::from)?;
    Ok(answer
        .first()
        .and_then(|row| text(row, 1))
        .is_some_and(|cipher| !cipher.is_empty()))
}

/// The file, if it ends as a dump does.
fn whole(file: &Path) -> Result<File, BackupError> {
    let mut source = client::open(file)?;
    match script::has_end(&mut source) {
        Ok(true) => Ok(source),
        Ok(false) => Err(BackupError::Damaged {
            path: file.to_owned(),
            reason: "it does not end as a dump does".to_owned(),
        }),
        Err(error) => Err(client::failed(file, error)),
    }
}

impl Backups for MySqlBackups {
    fn client(&mut self) -> Result<Option<String>, BackupError> {
        Ok(Some(self.tools()?.version))
    }

    fn size(&mut self) -> Result<Option<u64>, BackupError> {
        let mut database = self.connect()?;
        let size = one(&mut database, SIZE)?.parse().ok();
        self.idle = Some(database);
        Ok(size)
    }

    fn contents(&mut self) -> Result<Contents, BackupError> {
        let stop = self.stop();
        let mut database = self.connect()?;
        begin(&mut database)?;
        self.look(&mut database, &stop)
    }

    fn dump(&mut self, file: &Path, progress: Progress<'_>) -> Result<Contents, BackupError> {
        let tools = self.tools()?;
        let stop = self.stop();
        let mut keeper = self.connect()?;
        let mut reader = self.connect()?;
        let is_encrypted = is_encrypted(&mut reader)?;
        // Two sessions cannot share a moment here. So nobody writes between the beginnings of the two.
        let is_locked = match lock_tables(&mut keeper, "READ") {
            Ok(()) => true,
            Err(BackupError::Database(DatabaseError::Query { reason, .. }))
                if reason.contains("denied") =>
            {
                false
            }
            Err(error) => return Err(error),
        };
        begin(&mut reader)?;
        let mut keeper = Some(keeper);
        self.write(file, &tools, is_encrypted, || drop(keeper.take()), progress)?;
        drop(keeper);
        whole(file)?;
        stop.check()?;
        let contents = self.look(&mut reader, &stop)?;
        drop(reader);
        if !is_locked && self.contents()? != contents {
            return Err(BackupError::Client {
                program: tools.dump_name,
                reason: "the database was changed while it was read, and the user has no right to hold it still \
                         for a moment: GRANT LOCK TABLES"
                    .to_owned(),
            });
        }
        Ok(contents)
    }

    fn read_back(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError> {
        let stop = self.stop();
        let mut told = 0;
        let mut look = |bytes: u64| {
            if bytes - told > 1 << 24 {
                told = bytes;
                progress(bytes);
            }
            !stop.is_wanted()
        };
        let source = BufReader::with_capacity(1 << 16, client::open(file)?);
        let fault =
            script::fault(source, &mut look).map_err(|error| client::failed(file, error))?;
        stop.check()?;
        match fault {
            None => Ok(()),
            Some(reason) => Err(BackupError::Damaged {
                path: file.to_owned(),
                reason: reason.to_owned(),
            }),
        }
    }

    fn rehearse(&mut self, file: &Path, progress: Progress<'_>) -> Result<Contents, BackupError> {
        let tools = self.tools()?;
        let stop = self.stop();
        whole(file)?;
        let mut database = self.connect()?;
        let without = Without {
            events: true,
            ..without(&mut database)?
        };
        let scratch = Scratch::create(database)?;
        let facts = ConnectionFacts {
            database: Some(scratch.name.clone()),
            ..self.facts.clone()
        };
        let result = (|| {
            let interrupt = self.surroundings.interrupt.at_once();
            self.load(file, &facts, &tools, &without, &interrupt, progress)?;
            stop.check()?;
            let mut copy = MySql::open(&facts)?;
            begin(&mut copy)?;
            self.look(&mut copy, &stop)
        })();
        let dropped = scratch.remove();
        let contents = result?;
        dropped?;
        Ok(contents)
    }

    fn restore(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError> {
        let tools = self.tools()?;
        let stop = self.stop();
        drop(whole(file)?);
        let mut database = self.connect()?;
        let without = without(&mut database)?;
        // What would stop it half way is better known before: a lock, or a right that is missing.
        match lock_tables(&mut database, "WRITE") {
            Err(BackupError::Database(DatabaseError::Query { reason, .. }))
                if reason.contains("denied") => {}
            result => result?,
        }
        rows(&mut database, "UNLOCK TABLES")?;
        stop.check()?;
        for statement in rows(&mut database, OBJECTS)?.into_iter().flatten() {
            rows(&mut database, &statement)?;
        }
        drop(database);
        let interrupt = &self.surroundings.interrupt;
        self.load(file, &self.facts, &tools, &without, interrupt, progress)
    }

    fn is_atomic(&self) -> bool {
        false
    }

    fn extension(&self) -> &'static str {
        ".sql"
    }
}

/// A database beside the real one, gone again with its value.
struct Scratch {
    database: MySql,
    name: String,
    is_there: bool,
}

impl Scratch {
    fn create(mut database: MySql) -> Result<Self, BackupError> {
        let name = one(
            &mut database,
            "SELECT CONCAT('rollback_scratch_', UNIX_TIMESTAMP(), '_', CONNECTION_ID())",
        )?;
        let like = one(
            &mut database,
            "SELECT CONCAT('CHARACTER SET ', @@character_set_database, ' COLLATE ', @@collation_database)",
        )?;
        let sql = format!("CREATE DATABASE {} {like}", quoted(&name, '`'));
        if let Err(error) = database.session.rows_here(&sql) {
            let is_denied = error.is_code(&[NOT_ALLOWED]);
            return Err(match DatabaseError::from(error) {
                DatabaseError::Query { place, reason } | DatabaseError::LoginRefused { place, reason }
                    if is_denied =>
                {
                    DatabaseError::Query {
                        place,
                        reason: format!(
                            "{reason}; a backup is verified in a database beside this one, so the user needs \
                             all rights on databases named `rollback\\_scratch\\_%`"
                        ),
                    }
                }
                error => error,
            }
            .into());
        }
        Ok(Self {
            database,
            name,
            is_there: true,
        })
    }

    fn remove(mut self) -> Result<(), BackupError> {
        self.is_there = false;
        self.drop_database()
    }

    fn drop_database(&mut self) -> Result<(), BackupError> {
        let sql = format!("DROP DATABASE IF EXISTS {}", quoted(&self.name, '`'));
        self.database
            .session
            .rows(&sql)
            .map_err(DatabaseError::from)?;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_there {
            // What led here is told; a database that is left over says by its name what it is.
            let _ = self.drop_database();
        }
    }
}
