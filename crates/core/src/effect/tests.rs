//! Effects and verdicts by value.

use proptest::prelude::*;

use super::between::moved;
use super::*;
use crate::dialect::Dialect;
use crate::operation::{
    ColumnChange, ColumnType, Family, ObjectKind, Operation, Place, Recreate, RowChange,
    SchemaObject,
};

const BILLING: u32 = 10;
const ORDERS: u32 = 11;
const PARTED: u32 = 20;
const PART_ONE: u32 = 21;
const PART_TWO: u32 = 22;

fn column(name: &str, type_id: u32) -> Column {
    Column {
        name: name.to_owned(),
        type_id: (type_id, -1),
        type_name: format!("type{type_id}"),
    }
}

fn table(name: &str, oid: u32) -> Table {
    Table {
        schema: "public".to_owned(),
        name: name.to_owned(),
        storage: oid,
        holds_data: true,
        parent: None,
        columns: [(1, column("id", 23)), (2, column("note", 25))].into(),
        rows: RowCounts::default(),
    }
}

fn part(name: &str, oid: u32) -> Table {
    Table {
        parent: Some(PARTED),
        ..table(name, oid)
    }
}

/// Two plain tables, and one with two partitions.
fn inventory() -> Inventory {
    let parted = Table {
        storage: 0,
        holds_data: false,
        ..table("parted", PARTED)
    };
    Inventory {
        track_counts: true,
        search_path: vec!["public".to_owned()],
        tables: [
            (BILLING, table("billing", BILLING)),
            (ORDERS, table("orders", ORDERS)),
            (PARTED, parted),
            (PART_ONE, part("part_one", PART_ONE)),
            (PART_TWO, part("part_two", PART_TWO)),
        ]
        .into(),
    }
}

/// What a change of the inventory comes to.
fn after(change: impl Fn(&mut Inventory)) -> Effect {
    let before = inventory();
    let mut after = before.clone();
    change(&mut after);
    Effect::between(&before, &after, Difference::default())
}

fn rows(oid: u32, inserted: u64, updated: u64, deleted: u64) -> impl Fn(&mut Inventory) {
    move |after| {
        after.tables.get_mut(&oid).unwrap().rows = RowCounts {
            inserted,
            updated,
            deleted,
        };
    }
}

fn without(oid: u32) -> impl Fn(&mut Inventory) {
    move |after| {
        after.tables.remove(&oid);
    }
}

fn lines(gone: &[&str], new: &[&str]) -> Effect {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Effect {
        schema: Difference {
            gone: owned(gone),
            new: owned(new),
        },
        ..Effect::default()
    }
}

fn named(name: &str) -> TableName {
    match name.split_once('.') {
        Some((schema, name)) => TableName {
            schema: Some(schema.to_owned()),
            name: name.to_owned(),
        },
        None => TableName::plain(name),
    }
}

fn drop_table(name: &str) -> Operation {
    Operation::DropTable {
        table: named(name),
        if_exists: false,
        cascade: false,
    }
}

fn rename(name: &str, to: &str) -> Operation {
    Operation::RenameTable {
        table: named(name),
        to: to.to_owned(),
    }
}

fn drop_column(table: &str, column: &str) -> Operation {
    Operation::DropColumn {
        table: named(table),
        column: column.to_owned(),
        if_exists: false,
        cascade: false,
    }
}

fn change_rows(change: RowChange, table: &str) -> Operation {
    Operation::ChangeRows {
        change,
        table: Some(named(table)),
        columns: Vec::new(),
        conditional: true,
        nulls: Vec::new(),
        sql: None,
    }
}

fn retype(table: &str, column: &str) -> Operation {
    Operation::AlterColumn {
        table: named(table),
        column: column.to_owned(),
        change: ColumnChange {
            changes_type: true,
            ..ColumnChange::default()
        },
    }
}

