//! Interpreters that have loaded the engine, so that a test does not wait for that at each start.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use tempfile::TempDir;

use super::source;

/// Where the interpreters of the tests find them: the last folder goes with the last of them.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = TempDir::with_prefix("rollback-preloaded-").expect("a temporary folder");
    folder.keep()
});

/// Each ends with its pipe, and so with us, however we end.
static RUNNING: LazyLock<Mutex<HashMap<PathBuf, Child>>> = LazyLock::new(Mutex::default);

/// What every interpreter of a test runs first.
pub(super) fn at_start() -> PathBuf {
    source().join("tests/support/quick")
}

/// The folder to name in `TEST_PRELOADED`, once an interpreter of this environment runs. None where
/// `ROLLBACK_TEST_STARTS=ordinary` asks for starts as a user has them.
pub(super) fn folder(python: &Path) -> Option<&'static Path> {
    let ordinary = match std::env::var("ROLLBACK_TEST_STARTS").as_deref() {
        Ok("ordinary") => true,
        Ok("") | Err(_) => false,
        Ok(other) => panic!("ROLLBACK_TEST_STARTS is ordinary or not set, not {other}"),
    };
    if ordinary || !cfg!(target_os = "linux") {
        return None;
    }
    let mut running = RUNNING.lock().expect("the interpreters");
    if !running.contains_key(python) {
        let name = python.file_name().expect("a name of the environment");
        let mut child = Command::new(python.join("bin/python"))
            .arg(at_start().join("preloaded.py"))
            .arg(FOLDER.join(name))
            .current_dir("/")
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut ready)
            .expect("a line of the interpreter");
        assert_eq!(ready, "ready\n", "{} did not start", python.display());
        running.insert(python.to_owned(), child);
    }
    Some(&FOLDER)
}
