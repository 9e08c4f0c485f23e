//! An engine that is started once and forked for each step: it must end where a start for each step ends, whatever
//! happens to it, to the project and to us.
//!
//! Every scenario of this folder runs on both roads; here is what only the forking one can get wrong. A test runs the
//! same project on both and compares what was said, how it ended and what the database has then. It counts the
//! interpreters that were started, because steps that were not forked would prove nothing.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Project, Road, Run};

/// What every interpreter of the project runs before anything else: it writes itself down.
const AT_START: &str = "
import os
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(root, 'starts'), 'a') as starts:
    starts.write('%d\\n' % os.getpid())
";

/// What `env.py` runs before anything else: the process of the step, and the one it was forked from.
const IN_A_STEP: &str = "
import os
with open('steps', 'a') as steps:
    with open('/proc/%d/cmdline' % os.getppid()) as parent:
        forked = 'rollback' not in parent.read().split('\\0')[0]
    steps.write('%d %d\\n' % (os.getpid(), os.getppid() if forked else 0))
";

/// The engine that was started to be forked, as `pid`; nothing where there is none.
const SERVER: &str = r#"pid=$(tail -n 1 steps | cut -d ' ' -f 2); [ "$pid" != 0 ] || exit 0"#;

/// Waits until it is gone, together with the one that was started first.
const GONE: &str =
    r"until grep -q '^State:.Z' /proc/$(tail -n 1 starts)/status; do sleep 0.05; done";

/// A project whose starts and steps are counted, not yet upgraded.
fn watched(project: Project) -> Project {
    let folder = project.root().join("watch");
    let env = fs::read_to_string(project.root().join("migrations/env.py")).unwrap();
    project
        .env("PYTHONPATH", folder)
        .file("watch/sitecustomize.py", AT_START)
        .file("migrations/env.py", format!("{IN_A_STEP}\n{env}"))
}

fn linear(road: Road) -> Project {
    watched(Project::alembic("linear").on(road))
}

/// The lines that a project's processes wrote into a file of it.
fn lines(project: &Project, file: &str) -> Vec<String> {
    fs::read_to_string(project.root().join(file))
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Upgrades it, and forgets what that started.
fn ready(project: Project, revision: &str) -> Project {
    let project = project.at(revision);
    for file in ["starts", "steps"] {
        let _ = fs::remove_file(project.root().join(file));
    }
    project
}

/// A run, and what it left.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    run: Run,
    schema: Vec<String>,
    rows: Vec<String>,
    witness: Vec<String>,
}

/// How often an interpreter was started, and how many of the processes that ran `env.py` were forks.
#[derive(Debug, PartialEq, Eq)]
struct Effort {
    starts: usize,
    forks: usize,
}

fn effort(project: &Project) -> Effort {
    Effort {
        starts: lines(project, "starts").len(),
        forks: lines(project, "steps")
            .iter()
            .filter(|line| !line.ends_with(" 0"))
            .count(),
    }
}

fn outcome(project: &Project, line: &str) -> (Outcome, Effort) {
    let run = project.run(line);
    let effort = effort(project);
    let outcome = Outcome {
        run,
        schema: project.sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"),
        rows: project.rows(),
        witness: lines(project, "witness"),
    };
    (outcome, effort)
}

/// Runs a line on both roads and compares. What it took on the forking one, and what came of it.
#[track_caller]
fn alike(project: impl Fn(Road) -> Project, line: &str) -> (Effort, Outcome) {
    let (warm, effort) = outcome(&project(Road::Warm), line);
    let (plain, plainly) = outcome(&project(Road::Plain), line);
    assert_eq!(warm, plain);
    assert_eq!(plainly.forks, 0, "the plain road forks nothing");
    (effort, warm)
}

/// A check of the project after each step, which a script is.
fn after_each_step(project: Project, script: &str) -> Project {
    project.file("between.sh", script).file(
        "rollback.toml",
        "[[check]]\nname = 'between'\nwhen = 'after_step'\ncommand = 'sh between.sh'\n",
    )
}

/// The same, after the first step only.
fn after_the_first_step(project: Project, script: &str) -> Project {
    let script = format!("[ ! -e changed ] || exit 0\n: > changed\nset -e\n{script}\n");
    after_each_step(project, &script)
}

