//! The loop: run one step, look at the database, go on or stop.
//!
//! It knows the engine and the database as traits only, so that the order of its effects is tested
//! without either.

mod as_one;
mod inside;
mod restored;
mod sequence;
mod traits;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::domain::blocker::Blocker;
use crate::domain::checks::Removed;
use crate::domain::effect::{Effect, Surprise, Verdict};
use crate::domain::graph::Graph;
use crate::domain::journal::{Checked, Statement};
use crate::domain::plan::{Plan, Step};
use crate::domain::proof::{Doubt, Evidence, Proof, StepSession};
use crate::domain::report::{Cause, Difference, Position, Report, Schema, StepDone, Stop};
use crate::domain::revision::Heads;
use crate::domain::schema::fingerprint;
use crate::engine::{Ended, Engine, EngineError, Listener, SessionFacts, StepRun};
use crate::fault;
use crate::process::{Channel, Interrupt};

pub use self::as_one::run_as_one;
pub use self::restored::run_with_a_way_back;
pub use self::traits::{Events, Findings, Glance, Measured, Recorder, Witness};

/// Between two attempts of a step that waited for a lock in vain.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether to look at the database after each step that the engine calls successful.
    pub validate: bool,
    /// The longest time one step may take.
    pub timeout: Option<Duration>,
    /// How often a step is run again that waited for a lock in vain and left nothing behind.
    pub lock_retries: u32,
    /// From what age on an open transaction is worth a warning.
    pub old_transaction: Duration,
}

/// All that a run works with.
pub struct Parts<'a> {
    /// The revisions of the code.
    pub graph: &'a Graph,
    /// The schema before the first step, where it was read just now.
    pub before: Option<Schema>,
    /// What takes a revision back.
    pub engine: &'a dyn Engine,
    /// What looks at the database.
    pub witness: &'a mut dyn Witness,
    /// What keeps the record.
    pub recorder: &'a mut dyn Recorder,
    /// What hears of the progress.
    pub events: &'a mut dyn Events,
    /// The operator's signals.
    pub interrupt: &'a Interrupt,
    /// How to run.
    pub options: Options,
    /// A step that was told to begin already and is tried in another way.
    pub begun: Option<usize>,
    /// When old transactions were last looked for.
    pub warned: Option<Instant>,
}

/// Runs the plan, newest step first, to its end or to the first thing that is not as predicted.
pub fn run(plan: &Plan, parts: &mut Parts<'_>) -> Report {
    let started = Instant::now();
    let mut done = Vec::new();
    let mut stop = None;
    let mut schema = if parts.options.validate {
        parts.schema_before()
    } else {
        None
    };
    let mut alone = parts.runs_alone();
    while let Some(step) = plan.steps.get(done.len()) {
        let ran = if alone {
            parts
                .step(plan, done.len(), step, &mut schema)
                .map(|finished| done.push(finished))
        } else {
            parts.together(plan, &mut schema, &mut done).map(|why| {
                alone = true;
                parts.begun = Some(done.len());
                parts.tell_why_alone(why);
            })
        };
        if let Err(stopped) = ran {
            let Stopped { stop: at, finished } = *stopped;
            done.extend(finished);
            parts.events.stopped(&at, &plan.steps[at.index]);
            stop = Some(at);
            break;
        }
    }
    let current = match (&stop, done.last()) {
        (
            Some(Stop {
                position: Position::Unknown { .. },
                ..
            }),
            _,
        ) => None,
        // Just read; on the plain road reading again would start the engine once more.
        (
            None
            | Some(Stop {
                cause: Cause::Interrupted,
                ..
            }),
            Some(last),
        ) if parts.options.validate => Some(last.heads.clone()),
        _ => parts.witness.heads().ok(),
    };
    let came_to_its_end = stop.is_none();
    if came_to_its_end {
        stop = not_at_the_end(plan, parts.graph, current.as_ref());
    }
    let stands = Checked::new(
        VERSION_TABLE,
        stop.as_ref().map(|stop| stop.cause.to_string()),
    );
    if let (None, Some(last)) = (&stop, plan.steps.last()) {
        let faults = parts.witness.faults_at_the_end();
        if !faults.is_empty() {
            // The last step is done, and so are all others.
            let last_done = done.last().cloned();
            let at = Stopped::between(plan.steps.len() - 1, Cause::CheckFailed(faults), last_done);
            let at = at.stop;
            parts.events.stopped(&at, last);
            stop = Some(at);
        }
    }
    if came_to_its_end && !plan.steps.is_empty() {
        // The last entry of the record follows, and says so where it cannot be written.
        let looks = parts.looks(vec![stands]);
        let _ = parts.recorder.checked(None, looks);
    }
    Report {
        planned: plan.steps.len(),
        undone: false,
        done,
        stop,
        current,
        validated: parts.options.validate,
        witness: parts.witness.name(),
        elapsed: started.elapsed(),
    }
}

