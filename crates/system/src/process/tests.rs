use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::*;
use rollback_core::engine::{Channel, NoListener};

fn shell(script: &str) -> Invocation {
    Invocation {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: "/".into(),
        env: std::env::vars_os()
            .filter(|(name, _)| name == "PATH")
            .collect(),
        stdin: None,
        side_channel: false,
        held: None,
    }
}

fn finish(invocation: &Invocation) -> Finished {
    run(invocation, None, &Interrupt::never(), &mut |_| {}).unwrap()
}

#[test]
fn the_two_outputs_are_kept_apart_and_whole() {
    let finished = finish(&shell("echo out; echo err >&2; printf tail; exit 7"));
    assert_eq!(finished.ended, Ended::Exited(7));
    assert_eq!(finished.stdout, "out\ntail");
    assert_eq!(finished.stderr, "err\n");
}

#[test]
fn lines_come_as_they_are_printed_and_need_not_end() {
    let mut lines = Vec::new();
    let invocation = shell("printf 'one\\r\\n\\ntw\\377\\nlast'");
    run(&invocation, None, &Interrupt::never(), &mut |line| {
        lines.push(line.to_owned());
    })
    .unwrap();
    assert_eq!(lines, ["one", "", "tw\u{fffd}", "last"]);
}

/// A line must reach the caller while the child still runs: here the child waits for it.
#[test]
fn a_line_is_handed_on_before_the_child_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mut invocation = shell("echo ready; while [ ! -e \"$MARK\" ]; do sleep 0.02; done");
    invocation.env.insert("MARK".into(), mark.clone().into());
    let finished = run(&invocation, None, &Interrupt::never(), &mut |line| {
        assert_eq!(line, "ready");
        std::fs::write(&mark, "").unwrap();
    })
    .unwrap();
    assert_eq!(finished.ended, Ended::Exited(0));
}

/// Each output is larger than a pipe holds, so reading one after the other would hang.
#[test]
fn much_output_on_all_pipes_does_not_block() {
    let mut invocation = shell(
        "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; \
         echo 0123456789012345678901234567890123456789 >&2; \
         echo 0123456789012345678901234567890123456789 >&3; i=$((i+1)); done",
    );
    invocation.side_channel = true;
    let finished = finish(&invocation);
    assert_eq!(
        [
            finished.stdout.len(),
            finished.stderr.len(),
            finished.side_channel.len()
        ],
        [3000 * 41; 3]
    );
}

#[test]
fn stdin_is_empty_or_what_was_given() {
    assert_eq!(finish(&shell("cat")).stdout, "");
    let mut invocation = shell("cat");
    invocation.stdin = Some(b"x".repeat(200_000));
    assert_eq!(finish(&invocation).stdout.len(), 200_000);
    let unread = Invocation {
        args: vec!["-c".into(), "exit 3".into()],
        ..invocation
    };
    assert_eq!(finish(&unread).ended, Ended::Exited(3));
}

/// What goes through files is not collected, may be large, and is read from where the file stands, so that
/// whoever holds another copy sees how far the child is.
#[test]
fn files_take_the_place_of_pipes() {
    use std::io::Seek as _;
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    std::fs::write(&source, "x".repeat(300_000)).unwrap();
    let mut read = File::open(&source).unwrap();
    read.seek(io::SeekFrom::Start(100_000)).unwrap();
    let files = Files {
        stdin: Some(read.try_clone().unwrap().into()),
        stdout: Some(File::create(&target).unwrap().into()),
        given: None,
    };
    let finished = run_with(
        &shell("cat; echo err >&2"),
        files,
        None,
        &Interrupt::never(),
        &mut Lines(&mut |line| assert_eq!(line, "err")),
    )
    .unwrap();
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        ("", "err\n")
    );
    assert_eq!(target.metadata().unwrap().len(), 200_000);
    assert_eq!(read.stream_position().unwrap(), 300_000);
}

/// A pipe between two children ends when the first one does, because none of our copies stays open.
#[test]
fn a_pipe_that_is_given_is_read_by_its_name_and_ends() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"secret").unwrap();
    drop(writer);
    let files = Files {
        given: Some(reader.into()),
        ..Files::default()
    };
    let finished = run_with(
        &shell(&format!("cat /dev/fd/{GIVEN}")),
        files,
        None,
        &Interrupt::never(),
        &mut NoListener,
    )
    .unwrap();
    assert_eq!(finished.stdout, "secret");
}