const ORDERS: &str = "migrations/versions/3c4d5e6f7a03_create_the_orders_table.py";
const EMAIL: &str = "migrations/versions/2b3c4d5e6f02_add_an_email_address_to_customers.py";
const CUSTOMERS: &str = "migrations/versions/1a2b3c4d5e01_create_the_customers_table.py";

/// Turns red if a step is not forked, or the engine is started more than once.
#[test]
fn one_start_is_enough_for_all_steps() {
    for python in ["alembic-current", "alembic-1.13", "alembic-1.6"] {
        let (effort, outcome) = alike(
            |road| {
                ready(
                    watched(Project::alembic_of(python, "linear").on(road)),
                    "heads",
                )
            },
            "downgrade-safe base -y",
        );
        assert_eq!(outcome.run.code, Some(0), "{python}\n{}", outcome.run);
        assert_eq!(
            effort,
            Effort {
                starts: 1,
                forks: 6
            },
            "{python}"
        );
    }
}

/// Turns red if the application is built for each step.
#[test]
fn an_application_of_flask_is_built_once() {
    let (effort, outcome) = alike(
        |road| ready(watched(Project::flask().on(road)), "heads"),
        "downgrade-safe base -y",
    );
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
    assert_eq!(
        effort,
        Effort {
            starts: 1,
            forks: 4
        }
    );
}

/// Turns red if the operator's word is not heard.
#[test]
fn with_never_each_step_is_a_start() {
    for (line, variable) in [
        ("--warm never", "auto"),
        ("", "never"),
        ("--warm auto", "auto"),
    ] {
        let project = ready(linear(Road::Warm), "2b3c4d5e6f02");
        project
            .rollback(&format!("downgrade-safe base -y {line}"))
            .env("ROLLBACK_WARM", variable)
            .run()
            .exits(0);
        let forked = line.ends_with("auto");
        assert_eq!(effort(&project).forks > 0, forked, "{line} {variable}");
        assert_eq!(effort(&project).starts, if forked { 1 } else { 3 });
    }
}

/// What changes between two steps, and whether a fork has to know of it to end where a start ends.
const CHANGES: [(&str, &str); 10] = [
    (
        "the text of a downgrade",
        "sed -i 's/op.drop_column(/op.execute(\"CREATE TABLE edited (i int)\"); &/' EMAIL",
    ),
    (
        "the text of a downgrade, as long and as old as before",
        "cp -p EMAIL kept
         sed -i 's/op.drop_column(\"customers\", \"email\")/op.execute(\"CREATE TABLE a (i int)\")/' EMAIL
         touch -r kept EMAIL",
    ),
    (
        "what a revision comes after",
        "sed -i 's/^down_revision = .*/down_revision = None/' EMAIL",
    ),
    (
        "a revision more",
        "sed 's/1a2b3c4d5e01/0123456789ab/' CUSTOMERS > migrations/versions/new.py
         echo 'open(\"witness\", \"a\").write(\"new\\n\")' >> migrations/versions/new.py",
    ),
    (
        "a file that cannot be read",
        "echo 'this is no Python' > migrations/versions/new.py",
    ),
    ("a revision less", "rm CUSTOMERS"),
    (
        "env.py",
        "echo 'open(\"witness\", \"a\").write(\"edited\\n\")' >> migrations/env.py",
    ),
    (
        "alembic.ini",
        "cp app.db other.db; sed -i 's/app.db/other.db/' alembic.ini",
    ),
    ("a module of the project", "echo 'VALUE = \"new\"' > settings.py"),
    (".env", "echo 'new' > .env"),
];

/// Turns red if a fork goes on with what was true before the first step.
#[test]
fn what_changes_between_two_steps_counts_from_the_next_one_on() {
    for (what, script) in CHANGES {
        let script = script
            .replace("EMAIL", EMAIL)
            .replace("CUSTOMERS", CUSTOMERS);
        let (effort, outcome) = alike(
            |road| {
                let reads = "import sys; sys.path.insert(0, '.')\n\
                             import settings\n\
                             with open('witness', 'a') as witness:\n    \
                                 print(settings.VALUE, open('.env').read().strip(), file=witness)\n";
                let project = linear(road)
                    .file("settings.py", "VALUE = 'old'\n")
                    .file(".env", "old\n")
                    .edit(
                        "migrations/env.py",
                        "config = context.config\n",
                        &format!("{reads}config = context.config\n"),
                    );
                let project = after_the_first_step(ready(project, "3c4d5e6f7a03"), &script);
                let _ = fs::remove_file(project.root().join("witness"));
                project
            },
            "downgrade-safe base -y",
        );
        assert!(effort.forks > 0, "{what}: nothing was forked");
        assert!(
            outcome.run.stderr.contains("[2/3]"),
            "{what}\n{}",
            outcome.run
        );
    }
}

