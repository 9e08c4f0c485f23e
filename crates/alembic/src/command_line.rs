//! The command lines of the engine: as they are started, and as an operator would type them.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::launcher::{self, Launch};
use super::{AlembicEngine, bridge};
use rollback_system::process::{Environment, Invocation};

pub(super) const CURRENT: &[&str] = &["current", "--verbose"];
pub(super) const HISTORY: &[&str] = &["history", "--verbose"];

/// Where a sequence is run, the target is in the request alone. Should the bridge not have got in,
/// Alembic finds no such revision and does nothing.
pub(super) const SEQUENCE: &str = "the-planned-range";

impl AlembicEngine {
    pub(super) fn invocation(&self, verb: &[&str]) -> Invocation {
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

    /// What a migration prints would otherwise wait in a buffer, and be lost with a killed process.
    pub(super) fn unbuffered(&self, verb: &[&str]) -> Invocation {
        let mut plain = self.invocation(verb);
        plain
            .env
            .entry("PYTHONUNBUFFERED".into())
            .or_insert_with(|| "1".into());
        plain
    }

    /// The command line as an operator would type it.
    pub(super) fn words(&self, verb: &[&str]) -> Vec<String> {
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

    /// A command of the engine's own, as one would type it.
    pub fn own_command(&self, verb: &[&str]) -> String {
        self.typed(verb)
    }

    pub(super) fn typed(&self, verb: &[&str]) -> String {
        let words = self.words(verb);
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }

    pub(super) fn launch(&self, plain: &Invocation) -> Option<Launch> {
        let path = self.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
        launcher::take_apart(&plain.program, &plain.args, &self.dir, path)
    }

    /// The process of a verb that changes the database; with the bridge inside if that told of itself
    /// when it was asked to observe.
    pub(super) fn changing(&self, verb: &[&str], request: bridge::BridgeRequest<'_>) -> Invocation {
        let mut plain = self.unbuffered(verb);
        plain.held.clone_from(&self.held);
        if (request.lock_timeout.is_some() || request.sequence.is_some() || request.session)
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
}

pub(super) fn downgrade_verb(argument: &str) -> Vec<&str> {
    if argument.starts_with('-') {
        vec!["downgrade", "--", argument]
    } else {
        vec!["downgrade", argument]
    }
}

/// libpq, and so psycopg2 and psycopg, read their options here; a limit of the operator's own stays.
pub(super) fn limit_by_libpq(env: &mut Environment, limit: Duration) {
    let options = env.entry("PGOPTIONS".into()).or_default();
    if options.to_string_lossy().contains("lock_timeout") {
        return;
    }
    if !options.is_empty() {
        options.push(" ");
    }
    options.push(format!("-c lock_timeout={}", limit.as_millis().max(1)));
}
