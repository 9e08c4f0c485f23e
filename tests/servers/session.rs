//! A session of somebody else on the database, which stays open from one statement to the next.

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::support::{Kind, PASSWORD, TestDatabase, USER};

enum Connection {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    Sqlite(rusqlite::Connection),
}

/// Ends with its value: what it locked is free again, soon.
pub(crate) struct Session {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
    pid: u64,
}

impl Session {
    pub(crate) fn of(database: &TestDatabase<'_>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let facts = database.facts();
        let server = || (facts.host.clone().unwrap(), facts.port.unwrap());
        let connection = match database.kind() {
            Kind::PostgreSql => {
                let (host, port) = server();
                let options = PgConnectOptions::new_without_pgpass()
                    .host(&host)
                    .port(port)
                    .username(USER)
                    .password(PASSWORD)
                    .database(database.name())
                    .application_name("the worker")
                    .ssl_mode(PgSslMode::Disable);
                Connection::Postgres(runtime.block_on(options.connect()).unwrap())
            }
            Kind::MariaDb | Kind::MySql => {
                let (host, port) = server();
                let options = MySqlConnectOptions::new()
                    .host(&host)
                    .port(port)
                    .username(USER)
                    .password(PASSWORD)
                    .database(database.name());
                Connection::MySql(runtime.block_on(options.connect()).unwrap())
            }
            Kind::Sqlite => {
                Connection::Sqlite(rusqlite::Connection::open(database.path()).unwrap())
            }
        };
        let mut session = Self {
            runtime,
            connection,
            pid: 0,
        };
        let own = match database.kind() {
            Kind::PostgreSql => "SELECT pg_backend_pid()::text",
            Kind::MariaDb | Kind::MySql => "SELECT CAST(CONNECTION_ID() AS CHAR)",
            Kind::Sqlite => "SELECT '0'",
        };
        session.pid = session.one(own).parse().unwrap();
        session
    }

    /// As the server counts its sessions; 0 on `SQLite`.
    pub(crate) fn pid(&self) -> u64 {
        self.pid
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        let text = AssertSqlSafe(sql.to_owned());
        match &mut self.connection {
            Connection::Postgres(one) => {
                let done = self.runtime.block_on(sqlx::raw_sql(text).execute(one));
                done.unwrap();
            }
            Connection::MySql(one) => {
                let done = self.runtime.block_on(sqlx::raw_sql(text).execute(one));
                done.unwrap();
            }
            Connection::Sqlite(one) => one.execute_batch(sql).unwrap(),
        }
    }

    /// The first value of the first row, which has to be text.
    pub(crate) fn one(&mut self, sql: &str) -> String {
        use sqlx::Row as _;
        let text = AssertSqlSafe(sql.to_owned());
        match &mut self.connection {
            Connection::Postgres(one) => {
                let row = self.runtime.block_on(sqlx::raw_sql(text).fetch_one(one));
                row.unwrap().get_unchecked(0)
            }
            Connection::MySql(one) => {
                let row = self.runtime.block_on(sqlx::raw_sql(text).fetch_one(one));
                row.unwrap().get_unchecked(0)
            }
            Connection::Sqlite(one) => one.query_row(sql, (), |row| row.get(0)).unwrap(),
        }
    }

    /// Returns when the server has let go of what the session's transaction held.
    pub(crate) fn end(mut self) {
        self.execute("ROLLBACK");
        self.runtime.block_on(async {
            match self.connection {
                Connection::Postgres(one) => one.close().await.unwrap(),
                Connection::MySql(one) => one.close().await.unwrap(),
                Connection::Sqlite(one) => one.close().unwrap(),
            }
        });
    }
}
