//! `create_index`, `drop_index`.

use super::super::interpreter::{Evaluated, Interpreter};
use super::super::models::{condition, name_of, words};
use super::super::value::Value;
use super::Directive;
use rollback_core::dialect::Dialect;
use rollback_core::operation::{IndexRows, Operation, UniqueScope};

impl Interpreter<'_> {
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
                alike: self.alike(directive),
                concurrently: directive.arguments.flag("postgresql_concurrently"),
                if_not_exists: directive.arguments.flag("if_not_exists"),
            },
        )
    }

    /// Which rows a unique index or key compares.
    pub(super) fn alike(&self, directive: &Directive<'_>) -> UniqueScope {
        let of = |dialect: Dialect, option: &str| {
            let is_meant = self.dialect().is_none_or(|known| known == dialect);
            let name = format!("{}_{option}", dialect.name());
            let given = directive.arguments.named(&name).filter(|_| is_meant);
            given.filter(|value| !value.is_none())
        };
        let conditions = [Dialect::Postgres, Dialect::Sqlite];
        let among = conditions.iter().find_map(|dialect| of(*dialect, "where"));
        let letters = of(Dialect::MySql, "length").or(directive.arguments.named("mariadb_length"));
        UniqueScope {
            among: match among.map(condition) {
                None => IndexRows::All,
                Some(Some(text)) if self.dialect().is_some() => IndexRows::Where(text),
                Some(_) => IndexRows::Unknown,
            },
            nulls: of(Dialect::Postgres, "nulls_not_distinct")
                .is_some_and(|flag| flag.truth() != Some(false)),
            in_part: letters.is_some() && self.dialect() != Some(Dialect::Postgres),
        }
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
