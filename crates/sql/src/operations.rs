//! The operations of a statement.

use sqlparser::ast::{
    CascadeOption, CreateIndex, CreateTable, CreateView, Expr, Ident, IndexColumn, ObjectName,
    ObjectNamePart, Query, SelectInto, SetExpr, Statement,
};
use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::holes::{self, has_hole};
use super::rows::rows;
use super::sql_statement::{self, SqlStatement};
use super::words::{self, Sql};
use super::{Effect, copies, objects, table};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{
    IndexRows, Name, ObjectKind, Operation, RowChange, TableName, UniqueScope,
};

/// How names are read: PostgreSQL folds what is not quoted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names(pub(super) Dialect);

impl Names {
    pub(super) fn name(self, name: &Ident) -> String {
        match (self.0, name.quote_style) {
            (Dialect::Postgres, None) => name.value.to_lowercase(),
            (_, Some(quote)) => name
                .value
                .replace(&format!("{quote}{quote}"), &quote.to_string()),
            _ => name.value.clone(),
        }
    }

    pub(super) fn of(self, name: Option<&Ident>) -> Name {
        name.map_or(Name::Unnamed, |name| Name::Known(self.name(name)))
    }

    pub(super) fn table(self, name: &ObjectName) -> Option<TableName> {
        let mut parts = name.0.iter().rev().map(|part| match part {
            ObjectNamePart::Identifier(name) => Some(self.name(name)),
            ObjectNamePart::Function(_) => None,
        });
        let name = parts.next()??;
        Some(TableName {
            schema: parts.next().flatten(),
            name,
        })
    }

    /// The last part: an index lies in the schema of its table.
    fn last(self, name: &ObjectName) -> Option<Name> {
        self.table(name).map(|found| Name::Known(found.name))
    }
}

/// What a statement does.
pub(super) fn effects(text: &str, dialect: Dialect) -> Vec<Effect> {
    let sql = Sql::new(text, dialect);
    let statement = sql_statement::read(&sql);
    if matches!(statement, SqlStatement::EndsTransaction) {
        return vec![Effect::EndsTransaction];
    }
    let unknown = Operation::Sql {
        text: holes::pieces(text),
    };
    let of_objects = objects::operations(&statement, dialect)
        // Behind it, names mean another schema.
        .filter(|_| !sql.reader().says("USE"));
    let Some(mut operations) = of_objects
        .or_else(|| parsed(&sql))
        .filter(|operations| !has_hole(&format!("{operations:?}")))
    else {
        return vec![Effect::of(unknown)];
    };
    if operations.iter().any(changes_later_statements) {
        operations.push(unknown);
    }
    let shown = holes::shown(text);
    for operation in &mut operations {
        match operation {
            Operation::ChangeRows { sql, .. } => *sql = Some(shown.clone()),
            Operation::ChangeRights { sql, .. } => sql.clone_from(&shown),
            _ => {}
        }
    }
    operations.into_iter().map(Effect::of).collect()
}

fn changes_later_statements(operation: &Operation) -> bool {
    matches!(operation, Operation::CreateObject { object, .. }
        if matches!(object.kind, ObjectKind::Rule | ObjectKind::EventTrigger))
}

/// What the tree of a statement says of tables and rows.
fn parsed(sql: &Sql) -> Option<Vec<Operation>> {
    let read = || {
        let grammar: &dyn sqlparser::dialect::Dialect = match sql.dialect {
            Dialect::Postgres => &PostgreSqlDialect {},
            Dialect::MySql => &MySqlDialect {},
            Dialect::Sqlite => &SQLiteDialect {},
        };
        let statements = Parser::parse_sql(grammar, &sql.text).ok()?;
        let [statement] = statements.as_slice() else {
            return None;
        };
        let mut reader = TreeReader {
            names: Names(sql.dialect),
            tokens: sql.reader(),
        };
        reader.operations(statement)
    };
    match depth(sql) {
        depth if depth <= FLAT => read(),
        depth if depth <= DEEPEST => on_a_deep_stack(read),
        _ => None,
    }
}

/// A tree is made, walked and dropped by recursion, and the parser takes much stack for each level of
/// it. One of this depth fits any stack.
const FLAT: usize = 24;
/// The deepest that is made at all.
const DEEPEST: usize = 2_000;
const STACK: usize = 64 * 1024 * 1024;

fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, work).ok()?.join().ok()?
    })
}

/// How deep the tree of a statement may be at most.
fn depth(sql: &Sql) -> usize {
    let mut open = vec![0_usize];
    let mut total = 0;
    let mut deepest = 0;
    let mut here = sql.reader();
    while let Some(token) = here.token() {
        let innermost = open.len() - 1;
        match token.text {
            "(" | "[" => {
                open[innermost] += 1;
                total += 1;
                open.push(0);
            }
            ")" | "]" if innermost > 0 => total -= open.pop().unwrap_or_default(),
            "," => total -= std::mem::take(&mut open[innermost]),
            _ => {
                open[innermost] += 1;
                total += 1;
            }
        }
        deepest = deepest.max(total + open.len());
        here.skip();
    }
    deepest
}

