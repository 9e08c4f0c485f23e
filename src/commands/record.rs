//! The record of a run, and going on with one that did not reach its target.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use super::downgrade_safe::DowngradeSafeArgs;
use super::session::Session;
use crate::domain::journal::{self, Begun, Entry, Found, Run};
use crate::domain::plan::{Plan, Step};
use crate::domain::report::{Report, StepDone};
use crate::domain::revision::RevisionId;
use crate::domain::schema::{Difference, Schema};
use crate::engine::Ended;
use crate::error::{Exit, Failure};
use crate::fault;
use crate::runner::Recorder;
use crate::store::{Journal, Store, StoreError};

/// How many lines of a difference are worth showing before the advice.
const SHOWN_LINES: usize = 20;

/// The record of the project.
pub(super) fn store(context: &Context<'_>) -> Store {
    let named = context
        .settings
        .state_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(".rollback"));
    Store::new(context.dir.join(named), context.now)
}

/// The newest run on this database that did not reach its target and was not given up.
pub(super) fn unfinished(store: &Store, session: &Session) -> Result<Option<Run>, Failure> {
    let key = session.database_key();
    let runs = store.runs_on(&key).map_err(|error| store_failure(&error))?;
    let Some(run) = runs.into_iter().find(Run::is_unfinished) else {
        return Ok(None);
    };
    if store
        .engine_at_work(&run.begun.run)
        .map_err(|error| store_failure(&error))?
    {
        return Err(Failure::new(
            Exit::Locked,
            format!("the engine of {} is still at work", told(&run)),
        )
        .because("the run itself was killed, and what it had started goes on")
        .hint("wait for its end; then have it examined: rollback downgrade-safe --resume"));
    }
    Ok(Some(run))
}

/// Refuses a new run while another one is unfinished. One that ended at a revision boundary is over
/// as soon as somebody has moved the database since.
pub(super) fn make_way(
    context: &Context<'_>,
    session: &Session,
    store: &Store,
    run: &Run,
) -> Result<(), Failure> {
    let moved = session.graph.applied(&run.heads) != session.graph.applied(session.rows.ids());
    if run.ended_cleanly() && moved {
        context.ui.warn(&format!(
            "run {} ended before its target, and the database was moved since: it is over",
            run.begun.run
        ));
        return append(&mut reopen(store, run)?, abandoned(context));
    }
    Err(Failure::refused(format!(
        "a run on this database is unfinished: {}",
        told(run)
    ))
    .hint(format!(
        "to go on with it: {}",
        context.command(&["downgrade-safe", "--resume"])
    ))
    .hint(format!(
        "to give it up: {}",
        context.command(&["downgrade-safe", "--abandon"])
    )))
}

/// Gives an unfinished run up. The database is not touched.
pub(super) fn abandon(
    context: &Context<'_>,
    store: &Store,
    run: Option<&Run>,
) -> Result<(), Failure> {
    let Some(run) = run else {
        return Err(nothing_unfinished(context, store));
    };
    append(&mut reopen(store, run)?, abandoned(context))?;
    context.ui.say(&format!(
        "Given up: {}. The database was not touched.",
        told(run)
    ));
    Ok(())
}

