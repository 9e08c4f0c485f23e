//! A database beside the real one, gone again with its value.

use std::process;

use sqlx::postgres::PgConnection;

use super::super::BackupError;
use crate::connection::{Connection, text, texts};
use crate::postgres::PostgresSettings;
use crate::{DatabaseError, quoted};

/// `insufficient_privilege`.
const NOT_ALLOWED: &str = "42501";

/// What a copy has in common with its original, as the end of `CREATE DATABASE`. The columns are asked for by
/// way of JSON, since each release has others.
const LIKE: &str = "
    SELECT concat_ws(' ', 'TEMPLATE template0 ENCODING', quote_literal(pg_encoding_to_char(encoding)),
        'LC_COLLATE ' || quote_literal(datcollate), 'LC_CTYPE ' || quote_literal(datctype),
        CASE d ->> 'datlocprovider' WHEN 'i' THEN 'LOCALE_PROVIDER icu' WHEN 'b' THEN 'LOCALE_PROVIDER builtin' END,
        CASE d ->> 'datlocprovider' WHEN 'i' THEN 'ICU_LOCALE ' WHEN 'b' THEN 'BUILTIN_LOCALE ' END
            || quote_literal(coalesce(d ->> 'datlocale', d ->> 'daticulocale')),
        'ICU_RULES ' || quote_literal(d ->> 'daticurules'),
        'TABLESPACE ' || quote_ident(spcname)),
        extract(epoch FROM clock_timestamp())::numeric::bigint
    FROM (SELECT p.*, to_jsonb(p) AS d FROM pg_database p WHERE datname = current_database()) p
        LEFT JOIN pg_tablespace t ON t.oid = p.dattablespace AND t.spcname <> 'pg_default'";

/// What decides how the server writes a schema, as a statement that says it of another session.
const MANNERS: &str = "
    SELECT 'SELECT ' || string_agg(format('set_config(%L, %L, true)', name, setting), ', ')
    FROM pg_settings WHERE name IN ('search_path', 'DateStyle', 'IntervalStyle', 'TimeZone',
        'extra_float_digits', 'bytea_output', 'quote_all_identifiers')";

/// The manners of this session: a copy does not have the settings of its original.
pub(super) fn manners(session: &mut Connection<PgConnection>) -> Result<String, DatabaseError> {
    let rows = session.rows(MANNERS)?;
    Ok(texts(&rows)
        .into_iter()
        .flatten()
        .next()
        .flatten()
        .unwrap_or_else(|| "SELECT 1".to_owned()))
}

/// An empty database with a name that tells what it is.
pub(super) struct PostgresScratch<'a> {
    session: &'a mut Connection<PgConnection>,
    name: String,
    is_there: bool,
}

impl<'a> PostgresScratch<'a> {
    pub(super) fn create(
        session: &'a mut Connection<PgConnection>,
        settings: &PostgresSettings,
    ) -> Result<Self, BackupError> {
        let rows = session.rows(LIKE).map_err(DatabaseError::from)?;
        let column = |index| rows.first().and_then(|row| text(row, index));
        let name = format!(
            "rollback_scratch_{}_{}",
            column(1).unwrap_or_default(),
            process::id()
        );
        let sql = format!(
            "CREATE DATABASE {} {}",
            quoted(&name, '"'),
            column(0).unwrap_or_default()
        );
        let mut scratch = Self {
            session,
            name,
            is_there: true,
        };
        if let Err(error) = scratch.session.rows_patiently(&sql, &mut || false) {
            scratch.is_there = false;
            let is_denied = error.is_code(&[NOT_ALLOWED]);
            return Err(match DatabaseError::from(error) {
                DatabaseError::Query { reason, .. } if is_denied => {
                    BackupError::NoScratch(format!(
                        "{reason}; a backup is verified in a database beside this one, so a superuser \
                         has to allow it: ALTER ROLE {} CREATEDB",
                        quoted(&settings.user, '"')
                    ))
                }
                error => error.into(),
            });
        }
        Ok(scratch)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Drops it, whoever is still connected.
    pub(super) fn remove(mut self) -> Result<(), BackupError> {
        self.is_there = false;
        self.drop_database()
    }

    fn drop_database(&mut self) -> Result<(), BackupError> {
        let name = quoted(&self.name, '"');
        let literal = quoted(&self.name, '\'');
        // Connected again where the connection broke meanwhile.
        self.session
            .rows(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal}"
            ))
            .map_err(DatabaseError::from)?;
        let mut result = Ok(Vec::new());
        // A client that was ended is a moment in going, and the server itself waits five seconds.
        for force in [" WITH (FORCE)", "", ""] {
            let sql = format!("DROP DATABASE IF EXISTS {name}{force}");
            result = self.session.rows_patiently(&sql, &mut || false);
            if result.is_ok() {
                return Ok(());
            }
        }
        result
            .map(drop)
            .map_err(|error| DatabaseError::from(error).into())
    }
}

impl Drop for PostgresScratch<'_> {
    fn drop(&mut self) {
        if self.is_there {
            // What led here is told; a database that is left over says by its name what it is.
            let _ = self.drop_database();
        }
    }
}
