//! SQLite: a column with a default that is computed, which `ADD COLUMN` takes in an empty table only.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{TableContents, evidence, operations_with_schema};
use rollback_core::dialect::Dialect;
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::Operation;
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::NotSupported;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::AddColumn { table, column, .. } = scene.operation else {
            continue;
        };
        let default = column.server_default.as_deref().unwrap_or_default();
        // A batch copies the table.
        if scene.dialect != Some(Dialect::Sqlite) || scene.in_batch || !is_computed(default) {
            continue;
        }
        let name = format!("{}.{}", scene.say(table), column.name);
        let sentence =
            format!("adds column {name} with the default {default}, which is not constant");
        let found = |level, rest: String| {
            scene.found(CODE, name.clone(), level, format!("{sentence}{rest}"))
        };
        let advice = "add the column in a batch operation, which copies the table";
        let live = match scene.stock(table) {
            TableContents::Live { table } => Some(table),
            TableContents::Unknown => None,
            TableContents::Absent | TableContents::CreatedByPlan => continue,
        };
        let answer = live.and_then(|table| ask.ask(&Question::Rows { table }));
        all.push(match answer {
            Some(answer) if answer.count == 0 && answer.exact => {
                found(Level::Low, ", to an empty table".to_owned())
                    .because(evidence(&answer, "row", "rows"))
                    .unless(scene.may_gain(table, &[]))
            }
            Some(answer) => {
                let rows = counted(answer.count, answer.exact, "row", "rows");
                found(Level::High, format!(", to a table with {rows}"))
                    .fails(scene.outcome(table, &answer, scene.may_lose(table, &[])))
                    .because(evidence(&answer, "row", "rows"))
                    .advise(advice)
            }
            None => found(Level::Medium, String::new())
                .fails(FailurePrediction::MayFail)
                .advise(advice),
        });
    }
    all
}

/// Whether SQLite has to compute a default: what calls something, or stands for the present time.
fn is_computed(default: &str) -> bool {
    let mut inner = default.trim();
    while let Some(bare) = inner
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        inner = bare.trim();
    }
    let lower = inner.to_ascii_lowercase();
    let calls = lower.split_once('(').is_some_and(|(name, _)| {
        let name = name.trim_end();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name != "cast" && name.chars().all(is_word)
    });
    ["current_timestamp", "current_date", "current_time"].contains(&lower.as_str()) || calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, column, found, schema, step, table};

    /// Turns red if a default is taken for computed that SQLite takes, or the other way round.
    #[test]
    fn only_what_is_computed_needs_an_empty_table() {
        for (default, computed) in [
            ("CURRENT_TIMESTAMP", true),
            ("(CURRENT_TIMESTAMP)", true),
            ("(datetime('now'))", true),
            ("'now()'", false),
            ("(1)", false),
            ("('a')", false),
            ("cast('1' as int)", false),
            ("true", false),
        ] {
            let mut column = column("at", "TEXT");
            column.server_default = Some(default.to_owned());
            let adding = Operation::AddColumn {
                table: table("users"),
                column,
                if_not_exists: false,
            };
            let seen = step(&schema(Dialect::Sqlite), vec![adding]);
            let outcomes = |count| -> Vec<_> {
                let all = found(CODE, &seen, FakeProbe::all(count));
                all.into_iter().map(|finding| finding.outcome).collect()
            };
            let (full, empty) = if computed {
                (vec![Some(FailurePrediction::WillFail)], vec![None])
            } else {
                (Vec::new(), Vec::new())
            };
            assert_eq!((outcomes(3), outcomes(0)), (full, empty), "{default}");
        }
    }
}
