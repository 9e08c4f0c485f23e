//! One database of its own for each test.

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rollback_core::connection::ConnectionFacts;
use rollback_database::{self, Database};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, OpenFlags};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::Kind;
use super::server::{PASSWORD, Server, USER};

/// An empty database. It is dropped with this value, whoever is still connected.
pub(crate) struct TestDatabase<'server> {
    place: Place<'server>,
    name: String,
}

enum Place<'server> {
    Server(&'server Server),
    File(tempfile::TempDir),
}

impl TestDatabase<'static> {
    /// On the shared server of that kind, or in a temporary directory.
    pub(crate) fn create(kind: Kind) -> Self {
        if kind == Kind::Sqlite {
            let directory = tempfile::tempdir().unwrap();
            let name = directory.path().join("app.db").display().to_string();
            let database = Self {
                place: Place::File(directory),
                name,
            };
            std::fs::write(database.path(), "").unwrap();
            return database;
        }
        Self::on(Server::shared(kind))
    }
}

impl<'server> TestDatabase<'server> {
    pub(super) fn on(server: &'server Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::named(server, format!("test_{number}"))
    }

    pub(super) fn named(server: &'server Server, name: String) -> Self {
        server.execute(&format!("CREATE DATABASE {name}"));
        Self {
            place: Place::Server(server),
            name,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match &self.place {
            Place::Server(server) => server.kind(),
            Place::File(_) => Kind::Sqlite,
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        match &self.place {
            Place::Server(server) => Some(server),
            Place::File(_) => None,
        }
    }

    /// The name on the server, or the path of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file, of SQLite only.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(directory) => directory.path().join("app.db"),
            Place::Server(server) => panic!("a {:?} database is no file", server.kind()),
        }
    }

    /// For SQLAlchemy with psycopg2, pymysql or pysqlite, over TCP, password included. In an ini file
    /// each `%` of it has to be doubled.
    pub(crate) fn url(&self) -> String {
        let name = &self.name;
        match &self.place {
            Place::Server(server) => {
                let scheme = scheme(server.kind());
                format!(
                    "{scheme}://{USER}:{}@127.0.0.1:{}/{name}",
                    password(),
                    server.port()
                )
            }
            Place::File(_) => format!("sqlite:///{name}"),
        }
    }

    /// The same database through the server's socket; of SQLite there is but one way.
    pub(crate) fn socket_url(&self) -> String {
        let Place::Server(server) = &self.place else {
            return self.url();
        };
        let parameter = if server.kind() == Kind::PostgreSql {
            "host"
        } else {
            "unix_socket"
        };
        // libpq derives the name of the socket from the port.
        let port = if server.kind() == Kind::PostgreSql {
            format!(":{}", server.port())
        } else {
            String::new()
        };
        format!(
            "{}://{USER}:{}@{port}/{}?{parameter}={}",
            scheme(server.kind()),
            password(),
            self.name,
            server.socket()
        )
    }

    pub(crate) fn facts(&self) -> ConnectionFacts {
        match &self.place {
            Place::Server(server) => server.facts(&self.name),
            Place::File(_) => ConnectionFacts {
                dialect: "sqlite".to_owned(),
                database: Some(self.name.clone()),
                ..ConnectionFacts::default()
            },
        }
    }

