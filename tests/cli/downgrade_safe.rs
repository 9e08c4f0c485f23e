//! `rollback downgrade-safe` where all goes well, and where it refuses.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Project;

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let project = Project::alembic("diamond").at("heads");
    let (bytes, files) = (project.bytes(), project.files());
    assert_snapshot!(project.run("downgrade-safe -3 --dry-run"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   e86f3a7d1c95
    Target:    -3

    Rollback plan: 3 steps, 1 of them a merge

      1. e86f3a7d1c95  Add a currency to invoices
         created 2024-01-14 04:18:31, leaves b52d08e7f41c
         low        drops column invoices.currency, which holds nothing but its default
                    [column-dropped] e86f3a7d1c95_add_a_currency_to_invoices.py:23
      2. b52d08e7f41c [MERGE]  Merge invoices and sessions
         created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17
      3. 7c1e5f0a93d2  Add invoices
         created 2024-01-11 01:15:28, leaves a4d80b2e6f17
         low        drops table invoices, which is empty
                    [table-dropped] 7c1e5f0a93d2_add_invoices.py:28

    Asked:     2 questions of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe -3
    --- stderr

    Dry run: nothing was changed.
    ");
    assert_eq!(project.bytes(), bytes);
    assert_eq!(project.files(), files);
}

#[test]
fn a_dry_run_shows_the_plan_however_quiet() {
    let project = Project::alembic("diamond").at("heads");
    let quiet = project.run("downgrade-safe -3 --dry-run -q").exits(0);
    assert_eq!(quiet.stdout, project.run("plan -3").stdout);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_run_leads_across_the_merge_one_revision_at_a_time() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("downgrade-safe -3 -y"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   e86f3a7d1c95
    Target:    -3

    Rollback plan: 3 steps, 1 of them a merge

      1. e86f3a7d1c95  Add a currency to invoices
         created 2024-01-14 04:18:31, leaves b52d08e7f41c
         low        drops column invoices.currency, which holds nothing but its default
                    [column-dropped] e86f3a7d1c95_add_a_currency_to_invoices.py:23
      2. b52d08e7f41c [MERGE]  Merge invoices and sessions
         created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17
      3. 7c1e5f0a93d2  Add invoices
         created 2024-01-11 01:15:28, leaves a4d80b2e6f17
         low        drops table invoices, which is empty
                    [table-dropped] 7c1e5f0a93d2_add_invoices.py:28

    Asked:     2 questions of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe -3
    --- stderr
    [1/3] Rolling back e86f3a7d1c95 ... Add a currency to invoices
          ✓ [TIME], now at b52d08e7f41c
    [2/3] Rolling back b52d08e7f41c [MERGE] ... Merge invoices and sessions
          ✓ [TIME], now at 7c1e5f0a93d2, a4d80b2e6f17
    [3/3] Rolling back 7c1e5f0a93d2 ... Add invoices
          ✓ [TIME], now at a4d80b2e6f17

    ✓ Rolled back 3 revisions in [TIME]
      e86f3a7d1c95  [TIME]
      b52d08e7f41c  [TIME]
      7c1e5f0a93d2  [TIME]
    Current revision: a4d80b2e6f17, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    assert_eq!(project.rows(), ["a4d80b2e6f17"]);
}

#[test]
fn colour_marks_what_happened() {
    let project = Project::alembic("diamond").at("heads");
    let run = project.run("downgrade-safe -2 -y --color always").exits(0);
    assert_snapshot!(run.stderr, @"
    {bold}[1/2]{/} Rolling back {cyan}e86f3a7d1c95{/} ... Add a currency to invoices
          {green}✓{/} [TIME], now at b52d08e7f41c
    {bold}[2/2]{/} Rolling back {cyan}b52d08e7f41c{/}{magenta} [MERGE]{/} ... Merge invoices and sessions
          {green}✓{/} [TIME], now at 7c1e5f0a93d2, a4d80b2e6f17

    {green}✓ Rolled back 2 revisions in [TIME]{/}
      e86f3a7d1c95  {dim}[TIME]{/}
      b52d08e7f41c  {dim}[TIME]{/}
    {bold}Current revision:{/} 7c1e5f0a93d2, a4d80b2e6f17, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
}

#[test]
fn quiet_says_nothing_where_all_goes_well() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("downgrade-safe -1 -y -q"), @"exit 0");
    assert_eq!(project.rows(), ["b52d08e7f41c"]);
}

#[test]
fn verbose_shows_the_engines_own_lines() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("downgrade-safe -1 -y -v").stderr, @"
    History:   5 revisions, read from the version files
    [1/1] Rolling back e86f3a7d1c95 ... Add a currency to invoices
          | INFO  [alembic.runtime.migration] Running downgrade e86f3a7d1c95 -> b52d08e7f41c, Add a currency to invoices
          ✓ [TIME], now at b52d08e7f41c
          - column invoices.currency varchar(3)

    ✓ Rolled back 1 revision in [TIME]
      e86f3a7d1c95  [TIME]
    Current revision: b52d08e7f41c, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
}