fn batch(table: &str, recreate: Recreate, operations: Vec<Operation>) -> Operation {
    let place = Place {
        file: "a.py".into(),
        line: 1,
        column: 1,
    };
    let operations = operations.into_iter();
    Operation::Batch {
        table: named(table),
        recreate,
        copy_from: false,
        naming_convention: false,
        operations: operations.map(|one| (place.clone(), one)).collect(),
    }
}

fn announced(operations: &[Operation]) -> Announced {
    let mut announced = Announced::new(Some("public".to_owned()), Some(Dialect::Postgres));
    for operation in operations {
        announced.add(operation, Some(Dialect::Postgres));
    }
    announced
}

fn words(verdict: &Verdict) -> (bool, Vec<String>) {
    let (keep, found) = match verdict {
        Verdict::Keep { notes } => (true, notes),
        Verdict::Undo(surprises) => (false, surprises),
    };
    (keep, found.iter().map(ToString::to_string).collect())
}

/// An effect, what the plan does, and what is said of it; `None` for nothing.
type Case = (&'static str, Effect, Vec<Operation>, Option<&'static str>);

/// Rows that are undone unless the third part announces them.
fn cases() -> Vec<Case> {
    let three = || after(rows(BILLING, 0, 0, 3));
    let retyped = |oid: u32, rewritten: bool| {
        let mut effect = after(move |after| {
            let table = after.tables.get_mut(&oid).unwrap();
            table.columns.insert(2, column("note", 1043));
            table.storage += u32::from(rewritten);
        });
        for rewritten in &mut effect.rewritten_tables {
            rewritten.emptied = Some(false);
        }
        effect
    };
    let emptied = |emptied| {
        let mut effect = after(|after| after.tables.get_mut(&BILLING).unwrap().storage = 99);
        effect.rewritten_tables[0].emptied = emptied;
        effect
    };
    let swapped = || {
        after(|after| {
            after.tables.remove(&BILLING);
            after.tables.insert(30, table("billing", 30));
        })
    };
    let renamed = |to: &'static str| {
        after(move |after| after.tables.get_mut(&BILLING).unwrap().name = to.to_owned())
    };
    let same_name = || {
        after(|after| {
            let columns = &mut after.tables.get_mut(&BILLING).unwrap().columns;
            columns.remove(&2);
            columns.insert(3, column("note", 25));
        })
    };
    let detached = || after(|after| after.tables.get_mut(&PART_ONE).unwrap().parent = None);
    let moved = || {
        after(|after| {
            rows(PART_ONE, 0, 0, 2)(after);
            rows(PART_TWO, 2, 0, 0)(after);
        })
    };
    vec![
        // Cascades, triggers and code that nobody followed.
        (
            "delete",
            three(),
            vec![],
            Some("also delete up to 3 rows of billing"),
        ),
        (
            "delete elsewhere",
            three(),
            vec![change_rows(RowChange::Delete, "orders")],
            Some("also delete up to 3 rows of billing"),
        ),
        (
            "delete announced",
            three(),
            vec![change_rows(RowChange::Delete, "billing")],
            None,
        ),
        (
            "delete announced with schema",
            three(),
            vec![change_rows(RowChange::Delete, "public.billing")],
            None,
        ),
        (
            "delete announced elsewhere",
            three(),
            vec![change_rows(RowChange::Delete, "audit.billing")],
            Some("also delete up to 3 rows of billing"),
        ),
        (
            "delete, update announced",
            three(),
            vec![change_rows(RowChange::Update, "billing")],
            Some("also delete up to 3 rows of billing"),
        ),
        (
            "some change announced",
            three(),
            vec![change_rows(RowChange::Some, "billing")],
            None,
        ),
        (
            "update",
            after(rows(BILLING, 0, 5, 0)),
            vec![],
            Some("also update up to 5 rows of billing"),
        ),
        (
            "trigger updates a table of the plan",
            after(rows(BILLING, 0, 5, 0)),
            vec![drop_column("billing", "x")],
            None,
        ),
        ("audit rows", after(rows(BILLING, 9, 0, 0)), vec![], None),
        // Copies.
        (
            "copied to a new table and back",
            after(rows(BILLING, 3, 0, 3)),
            vec![change_rows(RowChange::Delete, "billing")],
            None,
        ),
        (
            "deleted and inserted",
            after(rows(BILLING, 3, 0, 3)),
            vec![],
            Some("also delete up to 3 rows of billing"),
        ),
        (
            "made by CTAS and swapped",
            swapped(),
            vec![drop_table("billing"), rename("billing_new", "billing")],
            None,
        ),
        (
            "renamed away and dropped",
            swapped(),
            vec![rename("billing", "billing_old"), drop_table("billing_old")],
            None,
        ),
        (
            "swapped unannounced",
            swapped(),
            vec![],
            Some("also drop table billing"),
        ),
        (
            "recreated by a batch",
            swapped(),
            vec![batch("billing", Recreate::Always, vec![])],
            None,
        ),
        (
            "batch without a copy",
            swapped(),
            vec![batch("billing", Recreate::Never, vec![])],
            Some("also drop table billing"),
        ),
        (
            "batch that loses another column",
            after(|after| {
                after.tables.remove(&BILLING);
                let mut new = table("billing", 30);
                new.columns.remove(&2);
                after.tables.insert(30, new);
            }),
            vec![batch(
                "billing",
                Recreate::Always,
                vec![drop_column("billing", "id")],
            )],
            Some("also drop column billing.note"),
        ),
        // Tables.
        (
            "drop",
            after(without(BILLING)),
            vec![],
            Some("also drop table billing"),
        ),
        (
            "drop announced",
            after(without(BILLING)),
            vec![drop_table("billing")],
            None,
        ),
        (
            "drop of a partitioned table",
            after(|after| after.tables.retain(|oid, _| *oid < PARTED)),
            vec![],
            Some("also drop table parted"),
        ),
        (
            "drop of a partition",
            after(without(PART_ONE)),
            vec![],
            Some("also drop table part_one"),
        ),
        (
            "drop of a partition announced by its table",
            after(without(PART_ONE)),
            vec![drop_table("parted")],
            None,
        ),
        (
            "detached",
            detached(),
            vec![],
            Some("also detach partition part_one from parted"),
        ),
        (
            "detached, announced",
            detached(),
            vec![retype("parted", "x")],
            None,
        ),
        (
            "rename announced",
            renamed("bills"),
            vec![rename("billing", "bills")],
            None,
        ),
        // Columns by identity.
        (
            "column of the same name",
            same_name(),
            vec![],
            Some("also drop column billing.note"),
        ),
        (
            "column announced",
            same_name(),
            vec![drop_column("billing", "note")],
            None,
        ),
        (
            "column announced after a rename",
            same_name(),
            vec![rename("billing", "bills"), drop_column("bills", "note")],
            None,
        ),
        (
            "another column announced",
            same_name(),
            vec![drop_column("billing", "id")],
            Some("also drop column billing.note"),
        ),
        (
            "type",
            retyped(BILLING, true),
            vec![],
            Some("also change column billing.note from type25 to type1043"),
        ),
        (
            "type announced",
            retyped(BILLING, true),
            vec![retype("billing", "note")],
            None,
        ),
        (
            "type without a rewrite",
            retyped(BILLING, false),
            vec![],
            None,
        ),
        (
            "type of partitions",
            retyped(PART_ONE, true),
            vec![],
            Some("also change column parted.note from type25 to type1043"),
        ),
        // Storage.
        (
            "truncate",
            emptied(Some(true)),
            vec![],
            Some("also delete all rows of billing"),
        ),
        (
            "truncate announced",
            emptied(Some(true)),
            vec![change_rows(RowChange::Delete, "billing")],
            None,
        ),
        ("cluster", emptied(Some(false)), vec![], None),
        (
            "rewritten and not looked up",
            emptied(None),
            vec![],
            Some("also perhaps delete all rows of billing"),
        ),
        // Partitions.
        ("moved", moved(), vec![], None),
        (
            "partition announced",
            after(rows(PART_ONE, 0, 0, 2)),
            vec![change_rows(RowChange::Delete, "part_one")],
            None,
        ),
        (
            "partition",
            after(rows(PART_ONE, 0, 0, 2)),
            vec![],
            Some("also delete up to 2 rows of parted"),
        ),
        (
            "deleted from and inserted into one",
            after(rows(PART_ONE, 2, 0, 2)),
            vec![],
            Some("also delete up to 2 rows of parted"),
        ),
        (
            "counters switched off",
            after(|after| after.track_counts = false),
            vec![],
            Some("also switch off track_counts, so that its rows are not counted"),
        ),
    ]
}

