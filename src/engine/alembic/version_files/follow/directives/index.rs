//! `create_index`, `drop_index`.

use super::super::machine::{Evaluated, Machine};
use super::super::models::{name_of, words};
use super::super::value::Value;
use super::Directive;
use crate::domain::operation::Operation;

impl Machine<'_> {
    pub(super) fn create_index(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name", "tablename"]) else {
            return self.vague(directive, "the table");
        };
        let Some(columns) = directive.get(2, &["columns"]).cloned() else {
            return self.vague(directive, "the columns");
        };
        let columns = match self.elements(&columns)? {
            Some((items, false)) if items.iter().all(|item| item.certain) => items
                .iter()
                .map(|item| words(Some(&item.value)).and_then(|mut words| words.pop()))
                .collect(),
            _ => vec![None],
        };
        let unique = directive
            .arguments
            .named("unique")
            .and_then(Value::truth)
            .unwrap_or(false);
        self.emit(
            directive,
            Operation::CreateIndex {
                name: name_of(directive.get(0, &["index_name", "name"])),
                table,
                columns,
                unique,
                concurrently: directive.arguments.flag("postgresql_concurrently"),
                if_not_exists: directive.arguments.flag("if_not_exists"),
            },
        )
    }

    pub(super) fn drop_index(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        self.emit(
            directive,
            Operation::DropIndex {
                name: name_of(directive.get(0, &["index_name", "name"])),
                table: directive.table(&["table_name", "tablename"]),
                concurrently: directive.arguments.flag("postgresql_concurrently"),
                if_exists: directive.arguments.flag("if_exists"),
            },
        )
    }
}
