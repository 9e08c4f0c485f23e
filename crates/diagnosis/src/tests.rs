use super::*;
use rollback_core::operation::{Place, TableName};
use rollback_core::revision::RevisionId;
use rollback_core::subject::Subject;

fn code_of(text: &str) -> String {
    diagnose(text, &DiagnosisContext::default()).code
}

fn said(text: &str) -> String {
    let told = diagnose(text, &DiagnosisContext::default());
    format!("{} {}", told.cause, told.what_to_do.join(" "))
}

fn culprit(object: Subject, revision: &str, line: u32) -> Culprit {
    Culprit {
        object,
        revision: RevisionId::new(revision),
        place: Some(Place {
            file: format!("{revision}.py").into(),
            line,
            column: 1,
        }),
    }
}

fn column(table: &str, column: &str) -> Subject {
    Subject::Column(TableName::plain(table), column.to_owned())
}

/// What no test of our own has a server or a driver for, as their documentation or their users have it.
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
        let told = diagnose(text, &DiagnosisContext::default());
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
        let told = diagnose(text, &DiagnosisContext::default());
        assert_eq!(told.code, OTHER, "{text}\n{told:#?}");
        assert!(!told.what_to_do.is_empty());
    }
    assert_eq!(code_of("psycopg2.errors.UndefinedTable: "), "table-missing");
}

