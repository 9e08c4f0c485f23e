//! What an operation speaks of, and what stands in its way.

use rollback_core::finding::Culprit;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{Name, Operation, Place, TableName};
use rollback_core::subject::Subject;

/// Why a step does not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// As that of its finding.
    pub code: FindingCode,
    /// What is wrong, in one sentence with the names of the objects.
    pub sentence: String,
    /// The object, as the server would name it.
    pub object: String,
    /// Whether nothing that is not known can prevent it.
    pub certain: bool,
    /// Where.
    pub place: Place,
    /// The revision that took the object away or made it, and where, if one in sight did.
    pub culprit: Option<Culprit>,
}

/// Why an operation fails, as far as another revision may be to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyErrorKind {
    /// The object is not there.
    Missing,
    /// It is there already.
    Exists,
    /// Anything else.
    Other,
}

/// A failure with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyError {
    /// The failure, without a culprit.
    pub failure: Failure,
    /// The object.
    pub subject: Subject,
    /// What is wrong with it.
    pub trouble: ApplyErrorKind,
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It is made.
    Made(Subject),
    /// It goes.
    Gone(Subject),
}

/// What an operation does by its own words, without a look at any schema.
pub fn effects(operation: &Operation) -> Vec<Effect> {
    use Effect::{Gone, Made};
    match operation {
        Operation::CreateTable { table, .. } | Operation::CreateTableAs { table, .. } => {
            vec![Made(Subject::Table(table.clone()))]
        }
        Operation::DropTable { table, .. } => vec![Gone(Subject::Table(table.clone()))],
        Operation::RenameIndex { name, to, .. } => vec![
            Gone(Subject::Index(None, name.name.clone())),
            Made(Subject::Index(None, to.clone())),
        ],
        Operation::RenameTable { table, to } => {
            let to = TableName {
                schema: table.schema.clone(),
                name: to.clone(),
            };
            vec![
                Gone(Subject::Table(table.clone())),
                Made(Subject::Table(to)),
            ]
        }
        Operation::AddColumn { table, column, .. } => {
            vec![Made(Subject::Column(table.clone(), column.name.clone()))]
        }
        Operation::DropColumn { table, column, .. } => {
            vec![Gone(Subject::Column(table.clone(), column.clone()))]
        }
        Operation::AlterColumn {
            table,
            column,
            change,
        } => match &change.new_name {
            Some(to) if to != column => vec![
                Gone(Subject::Column(table.clone(), column.clone())),
                Made(Subject::Column(table.clone(), to.clone())),
            ],
            _ => Vec::new(),
        },
        Operation::CreateIndex { name, table, .. } => named(name)
            .map(|name| Made(Subject::Index(Some(table.clone()), name)))
            .collect(),
        Operation::DropIndex { name, table, .. } => named(name)
            .map(|name| Gone(Subject::Index(table.clone(), name)))
            .collect(),
        Operation::AddConstraint { table, constraint } => named(constraint.name())
            .map(|name| Made(Subject::Constraint(table.clone(), name)))
            .collect(),
        Operation::DropConstraint { table, name, .. } => named(name)
            .map(|name| Gone(Subject::Constraint(table.clone(), name)))
            .collect(),
        Operation::Batch { operations, .. } => operations
            .iter()
            .flat_map(|(_, operation)| effects(operation))
            .collect(),
        Operation::CreateEnum { name, .. } => vec![Made(Subject::Type(name.clone()))],
        Operation::DropType { name, .. } => vec![Gone(Subject::Type(name.clone()))],
        Operation::RenameType { name, to } => {
            let to = TableName {
                schema: name.schema.clone(),
                name: to.clone(),
            };
            vec![Gone(Subject::Type(name.clone())), Made(Subject::Type(to))]
        }
        Operation::CreateView { name, .. } => vec![Made(Subject::View(name.clone()))],
        Operation::DropView { name, .. } => vec![Gone(Subject::View(name.clone()))],
        _ => Vec::new(),
    }
}

fn named(name: &Name) -> impl Iterator<Item = String> {
    name.known().map(str::to_owned).into_iter()
}