/// An unfinished run, examined and planned anew.
pub(super) struct TakenUp {
    pub(super) plan: Plan,
    /// What is to be written as soon as the operator agrees.
    entries: Vec<Entry>,
    run: Run,
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
    match (&found, &args.accept) {
        (Found::AtTheBoundary | Found::NothingHappened, None) => {}
        (Found::StepHappened, None) => entries.push(Entry::Done {
            step: run.in_flight.unwrap_or_default(),
            removes: run.in_flight_revision().unwrap_or_default().to_owned(),
            heads,
            difference: Some(Difference::between(run.schema.as_ref(), schema.as_ref())),
            schema: schema.as_ref().map(digest).unwrap_or_default(),
            seconds: 0.0,
        }),
        (Found::HalfDone(_) | Found::OtherForm | Found::Elsewhere, None) => {
            return Err(cannot_go_on(context, &run, &found));
        }
        (_, Some(vouched)) => {
            if !stands_at(session, vouched) {
                return Err(Failure::refused(format!(
                    "the database does not stand at {vouched}, but at {}",
                    session.standing()
                ))
                .hint("name the revision that it stands at, or bring it there first"));
            }
            entries.push(Entry::Accepted {
                heads,
                schema: schema.unwrap_or_default(),
            });
        }
    }
    let plan = plan_the_rest(session, &run)?;
    Ok(TakenUp { plan, entries, run })
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

fn plan_the_rest(session: &Session, run: &Run) -> Result<Plan, Failure> {
    let rows = session.rows.ids();
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
    let step = match (run.in_flight, run.in_flight_revision()) {
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
    }
}

fn cannot_go_on(context: &Context<'_>, run: &Run, found: &Found) -> Failure {
    let again = |words: &[&str]| context.command(&[&["downgrade-safe"], words].concat());
    let mut failure = Failure::new(
        Exit::StepChanged,
        format!(
            "run {} cannot go on by itself: {}",
            run.begun.run,
            finding(run, found)
        ),
    );
    if let Found::HalfDone(difference) = found {
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
    let at = run.heads.iter().next().map_or("base", RevisionId::as_str);
    let first = if *found == Found::OtherForm {
        format!(
            "have it examined by the version that wrote it, rollback {}: {}",
            run.begun.tool,
            again(&["--resume"])
        )
    } else {
        format!(
            "restore the database from a backup, or undo these differences, then: {}",
            again(&["--resume"])
        )
    };
    failure
        .hint(first)
        .hint(format!(
            "or repair it by hand and vouch for it: {}",
            again(&["--resume", "--accept", at])
        ))
        .hint(format!("or give the run up: {}", again(&["--abandon"])))
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

fn nothing_unfinished(context: &Context<'_>, store: &Store) -> Failure {
    Failure::user(format!(
        "no unfinished run on this database is recorded in {}",
        store.root().display()
    ))
    .because("it reached its target, was given up, or was recorded elsewhere (--state-dir)")
    .hint(format!(
        "see where the database stands: {}",
        context.command(&["current"])
    ))
}

fn told(run: &Run) -> String {
    let begun = &run.begun;
    format!(
        "run {} of {}@{} to {}, begun {}, {} of {} steps done",
        begun.run,
        begun.by.user,
        begun.by.host,
        begun.target,
        run.since,
        run.done,
        begun.removes.len()
    )
}

fn abandoned(context: &Context<'_>) -> Entry {
    Entry::Abandoned {
        by: context.operator.clone(),
    }
}

fn reopen(store: &Store, run: &Run) -> Result<Journal, Failure> {
    store
        .reopen(&run.begun.run)
        .map_err(|error| store_failure(&error))
}

fn append(journal: &mut Journal, entry: Entry) -> Result<(), Failure> {
    journal.append(entry).map_err(|error| store_failure(&error))
}

fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::user(format!("the record of the run cannot be kept: {error}"));
    match error {
        StoreError::Io { .. } => {
            failure.hint("make room there, or keep it elsewhere: --state-dir DIR")
        }
        StoreError::Damaged { .. } => failure.hint(
            "was it written by a newer version? Look at the file; to put it aside, rename its folder",
        ),
    }
}

fn digest(schema: &Schema) -> String {
    crate::domain::schema::fingerprint(schema)
}

/// Writes down what the loop does.
pub(super) struct Record {
    journal: Journal,
    /// The steps that were done before this part of the run.
    offset: usize,
}

impl Record {
    /// Of a run that begins now.
    pub(super) fn begin(
        args: &DowngradeSafeArgs,
        context: &Context<'_>,
        session: &mut Session,
        store: &Store,
        run: &str,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let typed = args.target.clone().unwrap_or_default();
        let begun = Begun {
            run: run.to_owned(),
            database_key: session.database_key(),
            database: session.place(),
            target: plan.restated_target.clone().unwrap_or(typed),
            removes: plan
                .steps
                .iter()
                .map(|step| step.removes.to_string())
                .collect(),
            arguments: plan
                .steps
                .iter()
                .map(|step| step.argument.clone())
                .collect(),
            by: context.operator.clone(),
            reason: args.reason.clone(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            engine: session.engine_name(),
            heads: plan.current.clone(),
            schema: session.schema().unwrap_or_default(),
        };
        let journal = store.begin(begun).map_err(|error| store_failure(&error))?;
        fault::point("after_begun");
        Ok(Self { journal, offset: 0 })
    }

    /// Of a run that goes on.
    pub(super) fn go_on(store: &Store, taken_up: TakenUp) -> Result<Self, Failure> {
        let mut journal = reopen(store, &taken_up.run)?;
        for entry in taken_up.entries {
            append(&mut journal, entry)?;
            fault::point("after_resumed");
        }
        let offset = taken_up.run.begun.removes.len() - taken_up.plan.steps.len();
        Ok(Self { journal, offset })
    }

    /// A file for the engines of this run to keep open.
    pub(super) fn engine_lock(&self) -> Result<Arc<File>, Failure> {
        self.journal
            .engine_lock()
            .map(Arc::new)
            .map_err(|error| store_failure(&error))
    }

    /// Where it is written.
    pub(super) fn path(&self) -> String {
        self.journal.path().display().to_string()
    }

    /// The last entry of this part of the run.
    pub(super) fn end(&mut self, report: &Report, exit: Exit) -> Result<(), Failure> {
        fault::point("before_ended");
        append(
            &mut self.journal,
            Entry::Ended {
                exit_code: exit.code(),
                cause: report.stop.as_ref().map(|stop| stop.cause.to_string()),
                heads: report.current.clone(),
            },
        )
    }

    fn write(&mut self, entry: Entry) -> Result<(), String> {
        self.journal
            .append(entry)
            .map_err(|error| error.to_string())
    }
}

impl Recorder for Record {
    fn intent(&mut self, index: usize, step: &Step, _: &Schema) -> Result<(), String> {
        self.write(Entry::Intent {
            step: self.offset + index,
            removes: step.removes.to_string(),
        })
    }

    fn engine_ended(&mut self, index: usize, ended: &Ended) -> Result<(), String> {
        self.write(Entry::EngineEnded {
            step: self.offset + index,
            ended: format!("{ended:?}"),
        })
    }

    fn done(&mut self, index: usize, done: &StepDone, after: &Schema) -> Result<(), String> {
        self.write(Entry::Done {
            step: self.offset + index,
            removes: done.removes.to_string(),
            heads: done.heads.clone(),
            // Without validation nothing was read, and nothing can be compared later.
            difference: (!after.is_empty()).then(|| done.difference.clone()),
            schema: digest(after),
            seconds: journal::seconds(done.elapsed),
        })
    }
}
