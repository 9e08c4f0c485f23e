//! Somebody else is at the database, or the step took too long.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording};
use super::failed::Failed;
use rollback_core::dialect::Dialect;

const SEE_POSTGRESQL: &str = "see who holds locks: SELECT pid, usename, state, xact_start, query FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY xact_start;";
const SEE_MYSQL: &str = "see who is at work: SHOW FULL PROCESSLIST; and for how long: SELECT trx_mysql_thread_id, trx_started, trx_query FROM information_schema.innodb_trx;";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "lock-timeout",
        when: "A lock was not to be had within the lock timeout.",
        means: "The statement waited behind somebody else and gave up; it did nothing.",
        remedy: "Wait for the sessions that hold the lock, or end them; --lock-timeout and --lock-retries say how patient a step is.",
        states: &["55P03"],
        numbers: &[1205],
        english: &[
            "^canceling statement due to lock timeout",
            "^could not obtain lock on",
        ],
        in_a_step: true,
        words: lock_timeout,
        ..NEXT
    },
    Entry {
        code: "deadlock",
        when: "Two sessions waited for each other, and the server ended this one.",
        means: "The other session went on. The transaction of this statement was taken back.",
        remedy: "Run the step again when less is going on; find out who the other one was.",
        states: &["40P01"],
        numbers: &[1213],
        english: &[
            "^deadlock detected",
            "^Deadlock found when trying to get lock",
        ],
        in_a_step: true,
        words: deadlock,
        ..NEXT
    },
    Entry {
        code: "database-locked",
        when: "Another process writes to the SQLite file.",
        means: "The statement waited for the other one and gave up; it did nothing.",
        remedy: "End the process that has the file open, or wait for it.",
        sqlite: &[
            "^database is locked",
            "^database table is locked",
            r"\(5\)$",
        ],
        in_a_step: true,
        words: locked,
        ..NEXT
    },
    Entry {
        code: "standby-conflict",
        when: "A standby of PostgreSQL ended the statement, because it was in the way of what comes from the primary.",
        means: "The statement was ended. A standby takes no changes at all: the migration was sent to the wrong server.",
        remedy: "Connect to the primary server.",
        states: &["57014", "40001"],
        english: &["due to conflict with recovery"],
        and: |failed| failed.message.contains("conflict with recovery"),
        words: standby,
        ..NEXT
    },
    Entry {
        code: "statement-timeout",
        when: "A statement took longer than the server allows.",
        means: "The server ended the statement; it did nothing.",
        remedy: "Raise the limit for the user of the migrations, or run the step when there is less to do.",
        states: &["57014"],
        numbers: &[1969, 3024],
        english: &["^canceling statement due to statement timeout"],
        and: |failed| failed.state.is_none() || !failed.message.contains("user request"),
        in_a_step: true,
        words: statement_timeout,
        ..NEXT
    },
    Entry {
        code: "statement-cancelled",
        when: "Somebody cancelled the statement.",
        means: "The server ended the statement; it did nothing.",
        remedy: "Find out who did, then run the step again.",
        states: &["57014"],
        numbers: &[1317],
        english: &["^canceling statement due to user request"],
        in_a_step: true,
        words: cancelled,
        ..NEXT
    },
];

fn who(failed: &Failed, known: &DiagnosisContext) -> Option<String> {
    if !known.blockers.is_empty() {
        // Who calls names them, and says what to do about them.
        return None;
    }
    match failed.dialect.or(known.dialect) {
        Some(Dialect::Postgres) => Some(SEE_POSTGRESQL.to_owned()),
        Some(Dialect::MySql) => Some(SEE_MYSQL.to_owned()),
        _ => None,
    }
}

fn table(failed: &Failed) -> String {
    super::names::table(failed).map_or(String::new(), |table| format!(" of table {table}"))
}

fn lock_timeout(failed: &Failed, known: &DiagnosisContext) -> Wording {
    Wording::new(format!(
        "a lock{} was not to be had within the lock timeout",
        table(failed)
    ))
    .and_then(who(failed, known))
    .then("or be more patient: --lock-timeout 30s, and --lock-retries 3 to try again")
}

fn deadlock(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let words = Wording::new("two sessions waited for each other, and the server ended this one");
    let words = words.and_then(who(failed, known));
    if failed.dialect == Some(Dialect::MySql) {
        words.then("who the other one was: SHOW ENGINE INNODB STATUS;")
    } else {
        words.then("who the other one was stands in the server's log")
    }
}

fn locked(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("another process is writing to the SQLite file")
        .then("see who has it open: fuser -v FILE")
        .then("end that process, or wait for it")
}

fn statement_timeout(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if failed.dialect == Some(Dialect::MySql) {
        let limit = match failed.number {
            Some(3024) => "max_execution_time",
            _ => "max_statement_time",
        };
        return Wording::new(format!("a statement took longer than {limit}"))
            .then("see the limit: SHOW VARIABLES LIKE 'max_%time%';")
            .then(
                "raise it for the user of the migrations, or run the step when there is less to do",
            );
    }
    // In another language it cannot be told from a cancellation.
    let or = if failed.message.contains("statement timeout") {
        ""
    } else {
        ", or somebody cancelled it"
    };
    Wording::new(format!("a statement took longer than statement_timeout{or}"))
        .then("see the limit: SHOW statement_timeout;")
        .then("raise it for the user of the migrations, such as: ALTER ROLE ... SET statement_timeout = '10min';")
}

fn standby(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("this server is a standby, and what came from its primary ended the statement")
        .then("see whether it is: SELECT pg_is_in_recovery();")
        .then("connect to the primary, and run the step there")
}

fn cancelled(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("somebody cancelled the statement").then("find out who did, and why")
}
