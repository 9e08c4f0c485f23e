//! What one source of settings says.

use std::path::PathBuf;
use std::time::Duration;

use super::backup::{BackupWhen, OnFailure, VerifyBackup};
use super::policy::Policies;
use super::values::DeployedAt;
use crate::checks::Check;
use crate::domain::policy::Policy;
use crate::domain::risk::verdict::Allowed;
use crate::domain::secret::Secret;
use crate::ui::{ColorChoice, Format};

/// Who tells which revisions there are.
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

/// What takes revisions back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineKind {
    /// Alembic, or what speaks its verbs.
    Alembic,
    /// SQL files with a rollback block each, run by rollback itself.
    Sql,
}

/// One layer of settings: what one source says, `None` where it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// What takes revisions back; `None` where that is looked for.
    pub engine: Option<EngineKind>,
    /// The folder of the SQL files.
    pub migrations: Option<PathBuf>,
    /// The schema of the tables that SQL-file migrations are written down in, on PostgreSQL.
    pub history_schema: Option<String>,
    /// The words of the engine's command line.
    pub engine_command: Option<Vec<String>>,
    /// Alembic's own configuration file.
    pub alembic_config: Option<PathBuf>,
    /// The section of Alembic's configuration.
    pub name: Option<String>,
    /// `KEY=VALUE` for Alembic's `-x`.
    pub x: Option<Vec<String>>,
    /// The database; secret as a whole, since it may hold a password.
    pub database_url: Option<Secret>,
    /// Who tells the history.
    pub graph: Option<GraphSource>,
    /// The version table's name.
    pub version_table: Option<String>,
    /// The version table's schema.
    pub version_table_schema: Option<String>,
    /// Whether each step of Alembic's has a process of its own.
    pub process_per_step: Option<bool>,
    /// The same in the words of version 0.1.
    pub warm: Option<Warm>,
    /// The longest time one step may take.
    pub timeout: Option<Duration>,
    /// How long a step may wait for a lock of the database; zero for as long as it takes.
    pub lock_timeout: Option<Duration>,
    /// How often a step that waited in vain, and that the server took back, is run again.
    pub lock_retries: Option<u32>,
    /// Whether each step is looked up in the database.
    pub validate: Option<bool>,
    /// The folder of the records, relative to the project's directory.
    pub state_dir: Option<PathBuf>,
    /// How long counting rows may take, and as long again looking for faults.
    pub check_budget: Option<Duration>,
    /// Tables whose rows a downgrade may take away.
    pub may_lose_rows: Option<Vec<String>>,
    /// Whether a change of the schema that the plan did not announce ends the run although it costs no data.
    pub strict: Option<bool>,
    /// The findings that need no consent of their own.
    pub allow: Option<Allowed>,
    /// Whether the database is asked what a plan puts at risk.
    pub probe: Option<bool>,
    /// How long that may take, all questions together.
    pub probe_timeout: Option<Duration>,
    /// Where this is: `production`.
    pub environment: Option<String>,
    /// The policies of the file.
    pub policies: Option<Policies>,
    /// The rules of the environment, when all layers are put together; `None` where there is none.
    pub policy: Option<Policy>,
    /// Why it is rolled back.
    pub reason: Option<String>,
    /// The record of the incident.
    pub incident: Option<String>,
    /// Who else agreed.
    pub approved_by: Option<String>,
    /// When the release went out.
    pub deployed_at: Option<DeployedAt>,
    /// When a backup is made before a run.
    pub backup: Option<BackupWhen>,
    /// How far it is proven.
    pub verify_backup: Option<VerifyBackup>,
    /// What becomes of a run that fails.
    pub on_failure: Option<OnFailure>,
    /// The project's own checks.
    pub checks: Option<Vec<Check>>,
    /// Whether runs are written to a table of the database as well.
    pub audit_table: Option<bool>,
    /// When to colour.
    pub color: Option<ColorChoice>,
    /// For whom data is written.
    pub format: Option<Format>,
}

impl Layer {
    /// This layer where it says something, the other where it does not.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            engine: self.engine.or(below.engine),
            migrations: self.migrations.or(below.migrations),
            history_schema: self.history_schema.or(below.history_schema),
            engine_command: self.engine_command.or(below.engine_command),
            alembic_config: self.alembic_config.or(below.alembic_config),
            name: self.name.or(below.name),
            x: self.x.or(below.x),
            database_url: self.database_url.or(below.database_url),
            graph: self.graph.or(below.graph),
            version_table: self.version_table.or(below.version_table),
            version_table_schema: self.version_table_schema.or(below.version_table_schema),
            process_per_step: self.process_per_step.or(below.process_per_step),
            warm: self.warm.or(below.warm),
            timeout: self.timeout.or(below.timeout),
            lock_timeout: self.lock_timeout.or(below.lock_timeout),
            lock_retries: self.lock_retries.or(below.lock_retries),
            validate: self.validate.or(below.validate),
            state_dir: self.state_dir.or(below.state_dir),
            strict: self.strict.or(below.strict),
            check_budget: self.check_budget.or(below.check_budget),
            may_lose_rows: self.may_lose_rows.or(below.may_lose_rows),
            allow: self.allow.or(below.allow),
            probe: self.probe.or(below.probe),
            probe_timeout: self.probe_timeout.or(below.probe_timeout),
            environment: self.environment.or(below.environment),
            policies: self.policies.or(below.policies),
            policy: self.policy.or(below.policy),
            reason: self.reason.or(below.reason),
            incident: self.incident.or(below.incident),
            approved_by: self.approved_by.or(below.approved_by),
            deployed_at: self.deployed_at.or(below.deployed_at),
            backup: self.backup.or(below.backup),
            verify_backup: self.verify_backup.or(below.verify_backup),
            on_failure: self.on_failure.or(below.on_failure),
            checks: self.checks.or(below.checks),
            audit_table: self.audit_table.or(below.audit_table),
            color: self.color.or(below.color),
            format: self.format.or(below.format),
        }
    }
}
