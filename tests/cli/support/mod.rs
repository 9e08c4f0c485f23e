//! The one way in which tests run the program: a copy of a fixture in a folder that goes away with the test, a real
//! engine, an environment that holds nothing of the machine, and the whole answer as one text.

mod filter;
mod preloaded;
mod road;
mod run;
mod suggested;
pub mod workflow;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use tempfile::TempDir;

pub use road::Road;
pub use run::{Call, Run};
pub use suggested::{refusal, suggested};
pub use workflow::workflows;

/// What a test starts may take so long to end once it is told to.
const PATIENCE: Duration = Duration::from_secs(30);

/// A copy of a fixture, and the engine that it is run with.
pub struct Project {
    temporary: TempDir,
    root: PathBuf,
    python: PathBuf,
    environment: HashMap<OsString, OsString>,
    /// The name of the test, by which it can be run again.
    test: Option<String>,
    /// Whether the test says which road it takes, and then takes both.
    takes_both_roads: bool,
}

impl Project {
    /// `fixtures/alembic/<case>`, with the current Alembic.
    pub fn alembic(case: &str) -> Self {
        Self::copy_of(&format!("alembic/{case}"), "project", "alembic-current")
    }

    /// As `alembic`, with a version of Alembic that `fixtures/python` pins.
    pub fn alembic_of(python: &str, case: &str) -> Self {
        Self::copy_of(&format!("alembic/{case}"), "project", python)
    }

