//! Alembic and everything that speaks its verbs: `alembic`, `flask db`, `superset db`, or a command
//! line that ends in one of them.
//!
//! One engine start answers all questions where the bridge gets into its process; otherwise the
//! printed output of two starts is read. A step is always one process of the engine's own, in which
//! the bridge, where it can be had, limits how long a lock is waited for.

pub mod bridge;
pub mod complaint;
pub mod discovery;
mod environment;
pub mod ini;
pub mod launcher;
pub mod layout;
mod observation;
pub mod output;
mod render;
mod statements;
mod transaction;
pub mod version_files;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::bridge::Report;
use self::complaint::Kind;
use self::discovery::Found;
use self::launcher::Launch;
use self::transaction::Court;
use super::{
    Current, Ended, Engine, EngineError, Judge, Listener, LockLimit, Observation, Range, Reach,
    StepRun,
};
use crate::domain::graph::Graph;
use crate::process::{self, Channel, Environment, Finished, Interrupt, Invocation, SpawnError};

/// What flags and configuration say about the engine.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The words of a command line that ends in `alembic`, `flask db` or `superset db`.
    pub engine_command: Option<Vec<String>>,
    /// Handed to Alembic as `-c`.
    pub alembic_config: Option<PathBuf>,
    /// Handed to Alembic as `-n`.
    pub name: Option<String>,
    /// Each handed to Alembic as `-x`, `KEY=VALUE`.
    pub x: Vec<String>,
    /// How long a step may wait for a lock of the database.
    pub lock_timeout: Option<Duration>,
}

/// Where the engine is looked for.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Flags and configuration.
    pub settings: Settings,
    /// The project's directory, absolute: the engine runs in it.
    pub dir: PathBuf,
    /// The environment, which the engine inherits.
    pub env: Environment,
    /// The operator's signals.
    pub interrupt: Interrupt,
}

/// A command line that speaks Alembic's verbs, in one directory and environment.
#[derive(Debug, Clone)]
pub struct AlembicEngine {
    found: Found,
    /// The options between the program and its verb.
    options: Vec<OsString>,
    dir: PathBuf,
    env: Environment,
    interrupt: Interrupt,
    /// Kept open by every process that runs a step.
    held: Option<Arc<File>>,
    lock_timeout: Option<Duration>,
    /// Whether the bridge has got into the engine and told of it.
    bridged: Cell<bool>,
    /// Whether `PGOPTIONS` keep the engine from its database.
    options_refused: Cell<bool>,
    /// A history that is taken instead of the engine's own.
    believed: Option<Arc<Graph>>,
}

impl AlembicEngine {
    /// Has every process that runs a step keep a file open, so that a lock on it tells whether one is
    /// still at work after we are gone.
    pub fn hold(&mut self, file: Arc<File>) {
        self.held = Some(file);
    }

    /// Takes this history for the engine's, which is then not asked for its own.
    pub fn believe(&mut self, graph: Graph) {
        self.believed = Some(Arc::new(graph));
    }

    /// Finds the engine. Starts nothing.
    pub fn discover(discovery: Discovery) -> Result<Self, EngineError> {
        let Discovery {
            settings,
            dir,
            mut env,
            interrupt,
        } = discovery;
        let found = discovery::find(&settings, &dir, &env)?;
        for (name, value) in &found.extra_env {
            env.insert((*name).into(), (*value).into());
        }
        let mut options = Vec::new();
        if let Some(file) = settings.alembic_config {
            options.extend(["-c".into(), file.into_os_string()]);
        }
        if let Some(name) = settings.name {
            options.extend(["-n".into(), name.into()]);
        }
        for pair in settings.x {
            // Flask-Migrate 3 takes it for a step alone, which could then act on another database
            // than the one that was shown: given to the group, it is refused there.
            options.extend(["-x".into(), pair.into()]);
        }
        Ok(Self {
            found,
            options,
            dir,
            env,
            interrupt,
            held: None,
            lock_timeout: settings.lock_timeout,
            bridged: Cell::new(false),
            options_refused: Cell::new(false),
            believed: None,
        })
    }

