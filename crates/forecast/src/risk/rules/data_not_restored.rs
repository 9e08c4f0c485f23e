//! What the upgrade took away comes back without its data.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::restored_from;
use crate::risk::operation_context::{
    OperationContext, TableContents, is_same, operations, operations_with_schema, untold_evidence,
};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, RowChange, TableName};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::DataNotRestored;

const ADVICE: &str = "only a backup from before the upgrade has that data: restore it from there";

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let found = match scene.operation {
            Operation::CreateTable { table, .. } => brought_back(seen, &scene, table),
            Operation::AddColumn { table, column, .. } => {
                column_brought_back(seen, &scene, ask, table, &column.name)
            }
            _ => None,
        };
        all.extend(found);
    }
    all.extend(deleted(seen));
    all
}

fn brought_back(
    seen: &StepTrace,
    context: &OperationContext<'_>,
    made: &TableName,
) -> Option<FindingDraft> {
    let was_dropped = operations(&seen.upgrade).any(
        |operation| matches!(operation, Operation::DropTable { table, .. } if is_same(table, made)),
    );
    if !was_dropped {
        return None;
    }
    let name = context.say(made);
    let found = |level, rest| {
        let sentence = format!("brings table {name} back {rest}");
        context
            .found(CODE, name.clone(), level, sentence)
            .advise(ADVICE)
    };
    if let Some(copy) = restored_from(seen, made, None) {
        let sentence = format!(
            "brings table {name} back with rows of {}, the copy that the migration made",
            context.say(copy)
        );
        return Some(context.found(CODE, name, Level::Low, sentence));
    }
    Some(if is_filled(seen, made) {
        found(Level::Medium, "and fills it from elsewhere")
    } else {
        found(Level::High, "without the rows that the upgrade dropped")
    })
}

fn column_brought_back(
    seen: &StepTrace,
    context: &OperationContext<'_>,
    ask: &mut dyn Probe,
    owner: &TableName,
    made: &str,
) -> Option<FindingDraft> {
    let was_dropped = operations(&seen.upgrade).any(|operation| match operation {
        Operation::DropColumn { table, column, .. } => is_same(table, owner) && column == made,
        _ => false,
    });
    if !was_dropped {
        return None;
    }
    let name = format!("{}.{made}", context.say(owner));
    let found = |level, rest: &str| {
        let sentence = format!("brings column {name} back {rest}");
        context.found(CODE, name.clone(), level, sentence)
    };
    if let Some(copy) = restored_from(seen, owner, Some(made)) {
        let rest = format!(
            "with values of {}, the copy that the migration made",
            context.say(copy)
        );
        return Some(found(Level::Low, &rest));
    }
    let rows = match context.stock(owner) {
        TableContents::Absent => return None,
        TableContents::CreatedByPlan => {
            return Some(found(Level::Low, "in a table that the plan makes"));
        }
        TableContents::Live { table, .. } => ask.ask(&Question::Rows { table }),
        TableContents::Unknown => None,
    };
    let evidence = rows
        .as_ref()
        .map(|answer| untold_evidence(answer, "row", "rows"));
    Some(match rows {
        Some(answer) if answer.count == 0 && answer.exact => {
            found(Level::Low, "in an empty table").because(evidence)
        }
        _ if is_filled(seen, owner) => found(Level::Medium, "and fills it from elsewhere")
            .because(evidence)
            .advise(ADVICE),
        _ => found(Level::High, "without the values that the upgrade dropped")
            .because(evidence)
            .advise(ADVICE),
    })
}

/// Whether the downgrade puts anything into a table.
fn is_filled(seen: &StepTrace, filled: &TableName) -> bool {
    operations(&seen.downgrade).any(|operation| match operation {
        Operation::ChangeRows { change, table, .. } => {
            *change != RowChange::Delete
                && table.as_ref().is_none_or(|table| is_same(table, filled))
        }
        _ => false,
    })
}

