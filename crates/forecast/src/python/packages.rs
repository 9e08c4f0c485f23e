//! What other packages' functions are known to do.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::SqlaObject;
use super::value::{Dictionary, UNKNOWN, Value};
use crate::SideEffect;
use std::rc::Rc;

/// Decorators that give a function or class back that does the same.
const IDENTITIES: [&str; 13] = [
    "abc.abstractmethod",
    "contextlib.contextmanager",
    "dataclasses.dataclass",
    "enum.unique",
    "functools.cache",
    "functools.lru_cache",
    "functools.total_ordering",
    "functools.update_wrapper",
    "functools.wraps",
    "typing.final",
    "typing.no_type_check",
    "typing.override",
    "typing_extensions.override",
];

impl Interpreter<'_> {
    /// Calls something of a package outside the project; `None` where it is not known what it does.
    pub(super) fn call_foreign(
        &mut self,
        name: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        let (package, rest) = name.split_once('.').unwrap_or((name, ""));
        let last = name.rsplit('.').next().unwrap_or(name);
        match package {
            "builtins" => self.call_builtin(rest, &arguments),
            "alembic" => match rest.strip_prefix("op.") {
                Some(directive) => self.directive(directive, &arguments),
                None => Ok(self.call_alembic(rest)),
            },
            "sqlalchemy" | "sqlalchemy_utils" | "geoalchemy2" | "pgvector" | "sqlmodel" => {
                self.construct(last, name, arguments)
            }
            "flask_sqlalchemy" => {
                Ok((last == "SQLAlchemy").then(|| Value::thing(SqlaObject::FlaskDatabase)))
            }
            "flask_appbuilder" => Ok(match last {
                "SQLA" => Some(Value::thing(SqlaObject::FlaskDatabase)),
                "get_sqla_class" => Some(Value::Foreign("flask_sqlalchemy.SQLAlchemy".into())),
                _ => None,
            }),
            "logging" | "warnings" | "pprint" | "structlog" | "loguru" | "tqdm" => {
                Ok(Some(match (last, arguments.positional.first()) {
                    ("tqdm" | "trange", Some(values)) => values.clone(),
                    _ => Value::thing(SqlaObject::Silent),
                }))
            }
            "importlib" => match arguments.positional.first().and_then(Value::as_text) {
                Some(dotted) if last == "import_module" => {
                    let module = Rc::clone(&self.here.module);
                    if let Some(module) = self.module_named(dotted, 0, &module) {
                        Ok(Some(module))
                    } else {
                        self.unknown(format!("the module {dotted}"), SideEffect::Rows)?;
                        Ok(Some(Value::Unknown(true)))
                    }
                }
                _ if matches!(last, "import_module" | "reload" | "__import__") => {
                    self.unknown(
                        format!("{name}, which chooses code while it runs"),
                        SideEffect::Rows,
                    )?;
                    Ok(Some(Value::Unknown(true)))
                }
                _ => Ok(None),
            },
            "collections" => Ok(Some(self.call_collections(last, &arguments)?)),
            "copy" => Ok(arguments
                .positional
                .into_iter()
                .next()
                .map(|value| match value {
                    Value::Dict(_) | Value::List(_) | Value::Instance(_) => UNKNOWN,
                    other => other,
                })),
            "functools" if matches!(last, "partial" | "partialmethod") => {
                Ok(partial(arguments).map(Value::thing))
            }
            "textwrap" if last == "dedent" => Ok(arguments.positional.into_iter().next()),
            "itertools" if last == "chain" => {
                let mut all = Vec::new();
                let mut open = false;
                for values in &arguments.positional {
                    match self.elements(values)? {
                        Some((items, more)) => {
                            all.extend(items);
                            open |= more;
                        }
                        None => open = true,
                    }
                }
                Ok(Some(Value::List(self.sequence((all, open)))))
            }
            "contextlib" if last == "suppress" => Ok(Some(Value::thing(SqlaObject::Suppress(
                Value::Tuple(arguments.positional.into()),
            )))),
            _ if IDENTITIES.contains(&name) => Ok(Some(match arguments.positional.first() {
                Some(code @ (Value::Function(_) | Value::Class(_))) if last != "wraps" => {
                    code.clone()
                }
                _ => Value::thing(SqlaObject::Identity),
            })),
            "dataclasses" if last == "field" => {
                let made = match arguments.named("default_factory") {
                    Some(factory) => {
                        let factory = factory.clone();
                        self.call(&factory, Arguments::default())?
                    }
                    None => arguments.named("default").cloned().unwrap_or(UNKNOWN),
                };
                Ok(Some(made))
            }
            // The engine has no terminal to ask at.
            "click" if matches!(last, "confirm" | "prompt") => Err(self.exception("Abort", None)),
            "sys" if last == "exit" => Err(self.exception("SystemExit", None)),
            _ => self.call_installed(name, arguments),
        }
    }

    pub(super) fn call_alembic(&self, name: &str) -> Option<Value> {
        Some(match name {
            "context.get_context" => Value::thing(SqlaObject::Context),
            "context.get_bind" => Value::thing(SqlaObject::Bind),
            "context.is_offline_mode" => Value::Bool(false),
            "operations.Operations" => Value::Foreign("alembic.op".into()),
            "operations.Operations.context" => {
                Value::thing(SqlaObject::Block(Value::Foreign("alembic.op".into())))
            }
            name if name.starts_with("context.get_x_argument") => UNKNOWN,
            _ => return None,
        })
    }

    pub(super) fn call_collections(&mut self, name: &str, arguments: &Arguments) -> Evaluated {
        Ok(match name {
            "defaultdict" => Value::Dict(Rc::new(Dictionary {
                entries: std::cell::RefCell::default(),
                open: std::cell::Cell::new(false),
                born: self.doubt,
                default: arguments.positional.first().cloned(),
            })),
            "OrderedDict" | "dict" => {
                let dictionary = Dictionary::of(Vec::new(), self.doubt);
                if let Some(values) = arguments.positional.first() {
                    match values {
                        Value::Dict(_) => self.merge_into(&dictionary, values),
                        _ => match self.elements(values)? {
                            Some((items, open)) => {
                                for item in items {
                                    match self.elements(&item.value)?.map(|(pair, _)| pair) {
                                        Some(pair) if pair.len() == 2 && item.certain => {
                                            self.set_entry(
                                                &dictionary,
                                                pair[0].value.clone(),
                                                pair[1].value.clone(),
                                            );
                                        }
                                        _ => dictionary.open.set(true),
                                    }
                                }
                                if open {
                                    dictionary.open.set(true);
                                }
                            }
                            None => dictionary.open.set(true),
                        },
                    }
                }
                for (name, value) in &arguments.named {
                    self.set_entry(&dictionary, Value::Text(Rc::clone(name)), value.clone());
                }
                if arguments.open {
                    dictionary.open.set(true);
                }
                Value::Dict(dictionary)
            }
            _ => UNKNOWN,
        })
    }
}

/// `functools.partial`.
fn partial(mut arguments: Arguments) -> Option<SqlaObject> {
    let function = arguments.positional.first()?.clone();
    arguments.positional.remove(0);
    Some(SqlaObject::Partial(function, arguments))
}
