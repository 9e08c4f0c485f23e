//! The report of the bridge: what the engine loaded, and which databases it migrates.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::connection::{EngineConnection, describe};
use crate::output;
use rollback_core::connection::{ConnectionFacts, RowsAre, VersionTable};
use rollback_core::revision::{Revision, RevisionId};

/// The version of the report that this program reads.
const VERSION: u32 = 1;
/// The whole report. Has no `Debug`: it holds passwords.
#[derive(Deserialize)]
pub struct BridgeReport {
    rollback_bridge: u32,
    alembic: Option<String>,
    history: Option<ScriptDirectory>,
    #[serde(default)]
    contexts: Vec<EnvironmentContext>,
    #[serde(default)]
    attempts: Vec<EngineConnection>,
    /// Whether it waits for the steps.
    #[serde(default)]
    waits: bool,
    /// Why steps do not share its process.
    #[serde(default)]
    left: Option<String>,
}

/// A line of the side channel that asks whether the `env.py` of this folder may be run.
#[derive(Deserialize)]
struct DirectoryLine {
    directory: PathBuf,
}

/// Reads such a line.
pub fn directory(line: &str) -> Option<PathBuf> {
    let found: DirectoryLine = serde_json::from_str(line).ok()?;
    Some(found.directory)
}

/// A line of the side channel with a report.
#[derive(Deserialize)]
struct Observed {
    observed: BridgeReport,
}

/// Whether a line is one.
pub fn is_observed(line: &str) -> bool {
    line.starts_with("{\"observed\":")
}

/// Reads such a line; `None` where it is no report of this version.
pub fn observed(line: &str) -> Option<BridgeReport> {
    let told: Observed = serde_json::from_str(line).ok()?;
    told.observed.of_this_version()
}

#[derive(Deserialize)]
struct ScriptDirectory {
    /// Whether Alembic built its map from these without complaint.
    whole: bool,
    directory: String,
    locations: Vec<String>,
    revisions: Vec<LoadedScript>,
}

#[derive(Deserialize)]
struct LoadedScript {
    id: String,
    down_revisions: Vec<String>,
    depends_on: Vec<String>,
    branch_labels: Vec<String>,
    doc: String,
    path: String,
}

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may hold with each of the others"
)]
struct EnvironmentContext {
    from_environment: bool,
    version_table: String,
    version_table_schema: Option<String>,
    transaction_per_migration: bool,
    rows: Option<Vec<Option<String>>>,
    /// PostgreSQL: what `env.py` has set for the session.
    #[serde(default)]
    search_path: Option<String>,
    /// SQLite: whether foreign keys are enforced.
    #[serde(default)]
    foreign_keys: Option<bool>,
    #[serde(default)]
    translates_schemas: bool,
    /// Whether a transaction was open before the migrations and was not committed after them.
    #[serde(default)]
    left_open: bool,
    connection: Option<EngineConnection>,
}

/// One database that the migrations ran on, and its version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigratedDatabase {
    /// How the engine connects; `None` where it does so in a way of its own, or in memory.
    pub connection: Option<ConnectionFacts>,
    /// What `env.py` configures.
    pub version_table: VersionTable,
    /// The rows as the engine read them; `None` where it did not come to that.
    pub rows: Option<Vec<RevisionId>>,
    /// Whether `env.py` asks for one transaction per revision.
    pub transaction_per_migration: bool,
    /// Whether `env.py` began a transaction before the migrations and does not commit it.
    pub left_open: bool,
}

