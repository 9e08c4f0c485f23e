use super::*;

fn code_of(text: &str) -> String {
    diagnose(text, &Known::default()).code
}

fn said(text: &str) -> String {
    let told = diagnose(text, &Known::default());
    format!("{} {}", told.cause, told.what_to_do.join(" "))
}

/// What no test of ours has a server or a driver for, as their documentation or their users have it.
#[test]
fn what_other_drivers_servers_and_languages_say_is_understood() {
    for (code, says, text) in [
        // psycopg 3 and asyncpg
        (
            "table-missing",
            "nope",
            "sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedTable) table \"nope\" does not exist\n[SQL: DROP TABLE nope]",
        ),
        (
            "table-missing",
            "nope",
            "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class 'asyncpg.exceptions.UndefinedTableError'>: relation \"nope\" does not exist\n[SQL: SELECT 1 FROM nope]",
        ),
        (
            "read-only",
            "pg_is_in_recovery",
            "asyncpg.exceptions.ReadOnlySQLTransactionError: cannot execute DROP TABLE in a read-only transaction",
        ),
        (
            "lock-timeout",
            "pg_stat_activity",
            "asyncpg.exceptions.LockNotAvailableError: canceling statement due to lock timeout",
        ),
        (
            "sql-syntax",
            "SQL",
            "asyncpg.exceptions.PostgresSyntaxError: syntax error at or near \"SELEC\"",
        ),
        (
            "too-many-connections",
            "left",
            "asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already",
        ),
        (
            "duplicate-values",
            "SELECT email, count(*)",
            "psycopg.errors.UniqueViolation: could not create unique index \"uq\"\nDETAIL:  Key (email)=(a@b) is duplicated.\n[SQL: ALTER TABLE users ADD CONSTRAINT uq UNIQUE (email)]",
        ),
        // pg8000
        (
            "column-missing",
            "nick",
            "sqlalchemy.exc.ProgrammingError: (pg8000.exceptions.DatabaseError) {'S': 'ERROR', 'C': '42703', 'M': 'column \"nick\" does not exist'}\n[SQL: UPDATE users SET nick = 1]",
        ),
        // mysqlclient, MySQL Connector, MySQL's own numbers
        (
            "column-missing",
            "column nick of table users",
            "sqlalchemy.exc.OperationalError: (MySQLdb.OperationalError) (1091, \"Can't DROP 'nick'; check that column/key exists\")\n[SQL: ALTER TABLE users DROP COLUMN nick]",
        ),
        (
            "deadlock",
            "INNODB STATUS",
            "mysql.connector.errors.InternalError: 1213 (40001): Deadlock found when trying to get lock; try restarting transaction",
        ),
        (
            "check-violated",
            "ck_age",
            "sqlalchemy.exc.OperationalError: (MySQLdb.OperationalError) (3819, \"Check constraint 'ck_age' is violated.\")\n[SQL: ALTER TABLE pets ADD CONSTRAINT ck_age CHECK (age < 100)]",
        ),
        (
            "still-referenced",
            "DROP FOREIGN KEY",
            "pymysql.err.OperationalError: (1451, 'Cannot delete or update a parent row: a foreign key constraint fails (`app`.`boxes`, CONSTRAINT `fk` FOREIGN KEY (`toy`) REFERENCES `toys` (`id`))')\n[SQL: DROP TABLE toys]",
        ),
        (
            "still-referenced",
            "refer",
            "sqlalchemy.exc.IntegrityError: (MySQLdb.IntegrityError) (1217, 'Cannot delete or update a parent row: a foreign key constraint fails')",
        ),
        (
            "index-needed",
            "ALTER TABLE boxes DROP FOREIGN KEY fk;",
            "pymysql.err.OperationalError: (1828, \"Cannot drop column 'toy': needed in a foreign key constraint 'fk'\")\n[SQL: ALTER TABLE boxes DROP COLUMN toy]",
        ),
        // Other languages: the code is all there is, and the names stand in their quotation marks.
        (
            "table-missing",
            "nope",
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) Relation »nope« existiert nicht\n[SQL: SELECT 1 FROM nope]",
        ),
        (
            "null-in-column",
            "alter",
            "psycopg2.errors.NotNullViolation: Spalte »alter« von Relation »pets« enthält NULL-Werte",
        ),
        (
            "orphaned-rows",
            "pets",
            "psycopg2.errors.ForeignKeyViolation: une instruction insert ou update sur la table « pets » viole la contrainte de clé étrangère « fk »\n[SQL: ALTER TABLE pets ADD CONSTRAINT fk FOREIGN KEY(owner) REFERENCES owners (id)]",
        ),
        (
            "still-referenced",
            "toys",
            "psycopg2.errors.ForeignKeyViolation: UPDATE oder DELETE in Tabelle »toys« verletzt Fremdschlüssel-Constraint »fk« von Tabelle »boxes«\n[SQL: DELETE FROM toys]",
        ),
        (
            "statement-timeout",
            "or somebody cancelled it",
            "psycopg2.errors.QueryCanceled: storniere Anfrage wegen Zeitüberschreitung der Anfrage",
        ),
        (
            "table-missing",
            "nope",
            "psql:down.sql:3: FEHLER:  42P01: Relation »nope« existiert nicht",
        ),
        // Clients, by their words alone
        (
            "table-missing",
            "nope",
            "psql:down.sql:3: ERROR:  table \"nope\" does not exist",
        ),
        (
            "table-missing",
            "nope",
            "ERROR:  42P01: relation \"nope\" does not exist\nLOCATION:  parserOpenTable, parse_relation.c:1384",
        ),
        (
            "objects-depend",
            "view ages",
            "psql:down.sql:1: ERROR:  cannot drop column age of table pets because other objects depend on it\nDETAIL:  view ages depends on column age of table pets\nHINT:  Use DROP ... CASCADE to drop the dependent objects too.",
        ),
        (
            "login-refused",
            "user app",
            "psql: error: connection to server at \"db\" (10.0.0.2), port 5432 failed: FATAL:  password authentication failed for user \"app\"",
        ),
        (
            "server-unreachable",
            "db:5432",
            "psql: error: connection to server at \"db\" (10.0.0.2), port 5432 failed: Connection refused",
        ),
        (
            "deadlock",
            "waited",
            "2026-11-21 09:09:15.123 UTC [4711] ERROR:  deadlock detected",
        ),
        (
            "constraint-missing",
            "fk_owner",
            "ERROR 1091 (42000) at line 1: Can't DROP FOREIGN KEY `fk_owner`; check that it exists",
        ),
        (
            "login-refused",
            "user root",
            "ERROR 1045 (28000): Access denied for user 'root'@'localhost' (using password: NO)",
        ),
        (
            "table-missing",
            "nope",
            "Parse error near line 1: no such table: nope",
        ),
        (
            "duplicate-values",
            "SELECT name, count(*) FROM pets",
            "Runtime error near line 2: UNIQUE constraint failed: pets.name (19)",
        ),
        // A line that somebody pasted
        (
            "duplicate-values",
            "have the same",
            "IntegrityError: duplicate key value violates unique constraint \"idx_users_email\"",
        ),
        (
            "connection-lost",
            "broke",
            "OperationalError: SSL connection has been closed unexpectedly",
        ),
        (
            "deadlock",
            "waited",
            "OperationalError: (1213, 'Deadlock found when trying to get lock; try restarting transaction')",
        ),
        (
            "orphaned-rows",
            "cameras",
            "IntegrityError: insert or update on table \"cameras\" violates foreign key constraint \"fk\"",
        ),
        (
            "import-error",
            "oracledb",
            "ModuleNotFoundError: No module named 'oracledb'",
        ),
        (
            "database-damaged",
            "integrity_check",
            "sqlite3.DatabaseError: database disk image is malformed",
        ),
        ("out-of-memory", "rows", "MemoryError"),
    ] {
        let told = diagnose(text, &Known::default());
        assert_eq!(told.code, code, "{text}\n{told:#?}");
        assert!(said(text).contains(says), "{says}\n{told:#?}");
    }
}

