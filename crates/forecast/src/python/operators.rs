//! Operators, comparisons and truth.

use super::evaluate::SIZE;
use super::interpreter::{Evaluated, Interpreter};
use super::models;
use super::sqlalchemy_objects::{Mentions, SqlaObject};
use super::value::{Dictionary, Item, Sequence, UNKNOWN, Value, any};
use crate::SideEffect;
use ruff_python_ast::Operator;
use std::rc::Rc;

/// Adds a piece of text; `None` is a hole.
pub(super) fn push(pieces: &mut Vec<Option<String>>, text: Option<&str>) {
    match (pieces.last_mut(), text) {
        (Some(Some(last)), Some(text)) => last.push_str(text),
        (Some(None), None) => {}
        (_, Some("")) => {}
        (_, text) => pieces.push(text.map(str::to_owned)),
    }
}

/// The value of pieces of text.
pub(super) fn text_of(mut pieces: Vec<Option<String>>) -> Value {
    match pieces.len() {
        0 => Value::text(""),
        1 => match pieces.pop() {
            Some(Some(text)) => Value::text(text),
            _ => Value::Holed(Rc::from([None])),
        },
        _ => Value::Holed(pieces.into()),
    }
}

/// The pieces of a text; a hole for anything else.
pub(super) fn pieces_of(value: &Value) -> Vec<Option<String>> {
    match value {
        Value::Text(text) => vec![Some(text.to_string())],
        Value::Holed(pieces) => pieces.to_vec(),
        Value::Thing(thing) => match &**thing {
            SqlaObject::Clause(pieces) => pieces.to_vec(),
            _ => vec![None],
        },
        _ => vec![None],
    }
}