#[test]
fn nothing_but_the_database_and_the_record_is_written_to() {
    let project = Project::alembic("diamond").at("heads");
    let files = project.files();
    project.run("downgrade-safe base -y").exits(0);
    let mut left = project.files();
    left.retain(|file| !file.starts_with(".rollback"));
    assert_eq!(left, files);
    assert_eq!(project.rows(), [""; 0]);
}

#[test]
fn json_is_one_event_per_line() {
    let project = Project::alembic("diamond").at("heads");
    let run = project.run("downgrade-safe -2 -y --format json").exits(0);
    let events = run.json_lines();
    assert_eq!(
        names(&events),
        [
            "plan",
            "step_started",
            "step_finished",
            "step_started",
            "step_finished",
            "finished"
        ]
    );
    assert!(events.iter().all(|event| event["version"] == 1), "{run}");
    assert_eq!(events[0]["steps"].as_array().unwrap().len(), 2);
    assert_eq!(
        events[1],
        json!({
            "version": 1, "event": "step_started", "step": 1, "of": 2,
            "removes": "e86f3a7d1c95", "argument": "e86f3a7d1c95@b52d08e7f41c",
        })
    );
    assert_eq!(
        events[4],
        json!({
            "version": 1, "event": "step_finished", "step": 2, "of": 2,
            "removes": "b52d08e7f41c", "heads": ["7c1e5f0a93d2", "a4d80b2e6f17"], "seconds": 0.0,
        })
    );
    assert_eq!(
        events[5],
        json!({
            "version": 1, "event": "finished", "exit_code": 0,
            "current": ["7c1e5f0a93d2", "a4d80b2e6f17"],
            "removed": ["e86f3a7d1c95", "b52d08e7f41c"],
            "validated": true, "seconds": 0.0, "next": [], "diagnosis": null, "steps_done": 2,
        })
    );
}

#[test]
fn json_of_a_run_that_had_nothing_to_do_ends_like_any_other() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    for line in ["downgrade-safe b52d -y", "downgrade-safe -1 --dry-run"] {
        let events = project
            .run(&format!("{line} --format json"))
            .exits(0)
            .json_lines();
        assert_eq!(names(&events), ["plan", "finished"]);
        assert_eq!(events[1]["current"], json!(["b52d08e7f41c"]));
        assert_eq!(events[1]["removed"], json!([]));
    }
}

