//! The question, on a terminal.

use std::thread::sleep;
use std::time::Duration;

use insta::assert_snapshot;
use nix::sys::signal::Signal;
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::support::Project;

/// Starts a run on a terminal and waits until something is said.
fn started(project: &Project, line: &str, cue: &str) -> (PtySession, String) {
    let mut session = spawn_command(project.rollback(line).command(), Some(60_000)).unwrap();
    let before = session.exp_string(cue).unwrap();
    let before = shown(project, &before);
    (session, before)
}

/// Starts a run on a terminal and waits for its question.
fn asked(project: &Project, line: &str) -> PtySession {
    let (session, _) = started(project, line, "Proceed with rollback?");
    session
}

/// What is said after the answer, and the exit status.
fn answered(project: &Project, session: &mut PtySession) -> (String, i32) {
    let rest = session.exp_eof().unwrap();
    let WaitStatus::Exited(_, code) = session.process().wait().unwrap() else {
        panic!("ended by a signal:\n{rest}");
    };
    (shown(project, &rest), code)
}

/// What the terminal shows; the session hands over each byte as a character.
fn shown(project: &Project, bytes: &str) -> String {
    let bytes: Vec<u8> = bytes.chars().map(|byte| byte as u8).collect();
    project.on_screen(&String::from_utf8_lossy(&bytes))
}

#[test]
fn enter_alone_means_no() {
    let project = Project::alembic("diamond").at("heads");
    let bytes = project.bytes();
    let mut session = asked(&project, "downgrade-safe -1");
    session.send_line("").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    // The terminal of the test does not echo what is typed.
    assert_snapshot!(rest.trim_start(), @"[y/N]{/} {yellow}refused:{/} not confirmed: nothing was changed");
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn y_runs_the_plan() {
    let project = Project::alembic("diamond").at("heads");
    let mut session = asked(&project, "downgrade-safe -1");
    session.send_line("y").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("✓ Rolled back 1 revision"), "{rest}");
    assert_eq!(project.rows(), ["b52d08e7f41c"]);
}

/// Red when the end of the input is taken for Yes, or for no answer at all.
#[test]
fn ctrl_d_means_no() {
    let project = Project::alembic("diamond").at("heads");
    let bytes = project.bytes();
    let mut session = asked(&project, "downgrade-safe -1");
    session.send_control('d').unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    assert!(
        rest.contains("not confirmed: nothing was changed"),
        "{rest}"
    );
    assert_eq!(project.bytes(), bytes);
}

/// Red when anything else than y and yes is Yes, or one of them is not.
#[test]
fn only_y_and_yes_mean_yes() {
    for (typed, code) in [
        ("YES", 0),
        (" Y ", 0),
        ("yeah", 3),
        ("yy", 3),
        ("1", 3),
        ("true", 3),
    ] {
        let project = Project::alembic("diamond").at("heads");
        let mut session = asked(&project, "downgrade-safe -1");
        session.send_line(typed).unwrap();
        let (rest, ended) = answered(&project, &mut session);
        assert_eq!(ended, code, "{typed}\n{rest}");
    }
}

/// Red when a run that only waits for its answer keeps others out, or then runs a plan that is not true any more.
#[test]
fn others_run_while_somebody_thinks_and_the_answer_is_too_late_then() {
    let project = Project::alembic("diamond").at("heads");
    let mut session = asked(&project, "downgrade-safe -1");
    project.run("downgrade-safe -1 -y").exits(0);
    let rows = project.rows();
    session.send_line("y").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    assert!(rest.contains("while the plan was being read"), "{rest}");
    assert_eq!(project.rows(), rows);
    assert!(!project.root().join("app.db.rollback-lock").exists());
}

/// Red when only the version rows are looked at after the answer.
#[test]
fn a_schema_that_changed_while_somebody_thinks_is_refused() {
    let project = Project::alembic("diamond").at("heads");
    let mut session = asked(&project, "downgrade-safe -1");
    project.sql("CREATE TABLE meanwhile (i INTEGER)");
    let bytes = project.bytes();
    session.send_line("y").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    assert!(
        rest.contains("the database changed while you were reading the plan"),
        "{rest}"
    );
    assert_eq!(project.bytes(), bytes);
}

