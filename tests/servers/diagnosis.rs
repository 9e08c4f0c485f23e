//! Each entry of the catalogue of failures, brought about by a real Alembic on a real server.

use std::collections::BTreeSet;

use error_diagnosis::{self, DiagnosisContext};

use crate::project::Project;
use crate::rules::{BASE, BOTH, EVERY, LITE, MARIA, PG};
use crate::support::{Kind, Server, TestDatabase};

/// One migration above [`BASE`], and what is said of its downgrade.
#[derive(Clone, Copy)]
struct Case {
    code: &'static str,
    kinds: &'static [Kind],
    upgrade: &'static str,
    downgrade: &'static str,
    /// What stands in the cause or in what to do.
    says: &'static [&'static str],
}

/// Code, downgrade, the same for MySQL, and what MySQL's error says more or less of than MariaDB's.
const ON_MYSQL: [(&str, &str, &str, &[&str]); 3] = [
    (
        "index-needed",
        DROP_TOY,
        DROP_TOY,
        &[
            "toy is needed by foreign key fk_boxes_toy",
            "ALTER TABLE boxes DROP FOREIGN KEY fk_boxes_toy;",
        ],
    ),
    (
        "foreign-key-column",
        CHANGE_TOYS,
        CHANGE_TOYS,
        &["column id of table toys", "constraint_name = 'fk_boxes_toy'"],
    ),
    (
        "statement-timeout",
        SLOW,
        "op.execute('SET max_execution_time = 50')
op.execute('SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c')",
        &["max_execution_time"],
    ),
];

const DROP_TOY: &str = "op.drop_column('boxes', 'toy')";
const CHANGE_TOYS: &str = "op.alter_column('toys', 'id', type_=sa.String(20), existing_type=sa.Integer(), existing_nullable=False)";
const SLOW: &str = "op.execute('SET max_statement_time = 0.05')
op.execute('SELECT SLEEP(5)')";

impl Case {
    fn on(&self, kind: Kind) -> Self {
        let other = ON_MYSQL
            .iter()
            .find(|(code, downgrade, ..)| (*code, *downgrade) == (self.code, self.downgrade))
            .filter(|_| kind.is_mysql());
        match other {
            Some((_, _, downgrade, says)) => Self {
                downgrade,
                says,
                ..*self
            },
            None => *self,
        }
    }
}

const KEY: &str = "op.create_table('toys', sa.Column('id', sa.Integer(), primary_key=True))
op.create_table('boxes', sa.Column('id', sa.Integer(), primary_key=True), \
 sa.Column('toy', sa.Integer(), sa.ForeignKey('toys.id', name='fk_boxes_toy')))
op.execute('INSERT INTO toys (id) VALUES (1)')
op.execute('INSERT INTO boxes (id, toy) VALUES (1, 1)')";

/// A second connection to the same database.
const OTHER: &str = "def other(**changes):
    url = op.get_bind().engine.url.set(**changes)
    return sa.create_engine(url).connect()
";

/// Two connections that wait for each other. The other one has more to lose, and PostgreSQL has looked for a
/// deadlock on its behalf before there is one, so that it is the step that fails.
const DEADLOCK: &str = "import threading, time
second = other()
second.execute(sa.text('UPDATE owners SET code = code + 1'))
op.execute('UPDATE pets SET age = 1 WHERE id = 1')
def wait():
    try:
        second.execute(sa.text('UPDATE pets SET age = 2 WHERE id = 1'))
        time.sleep(1)
    finally:
        second.close()
thread = threading.Thread(target=wait, daemon=True)
thread.start()
time.sleep(3)
op.execute('UPDATE owners SET code = 7 WHERE id = 1')";

/// The cases: the code of each, its servers, the body of the upgrade if there is one, that of the downgrade, and what is
/// said of it.
macro_rules! cases {
    ($($code:literal $kinds:ident $(up $up:tt)? down $down:tt says $($says:literal)+;)+) => {
        const CASES: &[Case] = &[$(Case {
            code: $code,
            kinds: $kinds,
            upgrade: [$($up,)? "pass"][0],
            downgrade: $down,
            says: &[$($says),+],
        }),+];
    };
}

