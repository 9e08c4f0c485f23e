//! What the servers did with single operations.

use super::*;
use rollback_core::operation::{
    ColumnChange, ColumnDefinition, Constraint, ConstraintKind, Operation, Place, Recreate,
    Reference, UniqueScope,
};

/// `sure: object (code)` for each obstacle.
fn outcome(model: &mut SchemaModel, operation: &Operation) -> String {
    let place = Place {
        file: "m.py".into(),
        line: 1,
        column: 1,
    };
    let by = RevisionId::from("r");
    let act = ApplyContext {
        place: &place,
        certain: true,
        by: &by,
        directive: true,
    };
    let obstacles = model.apply(operation, act);
    if obstacles.is_empty() {
        return "ok".to_owned();
    }
    let told: Vec<String> = obstacles
        .iter()
        .map(|obstacle| {
            let failure = &obstacle.failure;
            let sure = if failure.certain { "will" } else { "may" };
            format!("{sure} {} {}", failure.code, failure.object)
        })
        .collect();
    told.join("; ")
}

fn t() -> TableName {
    TableName::plain("t")
}

fn known(name: &str) -> Name {
    Name::Known(name.to_owned())
}

fn drop_column(table: &str, column: &str) -> Operation {
    Operation::DropColumn {
        table: TableName::plain(table),
        column: column.to_owned(),
        if_exists: false,
        cascade: false,
    }
}

fn drop_table(table: &str) -> Operation {
    Operation::DropTable {
        table: TableName::plain(table),
        if_exists: false,
        cascade: false,
    }
}

fn drop_constraint(table: &str, name: Name, kind: Option<ConstraintKind>) -> Operation {
    Operation::DropConstraint {
        table: TableName::plain(table),
        name,
        kind,
        if_exists: false,
        cascade: false,
    }
}

fn drop_index(name: &str) -> Operation {
    Operation::DropIndex {
        name: known(name),
        table: Some(t()),
        concurrently: false,
        if_exists: false,
    }
}

fn create_index(name: &str, table: &str, column: &str) -> Operation {
    Operation::CreateIndex {
        name: known(name),
        table: TableName::plain(table),
        columns: vec![Some(column.to_owned())],
        unique: false,
        alike: UniqueScope::default(),
        concurrently: false,
        if_not_exists: false,
    }
}

fn unique(name: Name, column: &str) -> Operation {
    Operation::AddConstraint {
        table: t(),
        constraint: Constraint::Unique {
            name,
            columns: vec![column.to_owned()],
            alike: UniqueScope::default(),
        },
    }
}

fn foreign(name: &str, table: &str, referent: &str, column: &str) -> Operation {
    Operation::AddConstraint {
        table: TableName::plain(table),
        constraint: Constraint::ForeignKey {
            columns: vec![if table == "t" { "b" } else { "id" }.to_owned()],
            references: Reference {
                name: known(name),
                table: TableName::plain(referent),
                columns: vec![column.to_owned()],
                on_delete: None,
                inline: false,
            },
            not_valid: false,
        },
    }
}

fn alter(column: &str, change: ColumnChange) -> Operation {
    Operation::AlterColumn {
        table: t(),
        column: column.to_owned(),
        change,
    }
}

fn to_type(text: &str) -> ColumnChange {
    ColumnChange {
        kind: Some(rollback_sql::read_type(text, Dialect::Postgres)),
        changes_type: true,
        ..ColumnChange::default()
    }
}

fn renamed(to: &str) -> ColumnChange {
    ColumnChange {
        new_name: Some(to.to_owned()),
        existing_kind: Some(rollback_sql::read_type("integer", Dialect::MySql)),
        ..ColumnChange::default()
    }
}

fn batch(operations: Vec<Operation>) -> Operation {
    batch_of("t", operations)
}

fn batch_of(table: &str, operations: Vec<Operation>) -> Operation {
    let place = Place {
        file: "m.py".into(),
        line: 2,
        column: 1,
    };
    Operation::Batch {
        table: TableName::plain(table),
        recreate: Recreate::Auto,
        copy_from: false,
        naming_convention: false,
        operations: operations
            .into_iter()
            .map(|operation| (place.clone(), operation))
            .collect(),
    }
}

