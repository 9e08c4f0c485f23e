//! What an engine that did not start complains about: one sentence, its kind, and what to do.

use std::sync::LazyLock;

use regex::Regex;

/// The kinds of failure that have advice of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartKind {
    /// The database, or an argument, names a revision that no version file has.
    CannotLocate(String),
    /// Revisions that descend from themselves.
    Cycle,
    /// A version file names a parent that no file has.
    MissingParent(String),
    /// A Python file that cannot be parsed.
    Syntax {
        /// The file.
        file: String,
        /// The line in it.
        line: String,
    },
    /// A module that cannot be imported.
    Import(String),
    /// `env.py` reads an `-x` argument that was not given.
    XArgument(String),
    /// The project gives no database URL, or one that cannot be used.
    Url,
    /// A variable of the environment that the project needs.
    EnvironmentVariable(String),
    /// There is no configuration, or it lacks what Alembic needs.
    NoConfiguration,
    /// The configuration file cannot be parsed.
    BrokenConfiguration,
    /// The server refused the login.
    Login,
    /// The server cannot be reached.
    Unreachable,
    /// The file of an SQLite database cannot be opened.
    NoDatabaseFile,
    /// The server has no such database.
    NoDatabase,
    /// Flask found no application, or the application has no such command.
    NoFlaskCommand,
    /// The engine does not take one of our options.
    NoSuchOption(String),
    /// Nothing was printed at all.
    Silent,
    /// Anything else.
    Other,
}

/// Whether the engine failed because it waited for a lock as long as it may: what the drivers call
/// `SQLSTATE` 55P03 and error 1205, not the servers' sentences, which are translated.
pub fn is_lock_timeout(stdout: &str, stderr: &str) -> bool {
    static MARK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\bLockNotAvailable(Error)?\b|\b55P03\b|\(1205, |\b1205 \(HY000\)").ok()
    });
    [stdout, stderr]
        .iter()
        .any(|text| MARK.as_ref().is_some_and(|mark| mark.is_match(text)))
}

/// Whether the engine failed because what answers it takes no options at the start of a connection.
/// `PgBouncer`'s words, which are not translated; later releases name the option after a colon.
pub fn refuses_options(stdout: &str, stderr: &str) -> bool {
    [stdout, stderr].iter().any(|text| {
        text.contains("unsupported startup parameter: options")
            || text.contains("unsupported startup parameter in options:")
    })
}

/// What a failed engine said, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its most telling line; empty where it was silent.
    pub line: String,
    /// What kind of failure that is.
    pub kind: StartKind,
}

pub(super) fn pattern(text: &str) -> Regex {
    #[expect(
        clippy::expect_used,
        reason = "the patterns are constants, each used by a test"
    )]
    Regex::new(text).expect("a valid pattern")
}

/// Patterns, each compiled once.
macro_rules! patterns {
    ($($name:ident = $text:expr;)*) => {
        $(static $name: std::sync::LazyLock<regex::Regex> =
            std::sync::LazyLock::new(|| $crate::start::pattern($text));)*
    };
}
pub(super) use patterns;

