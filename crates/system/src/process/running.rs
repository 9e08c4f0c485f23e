//! A child from its start to its end: what it writes is read, what it tells is answered, and it is ended
//! when its time is up or the operator insists.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;

use super::{Chunk, Finished, Pipe};
use rollback_core::engine::{Channel, Ended, Listener};
use rollback_core::interrupt::Interrupt;

/// How long a group may take to end itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long a child that waits for us may take to end once it hears that we do not go on.
const TO_GO_BY_ITSELF: Duration = Duration::from_secs(1);
/// How long to wait for the end of the pipes once the child is gone: somebody else may hold them.
const PIPE_PATIENCE: Duration = Duration::from_secs(1);
/// How often the child and the signal counter are looked at while it is silent.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// The same once it has closed all its pipes.
const ABOUT_TO_END: Duration = Duration::from_millis(1);
/// How often a listener is given the time to look around: about twice a second.
const LOOK_AROUND: Duration = Duration::from_millis(400);

/// A child with all that connects it to us.
pub(super) struct Running {
    watch: Supervision,
    chunks: Receiver<Chunk>,
    /// Our end of the side channel.
    channel: Option<UnixStream>,
    collected: Collected,
    /// The end, as soon as it is known.
    status: Option<io::Result<ExitStatus>>,
}

impl Running {
    pub(super) fn new(
        watch: Supervision,
        chunks: Receiver<Chunk>,
        channel: Option<UnixStream>,
    ) -> Self {
        Self {
            watch,
            chunks,
            collected: Collected::default(),
            channel,
            status: None,
        }
    }

    /// Hands on what the child writes, until there is nothing left to wait for.
    pub(super) fn until_its_end(&mut self, listener: &mut dyn Listener) -> io::Result<ExitStatus> {
        let mut looked = Instant::now();
        let status = loop {
            self.go_on();
            self.hand_on(listener);
            if let Some(status) = self.status.take() {
                break status?;
            }
            if looked.elapsed() >= LOOK_AROUND {
                listener.on_tick();
                looked = Instant::now();
            }
        };
        self.collected.drain(&self.chunks);
        // Nobody is left to read an answer.
        self.channel = None;
        self.hand_on(listener);
        Ok(status)
    }

    /// The next line of the side channel that is wanted; the others are handed on later. `None` where the child ended.
    pub(super) fn hear(&mut self, is_wanted: &dyn Fn(&str) -> bool) -> Option<String> {
        let mut seen = 0;
        loop {
            let lines = &mut self.collected.lines;
            let wanted = |(pipe, line): &(Pipe, String)| *pipe == Pipe::Side && is_wanted(line);
            if let Some(at) = lines.range(seen..).position(wanted) {
                return lines.remove(seen + at).map(|(_, line)| line);
            }
            seen = lines.len();
            if self.status.is_some() {
                return None;
            }
            self.go_on();
        }
    }

    pub(super) fn has_ended(&mut self) -> bool {
        // An error is one of the wait for its end, which then comes again.
        !matches!(self.watch.child.try_wait(), Ok(None))
    }

    /// Says a line and hands a file over with it. The child is watched again, and by these limits.
    pub(super) fn begin(
        &mut self,
        line: &str,
        file: Option<&File>,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
    ) -> io::Result<()> {
        self.watch.limit(timeout, interrupt);
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        let line = format!("{line}\n");
        let given: Vec<_> = file.iter().map(|file| file.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&given)];
        let sent = sendmsg::<()>(
            channel.as_raw_fd(),
            &[IoSlice::new(line.as_bytes())],
            if given.is_empty() { &[] } else { &rights },
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        channel.write_all(&line.as_bytes()[sent..])
    }

    /// Ends a child that waits for us and is not to go on: it hears that nobody will answer.
    pub(super) fn dismiss(mut self) {
        if let Some(channel) = self.channel.take() {
            // To close it would not do: the thread that reads has a copy.
            let _ = channel.shutdown(Shutdown::Write);
        }
        let since = Instant::now();
        while self.status.is_none() && since.elapsed() < TO_GO_BY_ITSELF {
            self.go_on();
        }
        if self.status.is_none() {
            self.watch.kill();
        }
    }

    pub(super) fn finished(self, status: ExitStatus) -> Finished {
        Finished {
            elapsed: self.watch.started.elapsed(),
            ended: self.watch.verdict(status),
            stdout: text(&self.collected.stdout[self.collected.cut.0..]),
            stderr: text(&self.collected.stderr[self.collected.cut.1..]),
            side_channel: self.collected.side_channel,
        }
    }

    fn hand_on(&mut self, listener: &mut dyn Listener) {
        while let Some((pipe, line)) = self.collected.lines.pop_front() {
            match pipe {
                Pipe::Side => listener.on_message(&line, self),
                Pipe::Stdout | Pipe::Stderr => listener.line(&line),
            }
        }
    }