/// Turns red if the run counts on an engine that is not there any more, or waits for it without end.
#[test]
fn an_engine_that_dies_or_stops_between_two_steps_is_done_without() {
    for signal in ["KILL", "TERM", "STOP"] {
        let (effort, outcome) = alike(
            |road| {
                let project = ready(linear(road), "3c4d5e6f7a03");
                let script = format!("{SERVER}\nkill -s {signal} $pid\n");
                let gone = if signal == "STOP" { "" } else { GONE };
                after_each_step(project, &format!("{script}{gone}"))
            },
            "downgrade-safe base -y",
        );
        assert_eq!(outcome.run.code, Some(0), "{signal}\n{}", outcome.run);
        assert!(effort.forks > 0, "{signal}: nothing was forked");
        assert_eq!(effort.starts > 1, signal != "STOP", "{signal}: {effort:?}");
    }
}

/// What an engine may do at its start that forbids to fork it.
const UNSOUND: [(&str, &str); 3] = [
    (
        "a thread",
        "import threading, time\n\
         threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n",
    ),
    (
        "a connection",
        "import socket\nheld = socket.socketpair()\n",
    ),
    (
        "a database",
        "import sqlite3\nheld = sqlite3.connect(os.path.join(root, 'app.db'))\nheld.execute('SELECT 1 FROM sqlite_master')\n",
    ),
];

/// Turns red if an engine is forked that has a thread or a connection.
#[test]
fn an_engine_that_cannot_be_forked_is_started_for_each_step() {
    for (what, at_start) in UNSOUND {
        let (effort, outcome) = alike(
            |road| {
                let project = ready(linear(road), "2b3c4d5e6f02");
                project.file("watch/sitecustomize.py", format!("{AT_START}{at_start}"))
            },
            "downgrade-safe base -y",
        );
        assert_eq!(outcome.run.code, Some(0), "{what}\n{}", outcome.run);
        assert_eq!(
            effort,
            Effort {
                starts: 4,
                forks: 0
            },
            "{what}"
        );
    }
}

