//! What the code of a migration computes with, as far as it can be known without running it.

use crate::SideEffect;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use ruff_python_ast::name::Name;
use ruff_python_ast::{ExprLambda, StmtFunctionDef};

pub(super) use super::class::{Class, Instance};
use super::harmless;
use super::modules::{Module, Namespace};
use super::sqlalchemy_objects::SqlaObject;

/// A value. What cannot be known is [`Value::Unknown`] and stays so through whatever is done with it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer; larger ones are unknown.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text that is known.
    Text(Rc<str>),
    /// Text with holes: `None` for each part that is not known.
    Holed(Rc<[Option<String>]>),
    /// A list.
    List(Rc<Sequence>),
    /// A set.
    Set(Rc<Sequence>),
    /// A tuple.
    Tuple(Rc<[Self]>),
    /// A dictionary.
    Dict(Rc<Dictionary>),
    /// A function of the project.
    Function(Rc<Function>),
    /// A function of the project with the object or class that it was taken from.
    Bound(Rc<(Self, Rc<Function>)>),
    /// A method of anything else, by name.
    Method(Rc<(Self, Rc<str>)>),
    /// A class of the project.
    Class(Rc<Class>),
    /// An object of such a class.
    Instance(Rc<Instance>),
    /// A module of the project.
    Module(Rc<Namespace>),
    /// Something of a module outside the project, by its full name.
    Foreign(Rc<str>),
    /// Something of SQLAlchemy's or Alembic's.
    Thing(Rc<SqlaObject>),
    /// Not known; `true` where it may hold a connection, so that calling it may change the database.
    Unknown(bool),
}

/// Not known, and no way to the database.
pub(super) const UNKNOWN: Value = Value::Unknown(false);

/// An element with whether it is there for certain.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The element.
    pub(super) value: Value,
    /// Whether it is there on every path.
    pub(super) certain: bool,
}

/// The elements of a list or set.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Those that are known.
    pub(super) items: RefCell<Vec<Item>>,
    /// Whether there may be others.
    pub(super) open: Cell<bool>,
    /// How deep in uncertain code it was made: what is added deeper is uncertain.
    pub(super) born: u32,
}

impl Sequence {
    /// Of elements that are certain.
    pub(super) fn of(values: Vec<Value>, born: u32) -> Rc<Self> {
        Self::of_items(
            values
                .into_iter()
                .map(|value| Item {
                    value,
                    certain: true,
                })
                .collect(),
            false,
            born,
        )
    }

    /// Of elements that may not be.
    pub(super) fn of_items(items: Vec<Item>, open: bool, born: u32) -> Rc<Self> {
        Rc::new(Self {
            items: RefCell::new(items),
            open: Cell::new(open),
            born,
        })
    }

    /// Whether every element is known to be there, and no other.
    pub(super) fn is_exact(&self) -> bool {
        !self.open.get() && self.items.borrow().iter().all(|item| item.certain)
    }
}

/// The entries of a dictionary.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// Those that are known, in order.
    pub(super) entries: RefCell<Vec<(Value, Item)>>,
    /// Whether there may be others.
    pub(super) open: Cell<bool>,
    /// How deep in uncertain code it was made.
    pub(super) born: u32,
    /// `defaultdict`: what makes a missing entry.
    pub(super) default: Option<Value>,
}

impl Dictionary {
    /// Of entries that are certain.
    pub(super) fn of(entries: Vec<(Value, Value)>, born: u32) -> Rc<Self> {
        Rc::new(Self {
            entries: RefCell::new(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let certain = true;
                        (key, Item { value, certain })
                    })
                    .collect(),
            ),
            open: Cell::new(false),
            born,
            default: None,
        })
    }
}

/// The code of a function.
#[derive(Debug)]
pub(super) enum Code {
    /// `def`.
    Definition(Rc<StmtFunctionDef>),
    /// `lambda`.
    Lambda(Rc<ExprLambda>),
}

/// How a function of a class is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    /// Called with the object.
    Plain,
    /// Called at once when it is read.
    Property,
    /// `classmethod`.
    Class,
    /// `staticmethod`.
    Static,
}

