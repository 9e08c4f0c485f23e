//! Methods of text.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::operators::{push, text_of};
use super::value::{Sequence, UNKNOWN, Value};
use std::rc::Rc;

impl Interpreter<'_> {
    /// A method of a text.
    pub(super) fn text_method(
        &mut self,
        text: &str,
        name: &str,
        arguments: &Arguments,
    ) -> Evaluated<Option<Value>> {
        let first = arguments.positional.first();
        let word = first.and_then(Value::as_text);
        Ok(Some(match (name, word) {
            ("lower", _) => Value::text(text.to_lowercase()),
            ("upper", _) => Value::text(text.to_uppercase()),
            ("title" | "capitalize", _) => {
                let mut characters = text.chars();
                match characters.next() {
                    Some(start) if name == "capitalize" || !text.contains([' ', '_', '-']) => {
                        Value::text(
                            start.to_uppercase().collect::<String>()
                                + &characters.as_str().to_lowercase(),
                        )
                    }
                    _ => UNKNOWN,
                }
            }
            ("strip", None) if first.is_none() => Value::text(text.trim()),
            ("lstrip", None) if first.is_none() => Value::text(text.trim_start()),
            ("rstrip", None) if first.is_none() => Value::text(text.trim_end()),
            ("strip", Some(set)) => Value::text(text.trim_matches(|c| set.contains(c))),
            ("lstrip", Some(set)) => Value::text(text.trim_start_matches(|c| set.contains(c))),
            ("rstrip", Some(set)) => Value::text(text.trim_end_matches(|c| set.contains(c))),
            ("startswith", Some(word)) => Value::Bool(text.starts_with(word)),
            ("endswith", Some(word)) => Value::Bool(text.ends_with(word)),
            ("removeprefix", Some(word)) => Value::text(text.strip_prefix(word).unwrap_or(text)),
            ("removesuffix", Some(word)) => Value::text(text.strip_suffix(word).unwrap_or(text)),
            ("replace", Some(old)) => match arguments.positional.get(1).and_then(Value::as_text) {
                Some(new) if new.len().saturating_mul(text.len()) < (1 << 20) => {
                    Value::text(text.replace(old, new))
                }
                _ => UNKNOWN,
            },
            ("split", Some(word)) if !word.is_empty() && arguments.positional.len() == 1 => {
                let parts = text.split(word).map(Value::text).collect();
                Value::List(Sequence::of(parts, self.doubt))
            }
            ("split", None) if first.is_none() => {
                let parts = text.split_whitespace().map(Value::text).collect();
                Value::List(Sequence::of(parts, self.doubt))
            }
            ("splitlines", _) => {
                let parts = text.lines().map(Value::text).collect();
                Value::List(Sequence::of(parts, self.doubt))
            }
            ("join", _) => match first {
                Some(values) => self.joined(text, values)?,
                None => UNKNOWN,
            },
            ("format", _) => self.formatted(text, arguments),
            ("encode", _) => UNKNOWN,
            _ => UNKNOWN,
        }))
    }

    pub(super) fn joined(&mut self, separator: &str, values: &Value) -> Evaluated {
        let Some((items, open)) = self.elements(values)? else {
            return Ok(UNKNOWN);
        };
        if open || items.iter().any(|item| !item.certain) {
            return Ok(Value::Holed(Rc::from([None])));
        }
        let mut pieces = Vec::new();
        let mut size = 0;
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                push(&mut pieces, Some(separator));
            }
            self.push_value(&mut pieces, &item.value);
            size += separator.len() + item.value.as_text().map_or(0, str::len);
            if size > (1 << 20) {
                return Ok(UNKNOWN);
            }
        }
        Ok(text_of(pieces))
    }

    pub(super) fn formatted(&mut self, text: &str, arguments: &Arguments) -> Value {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut next = 0;
        while let Some(index) = rest.find(['{', '}']) {
            push(&mut pieces, Some(&rest[..index]));
            let brace = &rest[index..=index];
            let after = &rest[index + 1..];
            if let Some(escaped) = after.strip_prefix(brace) {
                push(&mut pieces, Some(brace));
                rest = escaped;
                continue;
            }
            let Some((field, tail)) = after.split_once('}') else {
                return UNKNOWN;
            };
            rest = tail;
            let value = if field.is_empty() {
                next += 1;
                arguments.positional.get(next - 1)
            } else if let Ok(index) = field.parse::<usize>() {
                arguments.positional.get(index)
            } else {
                arguments.named(field)
            };
            match value.cloned() {
                Some(value) => self.push_value(&mut pieces, &value),
                None => push(&mut pieces, None),
            }
        }
        push(&mut pieces, Some(rest));
        text_of(pieces)
    }
}
