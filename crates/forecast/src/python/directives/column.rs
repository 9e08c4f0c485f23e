//! `add_column`, `drop_column`, `alter_column`.

use super::super::interpreter::{Evaluated, Interpreter};
use super::super::models::{default_of, definitions};
use super::super::sqlalchemy_objects::SqlaObject;
use super::super::types;
use super::super::value::Value;
use super::Directive;
use rollback_core::operation::{ColumnChange, Name, Operation};

impl Interpreter<'_> {
    pub(super) fn add_column(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name"]) else {
            return self.vague(directive, "the table");
        };
        let column = match directive.get(1, &["column"]).and_then(Value::as_thing) {
            Some(SqlaObject::Column(column)) if !column.definition.name.is_empty() => {
                column.clone()
            }
            _ => return self.vague(directive, "the column"),
        };
        let Some(mut definition) = definitions(&[column], &[]).pop() else {
            return Ok(());
        };
        // Alembic leaves the name out, and more than one key is not inline.
        if let [key] = definition.foreign_keys.as_mut_slice()
            && directive.arguments.flag("inline_references")
        {
            (key.inline, key.name) = (true, Name::Unnamed);
        }
        self.emit(
            directive,
            Operation::AddColumn {
                table: table.clone(),
                column: definition,
                if_not_exists: directive.arguments.flag("if_not_exists"),
            },
        )
    }

    pub(super) fn drop_column(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name"]) else {
            return self.vague(directive, "the table");
        };
        let column = match directive.get(1, &["column_name"]) {
            Some(Value::Text(name)) => name.to_string(),
            _ => return self.vague(directive, "the column"),
        };
        self.emit(
            directive,
            Operation::DropColumn {
                table,
                column,
                if_exists: directive.arguments.flag("if_exists"),
                cascade: false,
            },
        )
    }

    pub(super) fn alter_column(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name"]) else {
            return self.vague(directive, "the table");
        };
        let Some(column) = directive.text(1, &["column_name"]) else {
            return self.vague(directive, "the column");
        };
        let arguments = directive.arguments;
        let given = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| arguments.named(name))
                .filter(|value| !value.is_none())
        };
        let kind = given(&["type_"]);
        let new_name = match given(&["new_column_name", "name"]) {
            None => None,
            Some(Value::Text(name)) => Some(name.to_string()),
            Some(_) => return self.vague(directive, "the new name"),
        };
        let nullable = match given(&["nullable"]) {
            None => None,
            Some(value) => match value.truth() {
                Some(truth) => Some(truth),
                None => return self.vague(directive, "nullable"),
            },
        };
        let server_default = match arguments.named("server_default") {
            // `False` is Alembic's word for "as it is".
            None | Some(Value::Bool(false)) => None,
            Some(Value::None) => Some(None),
            Some(value) => Some(default_of(value)),
        };
        let change = ColumnChange {
            changes_type: kind.is_some(),
            kind: kind.and_then(types::of_value),
            nullable,
            server_default,
            new_name,
            existing_kind: given(&["existing_type"]).and_then(types::of_value),
            existing_nullable: given(&["existing_nullable"]).and_then(Value::truth),
            using: directive.named("postgresql_using"),
        };
        self.emit(
            directive,
            Operation::AlterColumn {
                table,
                column,
                change,
            },
        )
    }
}
