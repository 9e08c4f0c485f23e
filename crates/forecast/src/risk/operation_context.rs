//! What a rule looks at: one operation of a downgrade with the schema right before it.

use super::finding_draft::FindingDraft;
use crate::{EventKind, Function, Happened, StepTrace};
use rollback_core::dialect::Dialect;
use rollback_core::figures::{bytes, counted};
use rollback_core::finding::{Evidence, FailurePrediction};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, Place, Recreate, TableName};
use rollback_core::probe::{Answer, Probe, Question};
use rollback_schema::{Column, Origin, Presence, SchemaModel, Table};

/// An operation, outside of any batch.
pub(super) struct OperationContext<'a> {
    pub(super) order: usize,
    pub(super) place: &'a Place,
    pub(super) certain: bool,
    pub(super) autocommit: bool,
    pub(super) in_batch: bool,
    pub(super) operation: &'a Operation,
    pub(super) before: Option<&'a SchemaModel>,
    pub(super) dialect: Option<Dialect>,
}

/// What an object holds at that point of the plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TableContents {
    /// It is not there: that is a failure or nothing at all, but no loss.
    Absent,
    /// Nothing: a step of the plan makes it.
    CreatedByPlan,
    /// What it holds now, under this name, apart from what the plan changes by then.
    Live { table: TableName },
    /// Not known.
    Unknown,
}

/// The operations of the downgrade, those of a batch one by one.
pub(super) fn operations_with_schema(seen: &StepTrace) -> Vec<OperationContext<'_>> {
    let mut scenes = Vec::new();
    for (order, happened) in seen.downgrade.happened.iter().enumerate() {
        let EventKind::Operation(operation) = &happened.event.kind else {
            continue;
        };
        let mut push = |place, operation| {
            let context = OperationContext::of(seen.dialect, order, happened, place, operation);
            scenes.push(context);
        };
        match operation.as_ref() {
            Operation::Batch { operations, .. } => {
                for (place, operation) in operations {
                    push(place, operation);
                }
            }
            plain => push(&happened.event.place, plain),
        }
    }
    scenes
}

/// The operations of a function, those of a batch one by one.
pub(super) fn operations(function: &Function) -> impl Iterator<Item = &Operation> {
    function.happened.iter().flat_map(|happened| {
        let found: Vec<&Operation> = match &happened.event.kind {
            EventKind::Operation(operation) => match operation.as_ref() {
                Operation::Batch { operations, .. } => {
                    operations.iter().map(|(_, operation)| operation).collect()
                }
                plain => vec![plain],
            },
            _ => Vec::new(),
        };
        found
    })
}

/// Whether a batch makes the table anew there: on SQLite only new columns and indexes do not need it.
pub(super) fn is_recreated(
    dialect: Option<Dialect>,
    recreate: Recreate,
    operations: &[(Place, Operation)],
) -> bool {
    match recreate {
        Recreate::Always => true,
        Recreate::Never => false,
        Recreate::Auto => {
            dialect == Some(Dialect::Sqlite)
                && operations.iter().any(|(_, operation)| {
                    !matches!(
                        operation,
                        Operation::AddColumn { .. }
                            | Operation::CreateIndex { .. }
                            | Operation::DropIndex { .. }
                    )
                })
        }
    }
}

/// Whether two names mean one table, where one of them may lack its schema.
pub(super) fn is_same(one: &TableName, other: &TableName) -> bool {
    one.name == other.name
        && match (&one.schema, &other.schema) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
}

impl<'a> OperationContext<'a> {
    /// An operation of an event, which may be one of a batch.
    pub(super) fn of(
        dialect: Option<Dialect>,
        order: usize,
        happened: &'a Happened,
        place: &'a Place,
        operation: &'a Operation,
    ) -> Self {
        let is_batch = |kind: &EventKind| matches!(kind, EventKind::Operation(operation) if matches!(**operation, Operation::Batch { .. }));
        Self {
            order,
            place,
            certain: happened.event.certain,
            autocommit: happened.event.autocommit,
            in_batch: is_batch(&happened.event.kind),
            operation,
            before: happened.before.as_deref(),
            dialect,
        }
    }