impl Interpreter<'_> {
    /// The truth of a value, where it is known.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "one day `__bool__` is followed"
    )]
    pub(super) fn truth(&mut self, value: &Value) -> Evaluated<Option<bool>> {
        Ok(value.truth())
    }

    /// An operator of an object whose class defines operators, or may: that is a call like any other.
    pub(super) fn overloaded(&mut self, values: &[&Value]) -> Evaluated<()> {
        for value in values {
            if let Value::Instance(instance) = value
                && instance.class.has_operators()
            {
                let what = format!("an operator of {}", instance.class.name);
                self.unknown(what, SideEffect::Schema)?;
            }
        }
        Ok(())
    }

    /// Adds what `str()` makes of a value.
    pub(super) fn push_value(&mut self, pieces: &mut Vec<Option<String>>, value: &Value) {
        match value {
            Value::Text(text) => push(pieces, Some(text)),
            Value::Holed(parts) => {
                for part in parts.iter() {
                    push(pieces, part.as_deref());
                }
            }
            Value::Int(number) => push(pieces, Some(&number.to_string())),
            Value::Bool(true) => push(pieces, Some("True")),
            Value::Bool(false) => push(pieces, Some("False")),
            Value::None => push(pieces, Some("None")),
            Value::Thing(thing) => match &**thing {
                SqlaObject::Clause(parts) => {
                    for part in parts.iter() {
                        push(pieces, part.as_deref());
                    }
                }
                SqlaObject::Table(table) => {
                    push(
                        pieces,
                        table.name.as_ref().map(ToString::to_string).as_deref(),
                    );
                }
                SqlaObject::Exception(_, Some(message)) => push(pieces, Some(message)),
                _ => push(pieces, None),
            },
            Value::List(_) | Value::Tuple(_) => {
                let shown = shown(value, 0);
                push(pieces, shown.as_deref());
            }
            _ => push(pieces, None),
        }
    }

    /// `left op right`.
    pub(super) fn combine(&mut self, left: &Value, operator: Operator, right: &Value) -> Value {
        if let Some(mentions) = expression_of(left, right) {
            return Value::thing(SqlaObject::Expression(mentions));
        }
        match (operator, left, right) {
            (Operator::Add, Value::Int(one), Value::Int(two)) => {
                one.checked_add(*two).map_or(UNKNOWN, Value::Int)
            }
            (Operator::Sub, Value::Int(one), Value::Int(two)) => {
                one.checked_sub(*two).map_or(UNKNOWN, Value::Int)
            }
            (Operator::Mult, Value::Int(one), Value::Int(two)) => {
                one.checked_mul(*two).map_or(UNKNOWN, Value::Int)
            }
            (Operator::FloorDiv, Value::Int(one), Value::Int(two)) if *two > 0 => {
                Value::Int(one.div_euclid(*two))
            }
            (Operator::Mod, Value::Int(one), Value::Int(two)) if *two > 0 => {
                Value::Int(one.rem_euclid(*two))
            }
            (Operator::Mult, Value::Text(text), Value::Int(times))
            | (Operator::Mult, Value::Int(times), Value::Text(text)) => {
                let times = usize::try_from(*times).unwrap_or(0);
                match text.len().checked_mul(times) {
                    Some(size) if size <= (1 << 16) => Value::text(text.repeat(times)),
                    _ => UNKNOWN,
                }
            }
            (Operator::Add, Value::Text(_) | Value::Holed(_), _)
            | (Operator::Add, _, Value::Text(_) | Value::Holed(_)) => {
                let mut pieces = Vec::new();
                for side in [left, right] {
                    for piece in pieces_of(side) {
                        push(&mut pieces, piece.as_deref());
                    }
                }
                if pieces.iter().flatten().map(String::len).sum::<usize>() > (1 << 20) {
                    return UNKNOWN;
                }
                text_of(pieces)
            }
            (Operator::Mod, Value::Text(format), _) => self.percent(format, right),
            (Operator::Mod, Value::Holed(_), _) => Value::Holed(Rc::from([None])),
            (Operator::Add, Value::List(one), Value::List(two)) => self.concatenated(one, two),
            (Operator::Add, Value::Tuple(one), Value::Tuple(two)) => {
                if one.len() + two.len() > SIZE {
                    return UNKNOWN;
                }
                Value::Tuple(one.iter().chain(two.iter()).cloned().collect())
            }
            (
                Operator::BitAnd | Operator::BitOr | Operator::Sub | Operator::BitXor,
                Value::Set(one),
                Value::Set(two),
            ) => self.set_operation(operator, one, two),
            (Operator::BitOr, Value::Dict(_), Value::Dict(_)) => {
                let result = Dictionary::of(Vec::new(), self.doubt);
                self.merge_into(&result, left);
                self.merge_into(&result, right);
                Value::Dict(result)
            }
            // `Path(...) / "name"` and everything else.
            _ => Self::unknown_of(&[left, right]),
        }
    }

    /// `left op= right`, which changes a list in place.
    pub(super) fn augment(&mut self, left: &Value, operator: Operator, right: &Value) -> Value {
        if let (Value::List(list), Operator::Add) = (left, operator) {
            match self.elements(right) {
                Ok(Some((items, open))) => {
                    for item in items {
                        self.add_item(list, item.value, item.certain);
                    }
                    list.open.set(list.open.get() || open);
                }
                _ => list.open.set(true),
            }
            return left.clone();
        }
        self.combine(left, operator, right)
    }

    pub(super) fn concatenated(&self, one: &Rc<Sequence>, two: &Rc<Sequence>) -> Value {
        let mut items = one.items.borrow().clone();
        items.extend(two.items.borrow().iter().cloned());
        let mut open = one.open.get() || two.open.get();
        if items.len() > SIZE {
            items.truncate(SIZE);
            open = true;
        }
        Value::List(self.sequence((items, open)))
    }

    /// A set made of two.
    pub(super) fn set_operation(
        &self,
        operator: Operator,
        one: &Rc<Sequence>,
        two: &Rc<Sequence>,
    ) -> Value {
        let (first, second) = (one.items.borrow(), two.items.borrow());
        if first.len() > 500 || second.len() > 500 {
            return UNKNOWN;
        }
        let among = |item: &Item, others: &[Item], open: bool| -> Option<bool> {
            let found = any(others
                .iter()
                .map(|other| match item.value.equals(&other.value) {
                    Some(true) if !other.certain => None,
                    equal => equal,
                }));
            match found {
                Some(false) if open => None,
                found => found,
            }
        };
        let pick = |items: &[Item], others: &[Item], open: bool, wanted: bool| -> Vec<Item> {
            items
                .iter()
                .filter_map(|item| match among(item, others, open) {
                    Some(found) => (found == wanted).then(|| item.clone()),
                    None => Some(Item {
                        value: item.value.clone(),
                        certain: false,
                    }),
                })
                .collect()
        };
        let (first_open, second_open) = (one.open.get(), two.open.get());
        match operator {
            Operator::BitAnd => {
                let items = pick(&first, &second, second_open, true);
                self.set_of(items, first_open)
            }
            Operator::Sub => {
                let items = pick(&first, &second, second_open, false);
                self.set_of(items, first_open)
            }
            Operator::BitOr => {
                let items = first.iter().chain(second.iter()).cloned().collect();
                self.set_of(items, first_open || second_open)
            }
            _ => UNKNOWN,
        }
    }

    /// `format % values`.
    pub(super) fn percent(&mut self, format: &str, values: &Value) -> Value {
        let mut pieces = Vec::new();
        let mut arguments = match values {
            Value::Tuple(values) => values.to_vec(),
            other => vec![other.clone()],
        }
        .into_iter();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            push(&mut pieces, Some(before));
            let mut after = after;
            let named = if let Some((name, tail)) = after
                .strip_prefix('(')
                .and_then(|tail| tail.split_once(')'))
            {
                after = tail;
                Some(name)
            } else {
                None
            };
            let mut characters = after.chars();
            match characters.next() {
                Some('%') => push(&mut pieces, Some("%")),
                Some('s' | 'd' | 'i') => {
                    let value = match (named, values) {
                        (Some(name), Value::Dict(dictionary)) => self
                            .entry(dictionary, &Value::text(name))
                            .unwrap_or(UNKNOWN),
                        (Some(_), _) => UNKNOWN,
                        (None, _) => arguments.next().unwrap_or(UNKNOWN),
                    };
                    self.push_value(&mut pieces, &value);
                }
                _ => {
                    // Another conversion: how long the rest of it is does not matter.
                    push(&mut pieces, None);
                    arguments.next();
                }
            }
            rest = characters.as_str();
        }
        push(&mut pieces, Some(rest));
        text_of(pieces)
    }
}

