//! Every row of a table is written again, and everybody else waits for it.

use crate::risk::finding_draft::FindingDraft;
use crate::risk::instant::{Change, Reason, column_change};
use crate::risk::operation_context::{
    OperationContext, TableContents, is_recreated, operations_with_schema,
};
use crate::{EventKind, Happened, StepTrace};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ColumnType, Family, Operation, TableName};
use rollback_core::probe::Probe;
use rollback_core::type_fit::is_same;

const CODE: FindingCode = FindingCode::TableRewritten;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for (order, happened) in seen.downgrade.happened.iter().enumerate() {
        all.extend(recreated(seen, order, happened, ask));
    }
    for scene in operations_with_schema(seen) {
        let (Operation::AlterColumn { table, .. }
        | Operation::AddColumn { table, .. }
        | Operation::DropColumn { table, .. }) = scene.operation
        else {
            continue;
        };
        match rewrites(&scene, table, ask) {
            Rewrite::No => {}
            Rewrite::Yes(reason) => all.extend(told(&scene, table, reason, ask)),
        }
    }
    all
}

/// A batch that makes the table anew: a copy under another name, and the old one dropped.
fn recreated(
    seen: &StepTrace,
    order: usize,
    happened: &Happened,
    ask: &mut dyn Probe,
) -> Option<FindingDraft> {
    let EventKind::Operation(operation) = &happened.event.kind else {
        return None;
    };
    let Operation::Batch {
        table,
        recreate,
        operations,
        ..
    } = operation.as_ref()
    else {
        return None;
    };
    if !is_recreated(seen.dialect, *recreate, operations) {
        return None;
    }
    let context = OperationContext::of(
        seen.dialect,
        order,
        happened,
        &happened.event.place,
        operation,
    );
    told(&context, table, None, ask)
}

fn told(
    context: &OperationContext<'_>,
    table: &TableName,
    reason: Option<Reason>,
    ask: &mut dyn Probe,
) -> Option<FindingDraft> {
    if matches!(
        context.stock(table),
        TableContents::CreatedByPlan | TableContents::Absent
    ) {
        return None;
    }
    let name = context.say(table);
    let size = context.size(table, ask);
    let lock = match context.dialect {
        Some(Dialect::Postgres) => ", under an ACCESS EXCLUSIVE lock: readers and writers wait",
        Some(Dialect::MySql) => ", and writers wait",
        Some(Dialect::Sqlite) => ", and nobody else writes meanwhile",
        None => "",
    };
    let reason = reason.map_or(String::new(), |reason| {
        format!(", because {}", reason.words())
    });
    let sentence = format!(
        "writes every row of {name}{} again{reason}{lock}",
        size.words()
    );
    let found = context
        .found(CODE, name, size.level(), sentence)
        .because(size.evidence());
    Some(if size.level() == Level::Low {
        found
    } else {
        found.advise(
            "choose a quiet time, and see that there is room for a second copy of the table",
        )
    })
}

/// Whether a plain `ALTER` writes the rows again, and why if that is known.
enum Rewrite {
    No,
    Yes(Option<Reason>),
}

fn rewrites(context: &OperationContext<'_>, table: &TableName, ask: &mut dyn Probe) -> Rewrite {
    let drops = matches!(context.operation, Operation::DropColumn { .. });
    let adds = matches!(context.operation, Operation::AddColumn { .. });
    if context.dialect != Some(Dialect::MySql) || !(drops || adds) {
        return if always_rewrites(context) {
            Rewrite::Yes(None)
        } else {
            Rewrite::No
        };
    }
    let known = match context.stock(table) {
        TableContents::Live { table: live, .. } => column_change(context, table, live, ask),
        _ => None,
    };
    match known {
        Some(Change::Rows(reason)) => Rewrite::Yes(Some(reason)),
        // What all releases since MySQL 8.0.12 and MariaDB 10.3 can do, and what some cannot.
        None if drops => Rewrite::Yes(None),
        Some(Change::Instant) | None => Rewrite::No,
    }
}

/// Whether it does on any table.
fn always_rewrites(context: &OperationContext<'_>) -> bool {
    match (context.dialect, context.operation) {
        (
            Some(Dialect::Postgres),
            Operation::AlterColumn {
                table,
                column,
                change,
            },
        ) => {
            let from = context
                .column(table, column)
                .and_then(|column| column.kind.as_ref())
                .or(change.existing_kind.as_ref());
            match (from, &change.kind) {
                (Some(from), Some(to)) => change.using.is_some() || !is_binary(from, to),
                _ => change.changes_type,
            }
        }
        // A default that differs from row to row cannot be kept in one place.
        (Some(Dialect::Postgres), Operation::AddColumn { column, .. }) => {
            column.server_default.as_ref().is_some_and(|default| {
                let default = default.to_lowercase();
                ["random", "uuid", "nextval", "clock_timestamp"]
                    .iter()
                    .any(|word| default.contains(word))
            })
        }
        (
            Some(Dialect::MySql),
            Operation::AlterColumn {
                table,
                column,
                change,
            },
        ) => {
            let known = context.column(table, column);
            let from = known.and_then(|column| column.kind.as_ref());
            let is_type = match (from, &change.kind) {
                (Some(from), Some(to)) => !is_same(from, to),
                _ => change.changes_type,
            };
            let is_null = change
                .nullable
                .is_some_and(|nullable| known.is_none_or(|known| known.nullable != nullable));
            is_type || is_null
        }
        _ => false,
    }
}

