//! Each rule on each server where it can arise: what is foretold of a migration, the migration itself,
//! and what is there afterwards.

use std::collections::{BTreeMap, BTreeSet};

use rollback_core::finding_code::FindingCode;
use rollback_core::schema::SchemaLines;
use serde_json::Value;

use crate::project::Project;
use crate::support::{Kind, TestDatabase};
use crate::walk::rows;

pub(crate) const BASE: &str = r#"
"""Owners and their pets"""
import sqlalchemy as sa
from alembic import op

revision = "first"
down_revision = None


def upgrade():
    op.create_table(
        "owners",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("code", sa.Integer()),
    )
    op.create_table(
        "pets",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("owner", sa.Integer()),
        sa.Column("age", sa.Integer()),
        sa.Column("name", sa.String(20)),
    )
    op.create_index("ix_pets_name", "pets", ["name"])
    op.execute("INSERT INTO owners (id, code) VALUES (1, 10), (2, 20)")
    op.execute(
        "INSERT INTO pets (id, owner, age, name) "
        "VALUES (1, 1, 3, 'a'), (2, 1, 4, 'b'), (3, 2, 5, 'c')"
    )


def downgrade():
    op.drop_table("pets")
    op.drop_table("owners")
"#;

/// How a step ends, as it is foretold and as it is.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Nothing is said of a failure, and there is none.
    Goes,
    /// `will_fail`, and the words of whoever refuses hold one of these.
    Fails(&'static [&'static str]),
    /// `may_fail`, and it does.
    MayAndFails(&'static [&'static str]),
    /// `may_fail`, and it does not.
    MayAndGoes,
}

/// One migration above [`BASE`].
struct Case {
    code: &'static str,
    servers: &'static [Kind],
    /// A merge of two branches above the base instead of one revision.
    is_merge: bool,
    /// What env.py makes of the engine beside its URL.
    engine: &'static str,
    upgrade: &'static str,
    /// Rows that come after the upgrade.
    data: &'static str,
    /// The body; empty for none at all.
    downgrade: &'static str,
    level: &'static str,
    end: End,
    /// What the sentence of the finding names.
    object: &'static str,
    /// The finding's figure is the answer to this, asked before the step.
    counts: Option<&'static str>,
    /// Questions, and the only value that answers each after the step; `None` where the server
    /// cannot answer any more.
    leaves: &'static [(&'static str, Option<&'static str>)],
}

pub(crate) const PG: &[Kind] = &[Kind::PostgreSql];
pub(crate) const MARIA: &[Kind] = &[Kind::MariaDb];
pub(crate) const LITE: &[Kind] = &[Kind::Sqlite];
const PG_AND_LITE: &[Kind] = &[Kind::PostgreSql, Kind::Sqlite];
const MARIA_AND_LITE: &[Kind] = &[Kind::MariaDb, Kind::Sqlite];
pub(crate) const BOTH: &[Kind] = &Kind::SERVERS;
pub(crate) const EVERY: &[Kind] = &Kind::ALL;

const NEXT: Case = Case {
    code: "",
    servers: EVERY,
    is_merge: false,
    engine: "",
    upgrade: "pass",
    data: "",
    downgrade: "pass",
    level: "low",
    end: End::Goes,
    object: "",
    counts: None,
    leaves: &[],
};

/// Enough for a table of more than 16 MiB.
const MANY: &str = "INSERT INTO pets (id, owner, age, name)
    SELECT n, 1, n, repeat('x', 20) FROM generate_series(10, 400000) n";

const CHECK: &str = "with op.batch_alter_table('pets') as batch:
    batch.create_check_constraint('ck_age', 'age < 100')";

const LONG_TEXT: &str = "from sqlalchemy.dialects import mysql
op.add_column('pets', sa.Column('note', mysql.LONGTEXT()))";

const SHORT_TEXT: &str = "from sqlalchemy.dialects import mysql
op.alter_column('pets', 'note', type_=sa.Text(), existing_type=mysql.LONGTEXT())";

const CHECK_NOT_VALID: &str =
    "op.create_check_constraint('ck_age', 'pets', 'age < 100', postgresql_not_valid=True)";

const NAMED: &str = "with op.batch_alter_table('pets') as batch:
    batch.alter_column('name', nullable=False, existing_type=sa.String(20))";

const REFERS: &str = "op.create_foreign_key('fk_owner', 'pets', 'owners', ['owner'], ['id'])";

const CASCADES: &str =
    "op.create_foreign_key('fk_owner', 'pets', 'owners', ['owner'], ['id'], ondelete='CASCADE')";

const EMPTIES: &str =
    "op.create_foreign_key('fk_owner', 'pets', 'owners', ['owner'], ['id'], ondelete='SET NULL')";

const TOY_OWNERS: &str = "op.create_table('toys', sa.Column('id', sa.Integer(), primary_key=True), \
 sa.Column('owner', sa.Integer(), sa.ForeignKey('owners.id')))";

/// SQLite enforces foreign keys on the engine's connections.
const ENFORCES: &str =
    ", pool_events=[(lambda c, _: c.execute('PRAGMA foreign_keys=ON'), 'connect')]";

const BATCH_OF_OWNERS: &str = "with op.batch_alter_table('owners') as batch:
    batch.alter_column('code', type_=sa.BigInteger(), existing_type=sa.Integer())";

const CHECK_AFTER_UPDATE: &str = "op.execute('UPDATE pets SET age = 300 WHERE id = 1')
with op.batch_alter_table('pets') as batch:
    batch.create_check_constraint('ck_age', 'age < 100')";

const NOT_NULL_AFTER_NULL: &str = "op.execute('UPDATE pets SET owner = NULL WHERE id = 1')
with op.batch_alter_table('pets') as batch:
    batch.alter_column('owner', nullable=False, existing_type=sa.Integer())";

const UNIQUE_AFTER_UPDATE: &str = "op.execute(\"UPDATE pets SET name = 'a' WHERE id = 2\")
with op.batch_alter_table('pets') as batch:
    batch.create_unique_constraint('uq_name', ['name'])";

