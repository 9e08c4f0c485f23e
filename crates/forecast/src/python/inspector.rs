//! What the inspector and reflection answer, from the schema as it is at that point.

use std::rc::Rc;
use std::sync::Arc;

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::{ColumnValue, SqlaObject, TableValue};
use super::value::{Dictionary, Item, UNKNOWN, Value};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{ColumnDefinition, Name, TableName};
use rollback_schema::{Presence, Table};

/// What is known of a table.
enum TableLookup {
    /// It is there.
    There(Arc<Table>),
    /// It is not.
    Missing,
    /// That is not known.
    Unknown,
}

impl Interpreter<'_> {
    fn find_table(&self, name: &str, schema: Option<&str>) -> TableLookup {
        // What is done on a way that may not be gone is not in the schema, nor what a batch
        // that is still open will do.
        let Some(model) = self.schema_model() else {
            return TableLookup::Unknown;
        };
        let named = TableName {
            schema: schema
                .map(str::to_owned)
                .or_else(|| model.default_schema.clone()),
            name: name.to_owned(),
        };
        match model.tables.get(&named) {
            Some(table) if table.presence == Presence::Certain => {
                TableLookup::There(Arc::clone(table))
            }
            Some(_) => TableLookup::Unknown,
            None => TableLookup::Missing,
        }
    }

    /// A method of an inspector.
    pub(super) fn inspect(
        &mut self,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        match name {
            "get_table_names" | "get_view_names" | "get_schema_names" | "get_enums" => {
                return Ok(Some(self.inspect_all(name, arguments)));
            }
            "clear_cache" => return Ok(Some(Value::None)),
            _ => {}
        }
        let table = match arguments.get(0, &["table_name", "table"]) {
            Some(Value::Text(table)) => Rc::clone(table),
            _ => return Ok(Some(UNKNOWN)),
        };
        let schema = match arguments.get(1, &["schema"]) {
            None | Some(Value::None) => None,
            Some(Value::Text(schema)) => Some(Rc::clone(schema)),
            Some(_) => return Ok(Some(UNKNOWN)),
        };
        let found = self.find_table(&table, schema.as_deref());
        if name == "has_table" {
            return Ok(Some(match found {
                TableLookup::There(_) => Value::Bool(true),
                TableLookup::Missing => {
                    let is_view = self
                        .schema_model()
                        .is_some_and(|model| model.views.keys().any(|view| *view.name == *table));
                    // Whether views count depends on SQLAlchemy's version.
                    if is_view { UNKNOWN } else { Value::Bool(false) }
                }
                TableLookup::Unknown => UNKNOWN,
            }));
        }
        let table_name = table;
        let table = match found {
            TableLookup::There(table) => table,
            TableLookup::Unknown => return Ok(Some(UNKNOWN)),
            TableLookup::Missing => {
                return Err(self.exception("NoSuchTableError", Some(table_name.to_string())));
            }
        };
        Ok(Some(self.inspect_table(name, &table)))
    }

    fn inspect_all(&self, name: &str, arguments: &Arguments) -> Value {
        let Some(model) = self.schema_model() else {
            return UNKNOWN;
        };
        let schema = match arguments.get(0, &["schema"]) {
            None | Some(Value::None) => model.default_schema.clone(),
            Some(Value::Text(schema)) => Some(schema.to_string()),
            Some(_) => return UNKNOWN,
        };
        let item = |name: &TableName, presence: Presence| Item {
            value: Value::text(&name.name),
            certain: presence == Presence::Certain,
        };
        let items = match name {
            "get_table_names" => model
                .tables
                .iter()
                .filter(|(name, _)| name.schema == schema)
                .map(|(name, table)| item(name, table.presence))
                .collect(),
            "get_view_names" => model
                .views
                .iter()
                .filter(|(name, _)| name.schema == schema)
                .map(|(name, view)| item(name, view.presence))
                .collect(),
            "get_enums" => model
                .enums
                .iter()
                .map(|(name, words)| Item {
                    value: self.record(vec![
                        ("name", Value::text(&name.name)),
                        (
                            "schema",
                            name.schema.as_deref().map_or(Value::None, Value::text),
                        ),
                        ("labels", self.list_of(words)),
                    ]),
                    certain: true,
                })
                .collect(),
            _ => return UNKNOWN,
        };
        Value::List(self.sequence((items, false)))
    }

    fn record(&self, entries: Vec<(&str, Value)>) -> Value {
        Value::Dict(Dictionary::of(
            entries
                .into_iter()
                .map(|(key, value)| (Value::text(key), value))
                .collect(),
            self.doubt,
        ))
    }

    fn list_of(&self, words: &[String]) -> Value {
        Value::List(super::value::Sequence::of(
            words.iter().map(Value::text).collect(),
            self.doubt,
        ))
    }

    fn inspect_table(&self, name: &str, table: &Table) -> Value {
        let named = |name: &Name| match name {
            Name::Known(name) => Value::text(name),
            Name::Unnamed => Value::None,
            Name::Unknown => UNKNOWN,
        };
        let items: Vec<Item> =
            match name {
                "get_columns" => table
                    .columns
                    .values()
                    .map(|column| Item {
                        value: self.record(vec![
                            ("name", Value::text(&column.name)),
                            (
                                "type",
                                column.kind.as_ref().map_or(UNKNOWN, |kind| {
                                    Value::thing(SqlaObject::Type(kind.clone()))
                                }),
                            ),
                            ("nullable", Value::Bool(column.nullable)),
                            (
                                "default",
                                column.default.as_deref().map_or(Value::None, Value::text),
                            ),
                        ]),
                        certain: column.presence == Presence::Certain,
                    })
                    .collect(),
                "get_foreign_keys" => table
                    .foreign_keys
                    .iter()
                    .map(|key| Item {
                        value: self.record(vec![
                            ("name", named(&key.name)),
                            ("constrained_columns", self.list_of(&key.columns)),
                            ("referred_table", Value::text(&key.referent.name)),
                            ("referred_schema", self.referred_schema(&key.referent)),
                            ("referred_columns", self.list_of(&key.referent_columns)),
                        ]),
                        certain: key.presence == Presence::Certain,
                    })
                    .collect(),
                "get_indexes" => {
                    let mut items: Vec<Item> = table
                        .indexes
                        .iter()
                        .map(|index| Item {
                            value: self.record(vec![
                                ("name", named(&index.name)),
                                (
                                    "column_names",
                                    Value::List(super::value::Sequence::of(
                                        index
                                            .columns
                                            .iter()
                                            .map(|column| {
                                                column.as_deref().map_or(Value::None, Value::text)
                                            })
                                            .collect(),
                                        self.doubt,
                                    )),
                                ),
                                ("unique", Value::Bool(index.unique)),
                            ]),
                            certain: index.presence == Presence::Certain,
                        })
                        .collect();
                    // PostgreSQL tells the index of a unique key here as well.
                    if self.dialect() == Some(Dialect::Postgres) {
                        items.extend(self.keys(table));
                    }
                    items
                }
                "get_unique_constraints" => {
                    let mut items = self.keys(table);
                    // MariaDB has no other unique keys than unique indexes.
                    if self.dialect() == Some(Dialect::MySql) {
                        items.extend(table.indexes.iter().filter(|index| index.unique).map(
                            |index| {
                                let columns: Vec<String> =
                                    index.columns.iter().flatten().cloned().collect();
                                Item {
                                    value: self.record(vec![
                                        ("name", named(&index.name)),
                                        ("column_names", self.list_of(&columns)),
                                        ("duplicates_index", named(&index.name)),
                                    ]),
                                    certain: index.presence == Presence::Certain,
                                }
                            },
                        ));
                    }
                    items
                }
                "get_check_constraints" => table
                    .checks
                    .iter()
                    .map(|check| Item {
                        value: self.record(vec![
                            ("name", named(&check.name)),
                            (
                                "sqltext",
                                check.condition.as_deref().map_or(UNKNOWN, Value::text),
                            ),
                        ]),
                        certain: check.presence == Presence::Certain,
                    })
                    .collect(),
                "get_pk_constraint" => {
                    return match &table.primary_key {
                        Some(key) if key.presence == Presence::Certain => self.record(vec![
                            ("name", named(&key.name)),
                            ("constrained_columns", self.list_of(&key.columns)),
                        ]),
                        Some(_) => UNKNOWN,
                        None => self.record(vec![
                            ("name", Value::None),
                            ("constrained_columns", self.list_of(&[])),
                        ]),
                    };
                }
                _ => return UNKNOWN,
            };
        Value::List(self.sequence((items, false)))
    }

    fn keys(&self, table: &Table) -> Vec<Item> {
        table
            .uniques
            .iter()
            .map(|key| Item {
                value: self.record(vec![
                    (
                        "name",
                        match &key.name {
                            Name::Known(name) => Value::text(name),
                            Name::Unnamed => Value::None,
                            Name::Unknown => UNKNOWN,
                        },
                    ),
                    ("column_names", self.list_of(&key.columns)),
                    ("unique", Value::Bool(true)),
                ]),
                certain: key.presence == Presence::Certain,
            })
            .collect()
    }

    fn referred_schema(&self, table: &TableName) -> Value {
        let default = self
            .schema_model()
            .and_then(|model| model.default_schema.clone());
        match &table.schema {
            Some(schema) if Some(schema) != default.as_ref() => Value::text(schema),
            _ => Value::None,
        }
    }

    /// `Table(..., autoload_with=...)`: its columns as the database has them.
    pub(super) fn reflect(&mut self, table: &mut TableValue) -> Evaluated<()> {
        let Some(name) = table.name.clone() else {
            return Ok(());
        };
        match self.find_table(&name.name, name.schema.as_deref()) {
            TableLookup::Unknown => Ok(()),
            TableLookup::Missing => Err(self.exception("NoSuchTableError", Some(name.name))),
            TableLookup::There(found) => {
                let own = table.columns.get_mut();
                for column in found.columns.values() {
                    if column.presence == Presence::Certain
                        && !own.iter().any(|known| known.definition.name == column.name)
                    {
                        own.push(ColumnValue {
                            definition: ColumnDefinition {
                                name: column.name.clone(),
                                kind: column.kind.clone(),
                                nullable: column.nullable,
                                server_default: column.default.clone(),
                                primary_key: false,
                                unique: false,
                                index: false,
                                foreign_keys: Vec::new(),
                            },
                            table: Some(name.clone()),
                            counts: true,
                            deferred: false,
                        });
                    }
                }
                Ok(())
            }
        }
    }

    /// `table.foreign_key_constraints`, where the database tells.
    pub(super) fn foreign_keys_of(&mut self, table: &TableValue) -> Value {
        let _ = table;
        UNKNOWN
    }
}
