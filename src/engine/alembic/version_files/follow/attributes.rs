//! Attributes and methods.

use std::rc::Rc;

use ruff_python_ast::name::Name;

use super::calls::Arguments;
use super::machine::{Evaluated, Machine};
use super::models;
use super::things::{ColumnValue, Mentions, Row, Thing};
use super::value::{Binding, Class, Function, UNKNOWN, Value};
use crate::domain::foresight::EventKind;
use crate::domain::operation::{Operation, RowChange};

impl Machine<'_> {
    /// `object.name`.
    pub(super) fn attribute(&mut self, object: &Value, name: &str) -> Evaluated {
        match object {
            Value::Module(_) | Value::Foreign(_) => Ok(self
                .attribute_of_module(object, name)?
                // Something of the project that is not to be seen.
                .unwrap_or(Value::Unknown(true))),
            Value::Class(class) => self.attribute_of_class(class, name),
            Value::Instance(instance) => {
                let own = instance
                    .attributes
                    .borrow()
                    .iter()
                    .find(|(own, _)| own.as_str() == name)
                    .map(|(_, value)| value.clone());
                let value = match own {
                    Some(value) => value,
                    None => self.attribute_through(&instance.class, object, name)?,
                };
                Ok(match value {
                    Value::None if instance.shared => UNKNOWN,
                    value => value,
                })
            }
            Value::Thing(thing) => self.attribute_of_thing(thing, name),
            Value::Text(_) if name == "value" || name == "name" => Ok(object.clone()),
            Value::Int(_) if name == "value" => Ok(object.clone()),
            Value::Function(function) => Ok(match (&function.code, name) {
                (super::value::Code::Definition(code), "__name__") => Value::text(&code.name.id),
                _ => UNKNOWN,
            }),
            Value::Unknown(live) => Ok(Value::Unknown(*live)),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(UNKNOWN),
            other => Ok(Value::Method(Rc::new((other.clone(), name.into())))),
        }
    }

    fn attribute_of_class(&mut self, class: &Rc<Class>, name: &str) -> Evaluated {
        match class.member(name) {
            Ok(Some(Value::Function(function))) => match function.binding {
                Binding::Plain | Binding::Static => Ok(Value::Function(function)),
                Binding::Class => Ok(Value::Bound(Rc::new((
                    Value::Class(Rc::clone(class)),
                    function,
                )))),
                Binding::Property => {
                    let bound = Value::Bound(Rc::new((Value::Class(Rc::clone(class)), function)));
                    let value = self.call(&bound, Arguments::default())?;
                    Ok(self.placed(class, name, value))
                }
            },
            Ok(Some(value)) => Ok(self.placed(class, name, value)),
            other => match name {
                "__name__" => Ok(Value::text(&class.name)),
                "__table__" => Ok(self
                    .table_of_model(class)
                    .map_or(UNKNOWN, |table| Value::thing(Thing::Table(table)))),
                "metadata" => Ok(Value::thing(Thing::Metadata)),
                "query" if self.row_of(class).is_some() => {
                    let arguments = Arguments::of(vec![Value::Class(Rc::clone(class))]);
                    self.query(&arguments)
                }
                _ => match other {
                    // A model of which a mixin is not known may have it as a column.
                    Err(()) if self.row_of(class).is_some() => {
                        Ok(Value::thing(Thing::Expression(Vec::new())))
                    }
                    _ => Ok(UNKNOWN),
                },
            },
        }
    }

    /// A column of a model with its table and name.
    fn placed(&mut self, class: &Rc<Class>, attribute: &str, value: Value) -> Value {
        let Some(Thing::Column(column)) = value.as_thing() else {
            return value;
        };
        if column.table.is_some() && !column.definition.name.is_empty() {
            return value;
        }
        let mut column: ColumnValue = column.clone();
        if column.definition.name.is_empty() {
            attribute.clone_into(&mut column.definition.name);
        }
        if column.table.is_none() {
            column.table = self.row_of(class).and_then(|row| row.table);
        }
        Value::thing(Thing::Column(column))
    }

    fn attribute_through(&mut self, class: &Rc<Class>, object: &Value, name: &str) -> Evaluated {
        match class.member(name) {
            Ok(Some(Value::Function(function))) => self.bound(function, class, object),
            Ok(Some(Value::Thing(thing)))
                if matches!(&*thing, Thing::Column(_) | Thing::Relation(_)) =>
            {
                Ok(UNKNOWN)
            }
            Ok(Some(value)) => Ok(value),
            _ if name == "__class__" => Ok(Value::Class(Rc::clone(class))),
            _ => Ok(UNKNOWN),
        }
    }

    fn bound(&mut self, function: Rc<Function>, class: &Rc<Class>, object: &Value) -> Evaluated {
        match function.binding {
            Binding::Static => Ok(Value::Function(function)),
            Binding::Class => Ok(Value::Bound(Rc::new((
                Value::Class(Rc::clone(class)),
                function,
            )))),
            Binding::Plain => Ok(Value::Bound(Rc::new((object.clone(), function)))),
            Binding::Property => self.call(
                &Value::Bound(Rc::new((object.clone(), function))),
                Arguments::default(),
            ),
        }
    }

    fn attribute_of_thing(&mut self, thing: &Rc<Thing>, name: &str) -> Evaluated {
        let value = Value::Thing(Rc::clone(thing));
        let method = || Value::Method(Rc::new((value.clone(), name.into())));
        Ok(match (&**thing, name) {
            (
                Thing::Context | Thing::Session | Thing::Inspector,
                "bind" | "connection" | "engine",
            )
            | (Thing::Bind | Thing::FlaskDatabase, "engine") => Value::thing(Thing::Bind),
            (Thing::Context | Thing::Bind | Thing::Inspector, "dialect") => {
                Value::thing(Thing::Dialect)
            }
            (Thing::Context, "impl") => Value::thing(Thing::Context),
            (Thing::Dialect, "name") => self
                .dialect()
                .map_or(UNKNOWN, |dialect| Value::text(dialect.name())),
            (Thing::Dialect, "identifier_preparer") => value,
            (Thing::Dialect | Thing::Inspector, "default_schema_name") => match self.catalogue() {
                Some(catalogue) => catalogue
                    .default_schema
                    .as_deref()
                    .map_or(Value::None, Value::text),
                None => UNKNOWN,
            },
            (Thing::Dialect, _) => {
                if name.starts_with("has_") || name.starts_with("get_") || name.starts_with("quote")
                {
                    method()
                } else {
                    UNKNOWN
                }
            }
            (Thing::FlaskDatabase, "session") => Value::thing(Thing::Session),
            (Thing::FlaskDatabase, "Model") => Value::thing(Thing::Base),
            (Thing::FlaskDatabase | Thing::Base, "metadata") => Value::thing(Thing::Metadata),
            (Thing::FlaskDatabase, "Session") => Value::thing(Thing::Session),
            (Thing::FlaskDatabase, name) => Value::Foreign(format!("sqlalchemy.{name}").into()),
            (Thing::Block(inner), "session" | "connection") => inner.clone(),
            (Thing::Table(table), "c" | "columns") => {
                Value::thing(Thing::Columns(Rc::clone(table)))
            }
            (Thing::Table(table), "name") => match &table.name {
                Some(table) => Value::text(&table.name),
                None => UNKNOWN,
            },
            (Thing::Table(table), "schema") => match &table.name {
                Some(table) => table.schema.as_deref().map_or(Value::None, Value::text),
                None => UNKNOWN,
            },
            (Thing::Table(table), "foreign_key_constraints" | "foreign_keys") => {
                self.foreign_keys_of(table)
            }
            (Thing::Columns(_), "keys" | "values" | "items" | "get") => method(),
            (Thing::Columns(table), name) => self.column_of_table(table, name)?,
            (Thing::Column(column), "name" | "key") => {
                if column.definition.name.is_empty() {
                    UNKNOWN
                } else {
                    Value::text(&column.definition.name)
                }
            }
            (Thing::Column(column), "type") => match &column.definition.kind {
                Some(kind) => Value::thing(Thing::Type(kind.clone())),
                None => UNKNOWN,
            },
            (Thing::Column(column), "nullable") => Value::Bool(column.definition.nullable),
            (Thing::Type(kind) | Thing::OwnEnum(kind), "name") => kind
                .enum_name
                .as_ref()
                .map_or(UNKNOWN, |name| Value::text(&name.name)),
            (Thing::Type(kind), "length") => match kind.length {
                Some(length) => i64::try_from(length).map_or(UNKNOWN, Value::Int),
                None => Value::None,
            },
            (Thing::Type(kind) | Thing::OwnEnum(kind), "enums") => {
                let words = kind.values.iter().map(Value::text).collect();
                Value::List(super::value::Sequence::of(words, self.doubt))
            }
            (Thing::Constraint(constraint), "name") => {
                use crate::domain::operation::Constraint as C;
                let name = match constraint {
                    C::PrimaryKey { name, .. } | C::Unique { name, .. } | C::Check { name, .. } => {
                        name
                    }
                    C::ForeignKey { references, .. } => &references.name,
                };
                match name {
                    crate::domain::operation::Name::Known(name) => Value::text(name),
                    crate::domain::operation::Name::Unnamed => Value::None,
                    crate::domain::operation::Name::Unknown => UNKNOWN,
                }
            }
            (Thing::Row(row), name) => match row.class.clone() {
                Some(class) => match class.member(name) {
                    Ok(Some(Value::Function(function))) => self.bound(function, &class, &value)?,
                    Ok(Some(Value::Thing(thing))) if row.persistent => match &*thing {
                        Thing::Relation(between) => Value::thing(Thing::Related(between.clone())),
                        _ => UNKNOWN,
                    },
                    _ if name == "__table__" => self.attribute_of_class(&class, name)?,
                    _ => UNKNOWN,
                },
                None => UNKNOWN,
            },
            (
                Thing::Rows(_),
                "rowcount" | "inserted_primary_key" | "lastrowid" | "returns_rows",
            ) => UNKNOWN,
            (Thing::Exception(_, message), "args" | "orig" | "message") => match message {
                Some(message) => Value::text(message),
                None => UNKNOWN,
            },
            (Thing::Super(class, this), name) => {
                let (class, this) = (Rc::clone(class), this.clone());
                for base in &class.bases {
                    if let Value::Class(base) = base
                        && let Ok(Some(found)) = base.member(name)
                    {
                        return match found {
                            Value::Function(function) => self.bound(function, base, &this),
                            other => Ok(other),
                        };
                    }
                }
                method()
            }
            (Thing::Query(_), "session") => Value::thing(Thing::Session),
            (Thing::Expression(mentions), "c") => Value::thing(Thing::Expression(mentions.clone())),
            (Thing::Expression(_) | Thing::Relation(_), _) => method(),
            (Thing::Statement(statement), "c") => {
                let mentions = all_of(&statement.reads);
                Value::thing(Thing::Expression(mentions))
            }
            _ => method(),
        })
    }

    /// `object.name = value`.
    pub(super) fn set_attribute(
        &mut self,
        object: &Value,
        name: &str,
        value: Value,
    ) -> Evaluated<()> {
        match object {
            Value::Instance(instance) => {
                let certain = self.doubt <= instance.born && self.maybe.is_none();
                let mut attributes = instance.attributes.borrow_mut();
                let found = attributes.iter_mut().find(|(own, _)| own.as_str() == name);
                match found {
                    Some((_, old)) if certain => *old = value,
                    Some((_, old)) => *old = old.join(&value),
                    None if certain => attributes.push((Name::from(name), value)),
                    None => attributes.push((Name::from(name), Value::Unknown(value.is_live()))),
                }
            }
            Value::Class(class) => {
                class.members.borrow_mut().push((Name::from(name), value));
            }
            Value::Thing(thing) => {
                if let Thing::Row(row) = &**thing
                    && row.persistent
                    && let Some(table) = &row.table
                {
                    let column = row.columns.iter().find(|(own, _)| own == name);
                    // Attributes that are no columns are relations, or nothing to the database.
                    if column.is_none() && !row.columns.is_empty() && !name.is_empty() {
                        let relation = row.class.as_ref().is_some_and(|class| {
                            matches!(class.member(name), Ok(Some(Value::Thing(_))) | Err(()))
                        });
                        if !relation {
                            return Ok(());
                        }
                    }
                    let columns = column
                        .map(|(_, name)| vec![name.clone()])
                        .unwrap_or_default();
                    self.operation(Operation::ChangeRows {
                        change: RowChange::Update,
                        table: Some(table.clone()),
                        columns,
                        conditional: true,
                        sql: None,
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `object.name(...)`; `None` where it is not known what that does.
    pub(super) fn call_method(
        &mut self,
        object: &Value,
        name: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        match object {
            Value::Text(text) => {
                let text = Rc::clone(text);
                self.text_method(&text, name, &arguments)
            }
            Value::Holed(_) => Ok(Some(match name {
                "strip" | "lower" | "upper" | "rstrip" | "lstrip" | "replace" | "format"
                | "title" => Value::Holed(Rc::from([None])),
                _ => UNKNOWN,
            })),
            Value::List(list) | Value::Set(list) => self.list_method(list, name, &arguments),
            Value::Dict(dictionary) => self.dict_method(dictionary, name, &arguments),
            Value::Foreign(package) => match (&**package, name) {
                ("builtins.dict", "fromkeys") => {
                    let made = super::value::Dictionary::of(Vec::new(), self.doubt);
                    if let Some(values) = arguments.positional.first() {
                        let value = arguments.positional.get(1).cloned().unwrap_or(Value::None);
                        match self.elements(values)? {
                            Some((items, open)) => {
                                for item in items {
                                    self.set_entry(&made, item.value, value.clone());
                                }
                                made.open.set(made.open.get() || open);
                            }
                            None => made.open.set(true),
                        }
                    }
                    Ok(Some(Value::Dict(made)))
                }
                _ => self.call_foreign(&format!("{package}.{name}"), arguments),
            },
            Value::Thing(thing) => self.thing_method(thing, name, arguments),
            Value::Module(_) | Value::Class(_) | Value::Instance(_) => {
                let function = self.attribute(object, name)?;
                match function {
                    Value::Unknown(true) => Ok(None),
                    function => self.call_value(&function, arguments),
                }
            }
            _ => Ok(None),
        }
    }

    fn thing_method(
        &mut self,
        thing: &Rc<Thing>,
        name: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        let this = Value::Thing(Rc::clone(thing));
        Ok(Some(match &**thing {
            Thing::Silent | Thing::Exception(..) => Value::thing(Thing::Silent),
            Thing::Batch(_) => return self.batch_directive(thing, name, &arguments),
            Thing::Bind | Thing::Context => return self.connection_method(&this, name, &arguments),
            Thing::Block(inner) => match name {
                "commit" | "rollback" => {
                    self.happens(EventKind::EndsTransaction)?;
                    Value::None
                }
                "close" | "start" | "__enter__" | "__exit__" => inner.clone(),
                _ => {
                    let inner = inner.clone();
                    return self.call_method(&inner, name, arguments);
                }
            },
            Thing::Session => return self.session_method(name, &arguments),
            Thing::FlaskDatabase => match name {
                "Session" | "create_scoped_session" | "create_session" => {
                    Value::thing(Thing::Session)
                }
                "create_all" | "drop_all" => return Ok(None),
                "init_app" | "get_engine" => Value::thing(Thing::Bind),
                name => {
                    return self.call_foreign(&format!("sqlalchemy.{name}"), arguments);
                }
            },
            Thing::Inspector => return self.inspect(name, &arguments),
            Thing::Dialect => match name {
                "has_table"
                | "has_index"
                | "get_columns"
                | "get_indexes"
                | "get_foreign_keys"
                | "get_table_names"
                | "get_pk_constraint"
                | "get_unique_constraints" => {
                    let mut arguments = arguments;
                    if !arguments.positional.is_empty() {
                        arguments.positional.remove(0);
                    }
                    return self.inspect(name, &arguments);
                }
                "quote" | "quote_identifier" | "quote_schema" | "format_table" => {
                    match arguments.positional.first() {
                        Some(text @ (Value::Text(_) | Value::Holed(_))) => text.clone(),
                        _ => Value::Holed(Rc::from([None])),
                    }
                }
                _ => UNKNOWN,
            },
            Thing::Query(query) => return self.query_method(query, name, arguments),
            Thing::Rows(row) | Thing::Row(row) => {
                return self.rows_method(row, &this, name, &arguments);
            }
            Thing::Statement(statement) => self.statement_method(statement, name, &arguments),
            Thing::Table(table) => return self.table_method(table, name, &arguments),
            Thing::Columns(table) => match name {
                "keys" | "values" | "items" => match self.elements(&this)? {
                    Some((items, open)) if name == "values" => {
                        Value::List(self.sequence((items, open)))
                    }
                    _ => UNKNOWN,
                },
                "get" => match arguments.positional.first() {
                    Some(Value::Text(name)) => self.column_of_table(table, name)?,
                    _ => UNKNOWN,
                },
                _ => UNKNOWN,
            },
            Thing::Type(kind) => return self.type_method(kind, &this, name, &arguments),
            Thing::OwnEnum(kind) => {
                let mut arguments = arguments;
                if arguments.get(1, &["checkfirst"]).is_none() {
                    arguments
                        .named
                        .push(("checkfirst".into(), Value::Bool(true)));
                }
                return self.type_method(kind, &this, name, &arguments);
            }
            Thing::Column(_) if matches!(name, "copy" | "_copy") => this,
            Thing::Metadata => match name {
                "create_all" | "drop_all" => return Ok(None),
                _ => UNKNOWN,
            },
            Thing::Clause(_) => match name {
                "bindparams" | "columns" | "execution_options" | "text" => this,
                _ => Value::thing(Thing::Expression(Vec::new())),
            },
            Thing::Related(between) => {
                return self.related_method(between.as_ref(), &this, name, &arguments);
            }
            Thing::Column(_) | Thing::Expression(_) | Thing::Relation(_) => {
                let mut mentions: Mentions = models::mentions(thing).unwrap_or_default();
                mentions.extend(models::mentions_of(arguments.values()));
                Value::thing(Thing::Expression(mentions))
            }
            Thing::Constraint(_) | Thing::ForeignKey(_) | Thing::Index(..) => match name {
                "copy" | "_copy" => this,
                _ => return Ok(None),
            },
            Thing::Super(..) => match self.attribute(&this, name)? {
                Value::Method(_) => UNKNOWN,
                function => return self.call_value(&function, arguments),
            },
            Thing::Autocommit => Value::None,
            Thing::Base | Thing::Filler(_) | Thing::Generator(_) => UNKNOWN,
        }))
    }

    /// Calls a thing itself.
    pub(super) fn call_thing(
        &mut self,
        thing: &Rc<Thing>,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        Ok(match &**thing {
            Thing::Silent => Some(Value::thing(Thing::Silent)),
            Thing::Session => Some(Value::thing(Thing::Session)),
            Thing::Bind => Some(Value::thing(Thing::Bind)),
            Thing::Dialect => Some(Value::thing(Thing::Dialect)),
            Thing::Type(_) | Thing::OwnEnum(_) | Thing::FlaskDatabase => {
                Some(Value::Thing(Rc::clone(thing)))
            }
            Thing::Column(_) | Thing::Expression(_) => Some(Value::thing(Thing::Expression(
                models::mentions_of(arguments.values()),
            ))),
            _ => None,
        })
    }

    /// Enters a `with` block.
    pub(super) fn enter(&mut self, manager: &Value, written: &ruff_python_ast::Expr) -> Evaluated {
        match manager {
            Value::Thing(thing) => Ok(match &**thing {
                Thing::Batch(batch) => {
                    if batch.entered == self.doubt {
                        manager.clone()
                    } else {
                        // Made earlier, entered deeper.
                        Value::thing(Thing::Batch(super::things::Batch {
                            table: batch.table.clone(),
                            operations: std::cell::RefCell::default(),
                            entered: self.doubt,
                            ..*batch
                        }))
                    }
                }
                Thing::Block(inner) => inner.clone(),
                Thing::Generator(generator) => {
                    let generator = Rc::clone(generator);
                    let items = self.drain(&generator)?;
                    items.first().map_or(UNKNOWN, |item| item.value.clone())
                }
                _ => manager.clone(),
            }),
            Value::Foreign(_) | Value::Instance(_) => {
                if let Value::Instance(_) = manager
                    && let Value::Bound(bound) = self.attribute(manager, "__enter__")?
                {
                    return self.call(&Value::Bound(bound), Arguments::default());
                }
                Ok(UNKNOWN)
            }
            Value::Unknown(live) => {
                let is_plain = matches!(
                    written,
                    ruff_python_ast::Expr::Call(call)
                        if matches!(&*call.func, ruff_python_ast::Expr::Name(name) if name.id.as_str() == "open")
                );
                if *live && !is_plain {
                    let what = match written {
                        ruff_python_ast::Expr::Call(call) => self.written(&call.func),
                        other => self.written(other),
                    };
                    self.unknown(format!("the block of {what}"), true)?;
                }
                Ok(Value::Unknown(*live))
            }
            _ => Ok(UNKNOWN),
        }
    }

    /// Leaves a `with` block without an exception.
    pub(super) fn exit(&mut self, manager: &Value) -> Evaluated<()> {
        if let Value::Thing(thing) = manager
            && let Thing::Batch(batch) = &**thing
        {
            return self.end_batch(batch);
        }
        if let Value::Instance(_) = manager
            && let Value::Bound(bound) = self.attribute(manager, "__exit__")?
        {
            let nothing = vec![Value::None, Value::None, Value::None];
            self.call(&Value::Bound(bound), Arguments::of(nothing))?;
        }
        Ok(())
    }
}

/// Every column that is read.
pub(super) fn all_of(reads: &super::things::Reads) -> Mentions {
    reads
        .tables
        .iter()
        .flat_map(|(table, columns)| columns.iter().map(|column| (table.clone(), column.clone())))
        .collect()
}

/// A row of nothing in particular.
pub(super) fn any_row() -> Row {
    Row::default()
}