    /// Our own connection, as the program opens it.
    pub(crate) fn open(&self) -> Box<dyn Database> {
        rollback_database::open(&self.facts(), &database_environment())
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Runs one or more statements over a connection of the test's own.
    pub(crate) fn execute(&self, sql: &str) {
        query(self.kind(), &self.facts(), sql);
    }

    /// The same, where the server may refuse: its words.
    pub(crate) fn try_execute(&self, sql: &str) -> Result<(), String> {
        try_query(self.kind(), &self.facts(), sql)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// The rows of a query, each value as the server writes it.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        query(self.kind(), &self.facts(), sql)
    }

    /// The only value of a query that has one.
    pub(crate) fn query_one(&self, sql: &str) -> String {
        let rows = self.query(sql);
        match rows.as_slice() {
            [row] if row.len() == 1 => row[0].clone().unwrap_or_else(|| panic!("null: {sql}")),
            _ => panic!("not one value: {sql}\n{rows:?}"),
        }
    }

    fn log(&self) -> String {
        match &self.place {
            Place::Server(server) => server.log(),
            Place::File(_) => String::new(),
        }
    }
}

impl Drop for TestDatabase<'_> {
    fn drop(&mut self) {
        if let Place::Server(server) = &self.place {
            let force = if server.kind() == Kind::PostgreSql {
                "WITH (FORCE)"
            } else {
                ""
            };
            // A stopped server takes its databases along.
            let _ = try_query(
                server.kind(),
                &server.facts(if force.is_empty() {
                    "mysql"
                } else {
                    "postgres"
                }),
                &format!("DROP DATABASE {} {force}", self.name),
            );
        }
    }
}

/// No variable of the machine decides where a test connects to.
pub(crate) fn database_environment() -> rollback_system::process::Environment {
    rollback_system::process::Environment::new()
}

fn scheme(kind: Kind) -> &'static str {
    if kind == Kind::PostgreSql {
        "postgresql+psycopg2"
    } else {
        "mysql+pymysql"
    }
}

fn password() -> String {
    PASSWORD
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect::<Vec<_>>()
        .concat()
}

pub(super) fn query(kind: Kind, facts: &ConnectionFacts, sql: &str) -> Vec<Vec<Option<String>>> {
    try_query(kind, facts, sql).unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
}

pub(super) fn try_query(
    kind: Kind,
    facts: &ConnectionFacts,
    sql: &str,
) -> Result<Vec<Vec<Option<String>>>, Box<dyn Error>> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let password = facts
        .password
        .as_ref()
        .map(rollback_core::secret::Secret::reveal)
        .unwrap_or_default();
    match kind {
        Kind::PostgreSql => rows(
            &PgConnectOptions::new_without_pgpass()
                .host(&text(&facts.host))
                .port(facts.port.unwrap_or(5432))
                .username(&text(&facts.user))
                .password(password)
                .database(&text(&facts.database))
                .ssl_mode(PgSslMode::Disable),
            sql,
        ),
        Kind::MariaDb | Kind::MySql => rows(
            &MySqlConnectOptions::new()
                .host(&text(&facts.host))
                .port(facts.port.unwrap_or(3306))
                .username(&text(&facts.user))
                .password(password)
                .database(&text(&facts.database)),
            sql,
        ),
        Kind::Sqlite => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
            let file = rusqlite::Connection::open_with_flags(text(&facts.database), flags)?;
            Ok(rows_of_sqlite(&file, sql)?)
        }
    }
}

fn rows_of_sqlite(
    file: &rusqlite::Connection,
    sql: &str,
) -> rusqlite::Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    let mut statements = Batch::new(file, sql);
    while let Some(mut statement) = statements.next()? {
        let width = statement.column_count();
        let mut answer = statement.raw_query();
        while let Some(row) = answer.next()? {
            let text = |at| {
                Ok(match row.get_ref(at)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(number) => Some(number.to_string()),
                    ValueRef::Real(number) => Some(format!("{number:?}")),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                        Some(String::from_utf8_lossy(bytes).into_owned())
                    }
                })
            };
            rows.push((0..width).map(text).collect::<rusqlite::Result<_>>()?);
        }
    }
    Ok(rows)
}

fn rows<O, C>(options: &O, sql: &str) -> Result<Vec<Vec<Option<String>>>, Box<dyn Error>>
where
    O: ConnectOptions<Connection = C>,
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    usize: sqlx::ColumnIndex<<C::Database as sqlx::Database>::Row>,
    for<'r> String: sqlx::Decode<'r, C::Database>,
{
    use sqlx::Row as _;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await?;
        let rows = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut connection)
            .await?;
        let values = rows
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|index| row.try_get_unchecked::<Option<String>, _>(index))
                    .collect::<Result<_, sqlx::Error>>()
            })
            .collect::<Result<_, _>>()?;
        connection.close().await?;
        Ok(values)
    })
}
