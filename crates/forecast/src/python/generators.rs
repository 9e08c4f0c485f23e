//! Generators: their elements, and the blocks of `contextlib.contextmanager`, which run where the generator
//! yields, so that what stands around that has its order and its `try`.

use super::evaluate::SIZE;
use super::interpreter::{Evaluated, Interpreter, Spot};
use super::sqlalchemy_objects::Generator;
use super::statements::Outcome;
use super::value::{Item, Scope, UNKNOWN, Value};
use crate::SideEffect;
use ruff_python_ast::StmtWith;
use std::cell::RefCell;
use std::rc::Rc;

/// A block that runs where a generator yields.
pub(super) struct Suspended {
    /// The generator's names.
    generator: Rc<Scope>,
    with: Rc<StmtWith>,
    /// Which of its items the generator is.
    item: usize,
    /// Where the block stands.
    scope: Rc<Scope>,
    here: Spot,
    calls: u32,
    /// The ways out of it, once it has run.
    outcome: Option<Outcome>,
}

/// The names of a generator that begins.
fn begun(generator: &Generator, born: u32) -> Rc<Scope> {
    let scope = &generator.scope;
    Rc::new(Scope {
        names: RefCell::new(scope.names.borrow().clone()),
        this: scope.this.clone(),
        ..Scope::new(Rc::clone(&scope.module), scope.outer.clone(), born)
    })
}

impl Interpreter<'_> {
    /// A generator's elements, by running it.
    pub(super) fn drain(&mut self, generator: &Generator) -> Evaluated<Vec<Item>> {
        let scope = begun(generator, self.doubt);
        self.run_body(&generator.function, &scope)?;
        Ok(scope.yielded.borrow().clone())
    }

    /// `with` over a generator.
    pub(super) fn with_generator(
        &mut self,
        with: &StmtWith,
        item: usize,
        generator: &Generator,
    ) -> Evaluated<Outcome> {
        let scope = begun(generator, self.doubt);
        self.suspended.push(Suspended {
            generator: Rc::clone(&scope),
            with: Rc::new(with.clone()),
            item,
            scope: Rc::clone(&self.scope),
            here: self.here.clone(),
            calls: self.calls,
            outcome: None,
        });
        let result = self.run_body(&generator.function, &scope);
        let block = self.suspended.pop().and_then(|suspended| suspended.outcome);
        result?;
        if let Some(outcome) = block {
            return Ok(outcome);
        }
        self.unknown("a block that may not run", SideEffect::Schema)?;
        Ok(self.uncertainly(|machine| {
            let outcome = machine.with(with, item + 1);
            outcome.unwrap_or_else(Outcome::raised)
        }))
    }

    /// `yield`: runs the block that waits for it, or gives an element.
    pub(super) fn give(&mut self, value: Value) -> Evaluated {
        let at = self.suspended.len().wrapping_sub(1);
        let waits = self.suspended.get(at).filter(|suspended| {
            Rc::ptr_eq(&suspended.generator, &self.scope) && suspended.outcome.is_none()
        });
        let Some(block) = waits else {
            let certain = self.doubt <= self.scope.born && self.maybe.is_none();
            let mut yielded = self.scope.yielded.borrow_mut();
            if yielded.len() < SIZE {
                yielded.push(Item { value, certain });
            }
            return Ok(UNKNOWN);
        };
        let (with, item) = (Rc::clone(&block.with), block.item);
        let scope = std::mem::replace(&mut self.scope, Rc::clone(&block.scope));
        let here = std::mem::replace(&mut self.here, block.here.clone());
        let calls = std::mem::replace(&mut self.calls, block.calls);
        let ran = self.run_block(&with, item, value);
        (self.scope, self.here, self.calls) = (scope, here, calls);
        let mut outcome = ran.unwrap_or_else(Outcome::raised);
        let raised = outcome.raised.take();
        let goes_on = outcome.normal || outcome.has_exits();
        // What the generator catches lets the statement go on.
        outcome.normal |= !goes_on;
        self.suspended[at].outcome = Some(outcome);
        match raised {
            Some(raised) if !goes_on || raised.exhausted => Err(raised),
            raised => {
                self.maybe = self.maybe.take().or(raised);
                Ok(UNKNOWN)
            }
        }
    }

    fn run_block(&mut self, with: &StmtWith, item: usize, value: Value) -> Evaluated<Outcome> {
        if let Some(target) = with
            .items
            .get(item)
            .and_then(|item| item.optional_vars.as_ref())
        {
            self.store(target, value)?;
        }
        self.with(with, item + 1)
    }
}
