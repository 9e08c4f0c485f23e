//! The only place that starts programs.
//!
//! An engine may hang, fork, or fill a pipe; the database must not pay for it. So every child gets a
//! process group of its own (a Ctrl-C on the terminal reaches us and not it), all its pipes are
//! drained while it runs, and ending it means ending the whole group.

mod interrupt;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::domain::lock::Operator;

pub use self::interrupt::Interrupt;

/// How long a group may take to end itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait for the end of the pipes once the child is gone: somebody else may hold them.
const PIPE_PATIENCE: Duration = Duration::from_secs(1);
/// How often the child and the signal counter are looked at while it is silent.
const TICK: Duration = Duration::from_millis(20);
/// How often a listener is given the time to look around: about twice a second.
const LOOK_AROUND: Duration = Duration::from_millis(400);
/// The descriptor on which a child finds the side channel.
pub const SIDE_CHANNEL: i32 = 3;

/// The descriptor on which a child has the file that it only keeps open.
const HELD: i32 = 4;

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
    /// Whether it gets a pipe to us as descriptor [`SIDE_CHANNEL`].
    pub side_channel: bool,
    /// A file that stays open in the child as long as it lives: a lock on it outlives us.
    pub held: Option<Arc<File>>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal, which we did not send.
    Signalled(i32),
    /// We ended it: the time limit was over.
    TimedOut,
    /// We ended it: the operator insisted.
    Interrupted,
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

/// What hears of a running child, in the caller's thread.
pub trait Listener {
    /// It printed a line on stdout or stderr.
    fn line(&mut self, line: &str);

    /// It wrote a line into the side channel.
    fn told(&mut self, _line: &str) {}

    /// About twice a second, whatever the child does. While this lasts nobody looks at the time limit.
    fn look_around(&mut self) {}
}

/// Hears the printed lines only.
pub struct Lines<'a>(pub &'a mut dyn FnMut(&str));

