//! Who is asked for the revisions: the version files themselves, or the engine.

use crate::config::GraphSource;
use crate::error::Failure;
use python_source::version_file::VersionFiles;
use rollback_alembic::AlembicEngine;
use rollback_alembic::layout::{Layout, roots_of};
use rollback_alembic::version_files;
use rollback_core::figures::count;
use rollback_core::graph::Graph;
use rollback_core::revision::Revision;

/// A history read off the version files.
pub(crate) struct FromFiles {
    pub(crate) graph: Graph,
    pub(crate) files: VersionFiles,
    pub(crate) layout: Layout,
}

/// What is known of the version files before the engine is asked.
pub(crate) enum RevisionHistory {
    /// They tell the history.
    Files(Box<FromFiles>),
    /// They do not, or are not asked: the reason.
    Engine(String),
}

impl FromFiles {
    fn read(layout: Layout) -> Result<Self, String> {
        let files = version_files::read(&layout).map_err(|error| error.to_string())?;
        let graph = Graph::new(files.revisions()).map_err(|error| error.to_string())?;
        Ok(Self {
            graph,
            files,
            layout,
        })
    }
}

impl RevisionHistory {
    /// Reads the files, unless the engine was chosen. Fails where the files were chosen, and one of
    /// them cannot be read.
    pub(crate) fn read(
        engine: &mut AlembicEngine,
        chosen: Option<GraphSource>,
    ) -> Result<Self, Failure> {
        match chosen {
            Some(GraphSource::Engine) => Ok(Self::Engine("it was chosen".to_owned())),
            Some(GraphSource::Files) => {
                let read = engine.assumed_layout().and_then(FromFiles::read);
                let read = read.map_err(|reason| {
                    Failure::user(format!(
                        "the version files do not tell the history: {reason}"
                    ))
                    .hint("leave --graph files away, and the engine is asked where they do not")
                })?;
                engine.believe(read.graph.clone());
                Ok(Self::Files(Box::new(read)))
            }
            None => Ok(match engine.layout().and_then(FromFiles::read) {
                Ok(read) => Self::Files(Box::new(read)),
                Err(reason) => Self::Engine(reason),
            }),
        }
    }

    /// Who told the history in the end, and why, for people.
    pub(crate) fn account(&self, taken: &Graph) -> String {
        match self {
            Self::Files(read) if same(read.graph.revisions(), taken.revisions()) => format!(
                "History:   {}, read from the version files",
                count(taken.revisions().len(), "revision")
            ),
            Self::Files(_) => {
                "History:   the engine's: it loads other revisions than the version files show"
                    .to_owned()
            }
            Self::Engine(reason) => format!("History:   the engine's: {reason}"),
        }
    }

    /// The text of the version files, with the places that modules are imported from.
    pub(super) fn files(self, taken: &Graph, engine: &AlembicEngine) -> VersionFiles {
        let mut files = match self {
            Self::Files(read) if same(read.graph.revisions(), taken.revisions()) => read.files,
            Self::Files(read) => {
                let VersionFiles {
                    roots,
                    may_autocommit,
                    ..
                } = read.files;
                VersionFiles::of_engine(taken.revisions(), roots, may_autocommit)
            }
            Self::Engine(_) => {
                let roots = roots_of(taken.revisions());
                // Where env.py and its configuration are is not known.
                VersionFiles::of_engine(taken.revisions(), roots, true)
            }
        };
        let installed = engine.installed_packages();
        files
            .roots
            .extend(installed.filter(|site| !files.roots.contains(site)));
        files
    }
}

/// Whether two histories lead to the same plans. A message or an inherited label may differ in form.
fn same(one: &[Revision], other: &[Revision]) -> bool {
    let links = |revision: &Revision| {
        (
            revision.id.clone(),
            revision.down_revisions.clone(),
            revision.depends_on.clone(),
        )
    };
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| links(one) == links(other))
}
