//! An archive into a database, in one transaction.
//!
//! `pg_restore` writes a script and `psql` runs it. In between the script passes through our hands, so that
//! the last word, `COMMIT`, is ours: it is said only when the archive was read to its end without a fault.
//! The script has to be one of a single transaction: any other one commits after its large objects.

use std::fs;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use sqlx::postgres::PgConnection;

use super::super::client::{self, Call, Watching};
use super::super::{BackupContext, BackupError, Progress};
use super::LOCKED;
use super::listing::{self, TocEntries};
use super::tools::PostgresTools;
use crate::DatabaseError;
use crate::connection::{Connection, text, texts};
use rollback_core::engine::NoListener;
use rollback_core::secret::Secret;
use rollback_system::process::{Environment, Files, Finished};

/// How long a restore waits for somebody else's lock, while others queue behind it.
const LOCK_LIMIT: &str = "10s";

/// What an older server does not know and a newer client sets. The lines of settings are the first ones.
const UNKNOWN: (&str, u32) = ("SET transaction_timeout = 0;", 17);

/// How many lines at the start of a script may be settings.
const HEAD: usize = 60;

/// The script's own first and last word, in whose place ours are.
const FIRST: &[u8] = b"BEGIN;";
const LAST: &[u8] = b"\nCOMMIT;\n";

/// How many bytes at its end are held back to look for the last word. Only remarks follow it.
const END: usize = 4096;

const EMPTY: &str = include_str!("empty.sql");

/// What stays when the database is emptied, or belongs to what stays.
const KEPT: &str = "
    SELECT 'extension', extname::text FROM pg_extension
    UNION ALL SELECT 'schema', n.nspname FROM pg_namespace n
    WHERE n.nspname <> 'public' AND (n.oid IN (SELECT extnamespace FROM pg_extension)
        OR EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'e' AND d.classid = 'pg_namespace'::regclass AND d.objid = n.oid))
    UNION ALL SELECT 'member', n.nspname || ' ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_depend d ON d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
    UNION ALL SELECT 'trigger', evtname FROM pg_event_trigger WHERE NOT pg_has_role(evtowner, 'USAGE')
    UNION ALL SELECT 'role', rolname FROM pg_roles
    UNION ALL SELECT 'mine', extname FROM pg_extension WHERE oid >= 16384 AND pg_has_role(extowner, 'USAGE')";

/// How archives get into a database.
pub(super) struct PostgresLoad<'a> {
    pub(super) tools: &'a PostgresTools,
    /// It leads to the database.
    pub(super) environment: Environment,
    pub(super) surroundings: &'a BackupContext,
    pub(super) password: Option<&'a Secret>,
    /// The server's release.
    pub(super) major: u32,
}

/// A load that did not come to its end.
pub(super) struct FailedLoad {
    pub(super) error: BackupError,
    /// Whether the server may have committed anyway.
    pub(super) commit_sent: bool,
    /// The transaction, where the server named it.
    pub(super) xid: Option<u64>,
}

impl From<BackupError> for FailedLoad {
    fn from(error: BackupError) -> Self {
        Self {
            error,
            commit_sent: false,
            xid: None,
        }
    }
}

