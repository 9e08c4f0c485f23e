//! Sessions and queries of the object mapper, and connections.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::{Query, Reads, Row, SqlaObject};
use super::value::{UNKNOWN, Value};
use crate::EventKind;
use rollback_core::operation::{Operation, RowChange, TableName};
use std::rc::Rc;

impl Interpreter<'_> {
    /// What may be raised here.
    pub(super) fn maybe_raise(&mut self, mut raised: Box<super::interpreter::Exception>) {
        raised.certain = false;
        // Told like any other, but at the line that may do it, once it leaves.
        self.maybe = self.maybe.take().or(Some(raised));
    }

    /// A method of a session.
    pub(super) fn session_method(
        &mut self,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let first = arguments.positional.first();
        Ok(Some(match name {
            "query" => self.query(arguments)?,
            "execute" | "scalar" | "scalars" => {
                let Some(statement) = arguments.get(0, &["statement", "clause"]) else {
                    return Ok(None);
                };
                let statement = statement.clone();
                self.run_statement(&statement, name)?
            }
            "get" => {
                let row = match first {
                    Some(Value::Class(class)) => self.row_of(class),
                    _ => None,
                };
                if let Some(row) = row {
                    let query = Query {
                        models: vec![row],
                        reads: Reads::default(),
                        only: None,
                        conditional: true,
                    };
                    let row = self.read(&query)?;
                    Value::thing(SqlaObject::Row(Row {
                        optional: true,
                        ..row
                    }))
                } else {
                    self.tell_reads(&Reads::default())?;
                    UNKNOWN
                }
            }
            "add" | "merge" | "delete" => {
                let change = if name == "delete" {
                    RowChange::Delete
                } else {
                    RowChange::Insert
                };
                let value = first.cloned().unwrap_or(UNKNOWN);
                self.change_object(&value, change)?;
                value
            }
            "add_all" | "bulk_save_objects" | "bulk_insert_mappings" | "bulk_update_mappings" => {
                let mut values = first.cloned().unwrap_or(UNKNOWN);
                if name.ends_with("mappings") {
                    let change = if name == "bulk_insert_mappings" {
                        RowChange::Insert
                    } else {
                        RowChange::Update
                    };
                    let table = self.table_of(&values);
                    self.change(change, table)?;
                } else if let Some((items, open)) = self.elements(&values)? {
                    if open && items.is_empty() {
                        self.change_object(&UNKNOWN, RowChange::Some)?;
                    }
                    for item in items {
                        let doubt = u32::from(!item.certain);
                        self.doubt += doubt;
                        let told = self.change_object(&item.value, RowChange::Insert);
                        self.doubt -= doubt;
                        told?;
                    }
                } else {
                    values = self.element_of(&values)?;
                    self.change_object(&values, RowChange::Some)?;
                }
                Value::None
            }
            "commit" | "rollback" => {
                self.happens(EventKind::EndsTransaction)?;
                Value::None
            }
            "flush" | "close" | "expire" | "expire_all" | "refresh" | "expunge" | "expunge_all"
            | "remove" | "configure" => Value::None,
            "connection" | "get_bind" => Value::thing(SqlaObject::Bind),
            "begin" | "begin_nested" => {
                Value::thing(SqlaObject::Block(Value::thing(SqlaObject::Session)))
            }
            "no_autoflush" | "bind" => Value::thing(SqlaObject::Bind),
            _ => return Ok(None),
        }))
    }

    pub(super) fn change(&mut self, change: RowChange, table: Option<TableName>) -> Evaluated<()> {
        self.operation(Operation::ChangeRows {
            change,
            table,
            columns: Vec::new(),
            conditional: change != RowChange::Insert,
            nulls: Vec::new(),
            sql: None,
        })
    }

    pub(super) fn change_object(&mut self, value: &Value, change: RowChange) -> Evaluated<()> {
        // A row that came from the database and is added again is updated.
        let change = match (value.as_thing(), change) {
            (Some(SqlaObject::Row(row)), RowChange::Insert) if row.persistent => RowChange::Update,
            (_, change) => change,
        };
        let table = self.table_of(value);
        self.change(change, table)
    }

    /// A method of a connection, an engine or the migration context.
    pub(super) fn connection_method(
        &mut self,
        this: &Value,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        Ok(Some(match name {
            "execute" | "exec_driver_sql" | "scalar" | "scalars" | "_exec" => {
                let Some(statement) =
                    arguments.get(0, &["statement", "sql", "sqltext", "object_", "construct"])
                else {
                    return Ok(None);
                };
                let statement = statement.clone();
                self.run_statement(&statement, name)?
            }
            "commit" | "rollback" => {
                self.happens(EventKind::EndsTransaction)?;
                Value::None
            }
            "begin" | "begin_nested" | "begin_transaction" => {
                Value::thing(SqlaObject::Block(Value::thing(SqlaObject::Bind)))
            }
            "connect" | "execution_options" | "engine" | "get_bind" | "connection" => {
                Value::thing(SqlaObject::Block(Value::thing(SqlaObject::Bind)))
            }
            "autocommit_block" => Value::thing(SqlaObject::Autocommit),
            "close" | "invalidate" | "dispose" | "detach" | "__enter__" | "__exit__" => {
                this.clone()
            }
            "in_transaction"
            | "get_transaction"
            | "get_isolation_level"
            | "is_transactional"
            | "get_current_heads"
            | "get_current_revision"
            | "closed" => UNKNOWN,
            "has_table" => return self.inspect(name, arguments),
            _ => return Ok(None),
        }))
    }

    /// A method of what a row is related to: adding and removing changes the table between, or the
    /// other one's foreign key.
    pub(super) fn related_method(
        &mut self,
        between: Option<&TableName>,
        this: &Value,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let change = match (name, between) {
            ("append" | "extend" | "add" | "insert", Some(_)) => RowChange::Insert,
            ("remove" | "pop" | "clear" | "discard", Some(_)) => RowChange::Delete,
            (
                "append" | "extend" | "add" | "insert" | "remove" | "pop" | "clear" | "discard",
                None,
            ) => RowChange::Some,
            ("filter" | "filter_by" | "order_by" | "all", _) => return Ok(Some(this.clone())),
            _ => return Ok(Some(UNKNOWN)),
        };
        let _ = arguments;
        self.change(change, between.cloned())?;
        Ok(Some(UNKNOWN))
    }

    /// A method of rows that were read.
    pub(super) fn rows_method(
        &mut self,
        row: &Row,
        this: &Value,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let is_row = matches!(this.as_thing(), Some(SqlaObject::Row(_)));
        if is_row {
            if row.class.is_some() {
                let function = self.attribute(this, name)?;
                if matches!(function, Value::Bound(_) | Value::Function(_)) {
                    return self.call_value(&function, arguments.clone());
                }
            }
            return Ok(Some(UNKNOWN));
        }
        Ok(Some(match name {
            "fetchone" | "first" | "one_or_none" | "scalar_one_or_none" => {
                Value::thing(SqlaObject::Row(Row {
                    optional: true,
                    ..row.clone()
                }))
            }
            "one" | "scalar_one" => Value::thing(SqlaObject::Row(row.clone())),
            "scalar" | "rowcount" | "count" | "index" => UNKNOWN,
            "append" | "remove" | "extend" | "sort" | "close" => Value::None,
            // `fetchall`, `fetchmany`, `mappings`, `scalars`, `all` and so on.
            _ => Value::thing(SqlaObject::Rows(match (name, row.parts.as_slice()) {
                ("scalars", [one, ..]) if one.table.is_some() => one.clone(),
                _ => row.clone(),
            })),
        }))
    }

    /// The same for all that has no rows.
    #[expect(clippy::unused_self, reason = "beside its users")]
    pub(super) fn no_rows(&self) -> Value {
        Value::Thing(Rc::new(SqlaObject::Rows(super::attributes::any_row())))
    }
}
