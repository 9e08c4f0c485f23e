//! The two roads that a step can take: every scenario has to end in the same way on both.
//!
//! A test says nothing of it. `cargo test` takes the road that the program takes by itself, and with
//! `ROLLBACK_TEST_ROAD=plain` the same tests take the other one, with the same snapshots. `scripts/run-tests` does both:
//! the first time every test writes down that it lets a step of the engine run, and those alone are run a second time.

use std::fs::{File, create_dir_all};
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

/// Which process runs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// A fork of an engine that was started before, where that is sound.
    Warm,
    /// A start of the engine.
    Plain,
}

impl Road {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Warm, Self::Plain];

    /// The road of this run of the tests.
    pub fn here() -> Self {
        static HERE: LazyLock<Road> =
            LazyLock::new(|| match std::env::var("ROLLBACK_TEST_ROAD").as_deref() {
                Ok("plain") => Road::Plain,
                Ok("warm" | "") | Err(_) => Road::Warm,
                Ok(other) => panic!("ROLLBACK_TEST_ROAD is warm or plain, not {other}"),
            });
        *HERE
    }

    /// The setting `warm`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Warm => "auto",
            Self::Plain => "never",
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
