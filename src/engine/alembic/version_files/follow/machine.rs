//! The state of a run: where it stands, how certain it is, and what it tells the host.

use std::cell::RefCell;
use std::rc::Rc;

use ruff_python_ast::Expr;
use ruff_python_ast::name::Name;
use ruff_text_size::TextSize;

use super::modules::{Module, Namespace, Project};
use super::statements::Outcome;
use super::value::{Class, Code, Scope, UNKNOWN, Value};
use crate::domain::catalogue::Catalogue;
use crate::domain::foresight::{Dialect, Direction, Event, EventKind, Followed, Host, Raised};
use crate::domain::operation::{Operation, Place};

/// How many expressions and statements are evaluated for one function.
const STEPS: u32 = 200_000;

/// How many calls may stand in each other.
const CALLS: u32 = 60;

/// How deep expressions and statements may stand in each other, calls included.
const DEPTH: u32 = 420;

/// Something raised.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(super) struct Exception {
    /// The name of its class.
    pub(super) name: Rc<str>,
    /// Its class, if the project defines it.
    pub(super) class: Option<Rc<Class>>,
    /// Its words.
    pub(super) message: Option<String>,
    /// Raised by the database.
    pub(super) database: bool,
    /// Not to be caught: no steps are left.
    pub(super) exhausted: bool,
    /// Whether the host knows of it.
    pub(super) told: bool,
    /// Where.
    pub(super) place: Place,
    /// What led there.
    pub(super) called_from: Option<Place>,
    /// Whether it is raised whenever the migration runs.
    pub(super) certain: bool,
}

/// What evaluates to a value or raises.
pub(super) type Evaluated<T = Value> = Result<T, Box<Exception>>;

/// A place that was not looked up yet.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// The module.
    pub(super) module: Rc<Module>,
    /// The offset in its text.
    pub(super) offset: TextSize,
}

/// The names of a scope, put aside.
pub(super) type Names = Vec<(Name, Value)>;

/// A run.
pub(super) struct Machine<'a> {
    /// The modules.
    pub(super) project: &'a Project,
    /// Who is told.
    pub(super) host: &'a mut dyn Host,
    /// The names at hand.
    pub(super) scope: Rc<Scope>,
    /// How many uncertain conditions stand around.
    pub(super) doubt: u32,
    /// What may have been raised already within the present statement.
    pub(super) maybe: Option<Box<Exception>>,
    /// Inside how many autocommit blocks.
    pub(super) autocommit: u32,
    /// Inside how many `try` statements.
    pub(super) tries: u32,
    /// How many calls are running.
    pub(super) calls: u32,
    /// How often something was met that may raise what cannot be foreseen.
    pub(super) risks: u32,
    /// The exception that an `except` is handling.
    pub(super) handling: Option<Box<Exception>>,
    /// The expression that is evaluated.
    pub(super) here: Spot,
    /// The statement of the migration's own function that led here.
    entry: TextSize,
    pub(super) version: Rc<Namespace>,
    steps: u32,
    depth: u32,
    evaluating: u32,
    exhausted: bool,
    /// Where something was met that cannot be followed and may not be reached.
    unknowns: Vec<(std::sync::Arc<str>, TextSize)>,
    scopes: Vec<Rc<Scope>>,
    /// The functions that are running.
    pub(super) running: Vec<Rc<super::value::Function>>,
}

impl<'a> Machine<'a> {
    /// Ready to run the migration of a namespace.
    pub(super) fn new(
        project: &'a Project,
        host: &'a mut dyn Host,
        version: &Rc<Namespace>,
    ) -> Self {
        let module = Rc::clone(&version.module);
        Self {
            project,
            host,
            scope: module_scope(version),
            doubt: 0,
            maybe: None,
            autocommit: 0,
            tries: 0,
            calls: 0,
            risks: 0,
            handling: None,
            here: Spot {
                module,
                offset: TextSize::new(0),
            },
            entry: TextSize::new(0),
            version: Rc::clone(version),
            steps: 0,
            depth: 0,
            evaluating: 0,
            exhausted: false,
            unknowns: Vec::new(),
            scopes: Vec::new(),
            running: Vec::new(),
        }
    }