/// A function of the project.
#[derive(Debug)]
pub(super) struct Function {
    /// Its code.
    pub(super) code: Code,
    /// Where it stands.
    pub(super) module: Rc<Module>,
    /// What it sees around it.
    pub(super) enclosing: Rc<Scope>,
    /// Its defaults by name, evaluated where it was defined.
    pub(super) defaults: Vec<(Name, Value)>,
    /// How it is reached through a class.
    pub(super) binding: Binding,
    /// Whether it yields.
    pub(super) generator: bool,
    /// The class that it was defined in, for `super()`.
    pub(super) owner: RefCell<Weak<Class>>,
}

/// The names of a running function.
#[derive(Debug)]
pub(super) struct Scope {
    /// The names with their values.
    pub(super) names: RefCell<Vec<(Name, Value)>>,
    /// The function around, if there is one.
    pub(super) outer: Option<Rc<Scope>>,
    /// The module.
    pub(super) module: Rc<Namespace>,
    /// Names declared `global`.
    pub(super) globals: RefCell<Vec<Name>>,
    /// What is yielded, in a generator.
    pub(super) yielded: RefCell<Vec<Item>>,
    /// How deep in uncertain code it was entered.
    pub(super) born: u32,
    /// The class and the object for `super()`.
    pub(super) this: Option<(Rc<Class>, Value)>,
    /// Whether this is the body of a class, which its functions do not see.
    pub(super) is_class: bool,
    /// Whether this is a module's own, whose names the module keeps.
    pub(super) is_module: bool,
}

impl Scope {
    /// A scope without names.
    pub(super) fn new(module: Rc<Namespace>, outer: Option<Rc<Self>>, born: u32) -> Self {
        Self {
            names: RefCell::default(),
            outer,
            module,
            globals: RefCell::default(),
            yielded: RefCell::default(),
            born,
            this: None,
            is_class: false,
            is_module: false,
        }
    }

    /// A name's value in this scope alone.
    pub(super) fn own(&self, name: &str) -> Option<Value> {
        let names = self.names.borrow();
        names
            .iter()
            .find(|(own, _)| own.as_str() == name)
            .map(|(_, value)| value.clone())
    }

    /// Gives a name a value.
    pub(super) fn set(&self, name: &Name, value: Value) {
        let mut names = self.names.borrow_mut();
        match names.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = value,
            None => names.push((name.clone(), value)),
        }
    }
}

impl Value {
    /// Text.
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// Wraps a thing.
    pub(super) fn thing(thing: SqlaObject) -> Self {
        Self::Thing(Rc::new(thing))
    }

    /// The text, where it is known.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The thing, if it is one.
    pub(super) fn as_thing(&self) -> Option<&SqlaObject> {
        match self {
            Self::Thing(thing) => Some(thing),
            _ => None,
        }
    }

