//! Comparisons and membership.

use super::interpreter::{Evaluated, Interpreter};
use super::operators::expression_of;
use super::sqlalchemy_objects::SqlaObject;
use super::value::{UNKNOWN, Value};
use ruff_python_ast::CmpOp;
use std::rc::Rc;

pub(super) fn ordered<T: PartialOrd + ?Sized>(operator: CmpOp, one: &T, two: &T) -> bool {
    match operator {
        CmpOp::Lt => one < two,
        CmpOp::Gt => one > two,
        CmpOp::LtE => one <= two,
        _ => one >= two,
    }
}

impl Interpreter<'_> {
    /// A chain of comparisons.
    pub(super) fn evaluate_compare(&mut self, compare: &ruff_python_ast::ExprCompare) -> Evaluated {
        let mut left = self.evaluate(&compare.left)?;
        let mut result: Option<Value> = None;
        for (operator, right) in compare.ops.iter().zip(&compare.comparators) {
            let right = self.evaluate(right)?;
            if !matches!(operator, CmpOp::Is | CmpOp::IsNot) {
                self.overloaded(&[&left, &right])?;
            }
            let value = self.compare(&left, *operator, &right)?;
            if value.truth() == Some(false) {
                return Ok(Value::Bool(false));
            }
            result = Some(match result {
                Some(earlier) if earlier.truth().is_none() => UNKNOWN,
                _ => value,
            });
            left = right;
        }
        Ok(result.unwrap_or(UNKNOWN))
    }

    pub(super) fn compare(&mut self, left: &Value, operator: CmpOp, right: &Value) -> Evaluated {
        if !matches!(
            operator,
            CmpOp::Is | CmpOp::IsNot | CmpOp::In | CmpOp::NotIn
        ) && let Some(mentions) = expression_of(left, right)
        {
            return Ok(Value::thing(SqlaObject::Expression(mentions)));
        }
        let truth = match operator {
            CmpOp::Eq | CmpOp::Is => left.equals(right),
            CmpOp::NotEq | CmpOp::IsNot => left.equals(right).map(|equal| !equal),
            CmpOp::In => self.contains(right, left)?,
            CmpOp::NotIn => self.contains(right, left)?.map(|contained| !contained),
            CmpOp::Lt | CmpOp::Gt | CmpOp::LtE | CmpOp::GtE => match (left, right) {
                (Value::Int(one), Value::Int(two)) => Some(ordered(operator, one, two)),
                (Value::Text(one), Value::Text(two)) => Some(ordered(operator, one, two)),
                (Value::Tuple(one), Value::Tuple(two)) => {
                    let numbers = |values: &[Value]| -> Option<Vec<i64>> {
                        values
                            .iter()
                            .map(|value| match value {
                                Value::Int(number) => Some(*number),
                                _ => None,
                            })
                            .collect()
                    };
                    match (numbers(one), numbers(two)) {
                        (Some(one), Some(two)) => Some(ordered(operator, &one, &two)),
                        _ => None,
                    }
                }
                (Value::Set(one), Value::Set(two)) if operator == CmpOp::LtE => {
                    let (inner, outer) = (one.items.borrow().clone(), Value::Set(Rc::clone(two)));
                    let open = one.open.get();
                    let mut all = Some(true);
                    for item in inner {
                        match self.contains(&outer, &item.value)? {
                            Some(true) => {}
                            Some(false) if item.certain => return Ok(Value::Bool(false)),
                            _ => all = None,
                        }
                    }
                    if open { None } else { all }
                }
                _ => None,
            },
        };
        Ok(truth.map_or(UNKNOWN, Value::Bool))
    }

    /// `value in container`.
    pub(super) fn contains(&mut self, container: &Value, value: &Value) -> Evaluated<Option<bool>> {
        match (container, value) {
            (Value::Text(text), Value::Text(part)) => return Ok(Some(text.contains(&**part))),
            (Value::Text(_) | Value::Holed(_) | Value::Unknown(_), _) => return Ok(None),
            (Value::Thing(thing), Value::Text(name)) => {
                return Ok(match &**thing {
                    SqlaObject::Columns(table) => {
                        let found = table
                            .columns
                            .borrow()
                            .iter()
                            .any(|column| column.definition.name == **name);
                        if found {
                            Some(true)
                        } else if table.reflected {
                            None
                        } else {
                            Some(false)
                        }
                    }
                    _ => None,
                });
            }
            (Value::Thing(_), _) => return Ok(None),
            _ => {}
        }
        let Some((items, open)) = self.elements(container)? else {
            return Ok(None);
        };
        let mut unknown = open;
        for item in items {
            match item.value.equals(value) {
                Some(true) if item.certain => return Ok(Some(true)),
                Some(false) => {}
                _ => unknown = true,
            }
        }
        Ok((!unknown).then_some(false))
    }
}
