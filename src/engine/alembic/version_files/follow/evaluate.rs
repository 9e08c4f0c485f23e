//! Expressions.

use std::rc::Rc;

use ruff_python_ast::{
    Comprehension, Expr, FStringPart, InterpolatedStringElement, Number, UnaryOp,
};
use ruff_text_size::Ranged;

use super::machine::{Evaluated, Machine};
use super::things::Thing;
use super::value::{Dictionary, Item, Sequence, UNKNOWN, Value};

/// How many elements a list or text may come to have.
pub(super) const SIZE: usize = 20_000;

impl Machine<'_> {
    /// The value of an expression.
    pub(super) fn evaluate(&mut self, expression: &Expr) -> Evaluated {
        match expression {
            Expr::NoneLiteral(_) => Ok(Value::None),
            Expr::BooleanLiteral(literal) => Ok(Value::Bool(literal.value)),
            Expr::StringLiteral(literal) => Ok(Value::text(literal.value.to_str())),
            Expr::NumberLiteral(literal) => Ok(match &literal.value {
                Number::Int(number) => number.as_i64().map_or(UNKNOWN, Value::Int),
                Number::Float(number) => Value::Float(*number),
                Number::Complex { .. } => UNKNOWN,
            }),
            Expr::Name(name) => {
                self.step()?;
                match self.lookup(&name.id)? {
                    Some(value) => Ok(value),
                    None => Ok(UNKNOWN),
                }
            }
            _ => self.nested(1, |machine| machine.evaluate_nested(expression)),
        }
    }

    fn evaluate_nested(&mut self, expression: &Expr) -> Evaluated {
        match expression {
            Expr::Call(call) => self.evaluate_call(call),
            Expr::Attribute(attribute) => {
                let object = self.evaluate(&attribute.value)?;
                self.attribute(&object, &attribute.attr.id)
            }
            Expr::Subscript(subscript) => {
                let object = self.evaluate(&subscript.value)?;
                if let Expr::Slice(slice) = &*subscript.slice {
                    return self.slice(&object, slice);
                }
                let key = self.evaluate(&subscript.slice)?;
                self.element(&object, &key)
            }
            Expr::BinOp(operation) => {
                let left = self.evaluate(&operation.left)?;
                let right = self.evaluate(&operation.right)?;
                Ok(self.combine(&left, operation.op, &right))
            }
            Expr::BoolOp(operation) => self.evaluate_and_or(operation),
            Expr::Compare(compare) => self.evaluate_compare(compare),
            Expr::UnaryOp(operation) => {
                let value = self.evaluate(&operation.operand)?;
                self.evaluate_unary(operation.op, &value)
            }
            Expr::If(test) => self.evaluate_if(test),
            Expr::FString(text) => self.evaluate_fstring(text),
            Expr::List(list) => {
                let items = self.evaluate_elements(&list.elts)?;
                Ok(Value::List(self.sequence(items)))
            }
            Expr::Set(set) => {
                let items = self.evaluate_elements(&set.elts)?;
                Ok(self.set_of(items.0, items.1))
            }
            Expr::Tuple(tuple) => {
                let (items, open) = self.evaluate_elements(&tuple.elts)?;
                if open || items.iter().any(|item| !item.certain) {
                    return Ok(Value::List(self.sequence((items, open))));
                }
                Ok(Value::Tuple(
                    items.into_iter().map(|item| item.value).collect(),
                ))
            }
            Expr::Dict(dictionary) => self.evaluate_dict(dictionary),
            Expr::ListComp(comprehension) => {
                let items = self.comprehend(&comprehension.elt, &comprehension.generators)?;
                Ok(Value::List(self.sequence(items)))
            }
            Expr::Generator(comprehension) => {
                let items = self.comprehend(&comprehension.elt, &comprehension.generators)?;
                Ok(Value::List(self.sequence(items)))
            }
            Expr::SetComp(comprehension) => {
                let (items, open) =
                    self.comprehend(&comprehension.elt, &comprehension.generators)?;
                Ok(self.set_of(items, open))
            }
            Expr::DictComp(comprehension) => self.evaluate_dict_comprehension(comprehension),
            Expr::Lambda(lambda) => Ok(self.lambda(lambda)),
            Expr::Named(named) => {
                let value = self.evaluate(&named.value)?;
                self.store(&named.target, value.clone())?;
                Ok(value)
            }
            Expr::Starred(starred) => self.evaluate(&starred.value),
            Expr::Yield(value) => {
                let value = match &value.value {
                    Some(value) => self.evaluate(value)?,
                    None => Value::None,
                };
                self.give(value);
                Ok(UNKNOWN)
            }
            Expr::YieldFrom(values) => {
                let values = self.evaluate(&values.value)?;
                if let Some((items, _)) = self.elements(&values)? {
                    for item in items {
                        self.give(item.value);
                    }
                } else {
                    let element = self.element_of(&values)?;
                    self.doubt += 1;
                    self.give(element);
                    self.doubt -= 1;
                }
                Ok(UNKNOWN)
            }
            Expr::Await(value) => {
                self.at(expression.range().start());
                self.unknown("asynchronous code", true)?;
                self.evaluate(&value.value)
            }
            _ => Ok(UNKNOWN),
        }
    }

    fn give(&mut self, value: Value) {
        let certain = self.doubt <= self.scope.born && self.maybe.is_none();
        let mut yielded = self.scope.yielded.borrow_mut();
        if yielded.len() < SIZE {
            yielded.push(Item { value, certain });
        }
    }

    /// A list or set made here.
    pub(super) fn sequence(&self, (items, open): (Vec<Item>, bool)) -> Rc<Sequence> {
        Sequence::of_items(items, open, self.doubt)
    }

    /// A set of these, each once.
    pub(super) fn set_of(&self, items: Vec<Item>, mut open: bool) -> Value {
        let mut unique: Vec<Item> = Vec::with_capacity(items.len().min(64));
        for item in items {
            if unique.len() > 500 {
                open = true;
                break;
            }
            let same = unique
                .iter_mut()
                .find(|other| other.value.equals(&item.value) == Some(true));
            match same {
                Some(other) => other.certain |= item.certain,
                None => unique.push(item),
            }
        }
        Value::Set(self.sequence((unique, open)))
    }

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

    fn evaluate_and_or(&mut self, operation: &ruff_python_ast::ExprBoolOp) -> Evaluated {
        let stops_at = matches!(operation.op, ruff_python_ast::BoolOp::Or);
        let doubt = self.doubt;
        let mut unknown: Option<Value> = None;
        let mut last = Value::None;
        let mut result = Ok(());
        for value in &operation.values {
            let truth = match self.evaluate(value) {
                Ok(value) => {
                    let truth = self.truth(&value);
                    last = value;
                    truth
                }
                Err(raised) => Err(raised),
            };
            match truth {
                Ok(Some(truth)) if truth == stops_at => break,
                Ok(Some(_)) => {}
                Ok(None) => {
                    unknown = Some(match unknown {
                        Some(other) => other.join(&last),
                        None => last.clone(),
                    });
                    // What follows is evaluated only if this one does not decide it.
                    self.doubt = doubt + 1;
                }
                Err(raised) => {
                    result = Err(raised);
                    break;
                }
            }
        }
        let certain = self.doubt == doubt;
        self.doubt = doubt;
        match result {
            Ok(()) => {}
            Err(raised) if certain || raised.exhausted => return Err(raised),
            Err(raised) => {
                self.maybe = self.maybe.take().or(Some(raised));
                return Ok(UNKNOWN);
            }
        }
        Ok(match unknown {
            None => last,
            // `unknown and false` is false whichever it was.
            Some(_) if last.truth() == Some(stops_at) => match &last {
                Value::Bool(_) => last,
                _ => UNKNOWN,
            },
            Some(other) => other.join(&last),
        })
    }

    fn evaluate_unary(&mut self, operator: UnaryOp, value: &Value) -> Evaluated {
        Ok(match (operator, value) {
            (UnaryOp::Not, value) => match self.truth(value)? {
                Some(truth) => Value::Bool(!truth),
                None => UNKNOWN,
            },
            (UnaryOp::USub, Value::Int(number)) => number.checked_neg().map_or(UNKNOWN, Value::Int),
            (UnaryOp::USub, Value::Float(number)) => Value::Float(-number),
            (UnaryOp::UAdd, value) => value.clone(),
            (_, Value::Thing(thing)) => match super::models::mentions(thing) {
                Some(mentions) => Value::thing(Thing::Expression(mentions)),
                None => UNKNOWN,
            },
            _ => UNKNOWN,
        })
    }

    fn evaluate_if(&mut self, test: &ruff_python_ast::ExprIf) -> Evaluated {
        let condition = self.evaluate(&test.test)?;
        match self.truth(&condition)? {
            Some(true) => self.evaluate(&test.body),
            Some(false) => self.evaluate(&test.orelse),
            None => {
                let one = self.perhaps(|machine| machine.evaluate(&test.body))?;
                let two = self.perhaps(|machine| machine.evaluate(&test.orelse))?;
                Ok(one.join(&two))
            }
        }
    }

    /// Evaluates what may not be.
    pub(super) fn perhaps(&mut self, inside: impl FnOnce(&mut Self) -> Evaluated) -> Evaluated {
        self.doubt += 1;
        let value = inside(self);
        self.doubt -= 1;
        match value {
            Err(raised) if !raised.exhausted => {
                self.maybe = self.maybe.take().or(Some(raised));
                Ok(UNKNOWN)
            }
            value => value,
        }
    }

    fn evaluate_fstring(&mut self, text: &ruff_python_ast::ExprFString) -> Evaluated {
        let mut pieces: Vec<Option<String>> = Vec::new();
        for part in &text.value {
            match part {
                FStringPart::Literal(literal) => {
                    super::operators::push(&mut pieces, Some(&literal.value));
                }
                FStringPart::FString(inner) => {
                    for element in &inner.elements {
                        match element {
                            InterpolatedStringElement::Literal(literal) => {
                                super::operators::push(&mut pieces, Some(&literal.value));
                            }
                            InterpolatedStringElement::Interpolation(hole) => {
                                let value = self.evaluate(&hole.expression)?;
                                if hole.format_spec.is_some()
                                    || hole.debug_text.is_some()
                                    || hole.conversion.to_byte().is_some_and(|byte| byte != b's')
                                {
                                    super::operators::push(&mut pieces, None);
                                } else {
                                    self.push_value(&mut pieces, &value);
                                }
                            }
                        }
                    }
                }
            }
            if pieces.iter().flatten().map(String::len).sum::<usize>() > (1 << 20) {
                return Ok(UNKNOWN);
            }
        }
        Ok(super::operators::text_of(pieces))
    }

    fn evaluate_dict(&mut self, dictionary: &ruff_python_ast::ExprDict) -> Evaluated {
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

    fn evaluate_dict_comprehension(
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

    fn comprehend(
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
    fn generate(
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

    fn filtered(
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

    /// Gives a target a value.
    pub(super) fn store(&mut self, target: &Expr, value: Value) -> Evaluated<()> {
        match target {
            Expr::Name(name) => self.assign(&name.id, value),
            Expr::Tuple(tuple) => self.unpack(&tuple.elts, &value)?,
            Expr::List(list) => self.unpack(&list.elts, &value)?,
            Expr::Starred(starred) => self.store(&starred.value, value)?,
            Expr::Attribute(attribute) => {
                let object = self.evaluate(&attribute.value)?;
                self.at(attribute.range.start());
                self.set_attribute(&object, &attribute.attr.id, value)?;
            }
            Expr::Subscript(subscript) => {
                let object = self.evaluate(&subscript.value)?;
                let key = self.evaluate(&subscript.slice)?;
                self.set_element(&object, key, value);
            }
            _ => {}
        }
        Ok(())
    }

    fn unpack(&mut self, targets: &[Expr], value: &Value) -> Evaluated<()> {
        let starred = targets.iter().position(Expr::is_starred_expr);
        let items = match self.elements(value)? {
            Some((items, false)) if items.iter().all(|item| item.certain) => Some(items),
            _ => None,
        };
        match items {
            Some(items) if starred.is_none() && items.len() == targets.len() => {
                for (target, item) in targets.iter().zip(items) {
                    self.store(target, item.value)?;
                }
            }
            Some(items) if starred.is_some() && items.len() + 1 >= targets.len() => {
                let first = starred.unwrap_or(0);
                let taken = items.len() + 1 - targets.len();
                let mut items = items.into_iter();
                for (position, target) in targets.iter().enumerate() {
                    let value = if position == first {
                        let part = items.by_ref().take(taken).collect();
                        Value::List(self.sequence((part, false)))
                    } else {
                        items.next().map_or(UNKNOWN, |item| item.value)
                    };
                    self.store(target, value)?;
                }
            }
            _ => {
                let parts = match value.as_thing() {
                    Some(Thing::Row(row)) => row.parts.clone(),
                    _ => Vec::new(),
                };
                for (position, target) in targets.iter().enumerate() {
                    let value = match parts.get(position) {
                        Some(row) if parts.len() == targets.len() && row.table.is_some() => {
                            Value::thing(Thing::Row(row.clone()))
                        }
                        _ => Value::Unknown(
                            value.is_live() && !matches!(value.as_thing(), Some(Thing::Row(_))),
                        ),
                    };
                    self.store(target, value)?;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, target: &Expr) -> Evaluated<()> {
        match target {
            Expr::Name(name) => self.forget(std::slice::from_ref(&name.id)),
            Expr::Subscript(subscript) => {
                let object = self.evaluate(&subscript.value)?;
                let key = self.evaluate(&subscript.slice)?;
                self.remove_element(&object, &key);
            }
            _ => {}
        }
        Ok(())
    }

    /// A target of `del`.
    pub(super) fn delete(&mut self, target: &Expr) -> Evaluated<()> {
        self.remove(target)
    }

    /// The elements of what can be iterated, with whether there may be more. `None` where nothing
    /// is known of them.
    pub(super) fn elements(&mut self, value: &Value) -> Evaluated<Option<(Vec<Item>, bool)>> {
        let certain = true;
        Ok(match value {
            Value::List(sequence) | Value::Set(sequence) => {
                Some((sequence.items.borrow().clone(), sequence.open.get()))
            }
            Value::Tuple(values) => Some((
                values
                    .iter()
                    .map(|value| Item {
                        value: value.clone(),
                        certain,
                    })
                    .collect(),
                false,
            )),
            Value::Dict(dictionary) => Some((
                dictionary
                    .entries
                    .borrow()
                    .iter()
                    .map(|(key, item)| Item {
                        value: key.clone(),
                        certain: item.certain,
                    })
                    .collect(),
                dictionary.open.get(),
            )),
            Value::Text(text) => Some((
                text.chars()
                    .take(SIZE)
                    .map(|character| Item {
                        value: Value::text(character.to_string()),
                        certain,
                    })
                    .collect(),
                false,
            )),
            Value::Thing(thing) => match &**thing {
                Thing::Generator(generator) => Some((self.drain(generator)?, false)),
                Thing::Columns(table) if !table.reflected => Some((
                    table
                        .columns
                        .borrow()
                        .iter()
                        .map(|column| Item {
                            value: Value::thing(Thing::Column(column.clone())),
                            certain,
                        })
                        .collect(),
                    false,
                )),
                _ => None,
            },
            Value::Class(class) => {
                super::models::members_of_enum(class).map(|items| (items, false))
            }
            Value::Instance(_) => match self.attribute(value, "__iter__")? {
                Value::Bound(bound) => {
                    let made =
                        self.call(&Value::Bound(bound), super::calls::Arguments::default())?;
                    if matches!(made, Value::Instance(_)) {
                        None
                    } else {
                        self.elements(&made)?
                    }
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// What stands for each element where they are not known. Reads the rows of a query.
    pub(super) fn element_of(&mut self, value: &Value) -> Evaluated {
        Ok(match value {
            Value::Thing(thing) => match &**thing {
                Thing::Rows(row) => Value::thing(Thing::Row(super::things::Row {
                    optional: false,
                    ..row.clone()
                })),
                Thing::Query(query) => {
                    let row = self.read(query)?;
                    Value::thing(Thing::Row(row))
                }
                Thing::Columns(_) => UNKNOWN,
                _ => Value::Unknown(false),
            },
            Value::Unknown(live) => Value::Unknown(*live),
            _ => UNKNOWN,
        })
    }
}
