//! What is foretold of a plan, put together from the version files, the schema and the data.

use std::time::Duration;

use clap::Args;

use super::Context;
use super::session::Session;
use crate::config::{self, Layer};
use crate::database::Probes;
use crate::domain::catalogue::Catalogue;
use crate::domain::foresight::{Dialect, foresee};
use crate::domain::plan::Plan;
use crate::domain::risk::consent::Consent;
use crate::domain::risk::outlook::{Asked, Outlook, Reachable};
use crate::domain::risk::{self, Answer, Ask, Level, Question, verdict};
use crate::error::{Exit, Failure};

/// How long asking may take where nothing else is said.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How the database is asked what a plan puts at risk.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Do not ask the database what tables and columns hold; what it holds then counts as unknown.
    #[arg(long, conflicts_with = "probe_timeout")]
    pub no_probe: bool,

    /// Spend at most this long on asking the database, all questions together; 10s where nothing else
    /// is said. What there is no time for is estimated or unknown, and marked so.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub probe_timeout: Option<Duration>,
}

impl ProbeArgs {
    /// The flags as settings.
    pub fn layer(&self) -> Layer {
        Layer {
            probe: self.no_probe.then_some(false),
            probe_timeout: self.probe_timeout,
            ..Layer::default()
        }
    }
}

/// Nobody to ask.
struct Nobody;

impl Ask for Nobody {
    fn ask(&mut self, _: &Question) -> Option<Answer> {
        None
    }
}

/// What is foretold of a plan.
pub(super) struct Foreseen {
    pub(super) outlook: Outlook,
    /// In one line.
    pub(super) verdict: String,
    /// What will be lost, completing "This ..."; `None` where nothing is known to be.
    pub(super) losses: Option<String>,
}