    /// Follows one function.
    pub(super) fn run(mut self, direction: Direction) -> Followed {
        let name = match direction {
            Direction::Upgrade => "upgrade",
            Direction::Downgrade => "downgrade",
        };
        let version = Rc::clone(&self.version);
        let followed = match self.global(&version, name) {
            Err(raised) => {
                self.leave(&raised);
                Followed::Whole
            }
            Ok(None) => Followed::Missing,
            Ok(Some(Value::Function(function))) if is_empty(&function.code) => Followed::Empty,
            Ok(Some(function)) => {
                if function.is_unknown() {
                    let what = format!("how {name} is made");
                    let _ = self.unknown(what, true);
                } else {
                    match self.call(&function, super::calls::Arguments::default()) {
                        Err(raised) => self.leave(&raised),
                        Ok(_) => {
                            if let Some(raised) = self.maybe.take() {
                                self.leave(&raised);
                            }
                        }
                    }
                }
                Followed::Whole
            }
        };
        for scope in &self.scopes {
            scope.names.borrow_mut().clear();
        }
        followed
    }

    /// An exception leaves the migration.
    fn leave(&mut self, raised: &Exception) {
        if raised.database {
            let message = raised.message.clone().unwrap_or_default();
            self.host.escaped(&Raised { message }, raised.certain);
        } else {
            self.tell_raise(raised);
        }
    }

    /// Tells of a raise, once.
    pub(super) fn tell_raise(&mut self, raised: &Exception) {
        if raised.database || raised.told || raised.exhausted {
            return;
        }
        let _ = self.host.happens(Event {
            place: raised.place.clone(),
            called_from: raised.called_from.clone(),
            certain: raised.certain,
            autocommit: self.autocommit > 0,
            kind: EventKind::Raises {
                exception: raised.name.to_string(),
                message: raised.message.clone(),
            },
        });
    }

    /// Whether a module is being evaluated, which was done long before the migration runs.
    pub(super) fn is_importing(&self) -> bool {
        self.evaluating > 0
    }

    /// Whether what happens now happens whenever the migration runs.
    pub(super) fn is_certain(&self) -> bool {
        self.doubt == 0 && self.maybe.is_none()
    }

    /// The place of the present expression.
    pub(super) fn place(&self) -> Place {
        self.here.module.place(self.here.offset)
    }

    /// The line of the migration's own function that led here, where it is another one.
    pub(super) fn called_from(&self) -> Option<Place> {
        let own = &self.version.module;
        let place = own.place(self.entry);
        let elsewhere = !Rc::ptr_eq(own, &self.here.module);
        (elsewhere || (self.calls > 1 && place.line != self.place().line)).then_some(place)
    }

    /// Notes where the evaluation stands.
    pub(super) fn at(&mut self, offset: TextSize) {
        self.here.offset = offset;
        if self.calls <= 1 && Rc::ptr_eq(&self.here.module, &self.version.module) {
            self.entry = offset;
        }
    }

    /// Something happens.
    pub(super) fn happens(&mut self, kind: EventKind) -> Evaluated<()> {
        let place = self.place();
        self.happens_at(place, self.is_certain(), kind)
    }

    /// Something happens at a place.
    pub(super) fn happens_at(
        &mut self,
        place: Place,
        certain: bool,
        kind: EventKind,
    ) -> Evaluated<()> {
        let called_from = self.called_from();
        let event = Event {
            place,
            called_from,
            certain,
            autocommit: self.autocommit > 0,
            kind,
        };
        match self.host.happens(event) {
            Ok(()) => Ok(()),
            Err(raised) => {
                let mut exception = self.exception("DBAPIError", Some(raised.message));
                exception.database = true;
                exception.told = true;
                Err(exception)
            }
        }
    }

    /// A directive or statement.
    pub(super) fn operation(&mut self, operation: Operation) -> Evaluated<()> {
        if self.host.catalogue().is_none() {
            // Nobody can say whether it fails.
            self.risks += 1;
        }
        self.happens(EventKind::Operation(Box::new(operation)))
    }

    /// Code that cannot be followed.
    pub(super) fn unknown(&mut self, what: impl Into<String>, may_change: bool) -> Evaluated<()> {
        let what = what.into();
        if !self.is_certain() {
            // Once is enough for what may not even be reached.
            let spot = (self.here.module.file.clone(), self.here.offset);
            if self.unknowns.contains(&spot) {
                return Ok(());
            }
            self.unknowns.push(spot);
        }
        self.happens(EventKind::Unknown { what, may_change })
    }

    /// An exception raised here.
    pub(super) fn exception(&self, name: &str, message: Option<String>) -> Box<Exception> {
        Box::new(Exception {
            name: name.into(),
            class: None,
            message,
            database: false,
            exhausted: false,
            told: false,
            place: self.place(),
            called_from: self.called_from(),
            certain: self.is_certain(),
        })
    }

