//! What the loop works with, each behind a seam.

use std::time::Duration;

use crate::blocker::Blocker;
use crate::checks::{Health, Removed};
use crate::effect::{Effect, Surprise, Verdict};
use crate::engine::{Ended, LockLimit};
use crate::journal::{Checked, Statement};
use crate::outcome::{Cause, Difference, SchemaLines, StepDone, Stop};
use crate::plan::Step;
use crate::proof::{Doubt, Proof, RowEvidence, StepSession};
use crate::query::Queries;
use crate::revision::Heads;

/// What is looked at after a step, as of one moment.
#[derive(Debug)]
pub struct PostStepSnapshot {
    /// As [`Verifier::heads`] has them.
    pub heads: Result<Heads, String>,
    /// As [`Verifier::schema`] has it, until it is made use of.
    pub schema: Option<SchemaLines>,
    /// What [`Verifier::faults`] judges.
    pub health: Option<Health>,
}

/// What was found wrong after a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Each is a sentence, and any of them ends the run.
    pub faults: Vec<String>,
    /// Each is a sentence about something that the step did not do.
    pub warnings: Vec<String>,
    /// Whether a fault may be somebody else's doing. Then nothing is restored without being asked for.
    pub may_be_others: bool,
}

impl Findings {
    /// Faults that only the step can have caused.
    pub fn of_step(faults: Vec<String>) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }
}

/// What a step did, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// As it was measured.
    pub effect: Effect,
    /// Whether it may be kept.
    pub verdict: Verdict,
}

/// What looks at the database between the steps.
pub trait Verifier {
    /// Who looks, as it completes `Current revision: ..., `.
    fn name(&self) -> &'static str;

    /// Looks at all at once that is looked at after a step. `None` where that cannot be had: then each is asked
    /// for by itself.
    fn snapshot(&mut self) -> Option<PostStepSnapshot> {
        None
    }

    /// Reads the version table; the error is a sentence.
    fn heads(&mut self) -> Result<Heads, String>;

    /// Reads the schema; `None` where that cannot be had.
    fn schema(&mut self) -> Option<SchemaLines>;

    /// Notes before a step what shows later whether it left anything.
    fn evidence(&mut self) -> Result<RowEvidence, Doubt>;

    /// What is proven of a step that did not end well, by the evidence of before it. `session` is what is known of
    /// the step's own transactions.
    fn proof(&mut self, before: &RowEvidence, session: Option<&StepSession>) -> Proof;

    /// The sessions that others wait for, and those in a transaction for longer than `open_for`.
    /// Nothing where that cannot be told. Asked while a step runs as well.
    fn blockers(&mut self, _open_for: Duration) -> Vec<Blocker> {
        Vec::new()
    }

    /// Asked before each step: whether the database is still the same, and ours alone. Where the address leads is asked
    /// if the step is about to connect, and else only now and then. The error ends the run before the step.
    fn may_go_on(&mut self, connects: bool) -> Result<(), Cause>;

    /// The same looks and checks inside an open transaction of the engine, which are compared with what
    /// was seen before it. `None` where it cannot be looked into.
    fn inside<'a>(
        &'a mut self,
        _transaction: &'a mut dyn Queries,
    ) -> Option<Box<dyn Verifier + 'a>> {
        None
    }

    /// What was seen inside the last transaction does not count any more: it was rolled back.
    fn forget_inside(&mut self) {}

    /// Everything else that is checked after a step whose version rows are right. `seen` is the data if it was
    /// looked at already, `session` what is known of the step's own transactions.
    fn faults(
        &mut self,
        step: &Step,
        difference: &Difference,
        seen: Option<Health>,
        removed: Removed<'_>,
    ) -> Findings;

    /// Notes what there is when the step at this position of the plan begins, inside its transaction. The error is a
    /// sentence, and the step is not run: what it did could not be measured.
    fn begins(&mut self, _index: usize, _transaction: &mut dyn Queries) -> Result<(), String> {
        Ok(())
    }

    /// Measures and judges what the step did, inside its transaction right before the commit. The error is a
    /// sentence, and the step is rolled back.
    fn measure(
        &mut self,
        _index: usize,
        _transaction: &mut dyn Queries,
    ) -> Result<Option<Measured>, String> {
        Ok(None)
    }

    /// Judges an effect as it was measured, with what was seen since.
    fn judge(&self, _index: usize, _effect: &Effect) -> Verdict {
        Verdict::Keep { notes: Vec::new() }
    }

    /// Whether the step may use another connection or start a program, so that its own transaction does not show all.
    fn may_act_elsewhere(&self, _index: usize) -> bool {
        false
    }

    /// Counts what a step that was rolled back would have lost. What is left of the surprises; those that cost
    /// nothing are agreed to from now on.
    fn confirm(&mut self, surprises: Vec<Surprise>) -> Vec<Surprise> {
        surprises
    }

    /// The same for a step that is kept already, by what was read before and after it.
    fn measure_afterwards(
        &mut self,
        _index: usize,
        _before: Option<&SchemaLines>,
        _after: Option<&SchemaLines>,
        _difference: &Difference,
    ) -> Option<Measured> {
        None
    }

    /// What is checked once, after the last step, whether or not each step is. As with `faults`, any
    /// sentence is a failure.
    fn faults_at_the_end(&mut self) -> Vec<String>;

    /// Each check that `faults` and `faults_at_the_end` made since this was asked last, by name, also those
    /// that found nothing.
    fn checked(&mut self) -> Vec<Checked> {
        Vec::new()
    }
}

