//! The backup that `rollback downgrade-safe` makes before the first step, and what becomes of it.

use serde_json::Value;

use crate::support::{Call, Project, Run};

/// As a user has it, who set nothing.
fn with_backups<'a>(project: &'a Project, line: &str) -> Call<'a> {
    project.rollback(line).env("ROLLBACK_BACKUP", "")
}

fn run(project: &Project, line: &str) -> Run {
    with_backups(project, line).run()
}

fn backups(project: &Project) -> Vec<Value> {
    let answer = project.run("backups --format json").exits(0).json();
    answer["backups"].as_array().unwrap().clone()
}

fn everything(project: &Project) -> Vec<String> {
    let mut all = project.sql("SELECT type, name, sql FROM sqlite_master ORDER BY name");
    all.extend(project.rows());
    for table in project.sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
        all.extend(project.sql(&format!("SELECT * FROM {table}")));
    }
    all
}

/// With a row in the table that is dropped halfway.
fn failing() -> Project {
    let project = Project::alembic("failing").at("heads");
    project.sql("INSERT INTO e1b VALUES (1, 'a row that matters')");
    project
}

const FAILING: &str = "downgrade-safe base -y --allow-failing --allow all";

#[test]
fn a_backup_is_made_where_the_plan_loses_data_and_not_where_it_does_not() {
    let project = failing();
    let run = run(&project, "downgrade-safe -2 -y").exits(0);
    assert!(!run.stderr.contains("backup"), "{run}");
    assert!(backups(&project).is_empty());

    let project = Project::alembic("failing").at("heads");
    project.sql("INSERT INTO fifth VALUES (1, 'one')");
    let run = self::run(&project, "downgrade-safe -1 -y --allow all").exits(0);
    assert!(
        run.stderr
            .contains("A backup is made first: drops table fifth with 1 row"),
        "{run}"
    );
    let made = backups(&project);
    let id = made[0]["id"].as_str().unwrap();
    assert_eq!(made[0]["heads"][0], "5555aaaa");
    assert!(made[0]["run"].is_string());
    // Its id is one of the things that differ from run to run.
    assert!(
        run.stderr
            .contains("To go back to before the run: rollback restore "),
        "{run}"
    );
    project
        .run(&format!("restore {id} -y --database app.db"))
        .exits(0);
    assert_eq!(project.sql("SELECT * FROM fifth"), ["1 one"]);
}

#[test]
fn the_plan_says_whether_and_why() {
    let project = failing();
    for line in ["plan base", "downgrade-safe base --dry-run"] {
        let told = run(&project, line).exits(0).stdout;
        assert!(told.contains("Backup:    is made first: "), "{told}");
        let json = run(&project, &format!("{line} --format json")).exits(0);
        assert!(json.json_lines()[0]["backup"].is_string(), "{json}");
    }
    for line in ["plan -2", "plan base --format json"] {
        let told = project.run(line).exits(0).stdout;
        assert!(!told.contains("is made first"), "{told}");
    }
    assert!(backups(&project).is_empty());
}

#[test]
fn flags_and_settings_decide() {
    let project = failing().file(
        "rollback.toml",
        "backup = \"always\"\nverify_backup = \"restore\"\n",
    );
    run(&project, "downgrade-safe -1 -y").exits(0);
    let made = backups(&project);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["verified"], "restored");
    run(&project, "downgrade-safe -1 -y --no-backup").exits(0);
    project
        .run("downgrade-safe -1 -y --allow-failing --allow all")
        .exits(5);
    assert_eq!(backups(&project).len(), 1);
    let run = run(
        &project,
        &format!("{FAILING} --no-backup --on-failure restore"),
    );
    run.exits(3);
}

