//! A child that is somebody else's command: it has our stdin, stdout and stderr, and the operator's signals are
//! its own.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use super::running::TICK;
use super::{Invocation, SpawnError, classify, other};
use rollback_core::engine::Ended;
use rollback_core::interrupt::Interrupt;

/// Where a signal that came with the end of the child is surely counted.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// Whether the terminal gives its Ctrl-C to us, and so to a child in our group.
fn terminal_is_ours() -> bool {
    let Ok(terminal) = File::open("/dev/tty") else {
        return false;
    };
    tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp())
}

/// Runs one program to its end with what we have as stdin, stdout and stderr; with `to_stderr` it has our stderr
/// as its stdout. Of the invocation's own `stdin`, `side_channel` and `held` it gets nothing.
///
/// The operator's signals end the child and not us: those of the terminal reach it by themselves, the others are
/// handed on. However often they come, the child is waited for.
pub fn run_inherited(
    invocation: &Invocation,
    to_stderr: bool,
    interrupt: &Interrupt,
) -> Result<(Ended, Duration), SpawnError> {
    // One that came just before is meant for the child as well.
    let mut heard = 0;
    let shared = terminal_is_ours();
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .current_dir(&invocation.cwd)
        .env_clear()
        .envs(&invocation.env);
    if to_stderr {
        #[expect(
            clippy::disallowed_methods,
            reason = "it is handed on, and nothing of ours is written to it"
        )]
        let ours = io::stderr()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| other(invocation, source))?;
        command.stdout(Stdio::from(ours));
    }
    // With a terminal it has to stay where it can read from it. Without, a signal has to reach all that it starts.
    if !shared {
        command.process_group(0);
    }
    let started = Instant::now();
    let mut child = command
        .spawn()
        .map_err(|source| classify(invocation, source))?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(source) => return Err(other(invocation, source)),
        }
        while heard < interrupt.count() {
            heard += 1;
            hand_on(&child, shared, interrupt.last());
        }
        thread::sleep(TICK);
    };
    let elapsed = started.elapsed();
    if !status.success() {
        // One that ended the child may still be on its way to our counter.
        thread::sleep(ON_ITS_WAY);
    }
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Signalled(signal.unwrap_or_default()),
    };
    Ok((ended, elapsed))
}

fn hand_on(child: &Child, shared: bool, number: Option<i32>) {
    let signal = number
        .and_then(|number| Signal::try_from(number).ok())
        .unwrap_or(Signal::SIGINT);
    let Ok(pid) = i32::try_from(child.id()) else {
        return;
    };
    let pid = Pid::from_raw(pid);
    // It may have ended in between, and then there is nobody to be told.
    let _ = match signal {
        Signal::SIGINT if shared => Ok(()),
        signal if shared => kill(pid, signal),
        signal => killpg(pid, signal),
    };
}
