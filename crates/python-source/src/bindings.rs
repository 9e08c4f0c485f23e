//! Which names a statement binds, for finding a name in a module without running the module.

use ruff_python_ast::name::Name;
use ruff_python_ast::{Expr, Stmt};

/// The names that a statement of a module binds, or whose value it changes.
pub fn bound(statement: &Stmt, names: &mut Vec<Name>) {
    match statement {
        Stmt::FunctionDef(function) => names.push(function.name.id.clone()),
        Stmt::ClassDef(class) => names.push(class.name.id.clone()),
        Stmt::Import(import) => {
            for alias in &import.names {
                names.push(match &alias.asname {
                    Some(name) => name.id.clone(),
                    None => Name::from(alias.name.id.split('.').next().unwrap_or_default()),
                });
            }
        }
        Stmt::ImportFrom(import) => {
            for alias in &import.names {
                names.push(alias.asname.as_ref().unwrap_or(&alias.name).id.clone());
            }
        }
        _ => assigned(std::slice::from_ref(statement), true, names),
    }
}

/// The names that statements bind; with `changes` also those whose value they change by a method or an element.
pub fn assigned(body: &[Stmt], changes: bool, names: &mut Vec<Name>) {
    for statement in body {
        match statement {
            Stmt::Assign(assign) => {
                for target in &assign.targets {
                    targets(target, changes, names);
                }
            }
            Stmt::AnnAssign(assign) => targets(&assign.target, changes, names),
            Stmt::AugAssign(assign) => targets(&assign.target, changes, names),
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    targets(target, changes, names);
                }
            }
            Stmt::For(each) => {
                targets(&each.target, changes, names);
                assigned(&each.body, changes, names);
                assigned(&each.orelse, changes, names);
            }
            Stmt::While(repeat) => {
                assigned(&repeat.body, changes, names);
                assigned(&repeat.orelse, changes, names);
            }
            Stmt::If(test) => {
                assigned(&test.body, changes, names);
                for clause in &test.elif_else_clauses {
                    assigned(&clause.body, changes, names);
                }
            }
            Stmt::With(with) => {
                for item in &with.items {
                    if let Some(target) = &item.optional_vars {
                        targets(target, changes, names);
                    }
                }
                assigned(&with.body, changes, names);
            }
            Stmt::Try(attempt) => {
                assigned(&attempt.body, changes, names);
                for handler in &attempt.handlers {
                    let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
                    assigned(&handler.body, changes, names);
                }
                assigned(&attempt.orelse, changes, names);
                assigned(&attempt.finalbody, changes, names);
            }
            Stmt::Match(choice) => {
                for case in &choice.cases {
                    assigned(&case.body, changes, names);
                }
            }
            Stmt::FunctionDef(_) | Stmt::ClassDef(_) | Stmt::Import(_) | Stmt::ImportFrom(_)
                if changes =>
            {
                bound(statement, names);
            }
            Stmt::Expr(expression) if changes => {
                if let Expr::Call(call) = &*expression.value
                    && let Expr::Attribute(attribute) = &*call.func
                {
                    targets(&attribute.value, true, names);
                }
            }
            _ => {}
        }
    }
}

fn targets(target: &Expr, changes: bool, names: &mut Vec<Name>) {
    match target {
        Expr::Name(name) => names.push(name.id.clone()),
        Expr::Tuple(tuple) => tuple
            .elts
            .iter()
            .for_each(|target| targets(target, changes, names)),
        Expr::List(list) => list
            .elts
            .iter()
            .for_each(|target| targets(target, changes, names)),
        Expr::Starred(starred) => targets(&starred.value, changes, names),
        Expr::Attribute(attribute) if changes => targets(&attribute.value, changes, names),
        Expr::Subscript(subscript) if changes => targets(&subscript.value, changes, names),
        _ => {}
    }
}
