//! The functions on PostgreSQL, for who works in SQL alone. They give the same answers as
//! [`History::verdict`](crate::history::History::verdict).

use super::{SCHEMA, Tables};
use crate::history::{CAN, FAILED, GONE, NEEDED, NO_SQL, UNKNOWN};
use crate::literal::{identifier, literal};
use rollback_core::dialect::Dialect;
use rollback_core::lock::POSTGRES_KEY;
use rollback_core::schema::FORM;

const TEXT: &str = include_str!("functions.sql");

/// Each with the types of its arguments.
pub(super) const FUNCTIONS: [(&str, &str); 5] = [
    ("migration_dependents", "text"),
    ("can_rollback_migration", "text"),
    ("list_rollbackable_migrations", ""),
    ("execute_migration_rollback", "text, boolean"),
    ("create_migration_snapshot", "text, text"),
];

/// What the function that takes snapshots says about its lines, so that one with lines of another form is known.
pub(super) fn form() -> String {
    format!("Lines of form {FORM}.")
}

impl Tables {
    /// Makes the functions and takes the right to call them from everybody but their owner. `outline` is the
    /// query that gives the lines of a schema; `web` are the roles of an API that are there.
    pub(super) fn functions(&self, outline: &str, web: &[String]) -> Vec<String> {
        let schema = self.schema.as_deref().unwrap_or(SCHEMA);
        let schema = identifier(Dialect::Postgres, schema);
        let text = |text: &str| literal(Dialect::Postgres, text);
        // The outline last: what is put in is not looked through again.
        let made = TEXT
            .replace("{schema}", &schema)
            .replace("{high}", &POSTGRES_KEY.0.to_string())
            .replace("{low}", &POSTGRES_KEY.1.to_string())
            .replace("{unknown}", &text(UNKNOWN))
            .replace("{gone}", &text(GONE))
            .replace("{failed}", &text(FAILED))
            .replace("{needed}", &text(NEEDED))
            .replace("{no_sql}", &text(NO_SQL))
            .replace("{can}", &text(CAN))
            .replace("{form}", &form())
            .replace("{outline}", outline);
        let from = from(web);
        let revoked = FUNCTIONS.iter().map(|(name, arguments)| {
            format!("REVOKE ALL ON FUNCTION {schema}.{name}({arguments}) FROM {from}")
        });
        std::iter::once(made).chain(revoked).collect()
    }
}

/// Everybody, and those that may have got a right of their own by the defaults of the schema.
pub(super) fn from(web: &[String]) -> String {
    let web = web.iter().map(|role| identifier(Dialect::Postgres, role));
    let all: Vec<String> = std::iter::once("PUBLIC".to_owned()).chain(web).collect();
    all.join(", ")
}
