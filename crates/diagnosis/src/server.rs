//! What the server has no room for, does not allow, or does not do there.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::Failed;
use super::names::{named, quoted, table, written};
use rollback_core::dialect::Dialect;

pattern!(OWNER = r#"^must be owner of (?:\w+ )*"?([^"\s]+)"?"#);
pattern!(MYSQL_USER = r"user '([^']*)'@'([^']*)'");
pattern!(MYSQL_RIGHT = r"^([A-Z, ]+?) command denied");
pattern!(CANNOT_RUN = r"^([A-Z][A-Z ]+[A-Z]) cannot");
pattern!(ENUM_VALUE = r#"value "([^"]+)" of enum type (\S+)"#);

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "disk-full",
        when: "The server has no room left on its disk, or a table has reached its limit.",
        means: "The statement was not done. As long as there is no room, other writers fail as well.",
        remedy: "Make room on the disk of the server, or raise the limit, then run the step again.",
        states: &["53100"],
        numbers: &[1021, 1114],
        sqlite: &["^database or disk is full"],
        english: &["No space left on device"],
        in_a_step: true,
        words: disk_full,
        ..NEXT
    },
    Entry {
        code: "out-of-memory",
        when: "The server or the engine has no memory left, or PostgreSQL no room for further locks.",
        means: "The statement was not done.",
        remedy: "Raise the limit, or do less at once.",
        states: &["53200"],
        numbers: &[1037, 1038, 1041],
        sqlite: &["^out of memory"],
        english: &["^out of (?:shared )?memory"],
        python: &["^MemoryError"],
        in_a_step: true,
        words: out_of_memory,
        ..NEXT
    },
    Entry {
        code: "read-only",
        when: "The database takes no changes: a standby, a read-only user, transaction or file.",
        means: "Nothing was changed. It may be the wrong server.",
        remedy: "Connect to the primary server, or take the read-only setting away.",
        states: &["25006"],
        numbers: &[1290, 1792, 1836],
        sqlite: &["^attempt to write a readonly database"],
        english: &["in a read-only transaction"],
        // 1290 is said of every option that forbids something.
        and: |failed| {
            failed.number != Some(1290)
                || failed.message.contains("read-only")
                || failed.message.contains("read_only")
        },
        in_a_step: true,
        words: read_only,
        ..NEXT
    },
    Entry {
        code: "permission-denied",
        when: "The user of the migrations lacks a right, or does not own the object.",
        means: "The statement was not done.",
        remedy: "Give the user the right or the object, or run the migrations as its owner.",
        states: &["42501"],
        numbers: &[1044, 1142, 1143, 1227, 1370],
        english: &[
            "^permission denied (?:for|to)",
            "^must be (?:owner of|superuser)",
        ],
        in_a_step: true,
        words: permission,
        ..NEXT
    },
    Entry {
        code: "not-in-transaction",
        when: "A statement that PostgreSQL does outside of transactions only, such as CREATE INDEX CONCURRENTLY.",
        means: "The statement was not done.",
        remedy: "Put it into `with op.get_context().autocommit_block():`.",
        states: &["25001"],
        english: &["cannot run inside a transaction block"],
        // The same code stands for what has to come first in a transaction.
        and: |failed| !failed.message.starts_with("SET TRANSACTION"),
        in_a_step: true,
        words: transaction_block,
        ..NEXT
    },
    Entry {
        code: "new-enum-value",
        when: "A word that was added to an enum of PostgreSQL is used in the same transaction.",
        means: "The statement was not done.",
        remedy: "Add the word in `with op.get_context().autocommit_block():`, or in a migration of its own.",
        states: &["55P04"],
        english: &["^unsafe use of new value"],
        in_a_step: true,
        words: enum_value,
        ..NEXT
    },
    Entry {
        code: "object-in-use",
        when: "PostgreSQL cannot alter a table on which this transaction still has something to do, such as deferred triggers.",
        means: "The statement was not done.",
        remedy: "Settle the triggers first (`SET CONSTRAINTS ALL IMMEDIATE`), or change rows and table in two migrations.",
        states: &["55006"],
        english: &[
            "because it has pending trigger events",
            "is being used by active queries in this session",
        ],
        and: |failed| !failed.message.contains("being accessed by other users"),
        in_a_step: true,
        words: in_use,
        ..NEXT
    },
    Entry {
        code: "transaction-aborted",
        when: "A statement follows one that failed in the same transaction of PostgreSQL, and that error was caught.",
        means: "PostgreSQL does nothing more in this transaction; all of it is taken back.",
        remedy: "Find the first error, and give what may fail a savepoint (`with connection.begin_nested():`).",
        states: &["25P02"],
        english: &["^current transaction is aborted"],
        in_a_step: true,
        words: aborted,
        ..NEXT
    },
    Entry {
        code: "database-damaged",
        when: "The file is no database, or parts of it cannot be read.",
        means: "What is in it cannot be trusted.",
        remedy: "Change nothing more; look at the disk, and go back to a backup.",
        states: &["XX001", "XX002"],
        numbers: &[1034, 1194, 1195],
        sqlite: &[
            "^file is not a database",
            "^database disk image is malformed",
        ],
        english: &["^database disk image is malformed"],
        words: damaged,
        ..NEXT
    },
];