    /// How far the lock timeout reaches; `None` where there is none.
    pub fn reach(&self) -> Option<Reach> {
        self.lock_timeout.map(|_| {
            if self.bridged.get() {
                Reach::Connection
            } else if self.options_refused.get() {
                Reach::Refused
            } else {
                Reach::Libpq
            }
        })
    }

    /// Whether a range of steps can be run in one transaction.
    pub fn can_run_a_range(&self) -> bool {
        self.bridged.get()
    }

    fn launch(&self, plain: &Invocation) -> Option<Launch> {
        let path = self.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
        launcher::take_apart(&plain.program, &plain.args, &self.dir, path)
    }

    /// The process of a verb that changes the database; with the bridge inside if that told of itself
    /// when it was asked to observe.
    fn changing(&self, verb: &[&str], range: Option<&Range<'_>>) -> Invocation {
        let mut plain = self.invocation(verb);
        plain.held.clone_from(&self.held);
        // What a migration prints would otherwise wait in a buffer, and be lost with a killed process.
        plain
            .env
            .entry("PYTHONUNBUFFERED".into())
            .or_insert_with(|| "1".into());
        let request = bridge::Request {
            lock_timeout: self.lock_timeout,
            range,
            render: None,
        };
        if (self.lock_timeout.is_some() || range.is_some())
            && self.bridged.get()
            && let Some(launch) = self.launch(&plain)
        {
            let held = plain.held;
            return Invocation {
                held,
                ..bridge::invocation(&launch, &self.dir, &plain.env, request)
            };
        }
        if !self.options_refused.get()
            && let Some(limit) = self.lock_timeout
        {
            limit_by_libpq(&mut plain.env, limit);
        }
        plain
    }

    /// Asks `current` with the options that the steps are to have, and where a pooler refuses those,
    /// without them. Later would be too late: a step that failed is not started again.
    fn ask_with_options(&self, interrupt: &Interrupt) -> Result<Finished, EngineError> {
        if let Some(limit) = self.lock_timeout {
            let mut limited = self.invocation(CURRENT);
            limit_by_libpq(&mut limited.env, limit);
            let finished = self.run(CURRENT, &limited, None, interrupt, &mut |_| {})?;
            let refused = matches!(finished.ended, Ended::Exited(status) if status != 0)
                && complaint::refuses_options(&finished.stdout, &finished.stderr);
            if !refused {
                return Ok(finished);
            }
            self.options_refused.set(true);
        }
        self.ask(CURRENT, interrupt)
    }

