//! Functions, classes and imports.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::value::{Binding, Class, Code, Function, Scope, Value};
use ruff_python_ast::{
    Expr, ExprLambda, Parameters, Stmt, StmtClassDef, StmtFunctionDef, StmtImport, StmtImportFrom,
};
use ruff_text_size::Ranged;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// Whether statements yield, those of functions within them aside.
pub(super) fn yields(body: &[Stmt]) -> bool {
    use ruff_python_ast::ExceptHandler;
    fn is_yield(expression: &Expr) -> bool {
        match expression {
            Expr::Yield(_) | Expr::YieldFrom(_) => true,
            Expr::Call(call) => call.arguments.args.iter().any(Expr::is_yield_expr),
            _ => false,
        }
    }
    body.iter().any(|statement| match statement {
        Stmt::Expr(expression) => is_yield(&expression.value),
        Stmt::Assign(assign) => is_yield(&assign.value),
        Stmt::Return(back) => back.value.as_ref().is_some_and(|value| is_yield(value)),
        Stmt::For(each) => yields(&each.body) || yields(&each.orelse),
        Stmt::While(repeat) => yields(&repeat.body),
        Stmt::With(with) => yields(&with.body),
        Stmt::If(test) => {
            yields(&test.body)
                || test
                    .elif_else_clauses
                    .iter()
                    .any(|clause| yields(&clause.body))
        }
        Stmt::Try(attempt) => {
            yields(&attempt.body)
                || attempt.handlers.iter().any(|handler| {
                    let ExceptHandler::ExceptHandler(handler) = handler;
                    yields(&handler.body)
                })
                || yields(&attempt.finalbody)
        }
        _ => false,
    })
}