/// What the loop itself looks at after each step, as the record calls it.
const VERSION_TABLE: &str = "version table";

/// The same of the schema, which is read and compared with what it was.
const SCHEMA: &str = "schema";

/// What is heard while the engine runs.
#[derive(Default)]
struct Hearing {
    blockers: BTreeMap<u64, Blocker>,
    session: SessionFacts,
    left_nothing: bool,
}

impl Hearing {
    fn told(&mut self, line: &str, engine: &dyn Engine, events: &mut dyn Events) {
        if let Some(limit) = engine.lock_limit(line) {
            events.lock_limit(&limit);
        } else if let Some(news) = engine.session_news(line) {
            self.session.hear(news);
        }
    }

    fn look_around(&mut self, witness: &mut dyn Witness) {
        let seen = witness.blockers(Duration::MAX);
        let seen = seen.into_iter().filter(|session| session.blocks);
        self.blockers
            .extend(seen.map(|session| (session.pid, session)));
    }

    /// Of a step that is over while the engine goes on to the next one.
    fn of_step(&mut self) -> Heard {
        Heard {
            blockers: std::mem::take(&mut self.blockers).into_values().collect(),
            session: self.session.take_step(),
            left_nothing: false,
        }
    }

    fn complete(self) -> Heard {
        Heard {
            blockers: self.blockers.into_values().collect(),
            session: self.session.complete(),
            left_nothing: self.left_nothing,
        }
    }
}

/// Hears of the engine for the events, and looks meanwhile who stands in its way.
struct Following<'a> {
    engine: &'a dyn Engine,
    events: &'a mut dyn Events,
    witness: &'a mut dyn Witness,
    hearing: Hearing,
    /// What keeps the record of the statements, and of which step they are.
    record: Option<(usize, &'a mut dyn Recorder)>,
}

impl<'a> Following<'a> {
    fn new(
        engine: &'a dyn Engine,
        events: &'a mut dyn Events,
        witness: &'a mut dyn Witness,
    ) -> Self {
        Self {
            engine,
            events,
            witness,
            hearing: Hearing::default(),
            record: None,
        }
    }

    /// The same for a step whose statements are written down.
    fn recording(self, index: usize, recorder: &'a mut dyn Recorder) -> Self {
        Self {
            record: Some((index, recorder)),
            ..self
        }
    }

    fn heard(self) -> Heard {
        self.hearing.complete()
    }
}

/// What was heard while the engine ran.
struct Heard {
    /// Who stood in its way.
    blockers: Vec<Blocker>,
    /// What is known of its transactions, if that is all of them.
    session: Option<StepSession>,
    /// Whether it is known that nothing of the step is in the database.
    left_nothing: bool,
}

impl Listener for Following<'_> {
    fn line(&mut self, line: &str) {
        self.events.engine_line(line);
    }

    fn aside(&mut self, text: &str) {
        self.events.aside(text);
    }

    fn told(&mut self, line: &str, _: &mut dyn Channel) {
        self.hearing.told(line, self.engine, &mut *self.events);
    }

    fn left_nothing(&mut self) {
        self.hearing.left_nothing = true;
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), String> {
        match &mut self.record {
            Some((index, recorder)) => recorder.statement(*index, statement),
            None => Ok(()),
        }
    }

    fn schema(&mut self) -> Option<String> {
        self.witness.schema().as_ref().map(fingerprint)
    }

    fn look_around(&mut self) {
        self.hearing.look_around(&mut *self.witness);
    }
}

