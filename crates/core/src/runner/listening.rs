//! What is heard while the engine runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Events, Recorder, Verifier};
use crate::blocker::Blocker;
use crate::engine::{Channel, Engine, Listener, SessionFacts};
use crate::journal::Statement;
use crate::proof::StepSession;
use crate::schema::fingerprint;

/// What is heard while the engine runs.
#[derive(Default)]
pub(super) struct Hearing {
    pub(super) blockers: BTreeMap<u64, Blocker>,
    pub(super) session: SessionFacts,
    pub(super) left_nothing: bool,
}

impl Hearing {
    pub(super) fn told(&mut self, line: &str, engine: &dyn Engine, events: &mut dyn Events) {
        if let Some(limit) = engine.lock_limit(line) {
            events.lock_limit(&limit);
        } else if let Some(news) = engine.session_news(line) {
            self.session.hear(news);
        }
    }

    pub(super) fn look_around(&mut self, verifier: &mut dyn Verifier) {
        let seen = verifier.blockers(Duration::MAX);
        let seen = seen.into_iter().filter(|session| session.blocks);
        self.blockers
            .extend(seen.map(|session| (session.pid, session)));
    }

    /// Of a step that is over while the engine goes on to the next one.
    pub(super) fn of_step(&mut self) -> Heard {
        Heard {
            blockers: std::mem::take(&mut self.blockers).into_values().collect(),
            session: self.session.take_step(),
            left_nothing: false,
        }
    }

    pub(super) fn complete(self) -> Heard {
        Heard {
            blockers: self.blockers.into_values().collect(),
            session: self.session.complete(),
            left_nothing: self.left_nothing,
        }
    }
}

/// Hears of the engine for the events, and looks meanwhile who stands in its way.
pub(super) struct Following<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) events: &'a mut dyn Events,
    pub(super) verifier: &'a mut dyn Verifier,
    pub(super) hearing: Hearing,
    /// What keeps the record of the statements, and of which step they are.
    pub(super) record: Option<(usize, &'a mut dyn Recorder)>,
}

impl<'a> Following<'a> {
    pub(super) fn new(
        engine: &'a dyn Engine,
        events: &'a mut dyn Events,
        verifier: &'a mut dyn Verifier,
    ) -> Self {
        Self {
            engine,
            events,
            verifier,
            hearing: Hearing::default(),
            record: None,
        }
    }

    /// The same for a step whose statements are written down.
    pub(super) fn recording(self, index: usize, recorder: &'a mut dyn Recorder) -> Self {
        Self {
            record: Some((index, recorder)),
            ..self
        }
    }

    pub(super) fn heard(self) -> Heard {
        self.hearing.complete()
    }
}

/// What was heard while the engine ran.
pub(super) struct Heard {
    /// Who stood in its way.
    pub(super) blockers: Vec<Blocker>,
    /// What is known of its transactions, if that is all of them.
    pub(super) session: Option<StepSession>,
    /// Whether it is known that nothing of the step is in the database.
    pub(super) left_nothing: bool,
}

impl Listener for Following<'_> {
    fn line(&mut self, line: &str) {
        self.events.engine_line(line);
    }

    fn on_debug(&mut self, text: &str) {
        self.events.aside(text);
    }

    fn on_message(&mut self, line: &str, _: &mut dyn Channel) {
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
        self.verifier.schema().as_ref().map(fingerprint)
    }

    fn on_tick(&mut self) {
        self.hearing.look_around(&mut *self.verifier);
    }
}
