//! An index goes: queries that used it read the whole table.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, Size, TableContents, operations_with_schema,
};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, TableName};
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::IndexDropped;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::DropIndex {
            name,
            table,
            concurrently,
            ..
        } = scene.operation
        else {
            continue;
        };
        let owner = table.clone().or_else(|| owner(&scene, name.known()?));
        let index = name.known().unwrap_or("of a name that is not known");
        let (on, size) = match &owner {
            Some(owner) if scene.stock(owner) == TableContents::CreatedByPlan => continue,
            Some(owner) => (format!(" of {}", scene.say(owner)), scene.size(owner, ask)),
            None => (String::new(), Size::Unknown),
        };
        let lock = match (scene.dialect, concurrently) {
            (Some(Dialect::Postgres), true) => ", under a SHARE UPDATE EXCLUSIVE lock",
            (Some(Dialect::Postgres), false) => ", under an ACCESS EXCLUSIVE lock for a moment",
            _ => "",
        };
        let sentence = format!("drops index {index}{on}{}{lock}", size.words());
        let found = scene
            .found(CODE, format!("{index}{on}"), size.level(), sentence)
            .because(size.evidence());
        all.push(if size.level() == Level::Low {
            found
        } else {
            found.advise("queries that need the index get slow: look at who runs them")
        });
    }
    all
}

fn owner(context: &OperationContext<'_>, index: &str) -> Option<TableName> {
    let tables = &context.before?.tables;
    let owner = tables.iter().find(|(_, table)| {
        table
            .indexes
            .iter()
            .any(|found| found.name.known() == Some(index))
    });
    owner.map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, only, schema, step, table};
    use rollback_core::operation::Name;

    #[test]
    fn the_size_of_its_table_makes_the_level() {
        let drop = Operation::DropIndex {
            name: Name::Known("ix".to_owned()),
            table: Some(table("users")),
            concurrently: false,
            if_exists: false,
        };
        let seen = step(&schema(Dialect::Postgres), vec![drop]);
        let large = only(CODE, &seen, FakeProbe::all(1_240_000_000));
        assert_eq!(
            large.sentence,
            "drops index ix of users (1.2 GB), under an ACCESS EXCLUSIVE lock for a moment"
        );
        assert_eq!(large.level, Level::Medium);
        assert_eq!(only(CODE, &seen, FakeProbe::all(8192)).level, Level::Low);
        assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, Level::Medium);
    }
}
