//! A start of the engine that is a fork of a loaded interpreter cannot be told from any other.

use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Output, Stdio};

use crate::support::Project;

/// What a program can ask of its surroundings.
const AROUND: &str = "
import os, resource, signal, sys, threading
print(sys.argv, sys.path, sys.flags, sys.executable, sys.prefix, sys.warnoptions)
print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdin.encoding)
print(os.getcwd(), os.getsid(0), os.getpgrp() != os.getpgid(os.getppid()), os.getuid(), os.umask(0))
print(sorted(one for one in os.environ.items() if one[0] != 'TEST_PRELOADED'))
print([(one.name, signal.getsignal(one)) for one in signal.valid_signals() if hasattr(one, 'name')])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), threading.active_count(), __name__, __builtins__.__name__)
print(resource.getrlimit(resource.RLIMIT_NOFILE), len(os.listdir('/proc/self/fd')), os.get_inheritable(0))
print(sys.stdin.read())
";

/// Both ways to start the same.
fn both(project: &Project, words: &[&str], extra: &[(&str, &str)]) -> [Output; 2] {
    [true, false].map(|forked| {
        let call = project.rollback("").command();
        let mut command = Command::new(project.python());
        command
            .args(words)
            .current_dir(project.root())
            .env_clear()
            .envs(
                call.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .envs(extra.iter().copied())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !forked {
            command.env_remove("TEST_PRELOADED");
        }
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a line").unwrap();
        child.wait_with_output().unwrap()
    })
}

fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(all).unwrap()
}

/// Turns red if a test would see something else than the engine that a user starts.
#[test]
fn a_fork_has_what_a_start_has() {
    let project = Project::alembic("linear");
    let script = project.python().with_file_name("alembic");
    let script = script.to_str().unwrap();
    for words in [
        &["-c", AROUND, "one", "two"][..],
        &["-c", "import sys; print('out'); sys.exit('the end')"],
        &["-c", "def f():\n    1 / 0\nf()"],
        &["-c", "import os; os.write(1, b'x'); os._exit(3)"],
        &["-c", "import os; os.kill(os.getpid(), 9)"],
        &["-c", "import os; os.kill(os.getpid(), 15)"],
        &["-c", "raise KeyboardInterrupt"],
        &["-c", "import atexit; atexit.register(print, 'at the end')"],
        &["-c", "this is no Python"],
        &["-m", "alembic", "heads"],
        &["-m", "no.such.module"],
        &[script, "nonsense"],
        &[script, "current"],
    ] {
        for extra in [&[][..], &[("PYTHONUNBUFFERED", "1"), ("TZ", "Asia/Tokyo")]] {
            let [forked, started] = both(&project, words, extra);
            assert_eq!(text(&forked), text(&started), "{words:?} {extra:?}");
            assert_eq!(
                (forked.status.code(), forked.status.signal()),
                (started.status.code(), started.status.signal()),
                "{words:?} {extra:?}"
            );
        }
    }
}

/// Turns red if the fork is used where it would hide what a test is about.
#[test]
fn a_project_that_brings_its_own_engine_is_started() {
    let project = Project::alembic("linear")
        .file("alembic/__init__.py", "print('another one')")
        .file("watch/sitecustomize.py", "print('a start')");
    let [forked, started] = both(&project, &["-c", "import alembic"], &[]);
    assert_eq!(
        (text(&forked), text(&started)),
        ("another one\n".into(), "another one\n".into())
    );
    let watch = project.root().join("watch");
    let extra = [("PYTHONPATH", watch.to_str().unwrap())];
    for output in both(&project, &["-c", ""], &extra) {
        assert_eq!(text(&output), "a start\n");
    }
}
