//! Two roads to every answer, the engine's own process and its command line, have to lead to the same.

use serde_json::Value;

use crate::support::{Project, source};

/// Takes the road on which the engine is only spoken to through its command line: what is started there is no Python.
const PLAIN: &str = "--engine-command 'env alembic'";

/// An answer without what differs between the roads, and may.
fn comparable(project: &Project, line: &str) -> Value {
    let mut answer = project.run(line).exits(0).json();
    answer["engine"].take();
    if let Some(database) = answer["database"].as_object_mut() {
        database.remove("server");
    }
    // What the database is not asked for without a connection of our own is not known there.
    answer.as_object_mut().unwrap().remove("verdict");
    for step in answer["steps"].as_array_mut().into_iter().flatten() {
        step.as_object_mut().unwrap().remove("findings");
        let command = step["command"].as_array_mut().unwrap();
        command.retain(|word| word != "env");
    }
    answer
}

fn agree(project: &Project, case: &str) {
    for question in ["current --format json", "plan base --format json"] {
        let fast = comparable(project, question);
        let plain = comparable(project, &format!("{question} {PLAIN}"));
        assert_eq!(fast, plain, "{case}: {question}");
    }
}

/// One test for each project that can be upgraded as it is, named after it.
macro_rules! both_roads_see_the_same_in {
    ($($case:ident)*) => {
        const HEALTHY: &[&str] = &[$(stringify!($case)),*];

        mod both_roads_see_the_same_in {
            $(
                #[test]
                fn $case() {
                    let case = stringify!($case);
                    super::agree(&super::Project::alembic(case).at("heads"), case);
                }
            )*
        }
    };
}

both_roads_see_the_same_in! {
    branches custom_version_table depends_on diamond failing forest labels linear lists losses
    merge_of_ancestor merge_of_merges mutual_depends_on no_downgrade odd_messages
    tangled tangled_rows three_way_merge two_heads
}

/// The projects that the tests above leave out, and why.
const OTHERS: [(&str, &str); 10] = [
    ("cycle", "no engine loads it"),
    ("dependency_cycle", "no engine upgrades it"),
    ("duplicate_id", "refused on both roads"),
    ("hanging", "shaped like failing"),
    ("missing_file", "no engine loads it"),
    ("multidb", "only the fast road sees both databases"),
    ("pyproject", "wants a variable"),
    ("slow", "shaped like failing"),
    ("syntax_error", "no engine loads it"),
    ("x_argument", "wants an argument"),
];

/// Turns red where a new project is in neither list.
#[test]
fn both_roads_see_the_same_in_every_project() {
    let mut known: Vec<&str> = OTHERS.iter().map(|(case, _)| *case).collect();
    known.extend(HEALTHY);
    known.sort_unstable();
    let mut projects: Vec<String> = std::fs::read_dir(source().join("fixtures/alembic"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    projects.sort();
    assert_eq!(projects, known);
}

#[test]
fn both_roads_see_the_same_halfway() {
    for (case, revision) in [
        ("diamond", "7c1e5f0a93d2"),
        ("depends_on", "yyyy2222"),
        ("forest", "mmmm1111"),
    ] {
        agree(&Project::alembic(case).at(revision), case);
    }
}

#[test]
fn both_roads_see_the_same_with_older_engines() {
    // Where branches are of no order among themselves, 1.6 lists them in another one than it takes them in.
    for (python, case) in [
        ("alembic-1.6", "diamond"),
        ("alembic-1.6", "mutual_depends_on"),
        ("alembic-1.13", "diamond"),
        ("alembic-1.13", "forest"),
        ("alembic-1.13", "mutual_depends_on"),
    ] {
        agree(&Project::alembic_of(python, case).at("heads"), case);
    }
}

#[test]
fn the_plain_road_leads_down_to_base() {
    for case in ["depends_on", "diamond", "forest"] {
        let project = Project::alembic(case).at("heads");
        let run = project
            .run(&format!("downgrade-safe base -y {PLAIN}"))
            .exits(0);
        assert!(
            run.stderr
                .contains("Current revision: base, by the word of the engine's `current`"),
            "{run}"
        );
        assert_eq!(project.rows(), [""; 0], "{case}");
    }
}

#[test]
fn older_engines_go_down_to_base_one_revision_at_a_time() {
    for python in ["alembic-1.6", "alembic-1.13"] {
        for case in ["diamond", "mutual_depends_on"] {
            let project = Project::alembic_of(python, case).at("heads");
            project.run("downgrade-safe base -y").exits(0);
            assert_eq!(project.rows(), [""; 0], "{python}, {case}");
        }
    }
}