/// Whether the step waited for a lock, and it is proven that nothing of it is left.
fn may_be_tried_again(stop: &Stop) -> bool {
    stop.cause == Cause::LockTimeout && matches!(stop.position, Position::Unchanged { .. })
}

/// The end of a run at a step, which may itself be finished.
struct Stopped {
    stop: Stop,
    finished: Option<StepDone>,
}

impl Stopped {
    /// Ends the run before or after a step, at a revision boundary.
    fn between(index: usize, cause: Cause, finished: Option<StepDone>) -> Box<Self> {
        let position = match finished {
            Some(_) => Position::StepHappened,
            None => Position::Unchanged {
                schema_compared: false,
            },
        };
        let stop = Stop {
            index,
            cause,
            position,
            reason: None,
            stdout: String::new(),
            stderr: String::new(),
            blockers: Vec::new(),
            schema_before: None,
            may_be_others: false,
        };
        Box::new(Self { stop, finished })
    }
}

impl Parts<'_> {
    /// The schema before the first step.
    fn schema_before(&mut self) -> Option<Schema> {
        let read = self.before.take();
        read.or_else(|| self.witness.schema())
    }

    /// One step, run again as long as it only waited for a lock and left nothing behind. `schema` is
    /// that of before, and of after when it returns well.
    fn step(
        &mut self,
        plan: &Plan,
        index: usize,
        step: &Step,
        schema: &mut Option<Schema>,
    ) -> Result<StepDone, Box<Stopped>> {
        let retries = self.options.lock_retries;
        for attempt in 1..=retries {
            match self.attempt(plan, index, step, schema) {
                Err(stopped) if may_be_tried_again(&stopped.stop) => {
                    self.events
                        .lock_retry(index, attempt, retries, &stopped.stop.blockers);
                    self.let_others_through();
                }
                result => return result,
            }
        }
        self.attempt(plan, index, step, schema)
    }

    /// What was looked at, our own looks first.
    fn looks(&mut self, mut own: Vec<Checked>) -> Vec<Checked> {
        own.extend(self.witness.checked());
        own
    }

    /// Not again within a second: the look takes longer than a small step.
    fn warn_of_open_transactions(&mut self) {
        if self
            .warned
            .is_some_and(|at| at.elapsed() < Duration::from_secs(1))
        {
            return;
        }
        self.warned = Some(Instant::now());
        let old = self.witness.blockers(self.options.old_transaction);
        if !old.is_empty() {
            self.events.open_transactions(&old);
        }
    }

    /// Whoever queued behind the step that gave up has its turn now.
    fn let_others_through(&self) {
        let since = Instant::now();
        while since.elapsed() < BETWEEN_ATTEMPTS && self.interrupt.count() == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is looked at and written down before a step, which may be about to connect. Gives what shows later whether
    /// the step left anything.
    fn begin(
        &mut self,
        index: usize,
        step: &Step,
        schema: Option<&Schema>,
        connects: bool,
    ) -> Result<Result<Evidence, Doubt>, Box<Stopped>> {
        if self.interrupt.count() > 0 {
            return Err(Stopped::between(index, Cause::Interrupted, None));
        }
        self.witness
            .may_go_on(connects)
            .map_err(|cause| Stopped::between(index, cause, None))?;
        let evidence = self.witness.evidence();
        let none = Schema::new();
        self.recorder
            .intent(index, step, schema.unwrap_or(&none), evidence.as_ref().ok())
            .map_err(|reason| Stopped::between(index, Cause::NotRecorded(reason), None))?;
        fault::point("after_intent");
        self.warn_of_open_transactions();
        if self.begun.take() != Some(index) {
            self.events.step_started(index, step);
        }
        Ok(evidence)
    }

    /// One step from the look before it to the record after it. One that would have been taken back for nothing is
    /// run once more.
    fn attempt(
        &mut self,
        plan: &Plan,
        index: usize,
        step: &Step,
        schema: &mut Option<Schema>,
    ) -> Result<StepDone, Box<Stopped>> {
        loop {
            match self.judged_alone(plan, index, schema) {
                Some(Ok(finished)) => return Ok(finished),
                Some(Err(stopped)) => match self.confirmed(stopped) {
                    Some(stopped) => return Err(stopped),
                    None => self.begun = Some(index),
                },
                None => return self.unjudged(index, step, schema),
            }
        }
    }

    /// A step that the engine runs without handing over control.
    fn unjudged(
        &mut self,
        index: usize,
        step: &Step,
        schema: &mut Option<Schema>,
    ) -> Result<StepDone, Box<Stopped>> {
        let started = Instant::now();
        let evidence = self.begin(index, step, schema.as_ref(), true)?;
        let mut following = Following::new(self.engine, &mut *self.events, &mut *self.witness)
            .recording(index, &mut *self.recorder);
        let run = self
            .engine
            .downgrade(&step.argument, self.options.timeout, &mut following);
        let heard = following.heard();
        fault::point("after_engine");
        let ran = Ran {
            index,
            step,
            started,
            evidence,
            heard,
            effect: None,
        };
        self.ended(ran, run, schema)
    }

    /// What is left of the end of a run after what a step would have lost was counted; `None` if that is nothing.
    fn confirmed(&mut self, mut stopped: Box<Stopped>) -> Option<Box<Stopped>> {
        self.is_confirmed(&mut stopped.stop).then_some(stopped)
    }

    fn is_confirmed(&mut self, stop: &mut Stop) -> bool {
        let (Cause::Unannounced(surprises), Position::Unchanged { .. }) =
            (&mut stop.cause, &stop.position)
        else {
            return true;
        };
        let left = self.witness.confirm(std::mem::take(surprises));
        *surprises = left;
        !surprises.is_empty()
    }

    /// A step whose process is over, from the look at the database to the record.
    fn ended(
        &mut self,
        ran: Ran<'_>,
        run: Result<StepRun, EngineError>,
        schema: &mut Option<Schema>,
    ) -> Result<StepDone, Box<Stopped>> {
        let Ran {
            index,
            step,
            started,
            evidence,
            heard,
            effect,
        } = ran;
        let recorded = match &run {
            Ok(run) => self.recorder.engine_ended(index, &run.ended),
            Err(_) => Ok(()),
        };
        let succeeded = run.as_ref().is_ok_and(|run| run.ended == Ended::Exited(0));
        // After a failure each piece is looked at by itself, since one may be out of reach.
        let glance = if succeeded && self.options.validate {
            self.witness.glance()
        } else {
            None
        };
        let heads = judge(
            self.graph,
            step,
            run,
            &mut Looks {
                witness: &mut *self.witness,
                glance: glance.as_ref(),
                before: schema.as_ref(),
                evidence,
                session: heard.session.clone(),
                left_nothing: heard.left_nothing,
            },
            self.options,
        )
        .map_err(|stop| {
            Box::new(Stopped {
                stop: stop.at(index, heard.blockers),
                finished: None,
            })
        })?;
        fault::point("after_look");
        let seen = Found {
            heads,
            glance,
            session: heard.session,
            started,
            effect,
        };
        self.finish(index, step, seen, schema, recorded)
    }

    /// What is looked at and written down after a step that the version table shows as done.
    fn finish(
        &mut self,
        index: usize,
        step: &Step,
        found: Found,
        schema: &mut Option<Schema>,
        recorded: Result<(), String>,
    ) -> Result<StepDone, Box<Stopped>> {
        let Found {
            heads,
            glance,
            session,
            started,
            effect,
        } = found;
        let (after, health) = match glance {
            Some(glance) => (glance.schema, glance.health),
            None if self.options.validate => (self.witness.schema(), None),
            None => (None, None),
        };
        let difference = Difference::between(schema.as_ref(), after.as_ref());
        let removed = Removed {
            session: session.as_ref(),
            judged: effect.as_ref(),
        };
        let found = if self.options.validate {
            self.witness.faults(step, &difference, health, removed)
        } else {
            Findings::default()
        };
        for warning in &found.warnings {
            self.events.warning(warning);
        }
        let (effect, verdict) = self.measured(index, effect, schema.as_ref(), after.as_ref());
        let surprises = self.told(verdict);
        let mut looks = Vec::new();
        if self.options.validate {
            looks.push(Checked::new(VERSION_TABLE, None));
        }
        looks.extend(after.as_ref().map(|_| Checked::new(SCHEMA, None)));
        let finished = StepDone {
            removes: step.removes.clone(),
            heads,
            difference,
            effect,
            elapsed: started.elapsed(),
        };
        let looks = self.looks(looks);
        let none = Schema::new();
        let after_it = after.as_ref().unwrap_or(&none);
        let recorded =
            recorded.and_then(|()| self.recorder.done(index, &finished, after_it, looks));
        fault::point("after_done");
        *schema = after;
        self.events.step_finished(index, &finished);
        let cause = match recorded {
            Err(reason) => Cause::NotRecorded(reason),
            Ok(()) if !found.faults.is_empty() => Cause::CheckFailed(found.faults),
            Ok(()) if !surprises.is_empty() => Cause::Unannounced(surprises),
            Ok(()) => return Ok(finished),
        };
        // Rows that were counted after the commit may have been removed by others.
        let counted = matches!(&cause, Cause::Unannounced(surprises) if surprises.iter().any(Surprise::is_of_rows));
        let mut stopped = Stopped::between(index, cause, Some(finished));
        stopped.stop.may_be_others = found.may_be_others || counted;
        Err(stopped)
    }
}

