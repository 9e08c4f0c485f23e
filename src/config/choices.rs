//! Settings that are one of a few words.

use rollback_core::backup::Verified;

/// When a backup is made before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BackupWhen {
    /// Where the plan puts data at risk, or cannot be looked into.
    Auto,
    /// Before every run.
    Always,
    /// Not at all.
    Never,
}

/// How far a backup is proven before it is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum VerifyBackup {
    /// The file is read back whole.
    Read,
    /// It is restored beside the database and compared with it.
    Restore,
}

impl From<VerifyBackup> for Verified {
    fn from(verify: VerifyBackup) -> Self {
        match verify {
            VerifyBackup::Read => Self::Read,
            VerifyBackup::Restore => Self::Restored,
        }
    }
}

/// What becomes of a run that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnFailure {
    /// It stops where it is.
    Stop,
    /// The backup of before the first step is restored.
    Restore,
}

/// Where the history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphSource {
    /// The version files, read and not run.
    Files,
    /// The engine.
    Engine,
}

/// What `warm` of version 0.1 said, which still counts in 0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Warm {
    /// Nothing.
    Auto,
    /// Each step is a start of the engine.
    Never,
}

/// What rolls migrations back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineKind {
    /// Alembic, or what speaks its verbs.
    Alembic,
    /// SQL files with a rollback block each, run by rollback itself.
    Sql,
}