fn new_column(name: &str) -> ColumnDefinition {
    ColumnDefinition {
        name: name.to_owned(),
        kind: None,
        nullable: true,
        server_default: None,
        primary_key: false,
        unique: false,
        index: false,
        foreign_keys: Vec::new(),
    }
}

fn all(dialect: Dialect, cases: Vec<(Operation, &str)>) {
    for (operation, expected) in cases {
        let mut model = read(dialect);
        assert_eq!(
            outcome(&mut model, &operation),
            expected,
            "{dialect:?} {operation:?}"
        );
    }
}

/// Each case was run on PostgreSQL 15 with Alembic 1.20.1.
#[test]
fn what_postgresql_does() {
    use ConstraintKind::{PrimaryKey, Unique};
    all(
        Dialect::Postgres,
        vec![
            (drop_column("t", "id"), "ok"),
            (drop_column("t", "b"), "ok"),
            (drop_column("t", "a"), "will dependents t.a"),
            (drop_column("t", "zz"), "will object-missing t.zz"),
            (drop_column("p", "id"), "will dependents p.id"),
            (drop_table("p"), "will dependents p"),
            (drop_table("t"), "will dependents t"),
            (drop_table("zz"), "will object-missing zz"),
            (drop_index("zz"), "will object-missing zz"),
            (drop_index("ix"), "ok"),
            (drop_index("uq"), "will dependents uq"),
            (drop_constraint("t", known("uq"), None), "ok"),
            (drop_constraint("t", known("fk"), Some(Unique)), "ok"),
            (
                drop_constraint("p", known("p_pkey"), Some(PrimaryKey)),
                "will dependents p.p_pkey",
            ),
            (drop_constraint("t", known("t_pkey"), None), "ok"),
            (
                drop_constraint("t", known("zz"), None),
                "will object-missing t.zz",
            ),
            (
                drop_constraint("zz", known("zz"), None),
                "will object-missing zz",
            ),
            (
                drop_constraint("t", Name::Unnamed, Some(Unique)),
                "will not-supported t",
            ),
            (unique(Name::Unnamed, "a"), "ok"),
            (unique(known("uq"), "a"), "will object-exists t.uq"),
            (unique(known("p"), "a"), "will object-exists t.p"),
            (unique(known("n"), "zz"), "will object-missing t.zz"),
            (foreign("n", "t", "p", "w"), "will key-missing p"),
            (foreign("n", "t", "p", "u"), "ok"),
            (foreign("n", "t", "zz", "u"), "will object-missing zz"),
            (foreign("fk", "p", "t", "id"), "ok"),
            (create_index("ix", "p", "id"), "will object-exists ix"),
            (create_index("p", "t", "a"), "will object-exists p"),
            (create_index("n", "t", "zz"), "will object-missing t.zz"),
            (alter("b", renamed("a")), "will object-exists t.a"),
            (alter("b", renamed("z")), "ok"),
            (alter("zz", renamed("z")), "will object-missing t.zz"),
            (alter("a", to_type("integer")), "will not-castable t.a"),
            (alter("b", to_type("boolean")), "will not-castable t.b"),
            // A check compares it with a number.
            (alter("b", to_type("text")), "may dependents t.b"),
            (alter("b", to_type("bigint")), "ok"),
            (
                alter(
                    "id",
                    ColumnChange {
                        nullable: Some(true),
                        ..ColumnChange::default()
                    },
                ),
                "will dependents t.id",
            ),
            (batch(vec![drop_column("t", "c")]), "ok"),
        ],
    );
}

