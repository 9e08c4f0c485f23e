//! Methods of what is no collection, and blocks.

use super::calls::Arguments;
use super::machine::{Evaluated, Machine};
use super::models;
use super::things::{Mentions, Thing};
use super::value::{UNKNOWN, Value};
use crate::domain::foresight::{EventKind, Extent};
use std::rc::Rc;

impl Machine<'_> {
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
            Thing::Metadata(holder) => match name {
                "create_all" | "drop_all" => {
                    return self.all_tables(holder.as_ref(), name, &arguments);
                }
                _ => {
                    // `reflect`, `remove`, `clear`.
                    self.fill(holder.as_ref());
                    UNKNOWN
                }
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
            Thing::Base(_) if name == "generate_base" => this,
            Thing::Base(_) | Thing::Filler(_) | Thing::Generator(_) => UNKNOWN,
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
                    self.unknown(format!("the block of {what}"), Extent::Schema)?;
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