fn disk_full(failed: &Failed, _: &DiagnosisContext) -> Wording {
    match failed.dialect {
        Some(Dialect::MySql) if failed.number == Some(1114) => Wording::new(format!(
            "table {} is full: its disk is, or its limit is reached",
            named(failed, 0).as_deref().unwrap_or("(not named)")
        ))
        .then("see room and limits on the server: df -h; SHOW VARIABLES LIKE '%_size';")
        .then("make room"),
        Some(Dialect::Sqlite) => {
            Wording::new("the disk of the SQLite file is full, or its limit of pages is reached")
                .then("see room and limit: df -h; PRAGMA max_page_count;")
                .then("make room")
        }
        _ => Wording::new("the disk of the server is full")
            .then("see where on the server: df -h")
            .then("make room; a step that rewrites a table needs its size once more"),
    }
}

fn out_of_memory(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if failed.message.contains("shared memory")
        || failed.details.contains("max_locks_per_transaction")
    {
        return Wording::new("PostgreSQL has no room for further locks")
            .then("see the limit: SHOW max_locks_per_transaction;")
            .then("raise it in postgresql.conf and restart the server, or touch fewer tables in one transaction");
    }
    if failed.from_server {
        return Wording::new("the server has no memory left for the statement")
            .then("see what takes it on the server: free -h")
            .then("give the server more, or have the step do less at once");
    }
    Wording::new("the engine's process has no memory left")
        .then("give it more, or have the migration read fewer rows at once")
}

fn read_only(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let words = Wording::new("the database takes no changes");
    match failed.dialect {
        Some(Dialect::Postgres) => words
            .then("is this a standby? SELECT pg_is_in_recovery(); if so, connect to the primary")
            .then("if not, see the setting: SHOW default_transaction_read_only;"),
        Some(Dialect::MySql) => words.then(
            "is this a replica? SHOW VARIABLES LIKE '%read_only'; if so, connect to the primary",
        ),
        Some(Dialect::Sqlite) => {
            words.then("see who may write the file and its folder: ls -ld FILE FOLDER")
        }
        None => words.then("connect to the server that takes changes"),
    }
}

fn permission(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if let Some(object) = group(&OWNER, &failed.message) {
        return Wording::new(format!("the user of the migrations does not own {object}")).then(
            format!(
                "run the migrations as its owner, or hand it over: ALTER TABLE {} OWNER TO USER;",
                written(&object, failed.dialect)
            ),
        );
    }
    if failed.dialect == Some(Dialect::MySql) {
        let user = MYSQL_USER.captures(&failed.message).map_or_else(
            || "the user of the migrations".to_owned(),
            |found| format!("user '{}'@'{}'", &found[1], &found[2]),
        );
        let right = group(&MYSQL_RIGHT, &failed.message);
        let object = quoted(failed).into_iter().nth(2).or_else(|| table(failed));
        return Wording::new(format!(
            "{user} may not {}{}",
            right.as_deref().unwrap_or("do this"),
            object.map_or(String::new(), |object| format!(" on {object}"))
        ))
        .then("see what it may do: SHOW GRANTS FOR USER;")
        .then("grant it what is missing, or run the migrations as another user");
    }
    let object = named(failed, 0).or_else(|| failed.message.rsplit(' ').next().map(str::to_owned));
    Wording::new(format!(
        "the user of the migrations may not do this with {}",
        object
            .as_deref()
            .or(table(failed).as_deref())
            .unwrap_or("the object")
    ))
    .then("grant it what is missing, or run the migrations as the owner")
}

fn transaction_block(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let statement = group(&CANNOT_RUN, &failed.message);
    Wording::new(format!(
        "{} cannot run inside a transaction",
        statement.as_deref().unwrap_or("the statement")
    ))
    .then(format!(
        "put it into `with op.get_context().autocommit_block():` in the downgrade{}",
        known
            .revision
            .as_deref()
            .map_or(String::new(), |revision| format!(" of {revision}"))
    ))
}

fn enum_value(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let what = ENUM_VALUE.captures(&failed.message).map_or_else(
        || "a new word of an enum".to_owned(),
        |found| format!("the new word {} of enum {}", &found[1], &found[2]),
    );
    Wording::new(format!(
        "{what} cannot be used in the transaction that adds it"
    ))
    .then("add it in `with op.get_context().autocommit_block():` in the migration")
}

fn in_use(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(format!(
        "table {} still has something to be done in this transaction",
        named(failed, 0).or_else(|| table(failed)).as_deref().unwrap_or("(not named)")
    ))
    .then("in the downgrade, before the table is altered: op.execute(\"SET CONSTRAINTS ALL IMMEDIATE\")")
    .then("or change the rows and the table in two migrations")
}

fn aborted(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("an earlier statement of this transaction failed, and its error was caught")
        .then("find the first error: it stands above this one, or in the server's log")
        .then("give the statement that may fail a savepoint: with op.get_bind().begin_nested():")
}

fn damaged(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let words = Wording::new(format!(
        "the database cannot be read: {}",
        failed.sentence()
    ));
    let words = if failed.is_sqlite() {
        words.then("see what is wrong: sqlite3 FILE 'PRAGMA integrity_check;'")
    } else {
        words.then("see what is wrong in the server's log, and look at its disk")
    };
    words.then(match &known.restore {
        Some(restore) => format!("change nothing more; go back to the backup: {restore}"),
        None => "change nothing more; go back to a backup".to_owned(),
    })
}
