//! `rollback plan`.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Project;

#[test]
fn three_steps_lead_across_the_merge() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("plan -3"), @"
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
    ");
}

#[test]
fn colour_marks_ids_and_merges() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("plan -2 --color always"), @"
    exit 0
    --- stdout
    {bold}Database: {/} SQLite [VERSION], file [PROJECT]/app.db
    {bold}Current:  {/} e86f3a7d1c95
    {bold}Target:   {/} -2

    {bold}Rollback plan: 2 steps, 1 of them a merge{/}

      1. {cyan}e86f3a7d1c95{/}  Add a currency to invoices
         {dim}created 2024-01-14 04:18:31, leaves b52d08e7f41c{/}
         {green}low        {/}drops column invoices.currency, which holds nothing but its default
                    {dim}[column-dropped] e86f3a7d1c95_add_a_currency_to_invoices.py:23{/}
      2. {cyan}b52d08e7f41c{/}{magenta} [MERGE]{/}  Merge invoices and sessions
         {dim}created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17{/}

    {bold}Asked:    {/} 1 question of the database in [TIME], of [TIME] allowed
    {bold}Verdict:  {/} low: loses nothing
    {bold}Next:     {/} rollback downgrade-safe -2
    ");
}

#[test]
fn verbose_adds_the_exact_command_and_the_file() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("plan -2 -v"), @r#"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   e86f3a7d1c95
    Target:    -2

    Rollback plan: 2 steps, 1 of them a merge

      1. e86f3a7d1c95  Add a currency to invoices
         created 2024-01-14 04:18:31, leaves b52d08e7f41c
         runs alembic downgrade e86f3a7d1c95@b52d08e7f41c
         file [PROJECT]/migrations/versions/e86f3a7d1c95_add_a_currency_to_invoices.py
         low        drops column invoices.currency, which holds nothing but its default
                    [column-dropped] [PROJECT]/migrations/versions/e86f3a7d1c95_add_a_currency_to_invoices.py:23
                    asked: SELECT count(*) FROM "invoices" WHERE "invoices"."currency" IS NOT NULL
      2. b52d08e7f41c [MERGE]  Merge invoices and sessions
         created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17
         runs alembic downgrade b52d08e7f41c@7c1e5f0a93d2
         file [PROJECT]/migrations/versions/b52d08e7f41c_merge_invoices_and_sessions.py

    Asked:     1 question of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe -2
    --- stderr
    History:   5 revisions, read from the version files
    "#);
}

#[test]
fn the_beginning_of_a_revision_is_enough() {
    let project = Project::alembic("diamond").at("heads");
    let whole = project.run("plan b52d08e7f41c --format json").exits(0);
    let beginning = project.run("plan b52d --format json").exits(0);
    assert_eq!(whole.json()["steps"], beginning.json()["steps"]);
    assert_eq!(beginning.json()["target"], "b52d");
}

#[test]
fn json_has_the_documented_fields() {
    let project = Project::alembic("diamond").at("heads");
    let plan = project.run("plan base --format json").exits(0).json();
    assert_eq!(plan["version"], 1);
    assert_eq!(plan["current"], json!(["e86f3a7d1c95"]));
    assert_eq!(plan["target"], "base");
    assert_eq!(plan["database"]["dialect"], "sqlite");
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    assert_eq!(
        steps[1],
        json!({
            "removes": "b52d08e7f41c",
            "takes_along": [],
            "argument": "b52d08e7f41c@7c1e5f0a93d2",
            "command": ["alembic", "downgrade", "b52d08e7f41c@7c1e5f0a93d2"],
            "is_merge": true,
            "heads_before": ["b52d08e7f41c"],
            "heads_after": ["7c1e5f0a93d2", "a4d80b2e6f17"],
            "message": "Merge invoices and sessions",
            "path": "[PROJECT]/migrations/versions/b52d08e7f41c_merge_invoices_and_sessions.py",
            "created": "2024-01-13 03:17:30.418916",
            "findings": [{
                "code": "merge",
                "level": "low",
                "outcome": null,
                "sentence": "parts a merge: nothing changes but the version rows",
                "evidence": null,
                "advice": "",
                "file": null,
                "line": null,
            }],
        })
    );
    let removed: Vec<&str> = steps
        .iter()
        .map(|step| step["removes"].as_str().unwrap())
        .collect();
    assert_eq!(removed[0], "e86f3a7d1c95");
    assert_eq!(removed[4], "3f9a1b6c2d84");
    for pair in steps.windows(2) {
        assert_eq!(pair[0]["heads_after"], pair[1]["heads_before"]);
    }
    assert_eq!(steps[4]["heads_after"], json!([]));
}