patterns! {
    FAILED = r"(?m)^\s*FAILED: (.*(?:\n[ \t]+\S.*)*)";
    LOGGED_ERROR = r"(?m)^.*\bERROR\b.*?\] (?:Error: )?(.+)$";
    BARE = r"^[\w.]+(?:: *(?:\(\))?)?$";
    CLICK_ERROR = r"(?m)^Error: (.+)$";
    USAGE_ERROR = r"(?m)^\S+(?: \S+)*: error: (.+)$";
    CANNOT_LOCATE = r"Can't locate revision identified by '([^']*)'";
    CYCLE = r"(?:Cycle is|Dependency cycle is|Self-loop is|Dependency self-loop is) detected|(?:Cycle|Loop)Detected";
    MISSING_PARENT = r"Revision (\S+) referenced from .* is not present";
    DUPLICATE = r"Revision (\S+) is present more than once";
    ERROR_PLACE = r#"(?m)^  File "([^"]+)", line (\d+)(?:, in .*)?$"#;
    SYNTAX = r"^(?:SyntaxError|IndentationError|TabError):";
    IMPORT = r"^(?:ModuleNotFoundError|ImportError): (?:No module named '([^']+)')?";
    KEY_ERROR = r"^KeyError: '([^']+)'";
    NO_CONFIGURATION = r"No config file|No 'script_location' key|Path doesn't exist|No such file or directory: '.*alembic\.ini'";
    BROKEN_CONFIGURATION = r"^configparser\.|^ValueError: invalid interpolation syntax|TOMLDecodeError|new scripts folder|version_path_separator|path_separator";
    LOGIN = r"(?i)password authentication failed|access denied for user|no password supplied|InvalidPasswordError|InvalidAuthorizationSpecification|no pg_hba\.conf entry|role \S+ does not exist|Login failed for user";
    NO_DATABASE = r#"(?i)database "[^"]*" does not exist|unknown database|InvalidCatalogName"#;
    UNREACHABLE = r"(?i)connection refused|could not connect to server|can't connect to (?:local )?(?:mysql )?server|could not translate host name|name or service not known|temporary failure in name resolution|connect call failed|timeout expired|connection timed out|is the server running|server closed the connection|lost connection to";
    URL = r"Could not parse (?:SQLAlchemy|rfc1738) URL|Expected string or URL object|'_instantiate_plugins'|Can't load plugin: sqlalchemy\.dialects";
    NO_DATABASE_FILE = r"unable to open database file";
    NO_FLASK_COMMAND = r"Could not locate a Flask application|No such command '|Failed to find Flask application|Could not import '";
    NO_SUCH_OPTION = r"No such option:? '?(-[-\w]+)|unrecognized arguments: (\S+)";
}

/// Reads what a failed engine printed.
pub fn read(stdout: &str, stderr: &str) -> Complaint {
    let traceback = traceback_line(stderr).or_else(|| traceback_line(stdout));
    let said = [&*FAILED, &*CLICK_ERROR, &*USAGE_ERROR, &*LOGGED_ERROR]
        .iter()
        .find_map(|pattern| {
            [stderr, stdout]
                .iter()
                .find_map(|text| last_group(pattern, text))
        });
    let line = traceback
        .map(str::to_owned)
        .or(said)
        .or_else(|| last_line(stderr).map(str::to_owned))
        .or_else(|| last_line(stdout).map(str::to_owned))
        .unwrap_or_default();
    let kind = kind(&line, stdout, stderr);
    // Alembic says it in a warning; the traceback ends with a bare key.
    let line = match MISSING_PARENT.find(stderr) {
        Some(warning) if matches!(kind, StartKind::MissingParent(_)) => warning.as_str().to_owned(),
        _ => line,
    };
    Complaint { line, kind }
}

/// The revision id that two version files have: Alembic only warns about it.
pub fn duplicate(stderr: &str) -> Option<String> {
    DUPLICATE.captures(stderr).map(|found| found[1].to_owned())
}

/// The sentence with which the last traceback ends, without the lines that explain it. Where a
/// project raises a bare error over another one, that other one says more.
pub fn traceback_line(text: &str) -> Option<&str> {
    let ends: Vec<&str> = super::trace::ends_of_tracebacks(text).collect();
    ends.iter()
        .find(|line| !BARE.is_match(line))
        .or(ends.first())
        .copied()
}

fn last_line(text: &str) -> Option<&str> {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
}

fn last_group(pattern: &Regex, text: &str) -> Option<String> {
    let found = pattern.captures_iter(text).last()?;
    Some(found[1].split_whitespace().collect::<Vec<_>>().join(" "))
}