cases! {
    // Rows that do not fit.
    "value-too-long" BOTH up "op.execute(\"UPDATE pets SET name = 'a long name' WHERE id = 1\")"
        down "op.alter_column('pets', 'name', type_=sa.String(5), existing_type=sa.String(20))"
        says "column name of table pets is longer than the 5 characters"
            "SELECT * FROM pets WHERE char_length(name) > 5;";
    "value-too-long" MARIA down "op.execute(\"UPDATE pets SET name = REPEAT('x', 30) WHERE id = 1\")"
        says "an UPDATE of the step at tested.py:" "column name of table pets";
    "value-truncated" MARIA
        down "op.alter_column('pets', 'name', type_=sa.Enum('a', 'b'), existing_type=sa.String(20))"
        says "column name of table pets does not fit" "SELECT name, count(*) FROM pets GROUP BY name;";
    "value-out-of-range" BOTH up "op.execute('UPDATE pets SET age = 70000 WHERE id = 1')"
        down "op.alter_column('pets', 'age', type_=sa.SmallInteger(), existing_type=sa.Integer())"
        says "column age of table pets" "SELECT min(age), max(age) FROM pets;";
    "cast-missing" PG down "op.alter_column('pets', 'name', type_=sa.Integer())"
        says "column name of table pets into INTEGER" "postgresql_using='name::INTEGER'";
    "cast-failed" PG down "op.alter_column('pets', 'name', type_=sa.Integer(), postgresql_using='name::integer')"
        says "column name of table pets" "SELECT name, count(*) FROM pets GROUP BY name;";
    "cast-failed" MARIA down "op.alter_column('pets', 'name', type_=sa.Integer(), existing_type=sa.String(20))"
        says "column name of table pets" "SELECT name, count(*) FROM pets GROUP BY name;";
    "null-in-column" PG up "op.execute('UPDATE pets SET age = NULL WHERE id = 1')"
        down "op.alter_column('pets', 'age', nullable=False)"
        says "column age of table pets" "SELECT * FROM pets WHERE age IS NULL;"
            "UPDATE pets SET age = ... WHERE age IS NULL;";
    "null-in-column" MARIA down "op.execute('UPDATE pets SET id = NULL WHERE id = 1')"
        says "an UPDATE of the step at tested.py:" "in table pets";
    "null-in-column" LITE up "op.execute('UPDATE pets SET age = NULL WHERE id = 1')"
        down "with op.batch_alter_table('pets') as batch:
    batch.alter_column('age', nullable=False, existing_type=sa.Integer())"
        says "column age of table pets" "SELECT * FROM pets WHERE age IS NULL;";
    "duplicate-values" EVERY up "op.execute('UPDATE pets SET owner = 1, age = 2')"
        down "with op.batch_alter_table('pets') as batch:
    batch.create_unique_constraint('uq_pets', ['owner', 'age'])"
        says "rows of table pets have the same owner, age"
            "SELECT owner, age, count(*) FROM pets GROUP BY owner, age HAVING count(*) > 1;";
    "duplicate-values" BOTH up "op.execute(\"UPDATE pets SET name = 'x'\")"
        down "op.create_index('ix_names', 'pets', ['name'], unique=True)"
        says "SELECT name, count(*) FROM pets GROUP BY name HAVING count(*) > 1;";
    "still-referenced" BOTH up KEY down "op.execute('DELETE FROM toys')"
        says "rows of table toys" "by table boxes" "fk_boxes_toy";
    "still-referenced" MARIA up KEY down "op.drop_table('toys')" says "table toys cannot go";
    "orphaned-rows" BOTH up "op.execute('UPDATE pets SET owner = 9 WHERE id = 1')"
        down "op.create_foreign_key('fk_owner', 'pets', 'owners', ['owner'], ['id'])"
        says "rows of table pets refer to rows of table owners"
            "SELECT c.* FROM pets c LEFT JOIN owners p ON c.owner = p.id \
             WHERE c.owner IS NOT NULL AND p.id IS NULL;";
    "orphaned-rows" LITE up KEY
        down "op.execute('PRAGMA foreign_keys = ON')
op.execute('INSERT INTO boxes (id, toy) VALUES (2, 2)')"
        says "an INSERT of the step at tested.py:" "in table boxes";
    "still-referenced" LITE up KEY
        down "op.get_bind().exec_driver_sql('PRAGMA foreign_keys = ON')
op.drop_table('toys')"
        says "table toys cannot go" "pragma_foreign_key_list" "'toys'";
    "check-violated" EVERY up "op.execute('UPDATE pets SET age = 300 WHERE id > 1')"
        down "with op.batch_alter_table('pets') as batch:
    batch.create_check_constraint('ck_age', 'age < 100')"
        says "rows of table pets break the condition ck_age";
    "check-violated" BOTH up "op.execute('UPDATE pets SET age = 300 WHERE id > 1')"
        down "op.create_check_constraint('ck_age', 'pets', 'age < 100')"
        says "SELECT * FROM pets WHERE NOT (age < 100);";
    "exclusion-violated" PG up "op.execute('UPDATE pets SET age = 3')"
        down "op.execute('ALTER TABLE pets ADD CONSTRAINT ex_age EXCLUDE USING btree (age WITH =)')"
        says "table pets" "ex_age";
    // Objects.
    "batch-leftover" LITE up "op.execute('CREATE TABLE _alembic_tmp_pets (id INTEGER)')"
        down "with op.batch_alter_table('pets') as batch:
    batch.alter_column('age', nullable=False, existing_type=sa.Integer())"
        says "SELECT count(*) FROM pets;" "DROP TABLE _alembic_tmp_pets;";
    "already-exists" EVERY down "op.create_table('owners', sa.Column('id', sa.Integer()))"
        says "owners exists already";
    "already-exists" EVERY down "op.add_column('pets', sa.Column('age', sa.Integer()))" says "age exists already";
    "already-exists" EVERY down "op.create_index('ix_pets_name', 'pets', ['name'])" says "ix_pets_name exists already";
    "already-exists" PG up "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")"
        down "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")" says "mood exists already";
    "objects-depend" PG
        up "op.execute('CREATE VIEW ages AS SELECT id, age FROM pets')
