//! What a step did, measured inside its transaction on PostgreSQL and by counting elsewhere.

use std::time::Duration;

use rollback_core::connection::VersionTable;
use rollback_core::effect::{
    Announced, Consent, CountedInventory, Effect, Inventory, Surprise, Unmeasured, Verdict, judge,
};
use rollback_core::query::{Queries, QueryError, TextRows};
use rollback_core::schema::{Difference, SchemaLines};
use rollback_database::{SCHEMA_OF_POSTGRES, effects_postgres, schema_of};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::support::{Kind, PASSWORD, Server, TestDatabase, USER, cases};

const TABLES: &str = "
    CREATE TABLE alembic_version (version_num varchar(32));
    INSERT INTO alembic_version VALUES ('a');
    CREATE TABLE orders (id integer PRIMARY KEY, note text, cents bigint);
    INSERT INTO orders SELECT g, 'note ' || g, g * 1000 FROM generate_series(1, 5) g;
    CREATE TABLE items (id integer, order_id integer REFERENCES orders ON DELETE CASCADE);
    INSERT INTO items SELECT g, g % 5 + 1 FROM generate_series(1, 10) g;
    CREATE TABLE tags (id integer, order_id integer REFERENCES orders ON DELETE SET NULL);
    INSERT INTO tags VALUES (1, 1), (2, 1), (3, 2);
    CREATE TABLE deferred (id integer, order_id integer REFERENCES orders DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE billing (id integer);
    INSERT INTO billing VALUES (1), (2), (3);
    CREATE TABLE watched (id integer);
    INSERT INTO watched VALUES (1);
    CREATE FUNCTION clean() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM billing; RETURN OLD; END';
    CREATE TRIGGER clean AFTER DELETE ON watched FOR EACH ROW EXECUTE PROCEDURE clean();
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE people (id integer, mood mood);
    INSERT INTO people VALUES (1, 'good');
    CREATE SCHEMA other;
    CREATE TABLE other.stuff (id integer);
    INSERT INTO other.stuff VALUES (1);
    CREATE TABLE other.billing (id integer);
    INSERT INTO other.billing VALUES (1);
    CREATE TABLE parted (id integer, k integer) PARTITION BY RANGE (k);
    CREATE TABLE part_one PARTITION OF parted FOR VALUES FROM (1) TO (10);
    CREATE TABLE part_two PARTITION OF parted FOR VALUES FROM (10) TO (20);
    INSERT INTO parted VALUES (1, 1), (2, 2), (3, 11);
    CREATE TABLE void (id integer, note text);
    CREATE VIEW seen AS SELECT id FROM billing";

/// A connection with a transaction that is looked into in savepoints, as the engine's is.
struct Transaction {
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
}

impl Transaction {
    fn of(database: &TestDatabase<'_>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let facts = database.facts();
        let options = PgConnectOptions::new_without_pgpass()
            .host(&facts.host.unwrap())
            .port(facts.port.unwrap())
            .username(USER)
            .password(PASSWORD)
            .database(database.name())
            .ssl_mode(PgSslMode::Disable);
        let connection = runtime.block_on(options.connect()).unwrap();
        Self {
            runtime,
            connection,
        }
    }

    fn ask(&mut self, sql: &str) -> Result<TextRows, QueryError> {
        use sqlx::Row as _;
        let text = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let rows = self.runtime.block_on(text.fetch_all(&mut self.connection));
        let rows = rows.map_err(|error| QueryError {
            code: error
                .as_database_error()
                .and_then(|error| Some(error.code()?.into_owned())),
            reason: error.to_string(),
        })?;
        let values = |row: sqlx::postgres::PgRow| {
            (0..row.len())
                .map(|at| row.get_unchecked::<Option<String>, _>(at))
                .collect()
        };
        Ok(rows.into_iter().map(values).collect())
    }

    fn execute(&mut self, sql: &str) {
        self.ask(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn schema(&mut self) -> SchemaLines {
        schema_of(self.rows(&[SCHEMA_OF_POSTGRES]).unwrap())
    }

    fn inventory(&mut self) -> Inventory {
        effects_postgres::inventory(self, &VersionTable::default()).unwrap()
    }

    fn end(&mut self, start: &Inventory) -> Inventory {
        effects_postgres::inventory_at_end(self, &VersionTable::default(), start).unwrap()
    }

    /// What statements do in a transaction, which is rolled back.
    fn effect(&mut self, statements: &str) -> Effect {
        self.execute("BEGIN");
        let (start, lines) = (self.inventory(), self.schema());
        self.execute(statements);
        let effect = self.measure(&start, &lines);
        self.execute("ROLLBACK");
        effect
    }

    fn measure(&mut self, start: &Inventory, lines: &SchemaLines) -> Effect {
        let (end, after) = (self.end(start), self.schema());
        let difference = Difference::between(Some(lines), Some(&after));
        let mut effect = Effect::between(start, &end, difference);
        effects_postgres::look_up_emptied(self, &mut effect).unwrap();
        effect
    }
}

impl Queries for Transaction {
    fn rows(&mut self, statements: &[&str]) -> Result<TextRows, QueryError> {
        self.ask("SAVEPOINT look")?;
        let mut last = Ok(TextRows::new());
        for statement in statements {
            last = self.ask(statement);
            if last.is_err() {
                break;
            }
        }
        self.ask("ROLLBACK TO look; RELEASE look")?;
        last
    }
}

/// What of an effect was measured by identity, in short.
fn measured(effect: &Effect) -> Vec<String> {
    let mut all = Vec::new();
    for one in &effect.dropped_tables {
        let data = if one.held_data { "" } else { " empty" };
        all.push(format!("dropped{data} {}", one.table));
    }
    for one in &effect.renamed_tables {
        all.push(format!("renamed {one}"));
    }
    for one in &effect.detached_partitions {
        all.push(format!("detached {}", one.partition));
    }
    for one in &effect.dropped_columns {
        all.push(format!("dropped {}.{}", one.table, one.column));
    }
    for one in &effect.retyped_columns {
        all.push(format!(
            "{}.{} {} to {}",
            one.table, one.column, one.from, one.to
        ));
    }
    for one in &effect.changed_rows {
        let (new, changed, gone) = (one.inserted, one.updated, one.deleted);
        all.push(format!(
            "{} +{new} ~{changed} -{gone} >{}",
            one.table, one.moved
        ));
    }
    for one in &effect.rewritten_tables {
        all.push(format!("rewrote {} {:?}", one.table, one.emptied.unwrap()));
    }
    all
}

fn verdict(effect: &Effect, announced: &Announced) -> (bool, Vec<String>) {
    let (keep, all) = match judge(effect, announced, &Consent::default()) {
        Verdict::Keep { notes } => (true, notes),
        Verdict::Undo(surprises) => (false, surprises),
    };
    (keep, all.iter().map(ToString::to_string).collect())
}

/// Statements, what is measured of them (`-`), and what is said of it: notes on what is kept (`+`), or surprises (`!`).
/// Nothing is left of a savepoint that is rolled back, and the counters say so nevertheless.
const EFFECTS: &str = "
        SELECT 1
        INSERT INTO billing VALUES (9)
          - billing +1 ~0 -0 >0
        UPDATE alembic_version SET version_num = 'b'; DELETE FROM alembic_version
        DELETE FROM orders WHERE id = 1
          - orders +0 ~0 -1 >0
          - items +0 ~0 -2 >0
          - tags +0 ~2 -0 >0
          ! also delete up to 1 row of orders
          ! also delete up to 2 rows of items
          ! also update up to 2 rows of tags
        DELETE FROM watched
          - billing +0 ~0 -3 >0
          - watched +0 ~0 -1 >0
          ! also delete up to 3 rows of billing
          ! also delete up to 1 row of watched
        DELETE FROM other.billing
          - other.billing +0 ~0 -1 >0
          ! also delete up to 1 row of other.billing
        UPDATE orders SET note = NULL
          - orders +0 ~5 -0 >0
          ! also update up to 5 rows of orders
        DROP TYPE mood CASCADE
          - dropped people.mood
          ! also drop column people.mood
        DROP SCHEMA other CASCADE
          - dropped other.billing
          - dropped stuff
          ! also drop table other.billing
          ! also drop table stuff
        DROP TABLE billing CASCADE
          - dropped billing
          ! also drop table billing
        DROP TABLE void
          - dropped empty void
          + also drop table void
        DROP VIEW seen
          + also drop view seen
        TRUNCATE billing
          - rewrote billing true
          ! also delete all rows of billing
        TRUNCATE billing; INSERT INTO billing VALUES (1), (2)
          - billing +2 ~0 -0 >0
          - rewrote billing true
          ! also delete all rows of billing
        TRUNCATE void
        TRUNCATE parted
          - rewrote part_one true
          - rewrote part_two true
          ! also delete all rows of part_one
          ! also delete all rows of part_two
        ALTER TABLE orders ALTER cents TYPE smallint USING 1
          - orders.cents bigint to smallint
          - rewrote orders false
          ! also change column orders.cents from bigint to smallint
        ALTER TABLE orders ALTER note TYPE varchar
          - orders.note text to character varying
        ALTER TABLE void ALTER note TYPE integer USING 1
        ALTER TABLE void DROP note
        ALTER TABLE billing RENAME TO bills
          - renamed billing
          + also rename table billing to public.bills
        ALTER TABLE orders RENAME note TO memo
        ALTER TABLE parted DETACH PARTITION part_one
          - detached part_one
          ! also detach partition part_one from parted
        UPDATE parted SET k = 12 WHERE k = 1
          - parted +0 ~0 -0 >1
        DELETE FROM parted WHERE k = 1
          - parted +0 ~0 -1 >0
          ! also delete up to 1 row of parted
        DROP TABLE part_one
          - dropped part_one
          ! also drop table part_one
        DROP TABLE parted
          - dropped parted
          ! also drop table parted
        ALTER TABLE parted DROP id
          - dropped parted.id
          ! also drop column parted.id
        ALTER TABLE orders DROP note; ALTER TABLE orders ADD note text
          - dropped orders.note
          ! also drop column orders.note
        ALTER TABLE billing SET UNLOGGED
          - rewrote billing false
        CLUSTER orders USING orders_pkey
          - rewrote orders false
        ALTER TABLE orders ADD at timestamptz DEFAULT clock_timestamp()
          - rewrote orders false
        CREATE TABLE new_orders AS SELECT * FROM billing; DROP TABLE billing CASCADE; ALTER TABLE new_orders RENAME TO billing
          - dropped billing
          ! also drop table billing
        CREATE TABLE copy AS SELECT * FROM billing; DELETE FROM billing; INSERT INTO billing SELECT * FROM copy; DROP TABLE copy
          - billing +3 ~0 -3 >0
          ! also delete up to 3 rows of billing
        SAVEPOINT s; DELETE FROM billing; ROLLBACK TO s
          - billing +0 ~0 -3 >0
          ! also delete up to 3 rows of billing
        SAVEPOINT s; DROP TABLE billing CASCADE; ROLLBACK TO s
        CREATE TEMPORARY TABLE orders (id integer); INSERT INTO orders VALUES (1); DELETE FROM orders";

/// Turns red if an effect is not measured, or is held against a step that may have it.
#[test]
fn effects_are_measured_inside_the_transaction() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(TABLES);
    let mut transaction = Transaction::of(&database);
    for case in cases(EFFECTS) {
        let statements = case.head;
        let effect = transaction.effect(statements);
        let mut found = measured(&effect);
        let mut expected = case.marked("-");
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{statements}");
        let (kept, mut said) = verdict(&effect, &Announced::default());
        let surprises = case.marked("!");
        let mut words = [surprises.clone(), case.marked("+")].concat();
        said.sort();
        words.sort_unstable();
        assert_eq!(kept, surprises.is_empty(), "{statements}");
        assert_eq!(said, words, "{statements}");
        // Code that nobody followed may change what it likes, and lose nothing.
        if let Verdict::Undo(surprises) =
            judge(&effect, &Announced::anything(), &Consent::default())
        {
            assert!(surprises.iter().all(Surprise::is_loss), "{statements}");
        }
    }
}

/// Turns red if a look leaves something in the transaction or the session, or depends on their settings.
#[test]
fn a_look_leaves_no_trace() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(TABLES);
    let mut transaction = Transaction::of(&database);
    let settings = "SELECT name || ' ' || setting || ' ' || source FROM pg_settings ORDER BY 1";
    transaction.execute("SET statement_timeout = '1h'; SET search_path = other, public");
    transaction.execute("BEGIN; SET LOCAL lock_timeout = '7s'");
    let before = transaction.ask(settings).unwrap();
    let inventory = transaction.inventory();
    assert_eq!(inventory.search_path, ["other", "public"]);
    assert!(
        inventory
            .tables
            .values()
            .all(|table| table.name != "alembic_version")
    );
    assert_eq!(transaction.ask(settings).unwrap(), before);
    let changed = transaction
        .ask("SELECT txid_current_if_assigned()::text")
        .unwrap();
    assert_eq!(changed, [[None]], "a look needs no number of a transaction");
    // Under this path the name alone means the other table.
    transaction.execute("DELETE FROM billing");
    let effect = Effect::between(
        &inventory,
        &transaction.end(&inventory),
        Difference::default(),
    );
    assert_eq!(measured(&effect), ["billing +0 ~0 -1 >0"]);
    assert_eq!(
        effect.changed_rows[0].table.schema.as_deref(),
        Some("other")
    );
    transaction.execute("ROLLBACK");
}

/// The counters of a transaction that was committed a moment ago are still there. Red if the next step answers for them.
#[test]
fn a_step_does_not_answer_for_the_one_before() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(TABLES);
    let mut transaction = Transaction::of(&database);
    transaction.execute("BEGIN");
    let first = transaction.inventory();
    transaction.execute("DELETE FROM billing WHERE id = 1; ALTER TABLE orders DROP note");
    let end = transaction.end(&first);
    transaction.execute("COMMIT; BEGIN");
    let second =
        effects_postgres::inventory_at_start(&mut transaction, &VersionTable::default(), &end)
            .unwrap();
    assert_eq!(second.tables.len(), end.tables.len());
    transaction.execute("DELETE FROM billing WHERE id = 2; ALTER TABLE orders DROP cents");
    let end = transaction.end(&second);
    let effect = Effect::between(&second, &end, Difference::default());
    assert_eq!(
        measured(&effect),
        ["dropped orders.cents", "billing +0 ~0 -1 >0"]
    );
    transaction.execute("ROLLBACK");
}

