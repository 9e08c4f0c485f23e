//! What a statement does that names all of it in its words: objects besides tables, and whatever is dropped.

use super::sql_statement::{Action, Create, Drop, Object, SqlStatement, tokens, unquoted};
use super::tokens::Kind;
use super::words::{Name, Reader};
use super::{rights, table};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{self, ObjectKind, Operation, SchemaObject};

/// The operations of such a statement; `None` for any other statement, and for what is not known.
pub(super) fn operations(statement: &SqlStatement<'_>, dialect: Dialect) -> Option<Vec<Operation>> {
    Some(match statement {
        SqlStatement::Create(made) => create(made)?,
        SqlStatement::Alter {
            kind,
            name,
            if_exists,
            actions,
            ..
        } => match kind {
            // Which rows are seen afterwards depends on the other policies.
            Object::Policy | Object::Role => vec![rights(true, None)],
            Object::Publication => publication(name, actions)?,
            Object::Type => change_type(name, actions)?,
            Object::Index if dialect == Dialect::Postgres => {
                let [Action::Rename { to }] = actions.as_slice() else {
                    return None;
                };
                vec![Operation::RenameIndex {
                    name: name.table(),
                    to: to.last().plain.clone(),
                    if_exists: *if_exists,
                }]
            }
            _ => return None,
        },
        SqlStatement::RenameTables(pairs) => {
            let renames = pairs
                .iter()
                .map(|(from, to)| table::rename(&from.table(), &to.table()));
            renames.collect::<Option<_>>()?
        }
        SqlStatement::Drop(it) => it
            .names
            .iter()
            .map(|(name, group)| drop(it, name, *group))
            .collect::<Option<_>>()?,
        SqlStatement::Rights(it) => vec![rights(it.given, None)],
        SqlStatement::Comment { .. } | SqlStatement::Harmless => Vec::new(),
        SqlStatement::EndsTransaction | SqlStatement::Rows { .. } | SqlStatement::Other => {
            return None;
        }
    })
}

fn object(kind: ObjectKind, name: &Name, table: Option<&Name>) -> SchemaObject {
    SchemaObject {
        kind,
        name: name.table(),
        table: table.map(Name::table),
        arguments: None,
    }
}

/// The kinds that can be made and dropped by name.
fn kind(kind: Object) -> Option<ObjectKind> {
    Some(match kind {
        Object::Aggregate => ObjectKind::Aggregate,
        Object::Domain => ObjectKind::Domain,
        Object::EventTrigger => ObjectKind::EventTrigger,
        Object::Extension => ObjectKind::Extension,
        Object::Function => ObjectKind::Function,
        Object::Policy => ObjectKind::Policy,
        Object::Procedure => ObjectKind::Procedure,
        Object::Publication => ObjectKind::Publication,
        Object::Rule => ObjectKind::Rule,
        Object::Trigger => ObjectKind::Trigger,
        Object::Type => ObjectKind::Type,
        _ => return None,
    })
}

/// The words of each argument of a routine.
fn arguments(kind: Object, group: Option<Reader<'_>>) -> Option<Vec<Vec<String>>> {
    let group = group.filter(|_| kind.has_arguments())?;
    Some(group.list().into_iter().map(tokens).collect())
}

fn create(made: &Create<'_>) -> Option<Vec<Operation>> {
    match made.kind {
        Object::Role => return Some(vec![rights(true, None)]),
        Object::Schema => {
            let is_empty = made.rest.find(&["CREATE", "GRANT"]).is_none();
            return is_empty.then(Vec::new);
        }
        _ => {}
    }
    let name = made.name.as_ref()?;
    if made.kind == Object::Type && made.rest.says("AS ENUM") {
        let mut rest = made.rest;
        rest.eats("AS ENUM");
        let values = rest.group()?.list().into_iter().map(literal);
        return Some(vec![Operation::CreateEnum {
            name: name.table(),
            values: values.collect::<Option<_>>()?,
            if_not_exists: false,
        }]);
    }
    let created = Operation::CreateObject {
        object: SchemaObject {
            arguments: arguments(made.kind, made.group),
            ..object(kind(made.kind)?, name, made.on.as_ref())
        },
        may_exist: made.or_replace || made.if_not_exists,
    };
    let on = made.on.as_ref().map(Name::table);
    Some(match made.kind {
        Object::Policy if made.rest.says("AS RESTRICTIVE") => {
            vec![rights(false, on)]
        }
        Object::Policy => vec![rights(true, on), created],
        Object::Publication => vec![rights(true, None), created],
        _ => vec![created],
    })
}

/// The text of a literal, if it is one.
fn literal(reader: Reader<'_>) -> Option<String> {
    let alone = reader.end == reader.at + 1;
    let token = reader
        .token()
        .filter(|token| alone && token.kind == Kind::Text)?;
    Some(unquoted(token.text))
}

fn publication(publication: &Name, actions: &[Action<'_>]) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    for action in actions {
        let Action::Publish { table, added } = action else {
            return None;
        };
        let object = object(ObjectKind::PublishedTable, publication, Some(table));
        if *added {
            operations.push(rights(true, Some(table.table())));
            operations.push(Operation::CreateObject {
                object,
                may_exist: false,
            });
        } else {
            operations.push(Operation::DropObject { object });
        }
    }
    Some(operations)
}

fn change_type(name: &Name, actions: &[Action<'_>]) -> Option<Vec<Operation>> {
    let [action] = actions else { return None };
    Some(vec![match action {
        Action::Rename { to } => Operation::RenameType {
            name: name.table(),
            to: to.last().plain.clone(),
        },
        Action::AddValue {
            value,
            if_not_exists,
        } => Operation::AddEnumValue {
            name: name.table(),
            value: unquoted(value),
            if_not_exists: *if_not_exists,
        },
        _ => return None,
    }])
}

fn drop(it: &Drop<'_>, name: &Name, group: Option<Reader<'_>>) -> Option<Operation> {
    let (if_exists, cascade) = (it.if_exists, it.cascade);
    let table = name.table();
    Some(match it.kind {
        Object::Table => Operation::DropTable {
            table,
            if_exists,
            cascade,
        },
        Object::View | Object::MaterializedView => Operation::DropView {
            name: table,
            if_exists,
            cascade,
        },
        Object::Type => Operation::DropType {
            name: table,
            if_exists,
            cascade,
        },
        // With what hangs on a unique index its constraints may go.
        Object::Index if !cascade => Operation::DropIndex {
            // It lies in the schema of its table.
            name: operation::Name::Known(table.name),
            table: it.on.as_ref().map(Name::table),
            concurrently: it.concurrently,
            if_exists,
        },
        Object::Role => rights(false, None),
        // Columns may go with these, and nothing with the others.
        Object::Function
        | Object::Procedure
        | Object::Aggregate
        | Object::Domain
        | Object::Extension
            if cascade =>
        {
            return None;
        }
        _ => Operation::DropObject {
            object: SchemaObject {
                arguments: arguments(it.kind, group),
                ..object(kind(it.kind)?, name, it.on.as_ref())
            },
        },
    })
}
