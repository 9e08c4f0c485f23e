//! When a backup is made before a run, how it is proven, and what it is for.

use crate::domain::backup::Verified;

/// When a backup is made before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum BackupWhen {
    /// Where the plan puts data at risk, or cannot be looked into.
    #[default]
    Auto,
    /// Before every run.
    Always,
    /// Not at all.
    Never,
}

/// How far a backup is proven before it is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum VerifyBackup {
    /// The file is read back whole.
    #[default]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OnFailure {
    /// It stops where it is.
    #[default]
    Stop,
    /// The backup of before the first step is restored.
    Restore,
}
