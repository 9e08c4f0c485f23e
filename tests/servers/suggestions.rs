//! What an output suggests on a server, run there in the situation that suggested it. The situations that need no
//! server are in `tests/cli/suggestions`.

use std::any::Any;

use regex::Regex;
use rollback_core::lock::{LockOwner, Locked, Operator};

use crate::project::{Project, refusal, suggested};
use crate::session::Session;
use crate::support::{Kind, PASSWORD, TestDatabase};
use crate::walk::upgraded;

/// What keeps a call from its end, and goes with it.
type Meanwhile = Box<dyn Any>;

/// A call in a project at its head, what is so meanwhile, what it exits with, and what each command that it suggests
/// comes to.
struct Situation {
    call: &'static str,
    meanwhile: fn(&TestDatabase<'_>) -> Meanwhile,
    /// The fault point that kills a run before the call.
    killed_at: Option<&'static str>,
    exits: i32,
    suggests: &'static [(&'static str, i32)],
}

impl Situation {
    fn make(&self, database: &TestDatabase<'_>) -> (Project, String, Vec<String>) {
        let project = upgraded("linear", database);
        if let Some(point) = self.killed_at {
            let run = project
                .rollback("downgrade-safe -3 -y")
                .env("ROLLBACK_FAULT_POINT", point)
                .run();
            assert_eq!(run.code, None, "{run}");
        }
        let meanwhile = (self.meanwhile)(database);
        let output = project.rollback(self.call).piped().output().unwrap();
        drop(meanwhile);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(
            output.status.code(),
            Some(self.exits),
            "{}:\n{text}",
            self.call
        );
        (project, refusal(&text), suggested(&text))
    }

    fn holds(&self) {
        let id = Regex::new(r"\b\d{8}T\d{6}Z-\d+(-\d+)?\b").unwrap();
        for kind in Kind::SERVERS {
            for (number, (_, exits)) in self.suggests.iter().enumerate() {
                let database = TestDatabase::create(kind);
                let (project, refused, commands) = self.make(&database);
                let told = commands
                    .iter()
                    .map(|command| id.replace_all(command, "[ID]"));
                let told: Vec<_> = told.collect();
                let meant: Vec<&str> = self.suggests.iter().map(|(command, _)| *command).collect();
                assert_eq!(told, meant, "{kind:?}, `{}`", self.call);
                let command = match commands[number].strip_prefix("+ ") {
                    Some(options) => format!("rollback {} {options}", self.call),
                    None => commands[number].clone(),
                };
                let (screen, code) = project.on_a_terminal(&command, database.name());
                assert_eq!(code, *exits, "{kind:?}, {command}:\n{screen}");
                let again = refusal(&screen);
                assert!(
                    again.is_empty() || again != refused,
                    "{kind:?}, {command}:\n{screen}"
                );
            }
        }
    }
}

fn nobody(_: &TestDatabase<'_>) -> Meanwhile {
    Box::new(())
}

/// Red if a step that waited for a lock cannot be resumed by what the run suggests.
#[test]
fn a_lock_of_another_session_on_a_table() {
    Situation {
        call: "downgrade-safe -1 -y --lock-timeout 2s",
        meanwhile: |database| {
            let mut session = Session::of(database);
            session.execute("BEGIN");
            session.one("SELECT 'kept ' FROM orders UNION ALL SELECT 'read'");
            Box::new(session)
        },
        killed_at: None,
        exits: 4,
        suggests: &[
            ("rollback downgrade-safe -1", 3),
            ("rollback resume --lock-timeout 2s", 0),
            ("rollback abandon", 0),
        ],
    }
    .holds();
}

/// Red if the refusal of a second run suggests what does not work once the first has ended.
#[test]
fn a_lock_of_another_run() {
    Situation {
        call: "downgrade-safe -1 -y",
        meanwhile: |database| {
            let operator = Operator {
                user: "ada".to_owned(),
                host: "build-7".to_owned(),
                pid: 4711,
            };
            let mut held = database.open();
            let claim = LockOwner::new(
                "20261121T040000Z-4711",
                &operator,
                std::time::SystemTime::now(),
            );
            let locked = held.lock(&claim);
            assert!(matches!(locked, Ok(Locked::Taken)), "{locked:?}");
            Box::new(held)
        },
        killed_at: None,
        exits: 6,
        suggests: &[("+ --wait 10m", 0), ("rollback current", 0)],
    }
    .holds();
}

/// Red if `current` does not show the run, or its command does not resume it.
#[test]
fn what_is_current_after_a_run_was_killed() {
    Situation {
        call: "current --format json",
        meanwhile: nobody,
        killed_at: Some("after_engine:2"),
        exits: 0,
        suggests: &[("rollback resume", 0), ("rollback abandon", 0)],
    }
    .holds();
}

/// Red if the backup before a run cannot be restored by what the run suggests.
#[test]
fn a_backup_before_a_run() {
    Situation {
        call: "downgrade-safe -1 -y --backup",
        meanwhile: nobody,
        killed_at: None,
        exits: 0,
        suggests: &[
            ("rollback downgrade-safe -1", 0),
            ("rollback restore [ID]", 0),
        ],
    }
    .holds();
}

/// Red if a URL is left out of a command, which may then lead to another database, or its password is shown.
#[test]
fn a_url_with_a_password_is_suggested_without_it() {
    let password = Regex::new(r":[^:@/]+@").unwrap();
    for kind in Kind::SERVERS {
        let database = TestDatabase::create(kind);
        let project = upgraded("linear", &database);
        let url = database.url();
        let call = format!("--database-url {url} plan -1");
        let output = project.rollback(&call).piped().output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let masked = password.replace(&url, ":***@");
        assert_ne!(masked, url);
        let words = [
            "rollback",
            "--database-url",
            &masked,
            "downgrade-safe",
            "-1",
        ];
        let command = shlex::try_join(words).unwrap();
        assert!(text.contains(&command), "{kind:?}: no {command}\n{text}");
        let given = password.find(&url).unwrap().as_str();
        for password in [given, PASSWORD] {
            assert!(!text.contains(password), "{kind:?}\n{text}");
        }
        assert!(suggested(&text).is_empty(), "{kind:?}\n{text}");
    }
}
