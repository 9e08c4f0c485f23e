//! What views use: for certain where the server tells it, else by the words of their queries.

use std::collections::{BTreeMap, BTreeSet};

use super::text::mentions;
use super::{SchemaModel, View};
use crate::domain::operation::TableName;

impl SchemaModel {
    /// Takes down what the server says that its views use: a view and a column with its table. A view that is
    /// not named uses no column.
    pub fn settle_views(&mut self, uses: impl IntoIterator<Item = (TableName, TableName, String)>) {
        let mut by_view: BTreeMap<TableName, BTreeSet<(TableName, String)>> = BTreeMap::new();
        for (view, table, column) in uses {
            by_view.entry(view).or_default().insert((table, column));
        }
        for (name, view) in &mut self.views {
            view.uses = Some(by_view.remove(name).unwrap_or_default());
        }
    }
}

impl View {
    /// Whether it uses a column; `None` where its words leave that open.
    pub fn uses_column(&self, table: &TableName, column: &str) -> Option<bool> {
        match &self.uses {
            Some(uses) => Some(uses.contains(&(table.clone(), column.to_owned()))),
            None if mentions(&self.query, &table.name) && mentions(&self.query, column) => None,
            None => Some(false),
        }
    }

    /// A table has another name from now on, or a column of it; perhaps, where that is not certain.
    pub(super) fn renamed(
        &mut self,
        certain: bool,
        rename: impl Fn((TableName, String)) -> (TableName, String),
    ) {
        let uses = self.uses.take().filter(|_| certain);
        self.uses = uses.map(|uses| uses.into_iter().map(rename).collect());
    }
}
