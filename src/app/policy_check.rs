//! Whether the policy lets a rollback begin: what it looks at is put together here, and its refusal is told.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;

use super::CommandContext;
use super::forecast::ShownForecast;
use super::project::Project;
use super::unfinished::ResumedRun;
use crate::config::{self, DeployedAt};
use crate::error::Failure;
use rollback_core::backup::Verified;
use rollback_core::finding_code::Level;
use rollback_core::plan::Plan;
use rollback_core::policy::environment::normal;
use rollback_core::policy::{ConsentSource, Policy, PolicyDecision, RunContext, Situation};

/// What the operator says about a rollback besides its target.
#[derive(Debug, Clone, Default, Args)]
pub struct CircumstanceArgs {
    /// Why the database is rolled back, for the record.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// The record of the incident, for the record and the policy.
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,

    /// Who else agreed to it, for the record and the policy.
    #[arg(long, value_name = "NAME")]
    pub approved_by: Option<String>,

    /// When the release went out that is rolled back: 2026-11-21T04:00:00Z, or 4m for four minutes ago.
    #[arg(long, value_name = "TIME", value_parser = config::deployed_at)]
    pub deployed_at: Option<DeployedAt>,
}

/// What was said, and what the policy makes of it.
#[derive(Debug, Clone)]
pub(crate) struct PolicyCheck {
    pub(crate) circumstances: RunContext,
    /// `None` where there is no policy, or no step to rule on.
    pub(crate) ruling: Option<PolicyDecision>,
    pub(crate) policy: Policy,
    /// What the ruling was made of.
    situation: Option<Situation>,
}

/// How a rollback is about to be run.
#[derive(Clone, Copy)]
pub(crate) struct RunConditions<'a> {
    pub(crate) consent: ConsentSource,
    /// Whether each step is looked at.
    pub(crate) validate: bool,
    /// The backup that will be made before the first step, and how far it will be proven.
    pub(crate) backup: Option<Verified>,
    /// The run that is resumed.
    pub(crate) resumed: Option<&'a ResumedRun>,
}

/// Asks the policy about a plan. Of a run that goes on it takes what was said when it was begun, where it is not
/// said again.
pub(crate) fn rule(
    context: &CommandContext<'_>,
    project: &mut Project,
    plan: &Plan,
    forecast: &ShownForecast,
    manner: RunConditions<'_>,
) -> Result<PolicyCheck, Failure> {
    let begun = manner.resumed.map(ResumedRun::circumstances);
    let circumstances = circumstances(context, begun.as_ref());
    let policy = policy(context, begun.as_ref())?;
    let mut ruled = PolicyCheck {
        circumstances,
        ruling: None,
        policy,
        situation: None,
    };
    if plan.steps.is_empty() {
        return Ok(ruled);
    }
    let (level, codes) = if forecast.forecast.unread.is_some() {
        (Some(Level::Unknown), BTreeSet::new())
    } else {
        let codes = forecast.forecast.findings().map(|finding| finding.code);
        (forecast.forecast.level(), codes.collect())
    };
    let faults = if ruled.policy.require_clean_schema {
        faults(context, project, manner.resumed)
    } else {
        None
    };
    ruled.decide(Situation {
        circumstances: ruled.circumstances.clone(),
        operator: context.operator.clone(),
        consent: manner.consent,
        steps: plan.steps.len(),
        level,
        codes,
        backup: manner.backup,
        validate: manner.validate,
        faults,
        now: now(context),
    });
    Ok(ruled)
}

