//! The only place that starts programs.
//!
//! An engine may hang, fork, or fill a pipe; the database must not pay for it. So every child gets a
//! process group of its own (a Ctrl-C on the terminal reaches us and not it), all its pipes are
//! drained while it runs, and ending it means ending the whole group. The one exception is the command that
//! `guard` runs for somebody: it has what we have, and is nobody's to end.

mod inherited;
mod running;
mod signals;
mod waiting;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use rollback_core::engine::{Ended, Lines, Listener};
use rollback_core::interrupt::Interrupt;
use rollback_core::lock::Operator;

pub use self::inherited::run_inherited;
use self::running::{Running, Supervision};
pub use self::signals::handle_signals;
pub use self::waiting::Waiting;

/// The descriptor on which a child finds the side channel.
pub const SIDE_CHANNEL: i32 = 3;

/// The descriptor on which a child has the file that it only keeps open.
const HELD: i32 = 4;

/// The descriptor on which a child has what [`Files::given`] hands to it: it opens `/dev/fd/5`.
pub const GIVEN: i32 = 5;

/// The whole environment of a child, which replaces ours.
pub type Environment = BTreeMap<OsString, OsString>;

/// One program to start.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The file to run; resolve it first with [`find_program`].
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub env: Environment,
    /// What it reads on stdin; `None` is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// Whether it gets a channel to us, in both directions, as descriptor [`SIDE_CHANNEL`].
    pub side_channel: bool,
    /// A file that stays open in the child as long as it lives: a lock on it outlives us.
    pub held: Option<Arc<File>>,
}

/// Files and pipes that a child has in the place of our own: what goes through them is not collected and may
/// be of any size. Our copies are closed as soon as the child has its own.
#[derive(Debug, Default)]
pub struct Files {
    /// What it reads on stdin, from where the file stands; it goes before [`Invocation::stdin`].
    pub stdin: Option<OwnedFd>,
    /// What it writes to on stdout.
    pub stdout: Option<OwnedFd>,
    /// What it finds as descriptor [`GIVEN`].
    pub given: Option<OwnedFd>,
}