impl Parts<'_> {
    /// What a step that is done did, and whether it should have been.
    fn measured(
        &mut self,
        index: usize,
        effect: Option<Effect>,
        before: Option<&Schema>,
        after: Option<&Schema>,
    ) -> (Option<Effect>, Verdict) {
        let schema = Difference::between(before, after);
        if let Some(effect) = effect {
            let effect = Effect { schema, ..effect };
            let verdict = match self.witness.judge(index, &effect) {
                // Nothing of another connection is seen inside the transaction.
                keep @ Verdict::Keep { .. } if self.witness.may_act_elsewhere(index) => {
                    let measured =
                        self.witness
                            .measure_afterwards(index, before, after, &effect.schema);
                    let elsewhere = match measured.map(|measured| measured.verdict) {
                        Some(Verdict::Undo(surprises)) => effect.elsewhere(surprises),
                        _ => Vec::new(),
                    };
                    if elsewhere.is_empty() {
                        keep
                    } else {
                        Verdict::Undo(elsewhere)
                    }
                }
                verdict => verdict,
            };
            return (Some(effect), verdict);
        }
        let nothing = Verdict::Keep { notes: Vec::new() };
        if !self.options.validate {
            return (None, nothing);
        }
        match self
            .witness
            .measure_afterwards(index, before, after, &schema)
        {
            Some(Measured { effect, verdict }) => (Some(effect), verdict),
            None => (None, nothing),
        }
    }

    /// Tells what was kept although the plan did not name it. Gives what may not be.
    fn told(&mut self, verdict: Verdict) -> Vec<Surprise> {
        match verdict {
            Verdict::Keep { notes } => {
                for note in notes {
                    self.events.unannounced(&note);
                }
                Vec::new()
            }
            Verdict::Undo(surprises) => surprises,
        }
    }
}

