//! One connection to a server, synchronous, and opened again where it broke.

use std::io;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as SqlxConnection, Either, Executor};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::DatabaseError;
use super::failure::{FailureKind, reason};
use rollback_core::secret::Secret;

/// For the connection, the login and the encrypted channel together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Every query of our own takes milliseconds. One that does not is waiting for a lock, possibly of the
/// very step that was given up, and the run has to be able to say so.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// For a query whose answer is of use only at once.
const GLANCE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a long wait looks whether it is over.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// How long a server that restarts is waited for, in milliseconds between the attempts: five seconds
/// and a bit.
const PATIENCE: [u64; 6] = [250, 500, 750, 1000, 1250, 1500];

/// How long a statement that was told to end may take to do so.
pub(super) const ENDING: Duration = Duration::from_secs(10);

/// Why a text did not come to its end.
pub(super) enum ExecutionError {
    /// It was ended as asked, or never sent; it may have been done before that.
    GivenUp,
    /// For another reason.
    Failed(Box<(SessionError, sqlx::Error)>),
}

/// What every dialect's connection has in common.
pub(super) struct Connection<C: SqlxConnection> {
    runtime: Runtime,
    /// Tried in turn while the encrypted channel cannot be built.
    options: Vec<C::Options>,
    current: Option<C>,
    /// How many connections were made so far.
    opened: u32,
    place: String,
    password: Option<Secret>,
}

/// A failure and how to show it.
pub(super) struct SessionError {
    pub(super) failure: FailureKind,
    /// The server's code, where it was the server that spoke.
    pub(super) code: Option<String>,
    /// The number of the error on MySQL and MariaDB, whose codes are shared by many errors.
    pub(super) number: Option<u16>,
    pub(super) report: DatabaseError,
}

impl SessionError {
    pub(super) fn is_code(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }

    /// Whether it is one of these errors of MySQL or MariaDB.
    pub(super) fn is_number(&self, numbers: &[u16]) -> bool {
        self.number.is_some_and(|number| numbers.contains(&number))
    }
}

impl From<SessionError> for DatabaseError {
    fn from(error: SessionError) -> Self {
        error.report
    }
}