    /// A table of the schema, with its name there.
    pub(super) fn table(&self, name: &TableName) -> Option<(&'a TableName, &'a Table)> {
        let model = self.before?;
        let full = model.key(name);
        let (name, table) = model.tables.get_key_value(&full)?;
        Some((name, table))
    }

    pub(super) fn column(&self, table: &TableName, column: &str) -> Option<&'a Column> {
        self.table(table)?.1.columns.get(column)
    }

    /// A name as people call it: the usual schema is not said.
    pub(super) fn say(&self, name: &TableName) -> String {
        let usual = self
            .before
            .and_then(|before| before.default_schema.as_ref());
        if name.schema.is_some() && name.schema.as_ref() == usual {
            return name.name.clone();
        }
        name.to_string()
    }

    /// What a table holds.
    pub(super) fn stock(&self, name: &TableName) -> TableContents {
        let Some(model) = self.before else {
            return TableContents::Unknown;
        };
        let Some((full, table)) = self.table(name) else {
            // PostgreSQL may find it further down the search path.
            return if model.doubtful || model.beyond(name) {
                TableContents::Unknown
            } else {
                TableContents::Absent
            };
        };
        match &table.origin {
            Origin::Made { .. } if table.inserted => TableContents::Unknown,
            Origin::Made { .. } => TableContents::CreatedByPlan,
            Origin::Live { name } => TableContents::Live {
                table: TableName {
                    schema: full.schema.clone(),
                    name: name.clone(),
                },
            },
        }
    }

    /// What a column holds, with its name in the database.
    pub(super) fn column_stock(
        &self,
        table: &TableName,
        column: &str,
    ) -> (TableContents, Option<String>) {
        let stock = self.stock(table);
        match (self.column(table, column), stock) {
            (Some(column), stock) => match &column.origin {
                Origin::Live { name } => (stock, Some(name.clone())),
                Origin::Made { .. } if column.written || self.gains_rows(table) => {
                    (TableContents::Unknown, None)
                }
                Origin::Made { .. } => (TableContents::CreatedByPlan, None),
            },
            (None, TableContents::Live { .. } | TableContents::CreatedByPlan) => {
                let doubtful = self.before.is_some_and(|before| before.doubtful);
                let stock = if doubtful {
                    TableContents::Unknown
                } else {
                    TableContents::Absent
                };
                (stock, None)
            }
            (None, stock) => (stock, None),
        }
    }

    /// Whether a column is made by the plan, perhaps by the very batch that the operation is part of: then
    /// it is not in the schema before it.
    pub(super) fn is_new(&self, table: &TableName, column: &str) -> bool {
        let (stock, _) = self.column_stock(table, column);
        matches!(stock, TableContents::CreatedByPlan | TableContents::Absent)
    }

    /// The names of columns in the database; `None` where one of them is not there yet.
    pub(super) fn live_columns(
        &self,
        table: &TableName,
        columns: &[String],
    ) -> Option<Vec<String>> {
        columns
            .iter()
            .map(|column| match &self.column(table, column)?.origin {
                Origin::Live { name } => Some(name.clone()),
                Origin::Made { .. } => None,
            })
            .collect()
    }

    /// Whether a condition that the operation brings can be asked now: it speaks of columns by the names
    /// that they have then.
    pub(super) fn has_present_names(&self, table: &TableName) -> bool {
        self.table(table).is_some_and(|(_, table)| {
            table.columns.values().all(|column| match &column.origin {
                Origin::Live { name } => *name == column.name,
                Origin::Made { .. } => true,
            })
        })
    }

    /// Whether the table is there for certain, so that what is said of it is, too.
    pub(super) fn is_certain(&self, table: &TableName) -> bool {
        self.certain
            && self
                .table(table)
                .is_some_and(|(_, table)| table.presence == Presence::Certain)
    }

    fn writes(&self, table: &TableName, columns: &[String]) -> bool {
        let mut columns = columns.iter();
        let is_written = |name| {
            self.column(table, name)
                .is_some_and(|column| column.written)
        };
        columns.any(|name| is_written(name))
    }

    fn gains_rows(&self, table: &TableName) -> bool {
        self.table(table).is_some_and(|(_, table)| table.inserted)
    }

    /// Whether by then a table may have values in these columns that it does not have today.
    pub(super) fn may_gain(&self, table: &TableName, columns: &[String]) -> bool {
        self.gains_rows(table) || self.writes(table, columns)
    }

    /// Whether by then a table may lack values in these columns that it has today.
    pub(super) fn may_lose(&self, table: &TableName, columns: &[String]) -> bool {
        self.table(table).is_some_and(|(_, table)| table.deleted) || self.writes(table, columns)
    }

    /// What to add to a count of today: it is another one by then if the plan changes rows before.
    pub(super) fn by_then(&self, table: &TableName, columns: &[String]) -> &'static str {
        match (self.may_gain(table, columns), self.may_lose(table, columns)) {
            (false, false) => "",
            (true, false) => " today, more by then",
            (false, true) => " today, perhaps fewer by then",
            (true, true) => " today, perhaps another number by then",
        }
    }

    /// What rows that break something mean for the step: it fails, unless they are but estimated or may be gone by then.
    pub(super) fn outcome(
        &self,
        table: &TableName,
        answer: &Answer,
        may_be_gone: bool,
    ) -> FailurePrediction {
        let doubtful = self.before.is_some_and(|model| model.doubtful);
        if answer.exact && !may_be_gone && !doubtful && self.is_certain(table) {
            FailurePrediction::WillFail
        } else {
            FailurePrediction::MayFail
        }
    }

    /// How large a table is that exists already: the answer, and words for it.
    pub(super) fn size(&self, table: &TableName, ask: &mut dyn Probe) -> Size {
        match self.stock(table) {
            TableContents::CreatedByPlan | TableContents::Absent => Size::Nothing,
            TableContents::Unknown => Size::Unknown,
            TableContents::Live { table, .. } => match ask.ask(&Question::Size { table }) {
                Some(answer) => Size::Known(answer),
                None => Size::Unknown,
            },
        }
    }

    /// A finding of this operation.
    pub(super) fn found(
        &self,
        code: FindingCode,
        object: impl Into<String>,
        level: Level,
        sentence: impl Into<String>,
    ) -> FindingDraft {
        let mut found = FindingDraft::new(code, object, level, sentence)
            .at(self.place)
            .after(self.order);
        found.certain = self.certain;
        found
    }
}

