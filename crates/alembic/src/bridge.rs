//! What the engine's own process tells about itself, through a pipe that nobody else reads.
//!
//! The command line of Alembic hides the password, the version table and the order in which it loads
//! the files. A listener inside its process sees them all: see the folder `bridge` of the crate.

mod connection;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

pub use self::connection::describe;
pub use self::report::{BridgeReport, MigratedDatabase, directory, is_observed, observed};
use super::launcher::{Launch, LaunchTarget};
use rollback_core::engine::{LockLimit, Sequence, SessionNews};
use rollback_core::plan::Step;
use rollback_system::process::{Environment, Invocation};

/// What the other parts use while they are loaded.
const BASE: &str = include_str!("../bridge/base.py");
/// What only a sequence needs.
const SEQUENCE: &str = concat!(
    include_str!("../bridge/sequence.py"),
    include_str!("../bridge/verdict.py"),
);
/// What tells of the session with the database.
const SESSION: &str = include_str!("../bridge/session.py");
/// What renders SQL.
const RENDERER: &str = include_str!("../bridge/render.py");
/// Comes last, because it ends by starting the engine.
const ENGINE: &str = concat!(
    include_str!("../bridge/lock_timeout.py"),
    include_str!("../bridge/observe.py"),
    include_str!("../bridge/report.py"),
    include_str!("../bridge/bridge.py"),
);
/// Fits into the argument list and into any process listing: the rest comes through stdin.
///
/// The request is JSON without its three words, and such JSON is Python: a module for JSON would have to be
/// imported, and the project may have one of that name.
const LOADER: &str = "import sys;s,_,r=sys.stdin.buffer.read().partition(b'\\0');\
                      exec(compile(s,'<bridge>','exec'),\
                      {'__name__':'rollback_bridge','REQUEST':eval(r.decode(),{'__builtins__':{}})})";

/// What the bridge is there for.
#[derive(Debug, Clone, Copy, Default)]
pub struct BridgeRequest<'a> {
    /// No connection of the engine waits longer than this for a lock.
    pub lock_timeout: Option<Duration>,
    /// It tells what the engine's session with the database did.
    pub session: bool,
    /// It tells what it sees, and then waits to hear which steps `downgrade` takes.
    pub observe: bool,
    /// The steps that `downgrade` takes.
    pub sequence: Option<&'a Sequence<'a>>,
    /// The steps of which `downgrade --sql` renders the statements.
    pub render: Option<&'a [Step]>,
}

impl BridgeRequest<'_> {
    /// Without `true`, `false` and `null`, so that it is Python as well.
    pub(super) fn value(&self) -> Value {
        let mut request = serde_json::Map::new();
        if let Some(limit) = self.lock_timeout {
            // Zero would be no limit.
            let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
            request.insert("lock_timeout".into(), limit.into());
        }
        if self.session {
            request.insert("session".into(), 1.into());
        }
        if self.observe {
            request.insert("observe".into(), 1.into());
        }
        if let Some(sequence) = self.sequence {
            let steps: Vec<Value> = sequence
                .steps
                .iter()
                .map(|step| json!({ "removes": step.removes, "after": step.heads_after }))
                .collect();
            request.insert("before".into(), json!(sequence.before));
            request.insert("keep".into(), json!(sequence.keep));
            request.insert("range".into(), steps.into());
        }
        if let Some(steps) = self.render {
            let steps: Vec<Value> = steps
                .iter()
                .map(|step| {
                    json!({
                        "removes": step.removes,
                        "takes_along": step.takes_along,
                        "argument": step.argument,
                        "before": step.heads_before,
                        "after": step.heads_after,
                    })
                })
                .collect();
            request.insert("render".into(), steps.into());
        }
        Value::from(request)
    }

    fn source(&self) -> String {
        let addition = match self.render {
            Some(_) => RENDERER,
            None if self.observe || self.sequence.is_some() => SEQUENCE,
            None => "",
        };
        let session = if self.session { SESSION } else { "" };
        format!("{BASE}{session}{addition}{ENGINE}\0{}", self.value())
    }
}

/// A line of the pipe that says how the lock timeout was arranged on a connection.
#[derive(Debug, Deserialize)]
struct Limited {
    lock_timeout: String,
    why: Option<String>,
}

/// Reads such a line.
pub fn lock_limit(line: &str) -> Option<LockLimit> {
    let told: Limited = serde_json::from_str(line).ok()?;
    Some(match told.lock_timeout.as_str() {
        "session" | "unknown" => LockLimit::Session,
        "transaction" => LockLimit::Transactions,
        _ => LockLimit::None(told.why.unwrap_or_default()),
    })
}

/// A line of the pipe about the session with the database.
#[derive(Debug, Deserialize)]
#[serde(tag = "session", rename_all = "snake_case")]
enum SessionLine {
    Opened,
    Committing {
        deleted: BTreeMap<String, u64>,
        locked: Vec<String>,
    },
    Ended {
        transactions: Option<Vec<u64>>,
    },
}

/// Reads such a line.
pub fn session_news(line: &str) -> Option<SessionNews> {
    Some(match serde_json::from_str(line).ok()? {
        SessionLine::Opened => SessionNews::Opened,
        SessionLine::Committing { deleted, locked } => SessionNews::Committing { deleted, locked },
        SessionLine::Ended { transactions } => SessionNews::Ended { transactions },
    })
}

/// The same start as `launch`, with the bridge inside.
pub fn invocation(
    launch: &Launch,
    cwd: &Path,
    env: &Environment,
    request: BridgeRequest<'_>,
) -> Invocation {
    let (kind, name) = match &launch.target {
        LaunchTarget::Script(path) => ("script", path.clone().into_os_string()),
        LaunchTarget::Module(name) => ("module", name.clone()),
    };
    let mut args = launch.flags.clone();
    args.extend(["-c".into(), LOADER.into(), kind.into(), name]);
    args.extend(launch.args.iter().cloned());
    Invocation {
        program: launch.interpreter.clone(),
        args,
        cwd: cwd.to_owned(),
        env: env.clone(),
        stdin: Some(request.source().into_bytes()),
        side_channel: true,
        held: None,
    }
}

#[cfg(test)]
mod tests;
