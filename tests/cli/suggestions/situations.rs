//! The situations.

use std::fs::{self, File};

use super::run::{Situation, after, situation, then};
use crate::support::Project;

/// A test for each, so that they run side by side. Each is red if its call suggests another command than listed, or
/// if one of them is not read by the program (exit 2), comes to something else, or to the same refusal again.
macro_rules! situations {
    ($($(#[$doc:meta])* $name:ident: $situation:expr;)*) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                const SITUATION: Situation = $situation;
                SITUATION.holds();
            }
        )*
    };
}

fn linear() -> Project {
    Project::alembic("linear").at("heads")
}

/// Its newest step cannot be undone until `mended`.
fn broken() -> Project {
    broken_in("")
}

const INDEX: &str = "migrations/versions/4d5e6f7a8b04_index_orders_by_customer.py";

/// The same in a folder of the project's folder.
fn broken_in(folder: &str) -> Project {
    let project = Project::copy_of("alembic/linear", "project", "alembic-current").at("heads").edit(
        INDEX,
        "def downgrade():\n",
        "def downgrade():\n    if not __import__('os').path.exists('mended'):\n        raise RuntimeError('not now')\n",
    );
    if !folder.is_empty() {
        let root = project.root();
        fs::create_dir(root.join(folder)).unwrap();
        for entry in fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != folder {
                fs::rename(entry.path(), root.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    project
}

fn mend(project: &Project) {
    for folder in ["", "base", "-a b"] {
        if project.root().join(folder).is_dir() {
            fs::write(project.root().join(folder).join("mended"), "").unwrap();
        }
    }
}

/// A run that was killed after its first step.
fn killed() -> Project {
    let project = linear();
    let run = project
        .rollback("downgrade-safe -3 -y --allow all")
        .env("ROLLBACK_FAULT_POINT", "after_engine:2")
        .run();
    assert_eq!(run.code, None, "{run}");
    project
}

/// A run that failed at its second step.
fn failed() -> Project {
    let project = broken();
    project.run("downgrade-safe base -y --allow all").exits(4);
    project
}

/// The command of the plan that a run shows first. When the run has failed, that run is in its way.
const PLANNED: &str = "rollback downgrade-safe base";

fn with_a_backup() -> Project {
    let project = linear();
    project.run("backup").exits(0);
    project.run("downgrade-safe -1 -y --allow all").exits(0);
    project
}

fn shop() -> Project {
    Project::copy_of("sql/shop", "project", "alembic-current")
        .env("ROLLBACK_DATABASE_URL", "sqlite:///app.db")
        .file("app.db", "")
}

situations! {
    a_plan: situation(linear, "plan -2", 0, &[then("rollback downgrade-safe -2", 0)]);

    a_plan_in_json: situation(linear, "plan base --format json", 0, &[]);

    a_step_that_fails: situation(
        broken,
        "downgrade-safe base -yv --allow all --timeout 90s --allow-joint-steps",
        4,
        &[
            then(PLANNED, 3),
            after(mend, "rollback resume --allow-joint-steps --timeout 90s", 0),
            then("rollback abandon", 0),
        ],
    );

    /// `-C base ... base` was made `rollback -C --resume`.
    a_folder_that_is_called_as_the_target: situation(
        || broken_in("base"),
        "-C base downgrade-safe base -y --allow all",
        4,
        &[
            then("rollback -C base downgrade-safe base", 3),
            after(mend, "rollback -C base resume", 0),
            then("rollback -C base abandon", 0),
        ],
    );

    a_folder_whose_name_looks_like_an_option: situation(
        || broken_in("-a b"),
        "'-C=-a b' downgrade-safe base -y --allow all --format json",
        4,
        &[
            after(mend, "rollback '-C=-a b' resume", 0),
            then("rollback '-C=-a b' abandon", 0),
        ],
    );

    a_url_without_a_password_is_said_again: situation(
        broken,
        "--database-url sqlite:///app.db --graph files downgrade-safe base -y --allow all --allow-joint-steps",
        4,
        &[
            then("rollback --database-url sqlite:///app.db --graph files downgrade-safe base", 3),
            after(
                mend,
                "rollback --database-url sqlite:///app.db --graph files resume --allow-joint-steps",
                0,
            ),
            then("rollback --database-url sqlite:///app.db --graph files abandon", 0),
        ],
    );

    a_run_that_was_killed_is_in_the_way: situation(
        killed,
        "downgrade-safe -1 -y",
        3,
        &[then("rollback resume", 0), then("rollback abandon", 0)],
    );

    what_is_current_after_a_run_was_killed: situation(
        killed,
        "current",
        0,
        &[then("rollback resume", 0)],
    );

    what_is_current_after_a_run_was_killed_in_json: situation(
        killed,
        "current --format json",
        0,
        &[then("rollback resume", 0), then("rollback abandon", 0)],
    );

    the_list_of_runs: situation(killed, "history", 0, &[then("rollback resume", 0)]);

    the_report_of_a_run: situation(
        failed,
        "show latest",
        0,
        &[after(mend, "rollback resume", 0), then("rollback abandon", 0)],
    );

    the_rest_of_a_run: situation(
        failed,
        "resume --dry-run",
        0,
        &[after(mend, "rollback resume", 0)],
    );

    nothing_to_resume: situation(linear, "resume", 1, &[then("rollback current", 0)]);

    nothing_to_abandon: situation(linear, "abandon", 1, &[then("rollback current", 0)]);

    another_place_than_where_it_was_begun: situation(
        || {
            let project = broken();
            project.run("--environment staging downgrade-safe base -y --allow all").exits(4);
            project
        },
        "--environment test resume -y",
        1,
        &[after(mend, "rollback resume --environment staging", 0)],
    );

    consent_that_is_missing: situation(
        || {
            let project = linear();
            project.sql("INSERT INTO customers (id, name) VALUES (1, 'Ada')");
            project.sql("INSERT INTO orders (id, customer_id, placed_at, note) VALUES (1, 1, 0, 'x')");
            project
        },
        "downgrade-safe -1 -y",
        3,
        &[then("rollback downgrade-safe -1", 0), then("+ --allow column-dropped", 0)],
    );

    a_step_that_is_sure_to_fail: situation(
        || Project::alembic("failing").at("heads"),
        "downgrade-safe base -y --allow all",
        3,
        &[
            then("rollback downgrade-safe 3333aaaa", 0),
            then("+ --allow-failing", 5),
        ],
    );

    a_first_step_that_is_sure_to_fail: situation(
        || Project::alembic("no_downgrade").at("aaaa2222"),
        "downgrade-safe -1 -y --allow all",
        3,
        &[
            then("rollback list", 0),
            then("rollback check aaaa2222", 0),
            then("+ --allow-failing", 4),
        ],
    );

    half_a_step: situation(
        || Project::alembic("failing").at("heads"),
        "downgrade-safe base -y --allow-failing",
        5,
        &[
            then("rollback downgrade-safe 3333aaaa", 3),
            then("rollback resume", 5),
            then("rollback abandon", 0),
        ],
    );

    a_lock_of_somebody_else: Situation {
        meanwhile: |project| {
            let held = File::create(project.root().join("app.db.rollback-lock")).unwrap();
            held.lock().unwrap();
            Some(held)
        },
        ..situation(
            linear,
            "downgrade-safe -1 -y",
            6,
            &[then("+ --wait 10m", 0), then("rollback current", 0)],
        )
    };

    a_revision_that_nobody_knows: situation(
        linear,
        "plan feedfacefeed",
        1,
        &[then("rollback plan base", 0)],
    );

    a_branch_without_one_head: situation(
        || Project::alembic("two_heads").at("heads"),
        "-n alembic plan nope@base",
        1,
        &[then("rollback -n alembic plan base", 0)],
    );

    a_database_without_a_version_table: situation(
        || linear().file("app.db", ""),
        "downgrade-safe -1 -y",
        1,
        &[then("rollback current", 0)],
    );

    one_revision_alone: situation(
        linear,
        "downgrade-safe --only 4d5e6f7a8b04 -y",
        1,
        &[then("rollback check 4d5e6f7a8b04", 0)],
    );

    what_is_known_of_a_revision: situation(
        linear,
        "check 4d5e6f7a8b04",
        0,
        &[then("rollback downgrade-safe 3c4d5e6f7a03", 0)],
    );

    a_policy_that_is_not_met: situation(
        || linear().file("rollback.toml", "[policy]\nrequire_backup = \"read\"\n"),
        "downgrade-safe -1 -y",
        3,
        &[then("+ --backup", 0), then("rollback downgrade-safe -1", 3)],
    );

    a_backup_by_hand: situation(linear, "backup", 0, &[then("rollback restore [ID]", 0)]);

    a_backup_before_a_run: situation(
        linear,
        "downgrade-safe -1 -y --backup",
        0,
        &[
            then("rollback downgrade-safe -1", 0),
            then("rollback restore [ID]", 0),
        ],
    );

    a_run_that_fails_after_a_backup: situation(
        broken,
        "downgrade-safe base -y --allow all --backup",
        4,
        &[
            then(PLANNED, 3),
            then("rollback restore [ID]", 0),
            after(mend, "rollback resume --backup", 0),
            then("rollback abandon", 0),
        ],
    );

    a_backup_that_nobody_has: situation(
        with_a_backup,
        "restore 20010101",
        1,
        &[then("rollback backups", 0)],
    );

    a_restore_without_a_question: situation(
        with_a_backup,
        "restore latest",
        3,
        &[then("+ -y --database app.db", 0)],
    );

    a_restore_that_names_no_database: situation(
        with_a_backup,
        "restore latest -y",
        3,
        &[then("+ --database app.db", 0)],
    );

    a_restore_that_names_another_database: situation(
        with_a_backup,
        "restore latest -y --database other.db",
        3,
        &[then("rollback current", 0)],
    );

    a_run_that_nobody_has: situation(failed, "show 2001", 1, &[then("rollback history", 0)]);

    records_where_a_file_is: situation(
        || linear().file("records", ""),
        "--state-dir records downgrade-safe -1 -y",
        1,
        &[],
    );

    a_guard_that_nobody_can_answer: situation(linear, "guard -- true", 3, &[]);

    a_line_for_a_shell_under_guard: situation(
        linear,
        "guard -y --timeout 5m 'touch ran'",
        1,
        &[then("rollback guard -y --timeout 5m -- sh -c 'touch ran'", 0)],
    );

    files_without_tables: situation(shop, "list", 1, &[
        then("rollback current", 0),
        then("rollback sql install", 0),
    ]);

    files_that_are_not_registered: situation(
        || {
            let project = shop();
            project.run("sql install").exits(0);
            project
        },
        "downgrade-safe -1 -y",
        1,
        &[then("rollback current", 0), then("rollback sql sync", 0)],
    );

    tables_that_were_made: situation(shop, "sql install", 0, &[then("rollback sql sync", 0)]);
}
