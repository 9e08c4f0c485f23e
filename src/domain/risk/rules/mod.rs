//! The rules, in the order in which they ask: what is lost first, in case the time does not suffice.

mod check_restored;
mod column_dropped;
mod data_not_restored;
mod data_reversed;
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
mod table_dropped;
mod table_rewritten;
mod transaction;
mod type_changed;
mod unique_restored;
mod unknown_code;

use super::Probe;
use super::finding_draft::FindingDraft;
use crate::domain::forecast::StepTrace;

/// One rule.
pub(super) struct Rule {
    /// The codes of its findings.
    pub(super) codes: &'static [&'static str],
    /// Looks at a step.
    pub(super) look: fn(&StepTrace, &mut dyn Probe) -> Vec<FindingDraft>,
}

/// All rules.
pub(super) const RULES: [Rule; 22] = [
    table_dropped::RULE,
    column_dropped::RULE,
    type_changed::RULE,
    enum_value_removed::RULE,
    not_null_restored::RULE,
    unique_restored::RULE,
    foreign_key_restored::RULE,
    check_restored::RULE,
    data_reversed::RULE,
    data_not_restored::RULE,
    dependents::RULE,
    does_nothing::RULE,
    irreversible::RULE,
    failures::RULE,
    object_dropped::RULE,
    rights_loosened::RULE,
    index_dropped::RULE,
    index_built::RULE,
    table_rewritten::RULE,
    merge::RULE,
    transaction::RULE,
    unknown_code::RULE,
];
