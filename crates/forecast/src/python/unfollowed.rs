//! Calls that are not followed: unknown, unless what is called is harmless.

use super::calls::Arguments;
use super::harmless;
use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::SqlaObject;
use super::value::{UNKNOWN, Value};
use crate::SideEffect;

/// Methods of Python's collections and texts.
const COLLECTING: &str = "add append copy count discard extend format get index insert items join keys pop remove \
 setdefault sort union update values";

/// What a call is handed.
pub(super) struct Handed {
    /// What its arguments may be used to change.
    pub(super) effects: Option<SideEffect>,
    /// The code among them, which may be run.
    pub(super) code: Vec<Value>,
}

impl Handed {
    fn is_nothing(&self) -> bool {
        self.effects.is_none() && self.code.is_empty()
    }
}

impl Interpreter<'_> {
    /// A call that cannot be followed: of nothing harmless, it may do anything.
    pub(super) fn opaque(
        &mut self,
        object: &Value,
        name: Option<&str>,
        handed: Handed,
        written: &str,
    ) -> Evaluated {
        self.risks += 1;
        if is_harmless_call(object, name, &handed) || harmless::is_logging(written) {
            // Such as the `default` of `json.dumps`.
            for code in &handed.code {
                let value = Value::Unknown(handed.effects.is_some());
                let arguments = Arguments::of(vec![value; 4]);
                let maybe = self.maybe.take();
                self.tries += 1;
                let result = self.perhaps(|machine| machine.call(code, arguments));
                self.tries -= 1;
                result?;
                // What it raises is for whoever calls it: values that are not known say nothing of that.
                self.maybe = maybe.or(self.maybe.take().filter(|raised| raised.database));
            }
            return Ok(UNKNOWN);
        }
        let extent = match object {
            // It finds its own way to the database.
            Value::Foreign(_) | Value::None => SideEffect::Schema,
            _ => object
                .side_effects()
                .max(handed.effects)
                .unwrap_or(SideEffect::Rows),
        };
        // What a module does while it is imported is done before the step, and not by it.
        if !self.is_importing() || handed.effects == Some(SideEffect::Schema) {
            self.unknown(format!("the call of {written}"), extent)?;
        }
        Ok(Value::Unknown(true))
    }
}

/// Whether a call that is not followed does nothing to the database.
fn is_harmless_call(object: &Value, name: Option<&str>, handed: &Handed) -> bool {
    match (object, name) {
        (Value::Foreign(foreign), _) => {
            harmless::is_harmless(foreign) || harmless::is_maker(foreign) && handed.is_nothing()
        }
        // What was read or computed: texts, numbers, collections.
        (Value::Unknown(false), Some(name)) => {
            harmless::is_reading(name)
                && (handed.is_nothing()
                    || COLLECTING.split_ascii_whitespace().any(|own| own == name))
        }
        (
            Value::Text(_) | Value::Holed(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_),
            _,
        ) => true,
        (Value::List(_) | Value::Set(_) | Value::Dict(_) | Value::Tuple(_), _) => true,
        (Value::Method(method), _) => !method.0.is_live(),
        (Value::Thing(thing), Some(_)) => matches!(
            &**thing,
            SqlaObject::Inspector | SqlaObject::Row(_) | SqlaObject::Rows(_) | SqlaObject::Dialect
        ),
        _ => false,
    }
}
