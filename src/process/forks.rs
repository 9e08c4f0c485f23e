//! A process that forks others for us: each is started by one line and has its own pipes and process group, as one
//! that we start ourselves.
//!
//! What is spoken is told in `bridge_warm.py`. Nothing runs in a fork before it was told what, so that whatever
//! happens to the server in between, a fork that we gave up does nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use nix::unistd::Pid;

use super::running::{Group, Running, Subject, TICK, Watch};
use super::{
    Chunk, Finished, Interrupt, Invocation, Listener, Pipe, SIDE_CHANNEL, SpawnError, classify,
    other, read_in_thread,
};

/// The descriptor on which the server has the pipe that ends with us.
const LIFELINE: i32 = 5;

/// How long an interpreter may take to import an engine: Superset takes ten seconds on a slow machine.
const TO_GET_READY: Duration = Duration::from_mins(2);

/// How long a fork may take, which takes milliseconds, with what the server does between two of them.
const TO_FORK: Duration = Duration::from_secs(20);

/// How long it may be silent before it is taken for stopped.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// What the server tells.
#[derive(Debug)]
enum Message {
    Ready(Vec<PathBuf>),
    Reads(Vec<PathBuf>),
    Forked(Pid),
    Refused(String),
    Ended(ExitStatus),
}

/// Why there is no fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFork {
    /// A clause for people.
    Because(String),
    /// The operator did not want to wait any longer.
    Interrupted,
}

/// Who is told that a fork has ended: whoever waits for what it writes.
type Waiting = Arc<Mutex<Option<Sender<Chunk>>>>;

/// The server. It is ended when this value is dropped, and when we are, however that happens.
#[derive(Debug)]
pub struct ForkServer {
    process: Child,
    control: UnixStream,
    inbox: Receiver<Message>,
    waiting: Waiting,
    /// What was told and not asked for yet.
    answers: VecDeque<Message>,
    /// The same of files whose change would not come into a fork.
    reads: Vec<PathBuf>,
    ready: bool,
    /// One that waits to be told what to run.
    spare: Option<Spare>,
    lifeline: Option<PipeWriter>,
}

/// A fork as far as it was asked for.
#[derive(Debug)]
struct Spare {
    stdout: PipeReader,
    stderr: PipeReader,
    channel: UnixStream,
}

/// A fork that waits to be told what to run; dropped, it ends without having done anything.
#[derive(Debug)]
pub struct Fork {
    spare: Spare,
    pid: Pid,
}