/// Turns red if a word in a text is taken for the reason.
#[test]
fn what_is_not_known_is_never_something_near() {
    let handled = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n\
                   psycopg2.errors.DeadlockDetected: deadlock detected\n\n\
                   During handling of the above exception, another exception occurred:\n\n\
                   Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    h()\n\
                   ZeroDivisionError: division by zero\n";
    let logged = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n\
                  sqlite3.OperationalError: database is locked\nINFO  [app] trying again\n\
                  Traceback (most recent call last):\n  File \"b.py\", line 3, in f\n    h()\n\
                  AttributeError: 'NoneType' object has no attribute 'id'\n";
    for text in [
        "",
        "\n\n\n",
        "INFO  [app] deadlock detected in the queue, trying again",
        "WARNING:app:permission denied for user 7, ignoring",
        "ERROR:app.jobs:connection refused by the printer",
        "ERROR [app.jobs] relation \"x\" does not exist",
        "2026-11-21 09:09:15,422:WARNING:superset.initialization:database is locked",
        "SAWarning: no such table: x",
        "app/models.py:3: UserWarning: No space left on device",
        "RuntimeError: deadlock detected",
        "RuntimeError: (1213, 'Deadlock found')",
        "ValueError: password authentication failed for user \"app\"",
        "KeyError: 'DATABASE_URL'",
        "myapp.errors.LockNotAvailable: the door is locked",
        "requests.exceptions.ConnectionError: connection refused",
        "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) something new",
        "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DivisionByZero) permission denied for table x",
        "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (4711, \"Access denied for user\")",
        "sqlalchemy.exc.NotSupportedError: (psycopg2.errors.FeatureNotSupported) no such thing yet",
        "psycopg2.errors.UndefinedTable",
        "FAILED: something that no version of Alembic says",
        "Error: deadlock detected",
        "DETAIL:  Key (a)=(1) is duplicated.",
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f",
        "-- SELECT 'ERROR: deadlock detected';",
        "E   AssertionError: assert 'table x does not exist' in log",
        handled,
        logged,
    ]
    .into_iter()
    // A class says it alone, without a word.
    .filter(|text| *text != "psycopg2.errors.UndefinedTable")
    {
        let told = diagnose(text, &Known::default());
        assert_eq!(told.code, OTHER, "{text}\n{told:#?}");
        assert!(!told.what_to_do.is_empty());
    }
    assert_eq!(code_of("psycopg2.errors.UndefinedTable: "), "table-missing");
}

