//! `execute` and `bulk_insert`.

use super::super::calls::Arguments;
use super::super::interpreter::{Evaluated, Interpreter};
use super::super::sqlalchemy_objects::SqlaObject;
use super::super::value::{UNKNOWN, Value};
use rollback_core::operation::{Operation, RowChange};

impl Interpreter<'_> {
    pub(super) fn execute_directive(&mut self, arguments: &Arguments) -> Evaluated<()> {
        let statement = arguments
            .get(0, &["sqltext", "sql", "statement"])
            .cloned()
            .unwrap_or(UNKNOWN);
        self.run_statement(&statement, "execute").map(|_| ())
    }

    pub(super) fn bulk_insert(&mut self, arguments: &Arguments) -> Evaluated<()> {
        let table = arguments.get(0, &["table"]).cloned().unwrap_or(UNKNOWN);
        let rows = arguments.get(1, &["rows"]).cloned().unwrap_or(UNKNOWN);
        let mut columns = Vec::new();
        match self.elements(&rows)? {
            Some((items, false)) if items.is_empty() => return Ok(()),
            Some((items, _)) => {
                for item in items.iter().take(200) {
                    if let Value::Dict(entries) = &item.value {
                        for (key, _) in entries.entries.borrow().iter() {
                            if let Some(name) = key.as_text()
                                && !columns.iter().any(|own| own == name)
                            {
                                columns.push(name.to_owned());
                            }
                        }
                    }
                }
            }
            None => {}
        }
        let table = match table.as_thing() {
            Some(SqlaObject::Table(table)) => table.name.clone(),
            _ => self.table_of(&table),
        };
        self.operation(Operation::ChangeRows {
            change: RowChange::Insert,
            table,
            columns,
            conditional: false,
            nulls: Vec::new(),
            sql: None,
        })
    }
}