#[test]
fn labels_and_relative_targets_are_alembics() {
    let project = Project::alembic("labels").at("heads");
    assert_snapshot!(project.run("plan billing@base"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   aaaa3333, bbbb2222
    Target:    billing@base

    Rollback plan: 3 steps

      1. aaaa3333  Add a reminder to billing
         created 2024-01-14 04:18:31, leaves aaaa2222, bbbb2222
         low        drops column billing.reminder, which holds nothing but its default
                    [column-dropped] aaaa3333_add_a_reminder_to_billing.py:23
      2. aaaa2222  Add a due date to billing
         created 2024-01-11 01:15:28, leaves aaaa1111, bbbb2222
         low        drops column billing.due, which holds nothing but its default
                    [column-dropped] aaaa2222_add_a_due_date_to_billing.py:23
      3. aaaa1111  Create billing
         created 2024-01-10 00:14:27, leaves bbbb2222
         low        drops table billing, which is empty
                    [table-dropped] aaaa1111_create_billing.py:27

    Asked:     3 questions of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe billing@base
    ");
    let relative = project.run("plan aaaa3333-1 --format json").exits(0).json();
    assert_eq!(relative["steps"].as_array().unwrap().len(), 1);
    assert_eq!(relative["steps"][0]["removes"], "aaaa3333");
}

#[test]
fn where_the_database_stands_already_there_is_nothing_to_do() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    assert_snapshot!(project.run("plan b52d"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   b52d08e7f41c
    Target:    b52d

    Nothing to roll back: the database already stands there.
    ");
    let plan = project.run("plan b52d --format json").exits(0).json();
    assert_eq!(plan["steps"], json!([]));
}

#[test]
fn revisions_that_depend_on_each_other_in_turn_are_taken_alternately() {
    let project = Project::alembic("mutual_depends_on").at("heads");
    assert_snapshot!(project.run("plan base"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   aaaa3333
    Target:    base

    Rollback plan: 5 steps

      1. aaaa3333  Use what b has got
         created 2024-01-14 04:18:31, leaves bbbb2222
         low        drops column a.kind, which holds nothing but its default
                    [column-dropped] aaaa3333_use_what_b_has_got.py:23
      2. bbbb2222  Point from b back to a
         created 2024-01-13 03:17:30, leaves aaaa2222
         low        drops column b.a_id, which holds nothing but its default
                    [column-dropped] bbbb2222_point_from_b_back_to_a.py:23
      3. aaaa2222  Point from a to b
         created 2024-01-12 02:16:29, leaves aaaa1111, bbbb1111
         low        drops column a.b_id, which holds nothing but its default
                    [column-dropped] aaaa2222_point_from_a_to_b.py:23
      4. aaaa1111  Create a
         created 2024-01-10 00:14:27, leaves bbbb1111
         low        drops table a, which is empty
                    [table-dropped] aaaa1111_create_a.py:27
      5. bbbb1111  Create b
         created 2024-01-11 01:15:28, leaves base
         low        drops table b, which is empty
                    [table-dropped] bbbb1111_create_b.py:27

    Asked:     5 questions of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe base
    ");
}

#[test]
fn revisions_that_depend_on_each_other_at_once_make_a_joint_step() {
    // Alembic cannot upgrade this one, so the rows are written by hand.
    let project = Project::alembic("dependency_cycle").at("aaaa1111");
    project.sql("UPDATE alembic_version SET version_num = 'aaaa3333'");
    project.sql("INSERT INTO alembic_version VALUES ('bbbb3333')");
    assert_snapshot!(project.run("plan base"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   aaaa3333, bbbb3333
    Target:    base

    Rollback plan: 5 steps

      1. aaaa3333  Go on with a
         created 2024-01-14 04:18:31, leaves bbbb3333
      2. bbbb3333  Go on with b
         created 2024-01-15 05:19:32, leaves bbbb2222
      3. aaaa2222  Point from a to b
         created 2024-01-12 02:16:29, leaves aaaa1111, bbbb1111
         takes along bbbb2222: they depend on each other
      4. bbbb1111  Create b
         created 2024-01-11 01:15:28, leaves aaaa1111
         will fail  table b does not exist
                    [object-missing] bbbb1111_create_b.py:27
      5. aaaa1111  Create a
         created 2024-01-10 00:14:27, leaves base
         low        drops table a, which is empty
                    [table-dropped] aaaa1111_create_a.py:27

    Asked:     1 question of the database in [TIME], of [TIME] allowed
    Verdict:   high: step 4 will fail; 1 certain failure
    Next:      rollback downgrade-safe -3
    ");
    let bytes = project.bytes();
    assert_snapshot!(project.run("downgrade-safe base -y").exits(3).stderr, @r"
    refused: aaaa2222 cannot be removed alone: bbbb2222 would go with it in one step
      because they depend on each other, and Alembic has no argument that takes one of them
      → to run such steps as one: --allow-joint-steps
    ");
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn messages_of_any_kind_stay_on_their_line() {
    let project = Project::alembic("odd_messages").at("heads");
    assert_snapshot!(project.run("plan base"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   aaaa6666
    Target:    base

    Rollback plan: 6 steps

      1. aaaa6666  (no message)
         leaves aaaa5555
         low        drops column notes.sixth, which holds nothing but its default
                    [column-dropped] aaaa6666_without_docstring.py:16
      2. aaaa5555  (no message)
         created 2024-01-14 04:18:31, leaves aaaa4444
         low        drops column notes.fifth, which holds nothing but its default
                    [column-dropped] aaaa5555_.py:23
      3. aaaa4444  注釈に色を追加する – “colour” → 🎨
         created 2024-01-13 03:17:30, leaves aaaa3333
         low        drops column notes.colour, which holds nothing but its default
                    [column-dropped] aaaa4444_colour_of_the_notes.py:23
      4. aaaa3333  Größe der Notizen ergänzen
         created 2024-01-12 02:16:29, leaves aaaa2222
         low        drops column notes.size, which holds nothing but its default
                    [column-dropped] aaaa3333_size_of_the_notes.py:24
      5. aaaa2222  Widen the notes
         created 2024-01-12 02:16:29, leaves aaaa1111
         low        drops column notes.wide, which holds nothing but its default
                    [column-dropped] aaaa2222_widen_the_notes.py:31
      6. aaaa1111  Create the notes table
         created 2024-01-10 00:14:27, leaves base
         low        drops table notes, which is empty
                    [table-dropped] aaaa1111_create_the_notes_table.py:27

    Asked:     6 questions of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe base
    ");
}