/// What a process can find out about itself.
const SURROUNDINGS: &str = r#"
def surroundings():
    import fcntl, json, locale, os, resource, signal, stat, sys, threading
    def kind(number):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            return None
        name = os.readlink("/proc/self/fd/%d" % number)
        inherited = os.get_inheritable(number)
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        return [stat.filemode(mode)[0], name if name.startswith("/") else "", inherited, flags]
    handlers = {}
    for number in range(1, 65):
        try:
            handlers[number] = str(signal.getsignal(number)).split(" at ")[0]
        except ValueError:
            pass
    with open("/proc/self/status") as status:
        masks = [line.split() for line in status if line.startswith(("Sig", "Shd", "NoNewPrivs", "Umask", "Groups"))]
    told = {
        "argv": sys.argv,
        "environment": sorted(os.environ.items()),
        "directory": os.getcwd(),
        "stdin": sys.stdin.read(),
        "descriptors": {number: kind(number) for number in range(5) if kind(number)},
        # Whatever the tests beside this one leave open in it is inherited as well, by any number.
        "files": sorted(str(kind(number)) for number in range(5, 64) if kind(number) and not kind(number)[2]),
        "leads its group": os.getpgid(0) == os.getpid(),
        "session": os.getsid(0) == os.getsid(os.getppid()),
        "handlers": handlers,
        "masks": [mask for mask in masks if mask[0] != "SigQ:"],
        "limits": [resource.getrlimit(number) for number in range(16)],
        "nice": os.nice(0),
        "threads": [type(thread).__name__ for thread in threading.enumerate()],
        "path": sys.path,
        "flags": str(sys.flags),
        "main": [sys.modules["__main__"].__name__, getattr(sys.modules["__main__"], "__file__", None)],
        "streams": [[stream.name, stream.encoding, stream.errors, stream.line_buffering] for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "locale": locale.setlocale(locale.LC_ALL),
        "recursion": sys.getrecursionlimit(),
        "switch": sys.getswitchinterval(),
        "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__],
        "terminal": [os.isatty(number) for number in range(3)],
    }
    with open("surroundings", "a") as file:
        for name, value in told.items():
            print(name, json.dumps(value), file=file)

"#;

/// Turns red if a fork can be told from a start by what a migration sees around itself.
#[test]
fn a_migration_finds_the_same_around_itself_on_both_roads() {
    let told = Road::BOTH.map(|road| {
        let project = ready(linear(road), "2b3c4d5e6f02").edit(
            EMAIL,
            "def downgrade():\n",
            &format!("{SURROUNDINGS}\ndef downgrade():\n    surroundings()\n"),
        );
        project.run("downgrade-safe -1 -y").exits(0);
        assert_eq!(effort(&project).forks > 0, road == Road::Warm);
        let text = fs::read_to_string(project.root().join("surroundings")).unwrap();
        let setting = |word: &str| format!("[\"ROLLBACK_WARM\", \"{word}\"]");
        let text = text.replace(&setting(road.setting()), &setting("ROAD"));
        let run = regex::Regex::new(r"runs/[^/]*/").unwrap();
        project.on_screen(&run.replace_all(&text, "runs/[RUN]/"))
    });
    let [warm, plain] = told.each_ref().map(|text| text.lines().collect::<Vec<_>>());
    assert!(plain.len() > 15, "{plain:#?}");
    for (warm, plain) in warm.iter().zip(&plain) {
        assert_eq!(warm, plain);
    }
    assert_eq!(warm.len(), plain.len());
}

/// Turns red if a step sees what another one did to the interpreter.
#[test]
fn no_step_sees_what_another_one_did_to_its_interpreter() {
    let marks = "
def downgrade():
    import builtins, os, sys, sqlalchemy, random
    with open('witness', 'a') as witness:
        for place in (builtins, sys, sqlalchemy, op):
            print(getattr(place, 'rollback_was_here', 'clean'), file=witness)
            place.rollback_was_here = 'seen'
        print(os.environ.get('ROLLBACK_WAS_HERE', 'clean'), os.getcwd().endswith('project'), file=witness)
    os.environ['ROLLBACK_WAS_HERE'] = 'seen'
";
    let (effort, outcome) = alike(
        |road| {
            [EMAIL, CUSTOMERS].into_iter().fold(
                ready(linear(road), "2b3c4d5e6f02"),
                |project, file| {
                    project.edit(
                        file,
                        "def downgrade():\n",
                        &format!("{marks}    os.chdir('/')\n"),
                    )
                },
            )
        },
        "downgrade-safe base -y",
    );
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
    assert_eq!(outcome.witness.len(), 10);
    assert!(
        !outcome.witness.iter().any(|line| line.contains("seen")),
        "{outcome:?}"
    );
    assert_eq!(
        effort,
        Effort {
            starts: 1,
            forks: 3
        }
    );
}

/// Turns red if a version file is not run as often and with as much around it as in a process of its own.
#[test]
fn version_files_and_env_py_may_compute_what_they_like_when_they_are_imported() {
    let (effort, outcome) = alike(
        |road| {
            let at_import = "from alembic import context\n\
                             X = context.get_x_argument(as_dictionary=True)\n\
                             URL = context.config.get_main_option('sqlalchemy.url')\n\
                             def downgrade():\n    \
                                 open('witness', 'a').write('%s %s\\n' % (X, URL.endswith('app.db')))\n";
            let computes = "import random, uuid\n\
                            tables = sorted('abc', key=lambda letter: random.random())\n\
                            context.config.attributes['id'] = str(uuid.uuid4())\n\
                            with open('ids', 'a') as ids:\n    print(context.config.attributes['id'], random.random(), file=ids)\n";
            let project = linear(road)
                .edit(
                    "migrations/env.py",
                    "config = context.config\n",
                    &format!("config = context.config\n{computes}"),
                )
                .edit(EMAIL, "def downgrade():\n", at_import);
            ready(project, "2b3c4d5e6f02")
        },
        "downgrade-safe base -y -x tenant=eu",
    );
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
    assert_eq!(outcome.witness, ["{'tenant': 'eu'} True"]);
    assert!(effort.forks > 0);
}

/// What a version file does to what all share, and another one counts on: Alembic loads every one of them in each process.
const REGISTERS: &str = "
from alembic.operations import MigrateOperation, Operations


@Operations.register_operation('take_note')
class TakeNote(MigrateOperation):
    @classmethod
    def take_note(cls, operations):
        return operations.invoke(cls())


@Operations.implementation_for(TakeNote)
def take_note(operations, operation):
    operations.execute('CREATE TABLE noted (i int)')


def downgrade():
";

/// Turns red if a step can do less than it could where all version files were run.
#[test]
fn a_version_file_may_count_on_what_another_one_does_when_it_is_imported() {
    // By itself, and by a module of the project.
    for by_a_module in [false, true] {
        let (effort, outcome) = alike(
            |road| {
                let project = linear(road);
                let project = if by_a_module {
                    let (module, _) = REGISTERS.split_once("\n\ndef downgrade").unwrap();
                    let imports = "import os, sys\nsys.path.append(os.getcwd())\nimport registers\n\ndef downgrade():\n";
                    project
                        .file("registers.py", module)
                        .edit(ORDERS, "def downgrade():\n", imports)
                } else {
                    project.edit(ORDERS, "def downgrade():\n", REGISTERS)
                };
                let project = project.edit(
                    EMAIL,
                    "def downgrade():\n",
                    "def downgrade():\n    op.take_note()\n",
                );
                ready(project, "2b3c4d5e6f02")
            },
            "downgrade-safe base -y --allow all",
        );
        assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
        assert!(outcome.schema.iter().any(|line| line.contains("noted")));
        assert!(effort.forks > 0);
    }
}

/// Turns red if two forks are handed the same chance.
#[test]
fn each_step_has_chances_of_its_own() {
    let draws = "import random, uuid, tempfile, secrets\n\
                 for drawn in (random.random(), uuid.uuid4(), next(tempfile._get_candidate_names()), secrets.token_hex()):\n    \
                     open('drawn', 'a').write('%s\\n' % drawn)\n";
    let project = linear(Road::Warm).edit(
        "migrations/env.py",
        "config = context.config\n",
        &format!("{draws}config = context.config\n"),
    );
    let project = ready(project, "2b3c4d5e6f02");
    let _ = fs::remove_file(project.root().join("drawn"));
    project.run("downgrade-safe base -y").exits(0);
    assert!(effort(&project).forks > 1);
    let mut drawn = lines(&project, "drawn");
    assert_eq!(drawn.len(), 12);
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 12, "{drawn:?}");
}

