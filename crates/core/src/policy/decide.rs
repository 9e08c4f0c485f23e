//! The ruling: one point for each rule, so that all that is missing is told at once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;

use super::{ConsentSource, Policy, PolicyDecision, Requirement, Situation};
use crate::backup::Verified;
use crate::figures::count;
use crate::finding_code::{FindingCode, Level};
use crate::time;

/// How far another machine's clock may be ahead of our own.
const SKEW: Duration = Duration::from_mins(1);

impl Policy {
    /// What it makes of a rollback. A policy without a rule has no point.
    pub fn decide(&self, situation: &Situation) -> PolicyDecision {
        let points = [
            self.environment_is_named(),
            self.reason(situation),
            self.incident(situation),
            self.approver(situation),
            self.backup(situation),
            self.window(situation),
            self.clean_schema(situation),
            self.validation(situation),
            self.steps(situation),
            self.age(situation),
            self.level(situation),
            self.codes(situation),
            self.yes(situation),
        ];
        PolicyDecision {
            environment: self.environment.clone(),
            points: points.into_iter().flatten().collect(),
        }
    }

    fn environment_is_named(&self) -> Option<Requirement> {
        (!self.undecided.is_empty()).then(|| {
            let names = self.undecided.join(", ");
            point(
                "environment",
                format!("it has to be said which environment this is, one of {names}"),
            )
            .missing("nothing says so")
            .option("--environment <name>")
        })
    }

    fn reason(&self, situation: &Situation) -> Option<Requirement> {
        self.require_reason.then(|| {
            let required = point("reason", "a reason is required");
            match given(situation.circumstances.reason.as_deref()) {
                Some(reason) => required.met(reason),
                None => required.missing("none is given").option("--reason <text>"),
            }
        })
    }

    fn incident(&self, situation: &Situation) -> Option<Requirement> {
        self.require_incident.then(|| {
            let required = point("incident", "the record of an incident is required");
            match given(situation.circumstances.incident.as_deref()) {
                Some(incident) => required.met(incident),
                None => required.missing("none is named").option("--incident <id>"),
            }
        })
    }

    fn approver(&self, situation: &Situation) -> Option<Requirement> {
        self.require_approver.then(|| {
            let operator = &situation.operator.user;
            let required = point(
                "approver",
                format!("another person than {operator} has to have approved"),
            );
            match given(situation.circumstances.approved_by.as_deref()) {
                Some(name) if !is_same_person(name, operator) => required.met(name),
                Some(name) => required
                    .missing(format!("{name} is the same person"))
                    .option("--approved-by <name>"),
                None => required
                    .missing("nobody is named")
                    .option("--approved-by <name>"),
            }
        })
    }

    fn backup(&self, situation: &Situation) -> Option<Requirement> {
        self.require_backup.map(|least| {
            let (proof, flags) = match least {
                Verified::Read => ("read back whole", "--backup"),
                Verified::Restored => (
                    "restored beside the database and compared with it",
                    "--backup --verify-backup restore",
                ),
            };
            let required = point(
                "backup",
                format!("a backup that is {proof} is required first"),
            );
            match situation.backup {
                Some(made) if made >= least => required.met("it will be made"),
                Some(_) => required.missing("it will only be read back").option(flags),
                None => required.missing("none will be made").option(flags),
            }
        })
    }

    fn window(&self, situation: &Situation) -> Option<Requirement> {
        self.windows.as_ref().map(|windows| {
            let required = point(
                "window",
                format!("a maintenance window has to be open: {windows}"),
            );
            let now = windows.told(situation.now);
            if windows.are_open(situation.now) {
                return required.met(format!("it is {now}"));
            }
            let missing = required.missing(format!("it is {now}"));
            match windows.next_opening(situation.now) {
                Some(next) => missing.help(format!(
                    "wait until {} ({})",
                    windows.told(next),
                    windows.zone_name()
                )),
                None => missing,
            }
        })
    }

    fn clean_schema(&self, situation: &Situation) -> Option<Requirement> {
        self.require_clean_schema.then(|| {
            let required = point(
                "clean-schema",
                "nothing may be left over from before, and nothing be at fault in data and indexes",
            );
            match &situation.faults {
                Some(faults) if faults.is_empty() => required.met("nothing was found"),
                Some(faults) => required
                    .missing(faults.join("; "))
                    .help("clear away what was found"),
                None => required
                    .missing("it could not be looked for")
                    .help("see that the database can be asked, and give check_budget more time"),
            }
        })
    }

    fn validation(&self, situation: &Situation) -> Option<Requirement> {
        self.require_validation.then(|| {
            let required = point(
                "validation",
                "the database has to be looked at after each step",
            );
            if situation.validate {
                required.met("it will be")
            } else {
                required
                    .missing("validation is switched off")
                    .option("--validate")
            }
        })
    }

