//! The server was not to be reached, or let nobody in.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::Failed;
use super::names::named;
use rollback_core::dialect::Dialect;

pattern!(
    PLACE = r#"(?:server at|to server at) "([^"]+)"[^,]*, port (\d+)|server on '([^']+)'|server through socket '([^']+)'|socket "([^"]+)"|host name "([^"]+)"|Connect call failed \('([^']+)'"#
);
pattern!(USER = r#"(?:user|role) ["'«„“]([^"'»“”]+)["'»“”]"#);
pattern!(DATABASE = r#"(?i)database ["'«„“]([^"'»“”]+)["'»“”]"#);

/// What the drivers say where nobody answers. Their words, not the server's: they are not translated,
/// but for those of libpq.
const NOBODY: &[&str] = &[
    "(?i)connection refused",
    "(?i)could not connect to server",
    "(?i)can't connect to (?:local )?(?:mysql |server )?(?:server )?",
    "(?i)could not translate host name",
    "(?i)name or service not known",
    "(?i)temporary failure in name resolution",
    "(?i)timeout expired",
    "(?i)connection timed out",
    "(?i)is the server running",
];

const GONE: &[&str] = &[
    "^server closed the connection unexpectedly",
    "^SSL connection has been closed unexpectedly",
    "^terminating connection due to",
    "^connection already closed",
    "^could not receive data from server",
    "^SSL SYSCALL error",
    "^consuming input failed",
    "^the connection is closed",
    "^connection was closed in the middle",
    "^Lost connection to",
];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "login-refused",
        when: "The server refuses user or password, or lets nobody in from there.",
        means: "Nobody came in: by this connection nothing was run.",
        remedy: "Correct user and password where the project sets them, or the server's rules (pg_hba.conf, GRANT).",
        states: &["28P01", "28000"],
        numbers: &[1045, 1130, 1698, 1820, 1862, 3118],
        english: &[
            "password authentication failed",
            "no password supplied",
            "no pg_hba\\.conf entry",
            "role \\S+ does not exist",
            "is not permitted to log in",
        ],
        words: login,
        ..NEXT
    },
    Entry {
        code: "no-such-database",
        when: "The server has no database of that name.",
        means: "Nobody came in: by this connection nothing was run.",
        remedy: "Correct the name of the database where the project sets it, or create it.",
        states: &["3D000"],
        numbers: &[1049],
        english: &[r#"database "[^"]*" does not exist"#],
        words: no_database,
        ..NEXT
    },
    Entry {
        code: "too-many-connections",
        when: "The server has no connection left.",
        means: "Nobody came in: by this connection nothing was run.",
        remedy: "Close connections that are not needed, such as those of a stopped deployment, or wait.",
        states: &["53300"],
        numbers: &[1040, 1203, 1226],
        english: &[
            "too many clients already",
            "remaining connection slots",
            "too many connections",
        ],
        words: too_many,
        ..NEXT
    },
    Entry {
        code: "pooled-statements",
        when: "A pooler such as PgBouncer gives each transaction another session, and the driver counts on statements that it prepared in its own.",
        means: "The statement was not done.",
        remedy: "Connect past the pooler for migrations, or switch prepared statements off in the driver.",
        states: &["42P05", "26000"],
        english: &[r#"^prepared statement "[^"]+" (?:already exists|does not exist)"#],
        in_a_step: true,
        words: pooled,
        ..NEXT
    },
    Entry {
        code: "connection-lost",
        when: "The connection broke while it was used.",
        means: "Whether the last statement was done cannot be told from this side: look.",
        remedy: "See why in the server's log (a restart, a crash, an idle limit, a pooler), then look where the database stands.",
        states: &[
            "57P01", "57P02", "57P05", "25P03", "08003", "08006", "08001", "08004", "08P01",
        ],
        numbers: &[2006, 2013, 2055, 1053, 1152, 1184, 1927, 4031],
        english: GONE,
        in_a_step: true,
        words: lost,
        ..NEXT
    },
    Entry {
        code: "server-unreachable",
        when: "Nobody answers at that address, or the server is still starting.",
        means: "Nobody came in: by this connection nothing was run.",
        remedy: "Start the server, or correct host and port where the project sets them.",
        states: &["57P03"],
        numbers: &[2002, 2003, 2005],
        english: NOBODY,
        python: &[
            "^ConnectionRefusedError: ",
            "^(?:socket\\.)?gaierror: ",
            "^TimeoutError: .*[Cc]onnect",
            "^OSError: Multiple exceptions: .*Connect call failed",
        ],
        words: unreachable,
        ..NEXT
    },
    Entry {
        code: "no-database-file",
        when: "The file of an SQLite database cannot be opened.",
        means: "No database was opened: nothing was run.",
        remedy: "Create the folder of the file, correct its path, or see who may write there.",
        sqlite: &["^unable to open database file"],
        words: no_file,
        ..NEXT
    },
];

fn place(failed: &Failed) -> Option<String> {
    let found = PLACE.captures(&failed.message)?;
    match (found.get(1), found.get(2)) {
        (Some(host), Some(port)) => Some(format!("{}:{}", host.as_str(), port.as_str())),
        _ => found
            .iter()
            .skip(3)
            .flatten()
            .next()
            .map(|place| place.as_str().to_owned()),
    }
}

fn login(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let user = group(&USER, &failed.message);
    let who = user
        .as_deref()
        .map_or(String::new(), |user| format!(" of user {user}"));
    let at = place(failed).map_or(String::new(), |place| format!(" at {place}"));
    let words = Wording::new(format!("the server{at} refused the login{who}"));
    if failed.message.contains("pg_hba.conf") {
        return words.then(
            "allow this user from this address in pg_hba.conf, then: SELECT pg_reload_conf();",
        );
    }
    words.then(format!(
        "correct user and password where the project sets them, then try: {}",
        known.current()
    ))
}

fn no_database(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let name = match failed.dialect {
        Some(Dialect::MySql) => named(failed, 0),
        _ => group(&DATABASE, &failed.message),
    };
    let name = name.as_deref().unwrap_or("of that name");
    Wording::new(format!("the server has no database {name}")).then(format!(
        "correct its name where the project sets it, then try: {}",
        known.current()
    ))
}

fn too_many(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let words = Wording::new("the server has no connection left");
    let words = match failed.dialect {
        Some(Dialect::MySql) => words.then("see whose they are: SHOW FULL PROCESSLIST;"),
        _ => words.then(
            "see whose they are: SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3;",
        ),
    };
    words.then("close those that are not needed, or wait until some are free")
}

fn pooled(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("a pooler in transaction mode gave the driver a session in which its prepared statements are not its own")
        .then("connect to the server itself for migrations, past the pooler")
        .then("or switch prepared statements off: asyncpg statement_cache_size=0 and prepared_statement_cache_size=0, psycopg prepare_threshold=None")
}

fn lost(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let cause = if known.state.is_some() {
        "the connection to the server broke".to_owned()
    } else {
        format!("the connection to the server broke: {}", failed.sentence())
    };
    let mut words = Wording::new(cause)
        .then("see why in the server's log: a restart, a crash, a limit for idle sessions, a pooler between");
    if known.state.is_some() {
        words.meaning =
            Some("The server gave the connection up, whatever the step was doing.".to_owned());
    }
    words
}

fn unreachable(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let at = place(failed).map_or(String::new(), |place| format!(" at {place}"));
    Wording::new(if failed.state.as_deref() == Some("57P03") {
        format!("the server{at} is starting or stopping and lets nobody in yet")
    } else {
        format!("no server answers{at}")
    })
    .then(format!(
        "start the server, or correct host and port where the project sets them, then try: {}",
        known.current()
    ))
}

fn no_file(_: &Failed, known: &DiagnosisContext) -> Wording {
    Wording::new("the file of the SQLite database cannot be opened").then(format!(
        "create its folder, or correct its path where the project sets it, then try: {}",
        known.current()
    ))
}
