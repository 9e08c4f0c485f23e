//! What is predicted of a plan, put together from the version files, the schema and the data.

use std::time::Duration;

use clap::Args;

use super::CommandContext;
use super::journal_recorder::store;
use super::project::{Project, Text};
use crate::config;
use crate::error::{Exit, Failure};
use migration_forecast::python::following_ahead;
use migration_forecast::risk::plan_forecast::{PlanForecast, ProbeUsage};
use migration_forecast::risk::verdict::{Advice, RiskSummary, advise, to_be_allowed};
use migration_forecast::{Migrations, StepTrace, announced, predict, reachable, risk};
use rollback_core::command::Command;
use rollback_core::effect::{Announced, Surprise};
use rollback_core::finding::Culprit;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::names::and;
use rollback_core::plan::Plan;
use rollback_core::probe::{NoProbe, Probe};
use rollback_database::evidence::DatabaseProbe;

/// How the database is asked what a plan puts at risk.
#[derive(Debug, Clone, Default, Args)]
pub struct ProbeArgs {
    /// Do not ask the database what tables and columns hold. What goes is then not counted, and the level
    /// of a finding is that of its kind.
    #[arg(long, conflicts_with = "probe_timeout")]
    pub no_probe: bool,

    /// Spend at most this long on asking the database, all questions together. What there is no time for is
    /// estimated or unknown, and marked so.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub probe_timeout: Option<Duration>,
}

/// What is predicted of a plan, and what that comes to.
pub(crate) struct ShownForecast {
    pub(crate) forecast: PlanForecast,
    /// In one line.
    pub(crate) verdict: String,
    /// What will be lost, such as `drops 3 tables with 88 rows`; `None` where nothing is known to be.
    pub(crate) losses: Option<String>,
    /// What each step may do by what was shown of it.
    pub(crate) announced: Vec<Announced>,
    /// What earlier runs measured of the steps and did not keep. It is shown among the findings.
    pub(crate) measured: Vec<Surprise>,
}

impl ShownForecast {
    /// Reads the migrations of a plan and follows them over the schema as it is, asking the database
    /// what is at stake.
    pub(crate) fn of(project: &mut Project, plan: &Plan, context: &CommandContext<'_>) -> Self {
        let settings = context.settings;
        let text = project.text();
        let dialect = project.dialect();
        let budget = settings.probe_timeout;
        let mut follow = |migrations: &dyn Migrations| {
            let model = if plan.steps.is_empty() {
                None
            } else {
                project.schema_model()
            };
            let (graph, database) = project.graph_and_database();
            let look = |ask: &mut dyn Probe| {
                let mut examine = |seen: &StepTrace| risk::examine(seen, ask);
                predict(plan, graph, migrations, dialect, model, &mut examine)
            };
            match (database, dialect) {
                _ if !settings.probe => {
                    (look(&mut NoProbe), ProbeUsage::Not("--no-probe".to_owned()))
                }
                (Some(database), Some(dialect)) => {
                    let mut probes = DatabaseProbe::new(database, dialect, budget, budget / 4);
                    let steps = look(&mut probes);
                    let asked = ProbeUsage::Within {
                        answers: probes.answered(),
                        unanswered: probes.unanswered().len(),
                        took: probes.used(),
                        budget,
                    };
                    (steps, asked)
                }
                _ => (
                    look(&mut NoProbe),
                    ProbeUsage::Not("there is no connection of our own".to_owned()),
                ),
            }
        };
        let (steps, asked) = match &text {
            Text::VersionFiles(files) => following_ahead(files, plan, dialect, &mut follow),
            Text::SqlFiles(migrations) => follow(migrations),
        };
        let (graph, _) = project.graph_and_database();
        let reachable = reachable(graph, plan, |index| steps[index].will_fail());
        let nothing_read = matches!(&text, Text::VersionFiles(files) if files.files.is_empty());
        let unread = (!plan.steps.is_empty() && nothing_read).then(|| {
            "no version file of the plan is at hand, so that nothing is known of the steps"
                .to_owned()
        });
        let announced = steps.iter().map(|step| match unread {
            Some(_) => Announced::anything(),
            None => announced(&step.seen, &step.findings),
        });
        let announced = announced.collect();
        let measured = measured_before(project, plan, context);
        let steps: Vec<_> = steps
            .into_iter()
            .zip(&measured)
            .map(|(step, measured)| [step.findings, risk::measured(measured)].concat())
            .collect();
        let verdict = RiskSummary::over(steps.iter().flatten());
        let forecast = PlanForecast {
            steps,
            unread,
            asked,
            reachable,
        };
        Self {
            verdict: in_one_line(&forecast, &verdict),
            losses: verdict.losses.sentence(),
            announced,
            measured: measured.concat(),
            forecast,
        }
    }

    /// The command that comes next for a plan that `again` runs. It asks for what is at stake: consent is not handed
    /// out to be copied.
    pub(crate) fn next_command(&self, again: Command, context: &CommandContext<'_>) -> Command {
        match (self.forecast.first_failure(), &self.forecast.reachable) {
            (Some((0, _)), _) | (Some(_), None) => context.command(&["list"]),
            (Some(_), Some(reachable)) => match &reachable.target {
                Some(target) => context.command(&["downgrade-safe"]).target(target),
                None => context.command(&["list"]),
            },
            (None, _) => again,
        }
    }

