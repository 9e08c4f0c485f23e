//! Threads make no difference to what is foretold.

use super::show::files_of;
use crate::Migrations;
use crate::python::{Follower, following_ahead};
use rollback_core::dialect::Dialect;
use rollback_core::graph::Graph;
use rollback_core::plan::Plan;
use rollback_core::revision::RevisionId;

/// Turns red where a thread leaves something behind that the next upgrade meets, or is waited for in vain.
#[test]
fn an_upgrade_is_the_same_whoever_follows_it() {
    let sources: Vec<(String, String)> = (10..50)
        .map(|number| {
            let rounds = number % 7;
            let source = format!(
                "from alembic import op\nmade = []\ndef upgrade():\n    for n in range({rounds}):\n        \
                 made.append(n)\n    for n in made:\n        op.drop_table(f't{number}_{{n}}')\n"
            );
            (format!("/nowhere/r{number}.py"), source)
        })
        .collect();
    let sources: Vec<(&str, &str)> = sources
        .iter()
        .map(|(path, source)| (path.as_str(), source.as_str()))
        .collect();
    let mut files = files_of(&sources);
    for at in 1..files.files.len() {
        let below = files.files[at - 1].revision.id.clone();
        files.files[at].revision.down_revisions = vec![below];
    }
    let graph = Graph::new(files.revisions()).unwrap();
    let head = RevisionId::new("r49");
    let plan = Plan::new(&graph, &[head], &"base".parse().unwrap()).unwrap();
    assert_eq!(plan.steps.len(), 40);
    let dialect = Some(Dialect::Sqlite);
    let alone = Follower::new(&files);
    for oldest_first in [false, true] {
        following_ahead(&files, &plan, dialect, |migrations| {
            let mut steps: Vec<_> = plan.steps.iter().collect();
            if oldest_first {
                steps.reverse();
            }
            for step in steps {
                let expected = alone.upgrade(&step.removes, dialect);
                assert_eq!(migrations.upgrade(&step.removes, dialect), expected);
            }
        });
    }
}
