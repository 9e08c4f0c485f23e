//! `raise` and `try`.

use super::interpreter::{Evaluated, Exception, Interpreter};
use super::sqlalchemy_objects::SqlaObject;
use super::statements::Outcome;
use super::value::Value;
use ruff_python_ast::{ExceptHandler, ExceptHandlerExceptHandler, StmtTry};
use std::rc::Rc;

impl Interpreter<'_> {
    pub(super) fn raise(&mut self, raise: &ruff_python_ast::StmtRaise) -> Evaluated<Outcome> {
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
                SqlaObject::Exception(name, message) => {
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
        if self.package.is_some() {
            exception.certain = false;
        } else if self.tries == 0 && !exception.database && !exception.told {
            self.tell_raise(&exception);
            exception.told = true;
        }
        Outcome::raised(exception)
    }

    pub(super) fn attempt(&mut self, attempt: &StmtTry) -> Outcome {
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
    pub(super) fn suspect(&mut self, attempt: &StmtTry, mut outcome: Outcome) -> Outcome {
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

    pub(super) fn handle(&mut self, attempt: &StmtTry, raised: Box<Exception>) -> Outcome {
        let mut total = Outcome::default();
        // Whether one before may have caught it.
        let mut perhaps = false;
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
                    self.doubt += u32::from(perhaps);
                    let outcome = self.run_handler(handler, raised);
                    self.doubt -= u32::from(perhaps);
                    total.add(outcome);
                    return total;
                }
                None => {
                    perhaps = true;
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

    pub(super) fn run_handler(
        &mut self,
        handler: &ExceptHandlerExceptHandler,
        raised: Box<Exception>,
    ) -> Outcome {
        if let Some(name) = &handler.name {
            let value = Value::thing(SqlaObject::Exception(
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
    pub(super) fn catches(&self, kind: &Value, raised: &Exception) -> Option<bool> {
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
}
