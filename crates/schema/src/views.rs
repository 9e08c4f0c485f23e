//! What views use: for certain where the server tells it, else by the words of their queries.

use super::View;
use super::text::mentions;
use rollback_core::operation::TableName;

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
