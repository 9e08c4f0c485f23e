//! An index is built: whoever writes has to wait.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{TableContents, operations_with_schema};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Constraint, Operation};
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::IndexBuilt;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let (table, name, concurrently, is_key) = match scene.operation {
            Operation::CreateIndex {
                table,
                name,
                concurrently,
                ..
            } => (table, name, *concurrently, false),
            Operation::AddConstraint {
                table,
                constraint: Constraint::Unique { name, .. } | Constraint::PrimaryKey { name, .. },
            } => (table, name, false, true),
            _ => continue,
        };
        if matches!(
            scene.stock(table),
            TableContents::CreatedByPlan | TableContents::Absent
        ) {
            continue;
        }
        let size = scene.size(table, ask);
        let lock = match scene.dialect {
            Some(Dialect::Postgres) if concurrently => {
                ", under a SHARE UPDATE EXCLUSIVE lock: nobody waits"
            }
            Some(Dialect::Postgres) if is_key => {
                ", under an ACCESS EXCLUSIVE lock: readers and writers wait"
            }
            Some(Dialect::Postgres) => ", under a SHARE lock: writers wait",
            Some(Dialect::Sqlite) => ": nobody else writes meanwhile",
            Some(Dialect::MySql) | None => "",
        };
        let level = if concurrently {
            Level::Low
        } else {
            size.level()
        };
        let index = match name.known() {
            Some(name) => format!("index {name}"),
            None => "an index".to_owned(),
        };
        let said = scene.say(table);
        let sentence = format!("builds {index} on {said}{}{lock}", size.words());
        let found = scene
            .found(CODE, format!("{said} {index}"), level, sentence)
            .because(size.evidence());
        all.push(if level == Level::Low {
            found
        } else {
            found.advise(format!(
                "choose a quiet time, or build it before by hand on {said}"
            ))
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, edit, found, made, only, schema, step, table};
    use rollback_core::operation::{Name, UniqueScope};

    fn index(concurrently: bool) -> Operation {
        Operation::CreateIndex {
            name: Name::Known("ix".to_owned()),
            table: table("users"),
            columns: vec![Some("email".to_owned())],
            unique: false,
            alike: UniqueScope::default(),
            concurrently,
            if_not_exists: false,
        }
    }

    #[test]
    fn postgresql_keeps_writers_out_unless_told() {
        let seen = step(&schema(Dialect::Postgres), vec![index(false)]);
        let finding = only(CODE, &seen, FakeProbe::all(1_240_000_000));
        assert_eq!(
            finding.sentence,
            "builds index ix on users (1.2 GB), under a SHARE lock: writers wait"
        );
        assert_eq!(finding.level, Level::Medium);
        let seen = step(&schema(Dialect::Postgres), vec![index(true)]);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(1_240_000_000)).level,
            Level::Low
        );
    }

    #[test]
    fn a_table_that_the_plan_made_has_nobody_who_waits() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.origin = made());
        let seen = step(&before, vec![index(false)]);
        assert!(found(CODE, &seen, FakeProbe::all(9)).is_empty());
    }
}