/// A step that the engine is done with.
struct Ran<'a> {
    index: usize,
    step: &'a Step,
    started: Instant,
    evidence: Result<Evidence, Doubt>,
    heard: Heard,
    /// As it was measured inside the transaction.
    effect: Option<Effect>,
}

/// A step that the version table shows as done.
struct Found {
    heads: Heads,
    glance: Option<Glance>,
    session: Option<StepSession>,
    started: Instant,
    effect: Option<Effect>,
}

/// What a step is judged by: what was seen at a glance, and else what is looked at now.
struct Looks<'a> {
    witness: &'a mut dyn Witness,
    glance: Option<&'a Glance>,
    /// The schema before the step.
    before: Option<&'a Schema>,
    /// What was noted before it.
    evidence: Result<Evidence, Doubt>,
    session: Option<StepSession>,
    left_nothing: bool,
}

impl Looks<'_> {
    fn heads(&mut self) -> Result<Heads, String> {
        match self.glance {
            Some(glance) => glance.heads.clone(),
            None => self.witness.heads(),
        }
    }

    fn schema(&mut self) -> Option<Schema> {
        match self.glance {
            Some(glance) => glance.schema.clone(),
            None => self.witness.schema(),
        }
    }

    /// Where the database is after a step that left the version table as it was.
    fn compared(&mut self) -> Position {
        let after = self.schema();
        let difference = Difference::between(self.before, after.as_ref());
        if !difference.is_empty() {
            return Position::HalfDone(difference);
        }
        let schema_compared = self.before.is_some() && after.is_some();
        let doubts = if self.left_nothing {
            Vec::new()
        } else {
            let proof = match &self.evidence {
                Ok(evidence) => self.witness.proof(evidence, self.session.as_ref()),
                Err(doubt) => Proof::none(doubt.clone()),
            };
            proof.doubts_with(schema_compared)
        };
        if doubts.is_empty() {
            Position::Unchanged { schema_compared }
        } else {
            Position::MayHaveChanged(doubts)
        }
    }
}

