//! The servers of the tests are gone when their test binary is, however it ended.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Kind, Server};

const MARK: &str = "ROLLBACK_TEST_HOLD";

fn kind(name: &str) -> Kind {
    Kind::SERVERS
        .into_iter()
        .find(|kind| format!("{kind:?}") == name)
        .expect("one of ours")
}

/// Turns red if anything outlives a test binary that had no chance to clean up.
#[test]
fn a_killed_test_binary_leaves_nothing_behind() {
    if let Some(name) = std::env::var_os(MARK) {
        let server = Server::start(kind(&name.to_string_lossy()));
        std::fs::write(
            Path::new(&std::env::var_os("ROLLBACK_TEST_HOLD_FILE").unwrap()),
            format!("{}\n{}\n", server.port(), server.directory().display()),
        )
        .unwrap();
        // Not by a print macro: the lints keep those for the program's own words.
        Command::new("echo").arg("ready").status().unwrap();
        // Until we are killed, or the parent is.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    for kind in Kind::SERVERS {
        let note = tempfile::NamedTempFile::new().unwrap();
        let mut binary = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("harness::a_killed_test_binary_leaves_nothing_behind")
            .env(MARK, format!("{kind:?}"))
            .env("ROLLBACK_TEST_HOLD_FILE", note.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(binary.stdout.take().unwrap());
        let ready = output.lines().any(|line| line.unwrap().contains("ready"));
        let text = std::fs::read_to_string(note.path()).unwrap();
        binary.kill().unwrap();
        binary.wait().unwrap();
        assert!(ready, "{kind:?} did not start: {text}");

        let mut lines = text.lines();
        let port: u16 = lines.next().unwrap().parse().unwrap();
        let directory = Path::new(lines.next().unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        while directory.exists() || TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(
                Instant::now() < deadline,
                "{kind:?} is still there: {}",
                directory.display()
            );
            sleep(Duration::from_millis(50));
        }
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
}
