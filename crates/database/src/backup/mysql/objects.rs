//! What a database of MariaDB or MySQL holds, and which of it its own client cannot write down.

use super::super::BackupError;
use crate::connection::{SessionError, text};
use crate::mysql::MySql;
use crate::{DatabaseError, quoted};
use rollback_core::backup::{LeftOut, OmittedPart};

/// How long somebody else's lock is waited for, in seconds.
pub(super) const LOCK_LIMIT: u32 = 10;

/// "Lock wait timeout exceeded".
const LOCKED: u16 = 1205;

/// What a server answers to a user without the right: on a database, table, column, the server, a routine.
pub(super) const NOT_ALLOWED: [u16; 5] = [1044, 1142, 1143, 1227, 1370];

/// The tables with rows.
const TABLES: &str = "SELECT table_name FROM information_schema.tables \
     WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name";

const VIEWS: &str = "SELECT table_name FROM information_schema.tables \
     WHERE table_schema = DATABASE() AND table_type = 'VIEW' ORDER BY table_name";

const ROUTINES: &str = "SELECT CONCAT('SHOW CREATE ', routine_type, ' `', REPLACE(routine_name, '`', '``'), '`') \
     FROM information_schema.routines WHERE routine_schema = DATABASE()";

/// What a restore drops: kind and name. Triggers and indexes go with their tables. Objects of other definers come
/// first and tables last: the right to drop what somebody else defined may be missing, and is then missing before
/// anything was dropped.
const OBJECTS: &str = "
    SELECT kind, name FROM (
        SELECT 1 AS place, routine_type AS kind, routine_name AS name, definer
        FROM information_schema.routines WHERE routine_schema = DATABASE()
            AND routine_type IN ('FUNCTION', 'PROCEDURE', 'PACKAGE')
        UNION ALL SELECT 2, 'EVENT', event_name, definer
        FROM information_schema.events WHERE event_schema = DATABASE()
        UNION ALL SELECT 3, 'VIEW', table_name, definer
        FROM information_schema.views WHERE table_schema = DATABASE()
        UNION ALL SELECT CASE table_type WHEN 'SEQUENCE' THEN 5 ELSE 4 END,
            CASE table_type WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, table_name, NULL
        FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SYSTEM VIEW')
    ) objects ORDER BY place > 3, definer = CURRENT_USER(), place, name";

/// The first column of the answer to a question that may take long.
pub(super) fn rows(database: &mut MySql, sql: &str) -> Result<Vec<Option<String>>, BackupError> {
    let answer = database.session.rows_patiently(sql, &mut || false);
    let rows = answer.map_err(failed)?;
    Ok(rows.iter().map(|row| text(row, 0)).collect())
}

fn failed(error: SessionError) -> BackupError {
    let is_locked = error.is_number(&[LOCKED]);
    match DatabaseError::from(error) {
        DatabaseError::Query { place, reason } if is_locked => DatabaseError::Query {
            place,
            reason: format!(
                "somebody holds a lock on a table for longer than {LOCK_LIMIT}s: {reason}"
            ),
        },
        error => error,
    }
    .into()
}

/// Runs a statement that drops an object. MySQL lets nobody without `SYSTEM_USER` drop what a user with it defined.
pub(super) fn drop_object(database: &mut MySql, sql: &str) -> Result<(), BackupError> {
    match database.session.rows_patiently(sql, &mut || false) {
        Ok(_) => Ok(()),
        Err(error) if error.is_number(&NOT_ALLOWED) => match DatabaseError::from(error) {
            DatabaseError::Query { place, reason } => Err(DatabaseError::Query {
                place,
                reason: format!("{reason} ({sql})"),
            }
            .into()),
            error => Err(error.into()),
        },
        Err(error) => Err(failed(error)),
    }
}

/// The first value.
pub(super) fn one(database: &mut MySql, sql: &str) -> Result<String, BackupError> {
    Ok(rows(database, sql)?
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_default())
}

/// The names of the tables with rows.
pub(super) fn tables(database: &mut MySql) -> Result<Vec<String>, BackupError> {
    Ok(rows(database, TABLES)?.into_iter().flatten().collect())
}

