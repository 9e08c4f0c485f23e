//! Follows `upgrade()` and `downgrade()` through the code, without running it.
//!
//! An interpreter of the Python that migrations are written in, over values that may be unknown.
//! Where a condition is not known both ways are gone, and what happens there is not certain; where
//! code cannot be followed that is said, with its line. It ends on every file: steps, depth and
//! sizes are bounded.

#![expect(
    clippy::match_same_arms,
    clippy::needless_pass_by_value,
    clippy::unnecessary_box_returns,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "what is dispatched by name has one signature and reads as a table, one line for each name"
)]

mod ahead;
mod attributes;
mod branches;
mod builtins;
mod calls;
mod class;
mod collections;
mod comparisons;
mod comprehensions;
mod constructs;
mod definitions;
mod directives;
mod evaluate;
mod exceptions;
mod generators;
mod harmless;
mod inspector;
mod installed;
mod interpreter;
mod metadata;
mod methods;
mod models;
mod modules;
mod names;
mod operators;
mod orm_session;
mod packages;
mod queries;
mod rows;
mod sqlalchemy_objects;
mod statements;
mod targets;
mod text;
mod types;
mod unfollowed;
mod value;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

pub use self::ahead::following_ahead;
use self::interpreter::Interpreter;
use self::modules::{Library, Namespace, Project};
use crate::{Direction, Followed, Host, Migrations};
use python_source::version_file::{VersionFile, VersionFiles};
use rollback_core::revision::RevisionId;

/// Follows the migrations of a project. Each file is read once.
#[derive(Debug)]
pub struct Follower<'a> {
    files: &'a VersionFiles,
    /// Where each revision is among them.
    by_id: HashMap<&'a str, &'a VersionFile>,
    project: Project,
}

impl<'a> Follower<'a> {
    /// Over the files of a project.
    pub fn new(files: &'a VersionFiles) -> Self {
        Self::sharing(files, Arc::default())
    }

    /// As [`new`](Self::new), with modules that another one reads as well.
    fn sharing(files: &'a VersionFiles, library: Arc<Library>) -> Self {
        let project = Project::new(&files.roots, library);
        // All of them at once: what is found must not depend on what was followed before.
        for file in &files.files {
            project.add_home_of(&file.path);
        }
        let by_id = files.files.iter().rev();
        let by_id = by_id
            .map(|file| (file.revision.id.as_str(), file))
            .collect();
        Self {
            files,
            by_id,
            project,
        }
    }
}

impl Migrations for Follower<'_> {
    fn may_autocommit(&self) -> bool {
        self.files.may_autocommit
    }

    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        let Some(file) = self.by_id.get(revision.as_str()) else {
            return Followed::Unreadable(match self.files.unread.get(revision.as_str()) {
                Some(unread) => format!("{}: {}", unread.path.display(), unread.reason),
                None => format!("there is no version file of {revision}"),
            });
        };
        let shown = file.path.to_string_lossy();
        let name = file.revision.path.as_deref().unwrap_or(&shown);
        match self.project.load_version(&file.path, name, &file.source) {
            Err(why) => Followed::Unreadable(format!("{name}: {why}")),
            Ok(module) => {
                let namespace = Namespace::new(Rc::clone(&module));
                let followed = Interpreter::new(&self.project, host, &namespace).run(direction);
                namespace.names.borrow_mut().clear();
                // Each migration runs in modules that no other one has changed.
                self.project.forget();
                followed
            }
        }
    }
}

impl Migrations for VersionFiles {
    fn may_autocommit(&self) -> bool {
        self.may_autocommit
    }

    /// For one function alone; to follow many use a [`Follower`], which reads each file once.
    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        Follower::new(self).follow(revision, direction, host)
    }
}