/// A process that is over.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// Everything it printed on stdout.
    pub stdout: String,
    /// Everything it printed on stderr.
    pub stderr: String,
    /// Everything it wrote to the side channel; empty where none was asked for.
    pub side_channel: Vec<u8>,
    /// Wall time from start to end.
    pub elapsed: Duration,
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such file.
    #[error("{} was not found", .0.display())]
    NotFound(PathBuf),
    /// The file is there but may not be run, or its interpreter is missing.
    #[error("{} cannot be executed: {reason}", program.display())]
    NotExecutable {
        /// The file.
        program: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The working directory cannot be entered.
    #[error("{} is not a directory that can be entered", .0.display())]
    WorkingDirectory(PathBuf),
    /// Anything else.
    #[error("cannot start {}: {source}", program.display())]
    Other {
        /// The file.
        program: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// The file that a shell in `cwd` with this `PATH` would run for `name`; `None` where there is none.
///
/// A file that may not be run is only taken where a path names it, so that the error can say so.
pub fn find_program(name: &OsStr, cwd: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if Path::new(name).components().count() > 1 || Path::new(name).is_absolute() {
        let file = cwd.join(name);
        return file.is_file().then_some(file);
    }
    std::env::split_paths(path?)
        .map(|folder| cwd.join(folder).join(name))
        .find(|file| is_executable(file))
}

/// Whether the file exists and somebody may run it.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// One of the three pipes from a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipe {
    Stdout,
    Stderr,
    Side,
}

/// What a reading thread tells: bytes, or that the pipe is at its end (none).
type Chunk = (Pipe, Option<Vec<u8>>);

/// Runs one program to its end. Each line that it prints on stdout or stderr is handed to `on_line`,
/// in the caller's thread, as it comes.
pub fn run(
    invocation: &Invocation,
    timeout: Option<Duration>,
    interrupt: &Interrupt,
    on_line: &mut dyn FnMut(&str),
) -> Result<Finished, SpawnError> {
    run_heard(invocation, timeout, interrupt, &mut Lines(on_line))
}

/// As [`run`], for a listener that wants to hear more.
pub fn run_heard(
    invocation: &Invocation,
    timeout: Option<Duration>,
    interrupt: &Interrupt,
    listener: &mut dyn Listener,
) -> Result<Finished, SpawnError> {
    run_with(invocation, Files::default(), timeout, interrupt, listener)
}

/// As [`run_heard`], with files in the place of pipes.
pub fn run_with(
    invocation: &Invocation,
    files: Files,
    timeout: Option<Duration>,
    interrupt: &Interrupt,
    listener: &mut dyn Listener,
) -> Result<Finished, SpawnError> {
    let mut running = started(invocation, files, timeout, interrupt)?;
    let status = running
        .until_its_end(listener)
        .map_err(|source| other(invocation, source))?;
    Ok(running.finished(status))
}

fn started(
    invocation: &Invocation,
    files: Files,
    timeout: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<Running, SpawnError> {
    let (child, chunks, channel) = spawn(invocation, files)?;
    let watch = Supervision::new(child, timeout, interrupt);
    Ok(Running::new(watch, chunks, channel))
}

fn other(invocation: &Invocation, source: io::Error) -> SpawnError {
    SpawnError::Other {
        program: invocation.program.clone(),
        source,
    }
}

/// A child, what it writes, and our end of the side channel.
type Spawned = (Child, Receiver<Chunk>, Option<UnixStream>);

fn spawn(invocation: &Invocation, files: Files) -> Result<Spawned, SpawnError> {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .current_dir(&invocation.cwd)
        .env_clear()
        .envs(&invocation.env)
        .stdin(match files.stdin {
            Some(file) => Stdio::from(file),
            None if invocation.stdin.is_some() => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(files.stdout.map_or_else(Stdio::piped, Stdio::from))
        .stderr(Stdio::piped())
        .process_group(0);
    let mut side = None;
    let mut mappings = Vec::new();
    if invocation.side_channel {
        let (ours, theirs) = UnixStream::pair().map_err(|source| other(invocation, source))?;
        mappings.push(FdMapping {
            parent_fd: theirs.into(),
            child_fd: SIDE_CHANNEL,
        });
        let reader = ours
            .try_clone()
            .map_err(|source| other(invocation, source))?;
        side = Some((ours, reader));
    }
    if let Some(held) = &invocation.held {
        let copy = held
            .try_clone()
            .map_err(|source| other(invocation, source))?;
        mappings.push(FdMapping {
            parent_fd: copy.into(),
            child_fd: HELD,
        });
    }
    if let Some(given) = files.given {
        mappings.push(FdMapping {
            parent_fd: given,
            child_fd: GIVEN,
        });
    }
    command
        .fd_mappings(mappings)
        .map_err(|collision| other(invocation, io::Error::other(collision)))?;
    let mut child = command
        .spawn()
        .map_err(|source| classify(invocation, source))?;
    // Holds our copies of the child's ends: who reads from it would never see the end.
    drop(command);

    let (sender, chunks) = mpsc::channel();
    let mut printed = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        printed.extend(pipe.as_fd().try_clone_to_owned());
        read_in_thread(Pipe::Stdout, pipe, sender.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        printed.extend(pipe.as_fd().try_clone_to_owned());
        read_in_thread(Pipe::Stderr, pipe, sender.clone());
    }
    let channel = side.map(|(ours, reader)| {
        read_in_thread(Pipe::Side, InOrder { reader, printed }, sender);
        ours
    });
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), invocation.stdin.clone()) {
        // A child that does not read its input is no fault of our own.
        thread::spawn(move || pipe.write_all(&bytes));
    }
    Ok((child, chunks, channel))
}

/// The system names one error for a missing program, a missing interpreter and a missing directory.
fn classify(invocation: &Invocation, source: io::Error) -> SpawnError {
    let program = invocation.program.clone();
    if !invocation.cwd.is_dir() {
        return SpawnError::WorkingDirectory(invocation.cwd.clone());
    }
    match source.kind() {
        io::ErrorKind::NotFound if !program.exists() => SpawnError::NotFound(program),
        io::ErrorKind::NotFound => SpawnError::NotExecutable {
            program,
            reason: "the interpreter that its first line names does not exist".to_owned(),
        },
        io::ErrorKind::PermissionDenied => SpawnError::NotExecutable {
            program,
            reason: "permission denied".to_owned(),
        },
        // ENOEXEC: neither a binary for this machine nor a script with a first line.
        _ if source.raw_os_error() == Some(nix::errno::Errno::ENOEXEC as i32) => {
            SpawnError::NotExecutable {
                program,
                reason: "it is neither a program for this machine nor a script that names its \
                         interpreter"
                    .to_owned(),
            }
        }
        _ => SpawnError::Other { program, source },
    }
}

/// The side channel, read behind what was printed before it was written to.
struct InOrder {
    reader: UnixStream,
    printed: Vec<OwnedFd>,
}

impl Read for InOrder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const PATIENCE: Duration = Duration::from_millis(50);
        let length = self.reader.read(buffer)?;
        let since = Instant::now();
        while self.printed.iter().any(is_unread) && since.elapsed() < PATIENCE {
            thread::yield_now();
        }
        Ok(length)
    }
}

fn is_unread(pipe: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    poll(&mut asked, PollTimeout::ZERO).is_ok()
        && asked[0]
            .revents()
            .is_some_and(|seen| seen.contains(PollFlags::POLLIN))
}

/// The thread is never joined: a pipe that a grandchild holds open would hold us as well.
fn read_in_thread(which: Pipe, mut pipe: impl Read + Send + 'static, sender: Sender<Chunk>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match pipe.read(&mut buffer) {
                Ok(length @ 1..) => {
                    if sender
                        .send((which, Some(buffer[..length].to_vec())))
                        .is_err()
                    {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    // Nobody listens any more where the wait for this pipe was given up.
                    let _ = sender.send((which, None));
                    return;
                }
            }
        }
    });
}

/// Whose process this is: the login that runs it, whatever `USER` says, and the machine.
pub fn operator() -> Operator {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    let host = nix::unistd::gethostname().unwrap_or_default();
    Operator {
        user: user.map_or_else(|| uid.to_string(), |user| user.name),
        host: host.to_string_lossy().into_owned(),
        pid: std::process::id(),
    }
}

#[cfg(test)]
mod tests;