/// The heads after a step that went well, or the account of one that did not.
fn judge(
    graph: &Graph,
    step: &Step,
    run: Result<StepRun, EngineError>,
    looks: &mut Looks<'_>,
    options: Options,
) -> Result<Heads, Box<Stop>> {
    let kept = run.as_ref().ok().and_then(|run| run.kept);
    let (cause, reason, stdout, stderr) = match run {
        Ok(run) => {
            let cause = match run.ended {
                Ended::Exited(0) if !options.validate => return Ok(step.heads_after.clone()),
                Ended::Exited(0) => Cause::NotVerified,
                Ended::Exited(_) if run.lock_timeout => Cause::LockTimeout,
                Ended::Exited(_) if let Some((at, of)) = run.statement => {
                    Cause::StatementFailed { at, of }
                }
                Ended::Exited(status) => Cause::EngineFailed(status),
                Ended::Signalled(signal) => Cause::EngineKilled(signal),
                Ended::TimedOut => Cause::TimedOut(options.timeout.unwrap_or_default()),
                Ended::Interrupted => Cause::InterruptedTwice,
            };
            (cause, run.reason, run.stdout, run.stderr)
        }
        Err(error) => (
            Cause::EngineNotStarted(error.summary),
            None,
            error.stdout,
            error.stderr,
        ),
    };
    let position = match looks.heads() {
        Err(reason) => Position::Unknown { reason },
        Ok(heads) if describes(graph, &heads, &step.heads_after) => {
            if cause == Cause::NotVerified {
                return Ok(heads);
            }
            Position::StepHappened
        }
        Ok(heads) if describes(graph, &heads, &step.heads_before) => {
            match kept {
                // What they did to rows is in no schema.
                Some((done, of)) => Position::InTheMiddle {
                    done,
                    of,
                    difference: Difference::between(looks.before, looks.schema().as_ref()),
                },
                None => looks.compared(),
            }
        }
        Ok(heads) => Position::Elsewhere { heads },
    };
    Err(Box::new(Stop {
        index: 0,
        cause,
        position,
        reason,
        stdout,
        stderr,
        blockers: Vec::new(),
        schema_before: looks.before.cloned(),
        may_be_others: false,
    }))
}

/// Whether two sets of version rows stand for the same applied revisions.
fn describes(graph: &Graph, rows: &Heads, predicted: &Heads) -> bool {
    graph.describe_the_same(rows, predicted)
}

/// A run without validation trusts exit statuses; its end is looked at all the same.
fn not_at_the_end(plan: &Plan, graph: &Graph, current: Option<&Heads>) -> Option<Stop> {
    let position = match current {
        Some(heads) if describes(graph, heads, plan.final_heads()) => return None,
        Some(heads) => Position::Elsewhere {
            heads: heads.clone(),
        },
        None => Position::Unknown {
            reason: "the version table cannot be read".to_owned(),
        },
    };
    Some(Stop {
        index: plan.steps.len().saturating_sub(1),
        cause: Cause::NotVerified,
        position,
        reason: None,
        stdout: String::new(),
        stderr: String::new(),
        blockers: Vec::new(),
        schema_before: None,
        may_be_others: false,
    })
}

#[cfg(test)]
mod tests;
