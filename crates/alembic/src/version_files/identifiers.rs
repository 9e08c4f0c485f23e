//! What a version file declares, as its module would have it after import. Code is not run: what
//! does not follow from constants of the same file cannot be read.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    Alias, Expr, ExprContext, FStringPart, InterpolatedStringElement, ModModule, Operator, Pattern,
    Stmt,
};

use super::super::output;
use rollback_core::revision::Revision;

/// A value that can be computed from constants.
#[derive(Debug, Clone, PartialEq, Eq)]
enum IdentifierValue {
    None,
    Text(String),
    List(Vec<String>),
}

/// Why what a file declares cannot be told.
type UnreadableIdentifier = String;

/// Reads the identifiers of a module that is in `path`.
pub(super) fn read(module: &ModModule, path: &Path) -> Result<Revision, UnreadableIdentifier> {
    let mut names = Identifiers::default();
    names.spoil_globals(&module.body);
    for statement in &module.body {
        names.run(statement);
    }
    let id = match names.get("revision")? {
        Some(IdentifierValue::Text(id)) => id,
        Some(_) => return Err("its revision is no text".to_owned()),
        None => legacy_id(path).ok_or("it declares no revision")?,
    };
    if id.is_empty() || id.contains(['@', '-', '+']) {
        return Err(format!("Alembic takes no revision of the name {id:?}"));
    }
    let Some(down_revision) = names.get("down_revision")? else {
        return Err("it declares no down_revision".to_owned());
    };
    let doc = match names.get("__doc__")? {
        Some(IdentifierValue::Text(doc)) => doc,
        Some(_) => return Err("its docstring is no text".to_owned()),
        None => String::new(),
    };
    let (message, created) = output::docstring(doc.trim());
    Ok(Revision {
        id,
        down_revisions: down_revision.texts(),
        depends_on: names
            .get("depends_on")?
            .map_or_else(Vec::new, IdentifierValue::texts),
        branch_labels: names
            .get("branch_labels")?
            .map_or_else(Vec::new, IdentifierValue::texts),
        message,
        path: Some(path.to_string_lossy().into_owned()),
        created,
        registered: None,
    })
}

/// The id of a file of Alembic 0.1, which has it in its name.
fn legacy_id(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".py")?;
    let hex = |letter: char| matches!(letter, 'a'..='f' | '0'..='9');
    (!name.is_empty() && name.chars().all(hex)).then(|| name.to_owned())
}

impl IdentifierValue {
    fn texts(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Text(text) => vec![text],
            Self::List(texts) => texts,
        }
    }
}

/// What the names of the module stand for so far; `None` for what cannot be computed.
#[derive(Debug, Default)]
struct Identifiers {
    known: HashMap<String, Option<IdentifierValue>>,
    /// Names that a function of the module may set at any time.
    spoiled: HashSet<String>,
    /// Whether anything may have been set by now.
    anything: bool,
    begun: bool,
}

impl Identifiers {
    /// What a name stands for; `None` where it was never set.
    fn get(&self, name: &str) -> Result<Option<IdentifierValue>, UnreadableIdentifier> {
        if self.spoiled.contains(name) {
            return Err(format!("its {name} may be set by a function"));
        }
        match self.known.get(name) {
            Some(Some(value)) => Ok(Some(value.clone())),
            Some(None) => Err(format!("its {name} is computed")),
            None if self.anything && name != "__doc__" => {
                Err(format!("its {name} may be imported or set by code"))
            }
            None => Ok(None),
        }
    }

    fn set(&mut self, name: &str, value: Option<IdentifierValue>) {
        self.known.insert(name.to_owned(), value);
    }

    fn spoil_globals(&mut self, body: &[Stmt]) {
        let mut globals = Globals(&mut self.spoiled);
        for statement in body {
            globals.visit_stmt(statement);
        }
    }

