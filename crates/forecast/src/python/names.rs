//! Names: where they are looked for, and how they are put aside and joined.

use super::interpreter::{Evaluated, Interpreter, Names, module_scope};
use super::modules::{Module, Namespace};
use super::statements::Outcome;
use super::value::Value;
use ruff_python_ast::name::Name;
use std::cell::RefCell;
use std::rc::Rc;

impl Interpreter<'_> {
    /// A name's value.
    pub(super) fn lookup(&mut self, name: &str) -> Evaluated<Option<Value>> {
        let mut scope = Some(&self.scope);
        while let Some(here) = scope {
            if let Some(value) = here.own(name) {
                return Ok(Some(value));
            }
            scope = here.outer.as_ref();
        }
        let module = Rc::clone(&self.scope.module);
        if let Some(value) = self.global(&module, name)? {
            return Ok(Some(value));
        }
        Ok(super::builtins::is_builtin(name)
            .then(|| Value::Foreign(format!("builtins.{name}").into())))
    }

    /// A name of a module, evaluated now if it was not before.
    pub(super) fn global(
        &mut self,
        module: &Rc<Namespace>,
        name: &str,
    ) -> Evaluated<Option<Value>> {
        let code = Rc::clone(&module.module);
        for statement in code.statements_of(name) {
            self.run_of_module(module, *statement)?;
        }
        if let Some(value) = module.known(name) {
            return Ok(Some(value));
        }
        for number in 0..module.module.stars().len() {
            let statement = module.module.stars()[number];
            if let Some(value) = self.star(module, statement, name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Runs one statement of a module, once, as if nothing else were going on.
    pub(super) fn run_of_module(
        &mut self,
        module: &Rc<Namespace>,
        statement: usize,
    ) -> Evaluated<()> {
        {
            let mut ran = module.ran.borrow_mut();
            match ran.get_mut(statement) {
                Some(ran) if !*ran => *ran = true,
                _ => return Ok(()),
            }
        }
        let doubt = std::mem::take(&mut self.doubt);
        let maybe = self.maybe.take();
        let tries = std::mem::take(&mut self.tries);
        self.evaluating += 1;
        let code = Rc::clone(&module.module);
        let outcome = self.nested(4, |machine| {
            Ok(machine.within(module_scope(module), &code, |machine| {
                machine.statement(&code.body[statement])
            }))
        });
        self.evaluating -= 1;
        self.doubt = doubt;
        self.maybe = maybe;
        self.tries = tries;
        match outcome {
            Err(raised) => Err(raised),
            // What a module raises while it is imported is guarded against more often than not
            // (`try: import x`), and then the guard has dealt with it.
            Ok(Some(Outcome {
                raised: Some(raised),
                ..
            })) if raised.exhausted => Err(raised),
            Ok(_) => Ok(()),
        }
    }

    /// A name through `from ... import *`.
    pub(super) fn star(
        &mut self,
        module: &Rc<Namespace>,
        statement: usize,
        name: &str,
    ) -> Evaluated<Option<Value>> {
        if name.starts_with('_') {
            return Ok(None);
        }
        let code = Rc::clone(&module.module);
        let Some(ruff_python_ast::Stmt::ImportFrom(import)) = code.body.get(statement) else {
            return Ok(None);
        };
        let dotted = import
            .module
            .as_ref()
            .map_or("", |module| module.id.as_str());
        self.nested(4, |machine| {
            match machine.module_named(dotted, import.level, &code) {
                Some(Value::Module(other)) if !Rc::ptr_eq(&other.module, &code) => {
                    machine.global(&other, name)
                }
                _ if dotted.starts_with("sqlalchemy") => {
                    let known =
                        super::types::is_type(name) || super::constructs::is_constructor(name);
                    Ok(known.then(|| Value::Foreign(format!("sqlalchemy.{name}").into())))
                }
                _ => Ok(None),
            }
        })
    }

    /// A module by name: of the project, or foreign. `None` where a module of the project is missing.
    pub(super) fn module_named(&self, dotted: &str, level: u32, from: &Module) -> Option<Value> {
        let path = if level > 0 {
            Some(self.project.find_near(&from.path, level, dotted)?)
        } else {
            self.project.find(dotted)
        };
        match path {
            Some(path) => match self.project.namespace(&path) {
                Ok(namespace) => Some(Value::Module(namespace)),
                Err(_) => None,
            },
            None => Some(Value::Foreign(dotted.into())),
        }
    }

    /// Gives a name a value.
    pub(super) fn assign(&mut self, name: &Name, value: Value) {
        let is_global = self.scope.globals.borrow().contains(name);
        if is_global {
            let names = Rc::clone(&self.scope.module.names);
            let mut names = names.borrow_mut();
            match names.iter_mut().find(|(own, _)| own == name) {
                Some((_, old)) => *old = value,
                None => names.push((name.clone(), value)),
            }
            return;
        }
        if self.scope.is_module {
            // Those of a module are shared by all that look into it.
            let names = Rc::clone(&self.scope.module.names);
            let mut names = names.borrow_mut();
            match names.iter_mut().find(|(own, _)| own == name) {
                Some((_, old)) => *old = value,
                None => names.push((name.clone(), value)),
            }
        } else {
            self.scope.set(name, value);
        }
    }

    pub(super) fn names(&self) -> &RefCell<Names> {
        if self.scope.is_module {
            &self.scope.module.names
        } else {
            &self.scope.names
        }
    }

    /// The names at hand, put aside.
    pub(super) fn save(&self) -> Names {
        self.names().borrow().clone()
    }

    /// Back to the names that were put aside.
    pub(super) fn restore(&self, mut names: Names) {
        let mut present = self.names().borrow_mut();
        if self.scope.is_module {
            // What a module was asked for meanwhile stays: its statements run once.
            for (name, value) in present.drain(..) {
                if !names.iter().any(|(own, _)| *own == name) {
                    names.push((name, value));
                }
            }
        }
        *present = names;
    }

    /// Joins the names of another way with those at hand.
    pub(super) fn join(&self, other: &Names) {
        let mut names = self.names().borrow_mut();
        for (name, value) in names.iter_mut() {
            *value = match other.iter().find(|(own, _)| own == name) {
                Some((_, other)) => value.join(other),
                None if self.scope.is_module => continue,
                None => value.blurred(),
            };
        }
        for (name, value) in other {
            if !names.iter().any(|(own, _)| own == name) {
                names.push((name.clone(), value.blurred()));
            }
        }
    }

    /// `nonlocal`: what the functions around hold under these names is not known from now on.
    pub(super) fn forget_outer(&self, forgotten: &[ruff_python_ast::Identifier]) {
        let mut scope = self.scope.outer.as_ref();
        while let Some(here) = scope {
            for (name, value) in here.names.borrow_mut().iter_mut() {
                if forgotten.iter().any(|own| own.id == *name) {
                    *value = Value::Unknown(true);
                }
            }
            scope = here.outer.as_ref();
        }
    }

    /// Forgets the values of names.
    pub(super) fn forget(&self, forgotten: &[Name]) {
        let mut names = self.names().borrow_mut();
        for (name, value) in names.iter_mut() {
            if forgotten.contains(name) {
                *value = value.blurred();
            }
        }
    }
}