#[test]
fn the_environment_is_replaced_and_the_side_channel_is_closed_to_others() {
    let mut invocation = shell("echo ${HOME-unset} $A; ls /dev/fd/3 >/dev/null 2>&1 || echo no");
    invocation.env.insert("A".into(), "a".into());
    assert_eq!(finish(&invocation).stdout, "unset a\nno\n");
}

/// The grandchild ignores SIGTERM's death of its parent and keeps the pipes; it must be gone.
#[test]
fn a_timeout_ends_the_whole_group() {
    let invocation = shell("sleep 1000 & echo $!; wait");
    let mut grandchild = String::new();
    let limit = Some(Duration::from_millis(200));
    let finished = run(&invocation, limit, &Interrupt::never(), &mut |line| {
        line.clone_into(&mut grandchild);
    })
    .unwrap();
    assert_eq!(finished.ended, Ended::TimedOut);
    assert!(!runs(&grandchild), "process {grandchild} survived");
}

#[test]
fn a_group_that_ignores_sigterm_is_killed() {
    let invocation = shell("trap '' TERM; sleep 1000 & echo $!; while :; do wait; done");
    let mut grandchild = String::new();
    let limit = Some(Duration::from_millis(200));
    let finished = run(&invocation, limit, &Interrupt::never(), &mut |line| {
        line.clone_into(&mut grandchild);
    })
    .unwrap();
    assert_eq!(finished.ended, Ended::TimedOut);
    assert!(!runs(&grandchild), "process {grandchild} survived");
}

#[test]
fn a_survivor_that_holds_the_pipes_does_not_hold_us() {
    let finished = finish(&shell("sleep 1000 & echo $!"));
    assert_eq!(finished.ended, Ended::Exited(0));
    let survivor = finished.stdout.trim().parse().unwrap();
    nix::sys::signal::kill(Pid::from_raw(survivor), Signal::SIGKILL).unwrap();
}

#[test]
fn the_first_signal_lets_the_child_finish() {
    let interrupt = Interrupt::never();
    let raised = interrupt.clone();
    let finished = run(
        &shell("echo go; sleep 0.2; echo done"),
        None,
        &interrupt,
        &mut |line| {
            if line == "go" {
                raised.raise();
            }
        },
    )
    .unwrap();
    assert_eq!((finished.ended, interrupt.count()), (Ended::Exited(0), 1));
    assert_eq!(finished.stdout, "go\ndone\n");
}

#[test]
fn the_second_signal_ends_the_child() {
    let interrupt = Interrupt::never();
    let raised = interrupt.clone();
    let finished = run(&shell("echo go; sleep 1000"), None, &interrupt, &mut |_| {
        raised.raise();
        raised.raise();
    })
    .unwrap();
    assert_eq!(finished.ended, Ended::Interrupted);
}

/// After the operator insisted, the state is still read; that reader must not be ended at once.
#[test]
fn a_child_started_after_the_second_signal_lives() {
    let interrupt = Interrupt::never();
    interrupt.raise();
    interrupt.raise();
    let finished = run(&shell("sleep 0.1"), None, &interrupt, &mut |_| {}).unwrap();
    assert_eq!(finished.ended, Ended::Exited(0));
}

#[test]
fn signals_that_are_over_do_not_count() {
    let interrupt = Interrupt::never();
    interrupt.raise();
    let anew = interrupt.anew();
    assert_eq!((interrupt.count(), anew.count()), (1, 0));
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    anew.on_signal(Some(Box::new(move |count| {
        listener.lock().unwrap().push(count);
    })));
    interrupt.raise();
    assert_eq!(*heard.lock().unwrap(), [1]);
    assert_eq!(anew.clone().at_once().count(), 1);
}

#[test]
fn a_command_of_somebody_is_told_for_how_it_ended() {
    let ended = |script| run_inherited(&shell(script), true, &Interrupt::never());
    assert_eq!(ended("exit 7").unwrap().0, Ended::Exited(7));
    assert_eq!(ended("kill -9 $$").unwrap().0, Ended::Signalled(9));
    let mut missing = shell("");
    missing.program = "/nowhere/program".into();
    let missing = run_inherited(&missing, false, &Interrupt::never());
    assert!(
        matches!(missing, Err(SpawnError::NotFound(_))),
        "{missing:?}"
    );
}

#[test]
fn a_foreign_signal_is_told_apart() {
    assert_eq!(finish(&shell("kill -KILL $$")).ended, Ended::Signalled(9));
}