    /// Takes what comes next, and does what is due.
    fn go_on(&mut self) {
        match self.chunks.recv_timeout(TICK) {
            Ok(chunk) => self.collected.take(chunk),
            Err(RecvTimeoutError::Timeout) => {}
            // All pipes are closed: as a rule it is about to end, yet the child may live on.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(ABOUT_TO_END),
        }
        self.status = self.watch.look().transpose();
    }
}

impl Channel for Running {
    fn send(&mut self, line: &str) {
        if let Some(channel) = &mut self.channel {
            // A child that is gone does not read: its end is noticed by itself.
            let _ = channel.write_all(format!("{line}\n").as_bytes());
        }
    }

    fn cut(&mut self) {
        self.collected.cut = (self.collected.stdout.len(), self.collected.stderr.len());
        self.watch.started = Instant::now();
    }

    fn request(&mut self, line: &str) -> Option<String> {
        self.send(line);
        while self.status.is_none() && self.channel.is_some() {
            let lines = &mut self.collected.lines;
            if let Some(at) = lines.iter().position(|(pipe, _)| *pipe == Pipe::Side) {
                return lines.remove(at).map(|(_, line)| line);
            }
            self.go_on();
        }
        None
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
    /// Where what belongs to the present begins, of each.
    cut: (usize, usize),
    side_shown: usize,
    /// The lines that nobody has heard yet.
    lines: VecDeque<(Pipe, String)>,
}

impl Collected {
    fn take(&mut self, (pipe, bytes): Chunk) {
        let (buffer, shown) = match pipe {
            Pipe::Side => (&mut self.side_channel, &mut self.side_shown),
            Pipe::Stdout => (&mut self.stdout, &mut self.stdout_shown),
            Pipe::Stderr => (&mut self.stderr, &mut self.stderr_shown),
        };
        let at_end = bytes.is_none();
        let lines = &mut self.lines;
        let mut hand_on = |line: &str| lines.push_back((pipe, line.to_owned()));
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
    fn drain(&mut self, chunks: &Receiver<Chunk>) {
        let give_up = Instant::now() + GRACE;
        while Instant::now() < give_up {
            // Disconnected means that every pipe is at its end.
            let Ok(chunk) = chunks.recv_timeout(PIPE_PATIENCE) else {
                break;
            };
            self.take(chunk);
        }
        for pipe in [Pipe::Stdout, Pipe::Stderr] {
            self.take((pipe, None));
        }
    }
}

/// A running child, and what may end it.
pub(super) struct Supervision {
    child: Child,
    group: Group,
    started: Instant,
    timeout: Option<Duration>,
    interrupt: Interrupt,
    ends_at: usize,
    ending: Option<ProcessEnd>,
}

/// We are ending the group: why, and since when.
struct ProcessEnd {
    why: Ended,
    since: Instant,
    killed: Option<Instant>,
    status: Option<ExitStatus>,
}

impl Supervision {
    pub(super) fn new(child: Child, timeout: Option<Duration>, interrupt: &Interrupt) -> Self {
        Self {
            group: Group::of(&child),
            child,
            started: Instant::now(),
            timeout,
            interrupt: interrupt.clone(),
            // After the second signal only the next one ends what we start to look at the damage.
            ends_at: interrupt.limit(),
            ending: None,
        }
    }

    fn limit(&mut self, timeout: Option<Duration>, interrupt: &Interrupt) {
        self.started = Instant::now();
        self.timeout = timeout;
        self.interrupt = interrupt.clone();
        self.ends_at = interrupt.limit();
    }

    fn kill(&mut self) {
        self.group.send(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Does what is due now; the exit status once nothing is left to wait for.
    fn look(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        let Some(ending) = &mut self.ending else {
            if status.is_none()
                && let Some(why) = self.reason_to_end()
            {
                self.group.send(Signal::SIGTERM);
                self.ending = Some(ProcessEnd {
                    why,
                    since: Instant::now(),
                    killed: None,
                    status: None,
                });
            }
            return Ok(status);
        };
        ending.status = ending.status.or(status);
        if ending.killed.is_none() && ending.since.elapsed() >= GRACE {
            self.group.send(Signal::SIGKILL);
            ending.killed = Some(Instant::now());
        }
        // The child may be gone while a grandchild still works on the database. One that nobody reaps never goes.
        let given_up = ending.killed.is_some_and(|at| at.elapsed() >= GRACE);
        let over = given_up || !self.group.exists();
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

/// The process group that a child leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).ok().map(Pid::from_raw))
    }

    fn send(self, signal: Signal) {
        if let Some(leader) = self.0 {
            // It may have ended in between, which is what we want.
            let _ = killpg(leader, signal);
        }
    }

    fn exists(self) -> bool {
        self.0.is_some_and(|leader| killpg(leader, None).is_ok())
    }
}
