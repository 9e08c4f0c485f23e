//! Python's own functions, and what other packages' are known to do.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Exception, Interpreter};
use super::sqlalchemy_objects::{Row, SqlaObject};
use super::value::{Item, Sequence, UNKNOWN, Value, any};
use crate::SideEffect;
use rollback_core::dialect::Dialect;
use std::rc::Rc;

const FUNCTIONS: &str = "__import__ abs all any bool bytearray bytes callable chr classmethod compile delattr dict dir \
 divmod enumerate eval exec exit filter float format frozenset getattr globals hasattr hash id \
 input int isinstance issubclass iter len list locals map max min next object open ord pow \
 print property quit range repr reversed round set setattr slice sorted staticmethod str sum \
 super tuple type vars zip";

/// Whether a name is one of Python's own.
pub(super) fn is_builtin(name: &str) -> bool {
    FUNCTIONS.split_ascii_whitespace().any(|own| own == name) || is_exception(name)
}

fn is_exception(name: &str) -> bool {
    name.ends_with("Error")
        || name.ends_with("Warning")
        || matches!(
            name,
            "Exception" | "BaseException" | "KeyboardInterrupt" | "StopIteration" | "SystemExit"
        )
}

/// Whether `except name` catches what was raised; `None` where that is not known.
pub(super) fn is_caught_by(
    raised: &Exception,
    name: &str,
    dialect: Option<Dialect>,
) -> Option<bool> {
    if matches!(name, "Exception" | "BaseException") {
        return Some(&*raised.name != "SystemExit" || name == "BaseException");
    }
    if raised.database {
        return match (name, dialect) {
            ("SQLAlchemyError" | "StatementError" | "DBAPIError" | "DatabaseError", _) => {
                Some(true)
            }
            // SQLite has one class for whatever is wrong with a statement.
            ("OperationalError", Some(Dialect::Sqlite)) => Some(true),
            (
                "OperationalError" | "ProgrammingError" | "InternalError" | "IntegrityError"
                | "NotSupportedError" | "DataError" | "InterfaceError" | "Error"
                | "NoSuchTableError" | "UndefinedTable" | "UndefinedColumn" | "DuplicateTable"
                | "DuplicateColumn" | "UndefinedObject" | "DuplicateObject",
                _,
            ) => None,
            _ => Some(false),
        };
    }
    if &*raised.name == name {
        return Some(true);
    }
    let mut classes = raised.class.as_deref();
    let mut depth = 0;
    while let Some(class) = classes {
        depth += 1;
        for base in &class.bases {
            if let Value::Foreign(base) = base
                && base.rsplit('.').next() == Some(name)
            {
                return Some(true);
            }
        }
        classes = class.bases.iter().find_map(|base| match base {
            Value::Class(base) if depth < 30 => Some(&**base),
            _ => None,
        });
    }
    let parents: &[&str] = match &*raised.name {
        "KeyError" | "IndexError" => &["LookupError"],
        "NotImplementedError" | "RecursionError" => &["RuntimeError"],
        "NoSuchTableError" => &["InvalidRequestError", "SQLAlchemyError"],
        "ModuleNotFoundError" => &["ImportError"],
        "FileNotFoundError" => &["OSError", "IOError"],
        // A class that is not known may derive from anything.
        "Exception" => return None,
        _ => &[],
    };
    Some(parents.contains(&name))
}

