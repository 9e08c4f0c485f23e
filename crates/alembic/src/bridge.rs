//! What the engine's own process tells about itself, through a pipe that nobody else reads.
//!
//! The command line of Alembic hides the password, the version table and the order in which it loads
//! the files. A listener inside its process sees them all: see the folder `bridge`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::launcher::{Launch, LaunchTarget};
use super::output;
use rollback_core::connection::{ConnectionFacts, RowsAre, VersionTable};
use rollback_core::engine::{LockLimit, Sequence, SessionNews};
use rollback_core::plan::Step;
use rollback_core::revision::{Revision, RevisionId};
use rollback_core::secret::Secret;
use rollback_system::process::{Environment, Invocation};

/// What the other parts use while they are loaded.
const BASE: &str = include_str!("../bridge/base.py");
/// What only a sequence needs.
const SEQUENCE: &str = concat!(
    include_str!("../bridge/sequence.py"),
    include_str!("../bridge/verdict.py"),
);
/// What tells of the session with the database.
const SESSION: &str = include_str!("../bridge/session.py");
/// What renders SQL.
const RENDERER: &str = include_str!("../bridge/render.py");
/// Comes last, because it ends by starting the engine.
const ENGINE: &str = concat!(
    include_str!("../bridge/lock_timeout.py"),
    include_str!("../bridge/observe.py"),
    include_str!("../bridge/report.py"),
    include_str!("../bridge/bridge.py"),
);
/// Fits into the argument list and into any process listing: the rest comes through stdin.
///
/// The request is JSON without its three words, and such JSON is Python: a module for JSON would have to be
/// imported, and the project may have one of that name.
const LOADER: &str = "import sys;s,_,r=sys.stdin.buffer.read().partition(b'\\0');\
                      exec(compile(s,'<bridge>','exec'),\
                      {'__name__':'rollback_bridge','REQUEST':eval(r.decode(),{'__builtins__':{}})})";
/// The parameters that decide how to connect; libpq names dozens of others with their defaults, and
/// some are secrets.
const OPTIONS: [&str; 19] = [
    "hostaddr",
    "options",
    "ssl",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_check_hostname",
    "ssl_context",
    "ssl_disabled",
    "ssl_key",
    "ssl_mode",
    "ssl_verify_cert",
    "ssl_verify_identity",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
];
/// The version of the report that this program reads.
const VERSION: u32 = 1;

/// What the bridge is there for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// No connection of the engine waits longer than this for a lock.
    pub lock_timeout: Option<Duration>,
    /// It tells what the engine's session with the database did.
    pub session: bool,
    /// It tells what it sees, and then waits to hear which steps `downgrade` takes.
    pub observe: bool,
    /// The steps that `downgrade` takes.
    pub sequence: Option<&'a Sequence<'a>>,
    /// The steps of which `downgrade --sql` renders the statements.
    pub render: Option<&'a [Step]>,
}

impl Request<'_> {
    /// Without `true`, `false` and `null`, so that it is Python as well.
    pub(super) fn value(&self) -> Value {
        let mut request = serde_json::Map::new();
        if let Some(limit) = self.lock_timeout {
            // Zero would be no limit.
            let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
            request.insert("lock_timeout".into(), limit.into());
        }
        if self.session {
            request.insert("session".into(), 1.into());
        }
        if self.observe {
            request.insert("observe".into(), 1.into());
        }
        if let Some(sequence) = self.sequence {
            let steps: Vec<Value> = sequence
                .steps
                .iter()
                .map(|step| json!({ "removes": step.removes, "after": step.heads_after }))
                .collect();
            request.insert("before".into(), json!(sequence.before));
            request.insert("keep".into(), json!(sequence.keep));
            request.insert("range".into(), steps.into());
        }
        if let Some(steps) = self.render {
            let steps: Vec<Value> = steps
                .iter()
                .map(|step| {
                    json!({
                        "removes": step.removes,
                        "takes_along": step.takes_along,
                        "argument": step.argument,
                        "before": step.heads_before,
                        "after": step.heads_after,
                    })
                })
                .collect();
            request.insert("render".into(), steps.into());
        }
        Value::from(request)
    }

    fn source(&self) -> String {
        let addition = match self.render {
            Some(_) => RENDERER,
            None if self.observe || self.sequence.is_some() => SEQUENCE,
            None => "",
        };
        let session = if self.session { SESSION } else { "" };
        format!("{BASE}{session}{addition}{ENGINE}\0{}", self.value())
    }
}