pub(super) fn index_columns(names: Names, columns: &[IndexColumn]) -> Vec<Option<String>> {
    columns
        .iter()
        .map(|column| match &column.column.expr {
            Expr::Identifier(name) => Some(names.name(name)),
            // On MariaDB the first letters of a column: `name(20)`.
            Expr::Function(function) if names.0 == Dialect::MySql => {
                names.table(&function.name).map(|name| name.name)
            }
            _ => None,
        })
        .collect()
}

/// Whether one of the columns stands there with a length: `name(20)`.
pub(super) fn is_in_part(columns: &[IndexColumn]) -> bool {
    let mut columns = columns.iter();
    columns.any(|column| matches!(column.column.expr, Expr::Function(_)))
}

pub(super) struct TreeReader<'a> {
    pub(super) names: Names,
    pub(super) tokens: words::Reader<'a>,
}

impl TreeReader<'_> {
    /// The directives of a statement; `None` where it has none.
    pub(super) fn operations(&mut self, statement: &Statement) -> Option<Vec<Operation>> {
        let names = self.names;
        Some(match statement {
            Statement::CreateTable(it) if it.query.is_some() => self.create_table_as(it)?,
            Statement::CreateTable(it) => table::create(names, it)?,
            Statement::AlterTable(it) => table::alter(names, it)?,
            Statement::CreateIndex(it) => vec![self.create_index(it)?],
            Statement::CreateView(it) => vec![self.create_view(it)?],
            Statement::Insert(it) => self.insert(it)?,
            Statement::Update(it) => self.update(it)?,
            Statement::Delete(it) => self.delete(it)?,
            Statement::Truncate(it) => {
                if it.if_exists || matches!(it.cascade, Some(CascadeOption::Cascade)) {
                    return None;
                }
                it.table_names
                    .iter()
                    .map(|one| {
                        Some(rows(
                            RowChange::Delete,
                            names.table(&one.name)?,
                            Vec::new(),
                            false,
                        ))
                    })
                    .collect::<Option<_>>()?
            }
            Statement::Merge(it) => {
                let mut operations = self.read_tables([&it.source]);
                let changed = self.factor(&it.table)?;
                operations.push(rows(RowChange::Some, changed, Vec::new(), true));
                operations
            }
            Statement::Query(query) => self.query(query)?,
            _ => return None,
        })
    }

    fn create_index(&self, it: &CreateIndex) -> Option<Operation> {
        let name = match &it.name {
            Some(name) => self.names.last(name)?,
            None => Name::Unnamed,
        };
        Some(Operation::CreateIndex {
            name,
            table: self.names.table(&it.table_name)?,
            columns: index_columns(self.names, &it.columns),
            unique: it.unique,
            alike: UniqueScope {
                among: match it.predicate.as_ref().map(table::condition) {
                    None => IndexRows::All,
                    Some(Some(text)) => IndexRows::Where(text),
                    Some(None) => IndexRows::Unknown,
                },
                nulls: it.nulls_distinct == Some(false),
                in_part: is_in_part(&it.columns),
            },
            concurrently: it.concurrently,
            if_not_exists: it.if_not_exists,
        })
    }

    /// Not a temporary one: it is gone with the connection, and what it holds as well.
    fn create_table_as(&mut self, it: &CreateTable) -> Option<Vec<Operation>> {
        let query = it.query.as_deref()?;
        let plain = !it.temporary
            && !it.or_replace
            && it.columns.is_empty()
            && it.constraints.is_empty()
            && it.inherits.is_none();
        let table = self.names.table(&it.name).filter(|_| plain)?;
        self.goes_to_query()?;
        let mut operations = self.query(query)?;
        operations.extend(copies::table_as(self.names, table, query, it.if_not_exists));
        Some(operations)
    }

    pub(super) fn select_into(
        &mut self,
        query: &Query,
        into: &SelectInto,
    ) -> Option<Vec<Operation>> {
        let [Expr::Identifier(_) | Expr::CompoundIdentifier(_)] = into.targets.as_slice() else {
            return None;
        };
        if self.names.0 != Dialect::Postgres || into.temporary {
            return None;
        }
        let parts: Vec<Ident> = match into.targets.first()? {
            Expr::Identifier(name) => vec![name.clone()],
            Expr::CompoundIdentifier(names) => names.clone(),
            _ => return None,
        };
        let table = self.names.table(&ObjectName::from(parts))?;
        let mut plain = query.clone();
        if let SetExpr::Select(select) = plain.body.as_mut() {
            select.into = None;
        }
        let mut operations = self.query(&plain)?;
        operations.extend(copies::table_as(self.names, table, &plain, false));
        Some(operations)
    }

    fn create_view(&self, it: &CreateView) -> Option<Operation> {
        let query = it.query.to_string();
        Some(Operation::CreateView {
            name: self.names.table(&it.name)?,
            or_replace: it.or_replace || it.if_not_exists,
            query: (!has_hole(&query)).then_some(query),
        })
    }
}