#[test]
fn without_a_terminal_nobody_can_say_yes() {
    let project = Project::alembic("diamond").at("heads");
    let bytes = project.bytes();
    let run = project.run("downgrade-safe -1");
    assert_snapshot!(run.stderr, @r"
    refused: not confirmed: there is no terminal to ask on
      → to run it without a question, add -y; to see the plan only, add --dry-run
    ");
    run.exits(3);
    let events = project
        .run("downgrade-safe -1 --format json")
        .exits(3)
        .json_lines();
    assert_eq!(names(&events), ["plan", "finished"]);
    assert_eq!(events[1]["exit_code"], 3);
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn without_validation_the_summary_says_so() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("downgrade-safe -2 -y --no-validate").stderr, @"
    [1/2] Rolling back e86f3a7d1c95 ... Add a currency to invoices
          ✓ [TIME], now at b52d08e7f41c
    [2/2] Rolling back b52d08e7f41c [MERGE] ... Merge invoices and sessions
          ✓ [TIME], now at 7c1e5f0a93d2, a4d80b2e6f17

    ✓ Rolled back 2 revisions in [TIME]
      e86f3a7d1c95  [TIME]
      b52d08e7f41c  [TIME]
    warning: the steps were not looked up in the database one by one (--no-validate)
    Current revision: 7c1e5f0a93d2, a4d80b2e6f17, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
}

#[test]
fn where_the_database_stands_already_there_is_nothing_to_do() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    assert_snapshot!(project.run("downgrade-safe b52d"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   b52d08e7f41c
    Target:    b52d

    Nothing to roll back: the database already stands there.
    ");
}

#[test]
fn of_two_heads_only_the_branch_that_is_named_goes_down() {
    let project = Project::alembic("two_heads").at("heads");
    assert_snapshot!(project.run("downgrade-safe bbbb1111@-1 -y"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   aaaa1111, bbbb1111
    Target:    bbbb1111@-1

    Rollback plan: 1 step

      1. bbbb1111  Head b
         created 2024-01-12 02:16:29, leaves aaaa1111
         low        drops table head_b, which is empty
                    [table-dropped] bbbb1111_head_b.py:27

    Asked:     1 question of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe bbbb1111@-1
    --- stderr
    [1/1] Rolling back bbbb1111 ... Head b
          ✓ [TIME], now at aaaa1111

    ✓ Rolled back 1 revision in [TIME]
      bbbb1111  [TIME]
    Current revision: aaaa1111, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    assert_eq!(project.rows(), ["aaaa1111"]);
}

#[test]
fn what_depends_on_a_revision_goes_before_it() {
    let project = Project::alembic("depends_on").at("heads");
    assert_snapshot!(project.run("downgrade-safe xxxx1111 -y").stderr, @"
    [1/2] Rolling back yyyy2222 ... Point from y to the code of x
          ✓ [TIME], now at xxxx2222, yyyy1111
    [2/2] Rolling back xxxx2222 ... Add a code to x
          ✓ [TIME], now at xxxx1111, yyyy1111

    ✓ Rolled back 2 revisions in [TIME]
      yyyy2222  [TIME]
      xxxx2222  [TIME]
    Current revision: xxxx1111, yyyy1111, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    assert_eq!(project.rows(), ["xxxx1111", "yyyy1111"]);
}

#[test]
fn flask_migrate_goes_down_in_the_same_way() {
    let project = Project::flask().at("heads");
    assert_snapshot!(project.run("downgrade-safe base -y -v").stderr, @"
    History:   the engine's: an application of Flask says in code where its version files are
    [1/3] Rolling back aaaa3333 ... Create the comments table
          | INFO  [alembic.runtime.migration] Running downgrade aaaa3333 -> aaaa2222, Create the comments table
          ✓ [TIME], now at aaaa2222
          - column comments.id integer not null
          - column comments.post_id integer not null
          - primary key comments (id)
          - table comments
    [2/3] Rolling back aaaa2222 ... Add an author to posts
          | INFO  [alembic.runtime.migration] Running downgrade aaaa2222 -> aaaa1111, Add an author to posts
          ✓ [TIME], now at aaaa1111
          - column posts.author varchar(80)
    [3/3] Rolling back aaaa1111 ... Create the posts table
          | INFO  [alembic.runtime.migration] Running downgrade aaaa1111 -> , Create the posts table
          ✓ [TIME], now at base
          - column posts.id integer not null
          - column posts.title varchar(80) not null
          - primary key posts (id)
          - table posts

    ✓ Rolled back 3 revisions in [TIME]
      aaaa3333  [TIME]
      aaaa2222  [TIME]
      aaaa1111  [TIME]
    Current revision: base, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    assert_eq!(project.rows(), [""; 0]);
}

/// The events' names, in order.
pub fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}