/// A line of the pipe that says how the lock timeout was arranged on a connection.
#[derive(Debug, Deserialize)]
struct Limited {
    lock_timeout: String,
    why: Option<String>,
}

/// Reads such a line.
pub fn lock_limit(line: &str) -> Option<LockLimit> {
    let told: Limited = serde_json::from_str(line).ok()?;
    Some(match told.lock_timeout.as_str() {
        "session" | "unknown" => LockLimit::Session,
        "transaction" => LockLimit::Transactions,
        _ => LockLimit::None(told.why.unwrap_or_default()),
    })
}

/// A line of the pipe about the session with the database.
#[derive(Debug, Deserialize)]
#[serde(tag = "session", rename_all = "snake_case")]
enum SessionLine {
    Opened,
    Committing {
        deleted: BTreeMap<String, u64>,
        locked: Vec<String>,
    },
    Ended {
        transactions: Option<Vec<u64>>,
    },
}

/// Reads such a line.
pub fn session_news(line: &str) -> Option<SessionNews> {
    Some(match serde_json::from_str(line).ok()? {
        SessionLine::Opened => SessionNews::Opened,
        SessionLine::Committing { deleted, locked } => SessionNews::Committing { deleted, locked },
        SessionLine::Ended { transactions } => SessionNews::Ended { transactions },
    })
}

/// The same start as `launch`, with the bridge inside.
pub fn invocation(
    launch: &Launch,
    cwd: &Path,
    env: &Environment,
    request: Request<'_>,
) -> Invocation {
    let (kind, name) = match &launch.target {
        LaunchTarget::Script(path) => ("script", path.clone().into_os_string()),
        LaunchTarget::Module(name) => ("module", name.clone()),
    };
    let mut args = launch.flags.clone();
    args.extend(["-c".into(), LOADER.into(), kind.into(), name]);
    args.extend(launch.args.iter().cloned());
    Invocation {
        program: launch.interpreter.clone(),
        args,
        cwd: cwd.to_owned(),
        env: env.clone(),
        stdin: Some(request.source().into_bytes()),
        side_channel: true,
        held: None,
    }
}

