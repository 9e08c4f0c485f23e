//! What goes wrong by the schema alone, as following the plan has found it.

use super::Rule;
use crate::domain::forecast::{Failure, StepTrace};
use crate::domain::risk::finding_draft::FindingDraft;
use crate::domain::risk::{Culprit, FailurePrediction, Level, Probe};

const MISSING: &str = "object-missing";
const EXISTS: &str = "object-exists";
const DEPENDENTS: &str = "dependents";
const NOT_SUPPORTED: &str = "not-supported";
const IRREVERSIBLE: &str = "irreversible";
const NO_DOWNGRADE: &str = "no-downgrade";
const NOT_IN_TRANSACTION: &str = "not-in-transaction";
const KEY_MISSING: &str = "key-missing";
const NOT_CASTABLE: &str = "not-castable";

pub(super) const RULE: Rule = Rule {
    codes: &[
        MISSING,
        EXISTS,
        DEPENDENTS,
        NOT_SUPPORTED,
        IRREVERSIBLE,
        NO_DOWNGRADE,
        NOT_IN_TRANSACTION,
        KEY_MISSING,
        NOT_CASTABLE,
    ],
    look,
};

fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    seen.downgrade.failures.iter().map(found).collect()
}

fn found(failure: &Failure) -> FindingDraft {
    let (level, outcome) = if failure.certain {
        (Level::High, FailurePrediction::WillFail)
    } else {
        (Level::Medium, FailurePrediction::MayFail)
    };
    let culprit = failure.culprit.as_ref().map(|(revision, place)| Culprit {
        revision: revision.clone(),
        place: place.clone(),
    });
    let by = culprit
        .as_ref()
        .map_or(String::new(), |culprit| format!(": the doing of {culprit}"));
    // One exception is one finding, whoever told of it, and so is a function that is not there.
    let object = match failure.code {
        IRREVERSIBLE | NO_DOWNGRADE => "",
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
    .caused_by(culprit)
    .advise(advice(failure))
}

fn advice(failure: &Failure) -> String {
    let object = &failure.object;
    match failure.code {
        MISSING => format!("make {object} by hand before this step, or mend the downgrade"),
        EXISTS => format!("move {object} out of the way before this step, or mend the downgrade"),
        DEPENDENTS => format!("drop what depends on {object} before this step"),
        KEY_MISSING => {
            format!("make a unique key for {object} before this step, or mend the downgrade")
        }
        NOT_CASTABLE => "give the downgrade a `postgresql_using`".to_owned(),
        NO_DOWNGRADE => {
            "write the downgrade, or restore a backup from before the upgrade".to_owned()
        }
        NOT_IN_TRANSACTION => "mend the downgrade: it needs an autocommit_block there".to_owned(),
        NOT_SUPPORTED => "mend the downgrade: this server cannot do that".to_owned(),
        _ => "mend the downgrade".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::Dialect;
    use crate::domain::forecast::Followed;
    use crate::domain::risk::testing::{FakeProbe, only, place, schema, step};

    #[test]
    fn a_failure_names_who_did_it() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        seen.downgrade.failures.push(Failure {
            code: MISSING,
            sentence: "drops column users.nick, which does not exist".to_owned(),
            object: "users.nick".to_owned(),
            certain: true,
            place: place(12),
            culprit: Some(("c3".into(), Some(place(40)))),
        });
        let finding = only(MISSING, &seen, FakeProbe::nothing());
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
            only(MISSING, &seen, FakeProbe::nothing()).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    /// Whatever tells of it: the function that is not there, or the plan that comes upon it.
    #[test]
    fn a_downgrade_that_is_not_there_is_told_once() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        seen.downgrade.followed = Followed::Missing;
        seen.downgrade.failures.push(Failure {
            code: NO_DOWNGRADE,
            sentence: "revision a1 has no function downgrade".to_owned(),
            object: "downgrade".to_owned(),
            certain: true,
            place: place(1),
            culprit: None,
        });
        let finding = only(NO_DOWNGRADE, &seen, FakeProbe::nothing());
        assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
    }
}
