//! The argument of `alembic downgrade` for one revision, also for a merge.

use fixedbitset::FixedBitSet;

use super::{Graph, Node};

/// One way to spell a downgrade, and what it would take.
pub(super) struct Spelling {
    pub(super) argument: String,
    pub(super) removes: FixedBitSet,
}

impl Graph {
    /// The argument that removes `node` with the least besides it.
    ///
    /// `REV@PARENT` and `REV@base` are tried and nothing else: `PARENT`, `REV-1` and `REV@-1` have
    /// the same or more roots, so that they can never remove less. Which parent of a merge is named
    /// matters: where one is an ancestor of another, naming it would take what is between.
    pub(super) fn narrowest_spelling(&self, applied: &FixedBitSet, node: Node) -> Spelling {
        let id = &self.revisions[node].id;
        if self.is_sequence {
            let mut removes = FixedBitSet::with_capacity(self.revisions.len());
            removes.insert(node);
            let argument = id.clone();
            return Spelling { argument, removes };
        }
        let to_base = || Spelling {
            argument: format!("{id}@base"),
            removes: self.removed_by(applied, Some(node), None),
        };
        let mut narrowest: Option<Spelling> = None;
        for &parent in &self.down[node] {
            let removes = self.removed_by(applied, Some(node), Some(parent));
            let size = removes.count_ones(..);
            if narrowest
                .as_ref()
                .is_none_or(|best| size < best.removes.count_ones(..))
            {
                let argument = format!("{id}@{}", self.revisions[parent].id);
                narrowest = Some(Spelling { argument, removes });
            }
            if size == 1 {
                break;
            }
        }
        narrowest.unwrap_or_else(to_base)
    }
}