impl PostgresLoad<'_> {
    /// What the archive holds, a line each.
    pub(super) fn list(&self, file: &Path) -> Result<String, BackupError> {
        let source = client::open(file)?;
        let call = Call {
            name: "pg_restore",
            invocation: client::invocation(&self.tools.restore, &["--list"], &self.environment),
            files: Files {
                stdin: Some(client::shared(&source, file)?),
                ..Files::default()
            },
            password: self.password,
        };
        match call.run(&self.surroundings.interrupt.at_once(), &mut NoListener) {
            Ok(finished) => Ok(finished.stdout),
            Err(BackupError::Client { reason, .. }) => Err(BackupError::Damaged {
                path: file.to_owned(),
                reason,
            }),
            Err(error) => Err(error),
        }
    }

    /// Runs `first` and then the archive, or of it what `wanted` lists.
    pub(super) fn run(
        &self,
        file: &Path,
        first: &str,
        wanted: Option<&str>,
        progress: Progress<'_>,
    ) -> Result<(), FailedLoad> {
        let list = wanted
            .map(|wanted| List::write(&self.surroundings.folder, wanted))
            .transpose()?;
        let mut source = client::open(file)?;
        let pipe = || io::pipe().map_err(|error| client::failed(file, error));
        let (script, script_end) = pipe()?;
        let (input, input_end) = pipe()?;

        let mut restore = client::invocation(
            &self.tools.restore,
            &["--single-transaction", "--file=-"],
            &self.environment,
        );
        if let Some(list) = &list {
            restore.args.push("--use-list".into());
            restore.args.push(list.0.clone().into());
        }
        let restore = Call {
            name: "pg_restore",
            invocation: restore,
            files: Files {
                stdin: Some(client::shared(&source, file)?),
                stdout: Some(script_end.into()),
                given: None,
            },
            password: self.password,
        };
        let psql = Call {
            name: "psql",
            invocation: client::invocation(
                &self.tools.psql,
                &[
                    "--no-psqlrc",
                    "--no-password",
                    "--quiet",
                    "--no-align",
                    "--tuples-only",
                    "--set=ON_ERROR_STOP=1",
                    // With the code of each error.
                    "--set=VERBOSITY=verbose",
                    "--file=-",
                ],
                &self.environment,
            ),
            files: Files {
                stdin: Some(input.into()),
                ..Files::default()
            },
            password: self.password,
        };
        let begin = format!(
            "BEGIN;\nSELECT txid_current();\nSET LOCAL client_min_messages = warning;\n\
             SET LOCAL lock_timeout = '{LOCK_LIMIT}';\nSET LOCAL statement_timeout = 0;\n{first}"
        );
        let interrupt = self.surroundings.interrupt.at_once();
        let (read, is_read) = mpsc::channel();
        let is_known = self.major >= UNKNOWN.1;
        let mut furthest = 0;
        let mut measure = || client::position(&mut source, &mut furthest);
        let mut listener = Watching::new(&mut measure, progress);
        let (ran, restored, passed) = thread::scope(|scope| {
            let restored = scope.spawn(|| {
                let result = restore.run(&interrupt, &mut NoListener);
                // Whoever waits for it may be gone.
                let _ = read.send(result.is_ok());
                result
            });
            let passed = scope.spawn(move || pass(script, input_end, &begin, is_known, &is_read));
            let ran = psql.run(&interrupt, &mut listener);
            (ran, restored.join(), passed.join())
        });
        let passed = passed.unwrap_or(ScriptProgress::Refused);
        let restored = restored.unwrap_or_else(|_| Err(stopped()));
        let commit_sent = passed == ScriptProgress::Whole;
        let ended = finish(ran, restored, passed, file);
        ended.map_err(|error| FailedLoad {
            error,
            commit_sent,
            xid: listener.number,
        })
    }
}

/// How far a script came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScriptProgress {
    /// All of it, and the last word.
    Whole,
    /// As far as it goes, which is not its end.
    Torn,
    /// Its reader was gone before it was.
    Refused,
}

/// Which of the two failed first, if any.
fn finish(
    ran: Result<Finished, BackupError>,
    restored: Result<Finished, BackupError>,
    passed: ScriptProgress,
    file: &Path,
) -> Result<(), BackupError> {
    match (ran, restored) {
        (Err(BackupError::Interrupted), _) | (_, Err(BackupError::Interrupted)) => {
            Err(BackupError::Interrupted)
        }
        // A reader of half a line complains, too, and a writer without a reader.
        (_, Err(BackupError::Client { reason, .. })) if passed == ScriptProgress::Torn => {
            Err(BackupError::Damaged {
                path: file.to_owned(),
                reason,
            })
        }
        (Err(BackupError::Client { program, reason }), _) if reason.contains(LOCKED) => {
            let reason =
                format!("somebody holds a lock on a table for longer than {LOCK_LIMIT}\n{reason}");
            Err(BackupError::Client { program, reason })
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(_), Ok(_)) if passed == ScriptProgress::Whole => Ok(()),
        (Ok(_), Ok(_)) => Err(stopped()),
    }
}

fn stopped() -> BackupError {
    BackupError::Client {
        program: "psql",
        reason: "it ended before the script did".to_owned(),
    }
}

