//! What could not be followed, and what depends on what is not known.

use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{is_same, operations_with_schema};
use crate::{EventKind, Followed, StepTrace};
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ObjectKind, Operation, SchemaObject};
use rollback_core::probe::Probe;

const CONDITIONAL: FindingCode = FindingCode::ConditionalCode;
const UNKNOWN: FindingCode = FindingCode::UnknownCode;

const ADVICE: &str = "read the downgrade";

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    if let Followed::Unreadable(reason) = &seen.downgrade.followed {
        all.push(
            FindingDraft::new(
                UNKNOWN,
                "",
                Level::Unknown,
                format!("cannot be read: {reason}"),
            )
            .fails(FailurePrediction::MayFail)
            .advise(ADVICE),
        );
    }
    for (order, happened) in seen.downgrade.happened.iter().enumerate() {
        let event = &happened.event;
        if let EventKind::Unknown { what, .. } = &event.kind {
            let sentence = format!("does what cannot be followed: {what}");
            let place = event.place.to_string();
            let mut found = FindingDraft::new(UNKNOWN, place, Level::Unknown, sentence)
                .at(&event.place)
                .after(order)
                .advise(ADVICE);
            found.certain = event.certain;
            all.push(found);
        } else if !event.certain {
            let sentence = "does some of this only under a condition that is not known before";
            all.push(
                FindingDraft::new(CONDITIONAL, "", Level::Medium, sentence)
                    .at(&event.place)
                    .after(order)
                    .advise(ADVICE),
            );
        }
    }
    all.extend(new_triggers(seen));
    for scene in operations_with_schema(seen) {
        let Operation::Sql { text } = scene.operation else {
            continue;
        };
        let words: Vec<&str> = text
            .iter()
            .map(|part| part.as_deref().unwrap_or("..."))
            .collect();
        let words = words.concat();
        let mut shown: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if shown.chars().count() > 60 {
            shown = shown.chars().take(60).collect();
            shown.push_str("...");
        }
        let sentence = format!("runs a statement that cannot be taken apart: {shown}");
        let object = scene.place.to_string();
        all.push(
            scene
                .found(UNKNOWN, object, Level::Unknown, sentence)
                .advise(ADVICE),
        );
    }
    all
}

/// Rows that change under a trigger which the same step makes: what it does is not followed.
fn new_triggers(seen: &StepTrace) -> Vec<FindingDraft> {
    let mut triggers: Vec<&SchemaObject> = Vec::new();
    let mut found = Vec::new();
    for scene in operations_with_schema(seen) {
        match scene.operation {
            Operation::CreateObject { object, .. } if object.kind == ObjectKind::Trigger => {
                triggers.push(object);
            }
            Operation::ChangeRows { table, .. } => {
                let fires = |trigger: &&&SchemaObject| match (table, &trigger.table) {
                    (Some(changed), Some(of)) => is_same(changed, of),
                    _ => true,
                };
                if let Some(trigger) = triggers.iter().find(fires) {
                    let sentence = format!(
                        "changes rows under the trigger {}, which is not followed",
                        trigger.name
                    );
                    let object = scene.place.to_string();
                    found.push(
                        scene
                            .found(UNKNOWN, object, Level::Unknown, sentence)
                            .advise(ADVICE),
                    );
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, event, found, only, schema, step};
    use crate::{Happened, SideEffect};
    use rollback_core::dialect::Dialect;

    fn unknown() -> StepTrace {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        let kind = EventKind::Unknown {
            what: "the call of tidy()".to_owned(),
            may_change: SideEffect::Schema,
        };
        seen.downgrade.happened.push(Happened {
            event: event(6, kind),
            before: None,
        });
        seen
    }

    #[test]
    fn what_cannot_be_followed_is_never_silent() {
        let finding = only(UNKNOWN, &unknown(), FakeProbe::nothing());
        assert_eq!(finding.level, Level::Unknown);
        assert_eq!(
            finding.sentence,
            "does what cannot be followed: the call of tidy()"
        );
        let mut seen = unknown();
        seen.downgrade.happened.clear();
        seen.downgrade.followed = Followed::Unreadable("invalid UTF-8".to_owned());
        assert_eq!(
            only(UNKNOWN, &seen, FakeProbe::nothing()).level,
            Level::Unknown
        );
    }

    #[test]
    fn a_statement_that_is_left_over_is_unknown() {
        let sql = Operation::Sql {
            text: vec![Some("VACUUM ".to_owned()), None],
        };
        let seen = step(&schema(Dialect::Postgres), vec![sql]);
        assert_eq!(
            only(UNKNOWN, &seen, FakeProbe::nothing()).sentence,
            "runs a statement that cannot be taken apart: VACUUM ..."
        );
    }

    #[test]
    fn conditions_are_told_once() {
        let read = || Operation::ReadRows {
            table: None,
            columns: Vec::new(),
        };
        let mut seen = step(&schema(Dialect::Postgres), vec![read(), read()]);
        assert!(found(CONDITIONAL, &seen, FakeProbe::nothing()).is_empty());
        for happened in &mut seen.downgrade.happened {
            happened.event.certain = false;
        }
        only(CONDITIONAL, &seen, FakeProbe::nothing());
    }
}
