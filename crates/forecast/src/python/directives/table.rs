//! `create_table`, `drop_table`, `rename_table`.

use super::super::interpreter::{Evaluated, Interpreter};
use super::super::models::definitions;
use super::super::sqlalchemy_objects::SqlaObject;
use super::super::value::Value;
use super::Directive;
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, UniqueScope};

impl Interpreter<'_> {
    pub(super) fn create_table(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name", "name"]) else {
            return self.vague(directive, "the table");
        };
        let mut columns = Vec::new();
        let mut constraints = Vec::new();
        let mut indexes = Vec::new();
        let mut unknown = directive.arguments.open;
        for value in directive.arguments.positional.iter().skip(1) {
            match value.as_thing() {
                Some(SqlaObject::Column(column)) if !column.definition.name.is_empty() => {
                    columns.push(column.clone());
                }
                Some(SqlaObject::Constraint(constraint)) => constraints.push(constraint.clone()),
                Some(SqlaObject::Index(name, columns, unique, _)) => {
                    indexes.push((name.clone(), columns.clone(), *unique));
                }
                // `None` comes of `cond and column`; comments and the like are no parts.
                _ if value.is_none() || matches!(value, Value::Text(_)) => {}
                _ => unknown = true,
            }
        }
        if unknown {
            self.vague(directive, "every part")?;
        }
        let columns = definitions(&columns, &constraints);
        let needs_columns = matches!(self.host.dialect(), Some(Dialect::Sqlite | Dialect::MySql));
        if columns.is_empty() && !unknown && needs_columns {
            let message = format!("table {table} has no columns");
            return Err(self.exception("OperationalError", Some(message)));
        }
        self.emit(
            directive,
            Operation::CreateTable {
                table: table.clone(),
                columns,
                constraints,
                if_not_exists: directive.arguments.flag("if_not_exists"),
            },
        )?;
        for (name, columns, unique) in indexes {
            self.emit(
                directive,
                Operation::CreateIndex {
                    name,
                    table: table.clone(),
                    columns,
                    unique,
                    // The table is empty.
                    alike: UniqueScope::default(),
                    concurrently: false,
                    if_not_exists: false,
                },
            )?;
        }
        Ok(())
    }

    pub(super) fn drop_table(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name", "name"]) else {
            return self.vague(directive, "the table");
        };
        self.emit(
            directive,
            Operation::DropTable {
                table,
                if_exists: directive.arguments.flag("if_exists"),
                cascade: false,
            },
        )
    }

    pub(super) fn rename_table(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["old_table_name"]) else {
            return self.vague(directive, "the table");
        };
        let Some(to) = directive.text(1, &["new_table_name"]) else {
            return self.vague(directive, "the new name");
        };
        self.emit(directive, Operation::RenameTable { table, to })
    }
}
