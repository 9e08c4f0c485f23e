//! Targets that cannot be planned for, and why.

use insta::assert_snapshot;

use crate::support::Project;

#[test]
fn an_ambiguous_beginning_lists_the_candidates() {
    let project = Project::alembic("forest").at("heads");
    assert_snapshot!(project.run("plan pppp"), @r"
    exit 1
    --- stderr
    error: pppp is the beginning of 2 revisions
      → write more of it:
          pppp1111  Create p
          pppp2222  Second revision of p
    ");
}

#[test]
fn an_unknown_revision_suggests_the_nearest() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("plan b52d08e7f14c"), @r"
    exit 1
    --- stderr
    error: no revision or branch label is called b52d08e7f14c
      → the version files were looked for in [PROJECT]/migrations/versions
      → did you mean b52d08e7f41c?
    ");
    assert_snapshot!(project.run("plan zzzz"), @r"
    exit 1
    --- stderr
    error: no revision or branch label is called zzzz
      → the version files were looked for in [PROJECT]/migrations/versions
      → see the revisions that are applied: rollback plan base
    ");
}

#[test]
fn targets_that_make_no_sense_are_refused_with_the_reason() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    assert_snapshot!(project.run("plan 3"), @r"
    exit 1
    --- stderr
    error: 3 is no revision, and a number of steps is written with a minus
      → write -3 for 3 steps back
    ");
    assert_snapshot!(project.run("plan +1"), @r"
    exit 1
    --- stderr
    error: +1 points upwards, and a rollback only goes down
      → to go up, use the engine's own upgrade; to go down, give -1, a revision below, or base
    ");
    assert_snapshot!(project.run("plan head"), @r"
    exit 1
    --- stderr
    error: head points upwards, and a rollback only goes down
      → to go up, use the engine's own upgrade; to go down, give -1, a revision below, or base
    ");
    assert_snapshot!(project.run("plan -- -0"), @r"
    exit 1
    --- stderr
    error: -0 names no step to take back
      → give a number of steps such as -1, a revision, or base
    ");
    assert_snapshot!(project.run("plan e86f3a7d1c95"), @r"
    exit 1
    --- stderr
    error: e86f3a7d1c95 is not below the current position: it is not applied
      → see the revisions that are applied: rollback plan base
    ");
    assert_snapshot!(project.run("plan -9"), @r"
    exit 1
    --- stderr
    error: 9 steps were asked for, and only 4 revisions are applied
      → to roll back everything: base
    ");
    assert_snapshot!(project.run("plan ''"), @r"
    exit 1
    --- stderr
    error: the target is empty
      → give a number of steps such as -1, a revision, or base
    ");
}

#[test]
fn a_revision_that_the_code_does_not_know_cannot_be_planned_from() {
    let project = Project::alembic("linear").at("heads");
    project.sql("UPDATE alembic_version SET version_num = 'feedfacefeed'");
    assert_snapshot!(project.run("plan -1"), @r"
    exit 1
    --- stderr
    error: the database stands at revision feedfacefeed, which no version file declares
      because the code is older than the database, or the file was deleted
      → check out the code that the database was upgraded with, or bring the file back: git log --diff-filter=D --summary -- '*.py'
    ");
}

#[test]
fn without_a_version_table_there_is_no_plan() {
    let project = Project::alembic("linear");
    assert_snapshot!(project.run("plan base"), @r"
    exit 1
    --- stderr
    error: the database has no version table alembic_version
      because no migration was ever run here, or this is another database than you think
      → see which database it is: rollback current
    ");
}
