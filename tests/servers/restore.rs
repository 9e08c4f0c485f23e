//! A run that fails half-way, and the backup of before it: put back by the run itself, or by hand.

use crate::dump::dump;
use crate::project::{Call, Project};
use crate::support::{Kind, TestDatabase};
use crate::walk::{events, rows, upgraded};

const FAILING: &str = "downgrade-safe base -y --allow-failing --format json";

/// As a user has it, who set nothing.
fn with_backups<'a>(project: &'a Project, line: &str) -> Call<'a> {
    project.rollback(line).env("ROLLBACK_BACKUP", "")
}

/// Rows in tables that go before the failure and in it.
fn failing(database: &TestDatabase<'_>) -> Project {
    let project = upgraded("failing", database);
    for (id, name) in [(1, "Grüße"), (2, "it''s")] {
        for table in ["fifth", "e1b", "first"] {
            database.execute(&format!("INSERT INTO {table} VALUES ({id}, '{name}')"));
        }
    }
    project
}

fn a_run_that_fails_is_undone(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = failing(&database);
    let was = dump(&database, &[]);
    let run = with_backups(&project, &format!("{FAILING} --on-failure restore"))
        .run()
        .exits(4);
    assert_eq!(dump(&database, &[]), was, "{kind:?}\n{run}");
    let lines = run.json_lines();
    let made = events(&lines, "backup_finished");
    assert_eq!(made[0]["verified"], "read", "{kind:?}\n{run}");
    assert_eq!(events(&lines, "restored")[0]["backup"], made[0]["id"]);
    // The run is over: another begins.
    project.run("downgrade-safe -1 -y").exits(0);
}
on_each!(a_run_that_fails_is_undone: sqlite, postgresql, mariadb);

/// With the backup proven by a restore beside the database, and a table made since that has to go again.
pub(crate) fn a_run_that_failed_is_undone_by_hand(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = failing(&database);
    let was = dump(&database, &[]);
    let exit = if kind == Kind::PostgreSql { 4 } else { 5 };
    let line = format!("{FAILING} --verify-backup restore");
    let run = with_backups(&project, &line).run().exits(exit);
    let made = events(&run.json_lines(), "backup_finished").remove(0);
    assert_eq!(made["verified"], "restored", "{kind:?}\n{run}");
    database.execute("CREATE TABLE since (id integer)");
    let name = match kind {
        Kind::Sqlite => "app.db",
        _ => database.name(),
    };
    let id = made["id"].as_str().unwrap();
    let restored = project
        .run(&format!("restore {id} -y --database {name} --format json"))
        .exits(0)
        .json();
    assert_eq!(dump(&database, &[]), was, "{kind:?}");
    assert!(restored["closed_run"].is_string(), "{restored}");
    let gone = restored["tables"].as_array().unwrap();
    assert!(
        gone.iter().any(|table| {
            table["table"].as_str().unwrap().ends_with("since") && table["rows"].is_null()
        }),
        "{restored}"
    );
    // What it replaced is kept, and can be had again.
    let saved = restored["saved"].as_str().unwrap();
    project
        .run(&format!("restore {saved} -y --database {name} --no-backup"))
        .exits(0);
    database.execute("INSERT INTO since VALUES (1)");
}
on_each!(a_run_that_failed_is_undone_by_hand: sqlite, postgresql, mariadb);

/// Turns red if a resume makes a backup of its own and goes back to that: the rows of `fifth`, which went in the first
/// step, would stay lost, and "as it was before the run" would be false.
fn a_resumed_run_goes_back_to_before_its_first_step(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = failing(&database);
    let was = dump(&database, &[]);
    let killed = with_backups(&project, FAILING)
        .env("ROLLBACK_FAULT_POINT", "after_done:1")
        .run();
    assert_eq!(killed.code, None, "{kind:?}: not killed\n{killed}");
    let first = events(&killed.json_lines(), "backup_finished").remove(0);
    assert_eq!(first["before"], "run", "{killed}");
    // Once more, so that the run is resumed twice.
    let resume = "downgrade-safe --resume -y --allow-failing --allow all --format json";
    let killed = with_backups(&project, resume)
        .env("ROLLBACK_FAULT_POINT", "after_engine:1")
        .run();
    assert_eq!(killed.code, None, "{kind:?}: not killed\n{killed}");
    assert_eq!(rows(&database), ["3333aaaa"], "{killed}");

    let run = with_backups(&project, &format!("{resume} --on-failure restore"))
        .run()
        .exits(4);
    assert_eq!(dump(&database, &[]), was, "{kind:?}\n{run}");
    assert!(
        run.stderr
            .contains("the database is as it was before the run"),
        "{run}"
    );
    let lines = run.json_lines();
    assert!(
        !lines.iter().any(|line| line["event"] == "backup_finished"),
        "{run}"
    );
    let restored = events(&lines, "restored").remove(0);
    assert_eq!(
        (&restored["backup"], &restored["before"]),
        (&first["id"], &"run".into()),
        "{run}"
    );
    let failed = events(&lines, "step_failed").remove(0);
    assert_eq!(
        (&failed["step"], &failed["of"]),
        (&3.into(), &5.into()),
        "{run}"
    );
    assert_eq!(events(&lines, "finished")[0]["steps_done"], 0, "{run}");
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["backup"]["id"], first["id"], "{report}");
    assert_eq!(report["backup"]["before"], "run", "{report}");
    assert_eq!(report["status"], "restored", "{report}");
    // The run is over: another begins.
    project.run("downgrade-safe -1 -y").exits(0);
}
on_each!(a_resumed_run_goes_back_to_before_its_first_step: sqlite, postgresql, mariadb);