    fn run(&mut self, statement: &Stmt) {
        let first = !std::mem::replace(&mut self.begun, true);
        match statement {
            Stmt::Expr(it) => {
                if let (true, Expr::StringLiteral(text)) = (first, it.value.as_ref()) {
                    let text = text.value.to_str().to_owned();
                    self.set("__doc__", Some(IdentifierValue::Text(text)));
                    return;
                }
            }
            Stmt::Assign(it) => {
                self.bindings(&it.value);
                let value = self.value(&it.value);
                for target in &it.targets {
                    self.assign(target, value.as_ref(), &it.value);
                }
                return;
            }
            Stmt::AnnAssign(it) => {
                if let Some(value) = &it.value {
                    self.bindings(value);
                    let computed = self.value(value);
                    self.assign(&it.target, computed.as_ref(), value);
                }
                return;
            }
            _ => {}
        }
        Bound(self).visit_stmt(statement);
    }

    /// Names that an expression sets on its way.
    fn bindings(&mut self, value: &Expr) {
        Bound(self).visit_expr(value);
    }

    fn assign(&mut self, target: &Expr, value: Option<&IdentifierValue>, written: &Expr) {
        match (target, written) {
            (Expr::Name(name), _) => self.set(&name.id, value.cloned()),
            (Expr::Tuple(targets), Expr::Tuple(values))
                if targets.elts.len() == values.elts.len()
                    && targets.elts.iter().all(Expr::is_name_expr) =>
            {
                // All on the right is computed before anything on the left is set.
                let values: Vec<_> = values.elts.iter().map(|one| self.value(one)).collect();
                for (target, value) in targets.elts.iter().zip(values) {
                    self.assign(target, value.as_ref(), target);
                }
            }
            _ => self.bindings(target),
        }
    }

    /// Computes an expression of constants.
    fn value(&self, expression: &Expr) -> Option<IdentifierValue> {
        match expression {
            Expr::NoneLiteral(_) => Some(IdentifierValue::None),
            Expr::StringLiteral(text) => {
                Some(IdentifierValue::Text(text.value.to_str().to_owned()))
            }
            Expr::FString(text) => self.formatted(text.value.as_slice()),
            Expr::Name(name) => self.get(&name.id).ok().flatten(),
            Expr::Tuple(it) => self.list(&it.elts),
            Expr::List(it) => self.list(&it.elts),
            Expr::Set(it) => self.list(&it.elts),
            Expr::BinOp(it) if it.op == Operator::Add => {
                match (self.value(&it.left)?, self.value(&it.right)?) {
                    (IdentifierValue::Text(left), IdentifierValue::Text(right)) => {
                        Some(IdentifierValue::Text(left + &right))
                    }
                    (IdentifierValue::List(mut left), IdentifierValue::List(right)) => {
                        left.extend(right);
                        Some(IdentifierValue::List(left))
                    }
                    _ => None,
                }
            }
            Expr::Call(call) => {
                let Expr::Name(name) = call.func.as_ref() else {
                    return None;
                };
                let builtin = matches!(name.id.as_str(), "tuple" | "list" | "set" | "frozenset")
                    && !self.known.contains_key(name.id.as_str())
                    && !self.anything;
                if !builtin || !call.arguments.keywords.is_empty() {
                    return None;
                }
                match call.arguments.args.as_ref() {
                    [] => Some(IdentifierValue::List(Vec::new())),
                    [one] => match self.value(one)? {
                        IdentifierValue::List(texts) => Some(IdentifierValue::List(texts)),
                        IdentifierValue::None | IdentifierValue::Text(_) => None,
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn list(&self, elements: &[Expr]) -> Option<IdentifierValue> {
        let mut texts = Vec::new();
        for element in elements {
            match element {
                Expr::Starred(inner) => match self.value(&inner.value)? {
                    IdentifierValue::List(more) => texts.extend(more),
                    IdentifierValue::None | IdentifierValue::Text(_) => return None,
                },
                _ => match self.value(element)? {
                    IdentifierValue::Text(text) => texts.push(text),
                    IdentifierValue::None | IdentifierValue::List(_) => return None,
                },
            }
        }
        Some(IdentifierValue::List(texts))
    }

    fn formatted(&self, parts: &[FStringPart]) -> Option<IdentifierValue> {
        let mut text = String::new();
        for part in parts {
            match part {
                FStringPart::Literal(literal) => text.push_str(&literal.value),
                FStringPart::FString(formatted) => {
                    for element in &formatted.elements {
                        match element {
                            InterpolatedStringElement::Literal(literal) => {
                                text.push_str(&literal.value);
                            }
                            InterpolatedStringElement::Interpolation(hole) => {
                                let plain = hole.debug_text.is_none()
                                    && hole.format_spec.is_none()
                                    && matches!(hole.conversion.to_byte(), None | Some(b's'));
                                match self.value(&hole.expression)? {
                                    IdentifierValue::Text(value) if plain => text.push_str(&value),
                                    _ => return None,
                                }
                            }
                        }
                    }
                }
            }
        }
        Some(IdentifierValue::Text(text))
    }
}

/// Takes down every name that is bound in some other way than by a plain assignment. Bodies of
/// functions and classes have names of their own.
struct Bound<'n>(&'n mut Identifiers);

impl<'a> Visitor<'a> for Bound<'_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(it) => {
                self.0.set(&it.name, None);
                for decorator in &it.decorator_list {
                    self.visit_decorator(decorator);
                }
            }
            Stmt::ClassDef(it) => {
                self.0.set(&it.name, None);
                for decorator in &it.decorator_list {
                    self.visit_decorator(decorator);
                }
            }
            _ => visitor::walk_stmt(self, statement),
        }
    }