    /// Whether it is `None`.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether it is not known.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// The truth, where it is known.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::None => Some(false),
            Self::Bool(truth) => Some(*truth),
            Self::Int(number) => Some(*number != 0),
            Self::Float(number) => Some(*number != 0.0),
            Self::Text(text) => Some(!text.is_empty()),
            Self::Holed(pieces) => pieces
                .iter()
                .any(|piece| piece.as_ref().is_some_and(|text| !text.is_empty()))
                .then_some(true),
            Self::List(sequence) | Self::Set(sequence) => {
                let items = sequence.items.borrow();
                if items.iter().any(|item| item.certain) {
                    Some(true)
                } else if items.is_empty() && !sequence.open.get() {
                    Some(false)
                } else {
                    None
                }
            }
            Self::Tuple(values) => Some(!values.is_empty()),
            Self::Dict(dictionary) => {
                let entries = dictionary.entries.borrow();
                if entries.iter().any(|(_, item)| item.certain) {
                    Some(true)
                } else if entries.is_empty() && !dictionary.open.get() {
                    Some(false)
                } else {
                    None
                }
            }
            // An attribute that is not known here is not told from a method.
            Self::Method(method) => (!matches!(method.0, Self::Thing(_))).then_some(true),
            Self::Function(_) | Self::Bound(_) | Self::Class(_) => Some(true),
            Self::Module(_) => Some(true),
            Self::Foreign(name) => name.starts_with("builtins.").then_some(true),
            Self::Instance(instance) => match instance.class.member("__bool__") {
                Ok(None) => match instance.class.member("__len__") {
                    Ok(None) => Some(true),
                    _ => None,
                },
                _ => None,
            },
            Self::Thing(thing) => thing.truth(),
            Self::Unknown(_) => None,
        }
    }

    /// Whether two values are the same, where that is known.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        self.equals_within(other, 0)
    }

    fn equals_within(&self, other: &Self, depth: u32) -> Option<bool> {
        if depth > 20 {
            return None;
        }
        match (self, other) {
            (Self::Unknown(_) | Self::Holed(_), _) | (_, Self::Unknown(_) | Self::Holed(_)) => None,
            (Self::Thing(one), Self::Thing(two)) if Rc::ptr_eq(one, two) => Some(true),
            (Self::Thing(one), Self::Thing(two)) => one.equals(two),
            (Self::Thing(_), Self::None) | (Self::None, Self::Thing(_)) => {
                let thing = self.as_thing().or(other.as_thing())?;
                (thing.truth() == Some(true)).then_some(false)
            }
            (Self::Thing(_), _) | (_, Self::Thing(_)) => None,
            (Self::None, Self::None) => Some(true),
            (Self::Bool(one), Self::Bool(two)) => Some(one == two),
            (Self::Bool(truth), Self::Int(number)) | (Self::Int(number), Self::Bool(truth)) => {
                Some(i64::from(*truth) == *number)
            }
            (Self::Int(one), Self::Int(two)) => Some(one == two),
            (Self::Float(one), Self::Float(two)) => Some(one.to_bits() == two.to_bits()),
            (Self::Float(_), Self::Int(_)) | (Self::Int(_), Self::Float(_)) => None,
            (Self::Text(one), Self::Text(two)) => Some(one == two),
            (Self::Foreign(one), Self::Foreign(two)) if one == two => Some(true),
            // A module is not `None`; what a module holds that is not read may be anything.
            (Self::Foreign(name), Self::None) | (Self::None, Self::Foreign(name)) => {
                (!name.contains('.') || name.starts_with("builtins.")).then_some(false)
            }
            (Self::Foreign(_), _) | (_, Self::Foreign(_)) => None,
            (Self::Tuple(one), Self::Tuple(two)) => {
                if one.len() != two.len() {
                    return Some(false);
                }
                all(one
                    .iter()
                    .zip(two.iter())
                    .map(|(a, b)| a.equals_within(b, depth + 1)))
            }
            (Self::List(one), Self::List(two)) => {
                if Rc::ptr_eq(one, two) {
                    return Some(true);
                }
                if !one.is_exact() || !two.is_exact() {
                    return None;
                }
                let (one, two) = (one.items.borrow(), two.items.borrow());
                if one.len() != two.len() {
                    return Some(false);
                }
                all(one
                    .iter()
                    .zip(two.iter())
                    .map(|(a, b)| a.value.equals_within(&b.value, depth + 1)))
            }
            (Self::Set(one), Self::Set(two)) => {
                if !one.is_exact() || !two.is_exact() {
                    return None;
                }
                let (one, two) = (one.items.borrow(), two.items.borrow());
                let within = |some: &[Item], others: &[Item]| {
                    all(some.iter().map(|item| {
                        any(others
                            .iter()
                            .map(|other| item.value.equals_within(&other.value, depth + 1)))
                    }))
                };
                all([within(&one, &two), within(&two, &one)].into_iter())
            }
            (Self::Dict(one), Self::Dict(two)) => Rc::ptr_eq(one, two).then_some(true),
            (Self::Function(one), Self::Function(two)) => Some(Rc::ptr_eq(one, two)),
            (Self::Class(one), Self::Class(two)) => Some(Rc::ptr_eq(one, two)),
            (Self::Module(one), Self::Module(two)) => Some(Rc::ptr_eq(one, two)),
            (Self::Instance(one), Self::Instance(two)) => {
                if Rc::ptr_eq(one, two) {
                    return Some(true);
                }
                if one.class.dataclass && Rc::ptr_eq(&one.class, &two.class) {
                    let (one, two) = (one.attributes.borrow(), two.attributes.borrow());
                    return all(one.iter().map(|(name, value)| {
                        two.iter()
                            .find(|(other, _)| other == name)
                            .map_or(Some(false), |(_, other)| {
                                value.equals_within(other, depth + 1)
                            })
                    }));
                }
                None
            }
            (Self::Instance(_), other) | (other, Self::Instance(_)) => {
                matches!(other, Self::None).then_some(false)
            }
            (Self::Method(method), other) | (other, Self::Method(method)) => {
                let is_method = !matches!(method.0, Self::Thing(_));
                (is_method && matches!(other, Self::None)).then_some(false)
            }
            (Self::Bound(_), other) | (other, Self::Bound(_)) => {
                matches!(other, Self::None).then_some(false)
            }
            _ => Some(false),
        }
    }

    /// One value for two paths that meet.
    pub(super) fn join(&self, other: &Self) -> Self {
        if self.is_same(other) {
            return self.clone();
        }
        Self::Unknown(self.may_act() || other.may_act())
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown(one), Self::Unknown(two)) => one == two,
            (Self::Holed(one), Self::Holed(two)) => one == two,
            (Self::List(one), Self::List(two)) | (Self::Set(one), Self::Set(two)) => {
                Rc::ptr_eq(one, two)
            }
            (Self::Dict(one), Self::Dict(two)) => Rc::ptr_eq(one, two),
            (Self::Instance(one), Self::Instance(two)) => Rc::ptr_eq(one, two),
            (Self::Bool(_), Self::Int(_)) | (Self::Int(_), Self::Bool(_)) => false,
            (Self::Method(one), Self::Method(two)) => Rc::ptr_eq(one, two),
            (Self::Bound(one), Self::Bound(two)) => Rc::ptr_eq(one, two),
            _ => self.equals(other) == Some(true),
        }
    }

    /// Whether it leads to the database.
    pub(super) fn is_live(&self) -> bool {
        self.leads(false, 0)
    }

    /// Whether a method of it may change the database: it leads there, or is code that may find a way.
    pub(super) fn may_act(&self) -> bool {
        self.leads(true, 0)
    }

    /// Not known, where this is one of the values that it may be.
    pub(super) fn blurred(&self) -> Self {
        Self::Unknown(self.may_act())
    }

    /// Whether whoever is handed it may run it.
    pub(super) fn is_code(&self) -> bool {
        match self {
            Self::Function(_) | Self::Bound(_) => true,
            Self::Method(method) => method.0.is_live(),
            Self::Foreign(name) => !harmless::is_harmless(name) && !harmless::is_maker(name),
            _ => false,
        }
    }

    /// What code that is handed it may change. What a call that could not be followed gave back is no
    /// more than that call was said to be.
    pub(super) fn side_effects(&self) -> Option<SideEffect> {
        match self {
            Self::Thing(thing) => thing.side_effects(),
            Self::Foreign(_) if self.is_live() => Some(SideEffect::Schema),
            Self::Method(method) => method.0.side_effects(),
            _ if self.is_live() => Some(SideEffect::Rows),
            _ => None,
        }
    }

    fn leads(&self, code: bool, depth: u32) -> bool {
        if depth > 3 {
            return false;
        }
        match self {
            Self::Unknown(live) => *live,
            Self::Thing(thing) => thing.is_live(),
            Self::Foreign(name) if matches!(&**name, "alembic.op" | "alembic.context") => true,
            Self::Method(method) => method.0.leads(code, depth + 1),
            Self::List(sequence) | Self::Set(sequence) => sequence
                .items
                .borrow()
                .iter()
                .any(|item| item.value.leads(code, depth + 1)),
            Self::Tuple(values) => values.iter().any(|value| value.leads(code, depth + 1)),
            Self::Dict(dictionary) => dictionary
                .entries
                .borrow()
                .iter()
                .any(|(_, item)| item.value.leads(code, depth + 1)),
            Self::Instance(_) if code => true,
            Self::Instance(instance) => instance
                .attributes
                .borrow()
                .iter()
                .any(|(_, value)| value.leads(code, depth + 1)),
            Self::Class(_) | Self::Module(_) => code,
            _ => code && self.is_code(),
        }
    }
}

/// The truth of all, where it is known.
pub(super) fn all(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = false,
        }
    }
    known.then_some(true)
}

/// The truth of any, where it is known.
pub(super) fn any(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(truths.map(|truth| truth.map(|truth| !truth))).map(|truth| !truth)
}
