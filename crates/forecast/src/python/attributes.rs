//! Attributes and methods.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::{ColumnValue, Mentions, Row, SqlaObject};
use super::value::{Binding, Class, Function, UNKNOWN, Value};
use crate::SideEffect;
use rollback_core::operation::{Operation, RowChange};
use ruff_python_ast::name::Name;
use std::rc::Rc;

impl Interpreter<'_> {
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
                    Value::None if instance.shared => Value::Unknown(true),
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
            // The program around the migrations may have put something else there.
            Value::None => Ok(Value::Unknown(true)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(UNKNOWN),
            other => Ok(Value::Method(Rc::new((other.clone(), name.into())))),
        }
    }

    pub(super) fn attribute_of_class(&mut self, class: &Rc<Class>, name: &str) -> Evaluated {
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
                    .map_or(UNKNOWN, |table| Value::thing(SqlaObject::Table(table)))),
                "metadata" => Ok(Value::thing(SqlaObject::Metadata(
                    super::metadata::holder_of(class),
                ))),
                "query" if self.row_of(class).is_some() => {
                    let arguments = Arguments::of(vec![Value::Class(Rc::clone(class))]);
                    self.query(&arguments)
                }
                _ => match other {
                    // A model of which a mixin is not known may have it as a column.
                    Err(()) if self.row_of(class).is_some() => {
                        Ok(Value::thing(SqlaObject::Expression(Vec::new())))
                    }
                    _ if class.is_plain() => Ok(UNKNOWN),
                    _ => Ok(Value::Unknown(true)),
                },
            },
        }
    }

    /// A column of a model with its table and name.
    pub(super) fn placed(&mut self, class: &Rc<Class>, attribute: &str, value: Value) -> Value {
        let Some(SqlaObject::Column(column)) = value.as_thing() else {
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
            column.table = super::models::table_of_class(class);
        }
        Value::thing(SqlaObject::Column(column))
    }

    pub(super) fn attribute_through(
        &mut self,
        class: &Rc<Class>,
        object: &Value,
        name: &str,
    ) -> Evaluated {
        match class.member(name) {
            Ok(Some(Value::Function(function))) => self.bound(function, class, object),
            Ok(Some(Value::Thing(thing)))
                if matches!(&*thing, SqlaObject::Column(_) | SqlaObject::Relation(_)) =>
            {
                Ok(UNKNOWN)
            }
            Ok(Some(value)) => Ok(value),
            _ if name == "__class__" => Ok(Value::Class(Rc::clone(class))),
            _ => match class.member("__getattr__") {
                Ok(Some(Value::Function(function))) => {
                    let bound = Value::Bound(Rc::new((object.clone(), function)));
                    self.call(&bound, Arguments::of(vec![Value::text(name)]))
                }
                _ if class.is_plain() => Ok(UNKNOWN),
                _ => Ok(Value::Unknown(true)),
            },
        }
    }

    pub(super) fn bound(
        &mut self,
        function: Rc<Function>,
        class: &Rc<Class>,
        object: &Value,
    ) -> Evaluated {
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

    pub(super) fn attribute_of_thing(&mut self, thing: &Rc<SqlaObject>, name: &str) -> Evaluated {
        let value = Value::Thing(Rc::clone(thing));
        let method = || Value::Method(Rc::new((value.clone(), name.into())));
        Ok(match (&**thing, name) {
            (
                SqlaObject::Context | SqlaObject::Session | SqlaObject::Inspector,
                "bind" | "connection" | "engine",
            )
            | (SqlaObject::Bind | SqlaObject::FlaskDatabase, "engine") => {
                Value::thing(SqlaObject::Bind)
            }
            (SqlaObject::Context | SqlaObject::Bind | SqlaObject::Inspector, "dialect") => {
                Value::thing(SqlaObject::Dialect)
            }
            (SqlaObject::Context, "impl") => Value::thing(SqlaObject::Context),
            (SqlaObject::Dialect | SqlaObject::Bind, "name") => self
                .dialect()
                .map_or(UNKNOWN, |dialect| Value::text(dialect.name())),
            (SqlaObject::Dialect, "identifier_preparer") => value,
            (SqlaObject::Dialect | SqlaObject::Inspector, "default_schema_name") => {
                match self.schema_model() {
                    Some(model) => model
                        .default_schema
                        .as_deref()
                        .map_or(Value::None, Value::text),
                    None => UNKNOWN,
                }
            }
            (SqlaObject::Dialect, _) => {
                if name.starts_with("has_") || name.starts_with("get_") || name.starts_with("quote")
                {
                    method()
                } else {
                    UNKNOWN
                }
            }
            (SqlaObject::FlaskDatabase, "session") => Value::thing(SqlaObject::Session),
            (SqlaObject::FlaskDatabase, "Model") => Value::thing(SqlaObject::Base(None)),
            (SqlaObject::FlaskDatabase, "metadata") => Value::thing(SqlaObject::Metadata(None)),
            (SqlaObject::Base(holder), "metadata") => {
                Value::thing(SqlaObject::Metadata(holder.clone()))
            }
            (SqlaObject::FlaskDatabase, "Session") => Value::thing(SqlaObject::Session),
            (SqlaObject::FlaskDatabase, name) => {
                Value::Foreign(format!("sqlalchemy.{name}").into())
            }
            (SqlaObject::Block(inner), "session" | "connection") => inner.clone(),
            (SqlaObject::Table(table), "c" | "columns") => {
                Value::thing(SqlaObject::Columns(Rc::clone(table)))
            }
            (SqlaObject::Table(table), "name") => match &table.name {
                Some(table) => Value::text(&table.name),
                None => UNKNOWN,
            },
            (SqlaObject::Table(table), "schema") => match &table.name {
                Some(table) => table.schema.as_deref().map_or(Value::None, Value::text),
                None => UNKNOWN,
            },
            (SqlaObject::Table(table), "foreign_key_constraints" | "foreign_keys") => {
                self.foreign_keys_of(table)
            }
            (SqlaObject::Columns(_), "keys" | "values" | "items" | "get") => method(),
            (SqlaObject::Columns(table), name) => self.column_of_table(table, name)?,
            (SqlaObject::Column(column), "name" | "key") => {
                if column.definition.name.is_empty() {
                    UNKNOWN
                } else {
                    Value::text(&column.definition.name)
                }
            }
            (SqlaObject::Column(column), "type") => match &column.definition.kind {
                Some(kind) => Value::thing(SqlaObject::Type(kind.clone())),
                None => UNKNOWN,
            },
            (SqlaObject::Column(column), "nullable") => Value::Bool(column.definition.nullable),
            (SqlaObject::Type(kind) | SqlaObject::OwnEnum(kind), "name") => kind
                .enum_name
                .as_ref()
                .map_or(UNKNOWN, |name| Value::text(&name.name)),
            (SqlaObject::Type(kind), "length") => match kind.length {
                Some(length) => i64::try_from(length).map_or(UNKNOWN, Value::Int),
                None => Value::None,
            },
            (SqlaObject::Type(kind) | SqlaObject::OwnEnum(kind), "enums") => {
                let words = kind.values.iter().map(Value::text).collect();
                Value::List(super::value::Sequence::of(words, self.doubt))
            }
            (SqlaObject::Constraint(constraint), "name") => {
                use rollback_core::operation::Constraint as C;
                let name = match constraint {
                    C::PrimaryKey { name, .. } | C::Unique { name, .. } | C::Check { name, .. } => {
                        name
                    }
                    C::ForeignKey { references, .. } => &references.name,
                };
                match name {
                    rollback_core::operation::Name::Known(name) => Value::text(name),
                    rollback_core::operation::Name::Unnamed => Value::None,
                    rollback_core::operation::Name::Unknown => UNKNOWN,
                }
            }
            (SqlaObject::Row(row), name) => match row.class.clone() {
                Some(class) => match class.member(name) {
                    Ok(Some(Value::Function(function))) => self.bound(function, &class, &value)?,
                    Ok(Some(Value::Thing(thing))) if row.persistent => match &*thing {
                        SqlaObject::Relation(between) => {
                            Value::thing(SqlaObject::Related(between.clone()))
                        }
                        _ => UNKNOWN,
                    },
                    _ if name == "__table__" => self.attribute_of_class(&class, name)?,
                    _ => UNKNOWN,
                },
                None => UNKNOWN,
            },
            (
                SqlaObject::Rows(_),
                "rowcount" | "inserted_primary_key" | "lastrowid" | "returns_rows",
            ) => UNKNOWN,
            (SqlaObject::Exception(_, message), "args" | "orig" | "message") => match message {
                Some(message) => Value::text(message),
                None => UNKNOWN,
            },
            (SqlaObject::Super(class, this), name) => {
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
            (SqlaObject::Query(_), "session") => Value::thing(SqlaObject::Session),
            (SqlaObject::Expression(mentions), "c") => {
                Value::thing(SqlaObject::Expression(mentions.clone()))
            }
            (SqlaObject::Expression(_) | SqlaObject::Relation(_), _) => method(),
            (SqlaObject::Statement(statement), "c") => {
                let mentions = all_of(&statement.reads);
                Value::thing(SqlaObject::Expression(mentions))
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
                class.row.take();
            }
            Value::Thing(thing) => {
                if let SqlaObject::Row(row) = &**thing
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
                        nulls: Vec::new(),
                        sql: None,
                    })?;
                }
            }
            Value::Module(module) => {
                let mut names = module.names.borrow_mut();
                names.retain(|(own, _)| own.as_str() != name);
                names.push((Name::from(name), value.blurred()));
            }
            Value::Foreign(own) if !super::harmless::is_harmless(own) => {
                self.unknown(
                    format!("what is put in place of {own}.{name}"),
                    SideEffect::Schema,
                )?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Every column that is read.
pub(super) fn all_of(reads: &super::sqlalchemy_objects::Reads) -> Mentions {
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
