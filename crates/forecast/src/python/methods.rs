//! Methods of what is no collection, and blocks.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Exception, Interpreter};
use super::models;
use super::sqlalchemy_objects::{Mentions, SqlaObject};
use super::value::{UNKNOWN, Value};
use crate::{EventKind, SideEffect};
use std::rc::Rc;

impl Interpreter<'_> {
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

    pub(super) fn thing_method(
        &mut self,
        thing: &Rc<SqlaObject>,
        name: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        let this = Value::Thing(Rc::clone(thing));
        Ok(Some(match &**thing {
            SqlaObject::Silent | SqlaObject::Exception(..) => Value::thing(SqlaObject::Silent),
            SqlaObject::Clause(_) | SqlaObject::Statement(_) | SqlaObject::Ddl(..)
                if matches!(name, "execute" | "scalar") =>
            {
                self.run_statement(&this, name)?
            }
            SqlaObject::Batch(_) => return self.batch_directive(thing, name, &arguments),
            SqlaObject::Bind | SqlaObject::Context => {
                return self.connection_method(&this, name, &arguments);
            }
            SqlaObject::Block(inner) => match name {
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
            SqlaObject::Session => return self.session_method(name, &arguments),
            SqlaObject::FlaskDatabase => match name {
                "Session" | "create_scoped_session" | "create_session" => {
                    Value::thing(SqlaObject::Session)
                }
                "create_all" | "drop_all" => return Ok(None),
                "init_app" | "get_engine" => Value::thing(SqlaObject::Bind),
                name => {
                    return self.call_foreign(&format!("sqlalchemy.{name}"), arguments);
                }
            },
            SqlaObject::Inspector => return self.inspect(name, &arguments),
            SqlaObject::Dialect => match name {
                "has_table"
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
            SqlaObject::Query(query) => return self.query_method(query, name, arguments),
            SqlaObject::Rows(row) | SqlaObject::Row(row) => {
                return self.rows_method(row, &this, name, &arguments);
            }
            SqlaObject::Statement(statement) => self.statement_method(statement, name, &arguments),
            SqlaObject::Table(table) => return self.table_method(table, name, &arguments),
            SqlaObject::Columns(table) => match name {
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
            SqlaObject::Type(kind) => return self.type_method(kind, &this, name, &arguments),
            SqlaObject::OwnEnum(kind) => {
                let mut arguments = arguments;
                if arguments.get(1, &["checkfirst"]).is_none() {
                    arguments
                        .named
                        .push(("checkfirst".into(), Value::Bool(true)));
                }
                return self.type_method(kind, &this, name, &arguments);
            }
            SqlaObject::Column(_) if matches!(name, "copy" | "_copy") => this,
            SqlaObject::Metadata(holder) => match name {
                "create_all" | "drop_all" => {
                    return self.all_tables(holder.as_ref(), name, &arguments);
                }
                _ => {
                    // `reflect`, `remove`, `clear`.
                    self.fill(holder.as_ref());
                    UNKNOWN
                }
            },
            SqlaObject::Clause(_) => match name {
                "bindparams" | "columns" | "execution_options" | "text" => this,
                _ => Value::thing(SqlaObject::Expression(Vec::new())),
            },
            SqlaObject::Related(between) => {
                return self.related_method(between.as_ref(), &this, name, &arguments);
            }
            SqlaObject::Column(_) | SqlaObject::Expression(_) | SqlaObject::Relation(_) => {
                let mut mentions: Mentions = models::mentions(thing).unwrap_or_default();
                mentions.extend(models::mentions_of(arguments.values()));
                Value::thing(SqlaObject::Expression(mentions))
            }
            SqlaObject::Index(..) | SqlaObject::Sequence(_)
                if matches!(name, "create" | "drop") =>
            {
                let asks = arguments.get(1, &["checkfirst"]).and_then(Value::truth);
                // A sequence is asked for unless that is turned off.
                let asks = asks.unwrap_or(matches!(**thing, SqlaObject::Sequence(_)));
                self.run_ddl(&this, name == "create", asks)?;
                Value::None
            }
            SqlaObject::Constraint(_) | SqlaObject::ForeignKey(_) | SqlaObject::Index(..) => {
                match name {
                    "copy" | "_copy" => this,
                    _ => return Ok(None),
                }
            }
            SqlaObject::Super(class, _) => match self.attribute(&this, name)? {
                Value::Method(_) if class.is_plain() => UNKNOWN,
                Value::Method(_) => return Ok(None),
                function => return self.call_value(&function, arguments),
            },
            SqlaObject::Autocommit => Value::None,
            SqlaObject::Base(_) if name == "generate_base" => this,
            SqlaObject::Base(_) | SqlaObject::Filler(_) | SqlaObject::Generator(_) => UNKNOWN,
            SqlaObject::Sequence(_) | SqlaObject::Ddl(..) => UNKNOWN,
            SqlaObject::Partial(..) | SqlaObject::Identity | SqlaObject::Suppress(_) => {
                return Ok(None);
            }
        }))
    }

    /// Calls a thing itself.
    pub(super) fn call_thing(
        &mut self,
        thing: &Rc<SqlaObject>,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        Ok(match &**thing {
            SqlaObject::Silent => Some(Value::thing(SqlaObject::Silent)),
            SqlaObject::Session => Some(Value::thing(SqlaObject::Session)),
            SqlaObject::Bind => Some(Value::thing(SqlaObject::Bind)),
            SqlaObject::Dialect => Some(Value::thing(SqlaObject::Dialect)),
            SqlaObject::Type(_) | SqlaObject::OwnEnum(_) | SqlaObject::FlaskDatabase => {
                Some(Value::Thing(Rc::clone(thing)))
            }
            SqlaObject::Column(_) | SqlaObject::Expression(_) => Some(Value::thing(
                SqlaObject::Expression(models::mentions_of(arguments.values())),
            )),
            SqlaObject::Identity => arguments.positional.first().cloned(),
            SqlaObject::Partial(function, first) => {
                let mut all = first.clone();
                all.positional.extend(arguments.positional);
                all.open |= arguments.open;
                let given = |name: &str| arguments.named.iter().any(|(own, _)| &**own == name);
                all.named.retain(|(name, _)| !given(name));
                all.named.extend(arguments.named.clone());
                return self.call_value(function, all);
            }
            _ => None,
        })
    }

    /// Enters a `with` block.
    pub(super) fn enter(&mut self, manager: &Value, written: &ruff_python_ast::Expr) -> Evaluated {
        match manager {
            Value::Thing(thing) => Ok(match &**thing {
                SqlaObject::Batch(batch) => {
                    if batch.entered == self.doubt {
                        manager.clone()
                    } else {
                        // Made earlier, entered deeper.
                        Value::thing(SqlaObject::Batch(super::sqlalchemy_objects::Batch {
                            table: batch.table.clone(),
                            operations: std::cell::RefCell::default(),
                            entered: self.doubt,
                            ..*batch
                        }))
                    }
                }
                SqlaObject::Block(inner) => inner.clone(),
                _ => manager.clone(),
            }),
            Value::Instance(_)
                if let Value::Bound(bound) = self.attribute(manager, "__enter__")? =>
            {
                self.call(&Value::Bound(bound), Arguments::default())
            }
            Value::Foreign(name) if super::harmless::is_harmless(name) => Ok(UNKNOWN),
            Value::Unknown(false) => Ok(UNKNOWN),
            _ => {
                let what = match written {
                    ruff_python_ast::Expr::Call(call) => self.written(&call.func),
                    other => self.written(other),
                };
                self.unknown(format!("the block of {what}"), SideEffect::Schema)?;
                Ok(Value::Unknown(true))
            }
        }
    }

    /// Leaves a `with` block by an exception. Whether that goes no further; `None` where it may.
    pub(super) fn leave_by(
        &mut self,
        manager: &Value,
        raised: &Exception,
    ) -> Evaluated<Option<bool>> {
        if let Some(SqlaObject::Suppress(kinds)) = manager.as_thing() {
            return Ok(self.catches(kinds, raised));
        }
        match self.attribute(manager, "__exit__")? {
            Value::Bound(bound) => {
                let arguments = Arguments::of(vec![UNKNOWN, UNKNOWN, UNKNOWN]);
                Ok(self.call(&Value::Bound(bound), arguments)?.truth())
            }
            _ => Ok(None),
        }
    }

    /// Leaves a `with` block without an exception.
    pub(super) fn exit(&mut self, manager: &Value) -> Evaluated<()> {
        if let Value::Thing(thing) = manager
            && let SqlaObject::Batch(batch) = &**thing
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