/// How large a table is.
pub(super) enum Size {
    /// It is empty, or there is none.
    Nothing,
    /// In bytes.
    Known(Answer),
    /// Not known.
    Unknown,
}

/// An answer with what it counts.
pub(super) fn evidence(answer: &Answer, one: &str, many: &str) -> Evidence {
    let mut sentence = counted(answer.count, answer.exact, one, many);
    if !answer.exact {
        sentence.push_str(", by the server's estimate");
    }
    Evidence {
        sentence,
        count: Some(answer.count),
        exact: answer.exact,
        query: Some(answer.query.clone()),
        is_told: answer.exact,
    }
}

/// The same for a finding whose sentence does not have the figure.
pub(super) fn untold_evidence(answer: &Answer, one: &str, many: &str) -> Evidence {
    Evidence {
        is_told: false,
        ..evidence(answer, one, many)
    }
}

/// Up to here a table is read or written in about a second, so that nobody notices.
const SMALL: u64 = 16 * 1024 * 1024;

impl Size {
    /// Others have to wait as long as the work takes.
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Nothing => Level::Low,
            Self::Known(answer) if answer.count <= SMALL => Level::Low,
            Self::Known(_) | Self::Unknown => Level::Medium,
        }
    }

    /// ` (1.2 GB)`, or nothing.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Known(answer) => format!(" ({})", bytes(answer.count)),
            Self::Nothing | Self::Unknown => String::new(),
        }
    }

    pub(super) fn evidence(&self) -> Option<Evidence> {
        let Self::Known(answer) = self else {
            return None;
        };
        let mut evidence = evidence(answer, "byte", "bytes");
        evidence.sentence = bytes(answer.count);
        evidence.is_told = true;
        Some(evidence)
    }
}
