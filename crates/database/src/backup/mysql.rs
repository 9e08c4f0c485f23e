//! Backups of MariaDB and MySQL by their own clients, as a script.

mod handover;
mod load;
mod objects;
mod rows;
mod scratch;
mod script;
mod tools;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use self::handover::Changes;
use self::load::MySqlLoad;
use self::objects::{
    LOCK_LIMIT, drop_object, emptying, lock_tables, one, rows, tables, unreadable, words,
};
use self::scratch::{MySqlScratch, prove_rights};
use self::script::{Survey, Unread};
use self::tools::MySqlTools;
use super::client::{self, Call, ClientStop, Watching};
use super::{BackupContext, BackupDriver, BackupError, NotRestored, Progress, Ready};
use crate::connection::{number, text};
use crate::mysql::MySql;
use crate::{Database as _, DatabaseError, DatabaseReader as _, quoted};
use rollback_core::backup::{DatabaseDigest, LeftOut, OmittedPart, fingerprint};
use rollback_core::connection::{ConnectionFacts, VersionRows};
use rollback_core::dialect::Dialect;
use rollback_system::process::{Environment, Files, GIVEN};

const SIZE: &str = "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS UNSIGNED) \
     FROM information_schema.tables WHERE table_schema = DATABASE()";

/// Bytes of a packet that may go to what is around a value.
const ROOM: u64 = 1024;

/// Backups of one database.
pub(super) struct MySqlBackups {
    facts: ConnectionFacts,
    surroundings: BackupContext,
    tools: Option<MySqlTools>,
    /// A connection of which all is answered, for the next question.
    idle: Option<MySql>,
}

