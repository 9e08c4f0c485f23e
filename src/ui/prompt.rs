//! Questions. Only a clear Yes is one: Enter, Ctrl-D, and any other word mean No.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};

use super::{Ui, terminal};
use rollback_core::interrupt::Interrupt;

/// How soon a signal is noticed, in milliseconds.
const TICK: u16 = 50;

/// No answer is longer; the terminal itself ends a line there.
const LONGEST: usize = 4096;

impl Ui {
    /// Asks a question that only `y` or `yes` and Enter answer with Yes. `None` after a signal.
    pub fn confirm(&self, question: &str, interrupt: &Interrupt) -> Option<bool> {
        let answer = self.answer(&format!("{question} [y/N]"), interrupt)?;
        Some(["y", "yes"].contains(&answer.to_lowercase().as_str()))
    }

    /// Asks for a word to be typed. Anything else is No; `None` after a signal.
    pub fn confirm_by_typing(
        &self,
        question: &str,
        word: &str,
        interrupt: &Interrupt,
    ) -> Option<bool> {
        let answer = self.answer(&format!("{question}:"), interrupt)?;
        Some(!answer.is_empty() && answer == word)
    }

    /// The line that is typed next, without blanks around it; empty where there is none any more.
    fn answer(&self, question: &str, interrupt: &Interrupt) -> Option<String> {
        // What was typed before the question was asked is no answer to it.
        let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
        terminal::to_stderr(&format!("{} ", self.err.bold(question)));
        let line = line(interrupt);
        if !matches!(&line, Ok(Some(text)) if text.ends_with('\n')) {
            terminal::to_stderr("\n");
        }
        // A terminal that cannot be read any more has nobody at it.
        Some(
            line.unwrap_or_else(|_| Some(String::new()))?
                .trim()
                .to_owned(),
        )
    }
}

/// One line with its end, without it where Ctrl-D came first and whatever was typed does not count; `None` after a
/// signal, which would not end a read.
fn line(interrupt: &Interrupt) -> io::Result<Option<String>> {
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut typed = Vec::new();
    loop {
        if interrupt.count() > 0 {
            return Ok(None);
        }
        let mut waiting = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(TICK)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 256];
        let read = stdin.read(&mut buffer)?;
        typed.extend_from_slice(&buffer[..read]);
        if read == 0 || typed.len() > LONGEST {
            return Ok(Some(String::new()));
        }
        if typed.ends_with(b"\n") {
            return Ok(Some(String::from_utf8_lossy(&typed).into_owned()));
        }
    }
}