#[test]
fn a_step_is_undone_only_for_what_the_plan_did_not_announce() {
    let cases = cases();
    assert!(cases.len() >= 25);
    for (name, effect, operations, expected) in cases {
        let announced = announced(&operations);
        let verdict = words(&judge(&effect, &announced, &Consent::default()));
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        if expected.is_empty() {
            assert_eq!(verdict, (true, Vec::new()), "{name}");
        } else {
            assert!(!verdict.0, "{name}: {verdict:?}");
            assert_eq!(verdict.1[0], expected[0], "{name}");
        }
        // The operator may agree in general, or to what was measured before.
        let general = Consent {
            unannounced: true,
            ..Consent::default()
        };
        assert!(words(&judge(&effect, &announced, &general)).0, "{name}");
        if let Verdict::Undo(measured) = judge(&effect, &announced, &Consent::default()) {
            let agreed = Consent {
                measured,
                ..Consent::default()
            };
            assert!(words(&judge(&effect, &announced, &agreed)).0, "{name}");
        }
        // It goes into the journal.
        let json = serde_json::to_string(&effect).unwrap();
        assert_eq!(serde_json::from_str::<Effect>(&json).unwrap(), effect);
    }
}

#[test]
fn what_holds_no_data_is_a_note() {
    let index = "index public.billing CREATE INDEX ix ON public.billing USING btree (id)";
    let trigger = "trigger public.billing CREATE TRIGGER watch BEFORE UPDATE ON public.billing";
    let object = |kind, name: &str| SchemaObject {
        kind,
        name: TableName::plain(name),
        table: None,
        arguments: None,
    };
    let view = Operation::DropView {
        name: named("v"),
        if_exists: false,
        cascade: false,
    };
    let policy = Operation::DropObject {
        object: object(ObjectKind::Policy, "mine"),
    };
    let mut empty = after(without(BILLING));
    empty.dropped_tables[0].held_data = false;
    let renamed = after(|after| after.tables.get_mut(&BILLING).unwrap().name = "b".to_owned());
    for (effect, operations, expected) in [
        (lines(&[index], &[]), vec![], vec!["also drop index ix"]),
        (
            lines(&[index], &[]),
            vec![drop_column("billing", "id")],
            vec![],
        ),
        (
            lines(&[trigger], &[]),
            vec![],
            vec!["also drop trigger watch"],
        ),
        (
            lines(&["view public.v SELECT 1"], &[]),
            vec![],
            vec!["also drop view v"],
        ),
        (lines(&["view public.v SELECT 1"], &[]), vec![view], vec![]),
        (
            lines(&["view public.v SELECT 1"], &["view public.v SELECT 2"]),
            vec![],
            vec![],
        ),
        (
            lines(&["policy public.billing.mine all"], &[]),
            vec![policy],
            vec![],
        ),
        (
            lines(
                &["foreign key public.billing.fk FOREIGN KEY (a) REFERENCES orders(id)"],
                &[],
            ),
            vec![drop_table("orders")],
            vec!["also drop foreign key billing.fk"],
        ),
        (
            lines(&["sequence public.billing_id_seq integer"], &[]),
            vec![drop_table("billing")],
            vec![],
        ),
        (
            lines(&["grant public.billing SELECT to x"], &[]),
            vec![],
            vec![],
        ),
        (empty, vec![], vec!["also drop table billing"]),
        (
            renamed,
            vec![],
            vec!["also rename table billing to public.b"],
        ),
        (after(|_| ()), vec![], vec![]),
    ] {
        let announced = announced(&operations);
        let lenient = words(&judge(&effect, &announced, &Consent::default()));
        assert!(lenient.0, "{effect:?}");
        assert_eq!(lenient.1, expected, "{effect:?}");
        let strict = Consent {
            strict: true,
            ..Consent::default()
        };
        let strict = words(&judge(&effect, &announced, &strict));
        assert_eq!(strict.0, expected.is_empty(), "{effect:?}");
    }
}

