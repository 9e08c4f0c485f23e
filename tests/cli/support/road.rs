//! The two ways in which steps are run: every scenario has to end the same in both.
//!
//! A test says nothing of it. `cargo test` runs as the program does by itself, and with `ROLLBACK_TEST_ROAD=alone` the
//! same tests have a process for each step, with the same snapshots. `scripts/run-tests` runs a sample of them so a second
//! time: every test writes down that it lets a step of the engine run.

use std::fs::{File, create_dir_all};
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

/// Which process runs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// The one that observed, where steps may share it.
    Shared,
    /// One of its own.
    Alone,
}

impl Road {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Shared, Self::Alone];

    /// That of this run of the tests.
    pub fn here() -> Self {
        static HERE: LazyLock<Road> =
            LazyLock::new(|| match std::env::var("ROLLBACK_TEST_ROAD").as_deref() {
                Ok("alone") => Road::Alone,
                Ok("shared" | "") | Err(_) => Road::Shared,
                Ok(other) => panic!("ROLLBACK_TEST_ROAD is shared or alone, not {other}"),
            });
        *HERE
    }

    /// The setting `process_per_step`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Shared => "0",
            Self::Alone => "1",
        }
    }
}

/// Writes down that a test lets steps of the engine run, where `ROLLBACK_TEST_STEPS` names a folder for that.
pub fn note(test: Option<&str>) {
    static NOTES: LazyLock<Option<File>> = LazyLock::new(|| {
        let folder = std::env::var_os("ROLLBACK_TEST_STEPS")?;
        create_dir_all(&folder).expect("a folder for the names of tests");
        let file = Path::new(&folder).join(env!("CARGO_CRATE_NAME"));
        let file = File::options().create(true).append(true).open(file);
        Some(file.expect("a file for the names of tests"))
    });
    if let Some(mut notes) = NOTES.as_ref() {
        let test = test.expect("a project is made in the thread of its test, which has its name");
        // In one piece, because two tests write at the same time.
        notes
            .write_all(format!("{test}\n").as_bytes())
            .expect("the names of tests can be written");
    }
}
