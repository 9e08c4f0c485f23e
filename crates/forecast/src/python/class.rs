//! Classes of the project and their objects.

use super::harmless;
use super::value::Value;
use ruff_python_ast::name::Name;
use std::cell::RefCell;
use std::rc::Rc;

/// Special methods that no operator calls, or that only compare and show.
const METHODS_THAT_ARE_NO_OPERATORS: [&str; 14] = [
    "__bool__",
    "__call__",
    "__enter__",
    "__eq__",
    "__exit__",
    "__getattr__",
    "__hash__",
    "__init__",
    "__init_subclass__",
    "__iter__",
    "__len__",
    "__post_init__",
    "__repr__",
    "__str__",
];

/// A class of the project.
#[derive(Debug)]
pub(super) struct Class {
    /// Its name.
    pub(super) name: String,
    /// What it derives from.
    pub(super) bases: Vec<Value>,
    /// What its body defines, in order.
    pub(super) members: RefCell<Vec<(Name, Value)>>,
    /// Names that its body only annotates or gives a value, in order: the fields of a dataclass.
    pub(super) fields: Vec<Name>,
    /// Whether it is a dataclass.
    pub(super) dataclass: bool,
    /// The shape of its rows, once that was asked for; dropped if a member is set later.
    pub(super) row: RefCell<Option<super::sqlalchemy_objects::Row>>,
    /// What holds the tables of the models that derive from it, where it is a base itself.
    pub(super) holder: Option<Rc<super::metadata::Holder>>,
}

impl Class {
    /// Whether every class that it derives from is in sight, or does nothing by itself.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain_within(0)
    }

    fn is_plain_within(&self, depth: u32) -> bool {
        self.bases.iter().all(|base| match base {
            Value::Class(class) => depth < 30 && class.is_plain_within(depth + 1),
            Value::Foreign(name) => harmless::is_harmless(name) || harmless::is_maker(name),
            Value::Thing(_) => true,
            _ => false,
        })
    }

    /// Whether a class in sight gives an operator a meaning of its own.
    pub(super) fn has_operators(&self) -> bool {
        let own = |name: &str| {
            name.len() > 4
                && name.starts_with("__")
                && name.ends_with("__")
                && !METHODS_THAT_ARE_NO_OPERATORS.contains(&name)
        };
        let defined = |(name, value): &(Name, Value)| {
            matches!(value, Value::Function(_)) && own(name.as_str())
        };
        self.members.borrow().iter().any(defined)
            || self.bases.iter().any(|base| match base {
                Value::Class(base) => base.has_operators(),
                _ => false,
            })
    }

    /// A member, its own or inherited. The error is that a base outside the project may have it.
    pub(super) fn member(&self, name: &str) -> Result<Option<Value>, ()> {
        self.member_within(name, 0)
    }

    fn member_within(&self, name: &str, depth: u32) -> Result<Option<Value>, ()> {
        if let Some((_, value)) = self
            .members
            .borrow()
            .iter()
            .rev()
            .find(|(own, _)| own.as_str() == name)
        {
            return Ok(Some(value.clone()));
        }
        let mut foreign = false;
        for base in &self.bases {
            match base {
                Value::Class(class) if depth < 30 => match class.member_within(name, depth + 1) {
                    Ok(Some(value)) => return Ok(Some(value)),
                    Ok(None) => {}
                    Err(()) => foreign = true,
                },
                Value::Foreign(base) if &**base == "builtins.object" => {}
                _ => foreign = true,
            }
        }
        if foreign { Err(()) } else { Ok(None) }
    }
}

/// An object of a class of the project.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its class.
    pub(super) class: Rc<Class>,
    /// Its attributes.
    pub(super) attributes: RefCell<Vec<(Name, Value)>>,
    /// How deep in uncertain code it was made.
    pub(super) born: u32,
    /// Whether a module made it while it was imported: the program around the migrations may have
    /// filled in since what is still `None` here.
    pub(super) shared: bool,
}
