//! A database beside the real one, and objects in the real one that prove a right: both are gone again at once.

use super::super::BackupError;
use super::objects::{NOT_ALLOWED, one, words};
use super::script::Survey;
use crate::mysql::MySql;
use crate::{DatabaseError, quoted};

/// A database beside the real one, gone again with its value.
pub(super) struct MySqlScratch {
    database: MySql,
    pub(super) name: String,
    is_there: bool,
}

impl MySqlScratch {
    pub(super) fn create(mut database: MySql) -> Result<Self, BackupError> {
        let name = one(
            &mut database,
            "SELECT CONCAT('rollback_scratch_', UNIX_TIMESTAMP(), '_', CONNECTION_ID())",
        )?;
        let like = one(
            &mut database,
            "SELECT CONCAT('CHARACTER SET ', @@character_set_database, ' COLLATE ', @@collation_database)",
        )?;
        let sql = format!("CREATE DATABASE {} {like}", quoted(&name, '`'));
        if let Err(error) = database.session.rows_here(&sql) {
            if error.is_number(&NOT_ALLOWED) {
                return Err(BackupError::NoScratch(format!(
                    "{}; the user needs all rights on databases named `rollback\\_scratch\\_%`",
                    words(error)
                )));
            }
            return Err(DatabaseError::from(error).into());
        }
        Ok(Self {
            database,
            name,
            is_there: true,
        })
    }

    pub(super) fn remove(mut self) -> Result<(), BackupError> {
        self.is_there = false;
        self.drop_database()
    }

    fn drop_database(&mut self) -> Result<(), BackupError> {
        let sql = format!("DROP DATABASE IF EXISTS {}", quoted(&self.name, '`'));
        self.database
            .session
            .rows(&sql)
            .map_err(DatabaseError::from)?;
        Ok(())
    }
}

impl Drop for MySqlScratch {
    fn drop(&mut self) {
        if self.is_there {
            // What led here is reported; a database that is left over says by its name what it is.
            let _ = self.drop_database();
        }
    }
}

/// Creates and drops one object of each kind that the backup holds, so that a right that is missing is known
/// before anything else is dropped.
pub(super) fn prove_rights(database: &mut MySql, survey: &Survey) -> Result<(), BackupError> {
    let name = one(
        database,
        "SELECT CONCAT('rollback_probe_', CONNECTION_ID())",
    )?;
    let name = quoted(&name, '`');
    let mut steps = vec![
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES {name} (id))"
        ),
        format!("INSERT INTO {name} VALUES (1, NULL)"),
        format!("ALTER TABLE {name} COMMENT 'rollback'"),
        format!("SELECT id FROM {name}"),
    ];
    if survey.has_triggers {
        steps.push(format!(
            "CREATE TRIGGER {name} BEFORE INSERT ON {name} FOR EACH ROW SET NEW.id = NEW.id"
        ));
    }
    steps.push(format!("DROP TABLE {name}"));
    if survey.has_views {
        steps.push(format!("CREATE VIEW {name} AS SELECT 1 AS one"));
        steps.push(format!("DROP VIEW {name}"));
    }
    if survey.has_routines {
        steps.push(format!("CREATE PROCEDURE {name}() SELECT 1"));
        steps.push(format!("DROP PROCEDURE {name}"));
    }
    if survey.has_events {
        steps.push(format!(
            "CREATE EVENT {name} ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 1 DAY DISABLE DO DO 0"
        ));
        steps.push(format!("DROP EVENT {name}"));
    }
    for step in steps {
        if let Err(error) = database.session.rows_patiently(&step, &mut || false) {
            for kind in ["EVENT", "PROCEDURE", "VIEW", "TABLE"] {
                // A right to create without one to drop leaves an object that says by its name what it is.
                let _ = database
                    .session
                    .rows_here(&format!("DROP {kind} IF EXISTS {name}"));
            }
            return Err(BackupError::Unfit(format!(
                "the server refuses a statement that a restore needs: {} ({step})",
                words(error)
            )));
        }
    }
    Ok(())
}
