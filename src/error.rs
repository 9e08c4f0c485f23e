//! Errors as the operator meets them: one kind, one sentence, its causes and what to type next.
//!
//! Modules have error types of their own that keep data. They are turned into a [`Failure`] once, in
//! `commands`; `lib` turns that into text and an exit code.

use std::io;

use rollback_core::engine::EngineError;

/// The exit codes: part of the interface, as flags and JSON are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 1: user, configuration or environment error; nothing was changed.
    User,
    /// 2: usage.
    Usage,
    /// 3: refused by policy, risk, or not confirmed; nothing was changed by this run.
    Refused,
    /// 4: a step failed; the database stands, verified, at the last good revision.
    StepFailed,
    /// 5: a step failed or did not verify, and the database was changed by it or cannot be read.
    StepChanged,
    /// 6: another run holds the lock of the database; nothing was changed by this one.
    Locked,
    /// 7: `explain` knows nothing of what the log holds.
    NotKnown,
    /// 8: the command of `guard` failed, and what it did to the migrations was rolled back.
    Guarded,
    /// 70: a fault of this program.
    Internal,
    /// 130: interrupted between two steps.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::User => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::StepFailed => 4,
            Self::StepChanged => 5,
            Self::Locked => 6,
            Self::NotKnown => 7,
            Self::Guarded => 8,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// The kind, which decides the exit code.
    pub exit: Exit,
    /// One sentence without a full stop.
    pub message: String,
    /// What led to it, nearest first.
    pub causes: Vec<String>,
    /// What to do next; the last one ends in a command where there is one.
    pub hints: Vec<String>,
    /// What the engine printed, shown whole with `--verbose`.
    pub output: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            output: String::new(),
        }
    }

    /// An error of the user, the configuration or the environment.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Exit::User, message)
    }

    /// A refusal.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What to do about a file or folder that cannot be made, read or written, as the beginning of a hint.
pub fn io_hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => "check the owner and the rights of that path",
        io::ErrorKind::ReadOnlyFilesystem => "that file system is read-only: make it writable",
        io::ErrorKind::StorageFull => "the disk is full: make room on it",
        io::ErrorKind::QuotaExceeded => "your disk quota is used up: make room in it",
        io::ErrorKind::FileTooLarge => {
            "a limit on the size of files was reached (ulimit -f): raise it"
        }
        io::ErrorKind::NotFound => "that path does not exist: create its folder",
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory => "something else has that name: move it away",
        _ => "fix that",
    }
}

impl From<anyhow::Error> for Failure {
    /// For what cannot happen: whatever has no sentence of its own is a fault of this program.
    fn from(error: anyhow::Error) -> Self {
        let mut chain = error.chain();
        let message = chain.next().map(ToString::to_string).unwrap_or_default();
        let mut failure = Self::new(Exit::Internal, message);
        failure.causes = chain.map(ToString::to_string).collect();
        failure
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let mut failure = Self::user(error.summary);
        failure.hints = error.hints;
        failure.output = [error.stdout, error.stderr].concat();
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red if all of them get one hint again: for EACCES it was "make room there".
    #[test]
    fn each_error_of_the_file_system_has_its_own_hint() {
        for (errno, word) in [
            (nix::errno::Errno::EACCES, "rights"),
            (nix::errno::Errno::EPERM, "rights"),
            (nix::errno::Errno::EROFS, "read-only"),
            (nix::errno::Errno::ENOSPC, "room on it"),
            (nix::errno::Errno::EDQUOT, "quota"),
            (nix::errno::Errno::EFBIG, "ulimit"),
            (nix::errno::Errno::ENOENT, "does not exist"),
            (nix::errno::Errno::ENOTDIR, "that name"),
            (nix::errno::Errno::EIO, "fix that"),
        ] {
            let error = io::Error::from_raw_os_error(errno as i32);
            assert!(io_hint(error.kind()).contains(word), "{errno}");
        }
    }
}