#[test]
fn a_run_that_fails_names_the_command_that_undoes_it() {
    let project = failing();
    let was = everything(&project);
    let run = run(&project, FAILING).exits(5);
    let id = backups(&project)[0]["id"].as_str().unwrap().to_owned();
    assert!(run.stderr.contains("to undo all of the run"), "{run}");
    assert_ne!(everything(&project), was);
    for (line, code) in [
        ("downgrade-safe -1 -y", 3),
        ("downgrade-safe --resume -y", 5),
    ] {
        let refused = with_backups(&project, line).run().exits(code);
        assert!(
            refused.stderr.contains("rollback restore [BACKUP]"),
            "{refused}"
        );
    }
    project
        .run(&format!("restore {id} -y --database app.db"))
        .exits(0);
    assert_eq!(everything(&project), was);
}

#[test]
fn a_run_that_fails_is_undone_where_that_was_asked_for() {
    let project = failing();
    let was = everything(&project);
    let run = run(
        &project,
        &format!("{FAILING} --on-failure restore --format json"),
    )
    .exits(4);
    assert_eq!(everything(&project), was);
    let events: Vec<Value> = run.json_lines();
    let named = |name: &str| {
        events
            .iter()
            .find(|event| event["event"] == name)
            .unwrap_or_else(|| panic!("no {name}\n{run}"))
    };
    assert_eq!(named("restored")["backup"], named("backup_finished")["id"]);
    assert_eq!(named("finished")["exit_code"], 4);
    assert_eq!(named("finished")["current"][0], "5555aaaa");
    assert_eq!(named("finished")["removed"], serde_json::json!([]));
    // The run is over, and the way is clear for another.
    project.run("downgrade-safe --resume").exits(1);
    project.run("downgrade-safe -1 -y").exits(0);
}

/// A step that failed and left nothing, after others that were done.
#[test]
fn steps_before_a_failure_that_left_nothing_are_undone_too() {
    let project = failing();
    let was = everything(&project);
    let file = "migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py";
    let project = project.edit(file, "    op.drop_table(\"e1b\")\n", "");
    run(&project, FAILING).exits(4);
    assert_ne!(everything(&project), was);
    project.run("downgrade-safe --abandon").exits(0);
    let first = backups(&project)[0]["id"].as_str().unwrap().to_owned();
    project
        .run(&format!("restore {first} -y --database app.db"))
        .exits(0);
    let run = run(&project, &format!("{FAILING} --on-failure restore")).exits(4);
    assert!(run.stderr.contains("was restored"), "{run}");
    assert_eq!(everything(&project), was);
}

/// The migration takes the backup away, so that there is nothing to restore.
#[test]
fn a_backup_that_cannot_be_restored_is_five_with_both_reasons() {
    let file = "migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py";
    let project = failing().edit(
        file,
        "def downgrade():\n",
        "def downgrade():\n    import glob, os\n    for name in glob.glob('.rollback/backups/*.sqlite'):\n        os.remove(name)\n",
    );
    let run = run(&project, &format!("{FAILING} --on-failure restore")).exits(5);
    assert!(run.stderr.contains("was not restored: the backup"), "{run}");
    assert!(run.stderr.contains("no such table: never_created"), "{run}");
}

#[test]
fn where_no_backup_can_be_made_the_run_is_refused_unless_told_otherwise() {
    let project = failing();
    let bytes = project.bytes();
    let plain = "--engine-command 'env alembic'";
    let run = run(&project, &format!("{FAILING} {plain}")).exits(3);
    assert!(run.stderr.contains("no direct connection"), "{run}");
    assert!(run.stderr.contains("--no-backup"), "{run}");
    let told = self::run(&project, &format!("plan base {plain}"))
        .exits(0)
        .stdout;
    assert!(told.contains("cannot be made"), "{told}");
    assert_eq!(project.bytes(), bytes);
    // The step is half done, and without a direct connection nobody can tell.
    let run = self::run(&project, &format!("{FAILING} {plain} --no-backup")).exits(5);
    assert!(run.stderr.contains("may have changed"), "{run}");
}

#[test]
fn all_or_nothing_has_a_backup_all_the_same() {
    let project = failing();
    let was = everything(&project);
    run(&project, &format!("{FAILING} --atomic")).exits(4);
    assert_eq!(everything(&project), was);
    assert_eq!(backups(&project).len(), 1);
}

