//! `rollback downgrade-safe` where a step goes wrong: what it says, and how it exits.

use insta::assert_snapshot;
use serde_json::json;

use crate::downgrade_safe::names;
use crate::support::Project;

#[test]
fn a_step_that_fails_halfway_names_what_is_gone() {
    let project = Project::alembic("failing").at("heads");
    let run = project.run("downgrade-safe base -y --allow-failing");
    assert_snapshot!(run.stderr, @r#"
    [1/5] Rolling back 5555aaaa ... Create the fifth table
          ✓ [TIME], now at 4444aaaa
    [2/5] Rolling back 4444aaaa ... Create the fourth table
          ✓ [TIME], now at 3333aaaa
    [3/5] Rolling back 3333aaaa ... Create the table that cannot be undone

    Rolled back:
      5555aaaa  [TIME]
      4444aaaa  [TIME]

    failed: step 3 of 5, 3333aaaa: the engine exited with status 1
      $ alembic downgrade 3333aaaa@2222aaaa
      the engine printed nothing on stdout
      the engine's stderr:
      | INFO  [alembic.runtime.migration] Running downgrade 3333aaaa -> 2222aaaa, Create the table that cannot be undone
      | Traceback (most recent call last):
      |   [FRAMES]
      | sqlite3.OperationalError: no such table: never_created
      | 
      | The above exception was the direct cause of the following exception:
      | 
      | Traceback (most recent call last):
      |   [FRAMES]
      |   File "[PROJECT]/migrations/env.py", line 31, in <module>
      |     run_migrations_online()
      |   File "[PROJECT]/migrations/env.py", line 25, in run_migrations_online
      |     context.run_migrations()
      |   [FRAMES]
      |   File "[PROJECT]/migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py", line 28, in downgrade
      |     op.drop_table("never_created")
      |   [FRAMES]
      | sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: never_created
      | [SQL: 
      | DROP TABLE never_created]
      | (Background on this error at: https://sqlalche.me/e/[VERSION]/e3q8)
      Reason:   sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: never_created
      Cause:    table never_created does not exist
      Meaning:  The step counts on something that an earlier step of this rollback, a later revision or a person has removed.
      File:     [PROJECT]/migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py
      Database: half done: the version table is as before this step, the schema is not
                gone: column e1b.id integer not null
                gone: column e1b.name varchar(80) not null
                gone: primary key e1b (id)
                gone: table e1b
      Done:     2 of 5 steps rolled back before it
    Current revision: 3333aaaa, read from the database
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → find out what removed it: grep -rn never_created in the folder of the migrations
      → make it by hand, or correct the downgrade of 3333aaaa
      → bring the schema back to what it was before the step, by hand or from a backup: as it is, the step would fail on it again
      → then: rollback resume
      → to leave it here: rollback abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    "#);
    run.exits(5);
    assert_eq!(project.rows(), ["3333aaaa"]);
}

#[test]
fn a_failure_is_marked_in_colour() {
    let project = Project::alembic("no_downgrade").at("aaaa2222");
    let run = project.run("downgrade-safe -1 -y --allow-failing --color always");
    assert_snapshot!(run.stderr, @r#"
    {bold}[1/1]{/} Rolling back {cyan}aaaa2222{/} ... Hash the names

    {red}failed:{/} step 1 of 1, aaaa2222: the engine exited with status 1
    {dim}  $ alembic downgrade aaaa2222@aaaa1111{/}
    {dim}  the engine printed nothing on stdout{/}
    {dim}  the engine's stderr:{/}
      | INFO  [alembic.runtime.migration] Running downgrade aaaa2222 -> aaaa1111, Hash the names
      | Traceback (most recent call last):
      |   [FRAMES]
      |   File "[PROJECT]/migrations/env.py", line 31, in <module>
      |     run_migrations_online()
      |   File "[PROJECT]/migrations/env.py", line 25, in run_migrations_online
      |     context.run_migrations()
      |   [FRAMES]
      |   File "[PROJECT]/migrations/versions/aaaa2222_hash_the_names.py", line 23, in downgrade
      |     raise NotImplementedError("the names cannot be restored")
      | NotImplementedError: the names cannot be restored
      {bold}Reason:  {/} NotImplementedError: the names cannot be restored
      {bold}Cause:   {/} the migration itself refuses at aaaa2222_hash_the_names.py:23
      {bold}Meaning: {/} Whoever wrote the migration meant this.
      {bold}File:    {/} [PROJECT]/migrations/versions/aaaa2222_hash_the_names.py
      {bold}Database:{/} unchanged by this step: version table, schema and rows are as before
      {bold}Done:    {/} 0 of 1 step rolled back before it
    {bold}Current revision:{/} aaaa2222, read from the database
      {bold}Record:  {/} [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      {cyan}→{/} to get past it, go back to a backup from before the upgrade, or mend the downgrade
      {cyan}→{/} mend the cause, then: rollback resume
      {cyan}→{/} to leave it here: rollback abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    "#);
}

#[test]
fn a_step_that_refuses_before_it_does_anything_leaves_the_last_good_revision() {
    let project = Project::alembic("no_downgrade").at("aaaa3333");
    let run = project.run("downgrade-safe -3 -y --allow-failing");
    assert_snapshot!(run.stderr, @r#"
    [1/3] Rolling back aaaa3333 ... Fill in a default
          ✓ [TIME], now at aaaa2222
    [2/3] Rolling back aaaa2222 ... Hash the names

    Rolled back:
      aaaa3333  [TIME]

    failed: step 2 of 3, aaaa2222: the engine exited with status 1
      $ alembic downgrade aaaa2222@aaaa1111
      the engine printed nothing on stdout
      the engine's stderr:
      | INFO  [alembic.runtime.migration] Running downgrade aaaa2222 -> aaaa1111, Hash the names
      | Traceback (most recent call last):
      |   [FRAMES]
      |   File "[PROJECT]/migrations/env.py", line 31, in <module>
      |     run_migrations_online()
      |   File "[PROJECT]/migrations/env.py", line 25, in run_migrations_online
      |     context.run_migrations()
      |   [FRAMES]
      |   File "[PROJECT]/migrations/versions/aaaa2222_hash_the_names.py", line 23, in downgrade
      |     raise NotImplementedError("the names cannot be restored")
      | NotImplementedError: the names cannot be restored
      Reason:   NotImplementedError: the names cannot be restored
      Cause:    the migration itself refuses at aaaa2222_hash_the_names.py:23
      Meaning:  Whoever wrote the migration meant this.
      File:     [PROJECT]/migrations/versions/aaaa2222_hash_the_names.py
      Database: unchanged by this step: version table, schema and rows are as before
      Done:     1 of 3 steps rolled back before it
    Current revision: aaaa2222, read from the database
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → to get past it, go back to a backup from before the upgrade, or mend the downgrade
      → mend the cause, then: rollback resume
      → to leave it here: rollback abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    "#);
    run.exits(4);
    assert_eq!(project.rows(), ["aaaa2222"]);
}

#[test]
fn a_revision_without_a_downgrade_function_is_a_failure_like_any_other() {
    let project = Project::alembic("no_downgrade").at("aaaa4444");
    let run = project.run("downgrade-safe -1 -y --allow-failing -q");
    assert_snapshot!(run.stderr, @r#"

    failed: step 1 of 1, aaaa4444: the engine exited with status 1
      $ alembic downgrade aaaa4444@aaaa3333
      the engine printed nothing on stdout
      the engine's stderr:
      | Traceback (most recent call last):
      |   [FRAMES]
      |   File "[PROJECT]/migrations/env.py", line 31, in <module>
      |     run_migrations_online()
      |   File "[PROJECT]/migrations/env.py", line 25, in run_migrations_online
      |     context.run_migrations()
      |   [FRAMES]
      | AttributeError: module 'aaaa4444_add_a_column_for_good_py' has no attribute 'downgrade'
      Reason:   AttributeError: module 'aaaa4444_add_a_column_for_good_py' has no attribute 'downgrade'
      Cause:    the version file aaaa4444_add_a_column_for_good_py has no function downgrade
      Meaning:  The migration was not made to be taken back; nothing of it was.
      File:     [PROJECT]/migrations/versions/aaaa4444_add_a_column_for_good.py
      Database: unchanged by this step: version table, schema and rows are as before
      Done:     0 of 1 step rolled back before it
    Current revision: aaaa4444, read from the database
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → write it in aaaa4444, or go back to a backup from before the upgrade
      → mend the cause, then: rollback resume
      → to leave it here: rollback abandon
    "#);
    run.exits(4);
}

#[test]
fn json_tells_a_failure_in_two_events() {
    let project = Project::alembic("failing").at("3333aaaa");
    let run = project
        .run("downgrade-safe -2 -y --allow-failing --format json")
        .exits(5);
    let events = run.json_lines();
    assert_eq!(
        names(&events),
        ["plan", "step_started", "step_failed", "finished"]
    );
    let failed = &events[2];
    assert_eq!(failed["step"], 1);
    assert_eq!(failed["removes"], "3333aaaa");
    assert_eq!(failed["cause"], "the engine exited with status 1");
    assert_eq!(failed["database"]["state"], "half_done");
    assert!(
        failed["database"]["gone"].as_array().unwrap().len() > 1,
        "{run}"
    );
    assert!(
        failed["stderr"].as_str().unwrap().contains("never_created"),
        "{run}"
    );
    assert_eq!(events[3]["exit_code"], 5);
    assert_eq!(events[3]["current"], json!(["3333aaaa"]));
    assert_eq!(events[3]["removed"], json!([]));
}

#[test]
fn a_second_attempt_at_a_half_done_step_fails_and_changes_nothing_more() {
    let project = Project::alembic("failing").at("3333aaaa");
    project.run("downgrade-safe -1 -y --allow-failing").exits(5);
    project.run("downgrade-safe --abandon").exits(0);
    let second = project.run("downgrade-safe -1 -y --allow-failing").exits(4);
    assert!(second.stderr.contains("no such table: e1b"), "{second}");
}

#[test]
fn a_step_that_hangs_is_ended_when_its_time_is_up() {
    let project = Project::alembic("hanging").at("heads");
    let run = project.run("downgrade-safe -3 -y --allow unknown-code --timeout 4s");
    assert_snapshot!(run.stderr, @"
    [1/3] Rolling back 5555aaaa ... Create the fifth table
          ✓ [TIME], now at 4444aaaa
    [2/3] Rolling back 4444aaaa ... Create the fourth table
          ✓ [TIME], now at 3333aaaa
    [3/3] Rolling back 3333aaaa ... Create the table whose removal hangs

    Rolled back:
      5555aaaa  [TIME]
      4444aaaa  [TIME]

    failed: step 3 of 3, 3333aaaa: the engine took longer than the time limit of 4 s and was ended
      $ alembic downgrade 3333aaaa@2222aaaa
      the engine printed nothing on stdout
      the engine's stderr:
      | INFO  [alembic.runtime.migration] Running downgrade 3333aaaa -> 2222aaaa, Create the table whose removal hangs
      File:     [PROJECT]/migrations/versions/3333aaaa_create_the_table_whose_removal_hangs.py
      Database: unchanged by this step: version table, schema and rows are as before
      Done:     2 of 3 steps rolled back before it
    Current revision: 3333aaaa, read from the database
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → find out what the step waits for, or give it a longer --timeout, then: rollback resume --timeout 4s
      → to leave it here: rollback abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    run.exits(4);
    assert_eq!(project.rows(), ["3333aaaa"]);
}

#[test]
fn an_engine_that_lies_about_its_success_is_found_out() {
    // It does what it is asked, except that a step down changes nothing.
    let project = Project::alembic("linear").at("heads").file(
        "liar",
        "#!/bin/sh\nfor word; do [ \"$word\" = downgrade ] && exit 0; done\nexec alembic \"$@\"\n",
    );
    project.make_executable("liar");
    let run = project.run("downgrade-safe -2 -y --engine-command ./liar");
    assert_snapshot!(run.stderr, @"
    warning: there is no connection of our own to this database: no lock keeps another run out, and after each step the engine's own `current` is asked
    [1/2] Rolling back 5e6f7a8b9c05 ... Add a note to orders

    failed: step 1 of 2, 5e6f7a8b9c05: the engine reported success, but the version table does not hold what it should
      $ ./liar downgrade 5e6f7a8b9c05@4d5e6f7a8b04
      the engine printed nothing on stdout
      the engine printed nothing on stderr
      File:     [PROJECT]/migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py
      Database: may have changed: rollback has no direct connection, so it could compare only the version table
      Done:     0 of 2 steps rolled back before it
    Current revision: 5e6f7a8b9c05, by the word of the engine's `current`
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → the engine said that the step succeeded, and the version table does not show it: does env.py begin a transaction before the migrations and not commit it, or does it migrate another database or version table?
      → see where this one stands: rollback --engine-command ./liar current
      → to leave it here: rollback --engine-command ./liar abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    run.exits(5);
}

#[test]
fn an_engine_that_fails_after_its_work_is_not_called_unchanged() {
    let project = Project::alembic("linear").at("heads").file(
        "grumbler",
        "#!/bin/sh\nalembic \"$@\" || exit\nfor word; do [ \"$word\" = downgrade ] && echo 'no space left' >&2 && exit 9; done\nexit 0\n",
    );
    project.make_executable("grumbler");
    let run = project.run("downgrade-safe -2 -y --engine-command ./grumbler");
    assert_snapshot!(run.stderr, @"
    warning: there is no connection of our own to this database: no lock keeps another run out, and after each step the engine's own `current` is asked
    [1/2] Rolling back 5e6f7a8b9c05 ... Add a note to orders

    failed: step 1 of 2, 5e6f7a8b9c05: the engine exited with status 9
      $ ./grumbler downgrade 5e6f7a8b9c05@4d5e6f7a8b04
      the engine printed nothing on stdout
      the engine's stderr:
      | INFO  [alembic.runtime.migration] Running downgrade 5e6f7a8b9c05 -> 4d5e6f7a8b04, Add a note to orders
      | no space left
      Reason:   no space left
      File:     [PROJECT]/migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py
      Database: the step is done: the version table is as it should be after it
      Done:     0 of 2 steps rolled back before it
    Current revision: 4d5e6f7a8b04, by the word of the engine's `current`
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → find out why the engine failed, then go on with: rollback --engine-command ./grumbler resume
      → to leave it here: rollback --engine-command ./grumbler abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    run.exits(5);
    assert_eq!(project.rows(), ["4d5e6f7a8b04"]);
}