    fn visit_alias(&mut self, alias: &'a Alias) {
        let name = alias.asname.as_ref().unwrap_or(&alias.name);
        if name == "*" {
            // It may bring any name, except that it is set again further down.
            self.0.anything = true;
            for value in self.0.known.values_mut() {
                *value = None;
            }
            return;
        }
        let bound = match &alias.asname {
            Some(name) => name.as_str(),
            None => name.split('.').next().unwrap_or_default(),
        };
        self.0.set(bound, None);
    }

    fn visit_except_handler(&mut self, handler: &'a ruff_python_ast::ExceptHandler) {
        let ruff_python_ast::ExceptHandler::ExceptHandler(inner) = handler;
        if let Some(name) = &inner.name {
            self.0.set(name, None);
        }
        visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let bound = match pattern {
            Pattern::MatchAs(it) => it.name.as_ref(),
            Pattern::MatchStar(it) => it.name.as_ref(),
            Pattern::MatchMapping(it) => it.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = bound {
            self.0.set(name, None);
        }
        visitor::walk_pattern(self, pattern);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Name(name) if !matches!(name.ctx, ExprContext::Load) => {
                self.0.set(&name.id, None);
            }
            Expr::Name(name)
                if matches!(
                    name.id.as_str(),
                    "globals" | "locals" | "vars" | "exec" | "setattr" | "__dict__"
                ) =>
            {
                self.0.anything = true;
                for value in self.0.known.values_mut() {
                    *value = None;
                }
            }
            _ => {}
        }
        visitor::walk_expr(self, expression);
    }
}

/// Collects what is declared `global` anywhere.
struct Globals<'n>(&'n mut HashSet<String>);

