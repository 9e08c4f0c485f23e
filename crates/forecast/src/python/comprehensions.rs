//! Displays and comprehensions.

use super::evaluate::SIZE;
use super::interpreter::{Evaluated, Interpreter};
use super::value::{Dictionary, Item, UNKNOWN, Value};
use ruff_python_ast::{Comprehension, Expr};

impl Interpreter<'_> {
    /// Elements of a display, with `*` taken apart.
    pub(super) fn evaluate_elements(&mut self, elements: &[Expr]) -> Evaluated<(Vec<Item>, bool)> {
        let mut items = Vec::with_capacity(elements.len());
        let mut open = false;
        for element in elements {
            if let Expr::Starred(starred) = element {
                let values = self.evaluate(&starred.value)?;
                match self.elements(&values)? {
                    Some((more, others)) => {
                        items.extend(more);
                        open |= others;
                    }
                    None => open = true,
                }
            } else {
                let value = self.evaluate(element)?;
                items.push(Item {
                    value,
                    certain: true,
                });
            }
            if items.len() > SIZE {
                open = true;
                break;
            }
        }
        Ok((items, open))
    }

    pub(super) fn evaluate_dict(&mut self, dictionary: &ruff_python_ast::ExprDict) -> Evaluated {
        let result = Dictionary::of(Vec::new(), self.doubt);
        for item in &dictionary.items {
            let value = self.evaluate(&item.value)?;
            if let Some(key) = &item.key {
                let key = self.evaluate(key)?;
                self.set_entry(&result, key, value);
            } else {
                self.merge_into(&result, &value);
            }
        }
        Ok(Value::Dict(result))
    }

    pub(super) fn evaluate_dict_comprehension(
        &mut self,
        comprehension: &ruff_python_ast::ExprDictComp,
    ) -> Evaluated {
        let Some(key) = &comprehension.key else {
            return Ok(UNKNOWN);
        };
        let mut pairs = Vec::new();
        let names = self.save();
        let exact = self.generate(&comprehension.generators, true, &mut |machine, certain| {
            let key = machine.evaluate(key)?;
            let value = machine.evaluate(&comprehension.value)?;
            pairs.push((key, Item { value, certain }));
            Ok(())
        });
        self.restore(names);
        let open = !exact?;
        let result = Dictionary::of(Vec::new(), self.doubt);
        let unknown_key = pairs.iter().any(|(key, _)| key.is_unknown());
        *result.entries.borrow_mut() = pairs;
        result.open.set(open || unknown_key);
        Ok(Value::Dict(result))
    }

    pub(super) fn comprehend(
        &mut self,
        element: &Expr,
        generators: &[Comprehension],
    ) -> Evaluated<(Vec<Item>, bool)> {
        let mut items = Vec::new();
        let names = self.save();
        let exact = self.generate(generators, true, &mut |machine, certain| {
            let value = machine.evaluate(element)?;
            items.push(Item { value, certain });
            Ok(())
        });
        self.restore(names);
        Ok((items, !exact?))
    }

    /// Runs through the `for` clauses of a comprehension. `false` where there may be more elements.
    pub(super) fn generate(
        &mut self,
        generators: &[Comprehension],
        certain: bool,
        inner: &mut dyn FnMut(&mut Self, bool) -> Evaluated<()>,
    ) -> Evaluated<bool> {
        let Some((first, rest)) = generators.split_first() else {
            inner(self, certain)?;
            return Ok(true);
        };
        let values = self.evaluate(&first.iter)?;
        let (items, open) = if let Some((items, open)) = self.elements(&values)? {
            (items, open)
        } else {
            let value = self.element_of(&values)?;
            let certain = false;
            (vec![Item { value, certain }], true)
        };
        let mut exact = !open;
        let mut made = 0;
        for item in items {
            self.step()?;
            made += 1;
            if made > SIZE {
                return Ok(false);
            }
            let certain = certain && item.certain;
            let doubt = self.doubt;
            self.doubt += u32::from(!item.certain);
            let result = self.filtered(first, rest, item.value, certain, inner);
            self.doubt = doubt;
            match result {
                Ok(more) => exact &= more,
                Err(raised) if raised.exhausted || item.certain => return Err(raised),
                Err(raised) => {
                    self.maybe = self.maybe.take().or(Some(raised));
                    exact = false;
                }
            }
        }
        Ok(exact)
    }

    pub(super) fn filtered(
        &mut self,
        clause: &Comprehension,
        rest: &[Comprehension],
        value: Value,
        mut certain: bool,
        inner: &mut dyn FnMut(&mut Self, bool) -> Evaluated<()>,
    ) -> Evaluated<bool> {
        self.store(&clause.target, value)?;
        for test in &clause.ifs {
            let test = self.evaluate(test)?;
            match self.truth(&test)? {
                Some(true) => {}
                Some(false) => return Ok(true),
                None => {
                    certain = false;
                    self.doubt += 1;
                }
            }
        }
        self.generate(rest, certain, inner)
    }
}