/// Refuses what the policy would refuse of any plan with a step: for whoever cannot come back later to fix it.
/// `backup` is the one that may be made.
pub(crate) fn refuse_beforehand(
    context: &CommandContext<'_>,
    project: &mut Project,
    consent: ConsentSource,
    backup: Option<Verified>,
) -> Result<(), Failure> {
    let policy = policy(context, None)?;
    let mut ruled = PolicyCheck {
        circumstances: circumstances(context, None),
        ruling: None,
        policy,
        situation: None,
    };
    let faults = if ruled.policy.require_clean_schema {
        faults(context, project, None)
    } else {
        None
    };
    ruled.decide(Situation {
        circumstances: ruled.circumstances.clone(),
        operator: context.operator.clone(),
        consent,
        steps: 1,
        level: None,
        codes: BTreeSet::new(),
        backup,
        validate: context.settings.validate,
        faults,
        now: now(context),
    });
    ruled.refusal().map_or(Ok(()), Err)
}

fn now(context: &CommandContext<'_>) -> Timestamp {
    Timestamp::try_from((context.now)()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The rules. A run that goes on stays where it was begun, whether a variable still says so or not.
fn policy(context: &CommandContext<'_>, begun: Option<&RunContext>) -> Result<Policy, Failure> {
    let settings = context.settings;
    let begun = begun.and_then(|begun| begun.environment.as_deref());
    match (settings.environment.as_deref(), begun) {
        (None, Some(begun)) => settings.policies.of(Some(begun)),
        (Some(said), Some(begun)) if normal(said) != normal(begun) => Err(Failure::user(format!(
            "the run was begun in {begun}, and now this is said to be {said}"
        ))
        .hint(format!(
            "go on with it there: {}",
            context.command(&["resume"]).option("--environment", begun)
        ))),
        _ => Ok(settings.policy.clone()),
    }
}

fn circumstances(context: &CommandContext<'_>, begun: Option<&RunContext>) -> RunContext {
    let settings = context.settings;
    let begun = begun.cloned().unwrap_or_default();
    let deployed_at = settings.deployed_at.map(|at| at.moment((context.now)()));
    RunContext {
        environment: settings.environment.clone().or(begun.environment),
        reason: settings.reason.clone().or(begun.reason),
        incident: settings.incident.clone().or(begun.incident),
        approved_by: settings.approved_by.clone().or(begun.approved_by),
        deployed_at: deployed_at.or(begun.deployed_at),
    }
}

/// What is left over and at fault. What a run that goes on has kept beside the database is its own.
fn faults(
    context: &CommandContext<'_>,
    project: &mut Project,
    resumed: Option<&ResumedRun>,
) -> Option<Vec<String>> {
    let budget = context.settings.check_budget;
    project.faults(budget, resumed.and_then(ResumedRun::useless_copy))
}

impl PolicyCheck {
    fn decide(&mut self, situation: Situation) {
        let ruling = self.policy.decide(&situation);
        self.ruling = (!ruling.points.is_empty()).then_some(ruling);
        self.situation = Some(situation);
    }

    /// Asks the policy once more after the question: a person may have read for long, and a window may have closed.
    pub(crate) fn still_met(&mut self, context: &CommandContext<'_>) -> Result<(), Failure> {
        if let Some(situation) = self.situation.take() {
            let now = now(context);
            self.decide(Situation { now, ..situation });
        }
        self.refusal().map_or(Ok(()), Err)
    }

    /// The refusal by the policy, all that is missing at once; `None` where nothing is.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        let ruling = self.ruling.as_ref().filter(|ruling| !ruling.is_met())?;
        let of = ruling
            .environment
            .as_ref()
            .map(|name| format!(" of {name}"));
        let mut failure = Failure::refused(format!(
            "the policy{} is not met: nothing was changed",
            of.unwrap_or_default()
        ));
        let mut flags = Vec::new();
        let mut others: Vec<&str> = Vec::new();
        for point in ruling.missing() {
            failure = failure.because(point.sentence.clone());
            match point.remedy.as_deref() {
                Some(flag) if point.is_option => flags.push(flag),
                Some(other) if !others.contains(&other) => others.push(other),
                _ => {}
            }
        }
        for other in others {
            failure = failure.hint(other);
        }
        if flags.is_empty() {
            return Some(failure);
        }
        Some(failure.hint(format!("give what is missing: {}", flags.join(" "))))
    }
}
