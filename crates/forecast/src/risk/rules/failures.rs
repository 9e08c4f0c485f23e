//! What goes wrong by the schema alone, as following the plan has found it.

use crate::StepTrace;
use crate::follow::SEVERAL_STATEMENTS;
use crate::risk::finding_draft::FindingDraft;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::probe::Probe;
use rollback_schema::Failure;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    seen.downgrade.failures.iter().map(found).collect()
}

fn found(failure: &Failure) -> FindingDraft {
    let (level, outcome) = if failure.certain {
        (Level::High, FailurePrediction::WillFail)
    } else {
        (Level::Medium, FailurePrediction::MayFail)
    };
    let culprit = &failure.culprit;
    let by = culprit
        .as_ref()
        .map_or(String::new(), |culprit| format!(": the doing of {culprit}"));
    // One exception is one finding, whoever told of it, and so is a function that is not there.
    let object = match failure.code {
        FindingCode::Irreversible | FindingCode::NoDowngrade => "",
        _ => &failure.object,
    };
    FindingDraft::new(
        failure.code,
        object,
        level,
        format!("{}{by}", failure.sentence),
    )
    .at(&failure.place)
    .after(usize::MAX)
    .fails(outcome)
    .caused_by(culprit.clone())
    .advise(advice(failure))
}

fn advice(failure: &Failure) -> String {
    let object = &failure.object;
    match failure.code {
        FindingCode::ObjectMissing => {
            format!("make {object} by hand before this step, or mend the downgrade")
        }
        FindingCode::ObjectExists => {
            format!("move {object} out of the way before this step, or mend the downgrade")
        }
        FindingCode::Dependents => format!("drop what depends on {object} before this step"),
        FindingCode::KeyMissing => {
            format!("make a unique key for {object} before this step, or mend the downgrade")
        }
        FindingCode::NotCastable => "give the downgrade a `postgresql_using`".to_owned(),
        FindingCode::NoDowngrade => {
            "write the downgrade, or restore a backup from before the upgrade".to_owned()
        }
        FindingCode::NotInTransaction => {
            "mend the downgrade: it needs an autocommit_block there".to_owned()
        }
        FindingCode::NotSupported if object == SEVERAL_STATEMENTS => {
            "give each statement an op.execute() of its own".to_owned()
        }
        FindingCode::NotSupported => "mend the downgrade: this server cannot do that".to_owned(),
        _ => "mend the downgrade".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Followed;
    use crate::risk::testing::{FakeProbe, only, place, schema, step, table};
    use rollback_core::dialect::Dialect;
    use rollback_core::finding::Culprit;
    use rollback_core::subject::Subject;

    #[test]
    fn a_failure_names_who_did_it() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        seen.downgrade.failures.push(Failure {
            code: FindingCode::ObjectMissing,
            sentence: "drops column users.nick, which does not exist".to_owned(),
            object: "users.nick".to_owned(),
            certain: true,
            place: place(12),
            culprit: Some(Culprit {
                object: Subject::Column(table("users"), "nick".to_owned()),
                revision: "c3".into(),
                place: Some(place(40)),
            }),
        });
        let finding = only(FindingCode::ObjectMissing, &seen, FakeProbe::nothing());
        assert_eq!(
            finding.sentence,
            "drops column users.nick, which does not exist: the doing of revision c3 at a.py:40"
        );
        assert_eq!(
            (finding.outcome, finding.level),
            (Some(FailurePrediction::WillFail), Level::High)
        );
        seen.downgrade.failures[0].certain = false;
        assert_eq!(
            only(FindingCode::ObjectMissing, &seen, FakeProbe::nothing()).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    /// Whatever tells of it: the function that is not there, or the plan that comes upon it.
    #[test]
    fn a_downgrade_that_is_not_there_is_told_once() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        seen.downgrade.followed = Followed::Missing;
        seen.downgrade.failures.push(Failure {
            code: FindingCode::NoDowngrade,
            sentence: "revision a1 has no function downgrade".to_owned(),
            object: "downgrade".to_owned(),
            certain: true,
            place: place(1),
            culprit: None,
        });
        let finding = only(FindingCode::NoDowngrade, &seen, FakeProbe::nothing());
        assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
    }
}