/// Each case was run on MariaDB 10.11 with Alembic 1.20.1.
#[test]
fn what_mariadb_does() {
    use ConstraintKind::{Check, ForeignKey, PrimaryKey, Unique};
    all(
        Dialect::MySql,
        vec![
            (drop_column("t", "id"), "ok"),
            // MySQL would not fail.
            (drop_column("t", "a"), "may dependents t.a"),
            (drop_column("t", "c"), "will dependents t.c"),
            (drop_column("p", "id"), "will dependents p.id"),
            (drop_column("t", "zz"), "will object-missing t.zz"),
            (drop_table("p"), "will dependents p"),
            (drop_table("t"), "ok"),
            (drop_index("ix"), "will dependents ix"),
            (drop_index("uq"), "ok"),
            (drop_index("zz"), "will object-missing zz"),
            (
                drop_constraint("t", known("uq"), None),
                "will not-supported t.uq",
            ),
            (drop_constraint("t", known("uq"), Some(Unique)), "ok"),
            (drop_constraint("t", known("fk"), Some(ForeignKey)), "ok"),
            (
                drop_constraint("t", known("fk"), Some(Unique)),
                "will object-missing t.fk",
            ),
            (drop_constraint("t", known("ck"), Some(Check)), "ok"),
            (
                drop_constraint("p", known("x"), Some(PrimaryKey)),
                "will dependents p.x",
            ),
            (unique(known("uq"), "a"), "will object-exists t.uq"),
            (unique(known("p"), "a"), "ok"),
            (foreign("n", "t", "p", "w"), "will key-missing p"),
            (foreign("n", "t", "p", "u"), "ok"),
            (foreign("fk", "p", "t", "id"), "will object-exists p.fk"),
            (foreign("n", "t", "zz", "u"), "will object-missing zz"),
            (create_index("ix", "p", "id"), "ok"),
            (create_index("ix", "t", "a"), "will object-exists ix"),
            (alter("c", renamed("z")), "ok"),
            (alter("b", renamed("a")), "will object-exists t.a"),
            (
                alter(
                    "b",
                    ColumnChange {
                        nullable: Some(true),
                        ..ColumnChange::default()
                    },
                ),
                "may not-supported t.b",
            ),
        ],
    );
    let mut model = read(Dialect::MySql);
    let drop_key = drop_constraint("t", known("fk"), Some(ForeignKey));
    assert_eq!(outcome(&mut model, &drop_key), "ok");
    assert_eq!(outcome(&mut model, &drop_index("ix")), "ok");
    // An index comes with a foreign key, and stays when it goes.
    assert_eq!(outcome(&mut model, &foreign("n", "t", "p", "u")), "ok");
    assert_eq!(outcome(&mut model, &drop_index("n")), "will dependents n");
    // That index goes without a word when another one serves the key, unless somebody made it.
    let own = create_index("own", "t", "b");
    assert_eq!(outcome(&mut model, &own), "ok");
    for (index, told) in [("own", "may dependents own"), ("n", "may object-missing n")] {
        let mut model = model.clone();
        assert_eq!(outcome(&mut model, &drop_index(index)), told);
    }
}