impl ForkServer {
    /// Starts it: an invocation that serves forks on its side channel. Returns at once.
    pub fn start(invocation: &Invocation) -> Result<Self, SpawnError> {
        let failed = |source| other(invocation, source);
        let (control, theirs) = UnixStream::pair().map_err(failed)?;
        let (hung_up, lifeline) = io::pipe().map_err(failed)?;
        let mut command = Command::new(&invocation.program);
        command
            .args(&invocation.args)
            .current_dir(&invocation.cwd)
            .env_clear()
            .envs(&invocation.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .fd_mappings(vec![
                FdMapping {
                    parent_fd: theirs.into(),
                    child_fd: SIDE_CHANNEL,
                },
                FdMapping {
                    parent_fd: hung_up.into(),
                    child_fd: LIFELINE,
                },
            ])
            .map_err(|collision| failed(io::Error::other(collision)))?;
        let mut process = command
            .spawn()
            .map_err(|source| classify(invocation, source))?;
        // Holds our copies of the child's ends.
        drop(command);
        if let (Some(mut pipe), Some(bytes)) = (process.stdin.take(), invocation.stdin.clone()) {
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let (sender, inbox) = mpsc::channel();
        let waiting = Waiting::default();
        let hears = control.try_clone().map_err(failed)?;
        let told = Arc::clone(&waiting);
        thread::spawn(move || {
            hear(hears, &sender, &told);
            // Whoever waits for the inbox learns of the end as well.
            drop(sender);
            stir(&told);
        });
        Ok(Self {
            process,
            control,
            inbox,
            waiting,
            answers: VecDeque::new(),
            reads: Vec::new(),
            ready: false,
            spare: None,
            lifeline: Some(lifeline),
        })
    }

    /// Asks for a fork, without waiting for it. `held` stays open in it.
    pub fn ask_ahead(&mut self, held: &File) {
        if self.spare.is_none() {
            self.spare = self.ask(Some(held)).ok();
        }
    }

    fn ask(&self, held: Option<&File>) -> io::Result<Spare> {
        let (stdout, to_stdout) = io::pipe()?;
        let (stderr, to_stderr) = io::pipe()?;
        let (channel, theirs) = UnixStream::pair()?;
        let mut given = vec![
            to_stdout.as_raw_fd(),
            to_stderr.as_raw_fd(),
            theirs.as_raw_fd(),
        ];
        given.extend(held.map(|file| file.as_fd().as_raw_fd()));
        let line = [io::IoSlice::new(b"fork\n")];
        sendmsg::<()>(
            self.control.as_raw_fd(),
            &line,
            &[ControlMessage::ScmRights(&given)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        Ok(Spare {
            stdout,
            stderr,
            channel,
        })
    }

    /// A fork that waits to be told what to run. The operator's signals of `limit` in number end the wait.
    pub fn fork(
        &mut self,
        held: Option<&File>,
        interrupt: &Interrupt,
        limit: usize,
    ) -> Result<Fork, NoFork> {
        let spare = match self.spare.take() {
            Some(spare) => spare,
            None => self.ask(held).map_err(|_| Self::gone())?,
        };
        let since = Instant::now();
        loop {
            match self.answers.pop_front() {
                // One that was forked before the server went could still run, and nobody would tell its end.
                Some(Message::Forked(_)) if self.has_gone() => return Err(Self::gone()),
                Some(Message::Forked(pid)) => return Ok(Fork { spare, pid }),
                Some(Message::Refused(reason)) => return Err(NoFork::Because(reason)),
                Some(_) => continue,
                None => {}
            }
            let patience = if self.ready { TO_FORK } else { TO_GET_READY };
            match self.inbox.recv_timeout(TICK) {
                Ok(message) => self.note(message),
                Err(RecvTimeoutError::Disconnected) => return Err(Self::gone()),
                Err(RecvTimeoutError::Timeout) if interrupt.count() >= limit => {
                    return Err(NoFork::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) if since.elapsed() > patience => {
                    return Err(NoFork::Because(
                        "the process that was to be forked does not answer".to_owned(),
                    ));
                }
                Err(RecvTimeoutError::Timeout) if self.ready && since.elapsed() > TO_ANSWER => {
                    self.wake();
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Tells a fork what to run, and hears of it until its end. As [`super::run_heard`]; `None` where the line did
    /// not get there, so that nothing was run. With `held` the next one is asked for meanwhile, in which it stays open.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a command line is started with, and what it is started by"
    )]
    pub fn run(
        &mut self,
        fork: Fork,
        line: &str,
        held: Option<&File>,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        limit: usize,
        listener: &mut dyn Listener,
    ) -> Option<io::Result<Finished>> {
        let started = Instant::now();
        let Fork { mut spare, pid } = fork;
        let (sender, chunks) = mpsc::channel();
        if let Ok(mut waiting) = self.waiting.lock() {
            *waiting = Some(sender.clone());
        }
        // Half a line runs nothing: the fork waits for its end.
        spare
            .channel
            .write_all(format!("{line}\n").as_bytes())
            .ok()?;
        if let Some(held) = held {
            self.ask_ahead(held);
        }
        // Where the server is gone this is noticed by itself.
        let _ = self.control.write_all(b"wait\n");
        let reader = spare.channel.try_clone();
        read_in_thread(Pipe::Stdout, spare.stdout, sender.clone());
        read_in_thread(Pipe::Stderr, spare.stderr, sender.clone());
        match reader {
            Ok(reader) => read_in_thread(Pipe::Side, reader, sender),
            Err(_) => drop(sender),
        }
        let subject = Subject::Fork {
            group: Group::led_by(pid),
            ends: Box::new(|silent| self.end_of_the_fork(silent)),
        };
        let watch = Watch::new(subject, started, timeout, interrupt, limit);
        let mut running = Running::new(watch, chunks, Some(spare.channel));
        Some(
            running
                .until_its_end(listener)
                .map(|status| running.finished(status, started)),
        )
    }

    /// How the running fork ended. The error is that nobody will tell. `silent` is for how long nobody has held its
    /// pipes.
    fn end_of_the_fork(&mut self, silent: Option<Duration>) -> Result<Option<ExitStatus>, ()> {
        if silent.is_some_and(|silent| silent > TO_ANSWER) {
            self.wake();
        }
        loop {
            let ended = |answer: &Message| matches!(answer, Message::Ended(_));
            // What is told of the next one has to wait for its turn.
            if let Some(at) = self.answers.iter().position(ended)
                && let Some(Message::Ended(status)) = self.answers.remove(at)
            {
                return Ok(Some(status));
            }
            match self.inbox.try_recv() {
                Ok(message) => self.note(message),
                Err(mpsc::TryRecvError::Empty) => return Ok(None),
                Err(mpsc::TryRecvError::Disconnected) => return Err(()),
            }
        }
    }

    /// The files whose change would not come into a fork, as far as they were told since this was asked last. A
    /// folder ends in `/`.
    pub fn take_reads(&mut self) -> Vec<PathBuf> {
        while let Ok(message) = self.inbox.try_recv() {
            self.note(message);
        }
        std::mem::take(&mut self.reads)
    }

    fn note(&mut self, message: Message) {
        match message {
            Message::Ready(paths) => {
                self.ready = true;
                self.reads.extend(paths);
            }
            Message::Reads(paths) => self.reads.extend(paths),
            answer => self.answers.push_back(answer),
        }
    }

    /// Whether it is known to be gone. Takes in what it told meanwhile.
    fn has_gone(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(message) => self.note(message),
                Err(mpsc::TryRecvError::Disconnected) => return true,
                Err(mpsc::TryRecvError::Empty) => break,
            }
        }
        // Whoever hears it may not have come to it yet.
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.control.as_raw_fd(), &mut [0], flags) == Ok(0)
    }

    /// Goes on with a server that somebody has stopped. One that was not does not notice.
    fn wake(&self) {
        if let Ok(leader) = i32::try_from(self.process.id()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGCONT);
        }
    }

    fn gone() -> NoFork {
        NoFork::Because("the process that was to be forked is gone".to_owned())
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.spare = None;
        self.lifeline = None;
        // All of its group: one that was forked to be warmer serves in the place of the first.
        if let Ok(leader) = i32::try_from(self.process.id()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
        let _ = self.process.wait();
    }
}

/// Hands on what the server tells until it is gone.
fn hear(mut control: UnixStream, inbox: &Sender<Message>, waiting: &Waiting) {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match control.read(&mut chunk) {
            Ok(length @ 1..) => buffer.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
        let mut begin = 0;
        while let Some(length) = buffer[begin..].windows(2).position(|pair| pair == [0, 0]) {
            let message = message(&buffer[begin..begin + length]);
            begin += length + 2;
            let Some(message) = message else { return };
            let ended = matches!(message, Message::Ended(_));
            if inbox.send(message).is_err() {
                return;
            }
            if ended {
                stir(waiting);
            }
        }
        buffer.drain(..begin);
    }
}

/// Has whoever waits for a fork look again, and lets it see the end of the pipes.
fn stir(waiting: &Waiting) {
    if let Some(sender) = waiting.lock().ok().and_then(|mut waiting| waiting.take()) {
        let _ = sender.send((Pipe::Side, Some(Vec::new())));
    }
}

fn message(bytes: &[u8]) -> Option<Message> {
    use std::os::unix::ffi::OsStrExt as _;

    let mut fields = bytes.split(|byte| *byte == 0);
    let word = fields.next()?;
    let paths = |fields: std::slice::Split<'_, u8, _>| -> Vec<PathBuf> {
        fields
            .map(|field| PathBuf::from(std::ffi::OsStr::from_bytes(field)))
            .collect()
    };
    let text =
        |field: Option<&[u8]>| String::from_utf8_lossy(field.unwrap_or_default()).into_owned();
    Some(match word {
        b"ready" => Message::Ready(paths(fields)),
        b"reads" => Message::Reads(paths(fields)),
        b"forked" => Message::Forked(Pid::from_raw(text(fields.next()).parse().ok()?)),
        b"refused" => Message::Refused(text(fields.next())),
        b"ended" => {
            use std::os::unix::process::ExitStatusExt as _;
            Message::Ended(ExitStatus::from_raw(text(fields.next()).parse().ok()?))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes from another process is no reason to fail: it is not understood, and the server given up.
    #[test]
    fn messages_are_words_between_zero_bytes() {
        use std::os::unix::process::ExitStatusExt as _;

        let of = |bytes: &[u8]| format!("{:?}", message(bytes));
        assert_eq!(of(b"ready"), "Some(Ready([]))");
        assert_eq!(of(b"reads\0/a b\0/c"), "Some(Reads([\"/a b\", \"/c\"]))");
        assert_eq!(of(b"forked\x0042"), "Some(Forked(Pid(42)))");
        assert_eq!(
            of(b"refused\0a thread\nruns"),
            "Some(Refused(\"a thread\\nruns\"))"
        );
        let Some(Message::Ended(status)) = message(b"ended\x00256") else {
            panic!("no end");
        };
        assert_eq!((status.code(), status.signal()), (Some(1), None));
        for bytes in [&b""[..], b"forked", b"forked\0x", b"ended\0-", b"hello"] {
            assert_eq!(of(bytes), "None", "{bytes:?}");
        }
    }
}
