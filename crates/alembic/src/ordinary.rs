//! Whether `env.py` lets several steps share a process.
//!
//! A step that is kept by itself ends the transaction that `env.py` began, so that what was set for the first step may be
//! gone for the second one. Only the shapes of Alembic's, Flask-Migrate's and Superset's own templates are known to do
//! nothing of the kind; whatever differs in more than how the URL, the metadata and the arguments of `configure` are
//! computed is not ordinary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, ExprAttribute, ExprCall, ExprContext, Stmt, StmtTry, StmtWith};

use python_source::{source, syntax};

/// What acts on a connection or a transaction, or has something do so later.
const ACTING: [&str; 26] = [
    "autocommit_block",
    "begin",
    "begin_nested",
    "begin_twophase",
    "commit",
    "cursor",
    "detach",
    "driver_connection",
    "eval",
    "exec",
    "exec_driver_sql",
    "execute",
    "executemany",
    "execution_options",
    "get_bind",
    "get_context",
    "get_raw_connection",
    "invalidate",
    "listen",
    "listens_for",
    "raw_connection",
    "rollback",
    "scalar",
    "scalars",
    "set_isolation_level",
    "stream",
];

/// Arguments of `configure` that have code of the project run during a step, or choose what runs.
const TELLING: [&str; 2] = ["fn", "on_version_apply"];

/// Reads the file in this folder; the error says why it is not ordinary.
pub(super) fn read(directory: Option<&Path>) -> Result<(), String> {
    let file = directory.ok_or("the folder of env.py is not known")?;
    let text = source::read(&file.join("env.py"))
        .map_err(|reason| format!("env.py cannot be read: {reason}"))?;
    of(&text).map_err(|reason| format!("env.py is not one of the known shapes: {reason}"))
}

fn of(text: &str) -> Result<(), String> {
    let read = || {
        let module = syntax::parse(text)?.into_syntax();
        let mut shape = Shape::default();
        shape.visit_body(&module.body);
        shape.verdict()
    };
    syntax::on_a_deep_stack(read).unwrap_or_else(|| Err("it cannot be read".to_owned()))
}

/// What was seen of the file.
#[derive(Default)]
struct Shape<'a> {
    /// The functions around the present place.
    functions: Vec<&'a str>,
    acting: Option<&'a str>,
    /// The names that connections have.
    connections: BTreeSet<&'a str>,
    /// How often each name is read.
    reads: BTreeMap<&'a str, usize>,
    /// How often of these in a place that does nothing with it.
    idle_reads: BTreeMap<&'a str, usize>,
    /// Names that are handed to functions of these names.
    handed: Vec<(&'a str, &'a str)>,
    /// The functions in which migrations are configured with a connection.
    online: Vec<Option<&'a str>>,
    runs: usize,
    placed_runs: usize,
    /// How many loops are around the present place.
    loops: usize,
    /// Calls of functions that have a name, and where they stand.
    calls: Vec<Called<'a>>,
}

struct Called<'a> {
    function: &'a str,
    /// The function that it stands in.
    within: Option<&'a str>,
    in_a_loop: bool,
}

impl Shape<'_> {
    fn verdict(mut self) -> Result<(), String> {
        if let Some(name) = self.acting {
            return Err(format!("it uses {name}"));
        }
        let [online] = self.online.as_slice() else {
            return Err("it does not configure one connection".to_owned());
        };
        if !self.is_reached_once(*online) {
            return Err("it may run migrations more than once".to_owned());
        }
        if self.runs != self.placed_runs {
            return Err(
                "run_migrations stands elsewhere than alone in begin_transaction".to_owned(),
            );
        }
        for (function, name) in &self.handed {
            if Some(*function) == *online {
                *self.idle_reads.entry(name).or_default() += 1;
            }
        }
        let used = self
            .connections
            .iter()
            .find(|name| self.reads.get(*name) != self.idle_reads.get(*name));
        match used {
            Some(name) => Err(format!("it does something else with {name}")),
            None => Ok(()),
        }
    }
}

impl<'a> Shape<'a> {
    /// Whether a function, and whatever calls it, is called in one place only, and in no loop. Projects of several
    /// databases run the same function for each.
    fn is_reached_once(&self, function: Option<&'a str>) -> bool {
        let mut next = function;
        let mut seen = BTreeSet::new();
        while let Some(name) = next {
            let mut calls = self.calls.iter().filter(|call| call.function == name);
            let (Some(call), None) = (calls.next(), calls.next()) else {
                return false;
            };
            if call.in_a_loop || self.reads.get(name) != Some(&1) || !seen.insert(name) {
                return false;
            }
            next = call.within;
        }
        true
    }

    fn called(&mut self, function: &'a str) {
        self.calls.push(Called {
            function,
            within: self.functions.last().copied(),
            in_a_loop: self.loops > 0,
        });
    }

    /// The statements behind `configure`: the run, and nothing that could act on the connection.
    fn runs_alone(behind: &'a [Stmt]) -> bool {
        let (first, rest) = match behind.split_first() {
            Some((Stmt::Try(tried), rest)) if only_closes(tried) => {
                match tried.body.split_first() {
                    Some((first, inner)) if inner.iter().all(is_plain_call) => (first, rest),
                    _ => return false,
                }
            }
            Some(found) => found,
            None => return false,
        };
        matches!(first, Stmt::With(with) if is_run(with)) && rest.iter().all(is_plain_call)
    }

