//! Statements, and how ways part and meet again.

use std::rc::Rc;

use ruff_python_ast::name::Name;
use ruff_python_ast::{ExceptHandler, ExceptHandlerExceptHandler, Expr, Stmt, StmtTry};
use ruff_text_size::Ranged;

use super::machine::{Evaluated, Exception, Machine};
use super::modules::assigned;
use super::things::Thing;
use super::value::{Item, Scope, UNKNOWN, Value};

/// How many rounds of one loop are gone where the number is known.
const ROUNDS: u32 = 5_000;

/// The ways out of a statement. Several may be open at once.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// It goes on behind it.
    pub(super) normal: bool,
    /// `return`.
    pub(super) returned: Option<Value>,
    /// `break`.
    pub(super) broke: bool,
    /// `continue`.
    pub(super) continued: bool,
    /// `raise`.
    pub(super) raised: Option<Box<Exception>>,
}

impl Outcome {
    /// Goes on.
    pub(super) fn normal() -> Self {
        Self {
            normal: true,
            ..Self::default()
        }
    }

    /// Raises.
    pub(super) fn raised(exception: Box<Exception>) -> Self {
        Self {
            raised: Some(exception),
            ..Self::default()
        }
    }

    /// Whether anything but going on is possible.
    fn has_exits(&self) -> bool {
        self.returned.is_some() || self.broke || self.continued || self.raised.is_some()
    }

    /// Adds the exits of another one.
    fn add_exits(&mut self, other: Self) {
        self.returned = match (self.returned.take(), other.returned) {
            (Some(one), Some(two)) => Some(one.join(&two)),
            (one, two) => one.or(two),
        };
        self.broke |= other.broke;
        self.continued |= other.continued;
        self.raised = self.raised.take().or(other.raised);
    }

    /// Adds all of another one.
    fn add(&mut self, other: Self) {
        self.normal |= other.normal;
        self.add_exits(other);
    }
}

