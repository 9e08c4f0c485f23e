//! Sessions and queries of the object mapper, and connections.

use std::rc::Rc;

use super::calls::Arguments;
use super::machine::{Evaluated, Machine};
use super::models::mentions_of;
use super::things::{Query, Reads, Row, Thing};
use super::value::{UNKNOWN, Value};
use crate::domain::foresight::EventKind;
use crate::domain::operation::{Operation, RowChange, TableName};

impl Machine<'_> {
    /// `session.query(...)`.
    pub(super) fn query(&mut self, arguments: &Arguments) -> Evaluated {
        let mut query = Query {
            models: Vec::new(),
            reads: Reads::default(),
            only: None,
            conditional: false,
        };
        self.select_more(&mut query, arguments);
        Ok(Value::thing(Thing::Query(query)))
    }

    fn select_more(&mut self, query: &mut Query, arguments: &Arguments) {
        for value in &arguments.positional {
            let row = match value {
                Value::Class(class) => self.row_of(class),
                Value::Thing(thing) => match &**thing {
                    Thing::Table(table) => Some(Row {
                        table: table.name.clone(),
                        columns: Vec::new(),
                        selected: if table.reflected {
                            Vec::new()
                        } else {
                            let columns = table.columns.borrow();
                            columns
                                .iter()
                                .map(|column| column.definition.name.clone())
                                .collect()
                        },
                        ..Row::default()
                    }),
                    _ => None,
                },
                _ => None,
            };
            if let Some(row) = row {
                query.models.push(row);
            } else {
                self.reads_of(value, &mut query.reads, 0);
                // Its place in each row of the result.
                query.models.push(Row::default());
            }
        }
        query.reads.open |= arguments.open;
    }

    /// Runs a query: what it reads, and the shape of its rows.
    pub(super) fn read(&mut self, query: &Query) -> Evaluated<Row> {
        let mut reads = Reads {
            open: query.reads.open,
            ..Reads::default()
        };
        for model in &query.models {
            let Some(table) = &model.table else { continue };
            let columns = reads.table(table);
            match &query.only {
                Some(only) => columns.extend(
                    only.iter()
                        .filter(|(own, _)| own == table)
                        .map(|(_, column)| column.clone()),
                ),
                None => columns.extend(model.selected.iter().cloned()),
            }
        }
        for (table, columns) in &query.reads.tables {
            let own = reads.table(table);
            for column in columns {
                if !own.contains(column) {
                    own.push(column.clone());
                }
            }
        }
        self.tell_reads(&reads)?;
        Ok(match query.models.as_slice() {
            [one] if one.table.is_some() => Row {
                parts: vec![one.clone()],
                ..one.clone()
            },
            many => Row {
                parts: many.to_vec(),
                ..Row::default()
            },
        })
    }

    /// Tells of what is read.
    pub(super) fn tell_reads(&mut self, reads: &Reads) -> Evaluated<()> {
        for (table, columns) in &reads.tables {
            self.operation(Operation::ReadRows {
                table: Some(table.clone()),
                columns: columns.clone(),
            })?;
        }
        if reads.tables.is_empty() {
            self.operation(Operation::ReadRows {
                table: None,
                columns: Vec::new(),
            })?;
        }
        Ok(())
    }

    /// The table that a query changes.
    fn target(query: &Query) -> Option<TableName> {
        query
            .models
            .first()
            .and_then(|model| model.table.clone())
            .or_else(|| query.reads.tables.first().map(|(table, _)| table.clone()))
    }

    /// A method of a query.
    pub(super) fn query_method(
        &mut self,
        query: &Query,
        name: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        let changed = |query: Query| Ok(Some(Value::thing(Thing::Query(query))));
        let mut query = query.clone();
        match name {
            "filter" | "where" | "having" | "order_by" | "group_by" | "distinct" => {
                query.conditional |= matches!(name, "filter" | "where" | "having");
                query.reads.mention(&mentions_of(arguments.values()));
                changed(query)
            }
            "filter_by" => {
                query.conditional = true;
                if let Some(model) = query.models.first()
                    && let Some(table) = model.table.clone()
                {
                    let columns = model.columns.clone();
                    for (attribute, _) in &arguments.named {
                        if let Some((_, column)) =
                            columns.iter().find(|(own, _)| **own == **attribute)
                        {
                            query.reads.mention(&vec![(table.clone(), column.clone())]);
                        }
                    }
                }
                changed(query)
            }
            "join" | "outerjoin" | "select_from" => {
                for value in arguments.values() {
                    if let Some(table) = self.table_of(value) {
                        query.reads.table(&table);
                    }
                }
                query.reads.mention(&mentions_of(arguments.values()));
                query.conditional |= name == "join";
                changed(query)
            }
            "options" => {
                for value in &arguments.positional {
                    if let Value::Tuple(parts) = value
                        && let Some(Thing::Expression(only)) =
                            parts.get(1).and_then(Value::as_thing)
                    {
                        query
                            .only
                            .get_or_insert_default()
                            .extend(only.iter().cloned());
                    }
                }
                changed(query)
            }
            "with_entities" => {
                query.models.clear();
                self.select_more(&mut query, &arguments);
                changed(query)
            }
            "add_columns" | "add_entity" => {
                self.select_more(&mut query, &arguments);
                changed(query)
            }
            "all" | "yield_per" | "fetchall" | "partitions" => {
                let row = self.read(&query)?;
                Ok(Some(Value::thing(Thing::Rows(row))))
            }
            "first" | "one_or_none" | "scalar_one_or_none" | "get" => {
                let row = self.read(&query)?;
                Ok(Some(Value::thing(Thing::Row(Row {
                    optional: true,
                    ..row
                }))))
            }
            "one" | "scalar_one" => {
                let row = self.read(&query)?;
                // It raises where there is none.
                self.risks += 1;
                Ok(Some(Value::thing(Thing::Row(row))))
            }
            "count" | "scalar" => {
                self.read(&query)?;
                Ok(Some(UNKNOWN))
            }
            "update" | "delete" => {
                let columns = match arguments.positional.first() {
                    Some(Value::Dict(values)) if name == "update" => values
                        .entries
                        .borrow()
                        .iter()
                        .filter_map(|(key, _)| match key {
                            Value::Text(text) => Some(
                                query
                                    .models
                                    .first()
                                    .and_then(|model| {
                                        model.columns.iter().find(|(own, _)| **own == **text)
                                    })
                                    .map_or_else(|| text.to_string(), |(_, column)| column.clone()),
                            ),
                            Value::Thing(thing) => match &**thing {
                                Thing::Column(column) => Some(column.definition.name.clone()),
                                _ => None,
                            },
                            _ => None,
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                self.operation(Operation::ChangeRows {
                    change: if name == "update" {
                        RowChange::Update
                    } else {
                        RowChange::Delete
                    },
                    table: Self::target(&query),
                    columns,
                    conditional: query.conditional,
                    sql: None,
                })?;
                Ok(Some(UNKNOWN))
            }
            "subquery" | "exists" | "label" | "cte" | "scalar_subquery" | "as_scalar" => {
                let mut mentions = super::attributes::all_of(&query.reads);
                for model in &query.models {
                    if let Some(table) = &model.table {
                        mentions.extend(
                            model
                                .selected
                                .iter()
                                .map(|column| (table.clone(), column.clone())),
                        );
                    }
                }
                Ok(Some(Value::thing(Thing::Expression(mentions))))
            }
            // `limit`, `offset`, `populate_existing`, `enable_eagerloads`, `union` and so on.
            _ => changed(query),
        }
    }

    /// What may be raised here.
    pub(super) fn maybe_raise(&mut self, mut raised: Box<super::machine::Exception>) {
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
                    Value::thing(Thing::Row(Row {
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
            "connection" | "get_bind" => Value::thing(Thing::Bind),
            "begin" | "begin_nested" => Value::thing(Thing::Block(Value::thing(Thing::Session))),
            "no_autoflush" | "bind" => Value::thing(Thing::Bind),
            _ => return Ok(None),
        }))
    }

    fn change(&mut self, change: RowChange, table: Option<TableName>) -> Evaluated<()> {
        self.operation(Operation::ChangeRows {
            change,
            table,
            columns: Vec::new(),
            conditional: change != RowChange::Insert,
            sql: None,
        })
    }

    fn change_object(&mut self, value: &Value, change: RowChange) -> Evaluated<()> {
        // A row that came from the database and is added again is updated.
        let change = match (value.as_thing(), change) {
            (Some(Thing::Row(row)), RowChange::Insert) if row.persistent => RowChange::Update,
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
                Value::thing(Thing::Block(Value::thing(Thing::Bind)))
            }
            "connect" | "execution_options" | "engine" | "get_bind" | "connection" => {
                Value::thing(Thing::Block(Value::thing(Thing::Bind)))
            }
            "autocommit_block" => Value::thing(Thing::Autocommit),
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
        let is_row = matches!(this.as_thing(), Some(Thing::Row(_)));
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
                Value::thing(Thing::Row(Row {
                    optional: true,
                    ..row.clone()
                }))
            }
            "one" | "scalar_one" => Value::thing(Thing::Row(row.clone())),
            "scalar" | "rowcount" | "count" | "index" => UNKNOWN,
            "append" | "remove" | "extend" | "sort" | "close" => Value::None,
            // `fetchall`, `fetchmany`, `mappings`, `scalars`, `all` and so on.
            _ => Value::thing(Thing::Rows(match (name, row.parts.as_slice()) {
                ("scalars", [one, ..]) if one.table.is_some() => one.clone(),
                _ => row.clone(),
            })),
        }))
    }

    /// The same for all that has no rows.
    #[expect(clippy::unused_self, reason = "beside its users")]
    pub(super) fn no_rows(&self) -> Value {
        Value::Thing(Rc::new(Thing::Rows(super::attributes::any_row())))
    }
}
