//! Lists, sets, dictionaries and text.

use super::calls::Arguments;
use super::evaluate::SIZE;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::{SqlaObject, TableValue};
use super::value::{Dictionary, Item, Sequence, UNKNOWN, Value};
use rollback_core::operation::TableName;
use ruff_python_ast::{ExprSlice, Operator};
use std::cell::RefCell;
use std::rc::Rc;

impl Interpreter<'_> {
    /// Adds an element; in uncertain code it may not be there.
    pub(super) fn add_item(&self, list: &Rc<Sequence>, value: Value, certain: bool) {
        let mut items = list.items.borrow_mut();
        if items.len() >= SIZE {
            list.open.set(true);
            return;
        }
        let certain = certain && self.doubt <= list.born && self.maybe.is_none();
        items.push(Item { value, certain });
    }

    /// Sets an entry.
    pub(super) fn set_entry(&self, dictionary: &Rc<Dictionary>, key: Value, value: Value) {
        let mut entries = dictionary.entries.borrow_mut();
        let certain = self.doubt <= dictionary.born && self.maybe.is_none();
        if key.equals(&key) != Some(true) {
            dictionary.open.set(true);
            return;
        }
        let count = entries.len();
        let found = entries
            .iter_mut()
            .find(|(own, _)| own.equals(&key) == Some(true));
        match found {
            Some((_, item)) if certain => *item = Item { value, certain },
            Some((_, item)) => item.value = item.value.join(&value),
            None if count < 2_000 => entries.push((key, Item { value, certain })),
            None => dictionary.open.set(true),
        }
    }

    /// Sets the entries of another dictionary.
    pub(super) fn merge_into(&self, dictionary: &Rc<Dictionary>, other: &Value) {
        match other {
            Value::Dict(other) if Rc::ptr_eq(dictionary, other) => {}
            Value::Dict(other) => {
                for (key, item) in other.entries.borrow().iter() {
                    if item.certain {
                        self.set_entry(dictionary, key.clone(), item.value.clone());
                    } else {
                        dictionary.open.set(true);
                    }
                }
                if other.open.get() {
                    dictionary.open.set(true);
                }
            }
            _ => dictionary.open.set(true),
        }
    }

    /// An entry; `None` where there is none for certain.
    pub(super) fn entry(&mut self, dictionary: &Rc<Dictionary>, key: &Value) -> Option<Value> {
        let mut vague = dictionary.open.get();
        for (own, item) in dictionary.entries.borrow().iter() {
            match own.equals(key) {
                Some(true) if item.certain && !dictionary.open.get() => {
                    return Some(item.value.clone());
                }
                Some(true) if item.certain => return Some(item.value.clone()),
                Some(false) => {}
                _ => vague = true,
            }
        }
        if vague { Some(UNKNOWN) } else { None }
    }

    /// `object[key]`.
    pub(super) fn element(&mut self, object: &Value, key: &Value) -> Evaluated {
        match (object, key) {
            (Value::Dict(dictionary), _) => {
                if let Some(value) = self.entry(dictionary, key) {
                    return Ok(value);
                }
                if let Some(default) = dictionary.default.clone() {
                    let value = self.call(&default, Arguments::default())?;
                    self.set_entry(dictionary, key.clone(), value.clone());
                    return Ok(value);
                }
                Err(self.exception("KeyError", key.as_text().map(|key| format!("'{key}'"))))
            }
            (Value::Tuple(values), Value::Int(index)) => {
                match position(*index, values.len()).and_then(|index| values.get(index)) {
                    Some(value) => Ok(value.clone()),
                    None => Err(self.exception("IndexError", None)),
                }
            }
            (Value::List(list), Value::Int(index)) => {
                let items = list.items.borrow();
                if !list.is_exact() {
                    let early = usize::try_from(*index)
                        .ok()
                        .filter(|index| items.iter().take(index + 1).all(|item| item.certain))
                        .and_then(|index| items.get(index));
                    return Ok(early.map_or(UNKNOWN, |item| item.value.clone()));
                }
                if let Some(item) = position(*index, items.len()).and_then(|index| items.get(index))
                {
                    Ok(item.value.clone())
                } else {
                    drop(items);
                    Err(self.exception("IndexError", None))
                }
            }
            (Value::Text(text), Value::Int(index)) => {
                let characters: Vec<char> = text.chars().take(SIZE).collect();
                Ok(position(*index, characters.len())
                    .and_then(|index| characters.get(index))
                    .map_or(UNKNOWN, |character| Value::text(character.to_string())))
            }
            (Value::Thing(thing), _) => self.element_of_thing(thing, key),
            // `metadata.tables["t"]`
            (Value::Method(method), Value::Text(key))
                if &*method.1 == "tables"
                    && matches!(method.0.as_thing(), Some(SqlaObject::Metadata(_))) =>
            {
                let name = match key.rsplit_once('.') {
                    Some((schema, name)) => TableName {
                        schema: Some(schema.to_owned()),
                        name: name.to_owned(),
                    },
                    None => TableName::plain(&**key),
                };
                Ok(Value::thing(SqlaObject::Table(Rc::new(TableValue {
                    name: Some(name),
                    columns: RefCell::default(),
                    constraints: Vec::new(),
                    indexes: Vec::new(),
                    reflected: true,
                }))))
            }
            (Value::Class(class), Value::Text(name)) => {
                Ok(class.member(name).ok().flatten().unwrap_or(UNKNOWN))
            }
            // `dict[str, Any]`, `list[str]`.
            (Value::Foreign(name), _) => Ok(Value::Foreign(Rc::clone(name))),
            _ => {
                self.risks += 1;
                Ok(Self::unknown_of(&[object]))
            }
        }
    }

    pub(super) fn element_of_thing(&mut self, thing: &Rc<SqlaObject>, key: &Value) -> Evaluated {
        match (&**thing, key) {
            (SqlaObject::Columns(table), Value::Text(name)) => self.column_of_table(table, name),
            (SqlaObject::Row(row), Value::Int(index)) => {
                // A row of a query over whole models holds one object for each.
                let part = usize::try_from(*index)
                    .ok()
                    .and_then(|index| row.parts.get(index))
                    .filter(|part| part.table.is_some());
                Ok(part.map_or(UNKNOWN, |part| Value::thing(SqlaObject::Row(part.clone()))))
            }
            (SqlaObject::Rows(row), Value::Int(_)) => {
                Ok(Value::thing(SqlaObject::Row(row.clone())))
            }
            (SqlaObject::Column(_) | SqlaObject::Expression(_), _) => {
                Ok(super::models::mentions(thing).map_or(UNKNOWN, |mentions| {
                    Value::thing(SqlaObject::Expression(mentions))
                }))
            }
            _ => Ok(UNKNOWN),
        }
    }

    /// `object[from:to]`.
    pub(super) fn slice(&mut self, object: &Value, slice: &ExprSlice) -> Evaluated {
        let mut bound =
            |expression: &Option<Box<ruff_python_ast::Expr>>| -> Evaluated<Option<Value>> {
                expression
                    .as_ref()
                    .map(|expression| self.evaluate(expression))
                    .transpose()
            };
        let (lower, upper, step) = (
            bound(&slice.lower)?,
            bound(&slice.upper)?,
            bound(&slice.step)?,
        );
        let length = match object {
            Value::Text(text) => text.chars().count(),
            Value::Tuple(values) => values.len(),
            Value::List(list) if list.is_exact() => list.items.borrow().len(),
            Value::List(list) => return Ok(Value::List(Rc::clone(list))),
            Value::Thing(thing) => {
                return Ok(match &**thing {
                    SqlaObject::Rows(_) => object.clone(),
                    _ => UNKNOWN,
                });
            }
            _ => return Ok(UNKNOWN),
        };
        let clamp = |value: Option<Value>, default: usize| -> Option<usize> {
            match value {
                None | Some(Value::None) => Some(default),
                Some(Value::Int(index)) => {
                    let length = i64::try_from(length).ok()?;
                    let index = if index < 0 { index + length } else { index };
                    usize::try_from(index.clamp(0, length)).ok()
                }
                Some(_) => None,
            }
        };
        let (Some(from), Some(to)) = (clamp(lower, 0), clamp(upper, length)) else {
            return Ok(UNKNOWN);
        };
        let reverse = match step {
            None | Some(Value::None | Value::Int(1)) => false,
            Some(Value::Int(-1)) if from == 0 && to == length => true,
            Some(_) => return Ok(UNKNOWN),
        };
        let count = to.saturating_sub(from);
        Ok(match object {
            Value::Text(text) if reverse => Value::text(text.chars().rev().collect::<String>()),
            Value::Text(text) => {
                Value::text(text.chars().skip(from).take(count).collect::<String>())
            }
            Value::Tuple(values) => {
                let mut part: Vec<Value> = values.iter().skip(from).take(count).cloned().collect();
                if reverse {
                    part.reverse();
                }
                Value::Tuple(part.into())
            }
            Value::List(list) => {
                let mut part: Vec<Item> = list
                    .items
                    .borrow()
                    .iter()
                    .skip(from)
                    .take(count)
                    .cloned()
                    .collect();
                if reverse {
                    part.reverse();
                }
                Value::List(self.sequence((part, false)))
            }
            _ => UNKNOWN,
        })
    }

    /// `object[key] = value`.
    pub(super) fn set_element(&mut self, object: &Value, key: Value, value: Value) {
        match object {
            Value::Dict(dictionary) => self.set_entry(dictionary, key, value),
            Value::List(list) => {
                let certain = self.doubt <= list.born;
                let exact = list.is_exact();
                let mut items = list.items.borrow_mut();
                let length = items.len();
                match key {
                    Value::Int(index) if exact && certain => {
                        if let Some(item) =
                            position(index, length).and_then(|index| items.get_mut(index))
                        {
                            item.value = value;
                        }
                    }
                    _ => {
                        for item in items.iter_mut() {
                            item.value = item.value.join(&value);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// `del object[key]`.
    pub(super) fn remove_element(&mut self, object: &Value, key: &Value) {
        match object {
            Value::Dict(dictionary) => {
                let certain = self.doubt <= dictionary.born && !key.is_unknown();
                let mut entries = dictionary.entries.borrow_mut();
                if certain {
                    entries.retain(|(own, _)| own.equals(key) != Some(true));
                } else {
                    for (own, item) in entries.iter_mut() {
                        if own.equals(key) != Some(false) {
                            item.certain = false;
                        }
                    }
                }
            }
            Value::List(list) => {
                for item in list.items.borrow_mut().iter_mut() {
                    item.certain = false;
                }
            }
            _ => {}
        }
    }

    /// A method of a list.
    pub(super) fn list_method(
        &mut self,
        list: &Rc<Sequence>,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let first = arguments.positional.first().cloned();
        Ok(Some(match (name, first) {
            ("append", Some(value)) => {
                self.add_item(list, value, true);
                Value::None
            }
            ("insert", _) => {
                let value = arguments.positional.get(1).cloned().unwrap_or(UNKNOWN);
                let exact = list.is_exact() && self.doubt <= list.born;
                match arguments.positional.first() {
                    Some(Value::Int(0)) if exact => {
                        let certain = true;
                        list.items.borrow_mut().insert(0, Item { value, certain });
                    }
                    _ => self.add_item(list, value, true),
                }
                Value::None
            }
            ("extend" | "update", Some(values)) => {
                match self.elements(&values)? {
                    Some((items, open)) => {
                        for item in items {
                            self.add_item(list, item.value, item.certain);
                        }
                        list.open.set(list.open.get() || open);
                    }
                    None => list.open.set(true),
                }
                Value::None
            }
            ("add", Some(value)) => {
                let known = self.contains(&Value::Set(Rc::clone(list)), &value)?;
                if known != Some(true) {
                    self.add_item(list, value, true);
                }
                Value::None
            }
            ("remove" | "discard", Some(value)) => {
                let certain = self.doubt <= list.born;
                let mut items = list.items.borrow_mut();
                let found = items
                    .iter()
                    .position(|item| item.value.equals(&value) == Some(true));
                match found {
                    Some(found) if certain => {
                        items.remove(found);
                    }
                    Some(found) => items[found].certain = false,
                    None if value.is_unknown() => {
                        items.iter_mut().for_each(|item| item.certain = false);
                    }
                    None => {}
                }
                Value::None
            }
            ("pop", None) if list.is_exact() && self.doubt <= list.born => {
                let popped = list.items.borrow_mut().pop();
                match popped {
                    Some(item) => item.value,
                    None => return Err(self.exception("IndexError", None)),
                }
            }
            ("pop" | "clear" | "difference_update" | "intersection_update", _) => {
                if name == "clear" && self.doubt <= list.born {
                    list.items.borrow_mut().clear();
                    list.open.set(false);
                    return Ok(Some(Value::None));
                }
                for item in list.items.borrow_mut().iter_mut() {
                    item.certain = false;
                }
                UNKNOWN
            }
            ("sort", _) => {
                let sorted = self.sorted(&Value::List(Rc::clone(list)), arguments)?;
                if let Value::List(sorted) = sorted {
                    list.items.borrow_mut().clone_from(&sorted.items.borrow());
                }
                Value::None
            }
            ("reverse", _) => {
                list.items.borrow_mut().reverse();
                Value::None
            }
            ("copy", _) => {
                Value::List(self.sequence((list.items.borrow().clone(), list.open.get())))
            }
            ("index", Some(value)) => {
                let items = list.items.borrow();
                items
                    .iter()
                    .position(|item| item.value.equals(&value) == Some(true))
                    .and_then(|index| i64::try_from(index).ok())
                    .filter(|_| list.is_exact())
                    .map_or(UNKNOWN, Value::Int)
            }
            ("union" | "intersection" | "difference" | "issubset" | "issuperset", Some(other)) => {
                let other = match self.elements(&other)? {
                    Some((items, open)) => self.set_of(items, open),
                    None => return Ok(Some(UNKNOWN)),
                };
                let Value::Set(other) = other else {
                    return Ok(Some(UNKNOWN));
                };
                match name {
                    "union" => self.set_operation(Operator::BitOr, list, &other),
                    "intersection" => self.set_operation(Operator::BitAnd, list, &other),
                    "difference" => self.set_operation(Operator::Sub, list, &other),
                    _ => UNKNOWN,
                }
            }
            _ => UNKNOWN,
        }))
    }

    /// A method of a dictionary.
    pub(super) fn dict_method(
        &mut self,
        dictionary: &Rc<Dictionary>,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let key = arguments.positional.first();
        let default = arguments.positional.get(1).cloned();
        Ok(Some(match (name, key) {
            ("get", Some(key)) => self
                .entry(dictionary, key)
                .unwrap_or(default.unwrap_or(Value::None)),
            ("pop", Some(key)) => {
                let value = self.entry(dictionary, key);
                self.remove_element(&Value::Dict(Rc::clone(dictionary)), key);
                match (value, default) {
                    (Some(value), _) => value,
                    (None, Some(default)) => default,
                    (None, None) => return Err(self.exception("KeyError", None)),
                }
            }
            ("setdefault", Some(key)) => {
                if let Some(value) = self.entry(dictionary, key) {
                    value
                } else {
                    let value = default.unwrap_or(Value::None);
                    self.set_entry(dictionary, key.clone(), value.clone());
                    value
                }
            }
            ("update", _) => {
                if let Some(other) = key {
                    self.merge_into(dictionary, other);
                }
                for (name, value) in &arguments.named {
                    self.set_entry(dictionary, Value::Text(Rc::clone(name)), value.clone());
                }
                Value::None
            }
            ("keys", _) => {
                let (items, open) = self
                    .elements(&Value::Dict(Rc::clone(dictionary)))?
                    .unwrap_or_default();
                Value::List(self.sequence((items, open)))
            }
            ("values", _) => {
                let items = dictionary
                    .entries
                    .borrow()
                    .iter()
                    .map(|(_, item)| item.clone())
                    .collect();
                Value::List(self.sequence((items, dictionary.open.get())))
            }
            ("items", _) => {
                let items = dictionary
                    .entries
                    .borrow()
                    .iter()
                    .map(|(key, item)| Item {
                        value: Value::Tuple(Rc::from([key.clone(), item.value.clone()])),
                        certain: item.certain,
                    })
                    .collect();
                Value::List(self.sequence((items, dictionary.open.get())))
            }
            ("copy", _) => {
                let copy = Dictionary::of(Vec::new(), self.doubt);
                copy.entries
                    .borrow_mut()
                    .clone_from(&dictionary.entries.borrow());
                copy.open.set(dictionary.open.get());
                Value::Dict(copy)
            }
            ("clear", _) => {
                dictionary.entries.borrow_mut().clear();
                Value::None
            }
            _ => UNKNOWN,
        }))
    }

    /// `sorted(...)`: in order where that is known, all of them in any case.
    pub(super) fn sorted(&mut self, values: &Value, arguments: &Arguments) -> Evaluated {
        let Some((mut items, open)) = self.elements(values)? else {
            return Ok(values.clone());
        };
        if arguments.named("key").is_none() {
            if items.iter().all(|item| item.value.as_text().is_some()) {
                items.sort_by(|one, two| one.value.as_text().cmp(&two.value.as_text()));
            } else if items.iter().all(|item| matches!(item.value, Value::Int(_))) {
                items.sort_by_key(|item| match item.value {
                    Value::Int(number) => number,
                    _ => 0,
                });
            }
            if arguments.flag("reverse") {
                items.reverse();
            }
        }
        Ok(Value::List(self.sequence((items, open))))
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}
