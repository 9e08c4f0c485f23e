//! The process that owns a throw-away server.
//!
//! Nothing may be left behind, not even by a test binary that is killed, and Rust's test runner never
//! drops a static. So the server belongs to a shell that reads commands from a pipe: when the test
//! binary is gone, for whatever reason, the pipe ends, and the shell ends the server and removes its
//! directory. It runs as the server's user, so that nobody has to change users later.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `$1` directory, `$2` command that fills it, `$3` command that serves it, `$4` signal for an orderly
/// stop, `$5` signal for the end, `$6` what to do when the server is gone.
const SCRIPT: &str = r#"
cd "$1" || exit 1
pid=
end() {
    if [ -n "$pid" ]; then
        kill -s "$1" "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        pid=
    fi
}
clean() {
    end "$2"
    sh -c "$3" >/dev/null 2>&1
    cd / && rm -rf "$1"
    exit
}
trap 'clean "$1" "$5" "$6"' INT HUP TERM
# Whoever asked may be gone when the answer is ready.
trap : PIPE
while read -r word; do
    case $word in
        fill) sh -c "$2" >>fill.log 2>&1 </dev/null; echo $? ;;
        start) sh -c "exec $3" >>server.log 2>&1 </dev/null & pid=$!; echo "$pid" ;;
        # `jobs` buries the dead, which `kill -0` takes for living.
        alive) jobs >/dev/null; if kill -0 "$pid" 2>/dev/null; then echo yes; else echo no; fi ;;
        stop) end "$4"; echo done ;;
        kill) end KILL; echo done ;;
    esac
done
clean "$1" "$5" "$6"
"#;

/// The commands of one kind of server, for a POSIX shell in the server's directory.
pub(super) struct Commands {
    pub(super) fill: String,
    pub(super) serve: String,
    pub(super) stop_signal: &'static str,
    pub(super) end_signal: &'static str,
    pub(super) afterwards: &'static str,
}

/// A directory, its server and the shell that keeps both.
pub(super) struct ServerSupervisor {
    shell: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
}

impl ServerSupervisor {
    /// Hands `directory` over to `user`, if we are root, and starts the shell; it runs no server yet.
    pub(super) fn new(directory: PathBuf, commands: &Commands, user: Option<(u32, u32)>) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "supervisor"])
            .arg(&directory)
            .args([&commands.fill, &commands.serve])
            .args([
                commands.stop_signal,
                commands.end_signal,
                commands.afterwards,
            ])
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            // A MariaDB that starts removes the temporary tables of all others in its directory.
            .env("TMPDIR", &directory)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // A Ctrl-C on the terminal is for the test binary; we follow when it is gone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some((user, group)) = user {
            shell.uid(user).gid(group);
            give(&directory, user, group);
        }
        let mut shell = shell.spawn().expect("sh starts");
        let commands = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("stdout is a pipe"));
        Self {
            shell,
            commands,
            answers,
            directory,
        }
    }

    /// Sends one command and returns the line that answers it.
    pub(super) fn tell(&mut self, word: &str) -> String {
        let pipe = self
            .commands
            .as_mut()
            .expect("the pipe is open until the end");
        writeln!(pipe, "{word}").expect("the supervisor listens");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("the supervisor answers");
        answer.trim().to_owned()
    }

    /// Everything that the commands and the server have printed.
    pub(super) fn log(&self) -> String {
        ["fill.log", "server.log"]
            .iter()
            .map(|name| std::fs::read(self.directory.join(name)).unwrap_or_default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

impl Drop for ServerSupervisor {
    fn drop(&mut self) {
        drop(self.commands.take());
        self.shell.wait().expect("the supervisor ends");
    }
}

fn give(directory: &Path, user: u32, group: u32) {
    for entry in std::fs::read_dir(directory).expect("the directory is ours") {
        chown(
            entry.expect("the directory is ours").path(),
            Some(user),
            Some(group),
        )
        .unwrap();
    }
    chown(directory, Some(user), Some(group)).expect("root may give away its files");
}
