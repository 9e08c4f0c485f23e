//! `MetaData`: which tables it holds, and making and dropping all of them.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::modules::Module;
use super::sqlalchemy_objects::{SqlaObject, TableValue};
use super::value::{Class, Value};
use crate::SideEffect;
use rollback_core::operation::{Constraint, Family, TableName};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// A `MetaData`, shared with the base class that has it.
#[derive(Debug)]
pub(super) struct Holder {
    /// The module that made it: others may add tables of which nothing is known here.
    module: Rc<Module>,
    tables: RefCell<Vec<Held>>,
    /// Whether it may hold others.
    open: Cell<bool>,
    /// How deep in uncertain code it was made.
    born: u32,
    /// The schema of the tables that name none.
    pub(super) schema: Option<String>,
}

#[derive(Debug, Clone)]
enum Held {
    Table(Rc<TableValue>),
    /// A model, which holds its base and with it the holder.
    Model(Weak<Class>),
}

/// The holder of a class's tables, found through its bases.
pub(super) fn holder_of(class: &Class) -> Option<Rc<Holder>> {
    holder_within(class, 0)
}

fn holder_within(class: &Class, depth: u32) -> Option<Rc<Holder>> {
    if let Some(holder) = &class.holder {
        return Some(Rc::clone(holder));
    }
    class.bases.iter().find_map(|base| match base {
        Value::Class(base) if depth < 20 => holder_within(base, depth + 1),
        Value::Thing(thing) => match &**thing {
            SqlaObject::Base(holder) => holder.clone(),
            _ => None,
        },
        _ => None,
    })
}

/// The holder that a value is or belongs to.
pub(super) fn holder_in(value: Option<&Value>) -> Option<Rc<Holder>> {
    match value?.as_thing()? {
        SqlaObject::Metadata(holder) | SqlaObject::Base(holder) => holder.clone(),
        _ => None,
    }
}

impl Interpreter<'_> {
    /// A new `MetaData`, with the schema that it is given.
    pub(super) fn holder(&self, schema: Option<&Value>) -> Rc<Holder> {
        let is_known = matches!(schema, None | Some(Value::None | Value::Text(_)));
        Rc::new(Holder {
            module: Rc::clone(&self.here.module),
            tables: RefCell::default(),
            open: Cell::new(!is_known),
            born: self.doubt,
            schema: schema.and_then(Value::as_text).map(str::to_owned),
        })
    }

    fn hold(&self, holder: &Holder, held: Held) {
        if self.doubt > holder.born || !Rc::ptr_eq(&holder.module, &self.here.module) {
            holder.open.set(true);
        }
        holder.tables.borrow_mut().push(held);
    }

    /// A table is made with a `MetaData`.
    pub(super) fn hold_table(&self, metadata: Option<&Value>, table: &Rc<TableValue>) {
        if let Some(holder) = holder_in(metadata) {
            self.hold(&holder, Held::Table(Rc::clone(table)));
        }
    }

    /// A class is made: a model belongs to the `MetaData` of its base.
    pub(super) fn hold_model(&self, class: &Rc<Class>) {
        if let Some(holder) = holder_of(class) {
            self.hold(&holder, Held::Model(Rc::downgrade(class)));
        }
    }

    /// What a method of a `MetaData` may add to it.
    pub(super) fn fill(&self, holder: Option<&Rc<Holder>>) {
        if let Some(holder) = holder {
            holder.open.set(true);
        }
    }

    /// `create_all` and `drop_all`.
    pub(super) fn all_tables(
        &mut self,
        holder: Option<&Rc<Holder>>,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let given = arguments.get(1, &["tables"]).cloned();
        let tables = match given {
            None | Some(Value::None) => self.held(holder)?,
            Some(tables) => self.listed(&tables)?,
        };
        // Through any other connection these may be the tables of another database.
        let is_ours = matches!(arguments.get(0, &["bind"]), Some(Value::Thing(_)));
        let Some(tables) = tables.filter(|_| is_ours && !arguments.open) else {
            self.unknown(format!("the tables of {name}"), SideEffect::Schema)?;
            return Ok(Some(Value::None));
        };
        // Asked for unless that is turned off.
        let checks = arguments
            .get(2, &["checkfirst"])
            .is_none_or(|value| value.truth() != Some(false));
        let mut tables = in_order(tables);
        if name == "drop_all" {
            tables.reverse();
        }
        for table in &tables {
            let method = if name == "drop_all" { "drop" } else { "create" };
            self.table_method(table, method, &checked(checks))?;
        }
        if name == "drop_all" {
            for table in &tables {
                self.drop_types(table, &checked(checks))?;
            }
        }
        Ok(Some(Value::None))
    }

    /// Where enumerations are types of their own they go with all tables; making a table makes them.
    fn drop_types(&mut self, table: &TableValue, checked: &Arguments) -> Evaluated<()> {
        let columns = table.columns.borrow().clone();
        for column in columns {
            if let Some(kind) = column.definition.kind
                && kind.family == Family::Enum
            {
                let this = Value::thing(SqlaObject::Type(kind.clone()));
                self.type_method(&kind, &this, "drop", checked)?;
            }
        }
        Ok(())
    }

    /// The tables of an argument.
    fn listed(&mut self, tables: &Value) -> Evaluated<Option<Vec<Rc<TableValue>>>> {
        let Some((items, false)) = self.elements(tables)? else {
            return Ok(None);
        };
        let table = |value: &Value| match value.as_thing() {
            Some(SqlaObject::Table(table)) if table.name.is_some() => Some(Rc::clone(table)),
            _ => None,
        };
        if items.iter().any(|item| !item.certain) {
            return Ok(None);
        }
        Ok(items.iter().map(|item| table(&item.value)).collect())
    }

    /// Every table of a `MetaData`; `None` where it may have others.
    fn held(&mut self, holder: Option<&Rc<Holder>>) -> Evaluated<Option<Vec<Rc<TableValue>>>> {
        let Some(holder) = holder else {
            return Ok(None);
        };
        if !Rc::ptr_eq(&holder.module, &self.version.module) {
            return Ok(None);
        }
        // Statements run when a name of theirs is asked for, but every model counts.
        let version = Rc::clone(&self.version);
        for statement in 0..version.module.body.len() {
            self.run_of_module(&version, statement)?;
        }
        if holder.open.get() {
            return Ok(None);
        }
        let all = holder.tables.borrow().clone();
        let mut tables: Vec<Rc<TableValue>> = Vec::new();
        for held in all {
            let table = match held {
                Held::Table(table) => table,
                Held::Model(class) => {
                    let Some(class) = class.upgrade() else {
                        continue;
                    };
                    match (self.table_of_model(&class), class.member("__tablename__")) {
                        (Some(table), _) => table,
                        // Abstract, as nothing in sight names its table.
                        (None, Ok(None)) => continue,
                        (None, Err(())) if has_known_bases(&class, 0) => continue,
                        (None, _) => return Ok(None),
                    }
                }
            };
            if table.name.is_none() {
                return Ok(None);
            }
            if !tables.iter().any(|other| other.name == table.name) {
                tables.push(table);
            }
        }
        Ok(Some(tables))
    }
}

