//! The rules, in the order in which they ask: what is lost first, in case the time does not suffice.

mod check_restored;
mod column_dropped;
mod data_not_restored;
mod data_reversed;
mod default_not_constant;
mod dependents;
mod does_nothing;
mod enum_value_removed;
mod failures;
mod foreign_key_restored;
mod index_built;
mod index_dropped;
mod irreversible;
mod merge;
mod not_null_restored;
mod object_dropped;
mod rights_loosened;
mod rows_taken_along;
mod table_dropped;
mod table_rewritten;
mod transaction;
mod type_changed;
mod unique_restored;
mod unknown_code;

use super::finding_draft::FindingDraft;
use crate::StepTrace;
use rollback_core::probe::Probe;

/// Looks at one step.
type Rule = fn(&StepTrace, &mut dyn Probe) -> Vec<FindingDraft>;

/// All rules.
pub(super) const RULES: [Rule; 24] = [
    table_dropped::look,
    column_dropped::look,
    type_changed::look,
    enum_value_removed::look,
    not_null_restored::look,
    unique_restored::look,
    foreign_key_restored::look,
    check_restored::look,
    default_not_constant::look,
    data_reversed::look,
    rows_taken_along::look,
    data_not_restored::look,
    dependents::look,
    does_nothing::look,
    irreversible::look,
    failures::look,
    object_dropped::look,
    rights_loosened::look,
    index_dropped::look,
    index_built::look,
    table_rewritten::look,
    merge::look,
    transaction::look,
    unknown_code::look,
];
