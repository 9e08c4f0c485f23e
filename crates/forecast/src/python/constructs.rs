//! What SQLAlchemy's constructors make.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::models::{condition, default_of, mentions, mentions_of, name_of, word, words};
use super::operators::pieces_of;
use super::sqlalchemy_objects::{ColumnValue, Reads, SqlaObject, Statement, TableValue};
use super::types;
use super::value::{UNKNOWN, Value};
use rollback_core::operation::{
    ColumnDefinition, Constraint, Reference, RowChange, TableName, UniqueScope,
};
use std::cell::RefCell;
use std::rc::Rc;

const CONSTRUCTORS: &str = "Column Table ForeignKey ForeignKeyConstraint PrimaryKeyConstraint UniqueConstraint \
 CheckConstraint Index MetaData text select insert update delete func and_ or_ not_ Sequence \
 Identity Computed inspect column table literal relationship";

/// Whether a name is that of a constructor that is known.
pub(super) fn is_constructor(name: &str) -> bool {
    CONSTRUCTORS.split_ascii_whitespace().any(|own| own == name)
}

/// A `schema.table.column` or `table.column`.
pub(super) fn referred(text: &str) -> (TableName, String) {
    let mut parts: Vec<&str> = text.split('.').collect();
    let column = if parts.len() > 1 { parts.pop() } else { None };
    let name = parts.pop().unwrap_or_default().to_owned();
    let schema = (!parts.is_empty()).then(|| parts.join("."));
    (TableName { schema, name }, column.unwrap_or("").to_owned())
}

pub(super) fn foreign_key(arguments: &Arguments) -> Constraint {
    let columns = words(arguments.get(0, &["columns"])).unwrap_or_default();
    let mut table = TableName::plain("");
    let mut there = Vec::new();
    for text in words(arguments.get(1, &["refcolumns"])).unwrap_or_default() {
        let (own, column) = referred(&text);
        table = own;
        there.push(column);
    }
    Constraint::ForeignKey {
        columns,
        references: Reference {
            name: name_of(arguments.get(2, &["name"])),
            table,
            columns: there,
            on_delete: word(arguments.named("ondelete")),
            inline: false,
        },
        not_valid: arguments.flag("postgresql_not_valid"),
    }
}

