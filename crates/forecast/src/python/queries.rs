//! Queries of the object mapper.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::models::mentions_of;
use super::sqlalchemy_objects::{Query, Reads, Row, SqlaObject};
use super::value::{UNKNOWN, Value};
use rollback_core::operation::{Operation, RowChange, TableName};

impl Interpreter<'_> {
    /// `session.query(...)`.
    pub(super) fn query(&mut self, arguments: &Arguments) -> Evaluated {
        let mut query = Query {
            models: Vec::new(),
            reads: Reads::default(),
            only: None,
            conditional: false,
        };
        self.select_more(&mut query, arguments);
        Ok(Value::thing(SqlaObject::Query(query)))
    }

    pub(super) fn select_more(&mut self, query: &mut Query, arguments: &Arguments) {
        for value in &arguments.positional {
            let row = match value {
                Value::Class(class) => self.row_of(class),
                Value::Thing(thing) => match &**thing {
                    SqlaObject::Table(table) => Some(Row {
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
    pub(super) fn target(query: &Query) -> Option<TableName> {
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
        let changed = |query: Query| Ok(Some(Value::thing(SqlaObject::Query(query))));
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
                        && let Some(SqlaObject::Expression(only)) =
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
                Ok(Some(Value::thing(SqlaObject::Rows(row))))
            }
            "first" | "one_or_none" | "scalar_one_or_none" | "get" => {
                let row = self.read(&query)?;
                Ok(Some(Value::thing(SqlaObject::Row(Row {
                    optional: true,
                    ..row
                }))))
            }
            "one" | "scalar_one" => {
                let row = self.read(&query)?;
                // It raises where there is none.
                self.risks += 1;
                Ok(Some(Value::thing(SqlaObject::Row(row))))
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
                                SqlaObject::Column(column) => Some(column.definition.name.clone()),
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
                    nulls: Vec::new(),
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
                Ok(Some(Value::thing(SqlaObject::Expression(mentions))))
            }
            // `limit`, `offset`, `populate_existing`, `enable_eagerloads`, `union` and so on.
            _ => changed(query),
        }
    }
}