#[test]
fn what_was_not_followed_may_do_what_it_was_shown_to_do() {
    let updated = after(rows(BILLING, 0, 3, 0));
    let deleted = after(rows(BILLING, 0, 0, 3));
    let dropped = after(without(BILLING));
    for (unfollowed, keeps) in [
        (Unfollowed::Nothing, [false, false, false]),
        (Unfollowed::Rows, [true, false, false]),
        (Unfollowed::Anything, [true, false, false]),
    ] {
        let mut announced = announced(&[]);
        announced.may_do(unfollowed);
        let kept = [&updated, &deleted, &dropped]
            .map(|effect| words(&judge(effect, &announced, &Consent::default())));
        assert_eq!([kept[0].0, kept[1].0, kept[2].0], keeps, "{unfollowed:?}");
        // It is told even so.
        assert_eq!(kept[0].1, ["also update up to 3 rows of billing"]);
    }
    let somewhere = Operation::ChangeRows {
        change: RowChange::Delete,
        table: None,
        columns: Vec::new(),
        conditional: true,
        nulls: Vec::new(),
        sql: None,
    };
    let announced_somewhere = announced(&[somewhere]);
    for (effect, keeps) in [(&updated, true), (&deleted, true), (&dropped, false)] {
        let verdict = judge(effect, &announced_somewhere, &Consent::default());
        assert_eq!(words(&verdict).0, keeps, "{effect:?}");
    }
    assert_eq!(Announced::anything().unfollowed(), Unfollowed::Anything);
    let sql = Operation::Sql {
        text: vec![Some("DROP SCHEMA x CASCADE".to_owned())],
    };
    assert_eq!(announced(&[sql]).unfollowed(), Unfollowed::Anything);
}