/// Hands the script on, between our first and our last words. An end that is closed is the end of a client,
/// who says why.
fn pass(
    script: PipeReader,
    mut input: PipeWriter,
    begin: &str,
    is_known: bool,
    is_read: &mpsc::Receiver<bool>,
) -> ScriptProgress {
    let passed = (|| -> io::Result<bool> {
        input.write_all(begin.as_bytes())?;
        let mut script = BufReader::new(script);
        let mut held = Vec::new();
        let mut line = Vec::new();
        for _ in 0..HEAD {
            line.clear();
            if script.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let said = line.trim_ascii_end();
            if said != FIRST && (is_known || said != UNKNOWN.0.as_bytes()) {
                held.extend_from_slice(&line);
            }
        }
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = script.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            held.extend_from_slice(&buffer[..length]);
            let free = held.len().saturating_sub(END);
            input.write_all(&held[..free])?;
            held.drain(..free);
        }
        let end = held.windows(LAST.len()).rposition(|bytes| bytes == LAST);
        let (before, after) = held.split_at(end.unwrap_or(held.len()));
        input.write_all(before)?;
        input.write_all(b"\n")?;
        input.write_all(after.strip_prefix(LAST).unwrap_or_default())?;
        Ok(end.is_some())
    })();
    match passed {
        Err(_) => ScriptProgress::Refused,
        Ok(has_end) => match is_read.recv() {
            Ok(true) if has_end => match input.write_all(b"\nCOMMIT;\n") {
                Ok(()) => ScriptProgress::Whole,
                Err(_) => ScriptProgress::Refused,
            },
            _ => ScriptProgress::Torn,
        },
    }
}

/// The list for `pg_restore`, gone with its value.
struct List(std::path::PathBuf);

impl List {
    fn write(folder: &Path, wanted: &str) -> Result<Self, BackupError> {
        let path = folder.join(format!("restore-{}.list", std::process::id()));
        // What an earlier process of this number left is nobody's.
        let _ = fs::remove_file(&path);
        let mut file = client::create(&path)?;
        let list = Self(std::path::absolute(&path).unwrap_or(path));
        file.write_all(wanted.as_bytes())
            .map_err(|error| client::failed(&list.0, error))?;
        Ok(list)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // It holds names and no more.
        let _ = fs::remove_file(&self.0);
    }
}

/// What a restore of the archive with this list finds in its place.
pub(super) fn kept(
    session: &mut Connection<PgConnection>,
    list: &str,
) -> Result<TocEntries, DatabaseError> {
    let mut kept = TocEntries::default();
    let mut mine = Vec::new();
    for row in texts(&session.rows(KEPT)?) {
        let [Some(kind), Some(name)] = row.as_slice() else {
            continue;
        };
        let name = name.clone();
        match kind.as_str() {
            "extension" => kept.extensions.insert(name),
            "schema" => kept.schemas.insert(name),
            "member" => kept.members.insert(name),
            "trigger" => kept.triggers.insert(name),
            "role" => kept.roles.insert(name),
            _ => {
                mine.push(name);
                true
            }
        };
    }
    // Those of our own that the backup does not have go with all that is in them.
    let in_backup = listing::extensions(list);
    mine.retain(|name| !in_backup.contains(&name.as_str()));
    for name in mine {
        kept.extensions.remove(&name);
    }
    Ok(kept)
}

/// The statements that empty the database before this archive comes.
pub(super) fn emptying(list: &str) -> String {
    let names = listing::extensions(list).join("\n").replace('\'', "''");
    format!(
        "SET LOCAL standard_conforming_strings = on;\n\
         SELECT set_config('rollback.extensions', '{names}', true);\n{EMPTY}"
    )
}

/// Whether the server has committed a transaction; it may need a moment to notice that its client is gone.
pub(super) fn is_committed(
    session: &mut Connection<PgConnection>,
    xid: Option<u64>,
) -> Result<bool, BackupError> {
    let Some(xid) = xid else { return Ok(false) };
    for _ in 0..50 {
        let rows = session
            .rows(&format!("SELECT txid_status({xid})"))
            .map_err(DatabaseError::from)?;
        match rows.first().and_then(|row| text(row, 0)).as_deref() {
            Some("committed") => return Ok(true),
            Some("in progress") => thread::sleep(std::time::Duration::from_millis(200)),
            _ => return Ok(false),
        }
    }
    Ok(false)
}