impl<C> Connection<C>
where
    C: SqlxConnection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    /// Connects once. `place` is what errors call the server and the database.
    pub(super) fn open(
        options: Vec<C::Options>,
        place: String,
        password: Option<Secret>,
    ) -> Result<Self, SessionError> {
        let runtime = runtime()?;
        let mut session = Self {
            runtime,
            options,
            current: None,
            opened: 1,
            place,
            password,
        };
        session.current = Some(session.connect()?);
        Ok(session)
    }

    /// Runs one statement by the simple protocol, which prepares nothing and so works behind a
    /// pooler that gives each statement another server connection. Every column comes as text.
    ///
    /// A connection that turns out to be broken is replaced and the statement sent once more: ours
    /// only read.
    pub(super) fn rows(
        &mut self,
        sql: &str,
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, SessionError> {
        let reused = self.current.is_some();
        match self.attempt(sql) {
            Err(error) if reused && error.failure == FailureKind::Broken => self.attempt(sql),
            result => result,
        }
    }

    /// How many connections were made so far: whether what was set on one holds for the one that there is.
    pub(super) fn connections(&self) -> u32 {
        self.opened
    }

    /// As [`rows`](Self::rows), for a question that is not worth waiting: on the open connection only,
    /// and without patience.
    pub(super) fn glance(
        &mut self,
        sql: &str,
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, SessionError> {
        if self.current.is_none() {
            return Err(self.error(FailureKind::Broken, &no_answer(Duration::ZERO)));
        }
        self.attempt_within(sql, GLANCE_TIMEOUT)
    }

    /// Runs several statements that are sent together, over the connection that there is: the rows of each.
    /// Where one of them fails, there are none of any.
    pub(super) fn results(
        &mut self,
        statements: &[&str],
    ) -> Result<Vec<Vec<<C::Database as sqlx::Database>::Row>>, SessionError> {
        if self.current.is_none() {
            return Err(self.error(FailureKind::Broken, &lost()));
        }
        self.results_within(&statements.join(";\n"), QUERY_TIMEOUT)
    }

    /// The same without a second try: for what lives as long as the connection does. Once it is
    /// broken it stays so.
    pub(super) fn rows_here(
        &mut self,
        sql: &str,
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, SessionError> {
        if self.current.is_some() {
            return self.attempt(sql);
        }
        Err(self.error(FailureKind::Broken, &lost()))
    }

    /// As [`rows_here`](Self::rows_here), for what may take as long as it takes: `is_over` is asked some times
    /// a second, and a yes ends the wait and the connection.
    pub(super) fn rows_patiently(
        &mut self,
        sql: &str,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, SessionError> {
        let Some(mut connection) = self.current.take() else {
            return Err(self.error(FailureKind::Broken, &lost()));
        };
        let result = self.runtime.block_on(async {
            let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
            let mut answer = std::pin::pin!(statement.fetch_all(&mut connection));
            loop {
                match timeout(TICK, &mut answer).await {
                    Ok(result) => return Some(result),
                    Err(_) if is_over() => return None,
                    Err(_) => {}
                }
            }
        });
        match result {
            Some(Ok(rows)) => {
                self.current = Some(connection);
                Ok(rows)
            }
            Some(Err(error)) => {
                let failure = FailureKind::of(&error);
                self.keep_unless_broken(connection, failure, &error);
                Err(self.error(failure, &error))
            }
            None => {
                let ended = io::Error::new(io::ErrorKind::Interrupted, "it was interrupted");
                Err(self.error(FailureKind::Other, &ended.into()))
            }
        }
    }

    /// Sends a text once, over the connection that there is, for as long as it takes. `goes_on` is asked before
    /// and some times a second; after a no `cancellations` are sent over a second connection, the next one if the one
    /// before did not help, and the connection is closed.
    pub(super) fn once(
        &mut self,
        sql: &str,
        goes_on: &mut dyn FnMut() -> bool,
        cancellations: &[String],
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, ExecutionError> {
        let Some(mut connection) = self.current.take() else {
            let error = lost();
            return Err(ExecutionError::Failed(Box::new((
                self.error(FailureKind::Broken, &error),
                error,
            ))));
        };
        if !goes_on() {
            self.close(connection);
            return Err(ExecutionError::GivenUp);
        }
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let mut answer = Box::pin(statement.fetch_all(&mut connection));
        // Whoever is asked may ask a database in turn, which cannot be done from inside.
        let mut given_up = false;
        let result = loop {
            match self
                .runtime
                .block_on(async { timeout(TICK, &mut answer).await })
            {
                Ok(result) => break Some(result),
                Err(_) if goes_on() => {}
                Err(_) => {
                    given_up = true;
                    break self
                        .runtime
                        .block_on(self.cancel(&mut answer, cancellations));
                }
            }
        };
        drop(answer);
        match result {
            // Whether it was done anyway is for the database to say: a server may call it so.
            Some(_) if given_up => {
                self.close(connection);
                Err(ExecutionError::GivenUp)
            }
            Some(Ok(rows)) => {
                self.current = Some(connection);
                Ok(rows)
            }
            Some(Err(error)) => {
                let failure = FailureKind::of(&error);
                self.keep_unless_broken(connection, failure, &error);
                Err(ExecutionError::Failed(Box::new((
                    self.error(failure, &error),
                    error,
                ))))
            }
            None => Err(ExecutionError::GivenUp),
        }
    }

    /// Ends a statement that is under way, and waits until it has ended.
    async fn cancel<T>(
        &self,
        mut answer: impl Future<Output = T> + Unpin,
        cancellations: &[String],
    ) -> Option<T> {
        for sql in cancellations {
            // Without a second connection the server has to notice by itself that nobody listens.
            let _ = timeout(CONNECT_TIMEOUT, self.elsewhere(sql)).await;
            if let Ok(result) = timeout(ENDING, &mut answer).await {
                return Some(result);
            }
        }
        None
    }

    /// Sends a text over a second connection.
    async fn elsewhere(&self, sql: &str) -> Result<(), sqlx::Error> {
        for options in &self.options {
            match options.connect().await {
                Err(error) if FailureKind::of(&error) == FailureKind::Tls => {}
                Err(error) => return Err(error),
                Ok(mut connection) => {
                    let text = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
                    text.fetch_all(&mut connection).await?;
                    return connection.close().await;
                }
            }
        }
        Ok(())
    }

    /// What is open in it is rolled back.
    fn close(&self, connection: C) {
        let _ = self
            .runtime
            .block_on(async { timeout(ENDING, connection.close()).await });
    }

    fn attempt(
        &mut self,
        sql: &str,
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, SessionError> {
        self.attempt_within(sql, QUERY_TIMEOUT)
    }

    fn attempt_within(
        &mut self,
        sql: &str,
        limit: Duration,
    ) -> Result<Vec<<C::Database as sqlx::Database>::Row>, SessionError> {
        let results = self.results_within(sql, limit)?;
        Ok(results.into_iter().flatten().collect())
    }

    fn results_within(
        &mut self,
        sql: &str,
        limit: Duration,
    ) -> Result<Vec<Vec<<C::Database as sqlx::Database>::Row>>, SessionError> {
        let mut connection = if let Some(connection) = self.current.take() {
            connection
        } else {
            let connection = self.reconnect()?;
            self.opened += 1;
            connection
        };
        let mut results = vec![Vec::new()];
        let ended = self
            .runtime
            .block_on(gather(&mut connection, sql, limit, &mut results));
        match ended {
            Ok(()) => {
                self.current = Some(connection);
                // After the last statement comes none.
                if results.last().is_some_and(Vec::is_empty) {
                    results.pop();
                }
                Ok(results)
            }
            Err((failure, error)) => {
                self.keep_unless_broken(connection, failure, &error);
                Err(self.error(failure, &error))
            }
        }
    }

    /// The server's own answer leaves a connection usable; after anything else its state is not known.
    fn keep_unless_broken(&mut self, connection: C, failure: FailureKind, error: &sqlx::Error) {
        if failure != FailureKind::Broken && matches!(error, sqlx::Error::Database(_)) {
            self.current = Some(connection);
        }
    }

    fn reconnect(&self) -> Result<C, SessionError> {
        for delay in PATIENCE {
            match self.connect() {
                Err(error)
                    if matches!(error.failure, FailureKind::NotReady | FailureKind::Broken) =>
                {
                    std::thread::sleep(Duration::from_millis(delay));
                }
                result => return result,
            }
        }
        self.connect()
    }

    fn connect(&self) -> Result<C, SessionError> {
        let mut result = Err(no_answer(CONNECT_TIMEOUT));
        for options in &self.options {
            result = self.runtime.block_on(async {
                timeout(CONNECT_TIMEOUT, options.connect())
                    .await
                    .unwrap_or_else(|_| Err(no_answer(CONNECT_TIMEOUT)))
            });
            if !result
                .as_ref()
                .is_err_and(|error| FailureKind::of(error) == FailureKind::Tls)
            {
                break;
            }
        }
        result.map_err(|error| self.error(FailureKind::of_connecting(&error), &error))
    }

    fn error(&self, failure: FailureKind, error: &sqlx::Error) -> SessionError {
        let reason = reason(error, self.password.as_ref());
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .map(Into::into);
        let number = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
            .map(sqlx::mysql::MySqlDatabaseError::number);
        SessionError {
            failure,
            code,
            number,
            report: failure.report(self.place.clone(), reason),
        }
    }
}

impl<C: SqlxConnection> Drop for Connection<C> {
    /// Says goodbye, so that the server's log has no line about a lost client.
    fn drop(&mut self) {
        if let Some(connection) = self.current.take() {
            let _ = self.runtime.block_on(async {
                // There is nobody left to tell if it fails.
                timeout(Duration::from_secs(1), connection.close()).await
            });
        }
    }
}

/// Runs statements and puts the rows of each into `results` as they come; the last one is of what would follow.
async fn gather<C>(
    connection: &mut C,
    sql: &str,
    limit: Duration,
    results: &mut Vec<Vec<<C::Database as sqlx::Database>::Row>>,
) -> Result<(), (FailureKind, sqlx::Error)>
where
    C: SqlxConnection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    let all = async {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let mut answer = statement.fetch_many(connection);
        while let Some(next) = answer.try_next().await? {
            match (next, results.last_mut()) {
                (Either::Right(row), Some(rows)) => rows.push(row),
                _ => results.push(Vec::new()),
            }
        }
        Ok(())
    };
    match timeout(limit, all).await {
        Ok(result) => result.map_err(|error: sqlx::Error| (FailureKind::of(&error), error)),
        // `Other`: to ask again would wait as long again.
        Err(_) => Err((FailureKind::Other, no_answer(limit))),
    }
}

fn runtime() -> Result<Runtime, SessionError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            let report = DatabaseError::Settings(format!("cannot prepare connections: {error}"));
            SessionError {
                failure: FailureKind::Other,
                code: None,
                number: None,
                report,
            }
        })
}

fn lost() -> sqlx::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection was lost").into()
}

fn no_answer(limit: Duration) -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, no_answer_within(limit)).into()
}

pub(super) fn no_answer_within(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

/// The column as text, whatever its type is called; the simple protocol sends nothing else.
pub(super) fn text<R>(row: &R, index: usize) -> Option<String>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database>,
{
    row.try_get_unchecked::<Option<String>, _>(index)
        .ok()
        .flatten()
}

/// The column as a number that is not negative.
pub(super) fn number<R>(row: &R, index: usize) -> Option<u64>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database>,
{
    text(row, index)?.parse().ok()
}

/// All columns as text.
pub(super) fn texts<R>(rows: &[R]) -> Vec<Vec<Option<String>>>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database>,
{
    rows.iter()
        .map(|row| (0..row.len()).map(|index| text(row, index)).collect())
        .collect()
}
