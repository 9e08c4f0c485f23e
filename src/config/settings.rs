//! Every setting: its type, its default, where it is written and how it is read.

use std::path::PathBuf;
use std::time::Duration;

use super::check::{self, CheckFile};
use super::choices::{BackupWhen, EngineKind, GraphSource, OnFailure, Warm};
use super::parse::{
    DeployedAt, allowed, deployed_at, duration, lock_timeout, number, one_of, verified, words,
    yes_or_no,
};
use super::partial::{Fallback, Setting, settings};
use super::policy::{self, Policies};
use super::source::{
    SettingSource, StringOrList, Written, backup, converted, either, list, parsed, path, typed,
};
use super::toml::Audit;
use crate::checks::ProjectCheck;
use crate::error::Failure;
use crate::ui::{ColorChoice, Format};
use migration_forecast::risk::verdict::Allowed;
use rollback_core::backup::Verified;
use rollback_core::policy::Policy;
use rollback_core::secret::Secret;

settings! {
    /// `alembic` or `sql`.
    engine: EngineKind = none "found in the directory; Alembic goes before SQL files", parsed(one_of),
        file "engine", variable "ROLLBACK_ENGINE";
    /// Folder of the SQL files.
    migrations: PathBuf = none "`supabase/migrations`, or `migrations` or `db/migrations` with a rollback block, a section that takes it down or a `.down.sql` file in it", path,
        file "migrations", variable "ROLLBACK_MIGRATIONS";
    /// Schema of the tables in which SQL files are registered, on PostgreSQL.
    history_schema: String = none "`rollback`", typed, file "history_schema", variable "ROLLBACK_HISTORY_SCHEMA";
    /// Command line up to Alembic's verb, as one string or a list of words.
    engine_command: Vec<String> = none "found in the directory, see below", either(StringOrList::words, words),
        file "engine_command", variable "ROLLBACK_ENGINE_COMMAND";
    /// Alembic's own configuration file, passed on as `-c`.
    alembic_config: PathBuf = none "Alembic's own", path, file "alembic_config", variable "ROLLBACK_ALEMBIC_CONFIG";
    /// Section of Alembic's configuration, passed on as `-n`.
    name: String = none "Alembic's own", typed, file "name", variable "ROLLBACK_NAME";
    /// `KEY=VALUE` for `env.py`, each passed on as `-x`; `-x` flags replace the list of the file.
    x: Vec<String> = empty "none", list, file "x";
    /// SQLAlchemy URL for the direct connection. For SQL files it is the only connection.
    database_url: Secret = none "the engine is asked; for SQL files `SUPABASE_DB_URL`, then `DATABASE_URL`", parsed(|url| Ok(Secret::new(url))),
        file "database_url", variable "ROLLBACK_DATABASE_URL";
    /// Source of the history: `files` or `engine`.
    graph: GraphSource = none "the version files if every one can be read, else the engine", parsed(one_of),
        file "graph", variable "ROLLBACK_GRAPH";
    /// Name of the version table.
    version_table: String = none "what `env.py` configures, else `alembic_version`", typed,
        file "version_table", variable "ROLLBACK_VERSION_TABLE";
    /// Schema of the version table.
    version_table_schema: String = none "what `env.py` configures", typed,
        file "version_table_schema", variable "ROLLBACK_VERSION_TABLE_SCHEMA";
    /// Whether the run stops at a change of the schema that the plan did not announce, also if it costs no data.
    strict: bool = default "false", either(Ok, yes_or_no), file "strict", variable "ROLLBACK_STRICT";
    /// Whether the engine is started for each step; otherwise steps share one process if `env.py` has one of the usual
    /// shapes.
    process_per_step: bool = default "false", either(Ok, yes_or_no), file "process_per_step", variable "ROLLBACK_PROCESS_PER_STEP";
    /// What `process_per_step` was in version 0.1.
    warm: Warm = none "`process_per_step`", parsed(one_of), file "warm", variable "ROLLBACK_WARM";
    /// Longest time of one step, such as `90s` or `1h 30m`.
    timeout: Duration = none "no limit", parsed(duration), file "timeout", variable "ROLLBACK_TIMEOUT";
    /// Longest wait of a step for a lock of the database, `off` for no limit.
    lock_timeout: Duration = default "5s", parsed(lock_timeout), file "lock_timeout", variable "ROLLBACK_LOCK_TIMEOUT";
    /// How often a step is run again that waited too long for a lock and left no changes.
    lock_retries: u32 = default "0", either(Ok, number), file "lock_retries", variable "ROLLBACK_LOCK_RETRIES";
    /// Whether the version table is read after each step.
    validate: bool = default "true", either(Ok, yes_or_no), file "validate", variable "ROLLBACK_VALIDATE";
    /// Folder of the records of runs.
    state_dir: PathBuf = none "`.rollback` of the project", path, file "state_dir", variable "ROLLBACK_STATE_DIR";
    /// Longest time for counting rows before the first step and after each, and as long again for looking for faults.
    check_budget: Duration = default "2s", parsed(duration), file "check_budget", variable "ROLLBACK_CHECK_BUDGET";
    /// Tables that a downgrade may delete rows from without changing their schema.
    may_lose_rows: Vec<String> = empty "none", list, file "may_lose_rows";
    /// Codes of findings that need no consent of their own, or `all`.
    allow: Allowed = empty "none", either(|codes: Vec<String>| allowed(&codes.join(",")), allowed), file "allow", variable "ROLLBACK_ALLOW";
    /// Whether the database is asked what a plan puts at risk.
    probe: bool = default "true", either(Ok, yes_or_no), file "probe", variable "ROLLBACK_PROBE";
    /// Longest time for that, all questions together.
    probe_timeout: Duration = default "10s", parsed(duration), file "probe_timeout", variable "ROLLBACK_PROBE_TIMEOUT";
    /// Which place this is, such as `production`. If the file says it, nothing else can say another one. It chooses the
    /// rules of [In production](#in-production).
    environment: String = none "none", typed, file "environment", variable "ROLLBACK_ENVIRONMENT";
    /// The rules, see [In production](#in-production).
    policies: Policies = empty "none", converted(|table: toml::Table| policy::read(&table)), file "policy";
    /// `table`: whether runs are also written to the table `rollback_audit` of the database, see [Records](#records).
    audit_table: bool = default "false", either(|Audit { table }| Ok(table), yes_or_no), file "audit", variable "ROLLBACK_AUDIT_TABLE";
    /// Whether a backup is made before a run: `auto` (if the plan could lose data or cannot be analysed), `always` or
    /// `never`.
    backup: BackupWhen = default "auto", backup, file "backup", variable "ROLLBACK_BACKUP";
    /// How a backup is proven: `read` back, or `restore`d beside the database.
    verify_backup: Verified = default "read", parsed(verified), file "verify_backup", variable "ROLLBACK_VERIFY_BACKUP";
    /// Whether a run that fails stops where it is or is undone from the backup: `stop`, `restore`.
    on_failure: OnFailure = default "stop", parsed(one_of), file "on_failure", variable "ROLLBACK_ON_FAILURE";
    /// Checks of your own, see below.
    checks: Vec<ProjectCheck> = empty "none", converted(|checks: Vec<CheckFile>| checks.into_iter().map(check::read).collect()), file "check";
    /// `auto` (follows the terminal and `NO_COLOR`), `always` or `never`.
    color: ColorChoice = default "auto", parsed(one_of), file "color", variable "ROLLBACK_COLOR";
    /// `human` or `json`.
    format: Format = default "human", parsed(one_of), file "format", variable "ROLLBACK_FORMAT";
    /// Why the database is rolled back.
    reason: String = none "none", typed, variable "ROLLBACK_REASON";
    /// The record of the incident.
    incident: String = none "none", typed, variable "ROLLBACK_INCIDENT";
    /// Who else agreed.
    approved_by: String = none "none", typed, variable "ROLLBACK_APPROVED_BY";
    /// When the release went out.
    deployed_at: DeployedAt = none "none", parsed(deployed_at), variable "ROLLBACK_DEPLOYED_AT";
}

impl Settings {
    /// Longest wait of a step for a lock of the database; `None` for no limit.
    pub fn lock_limit(&self) -> Option<Duration> {
        Some(self.lock_timeout).filter(|limit| !limit.is_zero())
    }
}
