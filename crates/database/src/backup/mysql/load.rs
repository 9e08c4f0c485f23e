//! A script on its way to a server, by the server's own client.

use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::thread;

use super::super::client::{self, Call, Watching};
use super::super::{BackupError, Progress};
use super::handover::{Changes, hand_over};
use super::tools::MySqlTools;
use rollback_core::connection::ConnectionFacts;
use rollback_core::interrupt::Interrupt;
use rollback_system::process::{Environment, Files, GIVEN};

/// Where a script goes, and by what.
pub(super) struct MySqlLoad<'a> {
    /// The database.
    pub(super) facts: &'a ConnectionFacts,
    pub(super) tools: &'a MySqlTools,
    pub(super) environment: Environment,
    pub(super) interrupt: &'a Interrupt,
    pub(super) is_encrypted: bool,
}

impl MySqlLoad<'_> {
    /// Runs a script.
    pub(super) fn run(
        &self,
        file: &Path,
        changes: &Changes,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let mut source = client::open(file)?;
        let (input, input_end) = io::pipe().map_err(|error| client::failed(file, error))?;
        let call = Call {
            name: self.tools.load_name,
            invocation: client::invocation(
                &self.tools.load,
                &[
                    &format!("--defaults-file=/dev/fd/{GIVEN}"),
                    // The data is data: no command of the client's own is looked for in it.
                    "--binary-mode",
                    "--batch",
                    "--",
                    self.facts.database.as_deref().unwrap_or_default(),
                ],
                &self.environment,
            ),
            files: Files {
                stdin: Some(input.into()),
                stdout: None,
                given: Some(self.tools.options(self.facts, self.is_encrypted)?.into()),
            },
            password: self.facts.password.as_ref(),
        };
        let script = source
            .try_clone()
            .map_err(|error| client::failed(file, error))?;
        let mut furthest = 0;
        let mut measure = || client::position(&mut source, &mut furthest);
        let mut listener = Watching::new(&mut measure, progress);
        let (ran, handed) = thread::scope(|scope| {
            let handed = scope.spawn(move || {
                let script = BufReader::with_capacity(1 << 16, script);
                hand_over(script, BufWriter::new(input_end), changes)
            });
            (call.run(self.interrupt, &mut listener), handed.join())
        });
        ran?;
        // The client was content: then only a file that cannot be read can be the reason.
        match handed {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(client::failed(file, error))
            }
            _ => Ok(()),
        }
    }
}
