//! Going on with a run that did not reach its target.

use std::path::PathBuf;

use super::Context;
use super::downgrade_safe::DowngradeSafeArgs;
use super::record::{append, digest, kept_copy, nothing_unfinished, reopen, store_failure, told};
use super::session::Session;
use crate::database::Snapshot;
use crate::domain::journal::{Entry, Found, Run, Whole};
use crate::domain::plan::Plan;
use crate::domain::revision::RevisionId;
use crate::domain::schema::Difference;
use crate::error::{Exit, Failure};
use crate::fault;
use crate::store::Store;

/// How many lines of a difference are worth showing before the advice.
const SHOWN_LINES: usize = 20;

/// An unfinished run, examined and planned anew.
pub(super) struct TakenUp {
    pub(super) plan: Plan,
    /// What is to be written as soon as the operator agrees.
    entries: Vec<Entry>,
    pub(super) run: Run,
    /// A copy that has nothing to bring back.
    useless: Option<PathBuf>,
    /// The copy that has to be put back first.
    to_put_back: Option<PathBuf>,
}

/// Examines what an unfinished run left behind and plans the rest. Fails with exit code 5 where it
/// cannot go on by itself.
pub(super) fn take_up(
    args: &DowngradeSafeArgs,
    context: &Context<'_>,
    session: &mut Session,
    store: &Store,
    run: Option<Run>,
) -> Result<TakenUp, Failure> {
    let Some(run) = run else {
        return Err(nothing_to_resume(context, session, store));
    };
    let heads = session.rows.ids().iter().cloned().collect();
    let schema = session.schema();
    let found = run.examine(&session.graph, &heads, schema.as_ref());
    context.ui.say(&format!("Unfinished: {}.", told(&run)));
    context
        .ui
        .say(&format!("Found:      {}.", finding(&run, &found)));
    let mut entries = vec![Entry::Resumed {
        by: context.operator.clone(),
    }];
    let mut rows = session.rows.ids().to_vec();
    let mut to_put_back = None;
    match (&found, &args.accept) {
        (Found::NothingHappened, None) if run.open_whole().is_some() => {
            entries.insert(0, Entry::TakenBack);
        }
        (Found::AtTheBoundary | Found::NothingHappened, None) => {}
        (Found::WholeHappened, None) => {
            entries.extend(run.unrecorded().into_iter().map(Entry::from));
        }
        (Found::PartOfAWhole, None) => {
            let Some(copy) = kept_copy(&run) else {
                return Err(cannot_go_on(context, session, &run, &found));
            };
            to_put_back = Some(PathBuf::from(copy));
            if let Some(whole) = run.open_whole() {
                rows = whole.heads.iter().cloned().collect();
            }
        }
        (Found::StepHappened, None) => entries.push(Entry::Done {
            step: run.in_flight.unwrap_or_default(),
            removes: run.in_flight_revision().unwrap_or_default().to_owned(),
            heads,
            difference: Some(Difference::between(run.schema.as_ref(), schema.as_ref())),
            schema: schema.as_ref().map(digest).unwrap_or_default(),
            seconds: 0.0,
        }),
        (Found::HalfDone(_) | Found::OtherForm | Found::Elsewhere | Found::NotAsSeen(_), None) => {
            return Err(cannot_go_on(context, session, &run, &found));
        }
        (_, Some(vouched)) => {
            if !stands_at(session, vouched) {
                return Err(Failure::refused(format!(
                    "the database does not stand at {vouched}, but at {}",
                    session.standing()
                ))
                .hint("name the revision that it stands at, or bring it there first"));
            }
            if let Some(copy) = kept_copy(&run) {
                context.ui.warn(&format!(
                    "the file as it was before the first step stays where it is, {copy}: remove it when it is of no use"
                ));
            }
            entries.push(Entry::Accepted {
                heads,
                schema: schema.unwrap_or_default(),
            });
        }
    }
    let plan = plan_the_rest(session, &run, &rows)?;
    let useless = match (&to_put_back, &args.accept) {
        (None, None) => kept_copy(&run).map(PathBuf::from),
        _ => None,
    };
    Ok(TakenUp {
        plan,
        entries,
        run,
        useless,
        to_put_back,
    })
}

