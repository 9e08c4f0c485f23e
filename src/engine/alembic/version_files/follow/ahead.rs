//! The upgrades of a plan, followed on other threads while the downgrades are followed on one.
//!
//! An upgrade is followed over no schema, so that what it comes to depends on nothing that happens
//! before it. Which thread follows it makes no difference.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::super::VersionFiles;
use super::super::syntax::deep;
use super::Follower;
use super::modules::Library;
use crate::domain::foresight::{Dialect, Direction, Followed, Function, Host, Migrations};
use crate::domain::plan::Plan;
use crate::domain::revision::RevisionId;

/// The downgrades, one after the other, take as long as a few of these threads need for the upgrades.
const MOST_THREADS: usize = 4;

/// The upgrades of a plan's steps, each followed once.
type Upgrades<'plan> = HashMap<&'plan RevisionId, OnceLock<Arc<Function>>>;

/// The migrations of a project, some of them followed already.
struct Ahead<'run> {
    follower: Follower<'run>,
    dialect: Option<Dialect>,
    upgrades: &'run Upgrades<'run>,
}

/// Does `work` with the migrations of a plan, while the upgrades of its steps are followed beside it in
/// the order of the steps.
pub fn following_ahead<T>(
    files: &VersionFiles,
    plan: &Plan,
    dialect: Option<Dialect>,
    work: impl FnOnce(&dyn Migrations) -> T,
) -> T {
    let library = Arc::new(Library::default());
    let upgrades: Upgrades = plan
        .steps
        .iter()
        .map(|step| (&step.removes, OnceLock::new()))
        .collect();
    let ahead = || Ahead {
        follower: Follower::sharing(files, Arc::clone(&library)),
        dialect,
        upgrades: &upgrades,
    };
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // One for each core, as the thread of `work` waits for what it is ahead of. Where no thread is to
        // be had, `work` follows all.
        for _ in 0..threads(plan.steps.len()) {
            let _ = deep().spawn_scoped(scope, || {
                let ahead = ahead();
                while let Some(step) = plan.steps.get(next.fetch_add(1, Ordering::Relaxed)) {
                    ahead.upgrade(&step.removes, dialect);
                }
            });
        }
        work(&ahead())
    })
}

/// How many threads run ahead. A single step has nothing to run ahead of.
fn threads(steps: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(MOST_THREADS).min(steps / 2)
}

impl Migrations for Ahead<'_> {
    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        self.follower.follow(revision, direction, host)
    }

    fn upgrade(&self, revision: &RevisionId, dialect: Option<Dialect>) -> Arc<Function> {
        let follow = || self.follower.upgrade(revision, dialect);
        match self.upgrades.get(revision) {
            // Whoever comes second waits.
            Some(upgrade) if dialect == self.dialect => Arc::clone(upgrade.get_or_init(follow)),
            _ => follow(),
        }
    }
}