/// Each case was run on SQLite 3.40 with Alembic 1.20.1.
#[test]
fn what_sqlite_does() {
    let no = "will not-supported ";
    all(
        Dialect::Sqlite,
        vec![
            (drop_column("t", "id"), "will dependents t.id"),
            (drop_column("t", "a"), "will dependents t.a"),
            (drop_column("t", "c"), "will dependents t.c"),
            (drop_column("t", "zz"), "will object-missing t.zz"),
            (drop_column("w", "Y"), "ok"),
            (drop_table("p"), "ok"),
            (unique(known("n"), "a"), &format!("{no}t.n")),
            (
                drop_constraint("t", known("uq"), None),
                &format!("{no}t.uq"),
            ),
            (
                drop_constraint("zz", known("uq"), None),
                &format!("{no}zz.uq"),
            ),
            (alter("a", to_type("text")), &format!("{no}t.a")),
            (alter("a", renamed("z")), "ok"),
            (create_index("ix", "p", "id"), "will object-exists ix"),
            (create_index("p", "t", "a"), "will object-exists p"),
            (drop_index("zz"), "will object-missing zz"),
            (batch(vec![]), "ok"),
            (batch(vec![drop_column("t", "b")]), "will dependents t.ck"),
            (batch(vec![drop_column("t", "a")]), "ok"),
            (batch(vec![drop_column("t", "c")]), "will dependents ix"),
            (
                batch(vec![drop_column("t", "zz")]),
                "will object-missing t.zz",
            ),
            (batch(vec![drop_index("zz")]), "will object-missing zz"),
            (batch(vec![drop_constraint("t", known("uq"), None)]), "ok"),
            (
                batch(vec![drop_constraint("t", known("zz"), None)]),
                "will object-missing t.zz",
            ),
            (batch(vec![unique(known("n"), "zz")]), "ok"),
            (
                batch(vec![unique(Name::Unnamed, "a")]),
                "may not-supported t",
            ),
            (batch(vec![foreign("n", "t", "zz", "u")]), "ok"),
            (
                batch(vec![alter("zz", to_type("text"))]),
                "will object-missing t.zz",
            ),
            (
                batch(vec![alter("a", renamed("b"))]),
                "will object-exists t.b",
            ),
            (batch(vec![alter("a", renamed("z"))]), "ok"),
        ],
    );
    let mut model = read(Dialect::Sqlite);
    let added = Operation::AddColumn {
        table: t(),
        column: ColumnDefinition {
            unique: true,
            ..new_column("n")
        },
        if_not_exists: false,
    };
    // The column is there before Alembic refuses.
    assert_eq!(outcome(&mut model, &added), "will not-supported t");
    assert!(table(&model, "t").columns.contains_key("n"));
    // Reflection follows the foreign key.
    assert_eq!(outcome(&mut model, &drop_table("p")), "ok");
    let drops = batch(vec![drop_column("t", "a")]);
    assert_eq!(outcome(&mut model, &drops), "will object-missing p");
}

#[test]
fn the_names_of_sqlite_are_unknown_without_its_statements() {
    let rows = SQLITE.iter().filter(|row| !row.starts_with("statement"));
    let rows: Vec<&str> = rows.copied().collect();
    let mut model = SchemaModel::of_text(Dialect::Sqlite, &rows);
    let drops = batch(vec![drop_constraint("t", known("zz"), None)]);
    assert_eq!(outcome(&mut model, &drops), "may object-missing t.zz");
}

/// Turns red if the forecast goes by the SQLite that rollback brings along.
#[test]
fn an_old_sqlite_of_the_engine_drops_no_column() {
    let outcome_with = |library: Option<&str>, operation: &Operation| {
        let mut model = read(Dialect::Sqlite);
        model.library = library.and_then(Release::of);
        // One that reads `w` would stand in the way of its copy, whatever the release.
        model.views.clear();
        outcome(&mut model, operation)
    };
    let drops = drop_column("w", "y");
    for new in [None, Some("3.35.0"), Some("3.51.3"), Some("4")] {
        assert_eq!(outcome_with(new, &drops), "ok", "{new:?}");
    }
    for old in ["3.34.1", "3.7.17"] {
        let expected = "will not-supported w.y";
        assert_eq!(outcome_with(Some(old), &drops), expected, "{old}");
        let copies = batch_of("w", vec![drop_column("w", "y")]);
        assert_eq!(outcome_with(Some(old), &copies), "ok", "{old}");
    }
}

#[test]
fn a_leftover_of_a_batch_stands_in_the_way() {
    let mut model = read(Dialect::Sqlite);
    let leftover = Table::empty(
        Origin::Live {
            name: "x".to_owned(),
        },
        Presence::Certain,
    );
    let name = TableName::plain("_alembic_tmp_t");
    model.tables.insert(name, Arc::new(leftover));
    let drops = batch(vec![drop_column("t", "a")]);
    assert_eq!(
        outcome(&mut model, &drops),
        "will object-exists _alembic_tmp_t"
    );
}

#[test]
fn a_name_that_the_server_gave_may_be_meant() {
    let mut model = read(Dialect::Postgres);
    assert_eq!(outcome(&mut model, &unique(Name::Unnamed, "c")), "ok");
    assert_eq!(
        outcome(
            &mut model.clone(),
            &drop_constraint("t", known("uq_t_c"), None)
        ),
        "may object-missing t.uq_t_c"
    );
    let drops = drop_constraint("t", known("t_c_key"), None);
    assert_eq!(outcome(&mut model, &drops), "ok");
    assert_eq!(outcome(&mut model, &drops), "will object-missing t.t_c_key");
}

