//! The client programs of a server: found, of a fitting version, run with an eye on the operator.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BackupError, Progress};
use rollback_core::engine::{Ended, Listener};
use rollback_core::interrupt::Interrupt;
use rollback_core::secret::{Secret, mask};
use rollback_system::process::{self, Environment, Files, Finished, Invocation, SpawnError};

/// How long a program may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// How many lines of what a client says at its end are shown.
const LAST_WORDS: usize = 12;

/// How much of one line is shown.
const LONGEST: usize = 400;

/// What stands before and after a statement.
const RULER: &str = "--------------";

/// A client program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Where it is.
    pub(super) file: PathBuf,
    /// The line that it answers to `--version`.
    pub(super) version: String,
}

/// Debian's script that chooses among the folders of the releases. To ask it takes longer than to ask them all.
const WRAPPER: &str = "pg_wrapper";

/// The programs of one of these names, as a shell would find them and then in the other folders. Those
/// that cannot tell their version are passed over.
pub(super) fn programs(
    names: &[&str],
    environment: &Environment,
    folders: &[PathBuf],
) -> Vec<Program> {
    let path = environment.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let mut files: Vec<PathBuf> = Vec::new();
    for name in names {
        let found = process::find_program(name.as_ref(), Path::new("."), path);
        let elsewhere = folders.iter().map(|folder| folder.join(name));
        let elsewhere = elsewhere.filter(|file| process::is_executable(file));
        for file in found.into_iter().chain(elsewhere) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    let is_wrapper = |file: &PathBuf| {
        fs::canonicalize(file).is_ok_and(|file| file.file_name() == Some(OsStr::new(WRAPPER)))
    };
    if !files.iter().all(is_wrapper) {
        files.retain(|file| !is_wrapper(file));
    }
    files
        .into_iter()
        .filter_map(|file| {
            let version = version(&file, environment)?;
            Some(Program { file, version })
        })
        .collect()
}

fn version(file: &Path, environment: &Environment) -> Option<String> {
    let call = invocation(file, &["--version"], environment);
    let finished =
        process::run(&call, Some(VERSION_LIMIT), &Interrupt::never(), &mut |_| {}).ok()?;
    let line = finished.stdout.lines().next()?.trim().to_owned();
    (finished.ended == Ended::Exited(0) && !line.is_empty()).then_some(line)
}

/// A program with these arguments, in our own directory: paths of certificates may be relative to it.
pub(super) fn invocation<A: AsRef<OsStr>>(
    program: &Path,
    args: &[A],
    environment: &Environment,
) -> Invocation {
    Invocation {
        program: program.to_owned(),
        args: args.iter().map(|it| it.as_ref().to_owned()).collect(),
        cwd: PathBuf::from("."),
        env: environment.clone(),
        stdin: None,
        side_channel: false,
        held: None,
    }
}

/// One run of a client.
pub(super) struct Call<'a> {
    /// What errors call it.
    pub(super) name: &'static str,
    pub(super) invocation: Invocation,
    pub(super) files: Files,
    /// Taken out of what it says.
    pub(super) password: Option<&'a Secret>,
}

impl Call<'_> {
    /// Runs it to its end; anything but success is an error with its words.
    pub(super) fn run(
        self,
        interrupt: &Interrupt,
        listener: &mut dyn Listener,
    ) -> Result<Finished, BackupError> {
        let Self {
            name,
            invocation,
            files,
            password,
        } = self;
        let finished = process::run_with(&invocation, files, None, interrupt, listener)
            .map_err(|error| not_started(name, &error))?;
        let ended = match finished.ended {
            Ended::Exited(0) => return Ok(finished),
            Ended::Interrupted => return Err(BackupError::Interrupted),
            Ended::Exited(status) => format!("exit status {status}"),
            Ended::Signalled(signal) => format!("ended by signal {signal}"),
            Ended::TimedOut => "it took too long".to_owned(),
        };
        let said = last_words(&finished.stderr, password);
        Err(BackupError::Client {
            program: name,
            reason: if said.is_empty() { ended } else { said },
        })
    }
}

fn not_started(program: &'static str, error: &SpawnError) -> BackupError {
    BackupError::Client {
        program,
        reason: error.to_string(),
    }
}

/// The end of what it said, without the password, without the places in the server's own source, and without
/// the statement that MariaDB's client repeats between two rulers: it is full of rows.
fn last_words(stderr: &str, password: Option<&Secret>) -> String {
    let mut is_statement = false;
    let lines: Vec<String> = stderr
        .lines()
        .map(str::trim_end)
        .filter(|line| {
            let is_ruler = *line == RULER;
            is_statement ^= is_ruler;
            !is_statement && !is_ruler && !line.is_empty() && !line.starts_with("LOCATION: ")
        })
        .map(|line| line.chars().take(LONGEST).collect())
        .collect();
    let text = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n");
    mask(&text, password)
}

/// Tells how far a client is each time there is a moment for it.
pub(super) struct Watching<'a, 'b> {
    /// Bytes written or read so far.
    pub(super) measure: &'a mut dyn FnMut() -> u64,
    pub(super) progress: Progress<'b>,
    /// The first line that was a number.
    pub(super) number: Option<u64>,
}