#[test]
fn a_kill_around_the_backup_leaves_a_run_that_can_go_on_or_never_began() {
    for (point, begun) in [
        ("after_dump", false),
        ("between_backup_and_manifest", false),
        ("after_begun", true),
        ("after_backed_up", true),
    ] {
        let project = Project::alembic("diamond").at("heads");
        let killed = with_backups(&project, "downgrade-safe -2 -y --backup")
            .env("ROLLBACK_FAULT_POINT", point)
            .run();
        assert_eq!(killed.code, None, "{point}: not killed\n{killed}");
        assert_eq!(project.rows(), ["e86f3a7d1c95"], "{point}");
        if begun {
            run(&project, "downgrade-safe --resume -y").exits(0);
        } else {
            run(&project, "downgrade-safe -2 -y --backup").exits(0);
        }
    }
}

const RESUME: &str = "downgrade-safe --resume -y --allow-failing --allow all";

/// Begins a run of five steps and kills it behind the second.
fn killed_after_two_steps(project: &Project, words: &str) {
    let killed = with_backups(project, &format!("{FAILING} {words}"))
        .env("ROLLBACK_FAULT_POINT", "after_done:2")
        .run();
    assert_eq!(killed.code, None, "not killed\n{killed}");
}

/// Turns red if a backup that a resume makes passes for one from before the run, or if the run is over with a restore
/// that leaves two of its steps done.
#[test]
fn a_resume_of_a_run_without_a_backup_is_undone_to_where_it_began() {
    let project = failing();
    project.sql("INSERT INTO second VALUES (1, 'two')");
    killed_after_two_steps(&project, "--no-backup");
    let at_resume = everything(&project);
    let run = run(
        &project,
        &format!("{RESUME} --on-failure restore --format json"),
    )
    .exits(4);
    assert_eq!(everything(&project), at_resume, "{run}");
    for words in ["before the run", "Done:     nothing"] {
        assert!(!run.stderr.contains(words), "{words}\n{run}");
    }
    for words in [
        "the database is as it was when the run was resumed",
        "2 of 5 steps: what was done since the resume was rolled back",
        "fix the cause, then resume: rollback resume",
    ] {
        assert!(run.stderr.contains(words), "{words}\n{run}");
    }
    let lines = run.json_lines();
    let named = |name: &str| lines.iter().find(|line| line["event"] == name).unwrap();
    assert_eq!(named("backup_finished")["before"], "resume");
    assert_eq!(named("restored")["before"], "resume");
    assert_eq!(named("finished")["steps_done"], 2);
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["status"], "failed", "{report}");
    assert_eq!(report["backup"]["before"], "resume", "{report}");
    let states: Vec<&Value> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["state"])
        .collect();
    assert_eq!(states, ["done", "done", "taken_back", "not_run", "not_run"]);
    let page = project.run("show latest").exits(0).stdout;
    assert!(page.contains("before the resume"), "{page}");
    assert!(!page.contains("before the run"), "{page}");

    // Resumed once more it needs no other backup, and comes to its end.
    let file = "migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py";
    let project = project.edit(file, "    op.drop_table(\"never_created\")\n", "");
    let run = self::run(&project, RESUME).exits(0);
    assert!(
        run.stderr
            .contains("✓ Rolled back 5 of 5 revisions, 3 of them since the resume, in"),
        "{run}"
    );
    assert!(run.stderr.contains("[3/5] Rolling back 3333aaaa"), "{run}");
    assert!(
        run.stderr
            .contains("To go back to when the run was resumed: "),
        "{run}"
    );
    // One before the resume, and the state that its restore replaced; the second resume made none.
    assert_eq!(backups(&project).len(), 2);
    assert_eq!(project.rows(), [""; 0]);
}

