//! Expressions.

use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::SqlaObject;
use super::value::{Item, Sequence, UNKNOWN, Value};
use crate::SideEffect;
use ruff_python_ast::{Expr, FStringPart, InterpolatedStringElement, Number, UnaryOp};
use ruff_text_size::Ranged;
use std::rc::Rc;

/// How many elements a list or text may come to have.
pub(super) const SIZE: usize = 20_000;

impl Interpreter<'_> {
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
                    // `__file__`.
                    None if name.id.starts_with("__") => Ok(UNKNOWN),
                    // Calling it is unknown: nobody knows a function of that name.
                    None => Ok(Value::Foreign(format!("?.{}", name.id).into())),
                }
            }
            _ => self.nested(1, |machine| machine.evaluate_nested(expression)),
        }
    }

    pub(super) fn evaluate_nested(&mut self, expression: &Expr) -> Evaluated {
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
                self.overloaded(&[&object])?;
                self.element(&object, &key)
            }
            Expr::BinOp(operation) => {
                let left = self.evaluate(&operation.left)?;
                let right = self.evaluate(&operation.right)?;
                self.overloaded(&[&left, &right])?;
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
                self.give(value)
            }
            Expr::YieldFrom(values) => {
                let values = self.evaluate(&values.value)?;
                if let Some((items, _)) = self.elements(&values)? {
                    for item in items {
                        self.give(item.value)?;
                    }
                } else {
                    let element = self.element_of(&values)?;
                    self.doubt += 1;
                    let given = self.give(element);
                    self.doubt -= 1;
                    given?;
                }
                Ok(UNKNOWN)
            }
            Expr::Await(value) => {
                self.at(expression.range().start());
                self.unknown("asynchronous code", SideEffect::Schema)?;
                self.evaluate(&value.value)
            }
            _ => Ok(UNKNOWN),
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

    pub(super) fn evaluate_and_or(&mut self, operation: &ruff_python_ast::ExprBoolOp) -> Evaluated {
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

    pub(super) fn evaluate_unary(&mut self, operator: UnaryOp, value: &Value) -> Evaluated {
        Ok(match (operator, value) {
            (UnaryOp::Not, value) => match self.truth(value)? {
                Some(truth) => Value::Bool(!truth),
                None => UNKNOWN,
            },
            (UnaryOp::USub, Value::Int(number)) => number.checked_neg().map_or(UNKNOWN, Value::Int),
            (UnaryOp::USub, Value::Float(number)) => Value::Float(-number),
            (UnaryOp::UAdd, value) => value.clone(),
            (_, Value::Thing(thing)) => match super::models::mentions(thing) {
                Some(mentions) => Value::thing(SqlaObject::Expression(mentions)),
                None => UNKNOWN,
            },
            _ => UNKNOWN,
        })
    }

    pub(super) fn evaluate_if(&mut self, test: &ruff_python_ast::ExprIf) -> Evaluated {
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

    pub(super) fn evaluate_fstring(&mut self, text: &ruff_python_ast::ExprFString) -> Evaluated {
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
}
