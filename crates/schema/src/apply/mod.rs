//! What a server does with one operation that SQLAlchemy and Alembic send it.
//!
//! Measured with Alembic 1.20.1 and SQLAlchemy 2.1.9 on PostgreSQL 15, MariaDB 10.11 and SQLite 3.40.
//! A failure is certain only where nothing that is not known can prevent it.

mod batch;
mod columns;
mod constraints;
mod draft;
mod drops;
mod indexes;
mod removal;
mod rows;
mod tables;
mod types;

pub use rows::FollowingRows;

use super::subject::{ApplyError, ApplyErrorKind};
use super::{Origin, Presence, SchemaModel};
use crate::Failure;
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{Operation, Place, TableName};
use rollback_core::revision::RevisionId;
use rollback_core::subject::Subject;

/// How an operation comes to happen.
#[derive(Debug, Clone, Copy)]
pub struct ApplyContext<'plan> {
    /// Where it stands.
    pub place: &'plan Place,
    /// Whether it happens for certain.
    pub certain: bool,
    /// The revision whose migration it is of.
    pub by: &'plan RevisionId,
    /// Whether it is one of Alembic's directives and no statement that the migration writes itself.
    pub directive: bool,
}

impl SchemaModel {
    /// Does to the schema model what the server would do. The obstacles are in the order in which they are
    /// met; at most the last is certain, and then nothing behind it has happened. Of a statement that
    /// fails nothing happens; of a directive that is several statements, those before it.
    pub fn apply(&mut self, operation: &Operation, act: ApplyContext<'_>) -> Vec<ApplyError> {
        let mut applying = Applying {
            model: self,
            place: act.place.clone(),
            act,
            obstacles: Vec::new(),
        };
        // What stopped it is the last of the obstacles.
        let _: Result<(), Stop> = applying.operation(operation);
        applying.obstacles
    }
}

/// A failure that is certain.
struct Stop;

type Flow<Value = ()> = Result<Value, Stop>;

struct Applying<'act> {
    model: &'act mut SchemaModel,
    act: ApplyContext<'act>,
    /// In batch mode each operation has its own.
    place: Place,
    obstacles: Vec<ApplyError>,
}