/// Red if a surprise is not confirmed by counting, or one is that is none.
#[test]
fn surprises_are_confirmed_by_counting() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(TABLES);
    database.execute("INSERT INTO void VALUES (1, 'x'); DELETE FROM void");
    let mut transaction = Transaction::of(&database);
    let mut confirmed = |statements: &str| {
        transaction.execute("BEGIN");
        let start = transaction.inventory();
        transaction.execute(statements);
        let effect = transaction.measure(&start, &SchemaLines::new());
        let Verdict::Undo(surprises) = judge(&effect, &Announced::default(), &Consent::default())
        else {
            panic!("{statements}: {effect:?}");
        };
        let requests: Vec<_> = surprises.iter().filter_map(Surprise::needs_count).collect();
        let now: Vec<_> = requests
            .iter()
            .map(|one| effects_postgres::count_now(&mut transaction, one).unwrap())
            .collect();
        transaction.execute("ROLLBACK");
        let counted = surprises.into_iter().zip(&requests).zip(now);
        let counted = counted.filter_map(|((surprise, request), now)| {
            let before = database.query_one(&effects_postgres::count_after_rollback(request));
            surprise.counted(before.parse().unwrap(), now)
        });
        counted.map(|one| one.to_string()).collect::<Vec<_>>()
    };
    // The file has a block, and the table no row.
    assert_eq!(confirmed("DROP TABLE void"), [""; 0]);
    assert_eq!(confirmed("ALTER TABLE void DROP note"), [""; 0]);
    assert_eq!(confirmed("TRUNCATE void"), [""; 0]);
    assert_eq!(
        confirmed("DROP TABLE billing CASCADE"),
        ["also drop table billing (3 rows)"]
    );
    assert_eq!(
        confirmed("ALTER TABLE orders DROP note"),
        ["also drop column orders.note (5 values)"]
    );
    assert_eq!(
        confirmed("TRUNCATE billing"),
        ["also delete all 3 rows of billing"]
    );
    assert_eq!(
        confirmed("SAVEPOINT s; DELETE FROM billing; ROLLBACK TO s"),
        [""; 0]
    );
    assert_eq!(
        confirmed(
            "SAVEPOINT s; DELETE FROM billing; ROLLBACK TO s; DELETE FROM billing WHERE id = 1"
        ),
        ["also delete 1 row of billing"]
    );
}

