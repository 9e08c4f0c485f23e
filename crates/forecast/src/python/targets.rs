//! What is assigned to, and what is iterated.

use super::evaluate::SIZE;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::SqlaObject;
use super::value::{Item, UNKNOWN, Value};
use ruff_python_ast::Expr;

impl Interpreter<'_> {
    /// Gives a target a value.
    pub(super) fn store(&mut self, target: &Expr, value: Value) -> Evaluated<()> {
        match target {
            Expr::Name(name) => self.assign(&name.id, value),
            Expr::Tuple(tuple) => self.unpack(&tuple.elts, &value)?,
            Expr::List(list) => self.unpack(&list.elts, &value)?,
            Expr::Starred(starred) => self.store(&starred.value, value)?,
            Expr::Attribute(attribute) => {
                let object = self.evaluate(&attribute.value)?;
                self.at(attribute.range.start());
                self.set_attribute(&object, &attribute.attr.id, value)?;
            }
            Expr::Subscript(subscript) => {
                let object = self.evaluate(&subscript.value)?;
                let key = self.evaluate(&subscript.slice)?;
                self.set_element(&object, key, value);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn unpack(&mut self, targets: &[Expr], value: &Value) -> Evaluated<()> {
        let starred = targets.iter().position(Expr::is_starred_expr);
        let items = match self.elements(value)? {
            Some((items, false)) if items.iter().all(|item| item.certain) => Some(items),
            _ => None,
        };
        match items {
            Some(items) if starred.is_none() && items.len() == targets.len() => {
                for (target, item) in targets.iter().zip(items) {
                    self.store(target, item.value)?;
                }
            }
            Some(items) if starred.is_some() && items.len() + 1 >= targets.len() => {
                let first = starred.unwrap_or(0);
                let taken = items.len() + 1 - targets.len();
                let mut items = items.into_iter();
                for (position, target) in targets.iter().enumerate() {
                    let value = if position == first {
                        let part = items.by_ref().take(taken).collect();
                        Value::List(self.sequence((part, false)))
                    } else {
                        items.next().map_or(UNKNOWN, |item| item.value)
                    };
                    self.store(target, value)?;
                }
            }
            _ => {
                let parts = match value.as_thing() {
                    Some(SqlaObject::Row(row)) => row.parts.clone(),
                    _ => Vec::new(),
                };
                for (position, target) in targets.iter().enumerate() {
                    let value = match parts.get(position) {
                        Some(row) if parts.len() == targets.len() && row.table.is_some() => {
                            Value::thing(SqlaObject::Row(row.clone()))
                        }
                        _ => Value::Unknown(
                            value.is_live()
                                && !matches!(value.as_thing(), Some(SqlaObject::Row(_))),
                        ),
                    };
                    self.store(target, value)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, target: &Expr) -> Evaluated<()> {
        match target {
            Expr::Name(name) => self.forget(std::slice::from_ref(&name.id)),
            Expr::Subscript(subscript) => {
                let object = self.evaluate(&subscript.value)?;
                let key = self.evaluate(&subscript.slice)?;
                self.remove_element(&object, &key);
            }
            _ => {}
        }
        Ok(())
    }

    /// A target of `del`.
    pub(super) fn delete(&mut self, target: &Expr) -> Evaluated<()> {
        self.remove(target)
    }

    /// The elements of what can be iterated, with whether there may be more. `None` where nothing
    /// is known of them.
    pub(super) fn elements(&mut self, value: &Value) -> Evaluated<Option<(Vec<Item>, bool)>> {
        let certain = true;
        Ok(match value {
            Value::List(sequence) | Value::Set(sequence) => {
                Some((sequence.items.borrow().clone(), sequence.open.get()))
            }
            Value::Tuple(values) => Some((
                values
                    .iter()
                    .map(|value| Item {
                        value: value.clone(),
                        certain,
                    })
                    .collect(),
                false,
            )),
            Value::Dict(dictionary) => Some((
                dictionary
                    .entries
                    .borrow()
                    .iter()
                    .map(|(key, item)| Item {
                        value: key.clone(),
                        certain: item.certain,
                    })
                    .collect(),
                dictionary.open.get(),
            )),
            Value::Text(text) => Some((
                text.chars()
                    .take(SIZE)
                    .map(|character| Item {
                        value: Value::text(character.to_string()),
                        certain,
                    })
                    .collect(),
                false,
            )),
            Value::Thing(thing) => match &**thing {
                SqlaObject::Generator(generator) => Some((self.drain(generator)?, false)),
                SqlaObject::Columns(table) if !table.reflected => Some((
                    table
                        .columns
                        .borrow()
                        .iter()
                        .map(|column| Item {
                            value: Value::thing(SqlaObject::Column(column.clone())),
                            certain,
                        })
                        .collect(),
                    false,
                )),
                _ => None,
            },
            Value::Class(class) => {
                super::models::members_of_enum(class).map(|items| (items, false))
            }
            Value::Instance(_) => match self.attribute(value, "__iter__")? {
                Value::Bound(bound) => {
                    let made =
                        self.call(&Value::Bound(bound), super::calls::Arguments::default())?;
                    if matches!(made, Value::Instance(_)) {
                        None
                    } else {
                        self.elements(&made)?
                    }
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// What stands for each element where they are not known. Reads the rows of a query.
    pub(super) fn element_of(&mut self, value: &Value) -> Evaluated {
        Ok(match value {
            Value::Thing(thing) => match &**thing {
                SqlaObject::Rows(row) => {
                    Value::thing(SqlaObject::Row(super::sqlalchemy_objects::Row {
                        optional: false,
                        ..row.clone()
                    }))
                }
                SqlaObject::Query(query) => {
                    let row = self.read(query)?;
                    Value::thing(SqlaObject::Row(row))
                }
                SqlaObject::Columns(_) => UNKNOWN,
                _ => Value::Unknown(false),
            },
            Value::Unknown(live) => Value::Unknown(*live),
            // Such as `metadata.sorted_tables`.
            Value::Method(_) => Value::Unknown(true),
            other => other.blurred(),
        })
    }
}