impl<'a> Visitor<'a> for Globals<'_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        if let Stmt::Global(it) = statement {
            self.0.extend(it.names.iter().map(ToString::to_string));
        }
        visitor::walk_stmt(self, statement);
    }

    /// A statement cannot stand in an expression.
    fn visit_expr(&mut self, _expression: &'a Expr) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use python_source::syntax::{on_a_deep_stack, parse};

    fn declared(source: &str) -> Result<Revision, String> {
        on_a_deep_stack(|| read(parse(source)?.syntax(), Path::new("versions/1a2b.py"))).unwrap()
    }

    /// The links alone: `id < parents; dependencies; labels`.
    fn links(source: &str) -> String {
        match declared(source) {
            Ok(it) => format!(
                "{} < {}; {}; {}",
                it.id,
                it.down_revisions.join(","),
                it.depends_on.join(","),
                it.branch_labels.join(",")
            ),
            Err(reason) => reason,
        }
    }

    #[test]
    fn as_alembic_writes_it() {
        let source = "\"\"\"add things\n\nand more\n\nRevision ID: b2\nRevises: stale\n\
                      Create Date: 2024-01-02 03:04:05\n\n\"\"\"\n\
                      from typing import Sequence, Union\nimport sqlalchemy as sa\n\n\
                      revision: str = 'b2'\ndown_revision: Union[str, None] = 'a1'\n\
                      branch_labels: Union[str, Sequence[str], None] = None\ndepends_on = None\n\n\
                      def upgrade() -> None:\n    revision = 1\n";
        let it = declared(source).unwrap();
        assert_eq!(it.id, "b2");
        assert_eq!(it.down_revisions, ["a1"]);
        assert_eq!(it.message, "add things\n\nand more");
        assert_eq!(it.created.as_deref(), Some("2024-01-02 03:04:05"));
        assert_eq!(it.path.as_deref(), Some("versions/1a2b.py"));
    }

    #[test]
    fn constants() {
        let cases = [
            ("revision='b'\ndown_revision='a'", "b < a; ; "),
            ("revision='b'\ndown_revision=None", "b < ; ; "),
            (
                "revision='b'\ndown_revision=('a', 'c')\nbranch_labels={'x'}",
                "b < a,c; ; x",
            ),
            (
                "revision='b'\ndown_revision=['a']\ndepends_on='d'\nbranch_labels='None'",
                "b < a; d; None",
            ),
            (
                "P='a'\nrevision='x' 'y'\ndown_revision=f'{P}1'\ndepends_on=(P + '2',)",
                "xy < a1; a2; ",
            ),
            (
                "A=('a',)\nrevision='b'\ndown_revision=A + ('c',)\ndepends_on=[*A]",
                "b < a,c; a; ",
            ),
            ("revision, down_revision = 'b', 'a'", "b < a; ; "),
            (
                "revision='b'\ndown_revision=tuple()\nbranch_labels=frozenset(['x'])",
                "b < ; ; x",
            ),
            (
                "from x import *\nrevision='b'\ndown_revision='a'\ndepends_on=None\nbranch_labels=None\n__doc__='x'",
                "b < a; ; ",
            ),
            ("down_revision='a'", "1a2b < a; ; "),
            (
                "x = down_revision = revision = 'b'\ndown_revision = None",
                "b < ; ; ",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(links(source), expected, "{source}");
        }
    }

    #[test]
    fn what_is_computed_is_not_guessed() {
        let cases = [
            (
                "revision=make()\ndown_revision='a'",
                "its revision is computed",
            ),
            (
                "revision='b'\ndown_revision='a' if X else None",
                "its down_revision is computed",
            ),
            (
                "revision='b'\nif X:\n    down_revision='a'",
                "its down_revision is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\ndown_revision += 'c'",
                "its down_revision is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\nfor revision in []: pass",
                "its revision is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\ndel down_revision",
                "its down_revision is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\nfrom x import depends_on",
                "its depends_on is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\nfrom x import *",
                "its revision is computed",
            ),
            (
                "from x import *\nrevision='b'\ndown_revision='a'",
                "its depends_on may be imported or set by code",
            ),
            (
                "revision='b'\ndown_revision='a'\nglobals()['revision']='c'",
                "its revision is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\ndef f():\n    global revision\n    revision='c'",
                "its revision may be set by a function",
            ),
            (
                "revision='b'\ndown_revision='a'\n(depends_on := 'c')",
                "its depends_on is computed",
            ),
            (
                "revision='b'\ndown_revision='a'\ndef depends_on(): pass",
                "its depends_on is computed",
            ),
            (
                "revision=f'{1}'\ndown_revision='a'",
                "its revision is computed",
            ),
            ("revision='b'", "it declares no down_revision"),
            ("revision=7\ndown_revision=None", "its revision is computed"),
            (
                "revision=None\ndown_revision=None",
                "its revision is no text",
            ),
            (
                "revision='a-b'\ndown_revision=None",
                "Alembic takes no revision of the name \"a-b\"",
            ),
            (
                "try:\n    x()\nexcept E as depends_on: pass\nrevision='b'\ndown_revision='a'",
                "its depends_on is computed",
            ),
            (
                "match x:\n    case [*depends_on]: pass\nrevision='b'\ndown_revision='a'",
                "its depends_on is computed",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(links(source), expected, "{source}");
        }
    }
}
