//! Statements as text and as SQLAlchemy's constructs.

use crate::SideEffect;
use std::rc::Rc;

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::models::{definitions, mentions_of};
use super::operators::{pieces_of, push};
use super::sqlalchemy_objects::{Query, Row, SqlaObject, Statement, TableValue};
use super::value::{UNKNOWN, Value};
use rollback_core::operation::{ColumnType, Family, Operation, RowChange, TableName, UniqueScope};

impl Interpreter<'_> {
    /// Runs a statement, whatever form it has.
    pub(super) fn run_statement(&mut self, statement: &Value, method: &str) -> Evaluated {
        let rows = match statement {
            Value::Text(_) | Value::Holed(_) => {
                self.sql(pieces_of(statement))?;
                self.no_rows()
            }
            Value::Thing(thing) => match &**thing {
                SqlaObject::Clause(pieces) => {
                    self.sql(pieces.to_vec())?;
                    self.no_rows()
                }
                SqlaObject::Statement(statement) => self.run_construct(statement)?,
                SqlaObject::Ddl(object, makes, asks) => {
                    self.run_ddl(object, *makes, *asks)?;
                    self.no_rows()
                }
                SqlaObject::Query(query) => {
                    let row = self.read(&Query::clone(query))?;
                    Value::thing(SqlaObject::Rows(row))
                }
                SqlaObject::Expression(mentions) => {
                    let mut reads = super::sqlalchemy_objects::Reads::default();
                    reads.mention(mentions);
                    self.tell_reads(&reads)?;
                    self.no_rows()
                }
                _ => {
                    self.unknown("a statement that is made elsewhere", SideEffect::Schema)?;
                    UNKNOWN
                }
            },
            Value::List(list) if list.is_exact() => {
                let items = list.items.borrow().clone();
                for item in items {
                    self.run_statement(&item.value, method)?;
                }
                UNKNOWN
            }
            _ => {
                self.sql(vec![None])?;
                self.no_rows()
            }
        };
        Ok(match (method, rows.as_thing()) {
            ("scalar", _) => UNKNOWN,
            ("scalars", Some(SqlaObject::Rows(Row { parts, .. }))) if !parts.is_empty() => {
                Value::thing(SqlaObject::Rows(parts[0].clone()))
            }
            _ => rows,
        })
    }

    /// A statement as text.
    pub(super) fn sql(&mut self, pieces: Vec<Option<String>>) -> Evaluated<()> {
        let mut text = Vec::new();
        for piece in &pieces {
            push(&mut text, piece.as_deref());
        }
        self.operation(Operation::Sql { text })
    }

    fn run_construct(&mut self, statement: &Statement) -> Evaluated {
        match statement.change {
            None => {
                self.tell_reads(&statement.reads)?;
                if !statement.models.is_empty() {
                    return Ok(Value::thing(SqlaObject::Rows(Row {
                        parts: statement.models.clone(),
                        ..Row::default()
                    })));
                }
                let table = match statement.reads.tables.as_slice() {
                    [(table, _)] => Some(table.clone()),
                    _ => None,
                };
                Ok(Value::thing(SqlaObject::Rows(Row {
                    table: None,
                    parts: vec![Row {
                        table,
                        ..Row::default()
                    }],
                    ..Row::default()
                })))
            }
            Some(change) => {
                for (table, columns) in &statement.reads.tables {
                    if Some(table) != statement.table.as_ref() {
                        self.operation(Operation::ReadRows {
                            table: Some(table.clone()),
                            columns: columns.clone(),
                        })?;
                    }
                }
                let mut columns = statement.sets.clone();
                for (table, read) in &statement.reads.tables {
                    if Some(table) == statement.table.as_ref() && change == RowChange::Update {
                        // Columns of the condition are not set: they are read.
                        if read.iter().any(|column| !columns.contains(column)) {
                            self.operation(Operation::ReadRows {
                                table: Some(table.clone()),
                                columns: read.clone(),
                            })?;
                        }
                    }
                }
                columns.dedup();
                self.operation(Operation::ChangeRows {
                    change,
                    table: statement.table.clone(),
                    columns,
                    conditional: statement.conditional,
                    nulls: statement.nulls.clone(),
                    sql: None,
                })?;
                Ok(self.no_rows())
            }
        }
    }

    /// A method of a statement, which makes another one.
    pub(super) fn statement_method(
        &mut self,
        statement: &Statement,
        name: &str,
        arguments: &Arguments,
    ) -> Value {
        let mut statement = statement.clone();
        match name {
            "where" | "filter" | "having" => {
                statement.conditional = true;
                statement.reads.mention(&mentions_of(arguments.values()));
            }
            "filter_by" => statement.conditional = true,
            "values" => {
                for value in &arguments.positional {
                    if let Value::Dict(values) = value {
                        for (key, value) in values.entries.borrow().iter() {
                            let name = match key {
                                Value::Text(name) => Some(name.to_string()),
                                Value::Thing(thing) => match &**thing {
                                    SqlaObject::Column(column) => {
                                        Some(column.definition.name.clone())
                                    }
                                    _ => None,
                                },
                                _ => None,
                            };
                            if let Some(name) = name {
                                statement.set(name, &value.value);
                            }
                        }
                    }
                }
                for (name, value) in &arguments.named {
                    statement.set(name.to_string(), value);
                    statement
                        .reads
                        .mention(&mentions_of(std::iter::once(value)));
                }
            }
            "from_select" => {
                statement.sets =
                    super::models::words(arguments.positional.first()).unwrap_or_default();
                for value in arguments.positional.iter().skip(1) {
                    self.reads_of(value, &mut statement.reads, 0);
                }
            }
            "select_from" | "join" | "outerjoin" => {
                for value in arguments.values() {
                    if let Some(table) = self.table_of(value) {
                        statement.reads.table(&table);
                    }
                }
                statement.reads.mention(&mentions_of(arguments.values()));
            }
            "order_by" | "group_by" | "returning" | "add_columns" | "with_only_columns" => {
                statement.reads.mention(&mentions_of(arguments.values()));
            }
            "subquery" | "scalar_subquery" | "as_scalar" | "label" | "exists" | "alias" | "cte" => {
                return Value::thing(SqlaObject::Expression(super::attributes::all_of(
                    &statement.reads,
                )));
            }
            _ => {}
        }
        Value::thing(SqlaObject::Statement(statement))
    }

    /// A method of a table.
    pub(super) fn table_method(
        &mut self,
        table: &Rc<TableValue>,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let this = Value::Thing(Rc::new(SqlaObject::Table(Rc::clone(table))));
        Ok(Some(match name {
            "select" | "insert" | "update" | "delete" => {
                let mut all = Arguments::of(vec![this]);
                let conditional = !arguments.positional.is_empty() && name != "insert";
                all.named.clone_from(&arguments.named);
                let made = self.construct(name, name, all)?;
                match made.as_ref().and_then(Value::as_thing) {
                    Some(SqlaObject::Statement(statement)) => {
                        let mut statement = statement.clone();
                        statement.conditional |= conditional;
                        statement.reads.mention(&mentions_of(arguments.values()));
                        Value::thing(SqlaObject::Statement(statement))
                    }
                    _ => UNKNOWN,
                }
            }
            "create" | "drop" => {
                let Some(name_of_table) = table.name.clone() else {
                    self.unknown("which table this is", SideEffect::Schema)?;
                    return Ok(Some(Value::None));
                };
                // SQLAlchemy's `Table.create` asks first only where it is told to.
                let checks = arguments
                    .get(1, &["checkfirst"])
                    .is_some_and(|value| value.truth() != Some(false));
                if name == "drop" {
                    self.operation(Operation::DropTable {
                        table: name_of_table,
                        if_exists: checks,
                        cascade: false,
                    })?;
                } else {
                    if table.reflected {
                        self.unknown("every column of a table", SideEffect::Schema)?;
                    }
                    let columns = table.columns.borrow();
                    let columns = definitions(&columns, &table.constraints);
                    self.operation(Operation::CreateTable {
                        table: name_of_table.clone(),
                        columns,
                        constraints: table.constraints.clone(),
                        if_not_exists: checks,
                    })?;
                    for (index, columns, unique) in &table.indexes {
                        self.operation(Operation::CreateIndex {
                            name: index.clone(),
                            table: name_of_table.clone(),
                            columns: columns.clone(),
                            unique: *unique,
                            alike: UniqueScope::default(),
                            concurrently: false,
                            if_not_exists: checks,
                        })?;
                    }
                }
                Value::None
            }
            "join" | "outerjoin" | "alias" | "with_variant" | "to_metadata" | "tometadata" => this,
            "append_column" | "append_constraint" => Value::None,
            _ => UNKNOWN,
        }))
    }

    /// Makes or drops an object on its own; with `asks` only if it is not there, or there.
    pub(super) fn run_ddl(&mut self, object: &Value, makes: bool, asks: bool) -> Evaluated<()> {
        let verb = if makes { "CREATE" } else { "DROP" };
        let condition = match (asks, makes) {
            (false, _) => "",
            (true, true) => "IF NOT EXISTS ",
            (true, false) => "IF EXISTS ",
        };
        let written = |kind: &str, name: &TableName| {
            let quoted = format!("\"{}\"", name.name.replace('"', "\"\""));
            let schema = name.schema.as_ref();
            let schema = schema.map_or(String::new(), |schema| format!("\"{schema}\"."));
            format!("{verb} {kind} {condition}{schema}{quoted}")
        };
        let text = match (object, object.as_thing()) {
            (_, Some(SqlaObject::Table(table))) => {
                let method = if makes { "create" } else { "drop" };
                let named = vec![("checkfirst".into(), Value::Bool(asks))];
                let arguments = Arguments {
                    named,
                    ..Arguments::default()
                };
                return self.table_method(table, method, &arguments).map(|_| ());
            }
            (_, Some(SqlaObject::Index(name, columns, unique, table))) => {
                return self.operation(match (makes, table.clone()) {
                    (true, Some(table)) => Operation::CreateIndex {
                        name: name.clone(),
                        table,
                        columns: columns.clone(),
                        unique: *unique,
                        alike: UniqueScope::default(),
                        concurrently: false,
                        if_not_exists: asks,
                    },
                    (true, None) => {
                        return self.unknown("the table of an index", SideEffect::Schema);
                    }
                    (false, table) => Operation::DropIndex {
                        name: name.clone(),
                        table,
                        concurrently: false,
                        if_exists: asks,
                    },
                });
            }
            (_, Some(SqlaObject::Sequence(name))) => written("SEQUENCE", name),
            (Value::Text(name), _) => written("SCHEMA", &TableName::plain(&**name)),
            _ => return self.unknown("a statement that is made elsewhere", SideEffect::Schema),
        };
        self.sql(vec![Some(text)])
    }

    /// A method of a type.
    pub(super) fn type_method(
        &mut self,
        kind: &ColumnType,
        this: &Value,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        if name == "with_variant" && kind.family == Family::String {
            let kind = super::types::undecided(kind.clone());
            return Ok(Some(Value::thing(SqlaObject::Type(kind))));
        }
        if kind.family != Family::Enum || !matches!(name, "create" | "drop") {
            return Ok(Some(this.clone()));
        }
        let Some(own) = kind.enum_name.clone() else {
            self.unknown("the name of an enum", SideEffect::Schema)?;
            return Ok(Some(Value::None));
        };
        // The generic type's `checkfirst` is false where it is not given.
        let checks = arguments
            .get(1, &["checkfirst"])
            .is_some_and(|value| value.truth() != Some(false));
        self.operation(if name == "create" {
            Operation::CreateEnum {
                name: own,
                values: kind.values.clone(),
                if_not_exists: checks,
            }
        } else {
            Operation::DropType {
                name: own,
                if_exists: checks,
                cascade: false,
            }
        })?;
        Ok(Some(Value::None))
    }
}