op.execute('CREATE MATERIALIZED VIEW old AS SELECT age FROM pets')"
        down "op.drop_column('pets', 'age')"
        says "view ages and materialized view old depend on column age of table pets" "DROP VIEW ages;";
    "objects-depend" PG up "op.execute('CREATE VIEW ages AS SELECT id, age FROM pets')"
        down "op.alter_column('pets', 'age', type_=sa.BigInteger())" says "ages" "column age";
    "objects-depend" LITE up "op.execute('CREATE VIEW ages AS SELECT id, age FROM pets')"
        down "op.drop_column('pets', 'age')" says "view ages uses what the step removes" "DROP VIEW ages;";
    "objects-depend" LITE down "op.drop_column('pets', 'name')" says "index ix_pets_name" "DROP INDEX ix_pets_name;";
    "index-needed" MARIA up KEY down "op.drop_index('fk_boxes_toy', 'boxes')"
        says "fk_boxes_toy is needed by a foreign key" "SHOW CREATE TABLE boxes;";
    "index-needed" MARIA up KEY down DROP_TOY says "SHOW CREATE TABLE boxes;";
    "table-missing" EVERY down "op.drop_table('nope')" says "table nope does not exist";
    "table-missing" EVERY down "op.execute('UPDATE nope SET id = 1')" says "table nope does not exist";
    "column-missing" EVERY down "op.drop_column('pets', 'nope')" says "column nope of table pets does not exist";
    "column-missing" EVERY down "op.execute('UPDATE pets SET nope = 1')"
        says "column nope of table pets does not exist";
    "column-missing" LITE
        down "with op.batch_alter_table('pets') as batch:
    batch.drop_column('nope')"
        says "column nope does not exist";
    "index-missing" EVERY down "op.drop_index('ix_nope', 'pets')" says "index ix_nope";
    "constraint-missing" EVERY
        down "with op.batch_alter_table('pets') as batch:
    batch.drop_constraint('fk_nope', type_='foreignkey')"
        says "constraint fk_nope";
    "type-missing" PG down "op.execute('DROP TYPE nope')" says "type nope does not exist";
    "type-missing" PG down "op.execute('ALTER TABLE pets ALTER COLUMN age TYPE nope USING NULL')" says "type nope";
    "object-missing" EVERY
        down "op.execute('DROP TRIGGER nope ON pets' \
 if op.get_bind().dialect.name == 'postgresql' else 'DROP TRIGGER nope')"
        says "nope";
    "object-missing" PG down "op.execute('DROP FUNCTION nope()')" says "nope";
    "sqlite-alter" LITE down "op.create_check_constraint('ck_age', 'pets', 'age < 100')" says "batch_alter_table";
    "sqlite-alter" LITE down "op.alter_column('pets', 'age', type_=sa.BigInteger())"
        says "op.batch_alter_table(\"pets\")";
    "not-null-without-default" LITE down "op.add_column('pets', sa.Column('chip', sa.Integer(), nullable=False))"
        says "table pets" "server_default";
    "sql-syntax" EVERY down "op.execute('SELEC 1')" says "SELEC";
    "several-statements" LITE down "op.get_bind().exec_driver_sql('SELECT 1; SELECT 2')" says "one at a time";
    "types-differ" PG down "op.execute(\"SELECT 1 = 'a'::text\")" says "integer = text";
    "auto-increment-key" MARIA up KEY down "op.execute('ALTER TABLE toys DROP PRIMARY KEY')" says "table toys";
    "foreign-key-column" MARIA up KEY
        down "op.alter_column('boxes', 'toy', type_=sa.String(20), existing_type=sa.Integer())"
        says "column toy of table boxes" "ALTER TABLE boxes DROP FOREIGN KEY fk_boxes_toy;";
    "foreign-key-column" MARIA up KEY down CHANGE_TOYS
        says "column id of table toys" "ALTER TABLE boxes DROP FOREIGN KEY fk_boxes_toy;";
    "foreign-key-types" PG down "op.create_foreign_key('fk_name', 'pets', 'owners', ['name'], ['id'])"
        says "column name of table pets to owners.id";
    "referenced-not-unique" PG down "op.create_foreign_key('fk_code', 'pets', 'owners', ['age'], ['code'])"
        says "table owners has no unique key over code" "ALTER TABLE owners ADD UNIQUE (code);";
    "constraint-unnamed" BOTH down "op.drop_constraint(None, 'pets', type_='unique')"
        says "at tested.py:" "in place of None";
    "constraint-type-missing" MARIA down "op.drop_constraint('uq_pets', 'pets')"
        says "at tested.py:" "type_=\"foreignkey\"";
    // What the step writes itself is not the fault of rows.
    "duplicate-values" EVERY down "op.execute('INSERT INTO owners (id) VALUES (1)')"
        says "an INSERT of the step at tested.py:" "in table owners";
    "null-in-column" BOTH
        down "op.execute('INSERT INTO owners (id) VALUES (NULL)')