#[test]
fn what_is_known_besides_the_text_is_used_and_not_said_again() {
    let text = "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedColumn) column \"nick\" of relation \"users\" does not exist\n\
                [SQL: ALTER TABLE users DROP COLUMN nick]";
    let alone = diagnose(text, &Known::default());
    assert!(
        alone
            .meaning
            .contains("PostgreSQL takes a step that fails back")
    );
    assert_eq!(
        alone.what_to_do.last().map(String::as_str),
        Some("see where the database stands: rollback current")
    );
    let known = Known {
        revision: Some("a1".to_owned()),
        state: Some(State::HalfDone),
        dropped_by: Some("revision c3 at c3.py:40".to_owned()),
        ..Known::default()
    };
    let told = diagnose(text, &known);
    assert_eq!(
        told.cause,
        "column nick of table users does not exist: the doing of revision c3 at c3.py:40"
    );
    assert!(!told.meaning.contains("PostgreSQL"), "{told:#?}");
    assert_eq!(
        told.what_to_do,
        ["make it by hand, or mend the downgrade of a1"]
    );
}

/// Turns red if a name out of a text ends a command and begins another.
#[test]
fn a_name_cannot_leave_its_command() {
    let told = said("sqlite3.OperationalError: no such table: x;rm${IFS}-rf");
    assert!(told.contains("grep -rn 'x;rm${IFS}-rf'"), "{told}");
    let told = said("FAILED: Can't locate revision identified by '$(reboot)'");
    assert!(told.contains("-S '$(reboot)'"), "{told}");
}

#[test]
fn every_entry_has_its_words() {
    for row in rows() {
        for text in [row.when, row.means, row.remedy] {
            assert!(text.ends_with('.') && text.len() > 10, "{row:?}");
        }
        let plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        assert!(row.code.chars().all(plain), "{row:?}");
    }
}

/// Turns red if a long text takes long: each line is looked at a fixed number of times.
#[test]
fn a_long_text_is_read_in_passing() {
    let line = "web-1  | \"\"\"((((\\\\ Traceback error: ERROR:  x «»\n";
    let text = line.repeat(20_000) + "KeyError: 'x'\n";
    assert_eq!(code_of(&text), OTHER);
}