impl Interpreter<'_> {
    /// Calls something of SQLAlchemy's; `None` where it is not known what that makes.
    pub(super) fn construct(
        &mut self,
        name: &str,
        full: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        if let Some(message) = types::refuses(full, &arguments) {
            return Err(self.exception("TypeError", Some(message)));
        }
        if let Some(kind) = types::make(name, &arguments) {
            return Ok(Some(Value::thing(
                if name == "ENUM" && !full.contains("mysql") {
                    SqlaObject::OwnEnum(kind)
                } else {
                    SqlaObject::Type(kind)
                },
            )));
        }
        let first = arguments.positional.first();
        Ok(Some(match name {
            "Column" | "column" | "mapped_column" | "deferred" | "column_property" => {
                Value::thing(match (name, first.and_then(Value::as_thing)) {
                    ("deferred" | "column_property", Some(SqlaObject::Column(column))) => {
                        SqlaObject::Column(ColumnValue {
                            deferred: name == "deferred",
                            ..column.clone()
                        })
                    }
                    ("deferred" | "column_property", _) => SqlaObject::Relation(None),
                    _ => SqlaObject::Column(self.column(&arguments)),
                })
            }
            "ForeignKey" => {
                let (table, column) = match first {
                    Some(Value::Text(text)) => referred(text),
                    Some(Value::Thing(thing)) => match &**thing {
                        SqlaObject::Column(column) => (
                            column.table.clone().unwrap_or_else(|| TableName::plain("")),
                            column.definition.name.clone(),
                        ),
                        _ => (TableName::plain(""), String::new()),
                    },
                    _ => (TableName::plain(""), String::new()),
                };
                Value::thing(SqlaObject::ForeignKey(Reference {
                    name: name_of(arguments.named("name")),
                    table,
                    columns: if column.is_empty() {
                        Vec::new()
                    } else {
                        vec![column]
                    },
                    on_delete: word(arguments.named("ondelete")),
                    inline: false,
                }))
            }
            "ForeignKeyConstraint" => Value::thing(SqlaObject::Constraint(foreign_key(&arguments))),
            "PrimaryKeyConstraint" | "UniqueConstraint" => {
                let columns = arguments
                    .positional
                    .iter()
                    .filter_map(|value| words(Some(value)))
                    .flatten()
                    .collect();
                let own = name_of(arguments.named("name"));
                Value::thing(SqlaObject::Constraint(if name == "UniqueConstraint" {
                    Constraint::Unique {
                        name: own,
                        columns,
                        alike: UniqueScope::default(),
                    }
                } else {
                    Constraint::PrimaryKey { name: own, columns }
                }))
            }
            "CheckConstraint" => Value::thing(SqlaObject::Constraint(Constraint::Check {
                name: name_of(arguments.named("name")),
                condition: first.and_then(condition),
                not_valid: arguments.flag("postgresql_not_valid"),
            })),
            "ExcludeConstraint" => Value::thing(SqlaObject::Constraint(Constraint::Check {
                name: name_of(arguments.named("name")),
                condition: None,
                not_valid: false,
            })),
            "Index" => {
                let columns = arguments.positional.iter().skip(1);
                let table = columns.clone().find_map(|value| match value.as_thing() {
                    Some(SqlaObject::Column(column)) => column.table.clone(),
                    _ => None,
                });
                Value::thing(SqlaObject::Index(
                    name_of(first),
                    columns
                        .map(|value| words(Some(value)).and_then(|mut words| words.pop()))
                        .collect(),
                    arguments.flag("unique"),
                    table,
                ))
            }
            "Table" | "table" => return self.make_table(&arguments).map(Some),
            "MetaData" => Value::thing(SqlaObject::Metadata(Some(
                self.holder(arguments.named("schema")),
            ))),
            "declarative_base" | "registry" => {
                let given = super::metadata::holder_in(arguments.named("metadata"));
                let holder = match (given, arguments.named("metadata")) {
                    (None, None | Some(Value::None)) => Some(self.holder(None)),
                    (given, _) => given,
                };
                Value::thing(SqlaObject::Base(holder))
            }
            // It takes the tables of the database.
            "automap_base" => Value::thing(SqlaObject::Base(None)),
            "text" | "TextClause" | "DDL" | "literal_column" | "TextualSelect" => Value::thing(
                SqlaObject::Clause(pieces_of(first.unwrap_or(&UNKNOWN)).into()),
            ),
            "false" => Value::thing(SqlaObject::Clause([Some("false".to_owned())].into())),
            "true" => Value::thing(SqlaObject::Clause([Some("true".to_owned())].into())),
            "null" => Value::thing(SqlaObject::Clause([Some("NULL".to_owned())].into())),
            "Identity" => Value::thing(SqlaObject::Filler("IDENTITY")),
            "Computed" => Value::thing(SqlaObject::Filler("COMPUTED")),
            "Sequence" => match first {
                Some(Value::Text(name)) => Value::thing(SqlaObject::Sequence(TableName {
                    schema: word(arguments.named("schema")),
                    name: name.to_string(),
                })),
                _ => return Ok(None),
            },
            "DropTable" | "DropIndex" | "DropSequence" | "DropSchema" | "CreateTable"
            | "CreateIndex" | "CreateSequence" | "CreateSchema" => {
                let makes = name.starts_with("Create");
                let condition = if makes { "if_not_exists" } else { "if_exists" };
                let object = first.cloned().unwrap_or(UNKNOWN);
                let asks = arguments.flag(condition);
                Value::thing(SqlaObject::Ddl(object, makes, asks))
            }
            "FetchedValue" => Value::thing(SqlaObject::Filler("...")),
            "DefaultClause" => first.cloned().unwrap_or(UNKNOWN),
            "quoted_name" | "conv" => first.cloned().unwrap_or(UNKNOWN),
            "relationship" | "backref" | "association_proxy" | "synonym" => {
                let between = match arguments.named("secondary") {
                    Some(Value::Text(table)) => Some(TableName::plain(&**table)),
                    Some(table) => self.table_of(table),
                    None => None,
                };
                Value::thing(SqlaObject::Relation(between))
            }
            "inspect" => match first {
                Some(Value::Thing(thing)) => match &**thing {
                    SqlaObject::Bind
                    | SqlaObject::Session
                    | SqlaObject::FlaskDatabase
                    | SqlaObject::Context => Value::thing(SqlaObject::Inspector),
                    // `inspect(query).session`
                    SqlaObject::Query(_) => {
                        Value::thing(SqlaObject::Block(Value::thing(SqlaObject::Session)))
                    }
                    _ => UNKNOWN,
                },
                Some(Value::Unknown(true)) => Value::thing(SqlaObject::Inspector),
                _ => UNKNOWN,
            },
            "from_engine" | "Inspector" => Value::thing(SqlaObject::Inspector),
            "Session" | "sessionmaker" | "scoped_session" | "create_session" => {
                Value::thing(SqlaObject::Session)
            }
            "create_engine" | "engine_from_config" => Value::Unknown(true),
            "select" | "insert" | "update" | "delete" => {
                Value::thing(SqlaObject::Statement(self.statement_of(name, &arguments)))
            }
            "aliased" | "alias" => first.cloned().unwrap_or(UNKNOWN),
            "load_only" | "defer" | "joinedload" | "subqueryload" | "lazyload" | "noload"
            | "selectinload" | "Load" | "contains_eager" | "undefer" | "raiseload" => {
                if name == "load_only" {
                    Value::Tuple(Rc::from([
                        Value::text("load_only"),
                        Value::thing(SqlaObject::Expression(mentions_of(arguments.values()))),
                    ]))
                } else {
                    Value::thing(SqlaObject::Silent)
                }
            }
            "UniqueConstraintError" => UNKNOWN,
            name if name.ends_with("Dialect") || name.ends_with("Dialect_psycopg2") => {
                Value::thing(SqlaObject::Dialect)
            }
            name if name.ends_with("Error") || name.ends_with("Exception") => {
                Value::thing(SqlaObject::Exception(name.into(), None))
            }
            _ if full.contains(".func.") || name == "func" => match name {
                "now" | "current_timestamp" | "current_date" | "gen_random_uuid"
                | "uuid_generate_v4" | "utcnow"
                    if arguments.positional.is_empty() =>
                {
                    Value::thing(SqlaObject::Clause([Some(format!("{name}()"))].into()))
                }
                _ => Value::thing(SqlaObject::Expression(mentions_of(arguments.values()))),
            },
            "and_" | "or_" | "not_" | "cast" | "case" | "literal" | "bindparam" | "desc"
            | "asc" | "distinct" | "exists" | "tuple_" | "type_coerce" | "between" | "label"
            | "null_" | "collate" | "extract" | "nullslast" | "nullsfirst" | "op" | "any_"
            | "all_" | "join" | "outerjoin" | "union" | "union_all" | "over" => {
                let mut mentions = mentions_of(arguments.values());
                for value in arguments.values() {
                    if let Some(SqlaObject::Statement(statement)) = value.as_thing() {
                        for (table, columns) in &statement.reads.tables {
                            mentions.extend(
                                columns.iter().map(|column| (table.clone(), column.clone())),
                            );
                        }
                    }
                }
                Value::thing(SqlaObject::Expression(mentions))
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn column(&mut self, arguments: &Arguments) -> ColumnValue {
        let mut rest = &arguments.positional[..];
        let mut name = String::new();
        match (arguments.named("name"), rest.first()) {
            (Some(Value::Text(own)), _) => name = own.to_string(),
            (None, Some(Value::Text(own))) => {
                name = own.to_string();
                rest = &rest[1..];
            }
            (None, Some(first))
                if types::of_value(first).is_none()
                // A name that is not known, unless it is something for a model's attribute.
                && !matches!(first, Value::Thing(_)) =>
            {
                rest = &rest[1..];
            }
            _ => {}
        }
        let mut kind = arguments.named("type_").and_then(types::of_value);
        let mut foreign_keys = Vec::new();
        let mut filled = None;
        for value in rest {
            match value.as_thing() {
                Some(SqlaObject::ForeignKey(reference)) => foreign_keys.push(reference.clone()),
                Some(SqlaObject::Filler(sql)) => {
                    filled = Some((*sql).to_owned());
                }
                _ => {
                    if kind.is_none() {
                        kind = types::of_value(value);
                    }
                }
            }
        }
        if let Some(default) = arguments.named("server_default") {
            filled = default_of(default).or(filled);
        }
        let primary_key = arguments.flag("primary_key");
        let nullable = match arguments.named("nullable") {
            Some(value) => value.truth().unwrap_or(true),
            None => !primary_key,
        };
        ColumnValue {
            counts: arguments
                .named("autoincrement")
                .is_none_or(|value| value.truth() != Some(false)),
            definition: ColumnDefinition {
                name,
                kind,
                nullable,
                server_default: filled,
                primary_key,
                unique: arguments.flag("unique"),
                index: arguments.flag("index"),
                foreign_keys,
            },
            table: None,
            deferred: arguments.flag("deferred"),
        }
    }

    pub(super) fn make_table(&mut self, arguments: &Arguments) -> Evaluated {
        let metadata = arguments.get(1, &["metadata"]);
        let name = match arguments.get(0, &["name"]) {
            Some(Value::Text(name)) => Some(TableName {
                schema: match arguments.named("schema") {
                    None => super::metadata::holder_in(metadata)
                        .and_then(|holder| holder.schema.clone()),
                    schema => word(schema),
                },
                name: name.to_string(),
            }),
            _ => None,
        };
        let mut table = TableValue {
            name: name.clone(),
            columns: RefCell::default(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            reflected: false,
        };
        for value in arguments.positional.iter().skip(1) {
            match value.as_thing() {
                Some(SqlaObject::Column(column)) => {
                    let mut column = column.clone();
                    column.table.clone_from(&name);
                    table.columns.get_mut().push(column);
                }
                Some(SqlaObject::Constraint(constraint)) => {
                    table.constraints.push(constraint.clone());
                }
                Some(SqlaObject::Index(name, columns, unique, _)) => {
                    table.indexes.push((name.clone(), columns.clone(), *unique));
                }
                _ => {}
            }
        }
        let reflects = arguments
            .named("autoload_with")
            .is_some_and(|value| !value.is_none())
            || arguments.flag("autoload");
        if reflects || arguments.open {
            table.reflected = true;
            if reflects {
                self.reflect(&mut table)?;
            }
        }
        let table = Rc::new(table);
        self.hold_table(metadata, &table);
        Ok(Value::thing(SqlaObject::Table(table)))
    }

    /// `select`, `insert`, `update`, `delete` as functions.
    pub(super) fn statement_of(&mut self, name: &str, arguments: &Arguments) -> Statement {
        let mut reads = Reads::default();
        let first = arguments.get(0, &["table", "columns", "dml_table", "whereclause"]);
        let change = match name {
            "insert" => Some(RowChange::Insert),
            "update" => Some(RowChange::Update),
            "delete" => Some(RowChange::Delete),
            _ => None,
        };
        let mut table = None;
        let mut models = Vec::new();
        if change.is_some() {
            table = first.and_then(|value| self.table_of(value));
        } else {
            for value in &arguments.positional {
                self.reads_of(value, &mut reads, 0);
                if let Value::Class(class) = value {
                    models.extend(self.row_of(class));
                }
            }
        }
        Statement {
            models,
            change,
            table,
            sets: Vec::new(),
            nulls: Vec::new(),
            reads,
            conditional: arguments.positional.len() > 1 && change.is_some()
                || arguments.named("whereclause").is_some(),
        }
    }

    /// Adds what selecting a value reads.
    pub(super) fn reads_of(&mut self, value: &Value, reads: &mut Reads, depth: u32) {
        if depth > 5 {
            return;
        }
        match value {
            Value::List(list) => {
                let items = list.items.borrow().clone();
                for item in items {
                    self.reads_of(&item.value, reads, depth + 1);
                }
            }
            Value::Tuple(values) => {
                for value in values.iter() {
                    self.reads_of(value, reads, depth + 1);
                }
            }
            Value::Class(class) => match self.row_of(class) {
                Some(row) => {
                    if let Some(table) = &row.table {
                        let columns = reads.table(table);
                        columns.extend(row.selected.iter().cloned());
                    }
                }
                None => reads.open = true,
            },
            Value::Thing(thing) => match &**thing {
                SqlaObject::Table(table) | SqlaObject::Columns(table) => match &table.name {
                    Some(name) => {
                        let own = table.columns.borrow();
                        let columns = reads.table(name);
                        if !table.reflected {
                            columns.extend(own.iter().map(|column| column.definition.name.clone()));
                        }
                    }
                    None => reads.open = true,
                },
                SqlaObject::Statement(statement) => {
                    for (table, columns) in &statement.reads.tables {
                        reads.table(table).extend(columns.iter().cloned());
                    }
                }
                other => match mentions(other) {
                    Some(mentions) => reads.mention(&mentions),
                    None => reads.open = true,
                },
            },
            Value::Text(_) | Value::Int(_) | Value::None | Value::Bool(_) => {}
            _ => reads.open = true,
        }
    }
}