impl Interpreter<'_> {
    pub(super) fn defaults(
        &mut self,
        parameters: &Parameters,
    ) -> Evaluated<Vec<(ruff_python_ast::name::Name, Value)>> {
        let mut defaults = Vec::new();
        for parameter in parameters.iter_non_variadic_params() {
            if let Some(default) = &parameter.default {
                let value = self.evaluate(default)?;
                defaults.push((parameter.parameter.name.id.clone(), value));
            }
        }
        Ok(defaults)
    }

    pub(super) fn enclosing(&self) -> Rc<Scope> {
        match (&self.scope.outer, self.scope.is_class) {
            (Some(outer), true) => Rc::clone(outer),
            _ => Rc::clone(&self.scope),
        }
    }

    /// `lambda`.
    pub(super) fn lambda(&mut self, lambda: &ExprLambda) -> Value {
        let defaults = match &lambda.parameters {
            Some(parameters) => self.defaults(parameters).unwrap_or_default(),
            None => Vec::new(),
        };
        let module = Rc::clone(&self.here.module);
        Value::Function(Rc::new(Function {
            code: Code::Lambda(module.lambda(lambda)),
            module,
            enclosing: self.enclosing(),
            defaults,
            binding: Binding::Plain,
            generator: false,
            owner: RefCell::new(Weak::new()),
        }))
    }

    /// `def`.
    pub(super) fn define(&mut self, function: &StmtFunctionDef) -> Evaluated<()> {
        let mut binding = Binding::Plain;
        let mut others = Vec::new();
        for decorator in &function.decorator_list {
            let name = match &decorator.expression {
                Expr::Name(name) => name.id.as_str(),
                Expr::Attribute(attribute) => attribute.attr.id.as_str(),
                _ => "",
            };
            match name {
                "property" | "cached_property" | "hybrid_property" | "declared_attr" => {
                    binding = Binding::Property;
                }
                "classmethod" => binding = Binding::Class,
                "staticmethod" => binding = Binding::Static,
                // `@name.setter` would hide the property itself.
                "setter" | "deleter" | "expression" | "overload" => return Ok(()),
                _ => others.push(&decorator.expression),
            }
        }
        let defaults = self.defaults(&function.parameters)?;
        let module = Rc::clone(&self.here.module);
        let code = module.function(function);
        let mut value = Value::Function(Rc::new(Function {
            generator: yields(&code.body),
            code: Code::Definition(code),
            module,
            enclosing: self.enclosing(),
            defaults,
            binding,
            owner: RefCell::new(Weak::new()),
        }));
        for decorator in others.into_iter().rev() {
            value = self.decorate(decorator, value)?;
        }
        self.assign(&function.name.id, value);
        Ok(())
    }

    /// What a decorator makes of a function or class: what it returns, if it is followed.
    fn decorate(&mut self, decorator: &Expr, value: Value) -> Evaluated {
        let made = self.evaluate(decorator)?;
        self.at(decorator.range().start());
        let decorated = self.call_value(&made, Arguments::of(vec![value]))?;
        Ok(decorated.unwrap_or(Value::Unknown(true)))
    }

    /// `class`.
    pub(super) fn define_class(&mut self, class: &StmtClassDef) -> Evaluated<()> {
        let mut bases = Vec::new();
        if let Some(arguments) = &class.arguments {
            for base in &arguments.args {
                bases.push(self.evaluate(base)?);
            }
        }
        let dataclass = class.decorator_list.iter().any(|decorator| {
            let name = match &decorator.expression {
                Expr::Call(call) => &*call.func,
                name => name,
            };
            match name {
                Expr::Name(name) => name.id.as_str() == "dataclass",
                Expr::Attribute(attribute) => attribute.attr.id.as_str() == "dataclass",
                _ => false,
            }
        }) || bases
            .iter()
            .any(|base| matches!(base, Value::Foreign(name) if name.ends_with(".NamedTuple")));
        let fields = class
            .body
            .iter()
            .filter_map(|statement| match statement {
                Stmt::AnnAssign(assign) => match &*assign.target {
                    Expr::Name(name) => Some(name.id.clone()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let mut scope = Scope::new(
            Rc::clone(&self.scope.module),
            Some(self.enclosing()),
            self.doubt,
        );
        scope.is_class = true;
        let scope = Rc::new(scope);
        let module = Rc::clone(&self.here.module);
        let here = self.here.offset;
        // Not a call: the line of the migration's own function stays the same.
        let outcome = self.nested(2, |machine| {
            Ok(machine.within(Rc::clone(&scope), &module, |machine| {
                machine.block(&class.body)
            }))
        })?;
        self.here.offset = here;
        if let Some(raised) = outcome.and_then(|outcome| outcome.raised)
            && raised.exhausted
        {
            return Err(raised);
        }
        let members = scope.names.take();
        let is_base = bases.iter().any(
            |base| matches!(base, Value::Foreign(name) if super::metadata::is_declarative(name)),
        );
        let holder = is_base.then(|| {
            let own = members.iter().find(|(name, _)| name.as_str() == "metadata");
            super::metadata::holder_in(own.map(|(_, value)| value))
                .unwrap_or_else(|| self.holder(None))
        });
        let made = Rc::new(Class {
            name: class.name.id.to_string(),
            bases,
            members: RefCell::new(members),
            fields,
            dataclass,
            row: RefCell::default(),
            holder,
        });
        self.hold_model(&made);
        for (_, member) in made.members.borrow().iter() {
            if let Value::Function(function) = member {
                *function.owner.borrow_mut() = Rc::downgrade(&made);
            }
        }
        let mut value = Value::Class(made);
        for decorator in class.decorator_list.iter().rev() {
            value = match self.decorate(&decorator.expression, value.clone())? {
                // One that is not followed registers the class, or adds to it.
                Value::Unknown(_) if !dataclass => Value::Unknown(true),
                Value::Unknown(_) => value,
                decorated => decorated,
            };
        }
        self.assign(&class.name.id, value);
        Ok(())
    }

    /// `import`.
    pub(super) fn import(&mut self, import: &StmtImport) {
        let module = Rc::clone(&self.here.module);
        for alias in &import.names {
            let dotted = alias.name.id.as_str();
            if let Some(name) = &alias.asname {
                let value = self
                    .module_named(dotted, 0, &module)
                    .unwrap_or_else(|| Value::Foreign(dotted.into()));
                self.assign(&name.id, value);
            } else {
                let top = dotted.split('.').next().unwrap_or(dotted);
                let value = self
                    .module_named(top, 0, &module)
                    .unwrap_or_else(|| Value::Foreign(top.into()));
                self.assign(&top.into(), value);
            }
        }
    }

    /// `from ... import ...`.
    pub(super) fn import_from(&mut self, import: &StmtImportFrom) -> Evaluated<()> {
        let dotted = import.module.as_ref().map_or("", |name| name.id.as_str());
        let module = Rc::clone(&self.here.module);
        let source = self.module_named(dotted, import.level, &module);
        for alias in &import.names {
            let name = alias.name.id.as_str();
            if name == "*" {
                continue;
            }
            let mut value = match &source {
                Some(source) => self.attribute_of_module(source, name)?,
                None => None,
            };
            if value.is_none() && import.level > 0 {
                // A folder without `__init__.py` holds modules too.
                let inner = match dotted {
                    "" => name.to_owned(),
                    dotted => format!("{dotted}.{name}"),
                };
                value = self.module_named(&inner, import.level, &module);
            }
            let value = value.unwrap_or_else(|| {
                let dots = ".".repeat(import.level.min(10) as usize);
                Value::Foreign(format!("{dots}{dotted}.{name}").into())
            });
            self.assign(&alias.asname.as_ref().unwrap_or(&alias.name).id, value);
        }
        Ok(())
    }

    /// A name of a module: its own, or a module within it.
    pub(super) fn attribute_of_module(
        &mut self,
        module: &Value,
        name: &str,
    ) -> Evaluated<Option<Value>> {
        match module {
            Value::Module(namespace) => {
                if let Some(value) = self.nested(3, |machine| machine.global(namespace, name))? {
                    return Ok(Some(value));
                }
                let file = &namespace.module.path;
                if file.file_name().is_some_and(|name| name == "__init__.py")
                    && let Some(path) = self.project.find_near(file, 1, name)
                    && let Ok(inner) = self.project.namespace(&path)
                {
                    return Ok(Some(Value::Module(inner)));
                }
                if !name.starts_with("__")
                    && let Some(function @ Value::Function(_)) =
                        self.global(namespace, "__getattr__")?
                {
                    let arguments = Arguments::of(vec![Value::text(name)]);
                    return self.call(&function, arguments).map(Some);
                }
                Ok(None)
            }
            Value::Foreign(dotted) => {
                if name == "TYPE_CHECKING" && dotted.starts_with("typing") {
                    return Ok(Some(Value::Bool(false)));
                }
                // A module of a namespace package, which has no `__init__.py`.
                let dotted = format!("{dotted}.{name}");
                let path = self.project.find(&dotted);
                let found = path.and_then(|path| self.project.namespace(&path).ok());
                Ok(Some(found.map_or_else(
                    || Value::Foreign(dotted.into()),
                    Value::Module,
                )))
            }
            _ => Ok(None),
        }
    }
}