#[test]
fn counting_confirms_a_surprise_or_takes_it_back() {
    let one = |effect: &Effect| match judge(effect, &announced(&[]), &Consent::default()) {
        Verdict::Undo(mut surprises) => surprises.remove(0),
        Verdict::Keep { .. } => panic!("kept"),
    };
    let dropped = one(&after(without(BILLING)));
    let request = dropped.needs_count().unwrap();
    assert_eq!(
        (request.table, request.now),
        (named("public.billing"), None)
    );
    assert_eq!(dropped.clone().counted(0, None), None);
    let counted = dropped.counted(2, None).unwrap();
    assert_eq!(counted.to_string(), "also drop table billing (2 rows)");
    assert_eq!(counted.needs_count(), None);

    // 3 by the counters, of which a savepoint took 2 back; 4 rows were inserted.
    let deleted = one(&after(rows(BILLING, 4, 0, 3)));
    let request = deleted.needs_count().unwrap();
    assert_eq!(request.now, Some(named("public.billing")));
    let counted = deleted.clone().counted(10, Some(13)).unwrap();
    assert_eq!(counted.to_string(), "also delete 1 row of billing");
    assert_eq!(deleted.counted(10, Some(14)), None);

    let mut effect = after(|after| after.tables.get_mut(&BILLING).unwrap().storage = 99);
    let emptied = one(&effect);
    assert_eq!(emptied.clone().counted(5, Some(5)), None);
    let words = emptied.counted(5, Some(0)).unwrap().to_string();
    assert_eq!(words, "also delete all 5 rows of billing");
    effect.rewritten_tables[0].emptied = Some(true);
    assert_eq!(one(&effect).counted(0, None), None);
}

