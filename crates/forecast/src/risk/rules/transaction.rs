//! What a step cannot take back when it fails later.

use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{OperationContext, operations_with_schema};
use crate::{EventKind, StepTrace};
use rollback_core::dialect::Dialect;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::Operation;
use rollback_core::probe::Probe;

const OUTSIDE: FindingCode = FindingCode::NotInTransaction;
const COMMITS: FindingCode = FindingCode::CommitsItself;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    // The other servers commit every change of the schema anyway.
    if seen.dialect == Some(Dialect::Postgres) {
        all.extend(operations_with_schema(seen).iter().filter_map(outside));
    }
    for (order, happened) in seen.downgrade.happened.iter().enumerate() {
        if happened.event.kind != EventKind::EndsTransaction {
            continue;
        }
        let level = match seen.dialect {
            Some(Dialect::Postgres) | None => Level::Medium,
            Some(Dialect::MySql | Dialect::Sqlite) => Level::Low,
        };
        let sentence = "ends the transaction itself: what came before stays if the rest fails";
        let mut found = FindingDraft::new(COMMITS, "", level, sentence)
            .at(&happened.event.place)
            .after(order)
            .advise("have a backup at hand: --atomic does not hold for this step");
        found.certain = happened.event.certain;
        all.push(found);
    }
    all
}

fn outside(context: &OperationContext<'_>) -> Option<FindingDraft> {
    let (object, what, outcome) = match context.operation {
        Operation::CreateIndex {
            name,
            concurrently: true,
            ..
        }
        | Operation::DropIndex {
            name,
            concurrently: true,
            ..
        } => {
            let index = name.known().unwrap_or("an index");
            // In a transaction the server refuses it; whether there is one is env.py's affair.
            let outcome = (!context.autocommit).then_some(FailurePrediction::MayFail);
            (
                index.to_owned(),
                format!("works on index {index} CONCURRENTLY"),
                outcome,
            )
        }
        Operation::AddEnumValue { name, value, .. } => (
            format!("{name} {value}"),
            format!("adds '{value}' to the type {name}, which knows no way back"),
            None,
        ),
        _ if context.autocommit => (
            String::new(),
            "works in an autocommit block".to_owned(),
            None,
        ),
        _ => return None,
    };
    let rest = if context.autocommit {
        ", outside the transaction: it stays if the rest fails"
    } else if outcome.is_some() {
        ", which PostgreSQL refuses in a transaction"
    } else {
        ""
    };
    Some(
        context
            .found(OUTSIDE, object, Level::Medium, format!("{what}{rest}"))
            .fails(outcome)
            .advise("have a backup at hand: --atomic does not hold for this step"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Happened;
    use crate::risk::testing::{FakeProbe, event, found, only, schema, step};
    use rollback_core::operation::Name;

    fn concurrently(dialect: Dialect, autocommit: bool) -> StepTrace {
        let drop = Operation::DropIndex {
            name: Name::Known("ix".to_owned()),
            table: None,
            concurrently: true,
            if_exists: false,
        };
        let mut seen = step(&schema(dialect), vec![drop]);
        seen.downgrade.happened[0].event.autocommit = autocommit;
        seen
    }

    #[test]
    fn concurrently_wants_to_be_outside() {
        let inside = only(
            OUTSIDE,
            &concurrently(Dialect::Postgres, false),
            FakeProbe::nothing(),
        );
        assert_eq!(inside.outcome, Some(FailurePrediction::MayFail));
        let outside = only(
            OUTSIDE,
            &concurrently(Dialect::Postgres, true),
            FakeProbe::nothing(),
        );
        assert_eq!(outside.outcome, None);
        assert_eq!(
            outside.sentence,
            "works on index ix CONCURRENTLY, outside the transaction: it stays if the rest fails"
        );
        let other = concurrently(Dialect::MySql, true);
        assert!(found(OUTSIDE, &other, FakeProbe::nothing()).is_empty());
    }

    #[test]
    fn a_migration_that_commits_says_so_once() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        for line in [4, 8] {
            seen.downgrade.happened.push(Happened {
                event: event(line, EventKind::EndsTransaction),
                before: None,
            });
        }
        let finding = only(COMMITS, &seen, FakeProbe::nothing());
        assert_eq!(finding.place.unwrap().line, 4);
        assert_eq!(finding.level, Level::Medium);
    }
}