    fn run_changing(
        &self,
        verb: &[&str],
        invocation: &Invocation,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        let finished = self.run_heard(verb, invocation, timeout, &self.interrupt, listener)?;
        if self.lock_timeout.is_some()
            && invocation.side_channel
            && finished.ended == Ended::Exited(0)
            && !heard_of_the_limit(&finished.side_channel)
        {
            // In the words of the bridge, which did not come to it.
            listener.told(r#"{"lock_timeout": "none", "why": "the engine opened no connection that was seen"}"#, &mut Gone);
        }
        let failed = matches!(finished.ended, Ended::Exited(status) if status != 0);
        // Where somebody else ended it, its last line is not why.
        let reason = failed
            .then(|| complaint::read(&finished.stdout, &finished.stderr).line)
            .filter(|line| !line.is_empty());
        Ok(StepRun {
            lock_timeout: failed && complaint::is_lock_timeout(&finished.stdout, &finished.stderr),
            ended: finished.ended,
            reason,
            stdout: finished.stdout,
            stderr: finished.stderr,
            elapsed: finished.elapsed,
        })
    }

    fn invocation(&self, verb: &[&str]) -> Invocation {
        let mut args = self.found.args.clone();
        args.extend(self.options.iter().cloned());
        args.extend(verb.iter().map(OsString::from));
        Invocation {
            program: self.found.program.clone(),
            args,
            cwd: self.dir.clone(),
            env: self.env.clone(),
            stdin: None,
            side_channel: false,
            held: None,
        }
    }

    /// The command line as an operator would type it.
    fn words(&self, verb: &[&str]) -> Vec<String> {
        let mut words = Vec::new();
        if !self.found.extra_env.is_empty() {
            words.push("env".to_owned());
            words.extend(
                self.found
                    .extra_env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            );
        }
        words.push(self.found.shown.clone());
        let args = self.found.args.iter().chain(&self.options);
        words.extend(args.map(|arg| arg.to_string_lossy().into_owned()));
        words.extend(verb.iter().map(|word| (*word).to_owned()));
        words
    }

    fn typed(&self, verb: &[&str]) -> String {
        let words = self.words(verb);
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }

    /// Runs a verb that only reads.
    fn ask(&self, verb: &[&str], interrupt: &Interrupt) -> Result<Finished, EngineError> {
        self.run(verb, &self.invocation(verb), None, interrupt, &mut |_| {})
    }

    /// Every start goes through here: an error of the engine may quote a URL with its password.
    fn run(
        &self,
        verb: &[&str],
        invocation: &Invocation,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Finished, EngineError> {
        self.run_heard(
            verb,
            invocation,
            timeout,
            interrupt,
            &mut process::Lines(on_line),
        )
    }

    fn run_heard(
        &self,
        verb: &[&str],
        invocation: &Invocation,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        listener: &mut dyn Listener,
    ) -> Result<Finished, EngineError> {
        let finished = process::run_heard(invocation, timeout, interrupt, &mut Masked(listener))
            .map_err(|error| self.not_started(verb, &error))?;
        let stdout = output::mask(&finished.stdout);
        let stderr = output::mask(&finished.stderr);
        Ok(Finished {
            stdout,
            stderr,
            ..finished
        })
    }

    fn not_started(&self, verb: &[&str], error: &SpawnError) -> EngineError {
        let hint = match error {
            SpawnError::NotFound(_) | SpawnError::NotExecutable { .. } => {
                "reinstall it, or name another with --engine-command"
            }
            SpawnError::WorkingDirectory(_) => "name the project's directory with `-C DIR`",
            SpawnError::Other { .. } => "try the command by hand",
        };
        EngineError {
            summary: format!("`{}` cannot be started: {error}", self.typed(verb)),
            stdout: String::new(),
            stderr: String::new(),
            hints: vec![hint.to_owned()],
        }
    }

    /// The error of a run that did not end well.
    fn failed(&self, verb: &[&str], finished: &Finished, report: Option<&Report>) -> EngineError {
        let command = self.typed(verb);
        let complaint = complaint::read(&finished.stdout, &finished.stderr);
        let ending = match &finished.ended {
            Ended::Exited(_) if !complaint.line.is_empty() => complaint.line.clone(),
            Ended::Exited(status) => format!("exit status {status}, and not a word about why"),
            Ended::Signalled(signal) => format!("ended by signal {signal}"),
            Ended::TimedOut => "stopped by the time limit".to_owned(),
            Ended::Interrupted => "stopped, as you asked".to_owned(),
        };
        let mut hints = match finished.ended {
            Ended::Exited(_) => complaint.kind.hints(&command),
            _ => Vec::new(),
        };
        let about_connection = matches!(
            complaint.kind,
            Kind::Login | Kind::Unreachable | Kind::NoDatabase
        );
        if about_connection && let Some(facts) = report.and_then(Report::last_attempt) {
            let user = facts
                .user
                .as_ref()
                .map(|user| format!(" as {user}"))
                .unwrap_or_default();
            hints.insert(
                0,
                format!("the engine tried {}{user}", bridge::describe(&facts)),
            );
        }
        if matches!(complaint.kind, Kind::CannotLocate(_))
            && let Some(places) = report
                .map(Report::locations)
                .filter(|places| !places.is_empty())
        {
            hints.push(format!(
                "Alembic looks for version files in {}",
                places.join(", ")
            ));
        }
        EngineError {
            summary: format!("`{command}` failed: {ending}"),
            stdout: finished.stdout.clone(),
            stderr: finished.stderr.clone(),
            hints,
        }
    }

    fn not_understood(
        &self,
        verb: &[&str],
        finished: &Finished,
        cause: &output::NotUnderstood,
    ) -> EngineError {
        EngineError {
            summary: format!("`{}` was not understood: {cause}", self.typed(verb)),
            stdout: finished.stdout.clone(),
            stderr: finished.stderr.clone(),
            hints: vec![
                "the command must end where Alembic's verbs begin: `alembic`, `flask db` or \
                 `superset db`; see `engine_command` in the configuration and --engine-command"
                    .to_owned(),
            ],
        }
    }
}

const CURRENT: &[&str] = &["current", "--verbose"];
const HISTORY: &[&str] = &["history", "--verbose"];

impl Engine for AlembicEngine {
    fn name(&self) -> String {
        let program = self
            .found
            .shown
            .rsplit('/')
            .next()
            .unwrap_or(&self.found.shown);
        let args = self
            .found
            .args
            .iter()
            .map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(program.to_owned())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn observe(&self) -> Result<Observation, EngineError> {
        // Nothing is changed yet, so the first Ctrl-C may end it.
        let interrupt = self.interrupt.at_once();
        let plain = self.invocation(CURRENT);
        if let Some(launch) = self.launch(&plain) {
            let request = bridge::Request::default();
            let bridged = bridge::invocation(&launch, &self.dir, &self.env, request);
            let finished = self.run(CURRENT, &bridged, None, &interrupt, &mut |_| {});
            // Without a report nobody knows what ran there: the engine is asked again, plainly.
            if let Ok(finished) = finished {
                if finished.ended == Ended::Interrupted {
                    return Err(self.failed(CURRENT, &finished, None));
                }
                if let Some(report) = Report::read(&finished.side_channel) {
                    self.bridged.set(true);
                    return self.observation(&finished, Some(&report), &interrupt);
                }
            }
        }
        let finished = self.ask_with_options(&interrupt)?;
        self.observation(&finished, None, &interrupt)
    }

    fn current(&self) -> Result<Current, EngineError> {
        let finished = self.ask(CURRENT, &self.interrupt)?;
        self.printed_current(&finished, None)
            .map(|(_, current)| current)
    }

    fn command_line(&self, argument: &str) -> Vec<String> {
        self.words(&downgrade_verb(argument))
    }

    fn downgrade(
        &self,
        argument: &str,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        let verb = downgrade_verb(argument);
        let invocation = self.changing(&verb, None);
        self.run_changing(&verb, &invocation, timeout, listener)
    }

    fn downgrade_range(
        &self,
        range: &Range<'_>,
        timeout: Option<Duration>,
        judge: &mut dyn Judge,
    ) -> Option<Result<StepRun, EngineError>> {
        if !self.can_run_a_range() {
            return None;
        }
        let verb = downgrade_verb(RANGE);
        let invocation = self.changing(&verb, Some(range));
        Some(self.run_changing(&verb, &invocation, timeout, &mut Court(judge)))
    }

    fn lock_limit(&self, line: &str) -> Option<LockLimit> {
        bridge::lock_limit(line)
    }
}

/// Where a range is run, the target is in the request alone. Should the bridge not have got in,
/// Alembic finds no such revision and does nothing.
const RANGE: &str = "the-planned-range";

/// Takes URLs' passwords out of the printed lines.
struct Masked<'a>(&'a mut dyn Listener);

impl Listener for Masked<'_> {
    fn line(&mut self, line: &str) {
        self.0.line(&output::mask(line));
    }

    fn told(&mut self, line: &str, channel: &mut dyn Channel) {
        self.0.told(line, channel);
    }

    fn look_around(&mut self) {
        self.0.look_around();
    }
}

/// The way back to a child that has ended.
struct Gone;

impl Channel for Gone {
    fn say(&mut self, _: &str) {}

    fn ask(&mut self, _: &str) -> Option<String> {
        None
    }
}

fn heard_of_the_limit(side_channel: &[u8]) -> bool {
    let told = String::from_utf8_lossy(side_channel);
    told.lines().any(|line| bridge::lock_limit(line).is_some())
}

/// libpq, and so psycopg2 and psycopg, read their options here; a limit of the operator's own stays.
fn limit_by_libpq(env: &mut Environment, limit: Duration) {
    let options = env.entry("PGOPTIONS".into()).or_default();
    if options.to_string_lossy().contains("lock_timeout") {
        return;
    }
    if !options.is_empty() {
        options.push(" ");
    }
    options.push(format!("-c lock_timeout={}", limit.as_millis().max(1)));
}

fn downgrade_verb(argument: &str) -> Vec<&str> {
    if argument.starts_with('-') {
        vec!["downgrade", "--", argument]
    } else {
        vec!["downgrade", argument]
    }
}

#[cfg(test)]
mod tests;