/// What `repr()` makes of literals.
fn shown(value: &Value, depth: u32) -> Option<String> {
    if depth > 5 {
        return None;
    }
    let join = |values: Vec<Option<String>>| -> Option<String> {
        Some(values.into_iter().collect::<Option<Vec<_>>>()?.join(", "))
    };
    match value {
        Value::Text(text) if !text.contains(['\'', '\\', '\n']) => Some(format!("'{text}'")),
        Value::Int(number) => Some(number.to_string()),
        Value::None => Some("None".to_owned()),
        Value::Tuple(values) => {
            let inner = join(values.iter().map(|value| shown(value, depth + 1)).collect())?;
            Some(if values.len() == 1 {
                format!("({inner},)")
            } else {
                format!("({inner})")
            })
        }
        Value::List(list) if list.is_exact() => {
            let items = list.items.borrow();
            let inner = join(
                items
                    .iter()
                    .map(|item| shown(&item.value, depth + 1))
                    .collect(),
            )?;
            Some(format!("[{inner}]"))
        }
        _ => None,
    }
}

/// What two sides of an operator name, if one of them is an expression of SQL.
pub(super) fn expression_of(left: &Value, right: &Value) -> Option<Mentions> {
    let of = |value: &Value| value.as_thing().and_then(models::mentions);
    match (of(left), of(right)) {
        (None, None) => None,
        (Some(mentions), None) | (None, Some(mentions)) => Some(mentions),
        (Some(mut one), Some(two)) => {
            if one.len() < 200 {
                one.extend(two);
            }
            Some(one)
        }
    }
}