impl Machine<'_> {
    /// Statements in a row.
    pub(super) fn block(&mut self, body: &[Stmt]) -> Outcome {
        let doubt = self.doubt;
        let mut total = Outcome::default();
        for statement in body {
            let outcome = self.statement(statement);
            let normal = outcome.normal;
            let exits = outcome.has_exits();
            total.add_exits(outcome);
            if !normal {
                self.doubt = doubt;
                return total;
            }
            if exits {
                self.doubt = doubt + 1;
            }
        }
        self.doubt = doubt;
        total.normal = true;
        total
    }

    /// One statement.
    pub(super) fn statement(&mut self, statement: &Stmt) -> Outcome {
        let maybe = self.maybe.take();
        self.at(statement.range().start());
        let mut outcome = match self.nested(2, |machine| machine.execute(statement)) {
            Ok(outcome) => outcome,
            Err(raised) => Outcome::raised(raised),
        };
        if let Some(raised) = self.maybe.take() {
            outcome.raised = outcome.raised.or(Some(raised));
        }
        self.maybe = maybe;
        outcome
    }

    fn execute(&mut self, statement: &Stmt) -> Evaluated<Outcome> {
        match statement {
            Stmt::Expr(expression) => {
                self.evaluate(&expression.value)?;
            }
            Stmt::Assign(assign) => {
                let value = self.evaluate(&assign.value)?;
                for target in &assign.targets {
                    self.store(target, value.clone())?;
                }
            }
            Stmt::AnnAssign(assign) => {
                if let Some(value) = &assign.value {
                    let value = self.evaluate(value)?;
                    self.store(&assign.target, value)?;
                }
            }
            Stmt::AugAssign(assign) => {
                let old = self.evaluate(&assign.target)?;
                let value = self.evaluate(&assign.value)?;
                let new = self.augment(&old, assign.op, &value);
                self.store(&assign.target, new)?;
            }
            Stmt::Return(back) => {
                let value = match &back.value {
                    Some(value) => self.evaluate(value)?,
                    None => Value::None,
                };
                return Ok(Outcome {
                    returned: Some(value),
                    ..Outcome::default()
                });
            }
            Stmt::If(test) => return self.choose(test),
            Stmt::For(each) => return self.each(each),
            Stmt::While(repeat) => return self.repeat(repeat),
            Stmt::With(with) => return self.with(with, 0),
            Stmt::Try(attempt) => return Ok(self.attempt(attempt)),
            Stmt::Raise(raise) => return self.raise(raise),
            Stmt::Assert(assert) => {
                let holds = self.evaluate(&assert.test)?;
                match self.truth(&holds)? {
                    Some(true) => {}
                    Some(false) => {
                        let exception = self.exception("AssertionError", None);
                        return Ok(self.raising(exception));
                    }
                    None => {
                        self.doubt += 1;
                        let exception = self.exception("AssertionError", None);
                        let mut outcome = self.raising(exception);
                        self.doubt -= 1;
                        outcome.normal = true;
                        return Ok(outcome);
                    }
                }
            }
            Stmt::Break(_) => {
                return Ok(Outcome {
                    broke: true,
                    ..Outcome::default()
                });
            }
            Stmt::Continue(_) => {
                return Ok(Outcome {
                    continued: true,
                    ..Outcome::default()
                });
            }
            Stmt::FunctionDef(function) => self.define(function)?,
            Stmt::ClassDef(class) => self.define_class(class)?,
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import)?,
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    self.delete(target)?;
                }
            }
            Stmt::Match(choice) => return self.match_cases(choice),
            Stmt::Global(names) => {
                let mut globals = self.scope.globals.borrow_mut();
                globals.extend(names.names.iter().map(|name| name.id.clone()));
            }
            Stmt::Nonlocal(_) | Stmt::Pass(_) | Stmt::TypeAlias(_) | Stmt::IpyEscapeCommand(_) => {}
        }
        Ok(Outcome::normal())
    }

    /// Goes a way that may not be gone.
    pub(super) fn uncertainly(&mut self, inside: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let names = self.save();
        self.doubt += 1;
        let mut outcome = inside(self);
        self.doubt -= 1;
        self.join(&names);
        outcome.normal = true;
        outcome
    }

    fn choose(&mut self, test: &ruff_python_ast::StmtIf) -> Evaluated<Outcome> {
        let first = std::iter::once((Some(&*test.test), &test.body[..]));
        let others = test
            .elif_else_clauses
            .iter()
            .map(|clause| (clause.test.as_ref(), &clause.body[..]));
        let mut total = Outcome::default();
        // The names as they are where the ways that were gone so far have met.
        let mut met: Option<super::machine::Names> = None;
        let mut before: Option<super::machine::Names> = None;
        let doubt = self.doubt;
        let mut open = true;
        for (test, body) in first.chain(others) {
            let truth = match test {
                None => Some(true),
                Some(test) => {
                    let value = match self.evaluate(test) {
                        Ok(value) => value,
                        Err(raised) => {
                            total.add(Outcome::raised(raised));
                            open = false;
                            break;
                        }
                    };
                    match self.truth(&value) {
                        Ok(truth) => truth,
                        Err(raised) => {
                            total.add(Outcome::raised(raised));
                            open = false;
                            break;
                        }
                    }
                }
            };
            match truth {
                Some(false) => {}
                Some(true) => {
                    let outcome = self.block(body);
                    if outcome.normal || outcome.broke || outcome.continued {
                        self.meet(&mut met);
                    }
                    total.add(outcome);
                    open = false;
                    break;
                }
                None => {
                    self.doubt = doubt + 1;
                    before = Some(self.save());
                    let outcome = self.block(body);
                    if outcome.normal || outcome.broke || outcome.continued {
                        self.meet(&mut met);
                    }
                    total.add(outcome);
                    if let Some(before) = &before {
                        self.restore(before.clone());
                    }
                }
            }
        }
        self.doubt = doubt;
        if open {
            total.normal = true;
            if before.is_some() {
                self.meet(&mut met);
            }
        }
        if let Some(met) = met {
            self.restore(met);
        }
        Ok(total)
    }

    fn meet(&self, met: &mut Option<super::machine::Names>) {
        if let Some(others) = met {
            self.join(others);
        }
        *met = Some(self.save());
    }

    fn each(&mut self, each: &ruff_python_ast::StmtFor) -> Evaluated<Outcome> {
        if each.is_async {
            self.unknown("an asynchronous loop", true)?;
        }
        let values = self.evaluate(&each.iter)?;
        let mut total = Outcome::default();
        let doubt = self.doubt;
        let mut broken = false;
        if let Some((items, open)) = self.elements(&values)? {
            for item in items {
                let round = if item.certain {
                    self.round(&each.target, item.value, &each.body)
                } else {
                    self.uncertainly(|machine| machine.round(&each.target, item.value, &each.body))
                };
                let stop = !round.normal && !round.continued;
                broken |= round.broke;
                let exits = round.broke || round.returned.is_some() || round.raised.is_some();
                total.add_exits(Outcome {
                    broke: false,
                    continued: false,
                    normal: false,
                    ..round
                });
                if stop {
                    self.doubt = doubt;
                    total.normal = broken;
                    return Ok(total);
                }
                if exits {
                    self.doubt = doubt + 1;
                }
            }
            if open {
                self.vague_round(each, UNKNOWN, &mut total, &mut broken);
            }
        } else {
            let element = self.element_of(&values)?;
            self.vague_round(each, element, &mut total, &mut broken);
        }
        if each.orelse.is_empty() {
            total.normal = true;
        } else if broken {
            let outcome = self.uncertainly(|machine| machine.block(&each.orelse));
            total.add(outcome);
        } else {
            let outcome = self.block(&each.orelse);
            total.add(outcome);
        }
        self.doubt = doubt;
        Ok(total)
    }

    /// A round for elements of which it is not known what and how many they are.
    fn vague_round(
        &mut self,
        each: &ruff_python_ast::StmtFor,
        element: Value,
        total: &mut Outcome,
        broken: &mut bool,
    ) {
        self.forget_changing(&each.body);
        let round = self.uncertainly(|machine| machine.round(&each.target, element, &each.body));
        *broken |= round.broke;
        total.add_exits(Outcome {
            broke: false,
            continued: false,
            ..round
        });
    }

    fn round(&mut self, target: &Expr, value: Value, body: &[Stmt]) -> Outcome {
        match self.store(target, value) {
            Ok(()) => self.block(body),
            Err(raised) => Outcome::raised(raised),
        }
    }

    /// Before one round that stands for many: what they change is not known in any.
    fn forget_changing(&mut self, body: &[Stmt]) {
        let mut names: Vec<Name> = Vec::new();
        assigned(body, false, &mut names);
        self.forget(&names);
    }

    fn repeat(&mut self, repeat: &ruff_python_ast::StmtWhile) -> Evaluated<Outcome> {
        let mut total = Outcome::default();
        for _ in 0..ROUNDS {
            let test = self.evaluate(&repeat.test)?;
            match self.truth(&test)? {
                Some(false) => {
                    let outcome = self.block(&repeat.orelse);
                    total.add(outcome);
                    return Ok(total);
                }
                Some(true) => {
                    let round = self.block(&repeat.body);
                    let on = round.normal || round.continued;
                    let left = round.broke || round.returned.is_some() || round.raised.is_some();
                    let broke = round.broke;
                    total.add_exits(Outcome {
                        broke: false,
                        continued: false,
                        ..round
                    });
                    if left || !on {
                        // Whether there is another round is not known: its names are not either.
                        if on {
                            self.forget_changing(&repeat.body);
                        }
                        total.normal = broke;
                        return Ok(total);
                    }
                }
                None => {
                    self.forget_changing(&repeat.body);
                    let round = self.uncertainly(|machine| machine.block(&repeat.body));
                    total.add_exits(Outcome {
                        broke: false,
                        continued: false,
                        ..round
                    });
                    total.normal = true;
                    return Ok(total);
                }
            }
        }
        self.unknown("a loop with so many rounds", true)?;
        self.forget_changing(&repeat.body);
        total.normal = true;
        Ok(total)
    }

    fn match_cases(&mut self, choice: &ruff_python_ast::StmtMatch) -> Evaluated<Outcome> {
        use ruff_python_ast::Pattern;
        let subject = self.evaluate(&choice.subject)?;
        let mut total = Outcome::default();
        for case in &choice.cases {
            let matches = match &case.pattern {
                Pattern::MatchValue(pattern) => {
                    let value = self.evaluate(&pattern.value)?;
                    subject.equals(&value)
                }
                Pattern::MatchAs(pattern) if pattern.pattern.is_none() => {
                    if let Some(name) = &pattern.name {
                        self.assign(&name.id, subject.clone());
                    }
                    Some(true)
                }
                _ => None,
            };
            let matches = match (&case.guard, matches) {
                (_, Some(false)) => Some(false),
                (None, matches) => matches,
                (Some(_), _) => None,
            };
            match matches {
                Some(false) => {}
                Some(true) => {
                    let outcome = self.block(&case.body);
                    total.add(outcome);
                    return Ok(total);
                }
                None => {
                    let outcome = self.uncertainly(|machine| machine.block(&case.body));
                    total.add(outcome);
                }
            }
        }
        total.normal = true;
        Ok(total)
    }

    fn with(&mut self, with: &ruff_python_ast::StmtWith, item: usize) -> Evaluated<Outcome> {
        let Some(first) = with.items.get(item) else {
            return Ok(self.block(&with.body));
        };
        if with.is_async {
            self.unknown("an asynchronous block", true)?;
        }
        let manager = self.evaluate(&first.context_expr)?;
        self.at(first.context_expr.range().start());
        let place = self.here.offset;
        let inside = self.enter(&manager, &first.context_expr)?;
        if let Some(target) = &first.optional_vars {
            self.store(target, inside.clone())?;
        }
        let autocommit = u32::from(matches!(manager.as_thing(), Some(Thing::Autocommit)));
        self.autocommit += autocommit;
        let outcome = self.with(with, item + 1);
        self.autocommit -= autocommit;
        let mut outcome = outcome?;
        self.at(place);
        if outcome.raised.is_some()
            && matches!(&manager, Value::Foreign(name) if name.ends_with("suppress()"))
        {
            outcome.raised = None;
            outcome.normal = true;
        }
        let exits = outcome.has_exits();
        let runs_end =
            outcome.normal || outcome.returned.is_some() || outcome.broke || outcome.continued;
        if runs_end {
            let doubtful = u32::from(exits && outcome.raised.is_some());
            self.doubt += doubtful;
            let ended = self.exit(&manager);
            self.doubt -= doubtful;
            if let Err(raised) = ended {
                outcome = Outcome {
                    raised: Some(raised),
                    ..Outcome::default()
                };
            }
        }
        Ok(outcome)
    }

    fn raise(&mut self, raise: &ruff_python_ast::StmtRaise) -> Evaluated<Outcome> {
        let Some(exception) = &raise.exc else {
            let again = match &self.handling {
                Some(exception) => exception.clone(),
                None => self.exception("RuntimeError", None),
            };
            return Ok(self.raising(again));
        };
        let value = self.evaluate(exception)?;
        self.at(raise.range.start());
        let exception = match &value {
            Value::Foreign(name) => self.exception(name.rsplit('.').next().unwrap_or(name), None),
            Value::Class(class) => {
                let mut exception = self.exception(&class.name, None);
                exception.class = Some(Rc::clone(class));
                exception
            }
            Value::Instance(instance) => {
                let mut exception = self.exception(&instance.class.name, None);
                exception.class = Some(Rc::clone(&instance.class));
                exception
            }
            Value::Thing(thing) => match &**thing {
                Thing::Exception(name, message) => {
                    match &self.handling {
                        // `raise error` for the one that is being handled.
                        Some(handled) if handled.name == *name && handled.message == *message => {
                            handled.clone()
                        }
                        _ => self.exception(name, message.clone()),
                    }
                }
                _ => self.exception("Exception", None),
            },
            _ => self.exception("Exception", None),
        };
        Ok(self.raising(exception))
    }

    /// Raises, and tells of it at once where nothing around can catch it.
    pub(super) fn raising(&mut self, mut exception: Box<Exception>) -> Outcome {
        exception.certain = exception.certain && self.is_certain();
        if self.is_importing() {
            // The module was imported before the migration ran, so this did not happen.
            exception.told = true;
        }
        if self.tries == 0 && !exception.database && !exception.told {
            self.tell_raise(&exception);
            exception.told = true;
        }
        Outcome::raised(exception)
    }

    fn attempt(&mut self, attempt: &StmtTry) -> Outcome {
        let before = self.save();
        let risks = self.risks;
        let catches = !attempt.handlers.is_empty();
        self.tries += u32::from(catches);
        let mut outcome = self.block(&attempt.body);
        self.tries -= u32::from(catches);
        let raised = outcome.raised.take();
        let doubt = self.doubt;
        if outcome.normal && !attempt.orelse.is_empty() {
            let exits = raised.is_some() || outcome.has_exits();
            self.doubt += u32::from(exits);
            outcome.normal = false;
            let orelse = self.block(&attempt.orelse);
            self.doubt = doubt;
            outcome.add(orelse);
        }
        if let Some(raised) = raised {
            if raised.exhausted {
                return Outcome::raised(raised);
            }
            let only_raised = !outcome.normal && !outcome.has_exits();
            let handled = if only_raised {
                self.handle(attempt, raised)
            } else {
                // What was raised came before some of what is known now.
                let after = self.save();
                self.join(&before);
                self.doubt = doubt + 1;
                let handled = self.handle(attempt, raised);
                self.doubt = doubt;
                if handled.normal || handled.broke || handled.continued {
                    self.join(&after);
                } else {
                    self.restore(after);
                }
                handled
            };
            outcome.add(handled);
        } else if catches && self.risks > risks {
            outcome = self.suspect(attempt, outcome);
        }
        if !attempt.finalbody.is_empty() {
            // It runs whatever the way out is.
            let finally = self.block(&attempt.finalbody);
            if finally.normal {
                outcome.add_exits(Outcome {
                    normal: false,
                    ..finally
                });
            } else {
                outcome = finally;
            }
        }
        outcome
    }

    /// Nothing is known to be raised, but something may be: what the handlers do may happen. That
    /// they raise again makes nothing less certain, as any statement may fail.
    fn suspect(&mut self, attempt: &StmtTry, mut outcome: Outcome) -> Outcome {
        self.tries += 1;
        for handler in &attempt.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            let unknown = self.exception("Exception", None);
            let handled = self.uncertainly(|machine| machine.run_handler(handler, unknown));
            outcome.add_exits(Outcome {
                normal: false,
                raised: handled.raised.filter(|raised| raised.exhausted),
                ..handled
            });
        }
        self.tries -= 1;
        outcome
    }

    fn handle(&mut self, attempt: &StmtTry, raised: Box<Exception>) -> Outcome {
        let mut total = Outcome::default();
        for handler in &attempt.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            let caught = match &handler.type_ {
                None => Some(true),
                Some(kind) => match self.evaluate(kind) {
                    Ok(kind) => self.catches(&kind, &raised),
                    Err(raised) => return Outcome::raised(raised),
                },
            };
            match caught {
                Some(false) => {}
                Some(true) => {
                    let outcome = self.run_handler(handler, raised);
                    total.add(outcome);
                    return total;
                }
                None => {
                    let outcome = {
                        let raised = raised.clone();
                        let names = self.save();
                        self.doubt += 1;
                        let outcome = self.run_handler(handler, raised);
                        self.doubt -= 1;
                        self.join(&names);
                        outcome
                    };
                    total.add(outcome);
                }
            }
        }
        let mut raised = raised;
        if total.normal || total.has_exits() {
            raised.certain = false;
        }
        let outcome = self.raising(raised);
        total.add(outcome);
        total
    }

    fn run_handler(
        &mut self,
        handler: &ExceptHandlerExceptHandler,
        raised: Box<Exception>,
    ) -> Outcome {
        if let Some(name) = &handler.name {
            let value = Value::thing(Thing::Exception(
                Rc::clone(&raised.name),
                raised.message.clone(),
            ));
            self.assign(&name.id, value);
        }
        let handling = self.handling.replace(raised);
        let outcome = self.block(&handler.body);
        self.handling = handling;
        outcome
    }

    /// Whether an `except` catches what was raised; `None` where that depends on what is not known.
    fn catches(&self, kind: &Value, raised: &Exception) -> Option<bool> {
        match kind {
            Value::Tuple(kinds) => {
                super::value::any(kinds.iter().map(|kind| self.catches(kind, raised)))
            }
            Value::Class(class) => {
                let mut own = raised.class.as_ref();
                let mut depth = 0;
                while let Some(here) = own {
                    if Rc::ptr_eq(here, class) {
                        return Some(true);
                    }
                    depth += 1;
                    own = here.bases.iter().find_map(|base| match base {
                        Value::Class(base) if depth < 30 => Some(base),
                        _ => None,
                    });
                }
                Some(false)
            }
            Value::Foreign(name) => {
                let name = name.rsplit('.').next().unwrap_or(name);
                super::builtins::is_caught_by(raised, name, self.dialect())
            }
            _ => None,
        }
    }

    /// A generator's elements, by running it.
    pub(super) fn drain(&mut self, generator: &super::things::Generator) -> Evaluated<Vec<Item>> {
        let scope = Rc::clone(&generator.scope);
        let body = Rc::clone(&generator.function);
        let fresh = Rc::new(Scope {
            names: std::cell::RefCell::new(scope.names.borrow().clone()),
            born: self.doubt,
            ..Scope::new(Rc::clone(&scope.module), scope.outer.clone(), self.doubt)
        });
        self.run_body(&body, &fresh)?;
        Ok(fresh.yielded.borrow().clone())
    }
}
