//! The engine imported once for all steps of a run, each of which is a fork of it.
//!
//! It is a faster road to the same: a fork runs the command line that the plain road would start. Whatever is odd
//! here leads back to that road, with a reason, and nothing that was not told to begin has begun.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::bridge::{self, Request};
use super::launcher::Launch;
use super::watched::Watched;
use super::{AlembicEngine, CURRENT};
use crate::engine::{Ended, Listener};
use crate::process::{Finished, Fork, ForkServer, Interrupt, NoFork};

/// How often the project may change under a run before it is no use to import it once more.
const MOST_STARTS: usize = 4;

/// Shared by the clones of an engine.
#[derive(Debug, Clone, Default)]
pub(super) struct Warm(Rc<RefCell<State>>);

#[derive(Debug, Default)]
enum State {
    /// Nobody asked for it.
    #[default]
    Off,
    Serving(Box<Serving>),
    /// Each step starts the engine anew.
    Cold {
        reason: String,
        told: bool,
    },
}

#[derive(Debug)]
struct Serving {
    server: ForkServer,
    watched: Watched,
    starts: usize,
}

impl Warm {
    fn cool_down(&self, reason: impl Into<String>) {
        *self.0.borrow_mut() = State::Cold {
            reason: reason.into(),
            told: false,
        };
    }

    /// Why each step starts the engine anew, for the one who asks first.
    pub(super) fn why_cold(&self) -> Option<String> {
        match &mut *self.0.borrow_mut() {
            State::Cold { reason, told } if !*told => {
                *told = true;
                Some(reason.clone())
            }
            _ => None,
        }
    }
}

impl AlembicEngine {
    /// Has the engine imported for the steps to come, while other things are done. Returns at once.
    pub fn warm_up(&self) {
        if self.wants_warmth {
            self.serve(1);
        }
    }

    /// Why each step starts the engine anew, for the one who asks first; `None` where none does, or where nothing
    /// else was wanted.
    pub fn why_cold(&self) -> Option<String> {
        self.warm.why_cold()
    }

    fn serve(&self, starts: usize) {
        let plain = self.unbuffered(&[]);
        let Some(launch) = self.launch(&plain) else {
            return self
                .warm
                .cool_down("its command line does not begin with Python");
        };
        let watched = Watched::from_now_on(&self.dir);
        let invocation = bridge::serving(&launch, &self.dir, &plain.env);
        match ForkServer::start(&invocation) {
            Ok(server) => {
                *self.warm.0.borrow_mut() = State::Serving(Box::new(Serving {
                    server,
                    watched,
                    starts,
                }));
            }
            Err(error) => self.warm.cool_down(error.to_string()),
        }
    }

    /// Has the next step forked, as far as that can be done before it is known.
    pub(super) fn fork_ahead(&self) {
        if let (State::Serving(serving), Some(held)) = (&mut *self.warm.0.borrow_mut(), &self.held)
        {
            serving.server.ask_ahead(held);
        }
    }

    /// As [`Self::in_a_fork`], and the listener hears why there is none.
    pub(super) fn run_warm(
        &self,
        verb: &[&str],
        request: &Request<'_>,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Option<std::io::Result<Finished>> {
        let finished = self.in_a_fork(verb, request, timeout, &self.interrupt, listener);
        if let Some(reason) = self.why_cold() {
            listener.aside(&cold(&reason));
        }
        finished
    }

    /// Runs a command line in a fork of the engine; `None` where that is not to be had, and nothing was run.
    pub(super) fn in_a_fork(
        &self,
        verb: &[&str],
        request: &Request<'_>,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        listener: &mut dyn Listener,
    ) -> Option<std::io::Result<Finished>> {
        let line = self.line(verb, request)?;
        let changes = verb != CURRENT;
        let held = self.held.as_deref().filter(|_| changes);
        let limit = interrupt.limit();
        loop {
            let (fork, mut serving) = self.fork(held, interrupt, limit)?;
            let Some(fork) = fork else {
                return Some(Ok(Finished {
                    ended: Ended::Interrupted,
                    stdout: String::new(),
                    stderr: String::new(),
                    side_channel: Vec::new(),
                    elapsed: Duration::ZERO,
                }));
            };
            let reads = serving.server.take_reads();
            serving.watched.add(reads);
            if let Some(path) = serving.watched.changed() {
                // What is imported is of yesterday.
                let starts = serving.starts;
                drop((fork, serving));
                if starts >= MOST_STARTS {
                    self.warm
                        .cool_down(format!("{path} changes again and again"));
                    return None;
                }
                listener.aside(&format!("{path} was changed: the engine is imported anew"));
                self.serve(starts + 1);
                continue;
            }
            let ran = serving
                .server
                .run(fork, &line, held, timeout, interrupt, limit, listener);
            match &ran {
                Some(Ok(finished)) if finished.ended == Ended::Lost => self.warm.cool_down(GONE),
                None => self.warm.cool_down(GONE),
                Some(_) => *self.warm.0.borrow_mut() = State::Serving(serving),
            }
            return ran;
        }
    }

    /// A fork that waits to be told what to run, with its server; no fork where the operator does not want to wait.
    fn fork(
        &self,
        held: Option<&File>,
        interrupt: &Interrupt,
        limit: usize,
    ) -> Option<(Option<Fork>, Box<Serving>)> {
        let state = std::mem::take(&mut *self.warm.0.borrow_mut());
        let mut serving = match state {
            State::Serving(serving) => serving,
            other => {
                *self.warm.0.borrow_mut() = other;
                return None;
            }
        };
        match serving.server.fork(held, interrupt, limit) {
            Ok(fork) => Some((Some(fork), serving)),
            Err(NoFork::Interrupted) => Some((None, serving)),
            Err(NoFork::Because(reason)) => {
                self.warm.cool_down(reason);
                None
            }
        }
    }

    /// What a fork is told; `None` where that cannot be written as text.
    fn line(&self, verb: &[&str], request: &Request<'_>) -> Option<String> {
        let Launch { args, .. } = self.launch(&self.invocation(verb))?;
        let arguments: Option<Vec<String>> = args
            .into_iter()
            .map(|word| word.into_string().ok())
            .collect();
        Some(json!({ "arguments": arguments?, "request": request.value() }).to_string())
    }
}

const GONE: &str = "the process that it was forked from is gone";

/// The sentence about the plain road.
pub fn cold(reason: &str) -> String {
    format!("each step starts the engine anew: {reason}")
}