/// Whether PostgreSQL takes the bytes of the one type for the other.
fn is_binary(from: &ColumnType, to: &ColumnType) -> bool {
    match (from.family, to.family) {
        (Family::String | Family::Text, Family::Text) => true,
        (Family::String, Family::String) => to
            .length
            .is_none_or(|to| from.length.is_some_and(|from| from <= to)),
        (Family::Numeric, Family::Numeric) => match (from.precision, to.precision) {
            (_, None) => true,
            (Some(from_all), Some(to_all)) => from.scale == to.scale && from_all <= to_all,
            (None, Some(_)) => false,
        },
        _ => is_same(from, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, column, edit, found, only, place, schema, step, table};
    use rollback_core::operation::{ColumnChange, Name, Recreate};
    use rollback_core::probe::Question;
    use rollback_core::testing::kind;
    use rollback_schema::{Index, Presence, SchemaModel};

    fn altering(column: &str, to: &str) -> Operation {
        Operation::AlterColumn {
            table: table("users"),
            column: column.to_owned(),
            change: ColumnChange {
                kind: Some(kind(to)),
                changes_type: true,
                ..ColumnChange::default()
            },
        }
    }

    fn batch(operation: Operation) -> Operation {
        Operation::Batch {
            table: table("users"),
            recreate: Recreate::Auto,
            copy_from: false,
            naming_convention: false,
            operations: vec![(place(20), operation)],
        }
    }

    #[test]
    fn postgresql_writes_again_what_has_other_bytes() {
        let before = schema(Dialect::Postgres);
        let seen = step(&before, vec![altering("age", "INTEGER")]);
        let finding = only(CODE, &seen, FakeProbe::all(1_240_000_000));
        assert_eq!(
            finding.sentence,
            "writes every row of users (1.2 GB) again, under an ACCESS EXCLUSIVE lock: readers and writers wait"
        );
        assert_eq!(finding.level, Level::Medium);
        assert_eq!(only(CODE, &seen, FakeProbe::all(10)).level, Level::Low);
        let seen = step(&before, vec![altering("email", "TEXT")]);
        assert!(found(CODE, &seen, FakeProbe::all(10)).is_empty());
    }

    #[test]
    fn a_batch_on_sqlite_writes_again_unless_it_only_adds() {
        let before = schema(Dialect::Sqlite);
        let seen = step(&before, vec![batch(altering("email", "TEXT"))]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(10)).level, Level::Low);
        let add = Operation::AddColumn {
            table: table("users"),
            column: column("x", "TEXT"),
            if_not_exists: false,
        };
        let seen = step(&before, vec![batch(add)]);
        assert!(found(CODE, &seen, FakeProbe::all(10)).is_empty());
        let seen = step(
            &schema(Dialect::Postgres),
            vec![batch(altering("email", "TEXT"))],
        );
        assert!(found(CODE, &seen, FakeProbe::all(10)).is_empty());
    }

    /// The sentences of a column that goes and one that comes, if the server answers so.
    fn of_columns(before: &SchemaModel, answer: Option<u64>) -> [Option<String>; 2] {
        let told = || {
            FakeProbe::by(move |question| match question {
                Question::ColumnChange { .. } => answer,
                _ => Some(10),
            })
        };
        let drop = Operation::DropColumn {
            table: table("users"),
            column: "age".to_owned(),
            if_exists: false,
            cascade: false,
        };
        let add = Operation::AddColumn {
            table: table("users"),
            column: column("x", "TEXT"),
            if_not_exists: false,
        };
        [drop, add].map(|operation| {
            let seen = step(before, vec![operation]);
            let mut findings = found(CODE, &seen, told());
            findings.pop().map(|finding| finding.sentence)
        })
    }

    /// Turns red if a change of columns is called a rewrite where `ALGORITHM=INSTANT` works, or the other way round.
    #[test]
    fn mysql_writes_again_where_a_column_cannot_change_instantly() {
        let before = schema(Dialect::MySql);
        let because = |reason: &str| {
            Some(format!(
                "writes every row of users (10 bytes) again, because {reason}, and writers wait"
            ))
        };
        for (answer, reason) in [
            (1, "its engine is not InnoDB"),
            (2, "its ROW_FORMAT is COMPRESSED"),
            (3, "it has a FULLTEXT index"),
            (4, "this version of the server has no INSTANT change for it"),
        ] {
            let expected = [because(reason), because(reason)];
            assert_eq!(of_columns(&before, Some(answer)), expected);
        }
        let old = because("this version of the server has no INSTANT change for it");
        assert_eq!(of_columns(&before, Some(5)), [old, None]);
        for both in [6, 7] {
            assert_eq!(of_columns(&before, Some(both)), [None, None]);
        }
        let unknown = "writes every row of users (10 bytes) again, and writers wait";
        assert_eq!(of_columns(&before, None), [Some(unknown.to_owned()), None]);
    }

    /// MariaDB leaves the rows alone and drops the index.
    #[test]
    fn a_column_in_an_index_is_no_instant_change_on_mysql() {
        let mut before = schema(Dialect::MySql);
        edit(&mut before, "users", |users| {
            users.indexes.push(Index {
                name: Name::Known("ix_users_age".to_owned()),
                columns: vec![Some("email".to_owned()), Some("age".to_owned())],
                unique: false,
                presence: Presence::Certain,
            });
        });
        let reason = "writes every row of users (10 bytes) again, because an index includes the column, and writers wait";
        assert_eq!(
            of_columns(&before, Some(6)),
            [Some(reason.to_owned()), None]
        );
        assert_eq!(of_columns(&before, Some(7)), [None, None]);
    }
}
