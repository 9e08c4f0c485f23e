//! Each entry of the catalogue of failures, brought about by a real Alembic on a real server.

use std::collections::BTreeSet;

use rollback::domain::diagnosis::{self, DiagnosisContext};

use crate::project::Project;
use crate::rules::{BASE, BOTH, EVERY, LITE, MARIA, PG};
use crate::support::{Kind, Server, TestDatabase};

/// One migration above [`BASE`], and what is said of its downgrade.
struct Case {
    code: &'static str,
    kinds: &'static [Kind],
    upgrade: &'static str,
    downgrade: &'static str,
    /// What stands in the cause or in what to do.
    says: &'static [&'static str],
}

const fn case(
    code: &'static str,
    kinds: &'static [Kind],
    upgrade: &'static str,
    downgrade: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case {
        code,
        kinds,
        upgrade,
        downgrade,
        says,
    }
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
            Some((code, _, downgrade, says)) => {
                case(code, self.kinds, self.upgrade, downgrade, says)
            }
            None => case(
                self.code,
                self.kinds,
                self.upgrade,
                self.downgrade,
                self.says,
            ),
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

const CASES: &[Case] = &[
    // Rows that do not fit.
    case(
        "value-too-long",
        BOTH,
        "op.execute(\"UPDATE pets SET name = 'a long name' WHERE id = 1\")",
        "op.alter_column('pets', 'name', type_=sa.String(5), existing_type=sa.String(20))",
        &[
            "column name of table pets is longer than the 5 characters",
            "SELECT * FROM pets WHERE char_length(name) > 5;",
        ],
    ),
    case(
        "value-too-long",
        MARIA,
        "pass",
        "op.execute(\"UPDATE pets SET name = REPEAT('x', 30) WHERE id = 1\")",
        &[
            "an UPDATE of the step at tested.py:",
            "column name of table pets",
        ],
    ),
    case(
        "value-truncated",
        MARIA,
        "pass",
        "op.alter_column('pets', 'name', type_=sa.Enum('a', 'b'), existing_type=sa.String(20))",
        &[
            "column name of table pets does not fit",
            "SELECT name, count(*) FROM pets GROUP BY name;",
        ],
    ),
    case(
        "value-out-of-range",
        BOTH,
        "op.execute('UPDATE pets SET age = 70000 WHERE id = 1')",
        "op.alter_column('pets', 'age', type_=sa.SmallInteger(), existing_type=sa.Integer())",
        &[
            "column age of table pets",
            "SELECT min(age), max(age) FROM pets;",
        ],
    ),
    case(
        "cast-missing",
        PG,
        "pass",
        "op.alter_column('pets', 'name', type_=sa.Integer())",
        &[
            "column name of table pets into INTEGER",
            "postgresql_using='name::INTEGER'",
        ],
    ),
    case(
        "cast-failed",
        PG,
        "pass",
        "op.alter_column('pets', 'name', type_=sa.Integer(), postgresql_using='name::integer')",
        &[
            "column name of table pets",
            "SELECT name, count(*) FROM pets GROUP BY name;",
        ],
    ),
    case(
        "cast-failed",
        MARIA,
        "pass",
        "op.alter_column('pets', 'name', type_=sa.Integer(), existing_type=sa.String(20))",
        &[
            "column name of table pets",
            "SELECT name, count(*) FROM pets GROUP BY name;",
        ],
    ),
    case(
        "null-in-column",
        PG,
        "op.execute('UPDATE pets SET age = NULL WHERE id = 1')",
        "op.alter_column('pets', 'age', nullable=False)",
        &[
            "column age of table pets",
            "SELECT * FROM pets WHERE age IS NULL;",
            "UPDATE pets SET age = ... WHERE age IS NULL;",
        ],
    ),
    case(
        "null-in-column",
        MARIA,
        "pass",
        "op.execute('UPDATE pets SET id = NULL WHERE id = 1')",
        &["an UPDATE of the step at tested.py:", "in table pets"],
    ),
    case(
        "null-in-column",
        LITE,
        "op.execute('UPDATE pets SET age = NULL WHERE id = 1')",
        "with op.batch_alter_table('pets') as batch:
    batch.alter_column('age', nullable=False, existing_type=sa.Integer())",
        &[
            "column age of table pets",
            "SELECT * FROM pets WHERE age IS NULL;",
        ],
    ),
    case(
        "duplicate-values",
        EVERY,
        "op.execute('UPDATE pets SET owner = 1, age = 2')",
        "with op.batch_alter_table('pets') as batch:
    batch.create_unique_constraint('uq_pets', ['owner', 'age'])",
        &[
            "rows of table pets have the same owner, age",
            "SELECT owner, age, count(*) FROM pets GROUP BY owner, age HAVING count(*) > 1;",
        ],
    ),
    case(
        "duplicate-values",
        BOTH,
        "op.execute(\"UPDATE pets SET name = 'x'\")",
        "op.create_index('ix_names', 'pets', ['name'], unique=True)",
        &["SELECT name, count(*) FROM pets GROUP BY name HAVING count(*) > 1;"],
    ),
    case(
        "still-referenced",
        BOTH,
        KEY,
        "op.execute('DELETE FROM toys')",
        &["rows of table toys", "by table boxes", "fk_boxes_toy"],
    ),
    case(
        "still-referenced",
        MARIA,
        KEY,
        "op.drop_table('toys')",
        &["table toys cannot go"],
    ),
    case(
        "orphaned-rows",
        BOTH,
        "op.execute('UPDATE pets SET owner = 9 WHERE id = 1')",
        "op.create_foreign_key('fk_owner', 'pets', 'owners', ['owner'], ['id'])",
        &[
            "rows of table pets refer to rows of table owners",
            "SELECT c.* FROM pets c LEFT JOIN owners p ON c.owner = p.id \
             WHERE c.owner IS NOT NULL AND p.id IS NULL;",
        ],
    ),
    case(
        "orphaned-rows",
        LITE,
        KEY,
        "op.execute('PRAGMA foreign_keys = ON')
op.execute('INSERT INTO boxes (id, toy) VALUES (2, 2)')",
        &["an INSERT of the step at tested.py:", "in table boxes"],
    ),
    case(
        "still-referenced",
        LITE,
        KEY,
        "op.get_bind().exec_driver_sql('PRAGMA foreign_keys = ON')
op.drop_table('toys')",
        &["table toys cannot go", "pragma_foreign_key_list", "'toys'"],
    ),
    case(
        "check-violated",
        EVERY,
        "op.execute('UPDATE pets SET age = 300 WHERE id > 1')",
        "with op.batch_alter_table('pets') as batch:
    batch.create_check_constraint('ck_age', 'age < 100')",
        &["rows of table pets break the condition ck_age"],
    ),
    case(
        "check-violated",
        BOTH,
        "op.execute('UPDATE pets SET age = 300 WHERE id > 1')",
        "op.create_check_constraint('ck_age', 'pets', 'age < 100')",
        &["SELECT * FROM pets WHERE NOT (age < 100);"],
    ),
    case(
        "exclusion-violated",
        PG,
        "op.execute('UPDATE pets SET age = 3')",
        "op.execute('ALTER TABLE pets ADD CONSTRAINT ex_age EXCLUDE USING btree (age WITH =)')",
        &["table pets", "ex_age"],
    ),
    // Objects.
    case(
        "batch-leftover",
        LITE,
        "op.execute('CREATE TABLE _alembic_tmp_pets (id INTEGER)')",
        "with op.batch_alter_table('pets') as batch:
    batch.alter_column('age', nullable=False, existing_type=sa.Integer())",
        &[
            "SELECT count(*) FROM pets;",
            "DROP TABLE _alembic_tmp_pets;",
        ],
    ),
    case(
        "already-exists",
        EVERY,
        "pass",
        "op.create_table('owners', sa.Column('id', sa.Integer()))",
        &["owners exists already"],
    ),
    case(
        "already-exists",
        EVERY,
        "pass",
        "op.add_column('pets', sa.Column('age', sa.Integer()))",
        &["age exists already"],
    ),
    case(
        "already-exists",
        EVERY,
        "pass",
        "op.create_index('ix_pets_name', 'pets', ['name'])",
        &["ix_pets_name exists already"],
    ),
    case(
        "already-exists",
        PG,
        "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")",
        "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")",
        &["mood exists already"],
    ),
    case(
        "objects-depend",
        PG,
        "op.execute('CREATE VIEW ages AS SELECT id, age FROM pets')
op.execute('CREATE MATERIALIZED VIEW old AS SELECT age FROM pets')",
        "op.drop_column('pets', 'age')",
        &[
            "view ages, materialized view old depend on column age of table pets",
            "DROP VIEW ages;",
        ],
    ),
    case(
        "objects-depend",
        PG,
        "op.execute('CREATE VIEW ages AS SELECT id, age FROM pets')",
        "op.alter_column('pets', 'age', type_=sa.BigInteger())",
        &["ages", "column age"],
    ),
    case(
        "objects-depend",
        LITE,
        "op.execute('CREATE VIEW ages AS SELECT id, age FROM pets')",
        "op.drop_column('pets', 'age')",
        &["view ages uses what the step removes", "DROP VIEW ages;"],
    ),
    case(
        "objects-depend",
        LITE,
        "pass",
        "op.drop_column('pets', 'name')",
        &["index ix_pets_name", "DROP INDEX ix_pets_name;"],
    ),
    case(
        "index-needed",
        MARIA,
        KEY,
        "op.drop_index('fk_boxes_toy', 'boxes')",
        &[
            "fk_boxes_toy is needed by a foreign key",
            "SHOW CREATE TABLE boxes;",
        ],
    ),
    case(
        "index-needed",
        MARIA,
        KEY,
        DROP_TOY,
        &["SHOW CREATE TABLE boxes;"],
    ),
    case(
        "table-missing",
        EVERY,
        "pass",
        "op.drop_table('nope')",
        &["table nope does not exist"],
    ),
    case(
        "table-missing",
        EVERY,
        "pass",
        "op.execute('UPDATE nope SET id = 1')",
        &["table nope does not exist"],
    ),
    case(
        "column-missing",
        EVERY,
        "pass",
        "op.drop_column('pets', 'nope')",
        &["column nope of table pets does not exist"],
    ),
    case(
        "column-missing",
        EVERY,
        "pass",
        "op.execute('UPDATE pets SET nope = 1')",
        &["column nope of table pets does not exist"],
    ),
    case(
        "column-missing",
        LITE,
        "pass",
        "with op.batch_alter_table('pets') as batch:
    batch.drop_column('nope')",
        &["column nope does not exist"],
    ),
    case(
        "index-missing",
        EVERY,
        "pass",
        "op.drop_index('ix_nope', 'pets')",
        &["index ix_nope"],
    ),
    case(
        "constraint-missing",
        EVERY,
        "pass",
        "with op.batch_alter_table('pets') as batch:
    batch.drop_constraint('fk_nope', type_='foreignkey')",
        &["constraint fk_nope"],
    ),
    case(
        "type-missing",
        PG,
        "pass",
        "op.execute('DROP TYPE nope')",
        &["type nope does not exist"],
    ),
    case(
        "type-missing",
        PG,
        "pass",
        "op.execute('ALTER TABLE pets ALTER COLUMN age TYPE nope USING NULL')",
        &["type nope"],
    ),
    case(
        "object-missing",
        EVERY,
        "pass",
        "op.execute('DROP TRIGGER nope ON pets' \
 if op.get_bind().dialect.name == 'postgresql' else 'DROP TRIGGER nope')",
        &["nope"],
    ),
    case(
        "object-missing",
        PG,
        "pass",
        "op.execute('DROP FUNCTION nope()')",
        &["nope"],
    ),
    case(
        "sqlite-alter",
        LITE,
        "pass",
        "op.create_check_constraint('ck_age', 'pets', 'age < 100')",
        &["batch_alter_table"],
    ),
    case(
        "sqlite-alter",
        LITE,
        "pass",
        "op.alter_column('pets', 'age', type_=sa.BigInteger())",
        &["op.batch_alter_table(\"pets\")"],
    ),
    case(
        "not-null-without-default",
        LITE,
        "pass",
        "op.add_column('pets', sa.Column('chip', sa.Integer(), nullable=False))",
        &["table pets", "server_default"],
    ),
    case(
        "sql-syntax",
        EVERY,
        "pass",
        "op.execute('SELEC 1')",
        &["SELEC"],
    ),
    case(
        "several-statements",
        LITE,
        "pass",
        "op.get_bind().exec_driver_sql('SELECT 1; SELECT 2')",
        &["one at a time"],
    ),
    case(
        "types-differ",
        PG,
        "pass",
        "op.execute(\"SELECT 1 = 'a'::text\")",
        &["integer = text"],
    ),
    case(
        "auto-increment-key",
        MARIA,
        KEY,
        "op.execute('ALTER TABLE toys DROP PRIMARY KEY')",
        &["table toys"],
    ),
    case(
        "foreign-key-column",
        MARIA,
        KEY,
        "op.alter_column('boxes', 'toy', type_=sa.String(20), existing_type=sa.Integer())",
        &[
            "column toy of table boxes",
            "ALTER TABLE boxes DROP FOREIGN KEY fk_boxes_toy;",
        ],
    ),
    case(
        "foreign-key-column",
        MARIA,
        KEY,
        CHANGE_TOYS,
        &[
            "column id of table toys",
            "ALTER TABLE boxes DROP FOREIGN KEY fk_boxes_toy;",
        ],
    ),
    case(
        "foreign-key-types",
        PG,
        "pass",
        "op.create_foreign_key('fk_name', 'pets', 'owners', ['name'], ['id'])",
        &["column name of table pets to owners.id"],
    ),
    case(
        "referenced-not-unique",
        PG,
        "pass",
        "op.create_foreign_key('fk_code', 'pets', 'owners', ['age'], ['code'])",
        &[
            "table owners has no unique key over code",
            "ALTER TABLE owners ADD UNIQUE (code);",
        ],
    ),
    case(
        "constraint-unnamed",
        BOTH,
        "pass",
        "op.drop_constraint(None, 'pets', type_='unique')",
        &["at tested.py:", "in place of None"],
    ),
    case(
        "constraint-type-missing",
        MARIA,
        "pass",
        "op.drop_constraint('uq_pets', 'pets')",
        &["at tested.py:", "type_=\"foreignkey\""],
    ),
    // What the step writes itself is not the fault of rows.
    case(
        "duplicate-values",
        EVERY,
        "pass",
        "op.execute('INSERT INTO owners (id) VALUES (1)')",
        &["an INSERT of the step at tested.py:", "in table owners"],
    ),
    case(
        "null-in-column",
        BOTH,
        "pass",
        "op.execute('INSERT INTO owners (id) VALUES (NULL)')
op.execute('UPDATE owners SET id = NULL')",
        &["of the step at tested.py:", "in table owners"],
    ),
    case(
        "value-too-long",
        BOTH,
        "pass",
        "op.execute(\"UPDATE pets SET name = '\" + 'x' * 300 + \"'\")",
        &["an UPDATE of the step at tested.py:", "pets"],
    ),
    // The version table.
    case(
        "version-row-not-one",
        EVERY,
        "pass",
        "op.execute('DELETE FROM alembic_version')",
        &["table alembic_version had no row tested"],
    ),
    case(
        "version-row-not-one",
        EVERY,
        "pass",
        "op.execute('DROP TABLE alembic_version')
op.execute('CREATE TABLE alembic_version (version_num VARCHAR(32))')
op.execute(\"INSERT INTO alembic_version VALUES ('tested'), ('tested'), ('tested')\")",
        &[
            "table alembic_version has the row tested 3 times",
            "INSERT INTO alembic_version (version_num) VALUES ('tested');",
        ],
    ),
    case(
        "version-row-not-one",
        EVERY,
        "pass",
        "op.execute(\"INSERT INTO alembic_version (version_num) VALUES ('tested')\")",
        &["has the row of this revision already", "another process"],
    ),
    case(
        "revision-id-too-long",
        BOTH,
        "pass",
        "op.execute(\"UPDATE alembic_version SET version_num='\" + 'x' * 40 + \"'\")",
        &[
            "32 characters of alembic_version.version_num",
            "VARCHAR(255)",
        ],
    ),
    // Somebody else.
    case(
        "lock-timeout",
        PG,
        "pass",
        "second = other()
second.execute(sa.text('LOCK TABLE pets'))
op.execute(\"SET lock_timeout = '100ms'\")
op.drop_column('pets', 'age')",
        &["a lock of table pets", "pg_stat_activity"],
    ),
    case(
        "lock-timeout",
        MARIA,
        "pass",
        "second = other()
second.execute(sa.text('UPDATE pets SET age = 1'))
op.execute('SET innodb_lock_wait_timeout = 1')
op.execute('UPDATE pets SET age = 2')",
        &["a lock of table pets", "SHOW FULL PROCESSLIST;"],
    ),
    case(
        "deadlock",
        BOTH,
        "pass",
        DEADLOCK,
        &["waited for each other"],
    ),
    case(
        "database-locked",
        LITE,
        "pass",
        "import sqlite3
second = sqlite3.connect(op.get_bind().engine.url.database, isolation_level=None)
second.execute('BEGIN EXCLUSIVE')
try:
    sa.create_engine(op.get_bind().engine.url, connect_args={'timeout': 0.1}) \\
        .connect().execute(sa.text('UPDATE pets SET age = 1'))
finally:
    second.execute('ROLLBACK')",
        &["another process", "fuser"],
    ),
    case(
        "statement-timeout",
        PG,
        "pass",
        "op.execute(\"SET statement_timeout = '50ms'\")
op.execute('SELECT pg_sleep(5)')",
        &[
            "took longer than statement_timeout",
            "SHOW statement_timeout;",
        ],
    ),
    case(
        "statement-timeout",
        MARIA,
        "pass",
        SLOW,
        &["max_statement_time"],
    ),
    case(
        "statement-cancelled",
        PG,
        "pass",
        "op.execute('SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)')",
        &["somebody cancelled"],
    ),
    case(
        "statement-cancelled",
        MARIA,
        "pass",
        "op.execute('KILL QUERY CONNECTION_ID()')",
        &["somebody cancelled"],
    ),
    case(
        "pooled-statements",
        PG,
        "pass",
        "op.execute('EXECUTE prepared_elsewhere')",
        &["a pooler", "past the pooler"],
    ),
    // The connection.
    case(
        "login-refused",
        BOTH,
        "pass",
        "other(password='wrong')",
        &["refused the login of user rollback"],
    ),
    case(
        "no-such-database",
        BOTH,
        "pass",
        "other(database='no_such')",
        &["no database no_such"],
    ),
    case(
        "server-unreachable",
        BOTH,
        "pass",
        "other(port=1)",
        &["no server answers at 127.0.0.1"],
    ),
    case(
        "server-unreachable",
        BOTH,
        "pass",
        "other(host='no.such.invalid')",
        &["no.such.invalid"],
    ),
    case(
        "too-many-connections",
        PG,
        "pass",
        "op.execute(\"CREATE ROLE crowd LOGIN PASSWORD 'x' CONNECTION LIMIT 0\")
op.execute('COMMIT')
other(username='crowd', password='x')",
        &["no connection left", "pg_stat_activity"],
    ),
    case(
        "too-many-connections",
        MARIA,
        "pass",
        "op.execute(\"CREATE USER crowd@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1\")
op.execute(\"GRANT SELECT ON *.* TO crowd@'%'\")
first = other(username='crowd', password='x', database=None)
other(username='crowd', password='x', database=None)",
        &["no connection left", "SHOW FULL PROCESSLIST;"],
    ),
    case(
        "connection-lost",
        PG,
        "pass",
        "op.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        &["the connection to the server broke"],
    ),
    case(
        "connection-lost",
        MARIA,
        "pass",
        "mine = op.get_bind().execute(sa.text('SELECT CONNECTION_ID()')).scalar()
other().execute(sa.text(f'KILL {mine}'))
op.execute('SELECT 1')",
        &["the connection to the server broke"],
    ),
    case(
        "no-database-file",
        LITE,
        "pass",
        "sa.create_engine('sqlite:////no/such/app.db').connect()",
        &["cannot be opened"],
    ),
    // The server.
    case(
        "disk-full",
        MARIA,
        "pass",
        "op.execute('SET max_heap_table_size = 16384')
op.execute('CREATE TABLE small (t CHAR(200)) ENGINE = MEMORY')
op.execute(\"INSERT INTO small SELECT REPEAT('x', 200) FROM information_schema.columns\")",
        &["table small is full"],
    ),
    case(
        "disk-full",
        LITE,
        "pass",
        "op.execute('PRAGMA max_page_count = 1')
op.execute('CREATE TABLE large AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999) \
 SELECT i FROM n')",
        &["the SQLite file is full", "PRAGMA max_page_count;"],
    ),
    case(
        "out-of-memory",
        PG,
        "pass",
        "op.execute('SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000000) n')",
        &["no room for further locks", "max_locks_per_transaction"],
    ),
    case(
        "read-only",
        PG,
        "pass",
        "op.execute('SET transaction_read_only = on')
op.execute('UPDATE pets SET age = 1')",
        &["takes no changes", "pg_is_in_recovery()"],
    ),
    case(
        "read-only",
        MARIA,
        "pass",
        "op.execute('START TRANSACTION READ ONLY')
op.execute('UPDATE pets SET age = 1')",
        &["takes no changes", "read_only"],
    ),
    case(
        "read-only",
        LITE,
        "pass",
        "op.execute('PRAGMA query_only = 1')
op.execute('UPDATE pets SET age = 1')",
        &["takes no changes", "ls -ld"],
    ),
    case(
        "permission-denied",
        PG,
        "op.execute('CREATE ROLE guest')",
        "op.execute('SET ROLE guest')
op.drop_table('pets')",
        &["does not own pets", "ALTER TABLE pets OWNER TO"],
    ),
    case(
        "permission-denied",
        PG,
        "op.execute('CREATE ROLE reader')",
        "op.execute('SET ROLE reader')
op.execute('DELETE FROM pets')",
        &["may not do this with pets"],
    ),
    case(
        "permission-denied",
        MARIA,
        "op.execute(\"CREATE USER guest@'%' IDENTIFIED BY 'x'\")
op.execute(f'GRANT SELECT ON {op.get_bind().engine.url.database}.owners TO guest')",
        "other(username='guest', password='x').execute(sa.text('DROP TABLE pets'))",
        &["user 'guest'@", "may not DROP on"],
    ),
    case(
        "not-in-transaction",
        PG,
        "pass",
        "op.execute('CREATE INDEX CONCURRENTLY ix_age ON pets (age)')",
        &["CREATE INDEX CONCURRENTLY cannot run", "autocommit_block"],
    ),
    case(
        "new-enum-value",
        PG,
        "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")
op.execute('ALTER TABLE pets ADD COLUMN mood mood')",
        "op.execute(\"ALTER TYPE mood ADD VALUE 'glad'\")
op.execute(\"UPDATE pets SET mood = 'glad'\")",
        &["glad of enum", "mood", "autocommit_block"],
    ),
    case(
        "object-in-use",
        PG,
        "op.execute('ALTER TABLE pets ADD CONSTRAINT fk_owner FOREIGN KEY (owner) \
 REFERENCES owners (id) DEFERRABLE INITIALLY DEFERRED')",
        "op.execute('UPDATE pets SET owner = 2')
op.drop_column('pets', 'age')",
        &["table pets", "SET CONSTRAINTS ALL IMMEDIATE"],
    ),
    case(
        "transaction-aborted",
        PG,
        "pass",
        "try:
    op.execute('DROP TABLE nope')
except Exception:
    pass
op.execute('SELECT 1')",
        &[
            "an earlier statement of this transaction failed",
            "begin_nested",
        ],
    ),
    // What only follows from the first error lets that one speak.
    case(
        "table-missing",
        PG,
        "pass",
        "try:
    op.execute('DROP TABLE nope')
except Exception:
    op.execute('SELECT 1')
    raise",
        &["table nope does not exist"],
    ),
    // What was given as the cause is the cause, whatever it is wrapped in.
    case(
        "table-missing",
        EVERY,
        "pass",
        "try:
    op.execute('DROP TABLE nope')
except Exception as error:
    raise_from(error)",
        &["table nope does not exist"],
    ),
    // What was handled is not.
    case(
        "other",
        EVERY,
        "pass",
        "try:
    op.execute('DROP TABLE nope')
except Exception:
    {}.missing",
        &["AttributeError: 'dict' object has no attribute 'missing'"],
    ),
    case(
        "other",
        PG,
        "pass",
        "op.execute('SELECT 1 / 0')",
        &["division by zero"],
    ),
    case(
        "other",
        EVERY,
        "pass",
        "{}['deadlock detected: permission denied']",
        &["KeyError"],
    ),
    case(
        "database-damaged",
        LITE,
        "pass",
        "path = op.get_bind().engine.url.database + '.torn'
open(path, 'w').write('no database ' * 1000)
sa.create_engine('sqlite:///' + path).connect().execute(sa.text('SELECT * FROM sqlite_master'))",
        &["file is not a database", "integrity_check"],
    ),
    // The migration.
    case(
        "migration-refuses",
        EVERY,
        "pass",
        "raise NotImplementedError('the names cannot be restored')",
        &["at tested.py:", "the names cannot be restored"],
    ),
    case(
        "migration-refuses",
        LITE,
        "pass",
        "if True:
    raise RuntimeError('there are invoices: deadlock detected')",
        &["there are invoices"],
    ),
    case(
        "import-error",
        LITE,
        "pass",
        "import no_such_module",
        &["no module no_such_module"],
    ),
    case(
        "name-not-defined",
        LITE,
        "pass",
        "sqlmodel.sql.sqltypes.AutoString()",
        &["sqlmodel is used at tested.py:", "`import sqlmodel`"],
    ),
];

/// Proven by the command line: no server has a part in them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ambiguous-walk", include_str!("../cli/explain.rs")),
    ("configuration-broken", include_str!("../cli/explain.rs")),
    ("configuration-missing", include_str!("../cli/explain.rs")),
    ("database-url", include_str!("../cli/explain.rs")),
    // Without a driver, an application or a tool here that says it.
    (
        "decryption-key",
        include_str!("../../src/domain/diagnosis/tests.rs"),
    ),
    (
        "history-differs",
        include_str!("../../src/domain/diagnosis/tests.rs"),
    ),
    (
        "standby-conflict",
        include_str!("../../src/domain/diagnosis/tests.rs"),
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
    assert!(run.remove(diagnosis::OTHER));
    for (code, text) in ELSEWHERE {
        assert!(text.contains(&format!("\"{code}\"")), "{code}");
        assert!(run.insert(code), "{code} is here");
    }
    let rows = diagnosis::rows();
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
        let said = diagnosis::diagnose(&log, &DiagnosisContext::default());
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
