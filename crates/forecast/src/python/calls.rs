//! Calls, and what is defined to be called.

use super::interpreter::{Evaluated, Interpreter};
use super::sqlalchemy_objects::{Generator, SqlaObject};
use super::unfollowed::Handed;
use super::value::{Class, Code, Function, Instance, Item, Scope, UNKNOWN, Value};
use crate::SideEffect;
use ruff_python_ast::{Expr, ExprCall, Parameters};
use ruff_text_size::Ranged;
use std::cell::RefCell;
use std::rc::Rc;

/// How often a function may be running already before its calling itself is no longer followed.
const RECURSION: usize = 3;

/// The arguments of a call.
#[derive(Debug, Default, Clone)]
pub(super) struct Arguments {
    /// Those without a name.
    pub(super) positional: Vec<Value>,
    /// Those with one.
    pub(super) named: Vec<(Rc<str>, Value)>,
    /// Whether there may be others.
    pub(super) open: bool,
}

impl Arguments {
    /// Without names.
    pub(super) fn of(positional: Vec<Value>) -> Self {
        Self {
            positional,
            ..Self::default()
        }
    }

    /// An argument by its name.
    pub(super) fn named(&self, name: &str) -> Option<&Value> {
        self.named
            .iter()
            .find(|(own, _)| &**own == name)
            .map(|(_, value)| value)
    }

    /// An argument by position or by one of its names.
    pub(super) fn get(&self, position: usize, names: &[&str]) -> Option<&Value> {
        self.positional
            .get(position)
            .or_else(|| names.iter().find_map(|name| self.named(name)))
    }

    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.positional
            .iter()
            .chain(self.named.iter().map(|(_, value)| value))
    }

    /// What code that is handed them may change.
    pub(super) fn handed(&self) -> Handed {
        Handed {
            effects: self.values().filter_map(Value::side_effects).max(),
            code: self
                .values()
                .filter(|value| value.is_code())
                .cloned()
                .collect(),
        }
    }

    /// A flag: `None` where it is not given, `Some(None)` where it is not known.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.named(name).and_then(Value::truth).unwrap_or(false)
    }
}