#[test]
fn a_name_without_a_schema_means_the_first_table_in_the_search_path() {
    let mut before = inventory();
    let mut other = table("billing", 40);
    other.schema = "tenant".to_owned();
    before.tables.insert(40, other);
    let mut after = before.clone();
    rows(BILLING, 0, 0, 1)(&mut after);
    rows(40, 0, 0, 1)(&mut after);
    let effect = Effect::between(&before, &after, Difference::default());
    let announced = announced(&[change_rows(RowChange::Delete, "billing")]);
    let verdict = words(&judge(&effect, &announced, &Consent::default()));
    assert_eq!(
        verdict,
        (
            false,
            vec!["also delete up to 1 row of tenant.billing".to_owned()]
        )
    );
    // A name of which there is only one, wherever it is.
    before.search_path = vec!["elsewhere".to_owned()];
    assert!(before.identity(BILLING, &after).unqualified);
}

#[test]
fn counted_tables_are_compared_by_name() {
    let one = |name: &str, rows: Option<u64>| CountedTable {
        name: TableName::plain(name),
        rows,
        columns: [("id", "INTEGER"), ("note", "TEXT")]
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .into(),
    };
    let with = |tables: &[(&str, Option<u64>)]| CountedInventory {
        tables: tables
            .iter()
            .map(|(name, rows)| ((*name).to_owned(), one(name, *rows)))
            .collect(),
    };
    let before = with(&[("billing", Some(3)), ("orders", Some(2))]);
    let verdict = |after: &CountedInventory, operations: &[Operation]| {
        let mut announced = Announced::new(None, Some(Dialect::Sqlite));
        for operation in operations {
            announced.add(operation, Some(Dialect::Sqlite));
        }
        let effect = Effect::counted(&before, after, Difference::default(), &announced);
        words(&judge(&effect, &announced, &Consent::default()))
    };
    let undone = |text: &str| (false, vec![text.to_owned()]);
    let kept = (true, Vec::new());
    assert_eq!(verdict(&before, &[]), kept);
    let fewer = with(&[("billing", Some(1)), ("orders", Some(9))]);
    assert_eq!(
        verdict(&fewer, &[]),
        undone("also delete 2 rows of billing")
    );
    let gone = with(&[("orders", Some(2))]);
    assert_eq!(
        verdict(&gone, &[]),
        undone("also drop table billing (3 rows)")
    );
    assert_eq!(verdict(&gone, &[drop_table("Billing")]), kept);
    let renamed = with(&[("bills", Some(3)), ("orders", Some(2))]);
    assert_eq!(verdict(&renamed, &[rename("billing", "bills")]), kept);
    let fewer = with(&[("bills", Some(2)), ("orders", Some(2))]);
    assert_eq!(
        verdict(&fewer, &[rename("billing", "bills")]),
        undone("also delete 1 row of billing")
    );
    let mut column = before.clone();
    column
        .tables
        .get_mut("billing")
        .unwrap()
        .columns
        .remove("note");
    assert_eq!(
        verdict(&column, &[]),
        undone("also drop column billing.note")
    );
    let dropping = batch(
        "billing",
        Recreate::Auto,
        vec![drop_column("billing", "note")],
    );
    assert_eq!(verdict(&column, &[dropping]), kept);
    let late = with(&[("billing", None), ("orders", Some(2))]);
    let note = "also change rows that were not counted: billing".to_owned();
    assert_eq!(verdict(&late, &[]), (true, vec![note]));
    assert_eq!(late.not_counted(), ["billing"]);
}

#[test]
fn columns_that_get_another_name_keep_their_first_one() {
    let rename = Operation::AlterColumn {
        table: named("billing"),
        column: "note".to_owned(),
        change: ColumnChange {
            new_name: Some("memo".to_owned()),
            kind: Some(ColumnType {
                family: Family::Text,
                length: None,
                precision: None,
                scale: None,
                timezone: false,
                enum_name: None,
                values: Vec::new(),
                written: "TEXT".to_owned(),
            }),
            ..ColumnChange::default()
        },
    };
    let announced = announced(&[rename, drop_column("billing", "memo")]);
    let effect = after(|after| {
        after.tables.get_mut(&BILLING).unwrap().columns.remove(&2);
    });
    assert!(words(&judge(&effect, &announced, &Consent::default())).0);
}

