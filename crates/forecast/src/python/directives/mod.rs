//! Alembic's directives, of `op` and of a batch.

mod batch;
mod column;
mod constraint;
mod index;
mod signature;
mod sql;
mod table;

use crate::SideEffect;
use std::rc::Rc;

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::{Batch, SqlaObject};
use super::types::not_compiled;
use super::value::{UNKNOWN, Value};
use rollback_core::operation::{Operation, TableName};

/// One call of a directive. In a batch the table is not among the arguments.
pub(super) struct Directive<'a> {
    name: &'a str,
    arguments: &'a Arguments,
    batch: Option<&'a Batch>,
    /// Where the table stands among the arguments of `op`'s directive.
    table_at: usize,
}

impl Directive<'_> {
    /// An argument by the position that it has in `op`'s directive, or by name.
    fn get(&self, position: usize, names: &[&str]) -> Option<&Value> {
        let position = if self.batch.is_some() && position > self.table_at {
            position - 1
        } else {
            position
        };
        self.arguments.get(position, names)
    }

    /// Text that is known.
    fn text(&self, position: usize, names: &[&str]) -> Option<String> {
        self.get(position, names)
            .and_then(Value::as_text)
            .map(str::to_owned)
    }

    /// A name that can only be given by name.
    fn named(&self, name: &str) -> Option<String> {
        self.arguments
            .named(name)
            .and_then(Value::as_text)
            .map(str::to_owned)
    }

    /// The table.
    fn table(&self, names: &[&str]) -> Option<TableName> {
        match self.batch {
            Some(batch) => batch.table.clone(),
            None => table_name(
                self.arguments.get(self.table_at, names),
                self.arguments
                    .named("schema")
                    .or_else(|| self.arguments.named("source_schema")),
            ),
        }
    }
}

/// A table's name from arguments; `None` where it is not known.
fn table_name(name: Option<&Value>, schema: Option<&Value>) -> Option<TableName> {
    let schema = match schema {
        None | Some(Value::None) => None,
        Some(Value::Text(schema)) => Some(schema.to_string()),
        Some(_) => return None,
    };
    match name? {
        Value::Text(name) => Some(TableName {
            schema,
            name: name.to_string(),
        }),
        Value::Thing(thing) => match &**thing {
            SqlaObject::Table(table) => table.name.clone(),
            _ => None,
        },
        _ => None,
    }
}

impl Interpreter<'_> {
    /// A directive of `op`.
    pub(super) fn directive(
        &mut self,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        match name {
            "f" | "inline_literal" => {
                return Ok(Some(
                    arguments
                        .get(0, &["name", "value"])
                        .cloned()
                        .unwrap_or(UNKNOWN),
                ));
            }
            "get_bind" => return Ok(Some(Value::thing(SqlaObject::Bind))),
            "get_context" | "migration_context" => {
                return Ok(Some(Value::thing(SqlaObject::Context)));
            }
            "batch_alter_table" => return self.begin_batch(arguments).map(Some),
            name if name.starts_with("get_context.") => return Ok(None),
            _ => {}
        }
        self.directed(name, arguments, None)
    }

    /// A directive of a batch.
    pub(super) fn batch_directive(
        &mut self,
        batch: &Rc<SqlaObject>,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let SqlaObject::Batch(batch) = &**batch else {
            return Ok(None);
        };
        match name {
            "f" | "inline_literal" => Ok(Some(
                arguments.positional.first().cloned().unwrap_or(UNKNOWN),
            )),
            "get_bind" => Ok(Some(Value::thing(SqlaObject::Bind))),
            "get_context" => Ok(Some(Value::thing(SqlaObject::Context))),
            _ => self.directed(name, arguments, Some(batch)),
        }
    }

    fn directed(
        &mut self,
        name: &str,
        arguments: &Arguments,
        batch: Option<&Batch>,
    ) -> Evaluated<Option<Value>> {
        if let Some(message) = signature::refuses(name, arguments, batch.is_some()) {
            return Err(self.exception("TypeError", Some(message)));
        }
        let directive = |table_at| Directive {
            name,
            arguments,
            batch,
            table_at,
        };
        let made = match name {
            "create_table" => self.create_table(&directive(0)),
            "drop_table" => self.drop_table(&directive(0)),
            "rename_table" => self.rename_table(&directive(0)),
            "create_table_comment" | "drop_table_comment" => Ok(()),
            "add_column" => self.add_column(&directive(0)),
            "drop_column" => self.drop_column(&directive(0)),
            "alter_column" => self.alter_column(&directive(0)),
            "create_index" => self.create_index(&directive(1)),
            "drop_index" => self.drop_index(&directive(1)),
            "create_primary_key"
            | "create_unique_constraint"
            | "create_check_constraint"
            | "create_exclude_constraint"
            | "create_foreign_key" => self.create_constraint(&directive(1)),
            "drop_constraint" => self.drop_constraint(&directive(1)),
            "bulk_insert" => self.bulk_insert(arguments),
            "execute" => self.execute_directive(arguments),
            _ => {
                // `op.invoke`, `op.run_async`, directives that are registered elsewhere.
                self.unknown(format!("the directive {name}"), SideEffect::Schema)?;
                return Ok(Some(Value::Unknown(true)));
            }
        };
        made?;
        Ok(Some(if name == "create_table" {
            self.created(arguments)?
        } else {
            Value::None
        }))
    }

    /// `op.create_table` gives the table back, for `op.bulk_insert`.
    fn created(&mut self, arguments: &Arguments) -> Evaluated {
        let mut all = arguments.clone();
        if !all.positional.is_empty() {
            all.positional
                .insert(1, Value::thing(SqlaObject::Metadata(None)));
        }
        Ok(self
            .construct("Table", "sqlalchemy.Table", all)?
            .unwrap_or(UNKNOWN))
    }

    /// Tells of an operation, or keeps it for the end of the batch.
    fn emit(&mut self, directive: &Directive<'_>, operation: Operation) -> Evaluated<()> {
        let refused = self
            .host
            .dialect()
            .and_then(|it| not_compiled(&operation, it));
        if let Some(message) = refused {
            return Err(self.exception("CompileError", Some(message.to_owned())));
        }
        match directive.batch {
            None => self.operation(operation),
            Some(batch) => {
                let certain = self.doubt <= batch.entered && self.maybe.is_none();
                let place = self.place();
                let mut operations = batch.operations.borrow_mut();
                if operations.len() < 5_000 {
                    operations.push((place, operation, certain));
                }
                Ok(())
            }
        }
    }

    /// A directive of which something that matters is not known.
    fn vague(&mut self, directive: &Directive<'_>, part: &str) -> Evaluated<()> {
        self.unknown(format!("{part} of {}", directive.name), SideEffect::Schema)
    }
}
