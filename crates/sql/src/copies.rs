//! Queries that hand over every row of one table, so that a copy of it can be recognised.

use sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, TableFactor};

use super::operations::Names;
use rollback_core::operation::{Operation, TableName};

/// A query that reads every row of one table.
pub(super) struct Copy {
    from: TableName,
    /// The columns and their new names; `None` for all as they are.
    columns: Option<Vec<(String, String)>>,
}

impl Copy {
    /// Said of the table that the rows are written to.
    pub(super) fn into(self, to: TableName) -> Operation {
        let columns = self.columns;
        Operation::CopyRows {
            from: self.from,
            to,
            columns: columns.map(|columns| columns.into_iter().map(|(from, _)| from).collect()),
        }
    }
}

/// The copy that a query makes; `None` if it leaves out rows or computes what it hands over.
pub(super) fn read(names: Names, query: &Query) -> Option<Copy> {
    let leaves_out = query.with.is_some()
        || query.limit_clause.is_some()
        || query.fetch.is_some()
        || !query.pipe_operators.is_empty();
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    if leaves_out || !takes_every_row(select) {
        return None;
    }
    let [table] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::Table {
        name,
        args: None,
        sample: None,
        ..
    } = &table.relation
    else {
        return None;
    };
    if !table.joins.is_empty() {
        return None;
    }
    Some(Copy {
        from: names.table(name)?,
        columns: match Columns::of(names, select)? {
            Columns::All => None,
            Columns::Named(columns) => Some(columns),
        },
    })
}

fn takes_every_row(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(by, with) => !by.is_empty() || !with.is_empty(),
        GroupByExpr::All(_) => true,
    };
    !grouped
        && select.distinct.is_none()
        && select.top.is_none()
        && select.selection.is_none()
        && select.prewhere.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && select.into.is_none()
        && select.exclude.is_none()
}

/// The columns that a query selects.
enum Columns {
    All,
    Named(Vec<(String, String)>),
}

impl Columns {
    /// `None` if something else than columns is selected as well.
    fn of(names: Names, select: &Select) -> Option<Self> {
        if let [SelectItem::Wildcard(options)] = select.projection.as_slice() {
            return options.to_string().is_empty().then_some(Self::All);
        }
        let column = |expr: &Expr| match expr {
            Expr::Identifier(name) => Some(names.name(name)),
            Expr::CompoundIdentifier(parts) => parts.last().map(|name| names.name(name)),
            _ => None,
        };
        let one = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => column(expr).map(|name| (name.clone(), name)),
            SelectItem::ExprWithAlias { expr, alias } => Some((column(expr)?, names.name(alias))),
            _ => None,
        };
        let columns = select.projection.iter().map(one);
        columns.collect::<Option<_>>().map(Self::Named)
    }
}

/// A table made from a query, and what of it is a copy.
pub(super) fn table_as(
    names: Names,
    table: TableName,
    query: &Query,
    if_not_exists: bool,
) -> Vec<Operation> {
    let copy = read(names, query);
    let (source, columns) = match &copy {
        Some(copy) => (Some(copy.from.clone()), copy.columns.clone()),
        None => (None, None),
    };
    let made = Operation::CreateTableAs {
        table: table.clone(),
        source,
        columns,
        if_not_exists,
    };
    // If there is one already, nothing is copied.
    let copied = copy.filter(|_| !if_not_exists).map(|copy| copy.into(table));
    std::iter::once(made).chain(copied).collect()
}