/// Red if rows of a partition, which are summed at its root, are taken for somebody else's doing.
#[test]
fn an_effect_knows_which_rows_it_may_have_removed() {
    let effect = after(rows(PART_ONE, 0, 0, 2));
    assert_eq!(effect.may_have_removed("public.part_one", 2), Some(true));
    assert_eq!(effect.may_have_removed("public.parted", 2), Some(true));
    assert_eq!(effect.may_have_removed("public.part_one", 3), Some(false));
    assert_eq!(effect.may_have_removed("public.billing", 1), Some(false));
    let dropped = after(without(BILLING));
    assert_eq!(dropped.may_have_removed("public.billing", 99), Some(true));
    let not_counted = after(|after| after.track_counts = false);
    assert_eq!(not_counted.may_have_removed("public.billing", 1), None);
}

/// Red if what another session removed is said to be unseen: it went elsewhere, and stays of the same kind.
#[test]
fn what_is_missing_from_an_effect_went_elsewhere() {
    let lost = |name: &str| Surprise::RowsDeleted {
        table: TableIdentity {
            schema: Some("public".to_owned()),
            name: name.to_owned(),
            ..TableIdentity::default()
        },
        rows: 1,
        inserted: 0,
        exact: true,
    };
    let effect = after(rows(BILLING, 0, 0, 1));
    let [found] = effect
        .elsewhere(vec![lost("billing"), lost("orders")])
        .try_into()
        .unwrap();
    assert!(found.is_loss() && found.is_of_rows() && found.covers(&found));
    assert_eq!(
        found.to_string(),
        "also delete 1 row of public.orders over another connection, unless another session did"
    );
}

proptest! {
    /// What moved is neither more than what went nor more than what came, and none of it stayed where it was.
    #[test]
    fn rows_move_from_one_partition_to_another(
        parts in prop::collection::vec((0_u64..20, 0_u64..20), 1..5)
    ) {
        let moved = moved(parts.iter().copied());
        let deleted: u64 = parts.iter().map(|(deleted, _)| deleted).sum();
        let inserted: u64 = parts.iter().map(|(_, inserted)| inserted).sum();
        prop_assert!(moved <= deleted && moved <= inserted);
        if parts.len() == 1 {
            prop_assert_eq!(moved, 0);
        }
        for (gone, new) in parts {
            prop_assert!(moved <= deleted - gone + inserted - new);
        }
    }

    /// Nothing is lost by inserts alone, whatever the tables are, and nothing happens between an inventory and itself.
    #[test]
    fn inserts_are_never_a_surprise(counts in prop::collection::vec(0_u64..9, 5)) {
        let before = inventory();
        let mut after = before.clone();
        for (table, inserted) in after.tables.values_mut().zip(counts) {
            table.rows.inserted = inserted;
        }
        let effect = Effect::between(&before, &after, Difference::default());
        let verdict = judge(&effect, &announced(&[]), &Consent { strict: true, ..Consent::default() });
        prop_assert_eq!(verdict, Verdict::Keep { notes: Vec::new() });
        prop_assert!(Effect::between(&after, &after, Difference::default()).is_empty());
    }

    /// The deletions of a transaction are those since its start, and each of them is told.
    #[test]
    fn deletions_are_counted_from_the_start_of_the_step(start in 0_u64..9, deleted in 0_u64..9) {
        let mut before = inventory();
        rows(BILLING, 0, 0, start)(&mut before);
        let mut after = before.clone();
        rows(BILLING, 0, 0, start + deleted)(&mut after);
        let effect = Effect::between(&before, &after, Difference::default());
        let found: u64 = effect.changed_rows.iter().map(|one| one.deleted).sum();
        prop_assert_eq!(found, deleted);
    }
}
