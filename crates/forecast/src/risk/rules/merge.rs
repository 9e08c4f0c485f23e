//! A merge point: two branches are two again.

use crate::risk::finding_draft::FindingDraft;
use crate::{Followed, StepTrace};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::Merge;

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    if !seen.is_merge || seen.downgrade.followed != Followed::Empty {
        return Vec::new();
    }
    let sentence = "parts a merge: nothing changes but the version rows";
    vec![FindingDraft::new(CODE, "", Level::Low, sentence)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, found, only, schema, step, table};
    use rollback_core::dialect::Dialect;
    use rollback_core::operation::Operation;

    #[test]
    fn a_merge_that_does_something_is_more_than_a_merge() {
        let mut seen = step(&schema(Dialect::Postgres), Vec::new());
        assert!(found(CODE, &seen, FakeProbe::nothing()).is_empty());
        seen.is_merge = true;
        assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, Level::Low);
        let drop = Operation::DropTable {
            table: table("users"),
            if_exists: false,
            cascade: false,
        };
        let mut seen = step(&schema(Dialect::Postgres), vec![drop]);
        seen.is_merge = true;
        assert!(found(CODE, &seen, FakeProbe::nothing()).is_empty());
    }
}