impl MySqlBackups {
    pub(super) fn new(facts: &ConnectionFacts, surroundings: BackupContext) -> Self {
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

    fn tools(&mut self) -> Result<MySqlTools, BackupError> {
        if let Some(tools) = &self.tools {
            return Ok(tools.clone());
        }
        let mut database = self.connect()?;
        let server = database.identity()?.server.unwrap_or_default();
        self.idle = Some(database);
        let tools = MySqlTools::find(&self.surroundings.environment, &server)?;
        self.tools = Some(tools.clone());
        Ok(tools)
    }

    fn stop(&self) -> ClientStop {
        ClientStop::after(1, &self.surroundings.interrupt)
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
        tools: &MySqlTools,
        course: &DumpOptions<'_>,
        mut begun: impl FnMut(),
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let target = client::create(file)?;
        let left_out = |part| course.left_out.iter().any(|left| left.part == part);
        let mut args = vec![
            format!("--defaults-file=/dev/fd/{GIVEN}"),
            "--single-transaction".to_owned(),
            "--quick".to_owned(),
            "--triggers".to_owned(),
            "--hex-blob".to_owned(),
            "--no-tablespaces".to_owned(),
            "--no-autocommit".to_owned(),
            // Under these a default that is taken from a sequence could not be.
            "--skip-add-locks".to_owned(),
        ];
        if !left_out(OmittedPart::Routines) {
            args.push("--routines".to_owned());
        }
        if !left_out(OmittedPart::Events) {
            args.push("--events".to_owned());
        }
        if tools.keeps_history {
            args.push("--dump-history".to_owned());
        }
        if course.is_salvage {
            args.push("--force".to_owned());
        }
        for left in course.left_out {
            if matches!(left.part, OmittedPart::View | OmittedPart::Table) {
                args.push(format!("--ignore-table={}.{}", self.database(), left.name));
            }
        }
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
                given: Some(tools.options(&self.facts, course.is_encrypted)?.into()),
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

    /// The contents as the transaction of this connection sees them. A salvage leaves out what cannot be counted.
    fn look(
        &self,
        database: &mut MySql,
        stop: &ClientStop,
        is_salvage: bool,
    ) -> Result<DatabaseDigest, BackupError> {
        let mut contents = DatabaseDigest::default();
        let prefix = format!("{}.", quoted(&one(database, "SELECT DATABASE()")?, '`'));
        contents.left_out = unreadable(database)?;
        for table in tables(database)? {
            let sql = format!("SELECT COUNT(*) FROM {}", quoted(&table, '`'));
            let answer = database
                .session
                .rows_patiently(&sql, &mut || stop.is_wanted());
            stop.check()?;
            match answer {
                Ok(answer) => {
                    let rows = answer.first().and_then(|row| number(row, 0));
                    contents.rows.insert(table, rows.unwrap_or_default());
                }
                Err(error) if is_salvage && error.number.is_some() => {
                    contents
                        .left_out
                        .push(LeftOut::named(OmittedPart::Table, table, words(error)));
                }
                Err(error) => return Err(DatabaseError::from(error).into()),
            }
        }
        let left_out = |line: &str| {
            contents.left_out.iter().any(|left| {
                left.part == OmittedPart::View && line.starts_with(&format!("view {} ", left.name))
            })
        };
        let schema = database.schema()?;
        let lines = schema
            .iter()
            .filter(|line| !left_out(line))
            // A sequence is named with its database in the default of a column.
            .map(|line| line.replace(&prefix, ""));
        contents.schema = fingerprint(&lines.collect(), Dialect::MySql);
        if let VersionRows::Rows(rows) = database.version_rows(&self.surroundings.version_table)? {
            contents.heads = rows.into_iter().collect();
        }
        Ok(contents)
    }

    fn written(
        &mut self,
        file: &Path,
        is_salvage: bool,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        let tools = self.tools()?;
        let stop = self.stop();
        let mut service = self.connect()?;
        let mut reader = self.connect()?;
        let is_encrypted = is_encrypted(&mut reader)?;
        // Two sessions cannot share a moment here. So nobody writes between the beginnings of the two.
        let is_locked = lock_tables(&mut service, "READ")?;
        begin(&mut reader)?;
        let before = if is_salvage {
            self.look(&mut reader, &stop, true)?.left_out
        } else {
            unreadable(&mut reader)?
        };
        let course = DumpOptions {
            is_encrypted,
            is_salvage,
            left_out: &before,
        };
        let mut service = Some(service);
        let ended = self.write(file, &tools, &course, || drop(service.take()), progress);
        drop(service);
        let unknown = match ended {
            // Of what it could not read it says so and goes on.
            Err(BackupError::Client { reason, .. }) if is_salvage => {
                Some(LeftOut::all(OmittedPart::Unknown, reason))
            }
            ended => ended.map(|()| None)?,
        };
        drop(whole(file)?);
        stop.check()?;
        let mut contents = self.look(&mut reader, &stop, is_salvage)?;
        drop(reader);
        if !is_locked && !is_salvage && self.contents()? != contents {
            return Err(BackupError::Client {
                program: tools.dump_name,
                reason: "the database was changed while it was read, and the user has no right to hold it still \
                         for a moment: GRANT LOCK TABLES"
                    .to_owned(),
            });
        }
        contents.left_out.extend(unknown);
        Ok(contents)
    }

    /// What has to be different of a script for this user, this database and this server.
    fn changes(&self, database: &mut MySql, file: &Path, to: &str) -> Result<Changes, BackupError> {
        let mut source = BufReader::new(client::open(file)?);
        let from = script::source(&mut source).map_err(|error| client::failed(file, error))?;
        Ok(Changes {
            definers_but: only_definer(database)?,
            without_events: false,
            without_database: from
                .or_else(|| self.facts.database.clone())
                .filter(|from| from != to),
            packet: usize::try_from(packet(database)?).ok(),
        })
    }

    /// Refuses a backup that this server would not take whole.
    fn fits(database: &mut MySql, survey: &Survey) -> Result<(), BackupError> {
        let packet = packet(database)?;
        let longest = survey.longest_value.max(survey.longest_statement) + ROOM;
        if longest > packet {
            return Err(BackupError::Unfit(format!(
                "a value or statement in it takes {longest} bytes, and the server's max_allowed_packet is {packet}: \
                 SET GLOBAL max_allowed_packet = {}",
                longest.div_ceil(1 << 20) << 20
            )));
        }
        prove_rights(database, survey)
    }

    /// Reads a script whole.
    fn survey(&self, file: &Path, progress: Progress<'_>) -> Result<Survey, BackupError> {
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
        script::survey(source, &mut look).map_err(|unread| match unread {
            Unread::Io(error) => client::failed(file, error),
            Unread::Stopped => BackupError::Interrupted,
            Unread::Damaged(reason) => BackupError::Damaged {
                path: file.to_owned(),
                reason: reason.to_owned(),
            },
        })
    }

    /// Empties the database and loads the script; tells whether anything was changed where it fails.
    fn replace(
        &mut self,
        file: &Path,
        left_out: &[LeftOut],
        began: &mut bool,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let tools = self.tools()?;
        let stop = self.stop();
        drop(whole(file)?);
        let mut database = self.connect()?;
        let changes = self.changes(&mut database, file, &self.database())?;
        let is_encrypted = is_encrypted(&mut database)?;
        // A lock that would stop it half way is better known before.
        lock_tables(&mut database, "WRITE")?;
        rows(&mut database, "UNLOCK TABLES")?;
        stop.check()?;
        for statement in emptying(&mut database, left_out)? {
            drop_object(&mut database, &statement)?;
            *began |= statement.starts_with("DROP ");
        }
        drop(database);
        *began = true;
        rollback_core::failpoint::point("emptied");
        let load = MySqlLoad {
            facts: &self.facts,
            tools: &tools,
            environment: self.environment(),
            interrupt: &self.surroundings.interrupt,
            is_encrypted,
        };
        load.run(file, &changes, progress)
    }
}

/// How a backup is written.
struct DumpOptions<'a> {
    is_encrypted: bool,
    /// Whatever cannot be read is left out.
    is_salvage: bool,
    left_out: &'a [LeftOut],
}

/// The only definer that this user may name; `None` if all.
fn only_definer(database: &mut MySql) -> Result<Option<String>, BackupError> {
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
        return Ok(None);
    }
    let user = one(database, "SELECT CURRENT_USER()")?;
    let (name, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    Ok(Some(format!("{}@{}", quoted(name, '`'), quoted(host, '`'))))
}

/// The longest packet that the server takes, in bytes.
fn packet(database: &mut MySql) -> Result<u64, BackupError> {
    let packet = one(database, "SELECT CAST(@@max_allowed_packet AS CHAR)")?;
    Ok(packet.parse().unwrap_or(u64::MAX))
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

impl BackupDriver for MySqlBackups {
    fn client(&mut self) -> Result<Option<String>, BackupError> {
        Ok(Some(self.tools()?.version))
    }

    fn size(&mut self) -> Result<Option<u64>, BackupError> {
        let mut database = self.connect()?;
        let size = one(&mut database, SIZE)?.parse().ok();
        self.idle = Some(database);
        Ok(size)
    }

    fn contents(&mut self) -> Result<DatabaseDigest, BackupError> {
        let stop = self.stop();
        let mut database = self.connect()?;
        begin(&mut database)?;
        self.look(&mut database, &stop, false)
    }

    fn dump(&mut self, file: &Path, progress: Progress<'_>) -> Result<DatabaseDigest, BackupError> {
        self.written(file, false, progress)
    }

    fn salvage(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        self.written(file, true, progress)
    }

    fn read_back(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError> {
        self.survey(file, progress).map(drop)
    }

    fn rehearse(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        let tools = self.tools()?;
        let stop = self.stop();
        drop(whole(file)?);
        let mut database = self.connect()?;
        let mut changes = self.changes(&mut database, file, "")?;
        changes.without_events = true;
        let is_encrypted = is_encrypted(&mut database)?;
        let scratch = MySqlScratch::create(database)?;
        let facts = ConnectionFacts {
            database: Some(scratch.name.clone()),
            ..self.facts.clone()
        };
        let result = (|| {
            let load = MySqlLoad {
                facts: &facts,
                tools: &tools,
                environment: self.environment(),
                interrupt: &self.surroundings.interrupt.at_once(),
                is_encrypted,
            };
            load.run(file, &changes, progress)?;
            stop.check()?;
            let mut copy = MySql::open(&facts)?;
            begin(&mut copy)?;
            self.look(&mut copy, &stop, false)
        })();
        let dropped = scratch.remove();
        let contents = result?;
        dropped?;
        Ok(contents)
    }

    fn check(
        &mut self,
        file: &Path,
        try_out: bool,
        progress: Progress<'_>,
    ) -> Result<Ready, BackupError> {
        self.tools()?;
        let survey = self.survey(file, &mut |_| {})?;
        let mut database = self.connect()?;
        Self::fits(&mut database, &survey)?;
        self.idle = Some(database);
        if !try_out {
            return Ok(Ready::default());
        }
        match self.rehearse(file, progress) {
            Ok(contents) => Ok(Ready {
                contents: Some(contents),
                unproven: None,
            }),
            Err(BackupError::NoScratch(reason)) => Ok(Ready {
                contents: None,
                unproven: Some(reason),
            }),
            Err(error) => Err(error),
        }
    }

    fn restore(
        &mut self,
        file: &Path,
        left_out: &[LeftOut],
        progress: Progress<'_>,
    ) -> Result<(), NotRestored> {
        let mut began = false;
        self.replace(file, left_out, &mut began, progress)
            .map_err(|error| NotRestored { error, began })
    }

    fn is_atomic(&self) -> bool {
        false
    }

    fn extension(&self) -> &'static str {
        ".sql"
    }
}
