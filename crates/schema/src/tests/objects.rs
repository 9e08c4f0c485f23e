//! Copies of tables, indexes with new names, and types besides enums.

use super::*;
use rollback_core::operation::{ObjectKind, Operation, Place, SchemaObject};

/// `will` or `may` with the code and the object of each obstacle.
fn outcome(model: &mut SchemaModel, operation: &Operation) -> String {
    let place = Place {
        file: "m.sql".into(),
        line: 1,
        column: 1,
    };
    let by = RevisionId::from("r");
    let act = ApplyContext {
        place: &place,
        certain: true,
        by: &by,
        directive: false,
    };
    let told = model.apply(operation, act).into_iter().map(|obstacle| {
        let failure = obstacle.failure;
        let sure = if failure.certain { "will" } else { "may" };
        format!("{sure} {} {}", failure.code, failure.object)
    });
    told.collect::<Vec<_>>().join("; ")
}

fn public(name: &str) -> TableName {
    TableName {
        schema: Some("public".to_owned()),
        name: name.to_owned(),
    }
}

fn copy(source: Option<&str>, columns: Option<&[(&str, &str)]>) -> Operation {
    let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
    Operation::CreateTableAs {
        table: TableName::plain("copy"),
        source: source.map(TableName::plain),
        columns: columns.map(|columns| columns.iter().map(owned).collect()),
        if_not_exists: false,
    }
}

#[test]
fn a_copy_has_the_columns_of_its_query() {
    let mut model = read(Dialect::Postgres);
    assert_eq!(
        outcome(&mut model, &copy(Some("t"), Some(&[("a", "z")]))),
        ""
    );
    let made = &model.tables[&public("copy")];
    assert_eq!(made.columns.keys().collect::<Vec<_>>(), ["z"]);
    assert_eq!(
        made.columns["z"].kind,
        model.tables[&public("t")].columns["a"].kind
    );
    // It is not empty.
    assert!(made.inserted && !model.doubtful);
    assert_eq!(
        outcome(&mut model, &copy(Some("t"), None)),
        "will object-exists copy"
    );

    let mut model = read(Dialect::Postgres);
    assert_eq!(outcome(&mut model, &copy(Some("t"), None)), "");
    let columns = |name: &str| {
        model.tables[&public(name)]
            .columns
            .keys()
            .collect::<Vec<_>>()
    };
    assert_eq!(columns("copy"), columns("t"));

    let mut model = read(Dialect::Postgres);
    assert_eq!(
        outcome(&mut model, &copy(Some("none"), None)),
        "will object-missing none"
    );
}

/// Turns red if a column of it is said to be missing for certain.
#[test]
fn what_a_query_hands_over_may_not_be_known() {
    let mut model = read(Dialect::Postgres);
    assert_eq!(outcome(&mut model, &copy(None, None)), "");
    assert!(model.doubtful);
    let drop = Operation::DropColumn {
        table: TableName::plain("copy"),
        column: "a".to_owned(),
        if_exists: false,
        cascade: false,
    };
    assert_eq!(outcome(&mut model, &drop), "may object-missing copy.a");
}

#[test]
fn an_index_has_its_new_name() {
    let mut model = read(Dialect::Postgres);
    let rename = |name: &str, to: &str| Operation::RenameIndex {
        name: TableName::plain(name),
        to: to.to_owned(),
        if_exists: false,
    };
    assert_eq!(outcome(&mut model, &rename("ix", "iy")), "");
    let drop = |name: &str| Operation::DropIndex {
        name: Name::Known(name.to_owned()),
        table: None,
        concurrently: false,
        if_exists: false,
    };
    assert_eq!(
        outcome(&mut model.clone(), &drop("ix")),
        "will object-missing ix"
    );
    assert_eq!(
        outcome(&mut model.clone(), &rename("iy", "t")),
        "will object-exists t"
    );
    assert_eq!(
        outcome(&mut model.clone(), &rename("none", "x")),
        "may object-missing none"
    );
    assert_eq!(outcome(&mut model, &drop("iy")), "");
}

/// Turns red if a composite type or a domain that is there is called missing.
#[test]
fn types_besides_enums_are_known() {
    let rows = [
        "default schema||||public",
        "type|public|pair",
        "type|public|span",
        "enum|public|mood||low",
        "type|public|email",
    ];
    let mut model = SchemaModel::of_text(Dialect::Postgres, &rows);
    let known: Vec<&str> = model.types.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(known, ["email", "pair", "span"]);
    let drop = |name: &str| Operation::DropType {
        name: TableName::plain(name),
        if_exists: false,
        cascade: false,
    };
    assert_eq!(outcome(&mut model, &drop("pair")), "");
    assert_eq!(
        outcome(&mut model, &drop("pair")),
        "will object-missing pair"
    );
    let object = SchemaObject {
        kind: ObjectKind::Type,
        name: TableName::plain("pair"),
        table: None,
        arguments: None,
    };
    let made = Operation::CreateObject {
        object,
        may_exist: false,
    };
    assert_eq!(outcome(&mut model, &made), "");
    assert_eq!(outcome(&mut model, &drop("pair")), "");
}