/// The whole report. Has no `Debug`: it holds passwords.
#[derive(Deserialize)]
pub struct BridgeReport {
    rollback_bridge: u32,
    alembic: Option<String>,
    history: Option<History>,
    #[serde(default)]
    contexts: Vec<Context>,
    #[serde(default)]
    attempts: Vec<Connection>,
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
struct History {
    /// Whether Alembic built its map from these without complaint.
    whole: bool,
    directory: String,
    locations: Vec<String>,
    revisions: Vec<Script>,
}

#[derive(Deserialize)]
struct Script {
    id: String,
    down_revisions: Vec<String>,
    depends_on: Vec<String>,
    branch_labels: Vec<String>,
    doc: String,
    path: String,
}

#[derive(Deserialize)]
struct Context {
    from_environment: bool,
    version_table: String,
    version_table_schema: Option<String>,
    transaction_per_migration: bool,
    rows: Option<Vec<Option<String>>>,
    /// PostgreSQL: what `env.py` has set for the session.
    #[serde(default)]
    search_path: Option<String>,
    /// Whether a transaction was open before the migrations and was not committed after them.
    #[serde(default)]
    left_open: bool,
    connection: Option<Connection>,
}

#[derive(Deserialize)]
struct Connection {
    dialect: String,
    driver: String,
    arguments: Vec<String>,
    parameters: BTreeMap<String, Value>,
    info: BTreeMap<String, Value>,
}

/// One database that the migrations ran on, and its version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
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
        let is_told = |place: &Place| place.connection.is_some() && place.rows.is_some();
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
        Some(history.revisions.iter().map(Script::revision).collect())
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
    pub fn places(&self) -> Vec<Place> {
        // A project may open contexts of its own to look at something; those that `env.py` runs
        // migrations with are the ones that count.
        let levels: [fn(&Context) -> bool; 2] = [
            |context| context.from_environment && context.rows.is_some(),
            |context| context.from_environment,
        ];
        let mut places: Vec<Place> = Vec::new();
        for wanted in levels {
            for place in self
                .contexts
                .iter()
                .filter(|context| wanted(context))
                .map(Context::place)
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
        self.attempts.last().and_then(Connection::facts)
    }
}

impl Script {
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

impl Context {
    /// Our own connection looks for names where the engine does.
    fn facts(&self) -> Option<ConnectionFacts> {
        let mut facts = self.connection.as_ref()?.facts()?;
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

    fn place(&self) -> Place {
        Place {
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

impl Place {
    fn same_as(&self, other: &Self) -> bool {
        self.connection == other.connection && self.version_table == other.version_table
    }
}

impl std::fmt::Display for Place {
    /// `localhost:5432/app, table alembic_version`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.connection {
            Some(facts) => write!(formatter, "{}, ", describe(facts))?,
            None => formatter.write_str("a connection of its own, ")?,
        }
        write!(formatter, "table {}", self.version_table)
    }
}

/// `localhost:5432/app` or the file, for people.
pub fn describe(facts: &ConnectionFacts) -> String {
    let database = facts.database.as_deref().unwrap_or_default();
    let host = facts.host.as_deref().or(facts.socket.as_deref());
    match (host, facts.port) {
        (Some(host), Some(port)) => format!("{host}:{port}/{database}"),
        (Some(host), None) => format!("{host}/{database}"),
        (None, _) => database.to_owned(),
    }
}

impl Connection {
    /// The driver's words for a parameter differ; what it says about the open connection comes first.
    fn text(&self, names: &[&str]) -> Option<String> {
        [&self.info, &self.parameters].into_iter().find_map(|map| {
            names
                .iter()
                .find_map(|name| map.get(*name).and_then(scalar))
        })
    }

    fn facts(&self) -> Option<ConnectionFacts> {
        let mut facts = ConnectionFacts {
            dialect: self.dialect.to_lowercase(),
            ..Default::default()
        };
        if facts.dialect == "sqlite" {
            if !self.driver.contains("sqlite") {
                // An encrypted file, for one: it looks like SQLite and no other client can read it.
                facts.dialect = format!("sqlite+{}", self.driver);
            }
            facts.database = self
                .arguments
                .first()
                .filter(|file| *file != ":memory:")
                .cloned();
            facts.library = self.text(&["sqlite_version"]);
            return facts.database.is_some().then_some(facts);
        }
        facts.host = self.text(&["host"]);
        facts.port = self.text(&["port"]).and_then(|port| port.parse().ok());
        facts.socket = self.text(&["unix_socket"]);
        facts.database = self.text(&["dbname", "database", "db"]);
        facts.user = self.text(&["user", "username"]);
        facts.password = self.text(&["password", "passwd"]).map(Secret::new);
        facts.options = self.options();
        match facts.dialect.as_str() {
            "postgresql" => {
                if let Some(file) = self.text(&["unix_sock"]) {
                    facts.host = file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
                }
            }
            "mysql" | "mariadb" => {
                if facts.socket.is_some() {
                    // The drivers say `localhost` anyway.
                    facts.host = None;
                    facts.port = None;
                }
            }
            _ => self.read_odbc_string(&mut facts),
        }
        Some(facts)
    }

    fn options(&self) -> Vec<(String, String)> {
        let mut options: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.parameters.iter().chain(&self.info) {
            if OPTIONS.contains(&name.as_str())
                && let Some(value) = scalar(value)
            {
                options.insert(name.clone(), value);
            }
        }
        if options.get("hostaddr") == self.text(&["host"]).as_ref() {
            // psycopg says the address even where that is how the host was named.
            options.remove("hostaddr");
        }
        if self.dialect == "postgresql" {
            // asyncpg and pg8000 have one switch where libpq has modes.
            for name in ["ssl", "ssl_context"] {
                match options.remove(name).as_deref() {
                    None | Some("false") => {}
                    Some("true") => {
                        options
                            .entry("sslmode".to_owned())
                            .or_insert_with(|| "require".to_owned());
                    }
                    Some(mode) => {
                        options
                            .entry("sslmode".to_owned())
                            .or_insert_with(|| mode.to_owned());
                    }
                }
            }
        }
        options.into_iter().collect()
    }

    /// `DRIVER={...};SERVER=host,1433;DATABASE=app;UID=...`: for display only.
    fn read_odbc_string(&self, facts: &mut ConnectionFacts) {
        let fields = self
            .arguments
            .iter()
            .flat_map(|argument| argument.split(';'));
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            let part = match name.trim().to_lowercase().as_str() {
                "server" => &mut facts.host,
                "database" => &mut facts.database,
                "uid" => &mut facts.user,
                _ => continue,
            };
            part.get_or_insert_with(|| value.trim().to_owned());
        }
    }
}

/// An empty value is what a driver says for "not set".
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