/// A downgrade that writes down that it began, and waits until it may go on.
const SLOW: &str = "
def downgrade():
    import os, time
    with open('at_work', 'w') as file:
        file.write('%d %d\\n' % (os.getpid(), os.getppid()))
    for _ in range(6000):
        if os.path.exists('go'):
            break
        time.sleep(0.01)
";

fn slow(road: Road) -> Project {
    ready(linear(road), "3c4d5e6f7a03").edit(ORDERS, "def downgrade():\n", SLOW)
}

/// Starts a run and waits until its first step is at work: the step's process, and its parent.
fn at_work(project: &Project, line: &str) -> (Child, [Pid; 2]) {
    let child = project.rollback(line).piped().spawn().unwrap();
    let file = project.root().join("at_work");
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut told = String::new();
    while !told.ends_with('\n') {
        assert!(Instant::now() < deadline, "no step began");
        sleep(Duration::from_millis(10));
        told = fs::read_to_string(&file).unwrap_or_default();
    }
    let ids: Vec<i32> = told
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    (child, [Pid::from_raw(ids[0]), Pid::from_raw(ids[1])])
}

fn lives(process: Pid) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    // A dead one that nobody has buried is not alive.
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// Turns red if a step is told as done or undone that nobody knows the end of, or its process is left.
#[test]
fn an_engine_that_dies_during_a_step_is_met_by_a_look_at_the_database() {
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        let project = slow(Road::Warm);
        let (child, [_, server]) = at_work(&project, "downgrade-safe base -y");
        assert_ne!(server.as_raw(), child.id().cast_signed(), "no fork");
        kill(server, signal).unwrap();
        let project = project.file("go", "");
        let run = project.told(&child.wait_with_output().unwrap());
        // Whatever was made of it: what it says is so, and it can be gone on with.
        let rows = project.rows();
        match run.code {
            Some(0) => assert_eq!(rows, [""; 0], "{run}"),
            Some(4 | 5) => {
                let said = rows.first().map_or("base", String::as_str);
                assert!(
                    run.stderr.contains(&format!("Current revision: {said}")),
                    "{run}"
                );
                project.run("downgrade-safe --resume -y").exits(0);
                assert_eq!(project.rows(), [""; 0], "{run}");
            }
            _ => panic!("{run}"),
        }
        assert!(!lives(server), "{signal}\n{run}");
    }
}

