//! The upgrades of a plan, followed on other threads while the downgrades are followed on one.
//!
//! An upgrade is followed over no schema, so that what it comes to depends on nothing that happens
//! before it. Which thread follows it makes no difference.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Follower;
use super::modules::Library;
use crate::{Direction, Followed, Function, Host, Migrations};
use python_source::syntax::deep;
use python_source::version_file::VersionFiles;
use rollback_core::dialect::Dialect;
use rollback_core::plan::{Plan, Step};
use rollback_core::revision::RevisionId;

/// More of them would wait for the one that follows the downgrades.
const MOST_THREADS: usize = 3;

/// The upgrades of a plan's steps, each followed once.
struct Upgrades<'plan> {
    steps: &'plan [Step],
    followed: HashMap<&'plan RevisionId, OnceLock<Arc<Function>>>,
    /// The first step that nobody has taken.
    next: AtomicUsize,
}

impl<'plan> Upgrades<'plan> {
    fn of(plan: &'plan Plan) -> Self {
        let steps = plan.steps.iter();
        Self {
            steps: &plan.steps,
            followed: steps.map(|step| (&step.removes, OnceLock::new())).collect(),
            next: AtomicUsize::new(0),
        }
    }

    fn take(&self) -> Option<&'plan RevisionId> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        self.steps.get(at).map(|step| &step.removes)
    }
}

/// The migrations of a project, some of them followed already.
struct Ahead<'run> {
    follower: Follower<'run>,
    dialect: Option<Dialect>,
    upgrades: &'run Upgrades<'run>,
}

impl Ahead<'_> {
    /// Follows the next upgrade that nobody has taken. Whether there was one.
    fn one_more(&self) -> bool {
        let Some(revision) = self.upgrades.take() else {
            return false;
        };
        if let Some(upgrade) = self.upgrades.followed.get(revision) {
            self.followed(revision, upgrade);
        }
        true
    }

    /// Where another thread is at it, waits for that.
    fn followed(&self, revision: &RevisionId, upgrade: &OnceLock<Arc<Function>>) -> Arc<Function> {
        let follow = || self.follower.upgrade(revision, self.dialect);
        Arc::clone(upgrade.get_or_init(follow))
    }
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
    let upgrades = Upgrades::of(plan);
    let ahead = || Ahead {
        follower: Follower::sharing(files, Arc::clone(&library)),
        dialect,
        upgrades: &upgrades,
    };
    std::thread::scope(|scope| {
        // Where no thread is to be had, `work` follows all.
        for _ in 0..threads(plan.steps.len()) {
            let _ = deep().spawn_scoped(scope, || {
                let ahead = ahead();
                while ahead.one_more() {}
            });
        }
        work(&ahead())
    })
}

/// How many threads run ahead, beside the one of the downgrades. A single step has nothing to run ahead
/// of.
fn threads(steps: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores - 1).min(MOST_THREADS).min(steps / 2)
}

impl Migrations for Ahead<'_> {
    fn may_autocommit(&self) -> bool {
        self.follower.may_autocommit()
    }

    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        self.follower.follow(revision, direction, host)
    }

    fn upgrade(&self, revision: &RevisionId, dialect: Option<Dialect>) -> Arc<Function> {
        match self.upgrades.followed.get(revision) {
            Some(upgrade) if dialect == self.dialect => {
                // Rather than to wait for another thread it does what is left of their work.
                while upgrade.get().is_none() && self.one_more() {}
                self.followed(revision, upgrade)
            }
            _ => self.follower.upgrade(revision, dialect),
        }
    }
}