    /// Counts a step. The error is that there are none left, which is told once.
    pub(super) fn step(&mut self) -> Evaluated<()> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(self.exhaust("what goes on for so many steps"));
        }
        Ok(())
    }

    fn exhaust(&mut self, what: &str) -> Box<Exception> {
        if !self.exhausted {
            self.exhausted = true;
            let _ = self.unknown(what, true);
        }
        let mut exception = self.exception("RecursionError", None);
        exception.exhausted = true;
        exception
    }

    /// Goes down into something nested.
    pub(super) fn nested<T>(
        &mut self,
        cost: u32,
        inside: impl FnOnce(&mut Self) -> Evaluated<T>,
    ) -> Evaluated<T> {
        self.step()?;
        if self.depth + cost > DEPTH {
            self.unknown("code that is nested so deeply", true)?;
            let mut exception = self.exception("RecursionError", None);
            exception.exhausted = true;
            self.exhausted = true;
            return Err(exception);
        }
        self.depth += cost;
        let result = inside(self);
        self.depth -= cost;
        result
    }

    /// Enters a function. `None` where too many are running.
    pub(super) fn within<T>(
        &mut self,
        scope: Rc<Scope>,
        module: &Rc<Module>,
        inside: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        if self.calls >= CALLS {
            return None;
        }
        if self.evaluating == 0 {
            self.scopes.push(Rc::clone(&scope));
        }
        let scope = std::mem::replace(&mut self.scope, scope);
        let here = std::mem::replace(
            &mut self.here,
            Spot {
                module: Rc::clone(module),
                offset: TextSize::new(0),
            },
        );
        self.calls += 1;
        let result = inside(self);
        self.calls -= 1;
        self.here = here;
        self.scope = scope;
        Some(result)
    }

    /// The schema, where it is known for certain.
    pub(super) fn catalogue(&self) -> Option<&Catalogue> {
        self.host
            .catalogue()
            .filter(|catalogue| !catalogue.doubtful)
    }

    /// The server.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        self.host.dialect()
    }

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
        let statements = module.module.statements_of(name).len();
        for number in 0..statements {
            let statement = module.module.statements_of(name)[number];
            self.run_of_module(module, statement)?;
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
    fn run_of_module(&mut self, module: &Rc<Namespace>, statement: usize) -> Evaluated<()> {
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
    fn star(
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
                    let known = super::types::is_type(name) || super::models::is_constructor(name);
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

    fn names(&self) -> &RefCell<Names> {
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
                None => Value::Unknown(value.is_live()),
            };
        }
        for (name, value) in other {
            if !names.iter().any(|(own, _)| own == name) {
                names.push((name.clone(), Value::Unknown(value.is_live())));
            }
        }
    }

    /// Forgets the values of names.
    pub(super) fn forget(&self, forgotten: &[Name]) {
        let mut names = self.names().borrow_mut();
        for (name, value) in names.iter_mut() {
            if forgotten.contains(name) {
                *value = Value::Unknown(value.is_live());
            }
        }
    }

    /// What stands in the text of an expression, for naming it.
    pub(super) fn written(&self, expression: &Expr) -> String {
        match expression {
            Expr::Name(name) => name.id.to_string(),
            Expr::Attribute(attribute) => {
                let mut parts = vec![attribute.attr.id.as_str()];
                let mut value = &*attribute.value;
                while let Expr::Attribute(inner) = value {
                    parts.push(inner.attr.id.as_str());
                    value = &inner.value;
                    if parts.len() > 8 {
                        break;
                    }
                }
                match value {
                    Expr::Name(name) => parts.push(name.id.as_str()),
                    _ => parts.push("..."),
                }
                parts.reverse();
                parts.join(".")
            }
            _ => "an expression".to_owned(),
        }
    }

    /// Not known, but alive if one of these is.
    pub(super) fn unknown_of(values: &[&Value]) -> Value {
        if values.iter().any(|value| value.is_live()) {
            Value::Unknown(true)
        } else {
            UNKNOWN
        }
    }
}

fn module_scope(namespace: &Rc<Namespace>) -> Rc<Scope> {
    let mut scope = Scope::new(Rc::clone(namespace), None, 0);
    scope.is_module = true;
    Rc::new(scope)
}

/// Nothing but `pass`, a docstring or `return`.
fn is_empty(code: &Code) -> bool {
    use ruff_python_ast::Stmt;
    match code {
        Code::Lambda(lambda) => lambda.body.is_none_literal_expr(),
        Code::Definition(function) => function.body.iter().all(|statement| match statement {
            Stmt::Pass(_) => true,
            Stmt::Return(back) => back
                .value
                .as_ref()
                .is_none_or(|value| value.is_none_literal_expr()),
            Stmt::Expr(expression) => expression.value.is_literal_expr(),
            _ => false,
        }),
    }
}
