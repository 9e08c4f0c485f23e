//! More may be seen or done afterwards, or by more people.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::{Definition, DroppedTables, definition};
use crate::risk::operation_context::operations_with_schema;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ObjectKind, Operation};
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::RightsLoosened;

/// More of a statement is not read in one line.
const SHOWN: usize = 80;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    let dropped = DroppedTables::of(seen);
    for scene in operations_with_schema(seen) {
        let (table, words) = match scene.operation {
            Operation::ChangeRights {
                loosens: true,
                table,
                sql,
            } => (table, sql.split_whitespace().collect::<Vec<_>>().join(" ")),
            // Without a policy that lets see rows, fewer of them are seen. What any other policy does is not known.
            Operation::DropObject { object }
                if object.kind == ObjectKind::Policy
                    && definition(seen, object) == Definition::Elsewhere =>
            {
                let on = object.table.iter().map(|table| format!(" ON {table}"));
                let on: String = on.collect();
                (&object.table, format!("DROP POLICY {}{on}", object.name))
            }
            _ => continue,
        };
        if table
            .as_ref()
            .is_some_and(|table| dropped.has(table, &scene))
        {
            continue;
        }
        let mut shown: String = words.chars().take(SHOWN).collect();
        if shown.len() < words.len() {
            shown.push_str("...");
        }
        all.push(
            scene
                .found(
                    CODE,
                    words,
                    Level::High,
                    format!("loosens who may do what: {shown}"),
                )
                .advise("make sure that nobody gets to see or change what they should not"),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, found, only, schema, step, table};
    use rollback_core::dialect::Dialect;

    #[test]
    fn only_what_loosens_is_told() {
        let rights = |loosens| {
            let operation = Operation::ChangeRights {
                loosens,
                table: Some(table("users")),
                sql: "ALTER TABLE users\n  DISABLE ROW LEVEL SECURITY".to_owned(),
            };
            step(&schema(Dialect::Postgres), vec![operation])
        };
        let finding = only(CODE, &rights(true), FakeProbe::nothing());
        assert_eq!(
            finding.sentence,
            "loosens who may do what: ALTER TABLE users DISABLE ROW LEVEL SECURITY"
        );
        assert_eq!(finding.level, Level::High);
        assert!(found(CODE, &rights(false), FakeProbe::nothing()).is_empty());
    }
}