impl<'a, 'b> Watching<'a, 'b> {
    pub(super) fn new(measure: &'a mut dyn FnMut() -> u64, progress: Progress<'b>) -> Self {
        Self {
            measure,
            progress,
            number: None,
        }
    }
}

impl Listener for Watching<'_, '_> {
    fn line(&mut self, line: &str) {
        if self.number.is_none() {
            self.number = line.parse().ok();
        }
    }

    fn on_tick(&mut self) {
        (self.progress)((self.measure)());
    }
}

/// Whether the operator wants to stop since some moment.
#[derive(Clone)]
pub(super) struct ClientStop {
    interrupt: Interrupt,
    ends_at: usize,
}

impl ClientStop {
    /// From now on; `signals` is how many of them it takes.
    pub(super) fn after(signals: usize, interrupt: &Interrupt) -> Self {
        Self {
            interrupt: interrupt.clone(),
            ends_at: interrupt.count() + signals,
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.interrupt.count() >= self.ends_at
    }

    pub(super) fn check(&self) -> Result<(), BackupError> {
        if self.is_wanted() {
            return Err(BackupError::Interrupted);
        }
        Ok(())
    }
}

/// A new file that nobody else may read.
pub(super) fn create(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| failed(path, source))
}

/// A backup that is there.
pub(super) fn open(path: &Path) -> Result<File, BackupError> {
    File::open(path).map_err(|source| failed(path, source))
}

pub(super) fn failed(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The bytes of a file so far; 0 where it cannot be seen.
pub(super) fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}

/// A copy to be read by a child, whose position is that of the original.
pub(super) fn shared(file: &File, path: &Path) -> Result<std::os::fd::OwnedFd, BackupError> {
    let copy = file.try_clone().map_err(|source| failed(path, source))?;
    Ok(copy.into())
}

/// How far whoever shares the file has read. A child may look back, which is no step back.
pub(super) fn position(file: &mut File, furthest: &mut u64) -> u64 {
    *furthest = (*furthest).max(file.stream_position().unwrap_or_default());
    *furthest
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use rollback_core::engine::NoListener;

    fn tool(folder: &Path, name: &str, script: &str) {
        fs::create_dir_all(folder).unwrap();
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn programs_of_the_path_come_before_those_of_other_folders_and_broken_ones_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| root.path().join(name);
        tool(&folder("path"), "dump", "echo dump 9.6");
        tool(&folder("15"), "dump", "echo dump 15.1");
        tool(&folder("16"), "dump", "exit 1");
        let environment = Environment::from([("PATH".into(), folder("path").into())]);
        let found = programs(
            &["missing", "dump"],
            &environment,
            &[folder("15"), folder("16"), folder("17")],
        );
        let versions: Vec<&str> = found.iter().map(|it| it.version.as_str()).collect();
        assert_eq!(versions, ["dump 9.6", "dump 15.1"]);
    }

    #[test]
    fn a_script_that_only_chooses_is_asked_where_there_is_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| root.path().join(name);
        tool(&folder("share"), WRAPPER, "echo dump 15.0, chosen");
        tool(&folder("15"), "dump", "echo dump 15.1");
        fs::create_dir(folder("path")).unwrap();
        std::os::unix::fs::symlink(folder("share").join(WRAPPER), folder("path").join("dump"))
            .unwrap();
        let environment = Environment::from([("PATH".into(), folder("path").into())]);
        let versions = |folders: &[PathBuf]| -> Vec<String> {
            let found = programs(&["dump"], &environment, folders);
            found.into_iter().map(|it| it.version).collect()
        };
        assert_eq!(versions(&[folder("15")]), ["dump 15.1"]);
        assert_eq!(versions(&[]), ["dump 15.0, chosen"]);
    }

    #[test]
    fn a_failing_client_is_quoted_without_the_password() {
        let root = tempfile::tempdir().unwrap();
        tool(
            root.path(),
            "dump",
            "echo 'no, not with s3cret' >&2; echo 'LOCATION:  f.c:1' >&2; exit 3",
        );
        let password = Secret::new("s3cret");
        let call = Call {
            name: "dump",
            invocation: invocation::<&str>(&root.path().join("dump"), &[], &Environment::new()),
            files: Files::default(),
            password: Some(&password),
        };
        let error = call.run(&Interrupt::never(), &mut NoListener).unwrap_err();
        assert_eq!(error.to_string(), "dump failed: no, not with ***");
    }

    #[test]
    fn the_rows_of_a_failed_statement_are_not_repeated() {
        let said = "--------------\nINSERT INTO t VALUES\n('private')\n--------------\nERROR 1146 (42S02) at line 3: no t\n";
        assert_eq!(last_words(said, None), "ERROR 1146 (42S02) at line 3: no t");
    }

    #[test]
    fn a_signal_that_came_before_does_not_count() {
        let interrupt = Interrupt::never();
        interrupt.raise();
        let stop = ClientStop::after(1, &interrupt);
        assert!(stop.check().is_ok());
        interrupt.raise();
        assert!(matches!(stop.check(), Err(BackupError::Interrupted)));
    }
}