/// What keeps the record of a run. An entry is on the disk when its method returns.
pub trait Recorder {
    /// A step is about to be run. The error is a sentence, and ends the run before the step: without
    /// a record nobody could tell later what was going on.
    fn intent(
        &mut self,
        index: usize,
        step: &Step,
        before: &SchemaLines,
        evidence: Option<&RowEvidence>,
    ) -> Result<(), String>;

    /// A statement of a step is about to be sent, or is done, where each one stays done. The error ends the
    /// step before the next one.
    fn statement(&mut self, _index: usize, _statement: &Statement) -> Result<(), String> {
        Ok(())
    }

    /// The engine came to its end, whatever the database says.
    fn engine_ended(&mut self, index: usize, ended: &Ended) -> Result<(), String>;

    /// A step is done and verified, by these checks. The error ends the run after it.
    fn done(
        &mut self,
        index: usize,
        done: &StepDone,
        after: &SchemaLines,
        checks: Vec<Checked>,
    ) -> Result<(), String>;

    /// Checks were made apart from a step that is done.
    fn checked(&mut self, _index: Option<usize>, _checks: Vec<Checked>) -> Result<(), String> {
        Ok(())
    }

    /// All steps of a whole are done and will be kept now, each with the schema after it. The error has
    /// everything rolled back.
    fn committing(&mut self, _steps: &[(StepDone, SchemaLines)]) -> Result<(), String> {
        Ok(())
    }

    /// Everything that was done of a whole was rolled back, and that is proven.
    fn taken_back(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// What hears of the progress. Nothing it does changes the run.
pub trait Events {
    /// The engine is about to be started for a step.
    fn step_started(&mut self, index: usize, step: &Step);

    /// Before a step: these sessions have been in a transaction for long.
    fn open_transactions(&mut self, _sessions: &[Blocker]) {}

    /// A step that timed out waiting for a lock was rolled back by the server, and is run once more.
    fn lock_retry(&mut self, _index: usize, _attempt: u32, _of: u32, _blockers: &[Blocker]) {}

    /// Something that is wrong, and not by the step: a sentence.
    fn warning(&mut self, _sentence: &str) {}

    /// The lock timeout was arranged on a connection of the engine, or could not be.
    fn lock_limit(&mut self, _limit: &LockLimit) {}

    /// The running step did this as well, which the plan did not name and which is kept.
    fn unannounced(&mut self, _effect: &Surprise) {}

    /// How the engine is run, for those who want to know all.
    fn aside(&mut self, _text: &str) {}

    /// The engine printed a line.
    fn engine_line(&mut self, line: &str);

    /// A step is done and, unless validation is off, verified.
    fn step_finished(&mut self, index: usize, step: &StepDone);

    /// A step of a range is done inside the transaction, and will be undone if a later one fails.
    fn step_applied(&mut self, _index: usize, _step: &StepDone) {}

    /// A range is done and looked up in the database.
    fn committed(&mut self, _steps: &[StepDone]) {}

    /// The run ends at a step.
    fn stopped(&mut self, stop: &Stop, step: &Step);
}