/// Rows that the upgrade deleted from a table that it left.
fn deleted(seen: &StepTrace) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for happened in &seen.upgrade.happened {
        let crate::EventKind::Operation(operation) = &happened.event.kind else {
            continue;
        };
        let Operation::ChangeRows {
            change: RowChange::Delete,
            table: Some(table),
            ..
        } = operation.as_ref()
        else {
            continue;
        };
        if is_filled(seen, table) {
            continue;
        }
        let sentence = format!("does not bring back the rows of {table} that the upgrade deleted");
        all.push(
            FindingDraft::new(CODE, format!("rows of {table}"), Level::Medium, sentence)
                .at(&happened.event.place)
                .after(usize::MAX)
                .advise(ADVICE),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, column, found, only, schema, step, table, undoing};
    use rollback_core::dialect::Dialect;

    fn create(name: &str) -> Operation {
        Operation::CreateTable {
            table: table(name),
            columns: Vec::new(),
            constraints: Vec::new(),
            if_not_exists: false,
        }
    }

    fn drop(name: &str) -> Operation {
        Operation::DropTable {
            table: table(name),
            if_exists: false,
            cascade: false,
        }
    }

    fn rows(change: RowChange, name: &str) -> Operation {
        Operation::ChangeRows {
            change,
            table: Some(table(name)),
            columns: Vec::new(),
            conditional: false,
            nulls: Vec::new(),
            sql: None,
        }
    }

    #[test]
    fn a_table_comes_back_without_its_rows() {
        let before = schema(Dialect::Postgres);
        let seen = undoing(step(&before, vec![create("old")]), vec![drop("old")]);
        let finding = only(CODE, &seen, FakeProbe::all(0));
        assert_eq!(
            finding.sentence,
            "brings table old back without the rows that the upgrade dropped"
        );
        assert_eq!(finding.level, Level::High);
        let filled = vec![create("old"), rows(RowChange::Insert, "old")];
        let seen = undoing(step(&before, filled), vec![drop("old")]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Medium);
        // Without the upgrade's drop it is just a new table.
        let seen = step(&before, vec![create("old")]);
        assert!(found(CODE, &seen, FakeProbe::all(0)).is_empty());
    }

    #[test]
    fn a_column_comes_back_without_its_values() {
        let add = Operation::AddColumn {
            table: table("users"),
            column: column("old", "TEXT"),
            if_not_exists: false,
        };
        let dropped = Operation::DropColumn {
            table: table("users"),
            column: "old".to_owned(),
            if_exists: false,
            cascade: false,
        };
        let seen = undoing(step(&schema(Dialect::MySql), vec![add]), vec![dropped]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(5)).level, Level::High);
        assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, Level::High);
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Low);
    }

    /// Turns red if a copy that lacks rows or the column counts, or one that the downgrade does not read.
    #[test]
    fn what_comes_back_from_the_copy_of_the_upgrade_is_not_lost() {
        let copy = |columns: Option<&[&str]>| Operation::CopyRows {
            from: table("users"),
            to: table("archive"),
            columns: columns.map(|all| all.iter().map(|one| (*one).to_owned()).collect()),
        };
        let add = Operation::AddColumn {
            table: table("users"),
            column: column("old", "TEXT"),
            if_not_exists: false,
        };
        let fill = |sql: &str| Operation::ChangeRows {
            change: RowChange::Update,
            table: Some(table("users")),
            columns: vec!["old".to_owned()],
            conditional: true,
            nulls: Vec::new(),
            sql: Some(sql.to_owned()),
        };
        let dropped = Operation::DropColumn {
            table: table("users"),
            column: "old".to_owned(),
            if_exists: false,
            cascade: false,
        };
        let reads = "UPDATE users SET old = a.old FROM archive a WHERE a.id = users.id";
        let level = |copies: Vec<Operation>, sql: &str| {
            let up = copies.into_iter().chain([dropped.clone()]).collect();
            let before = schema(Dialect::Postgres);
            let seen = undoing(step(&before, vec![add.clone(), fill(sql)]), up);
            only(CODE, &seen, FakeProbe::all(5)).level
        };
        assert_eq!(level(vec![copy(None)], reads), Level::Low);
        assert_eq!(level(vec![copy(Some(&["id", "old"]))], reads), Level::Low);
        assert_eq!(level(vec![copy(Some(&["id"]))], reads), Level::Medium);
        assert_eq!(level(Vec::new(), reads), Level::Medium);
        assert_eq!(
            level(vec![copy(None)], "UPDATE users SET old = ''"),
            Level::Medium
        );
    }

    #[test]
    fn deleted_rows_stay_deleted() {
        let before = schema(Dialect::Sqlite);
        let seen = undoing(
            step(&before, Vec::new()),
            vec![rows(RowChange::Delete, "users")],
        );
        assert_eq!(only(CODE, &seen, FakeProbe::all(5)).level, Level::Medium);
    }
}