impl BridgeReport {
    /// Reads what came through the pipe; `None` where it is no report of this version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes)
            .ok()?
            .of_this_version()
    }

    fn of_this_version(self) -> Option<Self> {
        (self.rollback_bridge == VERSION).then_some(self)
    }

    /// Whether the process waits for the steps.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Why steps do not share the process.
    pub fn left(&self) -> Option<&str> {
        self.left.as_deref()
    }

    /// Whether nothing has to be asked in another way: the history, and where each database is and stands.
    pub fn says_all(&self) -> bool {
        let is_told = |place: &MigratedDatabase| place.connection.is_some() && place.rows.is_some();
        let places = self.places();
        self.revisions().is_some() && !places.is_empty() && places.iter().all(is_told)
    }

    /// Alembic's version.
    pub fn engine_version(&self) -> Option<&str> {
        self.alembic.as_deref()
    }

    /// All revisions in the order of Alembic's loading, an id that two files have twice; `None` where
    /// Alembic did not get through them.
    pub fn revisions(&self) -> Option<Vec<Revision>> {
        let history = self.history.as_ref().filter(|history| history.whole)?;
        Some(
            history
                .revisions
                .iter()
                .map(LoadedScript::revision)
                .collect(),
        )
    }

    /// The folder of `env.py`.
    pub fn directory(&self) -> Option<&Path> {
        self.history
            .as_ref()
            .map(|history| Path::new(&history.directory))
    }

    /// The folders in which Alembic looks for version files.
    pub fn locations(&self) -> Vec<String> {
        let Some(history) = &self.history else {
            return Vec::new();
        };
        if history.locations.is_empty() {
            vec![history.directory.clone()]
        } else {
            history.locations.clone()
        }
    }

    /// The databases that the engine's `env.py` went through: one, unless the project has several.
    pub fn places(&self) -> Vec<MigratedDatabase> {
        // A project may open contexts of its own to look at something; those that `env.py` runs
        // migrations with are the ones that count.
        let levels: [fn(&EnvironmentContext) -> bool; 2] = [
            |context| context.from_environment && context.rows.is_some(),
            |context| context.from_environment,
        ];
        let mut places: Vec<MigratedDatabase> = Vec::new();
        for wanted in levels {
            for place in self
                .contexts
                .iter()
                .filter(|context| wanted(context))
                .map(EnvironmentContext::place)
            {
                let known = places.iter_mut().find(|known| known.same_as(&place));
                match known {
                    Some(known) => *known = place,
                    None => places.push(place),
                }
            }
            if !places.is_empty() {
                break;
            }
        }
        places
    }

    /// Where the engine connected last, or tried to, also when that failed.
    pub fn last_attempt(&self) -> Option<ConnectionFacts> {
        self.attempts.last().and_then(EngineConnection::facts)
    }
}

impl LoadedScript {
    fn revision(&self) -> Revision {
        let (message, created) = output::docstring(&self.doc);
        Revision {
            id: self.id.clone(),
            down_revisions: self.down_revisions.clone(),
            depends_on: self.depends_on.clone(),
            branch_labels: self.branch_labels.clone(),
            message,
            path: Some(self.path.clone()),
            created,
            registered: None,
        }
    }
}

impl EnvironmentContext {
    /// Our own connection looks for names where the engine does.
    fn facts(&self) -> Option<ConnectionFacts> {
        let connection = self.connection.as_ref()?;
        let mut facts = connection.facts()?;
        facts.session.driver = Some(connection.driver.clone());
        facts.session.foreign_keys = self.foreign_keys;
        facts.session.translates_schemas = self.translates_schemas;
        if let Some(path) = &self.search_path {
            let escaped = path.replace('\\', r"\\").replace(' ', r"\ ");
            let setting = format!("-csearch_path={escaped}");
            match facts.options.iter_mut().find(|(name, _)| name == "options") {
                Some((_, options)) => options.extend([" ", &setting]),
                None => facts.options.push(("options".to_owned(), setting)),
            }
        }
        Some(facts)
    }

    fn place(&self) -> MigratedDatabase {
        MigratedDatabase {
            connection: self.facts(),
            version_table: VersionTable {
                name: self.version_table.clone(),
                schema: self.version_table_schema.clone(),
                rows: RowsAre::Heads,
            },
            rows: self.rows.as_ref().map(|rows| {
                rows.iter()
                    .map(|row| RevisionId::new(row.as_deref().unwrap_or_default()))
                    .collect()
            }),
            left_open: self.left_open,
            transaction_per_migration: self.transaction_per_migration,
        }
    }
}

impl MigratedDatabase {
    fn same_as(&self, other: &Self) -> bool {
        self.connection == other.connection && self.version_table == other.version_table
    }
}

impl std::fmt::Display for MigratedDatabase {
    /// `localhost:5432/app, table alembic_version`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.connection {
            Some(facts) => write!(formatter, "{}, ", describe(facts))?,
            None => formatter.write_str("a connection of its own, ")?,
        }
        write!(formatter, "table {}", self.version_table)
    }
}