op.execute('UPDATE owners SET id = NULL')"
        says "of the step at tested.py:" "in table owners";
    "value-too-long" BOTH down "op.execute(\"UPDATE pets SET name = '\" + 'x' * 300 + \"'\")"
        says "an UPDATE of the step at tested.py:" "pets";
    // The version table.
    "version-row-not-one" EVERY down "op.execute('DELETE FROM alembic_version')"
        says "table alembic_version had no row tested";
    "version-row-not-one" EVERY
        down "op.execute('DROP TABLE alembic_version')
op.execute('CREATE TABLE alembic_version (version_num VARCHAR(32))')
op.execute(\"INSERT INTO alembic_version VALUES ('tested'), ('tested'), ('tested')\")"
        says "table alembic_version has the row tested 3 times"
            "INSERT INTO alembic_version (version_num) VALUES ('tested');";
    "version-row-not-one" EVERY down "op.execute(\"INSERT INTO alembic_version (version_num) VALUES ('tested')\")"
        says "has the row of this revision already" "another process";
    "revision-id-too-long" BOTH down "op.execute(\"UPDATE alembic_version SET version_num='\" + 'x' * 40 + \"'\")"
        says "32 characters of alembic_version.version_num" "VARCHAR(255)";
    // Somebody else.
    "lock-timeout" PG
        down "second = other()
second.execute(sa.text('LOCK TABLE pets'))
op.execute(\"SET lock_timeout = '100ms'\")
op.drop_column('pets', 'age')"
        says "a lock of table pets" "pg_stat_activity";
    "lock-timeout" MARIA
        down "second = other()
second.execute(sa.text('UPDATE pets SET age = 1'))
op.execute('SET innodb_lock_wait_timeout = 1')
op.execute('UPDATE pets SET age = 2')"
        says "a lock of table pets" "SHOW FULL PROCESSLIST;";
    "deadlock" BOTH down DEADLOCK says "waited for each other";
    "database-locked" LITE
        down "import sqlite3
second = sqlite3.connect(op.get_bind().engine.url.database, isolation_level=None)
second.execute('BEGIN EXCLUSIVE')
try:
    sa.create_engine(op.get_bind().engine.url, connect_args={'timeout': 0.1}) \\
        .connect().execute(sa.text('UPDATE pets SET age = 1'))
finally:
    second.execute('ROLLBACK')"
        says "another process" "fuser";
    "statement-timeout" PG
        down "op.execute(\"SET statement_timeout = '50ms'\")
op.execute('SELECT pg_sleep(5)')"
        says "took longer than statement_timeout" "SHOW statement_timeout;";
    "statement-timeout" MARIA down SLOW says "max_statement_time";
    "statement-cancelled" PG down "op.execute('SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)')"
        says "somebody cancelled";
    "statement-cancelled" MARIA down "op.execute('KILL QUERY CONNECTION_ID()')" says "somebody cancelled";
    "pooled-statements" PG down "op.execute('EXECUTE prepared_elsewhere')" says "a pooler" "past the pooler";
    // The connection.
    "login-refused" BOTH down "other(password='wrong')" says "refused the login of user rollback";
    "no-such-database" BOTH down "other(database='no_such')" says "no database no_such";
    "server-unreachable" BOTH down "other(port=1)" says "no server answers at 127.0.0.1";
    "server-unreachable" BOTH down "other(host='no.such.invalid')" says "no.such.invalid";
    "too-many-connections" PG
        down "op.execute(\"CREATE ROLE crowd LOGIN PASSWORD 'x' CONNECTION LIMIT 0\")
op.execute('COMMIT')
other(username='crowd', password='x')"
        says "no connection left" "pg_stat_activity";
    "too-many-connections" MARIA
        down "op.execute(\"CREATE USER crowd@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1\")
op.execute(\"GRANT SELECT ON *.* TO crowd@'%'\")
first = other(username='crowd', password='x', database=None)
other(username='crowd', password='x', database=None)"
        says "no connection left" "SHOW FULL PROCESSLIST;";
    "connection-lost" PG down "op.execute('SELECT pg_terminate_backend(pg_backend_pid())')"
        says "the connection to the server broke";
    "connection-lost" MARIA
        down "mine = op.get_bind().execute(sa.text('SELECT CONNECTION_ID()')).scalar()
other().execute(sa.text(f'KILL {mine}'))
op.execute('SELECT 1')"
        says "the connection to the server broke";
    "no-database-file" LITE down "sa.create_engine('sqlite:////no/such/app.db').connect()" says "cannot be opened";
    // The server.
    "disk-full" MARIA
        down "op.execute('SET max_heap_table_size = 16384')
op.execute('CREATE TABLE small (t CHAR(200)) ENGINE = MEMORY')
op.execute(\"INSERT INTO small SELECT REPEAT('x', 200) FROM information_schema.columns\")"
        says "table small is full";
    "disk-full" LITE
        down "op.execute('PRAGMA max_page_count = 1')
op.execute('CREATE TABLE large AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999) \
 SELECT i FROM n')"
        says "the SQLite file is full" "PRAGMA max_page_count;";
    "out-of-memory" PG down "op.execute('SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000000) n')"
        says "no room for further locks" "max_locks_per_transaction";
    "read-only" PG
        down "op.execute('SET transaction_read_only = on')
op.execute('UPDATE pets SET age = 1')"
        says "takes no changes" "pg_is_in_recovery()";
    "read-only" MARIA
        down "op.execute('START TRANSACTION READ ONLY')
op.execute('UPDATE pets SET age = 1')"
        says "takes no changes" "read_only";
    "read-only" LITE
        down "op.execute('PRAGMA query_only = 1')
op.execute('UPDATE pets SET age = 1')"
        says "takes no changes" "ls -ld";
    "permission-denied" PG up "op.execute('CREATE ROLE guest')"
        down "op.execute('SET ROLE guest')
op.drop_table('pets')"
        says "does not own pets" "ALTER TABLE pets OWNER TO";
    "permission-denied" PG up "op.execute('CREATE ROLE reader')"
        down "op.execute('SET ROLE reader')
op.execute('DELETE FROM pets')"
        says "may not do this with pets";
    "permission-denied" MARIA
        up "op.execute(\"CREATE USER guest@'%' IDENTIFIED BY 'x'\")
op.execute(f'GRANT SELECT ON {op.get_bind().engine.url.database}.owners TO guest')"
        down "other(username='guest', password='x').execute(sa.text('DROP TABLE pets'))"
        says "user 'guest'@" "may not DROP on";
    "not-in-transaction" PG down "op.execute('CREATE INDEX CONCURRENTLY ix_age ON pets (age)')"
        says "CREATE INDEX CONCURRENTLY cannot run" "autocommit_block";
    "new-enum-value" PG
        up "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")
op.execute('ALTER TABLE pets ADD COLUMN mood mood')"
        down "op.execute(\"ALTER TYPE mood ADD VALUE 'glad'\")
op.execute(\"UPDATE pets SET mood = 'glad'\")"
        says "glad of enum" "mood" "autocommit_block";
    "object-in-use" PG
        up "op.execute('ALTER TABLE pets ADD CONSTRAINT fk_owner FOREIGN KEY (owner) \
 REFERENCES owners (id) DEFERRABLE INITIALLY DEFERRED')"
        down "op.execute('UPDATE pets SET owner = 2')
op.drop_column('pets', 'age')"
        says "table pets" "SET CONSTRAINTS ALL IMMEDIATE";
    "transaction-aborted" PG
        down "try:
    op.execute('DROP TABLE nope')
except Exception:
    pass
op.execute('SELECT 1')"
        says "an earlier statement of this transaction failed" "begin_nested";
    // What only follows from the first error lets that one speak.
    "table-missing" PG
        down "try:
    op.execute('DROP TABLE nope')
except Exception:
    op.execute('SELECT 1')
    raise"
        says "table nope does not exist";
    // What was given as the cause is the cause, whatever it is wrapped in.
    "table-missing" EVERY
        down "try:
    op.execute('DROP TABLE nope')
except Exception as error:
    raise_from(error)"
        says "table nope does not exist";
    // What was handled is not.
    "other" EVERY
        down "try:
    op.execute('DROP TABLE nope')
except Exception:
    {}.missing"
        says "AttributeError: 'dict' object has no attribute 'missing'";
    "other" PG down "op.execute('SELECT 1 / 0')" says "division by zero";
    "other" EVERY down "{}['deadlock detected: permission denied']" says "KeyError";
    "database-damaged" LITE
        down "path = op.get_bind().engine.url.database + '.torn'
open(path, 'w').write('no database ' * 1000)
sa.create_engine('sqlite:///' + path).connect().execute(sa.text('SELECT * FROM sqlite_master'))"
        says "file is not a database" "integrity_check";
    // The migration.
    "migration-refuses" EVERY down "raise NotImplementedError('the names cannot be restored')"
        says "at tested.py:" "the names cannot be restored";
    "migration-refuses" LITE
        down "if True:
    raise RuntimeError('there are invoices: deadlock detected')"
        says "there are invoices";
    "import-error" LITE down "import no_such_module" says "no module no_such_module";
    "name-not-defined" LITE down "sqlmodel.sql.sqltypes.AutoString()"
        says "sqlmodel is used at tested.py:" "`import sqlmodel`";
}

/// Proven by the command line: no server has a part in them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ambiguous-walk", include_str!("../cli/explain.rs")),
    ("configuration-broken", include_str!("../cli/explain.rs")),
    ("configuration-missing", include_str!("../cli/explain.rs")),
    ("database-url", include_str!("../cli/explain.rs")),
    // Without a driver, an application or a tool here that says it.
    (
        "decryption-key",
        include_str!("../../crates/diagnosis/src/tests.rs"),
    ),
    (
        "history-differs",
        include_str!("../../crates/diagnosis/src/tests.rs"),
    ),
    (
        "standby-conflict",
        include_str!("../../crates/diagnosis/src/tests.rs"),
    ),
    ("environment-variable", include_str!("../cli/explain.rs")),
    ("no-downgrade", include_str!("../cli/explain.rs")),
    ("no-flask-application", include_str!("../cli/explain.rs")),
    ("not-up-to-date", include_str!("../cli/explain.rs")),
    (
        "several-databases-template",
        include_str!("../cli/explain.rs"),
    ),
    (
        "transaction-already-open",
        include_str!("../cli/explain.rs"),
    ),
    ("not-offline", include_str!("../cli/explain.rs")),
    ("overlapping-rows", include_str!("../cli/explain.rs")),
    ("python-syntax", include_str!("../cli/explain.rs")),
    ("revision-cycle", include_str!("../cli/explain.rs")),
    ("revision-missing", include_str!("../cli/explain.rs")),
    ("several-heads", include_str!("../cli/explain.rs")),
    ("target-not-below", include_str!("../cli/explain.rs")),
    ("unknown-option", include_str!("../cli/explain.rs")),
    ("x-argument", include_str!("../cli/explain.rs")),
];

/// Turns red if an entry of the catalogue has never been seen.
#[test]
fn no_diagnosis_is_without_a_run() {
    let mut run: BTreeSet<&str> = CASES.iter().map(|case| case.code).collect();
    assert!(run.remove(error_diagnosis::OTHER));
    for (code, text) in ELSEWHERE {
        assert!(text.contains(&format!("\"{code}\"")), "{code}");
        assert!(run.insert(code), "{code} is here");
    }
    let rows = error_diagnosis::rows();
    let codes: BTreeSet<&str> = rows.iter().map(|row| row.code).collect();
    assert_eq!(codes.len(), rows.len(), "a code stands twice");
    assert_eq!(run, codes);
}

fn indented(body: &str) -> String {
    body.lines().map(|line| format!("    {line}\n")).collect()
}

fn project(case: &Case, database: &TestDatabase<'_>) -> Project {
    let project = Project::alembic("linear").env("DATABASE_URL", database.url());
    for file in project.files() {
        if file.starts_with("migrations/versions") {
            std::fs::remove_file(project.root().join(file)).unwrap();
        }
    }
    let tested = format!(
        "\"\"\"A step\"\"\"\nimport sqlalchemy as sa\nfrom alembic import op\n\n\
         revision = \"tested\"\ndown_revision = \"first\"\n\n\n{OTHER}\n\n\
         def raise_from(error):\n    raise RuntimeError('it did not work') from error\n\n\n\
         def upgrade():\n{}\n\ndef downgrade():\n{}",
        indented(case.upgrade),
        indented(case.downgrade)
    );
    project
        .file("migrations/versions/first.py", BASE)
        .file("migrations/versions/tested.py", tested)
}

/// Runs Alembic's own command line for every project in one process: to start it takes longer than a
/// step. What a step prints goes to a file of its project.
const RUN: &str = "
import os, sys, traceback
from alembic.config import CommandLine
for folder, url in zip(sys.argv[1::2], sys.argv[2::2]):
    os.chdir(folder)
    os.environ['DATABASE_URL'] = url
    CommandLine().main(['upgrade', 'heads'])
    with open('log.txt', 'w') as log:
        sys.stdout = sys.stderr = log
        try:
            CommandLine().main(['downgrade', '-1'])
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__";

fn each_failure_is_understood(kind: Kind) {
    // Of its own: some cases take what the whole server has.
    let server = (kind != Kind::Sqlite).then(|| Server::start(kind));
    let all: Vec<(Case, TestDatabase<'_>, Project)> = CASES
        .iter()
        .filter(|case| case.kinds.contains(&kind))
        .map(|case| {
            let case = case.on(kind);
            let database = match &server {
                Some(server) => server.create_database(),
                None => TestDatabase::create(kind),
            };
            let project = project(&case, &database);
            (case, database, project)
        })
        .collect();
    let mut words = vec!["python".to_owned(), "-c".to_owned(), RUN.to_owned()];
    for (_, database, project) in &all {
        words.extend([project.root().display().to_string(), database.url()]);
    }
    let line = shlex::try_join(words.iter().map(String::as_str)).unwrap();
    all[0].2.engine(&line);
    let mut wrong = Vec::new();
    for (case, _, project) in &all {
        let log = std::fs::read_to_string(project.root().join("log.txt")).unwrap();
        let said = error_diagnosis::diagnose(&log, &DiagnosisContext::default());
        let words = format!("{}\n{}", said.cause, said.what_to_do.join("\n"));
        let lacking: Vec<&&str> = case
            .says
            .iter()
            .filter(|part| !words.contains(**part))
            .collect();
        if said.code != case.code || !lacking.is_empty() {
            let tail: Vec<&str> = log.lines().rev().take(8).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            wrong.push(format!(
                "{} by {}\n{said:#?}\nlacks {lacking:?}\n{}",
                case.code,
                case.downgrade,
                tail.join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "on {kind:?}\n{}", wrong.join("\n\n"));
}
on_each!(each_failure_is_understood: sqlite, postgresql, mariadb);