#[test]
fn what_is_known_besides_the_text_is_used_and_not_said_again() {
    let text = "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedColumn) column \"nick\" of relation \"users\" does not exist\n\
                [SQL: ALTER TABLE users DROP COLUMN nick]";
    let alone = diagnose(text, &DiagnosisContext::default());
    assert!(
        alone
            .meaning
            .contains("PostgreSQL takes a step that fails back")
    );
    assert_eq!(
        alone.what_to_do.last().map(String::as_str),
        Some("see where the database stands: rollback current")
    );
    let known = DiagnosisContext {
        revision: Some("a1".to_owned()),
        state: Some(DatabaseState::HalfDone),
        dropped_by: vec![culprit(column("users", "nick"), "c3", 40)],
        ..DiagnosisContext::default()
    };
    let told = diagnose(text, &known);
    assert_eq!(
        told.cause,
        "column nick of table users does not exist: revision c3 at c3.py:40 removed it"
    );
    assert!(!told.meaning.contains("PostgreSQL"), "{told:#?}");
    assert_eq!(
        told.what_to_do,
        ["make it by hand, or correct the downgrade of a1"]
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

/// Logs of other tools and drivers, which repeat a server's sentence in their own way, as their users posted them or
/// as they were produced with psql, Go's drivers and the clients. Turns red if a form is not read.
#[test]
fn what_drivers_and_tools_make_of_a_servers_sentence_is_understood() {
    for (code, says, text) in [
        // One space after the severity.
        (
            "table-missing",
            "nope",
            "ERROR: relation \"nope\" does not exist\n",
        ),
        (
            "already-exists",
            "tags",
            "psql:down.sql:1: ERROR: relation \"tags\" already exists\n",
        ),
        (
            "deadlock",
            "waited",
            "2026-11-21 09:09:15.123 UTC [4711] ERROR: deadlock detected\n",
        ),
        (
            "duplicate-values",
            "email",
            "ERROR: duplicate key value violates unique constraint \"uq_email\"\nDETAIL: Key (email)=(a@b) already exists.\n",
        ),
        (
            "null-in-column",
            "age",
            "ERROR: column \"age\" of relation \"pets\" contains null values\n",
        ),
        (
            "login-refused",
            "app",
            "FATAL: password authentication failed for user \"app\"\n",
        ),
        (
            "table-missing",
            "nope",
            "org.postgresql.util.PSQLException: ERROR: relation \"nope\" does not exist\n  Position: 15\n",
        ),
        (
            "column-missing",
            "nick",
            "PG::UndefinedColumn: ERROR:  column \"nick\" does not exist\n",
        ),
        (
            "table-missing",
            "nope",
            "error returned from database: relation \"nope\" does not exist\n",
        ),
        // A code within the line.
        (
            "already-exists",
            "tags",
            "Applying migration 20240301120000_add_tags.sql...\nERROR: relation \"tags\" already exists (SQLSTATE 42P07)\n\
             At statement: 0\nCREATE TABLE tags (id bigint primary key)\nTry rerunning the command with --debug to troubleshoot the error.\n",
        ),
        (
            "objects-depend",
            "table users",
            "2024/05/01 10:00:00 goose run: ERROR 00003_x.sql: failed to run SQL migration: failed to execute SQL query \
             \"DROP TABLE users;\": ERROR: cannot drop table users because other objects depend on it (SQLSTATE 2BP01)\n",
        ),
        (
            "column-missing",
            "nick",
            "error: migration failed: ERROR: column \"nick\" does not exist (SQLSTATE 42703)\n",
        ),
        (
            "permission-denied",
            "notes",
            "time=2024 level=error msg=failed: ERROR: permission denied for table notes (SQLSTATE 42501)\n",
        ),
        // In another language the code is enough.
        (
            "table-missing",
            "nope",
            "failed: FEHLER: Relation »nope« existiert nicht (SQLSTATE 42P01)\n",
        ),
        (
            "deadlock",
            "waited",
            "ERROR: deadlock detected (SQLSTATE: 40P01)\n",
        ),
        (
            "table-missing",
            "nope",
            "Error: pq: relation \"nope\" does not exist\n",
        ),
        (
            "table-missing",
            "nope",
            "error: pq: relation \"nope\" does not exist in line 0: DROP TABLE nope;\n",
        ),
        (
            "already-exists",
            "notes",
            "Error: Error 1050 (42S01): Table 'notes' already exists\n",
        ),
        (
            "lock-timeout",
            "lock",
            "goose run: Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction\n",
        ),
        (
            "sql-syntax",
            "syntax",
            "Parse error: near \"SELEC\": syntax error\n",
        ),
        // In the wrappings of CI and containers, with CRLF and colours.
        (
            "already-exists",
            "tags",
            "\u{feff}2026-11-21T09:09:15.1234567Z \u{1b}[31mERROR: relation \"tags\" already exists (SQLSTATE 42P07)\u{1b}[0m\r\n2026-11-21T09:09:15.2234567Z ##[error]Process completed with exit code 1.\r\n",
        ),
        (
            "already-exists",
            "tags",
            "migrate\tRun supabase db push\t2026-11-21T09:09:15.1234567Z ERROR: relation \"tags\" already exists (SQLSTATE 42P07)\n",
        ),
        (
            "table-missing",
            "nope",
            "db-1   | 2026-11-21 09:09:15.123 UTC [71] ERROR:  relation \"nope\" does not exist at character 13\ndb-1   | 2026-11-21 09:09:15.123 UTC [71] STATEMENT:  DROP TABLE nope\n",
        ),
        // Alembic, Supabase, Superset.
        (
            "version-row-not-one",
            "had no row bbbb",
            "ERROR [alembic.util.messaging] Online migration expected to match one row when deleting 'bbbb' in 'alembic_version'; 0 found\n  FAILED: Online migration expected to match one row when deleting 'bbbb' in 'alembic_version'; 0 found\n",
        ),
        (
            "version-row-not-one",
            "has the row b 2 times",
            "  FAILED: Online migration expected to match one row when updating 'b' to 'a' in 'alembic_version'; 2\n  found\n",
        ),
        (
            "not-up-to-date",
            "alembic upgrade head",
            "  FAILED: Target database is not up to date.\n",
        ),
        (
            "history-differs",
            "supabase migration repair --status reverted 20240301120000",
            "Remote migration versions not found in local migrations directory.\n\nMake sure your local git repo is up-to-date. If the error persists, try repairing the migration history table:\nsupabase migration repair --status reverted 20240301120000\n",
        ),
        (
            "decryption-key",
            "SECRET_KEY",
            "sqlalchemy.exc.StatementError: (builtins.ValueError) Invalid decryption key\n",
        ),
        (
            "revision-id-too-long",
            "2024_11_05_add",
            "sqlalchemy.exc.DataError: (psycopg2.errors.StringDataRightTruncation) value too long for type character varying(32)\n\n[SQL: UPDATE alembic_version SET version_num='2024_11_05_add_customer_loyalty_points_table' WHERE alembic_version.version_num = '11aa']\n",
        ),
        // Servers and poolers that are not here.
        (
            "standby-conflict",
            "primary",
            "sqlalchemy.exc.OperationalError: (psycopg2.errors.QueryCanceled) canceling statement due to conflict with recovery\n",
        ),
        (
            "standby-conflict",
            "primary",
            "psycopg2.errors.SerializationFailure: canceling statement due to conflict with recovery\n",
        ),
        (
            "pooled-statements",
            "statement_cache_size=0",
            "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class 'asyncpg.exceptions.DuplicatePreparedStatementError'>: prepared statement \"__asyncpg_stmt_1__\" already exists\n",
        ),
        (
            "several-statements",
            "op.execute",
            "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class 'asyncpg.exceptions.PostgresSyntaxError'>: cannot insert multiple commands into a prepared statement\n[SQL: DROP TRIGGER a ON t; DROP FUNCTION f();]\n",
        ),
        (
            "foreign-key-types",
            "types",
            "sqlalchemy.exc.OperationalError: (MySQLdb.OperationalError) (3780, \"Referencing column 'a' and referenced column 'b' in foreign key constraint 'fk' are incompatible.\")\n",
        ),
        (
            "foreign-key-column",
            "constraint_name = 'fk_boxes_toy'",
            "sqlalchemy.exc.OperationalError: (MySQLdb.OperationalError) (3780, \"Referencing column 'toy' and referenced column 'id' in foreign key constraint 'fk_boxes_toy' are incompatible.\")\n[SQL: ALTER TABLE toys MODIFY id VARCHAR(20) NOT NULL]\n",
        ),
        (
            "foreign-key-types",
            "column toy of table boxes to toys.id",
            "sqlalchemy.exc.OperationalError: (MySQLdb.OperationalError) (3780, \"Referencing column 'toy' and referenced column 'id' in foreign key constraint 'fk_boxes_toy' are incompatible.\")\n[SQL: ALTER TABLE boxes ADD CONSTRAINT fk_boxes_toy FOREIGN KEY(toy) REFERENCES toys (id)]\n",
        ),
        // What is near and something else.
        (
            "cast-missing",
            "the default of column state",
            "psycopg2.errors.DatatypeMismatch: default for column \"state\" cannot be cast automatically to type mood\n[SQL: ALTER TABLE pets ALTER COLUMN state TYPE mood USING state::mood]\n",
        ),
        (
            "already-exists",
            "pg_type_typname_nsp_index",
            "psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint \"pg_type_typname_nsp_index\"\n[SQL: CREATE TYPE mood AS ENUM ('a')]\n",
        ),
        (
            "duplicate-values",
            "an INSERT of the step",
            "psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint \"users_pkey\"\n[SQL: INSERT INTO users (id) VALUES (1)]\n",
        ),
        (
            "object-missing",
            "nope",
            "psycopg2.errors.UndefinedObject: collation \"nope\" for encoding \"UTF8\" does not exist\n[SQL: ALTER TABLE t ALTER COLUMN c TYPE text COLLATE nope]\n",
        ),
    ] {
        let told = diagnose(text, &DiagnosisContext::default());
        assert_eq!(told.code, code, "{text}\n{told:#?}");
        assert!(said(text).contains(says), "{says}\n{text}\n{told:#?}");
    }
}

/// Turns red if a rule takes more than it is sure of.
#[test]
fn a_sentence_that_only_looks_like_a_servers_is_left_alone() {
    for text in [
        "ERROR: Cannot connect to the Docker daemon. Is the docker daemon running?",
        "ERROR: could not open requirements.txt",
        "ERROR: No matching distribution found for psycopg2",
        "ERROR: failed to solve: connection refused",
        "ERROR: relation to the customer is unclear",
        "ERROR: value 7 of the form is out of range",
        "INFO retrying after (SQLSTATE 40001)",
        "DEBUG ignored: ERROR: deadlock detected (SQLSTATE 40P01)",
        "WARN  pq: relation \"x\" does not exist",
        "Error: pq: the printer queue is empty",
        "psycopg2.errors.DatatypeMismatch: column \"a\" is of type integer but expression is of type text\n[SQL: UPDATE t SET a = 'x'::text]",
        "psycopg2.errors.ObjectInUse: database \"app\" is being accessed by other users",
        "psycopg2.errors.ActiveSqlTransaction: SET TRANSACTION ISOLATION LEVEL must be called before any query",
        "pymysql.err.OperationalError: (1290, 'The MySQL server is running with the --secure-file-priv option so it cannot execute this statement')",
        "psycopg2.errors.SerializationFailure: could not serialize access due to concurrent update",
        "TypeError: downgrade() missing 1 required positional argument: 'tenant'",
        "ValueError: Constraint must be satisfied",
        "NotImplementedError: No generic solution",
    ] {
        let told = diagnose(text, &DiagnosisContext::default());
        assert_eq!(told.code, OTHER, "{text}\n{told:#?}");
    }
}

/// Turns red if the schema before the step is not asked whether the object was there.
#[test]
fn the_schema_before_the_step_tells_who_made_and_who_removed_it() {
    let made = "psycopg2.errors.DuplicateTable: relation \"notes\" already exists\n[SQL: CREATE TABLE notes (id integer)]";
    let gone =
        "psycopg2.errors.UndefinedTable: table \"notes\" does not exist\n[SQL: DROP TABLE notes]";
    let mood = "psycopg2.errors.DuplicateObject: type \"mood\" already exists\n[SQL: CREATE TYPE mood AS ENUM ('a')]";
    let with: SchemaLines = [
        "table public.notes".to_owned(),
        "type public.mood enum ('a')".to_owned(),
    ]
    .into();
    let without: SchemaLines = ["table public.pets".to_owned()].into();
    let of =
        |before: &SchemaLines, made_by: Vec<Culprit>, dropped_by: Vec<Culprit>| DiagnosisContext {
            revision: Some("b1".to_owned()),
            state: Some(DatabaseState::Unchanged),
            before: Some(before.clone()),
            made_by,
            dropped_by,
            ..DiagnosisContext::default()
        };
    let notes = || Subject::Table(TableName::plain("notes"));
    let own = |object: Subject| vec![culprit(object, "b1", 17)];
    let other = |object: Subject| vec![culprit(object, "c3", 40)];
    for (text, known, cause) in [
        (
            made,
            of(&with, vec![], vec![]),
            "notes existed already before this step",
        ),
        (
            made,
            of(&with, other(notes()), vec![]),
            "notes exists already: revision c3 at c3.py:40 made it",
        ),
        (
            made,
            of(&without, vec![], vec![]),
            "notes did not exist before this step, and exists when the step makes it",
        ),
        (
            made,
            of(&without, own(notes()), vec![]),
            "the step itself makes notes at b1.py:17, and then makes it again",
        ),
        (
            mood,
            of(&with, vec![], vec![]),
            "mood existed already before this step",
        ),
        (
            mood,
            of(
                &without,
                own(Subject::Type(TableName::plain("mood"))),
                vec![],
            ),
            "the step itself makes mood at b1.py:17, and then makes it again",
        ),
        // Not every type has a line, so that nothing is known of it.
        (mood, of(&without, vec![], vec![]), "mood exists already"),
        (
            gone,
            of(&without, vec![], vec![]),
            "table notes does not exist",
        ),
        (
            gone,
            of(&without, vec![], other(notes())),
            "table notes does not exist: revision c3 at c3.py:40 removed it",
        ),
        (
            gone,
            of(&with, vec![], vec![]),
            "table notes existed before this step, and does not when the step needs it",
        ),
        (
            gone,
            of(&with, vec![], own(notes())),
            "the step itself removes table notes at b1.py:17, and needs it afterwards",
        ),
    ] {
        let told = diagnose(text, &known);
        assert_eq!(told.cause, cause, "{text}");
        assert!(!told.meaning.contains("by hand"), "{told:#?}");
    }
}

/// Turns red if the first finding of the plan is blamed whatever object the error is about.
#[test]
fn a_revision_is_blamed_for_its_own_object_only() {
    let tables = |name: &str| Subject::Table(TableName::plain(name));
    let index = Subject::Index(Some(TableName::plain("notes")), "ix_notes".to_owned());
    let known = DiagnosisContext {
        dropped_by: vec![
            culprit(tables("tags"), "c3", 40),
            culprit(column("pets", "body"), "d4", 12),
            culprit(column("notes", "body"), "e5", 30),
            culprit(index, "f6", 7),
        ],
        made_by: vec![
            culprit(tables("tags"), "c3", 41),
            culprit(tables("notes"), "d4", 13),
        ],
        ..DiagnosisContext::default()
    };
    for (text, cause) in [
        (
            "psycopg2.errors.UndefinedTable: table \"notes\" does not exist",
            "table notes does not exist",
        ),
        (
            "psycopg2.errors.UndefinedTable: table \"public.tags\" does not exist",
            "table public.tags does not exist: revision c3 at c3.py:40 removed it",
        ),
        (
            "psycopg2.errors.UndefinedColumn: column \"body\" of relation \"notes\" does not exist",
            "column body does not exist: revision e5 at e5.py:30 removed it",
        ),
        (
            "psycopg2.errors.UndefinedColumn: column \"tags\" of relation \"notes\" does not exist",
            "column tags does not exist",
        ),
        (
            "psycopg2.errors.UndefinedObject: index \"ix_notes\" does not exist\n[SQL: DROP INDEX ix_notes]",
            "index ix_notes does not exist: revision f6 at f6.py:7 removed it",
        ),
        (
            "psycopg2.errors.DuplicateTable: relation \"notes\" already exists",
            "notes exists already: revision d4 at d4.py:13 made it",
        ),
    ] {
        assert_eq!(diagnose(text, &known).cause, cause, "{text}");
    }
}