/// Locks all tables; whether the user may.
pub(super) fn lock_tables(database: &mut MySql, kind: &str) -> Result<bool, BackupError> {
    let tables: Vec<String> = tables(database)?
        .iter()
        .map(|table| format!("{} {kind}", quoted(table, '`')))
        .collect();
    if tables.is_empty() {
        return Ok(true);
    }
    let sql = format!("LOCK TABLES {}", tables.join(", "));
    match database.session.rows_patiently(&sql, &mut || false) {
        Ok(_) => Ok(true),
        Err(error) if error.is_number(&[LOCKED]) => Err(failed(error)),
        // Without the right, or because of a table that cannot be opened: then nothing is held still.
        Err(error) if error.number.is_some() => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// What the client would fail on, so that it is told to leave it out.
pub(super) fn unreadable(database: &mut MySql) -> Result<Vec<LeftOut>, BackupError> {
    let mut left_out = views(database)?;
    left_out.extend(routines(database)?);
    if let Some(reason) = refused(database, "SHOW EVENTS", &NOT_ALLOWED)? {
        left_out.push(LeftOut::all(OmittedPart::Events, reason));
    }
    let grants = rows(database, "SHOW GRANTS")?;
    let may_see_triggers = grants
        .iter()
        .flatten()
        .any(|grant| grant.contains("ALL PRIVILEGES") || grant.contains("TRIGGER"));
    if !may_see_triggers {
        let reason = "the user has no right TRIGGER, and sees none".to_owned();
        left_out.push(LeftOut::all(OmittedPart::Triggers, reason));
    }
    Ok(left_out)
}

/// The views that refer to what is gone, or whose definer is.
fn views(database: &mut MySql) -> Result<Vec<LeftOut>, BackupError> {
    let mut broken = Vec::new();
    for view in rows(database, VIEWS)?.into_iter().flatten() {
        let name = quoted(&view, '`');
        let mut reason = refused(database, &format!("SHOW FIELDS FROM {name}"), &[])?;
        if reason.is_none() {
            reason = refused(database, &format!("SHOW CREATE TABLE {name}"), &[])?;
        }
        if let Some(reason) = reason {
            broken.push(LeftOut {
                part: OmittedPart::View,
                definition: definition(database, &view)?,
                name: view,
                reason,
            });
        }
    }
    Ok(broken)
}

/// The statement that creates a view. If its definer is gone, the server tells no more than the query.
fn definition(database: &mut MySql, view: &str) -> Result<Option<String>, BackupError> {
    let name = quoted(view, '`');
    let answer = database
        .session
        .rows_here(&format!("SHOW CREATE VIEW {name}"));
    if let Ok(rows) = answer {
        return Ok(rows.first().and_then(|row| text(row, 1)));
    }
    let text = view.replace('\\', "\\\\").replace('\'', "''");
    let query = rows(
        database,
        &format!(
            "SELECT view_definition FROM information_schema.views \
             WHERE table_schema = DATABASE() AND table_name = '{text}'"
        ),
    )?;
    let query = query.into_iter().flatten().find(|query| !query.is_empty());
    Ok(query.map(|query| format!("CREATE VIEW {name} AS {query}")))
}

/// A client leaves out all routines or none.
fn routines(database: &mut MySql) -> Result<Option<LeftOut>, BackupError> {
    for question in rows(database, ROUTINES)?.into_iter().flatten() {
        let answer = database.session.rows_here(&question);
        let body = match answer {
            Ok(rows) => rows.first().and_then(|row| text(row, 2)),
            Err(error) if error.number.is_some() => None,
            Err(error) => return Err(failed(error)),
        };
        if body.is_none() {
            let reason =
                "the user may not read the text of one of them: GRANT SHOW CREATE ROUTINE, \
                          or SELECT ON mysql.proc"
                    .to_owned();
            return Ok(Some(LeftOut::all(OmittedPart::Routines, reason)));
        }
    }
    Ok(None)
}

/// The server's words, if it refuses with one of these numbers, or with any if there are none.
fn refused(
    database: &mut MySql,
    sql: &str,
    numbers: &[u16],
) -> Result<Option<String>, BackupError> {
    match database.session.rows_here(sql) {
        Ok(_) => Ok(None),
        Err(error)
            if error.is_number(numbers) || (numbers.is_empty() && error.number.is_some()) =>
        {
            Ok(Some(words(error)))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The server's words alone.
pub(super) fn words(error: SessionError) -> String {
    match error.report {
        DatabaseError::Query { reason, .. } | DatabaseError::LoginRefused { reason, .. } => reason,
        report => report.to_string(),
    }
}

/// The statements that empty the database, but for what the backup left out.
pub(super) fn emptying(
    database: &mut MySql,
    left_out: &[LeftOut],
) -> Result<Vec<String>, BackupError> {
    let answer = database
        .session
        .rows_patiently(OBJECTS, &mut || false)
        .map_err(failed)?;
    let stays = |kind: &str, name: &str| {
        left_out.iter().any(|left| match left.part {
            OmittedPart::Routines => matches!(kind, "FUNCTION" | "PROCEDURE" | "PACKAGE"),
            OmittedPart::Events => kind == "EVENT",
            OmittedPart::View => kind == "VIEW" && left.name == name,
            OmittedPart::Table | OmittedPart::Triggers | OmittedPart::Unknown => false,
        })
    };
    Ok(answer
        .iter()
        .filter_map(|row| Some((text(row, 0)?, text(row, 1)?)))
        .filter(|(kind, name)| !stays(kind, name))
        .flat_map(|(kind, name)| dropping(&kind, &name))
        .collect())
}

/// Only in Oracle mode every release understands the word for a package.
fn dropping(kind: &str, name: &str) -> Vec<String> {
    let drop = format!("DROP {kind} IF EXISTS {}", quoted(name, '`'));
    if kind == "PACKAGE" {
        return vec![
            "SET @rollback_mode = @@SESSION.sql_mode".to_owned(),
            "SET SESSION sql_mode = 'ORACLE'".to_owned(),
            drop,
            "SET SESSION sql_mode = @rollback_mode".to_owned(),
        ];
    }
    vec![drop]
}