impl Interpreter<'_> {
    pub(super) fn call_builtin(
        &mut self,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let first = arguments.positional.first();
        let second = arguments.positional.get(1);
        if is_exception(name) {
            let message = match first {
                Some(Value::Text(message)) => Some(message.to_string()),
                Some(Value::Holed(pieces)) => Some(
                    pieces
                        .iter()
                        .map(|piece| piece.as_deref().unwrap_or("..."))
                        .collect(),
                ),
                _ => None,
            };
            return Ok(Some(Value::thing(SqlaObject::Exception(
                name.into(),
                message,
            ))));
        }
        Ok(Some(match (name, first) {
            ("print" | "delattr", _) => Value::None,
            // The engine has no terminal to read from.
            ("input", _) => {
                let words = "EOF when reading a line";
                return Err(self.exception("EOFError", Some(words.to_owned())));
            }
            ("setattr", Some(object)) => {
                let value = arguments.positional.get(2).cloned().unwrap_or(UNKNOWN);
                let object = object.clone();
                match second {
                    Some(Value::Text(name)) => self.set_attribute(&object, name, value)?,
                    _ => self.set_attribute(&object, "", value)?,
                }
                Value::None
            }
            ("getattr", Some(object)) => {
                let object = object.clone();
                match second {
                    Some(Value::Text(name)) => {
                        let value = self.attribute(&object, name)?;
                        match (&value, arguments.positional.get(2)) {
                            (Value::Unknown(_), Some(default)) => value.join(default),
                            _ => value,
                        }
                    }
                    _ => Value::Unknown(object.is_live() && !is_row(&object)),
                }
            }
            ("hasattr", Some(object)) => match (object, second) {
                (Value::Class(class), Some(Value::Text(name))) => match class.member(name) {
                    Ok(found) => Value::Bool(found.is_some()),
                    Err(()) => UNKNOWN,
                },
                _ => UNKNOWN,
            },
            ("isinstance" | "issubclass", Some(object)) => {
                let object = object.clone();
                match second {
                    Some(kind) => self.is_instance(&object, kind).map_or(UNKNOWN, Value::Bool),
                    None => UNKNOWN,
                }
            }
            ("len", Some(Value::Tuple(values))) => length(values.len()),
            ("len", Some(Value::Text(text))) => length(text.chars().count()),
            ("len", Some(Value::List(list) | Value::Set(list))) if list.is_exact() => {
                length(list.items.borrow().len())
            }
            ("len", Some(Value::Dict(dictionary)))
                if !dictionary.open.get()
                    && dictionary
                        .entries
                        .borrow()
                        .iter()
                        .all(|(_, item)| item.certain) =>
            {
                length(dictionary.entries.borrow().len())
            }
            ("str", None) => Value::text(""),
            ("str" | "repr" | "format", Some(value)) => {
                let mut pieces = Vec::new();
                self.push_value(&mut pieces, value);
                super::operators::text_of(pieces)
            }
            ("bool", Some(value)) => value.truth().map_or(UNKNOWN, Value::Bool),
            ("int", Some(value)) => match value {
                Value::Int(_) => value.clone(),
                Value::Bool(truth) => Value::Int(i64::from(*truth)),
                Value::Text(text) => text.trim().parse().map_or(UNKNOWN, Value::Int),
                _ => UNKNOWN,
            },
            ("list" | "iter" | "tuple" | "set" | "frozenset", None) => match name {
                "tuple" => Value::Tuple(Rc::from([])),
                "set" | "frozenset" => Value::Set(Sequence::of(Vec::new(), self.doubt)),
                _ => Value::List(Sequence::of(Vec::new(), self.doubt)),
            },
            ("list" | "iter" | "tuple" | "set" | "frozenset", Some(values)) => {
                let values = values.clone();
                match self.elements(&values)? {
                    Some((items, open)) => match name {
                        "set" | "frozenset" => self.set_of(items, open),
                        "tuple" if !open && items.iter().all(|item| item.certain) => {
                            Value::Tuple(items.into_iter().map(|item| item.value).collect())
                        }
                        _ => Value::List(self.sequence((items, open))),
                    },
                    None => match values.as_thing() {
                        Some(SqlaObject::Rows(_)) => values,
                        Some(SqlaObject::Query(query)) => {
                            let row = self.read(query)?;
                            Value::thing(SqlaObject::Rows(row))
                        }
                        _ => Value::Unknown(values.is_live()),
                    },
                }
            }
            ("dict", _) => self.call_collections("dict", arguments)?,
            ("sorted", Some(values)) => {
                let values = values.clone();
                self.sorted(&values, arguments)?
            }
            ("reversed", Some(values)) => {
                let values = values.clone();
                match self.elements(&values)? {
                    Some((mut items, open)) => {
                        items.reverse();
                        Value::List(self.sequence((items, open)))
                    }
                    None => values,
                }
            }
            ("enumerate", Some(values)) => {
                let values = values.clone();
                let start = match arguments.get(1, &["start"]) {
                    Some(Value::Int(start)) => *start,
                    _ => 0,
                };
                if let Some((items, open)) = self.elements(&values)? {
                    let items = (start..)
                        .zip(items)
                        .map(|(number, item)| Item {
                            value: Value::Tuple(Rc::from([Value::Int(number), item.value])),
                            certain: item.certain,
                        })
                        .collect();
                    Value::List(self.sequence((items, open)))
                } else {
                    let element = self.element_of(&values)?;
                    self.vague_list(Value::Tuple(Rc::from([UNKNOWN, element])))
                }
            }
            ("zip", Some(_)) => self.zip(arguments)?,
            ("map" | "filter", Some(function)) => {
                let function = function.clone();
                match second {
                    Some(values) => self.map(name == "map", &function, &values.clone())?,
                    None => UNKNOWN,
                }
            }
            ("range", Some(_)) => self.range(arguments),
            ("any" | "all", Some(values)) => {
                let values = values.clone();
                match self.elements(&values)? {
                    Some((items, open)) => {
                        let wanted = name == "any";
                        // Elements that may not be there decide nothing by being there.
                        let mut unknown = open;
                        for item in &items {
                            match item.value.truth() {
                                Some(truth) if truth == wanted && item.certain => {
                                    return Ok(Some(Value::Bool(wanted)));
                                }
                                Some(truth) if truth != wanted => {}
                                _ => unknown = true,
                            }
                        }
                        if unknown {
                            UNKNOWN
                        } else {
                            Value::Bool(!wanted)
                        }
                    }
                    None => UNKNOWN,
                }
            }
            ("next", Some(values)) => {
                let values = values.clone();
                match self.elements(&values)? {
                    Some((items, open)) => match items.first() {
                        Some(item) if item.certain => item.value.clone(),
                        None if !open => match second {
                            Some(default) => default.clone(),
                            None => return Err(self.exception("StopIteration", None)),
                        },
                        _ => UNKNOWN,
                    },
                    None => self.element_of(&values)?,
                }
            }
            ("min" | "max", Some(_)) => {
                let numbers: Option<Vec<i64>> = arguments
                    .positional
                    .iter()
                    .map(|value| match value {
                        Value::Int(number) => Some(*number),
                        _ => None,
                    })
                    .collect();
                match numbers {
                    Some(numbers) if numbers.len() > 1 => {
                        let picked = if name == "min" {
                            numbers.into_iter().min()
                        } else {
                            numbers.into_iter().max()
                        };
                        picked.map_or(UNKNOWN, Value::Int)
                    }
                    _ => UNKNOWN,
                }
            }
            ("super", _) => match &self.scope.this {
                Some((class, this)) => {
                    Value::thing(SqlaObject::Super(Rc::clone(class), this.clone()))
                }
                None => Value::Unknown(true),
            },
            ("type", Some(Value::Instance(instance))) => Value::Class(Rc::clone(&instance.class)),
            ("type", Some(Value::Text(name))) if arguments.positional.len() == 3 => {
                let bases = match second {
                    Some(Value::Tuple(bases)) => bases.to_vec(),
                    _ => vec![UNKNOWN],
                };
                let mut members = Vec::new();
                if let Some(Value::Dict(entries)) = arguments.positional.get(2) {
                    for (key, item) in entries.entries.borrow().iter() {
                        if let (Value::Text(key), true) = (key, item.certain) {
                            members.push((key.as_ref().into(), item.value.clone()));
                        }
                    }
                }
                let made = Rc::new(super::value::Class {
                    name: name.to_string(),
                    bases,
                    members: std::cell::RefCell::new(members),
                    fields: Vec::new(),
                    dataclass: false,
                    row: std::cell::RefCell::default(),
                    holder: None,
                });
                self.hold_model(&made);
                Value::Class(made)
            }
            ("type", Some(value)) if arguments.positional.len() == 1 => {
                Value::Unknown(value.is_live() && !is_row(value))
            }
            ("callable", Some(Value::Function(_) | Value::Bound(_) | Value::Class(_))) => {
                Value::Bool(true)
            }
            ("exec" | "eval" | "compile" | "__import__" | "globals" | "locals", _) => {
                self.unknown(
                    format!("{name}(), which makes code while it runs"),
                    SideEffect::Schema,
                )?;
                Value::Unknown(true)
            }
            ("exit" | "quit", _) => return Err(self.exception("SystemExit", None)),
            _ => UNKNOWN,
        }))
    }

    /// A list of any number of the same.
    pub(super) fn vague_list(&self, element: Value) -> Value {
        let item = Item {
            value: element,
            certain: false,
        };
        Value::List(self.sequence((vec![item], true)))
    }

    pub(super) fn zip(&mut self, arguments: &Arguments) -> Evaluated {
        let mut columns = Vec::new();
        for values in &arguments.positional {
            match self.elements(values)? {
                Some((items, false)) => columns.push(items),
                _ => return Ok(UNKNOWN),
            }
        }
        let length = columns.iter().map(Vec::len).min().unwrap_or(0);
        let items = (0..length)
            .map(|row| Item {
                value: Value::Tuple(
                    columns
                        .iter()
                        .map(|items| items[row].value.clone())
                        .collect(),
                ),
                certain: columns.iter().all(|items| items[row].certain),
            })
            .collect();
        Ok(Value::List(self.sequence((items, false))))
    }

    pub(super) fn map(&mut self, map: bool, function: &Value, values: &Value) -> Evaluated {
        let (items, open) = if let Some(found) = self.elements(values)? {
            found
        } else {
            let value = self.element_of(values)?;
            let certain = false;
            (vec![Item { value, certain }], true)
        };
        let mut result = Vec::new();
        for item in items {
            let doubt = u32::from(!item.certain);
            self.doubt += doubt;
            let made = if function.is_none() {
                Ok(item.value.clone())
            } else {
                self.call(function, Arguments::of(vec![item.value.clone()]))
            };
            self.doubt -= doubt;
            let made = made?;
            if map {
                result.push(Item {
                    value: made,
                    certain: item.certain,
                });
            } else {
                match made.truth() {
                    Some(false) => {}
                    truth => result.push(Item {
                        value: item.value,
                        certain: item.certain && truth.is_some(),
                    }),
                }
            }
        }
        Ok(Value::List(self.sequence((result, open))))
    }

    pub(super) fn range(&mut self, arguments: &Arguments) -> Value {
        let numbers: Option<Vec<i64>> = arguments
            .positional
            .iter()
            .map(|value| match value {
                Value::Int(number) => Some(*number),
                _ => None,
            })
            .collect();
        let (from, to, step) = match numbers.as_deref() {
            Some([to]) => (0, *to, 1),
            Some([from, to]) => (*from, *to, 1),
            Some([from, to, step]) if *step > 0 => (*from, *to, *step),
            _ => return self.vague_list(UNKNOWN),
        };
        let Ok(step) = usize::try_from(step) else {
            return UNKNOWN;
        };
        if to.saturating_sub(from) / i64::try_from(step).unwrap_or(1) > 2_000 {
            return self.vague_list(UNKNOWN);
        }
        let values = (from..to).step_by(step).map(Value::Int).collect();
        Value::List(Sequence::of(values, self.doubt))
    }

    /// `isinstance(object, kind)`, where that is known.
    pub(super) fn is_instance(&mut self, object: &Value, kind: &Value) -> Option<bool> {
        match kind {
            Value::Tuple(kinds) => any(kinds
                .iter()
                .map(|kind| self.is_instance(object, kind))
                .collect::<Vec<_>>()
                .into_iter()),
            Value::Class(class) => match object {
                Value::Instance(instance) => {
                    let mut classes = vec![Rc::clone(&instance.class)];
                    let mut seen = 0;
                    while let Some(own) = classes.pop() {
                        seen += 1;
                        if Rc::ptr_eq(&own, class) {
                            return Some(true);
                        }
                        if seen > 100 {
                            return None;
                        }
                        classes.extend(own.bases.iter().filter_map(|base| match base {
                            Value::Class(base) => Some(Rc::clone(base)),
                            _ => None,
                        }));
                    }
                    Some(false)
                }
                Value::Thing(_) | Value::Unknown(_) | Value::Class(_) => None,
                _ => Some(false),
            },
            Value::Foreign(kind) => {
                let kind = kind.rsplit('.').next().unwrap_or(kind);
                if let Some(SqlaObject::Dialect) = object.as_thing() {
                    return self.is_dialect(kind);
                }
                let own = match object {
                    Value::Text(_) | Value::Holed(_) => "str",
                    Value::Int(_) => "int",
                    Value::Bool(_) => "bool",
                    Value::Float(_) => "float",
                    Value::List(_) => "list",
                    Value::Tuple(_) => "tuple",
                    Value::Set(_) => "set",
                    Value::Dict(_) => "dict",
                    Value::None => "NoneType",
                    _ => return None,
                };
                Some(own == kind || (own == "bool" && kind == "int"))
            }
            _ => None,
        }
    }

    pub(super) fn is_dialect(&self, class: &str) -> Option<bool> {
        let dialect = self.dialect()?;
        let class = class.to_ascii_lowercase();
        let wanted = if class.starts_with("pg") || class.starts_with("postgres") {
            Dialect::Postgres
        } else if class.starts_with("mysql") || class.starts_with("mariadb") {
            Dialect::MySql
        } else if class.starts_with("sqlite") {
            Dialect::Sqlite
        } else {
            return (class != "dialect" && class != "defaultdialect").then_some(false);
        };
        Some(dialect == wanted)
    }
}

fn is_row(value: &Value) -> bool {
    matches!(value.as_thing(), Some(SqlaObject::Row(Row { .. })))
}

fn length(length: usize) -> Value {
    i64::try_from(length).map_or(UNKNOWN, Value::Int)
}