/// Turns red if a run is resumed that can no longer be undone as asked, or if the wrong backup takes its place.
#[test]
fn a_resume_that_cannot_restore_the_backup_of_its_run_is_refused() {
    for damage in [false, true] {
        let project = failing();
        killed_after_two_steps(&project, "");
        let id = backups(&project)[0]["id"].as_str().unwrap().to_owned();
        let file = project
            .root()
            .join(format!(".rollback/backups/{id}.sqlite"));
        let aside = file.with_extension("aside");
        std::fs::rename(&file, &aside).unwrap();
        if damage {
            std::fs::write(&file, "not what was written").unwrap();
        }
        let before = everything(&project);
        let refused = run(&project, &format!("{RESUME} --on-failure restore")).exits(3);
        assert!(
            refused
                .stderr
                .contains("--on-failure restore cannot restore the backup of this run"),
            "{refused}"
        );
        assert!(
            refused.stderr.contains("was made before the run"),
            "{refused}"
        );
        assert_eq!(everything(&project), before);
        // Without it, the resume has a backup of its own, which is not called the one from before the run.
        let run = run(&project, &format!("{RESUME} --format json")).exits(5);
        assert!(run.stderr.contains("cannot be restored"), "{run}");
        assert!(
            run.stderr
                .contains("undo what was done since the run was resumed"),
            "{run}"
        );
        let lines = run.json_lines();
        let made = lines.iter().find(|line| line["event"] == "backup_finished");
        assert_eq!(made.unwrap()["before"], "resume", "{run}");
    }
}

/// Turns red if a resume makes a second backup although the first is sound, or hides which is which.
#[test]
fn a_resume_has_the_backup_of_its_run() {
    let project = failing();
    killed_after_two_steps(&project, "");
    let first = backups(&project)[0]["id"].as_str().unwrap().to_owned();
    let run = run(&project, RESUME).exits(5);
    assert!(
        run.stdout
            .contains("Backup:    [BACKUP], made before the run"),
        "{run}"
    );
    assert!(
        run.stderr.contains("failed: step 3 of 5, 3333aaaa"),
        "{run}"
    );
    assert!(
        run.stderr
            .contains("Done:     2 of 5 steps rolled back before it"),
        "{run}"
    );
    assert!(
        run.stderr.contains("to undo all of the run, and lose"),
        "{run}"
    );
    assert_eq!(backups(&project).len(), 1);

    // Asked for, there is another, and the run still goes back to its first.
    let project = failing();
    let was = everything(&project);
    killed_after_two_steps(&project, "");
    let run = self::run(
        &project,
        &format!("{RESUME} --backup --on-failure restore --format json"),
    )
    .exits(4);
    assert_eq!(everything(&project), was, "{run}");
    let lines = run.json_lines();
    let made = lines.iter().find(|line| line["event"] == "backup_finished");
    assert_eq!(made.unwrap()["before"], "resume", "{run}");
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["backup"]["before"], "run", "{report}");
    let sentences = report["events"].to_string();
    assert!(sentences.contains("was made before the run"), "{sentences}");
    assert!(
        sentences.contains("was made before the resume"),
        "{sentences}"
    );
    let _ = first;
}

/// Turns red if a check that failed after the last step makes the step look undone.
#[test]
fn a_check_that_fails_at_the_end_does_not_make_its_step_undone() {
    let project = Project::alembic("linear").at("heads").file(
        "rollback.toml",
        "[[check]]\nname = \"health\"\ncommand = [\"false\"]\nwhen = \"after\"\n",
    );
    let run = project
        .run("downgrade-safe -2 -y --allow all --format json")
        .exits(5);
    let failed = run.json_lines();
    let failed = failed
        .iter()
        .find(|line| line["event"] == "step_failed")
        .unwrap();
    assert_eq!(failed["database"]["state"], "step_happened", "{run}");
    assert!(!run.stderr.contains("as before"), "{run}");
    assert!(
        run.stderr
            .contains("Database: the step is done: the version table is as it should be after it"),
        "{run}"
    );
    assert!(
        run.stderr
            .contains("Done:     2 of 2 steps rolled back, this one included"),
        "{run}"
    );
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["steps"][1]["state"], "done", "{report}");
    assert!(
        !report["stops"].to_string().contains("as before"),
        "{report}"
    );
}