fn kind(line: &str, stdout: &str, stderr: &str) -> StartKind {
    // Alembic breaks its messages to the width of the terminal.
    let all = format!("{stderr}\n{stdout}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let group = |found: regex::Captures<'_>| {
        found
            .iter()
            .skip(1)
            .flatten()
            .next()
            .map(|text| text.as_str().to_owned())
            .unwrap_or_default()
    };
    if let Some(found) = CANNOT_LOCATE.captures(&all) {
        StartKind::CannotLocate(group(found))
    } else if let Some(found) = MISSING_PARENT
        .captures(&all)
        .filter(|_| line.starts_with("KeyError"))
    {
        StartKind::MissingParent(group(found))
    } else if CYCLE.is_match(line) {
        StartKind::Cycle
    } else if SYNTAX.is_match(line)
        && let Some(place) = ERROR_PLACE.captures_iter(stderr).last()
        // A source with a zero byte is refused before it has a line: the last frame is Python's own.
        && !place[1].starts_with('<')
    {
        StartKind::Syntax {
            file: place[1].to_owned(),
            line: place[2].to_owned(),
        }
    } else if let Some(found) = IMPORT.captures(line) {
        StartKind::Import(group(found))
    } else if let Some(found) = KEY_ERROR.captures(line) {
        // Only the lookup in `os.environ` fails inside `os`.
        if stderr.contains("frozen os>") || stderr.contains("/os.py\", line") {
            StartKind::EnvironmentVariable(group(found))
        } else if stderr.contains("get_x_argument") {
            StartKind::XArgument(group(found))
        } else {
            StartKind::Other
        }
    } else if URL.is_match(line) {
        StartKind::Url
    } else if BROKEN_CONFIGURATION.is_match(line) && !line.contains("Path doesn't exist") {
        StartKind::BrokenConfiguration
    } else if NO_CONFIGURATION.is_match(line) {
        StartKind::NoConfiguration
    } else if LOGIN.is_match(line) {
        StartKind::Login
    } else if NO_DATABASE.is_match(line) {
        StartKind::NoDatabase
    } else if NO_DATABASE_FILE.is_match(line) {
        StartKind::NoDatabaseFile
    } else if UNREACHABLE.is_match(&all) && line.contains("Error") {
        StartKind::Unreachable
    } else if let Some(found) = NO_SUCH_OPTION.captures(line) {
        StartKind::NoSuchOption(group(found))
    } else if NO_FLASK_COMMAND.is_match(&all) {
        StartKind::NoFlaskCommand
    } else if line.is_empty() {
        StartKind::Silent
    } else {
        StartKind::Other
    }
}

impl StartKind {
    /// What to do about it; `command` is the command line that failed.
    pub fn hints(&self, command: &str) -> Vec<String> {
        let advice = match self {
            Self::CannotLocate(id) => format!(
                "no version file has the revision {id}: check out the code that belongs to this \
                 database, then run `{command}` again"
            ),
            Self::Cycle => {
                "correct the `down_revision` or `depends_on` of one of these revisions".to_owned()
            }
            Self::MissingParent(id) => format!(
                "restore the version file of {id}, or correct the `down_revision` that names it"
            ),
            Self::Syntax { file, line } => {
                format!("correct the syntax in {file}, line {line}")
            }
            Self::Import(module) if module.is_empty() => format!(
                "the engine's Python lacks something that the project imports; `{command}` shows \
                 where"
            ),
            Self::Import(module) => format!(
                "the engine's Python has no module `{module}`: install it there, or name the right \
                 engine with --engine-command"
            ),
            Self::EnvironmentVariable(name) => {
                format!("the project reads the variable {name} from the environment: set it")
            }
            Self::XArgument(name) => {
                format!("the project's env.py wants an argument: add `-x {name}=VALUE`")
            }
            Self::Url => format!(
                "set the database URL where the project reads it (`sqlalchemy.url` in alembic.ini, \
                 or its env.py) until `{command}` works"
            ),
            Self::NoConfiguration => {
                "run rollback in the project's directory, or name it with -C DIR, or name the \
                 configuration with `alembic_config` in rollback.toml"
                    .to_owned()
            }
            Self::BrokenConfiguration => {
                format!("correct the configuration file until `{command}` works")
            }
            Self::Login => {
                format!("correct user or password where the project sets them; try `{command}`")
            }
            Self::Unreachable => {
                format!("start the server, or correct host and port; try `{command}`")
            }
            Self::NoDatabaseFile => {
                "create the folder of the database file, or correct its path where the project sets \
                 it"
                    .to_owned()
            }
            Self::NoDatabase => {
                format!("create the database, or correct its name; try `{command}`")
            }
            Self::NoFlaskCommand => {
                "set FLASK_APP to the application, such as `FLASK_APP=app`, and see that it sets up \
                 Flask-Migrate; try `flask db --help`"
                    .to_owned()
            }
            Self::NoSuchOption(option) => format!(
                "this version of the engine does not take {option} (Flask-Migrate takes -x for \
                 every command from 4.0 on)"
            ),
            Self::Silent => format!(
                "it printed nothing; the project's logging configuration may hide the reason. Try \
                 `{command}`"
            ),
            Self::Other => format!("see the engine's own words with `{command}`"),
        };
        vec![advice]
    }
}

#[cfg(test)]
mod tests;
