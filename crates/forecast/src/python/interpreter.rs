//! The state of a run: where it stands, how certain it is, and what it tells the host.

use super::modules::{Module, Namespace, Project};
use super::value::{Class, Code, Scope, Value};
use crate::{Direction, Event, EventKind, Followed, Host, Raised, SideEffect};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, Place};
use rollback_schema::SchemaModel;
use ruff_python_ast::Expr;
use ruff_python_ast::name::Name;
use ruff_text_size::TextSize;
use std::rc::Rc;

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
pub(super) struct Interpreter<'a> {
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
    pub(super) evaluating: u32,
    exhausted: bool,
    /// Where something was met that cannot be followed and may not be reached.
    unknowns: Vec<(std::sync::Arc<str>, TextSize)>,
    scopes: Vec<Rc<Scope>>,
    /// The call of an installed package that is being followed.
    pub(super) package: Option<super::installed::PackageCall>,
    /// The blocks of generators that are running.
    pub(super) suspended: Vec<super::generators::Suspended>,
    /// The functions that are running.
    pub(super) running: Vec<Rc<super::value::Function>>,
}

impl<'a> Interpreter<'a> {
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
            package: None,
            suspended: Vec::new(),
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
                    let _ = self.unknown(what, SideEffect::Schema);
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
    pub(super) fn leave(&mut self, raised: &Exception) {
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
        if self.host.schema_model().is_none() {
            // Nobody can say whether it fails.
            self.risks += 1;
        }
        self.happens(EventKind::Operation(Box::new(operation)))
    }

    /// Code that cannot be followed. What a module does while it is imported is not the step's doing.
    pub(super) fn unknown(
        &mut self,
        what: impl Into<String>,
        may_change: SideEffect,
    ) -> Evaluated<()> {
        if self.is_importing() && self.package.is_none() {
            return Ok(());
        }
        self.unfollowed(what, may_change)
    }

    /// Code that cannot be followed, and counts for the step wherever it is.
    pub(super) fn unfollowed(
        &mut self,
        what: impl Into<String>,
        may_change: SideEffect,
    ) -> Evaluated<()> {
        let mut what = what.into();
        let mut spot = self.here.clone();
        if let Some(call) = &mut self.package {
            if std::mem::replace(&mut call.is_unknown, true) {
                return Ok(());
            }
            spot = call.spot.clone();
            what = format!("the call of {}", call.name);
        }
        if !self.is_certain() {
            // Once is enough for what may not even be reached.
            let spot = (spot.module.file.clone(), spot.offset);
            if self.unknowns.contains(&spot) {
                return Ok(());
            }
            self.unknowns.push(spot);
        }
        let place = spot.module.place(spot.offset);
        let kind = EventKind::Unknown { what, may_change };
        self.happens_at(place, self.is_certain(), kind)
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
            certain: self.is_certain() && self.package.is_none(),
        })
    }

    pub(super) fn steps_so_far(&self) -> u32 {
        self.steps
    }

    /// Counts a step. The error is that there are none left, which is told once.
    pub(super) fn step(&mut self) -> Evaluated<()> {
        self.steps += 1;
        let call = self.package.as_ref();
        if call.is_some_and(|call| self.steps > call.limit) {
            let mut exception = self.exception("RecursionError", None);
            exception.exhausted = true;
            return Err(exception);
        }
        if self.steps > STEPS {
            return Err(self.exhaust("what goes on for so many steps"));
        }
        Ok(())
    }

    pub(super) fn exhaust(&mut self, what: &str) -> Box<Exception> {
        if !self.exhausted {
            self.exhausted = true;
            let _ = self.unfollowed(what, SideEffect::Schema);
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
            // Also while a module is imported: what comes after it in the migration is not reached.
            self.unfollowed("code that is nested so deeply", SideEffect::Schema)?;
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
    pub(super) fn schema_model(&self) -> Option<&SchemaModel> {
        self.host.schema_model().filter(|model| !model.doubtful)
    }

    /// The server.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        self.host.dialect()
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
        Value::Unknown(values.iter().any(|value| value.may_act()))
    }
}

pub(super) fn module_scope(namespace: &Rc<Namespace>) -> Rc<Scope> {
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