impl TakenUp {
    /// Makes the database what it was before the first step of the whole, where some of it happened, and
    /// reads that from it.
    pub(super) fn put_back(
        &mut self,
        context: &Context<'_>,
        session: &mut Session,
        store: &Store,
    ) -> Result<(), Failure> {
        let Some(copy) = self.to_put_back.take() else {
            self.discard_the_useless();
            return Ok(());
        };
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
                copy.display()
            ))
            .hint(format!(
                "when nobody else has it open, again: {}",
                context.command(&["downgrade-safe", "--resume"])
            ))
        };
        let file = session
            .identity
            .as_ref()
            .map(|identity| PathBuf::from(&identity.database))
            .unwrap_or_default();
        fault::point("before_put_back");
        let snapshot = Snapshot::kept(&file, copy.clone()).map_err(not_put_back)?;
        snapshot.put_back().map_err(not_put_back)?;
        fault::point("after_put_back");
        let heads = session.heads().map_err(not_put_back)?;
        let schema = session.schema();
        let whole = self.run.open_whole();
        let other = |whole: &Whole| {
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

    /// What is to be written as soon as the operator agrees.
    pub(super) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Removes the copy that has nothing to bring back. Should it stay, whoever looks for it later finds that
    /// nothing is to be put back.
    pub(super) fn discard_the_useless(&mut self) {
        if let Some(copy) = self.useless.take() {
            let _ = std::fs::remove_file(copy);
        }
    }
}

/// Whether a revision, as typed, is one of the rows; `base` is none.
fn stands_at(session: &Session, typed: &str) -> bool {
    let rows = session.rows.ids();
    match typed {
        "base" => rows.is_empty(),
        typed => {
            rows.iter()
                .filter(|row| row.as_str().starts_with(typed))
                .count()
                == 1
        }
    }
}

fn plan_the_rest(session: &Session, run: &Run, rows: &[RevisionId]) -> Result<Plan, Failure> {
    let not_the_same = |reason: String| {
        Failure::user(format!("run {} cannot be gone on with", run.begun.run))
            .because(reason)
            .hint("check out the code that it was begun with, or give it up: rollback downgrade-safe --abandon")
    };
    let applied = session
        .graph
        .applied(rows)
        .map_err(|error| not_the_same(error.to_string()))?;
    let Some(remaining) = run.remaining(&applied) else {
        return Err(not_the_same(
            "what is applied now is not what the run had left".to_owned(),
        ));
    };
    if remaining.is_empty() {
        return Ok(Plan::nothing(rows));
    }
    let target = run.remaining_target(remaining).ok_or_else(|| {
        not_the_same(format!("its target {} is not understood", run.begun.target))
    })?;
    let plan = Plan::new(&session.graph, rows, &target)
        .map_err(|error| not_the_same(error.to_string()))?;
    let planned = plan.steps.iter().map(|step| step.removes.as_str());
    if !planned.eq(remaining.iter().map(String::as_str)) {
        return Err(not_the_same(
            "the code leads another way to its target now".to_owned(),
        ));
    }
    Ok(plan)
}

/// What was found, as it completes "Found: ".
fn finding(run: &Run, found: &Found) -> String {
    let whole = run.open_whole().filter(|_| run.in_flight.is_some());
    let step = match (run.in_flight, run.in_flight_revision()) {
        _ if whole.is_some() => "the steps were under way as a whole".to_owned(),
        (Some(step), Some(revision)) => format!("step {}, {revision}, was under way", step + 1),
        _ => "no step was under way".to_owned(),
    };
    match found {
        Found::AtTheBoundary => format!("{step}; the database stands where the record ends"),
        Found::NothingHappened => format!("{step}, and nothing of it happened"),
        Found::StepHappened => format!("{step}, and it happened without being recorded"),
        Found::HalfDone(_) if run.in_flight.is_some() => {
            format!(
                "{step}, and half of it happened: the version table is as before it, the schema is not"
            )
        }
        Found::HalfDone(_) => {
            format!("{step}, and the schema is not as the record has it: somebody changed it since")
        }
        Found::OtherForm => {
            format!(
                "{step}; the version table is as before it, and whether the schema is cannot be told: \
                 the record is of a version of rollback that writes schemas in another form"
            )
        }
        Found::Elsewhere => {
            format!("{step}; the version table holds what belongs neither before nor after it")
        }
        Found::WholeHappened => {
            format!("{step}, and all of it happened without being recorded")
        }
        Found::NotAsSeen(_) => format!(
            "{step}, and all of it is gone from the version table, but the schema is not what was seen before it was kept"
        ),
        Found::PartOfAWhole => match whole.and_then(|whole| whole.copy.as_deref()) {
            Some(copy) if kept_copy(run).is_some() => format!(
                "{step}, and some of it happened; the file as it was before it, {copy}, is to be put back, and what was written since goes with it"
            ),
            Some(copy) => format!(
                "{step}, and some of it happened; the file as it was before it, {copy}, is missing"
            ),
            None => format!("{step}, and some of it happened"),
        },
    }
}

