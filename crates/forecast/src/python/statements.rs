//! Statements, and how ways part and meet again.

use super::interpreter::{Evaluated, Exception, Interpreter};
use super::sqlalchemy_objects::SqlaObject;
use super::value::Value;
use crate::SideEffect;
use ruff_python_ast::Stmt;
use ruff_text_size::Ranged;

/// How many rounds of one loop are gone where the number is known.
pub(super) const ROUNDS: u32 = 5_000;

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
    pub(super) fn has_exits(&self) -> bool {
        self.returned.is_some() || self.broke || self.continued || self.raised.is_some()
    }

    /// Adds the exits of another one.
    pub(super) fn add_exits(&mut self, other: Self) {
        self.returned = match (self.returned.take(), other.returned) {
            (Some(one), Some(two)) => Some(one.join(&two)),
            (one, two) => one.or(two),
        };
        self.broke |= other.broke;
        self.continued |= other.continued;
        self.raised = self.raised.take().or(other.raised);
    }

    /// Adds all of another one.
    pub(super) fn add(&mut self, other: Self) {
        self.normal |= other.normal;
        self.add_exits(other);
    }
}

impl Interpreter<'_> {
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

    pub(super) fn execute(&mut self, statement: &Stmt) -> Evaluated<Outcome> {
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
            Stmt::Nonlocal(names) => self.forget_outer(&names.names),
            Stmt::Pass(_) | Stmt::TypeAlias(_) | Stmt::IpyEscapeCommand(_) => {}
        }
        Ok(Outcome::normal())
    }

    pub(super) fn with(
        &mut self,
        with: &ruff_python_ast::StmtWith,
        item: usize,
    ) -> Evaluated<Outcome> {
        let Some(first) = with.items.get(item) else {
            return Ok(self.block(&with.body));
        };
        if with.is_async {
            self.unknown("an asynchronous block", SideEffect::Schema)?;
        }
        let manager = self.evaluate(&first.context_expr)?;
        self.at(first.context_expr.range().start());
        let place = self.here.offset;
        if let Some(SqlaObject::Generator(generator)) = manager.as_thing() {
            return self.with_generator(with, item, generator);
        }
        let inside = self.enter(&manager, &first.context_expr)?;
        if let Some(target) = &first.optional_vars {
            self.store(target, inside.clone())?;
        }
        let autocommit = u32::from(matches!(manager.as_thing(), Some(SqlaObject::Autocommit)));
        let catches = matches!(manager, Value::Instance(_))
            || matches!(manager.as_thing(), Some(SqlaObject::Suppress(_)));
        self.autocommit += autocommit;
        self.tries += u32::from(catches);
        let outcome = self.with(with, item + 1);
        self.tries -= u32::from(catches);
        self.autocommit -= autocommit;
        let mut outcome = outcome?;
        self.at(place);
        let runs_end =
            outcome.normal || outcome.returned.is_some() || outcome.broke || outcome.continued;
        let doubtful = u32::from(runs_end && outcome.raised.is_some());
        self.doubt += doubtful;
        let raised = if catches { outcome.raised.take() } else { None };
        if runs_end && let Err(raised) = self.exit(&manager) {
            outcome = Outcome::raised(raised);
        }
        if let Some(mut raised) = raised {
            let caught = self.leave_by(&manager, &raised)?;
            outcome.normal |= caught != Some(false);
            if caught != Some(true) {
                raised.certain &= caught == Some(false);
                outcome.add(self.raising(raised));
            }
        }
        self.doubt -= doubtful;
        Ok(outcome)
    }
}