impl Applying<'_> {
    fn operation(&mut self, operation: &Operation) -> Flow {
        match operation {
            Operation::CreateTable {
                table,
                columns,
                constraints,
                if_not_exists,
            } => self.create_table(table, columns, constraints, *if_not_exists),
            Operation::DropTable {
                table,
                if_exists,
                cascade,
            } => self.drop_table(table, *if_exists, *cascade),
            Operation::RenameTable { table, to } => self.rename_table(table, to),
            Operation::AddColumn {
                table,
                column,
                if_not_exists,
            } => self.add_column(table, column, *if_not_exists),
            Operation::DropColumn {
                table,
                column,
                if_exists,
                cascade,
            } => self.drop_column(table, column, *if_exists, *cascade),
            Operation::AlterColumn {
                table,
                column,
                change,
            } => self.alter_column(table, column, change),
            Operation::CreateIndex {
                name,
                table,
                columns,
                unique,
                if_not_exists,
                ..
            } => self.create_index(name, table, columns, *unique, *if_not_exists),
            Operation::DropIndex {
                name,
                table,
                if_exists,
                ..
            } => self.drop_index(name, table.as_ref(), *if_exists),
            Operation::AddConstraint { table, constraint } => {
                self.add_constraint(table, constraint)
            }
            Operation::DropConstraint {
                table,
                name,
                kind,
                if_exists,
                cascade,
            } => self.drop_constraint(table, name, *kind, *if_exists, *cascade),
            Operation::Batch { .. } => self.batch(operation),
            Operation::CreateEnum {
                name,
                values,
                if_not_exists,
            } => self.create_enum(name, values, *if_not_exists),
            Operation::DropType {
                name,
                if_exists,
                cascade,
            } => self.drop_type(name, *if_exists, *cascade),
            Operation::AddEnumValue {
                name,
                value,
                if_not_exists,
            } => self.add_enum_value(name, value, *if_not_exists),
            Operation::RenameType { name, to } => self.rename_type(name, to),
            Operation::CreateView {
                name,
                or_replace,
                query,
            } => self.create_view(name, *or_replace, query.as_deref()),
            Operation::DropView {
                name, if_exists, ..
            } => self.drop_view(name, *if_exists),
            Operation::ChangeRows {
                change,
                table,
                columns,
                ..
            } => {
                self.rows(table.as_ref(), columns)?;
                self.rows_change(table.as_ref(), *change, columns);
                Ok(())
            }
            Operation::ReadRows { table, columns } => self.rows(table.as_ref(), columns),
            Operation::CreateTableAs {
                table,
                source,
                columns,
                if_not_exists,
            } => self.create_table_as(table, source.as_ref(), columns.as_deref(), *if_not_exists),
            Operation::CopyRows { from, columns, .. } => {
                self.rows(Some(from), columns.as_deref().unwrap_or_default())
            }
            Operation::RenameIndex {
                name,
                to,
                if_exists,
            } => self.rename_index(name, to, *if_exists),
            Operation::CreateObject { object, .. } => {
                self.type_is_there(object, true);
                Ok(())
            }
            Operation::DropObject { object } => {
                self.type_is_there(object, false);
                Ok(())
            }
            Operation::ChangeRights { .. } | Operation::Sql { .. } => Ok(()),
        }
    }

    fn dialect(&self) -> Dialect {
        self.model.dialect
    }

    /// Notes a failure. Goes on where it may not come to that.
    fn refuse(
        &mut self,
        code: FindingCode,
        trouble: ApplyErrorKind,
        subject: Subject,
        sentence: String,
        sure: bool,
    ) -> Flow {
        // What Alembic or the server has no words for fails over any schema.
        let doubtful = self.model.doubtful && code != FindingCode::NotSupported;
        let certain = sure && self.act.certain && !doubtful;
        self.obstacles.push(ApplyError {
            failure: Failure {
                code,
                sentence,
                object: subject.object(),
                certain,
                place: self.place.clone(),
                culprit: None,
            },
            subject,
            trouble,
        });
        if certain { Err(Stop) } else { Ok(()) }
    }

    fn missing(&mut self, subject: Subject, sentence: String, sure: bool) -> Flow {
        self.refuse(
            FindingCode::ObjectMissing,
            ApplyErrorKind::Missing,
            subject,
            sentence,
            sure,
        )
    }

    fn exists(&mut self, subject: Subject, sentence: String, presence: Presence) -> Flow {
        let sure = presence == Presence::Certain;
        self.refuse(
            FindingCode::ObjectExists,
            ApplyErrorKind::Exists,
            subject,
            sentence,
            sure,
        )
    }

    fn dependents(&mut self, subject: Subject, sentence: String, sure: bool) -> Flow {
        self.refuse(
            FindingCode::Dependents,
            ApplyErrorKind::Other,
            subject,
            sentence,
            sure,
        )
    }

    fn unsupported(&mut self, subject: Subject, sentence: String, sure: bool) -> Flow {
        self.refuse(
            FindingCode::NotSupported,
            ApplyErrorKind::Other,
            subject,
            sentence,
            sure,
        )
    }

    /// The key of a table that has to be there; `None` where nothing is known of it.
    fn table(&mut self, name: &TableName) -> Flow<Option<TableName>> {
        let key = self.model.key(name);
        let presence = self.model.tables.get(&key).map(|table| table.presence);
        match presence {
            Some(Presence::Certain) => return Ok(Some(key)),
            None if self.model.views.contains_key(&key) => return Ok(None),
            _ => {}
        }
        let sure = presence.is_none() && !self.model.beyond(name);
        if sure || presence.is_some() {
            let sentence = format!("table {name} does not exist");
            self.missing(Subject::Table(name.clone()), sentence, sure)?;
        }
        Ok(presence.map(|_| key))
    }

    /// The name of a column that has to be there, as the table has it; `None` where it may be there all
    /// the same.
    fn column(&mut self, key: &TableName, table: &TableName, column: &str) -> Flow<Option<String>> {
        let Some(known) = self.model.tables.get(key) else {
            return Ok(None);
        };
        let name = self.model.column_of(known, column);
        let presence = name
            .as_ref()
            .and_then(|name| known.columns.get(name))
            .map(|column| column.presence);
        // PostgreSQL's own columns, and SQLite's row number.
        let hidden = ["ctid", "xmin", "oid", "tableoid", "rowid", "_rowid_"].contains(&column);
        // A virtual table tells no columns.
        let sure = presence.is_none()
            && known.presence == Presence::Certain
            && !hidden
            && (self.dialect() != Dialect::Sqlite || !known.columns.is_empty());
        if presence != Some(Presence::Certain) {
            let sentence = format!("column {column} of table {table} does not exist");
            let subject = Subject::Column(table.clone(), column.to_owned());
            self.missing(subject, sentence, sure)?;
        }
        Ok(name)
    }

    /// Of what is made now.
    fn made(&self) -> Origin {
        Origin::Made {
            by: self.act.by.clone(),
        }
    }

    /// Whether what is made now is there afterwards.
    fn presence(&self) -> Presence {
        if self.act.certain {
            Presence::Certain
        } else {
            Presence::Uncertain
        }
    }

    /// Takes those out of a list that match, or leaves them as uncertain where that is all one can say.
    fn take<Part: Present>(certain: bool, list: &mut Vec<Part>, gone: impl Fn(&Part) -> bool) {
        if certain {
            list.retain(|part| !gone(part));
        } else {
            for part in list.iter_mut().filter(|part| gone(part)) {
                part.doubt();
            }
        }
    }
}

/// What may be there or not.
trait Present {
    fn doubt(&mut self);
}

macro_rules! present {
    ($($kind:ty),*) => {
        $(impl Present for $kind {
            fn doubt(&mut self) {
                self.presence = Presence::Uncertain;
            }
        })*
    };
}

present!(
    super::Key,
    super::ForeignKey,
    super::Check,
    super::Index,
    super::Column,
    super::View
);