    fn steps(&self, situation: &Situation) -> Option<Requirement> {
        self.max_steps.map(|most| {
            let required = match most {
                0 => point(
                    "steps",
                    "no step may be taken back: migrations only go forward here",
                ),
                most => point(
                    "steps",
                    format!("at most {} may be taken back", count(most, "step")),
                ),
            };
            let planned = format!("the plan has {}", count(situation.steps, "step"));
            match most {
                _ if situation.steps <= most => required.met(planned),
                0 => required
                    .missing(planned)
                    .help("fix forward with a new migration"),
                most => required
                    .missing(planned)
                    .help(format!("take a nearer target, such as -{most}")),
            }
        })
    }

    fn age(&self, situation: &Situation) -> Option<Requirement> {
        self.max_age.map(|most| {
            let required = point(
                "age",
                format!("the release may be at most {} old", told(most)),
            );
            let deployed = given(situation.circumstances.deployed_at.as_deref());
            let Some(at) = deployed.and_then(|at| at.parse::<Timestamp>().ok()) else {
                return required
                    .missing("it is not said when it went out")
                    .option("--deployed-at <time>");
            };
            let age = situation.now.duration_since(at);
            let Ok(age) = Duration::try_from(age) else {
                return if age.unsigned_abs() <= SKEW {
                    required.met("it went out just now")
                } else {
                    required
                        .missing(format!("{at} has not come yet"))
                        .option("--deployed-at <time>")
                };
            };
            let found = format!("it went out {} ago", told(age));
            if age <= most {
                required.met(found)
            } else {
                required
                    .missing(found)
                    .help("fix forward with a new migration, or restore a backup")
            }
        })
    }

    fn level(&self, situation: &Situation) -> Option<Requirement> {
        self.deny_level.map(|least| {
            let required = point(
                "level",
                match least {
                    Level::Unknown => "nothing may be unknown of the steps".to_owned(),
                    least => format!("no finding may be {} or worse", least.name()),
                },
            );
            match situation.level {
                Some(worst) if worst >= least => required
                    .missing(format!("the worst is {}", worst.name()))
                    .help("fix forward with a new migration, or restore a backup"),
                Some(worst) => required.met(format!("the worst is {}", worst.name())),
                None => required.met("there is none"),
            }
        })
    }

    fn codes(&self, situation: &Situation) -> Option<Requirement> {
        (!self.deny_codes.is_empty()).then(|| {
            let required = point(
                "codes",
                format!(
                    "these findings are refused: {}",
                    FindingCode::join(&self.deny_codes, ", ")
                ),
            );
            let found: BTreeSet<_> = &self.deny_codes & &situation.codes;
            // Of steps that nobody could read it is not known which findings they have.
            if found.is_empty()
                && situation.level == Some(Level::Unknown)
                && situation.codes.is_empty()
            {
                return required
                    .missing("the steps could not be looked into")
                    .help("see that the version files can be read");
            }
            if found.is_empty() {
                required.met("the plan has none of them")
            } else {
                required
                    .missing(format!("the plan has {}", FindingCode::join(&found, ", ")))
                    .help("fix forward with a new migration, or restore a backup")
            }
        })
    }

    fn yes(&self, situation: &Situation) -> Option<Requirement> {
        self.forbid_yes.then(|| {
            let required = point("consent", "a person has to consent at a terminal");
            match situation.consent {
                ConsentSource::Terminal => required.met("there will be a question"),
                ConsentSource::Yes => required
                    .missing("-y was given")
                    .help("leave -y away and answer the question, or have allow_yes = true set in the policy"),
            }
        })
    }
}

/// What is required, before it is known whether it is there.
struct Required {
    code: &'static str,
    required: String,
}

fn point(code: &'static str, required: impl Into<String>) -> Required {
    Required {
        code,
        required: required.into(),
    }
}

impl Required {
    fn met(self, found: impl Display) -> Requirement {
        self.with(found, true)
    }

    fn missing(self, found: impl Display) -> Requirement {
        self.with(found, false)
    }

    fn with(self, found: impl Display, met: bool) -> Requirement {
        Requirement {
            code: self.code.to_owned(),
            sentence: format!("{}; {found}", self.required),
            met,
            remedy: None,
            is_option: false,
        }
    }
}

impl Requirement {
    fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn option(mut self, option: &str) -> Self {
        self.is_option = true;
        self.help(option)
    }
}

/// What was said, unless it is blank.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// `4m 12s`, without what is smaller than a second.
fn told(duration: Duration) -> String {
    time::shown(duration)
}

/// Whether two names of people are of one: `Ada` and `ada@example.com` are.
pub fn is_same_person(one: &str, other: &str) -> bool {
    let bare = |name: &str| {
        let name = name.trim().to_lowercase();
        name.split('@').next().unwrap_or_default().to_owned()
    };
    bare(one) == bare(other)
}
