//! There is no way back: the downgrade raises, or there is none.

use crate::risk::finding_draft::FindingDraft;
use crate::{EventKind, Followed, StepTrace};
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::probe::Probe;

const RAISES: FindingCode = FindingCode::Irreversible;
const MISSING: FindingCode = FindingCode::NoDowngrade;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    if seen.downgrade.followed == Followed::Missing {
        let (what, advice) = if seen.is_sql_file {
            (
                "has no rollback SQL",
                "write the rollback SQL, or restore a backup from before the migration",
            )
        } else {
            (
                "has no downgrade function",
                "write the downgrade, or restore a backup from before the upgrade",
            )
        };
        all.push(
            FindingDraft::new(MISSING, "", Level::High, what)
                .fails(FailurePrediction::WillFail)
                .advise(advice),
        );
    }
    for (order, happened) in seen.downgrade.happened.iter().enumerate() {
        let EventKind::Raises { exception, message } = &happened.event.kind else {
            continue;
        };
        let words = match message {
            Some(message) => format!("raises {exception}: {message}"),
            None => format!("raises {exception}"),
        };
        let mut found = FindingDraft::new(RAISES, "", Level::High, words)
            .at(&happened.event.place)
            .after(order)
            .fails(FailurePrediction::WillFail)
            .advise("go back by a backup from before the upgrade, or mend it by a new migration");
        found.certain = happened.event.certain;
        all.push(found);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Happened;
    use crate::risk::testing::{FakeProbe, event, only, schema, step};
    use rollback_core::dialect::Dialect;

    /// A file of SQL has no functions.
    #[test]
    fn what_is_missing_is_called_by_its_name() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        seen.downgrade.followed = Followed::Missing;
        let said = |seen: &StepTrace| {
            let finding = only(MISSING, seen, FakeProbe::nothing());
            (finding.sentence, finding.advice)
        };
        assert_eq!(said(&seen).0, "has no downgrade function");
        seen.is_sql_file = true;
        assert_eq!(
            said(&seen),
            (
                "has no rollback SQL".to_owned(),
                "write the rollback SQL, or restore a backup from before the migration".to_owned()
            )
        );
    }

    fn raising(certain: bool) -> StepTrace {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        let raises = EventKind::Raises {
            exception: "NotImplementedError".to_owned(),
            message: Some("no way back".to_owned()),
        };
        let mut event = event(9, raises);
        event.certain = certain;
        seen.downgrade.followed = Followed::Whole;
        seen.downgrade.happened.push(Happened {
            event,
            before: None,
        });
        seen
    }

    #[test]
    fn to_raise_is_to_fail() {
        let finding = only(RAISES, &raising(true), FakeProbe::nothing());
        assert_eq!(finding.sentence, "raises NotImplementedError: no way back");
        assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
        assert_eq!(finding.place.unwrap().line, 9);
        let perhaps = only(RAISES, &raising(false), FakeProbe::nothing());
        assert_eq!(perhaps.outcome, Some(FailurePrediction::MayFail));
    }

    #[test]
    fn a_file_without_a_downgrade_cannot_be_run() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        seen.downgrade.followed = Followed::Missing;
        assert_eq!(
            only(MISSING, &seen, FakeProbe::nothing()).outcome,
            Some(FailurePrediction::WillFail)
        );
    }
}