/// Red when what is at stake is not counted again: nothing was in the column when the plan was shown.
#[test]
fn a_loss_that_was_not_shown_is_refused() {
    let project = Project::alembic("diamond").at("heads");
    let mut session = asked(&project, "downgrade-safe -1");
    project.sql("INSERT INTO invoices (account_id, amount, currency) VALUES (1, 1, 'SEK')");
    let bytes = project.bytes();
    session.send_line("y").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    assert!(
        rest.contains("step 1 has column-dropped now, high"),
        "{rest}"
    );
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn ctrl_c_at_the_question_changes_nothing() {
    let project = Project::alembic("diamond").at("heads");
    let bytes = project.bytes();
    let mut session = asked(&project, "downgrade-safe -1");
    session.send_control('c').unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 130, "{rest}");
    assert!(
        rest.ends_with("\n{yellow}interrupted:{/} nothing was changed\n"),
        "{rest}"
    );
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn sigterm_at_the_question_changes_nothing() {
    let project = Project::alembic("diamond").at("heads");
    let bytes = project.bytes();
    let mut session = asked(&project, "downgrade-safe -1");
    session.process_mut().signal(Signal::SIGTERM).unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 130, "{rest}");
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn the_question_names_the_database() {
    let project = Project::alembic("diamond").at("heads");
    let (mut session, before) = started(&project, "downgrade-safe -1", "Proceed with rollback?");
    assert_snapshot!(before, @"
    {bold}Database: {/} SQLite [VERSION], file [PROJECT]/app.db
    {bold}Current:  {/} e86f3a7d1c95
    {bold}Target:   {/} -1

    {bold}Rollback plan: 1 step{/}

      1. {cyan}e86f3a7d1c95{/}  Add a currency to invoices
         {dim}created 2024-01-14 04:18:31, leaves b52d08e7f41c{/}
         {green}low        {/}drops column invoices.currency, which holds nothing but its default
                    {dim}[column-dropped] e86f3a7d1c95_add_a_currency_to_invoices.py:23{/}

    {bold}Asked:    {/} 1 question of the database in [TIME], of [TIME] allowed
    {bold}Verdict:  {/} low: loses nothing
    {bold}Next:     {/} rollback downgrade-safe -1

    1 step will run on {bold}SQLite [VERSION], file [PROJECT]/app.db{/}.
    {bold}
    ");
    session.send_control('c').unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn ctrl_c_on_a_terminal_does_not_reach_the_engine() {
    let project = Project::alembic("slow").at("2222aaaa");
    let (mut session, _) = started(&project, "downgrade-safe base -y -v", "Running downgrade");
    session.send_control('c').unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 130, "{rest}");
    assert_eq!(project.rows(), ["1111aaaa"]);
}

/// A project of production, its question asked.
fn asked_in_production() -> (Project, PtySession) {
    let project = Project::alembic("diamond")
        .at("heads")
        .file("rollback.toml", "environment = 'production'\n");
    // Nothing is lost by this step: elsewhere y and Enter would do.
    let (session, before) = started(&project, "downgrade-safe -1", "type app.db");
    assert!(before.contains("This is production."), "{before}");
    sleep(Duration::from_millis(200));
    (project, session)
}

#[test]
fn in_production_the_name_of_the_database_is_typed() {
    let (project, mut session) = asked_in_production();
    session.send_line("app.db").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 0, "{rest}");
    assert_eq!(project.rows(), ["b52d08e7f41c"]);
}

#[test]
fn what_comes_true_while_the_plan_is_read_is_refused_all_the_same() {
    let rules = "environment = 'production'\n[policy]\nmax_age = '3s'\n";
    let project = Project::alembic("diamond")
        .at("heads")
        .file("rollback.toml", rules);
    let bytes = project.bytes();
    let deployed = "downgrade-safe -1 --deployed-at 0s";
    let (mut session, _) = started(&project, deployed, "type app.db");
    sleep(Duration::from_secs(4));
    session.send_line("app.db").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    assert!(rest.contains("the release may be at most 3s old"), "{rest}");
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn in_production_y_is_no_answer() {
    let (project, mut session) = asked_in_production();
    let bytes = project.bytes();
    session.send_line("y").unwrap();
    let (rest, code) = answered(&project, &mut session);
    assert_eq!(code, 3, "{rest}");
    assert!(
        rest.contains("not confirmed: nothing was changed"),
        "{rest}"
    );
    assert_eq!(project.bytes(), bytes);
}
