//! One error, taken apart: who raised it, by which code, in which words, about which statement.

use super::start::{self, StartKind, patterns};
use super::trace::{Excerpt, Speaker, TraceFrame, is_state};
use rollback_core::dialect::Dialect;

/// More of a sentence is not repeated.
const SHOWN: usize = 300;

/// One error.
#[derive(Debug, Clone, Default)]
pub(super) struct Failed {
    /// The class of the exception as written, the outermost: `sqlalchemy.exc.OperationalError`.
    pub(super) class: String,
    /// The kind of server, where the driver tells.
    pub(super) dialect: Option<Dialect>,
    /// Whether a server or its driver said it.
    pub(super) from_server: bool,
    /// PostgreSQL's `SQLSTATE`.
    pub(super) state: Option<String>,
    /// The number of MariaDB's and MySQL's.
    pub(super) number: Option<u32>,
    /// The sentence.
    pub(super) message: String,
    /// What follows it: details, hints.
    pub(super) details: String,
    /// The statement.
    pub(super) sql: String,
    /// Where it was raised, innermost last.
    pub(super) frames: Vec<TraceFrame>,
    /// What a failure of starting it is.
    pub(super) kind: Option<StartKind>,
}

patterns! {
    CLASS = r"^([A-Za-z_][\w.]*)(?:: ?|$)";
    DRIVER = r"^\(([A-Za-z_][\w.]*)\) ?";
    ASYNCPG = r"^<class '([\w.]+)'>: ";
    TUPLE = r#"^\((\d{4}), ?b?(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')"#;
    CONNECTOR = r"^(\d{4})(?: \(\w{5}\))?: ";
    STATE = r"\bSQLSTATE[:= ]+\(?([0-9A-Z]{5})\b|'C': '([0-9A-Z]{5})'";
    SQL = r"(?s)\[SQL: (.*?)\](?:\n|$)";
    STATEMENT = r"(?m)^(?:LINE \d+|STATEMENT): +(.*)$";
}

/// The classes of psycopg, which asyncpg has with `Error` at the end.
const CLASSES: &[(&str, &str)] = &[
    ("ActiveSqlTransaction", "25001"),
    ("AdminShutdown", "57P01"),
    ("CannotCoerce", "42846"),
    ("CannotConnectNow", "57P03"),
    ("CheckViolation", "23514"),
    ("ConnectionDoesNotExist", "08003"),
    ("ConnectionFailure", "08006"),
    ("CrashShutdown", "57P02"),
    ("DatatypeMismatch", "42804"),
    ("DataCorrupted", "XX001"),
    ("DatetimeFieldOverflow", "22008"),
    ("DeadlockDetected", "40P01"),
    ("DependentObjectsStillExist", "2BP01"),
    ("DiskFull", "53100"),
    ("DuplicateColumn", "42701"),
    ("DuplicateFunction", "42723"),
    ("DuplicateObject", "42710"),
    ("DuplicatePreparedStatement", "42P05"),
    ("DuplicateSchema", "42P06"),
    ("DuplicateTable", "42P07"),
    ("ExclusionViolation", "23P01"),
    ("FeatureNotSupported", "0A000"),
    ("ForeignKeyViolation", "23503"),
    ("IdleInTransactionSessionTimeout", "25P03"),
    ("IdleSessionTimeout", "57P05"),
    ("IndexCorrupted", "XX002"),
    ("InFailedSqlTransaction", "25P02"),
    ("InsufficientPrivilege", "42501"),
    ("InvalidAuthorizationSpecification", "28000"),
    ("InvalidCatalogName", "3D000"),
    ("InvalidDatetimeFormat", "22007"),
    ("InvalidForeignKey", "42830"),
    ("InvalidPassword", "28P01"),
    ("InvalidSchemaName", "3F000"),
    ("InvalidSqlStatementName", "26000"),
    ("InvalidTextRepresentation", "22P02"),
    ("LockNotAvailable", "55P03"),
    ("NotNullViolation", "23502"),
    ("NumericValueOutOfRange", "22003"),
    ("ObjectInUse", "55006"),
    ("OutOfMemory", "53200"),
    ("PostgresSyntax", "42601"),
    ("QueryCanceled", "57014"),
    ("ReadOnlySqlTransaction", "25006"),
    ("RestrictViolation", "23001"),
    ("SerializationFailure", "40001"),
    ("StringDataRightTruncation", "22001"),
    ("SyntaxError", "42601"),
    ("TooManyConnections", "53300"),
    ("UndefinedColumn", "42703"),
    ("UndefinedFunction", "42883"),
    ("UndefinedObject", "42704"),
    ("UndefinedTable", "42P01"),
    ("UniqueViolation", "23505"),
    ("UnsafeNewEnumValueUsage", "55P04"),
];

/// The names that every driver has, and SQLAlchemy after them.
const DBAPI: &[&str] = &[
    "DBAPIError",
    "DataError",
    "DatabaseError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
];

impl Failed {
    pub(super) fn read(told: Excerpt) -> Self {
        let Excerpt {
            speaker,
            lines,
            code,
            frames,
            warning,
            ..
        } = told;
        let all = lines.join("\n");
        let sql = SQL
            .captures(&all)
            .map(|found| found[1].to_owned())
            .or_else(|| STATEMENT.captures(&all).map(|found| found[1].to_owned()))
            .unwrap_or_default();
        let mut failed = Self {
            sql: sql.split_whitespace().collect::<Vec<_>>().join(" "),
            frames,
            ..Self::default()
        };
        match speaker {
            Speaker::Python => failed.python(&all, warning.as_deref().unwrap_or_default()),
            Speaker::Tool => {
                failed.set_words(&all);
                failed.kind = Some(start::read("", &format!("FAILED: {}", failed.message)).kind);
            }
            Speaker::PostgreSql => {
                failed.server(Dialect::Postgres);
                failed.set_words(&all);
                failed.state = code;
            }
            Speaker::MariaDb => {
                failed.server(Dialect::MySql);
                failed.set_words(&all);
                failed.number = code.and_then(|code| code.parse().ok());
            }
            Speaker::Sqlite => {
                failed.server(Dialect::Sqlite);
                failed.set_words(&all);
            }
        }
        failed
    }