#[test]
fn a_rename_is_followed_by_what_speaks_of_it() {
    let mut model = read(Dialect::Postgres);
    let rename = Operation::RenameTable {
        table: TableName::plain("p"),
        to: "q".to_owned(),
    };
    assert_eq!(outcome(&mut model, &rename), "ok");
    assert_eq!(outcome(&mut model, &drop_table("q")), "will dependents q");
    assert_eq!(outcome(&mut model, &alter("c", renamed("z"))), "ok");
    assert_eq!(table(&model, "t").foreign_keys[0].columns, ["z"]);
    assert_eq!(outcome(&mut model, &drop_column("t", "z")), "ok");
    assert_eq!(outcome(&mut model, &drop_table("q")), "ok");
    assert_eq!(
        outcome(&mut model, &drop_index("ix")),
        "will object-missing ix"
    );
}

#[test]
fn an_enum_type_goes_after_its_columns_only() {
    let mut model = read(Dialect::Postgres);
    let drop_type = Operation::DropType {
        name: TableName::plain("mood"),
        if_exists: false,
        cascade: false,
    };
    assert_eq!(outcome(&mut model, &drop_type), "will dependents mood");
    assert_eq!(outcome(&mut model, &drop_column("t", "m")), "ok");
    assert_eq!(outcome(&mut model, &drop_type), "ok");
    assert_eq!(outcome(&mut model, &drop_type), "will object-missing mood");
}

/// Turns red if a word in a query counts where the server has said which columns a view uses.
#[test]
fn what_a_view_uses_is_certain_where_it_is_told() {
    let with = |uses: Option<BTreeSet<_>>| {
        let mut model = read(Dialect::Postgres);
        for view in model.views.values_mut() {
            view.uses.clone_from(&uses);
        }
        model
    };
    assert_eq!(
        outcome(&mut with(None), &drop_column("t", "a")),
        "may dependents t.a"
    );
    let table = TableName {
        schema: Some("public".to_owned()),
        name: "t".to_owned(),
    };
    let mut model = with(Some([(table, "b".to_owned())].into()));
    assert_eq!(outcome(&mut model.clone(), &drop_column("t", "a")), "ok");
    assert_eq!(
        outcome(&mut model.clone(), &drop_column("t", "b")),
        "will dependents t.b"
    );
    let text = outcome(&mut model.clone(), &alter("b", to_type("text")));
    assert!(text.ends_with("will dependents t.b"), "{text}");
    // By its new name, and of a table with a new name.
    assert_eq!(outcome(&mut model, &alter("b", renamed("z"))), "ok");
    let rename = Operation::RenameTable {
        table: t(),
        to: "n".to_owned(),
    };
    assert_eq!(outcome(&mut model, &rename), "ok");
    assert_eq!(
        outcome(&mut model, &drop_column("n", "z")),
        "will dependents n.z"
    );
}

/// Turns red if a primary key that MySQL would have to make nullable is not foretold, or one that stays as it is.
#[test]
fn mysql_refuses_a_primary_key_that_may_be_null() {
    let outcome_on = |is_mysql_itself: bool, change: &ColumnChange| {
        let mut model = read(Dialect::MySql);
        model.is_mysql_itself = is_mysql_itself;
        outcome(&mut model, &alter("id", change.clone()))
    };
    let kept = renamed("n");
    let with = |nullable, existing_nullable| ColumnChange {
        nullable,
        existing_nullable,
        ..kept.clone()
    };
    for (change, on_mysql) in [
        (with(Some(true), None), "will dependents t.id"),
        // Nothing says how it was, or what says it was not followed.
        (with(None, None), "may dependents t.id"),
        (with(None, Some(false)), "ok"),
        (with(Some(false), None), "ok"),
    ] {
        assert_eq!(outcome_on(true, &change), on_mysql, "{change:?}");
        assert_eq!(outcome_on(false, &change), "ok", "{change:?}");
    }
}