    /// `fixtures/flask/app`.
    pub fn flask() -> Self {
        Self::copy_of("flask/app", "project", "flask").env("FLASK_APP", "app.py")
    }

    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self::empty_of("alembic-current")
    }

    /// As `empty`, with an environment that `fixtures/python` pins.
    pub fn empty_of(python: &str) -> Self {
        Self::new("project", python)
    }

    /// Any fixture, in a folder of any name.
    pub fn copy_of(fixture: &str, folder: impl AsRef<OsStr>, python: &str) -> Self {
        let project = Self::new(folder, python);
        copy(&source().join("fixtures").join(fixture), &project.root);
        project
    }

    fn new(folder: impl AsRef<OsStr>, python: &str) -> Self {
        let temporary = TempDir::with_prefix("rollback-").expect("a temporary folder");
        // macOS reaches its temporary folders through a link.
        let top = temporary
            .path()
            .canonicalize()
            .expect("the temporary folder");
        let root = top.join(folder.as_ref());
        fs::create_dir(&root).expect("a folder for the project");
        let python = source().join(".cache/python").join(python);
        assert!(
            python.join(".stamp").is_file(),
            "{} is missing: `make test` installs it.",
            python.display()
        );
        let engine = [
            bin()
                .parent()
                .expect("a folder of the binary")
                .to_path_buf(),
            python.join("bin"),
        ];
        let system = ["/usr/bin", "/bin"].map(PathBuf::from);
        let path = engine.into_iter().chain(crate::folders()).chain(system);
        let path = std::env::join_paths(path).expect("no colon in the paths");
        let preloaded = preloaded::folder(&python);
        let project = Self {
            temporary,
            root,
            python,
            environment: HashMap::new(),
            test: std::thread::current().name().map(str::to_owned),
            takes_both_roads: false,
        }
        .env("ROLLBACK_PROCESS_PER_STEP", Road::here().setting())
        .env("PATH", path)
        .env("HOME", top)
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .env("ROLLBACK_ALLOW", crate::CONSENT)
        // A backup before each run would be tested by every test; those about backups take it away.
        .env("ROLLBACK_BACKUP", "never")
        // What is left in the project afterwards was then left there by the program.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", preloaded::at_start());
        match preloaded {
            Some(folder) => project.env("TEST_PRELOADED", folder),
            None => project,
        }
    }

    /// Takes a road whichever the tests are run on.
    pub fn on(mut self, road: Road) -> Self {
        self.takes_both_roads = true;
        self.env("ROLLBACK_PROCESS_PER_STEP", road.setting())
    }

    /// Sets a variable for the program and the engine.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Upgrades the database by the engine's own command: `heads`, or any revision. The same project at the same
    /// revision is upgraded once and copied afterwards.
    pub fn at(self, target: &str) -> Self {
        static UPGRADED: LazyLock<Mutex<HashMap<u64, Vec<u8>>>> = LazyLock::new(Mutex::default);
        let key = self.state(target);
        let known = UPGRADED.lock().expect("the cache").get(&key).cloned();
        if let Some(database) = known {
            fs::write(self.database(), database).expect("a database");
            return self;
        }
        let words = if self.root.join("app.py").is_file() {
            "flask db upgrade"
        } else {
            "alembic upgrade"
        };
        self.engine(&format!("{words} {target}"));
        if let Ok(database) = fs::read(self.database()) {
            UPGRADED.lock().expect("the cache").insert(key, database);
        }
        self
    }

    /// What an upgrade to a revision depends on, as one number.
    fn state(&self, target: &str) -> u64 {
        let mut state = DefaultHasher::new();
        for file in self.files() {
            fs::read(self.root.join(&file))
                .expect("a file")
                .hash(&mut state);
            file.hash(&mut state);
        }
        let mut environment: Vec<_> = self.environment.iter().collect();
        environment.retain(|(name, _)| *name != "HOME" && *name != "ROLLBACK_PROCESS_PER_STEP");
        environment.sort();
        (environment, &self.python, target).hash(&mut state);
        state.finish()
    }

    /// Runs a command of the engine, which has to succeed.
    pub fn engine(&self, line: &str) -> String {
        let words = shlex::split(line).expect("a command line");
        let output = Command::new(self.python.join("bin").join(&words[0]))
            .args(&words[1..])
            .current_dir(&self.root)
            .env_clear()
            .envs(&self.environment)
            .output()
            .expect("the engine");
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A line of a shell in the project's folder, with what the program has around it.
    pub fn shell(&self, line: &str) -> Command {
        if ["downgrade-safe", "resume", "rollback guard"]
            .into_iter()
            .any(|command| line.contains(command))
        {
            road::note(self.test.as_deref());
        }
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .current_dir(&self.root)
            .env_clear()
            .envs(&self.environment);
        command
    }

    /// Changes the database by hand, or asks it: the rows of the statement, a line each.
    pub fn sql(&self, statement: &str) -> Vec<String> {
        let database = rusqlite::Connection::open(self.database()).expect("a database");
        let mut statement = database.prepare(statement).expect("a statement");
        let columns = statement.column_count();
        let line = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| Ok(text(&row.get::<_, Value>(column)?)));
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
        };
        let rows = statement.query_map((), line).expect("an answer");
        rows.collect::<Result<_, _>>().expect("its rows")
    }

    /// The rows of the version table.
    pub fn rows(&self) -> Vec<String> {
        self.sql("SELECT version_num FROM alembic_version ORDER BY version_num")
    }

    /// Writes a file of the project.
    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    /// Replaces text in a file of the project.
    pub fn edit(self, path: &str, old: &str, new: &str) -> Self {
        let text = fs::read_to_string(self.root.join(path)).expect("a file");
        assert!(text.contains(old), "{path} does not contain {old}");
        self.file(path, text.replace(old, new))
    }

    /// Lets a file of the project be run.
    pub fn make_executable(&self, path: &str) {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.root.join(path), mode).expect("a file of ours");
    }

    /// The SQLite file of most fixtures.
    pub fn database(&self) -> PathBuf {
        self.root.join("app.db")
    }

    /// The database as it is, byte for byte.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.database()).expect("the database")
    }

    /// The interpreter of the engine.
    pub fn python(&self) -> PathBuf {
        self.python.join("bin/python")
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The processes that were started for the project, whoever started them and wherever they went: their numbers and
    /// what they are called. None where the system does not show them.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let home = &self.environment[OsStr::new("HOME")];
        let mark = [b"HOME=", home.as_bytes()].concat();
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(id) = process
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // Empty of those that are dead and not yet buried.
            let variables = fs::read(process.path().join("environ")).unwrap_or_default();
            if variables.split(|byte| *byte == 0).any(|one| one == mark) {
                let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
                found.push((id, String::from_utf8_lossy(&words).replace('\0', " ")));
            }
        }
        found
    }

    /// Whether what it is run with takes steps itself, as Alembic does.
    fn has_an_engine(&self) -> bool {
        self.files().iter().any(|file| file.ends_with("env.py"))
    }

    /// The files of the project, relative to it.
    pub fn files(&self) -> Vec<PathBuf> {
        files(&self.root)
    }

    /// A call of the program, its command line written as in a shell.
    pub fn rollback(&self, line: &str) -> Call<'_> {
        Call::new(self, shlex::split(line).expect("a command line"))
    }

    /// Calls the program and waits for its end.
    pub fn run(&self, line: &str) -> Run {
        self.rollback(line).run()
    }
}

impl Drop for Project {
    /// Turns a test red that leaves a process behind: of the program, of the engine, or of what they started.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{:?}: left behind are {left:#?}",
                self.test
            );
            sleep(Duration::from_millis(20));
        }
    }
}

/// The clone that is tested.
pub fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program.
pub fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rollback"))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("{bytes:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a fixture") {
        let entry = entry.expect("a file of the fixture");
        let name = entry.file_name();
        if name == "__pycache__" || name == "app.db" {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).expect("a copy of a file");
        }
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}
