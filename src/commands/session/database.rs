//! What the database is asked beside its version rows.

use std::time::Duration;

use super::Session;
use crate::commands::Context;
use crate::commands::eyes::Eyes;
use crate::database::Database;
use crate::domain::catalogue::Catalogue;
use crate::domain::foresight::Dialect;
use crate::domain::graph::Graph;
use crate::domain::report::Schema;
use crate::domain::revision::Heads;
use crate::error::Failure;
use crate::runner::Witness as _;

/// How long the two small questions about the catalogue may take.
const CATALOGUE_LIMIT: Duration = Duration::from_secs(2);

impl Session {
    /// The server, where it is one of those that are known well enough.
    pub(in super::super) fn dialect(&self) -> Option<Dialect> {
        Dialect::of(&self.identity.as_ref()?.dialect)
    }

    /// The schema as objects; `None` where it cannot be read.
    pub(in super::super) fn catalogue(&mut self) -> Option<Catalogue> {
        let dialect = self.dialect()?;
        let schema = self.schema()?;
        let Eyes::Own { database, .. } = &mut self.watched.eyes else {
            return None;
        };
        let mut ask = |sql: &str| {
            let rows = database.query(sql, CATALOGUE_LIMIT).ok().flatten();
            rows.unwrap_or_default()
        };
        let default_schema = match dialect {
            Dialect::Postgresql => ask("SELECT current_schema()").into_iter().flatten().next(),
            _ => None,
        };
        let mut catalogue = Catalogue::read(&schema, dialect, default_schema.flatten().as_deref());
        if dialect == Dialect::Sqlite {
            let tables = ask("SELECT name, sql FROM sqlite_master WHERE type = 'table'");
            let tables = tables.iter().filter_map(|row| match row.as_slice() {
                [Some(name), Some(sql)] => Some((name.as_str(), sql.as_str())),
                _ => None,
            });
            catalogue.name_constraints(tables);
        }
        Some(catalogue)
    }

    /// What looking ahead needs.
    pub(in super::super) fn looks(&mut self) -> (&Graph, Option<&mut (dyn Database + 'static)>) {
        let database = match &mut self.watched.eyes {
            Eyes::Own { database, .. } => Some(database.as_mut()),
            Eyes::Engine(_) => None,
        };
        (&self.graph, database)
    }

    /// The schema as it is now; `None` where it cannot be read.
    pub(in super::super) fn schema(&mut self) -> Option<Schema> {
        self.watched.schema()
    }

    /// The version rows as they are now.
    pub(in super::super) fn heads(&mut self) -> Result<Heads, String> {
        self.watched.heads()
    }

    /// What looks like the rest of a step that broke off; nothing where it cannot be looked for.
    pub(in super::super) fn leftovers(&mut self) -> Vec<String> {
        match &mut self.watched.eyes {
            Eyes::Own { database, .. } => database.leftovers().unwrap_or_default(),
            Eyes::Engine(_) => Vec::new(),
        }
    }

    /// Makes the checks that come before a run, and takes the state that its steps are compared with.
    pub(in super::super) fn check_before(
        &mut self,
        validate: bool,
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let (watch, own) = self.watched.parts();
        watch.before(own, validate, context)
    }

    pub(in super::super) fn has_own_connection(&self) -> bool {
        matches!(self.watched.eyes, Eyes::Own { .. })
    }
}