    /// Refuses a plan with a step that is sure to fail.
    pub(crate) fn refuse_failure(
        &self,
        plan: &Plan,
        context: &CommandContext<'_>,
    ) -> Result<(), Failure> {
        let Some((index, finding)) = self.forecast.first_failure() else {
            return Ok(());
        };
        let step = plan
            .steps
            .get(index)
            .map_or("", |step| step.removes.as_str());
        let place = finding.place.as_ref().map(|place| format!(", at {place}"));
        let failure = Failure::refused(format!(
            "step {} of {}, {step}, will fail: nothing was changed",
            index + 1,
            plan.steps.len()
        ))
        .because(format!(
            "{}: {}{}",
            finding.code,
            finding.sentence,
            place.unwrap_or_default()
        ));
        let failure = match &self.forecast.reachable {
            Some(reachable) if reachable.steps > 0 => {
                let words = format!(
                    "the last position that can be reached is {}",
                    and(&reachable.heads)
                );
                match &reachable.target {
                    Some(target) => failure.hint(format!(
                        "{words}: {}",
                        context.command(&["downgrade-safe"]).target(target)
                    )),
                    None => failure.hint(words),
                }
            }
            _ => failure.hint(format!(
                "it is the first step, so that no way down is open: {}",
                context.command(&["check"]).value(step)
            )),
        };
        Err(failure.hint("to begin all the same, and stop there: --allow-failing"))
    }

    /// The codes of what is high or unknown and not allowed.
    pub(crate) fn lacking_consent(&self, context: &CommandContext<'_>) -> Vec<FindingCode> {
        to_be_allowed(self.forecast.findings(), &context.settings.allow)
            .into_iter()
            .collect()
    }

    /// The refusal of a plan that `-y` alone does not allow.
    pub(crate) fn refusal(&self, lacking: &[FindingCode]) -> Failure {
        let mut failure = Failure::refused(
            "-y alone does not allow what this plan puts at risk: nothing was changed",
        );
        for code in lacking {
            let of_code = || {
                self.forecast
                    .findings()
                    .filter(|finding| finding.code == *code)
            };
            if let Some(finding) = of_code().max_by_key(|finding| finding.level) {
                let more = match of_code().count() {
                    0 | 1 => String::new(),
                    number => format!(" (and {} more)", number - 1),
                };
                failure = failure.because(format!(
                    "{code}, {}: {}{more}",
                    finding.level.name(),
                    finding.sentence
                ));
            }
        }
        failure.hint(format!(
            "to allow it by name: --allow {}",
            FindingCode::join(lacking, ",")
        ))
    }

    /// What `--deny` makes of it.
    pub(crate) fn denied(&self, deny: Option<Level>) -> Result<Exit, Failure> {
        let worst = self.forecast.findings().max_by_key(|finding| finding.level);
        match (deny, worst) {
            (Some(deny), Some(worst)) if worst.level >= deny => Err(Failure::refused(format!(
                "the plan has a finding of level {}, and --deny {} was given",
                worst.level.name(),
                deny.name()
            ))
            .because(format!("{}: {}", worst.code, worst.sentence))),
            _ => Ok(Exit::Done),
        }
    }

    /// Who made or removed the objects that the step of the plan was expected to fail on, by the code of those
    /// findings: `object-missing`, `object-exists`.
    pub(crate) fn culprits(&self, step: usize, code: FindingCode) -> Vec<Culprit> {
        let findings = self.forecast.steps.get(step).into_iter().flatten();
        findings
            .filter(|finding| finding.code == code)
            .filter_map(|finding| finding.culprit.clone())
            .collect()
    }

    /// What to do about the last revision of the plan, and why.
    pub(crate) fn advice(&self) -> Advice {
        advise(self.forecast.steps.last().map_or(&[][..], Vec::as_slice))
    }
}

/// What the newest run on this database that ended at a step measured of it, for each step of the plan. A record that
/// cannot be read tells nothing here: what the run itself writes down is refused with its reason.
fn measured_before(
    project: &Project,
    plan: &Plan,
    context: &CommandContext<'_>,
) -> Vec<Vec<Surprise>> {
    if plan.steps.is_empty() {
        return Vec::new();
    }
    let here = project.database_reference();
    let runs = store(context).runs_on(&|recorded| here.relation_to(recorded).is_usable());
    let runs = runs.unwrap_or_default();
    let steps = plan.steps.iter().map(|step| {
        let found = runs
            .iter()
            .find_map(|run| run.unannounced.get(step.removes.as_str()));
        found.cloned().unwrap_or_default()
    });
    steps.collect()
}

fn in_one_line(forecast: &PlanForecast, verdict: &RiskSummary) -> String {
    let level = verdict.level.map_or("low", Level::name);
    match forecast.first_failure() {
        Some((index, _)) => format!(
            "{level}: step {} will fail; {}",
            index + 1,
            verdict.sentence()
        ),
        None => format!("{level}: {}", verdict.sentence()),
    }
}