fn cannot_go_on(context: &Context<'_>, session: &Session, run: &Run, found: &Found) -> Failure {
    let again = |words: &[&str]| context.command(&[&["downgrade-safe"], words].concat());
    let mut failure = Failure::new(
        Exit::StepChanged,
        format!(
            "run {} cannot go on by itself: {}",
            run.begun.run,
            finding(run, found)
        ),
    );
    if let Found::HalfDone(difference) | Found::NotAsSeen(difference) = found {
        let lines = difference
            .gone
            .iter()
            .map(|line| format!("gone: {line}"))
            .chain(difference.new.iter().map(|line| format!("new:  {line}")));
        let count = difference.gone.len() + difference.new.len();
        failure.causes = lines.take(SHOWN_LINES).collect();
        if count > SHOWN_LINES {
            failure
                .causes
                .push(format!("and {} lines more", count - SHOWN_LINES));
        }
    }
    let missing = matches!(found, Found::PartOfAWhole);
    let undo = if failure.causes.is_empty() {
        "restore the database from a backup"
    } else {
        "restore the database from a backup, or undo these differences"
    };
    let first = if *found == Found::OtherForm {
        format!(
            "have it examined by the version that wrote it, rollback {}",
            run.begun.tool
        )
    } else {
        format!("{undo}, then")
    };
    failure = failure.hint(format!("{first}: {}", again(&["--resume"])));
    // Only a revision at which it stands can be vouched for, and of a whole only the start or the end.
    let at = session
        .rows
        .ids()
        .first()
        .map_or("base", RevisionId::as_str);
    if !missing && !matches!(found, Found::Elsewhere) && stands_at(session, at) {
        failure = failure.hint(format!(
            "or repair it by hand and vouch for it: {}",
            again(&["--resume", "--accept", at])
        ));
    }
    failure.hint(format!("or give the run up: {}", again(&["--abandon"])))
}

/// Where the record is gone, the database is all that is left to ask.
fn nothing_to_resume(context: &Context<'_>, session: &mut Session, store: &Store) -> Failure {
    match store.runs_on(&session.database_key()) {
        Ok(runs) if runs.is_empty() => {}
        Ok(_) => return nothing_unfinished(context, store),
        Err(error) => return store_failure(&error),
    }
    let mut failure = Failure::user(format!(
        "there is no record of a run on this database in {}",
        store.root().display()
    ))
    .because("none was begun, its directory was lost, or it is kept elsewhere (--state-dir)");
    let known = session.graph.applied(session.rows.ids()).is_ok();
    failure = failure.because(format!(
        "the database stands at {}, {}",
        session.standing(),
        if known {
            "which the code knows"
        } else {
            "which the code does not know"
        }
    ));
    if session.has_own_connection() {
        failure = failure.because("no other run holds its lock");
        let leftovers = session.leftovers();
        if leftovers.is_empty() {
            failure = failure.because(
                "nothing in it looks like the rest of a step; half of one may still be there, which only a record shows",
            );
        }
        for leftover in leftovers {
            failure = failure.because(leftover);
        }
    }
    failure
        .hint(format!(
            "see where the database stands: {}",
            context.command(&["current"])
        ))
        .hint(format!(
            "clear away what is left over, then begin anew with the target that the run had: {}",
            context.command(&["downgrade-safe", "TARGET"])
        ))
}