const KEY_AFTER_UPDATE: &str = "op.execute('UPDATE pets SET owner = 9 WHERE id = 1')
op.create_foreign_key('fk_owner', 'pets', 'owners', ['owner'], ['id'])";

const SHORTER_AFTER_LONG: &str = "op.execute(\"UPDATE pets SET name = 'fifteen letters' WHERE id = 1\")
op.alter_column('pets', 'name', type_=sa.String(10), existing_type=sa.String(20), existing_nullable=True)";

const MOOD: &str = "op.execute(\"CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')\")
op.execute(\"ALTER TABLE pets ADD COLUMN mood mood DEFAULT 'ok'\")";

const LESS_MOOD: &str = "op.execute('ALTER TABLE pets ALTER COLUMN mood DROP DEFAULT')
op.execute('ALTER TYPE mood RENAME TO old_mood')
op.execute(\"CREATE TYPE mood AS ENUM ('sad', 'ok')\")
op.execute('ALTER TABLE pets ALTER COLUMN mood TYPE mood USING mood::text::mood')
op.execute('DROP TYPE old_mood')";

const MOOD_COLUMN: &str =
    "op.add_column('pets', sa.Column('mood', sa.Enum('sad', 'ok', 'happy', name='mood')))";

const LESS_MOOD_COLUMN: &str = "with op.batch_alter_table('pets') as batch:
    batch.alter_column('mood', type_=sa.Enum('sad', 'ok', name='mood'), \
     existing_type=sa.Enum('sad', 'ok', 'happy', name='mood'), existing_nullable=True)";

const CHECKED_MOOD: &str = "with op.batch_alter_table('pets') as batch:
    batch.add_column(sa.Column('mood', \
     sa.Enum('sad', 'ok', 'happy', name='mood', create_constraint=True)))";

const LESS_CHECKED_MOOD: &str = "with op.batch_alter_table('pets') as batch:
    batch.alter_column('mood', \
     type_=sa.Enum('sad', 'ok', name='mood', create_constraint=True), \
     existing_type=sa.Enum('sad', 'ok', 'happy', name='mood', create_constraint=True), \
     existing_nullable=True)";

const VIEW: &str = "op.add_column('pets', sa.Column('chip', sa.Integer()))
op.execute('CREATE VIEW chips AS SELECT id, chip FROM pets')";

const TOYS: &str = "op.create_table('toys', sa.Column('id', sa.Integer(), primary_key=True))
op.create_table('boxes', sa.Column('id', sa.Integer(), primary_key=True), \
 sa.Column('toy', sa.Integer(), sa.ForeignKey('toys.id', name='fk_boxes_toy')))";

const ADDS: &str = "op.add_column('pets', sa.Column('chip', sa.Integer()))";

const WIDER: &str = "with op.batch_alter_table('pets') as batch:
    batch.alter_column('age', type_=sa.BigInteger(), existing_type=sa.Integer(), \
     existing_nullable=True)";

const LEGS: &str = "op.add_column('pets', sa.Column('legs', sa.Integer(), nullable=False))";

const ALL_THERE: (&str, Option<&str>) = ("SELECT count(*) FROM pets", Some("3"));

/// The cases: the code of each, its servers, and what is not as in [`NEXT`].
macro_rules! cases {
    ($($code:literal $servers:ident { $($field:ident: $value:expr),* })+) => {
        fn cases() -> Vec<Case> {
            vec![$(Case { code: $code, servers: $servers, $($field: $value,)* ..NEXT }),+]
        }
    };
}
cases! {
    // MySQL: TEXT holds 65,535 bytes, and AUTO_INCREMENT needs a key.
    "type-narrowed" MARIA { upgrade: LONG_TEXT, data: "UPDATE pets SET note = repeat('x', 70000) WHERE id > 1",
        downgrade: SHORT_TEXT, level: "high", end: End::Fails(&["Data too long", "Data truncated"]), object: "pets.note",
        counts: Some("SELECT count(*) FROM pets WHERE octet_length(note) > 65535"), leaves: &[ALL_THERE] }
    "dependents" MARIA { downgrade: "op.drop_constraint('PRIMARY', 'pets', type_='primary')", level: "high",
        end: End::Fails(&["there can be only one auto column"]), object: "AUTO_INCREMENT", leaves: &[ALL_THERE] }
    // A condition comes back.
    "check-restored" EVERY { data: "UPDATE pets SET age = 300 WHERE id > 1", downgrade: CHECK, level: "high",
        end: End::Fails(&["ck_age"]), object: "ck_age",
        counts: Some("SELECT count(*) FROM pets WHERE NOT (age < 100)"), leaves: &[ALL_THERE] }
    "check-restored" EVERY { data: "UPDATE pets SET age = NULL WHERE id > 1", downgrade: CHECK, object: "ck_age",
        counts: Some("SELECT count(*) FROM pets WHERE NOT (age < 100)"),
        leaves: &[ALL_THERE, ("INSERT INTO pets (id, age) VALUES (9, 100)", None)] }
    // NOT VALID looks at no row that is there.
    "check-restored" PG { data: "UPDATE pets SET age = 300 WHERE id > 1", downgrade: CHECK_NOT_VALID, object: "ck_age",
        leaves: &[ALL_THERE, ("INSERT INTO pets (id, age) VALUES (9, 100)", None)] }
    // A default has to be cast as well, and nothing says how.
    "not-castable" PG { upgrade: "op.alter_column('pets', 'name', server_default='1')", level: "high",
        downgrade: "op.alter_column('pets', 'name', type_=sa.Integer(), postgresql_using='id')",
        end: End::Fails(&["default for column \"name\" cannot be cast"]), object: "column name", leaves: &[ALL_THERE] }
    // SQLite adds no column with a computed default, but in a batch.
    "not-supported" LITE { downgrade: "op.add_column('pets', sa.Column('at', sa.DateTime(), \
        server_default=sa.text('CURRENT_TIMESTAMP')))", level: "high",
        end: End::Fails(&["Cannot add a column with non-constant default"]), object: "pets.at",
        counts: Some("SELECT count(*) FROM pets"), leaves: &[ALL_THERE] }
    // One statement at a time: SQLite's driver always, pymysql unless it is told otherwise.
    "not-supported" MARIA { downgrade: "op.execute('DELETE FROM pets; DELETE FROM owners')", level: "medium",
        end: End::MayAndFails(&["You have an error in your SQL syntax"]), object: "2", leaves: &[ALL_THERE] }
    "not-supported" MARIA { engine: ", connect_args={'client_flag': 65536}",
        downgrade: "op.execute('UPDATE pets SET age = 1; UPDATE pets SET age = 2')", level: "medium", end: End::MayAndGoes,
        object: "2", leaves: &[("SELECT count(*) FROM pets WHERE age = 2", Some("3"))] }
    "not-supported" LITE { downgrade: "op.execute('DELETE FROM pets; DELETE FROM owners')", level: "high",
        end: End::Fails(&["one statement at a time"]), object: "2", leaves: &[ALL_THERE] }
    // NULL does not go where nothing takes it.
    "data-reversed" EVERY { upgrade: NAMED, downgrade: "op.execute('UPDATE pets SET name = NULL')", level: "high",
        end: End::Fails(&["null value in column \"name\"", "'name' cannot be null", "NOT NULL constraint failed"]),
        object: "pets", counts: Some("SELECT count(*) FROM pets"), leaves: &[ALL_THERE] }
    // What a foreign key takes along, empties, or keeps from going. SQLite looks at it where it is told to.
    "data-reversed" BOTH { upgrade: CASCADES, downgrade: "op.execute('DELETE FROM owners WHERE id = 1')", level: "high",
        object: "deletes rows of pets that refer to owners", counts: Some("SELECT count(*) FROM pets"),
        leaves: &[("SELECT count(*) FROM pets", Some("1"))] }
    "data-reversed" BOTH { upgrade: EMPTIES, downgrade: "op.execute('DELETE FROM owners')", level: "high",
        object: "empties pets (owner)", counts: Some("SELECT count(owner) FROM pets"),
        leaves: &[("SELECT count(owner) FROM pets", Some("0"))] }
    "dependents" BOTH { upgrade: REFERS, downgrade: "op.execute('DELETE FROM owners')", level: "high",
        end: End::Fails(&["fk_owner"]), object: "removes all rows of owners",
        counts: Some("SELECT count(owner) FROM pets"), leaves: &[ALL_THERE] }
    "dependents" LITE { upgrade: TOY_OWNERS, data: "INSERT INTO toys VALUES (1, 1)", engine: ENFORCES,
        downgrade: BATCH_OF_OWNERS, level: "high", end: End::Fails(&["FOREIGN KEY constraint failed"]),
        object: "removes all rows of owners", counts: Some("SELECT count(*) FROM toys"), leaves: &[ALL_THERE] }
    // What every row holds to today counts for nothing once the step itself has changed rows.
    "check-restored" EVERY { downgrade: CHECK_AFTER_UPDATE, level: "medium", end: End::MayAndFails(&["ck_age"]),
        object: "ck_age", counts: Some("SELECT count(*) FROM pets WHERE NOT (age < 100)"), leaves: &[] }
    "not-null-restored" EVERY { downgrade: NOT_NULL_AFTER_NULL, level: "medium",
        end: End::MayAndFails(&["contains null values", "Data truncated", "NOT NULL constraint failed"]),
        object: "pets.owner", counts: Some("SELECT count(*) FROM pets WHERE owner IS NULL"), leaves: &[] }
    "unique-restored" EVERY { downgrade: UNIQUE_AFTER_UPDATE, level: "medium",
        end: End::MayAndFails(&["uq_name", "UNIQUE constraint failed"]), object: "pets (name)",
        counts: Some("SELECT count(*) FROM (SELECT name FROM pets GROUP BY name HAVING count(*) > 1) g"), leaves: &[] }
    "foreign-key-restored" BOTH { downgrade: KEY_AFTER_UPDATE, level: "medium", end: End::MayAndFails(&["fk_owner"]),
        object: "pets (owner)",
        counts: Some("SELECT count(*) FROM pets WHERE owner NOT IN (SELECT id FROM owners)"), leaves: &[] }
    "type-narrowed" BOTH { downgrade: SHORTER_AFTER_LONG, level: "medium",
        end: End::MayAndFails(&["value too long", "Data truncated"]), object: "pets.name",
        counts: Some("SELECT count(*) FROM pets WHERE char_length(name) > 10"), leaves: &[] }
    // A word goes from an enum.
    "enum-value-removed" PG { upgrade: MOOD, data: "UPDATE pets SET mood = 'happy' WHERE id > 1",
        downgrade: LESS_MOOD, level: "high", end: End::Fails(&["invalid input value for enum mood: \"happy\""]),
        object: "takes 'happy' from pets.mood", counts: Some("SELECT count(*) FROM pets WHERE mood = 'happy'"),
        leaves: &[("SELECT count(*) FROM pets WHERE mood = 'happy'", Some("2"))] }
    "enum-value-removed" PG { upgrade: MOOD, downgrade: LESS_MOOD, object: "takes 'happy' from pets.mood",
        counts: Some("SELECT count(*) FROM pets WHERE mood = 'happy'"),
        leaves: &[("SELECT count(*) FROM pets WHERE mood = 'ok'", Some("3")), ("SELECT 'happy'::mood", None)] }
    "enum-value-removed" MARIA { upgrade: MOOD_COLUMN, data: "UPDATE pets SET mood = 'happy' WHERE id > 1",
        downgrade: LESS_MOOD_COLUMN, level: "high", end: End::Fails(&["'mood'"]),
        object: "takes 'happy' from pets.mood", counts: Some("SELECT count(*) FROM pets WHERE mood = 'happy'"),
        leaves: &[("SELECT count(*) FROM pets WHERE mood = 'happy'", Some("2"))] }
    // Nothing looks at the words there, unless a check does.
    "enum-value-removed" LITE { upgrade: MOOD_COLUMN, data: "UPDATE pets SET mood = 'happy' WHERE id > 1",
        downgrade: LESS_MOOD_COLUMN, level: "high", end: End::MayAndGoes, object: "takes 'happy' from pets.mood",
        counts: Some("SELECT count(*) FROM pets WHERE mood = 'happy'"),
        leaves: &[("SELECT count(*) FROM pets WHERE mood = 'happy'", Some("2"))] }
    "enum-value-removed" LITE { upgrade: CHECKED_MOOD, data: "UPDATE pets SET mood = 'happy' WHERE id > 1",
        downgrade: LESS_CHECKED_MOOD, level: "high", end: End::MayAndFails(&["CHECK constraint failed: mood"]),
        object: "takes 'happy' from pets.mood", counts: Some("SELECT count(*) FROM pets WHERE mood = 'happy'"),
        leaves: &[("SELECT count(*) FROM pets WHERE mood = 'happy'", Some("2"))] }
    // Something leans on what goes. PostgreSQL tells which columns a view uses, the others do not.
    "dependents" PG { upgrade: VIEW, downgrade: "op.drop_column('pets', 'chip')", level: "high",
        end: End::Fails(&["view chips depends on"]), object: "chips",
        leaves: &[("SELECT count(*) FROM chips", Some("3"))] }
    "dependents" PG { upgrade: VIEW, downgrade: "op.alter_column('pets', 'chip', type_=sa.BigInteger())",
        level: "high", end: End::Fails(&["cannot alter type of a column used by a view"]), object: "chips",
        leaves: &[("SELECT count(*) FROM chips", Some("3"))] }
    // A word of the query that is no column of this table.
    "column-dropped" PG {
        upgrade: "op.add_column('pets', sa.Column('code', sa.Integer()))
op.execute('CREATE VIEW codes AS SELECT o.code FROM owners o JOIN pets p ON p.owner = o.id')",
        downgrade: "op.drop_column('pets', 'code')", object: "pets.code",
        leaves: &[("SELECT count(*) FROM codes", Some("3"))] }
    "dependents" LITE {
        upgrade: "op.add_column('pets', sa.Column('code', sa.Integer()))
op.execute('CREATE VIEW codes AS SELECT o.code FROM owners o JOIN pets p ON p.owner = o.id')",
        downgrade: "op.drop_column('pets', 'code')", level: "medium", end: End::MayAndGoes, object: "codes",
        leaves: &[("SELECT count(*) FROM codes", Some("3"))] }
    // A batch puts a new table in the place of the old one, and for a moment there is none.
    "dependents" LITE { upgrade: VIEW,
        downgrade: "with op.batch_alter_table('pets') as batch:\n    batch.drop_column('age')", level: "high",
        end: End::Fails(&["error in view chips: no such table: main.pets"]), object: "chips", leaves: &[ALL_THERE] }
    "dependents" PG { upgrade: VIEW, downgrade: "op.execute('ALTER TABLE pets DROP COLUMN chip CASCADE')",
        level: "medium", object: "chips", leaves: &[ALL_THERE, ("SELECT count(*) FROM chips", None)] }
    "dependents" MARIA { upgrade: VIEW, downgrade: "op.drop_column('pets', 'chip')", level: "medium", object: "chips",
        leaves: &[ALL_THERE, ("SELECT count(*) FROM chips", None)] }
    "dependents" LITE { upgrade: VIEW, downgrade: "op.drop_column('pets', 'chip')", level: "medium",
        end: End::MayAndFails(&["view chips"]), object: "chips", leaves: &[("SELECT count(*) FROM chips", Some("3"))] }
    "dependents" BOTH { upgrade: TOYS, downgrade: "op.drop_table('toys')", level: "high",
        end: End::Fails(&["fk_boxes_toy", "a foreign key constraint fails"]), object: "toys",
        leaves: &[("SELECT count(*) FROM toys", Some("0"))] }
    "dependents" LITE { upgrade: TOYS, downgrade: "op.drop_table('toys')", level: "medium",
        object: "the foreign key of boxes",
        leaves: &[("SELECT count(*) FROM boxes", Some("0")), ("SELECT count(*) FROM toys", None)] }
    "dependents" PG { upgrade: TOYS, data: "INSERT INTO toys VALUES (1); INSERT INTO boxes VALUES (1, 1)",
        downgrade: "op.execute('DROP TABLE toys CASCADE')", level: "medium", object: "the foreign key of boxes",
        leaves: &[("SELECT count(*) FROM boxes", Some("1")), ("SELECT count(*) FROM toys", None)] }
    "dependents" MARIA_AND_LITE {
        upgrade: "op.create_table('toys', sa.Column('id', sa.Integer(), primary_key=True))
op.execute('CREATE VIEW all_toys AS SELECT id FROM toys')",
        downgrade: "op.drop_table('toys')", level: "medium", object: "all_toys",
        leaves: &[("SELECT count(*) FROM all_toys", None)] }
    "dependents" PG {
        upgrade: "op.create_table('toys', sa.Column('id', sa.Integer(), primary_key=True))
op.execute('CREATE VIEW all_toys AS SELECT id FROM toys')",
        downgrade: "op.drop_table('toys')", level: "high", end: End::Fails(&["view all_toys depends on table toys"]),
        object: "all_toys", leaves: &[("SELECT count(*) FROM all_toys", Some("0"))] }
    // What does nothing, cannot, or is not there.
    "does-nothing" EVERY { upgrade: ADDS, data: "UPDATE pets SET chip = 7", level: "medium",
        leaves: &[("SELECT count(chip) FROM pets", Some("3"))] }
    "irreversible" EVERY { upgrade: ADDS, downgrade: "raise NotImplementedError('no way back')", level: "high",
        end: End::Fails(&["no way back"]), object: "no way back",
        leaves: &[("SELECT count(chip) FROM pets", Some("0"))] }
    "no-downgrade" EVERY { upgrade: ADDS, downgrade: "", level: "high", end: End::Fails(&["downgrade"]),
        object: "downgrade", leaves: &[("SELECT count(chip) FROM pets", Some("0"))] }
    // What is gone already, or there already.
    "object-missing" EVERY { downgrade: "op.drop_table('gone')", level: "high", end: End::Fails(&["gone"]),
        object: "gone", leaves: &[ALL_THERE] }
    "object-missing" EVERY { downgrade: "op.drop_column('pets', 'gone')", level: "high", end: End::Fails(&["gone"]),
        object: "gone", leaves: &[ALL_THERE] }
    "object-missing" EVERY { downgrade: "op.drop_index('ix_gone', table_name='pets')", level: "high",
        end: End::Fails(&["ix_gone"]), object: "ix_gone", leaves: &[ALL_THERE] }
    "object-exists" EVERY { downgrade: "op.create_table('owners', sa.Column('id', sa.Integer(), primary_key=True))",
        level: "high", end: End::Fails(&["owners"]), object: "owners",
        leaves: &[("SELECT count(code) FROM owners", Some("2"))] }
    "object-exists" EVERY { downgrade: "op.add_column('pets', sa.Column('age', sa.Integer()))", level: "high",
        end: End::Fails(&["age"]), object: "age", leaves: &[("SELECT count(age) FROM pets", Some("3"))] }
    // Outside a batch no constraint can be added there.
    "not-supported" LITE { downgrade: "op.create_check_constraint('ck_age', 'pets', 'age < 100')", level: "high",
        end: End::Fails(&["No support for ALTER of constraints in SQLite"]), object: "pets", leaves: &[ALL_THERE] }
    "not-supported" MARIA { upgrade: "op.create_check_constraint('ck_age', 'pets', 'age < 100')",
        downgrade: "op.drop_constraint('ck_age', 'pets')", level: "high", end: End::Fails(&["pets", "ck_age"]),
        object: "pets", leaves: &[("INSERT INTO pets (id, age) VALUES (9, 100)", None)] }
    "key-missing" BOTH { downgrade: "op.create_foreign_key('fk_code', 'pets', 'owners', ['age'], ['code'])",
        level: "high",
        end: End::Fails(&["no unique constraint matching given keys for referenced table \"owners\"", "Foreign key constraint is incorrectly formed", "Missing unique key for constraint"]),
        object: "owners", leaves: &[ALL_THERE] }
    "not-castable" PG { downgrade: "op.alter_column('pets', 'name', type_=sa.Integer())", level: "high",
        end: End::Fails(&["column \"name\" cannot be cast automatically to type integer"]), object: "name",
        leaves: &[("SELECT max(name) FROM pets", Some("c"))] }
    "type-changed" EVERY { downgrade: WIDER, object: "pets.age", leaves: &[("SELECT sum(age) FROM pets", Some("12"))] }
    // Objects without rows.
    "object-dropped" PG { downgrade: "op.execute('DROP FUNCTION IF EXISTS nothing()')", level: "medium",
        object: "function nothing" }
    // Who may do what.
    "rights-loosened" PG { upgrade: "op.execute('REVOKE SELECT ON pets FROM PUBLIC')",
        downgrade: "op.execute('GRANT SELECT ON pets TO PUBLIC')", level: "high",
        object: "GRANT SELECT ON pets TO PUBLIC",
        leaves: &[("SELECT has_table_privilege('public', 'pets', 'SELECT')::text", Some("true"))] }
    "rights-loosened" PG { upgrade: "op.execute('ALTER TABLE pets ENABLE ROW LEVEL SECURITY')",
        downgrade: "op.execute('ALTER TABLE pets DISABLE ROW LEVEL SECURITY')", level: "high",
        object: "ROW LEVEL SECURITY",
        leaves: &[("SELECT relrowsecurity::text FROM pg_class WHERE relname = 'pets'", Some("false"))] }
    "rights-loosened" MARIA { downgrade: "op.execute('GRANT SELECT ON pets TO PUBLIC')", level: "high",
        object: "GRANT SELECT ON pets TO PUBLIC",
        leaves: &[("SELECT count(*) FROM information_schema.table_privileges
                 WHERE table_schema = database() AND grantee LIKE '%PUBLIC%'", Some("1"))] }
    // Indexes.
    // It can be made again.
    "index-dropped" EVERY { upgrade: "op.create_index('ix_pets_age', 'pets', ['age'])",
        downgrade: "op.drop_index('ix_pets_age', table_name='pets')", object: "drops index ix_pets_age of pets",
        leaves: &[ALL_THERE, ("CREATE INDEX ix_pets_age ON pets (age)", Some(""))] }
    "index-dropped" PG { upgrade: "op.create_index('ix_pets_age', 'pets', ['age'])", data: MANY,
        downgrade: "op.drop_index('ix_pets_age', table_name='pets')", level: "medium",
        object: "drops index ix_pets_age of pets",
        leaves: &[("SELECT (to_regclass('ix_pets_age') IS NULL)::text", Some("true"))] }
    "index-built" EVERY { upgrade: "op.drop_index('ix_pets_name', table_name='pets')",
        downgrade: "op.create_index('ix_pets_name', 'pets', ['name'])", object: "builds index ix_pets_name on pets",
        leaves: &[ALL_THERE, ("CREATE INDEX ix_pets_name ON pets (name)", None)] }
    "index-built" PG { upgrade: "op.drop_index('ix_pets_name', table_name='pets')", data: MANY,
        downgrade: "op.create_index('ix_pets_name', 'pets', ['name'])", level: "medium",
        object: "builds index ix_pets_name on pets", leaves: &[("CREATE INDEX ix_pets_name ON pets (name)", None)] }
    "index-built" PG {
        downgrade: "with op.get_context().autocommit_block():
    op.create_index('ix_pets_age', 'pets', ['age'], postgresql_concurrently=True)",
        object: "builds index ix_pets_age on pets", leaves: &[("CREATE INDEX ix_pets_age ON pets (age)", None)] }
    // A unique key compares the rows of its condition, by the collation of its columns.
    "unique-restored" PG_AND_LITE { data: "UPDATE pets SET age = 4 WHERE id < 3",
        downgrade: "op.execute('CREATE UNIQUE INDEX uq_age ON pets (age) WHERE owner = 1')", level: "high",
        end: End::Fails(&["uq_age", "UNIQUE constraint failed: pets.age"]),
        object: "makes pets (age) unique, and there is 1 group",
        counts: Some("SELECT count(*) - 1 FROM pets WHERE age = 4 AND owner = 1"), leaves: &[ALL_THERE] }
    "unique-restored" PG_AND_LITE { data: "UPDATE pets SET age = 5 WHERE id > 1",
        downgrade: "op.create_index('uq_age', 'pets', ['age'], unique=True, \
                        postgresql_where=sa.text('owner < 2'), sqlite_where=sa.text('owner < 2'))",
        object: "no two rows are alike",
        leaves: &[ALL_THERE, ("INSERT INTO pets (id, owner, age) VALUES (9, 1, 5)", None), ("INSERT INTO pets (id, owner, age) VALUES (9, 2, 5)", Some(""))] }
    // What a function says is not asked.
    "unique-restored" PG_AND_LITE { data: "UPDATE pets SET age = 5 WHERE id > 1",
        downgrade: "op.create_index('uq_age', 'pets', ['age'], unique=True, \
                        postgresql_where=sa.text('sign(owner) < 0'), \
                        sqlite_where=sa.text('hex(owner) < 0'))",
        level: "medium", end: End::MayAndGoes, object: "its rows were not compared", leaves: &[ALL_THERE] }
    "unique-restored" PG { data: "UPDATE pets SET name = upper(name) || 'X'; INSERT INTO pets VALUES (9, 1, 1, 'ax')",
        downgrade: "op.create_index('uq_name', 'pets', [sa.text('lower(name)')], unique=True)", level: "medium",
        end: End::MayAndFails(&["uq_name"]), object: "its rows were not compared" }
    "unique-restored" PG { data: "UPDATE pets SET age = NULL WHERE id > 1",
        downgrade: "op.execute('CREATE UNIQUE INDEX uq_age ON pets (age) NULLS NOT DISTINCT')", level: "high",
        end: End::Fails(&["uq_age"]), object: "makes pets (age) unique",
        counts: Some("SELECT count(*) - 1 FROM pets WHERE age IS NULL") }
    "unique-restored" PG { data: "UPDATE pets SET age = NULL WHERE id > 1",
        downgrade: "op.create_unique_constraint('uq_age', 'pets', ['age'])", object: "no two rows are alike" }
    // The usual collation there makes no difference between letters of two sizes.
    "unique-restored" MARIA { data: "UPDATE pets SET name = 'A' WHERE id = 3",
        downgrade: "op.create_unique_constraint('uq_name', 'pets', ['name'])", level: "high",
        end: End::Fails(&["uq_name"]), object: "there is 1 group of rows" }
    "unique-restored" MARIA { upgrade: "op.execute('ALTER TABLE pets MODIFY name varchar(20) COLLATE utf8mb4_bin')",
        data: "UPDATE pets SET name = 'A' WHERE id = 3",
        downgrade: "op.create_unique_constraint('uq_name', 'pets', ['name'])", object: "no two rows are alike" }
    "unique-restored" MARIA { data: "UPDATE pets SET name = CONCAT('same', id)",
        downgrade: "op.create_index('uq_name', 'pets', ['name'], unique=True, mysql_length=4)", level: "medium",
        end: End::MayAndFails(&["uq_name"]), object: "its rows were not compared" }
    "unique-restored" LITE { data: "UPDATE pets SET name = 'A' WHERE id = 3",
        downgrade: "op.execute('CREATE UNIQUE INDEX uq_name ON pets (name COLLATE NOCASE)')", level: "medium",
        end: End::MayAndFails(&["uq_name", "UNIQUE constraint failed"]), object: "its rows were not compared" }
    // A column comes back that has to hold something. MariaDB fills it in.
    "not-null-restored" PG_AND_LITE { downgrade: LEGS, level: "high",
        end: End::Fails(&["column \"legs\" of relation \"pets\" contains null values", "NOT NULL column"]),
        object: "to a table with 3 rows", counts: Some("SELECT count(*) FROM pets"),
        leaves: &[ALL_THERE, ("SELECT count(legs) FROM pets", None)] }
    "not-null-restored" MARIA { downgrade: LEGS, level: "medium", object: "each of which gets an empty value of its type",
        counts: Some("SELECT count(*) FROM pets"), leaves: &[("SELECT count(legs) FROM pets", Some("3"))] }
    "not-null-restored" EVERY { data: "DELETE FROM pets", downgrade: LEGS, object: "to an empty table",
        counts: Some("SELECT count(*) FROM pets"), leaves: &[("SELECT count(legs) FROM pets", Some("0"))] }
    // Transactions. Whether there is one is not certain where env.py speaks of it.
    "not-in-transaction" PG {
        downgrade: "op.create_index('ix_pets_age', 'pets', ['age'], postgresql_concurrently=True)", level: "high",
        end: End::Fails(&["CREATE INDEX CONCURRENTLY cannot run inside a transaction block"]), object: "ix_pets_age",
        leaves: &[ALL_THERE, ("CREATE INDEX ix_pets_age ON pets (age)", Some(""))] }
    "not-in-transaction" PG { engine: ", isolation_level='AUTOCOMMIT'",
        downgrade: "op.create_index('ix_pets_age', 'pets', ['age'], postgresql_concurrently=True)", level: "medium",
        end: End::MayAndGoes, object: "ix_pets_age", leaves: &[("CREATE INDEX ix_pets_age ON pets (age)", None)] }
    "not-in-transaction" PG { engine: ", execution_options={'logging_token': 'steps'}",
        downgrade: "op.drop_index('ix_pets_name', 'pets', postgresql_concurrently=True)", level: "medium",
        end: End::MayAndFails(&["DROP INDEX CONCURRENTLY cannot run inside a transaction block"]),
        object: "ix_pets_name", leaves: &[("DROP INDEX ix_pets_name", Some(""))] }
    "not-in-transaction" PG {
        downgrade: "with op.get_context().autocommit_block():
    op.create_index('ix_pets_age', 'pets', ['age'], postgresql_concurrently=True)",
        level: "medium", object: "ix_pets_age", leaves: &[("CREATE INDEX ix_pets_age ON pets (age)", None)] }
    "not-in-transaction" PG { upgrade: "op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")",
        downgrade: "op.execute(\"ALTER TYPE mood ADD VALUE 'ok'\")", level: "medium",
        object: "adds 'ok' to the type mood", leaves: &[("SELECT 'ok'::mood::text", Some("ok"))] }
    "commits-itself" PG {
        downgrade: "op.execute('DELETE FROM pets WHERE id = 1')
op.execute('COMMIT')
op.drop_table('gone')",
        level: "medium", end: End::Fails(&["gone"]), leaves: &[("SELECT count(*) FROM pets", Some("2"))] }
    "commits-itself" MARIA_AND_LITE {
        downgrade: "op.execute('DELETE FROM pets WHERE id = 1')
op.execute('COMMIT')
op.drop_table('gone')",
        end: End::Fails(&["gone"]), leaves: &[("SELECT count(*) FROM pets", Some("2"))] }
    // Every row is written again.
    "table-rewritten" EVERY { downgrade: WIDER, object: "every row of pets",
        leaves: &[("SELECT sum(age) FROM pets", Some("12"))] }
    // A table that was never written again has its files under its own number.
    "table-rewritten" PG { data: MANY, downgrade: WIDER, level: "medium", object: "every row of pets",
        leaves: &[("SELECT (pg_relation_filenode('pets') <> 'pets'::regclass::oid)::text", Some("true"))] }
    "merge" EVERY { is_merge: true, object: "parts a merge",
        leaves: &[("SELECT count(*) FROM alembic_version", Some("2"))] }
    // What only shows while it runs.
    "conditional-code" EVERY { upgrade: ADDS,
        downgrade: "if op.get_bind().execute(sa.text('SELECT count(*) FROM pets')).scalar() > 2:
    op.drop_column('pets', 'chip')",
        level: "medium", leaves: &[ALL_THERE, ("SELECT count(chip) FROM pets", None)] }
    "conditional-code" EVERY { upgrade: ADDS, data: "DELETE FROM pets WHERE id > 2",
        downgrade: "if op.get_bind().execute(sa.text('SELECT count(*) FROM pets')).scalar() > 2:
    op.drop_column('pets', 'chip')",
        level: "medium", leaves: &[("SELECT count(chip) FROM pets", Some("0"))] }
    "unknown-code" EVERY { upgrade: ADDS, downgrade: "exec(\"op.drop_column('pets', 'chip')\")", level: "unknown",
        object: "exec", leaves: &[ALL_THERE, ("SELECT count(chip) FROM pets", None)] }
    "unknown-code" PG { upgrade: ADDS,
        downgrade: "op.execute('DO $$ BEGIN ALTER TABLE pets DROP COLUMN chip; END $$')", level: "unknown",
        object: "DO $$ BEGIN ALTER TABLE pets DROP COLUMN chip",
        leaves: &[ALL_THERE, ("SELECT count(chip) FROM pets", None)] }
}

/// Codes that are run elsewhere, and the text of the file that does.
const ELSEWHERE: [(&str, &str); 3] = {
    const LOSSES: &str = include_str!("losses.rs");
    [
        ("table-dropped", LOSSES),
        ("data-not-restored", LOSSES),
        ("measured", include_str!("measured.rs")),
    ]
};

/// Turns red if a rule comes that no real step is held against.
#[test]
fn no_rule_is_without_a_run() {
    let mut run: BTreeSet<String> = RULES.iter().map(|rule| rule.replace('_', "-")).collect();
    let cases: BTreeSet<String> = cases().iter().map(|case| case.code.to_owned()).collect();
    assert_eq!(run, cases);
    for (code, text) in ELSEWHERE {
        assert!(text.contains(&format!("\"{code}\"")), "{code}");
        assert!(run.insert(code.to_owned()), "{code} is here");
    }
    let codes = FindingCode::all().iter().map(ToString::to_string);
    assert_eq!(run, codes.collect());
}

fn indented(body: &str) -> String {
    body.lines().map(|line| format!("    {line}\n")).collect()
}

fn migration(id: &str, below: &str, upgrade: &str, downgrade: &str) -> String {
    let mut text = format!(
        "\"\"\"A step\"\"\"\nimport sqlalchemy as sa\nfrom alembic import op\n\n\
         revision = \"{id}\"\ndown_revision = {below}\n\n\n\
         def upgrade():\n{}",
        indented(upgrade)
    );
    if !downgrade.is_empty() {
        text.push_str("\n\ndef downgrade():\n");
        text.push_str(&indented(downgrade));
    }
    text
}

fn project(case: &Case, database: &TestDatabase<'_>) -> Project {
    let mut project = Project::alembic("linear").env("DATABASE_URL", database.url());
    for file in project.files() {
        if file.starts_with("migrations/versions") {
            std::fs::remove_file(project.root().join(file)).unwrap();
        }
    }
    if !case.engine.is_empty() {
        let env = std::fs::read_to_string(project.root().join("migrations/env.py")).unwrap();
        let pool = "poolclass=pool.NullPool";
        let env = env.replace(pool, &format!("{pool}{}", case.engine));
        assert!(env.contains(case.engine), "{env}");
        project = project.file("migrations/env.py", env);
    }
    let mut files = vec![("first", BASE.to_owned())];
    let below = if case.is_merge {
        for side in ["left", "right"] {
            files.push((side, migration(side, "\"first\"", "pass", "pass")));
        }
        "(\"left\", \"right\")"
    } else {
        "\"first\""
    };
    let last = migration("tested", below, case.upgrade, case.downgrade);
    files.push(("tested", last));
    for (name, text) in files {
        project = project.file(&format!("migrations/versions/{name}.py"), text);
    }
    project
}

fn schema(database: &TestDatabase<'_>) -> SchemaLines {
    let mut lines = database.open().schema().unwrap();
    // The copy of a batch that failed stays.
    lines.retain(|line| !line.contains("_alembic_tmp_"));
    lines
}

fn contents(database: &TestDatabase<'_>) -> BTreeMap<&'static str, Vec<Vec<Option<String>>>> {
    let numbers = ["owners", "pets"].map(|table| {
        let query = format!("SELECT count(*) FROM {table}");
        (table, database.query(&query))
    });
    numbers.into()
}

/// What is wrong with a case, if anything.
fn trouble(case: &Case, project: &Project, database: &TestDatabase<'_>) -> Option<String> {
    if !case.data.is_empty() {
        database.execute(case.data);
    }
    let plan = project.run("plan -1 --format json").exits(0);
    let steps = plan.json();
    let findings = steps["steps"][0]["findings"].as_array().unwrap().clone();
    let wrong = |what: &str| Some(format!("{what}\n{findings:#?}"));

    // What is foretold.
    let (told, said) = match case.end {
        End::Goes => (None, [].as_slice()),
        End::Fails(words) => (Some("will_fail"), words),
        End::MayAndFails(words) => (Some("may_fail"), words),
        End::MayAndGoes => (Some("may_fail"), [].as_slice()),
    };
    let fits = |it: &&Value| {
        it["code"] == case.code
            && it["level"] == case.level
            && it["sentence"].as_str().unwrap().contains(case.object)
    };
    let Some(found) = findings.iter().find(fits) else {
        return wrong("no such finding");
    };
    let outcomes: Vec<&str> = findings
        .iter()
        .filter_map(|it| it["outcome"].as_str())
        .collect();
    let worst = ["will_fail", "may_fail"]
        .into_iter()
        .find(|outcome| outcomes.contains(outcome));
    if worst != told {
        return wrong("another outcome");
    }
    if let Some(query) = case.counts {
        let number = database.query_one(query);
        let evidence = &found["evidence"];
        let told = evidence["count"].as_u64().map(|count| count.to_string());
        if told.as_ref() != Some(&number) || evidence["exact"] != true {
            return wrong(&format!("{number} were to be counted"));
        }
    }

    // What comes.
    let before = (schema(database), contents(database));
    // What nobody has read is not announced.
    let allowed = match case.code {
        "unknown-code" => "all,unannounced",
        _ => "all",
    };
    let run = project.run(&format!(
        "downgrade-safe -1 -y --allow {allowed} --allow-failing"
    ));
    let standing = rows(database).contains(&"tested".to_owned());
    if said.is_empty() {
        if run.code != Some(0) || standing {
            return wrong(&format!("it fails: {run}"));
        }
    } else {
        if !matches!(run.code, Some(4 | 5)) || !standing {
            return wrong(&format!("it does not fail: {run}"));
        }
        if !said.iter().any(|words| run.stderr.contains(words)) {
            return wrong(&format!("it fails by something else: {run}"));
        }
        if schema(database) != before.0 {
            return wrong(&format!("it fails and changes the schema: {run}"));
        }
    }
    // No case drops or deletes rows of these but by a commit of its own, or because it was told.
    let may_delete = ["commits-itself", "data-reversed"].contains(&case.code);
    if !may_delete && contents(database) != before.1 {
        return wrong(&format!("rows are gone: {run}"));
    }
    for (query, expected) in case.leaves {
        let is_question = query.starts_with("SELECT");
        let answer = match (database.try_execute(query), is_question) {
            (Err(_), _) => None,
            (Ok(()), true) => Some(database.query_one(query)),
            (Ok(()), false) => Some(String::new()),
        };
        if answer.as_deref() != *expected {
            return wrong(&format!("{query}: {answer:?}, not {expected:?}: {run}"));
        }
    }
    None
}

/// Upgrades every project by one process: to start the engine takes longer than the upgrade.
const UPGRADE: &str = "
import os, sys
from alembic import command, config
for folder, url in zip(sys.argv[1::2], sys.argv[2::2]):
    os.chdir(folder)
    os.environ['DATABASE_URL'] = url
    command.upgrade(config.Config('alembic.ini'), 'heads')";

/// Turns red if one step on that server does not end as its finding says.
fn a_rule_tells_what_comes(kind: Kind, rule: &str) {
    let mut cases = cases();
    let code = rule.replace('_', "-");
    // MySQL has nobody of the name PUBLIC.
    cases.retain(|case| {
        case.code == code
            && case.servers.contains(&kind)
            && !(kind.is_mysql() && case.object.contains("PUBLIC"))
    });
    let all: Vec<(Case, TestDatabase<'_>, Project)> = cases
        .into_iter()
        .map(|case| {
            let database = TestDatabase::create(kind);
            let project = project(&case, &database);
            (case, database, project)
        })
        .collect();
    let mut words = vec!["python".to_owned(), "-c".to_owned(), UPGRADE.to_owned()];
    for (_, database, project) in &all {
        words.extend([project.root().display().to_string(), database.url()]);
    }
    let line = shlex::try_join(words.iter().map(String::as_str)).unwrap();
    // Some rules are about one server.
    if let Some((_, _, project)) = all.first() {
        project.engine(&line);
    }
    let mut wrong = Vec::new();
    for (case, database, project) in &all {
        if let Some(what) = trouble(case, project, database) {
            let Case {
                code, downgrade, ..
            } = case;
            wrong.push(format!("{code} on {kind:?}: {downgrade}\n{what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A test for each rule on each server, and their list.
macro_rules! rules {
    ($($rule:ident),+) => {
        const RULES: &[&str] = &[$(stringify!($rule)),+];
        on_each!(a_rule_tells_what_comes: sqlite, postgresql, mariadb; [$($rule),+]);
    };
}
rules! {
    check_restored, column_dropped, commits_itself, conditional_code, data_reversed, dependents, does_nothing,
    enum_value_removed, foreign_key_restored, index_built, index_dropped, irreversible, key_missing, merge, no_downgrade, not_castable, not_in_transaction,
    not_null_restored, not_supported, object_dropped, object_exists, object_missing, rights_loosened,
    table_rewritten, type_changed, type_narrowed, unique_restored, unknown_code
}
