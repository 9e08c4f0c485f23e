//! Going on with a run that did not reach its target.

use std::path::{Path, PathBuf};

use super::kept_copy;
use super::messages::{cannot_go_on, finding, nothing_to_resume, told};
use crate::app::backup_service::BackupService;
use crate::app::downgrade::Request;
use crate::app::journal_recorder::{append, digest, reopen};
use crate::app::policy_check::PolicyCheck;
use crate::app::project::Project;
use crate::app::{CommandContext, whose_run};
use crate::config::BackupWhen;
use crate::error::{Exit, Failure};
use crate::store::Store;
use rollback_core::backup::Verified;
use rollback_core::failpoint;
use rollback_core::journal::{AtomicRun, CrashState, Entry, Run};
use rollback_core::plan::Plan;
use rollback_core::policy::RunContext;
use rollback_core::revision::RevisionId;
use rollback_core::schema::Difference;
use rollback_database::LeftoverSnapshot;

/// An unfinished run, examined and planned again.
pub(crate) struct ResumedRun {
    pub(crate) plan: Plan,
    /// What is to be written as soon as the operator agrees.
    entries: Vec<Entry>,
    pub(crate) run: Run,
    /// A copy that has nothing to bring back.
    useless: Option<LeftoverSnapshot>,
    /// The copy that has to be put back first.
    to_put_back: Option<LeftoverSnapshot>,
}

/// Examines what an unfinished run left behind and plans the rest. Fails with exit code 5 where it
/// cannot go on by itself.
pub(crate) fn resume(
    request: &Request,
    context: &CommandContext<'_>,
    project: &mut Project,
    store: &Store,
    run: Option<Run>,
) -> Result<ResumedRun, Failure> {
    let Some(run) = run else {
        return Err(nothing_to_resume(context, project, store));
    };
    let heads = project.rows.ids().iter().cloned().collect();
    let schema = project.schema();
    let doubts = project.doubts(&run, schema.is_some());
    let mut found = run.examine(&project.graph, &heads, schema.as_ref(), &doubts);
    let middle = project.middle(&run, schema.as_ref(), request.accepted().is_some());
    if let (
        Some(middle),
        CrashState::NothingHappened
        | CrashState::MayHaveChanged(_)
        | CrashState::HalfDone(_)
        | CrashState::OtherForm
        | CrashState::AtTheBoundary,
    ) = (middle, &found)
    {
        found = match middle.done {
            Ok(done) => CrashState::InTheMiddle {
                done,
                of: middle.of,
            },
            Err(why) => CrashState::Unclear(
                why,
                Difference::between(run.schema.as_ref(), schema.as_ref()),
            ),
        };
    }
    context.ui.say(&format!("Unfinished: {}.", told(&run)));
    context
        .ui
        .say(&format!("Found:      {}.", finding(&run, &found)));
    let mut entries = vec![Entry::Resumed {
        by: context.operator.clone(),
        circumstances: None,
        ruling: None,
    }];
    if let Some(entry) = whose_run::moved(project, &run) {
        entries.insert(0, entry);
    }
    let mut rows = project.rows.ids().to_vec();
    let mut to_put_back = None;
    match (&found, request.accepted()) {
        (CrashState::NothingHappened, None) if run.open_whole().is_some() => {
            entries.insert(0, Entry::TakenBack);
        }
        (CrashState::AtTheBoundary | CrashState::NothingHappened, None) => {}
        (CrashState::InTheMiddle { done, .. }, None) => entries.push(Entry::InTheMiddle {
            step: run.in_flight.unwrap_or_default(),
            statements: *done,
            schema: schema.unwrap_or_default(),
        }),
        (CrashState::WholeHappened, None) => {
            entries.extend(run.unrecorded().into_iter().map(Entry::from));
        }
        (CrashState::PartOfAWhole, None) => {
            let Some(copy) = kept_copy(&run) else {
                return Err(cannot_go_on(context, project, &run, &found));
            };
            to_put_back = Some(copy);
            if let Some(whole) = run.open_whole() {
                rows = whole.heads.iter().cloned().collect();
            }
        }
        (CrashState::StepHappened, None) => entries.push(Entry::Done {
            step: run.in_flight.unwrap_or_default(),
            removes: run.in_flight_revision().unwrap_or_default().to_owned(),
            heads,
            difference: Some(Difference::between(run.schema.as_ref(), schema.as_ref())),
            effect: None,
            schema: schema.as_ref().map(digest).unwrap_or_default(),
            seconds: 0.0,
        }),
        (
            CrashState::HalfDone(_)
            | CrashState::MayHaveChanged(_)
            | CrashState::OtherForm
            | CrashState::Elsewhere
            | CrashState::NotAsSeen(_)
            | CrashState::Unclear(..),
            None,
        ) => {
            return Err(cannot_go_on(context, project, &run, &found));
        }
        (_, Some(vouched)) => {
            if !project.is_at(vouched) {
                return Err(Failure::refused(format!(
                    "the database does not stand at {vouched}, but at {}",
                    project.current_rows()
                ))
                .hint("name the revision that it stands at, or bring it there first"));
            }
            if let Some(copy) = kept_copy(&run) {
                context.ui.warn(&format!(
                    "the file as it was before the first step stays where it is, {}: remove it when it is of no use",
                    copy.path().display()
                ));
            }
            entries.push(Entry::Accepted {
                heads,
                schema: schema.unwrap_or_default(),
            });
        }
    }
    let plan = plan_the_rest(project, &run, &rows)?;
    let useless = match (&to_put_back, request.accepted()) {
        (None, None) => kept_copy(&run),
        _ => None,
    };
    Ok(ResumedRun {
        plan,
        entries,
        run,
        useless,
        to_put_back,
    })
}