#[test]
fn what_cannot_be_started_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    let orphan = folder.path().join("orphan");
    std::fs::write(&orphan, "#!/nowhere/python\n").unwrap();
    make_executable(&orphan);
    let start = |program: &Path, cwd: &Path| {
        let invocation = Invocation {
            program: program.into(),
            cwd: cwd.into(),
            ..shell("exit")
        };
        run(&invocation, None, &Interrupt::never(), &mut |_| {}).unwrap_err()
    };
    let missing = folder.path().join("missing");
    assert!(matches!(
        start(&missing, folder.path()),
        SpawnError::NotFound(_)
    ));
    assert!(matches!(
        start(&plain, folder.path()),
        SpawnError::NotExecutable { .. }
    ));
    assert!(matches!(
        start(&orphan, folder.path()),
        SpawnError::NotExecutable { .. }
    ));
    assert!(matches!(
        start(Path::new("/bin/sh"), &missing),
        SpawnError::WorkingDirectory(_)
    ));
}

#[test]
fn programs_are_found_as_a_shell_would() {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("tool");
    std::fs::write(&tool, "").unwrap();
    let path = Some(folder.path().as_os_str());
    assert_eq!(find_program("tool".as_ref(), Path::new("/"), path), None);
    assert_eq!(
        find_program("./tool".as_ref(), folder.path(), None).as_deref(),
        Some(&*folder.path().join("./tool"))
    );
    make_executable(&tool);
    assert_eq!(
        find_program("tool".as_ref(), Path::new("/"), path),
        Some(tool)
    );
    assert_eq!(find_program("".as_ref(), Path::new("/"), path), None);
}

fn make_executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether a process is still there after it had time to die: a signal is sent, not awaited. A zombie
/// that nobody reaps counts as gone.
fn runs(process: &str) -> bool {
    let alive = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z")
    };
    (0..100).all(|_| {
        thread::sleep(Duration::from_millis(20));
        alive()
    })
}

/// Asks for each line that it is told, until there is no answer.
struct Asking {
    told: Vec<String>,
    answers: Vec<Option<String>>,
}

impl Listener for Asking {
    fn line(&mut self, line: &str) {
        self.told.push(line.to_owned());
    }

    fn on_message(&mut self, line: &str, channel: &mut dyn Channel) {
        self.told.push(line.to_owned());
        self.answers.push(channel.request("what"));
        channel.send("go on");
    }
}

fn asked(script: &str, timeout: Option<Duration>) -> (Finished, Asking) {
    let mut invocation = shell(script);
    invocation.side_channel = true;
    let mut asking = Asking {
        told: Vec::new(),
        answers: Vec::new(),
    };
    let finished = run_heard(&invocation, timeout, &Interrupt::never(), &mut asking).unwrap();
    (finished, asking)
}

#[test]
fn a_child_that_tells_something_is_asked_and_answered() {
    let (finished, asking) = asked(
        "echo news >&3; read q <&3; echo between; echo \"$q ever\" >&3; read q <&3; echo \"$q\"",
        None,
    );
    assert_eq!(finished.ended, Ended::Exited(0));
    assert_eq!(asking.answers, [Some("what ever".to_owned())]);
    assert_eq!(asking.told[0], "news");
    assert_eq!(finished.stdout, "between\ngo on\n");
}

/// Turns red if we wait for the answer of a child that is gone, or that hangs.
#[test]
fn a_child_that_does_not_answer_is_not_waited_for_longer_than_it_lives() {
    let (finished, asking) = asked("echo news >&3; exit 7", None);
    assert_eq!(finished.ended, Ended::Exited(7));
    assert_eq!(asking.answers, [None]);
    let (finished, asking) = asked(
        "echo news >&3; exec sleep 60",
        Some(Duration::from_millis(200)),
    );
    assert_eq!(finished.ended, Ended::TimedOut);
    assert_eq!(asking.answers, [None]);
}

/// Turns red if a child that waits does not hear that nobody goes on with it, and has to be killed.
#[test]
fn a_child_that_waits_ends_by_itself_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ended");
    let mut invocation = shell(&format!(
        "echo ready >&3; cat <&3 >/dev/null; echo > {}",
        file.display()
    ));
    invocation.side_channel = true;
    let mut waiting = Waiting::start(&invocation, &Interrupt::never()).unwrap();
    let told = waiting.hear(&|line| line == "ready");
    assert_eq!(told.as_deref(), Some("ready"));
    drop(waiting);
    assert!(file.exists());
}