fn checked(checks: bool) -> Arguments {
    Arguments {
        named: vec![("checkfirst".into(), Value::Bool(checks))],
        ..Arguments::default()
    }
}

/// Whether all that a class derives from is in sight.
fn has_known_bases(class: &Class, depth: u32) -> bool {
    class.bases.iter().all(|base| match base {
        Value::Class(base) => depth < 20 && has_known_bases(base, depth + 1),
        Value::Thing(thing) => matches!(&**thing, SqlaObject::Base(_)),
        Value::Foreign(name) => &**name == "builtins.object" || is_declarative(name),
        _ => false,
    })
}

/// Whether a class of SQLAlchemy's makes what derives from it a base with a `MetaData`.
pub(super) fn is_declarative(name: &str) -> bool {
    matches!(
        name.rsplit('.').next(),
        Some("DeclarativeBase" | "DeclarativeBaseNoMeta")
    )
}

/// Tables after those that they refer to.
fn in_order(mut tables: Vec<Rc<TableValue>>) -> Vec<Rc<TableValue>> {
    let mut sorted: Vec<Rc<TableValue>> = Vec::new();
    while !tables.is_empty() {
        let is_free = |table: &Rc<TableValue>| {
            !tables
                .iter()
                .any(|other| !Rc::ptr_eq(table, other) && refers(table, other))
        };
        // In a circle any is as good as the others.
        let next = tables.iter().position(is_free).unwrap_or(0);
        sorted.push(tables.remove(next));
    }
    sorted
}

fn refers(table: &TableValue, to: &TableValue) -> bool {
    let is_it = |name: &TableName| to.name.as_ref() == Some(name);
    table
        .columns
        .borrow()
        .iter()
        .flat_map(|column| &column.definition.foreign_keys)
        .any(|reference| is_it(&reference.table))
        || table.constraints.iter().any(|constraint| {
            matches!(constraint, Constraint::ForeignKey { references, .. } if is_it(&references.table))
        })
}