/// Another session holds a table, and rows are hidden from the role. Red if the look waits, fails or believes them gone.
#[test]
fn a_look_neither_waits_nor_trusts_what_it_cannot_see() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(TABLES);
    let mut holder = Transaction::of(&database);
    holder.execute("BEGIN; LOCK TABLE void IN ACCESS EXCLUSIVE MODE");
    let mut transaction = Transaction::of(&database);
    transaction.execute("BEGIN");
    let inventory = transaction.inventory();
    let void = inventory.tables.values().find(|table| table.name == "void");
    assert!(void.unwrap().holds_data, "it may, for all that is known");
    holder.execute("ROLLBACK");
    transaction.execute("SET LOCAL track_counts = off; DELETE FROM billing");
    let effect = Effect::between(
        &inventory,
        &transaction.end(&inventory),
        Difference::default(),
    );
    assert_eq!(effect.unmeasured, [Unmeasured::CountersSwitchedOff]);
    assert!(!verdict(&effect, &Announced::default()).0);
    transaction.execute("ROLLBACK");

    Server::shared(Kind::PostgreSql).execute(
        "DO $$ BEGIN CREATE ROLE hidden_from NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    );
    database.execute(
        "ALTER TABLE billing ENABLE ROW LEVEL SECURITY; GRANT ALL ON billing TO hidden_from;
         GRANT USAGE ON SCHEMA public TO hidden_from",
    );
    transaction.execute("BEGIN; SET LOCAL ROLE hidden_from");
    let start = transaction.inventory();
    transaction.execute("TRUNCATE billing");
    let mut effect = Effect::between(&start, &transaction.end(&start), Difference::default());
    effects_postgres::look_up_emptied(&mut transaction, &mut effect).unwrap();
    assert_eq!(effect.rewritten_tables[0].emptied, None);
    assert_eq!(
        verdict(&effect, &Announced::default()),
        (
            false,
            vec!["also perhaps delete all rows of billing".to_owned()]
        )
    );
    transaction.execute("ROLLBACK");
}

