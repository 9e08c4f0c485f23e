//! The upgrade did something and the downgrade takes nothing of it back.

use crate::risk::finding_draft::FindingDraft;
use crate::{EventKind, Followed, Function, StepTrace};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::Operation;
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::DoesNothing;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let is_followed = matches!(seen.downgrade.followed, Followed::Empty | Followed::Whole);
    if seen.is_merge || !is_followed || changes(&seen.downgrade) || !changes(&seen.upgrade) {
        return Vec::new();
    }
    if raises(&seen.downgrade) || !seen.downgrade.failures.is_empty() {
        return Vec::new();
    }
    vec![
        FindingDraft::new(
            CODE,
            "",
            Level::Medium,
            "does nothing: what the upgrade did stays, only the version row goes",
        )
        .advise("undo by hand what the upgrade did, or leave the revision applied"),
    ]
}

fn changes(function: &Function) -> bool {
    function
        .happened
        .iter()
        .any(|happened| match &happened.event.kind {
            EventKind::Operation(operation) => !matches!(
                operation.as_ref(),
                Operation::ReadRows { .. } | Operation::CopyRows { .. }
            ),
            EventKind::Unknown { .. } => true,
            EventKind::EndsTransaction | EventKind::Raises { .. } => false,
        })
}

fn raises(function: &Function) -> bool {
    function
        .happened
        .iter()
        .any(|happened| matches!(happened.event.kind, EventKind::Raises { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, found, only, schema, step, table, undoing};
    use rollback_core::dialect::Dialect;

    #[test]
    fn nothing_is_said_where_nothing_was_done() {
        let empty = step(&schema(Dialect::Postgres), Vec::new());
        assert!(found(CODE, &empty, FakeProbe::nothing()).is_empty());
        let drop = Operation::DropTable {
            table: table("users"),
            if_exists: false,
            cascade: false,
        };
        let idle = undoing(empty, vec![drop.clone()]);
        assert_eq!(only(CODE, &idle, FakeProbe::nothing()).level, Level::Medium);
        let busy = undoing(
            step(&schema(Dialect::Postgres), vec![drop.clone()]),
            vec![drop],
        );
        assert!(found(CODE, &busy, FakeProbe::nothing()).is_empty());
        let mut merge = idle;
        merge.is_merge = true;
        assert!(found(CODE, &merge, FakeProbe::nothing()).is_empty());
    }

    #[test]
    fn to_look_is_not_to_do() {
        let read = Operation::ReadRows {
            table: Some(table("users")),
            columns: Vec::new(),
        };
        let index = Operation::DropIndex {
            name: rollback_core::operation::Name::Unnamed,
            table: None,
            concurrently: false,
            if_exists: false,
        };
        let seen = step(&schema(Dialect::Postgres), vec![read]);
        only(CODE, &undoing(seen, vec![index]), FakeProbe::nothing());
    }
}
