//! The first entry of a record: all that is known of a run before its first step, as it was shown.

use std::collections::BTreeMap;

use super::{Goal, Planned, Request};
use crate::app::CommandContext;
use crate::app::project::Project;
use migration_forecast::risk::verdict::{Allowed, to_be_allowed};
use rollback_core::finding::Finding;
use rollback_core::journal::{Begun, Planned as PlannedStep, RecordedFinding};
use rollback_core::outcome::SchemaLines;
use rollback_core::plan::Step;
use rollback_core::policy::RunContext;
use rollback_core::secret::mask;

/// Puts it together.
pub(super) fn begun(
    request: &Request,
    context: &CommandContext<'_>,
    project: &Project,
    run: &str,
    planned: &Planned,
    schema: Option<&SchemaLines>,
) -> Begun {
    let plan = &planned.plan;
    let typed = match &request.goal {
        // The whole name: it is what the run is known by.
        Goal::Only(_) => format!(
            "--only {}",
            texts(plan.steps.iter().map(|step| &step.removes)).join(" ")
        ),
        _ => request.shown_target(),
    };
    let forecast = &planned.forecast.forecast;
    // Whoever came this far has consented to all of it, by name or by typing.
    let allowed = to_be_allowed(forecast.findings(), &Allowed::default());
    let hidden = |text: &str| mask(text, project.secrets());
    let said = &planned.ruled.circumstances;
    let told = |text: &Option<String>| text.as_deref().map(hidden);
    let circumstances = RunContext {
        reason: told(&said.reason),
        incident: told(&said.incident),
        approved_by: told(&said.approved_by),
        ..said.clone()
    };
    let steps = plan.steps.iter().enumerate().map(|(index, step)| {
        let command = planned.commands.get(index).into_iter().flatten();
        let findings = forecast.steps.get(index).into_iter().flatten();
        PlannedStep {
            removes: step.removes.to_string(),
            message: step.revision.message.clone(),
            command: command.map(|word| hidden(word)).collect(),
            findings: findings
                .map(|finding| recorded_finding(finding, &hidden))
                .collect(),
        }
    });
    Begun {
        number: None,
        run: run.to_owned(),
        database_key: project.database_key(),
        identity: project.lasting_identity(),
        database: project.place(),
        target: plan.restated_target.clone().unwrap_or(typed),
        removes: texts(plan.steps.iter().map(|step| &step.removes)),
        arguments: texts(plan.steps.iter().map(|step| &step.argument)),
        by: context.operator.clone(),
        reason: circumstances.reason.clone(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        engine: project.engine_name(),
        heads: plan.current.clone(),
        server: project.server(),
        circumstances,
        ruling: planned.ruled.ruling.clone(),
        steps: steps.collect(),
        losses: planned.forecast.losses.as_deref().map(hidden),
        allowed: texts(allowed.iter()),
        rows: project.rows_at_the_start(),
        aim: Some(plan.final_heads().clone()),
        messages: messages(project, &plan.steps),
        project: context
            .which_project
            .words()
            .iter()
            .map(|word| hidden(word))
            .collect(),
        guarded: request.guarded().map(|undo| undo.guarded.clone()),
        schema: schema.cloned().unwrap_or_default(),
    }
}

fn texts<T: ToString>(values: impl Iterator<Item = T>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}

fn recorded_finding(finding: &Finding, hidden: &dyn Fn(&str) -> String) -> RecordedFinding {
    RecordedFinding {
        code: finding.code.to_string(),
        level: finding.level,
        sentence: hidden(&finding.sentence),
    }
}

/// Of the revisions at both ends of the way.
fn messages(project: &Project, steps: &[Step]) -> BTreeMap<String, String> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return BTreeMap::new();
    };
    let ends = || first.heads_before.iter().chain(&last.heads_after);
    let revisions = project.graph.revisions().iter();
    revisions
        .filter(|revision| ends().any(|id| id.as_str() == revision.id))
        .map(|revision| (revision.id.clone(), revision.message.clone()))
        .collect()
}