/// Turns red if the engine that is forked lives longer than the run that was killed, or the step does not.
#[test]
fn when_the_run_is_killed_the_step_goes_on_alone_and_holds_the_lock() {
    let project = slow(Road::Warm);
    let (mut child, [step, server]) = at_work(&project, "downgrade-safe base -y");
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while lives(server) {
        assert!(
            Instant::now() < deadline,
            "the engine that is forked is left"
        );
        sleep(Duration::from_millis(5));
    }
    let refused = project.run("downgrade-safe --resume -y").exits(6);
    assert!(refused.stderr.contains("is still at work"), "{refused}");
    let project = project.file("go", "");
    while lives(step) {
        assert!(Instant::now() < deadline, "the step does not end");
        sleep(Duration::from_millis(20));
    }
    assert_eq!(project.rows(), ["2b3c4d5e6f02"]);
    project.run("downgrade-safe --resume -y").exits(0);
    assert_eq!(project.rows(), [""; 0]);
}

/// Turns red if what a step has started outlives a time limit.
#[test]
fn a_time_limit_ends_the_whole_group_of_a_fork() {
    let starts_more = "
def downgrade():
    import subprocess
    subprocess.Popen(['sleep', '600'])
    subprocess.run(['sleep', '600'])
";
    let (effort, outcome) = alike(
        |road| ready(linear(road), "3c4d5e6f7a03").edit(ORDERS, "def downgrade():\n", starts_more),
        "downgrade-safe base -y --timeout 6s",
    );
    // That nothing is left is looked at where each project ends.
    assert_eq!(outcome.run.code, Some(4), "{}", outcome.run);
    assert!(
        outcome.run.stderr.contains("the time limit of 6 s"),
        "{}",
        outcome.run
    );
    assert!(effort.forks > 0);
}

/// Turns red if a question that nobody answers keeps an engine, or one is left where the run ends before its steps.
#[test]
fn a_run_that_ends_before_its_first_step_leaves_no_engine() {
    for (line, code) in [
        ("downgrade-safe base", 3),
        ("downgrade-safe base -y", 3),
        ("downgrade-safe nonsense -y", 1),
    ] {
        let fails = "[[check]]\nname = 'no'\nwhen = 'before'\ncommand = 'false'\n";
        let project = ready(linear(Road::Warm), "2b3c4d5e6f02").file("rollback.toml", fails);
        let bytes = project.bytes();
        let run = project.run(line);
        assert_eq!(run.code, Some(code), "{run}");
        assert_eq!(project.bytes(), bytes, "{run}");
    }
}

/// Turns red if a plan or a dry run starts an engine to be forked.
#[test]
fn nothing_is_forked_where_no_step_is_run() {
    for line in ["plan base", "downgrade-safe base --dry-run", "current"] {
        let project = ready(linear(Road::Warm), "2b3c4d5e6f02");
        project.run(line).exits(0);
        assert_eq!(effort(&project).forks, 0, "{line}");
    }
}

/// Turns red if an engine whose start hangs is waited for without end where a signal asks to stop.
#[test]
fn an_engine_that_hangs_while_it_is_imported_can_be_given_up() {
    let told = Road::BOTH.map(|road| {
        let hangs = format!("{AT_START}import time\ntime.sleep(600)\n");
        let project = ready(linear(road), "2b3c4d5e6f02").file("watch/sitecustomize.py", hangs);
        let bytes = project.bytes();
        let child = project
            .rollback("downgrade-safe base -y")
            .piped()
            .spawn()
            .unwrap();
        while lines(&project, "starts").is_empty() {
            sleep(Duration::from_millis(20));
        }
        let id = Pid::from_raw(child.id().cast_signed());
        kill(id, Signal::SIGINT).unwrap();
        let run = project.told(&child.wait_with_output().unwrap());
        assert_eq!(project.bytes(), bytes);
        run
    });
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].code, Some(130), "{}", told[0]);
}
