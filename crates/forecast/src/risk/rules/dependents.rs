//! What leans on an object that goes: views, and foreign keys of tables that stay.
//!
//! Where the server refuses, the schema alone says so and it is a failure. Here is what it does not
//! refuse.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::names;
use crate::risk::operation_context::{OperationContext, operations_with_schema};
use rollback_core::dialect::Dialect;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, TableName};
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::Dependents;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        match scene.operation {
            Operation::DropTable { table, cascade, .. } => {
                all.extend(keys(&scene, table, *cascade));
                all.extend(views(&scene, table, None, *cascade));
            }
            Operation::DropColumn {
                table,
                column,
                cascade,
                ..
            } => all.extend(views(&scene, table, Some(column), *cascade)),
            _ => {}
        }
    }
    all
}

fn keys(context: &OperationContext<'_>, dropped: &TableName, cascade: bool) -> Vec<FindingDraft> {
    let (Some(model), Some((full, _))) = (context.before, context.table(dropped)) else {
        return Vec::new();
    };
    let rest = match context.dialect {
        Some(Dialect::Postgres) if cascade => "which goes with it",
        // It looks at foreign keys only where the connection asks for that.
        Some(Dialect::Sqlite) => "which then points at nothing",
        _ => return Vec::new(),
    };
    let others = model.tables.iter().filter(|(name, _)| *name != full);
    let pointing =
        others.filter(|(_, table)| table.foreign_keys.iter().any(|key| key.referent == *full));
    pointing
        .map(|(name, _)| {
            let (dropped, name) = (context.say(dropped), context.say(name));
            context
                .found(
                    CODE,
                    format!("{dropped} {name}"),
                    Level::Medium,
                    format!("drops {dropped} under the foreign key of {name}, {rest}"),
                )
                .advise(format!("look at what relies on the rows of {name}"))
        })
        .collect()
}

fn views(
    context: &OperationContext<'_>,
    table: &TableName,
    column: Option<&String>,
    cascade: bool,
) -> Vec<FindingDraft> {
    let (Some(model), Some((full, _))) = (context.before, context.table(table)) else {
        return Vec::new();
    };
    let (rest, outcome) = match (context.dialect, column) {
        (Some(Dialect::Postgres), _) if cascade => ("which goes with it", None),
        (Some(Dialect::MySql), _) | (Some(Dialect::Sqlite), None) => ("which is broken then", None),
        // It reads the views again when a column goes, not in a batch.
        (Some(Dialect::Sqlite), Some(_)) => {
            ("which is broken then", Some(FailurePrediction::MayFail))
        }
        _ => return Vec::new(),
    };
    let leaning = model.views.iter().filter(|(_, view)| match column {
        Some(column) => view.uses_column(full, column) != Some(false),
        None => names(&view.query, &table.name),
    });
    let what = match column {
        Some(column) => format!("{}.{column}", context.say(table)),
        None => context.say(table),
    };
    leaning
        .map(|(view, _)| {
            let view = context.say(view);
            context
                .found(
                    CODE,
                    format!("{what} {view}"),
                    Level::Medium,
                    format!("drops {what} under the view {view}, {rest}"),
                )
                .fails(outcome)
                .advise(format!("drop the view {view} before and make it anew"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, edit, found, only, schema, step, table};
    use rollback_core::operation::Name;
    use rollback_schema::{ForeignKey, Presence, SchemaModel, View};

    fn leaned_on(dialect: Dialect) -> SchemaModel {
        let mut before = schema(dialect);
        let full = |name: &str| TableName {
            schema: (dialect == Dialect::Postgres).then(|| "public".to_owned()),
            name: name.to_owned(),
        };
        let key = ForeignKey {
            name: Name::Unnamed,
            columns: vec!["user_id".to_owned()],
            referent: full("users"),
            referent_columns: vec!["id".to_owned()],
            on_delete: None,
            inline: false,
            presence: Presence::Certain,
        };
        edit(&mut before, "orders", |table| table.foreign_keys.push(key));
        let view = View {
            query: "SELECT users.email FROM users".to_owned(),
            uses: None,
            presence: Presence::Certain,
        };
        before.views.insert(full("mails"), view);
        before
    }

    fn dropping(cascade: bool) -> Operation {
        Operation::DropTable {
            table: table("users"),
            if_exists: false,
            cascade,
        }
    }

    #[test]
    fn a_cascade_takes_others_along() {
        let seen = step(&leaned_on(Dialect::Postgres), vec![dropping(true)]);
        let sentences: Vec<String> = found(CODE, &seen, FakeProbe::all(0))
            .into_iter()
            .map(|finding| finding.sentence)
            .collect();
        assert_eq!(
            sentences,
            [
                "drops users under the foreign key of orders, which goes with it",
                "drops users under the view mails, which goes with it"
            ]
        );
        // Without one the server refuses: that is a failure of the schema's.
        let seen = step(&leaned_on(Dialect::Postgres), vec![dropping(false)]);
        assert!(found(CODE, &seen, FakeProbe::all(0)).is_empty());
    }

    #[test]
    fn sqlite_leaves_what_leans() {
        let seen = step(&leaned_on(Dialect::Sqlite), vec![dropping(false)]);
        assert_eq!(found(CODE, &seen, FakeProbe::all(0)).len(), 2);
    }

    #[test]
    fn a_view_over_another_column_does_not_lean() {
        let drop = |column: &str| Operation::DropColumn {
            table: table("users"),
            column: column.to_owned(),
            if_exists: false,
            cascade: false,
        };
        let seen = step(&leaned_on(Dialect::MySql), vec![drop("email")]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Medium);
        let seen = step(&leaned_on(Dialect::MySql), vec![drop("mail")]);
        assert!(found(CODE, &seen, FakeProbe::all(0)).is_empty());
    }
}