impl Interpreter<'_> {
    /// A call.
    pub(super) fn evaluate_call(&mut self, call: &ExprCall) -> Evaluated {
        let (object, name) = match &*call.func {
            Expr::Attribute(attribute) => {
                (self.evaluate(&attribute.value)?, Some(&attribute.attr.id))
            }
            function => (self.evaluate(function)?, None),
        };
        let arguments = self.arguments(call)?;
        self.at(call.range().start());
        // Asked before, as the call takes them; a constant is the usual case.
        let handed = arguments.handed();
        let result = match name {
            Some(name) => self.call_method(&object, name, arguments)?,
            None => self.call_value(&object, arguments)?,
        };
        if let Some(value) = result {
            return Ok(value);
        }
        let object = match (object, name) {
            (Value::Foreign(module), Some(name)) => {
                Value::Foreign(format!("{module}.{name}").into())
            }
            (object, _) => object,
        };
        self.at(call.range().start());
        self.opaque(
            &object,
            name.map(ruff_python_ast::name::Name::as_str),
            handed,
            &self.written(&call.func),
        )
    }

    pub(super) fn arguments(&mut self, call: &ExprCall) -> Evaluated<Arguments> {
        let (items, mut open) = self.evaluate_elements(&call.arguments.args)?;
        open |= items.iter().any(|item| !item.certain);
        let mut named = Vec::with_capacity(call.arguments.keywords.len());
        for keyword in &call.arguments.keywords {
            let value = self.evaluate(&keyword.value)?;
            match (&keyword.arg, &value) {
                (Some(name), _) => named.push((name.id.as_str().into(), value)),
                (None, Value::Dict(dictionary)) => {
                    open |= dictionary.open.get();
                    for (key, item) in dictionary.entries.borrow().iter() {
                        match key {
                            Value::Text(name) if item.certain => {
                                named.push((Rc::clone(name), item.value.clone()));
                            }
                            _ => open = true,
                        }
                    }
                }
                _ => open = true,
            }
        }
        Ok(Arguments {
            positional: items.into_iter().map(|item| item.value).collect(),
            named,
            open,
        })
    }

    /// Calls a value that nobody wrote a call of, such as a property or what `map` is given.
    pub(super) fn call(&mut self, function: &Value, arguments: Arguments) -> Evaluated {
        let handed = arguments.handed();
        match self.call_value(function, arguments)? {
            Some(value) => Ok(value),
            None => self.opaque(function, None, handed, "what is not known before"),
        }
    }

    /// Calls a value; `None` where that cannot be followed.
    pub(super) fn call_value(
        &mut self,
        function: &Value,
        mut arguments: Arguments,
    ) -> Evaluated<Option<Value>> {
        match function {
            Value::Function(function) => self.call_function(function, None, &arguments).map(Some),
            Value::Bound(bound) => {
                arguments.positional.insert(0, bound.0.clone());
                self.call_function(&bound.1, Some(&bound.0), &arguments)
                    .map(Some)
            }
            Value::Method(method) => self.call_method(&method.0, &method.1, arguments),
            Value::Class(class) => self.instantiate(class, arguments).map(Some),
            Value::Instance(_) => match self.attribute(function, "__call__")? {
                Value::Bound(bound) => self.call_value(&Value::Bound(bound), arguments),
                _ => Ok(None),
            },
            Value::Foreign(name) => self.call_foreign(name, arguments),
            Value::Thing(thing) => self.call_thing(thing, arguments),
            _ => Ok(None),
        }
    }

    pub(super) fn call_function(
        &mut self,
        function: &Rc<Function>,
        receiver: Option<&Value>,
        arguments: &Arguments,
    ) -> Evaluated {
        // What was evaluated before in the same statement may have raised, and then the function,
        // whose statements know nothing of that, is not called.
        let perhaps = u32::from(self.maybe.is_some());
        self.doubt += perhaps;
        let result = self.called(function, receiver, arguments);
        self.doubt -= perhaps;
        result
    }

    fn called(
        &mut self,
        function: &Rc<Function>,
        receiver: Option<&Value>,
        arguments: &Arguments,
    ) -> Evaluated {
        let running = self
            .running
            .iter()
            .filter(|other| same_code(other, function))
            .count();
        if running >= RECURSION && (self.doubt > 0 || running > 30) {
            self.unknown("a function that calls itself", SideEffect::Schema)?;
            return Ok(Value::Unknown(true));
        }
        let scope = self.bind(function, receiver, arguments);
        if function.generator {
            return Ok(Value::thing(SqlaObject::Generator(Rc::new(Generator {
                function: Rc::clone(function),
                scope: Rc::new(scope),
            }))));
        }
        if let Code::Definition(code) = &function.code
            && code.is_async
        {
            self.unknown(
                format!("the asynchronous function {}", code.name.id),
                SideEffect::Schema,
            )?;
            return Ok(Value::Unknown(true));
        }
        self.run_body(function, &Rc::new(scope))
    }

    /// Runs the body of a function whose names are bound.
    pub(super) fn run_body(&mut self, function: &Rc<Function>, scope: &Rc<Scope>) -> Evaluated {
        self.running.push(Rc::clone(function));
        let module = Rc::clone(&function.module);
        let result = self.nested(3, |machine| {
            Ok(
                machine.within(Rc::clone(scope), &module, |machine| match &function.code {
                    Code::Lambda(lambda) => machine.evaluate(&lambda.body),
                    Code::Definition(code) => {
                        let outcome = machine.block(&code.body);
                        let value = match (outcome.returned, outcome.normal) {
                            (Some(value), true) => value.join(&Value::None),
                            (Some(value), false) => value,
                            (None, true) => Value::None,
                            (None, false) => {
                                return match outcome.raised {
                                    Some(raised) => Err(raised),
                                    None => Ok(UNKNOWN),
                                };
                            }
                        };
                        if let Some(raised) = outcome.raised {
                            if raised.exhausted {
                                return Err(raised);
                            }
                            machine.maybe = machine.maybe.take().or(Some(raised));
                        }
                        Ok(value)
                    }
                }),
            )
        });
        self.running.pop();
        if let Some(value) = result? {
            value
        } else {
            self.unknown("so many calls within each other", SideEffect::Schema)?;
            Ok(Value::Unknown(true))
        }
    }

    pub(super) fn bind(
        &mut self,
        function: &Function,
        receiver: Option<&Value>,
        arguments: &Arguments,
    ) -> Scope {
        let mut scope = Scope::new(
            Rc::clone(&function.enclosing.module),
            Some(Rc::clone(&function.enclosing)),
            self.doubt,
        );
        if let (Some(class), Some(receiver)) = (function.owner.borrow().upgrade(), receiver) {
            scope.this = Some((class, receiver.clone()));
        }
        let parameters: Option<&Parameters> = match &function.code {
            Code::Definition(code) => Some(&code.parameters),
            Code::Lambda(lambda) => lambda.parameters.as_deref(),
        };
        let Some(parameters) = parameters else {
            return scope;
        };
        let default = |name: &str| {
            let defaults = &function.defaults;
            match defaults.iter().find(|(own, _)| own.as_str() == name) {
                Some((_, value)) if !arguments.open => value.clone(),
                _ => Value::Unknown(true),
            }
        };
        let mut positional = arguments.positional.iter();
        let mut taken: Vec<&str> = Vec::new();
        let mut bound = Vec::new();
        for parameter in parameters.posonlyargs.iter().chain(&parameters.args) {
            let name = &parameter.parameter.name.id;
            let value = match positional.next() {
                Some(value) => value.clone(),
                None => match arguments.named(name) {
                    Some(value) => {
                        taken.push(name);
                        value.clone()
                    }
                    None => default(name),
                },
            };
            bound.push((name.clone(), value));
        }
        for parameter in &parameters.kwonlyargs {
            let name = &parameter.parameter.name.id;
            let value = match arguments.named(name) {
                Some(value) => {
                    taken.push(name);
                    value.clone()
                }
                None => default(name),
            };
            bound.push((name.clone(), value));
        }
        if let Some(rest) = &parameters.vararg {
            let items: Vec<Item> = positional
                .map(|value| Item {
                    value: value.clone(),
                    certain: true,
                })
                .collect();
            let value = if arguments.open {
                Value::List(self.sequence((items, true)))
            } else {
                Value::Tuple(items.into_iter().map(|item| item.value).collect())
            };
            bound.push((rest.name.id.clone(), value));
        }
        if let Some(rest) = &parameters.kwarg {
            let entries = arguments
                .named
                .iter()
                .filter(|(name, _)| !taken.contains(&&**name))
                .map(|(name, value)| (Value::Text(Rc::clone(name)), value.clone()))
                .collect();
            let dictionary = super::value::Dictionary::of(entries, self.doubt);
            dictionary.open.set(arguments.open);
            bound.push((rest.name.id.clone(), Value::Dict(dictionary)));
        }
        *scope.names.borrow_mut() = bound;
        scope
    }

    /// Makes an object.
    pub(super) fn instantiate(&mut self, class: &Rc<Class>, mut arguments: Arguments) -> Evaluated {
        if let Some(kind) = super::types::of_class(class, 0) {
            return Ok(Value::thing(SqlaObject::Type(kind)));
        }
        if super::models::members_of_enum(class).is_some() {
            return Ok(UNKNOWN);
        }
        let instance = Rc::new(Instance {
            class: Rc::clone(class),
            attributes: RefCell::default(),
            born: self.doubt,
            shared: self.is_importing(),
        });
        let value = Value::Instance(Rc::clone(&instance));
        if class.dataclass {
            let mut positional = std::mem::take(&mut arguments.positional).into_iter();
            for field in fields_of(class, 0) {
                let given = positional
                    .next()
                    .or_else(|| arguments.named(&field).cloned());
                let given = match given {
                    Some(given) => given,
                    None => match class.member(&field) {
                        Ok(Some(given)) => given,
                        _ => UNKNOWN,
                    },
                };
                instance.attributes.borrow_mut().push((field, given));
            }
            if let Ok(Some(Value::Function(after))) = class.member("__post_init__") {
                self.call_function(&after, Some(&value), &Arguments::of(vec![value.clone()]))?;
            }
            return Ok(value);
        }
        if let Ok(Some(Value::Function(function))) = class.member("__init__") {
            arguments.positional.insert(0, value.clone());
            self.call_function(&function, Some(&value), &arguments)?;
        } else {
            if !class.is_plain() && self.row_of(class).is_none() {
                // A class that it derives from is not in sight.
                let handed = arguments.handed();
                return self.opaque(&Value::Class(Rc::clone(class)), None, handed, &class.name);
            }
            let mut attributes = instance.attributes.borrow_mut();
            for (name, given) in &arguments.named {
                attributes.push((name.as_ref().into(), given.clone()));
            }
        }
        Ok(value)
    }
}

/// The fields of a dataclass, those of its bases first.
fn fields_of(class: &Class, depth: u32) -> Vec<ruff_python_ast::name::Name> {
    let mut fields = Vec::new();
    for base in &class.bases {
        if let Value::Class(base) = base
            && depth < 20
        {
            fields.extend(fields_of(base, depth + 1));
        }
    }
    for field in &class.fields {
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }
    fields
}

fn same_code(one: &Function, two: &Function) -> bool {
    match (&one.code, &two.code) {
        (Code::Definition(one), Code::Definition(two)) => Rc::ptr_eq(one, two),
        (Code::Lambda(one), Code::Lambda(two)) => Rc::ptr_eq(one, two),
        _ => false,
    }
}