    fn call(&mut self, call: &'a ExprCall) {
        let argument = match &*call.arguments.args {
            [Expr::Name(name)] if call.arguments.keywords.is_empty() => Some(name.id.as_str()),
            _ => None,
        };
        match &*call.func {
            Expr::Name(function) => {
                self.called(&function.id);
                self.handed
                    .extend(argument.map(|name| (function.id.as_str(), name)));
            }
            Expr::Attribute(method) => {
                let of = match &*method.value {
                    Expr::Name(name) => Some(name.id.as_str()),
                    _ => None,
                };
                match (method.attr.as_str(), of, argument) {
                    ("run_migrations", ..) => self.runs += 1,
                    ("close", Some(name), None) => *self.idle_reads.entry(name).or_default() += 1,
                    ("run_sync", Some(name), Some(function)) => {
                        self.called(function);
                        self.handed.push((function, name));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Of `configure`: the connection that it is given.
    fn configured(&mut self, call: &'a ExprCall) {
        if self.loops > 0 {
            self.acting = Some("a loop around configure");
        }
        for keyword in &call.arguments.keywords {
            match keyword.arg.as_deref() {
                Some(name) if TELLING.contains(&name) => self.acting = Some("callbacks"),
                Some("connection") => {
                    self.online.push(self.functions.last().copied());
                    match &keyword.value {
                        Expr::Name(name) => {
                            self.connections.insert(&name.id);
                            *self.idle_reads.entry(&name.id).or_default() += 1;
                        }
                        _ => self.acting = Some("a connection without a name"),
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'a> Visitor<'a> for Shape<'a> {
    fn visit_body(&mut self, body: &'a [Stmt]) {
        for (at, statement) in body.iter().enumerate() {
            if let Some(call) = call_of(statement, "configure") {
                self.configured(call);
                if Self::runs_alone(&body[at + 1..]) {
                    self.placed_runs += 1;
                }
            }
            self.visit_stmt(statement);
        }
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                self.functions.push(&function.name);
                visitor::walk_stmt(self, statement);
                self.functions.pop();
                return;
            }
            Stmt::For(_) | Stmt::While(_) => {
                self.loops += 1;
                visitor::walk_stmt(self, statement);
                self.loops -= 1;
                return;
            }
            Stmt::Assign(assigned) if is_call_of(&assigned.value, "connect") => {
                for target in &assigned.targets {
                    if let Expr::Name(name) = target {
                        self.connections.insert(&name.id);
                    }
                }
            }
            Stmt::With(with) => {
                for item in &with.items {
                    if let (true, Some(Expr::Name(name))) = (
                        is_call_of(&item.context_expr, "connect"),
                        item.optional_vars.as_deref(),
                    ) {
                        self.connections.insert(&name.id);
                    }
                }
            }
            _ => {}
        }
        visitor::walk_stmt(self, statement);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Name(name) => {
                if name.ctx == ExprContext::Load {
                    *self.reads.entry(&name.id).or_default() += 1;
                }
                if ACTING.contains(&name.id.as_str()) {
                    self.acting = Some(&name.id);
                }
            }
            Expr::Attribute(attribute) if ACTING.contains(&attribute.attr.as_str()) => {
                self.acting = Some(&attribute.attr);
            }
            Expr::Attribute(attribute) => {
                if let Some(name) = dialect_of(attribute) {
                    *self.idle_reads.entry(name).or_default() += 1;
                }
            }
            Expr::Call(call) => self.call(call),
            Expr::ListComp(_) | Expr::SetComp(_) | Expr::DictComp(_) | Expr::Generator(_) => {
                self.loops += 1;
                visitor::walk_expr(self, expression);
                self.loops -= 1;
                return;
            }
            _ => {}
        }
        visitor::walk_expr(self, expression);
    }
}

/// `with context.begin_transaction(): context.run_migrations()`
fn is_run(with: &StmtWith) -> bool {
    let ([item], [run]) = (with.items.as_slice(), with.body.as_slice()) else {
        return false;
    };
    !with.is_async
        && item.optional_vars.is_none()
        && is_call_of(&item.context_expr, "begin_transaction")
        && call_of(run, "run_migrations").is_some()
}

/// `try: ... finally: connection.close()`
fn only_closes(tried: &StmtTry) -> bool {
    tried.handlers.is_empty()
        && tried.orelse.is_empty()
        && matches!(tried.finalbody.as_slice(), [closing] if call_of(closing, "close").is_some())
}

/// A call of a function by its name, or of a method of something that has a name.
fn is_plain_call(statement: &Stmt) -> bool {
    let Stmt::Expr(expression) = statement else {
        return false;
    };
    match &*expression.value {
        Expr::Call(call) => match &*call.func {
            Expr::Name(_) => true,
            Expr::Attribute(method) => matches!(&*method.value, Expr::Name(_)),
            _ => false,
        },
        _ => false,
    }
}

/// The connection in `connection.dialect.name`.
fn dialect_of(attribute: &ExprAttribute) -> Option<&str> {
    match &*attribute.value {
        Expr::Attribute(dialect)
            if attribute.attr.as_str() == "name" && dialect.attr.as_str() == "dialect" =>
        {
            match &*dialect.value {
                Expr::Name(name) => Some(&name.id),
                _ => None,
            }
        }
        _ => None,
    }
}

fn call_of<'a>(statement: &'a Stmt, method: &str) -> Option<&'a ExprCall> {
    match statement {
        Stmt::Expr(expression) => match &*expression.value {
            Expr::Call(call) if is_call_of(&expression.value, method) => Some(call),
            _ => None,
        },
        _ => None,
    }
}

fn is_call_of(expression: &Expr, method: &str) -> bool {
    match expression {
        Expr::Call(call) => {
            matches!(&*call.func, Expr::Attribute(attribute) if attribute.attr.as_str() == method)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