impl Listener for Lines<'_> {
    fn line(&mut self, line: &str) {
        (self.0)(line);
    }
}

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
    // After the second signal only the next one ends what we start to look at the damage.
    let ends_at = interrupt.limit();
    let started = Instant::now();
    let (child, chunks) = spawn(invocation)?;
    let mut collected = Collected::default();
    let mut watch = Watch {
        group: Group::of(&child),
        child,
        started,
        timeout,
        interrupt,
        ends_at,
        ending: None,
    };
    let mut looked = started;
    let status = loop {
        match chunks.recv_timeout(TICK) {
            Ok(chunk) => collected.take(chunk, listener),
            Err(RecvTimeoutError::Timeout) => {}
            // All pipes are closed, yet the child may live on.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
        }
        if let Some(status) = watch.look().map_err(|source| other(invocation, source))? {
            break status;
        }
        if looked.elapsed() >= LOOK_AROUND {
            listener.look_around();
            looked = Instant::now();
        }
    };
    collected.drain(&chunks, listener);
    Ok(Finished {
        ended: watch.verdict(status),
        elapsed: started.elapsed(),
        stdout: text(&collected.stdout),
        stderr: text(&collected.stderr),
        side_channel: collected.side_channel,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn other(invocation: &Invocation, source: io::Error) -> SpawnError {
    SpawnError::Other {
        program: invocation.program.clone(),
        source,
    }
}

fn spawn(invocation: &Invocation) -> Result<(Child, Receiver<Chunk>), SpawnError> {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .current_dir(&invocation.cwd)
        .env_clear()
        .envs(&invocation.env)
        .stdin(if invocation.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut side_reader = None;
    let mut mappings = Vec::new();
    if invocation.side_channel {
        let (reader, writer) = io::pipe().map_err(|source| other(invocation, source))?;
        mappings.push(FdMapping {
            parent_fd: writer.into(),
            child_fd: SIDE_CHANNEL,
        });
        side_reader = Some(reader);
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
    command
        .fd_mappings(mappings)
        .map_err(|collision| other(invocation, io::Error::other(collision)))?;
    let mut child = command
        .spawn()
        .map_err(|source| classify(invocation, source))?;
    // Holds our copy of the side channel's writing end: its reader would never see the end.
    drop(command);

    let (sender, chunks) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        read_in_thread(Pipe::Stdout, pipe, sender.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        read_in_thread(Pipe::Stderr, pipe, sender.clone());
    }
    if let Some(pipe) = side_reader {
        read_in_thread(Pipe::Side, pipe, sender);
    }
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), invocation.stdin.clone()) {
        // A child that does not read its input is no fault of ours.
        thread::spawn(move || pipe.write_all(&bytes));
    }
    Ok((child, chunks))
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

/// What came through the pipes so far.
#[derive(Default)]
struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    side_channel: Vec<u8>,
    /// Where the first line of each that was not handed on begins.
    stdout_shown: usize,
    stderr_shown: usize,
    side_shown: usize,
}

impl Collected {
    fn take(&mut self, (pipe, bytes): Chunk, listener: &mut dyn Listener) {
        let (buffer, shown) = match pipe {
            Pipe::Side => (&mut self.side_channel, &mut self.side_shown),
            Pipe::Stdout => (&mut self.stdout, &mut self.stdout_shown),
            Pipe::Stderr => (&mut self.stderr, &mut self.stderr_shown),
        };
        let at_end = bytes.is_none();
        let mut hand_on = |line: &str| match pipe {
            Pipe::Side => listener.told(line),
            Pipe::Stdout | Pipe::Stderr => listener.line(line),
        };
        buffer.extend(bytes.unwrap_or_default());
        while let Some(length) = buffer[*shown..].iter().position(|byte| *byte == b'\n') {
            hand_on(text(&buffer[*shown..*shown + length]).trim_end_matches('\r'));
            *shown += length + 1;
        }
        if at_end && *shown < buffer.len() {
            hand_on(&text(&buffer[*shown..]));
            *shown = buffer.len();
        }
    }

    /// Takes what is still on its way once the child is gone.
    fn drain(&mut self, chunks: &Receiver<Chunk>, listener: &mut dyn Listener) {
        let give_up = Instant::now() + GRACE;
        while Instant::now() < give_up {
            // Disconnected means that every pipe is at its end.
            let Ok(chunk) = chunks.recv_timeout(PIPE_PATIENCE) else {
                break;
            };
            self.take(chunk, listener);
        }
        for pipe in [Pipe::Stdout, Pipe::Stderr] {
            self.take((pipe, None), listener);
        }
    }
}

/// A running child, and what may end it.
struct Watch<'a> {
    child: Child,
    group: Group,
    started: Instant,
    timeout: Option<Duration>,
    interrupt: &'a Interrupt,
    ends_at: usize,
    ending: Option<Ending>,
}

/// We are ending the group: why, and since when.
struct Ending {
    why: Ended,
    since: Instant,
    killed: bool,
    status: Option<ExitStatus>,
}

impl Watch<'_> {
    /// Does what is due now; the exit status once nothing is left to wait for.
    fn look(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        let Some(ending) = &mut self.ending else {
            if status.is_none()
                && let Some(why) = self.reason_to_end()
            {
                self.group.send(Signal::SIGTERM);
                self.ending = Some(Ending {
                    why,
                    since: Instant::now(),
                    killed: false,
                    status: None,
                });
            }
            return Ok(status);
        };
        ending.status = ending.status.or(status);
        if !ending.killed && ending.since.elapsed() >= GRACE {
            self.group.send(Signal::SIGKILL);
            ending.killed = true;
        }
        // The child may be gone while a grandchild still works on the database.
        let over = ending.killed || !self.group.exists();
        Ok(ending.status.filter(|_| over))
    }

    fn reason_to_end(&self) -> Option<Ended> {
        if self.interrupt.count() >= self.ends_at {
            Some(Ended::Interrupted)
        } else if self
            .timeout
            .is_some_and(|limit| self.started.elapsed() >= limit)
        {
            Some(Ended::TimedOut)
        } else {
            None
        }
    }

    fn verdict(self, status: ExitStatus) -> Ended {
        match (self.ending, status.code(), status.signal()) {
            (Some(ending), _, _) => ending.why,
            (None, Some(code), _) => Ended::Exited(code),
            (None, None, signal) => Ended::Signalled(signal.unwrap_or_default()),
        }
    }
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

/// The process group that a child leads.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).ok().map(Pid::from_raw))
    }

    fn send(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // It may have ended in between, which is what we want.
            let _ = killpg(leader, signal);
        }
    }

    fn exists(&self) -> bool {
        self.0.is_some_and(|leader| killpg(leader, None).is_ok())
    }
}

#[cfg(test)]
mod tests;