    fn server(&mut self, dialect: Dialect) {
        self.dialect = Some(dialect);
        self.from_server = true;
    }

    fn set_words(&mut self, text: &str) {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        first.trim().clone_into(&mut self.message);
        rest.clone_into(&mut self.details);
    }

    fn python(&mut self, all: &str, warning: &str) {
        let mut rest = all;
        if let Some(found) = CLASS.captures(rest) {
            found[1].clone_into(&mut self.class);
            rest = &rest[found[0].len()..];
        }
        let mut driver = self.class.clone();
        if let Some(found) = DRIVER.captures(rest) {
            found[1].clone_into(&mut driver);
            rest = &rest[found[0].len()..];
        }
        if let Some(found) = ASYNCPG.captures(rest) {
            found[1].clone_into(&mut driver);
            rest = &rest[found[0].len()..];
        }
        self.dialect = dialect_of(&driver);
        let short = driver.rsplit('.').next().unwrap_or_default();
        self.from_server = self.dialect.is_some() || DBAPI.contains(&short);
        if self.dialect == Some(Dialect::Postgres) {
            self.state = state_of(&driver, short);
        }
        if self.state.is_none() && self.from_server {
            self.state = STATE
                .captures(all)
                .and_then(|found| found.get(1).or(found.get(2)))
                .map(|found| found.as_str().to_owned())
                .filter(|state| is_state(state));
        }
        self.set_words(rest);
        if self.from_server && self.dialect != Some(Dialect::Postgres) {
            self.mysql(rest);
        }
        if !self.from_server {
            self.kind = Some(start::read("", &format!("{warning}\n{}", self.as_printed(all))).kind);
        }
    }

    /// A number, which only these drivers give.
    fn mysql(&mut self, rest: &str) {
        let (number, sentence) = if let Some(found) = TUPLE.captures(rest) {
            let sentence = found
                .get(2)
                .or(found.get(3))
                .map_or("", |text| text.as_str());
            (found[1].to_owned(), sentence.replace("\\'", "'"))
        } else if let Some(found) = CONNECTOR.captures(rest) {
            let sentence = rest[found[0].len()..].lines().next().unwrap_or_default();
            (found[1].to_owned(), sentence.to_owned())
        } else {
            return;
        };
        self.number = number.parse().ok();
        self.message = sentence;
        self.dialect = Some(Dialect::MySql);
    }

    /// The error as Python prints it: what was raised where tells one missing key from another.
    fn as_printed(&self, all: &str) -> String {
        let frames: Vec<String> = self
            .frames
            .iter()
            .map(|frame| {
                format!(
                    "  File \"{}\", line {}, in {}\n    {}\n",
                    frame.file, frame.line, frame.function, frame.source
                )
            })
            .collect();
        format!(
            "Traceback (most recent call last):\n{}{all}\n",
            frames.concat()
        )
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.dialect == Some(Dialect::Sqlite)
    }

    /// The error in one line, class first.
    pub(super) fn line(&self) -> String {
        let line = if self.class.is_empty() {
            self.message.clone()
        } else if self.message.is_empty() {
            self.class.clone()
        } else {
            format!("{}: {}", self.class, self.message)
        };
        cut(&line)
    }

    /// Its sentence, in one line.
    pub(super) fn sentence(&self) -> String {
        cut(self.message.trim_end_matches('.'))
    }

    /// The frame of the migration itself: the innermost that is in a function of one.
    pub(super) fn migration(&self) -> Option<&TraceFrame> {
        self.frames
            .iter()
            .rev()
            .find(|frame| matches!(frame.function.as_str(), "downgrade" | "upgrade"))
            .filter(|frame| !frame.file.contains("/alembic/"))
    }
}

/// The code that a class stands for. A class of a code that is not in the table is a code anyway:
/// the words beside it are then not read.
fn state_of(driver: &str, short: &str) -> Option<String> {
    let name = short.strip_suffix("Error").unwrap_or(short);
    let known = CLASSES
        .iter()
        .find(|(class, _)| class.eq_ignore_ascii_case(name) || class.eq_ignore_ascii_case(short));
    if let Some((_, state)) = known {
        return Some((*state).to_owned());
    }
    let of_a_code = driver.contains(".errors.") || driver.contains("asyncpg.exceptions.");
    (of_a_code && !DBAPI.contains(&short)).then(|| short.to_owned())
}

/// The beginning of a line that may have no end.
pub(super) fn cut(line: &str) -> String {
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    line.chars().take(SHOWN - 1).chain(['…']).collect()
}

fn dialect_of(class: &str) -> Option<Dialect> {
    let has = |part: &str| class.split('.').any(|word| word == part);
    if ["psycopg2", "psycopg", "asyncpg", "pg8000"]
        .into_iter()
        .any(has)
    {
        Some(Dialect::Postgres)
    } else if [
        "pymysql", "MySQLdb", "mysql", "mariadb", "aiomysql", "asyncmy",
    ]
    .into_iter()
    .any(has)
    {
        Some(Dialect::MySql)
    } else if ["sqlite3", "aiosqlite", "pysqlite2"].into_iter().any(has) {
        Some(Dialect::Sqlite)
    } else {
        None
    }
}