impl ResumedRun {
    /// Makes the database what it was before the first step of the whole, where some of it happened, and
    /// reads that from it.
    pub(crate) fn put_back(
        &mut self,
        context: &CommandContext<'_>,
        project: &mut Project,
        store: &Store,
    ) -> Result<(), Failure> {
        let Some(copy) = self.to_put_back.take() else {
            self.discard_the_useless();
            return Ok(());
        };
        project.dismiss();
        if context.settings.backup != BackupWhen::Never {
            let saved = BackupService::of(context, project)
                .and_then(|service| service.make(None, Verified::Read))
                .map_err(|failure| {
                    failure
                        .because("it was to be made of the present file, before the copy is put back: nothing was changed")
                        .hint("to put the copy back without it: --no-backup")
                })?;
            context.ui.say(&format!(
                "Saved:      the present state, as backup {}.",
                saved.id
            ));
        }
        let not_put_back = |reason: String| {
            Failure::new(
                Exit::StepChanged,
                format!(
                    "the file cannot be put back: some steps of run {} are done",
                    self.run.begun.run
                ),
            )
            .because(reason)
            .hint(format!(
                "as it was before the first step it is kept as {}",
                copy.path().display()
            ))
            .hint(format!(
                "when nobody else has it open, again: {}",
                context.command(&["resume"])
            ))
        };
        let file = project
            .identity
            .as_ref()
            .map(|identity| PathBuf::from(&identity.database))
            .unwrap_or_default();
        failpoint::point("before_put_back");
        copy.put_back(&file).map_err(not_put_back)?;
        failpoint::point("after_put_back");
        let heads = project.heads().map_err(not_put_back)?;
        let schema = project.schema();
        let whole = self.run.open_whole();
        let other = |whole: &AtomicRun| {
            let known = whole.schema.as_ref();
            whole.heads != heads || known.is_some_and(|known| Some(known) != schema.as_ref())
        };
        if whole.is_none_or(other) {
            return Err(not_put_back(
                "what was put back does not read as it did before the first step".to_owned(),
            ));
        }
        append(&mut reopen(store, &self.run)?, Entry::TakenBack)?;
        context.ui.say(&format!(
            "Put back:   {} is what it was before the first step, read from the database.",
            file.display()
        ));
        self.useless = Some(copy);
        self.discard_the_useless();
        Ok(())
    }

    /// What was said when the run was begun.
    pub(crate) fn circumstances(&self) -> RunContext {
        let begun = &self.run.begun;
        RunContext {
            // Records of before circumstances were written down have the reason alone.
            reason: begun.circumstances.reason.clone().or(begun.reason.clone()),
            ..begun.circumstances.clone()
        }
    }

    /// The copy of the database that is put back before anything else.
    pub(crate) fn copy_to_put_back(&self) -> Option<PathBuf> {
        let copy = self.to_put_back.as_ref()?;
        Some(copy.path().to_owned())
    }

    /// The copy that goes as soon as the run goes on.
    pub(crate) fn useless_copy(&self) -> Option<&Path> {
        self.useless.as_ref().map(LeftoverSnapshot::path)
    }

    /// Notes with what consent the run goes on.
    pub(crate) fn consented(&mut self, ruled: &PolicyCheck) {
        for entry in &mut self.entries {
            if let Entry::Resumed {
                circumstances,
                ruling,
                ..
            } = entry
            {
                *circumstances = Some(ruled.circumstances.clone());
                ruling.clone_from(&ruled.ruling);
            }
        }
    }

    /// What is to be written as soon as the operator agrees.
    pub(crate) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Removes the copy that has nothing to bring back. Should it stay, whoever looks for it later finds that
    /// nothing is to be put back.
    pub(crate) fn discard_the_useless(&mut self) {
        if let Some(copy) = self.useless.take() {
            let _ = copy.discard();
        }
    }
}

/// The rest of the recorded plan. It is not planned again: see [`Run::rest`].
fn plan_the_rest(project: &Project, run: &Run, rows: &[RevisionId]) -> Result<Plan, Failure> {
    run.rest(&project.graph, rows).map_err(|error| {
        Failure::user(format!("run {} cannot be resumed", run.begun.run))
            .because(error.to_string())
            .hint(format!(
                "check out the code that it was begun with, or give it up: {}",
                project.command(&["abandon"])
            ))
    })
}
