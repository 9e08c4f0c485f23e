//! Functions of installed packages, followed as far as they are Python that can be read.
//!
//! What they do to the database is told like anything else. Anything that is not followed in there makes
//! their call unknown, once, at the line that calls them: nobody reads the migration to learn about a
//! package. For the same reason what they raise is not known for certain.

use super::calls::Arguments;
use super::harmless;
use super::interpreter::{Evaluated, Interpreter, Spot};
use super::value::Value;
use crate::SideEffect;

/// How many steps one call may take.
pub(super) const STEPS: u32 = 20_000;

/// A call of an installed package that is being followed.
pub(super) struct PackageCall {
    /// Where it is called.
    pub(super) spot: Spot,
    /// Its name.
    pub(super) name: String,
    /// The step at which it is given up.
    pub(super) limit: u32,
    /// Whether something was met that is not followed.
    pub(super) is_unknown: bool,
}

impl Interpreter<'_> {
    /// Calls a function of an installed package; `None` where there is none that can be read.
    pub(super) fn call_installed(
        &mut self,
        name: &str,
        arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        if harmless::is_harmless(name) || harmless::is_maker(name) {
            return Ok(None);
        }
        if self.package.is_some() {
            return self.call_in_package(name, arguments);
        }
        self.package = Some(PackageCall {
            spot: self.here.clone(),
            name: name.to_owned(),
            limit: self.steps_so_far() + STEPS,
            is_unknown: false,
        });
        let maybe = self.maybe.take();
        let result = self.call_in_package(name, arguments);
        let is_unknown = self.package.take().is_some_and(|call| call.is_unknown);
        self.maybe = match self.maybe.take() {
            Some(raised) if raised.database => maybe.or(Some(raised)),
            _ => maybe,
        };
        match result {
            Err(raised) if !raised.database => {
                if !is_unknown {
                    self.unknown(format!("the call of {name}"), SideEffect::Schema)?;
                }
                Ok(Some(Value::Unknown(true)))
            }
            Ok(Some(_)) if is_unknown => Ok(Some(Value::Unknown(true))),
            result => result,
        }
    }

    fn call_in_package(&mut self, name: &str, arguments: Arguments) -> Evaluated<Option<Value>> {
        match self.installed(name)? {
            Some(function) => self.call_value(&function, arguments),
            None => Ok(None),
        }
    }

    /// The function or class of that name, behind the longest name that is a module.
    fn installed(&mut self, name: &str) -> Evaluated<Option<Value>> {
        let parts: Vec<&str> = name.split('.').collect();
        let found = (1..parts.len()).rev().find_map(|at| {
            let path = self.project.find_installed(&parts[..at].join("."))?;
            Some((self.project.namespace(&path).ok()?, at))
        });
        let Some((namespace, at)) = found else {
            return Ok(None);
        };
        let mut value = Value::Module(namespace);
        for part in &parts[at..] {
            value = self.attribute(&value, part)?;
        }
        Ok(match value {
            Value::Function(_) | Value::Class(_) | Value::Bound(_) | Value::Thing(_) => Some(value),
            _ => None,
        })
    }
}