/// Red if a loss is not seen on a server that is measured by counting.
#[test]
fn effects_are_counted_elsewhere() {
    for kind in [Kind::Sqlite, Kind::MariaDb, Kind::MySql] {
        if !kind.is_installed() {
            continue;
        }
        for (statements, words) in [
            (
                "DELETE FROM billing WHERE id = 1",
                &["also delete 1 row of billing"][..],
            ),
            ("DROP TABLE billing", &["also drop table billing (3 rows)"]),
            ("DROP TABLE void", &[]),
            (
                "ALTER TABLE orders DROP COLUMN note",
                &["also drop column orders.note"],
            ),
            ("ALTER TABLE void DROP COLUMN note", &[]),
            ("INSERT INTO billing VALUES (9)", &[]),
        ] {
            let database = TestDatabase::create(kind);
            database.execute(
                "CREATE TABLE billing (id integer); INSERT INTO billing VALUES (1), (2), (3);
                 CREATE TABLE orders (id integer, note varchar(9)); INSERT INTO orders VALUES (1, 'x');
                 CREATE TABLE void (id integer, note varchar(9))",
            );
            let mut own = database.open();
            let mut look = || {
                let schema = own.schema().unwrap();
                let version = VersionTable::default();
                let budget = Duration::from_secs(5);
                let counts = own.row_counts(budget).unwrap().unwrap();
                CountedInventory::new(&schema, &counts, &version)
            };
            let before = look();
            assert_eq!(before.not_counted(), [""; 0]);
            database.execute(statements);
            let announced = Announced::default();
            let effect = Effect::counted(&before, &look(), Difference::default(), &announced);
            let (kept, said) = verdict(&effect, &announced);
            let words: Vec<String> = words.iter().map(|one| (*one).to_owned()).collect();
            let surprises = words.iter().filter(|one| !one.ends_with("void"));
            assert_eq!(
                kept,
                surprises.count() == 0,
                "{kind:?} {statements}: {effect:?}"
            );
            if statements.starts_with("DROP TABLE void") {
                assert_eq!(said, ["also drop table void"], "{kind:?}");
            } else {
                assert_eq!(said, words, "{kind:?} {statements}");
            }
        }
    }
}
